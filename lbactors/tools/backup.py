"""Backups: `back_up` makes a file of one moment of a store, `restore` makes a store of such a file.

**No half file has the name.** A backup is written to `FILE.partial`, synced, checked there as `verify` does,
and then renamed; a restored store is written and checked beside the store that it replaces. Whatever ends
either of them early, what was there before is still there.

**The order of a restore** makes it safe to break off at any point: first the knowledge of the data directory
(`server.json`) names the new store, then the old files move away, then the new one takes their place. Between
the first and the last step a server refuses to start there, and the same restore, run again, goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from lbactors.core.instants import format_instant
from lbactors.tools.progress import Progress
from lbactors.tools.verify import Verified, verify
from persistence import back_up as copy_store
from persistence import can_back_up, has_store, masked, new_store, open_backup, put_in_place, store_address
from persistence.data_dir import FILE_MODE, REPLACED, is_ours, lock_data_dir
from persistence.store import Store, StoreError, StoreUnavailable

PARTIAL_SUFFIX = ".partial"
SUPERVISOR = "supervisor"  # the owner whose epoch `server.json` keeps

T = TypeVar("T")
Note = Callable[[str, str, int], None]  # (address, store id, supervisor's epoch): `KnownStores.note`


class NotSound(Exception):
    """What was to be kept or restored has errors; nothing was changed. `verified` has them."""

    def __init__(self, verified: Verified) -> None:
        super().__init__("not sound")
        self.verified = verified


class BackedUp(NamedTuple):
    """A backup that was made. `taken_at_ms`: everything acknowledged before is in it. `verified`: None if it
    was not asked for.
    """

    store_id: str
    taken_at_ms: int
    size_bytes: int
    verified: Verified | None


class Restored(NamedTuple):
    """A store that was restored. `replaced`: where the store is that was there before, if there was one."""

    store_id: str
    size_bytes: int
    replaced: Path | None
    verified: Verified


# Backup --------------------------------------------------------------------------------------------------


async def back_up(
    url: str,
    file: Path,
    *,
    force: bool,
    check: bool,
    seen_ids_limit: int,
    now_ms: Callable[[], int],
    progress: Progress,
) -> BackedUp:
    """Copy the store of a checked URL, used or not, into `file`.

    force: a file that has the name is replaced. StoreError; NotSound if the copy has errors and `check`.
    """
    if not can_back_up(url):
        raise StoreError(
            f"store {masked(url)}: Redis makes its own backups (redis-cli --rdb FILE); for a copy without "
            "Redis, stop the server and run lbactors migrate --to sqlite:DIR"
        )
    _refuse_own_file(file, Path(url.removeprefix("sqlite:")))
    with _draft(file, force=force) as draft:
        taken_at_ms = now_ms()
        await _in_thread(lambda steps: copy_store(url, draft, steps), progress)
        async with _opened_backup(draft) as store:
            verified = await verify(store, seen_ids_limit, progress) if check else None
            if verified is not None and not verified.sound:
                raise NotSound(verified)
            made = BackedUp(await store.identity(), taken_at_ms, draft.stat().st_size, verified)
    return made


def _refuse_own_file(file: Path, directory: Path) -> None:
    """StoreError for a name among those in the data directory that is backed up: a lock's, say."""
    if is_ours(file.name) and file.absolute().parent.resolve() == directory.resolve():
        raise StoreError(f"{file}: the data directory has files of this name; choose another one")


@contextlib.contextmanager
def _draft(file: Path, *, force: bool) -> Iterator[Path]:
    """An empty file beside `file`, for the owner alone, which takes its name when the block ends well and is
    deleted otherwise. StoreError.
    """
    if file.is_dir():
        raise StoreError(f"{file} is a directory; name a file in it")
    if file.exists() and not file.is_file():
        raise StoreError(f"{file} is not a regular file")  # a device, say, which would be gone
    if file.exists() and not force:
        raise _exists(file)
    if not file.absolute().parent.is_dir():
        raise StoreError(f"the directory {file.absolute().parent} does not exist")
    draft = file.with_name(f"{file.name}{PARTIAL_SUFFIX}")
    try:
        descriptor = _claim_draft(draft)
    except BlockingIOError:
        raise StoreError(f"{draft}: another backup is being written there") from None
    except OSError as error:
        raise StoreUnavailable(f"cannot write {draft}: {error.strerror}") from error
    try:
        try:
            yield draft
            publish(draft, file, force=force)
        except OSError as error:
            raise StoreUnavailable(f"cannot write {file}: {error.strerror}") from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
    finally:
        os.close(descriptor)


