"""Shapes of webhooks and of their deliveries."""

from __future__ import annotations

from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    COUNT,
    INSTANT,
    OBJECT,
    STRING,
    Schema,
    answer,
    closed,
    listing,
    or_null,
    said,
)
from lbactors.events import TEST, TYPES
from lbactors.model import LEADERBOARD_ID
from lbactors.webhook_documents import LONGEST_URL, MOST_BOARDS, STATES
from lbactors.webhooks import PREVIOUS_S


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of webhooks and deliveries."""
    types: Schema = {"type": "array", "items": {"type": "string", "enum": list(TYPES)}}
    boards: Schema = {"type": "array", "items": {"type": "string", "pattern": LEADERBOARD_ID}}
    written: Schema = {
        "url": said(
            {"type": "string", "minLength": 1, "maxLength": LONGEST_URL, "format": "webhook-url"},
            "http or https, without user, password and fragment. Redirects are not followed.",
        ),
        "events": or_null({**types, "minItems": 1, "maxItems": 32}, "Types of events; null: all."),
        "leaderboard_ids": or_null(
            {**boards, "minItems": 1, "maxItems": MOST_BOARDS}, "Leaderboards, existing or not; null: all."
        ),
        "description": {"type": "string", "maxLength": 2000},
        "status": {"type": "string", "enum": ["active", "disabled"]},
    }
    shown: Schema = {
        "webhook_id": STRING,
        "tenant_id": STRING,
        "url": STRING,
        "events": or_null(types, "null: all."),
        "leaderboard_ids": or_null(boards, "null: all."),
        "description": STRING,
        "status": {"type": "string", "enum": ["active", "disabled"]},
        "disabled_reason": or_null(STRING, "Why the server disabled it, if it did."),
        "created_at": said(INSTANT, "Events from then on are sent."),
        "updated_at": INSTANT,
    }
    delivery: Schema = {
        "delivery_id": said(STRING, "Deliveries of a leaderboard are sent in the order of their ids."),
        "event_id": said(STRING, "The same at every attempt, and in the header `webhook-id`."),
        "type": {"type": "string", "enum": [*TYPES, TEST]},
        "leaderboard_id": or_null(STRING),
        "state": {"type": "string", "enum": list(STATES)},
        "occurred_at": INSTANT,
        "queued_at": said(INSTANT, "Since when it has been tried; anew at a replay."),
        "attempts": COUNT,
        "next_attempt_at": or_null(INSTANT, "Not before; null: as soon as its turn comes."),
        "finished_at": or_null(INSTANT, "When it was confirmed or given up."),
        "last_answer": {
            "anyOf": [
                answer(
                    {
                        "at": INSTANT,
                        "status": or_null({"type": "integer"}, "Of HTTP; null without an answer."),
                        "error": or_null(STRING, "Why it is no confirmation; null for one."),
                        "duration_ms": COUNT,
                    }
                ),
                {"type": "null"},
            ]
        },
    }
    return {
        "WebhookInput": closed(
            {
                **written,
                "events": {**written["events"], "default": None},
                "leaderboard_ids": {**written["leaderboard_ids"], "default": None},
                "description": {**written["description"], "default": ""},
                "status": {**written["status"], "default": "active"},
            },
            ("url",),
        ),
        "WebhookPatch": closed(written),
        "Webhook": answer(shown),
        "NewWebhook": answer(
            {**shown, "secret": said(STRING, "`whsec_` and base64; what bodies are signed with.")}
        ),
        "WebhookListing": listing("Webhook"),
        "SecretRotation": closed(
            {
                "previous_valid_seconds": said(
                    {"type": "integer", "minimum": 0, "maximum": 7 * 86_400, "default": PREVIOUS_S},
                    "How long the secret before signs too.",
                )
            }
        ),
        "Delivery": answer(delivery),
        "DeliveryWithBody": answer({**delivery, "body": said(OBJECT, "What is sent; docs/webhooks.md.")}),
        "DeliveryListing": listing("Delivery"),
        "ReplayInput": closed({"state": {"type": "string", "enum": ["failed"]}}, ("state",)),
        "Replayed": answer(
            {"replayed": COUNT, "remaining": said(COUNT, "For which there is no room among the pending.")}
        ),
    }
