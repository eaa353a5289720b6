"""No submission lost, doubled or in the wrong period over a year of changing clocks.

LBACTORS_SIMULATION_SEED repeats a run; LBACTORS_SIMULATION_ENDS visits so many ends of each chain's periods
beside those near clock changes (a longer run).
"""

from __future__ import annotations

import os
import random
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.simulation.boards import BOARDS, YEAR_BEGINS_MS
from tests.support.simulation.year import Year
from tests.support.supervisor.in_process import Server
from tests.support.supervisor.outbox import Receiver

ENDS = 3


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: the store's `fsync` is called as always and costs nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


async def test_a_year(folder: Path) -> None:
    seed = os.environ.get("LBACTORS_SIMULATION_SEED") or secrets.token_hex(4)
    print(f"LBACTORS_SIMULATION_SEED={seed}")
    ends = int(os.environ.get("LBACTORS_SIMULATION_ENDS") or ENDS)
    settings = {"idle_unload_seconds": 1800.0, "actors_per_core": 4, "spare_actors": 0}
    async with Server(folder / "data", YEAR_BEGINS_MS, **settings) as server:
        receiver = await Receiver().start()
        year = Year(server, random.Random(seed), ends, receiver)
        try:
            await year.run()
        finally:
            await receiver.stop()
    print(dict(year.counts))
    zones = {board["timeframe"]["timezone"] for board in BOARDS}
    assert len(zones) >= 12
    assert min(year.counts[what] for what in ("taken", "repeats", "refused", "sealed")) > 100, year.counts
    assert year.counts["lists"] > 50, year.counts  # they are drawn by lot