def _claim_draft(draft: Path) -> int:
    """Make the draft; one that was left by a kill is replaced. The descriptor that holds its lock.

    BlockingIOError while another process writes it. OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        left = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink(missing_ok=True)
        finally:
            os.close(left)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def publish(draft: Path, file: Path, *, force: bool) -> None:
    """Give a synced draft its name, durably. StoreError if the name was taken meanwhile; OSError."""
    if force:
        draft.replace(file)
    else:
        try:
            os.link(draft, file)
        except FileExistsError:
            raise _exists(file) from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            if file.exists():  # this file system has no links
                raise _exists(file) from None
            draft.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _exists(file: Path) -> StoreError:
    return StoreError(f"{file} exists; --force overwrites it")


# Restore -------------------------------------------------------------------------------------------------


async def restore(
    file: Path,
    directory: Path,
    *,
    replace: bool,
    note: Callable[[], Note],
    seen_ids_limit: int,
    now_ms: Callable[[], int],
    progress: Progress,
) -> Restored:
    """Make the store of a data directory from a backup.

    replace: a store that is there moves to a directory in the data directory. note: what the directory knows
    is read by it, when the directory is locked. StoreInUse while a server or a tool uses the directory;
    StoreError; NotSound if the backup has errors. Nothing was changed then.
    """
    if file.is_dir():
        raise StoreError(f"{file} is a directory; name a backup, which is a file")
    if not file.exists():
        raise StoreError(f"{file} does not exist")
    async with _opened_backup(file):
        pass  # so that no directory is made for what is no backup
    with lock_data_dir(directory):
        there = has_store(directory)
        if there and not replace:
            raise StoreError(
                f"data directory {directory} has a store; --replace moves it aside before the restore"
            )
        noted = note()
        made = await _in_thread(lambda steps: new_store(file, directory, steps), progress)
        try:
            async with _opened_backup(made) as store:
                verified = await verify(store, seen_ids_limit, progress)
                if not verified.sound:
                    raise NotSound(verified)
                store_id, epoch = await store.identity(), await store.ownership(SUPERVISOR)
            aside = _aside(directory, now_ms()) if there else None
            size_bytes = made.stat().st_size
            noted(store_address(f"sqlite:{directory}"), store_id, epoch)
            put_in_place(made, aside)
        except OSError as error:
            raise StoreUnavailable(
                f"data directory {directory}: the backup is not restored: {error.strerror}; "
                "run the same command again"
            ) from error
        finally:
            made.unlink(missing_ok=True)
    return Restored(store_id, size_bytes, aside, verified)


def _aside(directory: Path, now_ms: int) -> Path:
    """A name for the directory of the replaced store, which is not there yet."""
    second = format_instant(now_ms)[:19].replace("-", "").replace(":", "")
    path, number = directory / f"{REPLACED}{second}Z", 1
    while path.exists():
        number += 1
        path = directory / f"{REPLACED}{second}Z-{number}"
    return path


# Both ----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _opened_backup(path: Path) -> AsyncIterator[Store]:
    store = open_backup(path)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


class _Stopped(Exception):
    """The copy is not wanted any more."""


async def _in_thread(copy: Callable[[Callable[[int, int], None]], T], progress: Progress) -> T:
    """Copy in a thread, which ends soon if the caller is cancelled."""
    stopped = threading.Event()

    def steps(done: int, total: int) -> None:
        if stopped.is_set():
            raise _Stopped
        progress("MiB copied", done >> 20, total >> 20)

    copying = asyncio.ensure_future(asyncio.to_thread(copy, steps))
    try:
        return await asyncio.shield(copying)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.wait([copying])
        raise
