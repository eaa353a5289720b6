"""What a period actor says of itself when it is pinged: rows on the wire, objects with names for operators
(`shown`, `GET /v1/status`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from lbactors.core.ids import board_of_chain, parse_chain
from lbactors.core.instants import format_instant
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

    def shown(self) -> dict[str, Any]:
        """For operators. What waits is the leaderboard's: `leaderboards_shown`."""
        return {
            "period_key": self.key,
            "state": self.state,
            "epoch": self.epoch,
            "entries": self.entries,
            "serial": self.serial,
            "seq": self.seq,
        }


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

    def shown(self, window: str) -> dict[str, Any]:
        """For operators."""
        return {
            "window": window,
            "awake": any(period.state != "asleep" for period in self.periods),
            "closed_loaded": self.closed,
            "operations": self.work,
            "periods": [period.shown() for period in self.periods],
        }


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
        """The process, for operators."""
        return {
            "pid": self.pid,
            "started_at": format_instant(int(self.started_at * 1000)),
            "resident_bytes": self.resident_bytes,
            "submissions": self.inputs,
            "reads": self.reads,
            "trouble": list(self.trouble),
        }


NOT_RUNNING: dict[str, Any] = {
    "pid": None,
    "started_at": None,
    "resident_bytes": None,
    "submissions": None,
    "reads": None,
    "trouble": [],
}
"""`Ping.shown` of an actor that does not run, or has not answered yet."""


def leaderboards_shown(chains: Mapping[str, ChainPing]) -> list[dict[str, Any]]:
    """Chains of one actor by leaderboard, for operators, in the order of their names. `waiting`: the windows
    of a leaderboard share one queue.
    """
    found: dict[str, dict[str, Any]] = {}
    for chain_id, ping in sorted(chains.items()):
        tenant_id, leaderboard_id, uid, window = parse_chain(chain_id)
        board = found.setdefault(
            board_of_chain(chain_id),
            {
                "tenant_id": tenant_id,
                "leaderboard_id": leaderboard_id,
                "uid": uid,
                "waiting": 0,
                "windows": [],
            },
        )
        board["waiting"] = max(board["waiting"], *(p.waiting for p in ping.periods), 0)
        board["windows"].append(ping.shown(window))
    return list(found.values())
