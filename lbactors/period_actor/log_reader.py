"""A log as the store has it: its records, read in pages, in order or backwards, from any seq or any time.

Whoever computes something from a log reads it here, in whichever process, and asks nobody but the store. One
reader serves all leaderboards of a process that follow the log: the newest records stay in memory, decoded.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import msgpack

from lbactors.core.inputs import JournalBody
from lbactors.core.log_inputs import LogInput, at_ms_of
from lbactors.wire.single_flight import SingleFlight
from persistence.store import Record, Store, StoreCorrupt

T = TypeVar("T")

KEPT_MADE = 128
KEPT_ROWS = 50_000  # decoded, of each log that is followed
RECORDS_AT_ONCE = 16
THREAD_BYTES = 256 * 1024  # what takes longer than a few ms to decode is decoded beside other work


class LogPage(NamedTuple):
    """The inputs of one record, the first under `first_seq`. All were acknowledged when the last one was, or
    before.
    """

    first_seq: int
    last_seq: int
    items: Sequence[LogInput]

    @property
    def last_ms(self) -> int:
        return int(at_ms_of(self.items[-1]))

    @property
    def first_ms(self) -> int:
        """When its first input was acknowledged."""
        return int(at_ms_of(self.items[0]))

    def item(self, seq: int) -> LogInput:
        """One of them, by its seq."""
        return self.items[seq - self.first_seq]

    @classmethod
    def of(cls, log_id: str, record: Record) -> LogPage:
        """StoreCorrupt."""
        try:
            items = JournalBody.unpack(record.body).inputs
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise StoreCorrupt(f"log {log_id!r}: record at seq {record.first_seq}: {error}") from error
        if len(items) != record.last_seq - record.first_seq + 1:
            raise StoreCorrupt(f"log {log_id!r}: record at seq {record.first_seq}: rows are missing")
        return cls(record.first_seq, record.last_seq, items)


class LogReader:
    """Of one log, in one process."""

    def __init__(self, store: Store, log_id: str) -> None:
        self.log_id = log_id
        self._store = store
        self._kept: deque[LogPage] = deque()  # the newest that were read, one after the other
        self._rows = 0
        self._made: OrderedDict[tuple[int, object], Any] = OrderedDict()
        self._reading: SingleFlight[list[LogPage]] = SingleFlight()  # by seq
        self._forgotten = 0  # times

    async def last_seq(self) -> int:
        """StoreError."""
        return await self._store.last_seq(self.log_id)

    async def after(self, seq: int, known: int = 0) -> list[LogPage]:
        """The next pages after a seq, some; [] if there are none yet. The first one may begin later than the
        seq after it: what lay between is not kept any more, or inside it, which ends after it. StoreError.

        known: how far the log is known to go. Another's read, which this one joins, may have begun before
        that was so: then [] is not believed.
        """
        kept = self._kept
        if kept and kept[0].first_seq - 1 <= seq < kept[-1].last_seq:
            return [page for page in kept if page.last_seq > seq][:RECORDS_AT_ONCE]
        found = await self._reading.of(str(seq), lambda: self._read(seq))
        if not found and seq < known:
            found = await self._reading.of(str(seq), lambda: self._read(seq))
        return found

    async def _read(self, seq: int) -> list[LogPage]:
        while True:
            forgotten = self._forgotten
            records = await self._store.records(self.log_id, seq, RECORDS_AT_ONCE)
            size_bytes = sum(len(record.body) for record in records)

            def decode(records: Sequence[Record] = records) -> list[LogPage]:
                return [LogPage.of(self.log_id, record) for record in records]

            pages = await asyncio.to_thread(decode) if size_bytes > THREAD_BYTES else decode()
            if forgotten == self._forgotten:  # else it may be as it was before it was rewritten
                self._keep(pages)
                return pages

    def _keep(self, pages: Sequence[LogPage]) -> None:
        """Remember pages that follow those that are remembered: what is read far behind them is not."""
        for page in pages:
            if self._kept and page.first_seq != self._kept[-1].last_seq + 1:
                if page.first_seq <= self._kept[-1].last_seq:
                    continue
                self._kept.clear()
                self._rows = 0
            self._kept.append(page)
            self._rows += len(page.items)
            while self._rows > KEPT_ROWS and len(self._kept) > 1:
                self._rows -= len(self._kept.popleft().items)

    def made_of(self, page: LogPage, key: object, make: Callable[[], T]) -> T:
        """What is made of a page, made once for all who ask with this key."""
        place = page.first_seq, key
        found = self._made.get(place)
        if found is None:
            found = self._made[place] = make()
            if len(self._made) > KEPT_MADE:
                self._made.popitem(last=False)
        return cast("T", found)

    def forget(self) -> None:
        """Let go of what is in memory, and of what is being read: rows were rewritten. Whoever reads from now
        on, or waits for what is being read, gets them as they are.
        """
        self._forgotten += 1
        self._kept.clear()
        self._made.clear()
        self._rows = 0

    async def at(self, seq: int) -> LogPage | None:
        """The page that has a seq; None if there is none (any more). StoreError."""
        for page in self._kept:
            if page.first_seq <= seq <= page.last_seq:
                return page
        for record in await self._store.records(self.log_id, seq - 1, 1) if seq > 0 else ():
            if record.first_seq <= seq:
                return LogPage.of(self.log_id, record)
        return None

    async def backwards(self, before_seq: int) -> AsyncIterator[LogPage]:
        """Pages from the one with the seq before `before_seq` on, newest first. StoreError."""
        while before_seq > 1:
            records = await self._store.records_before(self.log_id, before_seq, RECORDS_AT_ONCE)
            for record in records:
                yield LogPage.of(self.log_id, record)
            if not records:
                return
            before_seq = records[-1].first_seq

    async def seek(self, at_ms: int, up_to_seq: int | None = None) -> int:
        """A seq up to which everything was acknowledged before an instant: the last one that ends a record,
        or 0. StoreError.
        """
        low = await self._store.first_seq(self.log_id) - 1
        high = await self._store.last_seq(self.log_id) if up_to_seq is None else up_to_seq
        found = 0
        while low < high:  # invariant: records up to `found` are earlier; one of those after low may be, too
            middle = (low + high) // 2
            records = await self._store.records(self.log_id, middle, 1)
            if not records:
                high = middle
                continue
            page = LogPage.of(self.log_id, records[0])
            if page.last_seq <= high and page.last_ms < at_ms:
                found = low = page.last_seq
            elif page.first_seq - 1 < middle:
                high = page.first_seq - 1
            else:
                high = middle
        return found
