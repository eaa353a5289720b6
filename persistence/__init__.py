"""Storage: a contract (`persistence.store`), its backends, and the one place that chooses between them.

A store has a URL: `sqlite:<directory>`, or one of Redis (`persistence.redis.url` lists the forms). URLs
carry passwords, so whatever shows one shows it `masked`; `store_address` is what stays of it to recognise a
store by.

This package knows keys, epochs, seqs and bytes, not leaderboards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from persistence.redis import url as redis_url
from persistence.store import Store, StoreError

__all__ = [
    "back_up",
    "can_back_up",
    "check_url",
    "has_store",
    "masked",
    "new_store",
    "open_backup",
    "open_store",
    "put_in_place",
    "store_address",
    "tls_files",
]

_SECRET_OPTION = re.compile(r"(?<=[?&])(\w*password\w*=)[^&]*", re.IGNORECASE)
_LOGIN = re.compile(r"^([^:@]*:/*)?.*@", re.DOTALL)


def masked(url: str) -> str:
    """A store's URL as it may be shown: user, password and every option named *password* become `***`.

    Good for malformed URLs too: nothing before the last @ is shown but the scheme.
    """
    hidden = _SECRET_OPTION.sub(r"\1***", url)
    return _LOGIN.sub(r"\1***@", hidden)


def _sqlite(url: str) -> Store:
    from persistence.sqlite.store import SqliteStore

    return SqliteStore(url.removeprefix("sqlite:"))


def _redis(url: str) -> Store:
    from persistence.redis.store import RedisStore

    return RedisStore(url)


# A backend is imported when it is chosen: a server on one needs nothing of the others.
_BACKENDS: dict[str, Callable[[str], Store]] = {"sqlite": _sqlite, **dict.fromkeys(redis_url.SCHEMES, _redis)}


def check_url(url: str) -> None:
    """StoreError, which names what is wrong and shows no password, unless the URL names a store."""
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in _BACKENDS:
        known = ", ".join(_BACKENDS)
        raise StoreError(f"store {masked(url)!r}: there is no store {masked(scheme)!r} (known: {known})")
    if scheme == "sqlite":
        if not rest:
            raise StoreError("store 'sqlite:': the data directory is missing (sqlite:<directory>)")
        return
    before_options, _, options = rest.partition("?")
    if not before_options.startswith("//"):
        raise StoreError(f"store {masked(url)!r}: // is missing ({scheme}://host:port)")
    if "@" in before_options[2:].partition("/")[2] or "@" in _SECRET_OPTION.sub("", f"?{options}"):
        raise StoreError(
            f"store {masked(url)!r}: in user, password and options write / as %2F, ? as %3F, @ as %40"
        )
    if "#" in url:
        raise StoreError(f"store {masked(url)!r}: write # as %23")
    try:
        redis_url.parse_redis_url(url)
    except ValueError as error:  # brackets that do not enclose an IPv6 address
        raise StoreError(f"store {masked(url)!r}: {error}") from None


def store_address(url: str) -> str:
    """Where a checked URL leads, without anything secret or tunable: the same store, the same text.

    That of SQLite names no directory: the file may move, together with what is known about it.
    """
    if url.startswith("sqlite:"):
        return "sqlite"
    said = redis_url.parse_redis_url(url)
    named = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in said.hosts)
    hosts = ",".join(sorted(name.lower() for name in named))
    scheme = url.partition(":")[0]
    service = f"{said.service}/" if said.service else ""
    prefix = "" if said.prefix == redis_url.OPTIONS["prefix"] else f"?prefix={said.prefix}"
    return f"{scheme}://{hosts}/{service}{said.db}{prefix}"


def tls_files(url: str) -> dict[str, str]:
    """Files that a checked URL names, by option (`ca`, `cert`, `key`)."""
    if url.startswith("sqlite:"):
        return {}
    said = redis_url.parse_redis_url(url)
    return {name: path for name in ("ca", "cert", "key") if (path := getattr(said, name))}


def open_store(url: str) -> Store:
    """The store that a URL names, not opened yet. StoreError as from `check_url`."""
    check_url(url)
    return _BACKENDS[url.partition(":")[0]](url)


# Backups: files of SQLite. Redis makes its own.


def can_back_up(url: str) -> bool:
    """Whether the store that a checked URL names can be copied by `back_up`."""
    return url.startswith("sqlite:")


def back_up(url: str, target: Path, steps: Callable[[int, int], None]) -> None:
    """Copy a store as it is at this moment, used or not, into `target`, an empty file, and sync it. Blocks.

    steps: is called with the bytes that are copied and how many there are. StoreError; `target` may then
    hold anything.
    """
    from persistence.sqlite import backup

    backup.back_up(Path(url.removeprefix("sqlite:")), target, steps)


def open_backup(path: Path) -> Store:
    """The store that a backup holds, to be read, not opened yet. Nothing is made beside the file."""
    from persistence.sqlite.backup import BackupFile

    return BackupFile(path)


def new_store(backup: Path, directory: Path, steps: Callable[[int, int], None]) -> Path:
    """Make a store of a backup in a data directory that is locked; `put_in_place` lets it be the directory's.

    Blocks. The store has an id of its own. The path of its file, which `open_backup` can read. StoreError.
    """
    from persistence.sqlite import backup as sqlite_backup

    return sqlite_backup.new_store(backup, directory, steps)


def has_store(directory: Path) -> bool:
    """Whether a data directory has a store, or some file of one."""
    from persistence.sqlite import backup

    return backup.has_store(directory)


def put_in_place(made: Path, aside: Path | None) -> None:
    """Let what `new_store` made be the store of its directory, and move what is there to `aside`. OSError."""
    from persistence.sqlite import backup

    backup.put_in_place(made, aside)
