"""A supervisor without leaderboards, on a real store with a moved clock, and a real receiver of webhooks.

`OutboxWorld` runs the real supervisor (its commits, its commands, its start from the documents) on an SQLite
store; there are no period actors, since nothing here needs one. `Receiver` is an HTTP server that says what
it got and answers what it is told to. Waiting is for events: every commit, every end of an attempt and every
request wake those who wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from lbactors.actor_settings import ActorSettings
from lbactors.core.errors import ApiError
from lbactors.documents.events import Event, event_id
from lbactors.documents.webhooks import Delivery, unpack_delivery
from lbactors.supervisor.actor import SupervisorActor
from lbactors.supervisor.events.outbox import Outbox
from lbactors.supervisor.supervisor import Supervisor
from persistence.store import Change
from tests.support.actor_settings import actor_settings
from tests.support.free_ports import free_port

NOON_MS = 1_795_003_200_000  # 2026-11-18T12:00:00Z
WAIT_S = 60.0  # a busy test machine is slow; only a failure takes so long
TENANT = "default"


class NoActors:
    """For a supervisor that hosts nothing."""

    def cores(self) -> int:
        return 1

    def period_actor(self, name: str, settings: ActorSettings) -> Any:
        raise AssertionError("no leaderboard needs an actor here")

    def period_actors(self) -> list[str]:
        return []

    def kill(self, ref: Any) -> None:
        raise AssertionError("there is none")


class _Bell(asyncio.Event):
    """The deliverer's own event, which others may hear too."""

    def __init__(self, heard: Callable[[], None]) -> None:
        super().__init__()
        self._heard = heard

    def set(self) -> None:
        super().set()
        self._heard()


