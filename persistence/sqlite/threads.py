"""The threads of the SQLite backend: one writes in groups, one reads; their connections and errors.

Groups. A durable commit costs one fsync however much it carries, so the writer takes every operation that
waits and runs them in one transaction. A refused one (Fenced, SeqMismatch) changes nothing and does not spoil
its group; its checks and its writes are in the same transaction, which is what makes the fence hold between
processes.

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
ms at once, 250 pages a quarter of the throughput. Only a reader that keeps an old view (a `Reading`) can make
the log grow, for as long as it runs; its file is cut back to WAL_KEPT_BYTES afterwards.

Here and in `sqlite.backup` alone sqlite3 is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import queue
import sqlite3
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from persistence.data_dir import WriteTurn, make_private
from persistence.sqlite import operations as operations
from persistence.sqlite.operations import Connection
from persistence.store import (
    Part,
    Record,
    StoreCorrupt,
    StoreError,
    StoreTooNew,
    StoreUnavailable,
    StoreWentBack,
)

GROUP_OPERATIONS = 1024  # in one transaction, so that other processes get their turn
GROUP_BYTES = 8 << 20
READING_CHUNK_BYTES = 1 << 20
READING_CHUNK_ITEMS = 256
CHECKPOINT_PAGES = 1000
WAL_KEPT_BYTES = 64 << 20
BUSY_TIMEOUT_S = 10.0
SCRUB_BUSY_MS = 250  # so long writers wait for a reading that is in the way of emptying the log

# Errors of COMMIT after which its mark cannot be in the log. After a failed fsync it can.
NOT_COMMITTED = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR_WRITE,
}

T = TypeVar("T")
Operation = Callable[[Connection], Any]
Connect = Callable[[], sqlite3.Connection]
Reading = Generator[T, None, None]  # of many rows, from one view of the database


def translated(error: sqlite3.Error, path: Path, *, unknown: bool = False) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    # SQLite's own errors have a code; Python's is that a text cannot be decoded.
    if damaged or (isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode")):
        return StoreCorrupt(f"{path}: {error}")
    return StoreUnavailable(f"{path}: {error}", unknown=unknown)


def tables_of(conn: sqlite3.Connection, path: Path) -> set[str]:
    """The tables of a file that is ours; none if it is blank. StoreCorrupt, StoreTooNew."""
    ((application_id,),) = conn.execute("PRAGMA application_id").fetchall()
    ((version,),) = conn.execute("PRAGMA user_version").fetchall()
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master").fetchall()}
    if (application_id or version or tables) and application_id != operations.APPLICATION_ID:
        raise StoreCorrupt(f"{path} is a database of another application")
    if version > operations.FORMAT:
        known = operations.FORMAT
        raise StoreTooNew(f"{path} has format {version}; this version knows formats up to {known}")
    return tables


def connect(path: Path, store_id: str, *, max_bytes: int = 0) -> sqlite3.Connection:
    """A connection of this thread, once the file is known to be ours.

    Without a `store_id` what is missing is made; with one it must be that store. StoreWentBack, OSError.
    """
    if store_id and not path.exists():
        raise _replaced(path, store_id, "gone")
    if not store_id:
        make_private(path)  # SQLite gives its further files the mode of this one
    uri = f"{path.absolute().as_uri()}?mode={'rw' if store_id else 'rwc'}"
    conn = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        tables = tables_of(conn, path)
        if store_id:
            found = operations.identity(conn) if "identity" in tables else ""
            if found != store_id:
                raise _replaced(path, store_id, found or "gone")
        ((mode,),) = conn.execute("PRAGMA journal_mode = WAL").fetchall()
        if mode != "wal":
            raise StoreError(f"{path}: no write-ahead log is possible on this file system")
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("PRAGMA secure_delete = ON")  # what was deleted (an erased player, say) leaves no bytes
        conn.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        conn.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
        if not tables:
            conn.executescript(operations.SCHEMA)
        if "identity" not in tables:
            conn.executescript(operations.ADDITIONS)
        if "kept" not in tables:
            conn.execute(f"CREATE TABLE IF NOT EXISTS {operations.KEPT}")
        if max_bytes:
            ((page_bytes,),) = conn.execute("PRAGMA page_size").fetchall()
            conn.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
    except BaseException:
        conn.close()
        raise
    return conn


def _replaced(path: Path, store_id: str, now: str) -> StoreWentBack:
    return StoreWentBack(f"{path} was emptied or replaced: its id was {store_id}, and is {now}")


class Waiting(NamedTuple):
    """An operation on its way through the writer."""

    operation: Operation
    size_bytes: int
    leaves_garbage: bool
    future: asyncio.Future[Any]


class Writer(threading.Thread):
    """The process's one writing connection, and the queue before it. Ends after `None` in the queue."""

    def __init__(
        self,
        path: Path,
        store_id: str,
        max_bytes: Callable[[], int],
        settle: Callable[[list[Waiting], list[Any]], None],
    ) -> None:
        super().__init__(name="lbactors-sqlite-writer", daemon=True)
        self.queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self.commits = 0
        self.store_id = store_id  # if "": that of the store which the first connection finds or makes
        self._path = path
        self._max_bytes = max_bytes
        self._turn = WriteTurn(path.parent)
        self._settle = settle  # called in this thread with operations and, for each, its result or exception
        self._conn: sqlite3.Connection | None = None
        self._garbage = True  # a process that died may have left some
        self._ending = False

    def run(self) -> None:
        while not self._ending:
            group: list[Waiting] = []
            self._take(group, wait=not self._garbage or self._conn is None)
            if not group and self._ending:
                break
            try:
                with self._turn.taken():
                    outcomes = self._transaction(group)
            except sqlite3.Error as error:
                outcomes = self._failed(group, translated(error, self._path))
            except OSError as error:
                outcomes = self._failed(group, StoreUnavailable(f"{self._path}: {error}"))
            except Exception as error:
                outcomes = self._failed(group, error)
            if group:
                self._settle(group, outcomes)
        with contextlib.suppress(OSError), self._turn.taken():
            self._disconnect()  # the last connection of all copies the log back and deletes it
        self._turn.close()

    def _take(self, group: list[Waiting], *, wait: bool) -> None:
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

    def _transaction(self, group: list[Waiting]) -> list[Any]:
        conn = self._conn = self._conn or self._connected()
        conn.execute("BEGIN IMMEDIATE")
        self._take(group, wait=False)  # what came while other processes had their turn
        outcomes = [self._attempt(conn, waiting) for waiting in group]
        if self._garbage:
            self._garbage = operations.collect(conn)
        try:
            conn.execute("COMMIT")
        except sqlite3.Error as error:
            refused = getattr(error, "sqlite_errorcode", 0) in NOT_COMMITTED and self._rolled_back(conn)
            raise translated(error, self._path, unknown=not refused) from error
        self.commits += 1
        return outcomes

    def _connected(self) -> sqlite3.Connection:
        conn = connect(self._path, self.store_id, max_bytes=self._max_bytes())
        self.store_id = self.store_id or operations.identity(conn)
        return conn

    def _attempt(self, conn: sqlite3.Connection, waiting: Waiting) -> Any:
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

    def _failed(self, group: list[Waiting], error: Exception) -> list[Any]:
        """The whole group fails, and the next one begins with a new connection."""
        self._garbage = False  # until an operation leaves some again: no endless retry on a full disk
        self._disconnect()
        return [copy.copy(error) for _ in group]

    def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(sqlite3.Error):
                conn.close()


