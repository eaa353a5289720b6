"""Backups of the SQLite store: a file that holds one moment of it, and a new store made from such a file.

A backup is copied page by page from one read transaction, by SQLite's own backup function. Writers go on
meanwhile. What they commit is not in the copy, and the write-ahead log cannot be cut back before the copy is
complete. The copy is a database in one file, without a log; nothing writes to it any more, so it is read
without locks and leaves nothing beside it.

A store that is made from a backup is another store, with an id of its own. A process that still has the store
open that was there before, with an epoch that the restored store may give out once more, never writes to it:
an open connection goes on with the file that was moved away, and a new one is refused, since it expects the
old id. For the same reason its actors have names of their own in Ray.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from persistence.data_dir import DATABASE_NAME, make_private
from persistence.sqlite import operations as operations
from persistence.sqlite.store import READINGS, SqliteStore
from persistence.sqlite.threads import Operation, Reader, connect, tables_of, translated
from persistence.store import StoreCorrupt, StoreError, StoreUnavailable

STEP_PAGES = 256  # 1 MiB between two looks at the progress
SYNC_STEPS = 16  # no more than this waits for the disk, where it would delay the commits of a server
NEW_SUFFIX = ".new"
LOG_SUFFIXES = ("-wal", "-shm", "-journal")

Steps = Callable[[int, int], None]  # bytes done, of how many; it ends the copy by raising


class BackupFile(SqliteStore):
    """A backup as a store that can only be read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self.path = path

    async def open(self) -> None:
        """StoreUnavailable, StoreCorrupt (not a backup), StoreTooNew."""
        self._readings = asyncio.Semaphore(READINGS)
        self._reader = Reader(self.path, "", functools.partial(connect_backup, self.path))
        try:
            await self.identity()
        except BaseException:
            await self.close()
            raise

    async def _write(self, operation: Operation, *, size_bytes: int = 0, leaves_garbage: bool = False) -> Any:
        raise StoreUnavailable(f"{self.path} is a backup, which can only be read")


