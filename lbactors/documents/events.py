"""Events: what they are, their ids, and what is sent of them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import orjson

from lbactors.core.instants import format_instant
from lbactors.documents.webhooks import EventType

TYPES: tuple[str, ...] = EventType.__args__  # type: ignore[attr-defined]
TEST = "webhook.test"  # sent to one webhook on demand, whatever it asked for


class Event(NamedTuple):
    """Something that happened. `data`: JSON-ready. `leaderboard_id`: "" for none."""

    event_id: str
    type: str
    at_ms: int
    tenant_id: str
    leaderboard_id: str
    data: dict[str, Any]


Call = Callable[[Event], Awaitable[None]]


class Listening(NamedTuple):
    """A listener in this process. `created_at_ms`: when a server first knew it."""

    types: frozenset[str]
    call: Call
    created_at_ms: int


def event_id(*parts: object) -> str:
    """An id that follows from what happened, so that a repeated step makes the same one."""
    return f"evt_{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"


def event_body(event: Event) -> bytes:
    """What is sent: JSON."""
    return orjson.dumps(
        {
            "id": event.event_id,
            "type": event.type,
            "created_at": format_instant(event.at_ms),
            "tenant_id": event.tenant_id,
            "leaderboard_id": event.leaderboard_id or None,
            "data": event.data,
        }
    )
