"""No submission lost, doubled or in the wrong period over a year of changing clocks.

LBACTORS_SIMULATION_SEED repeats a year; LBACTORS_SIMULATION_ENDS visits so many ends of each chain's periods
beside those near clock changes (a longer year).
"""

from __future__ import annotations

import os
import random
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.receiver import Receiver
from tests.support.redis_server import RedisServer
from tests.support.rounds import long, rounds
from tests.support.simulation.boards import BOARDS, YEAR_BEGINS_MS
from tests.support.simulation.year import Year
from tests.support.store.redis_backend import with_options
from tests.support.supervisor.in_process import Server

ENDS, YEARS = rounds(1, 3), rounds(1, 2)


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: the store's `fsync` is called as always and costs nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(params=["sqlite", "redis"])
def redis_url(request: pytest.FixtureRequest) -> str | None:
    """Of the store; None for SQLite."""
    if request.param == "sqlite":
        return None
    shared: RedisServer = request.getfixturevalue("shared_redis")
    return shared.url


@long
async def test_a_year(folder: Path, redis_url: str | None) -> None:
    zones = {board["timeframe"]["timezone"] for board in BOARDS}
    assert len(zones) >= 12
    given = os.environ.get("LBACTORS_SIMULATION_SEED")
    for seed in [given] if given else [secrets.token_hex(4) for _ in range(YEARS)]:
        print(f"LBACTORS_SIMULATION_SEED={seed}")
        where = {} if redis_url is None else {"store": with_options(redis_url, prefix=f"year-{seed}")}
        await live_through(folder / seed, seed, **where)


async def live_through(folder: Path, seed: str, **where: Any) -> None:
    """One year of one server."""
    ends = int(os.environ.get("LBACTORS_SIMULATION_ENDS") or ENDS)
    settings = {"idle_unload_seconds": 1800.0, "actors_per_core": 4, "spare_actors": 0, **where}
    async with Server(folder, YEAR_BEGINS_MS, **settings) as server:
        receiver = await Receiver().start()
        year = Year(server, random.Random(seed), ends, receiver)
        try:
            await year.run()
        finally:
            await receiver.stop()
    print(dict(year.counts))
    assert min(year.counts[what] for what in ("taken", "repeats", "refused", "sealed")) > 100, year.counts
    assert year.counts["reopened"] >= 6, year.counts
    assert year.counts["lists"] > 50, year.counts  # they are drawn by lot
