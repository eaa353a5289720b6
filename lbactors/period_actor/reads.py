"""Reads of one loaded period: from the ranking and the entries to the tuples that gateways render.

All functions are synchronous, so each answer shows one seq. `before` is the period that `change` compares
with: the one before in the same chain, None if there is none, or `UNREAD`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lbactors.core.errors import ApiError
from lbactors.core.model import PeriodView, Row
from lbactors.core.period import Entry, Period
from lbactors.core.rank_keys import Standing
from lbactors.documents.entities import view_of_record
from lbactors.period_actor.activation import Activation
from lbactors.wire import reads as query


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
    return view_of_record(record, window, now_ms, grace_ms, next_starts_at_ms, is_final=activation.is_final)


def _rows(period: Period, before: Before, ranked: Iterable[tuple[int, str]]) -> list[Row]:
    rows = []
    for rank, player_id in ranked:
        entry = period.entry(player_id)
        assert entry is not None, "ranked without an entry"
        rows.append(row_of(before, rank, player_id, entry))
    return rows


class Found(NamedTuple):
    """What a read finds, see `lbactors.core.model.Reading`. rows: a distribution, where it is asked for."""

    rows: list[Row] | Mapping[str, object]
    offset: int = 0
    matched: int | None = None
    missing: Sequence[str] = ()
    edges: Sequence[Standing] = ()


def page(period: Period, before: Before, asked: query.Page) -> Found:
    """Rows that begin or end at a standing. It has one place in the order, whoever comes and goes around it:
    so whoever does not move is met once by those who go on from edge to edge.
    """
    offset, limit, score_min, score_max, standing, backward = asked
    ranking = period.ranking
    start, end = ranking.score_range(score_min, score_max)
    if backward:
        last = end if standing is None else min(max(ranking.offset(standing), start), end)
        first = max(last - limit, start)
    else:
        first = start + offset if standing is None else max(ranking.offset_after(standing), start)
        last = min(first + limit, end)
    rows = _rows(period, before, ranking.page(first, max(last - first, 0)))
    matched = None if score_min is score_max is None else end - start
    return Found(rows, first - start, matched, edges=_edges(period, rows))


def _edges(period: Period, rows: list[Row]) -> list[Standing]:
    """The standings of the first row and of the last."""
    entries = [period.entry(row.player_id) for row in (rows[:1] + rows[-1:])]
    return [(e.score, e.subscore, e.seq) for e in entries if e is not None]


def standings(period: Period, before: Before, asked: query.Standings) -> Found:
    return Found(_rows(period, None, period.ranking.page(asked.offset, asked.limit)), asked.offset)


def entry(period: Period, before: Before, asked: query.Entry) -> Found:
    return _entry(period, before, asked.player_id)


def _entry(period: Period, before: Before, player_id: str) -> Found:
    found = period.entry(player_id)
    if found is None:
        raise ApiError("entry_not_found", f"no entry of player '{player_id}'")
    rank = period.rank(player_id)
    return Found([row_of(before, rank, player_id, found)], period.offset(player_id) or 0)


def around(period: Period, before: Before, asked: query.Around) -> Found:
    """An unranked player has no neighbours but itself, and so no edges to go on from."""
    found = period.around(*asked)
    if found is None:
        return _entry(period, before, asked.player_id)
    offset, ranked = found
    rows = _rows(period, before, ranked)
    return Found(rows, offset, edges=_edges(period, rows))


def lookup(period: Period, before: Before, asked: query.Lookup) -> Found:
    ranked, unranked, missing = [], [], []
    for player_id in dict.fromkeys(asked.player_ids):
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
    return Found([row for _, row in ranked] + unranked, missing=missing)


def rank_at(period: Period, before: Before, asked: query.RankAt) -> Found:
    score, subscore = asked
    floor = period.rules.min_score
    rank = None if floor is not None and score < floor else period.ranking.rank_of(score, subscore)
    return Found([], matched=rank)


def distribution(period: Period, before: Before, asked: query.Distribution) -> Found:
    return Found(period.ranking.distribution(asked.buckets))


def stats(period: Period, before: Before, asked: query.Stats) -> Found:
    return Found([])


Read = Callable[[Period, Before, Any], Found]
READS: dict[type[Any], Read] = {
    query.Page: page,
    query.Standings: standings,
    query.Entry: entry,
    query.Around: around,
    query.Lookup: lookup,
    query.RankAt: rank_at,
    query.Distribution: distribution,
    query.Stats: stats,
}
WITH_CHANGES = frozenset((query.Page, query.Entry, query.Around, query.Lookup))  # against the period before


def answer(period: Period, before: Before, asked: query.Query) -> Found:
    """ApiError entry_not_found."""
    return READS[type(asked)](period, before, asked)
