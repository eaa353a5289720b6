"""Submissions that plugins held, on their way to the supervisor."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.app import GATEWAY
from tests.support.actor_settings import actor_settings
from tests.support.gateway.fake_service import FakeService
from tests.support.gateway.judged import by_score, send, served


async def test_those_that_wait_form_the_next_command(service: FakeService) -> None:
    service.add_board("xp")
    service.held_memory.settings = actor_settings(held_limit=1000)
    begun, gate, run = asyncio.Event(), asyncio.Event(), service.held_memory.run
    calls: list[int] = []

    async def slow(command: str, tenant_id: str, /, **args: Any) -> Any:
        calls.append(len(args["items"]))
        begun.set()
        await gate.wait()
        return await run(command, tenant_id, **args)

    service.held_memory.run = slow  # type: ignore[method-assign]
    async with served(service, by_score) as http:
        queue = http.client.app[GATEWAY].validation._review_queue  # type: ignore[index,union-attr]
        sends = [asyncio.create_task(send(http, 500))]
        await begun.wait()
        sends += [asyncio.create_task(send(http, 500, f"p{i}")) for i in range(19)]
        async with asyncio.timeout(10):
            while queue._waiting < 20:  # noqa: ASYNC110 - nothing tells when a request has come so far
                await asyncio.sleep(0)
        gate.set()
        answers = await asyncio.gather(*sends)
        assert calls == [1, 19]
        assert len({answer.body["held_id"] for answer in answers}) == 20 and queue._waiting == 0
