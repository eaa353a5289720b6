"""What the supervisor tells a period actor of a chain, and the limits that the actor keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from zlib import crc32

import msgpack

from lbactors.actor_settings import ActorSettings
from lbactors.core.definition import Rules
from lbactors.core.errors import ApiError
from lbactors.core.model import PeriodRecord


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


VALUE, ERROR, NOT_HERE, ASLEEP = range(4)


def digest(versions: Iterable[tuple[str, int]]) -> int:
    """A number that shows whether two know the same chains in the same versions."""
    return sum(crc32(f"{chain_id} {version}".encode()) for chain_id, version in versions)


def pack(value: Any) -> bytes:
    return bytes(msgpack.packb(value))


def value_of(reply: list[Any]) -> Any:
    """What a reply says. ApiError: the error that it is, or period_loading for a chain that is not here."""
    if reply[0] == VALUE:
        return reply[1]
    raise ApiError.from_wire(reply[1]) if reply[0] == ERROR else ApiError("period_loading", "moving")


class ActorGone(Exception):
    """A call did not come back: the actor's process died, is being restarted, or cannot be reached.

    Whether the call was carried out is unknown. `for_good`: Ray will not bring this actor back.
    """

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


class Actor(Protocol):
    """A handle to a period actor (`lbactors.cluster.ActorRef`)."""

    name: str

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes: ...


class Actors(Protocol):
    """Where actors come from (`lbactors.cluster.Cluster`)."""

    def cores(self) -> int: ...

    def period_actor(self, name: str, settings: ActorSettings) -> Any: ...

    def period_actors(self) -> list[str]: ...

    def kill(self, ref: Any) -> None: ...


class ActorFinder(Protocol):
    """What gateways find actors by (`lbactors.cluster.Cluster`)."""

    def find(self, name: str) -> Actor | None: ...


class Unanswered(ApiError):
    """No answer came from an actor: it may have done what it was asked to."""


INCARNATIONS = "incarnations"  # not a collection of the store: the process that each actor is now


class Caller(Protocol):
    """An actor that can be called (`lbactors.cluster.ActorRef`)."""

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes: ...