def reading(path: Path, connected: Connect, read: Callable[[Connection], Reading[T]]) -> Reading[T]:
    """`read` on a connection of its own, so that other queries see what is committed meanwhile."""
    try:
        with contextlib.closing(connected()) as conn:
            conn.execute("BEGIN")
            yield from read(conn)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error}") from error


def scrubbed(path: Path, store_id: str) -> bool:
    """Delete all garbage, copy the log back and cut it to nothing; False if somebody reads from it just now.
    Blocks, on a connection of its own; other writers wait for one step at a time. StoreError.
    """
    turn = WriteTurn(path.parent)
    try:
        with contextlib.closing(connect(path, store_id)) as conn:
            conn.execute(f"PRAGMA busy_timeout = {SCRUB_BUSY_MS}")
            more = True
            while more:
                with turn.taken():
                    conn.execute("BEGIN IMMEDIATE")
                    more = operations.collect(conn)
                    conn.execute("COMMIT")
            with turn.taken():
                ((busy, _, _),) = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return not busy
    except sqlite3.Error as error:
        raise translated(error, path) from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error}") from error
    finally:
        turn.close()


def _size_bytes(item: object) -> int:
    """What an item of a reading counts for: its body, or itself if it is a size."""
    if isinstance(item, (Part, Record)):
        return len(item.body)
    return item if isinstance(item, int) else 0


class Reader:
    """The process's one reading thread, with a connection for queries beside those of readings."""

    def __init__(self, path: Path, store_id: str, connected: Connect | None = None) -> None:
        self._path = path
        self.store_id = store_id
        self.connected = connected or functools.partial(connect, path, store_id)
        self._conn: sqlite3.Connection | None = None
        self._readings: set[Reading[Any]] = set()
        self._damage: dict[Reading[Any], StoreCorrupt] = {}  # found behind items that were given first
        self._closed = False
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lbactors-sqlite-reader")

    def query(self, query: Callable[[Connection], T]) -> T:
        """Run a query on one view of the database."""
        self._check_open()
        try:
            conn = self._conn = self._conn or self.connected()
            conn.execute("BEGIN")
            try:
                return query(conn)
            finally:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")  # also ends what was left half read
        except sqlite3.Error as error:
            self._disconnect()
            raise translated(error, self._path) from error
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error

    def next_chunk(self, items: Reading[T]) -> list[T]:
        """The next items of a reading, about READING_CHUNK_BYTES of them; none at its end.

        StoreCorrupt comes after every item that was read before the damage: at the next call, if need be.
        """
        self._check_open()
        self._readings.add(items)
        if items in self._damage:
            raise self._damage.pop(items)
        chunk: list[T] = []
        size_bytes = 0
        try:
            for item in items:
                chunk.append(item)
                size_bytes += _size_bytes(item)
                if size_bytes >= READING_CHUNK_BYTES or len(chunk) >= READING_CHUNK_ITEMS:
                    break
        except StoreCorrupt as error:
            if not chunk:
                raise
            self._damage[items] = error
        return chunk

    def give_up(self, items: Reading[Any]) -> None:
        """Give a reading's view up. Idempotent."""
        self._readings.discard(items)
        self._damage.pop(items, None)
        items.close()

    def close(self) -> None:
        """Give everything up. What is asked afterwards, by a reading half done too, is StoreUnavailable."""
        self._closed = True
        for items in list(self._readings):
            self.give_up(items)
        self._disconnect()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self._path}: the store was closed")

    def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(sqlite3.Error):
                conn.close()
