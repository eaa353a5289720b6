"""Reads of a log that several share: one that began before a row was there hides it from nobody."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from lbactors.core import log_inputs as made
from lbactors.core.inputs import JournalBody
from lbactors.period_actor.log_reader import LogReader
from persistence.store import Record, Store

LOG_ID = "default/coins~metric-1/main/1"


class SlowStore:
    """A log; a read of it sees what was there when it began, and is answered when `answer` is set."""

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.reads = 0
        self.began, self.answer = asyncio.Event(), asyncio.Event()

    def append(self, at_ms: int) -> int:
        seq = len(self.log) + 1
        body = JournalBody(None, at_ms, [made.tick(at_ms)]).pack()
        self.log.append(Record(1, seq, seq, body))
        return seq

    async def records(self, period_id: str, after_seq: int, limit: int) -> list[Record]:
        assert period_id == LOG_ID
        found = [record for record in self.log if record.last_seq > after_seq][:limit]
        self.reads += 1
        self.began.set()
        await self.answer.wait()
        return found


async def test_an_older_read_is_not_believed_by_who_knows_more() -> None:
    store = SlowStore()
    reader = LogReader(cast("Store", cast("Any", store)), LOG_ID)
    store.append(1)
    first = asyncio.create_task(reader.after(1))
    await store.began.wait()
    seq = store.append(2)
    joining = asyncio.create_task(reader.after(1, known=seq))
    await asyncio.sleep(0)
    store.answer.set()
    assert await first == []
    assert [page.first_seq for page in await joining] == [seq]
    assert store.reads == 2


async def test_nobody_reads_twice_for_nothing() -> None:
    store = SlowStore()
    store.answer.set()
    reader = LogReader(cast("Store", cast("Any", store)), LOG_ID)
    assert await reader.after(0) == []
    assert store.reads == 1
