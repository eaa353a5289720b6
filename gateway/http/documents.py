"""Documents as clients see them: entries, the head of a page, what became of a submission.

Everything here turns tuples of `lbactors.core.model` into JSON-ready dictionaries: times to RFC 3339,
metadata to an embedded fragment (JSON) or to data (MessagePack). It decides no policy and asks nobody. The
documents of what administrators write (definitions, periods, keys, tenants) are in
`lbactors.documents.entities`, since the supervisor answers with them too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Outcome, PeriodView, Reading, Row
from lbactors.documents.entities import bounds_json, entry_json, instant_text

Document = dict[str, Any]

entry = entry_json  # with `metadata`: see `metadata_reader`


def instant(at_ms: int | None) -> str | None:
    """An instant as the API shows it; None for none."""
    return None if at_ms is None else instant_text(at_ms)


def error_item(index: int, error: ApiError) -> Document:
    """Why one item of a list was refused."""
    item: Document = {"index": index, "code": error.code, "message": error.message}
    if error.details:
        item["details"] = error.details
    return item


def metadata_reader(packed: bool) -> Callable[[bytes], Any]:
    """How stored metadata (JSON bytes) enters an answer."""
    return orjson.loads if packed else orjson.Fragment


def page_period(view: PeriodView) -> Document:
    """The period that a page is of."""
    return {
        "period_key": view.key,
        "window": view.window,
        "state": view.state,
        **bounds_json(view),
    }


def entries(rows: Sequence[Row], names: Sequence[str | None], packed: bool) -> list[Document]:
    """Entries with the display names of their players, in the same order."""
    metadata = metadata_reader(packed)
    return [entry(row, name, metadata) for row, name in zip(rows, names, strict=True)]


def page_head(board: Board, reading: Reading) -> Document:
    """What every answer about a period's entries begins with."""
    return {
        "leaderboard_id": board.leaderboard_id,
        "period": page_period(reading.period),
        "total": reading.total,
        "as_of_seq": reading.as_of_seq,
    }


def percentile(rank: int | None, total: int) -> float | None:
    """Share of the ranked entries below this rank, in per cent, to one decimal; None if unranked."""
    if rank is None or total <= 0:
        return None
    return round((total - rank) / total * 100, 1)


def _outcome_fields(outcome: Outcome) -> Document:
    return {
        "period_key": outcome.period_key,
        "player_id": outcome.player_id,
        "applied": outcome.applied,
        "score": outcome.score,
        "subscore": outcome.subscore,
        "previous_score": outcome.previous_score,
        "rank": outcome.rank,
        "previous_rank": outcome.previous_rank,
        "seq": outcome.seq,
    }


def _window_document(outcome: Outcome) -> Document:
    """Of a further window: one that passed the submission over has no more to say than why, and one that can
    show nothing of a repeat no more than that it is one.
    """
    document: Document = {"window": outcome.window, "applied": False}
    if outcome.skipped:
        return {**document, "skipped": outcome.skipped}
    if outcome.period_key:
        document |= _outcome_fields(outcome)
    if outcome.duplicate:
        document["duplicate"] = True
    return document


def outcome_document(outcomes: list[Outcome]) -> Document:
    """The single answer: the main window's outcome; `windows` and `duplicate` only where they apply."""
    document = _outcome_fields(outcomes[0])
    if len(outcomes) > 1:
        document["windows"] = [_window_document(outcome) for outcome in outcomes[1:]]
    if outcomes[0].duplicate:
        document["duplicate"] = True
    return document
