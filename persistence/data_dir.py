"""The data directory: the names of what is in it, and its two lock files.

`server.lock` says that one server uses the directory; it is held for the server's life. `write.lock` is the
queue of the writers of all its processes; it is held for one transaction. Both are flocks: the kernel frees
them when their holder dies, however it dies, and wakes who waits at once. They belong to the open file, so
two stores in one process exclude each other too. The files stay when they are free: deleting one would let
two processes hold "the" lock on different files. Not for network file systems.

Secrets lie in it, so it is for its owner alone: the directory has mode 0700 and its files 0600. What is
looser, made by an earlier version say, is tightened when the directory is locked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from persistence.store import StoreError, StoreInUse

DATABASE_NAME = "lbactors.sqlite3"  # of the SQLite store
SERVER_LOCK = "server.lock"
WRITE_LOCK = "write.lock"
KNOWLEDGE = "server.json"  # what the server knows about its stores
REPLACED = "replaced-"  # begins the name of a directory with the store that a restored one took the place of
DIRECTORY_MODE, FILE_MODE = 0o700, 0o600
FOR_OTHERS = 0o077  # the bits of a mode that are anybody else's

_NAMES = "|".join(map(re.escape, (DATABASE_NAME, SERVER_LOCK, WRITE_LOCK, KNOWLEDGE)))
_OURS = re.compile(rf"(?:{_NAMES})(?:-wal|-shm|-journal|\.new)?|{REPLACED}.*")


def is_ours(name: str) -> bool:
    """Whether a file of this name in a data directory is the store's or the server's."""
    return _OURS.fullmatch(name) is not None


def make_directory(path: Path) -> None:
    """Make the data directory if it is missing. StoreError if there is none afterwards."""
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise StoreError(f"data directory {path}: is not a directory") from error
    except OSError as error:
        raise StoreError(f"data directory {path}: {error.strerror}") from error


def make_private(path: Path) -> None:
    """Make a file that only its owner may read, if it is missing. OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE))


def _tighten(directory: Path) -> str:
    """Close a data directory and its files to other users. Why that could not be done, in a sentence, or
    empty: a directory that holds other things too may be meant for others.
    """
    try:
        names = [path.name for path in directory.iterdir()]
        for name in filter(is_ours, names):
            _tighten_file(directory / name)
        mode = stat.S_IMODE(directory.stat().st_mode)
        if not mode & FOR_OTHERS:
            return ""
        why = f"data directory {directory} is open to other users of this machine (mode {mode:04o})"
        if not all(map(is_ours, names)):
            return f"{why} and holds more than the store: give the store one of its own, or close it"
        directory.chmod(mode & ~FOR_OTHERS)
    except OSError as error:
        return f"data directory {directory}: not closed to other users: {error.strerror}"
    return ""


def _tighten_file(path: Path) -> None:
    """Of a file that may be a link by now, as long as others can write to the directory. OSError."""
    if not path.is_file() or path.is_symlink():
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_mode & FOR_OTHERS:
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~FOR_OTHERS)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Descriptor of a lock file, made if missing. As always in Python, child programs do not inherit it."""
    make_directory(path.parent)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
    except OSError as error:
        raise StoreError(
            f"data directory {path.parent}: cannot write {path.name}: {error.strerror}"
        ) from error


class DataDirLock:
    """A server's hold on its data directory; a context manager that lets go at its end. `caution`: what an
    operator should know of it, or empty.
    """

    def __init__(self, path: Path, descriptor: int, caution: str) -> None:
        self.path = path
        self.caution = caution
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let go. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> DataDirLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_data_dir(path: str | os.PathLike[str]) -> DataDirLock:
    """Take a data directory, which is made if missing, for this server, and close it to other users.

    StoreInUse, with path and process id, while another server has it; StoreError if it cannot be written.
    """
    directory = Path(path)
    make_directory(directory)
    caution = _tighten(directory)
    descriptor = _open(directory / SERVER_LOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        # Empty in the instant between the holder's flock and its write.
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        by = f"process {holder}" if holder else "another process"
        raise StoreInUse(f"data directory {directory} is in use by {by}") from error
    except OSError as error:
        os.close(descriptor)
        raise StoreError(
            f"data directory {directory}: cannot lock {SERVER_LOCK}: {error.strerror}"
        ) from error
    return DataDirLock(directory, descriptor, caution)


class WriteTurn:
    """The queue of a directory's writers. Used by one thread; `close` when it ends."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = _open(directory / WRITE_LOCK)

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Wait, without limit, for this process's turn and keep it. OSError if the system has no locks."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # what was done in the turn is done
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)
