"""A log read from the store: pages in order, backwards, from a time."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lbactors.core.inputs import JournalBody
from lbactors.core.log_inputs import tick
from lbactors.period_actor.log_reader import LogReader
from persistence.sqlite.store import SqliteStore
from persistence.store import Record

LOG_ID = "default/coins~metric-1/main/1"

# Of each record: how many inputs it has, and by how much later than the one before each is.
LOGS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), max_size=12)


async def written(store: SqliteStore, steps: list[list[int]]) -> list[int]:
    """A log of ticks; when each was acknowledged."""
    epoch = await store.take_epoch(LOG_ID)
    times: list[int] = []
    for record in steps:
        first_seq, now = len(times) + 1, times[-1] if times else 100
        for step in record:
            now += step
            times.append(now)
        items = [tick(at_ms) for at_ms in times[first_seq - 1 :]]
        body = JournalBody(None, now, items).pack()
        await store.append(LOG_ID, Record(epoch, first_seq, len(times), body))
    return times


def ends(steps: list[list[int]]) -> list[int]:
    """The last seq of each record."""
    found, seq = [0], 0
    for record in steps:
        seq += len(record)
        found.append(seq)
    return found


@given(LOGS, st.integers(95, 150), st.integers(0, 50))
def test_seek_against_brute_force(steps: list[list[int]], at_ms: int, limit: int) -> None:
    """The last end of a record before which all was acknowledged earlier."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = SqliteStore(Path(folder))
            await store.open()
            try:
                times = await written(store, steps)
                up_to = min(limit, len(times))
                reader = LogReader(store, LOG_ID)
                expected = max(e for e in ends(steps) if all(t < at_ms for t in times[:e]))
                assert await reader.seek(at_ms) == expected
                bounded = [e for e in ends(steps) if e <= up_to and all(t < at_ms for t in times[:e])]
                assert await reader.seek(at_ms, up_to) == max(bounded)
            finally:
                await store.close()

    asyncio.run(run())
