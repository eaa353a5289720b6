"""Storage: a contract (`persistence.store`), its backends, and the one place that chooses between them.

A store has a URL: `sqlite:<directory>`, or one of Redis (`persistence.redis.url` lists the forms). URLs
carry passwords, so whatever shows one shows it `masked`; `store_address` is what stays of it to recognise a
store by.

This package knows keys, epochs, seqs and bytes, not leaderboards.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from persistence.redis import url as redis_url
from persistence.store import Store, StoreError

__all__ = ["check_url", "masked", "open_store", "store_address", "tls_files"]

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
