"""The server in one process dies as a real one does, whatever it is at: a test of the tests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lbactors.period_actor.actor import PeriodActor
from tests.support.simulation.counted_time import ms
from tests.support.supervisor.in_process import Server

NOON_MS = ms("2011-12-29T12:00")
HOUR_MS = 3_600_000
WITHIN_S = 30.0


async def test_power_is_lost_while_the_supervisor_waits_for_an_actor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def never_lets_go(actor: PeriodActor, payload: bytes) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(PeriodActor, "release", never_lets_go)
    async with Server(tmp_path / "data", NOON_MS, spare_actors=0, idle_unload_seconds=1.0) as server:
        definition = {"leaderboard_id": "days", "timeframe": {"type": "daily"}}
        await server.service.admin("create_leaderboard", "default", {"definition": definition})
        server.move_to(NOON_MS + HOUR_MS)  # everything sleeps: the actor is to end
        async with asyncio.timeout(WITHIN_S):
            await asked.wait()
            await server.lose_power()
        await server.start()
        await server.settle()
