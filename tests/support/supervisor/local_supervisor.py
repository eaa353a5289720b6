"""A supervisor with its period actors in this process, on a real SQLite store, with a clock that tests move.

Everything but Ray and HTTP is the real thing: commands travel as bytes, actors are found by name and lose
their memory when they are killed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgpack

from lbactors.actor_settings import ActorSettings
from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.ids import board_of_chain
from lbactors.documents.audit import Who
from lbactors.period_actor.actor import PeriodActor
from lbactors.supervisor.actor import SupervisorActor
from lbactors.supervisor.supervisor import Supervisor
from lbactors.wire.replies import ASLEEP, Reply
from tests.support.actor_settings import actor_settings
from tests.support.invariants import check

NOON_MS = 1_795_003_200_000  # 2026-11-18T12:00:00Z
WHO = Who("k_test", "tester", "req-1")


class LocalActor:
    """A handle whose actor lives here; `kill` makes it another process, which hosts nothing."""

    def __init__(self, name: str, settings: ActorSettings) -> None:
        self.name = name
        self._settings = settings
        self.actor = PeriodActor(name, settings.to_wire())

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        return bytes(await getattr(self.actor, method)(*payload))

    async def kill(self) -> None:
        for chain in self.actor.chains.values():
            chain.stop()
        self.actor.chains.clear()
        await self.actor.stop()
        self.actor = PeriodActor(self.name, self._settings.to_wire())


class LocalActors:
    """One core's worth of them."""

    def __init__(self) -> None:
        self.by_name: dict[str, LocalActor] = {}

    def cores(self) -> int:
        return 1

    def period_actor(self, name: str, settings: ActorSettings) -> LocalActor:
        return self.by_name.setdefault(name, LocalActor(name, settings))

    def period_actors(self) -> list[str]:
        return list(self.by_name)

    def kill(self, ref: LocalActor) -> None:
        self.by_name.pop(ref.name, None)


class LocalServer:
    """`async with LocalServer(folder) as server:`; the clock starts at noon."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        folder.mkdir(exist_ok=True)
        clock = folder.parent / "clock"
        self.clock = Clock(str(clock))
        self.clock.move(NOON_MS - self.clock.now_ms())
        self.folder = folder
        given: dict[str, Any] = {
            "store_url": f"sqlite:{folder}",
            "lease_seconds": 60.0,
            "clock_file": str(clock),
            "seen_ids_limit": 1000,
            "queue_limit": 1000,
            "snapshot_inputs": 100_000,
            "snapshot_seconds": 3600,
            "idle_unload_seconds": 3600,
            "actors_per_core": 2,
            "spare_actors": 0,
            "root_key_hash": "0" * 64,
            **settings,
        }
        self.settings = actor_settings(**given)
        self.actors = LocalActors()

    async def __aenter__(self) -> LocalServer:
        self.actor = SupervisorActor(self.settings.to_wire(), lambda: self.actors)
        await self.actor.start()
        return self

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.check()
        await self.actor.stop()

    def check(self) -> None:
        """Assert every invariant; after every call, and at the end."""
        if self.actor.is_working:
            check(self.supervisor, (a.actor for a in self.actors.by_name.values()))

    @property
    def supervisor(self) -> Supervisor:
        """The last one that began."""
        assert self.actor.supervisor is not None
        return self.actor.supervisor

    async def command(self, name: str, tenant: str = "default", /, **args: Any) -> dict[str, Any]:
        """Carry out a command as a gateway does; its answer's body. ApiError."""
        return await self.command_as(WHO, name, tenant, **args)

    async def command_as(
        self,
        who: Who | None,
        name: str,
        tenant: str = "default",
        /,
        idempotency: list[str] | None = None,
        **args: Any,
    ) -> dict[str, Any]:
        payload = msgpack.packb([name, tenant, args, idempotency, who])
        reply = msgpack.unpackb(await self.actor.command(payload))
        self.check()
        if reply[0] == 1:
            raise ApiError.from_wire(reply[1])
        return dict(reply[2])

    # Scores ---------------------------------------------------------------------------------------------

    async def _chain(self, leaderboard_id: str, window: str) -> tuple[str, LocalActor]:
        board = self.supervisor.state.boards[f"default/{leaderboard_id}"]
        chain = self.supervisor.state.chains[board.chain_id(window)]
        await self.supervisor.hosting.place(chain.home)
        return chain.chain_id, self.actors.by_name[chain.home]

    async def _op(self, leaderboard_id: str, window: str, method: str, *op: Any) -> Any:
        async with asyncio.timeout(20):
            while True:
                chain_id, actor = await self._chain(leaderboard_id, window)
                named = board_of_chain(chain_id) if method == "write" else chain_id
                reply = await self._reply(actor, method, [named, *op])
                self.check()
                if reply[0] == 0 and reply[1] is not None:
                    return reply[1]
                try:
                    Reply.from_wire(reply).result()
                except ApiError as error:
                    if error.code != "period_loading":
                        raise
                await self.supervisor.hosting.probe(actor.name)
                await asyncio.sleep(0.005)  # what loads needs the loop

    async def _reply(self, actor: LocalActor, method: str, op: list[Any]) -> list[Any]:
        sent: list[Any] = [self.clock.now_ms(), [op]] if method == "write" else [op]
        (reply,) = msgpack.unpackb(await actor.call(method, msgpack.packb(sent)))
        if reply == [0, None]:
            reply = msgpack.unpackb(await actor.call("load", msgpack.packb(op)))
        elif reply[0] == ASLEEP:
            await actor.call("wake", msgpack.packb(op[0]))
        return list(reply)

    async def submit(self, leaderboard_id: str, player_id: str, score: float, window: str = "main") -> Any:
        """One score, as a gateway sends it; the row of the answer."""
        item = [player_id, score, 0, None, None, None, None]
        async with asyncio.timeout(20):
            while True:
                now_ms = self.clock.now_ms()
                (row,) = await self._op(leaderboard_id, window, "write", now_ms, 2, [item], [window])
                if row[0] is None:
                    return row[1][0]
                if (error := ApiError.from_wire(row[0])).code != "period_loading":
                    raise error
                await asyncio.sleep(0.005)  # what loads needs the loop

    async def read(
        self, leaderboard_id: str, kind: str, args: list[Any], period: str = "current", window: str = "main"
    ) -> list[Any]:
        """A read's value: view, total, seq, rows, offset, matched, missing."""
        return list(await self._op(leaderboard_id, window, "read", period, kind, args))

    async def page(
        self, leaderboard_id: str, period: str = "current", window: str = "main"
    ) -> list[tuple[int, str, float]]:
        """(rank, player, score) of everybody who is ranked."""
        value = await self.read(leaderboard_id, "page", [0, 1000, None, None], period, window)
        return [(row[0], row[1], row[2]) for row in value[3]]


async def killed(server: LocalServer) -> None:
    for actor in server.actors.by_name.values():
        await actor.kill()


async def noticed(server: LocalServer) -> None:
    """The supervisor looks at every actor: one that is another process is told what to host."""
    for name in list(server.supervisor.hosting.actors):
        await server.supervisor.hosting.probe(name, join=True)
        await server.supervisor.hosting.probe(name, join=True)
