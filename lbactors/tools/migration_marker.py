"""The mark of a migration into a store: a server looks at it before it starts, the tools go by it."""

from __future__ import annotations

from typing import NamedTuple

import msgpack

from lbactors.core.instants import format_instant
from persistence.store import Store, StoreCorrupt

MARKERS, MARKER = "migration", "marker"  # collection and id of the marker


class Marker(NamedTuple):
    """What the target says of its migration. `source`: identity of the store copied; `address`: as shown."""

    source: str
    address: str
    started_at_ms: int
    finished_at_ms: int | None


async def read_marker(store: Store) -> Marker | None:
    """The marker of an open store. StoreCorrupt, StoreUnavailable."""
    (body,) = await store.get(MARKERS, [MARKER])
    try:
        return None if body is None else Marker(*msgpack.unpackb(body))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise StoreCorrupt(f"document {MARKERS!r} {MARKER!r}: this version cannot read it") from error


async def unfinished_migration(store: Store) -> str | None:
    """Why a server must not start on this open store: it is half a copy. None if it is not. StoreError."""
    marker = await read_marker(store)
    if marker is None or marker.finished_at_ms is not None:
        return None
    since = format_instant(marker.started_at_ms)
    return (
        f"holds an unfinished migration from {marker.address}, begun {since}: "
        "run the same `lbactors migrate` again, it goes on"
    )
