"""Records of the audit log: how they are stored, shown and searched."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgpack

from lbactors.core.instants import format_instant
from lbactors.documents.storage_errors import storage_errors
from persistence.store import Store, scan_pages

AUDIT = "audit"
LAST = 10**17 - 1
PER_MS = 1000
CHUNK = 1000  # documents read at a time


class Who(NamedTuple):
    """Who acts: the key, and the request it came with."""

    key_id: str
    key_name: str
    request_id: str


NOBODY = Who("", "", "")  # the server itself


class Audited(NamedTuple):
    """What a command's handler says of itself, in place of what its name and arguments say.

    `details` may hold `player_id` and `reason`, which have fields of their own in a record.
    """

    act: str
    target: str
    details: dict[str, Any]


NOT_AN_ACT = Audited("", "", {})  # of a command that nobody gave, or that changes nothing: it has no record


class Wanted(NamedTuple):
    """Which records a reader asks for. `since_ms` inclusive, `until_ms` exclusive; None: any."""

    act: str | None = None
    target: str | None = None
    player_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


def doc_id(tenant_id: str, number: int, epoch: int) -> str:
    return f"{tenant_id}/{LAST - number:017d}-{epoch}"


def anonymised(value: Any, player_id: str, anonymous_id: str) -> Any:
    """JSON-like data in which no text is the player's id, or has it as a word."""
    if isinstance(value, str):
        if player_id not in value:
            return value
        return re.sub(rf"(?<!\w){re.escape(player_id)}(?!\w)", lambda _: anonymous_id, value)
    if isinstance(value, list | tuple):
        return [anonymised(item, player_id, anonymous_id) for item in value]
    if isinstance(value, dict):
        return {
            anonymised(name, player_id, anonymous_id): anonymised(item, player_id, anonymous_id)
            for name, item in value.items()
        }
    return value


async def scan_records(
    store: Store, tenant_id: str, after: str, end: str = ""
) -> AsyncIterator[tuple[str, bytes]]:
    """A tenant's records, newest first, a chunk at a time; up to the id `end` if there is one."""
    async for rows in scan_pages(store, AUDIT, prefix=f"{tenant_id}/", after=after, page=CHUNK):
        for found_id, body in rows:
            if end and found_id >= end:
                return
            yield found_id, body


def record_json(body: bytes) -> dict[str, Any]:
    """A record as the API shows it."""
    number, at_ms, act, target, player_id, reason, who, details = msgpack.unpackb(body)
    key_id, key_name, request_id = who
    return {
        "audit_id": f"aud_{number:016d}",
        "at": format_instant(at_ms),
        "act": act,
        "target": target,
        "player_id": player_id,
        "reason": reason,
        "key_id": key_id or None,
        "key_name": key_name or None,
        "request_id": request_id or None,
        "details": details,
    }


async def search(
    store: Store, tenant_id: str, wanted: Wanted, place: int, limit: int
) -> tuple[list[dict[str, Any]], int, int | None]:
    """A page of a tenant's records, newest first: items, how many match in all, where the next page begins.

    place: 0, or what an earlier call said. ApiError storage_unavailable.
    """
    after = f"{tenant_id}/{LAST - wanted.until_ms * PER_MS:017d}." if wanted.until_ms is not None else ""
    end = f"{tenant_id}/{LAST - wanted.since_ms * PER_MS:017d}." if wanted.since_ms is not None else ""
    items: list[dict[str, Any]] = []
    total = 0
    last: int | None = None
    more = False
    with storage_errors():
        async for _, body in scan_records(store, tenant_id, after, end):
            number, _, act, target, player_id, *_ = msgpack.unpackb(body)
            if (
                (wanted.act is not None and act != wanted.act and not act.startswith(f"{wanted.act}."))
                or (wanted.target is not None and target != wanted.target)
                or (wanted.player_id is not None and player_id != wanted.player_id)
            ):
                continue
            total += 1
            if place and number >= place:
                continue
            if len(items) == limit:
                more = True
                continue
            items.append(record_json(body))
            last = number
    return items, total, last if more else None
