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
        "events": or_null(types, "Null means all."),
        "leaderboard_ids": or_null(boards, "Null means all."),
        "description": STRING,
        "status": {"type": "string", "enum": ["active", "disabled"]},
        "disabled_reason": or_null(STRING, "Why the server disabled the webhook, if it did."),
        "created_at": said(INSTANT, "Events from this time on are sent."),
        "updated_at": INSTANT,
    }
    delivery: Schema = {
        "delivery_id": said(STRING, "Deliveries of a leaderboard are sent in the order of their ids."),
        "event_id": said(STRING, "The same for every attempt, and in the header `webhook-id`."),
        "type": {"type": "string", "enum": [*TYPES, TEST]},
        "leaderboard_id": or_null(STRING),
        "state": {"type": "string", "enum": list(STATES)},
        "occurred_at": INSTANT,
        "queued_at": said(INSTANT, "When it was queued, or last replayed."),
        "attempts": COUNT,
        "next_attempt_at": or_null(
            INSTANT, "The earliest time of the next attempt; null: as soon as it is its turn."
        ),
        "finished_at": or_null(INSTANT, "When it was confirmed or given up."),
        "last_answer": {
            "anyOf": [
                answer(
                    {
                        "at": INSTANT,
                        "status": or_null(
                            {"type": "integer"}, "The HTTP status; null if there was no response."
                        ),
                        "error": or_null(STRING, "Why the attempt failed; null if it was confirmed."),
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
            {
                **shown,
                "secret": said(STRING, "The key that requests are signed with: `whsec_` followed by base64."),
            }
        ),
        "WebhookListing": listing("Webhook"),
        "SecretRotation": model_shape(RotateBody),
        "Delivery": answer(delivery),
        "DeliveryWithBody": answer(
            {**delivery, "body": said(OBJECT, "The body that is sent (docs/webhooks.md).")}
        ),
        "DeliveryListing": listing("Delivery"),
        "ReplayInput": model_shape(ReplayBody),
        "Replayed": answer(
            {"replayed": COUNT, "remaining": said(COUNT, "How many more could not be queued yet.")}
        ),
    }
