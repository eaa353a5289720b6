"""Reads of a period: what is asked, in one class for each kind, and how it is answered.

A kind's class is its arguments, in the order in which they travel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lbactors.core.model import PeriodView, Reading, Row
from lbactors.core.rank_keys import Standing


class Page(NamedTuple):
    """Rows in order; inside a score range if there is one.

    standing None: `limit` rows from `offset` on, which counts from the best entry in the range; else those
    that follow the standing. backward: those that precede it, or without one the last ones. Nobody needs to
    have the standing any more.
    """

    offset: int
    limit: int
    score_min: float | None = None
    score_max: float | None = None
    standing: Standing | None = None
    backward: bool = False


class Standings(NamedTuple):
    """Rows as of a page, without a comparison: the period before is not needed."""

    offset: int
    limit: int


class Entry(NamedTuple):
    """One player's row. entry_not_found."""

    player_id: str


class Around(NamedTuple):
    """A player among his neighbours, `limit` rows in all; fill: more on one side where the other has fewer.
    Who is not ranked has no neighbours, and no edges.
    """

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
    """A read of a chain. ref: current | previous | a period's key. zone: whose current period is meant, where
    periods are player-local; empty stands for UTC.
    """

    chain_id: str
    ref: str
    kind: str
    args: Sequence[Any]
    zone: str = ""

    @classmethod
    def of(cls, chain_id: str, ref: str, query: Query, zone: str = "") -> ReadOp:
        return cls(chain_id, ref, KINDS[type(query)], query, zone)

    def to_wire(self) -> Sequence[Any]:
        """As it travels. The last field is there only where it says something."""
        return self if self.zone else self[:-1]


class ReadAnswer(NamedTuple):
    """As it travels. rows: a distribution, where that was asked for. edges: see `Reading`."""

    period: PeriodView
    total: int
    as_of_seq: int
    rows: Sequence[Row] | Mapping[str, object]
    offset: int
    matched: int | None
    missing: Sequence[str]
    edges: Sequence[Standing] = ()

    def to_wire(self) -> Sequence[Any]:
        return self.period.to_wire(), *self[1:]

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> Reading:
        view, total, seq, found, offset, matched, missing, found_edges = wire
        rows, spread = ([], found) if isinstance(found, dict) else ([Row(*r) for r in found], None)
        edges = tuple((score, subscore, at) for score, subscore, at in found_edges)
        return Reading(PeriodView(*view), total, seq, rows, offset, matched, tuple(missing), spread, edges)
