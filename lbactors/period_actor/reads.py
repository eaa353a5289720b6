"""Reads of one loaded period: from the ranking and the entries to the tuples that gateways render.

All functions are synchronous, so each answer shows one seq. `before` is the period that `change` compares
with: the one before in the same chain, None if there is none, or `UNREAD`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lbactors.core.errors import ApiError
from lbactors.core.model import PeriodView, Row
from lbactors.core.period import Entry, Period
from lbactors.documents.entities import view_of_record
from lbactors.period_actor.activation import Activation


class Unread:
    """Stands for a period before that is there and cannot be read: damaged, or the store is away."""


UNREAD = Unread()
Before = Period | Unread | None


def change_of(before: Before, player_id: str, rank: int | None) -> str | None:
    """The rank against the one in the period before: up, down, same, new, or None if that is not known."""
    if isinstance(before, Unread):
        return None
    previous = before.rank(player_id) if before is not None else None
    if previous is None or rank is None:
        return "new"
    return "up" if rank < previous else "down" if rank > previous else "same"


def row_of(before: Before, rank: int | None, player_id: str, entry: Entry) -> Row:
    return Row(
        rank,
        player_id,
        entry.score,
        entry.subscore,
        entry.metadata,
        entry.submissions,
        entry.first_at_ms,
        entry.updated_at_ms,
        change_of(before, player_id, rank),
    )


def view_of(
    activation: Activation, window: str, now_ms: int, grace_ms: int, next_starts_at_ms: int | None
) -> PeriodView:
    period = activation.period
    record = activation.record._replace(entries=period.total, submissions=period.submissions)
    return view_of_record(record, window, now_ms, grace_ms, next_starts_at_ms)


def _rows(period: Period, before: Before, ranked: Iterable[tuple[int, str]]) -> list[Row]:
    rows = []
    for rank, player_id in ranked:
        entry = period.entry(player_id)
        assert entry is not None, "ranked without an entry"
        rows.append(row_of(before, rank, player_id, entry))
    return rows


def page(period: Period, before: Before, args: Sequence[Any]) -> list[Any]:
    """args: offset, limit, score_min, score_max -> rows, offset of the first row, matched.

    Inside a score range `offset` counts from its best entry.
    """
    offset, limit, score_min, score_max = args
    if score_min is None and score_max is None:
        return [_rows(period, before, period.ranking.page(offset, limit)), offset, None, []]
    start, end = period.ranking.score_range(score_min, score_max)
    matched = max(end - start, 0)
    rows = period.ranking.page(start + offset, min(limit, max(matched - offset, 0)))
    return [_rows(period, before, rows), offset, matched, []]


def standings(period: Period, before: Before, args: Sequence[Any]) -> list[Any]:
    """args: offset, limit -> rows as of a page, without a comparison: the period before is not needed."""
    offset, limit = args
    return [_rows(period, None, period.ranking.page(offset, limit)), offset, None, []]


def entry(period: Period, before: Before, args: Sequence[Any]) -> list[Any]:
    """args: player_id -> its row. entry_not_found."""
    (player_id,) = args
    found = period.entry(player_id)
    if found is None:
        raise ApiError("entry_not_found", f"no entry of player '{player_id}'")
    rank = period.rank(player_id)
    return [[row_of(before, rank, player_id, found)], period.offset(player_id) or 0, None, []]


def around(period: Period, before: Before, args: Sequence[Any]) -> list[Any]:
    """args: player_id, limit, fill -> the neighbours; an unranked player has none but itself."""
    player_id, limit, fill = args
    found = period.around(player_id, limit, fill)
    if found is None:
        return entry(period, before, [player_id])
    offset, ranked = found
    return [_rows(period, before, ranked), offset, None, []]


def lookup(period: Period, before: Before, args: Sequence[Any]) -> list[Any]:
    """args: player_ids -> rows in rank order, unranked ones last, and the players without an entry."""
    (player_ids,) = args
    ranked, unranked, missing = [], [], []
    for player_id in dict.fromkeys(player_ids):
        found = period.entry(player_id)
        if found is None:
            missing.append(player_id)
            continue
        offset = period.offset(player_id)
        if offset is None:
            unranked.append(row_of(before, None, player_id, found))
        else:
            ranked.append((offset, row_of(before, period.rank(player_id), player_id, found)))
    ranked.sort(key=lambda pair: pair[0])
    return [[row for _, row in ranked] + unranked, 0, None, missing]


def rank_at(period: Period, before: Before, args: Sequence[Any]) -> list[Any]:
    """args: score, subscore -> the rank that a new player would take; None below min_score."""
    score, subscore = args
    floor = period.rules.min_score
    rank = None if floor is not None and score < floor else period.ranking.rank_of(score, subscore)
    return [[], 0, rank, []]


def distribution(period: Period, before: Before, args: Sequence[Any]) -> list[Any]:
    """args: buckets -> the distribution in place of rows."""
    (buckets,) = args
    return [period.ranking.distribution(buckets), 0, None, []]


def stats(period: Period, before: Before, args: Sequence[Any]) -> list[Any]:
    """No rows: only the period's view and totals."""
    return [[], 0, None, []]


KINDS = {
    "page": page,
    "standings": standings,
    "entry": entry,
    "around": around,
    "lookup": lookup,
    "rank_at": rank_at,
    "distribution": distribution,
    "stats": stats,
}
