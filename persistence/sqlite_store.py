"""SQLite backend: one database file in a data directory, shared by all processes of one machine.

Idea. A durable commit costs one fsync however much it carries, so writes are grouped: every write is an
operation on a queue, and the one writer thread of the process takes all that wait and runs them in one
transaction. While it waits for the disk the next group gathers: batching by nature, without a timer. A
refused operation (Fenced, SeqMismatch) changes nothing and does not spoil its group; its checks and its
writes are in the same transaction, which is what makes the fence hold between processes.

Between processes SQLite's own busy handler polls with sleeps: slow and unfair. Writers therefore queue on
`write.lock`, where the kernel wakes the next one at once. SQLite's lock stays underneath as the guarantee: a
process that ignored write.lock would be slow, not wrong.

Errors. What fails before COMMIT fails the whole group with nothing changed; the connection is given up, and
the next group begins with a new one. Only a COMMIT that failed in its fsync, or whose rollback fails too,
has an unknown outcome: its bytes may be in the log and valid, and a crash before the next write would revive
them.

Write-ahead log: the committing process copies it back into the database when it passes CHECKPOINT_PAGES;
since write.lock is held, nothing is written meanwhile, the copy is complete and the log starts again at its
beginning. 1000 pages (4 MiB) cost the one commit in some hundreds that does it 8-15 ms; 4000 pages cost 30
ms at once, 250 pages a quarter of the throughput. Only a reader that keeps an old view (`recover`) can make
the log grow, for as long as it runs; its file is cut back to WAL_KEPT_BYTES afterwards.

The interpreter's lock. The threads here need it for an instant between two calls into SQLite, and an event
loop that is never idle takes it back before they wake up: beside callbacks of 0.3-1 ms, appends were measured
to starve for one or two seconds. So whenever something has waited for LEND_EVERY_S, the loop lends the lock
by sleeping for LEND_S, again and again until it is done. Measured: 50 ms at most, and nothing when the loop
idles.

The only file that imports sqlite3; what the tables hold is in `sqlite_operations`. Local file systems only.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from persistence import sqlite_operations as operations
from persistence.data_dir import DataDirLock, WriteTurn, lock_data_dir
from persistence.store import (
    Change,
    Part,
    Record,
    Recovered,
    StoreCorrupt,
    StoreError,
    StoreTooNew,
    StoreUnavailable,
)

__all__ = ["DataDirLock", "SqliteStore", "lock_data_dir"]

DATABASE_NAME = "lbactors.sqlite3"
WRITE_QUEUE_OPERATIONS = 4096  # waiting or under way in this process; beyond either limit: StoreUnavailable
WRITE_QUEUE_BYTES = 128 << 20
GROUP_OPERATIONS = 1024  # in one transaction, so that other processes get their turn
GROUP_BYTES = 8 << 20
READ_QUEUE_QUERIES = 4096  # waiting or under way; beyond it: StoreUnavailable
RECOVER_STREAMS = 16  # open at once in this process; further ones wait
RECOVER_CHUNK_BYTES = 1 << 20
RECOVER_CHUNK_ITEMS = 256
CHECKPOINT_PAGES = 1000
WAL_KEPT_BYTES = 64 << 20
BUSY_TIMEOUT_S = 10.0
LEND_EVERY_S = 0.001
LEND_S = 0.0001

# Errors of COMMIT after which its mark cannot be in the log. After a failed fsync it can.
NOT_COMMITTED = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR_WRITE,
}

T = TypeVar("T")
Q = TypeVar("Q")
Operation = Callable[[sqlite3.Connection], Any]


def _translated(error: sqlite3.Error, path: Path, *, unknown: bool = False) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    if damaged or str(error).startswith("Could not decode"):
        return StoreCorrupt(f"{path}: {error}")
    return StoreUnavailable(f"{path}: {error}", unknown=unknown)


def _connect(path: Path, *, writes: bool = False, max_bytes: int = 0) -> sqlite3.Connection:
    """A connection of this thread, once the file is known to be ours. The writer makes what is missing."""
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if writes else 'rw'}"
    conn = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        ((application_id,),) = conn.execute("PRAGMA application_id").fetchall()
        ((version,),) = conn.execute("PRAGMA user_version").fetchall()
        blank = not (application_id or version or conn.execute("SELECT 1 FROM sqlite_master").fetchall())
        if not blank and application_id != operations.APPLICATION_ID:
            raise StoreCorrupt(f"{path} is a database of another application")
        if blank and not writes:
            raise StoreCorrupt(f"{path} is empty")
        if version > operations.FORMAT:
            known = operations.FORMAT
            raise StoreTooNew(f"{path} has format {version}; this version knows formats up to {known}")
        ((mode,),) = conn.execute("PRAGMA journal_mode = WAL").fetchall()
        if mode != "wal":
            raise StoreError(f"{path}: no write-ahead log is possible on this file system")
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("PRAGMA secure_delete = ON")  # what was deleted (an erased player, say) leaves no bytes
        conn.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        conn.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
        if blank:
            conn.executescript(operations.SCHEMA)
        if max_bytes:
            ((page_bytes,),) = conn.execute("PRAGMA page_size").fetchall()
            conn.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
    except BaseException:
        conn.close()
        raise
    return conn


class _Waiting(NamedTuple):
    """An operation on its way through the writer."""

    operation: Operation
    size_bytes: int
    leaves_garbage: bool
    future: asyncio.Future[Any]


class _Writer(threading.Thread):
    """The process's one writing connection, and the queue before it. Ends after `None` in the queue."""

    def __init__(
        self, path: Path, max_bytes: Callable[[], int], settle: Callable[[list[_Waiting], list[Any]], None]
    ) -> None:
        super().__init__(name="lbactors-sqlite-writer", daemon=True)
        self.queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self.commits = 0
        self._path = path
        self._max_bytes = max_bytes
        self._turn = WriteTurn(path.parent)
        self._settle = settle  # called in this thread with operations and, for each, its result or exception
        self._conn: sqlite3.Connection | None = None
        self._garbage = True  # a process that died may have left some
        self._ending = False

    def run(self) -> None:
        while not self._ending:
            group: list[_Waiting] = []
            self._take(group, wait=not self._garbage or self._conn is None)
            if not group and self._ending:
                break
            try:
                with self._turn.taken():
                    outcomes = self._transaction(group)
            except sqlite3.Error as error:
                outcomes = self._failed(group, _translated(error, self._path))
            except OSError as error:
                outcomes = self._failed(group, StoreUnavailable(f"{self._path}: {error}"))
            except Exception as error:
                outcomes = self._failed(group, error)
            if group:
                self._settle(group, outcomes)
        with contextlib.suppress(OSError), self._turn.taken():
            self._disconnect()  # the last connection of all copies the log back and deletes it
        self._turn.close()

    def _take(self, group: list[_Waiting], *, wait: bool) -> None:
        """Move what is queued into the group, within the limits of a transaction."""
        size_bytes = sum(waiting.size_bytes for waiting in group)
        with contextlib.suppress(queue.Empty):
            while not self._ending and len(group) < GROUP_OPERATIONS and size_bytes < GROUP_BYTES:
                waiting = self.queue.get(block=wait and not group)
                if waiting is None:
                    self._ending = True
                else:
                    group.append(waiting)
                    size_bytes += waiting.size_bytes

    def _transaction(self, group: list[_Waiting]) -> list[Any]:
        conn = self._conn = self._conn or _connect(self._path, writes=True, max_bytes=self._max_bytes())
        conn.execute("BEGIN IMMEDIATE")
        self._take(group, wait=False)  # what came while other processes had their turn
        outcomes = [self._attempt(conn, waiting) for waiting in group]
        if self._garbage:
            self._garbage = operations.collect(conn)
        try:
            conn.execute("COMMIT")
        except sqlite3.Error as error:
            refused = getattr(error, "sqlite_errorcode", 0) in NOT_COMMITTED and self._rolled_back(conn)
            raise _translated(error, self._path, unknown=not refused) from error
        self.commits += 1
        return outcomes

    def _attempt(self, conn: sqlite3.Connection, waiting: _Waiting) -> Any:
        """An operation's result, or its exception if that is its own affair and the group can go on."""
        try:
            result = waiting.operation(conn)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
                raise  # disk full, I/O error, damaged file
            return error
        self._garbage |= waiting.leaves_garbage
        return result

    def _rolled_back(self, conn: sqlite3.Connection) -> bool:
        with contextlib.suppress(sqlite3.Error):
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            return not conn.in_transaction
        return False

    def _failed(self, group: list[_Waiting], error: Exception) -> list[Any]:
        """The whole group fails, and the next one begins with a new connection."""
        self._garbage = False  # until an operation leaves some again: no endless retry on a full disk
        self._disconnect()
        return [copy.copy(error) for _ in group]

    def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(sqlite3.Error):
                conn.close()


