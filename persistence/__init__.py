"""Storage: a contract (`persistence.store`), its backends, and the one place that chooses between them.

This package knows keys, epochs, seqs and bytes, not leaderboards.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from persistence.store import Store, StoreError

__all__ = ["open_store"]


def _sqlite(directory: str) -> Store:
    from persistence.sqlite_store import SqliteStore

    if not directory:
        raise StoreError("store URL 'sqlite:': the data directory is missing (sqlite:<directory>)")
    return SqliteStore(directory)


# A backend is imported when it is chosen: a server on one needs nothing of the others.
_BACKENDS: dict[str, Callable[[str], Store]] = {"sqlite": _sqlite}


def open_store(url: str) -> Store:
    """The store that a URL names, not opened yet: `sqlite:<directory>`. StoreError for an unknown scheme."""
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in _BACKENDS:
        known = ", ".join(f"{name}:" for name in sorted(_BACKENDS))
        shown = re.sub(r"//[^/@]*@", "//***@", url)  # no password into a log
        raise StoreError(f"store {shown!r}: this version has no store {scheme!r} (known: {known})")
    return _BACKENDS[scheme](rest)
