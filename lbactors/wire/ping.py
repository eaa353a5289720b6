"""What a period actor says of itself when it is pinged: rows on the wire, objects with names for operators
(`shown`, `GET /v1/status`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from lbactors.core.ids import board_of_chain, is_log, metric_of, parse_chain
from lbactors.core.instants import format_instant
from lbactors.wire.chain_spec import HostedDigest

SOON_MS = 1000  # a projection that has taken everything by then is not behind for people
BEHIND_SHOWN = 100  # projections that are named


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


class FollowPing(NamedTuple):
    """How far a window of a projection has read its log. state: live | behind | filling. rows_read of rows:
    seqs of the log. behind_ms: for how long rows have waited, or for how long it has been reading up.
    """

    state: str
    rows_read: int
    rows: int
    behind_ms: int

    def shown(self) -> dict[str, Any]:
        """For operators."""
        return {
            "state": self.state,
            "rows_read": self.rows_read,
            "rows": self.rows,
            "behind_seconds": round(self.behind_ms / 1000, 3),
        }

    @classmethod
    def worst(cls, found: Sequence[FollowPing]) -> FollowPing | None:
        """Of the windows of a leaderboard: the one that has most before it; None without any."""
        order = ("live", "behind", "filling")
        return max(found, key=lambda f: (order.index(f.state), f.rows - f.rows_read), default=None)


class ChainPing(NamedTuple):
    """A chain of which anything is in memory. `version`: of its spec. `closed`: closed periods that are
    loaded. `work`: submissions and reads so far. `follow`: of a projection.
    """

    version: int
    periods: Sequence[PeriodPing] = ()
    closed: int = 0
    work: int = 0
    follow: FollowPing | None = None

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> ChainPing:
        version, periods, *rest = wire
        found = cls(version, [PeriodPing(*row) for row in periods], *rest)
        return found if found.follow is None else found._replace(follow=FollowPing(*found.follow))

    def shown(self, window: str) -> dict[str, Any]:
        """For operators."""
        return {
            "window": window,
            "awake": any(period.state != "asleep" for period in self.periods),
            "closed_loaded": self.closed,
            "operations": self.work,
            "periods": [period.shown() for period in self.periods],
            "follows": None if self.follow is None else self.follow.shown(),
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
    """Chains of one actor by leaderboard, for operators, in the order of their names, without those of logs.
    `waiting`: the windows of a leaderboard share one queue.
    """
    found: dict[str, dict[str, Any]] = {}
    for chain_id, ping in sorted(chains.items()):
        if is_log(chain_id):
            continue
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


def logs_shown(chains: Mapping[str, ChainPing]) -> list[dict[str, Any]]:
    """Logs of one actor, for operators, in the order of their names. What is not known of a log that is not
    in memory is None.
    """
    found = []
    for chain_id, ping in sorted(chains.items()):
        if not is_log(chain_id):
            continue
        name = parse_chain(chain_id)
        log = next((period for period in ping.periods if period.state != "asleep"), None)
        found.append(
            {
                "tenant_id": name.tenant_id,
                "metric": metric_of(name),
                "uid": name.uid,
                "state": "asleep" if log is None else log.state,
                "epoch": None if log is None else log.epoch,
                "rows": None if log is None else log.seq,
                "waiting": 0 if log is None else log.waiting,
                "operations": ping.work,
            }
        )
    return found


def behind_shown(actors: Iterable[Mapping[str, ChainPing]]) -> dict[str, Any]:
    """Which projections have not taken their logs, for operators: how many, and those that have most before
    them. actors: the chains of each.
    """
    found: dict[str, list[FollowPing]] = {}
    for chains in actors:
        for chain_id, ping in chains.items():
            follow = ping.follow
            if follow is None or (follow.state != "filling" and follow.behind_ms < SOON_MS):
                continue
            found.setdefault(board_of_chain(chain_id), []).append(follow)
    worst = [(board, follow) for board, all_of in found.items() if (follow := FollowPing.worst(all_of))]
    worst.sort(key=lambda pair: (pair[1].rows_read - pair[1].rows, pair[0]))
    named = []
    for board, follow in worst[:BEHIND_SHOWN]:
        tenant_id, _, rest = board.partition("/")
        named.append({"tenant_id": tenant_id, "leaderboard_id": rest.rpartition("~")[0], **follow.shown()})
    return {"behind": len(worst), "leaderboards": named}