def _stream(path: Path, period_id: str) -> operations.Stream:
    """A period's replay, on a connection of its own: queries go on seeing what is committed meanwhile."""
    try:
        with contextlib.closing(_connect(path)) as conn:
            conn.execute("BEGIN")
            yield from operations.replay(conn, period_id)
    except sqlite3.Error as error:
        raise _translated(error, path) from error


class _Reader:
    """The process's one reading thread, with a connection for queries beside those of the streams."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._conn: sqlite3.Connection | None = None
        self._streams: set[operations.Stream] = set()
        self._closed = False
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lbactors-sqlite-reader")

    def query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on one view of the database."""
        self._check_open()
        try:
            conn = self._conn = self._conn or _connect(self._path)
            conn.execute("BEGIN")
            try:
                return query(conn)
            finally:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")  # also ends what was left half read
        except sqlite3.Error as error:
            self._disconnect()
            raise _translated(error, self._path) from error

    def next_chunk(self, stream: operations.Stream) -> list[Recovered | Part | Record]:
        """The stream's next items, about RECOVER_CHUNK_BYTES of them; none at its end."""
        self._check_open()
        self._streams.add(stream)
        items: list[Recovered | Part | Record] = []
        size_bytes = 0
        for item in stream:
            items.append(item)
            size_bytes += 0 if isinstance(item, Recovered) else len(item.body)
            if size_bytes >= RECOVER_CHUNK_BYTES or len(items) >= RECOVER_CHUNK_ITEMS:
                break
        return items

    def close_stream(self, stream: operations.Stream) -> None:
        """Give the stream's view up. Idempotent."""
        self._streams.discard(stream)
        stream.close()

    def close(self) -> None:
        """Give everything up. What is asked afterwards, by a stream half read too, is StoreUnavailable."""
        self._closed = True
        for stream in list(self._streams):
            self.close_stream(stream)
        self._disconnect()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self._path}: the store was closed")

    def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(sqlite3.Error):
                conn.close()


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
        self._writer: _Writer | None = None
        self._reader: _Reader | None = None
        self._waiting_operations = 0
        self._waiting_bytes = 0
        self._waiting_queries = 0
        self._lending: asyncio.TimerHandle | None = None

    @property
    def commits(self) -> int:
        """Transactions committed since `open`."""
        return self._writer.commits if self._writer else 0

    async def open(self) -> None:
        """Open the database, made if missing. StoreTooNew, StoreUnavailable, StoreCorrupt (not ours)."""
        if self._writer is not None:
            return
        loop = asyncio.get_running_loop()

        def settle(group: list[_Waiting], outcomes: list[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(self._settle, group, outcomes)

        writer = await loop.run_in_executor(None, _Writer, self.path, lambda: self.max_bytes, settle)
        self._writer = writer
        self._reader = _Reader(self.path)
        self._streams = asyncio.Semaphore(RECOVER_STREAMS)
        writer.start()
        try:
            await self._write(lambda conn: None)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was queued, then let go. Idempotent."""
        writer, self._writer = self._writer, None
        reader, self._reader = self._reader, None
        if writer is not None and reader is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(reader.thread, reader.close)  # the thread ends with its last stream
            writer.queue.put(None)
            await loop.run_in_executor(None, writer.join)

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

    async def take_epoch(self, name: str) -> int:
        epoch: int = await self._write(partial(operations.take_epoch, name=name), leaves_garbage=True)
        return epoch

    async def append(self, period_id: str, record: Record) -> None:
        operation = partial(operations.append, period_id=period_id, record=record)
        await self._write(operation, size_bytes=len(record.body))

    async def put_parts(self, period_id: str, epoch: int, seq: int, parts: Mapping[str, bytes]) -> None:
        parts = dict(parts)
        operation = partial(operations.put_parts, period_id=period_id, epoch=epoch, seq=seq, parts=parts)
        await self._write(operation, size_bytes=sum(map(len, parts.values())))

    async def commit_snapshot(
        self, period_id: str, epoch: int, seq: int, manifest: Mapping[str, int]
    ) -> None:
        operation = partial(
            operations.commit_snapshot, period_id=period_id, epoch=epoch, seq=seq, manifest=dict(manifest)
        )
        await self._write(operation, leaves_garbage=True)

    async def recover(self, period_id: str) -> AsyncIterator[Recovered | Part | Record]:
        reader = self._open_reader()
        async with self._streams:
            stream = _stream(self.path, period_id)
            try:
                while items := await self._ask(reader, reader.next_chunk, stream):
                    for item in items:
                        yield item
            finally:
                reader.thread.submit(reader.close_stream, stream)  # not awaited: we may have been cancelled

    async def drop_periods(self, period_ids: Sequence[str]) -> None:
        await self._write(partial(operations.drop_periods, period_ids=list(period_ids)), leaves_garbage=True)

    async def list_periods(self) -> list[str]:
        return await self._read(operations.list_periods)

    async def last_seq(self, period_id: str) -> int:
        return await self._read(partial(operations.last_seq, period_id=period_id))

    async def _write(self, operation: Operation, *, size_bytes: int = 0, leaves_garbage: bool = False) -> Any:
        if self._writer is None:
            raise StoreUnavailable(f"{self.path}: the store is not open")
        full = self._waiting_operations and self._waiting_bytes + size_bytes > WRITE_QUEUE_BYTES
        if full or self._waiting_operations >= WRITE_QUEUE_OPERATIONS:
            raise StoreUnavailable(f"{self.path}: {self._waiting_operations} writes are waiting already")
        self._waiting_operations += 1
        self._waiting_bytes += size_bytes
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._writer.queue.put(_Waiting(operation, size_bytes, leaves_garbage, future))
        self._lend_later()
        return await future

    def _settle(self, group: list[_Waiting], outcomes: list[Any]) -> None:
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

    def _open_reader(self) -> _Reader:
        if self._reader is None:
            raise StoreUnavailable(f"{self.path}: the store is not open")
        return self._reader

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        reader = self._open_reader()
        if self._waiting_queries >= READ_QUEUE_QUERIES:
            raise StoreUnavailable(f"{self.path}: {self._waiting_queries} queries are waiting already")
        return await self._ask(reader, reader.query, query)

    async def _ask(self, reader: _Reader, question: Callable[[Q], T], argument: Q) -> T:
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
