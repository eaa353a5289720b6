"""What the supervisor tells a period actor of a chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple
from zlib import crc32

from lbactors.core.audience import RankAudience
from lbactors.core.definition import Rules
from lbactors.core.model import PeriodRecord


class Follows(NamedTuple):
    """The log that a projection follows: its period's id. scoring: of the definition, as JSON. from_ms: rows
    acknowledged before do not count (0: all do). generation, pauses: see `lbactors.core.model.FillTerms`.
    over: start, end, and end of the grace of closed periods that may have taken rows which arrived in those
    that are open; for `late_arrival` alone.
    """

    log_id: str
    scoring: Mapping[str, Any]
    from_ms: int
    generation: int
    pauses: tuple[tuple[int, int | None], ...]
    over: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> Follows:
        found = cls(*wire)
        return found._replace(
            pauses=tuple((begin, end) for begin, end in found.pauses),
            over=tuple((starts, ends, over) for starts, ends, over in found.over),
        )


class ChainSpec(NamedTuple):
    """What the supervisor wants a chain to be. A higher `version` replaces a lower one.

    `more`: the schedule goes on after the last record. `previous`: the last sealed period that is kept,
    `oldest_serial`: the first. `floors`: serial -> a seq that the period was seen to have reached: a store
    that shows less went back. `awake`: load the open periods now, not when somebody asks for them.
    `late_arrival`: what occurred in a closed period counts for the one in which it arrived. `owing`: the
    closed period whose submission ids the first open one is to take over. `audience`: who is ranked.
    `follows`: of a projection.
    """

    chain_id: str
    window: str
    version: int
    rules: Rules
    grace_ms: int
    more: bool
    records: list[PeriodRecord]
    previous: PeriodRecord | None
    oldest_serial: int
    floors: Mapping[int, int] = MappingProxyType({})
    awake: bool = True
    late_arrival: bool = False
    owing: PeriodRecord | None = None
    audience: RankAudience = RankAudience()
    follows: Follows | None = None

    def to_wire(self) -> Sequence[Any]:
        fields: dict[str, Any] = {
            "floors": list(self.floors.items()),
            "records": [record.to_wire() for record in self.records],
            "previous": None if self.previous is None else self.previous.to_wire(),
            "owing": None if self.owing is None else self.owing.to_wire(),
            "audience": self.audience.to_wire(),
        }
        row = self._replace(**fields)
        if self.follows is not None:
            return row
        return row[:-1] if self.audience != RankAudience() else row[:-2]  # older actors read it

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> ChainSpec:
        spec = cls(*wire)
        return spec._replace(
            rules=Rules(*spec.rules),
            records=[PeriodRecord(*row) for row in spec.records],
            previous=None if spec.previous is None else PeriodRecord(*spec.previous),
            floors=dict(spec.floors),
            owing=None if spec.owing is None else PeriodRecord(*spec.owing),
            audience=RankAudience.from_wire(spec.audience),
            follows=None if spec.follows is None else Follows.from_wire(spec.follows),
        )


class HostedDigest(NamedTuple):
    """How many chains are hosted, and a number that differs for other chains or other versions of them."""

    chains: int
    digest: int

    @classmethod
    def of(cls, versions: Iterable[tuple[str, int]]) -> HostedDigest:
        """Of chain ids and the versions of their specs, in any order."""
        count = total = 0
        for chain_id, version in versions:
            count += 1
            total += crc32(f"{chain_id} {version}".encode())
        return cls(count, total)
