"""What a period actor says of itself when it is pinged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from lbactors.wire.chain_spec import HostedDigest


class PeriodPing(NamedTuple):
    """An open period. `entries`: kept, ranked or not. `waiting`: inputs that wait for the journal."""

    key: str
    state: str
    epoch: int
    entries: int
    waiting: int
    serial: int
    seq: int


class ChainPing(NamedTuple):
    """A chain of which anything is in memory. `version`: of its spec. `closed`: closed periods that are
    loaded. `work`: submissions and reads so far.
    """

    version: int
    periods: Sequence[PeriodPing] = ()
    closed: int = 0
    work: int = 0

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> ChainPing:
        version, periods, *rest = wire
        return cls(version, [PeriodPing(*row) for row in periods], *rest)


@dataclass(slots=True, frozen=True)
class Ping:
    """An actor now. `chains`: those that are awake or have closed periods loaded. `trouble`: what keeps
    periods from serving, some of it, each in a sentence. `went_back`: one of those whose reason is that the
    store lost what it had acknowledged.
    """

    name: str
    incarnation: str
    pid: int
    resident_bytes: int
    started_at: float
    inputs: int
    reads: int
    hosted: HostedDigest
    chains: Mapping[str, ChainPing]
    trouble: Sequence[str]
    went_back: str = ""

    def to_wire(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Ping:
        return cls(
            **{
                **wire,
                "hosted": HostedDigest(*wire["hosted"]),
                "chains": {i: ChainPing.from_wire(row) for i, row in wire["chains"].items()},
            }
        )

    def shown(self) -> dict[str, Any]:
        """For operators."""
        found = self.to_wire()
        del found["went_back"]
        return found