class OutboxWorld:
    """Use: `await start()`; `await stop()`, or `abandon()` to die on the spot."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.plugins: dict[str, tuple[set[str], Callable[[Event], Awaitable[None]]]] = {}
        self._moved = asyncio.Condition()
        self._numbers = 0
        given: dict[str, Any] = {
            "store_url": f"sqlite:{folder}",
            "clock_file": str(folder / "clock"),
            "actors_per_core": 1,
            "spare_actors": 0,
            "log_level": "error",
            **settings,
        }
        self.actor = SupervisorActor(actor_settings(**given).to_wire(), NoActors)

    @property
    def s(self) -> Supervisor:
        """The last one that began."""
        assert self.actor.supervisor is not None
        return self.actor.supervisor

    @property
    def events(self) -> Outbox:
        return self.s.outbox

    async def start(self) -> OutboxWorld:
        original_load = Supervisor.load

        async def load(supervisor: Supervisor) -> None:
            for name, (types, call) in self.plugins.items():
                supervisor.outbox.register(name, types, call)
            supervisor.deliverer._spread = lambda: 0.5
            supervisor.outbox.wake = _Bell(self._ring)
            supervisor.state.on_commit(lambda _: self._look(supervisor.outbox))
            await original_load(supervisor)

        Supervisor.load = load  # type: ignore[method-assign]
        try:
            await self.actor.start()
        finally:
            Supervisor.load = original_load  # type: ignore[method-assign]
        return self

    def _look(self, outbox: Outbox) -> None:
        """Whatever was committed, the outbox agrees with itself."""
        outbox.check()
        self._ring()

    def _ring(self) -> None:
        self._ringing = asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def stop(self) -> None:
        await self.actor.stop()

    async def abandon(self) -> None:
        """What kill -9 leaves: nothing is finished, nothing more is written."""
        for task in list(self.s.state._tasks):
            task.cancel()
        await asyncio.gather(*self.s.state._tasks, return_exceptions=True)
        await self.s.state.store.close()

    def move(self, by_ms: int) -> None:
        self.s.state.clock.move(by_ms)
        self.events.wake.set()

    async def command(self, name: str, **args: Any) -> dict[str, Any]:
        """A command as a gateway sends it: its answer, or ApiError."""
        return await self._command(name, TENANT, args)

    async def _command(self, name: str, tenant_id: str, args: dict[str, Any]) -> dict[str, Any]:
        payload = msgpack.packb([name, tenant_id, args, None, None])
        reply = msgpack.unpackb(await self.actor.command(payload))
        if reply[0] == 1:
            raise ApiError.from_wire(reply[1])
        body: dict[str, Any] = reply[2]
        return body

    async def webhook(self, url: str, tenant_id: str = TENANT, **fields: Any) -> dict[str, Any]:
        return await self._command("create_webhook", tenant_id, {"webhook": {"url": url, **fields}})

    async def publish(
        self, *boards: str, type: str = "period.closed", tenant_id: str = TENANT, **data: Any
    ) -> list[str]:
        """One event for each board, in one commit; their ids."""
        made = []
        for board in boards:
            self._numbers += 1
            n = self._numbers
            made.append(
                Event(
                    event_id(board, type, n, self.events.generation),
                    type,
                    self.s.state.clock.now_ms(),
                    tenant_id,
                    board,
                    {"n": n, **data},
                )
            )
        changes: list[Change] = self.events.changes(made)
        if changes:
            await self.s.state.commit(changes)
        self.events.committed()
        return [event.event_id for event in made]

    async def heads(self, state: str) -> list[Delivery]:
        """Deliveries of a state (p, d, f), in order of id, as they are in the store."""
        rows = await self.s.state.store.scan("deliveries", prefix=f"{state}/")
        return [unpack_delivery(body) for _, body in rows]

    async def until(self, state: str, number: int) -> list[Delivery]:
        """Wait until so many deliveries are in a state."""
        async with asyncio.timeout(WAIT_S), self._moved:
            while len(found := await self.heads(state)) != number:
                await self._moved.wait()
            return found

    async def attempted(self, number: int) -> None:
        """Wait until so many attempts were made since the start, and their results are durable."""
        deliverer = self.s.deliverer
        await self.settled(lambda: deliverer.attempts >= number)
        assert deliverer.attempts == number

    async def settled(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, no attempt is under way and all results are durable."""
        deliverer = self.s.deliverer
        await self.until_true(lambda: condition() and not deliverer._under_way and not deliverer._unwritten)

    async def until_true(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                # What is counted may change a moment after the bell that told of it.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05), self._moved:
                        await self._moved.wait()


class Got(NamedTuple):
    """One request: headers in lower case, and the body as it came and as JSON."""

    headers: dict[str, str]
    raw: bytes
    body: dict[str, Any]

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """`answer`: what the next requests get; a status, or a coroutine function of the request."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.at_once = 0
        self.most_at_once = 0
        self.answer: int | Callable[[Got], Awaitable[web.StreamResponse | int]] = 204
        self._came = asyncio.Condition()
        self._server: TestServer | None = None
        self.port: int | None = None

    async def start(self) -> Receiver:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/hook", self._take)
        self._server = TestServer(app, port=self.port or free_port())  # kept when it starts again
        await self._server.start_server()
        self.port = self._server.port
        return self

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def _take(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        got = Got({k.lower(): v for k, v in request.headers.items()}, raw, orjson.loads(raw))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            async with self._came:
                self.got.append(got)
                self._came.notify_all()
            answer = self.answer if isinstance(self.answer, int) else await self.answer(got)
        finally:
            self.at_once -= 1
        return web.Response(status=answer) if isinstance(answer, int) else answer

    async def until(self, number: int) -> list[Got]:
        """Wait for so many requests in all."""
        async with asyncio.timeout(WAIT_S), self._came:
            await self._came.wait_for(lambda: len(self.got) >= number)
            return self.got

    @property
    def event_ids(self) -> list[str]:
        return [got.event_id for got in self.got]

    def of(self, board: str) -> list[int]:
        """The numbers of a board's events in the order in which they came."""
        return [got.body["data"]["n"] for got in self.got if got.body["leaderboard_id"] == board]


# Fixtures, for the modules that import them ----------------------------------------------------------------


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = await Receiver().start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[OutboxWorld]:
    outbox = await OutboxWorld(tmp_path / "data").start()
    yield outbox
    await outbox.stop()


@pytest.fixture(params=["sqlite", "redis"])
def where(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of an outbox on a store that outlives it."""
    if request.param == "sqlite":
        return {}
    prefix = f"outbox-{secrets.token_hex(4)}"
    return {"store_url": f"{request.getfixturevalue('shared_redis').url}?prefix={prefix}"}
