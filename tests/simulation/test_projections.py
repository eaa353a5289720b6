"""Every leaderboard that is computed from a log equals brute force over all rows, whatever happens.

LBACTORS_PROJECTIONS_SEED repeats a walk.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.projections.http_server import as_client, serving
from tests.support.projections.walk import Walk
from tests.support.redis_server import RedisServer
from tests.support.rounds import long, rounds
from tests.support.simulation.counted_time import ms
from tests.support.store.redis_backend import with_options

BEGINS_MS = ms("2026-11-18T20:10")
WALKS, STEPS = rounds(2, 25), rounds(80, 150)


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
async def test_random_walks(folder: Path, redis_url: str | None) -> None:
    given = os.environ.get("LBACTORS_PROJECTIONS_SEED")
    for seed in [given] if given else [secrets.token_hex(4) for _ in range(WALKS)]:
        print(f"LBACTORS_PROJECTIONS_SEED={seed}")
        where = {} if redis_url is None else {"store": with_options(redis_url, prefix=f"walk-{seed}")}
        settings = {"idle_unload_seconds": 1800.0, "actors_per_core": 2, "spare_actors": 0, **where}
        async with serving(folder, BEGINS_MS, **settings) as clocked:
            walk = Walk(clocked, seed)
            await as_client(lambda walk=walk: walk.run(STEPS))  # type: ignore[misc]
        print(dict(walk.counts))
