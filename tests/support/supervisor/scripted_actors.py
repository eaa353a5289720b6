"""A supervisor's state and hosting in memory, with actors that answer what a test says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgpack

from lbactors.actor_settings import ActorSettings
from lbactors.core.model import Board
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.hidden_players import HiddenPlayers
from lbactors.supervisor.hosting import ActorState, Hosting
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.actors import ActorGone
from lbactors.wire.chain_spec import HostedDigest
from lbactors.wire.ping import Ping
from tests.support.actor_settings import actor_settings

Answer = Callable[[Any], Awaitable[Any]]


class ScriptedActor:
    """`answers`: by method, of the unpacked request; one that has none is away. `calls`: what arrived."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answers: dict[str, Answer] = {}
        self.calls: list[tuple[str, Any]] = []

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        request = msgpack.unpackb(payload[0]) if payload else None
        self.calls.append((method, request))
        if method not in self.answers:
            raise ActorGone(f"{self.name} is being started")
        return bytes(msgpack.packb(await self.answers[method](request)))


class ScriptedActors:
    def cores(self) -> int:
        return 1

    def period_actor(self, name: str, settings: ActorSettings) -> ScriptedActor:
        return ScriptedActor(name)

    def period_actors(self) -> list[str]:
        return []

    def kill(self, ref: Any) -> None:
        raise AssertionError("nothing is to be killed here")


class ScriptedHosting:
    """It is its state's clock: `at_ms` is the time. Nothing is committed."""

    def __init__(self, at_ms: int, **settings: Any) -> None:
        self.at_ms = at_ms
        store: Any = None
        clock: Any = self
        given: dict[str, Any] = {"actors_per_core": 8, "spare_actors": 0, **settings}
        self.state = SupervisorState(actor_settings(**given), store, 1)
        self.state.clock = clock
        self.hosting = Hosting(self.state, ScriptedActors(), HiddenPlayers(self.state))

    def now_ms(self) -> int:
        return self.at_ms

    def add(self, board: Board, window: str = "main") -> ChainState:
        """A leaderboard's window, with its periods, in an actor that is not up yet."""
        chain = self.state.new_chain(board, window)
        self.state.take_records(chain, chain.plan(self.at_ms).add)
        self.hosting.settle([chain])
        return chain

    def actor_of(self, chain: ChainState) -> tuple[ActorState, ScriptedActor]:
        actor = self.hosting.actors[chain.home]
        assert isinstance(actor.ref, ScriptedActor)
        return actor, actor.ref

    def begin(self, chain: ChainState) -> ScriptedActor:
        """A chain's actor is up, and has said so."""
        actor, ref = self.actor_of(chain)
        actor.incarnation = "one"
        actor.last_ping = Ping(ref.name, "one", 1, 0, 0.0, 0, 0, HostedDigest(0, 0), {}, [])
        return ref

    def lie_dormant(self, chain: ChainState) -> None:
        """A chain's actor ends, since nobody uses it."""
        self.hosting.dormant[chain.home] = self.hosting.actors.pop(chain.home).chains
