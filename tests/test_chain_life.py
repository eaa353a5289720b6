"""What commands and gaps do to a chain of periods, on a whole server: keys, and ids that are handed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from local_supervisor import LocalServer

from lbactors.model import COMPLETE

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        yield server


async def create(server: LocalServer, kind: str, **fields: Any) -> None:
    timeframe = {"type": kind, "timezone": "UTC", **fields.pop("timeframe", {})}
    definition = {"leaderboard_id": "xp", "timeframe": timeframe, **fields}
    await server.command("create_leaderboard", definition=definition)


async def patch(server: LocalServer, **fields: Any) -> None:
    await server.command("patch_leaderboard", leaderboard_id="xp", patch=fields, if_match=None)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while True:
            if true():
                return
            await asyncio.sleep(0.01)


def chain_of(server: LocalServer) -> Any:
    (chain,) = server.supervisor.chains.values()
    return chain


# Keys ---------------------------------------------------------------------------------------------------


async def test_a_time_zone_that_changes_in_the_grace_leaves_the_period_before_alone(tmp_path: Path) -> None:
    """At 00:01 in London it is yesterday in New York: the current period's new key is that of the closing."""
    tiers = [{"name": "first", "rank_from": 1, "rank_to": 1, "payload": {"gems": 1}}]
    server = LocalServer(tmp_path / "data")
    async with server:
        await create(server, "daily", timeframe={"late_grace_seconds": 3600}, rewards={"tiers": tiers})
        await server.submit("xp", "yesterday", 5)
        server.clock.move(12 * HOUR_MS - MINUTE_MS // 3)
        await until(lambda: len(chain_of(server).records) == 2)
        server.clock.move(MINUTE_MS)
        await server.submit("xp", "today", 7)
        await patch(server, timeframe={"timezone": "America/New_York"})
        keys = [(r.serial, r.key) for r in chain_of(server).records]
        assert keys == [(1, "2026-11-18"), (2, "2026-11-18-2")]
        stored = [msgpack.unpackb(body)[:2] for _, body in await server.supervisor.store.scan("periods")]
        assert sorted(map(tuple, stored)) == keys
    async with server:
        server.clock.move(2 * HOUR_MS)
        await until(lambda: chain_of(server).records[0].stage == COMPLETE)
        assert await server.page("xp", "2026-11-18") == [(1, "yesterday", 5)]
        assert await server.page("xp") == [(1, "today", 7)]
        granted = [i + repr(body) for i, body in await server.supervisor.store.scan("rewards")]
        assert any("yesterday" in text for text in granted)
