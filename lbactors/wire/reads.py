"""Reads of a period: what is asked, in one class for each kind, and how it is answered.

A kind's class is its arguments, in the order in which they travel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lbactors.core.model import PeriodView, Reading, Row


class Page(NamedTuple):
    """Rows from `offset` on; inside a score range `offset` counts from its best entry."""

    offset: int
    limit: int
    score_min: float | None = None
    score_max: float | None = None


class Standings(NamedTuple):
    """Rows as of a page, without a comparison: the period before is not needed."""

    offset: int
    limit: int


class Entry(NamedTuple):
    """One player's row. entry_not_found."""

    player_id: str


class Around(NamedTuple):
    """A player among his neighbours, `limit` on each side; fill: more on one where the other has fewer."""

    player_id: str
    limit: int
    fill: bool


class Lookup(NamedTuple):
    """Players, in rank order, unranked ones last."""

    player_ids: Sequence[str]


class RankAt(NamedTuple):
    """The rank that a new player with this score would take (in `matched`); None below min_score."""

    score: float
    subscore: float


class Distribution(NamedTuple):
    """How scores are spread, in place of rows."""

    buckets: int


class Stats(NamedTuple):
    """No rows: only the period's view and totals."""


Query = Page | Standings | Entry | Around | Lookup | RankAt | Distribution | Stats
QUERIES: dict[str, type[Any]] = {  # by the name of the kind, as it travels
    "page": Page,
    "standings": Standings,
    "entry": Entry,
    "around": Around,
    "lookup": Lookup,
    "rank_at": RankAt,
    "distribution": Distribution,
    "stats": Stats,
}
KINDS = {query: kind for kind, query in QUERIES.items()}


class ReadOp(NamedTuple):
    """A read of a chain. ref: current | previous | a period's key."""

    chain_id: str
    ref: str
    kind: str
    args: Sequence[Any]

    @classmethod
    def of(cls, chain_id: str, ref: str, query: Query) -> ReadOp:
        return cls(chain_id, ref, KINDS[type(query)], query)


class ReadAnswer(NamedTuple):
    """As it travels. rows: a distribution, where that was asked for."""

    period: PeriodView
    total: int
    as_of_seq: int
    rows: Sequence[Row] | Mapping[str, object]
    offset: int
    matched: int | None
    missing: Sequence[str]

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> Reading:
        view, total, seq, found, offset, matched, missing = wire
        rows, spread = ([], found) if isinstance(found, dict) else ([Row(*r) for r in found], None)
        return Reading(PeriodView(*view), total, seq, rows, offset, matched, tuple(missing), spread)
