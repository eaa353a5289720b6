"""A server in this process (`tests.support.supervisor.in_process`) with a real gateway before it: whoever
tests is a client over HTTP, in a thread of his own, and time stands still until he moves it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.app import build_app
from gateway.http.settings import GatewaySettings
from gateway.server.runner import GatewayRunner
from tests.support.api.client import Api, Transport
from tests.support.supervisor.in_process import Server

ROOT_KEY = "lb_a-key-for-projections"


class Clocked:
    """What a client's thread sees of the server: `api`, and the clock."""

    def __init__(self, server: Server, url: str) -> None:
        self._server, self._loop = server, asyncio.get_running_loop()
        self.url = url
        self.transport = Transport(url)
        self.api = Api(self.transport, ROOT_KEY)

    def now_ms(self) -> int:
        return self._server.now_ms()

    def move_to(self, at_ms: int) -> None:
        self._server.move_to(at_ms)

    def settle(self) -> None:
        """Wait until the supervisor has nothing left to do at this instant."""
        asyncio.run_coroutine_threadsafe(self._server.settle(), self._loop).result()

    def check(self) -> None:
        """Assert every invariant of the server."""

        async def look() -> None:
            self._server.check()

        asyncio.run_coroutine_threadsafe(look(), self._loop).result()

    def crash_actors(self) -> None:
        """Every period actor dies at once, and is started again."""
        cluster = self._server.cluster
        asyncio.run_coroutine_threadsafe(cluster.crash(*cluster.period_actors()), self._loop).result()


@asynccontextmanager
async def serving(folder: Path, begins_ms: int, **settings: Any) -> AsyncIterator[Clocked]:
    """settings: of `ServerSettings`."""
    server = Server(folder / secrets.token_hex(4), begins_ms, root_key=ROOT_KEY, **settings)
    async with server:
        runner = GatewayRunner(build_app(server.service, GatewaySettings.of(server.settings)))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        clocked = Clocked(server, f"http://127.0.0.1:{runner.addresses[0][1]}")
        try:
            yield clocked
        finally:
            clocked.transport.close()
            await runner.cleanup()


async def as_client(work: Callable[[], None]) -> None:
    """Run what a client does, in a thread. It is waited for to its end."""
    await asyncio.to_thread(work)
