"""A receiver of webhooks: a real HTTP server that says what it got and answers what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.free_ports import free_port

WAIT_S = 60.0  # a busy test machine is slow; only a failure takes so long


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
