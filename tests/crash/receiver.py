"""A receiver of webhooks: keeps what it was sent, in order, and answers what the test says."""

from __future__ import annotations

import asyncio
import json
import time
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiohttp import web

from .writers import Api


class Received(NamedTuple):
    """One attempt. `confirmed`: it was answered 200."""

    event_id: str
    type: str
    leaderboard_id: str | None
    data: dict[str, Any]
    confirmed: bool


class Receiver:
    """`async with`; then `url`. `is_down`: it answers 503 as long as that is set."""

    def __init__(self) -> None:
        self.all: list[Received] = []
        self.is_down = False
        self.url = ""
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        event = json.loads(await request.read())
        assert request.headers["webhook-id"] == event["id"]
        confirmed = not self.is_down
        self.all.append(
            Received(event["id"], event["type"], event["leaderboard_id"], event["data"], confirmed)
        )
        self._news.set()
        return web.Response(status=200 if confirmed else 503)

    async def subscribe(self, api: Api) -> str:
        """Have every event of the tenant sent here; the id of the webhook."""
        status, answer = await api.call("POST", "/v1/webhooks", {"url": self.url})
        assert status == 201, answer
        return str(answer["webhook_id"])

    def of(self, board_id: str) -> list[Received]:
        """Confirmed attempts about a board, in order."""
        return [r for r in self.all if r.leaderboard_id == board_id and r.confirmed]

    def firsts(self, board_id: str) -> list[Received]:
        """The first confirmed attempt of each event of a board, in order."""
        return list({r.event_id: r for r in reversed(self.of(board_id))}.values())[::-1]

    async def until(self, board_id: str, types: dict[str, int], within_s: float) -> None:
        """Wait until so many different events of these types were confirmed. AssertionError."""
        deadline_s = time.monotonic() + within_s
        while True:
            self._news.clear()
            counts = dict.fromkeys(types, 0)
            for event in self.firsts(board_id):
                counts[event.type] = counts.get(event.type, 0) + 1
            if all(counts[t] >= n for t, n in types.items()):
                return
            left_s = deadline_s - time.monotonic()
            try:
                await asyncio.wait_for(self._news.wait(), max(left_s, 0))
            except TimeoutError:
                raise AssertionError(f"events within {within_s:.0f} s: {counts}, not {types}") from None
