"""Webhooks and deliveries: how they are stored, and as the API's JSON.

A webhook is document `<tenant_id>/<webhook_id>` of the collection `webhooks`. A delivery is one event for one
listener, in the collection `deliveries`, in two documents: a small *head* whose id begins with its state, and
the body, which is written once and read when it is sent:

    p/<listener>/<delivery_id>   pending         d/… delivered        f/… failed, given up
    b/<listener>/<delivery_id>   the bytes that are sent

`<listener>` is `<tenant_id>/<webhook_id>`, or `plugin:<name>`. Delivery ids rise in the order in which events
happened, so the pending ones of a listener are read in order, and those of one state are found by a prefix.
The document `generation` counts the starts that made deliveries; it makes the ids of each start higher than
all earlier ones, also in a store that was copied (which begins its epochs anew).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgpack
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from yarl import URL

from lbactors.core.definition import LEADERBOARD_ID
from lbactors.core.ids import in_tenant
from lbactors.core.instants import format_instant
from lbactors.core.packing import pack
from lbactors.documents.entities import Written

PENDING, DELIVERED, FAILED, BODY = "p", "d", "f", "b"
STATES = {"pending": PENDING, "delivered": DELIVERED, "failed": FAILED}
PLUGIN = "plugin:"  # how the id of an in-process listener begins
GENERATION = "generation"
SEQS_OF_GENERATION = 32  # bits: four thousand million deliveries before the next start
LONGEST_URL = 2048
MOST_BOARDS = 1000  # leaderboards that one webhook may name

EventType = Literal["period.opened", "period.closing", "period.closed", "period.reopened", "reward.granted"]


class Webhook(NamedTuple):
    """`events`, `leaderboard_ids`: None for all. `disabled_reason`: set if the server disabled it.

    `previous_secret` signs too until `previous_until_ms`, so that a receiver has time to take the new one.
    """

    tenant_id: str
    webhook_id: str
    url: str
    events: list[str] | None
    leaderboard_ids: list[str] | None
    description: str
    status: str  # active | disabled
    disabled_reason: str | None
    secret: str
    previous_secret: str | None
    previous_until_ms: int
    created_at_ms: int
    updated_at_ms: int

    @property
    def listener(self) -> str:
        """Its id among all listeners, and as a document."""
        return in_tenant(self.tenant_id, self.webhook_id)

    def wants(self, leaderboard_id: str, type: str, at_ms: int) -> bool:
        """Whether an event is for it: it is active, was there at that time, and asked for it."""
        return (
            self.status == "active"
            and at_ms >= self.created_at_ms
            and (self.events is None or type in self.events)
            and (self.leaderboard_ids is None or leaderboard_id in self.leaderboard_ids)
        )

    def secrets_at(self, at_ms: int) -> list[str]:
        """Secrets to sign with, the newest first."""
        if self.previous_secret is not None and at_ms < self.previous_until_ms:
            return [self.secret, self.previous_secret]
        return [self.secret]


class Answer(NamedTuple):
    """What became of one attempt. `status`: of HTTP, None without an answer. `error`: None if confirmed."""

    at_ms: int
    status: int | None
    error: str | None
    duration_ms: int


class Delivery(NamedTuple):
    """The head of a delivery. `queued_at_ms`: since when it has been tried, anew at a replay.

    `next_at_ms`: not to be sent before. `finished_at_ms`: when it was confirmed or given up.
    """

    event_id: str
    type: str
    tenant_id: str
    leaderboard_id: str
    at_ms: int
    queued_at_ms: int
    attempts: int = 0
    next_at_ms: int = 0
    finished_at_ms: int | None = None
    last: Answer | None = None


def pack_webhook(webhook: Webhook) -> bytes:
    return pack(webhook)


def unpack_webhook(body: bytes) -> Webhook:
    return Webhook(*msgpack.unpackb(body))


def pack_delivery(delivery: Delivery) -> bytes:
    return pack(delivery)


def unpack_delivery(body: bytes) -> Delivery:
    found = Delivery(*msgpack.unpackb(body))
    return found if found.last is None else found._replace(last=Answer(*found.last))


def delivery_id(generation: int, number: int) -> str:
    """Ids sort by generation, then by number."""
    return f"dlv_{(generation << SEQS_OF_GENERATION) + number:014x}"


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """Everything about a webhook but its secrets."""
    return {
        "webhook_id": webhook.webhook_id,
        "tenant_id": webhook.tenant_id,
        "url": webhook.url,
        "events": webhook.events,
        "leaderboard_ids": webhook.leaderboard_ids,
        "description": webhook.description,
        "status": webhook.status,
        "disabled_reason": webhook.disabled_reason,
        "created_at": format_instant(webhook.created_at_ms),
        "updated_at": format_instant(webhook.updated_at_ms),
    }


def delivery_json(delivery_id: str, state: str, delivery: Delivery) -> dict[str, Any]:
    """`state`: pending | delivered | failed."""

    def instant(at_ms: int | None) -> str | None:
        return None if not at_ms else format_instant(at_ms)

    last = delivery.last
    return {
        "delivery_id": delivery_id,
        "event_id": delivery.event_id,
        "type": delivery.type,
        "leaderboard_id": delivery.leaderboard_id or None,
        "state": state,
        "occurred_at": format_instant(delivery.at_ms),
        "queued_at": format_instant(delivery.queued_at_ms),
        "attempts": delivery.attempts,
        "next_attempt_at": instant(delivery.next_at_ms) if state == "pending" else None,
        "finished_at": instant(delivery.finished_at_ms),
        "last_answer": None
        if last is None
        else {
            "at": format_instant(last.at_ms),
            "status": last.status,
            "error": last.error,
            "duration_ms": last.duration_ms,
        },
    }


# What people write ----------------------------------------------------------------------------------------


def check_url(value: str) -> str:
    """An absolute http(s) URL without user, password and fragment. ValueError."""
    try:
        url = URL(value)
        port = url.port
    except ValueError:
        raise PydanticCustomError("url", "is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host or not port:
        raise PydanticCustomError("url", "must be an absolute URL of http or https")
    if url.user is not None or url.password is not None:
        raise PydanticCustomError("url", "must not contain a user or password; verify the signature instead")
    if url.fragment or not value.isascii() or not value.isprintable() or " " in value:
        raise PydanticCustomError("url", "must be visible ASCII characters, without a fragment")
    return value


Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        description="An http or https URL without user, password and fragment. Redirects are not followed.",
        json_schema_extra={"format": "webhook-url"},
    ),
]
Events = Annotated[list[EventType], Field(min_length=1, max_length=32)]
BoardId = Annotated[str, Field(pattern=LEADERBOARD_ID)]
Boards = Annotated[list[BoardId], Field(min_length=1, max_length=MOST_BOARDS)]
Description = Annotated[str, Field(max_length=2000)]
Status = Literal["active", "disabled"]
ALL_EVENTS = "The types of events to send; null means all."
ALL_BOARDS = "The leaderboards to send events of, existing or not; null means all."


class WebhookBody(Written):
    url: Url
    events: Events | None = Field(default=None, description=ALL_EVENTS, json_schema_extra={"default": None})
    leaderboard_ids: Boards | None = Field(
        default=None, description=ALL_BOARDS, json_schema_extra={"default": None}
    )
    description: Description = ""
    status: Status = "active"

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return check_url(value)


class WebhookPatch(Written):
    url: Url | None = None
    events: Events | None = Field(default=None, description=ALL_EVENTS)
    leaderboard_ids: Boards | None = Field(default=None, description=ALL_BOARDS)
    description: Description | None = None
    status: Status | None = None

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        return value if value is None else check_url(value)


class ReplayBody(Written):
    state: Literal["failed"]


PREVIOUS_S = 86_400  # how long the secret before signs too: time to take the new one everywhere


class RotateBody(Written):
    previous_valid_seconds: Annotated[int, Field(ge=0, le=7 * 86_400)] = Field(
        default=PREVIOUS_S, description="How long requests are signed with the previous secret too."
    )
