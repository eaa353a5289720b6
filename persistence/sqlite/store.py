"""SQLite backend: one database file in a data directory, shared by all processes of one machine.

Idea. Every write is an operation on a queue; the one writer thread of the process takes all that wait and
commits them at once (`sqlite.threads`). While it waits for the disk the next group gathers: batching by
nature, without a timer. What the tables hold and what each operation does is in `sqlite.operations`; the look
at what may be damaged is in `sqlite.examination`. Local file systems only.

Who uses the store is settled by a lock of the kernel on the data directory (`data_dir`), which its holder
cannot outlive; `claim` therefore has nothing to do here. Nothing says which record of a journal is the last,
so a lost end goes unnoticed: SQLite's own log answers for it.

The interpreter's lock. The threads need it for an instant between two calls into SQLite, and an event loop
that is never idle takes it back before they wake up: beside callbacks of 0.3-1 ms, appends were measured to
starve for one or two seconds. So whenever something has waited for LEND_EVERY_S, the loop lends the lock by
sleeping for LEND_S, again and again until it is done. Measured: 50 ms at most, and nothing when the loop
idles.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from persistence.data_dir import DATABASE_NAME, DataDirLock, lock_data_dir
from persistence.sqlite import examination as examination
from persistence.sqlite import operations as operations
from persistence.sqlite.operations import Connection
from persistence.sqlite.threads import Operation, Reader, Reading, Waiting, Writer, reading, scrubbed
from persistence.store import (
    Change,
    Examined,
    Part,
    Record,
    Recovered,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)

__all__ = ["DataDirLock", "SqliteStore", "lock_data_dir"]

WRITE_QUEUE_OPERATIONS = 4096  # waiting or under way in this process; beyond either limit: StoreUnavailable
WRITE_QUEUE_BYTES = 128 << 20
READ_QUEUE_QUERIES = 4096  # waiting or under way; beyond it: StoreUnavailable
READINGS = 16  # of whole periods at once in this process; further ones wait
LEND_EVERY_S = 0.001
LEND_S = 0.0001

T = TypeVar("T")
Q = TypeVar("Q")


class SqliteStore:
    """The storage contract on SQLite; see `persistence.store.Store` for what each method promises.

    `max_bytes` limits the database file (0: no limit): at the limit writes raise StoreUnavailable, as on a
    full disk. It may be changed while the store is open, and counts from the next connection: after a refusal
    that is at once. All methods belong to the event loop that opened the store.
    """

    def __init__(self, directory: str | PathLike[str], *, max_bytes: int = 0) -> None:
        self.directory = Path(directory)
        self.path = self.directory / DATABASE_NAME
        self.max_bytes = max_bytes
        self._expected = ""
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._waiting_operations = 0
        self._waiting_bytes = 0
        self._waiting_queries = 0
        self._lending: asyncio.TimerHandle | None = None

    @property
    def commits(self) -> int:
        """Transactions committed since `open`."""
        return self._writer.commits if self._writer else 0

    def expect(self, identity: str) -> None:
        """Refuse to open, with StoreWentBack, any store but this one ("": any)."""
        self._expected = identity

    async def open(self) -> None:
        """Open the database, which is made if it is missing and none is expected.

        StoreTooNew, StoreUnavailable, StoreCorrupt (not ours), StoreWentBack.
        """
        if self._writer is not None:
            return
        loop = asyncio.get_running_loop()

        def settle(group: list[Waiting], outcomes: list[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(self._settle, group, outcomes)

        def limit() -> int:
            return self.max_bytes

        writer = await loop.run_in_executor(None, Writer, self.path, self._expected, limit, settle)
        self._writer = writer
        self._readings = asyncio.Semaphore(READINGS)
        writer.start()
        try:
            await self._write(lambda conn: None)
            self._reader = Reader(self.path, writer.store_id)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was queued, then let go. Idempotent."""
        writer, self._writer = self._writer, None
        reader, self._reader = self._reader, None
        loop = asyncio.get_running_loop()
        if reader is not None:
            await loop.run_in_executor(reader.thread, reader.close)  # the thread ends with its last reading
        if writer is not None:
            writer.queue.put(None)
            await loop.run_in_executor(None, writer.join)

    async def identity(self) -> str:
        return await self._read(operations.identity)

    async def cautions(self) -> list[str]:
        """None: every commit waits for the disk, and nothing can be set otherwise."""
        return []

    async def claim(self, holder: str, description: str, lease_s: float) -> None:
        """Nothing to do: see `lock_data_dir`."""

    async def disclaim(self, holder: str) -> None:
        """Nothing to do."""

    async def ping(self) -> None:
        """Write, in a transaction like any other, something that leaves nothing. StoreUnavailable."""
        await self._write(operations.probe)

    async def commit(self, changes: Sequence[Change], *, owner: str, epoch: int) -> None:
        changes = list(changes)
        size_bytes = sum(len(change.body or b"") for change in changes)
        await self._write(
            partial(operations.commit, changes=changes, owner=owner, epoch=epoch), size_bytes=size_bytes
        )

    async def get(self, collection: str, doc_ids: Sequence[str]) -> list[bytes | None]:
        return await self._read(partial(operations.get, collection=collection, doc_ids=list(doc_ids)))

    async def scan(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 0
    ) -> list[tuple[str, bytes]]:
        return await self._read(
            partial(operations.scan, collection=collection, prefix=prefix, after=after, limit=limit)
        )

    async def take_ownership(self, owner: str) -> int:
        epoch: int = await self._write(partial(operations.take_ownership, owner=owner))
        return epoch

    async def ownership(self, owner: str) -> int:
        return await self._read(partial(operations.ownership, owner=owner))

    async def take_epoch(self, period_id: str) -> int:
        operation = partial(operations.take_epoch, period_id=period_id)
        epoch: int = await self._write(operation, leaves_garbage=True)
        return epoch

    async def epochs(self, period_ids: Sequence[str]) -> list[int]:
        return await self._read(partial(operations.epochs, period_ids=list(period_ids)))

    async def append(self, period_id: str, record: Record) -> None:
        operation = partial(operations.append, period_id=period_id, record=record)
        await self._write(operation, size_bytes=len(record.body))

    async def append_all(self, stages: Sequence[Mapping[str, Record]]) -> dict[str, StoreError]:
        records = {period_id: record for stage in stages for period_id, record in stage.items()}
        if not records:
            return {}
        operation = partial(operations.append_all, records=records)
        size_bytes = sum(len(record.body) for record in records.values())
        try:
            failed: dict[str, StoreError] = await self._write(operation, size_bytes=size_bytes)
        except StoreError as error:
            return dict.fromkeys(records, error)
        return failed

    async def put_parts(self, period_id: str, epoch: int, seq: int, parts: Mapping[str, bytes]) -> None:
        parts = dict(parts)
        operation = partial(operations.put_parts, period_id=period_id, epoch=epoch, seq=seq, parts=parts)
        await self._write(operation, size_bytes=sum(map(len, parts.values())))

    async def commit_snapshot(
        self,
        period_id: str,
        epoch: int,
        seq: int,
        manifest: Mapping[str, int],
        *,
        keep_journal: bool = False,
    ) -> None:
        operation = partial(
            operations.commit_snapshot,
            period_id=period_id,
            epoch=epoch,
            seq=seq,
            manifest=dict(manifest),
            keep_journal=keep_journal,
        )
        await self._write(operation, leaves_garbage=True)

    async def manifest(self, period_id: str) -> dict[str, int]:
        return await self._read(partial(operations.manifest, period_id=period_id))

    def recover(self, period_id: str) -> AsyncIterator[Recovered | Part | Record]:
        return self._items(partial(operations.replay, period_id=period_id))

    def records_after(self, period_id: str, seq: int) -> AsyncIterator[Record]:
        return self._items(partial(operations.records_after, period_id=period_id, seq=seq))

    async def records(self, period_id: str, after_seq: int, limit: int) -> list[Record]:
        query = partial(operations.records, period_id=period_id, after_seq=after_seq, limit=limit)
        return await self._read(query)

    async def records_before(self, period_id: str, before_seq: int, limit: int) -> list[Record]:
        query = partial(operations.records_before, period_id=period_id, before_seq=before_seq, limit=limit)
        return await self._read(query)

    async def first_seq(self, period_id: str) -> int:
        return await self._read(partial(operations.first_seq, period_id=period_id))

    async def trim(self, period_id: str, epoch: int, seq: int) -> None:
        operation = partial(operations.trim, period_id=period_id, epoch=epoch, seq=seq)
        await self._write(operation, leaves_garbage=True)

    async def rewrite(self, period_id: str, epoch: int, records: Sequence[Record]) -> None:
        records = list(records)
        operation = partial(operations.rewrite, period_id=period_id, epoch=epoch, records=records)
        await self._write(operation, size_bytes=sum(len(record.body) for record in records))

    async def examine(self, period_id: str) -> Examined:
        found = examination.Examination(period_id)
        try:
            async with contextlib.aclosing(self._items(found.read)) as sizes:
                async for _ in sizes:
                    pass
        except StoreCorrupt as error:  # the file itself is damaged: behind that place nothing can be read
            found.damage.append(str(error))
        return found.result()

    async def cut(self, period_id: str, epoch: int, seq: int) -> None:
        await self._write(partial(operations.cut, period_id=period_id, epoch=epoch, seq=seq))

    async def drop_periods(self, period_ids: Sequence[str]) -> None:
        await self._write(partial(operations.drop_periods, period_ids=list(period_ids)), leaves_garbage=True)

    async def list_periods(self) -> list[str]:
        return await self._read(operations.list_periods)

    async def last_seq(self, period_id: str) -> int:
        return await self._read(partial(operations.last_seq, period_id=period_id))

    async def last_seqs(self, period_ids: Sequence[str]) -> list[int]:
        return await self._read(partial(operations.last_seqs, period_ids=list(period_ids)))

    async def scrub(self) -> bool:
        """Deleted bytes are overwritten at once (`secure_delete`); what is left is the log, which still has
        the pages as they were. It is copied back and cut to nothing, unless a reading holds on to it.
        """
        reader = self._open_reader()
        return await asyncio.get_running_loop().run_in_executor(None, scrubbed, self.path, reader.store_id)

    async def strays(self) -> list[str]:
        return await self._read(examination.strays)

    async def _write(self, operation: Operation, *, size_bytes: int = 0, leaves_garbage: bool = False) -> Any:
        if self._writer is None:
            raise StoreUnavailable(f"{self.path}: the store is not open")
        full = self._waiting_operations and self._waiting_bytes + size_bytes > WRITE_QUEUE_BYTES
        if full or self._waiting_operations >= WRITE_QUEUE_OPERATIONS:
            raise StoreUnavailable(f"{self.path}: {self._waiting_operations} writes are waiting already")
        self._waiting_operations += 1
        self._waiting_bytes += size_bytes
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._writer.queue.put(Waiting(operation, size_bytes, leaves_garbage, future))
        self._lend_later()
        return await future

    def _settle(self, group: list[Waiting], outcomes: list[Any]) -> None:
        for waiting, outcome in zip(group, outcomes, strict=True):
            self._waiting_operations -= 1
            self._waiting_bytes -= waiting.size_bytes
            if waiting.future.done():
                continue  # the caller was cancelled; the operation was not
            if isinstance(outcome, BaseException):
                waiting.future.set_exception(outcome)
            else:
                waiting.future.set_result(outcome)
        self._lend_no_more()

    def _open_reader(self) -> Reader:
        if self._reader is None:
            raise StoreUnavailable(f"{self.path}: the store is not open")
        return self._reader

    async def _read(self, query: Callable[[Connection], T]) -> T:
        reader = self._open_reader()
        if self._waiting_queries >= READ_QUEUE_QUERIES:
            raise StoreUnavailable(f"{self.path}: {self._waiting_queries} queries are waiting already")
        return await self._ask(reader, reader.query, query)

    async def _items(self, read: Callable[[Connection], Reading[T]]) -> AsyncGenerator[T, None]:
        """What `read` yields, from one view of the database, a chunk at a time."""
        reader = self._open_reader()
        async with self._readings:
            items = reading(self.path, reader.connected, read)
            try:
                while chunk := await self._ask(reader, reader.next_chunk, items):
                    for item in chunk:
                        yield item
            finally:
                reader.thread.submit(reader.give_up, items)  # not awaited: we may have been cancelled

    async def _ask(self, reader: Reader, question: Callable[[Q], T], argument: Q) -> T:
        """Call a method of the reader in its thread."""
        self._waiting_queries += 1
        self._lend_later()
        try:
            return await asyncio.get_running_loop().run_in_executor(reader.thread, question, argument)
        finally:
            self._waiting_queries -= 1
            self._lend_no_more()

    def _lend_later(self) -> None:
        if self._lending is None:
            self._lending = asyncio.get_running_loop().call_later(LEND_EVERY_S, self._lend)

    def _lend(self) -> None:
        """Let the threads have the interpreter's lock, until nothing waits for them."""
        time.sleep(LEND_S)
        self._lending = None
        self._lend_later()

    def _lend_no_more(self) -> None:
        if self._lending is not None and not (self._waiting_operations or self._waiting_queries):
            self._lending.cancel()
            self._lending = None