def connect_backup(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, not even beside the file. StoreError."""
    log = path.with_name(f"{path.name}-wal")
    try:
        if log.exists() and log.stat().st_size:
            raise StoreError(
                f"{path} is a store's file, not a backup: it is not complete without {log.name} beside it"
            )
        conn = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None
        )
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise translated(error, path) from error
    try:
        tables = tables_of(conn, path)
        if "identity" not in tables:
            raise StoreCorrupt(f"{path} is not a backup of a store")
        if "kept" not in tables:  # made by a version before; the connection's own table stands in for it
            conn.execute(f"CREATE TEMP TABLE {operations.KEPT}")
    except sqlite3.Error as error:
        conn.close()
        raise translated(error, path) from error
    except BaseException:
        conn.close()
        raise
    return conn


def back_up(directory: Path, target: Path, steps: Steps) -> None:
    """Copy the store of a data directory, as it is now, into `target`, an empty file. Blocks.

    StoreUnavailable, StoreCorrupt; `target` may then hold anything.
    """
    source = directory / DATABASE_NAME
    if not source.is_file():
        raise StoreError(f"no store in {directory}: there is no {DATABASE_NAME}")
    try:
        with contextlib.closing(connect(source, "")) as conn:
            _copy(conn, source, target, steps)
    except OSError as error:
        raise StoreUnavailable(f"{source}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise translated(error, source) from error


def new_store(backup: Path, directory: Path, steps: Steps) -> Path:
    """Make a store from a backup, with an id of its own, in a data directory; not in its place yet. Blocks.

    The path of the file, which has a backup's form. StoreUnavailable, StoreCorrupt; the file is gone then.
    """
    target = directory / f"{DATABASE_NAME}{NEW_SUFFIX}"
    try:
        target.unlink(missing_ok=True)  # left by a run that was killed
        make_private(target)
        with contextlib.closing(connect_backup(backup)) as conn:
            _copy(conn, backup, target, steps, new_id=True)
    except BaseException as error:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StoreUnavailable(f"{target}: {error.strerror}") from error
        raise
    return target


def has_store(directory: Path) -> bool:
    """Whether a data directory has a store, or some file of one."""
    return any(path.exists() for path in _files(directory))


def put_in_place(made: Path, aside: Path | None) -> None:
    """Let `made` be the store of its directory. What is there moves to `aside`, a directory that is made.

    The directory must be locked. What the log of the old store holds is written into its file before, if that
    can be done, so that it moves in one step. OSError.
    """
    directory = made.parent
    if aside is not None:
        _fold(directory / DATABASE_NAME)
        aside.mkdir(mode=0o700)
        for path in _files(directory):  # the database first: a log without one is nothing to a server
            with contextlib.suppress(FileNotFoundError):
                path.rename(aside / path.name)
        _sync(aside)
    made.rename(directory / DATABASE_NAME)
    _sync(directory)


def _files(directory: Path) -> list[Path]:
    """Of a store, there or not: the database, and what SQLite keeps beside it."""
    return [directory / f"{DATABASE_NAME}{suffix}" for suffix in ("", *LOG_SUFFIXES)]


def _fold(database: Path) -> None:
    """Write the log back into the database. The last connection deletes the log when it closes."""
    with contextlib.suppress(OSError, sqlite3.Error, StoreError):  # damaged: it moves as it is
        if database.exists():
            with contextlib.closing(connect(database, "")) as conn:
                conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _copy(
    source: sqlite3.Connection, path: Path, target: Path, steps: Steps, *, new_id: bool = False
) -> None:
    """Copy what `source`, the database at `path`, holds at this moment into an empty file, and sync it."""
    descriptor = os.open(target, os.O_RDWR)
    try:
        source.execute("BEGIN")
        operations.identity(source)  # from this first query on the view stays
        ((pages,),) = source.execute("PRAGMA page_count").fetchall()
        ((page_bytes,),) = source.execute("PRAGMA page_size").fetchall()
        room = os.fstatvfs(descriptor)
        free_bytes = room.f_bavail * room.f_frsize
        if free_bytes < pages * page_bytes:
            raise StoreUnavailable(
                f"no room in {target.parent}: the copy takes {_mib(pages * page_bytes)}, "
                f"{_mib(free_bytes)} are free"
            )
        _copy_pages(source, path, target, descriptor, page_bytes, steps)
        if new_id:
            _give_new_id(target)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_pages(
    source: sqlite3.Connection, path: Path, target: Path, descriptor: int, page_bytes: int, steps: Steps
) -> None:
    taken = 0

    def copied(status: int, remaining: int, total: int) -> None:
        nonlocal taken
        taken += 1
        if taken % SYNC_STEPS == 0:
            os.fsync(descriptor)
        steps((total - remaining) * page_bytes, total * page_bytes)

    with contextlib.closing(_connect_target(target)) as made:
        try:
            source.backup(made, pages=STEP_PAGES, progress=copied)
            made.execute("PRAGMA journal_mode = DELETE").fetchall()  # the copied header says: with a log
        except OSError as error:
            raise StoreUnavailable(f"cannot write {target}: {error.strerror}") from error
        except sqlite3.Error as error:
            failed = translated(error, path)  # a damaged source, or else
            if isinstance(failed, StoreCorrupt):
                raise failed from error
            raise StoreUnavailable(f"cannot write {target}: {error}") from error


def _give_new_id(target: Path) -> None:
    with contextlib.closing(_connect_target(target)) as made:
        try:
            made.execute("UPDATE identity SET id = lower(hex(randomblob(16)))")
        except sqlite3.Error as error:
            raise translated(error, target) from error


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.1f} MiB"


def _connect_target(target: Path) -> sqlite3.Connection:
    """A connection to a file that nobody else knows: half of it is worth nothing, so nothing guards it."""
    conn = sqlite3.connect(f"{target.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    conn.execute("PRAGMA journal_mode = OFF").fetchall()
    conn.execute("PRAGMA synchronous = OFF")
    return conn


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
