"""What the supervisor tells a period actor of a chain, and the limits that the actor keeps."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from lbactors.model import PeriodRecord, Rules


class ChainSpec(NamedTuple):
    """What the supervisor wants a chain to be. A higher `version` replaces a lower one.

    `more`: the schedule goes on after the last record. `previous`: the last sealed period that is kept,
    `oldest_serial`: the first. `floors`: serial -> a seq that the period was seen to have reached: a store
    that shows less went back. `awake`: load the open periods now, not when somebody asks for them.
    `late_arrival`: what occurred in a closed period counts for the one in which it arrived. `owing`: the
    closed period whose submission ids the first open one is to take over.
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

    def to_wire(self) -> list[Any]:
        rows = [list(record) for record in self.records]
        return [
            *self[:3],
            list(self.rules),
            self.grace_ms,
            self.more,
            rows,
            self.previous,
            self.oldest_serial,
            list(self.floors.items()),
            self.awake,
            self.late_arrival,
            self.owing,
        ]

    @classmethod
    def from_wire(cls, wire: list[Any]) -> ChainSpec:
        chain_id, window, version, rules, grace_ms, more, rows, previous, oldest, floors, *rest, owing = wire
        records = [PeriodRecord(*row) for row in rows]
        last = PeriodRecord(*previous) if previous is not None else None
        seqs = dict(floors)
        given = (chain_id, window, version, Rules(*rules), grace_ms, more, records, last, oldest, seqs)
        return cls(*given, *rest)._replace(owing=PeriodRecord(*owing) if owing is not None else None)


class Limits(NamedTuple):
    """Limits of a period actor (settings)."""

    seen_ids: int
    queue_inputs: int
    lease_s: float = float("inf")
