"""Shapes of webhooks and of their deliveries."""

from __future__ import annotations

from gateway.http.model_shapes import model_shape
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    COUNT,
    INSTANT,
    OBJECT,
    STRING,
    Schema,
    answer,
    listing,
    or_null,
    said,
)
from lbactors.core.definition import LEADERBOARD_ID
from lbactors.documents.events import TEST, TYPES
from lbactors.documents.webhooks import STATES, ReplayBody, RotateBody, WebhookBody, WebhookPatch


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of webhooks and deliveries."""
    types: Schema = {"type": "array", "items": {"type": "string", "enum": list(TYPES)}}
    boards: Schema = {"type": "array", "items": {"type": "string", "pattern": LEADERBOARD_ID}}
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
        "WebhookInput": model_shape(WebhookBody),
        "WebhookPatch": model_shape(WebhookPatch, not_null=("url", "description", "status")),
        "Webhook": answer(shown),
        "NewWebhook": answer(
            {**shown, "secret": said(STRING, "`whsec_` and base64; what bodies are signed with.")}
        ),
        "WebhookListing": listing("Webhook"),
        "SecretRotation": model_shape(RotateBody),
        "Delivery": answer(delivery),
        "DeliveryWithBody": answer({**delivery, "body": said(OBJECT, "What is sent; docs/webhooks.md.")}),
        "DeliveryListing": listing("Delivery"),
        "ReplayInput": model_shape(ReplayBody),
        "Replayed": answer(
            {"replayed": COUNT, "remaining": said(COUNT, "For which there is no room among the pending.")}
        ),
    }
