"""Routes of webhooks and of their deliveries."""

from __future__ import annotations

from gateway.api.webhooks import examples as example
from gateway.api.webhooks import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import choice, text
from gateway.http.shared_parameters import Shared
from lbactors.documents.webhooks import STATES

ONE = "/v1/webhooks/{webhook_id}"


def routes(s: Shared) -> tuple[Route, ...]:
    """Webhooks, deliveries."""
    write, missing = ("leaderboards:write",), ("webhook_not_found",)
    own = text("webhook_id", "Id of a webhook.", "path")
    delivery = text("delivery_id", "Id of a delivery.", "path")
    paging = (s.limit, s.offset, s.cursor, s.if_none_match)
    again = ("webhook_not_found", "overloaded", "idempotency_conflict")
    return (
        Route(
            "POST",
            "/v1/webhooks",
            handlers.create,
            "webhooks_create",
            "Webhooks",
            "Create a webhook",
            Answer(201, "Created. The secret is shown here.", "NewWebhook", headers=("Location",)),
            "Events from now on are sent to its URL, signed with its secret, until each is confirmed with a "
            "2xx. At most 20 in a tenant.",
            scopes=write,
            parameters=(s.idempotency_key,),
            body=Body("WebhookInput", example.WEBHOOK),
            codes=("webhook_limit", "idempotency_conflict"),
            logged=True,
        ),
        Route(
            "GET",
            "/v1/webhooks",
            handlers.list_all,
            "webhooks_list_all",
            "Webhooks",
            "List webhooks",
            Answer(200, "A page of webhooks, oldest first.", "WebhookListing"),
            scopes=write,
            parameters=paging,
            etag=True,
        ),
        Route(
            "GET",
            ONE,
            handlers.get,
            "webhooks_get",
            "Webhooks",
            "Read a webhook",
            Answer(200, "The webhook, without its secret.", "Webhook"),
            scopes=write,
            parameters=(own, s.if_none_match),
            codes=missing,
            etag=True,
        ),
        Route(
            "PATCH",
            ONE,
            handlers.patch,
            "webhooks_patch",
            "Webhooks",
            "Change, disable or enable a webhook",
            Answer(200, "The webhook.", "Webhook"),
            "Where URL or status changed, what is pending is tried at once.",
            scopes=write,
            parameters=(own,),
            body=Body("WebhookPatch", example.WEBHOOK_PATCH),
            codes=missing,
            logged=True,
        ),
        Route(
            "DELETE",
            ONE,
            handlers.delete,
            "webhooks_delete",
            "Webhooks",
            "Delete a webhook",
            Answer(200, "The webhook as it was.", "Webhook"),
            "Its deliveries go with it.",
            scopes=write,
            parameters=(own,),
            codes=missing,
            logged=True,
        ),
        Route(
            "POST",
            f"{ONE}/rotate-secret",
            handlers.rotate,
            "webhooks_rotate",
            "Webhooks",
            "Give a webhook a new secret",
            Answer(200, "The webhook, with the new secret.", "NewWebhook"),
            "For a while the secret before signs too, so that a receiver has time to take the new one.",
            scopes=write,
            parameters=(own, s.idempotency_key),
            body=Body("SecretRotation", {"previous_valid_seconds": 3600}, required=False),
            codes=("webhook_not_found", "idempotency_conflict"),
            logged=True,
        ),
        Route(
            "POST",
            f"{ONE}/test",
            handlers.test,
            "webhooks_test",
            "Webhooks",
            "Send a test event",
            Answer(202, "The delivery, which is on its way.", "Delivery"),
            "Of the type `webhook.test`, whatever events the webhook asks for.",
            scopes=write,
            parameters=(own, s.idempotency_key),
            body=Body("Empty", {}, required=False),
            codes=("webhook_disabled", *again),
            logged=True,
        ),
        Route(
            "GET",
            f"{ONE}/deliveries",
            handlers.list_deliveries,
            "webhooks_list_deliveries",
            "Webhooks",
            "List deliveries",
            Answer(200, "A page of deliveries, newest first, without bodies.", "DeliveryListing"),
            "Confirmed and failed ones are kept for `--webhook-keep-seconds`, of the confirmed ones at most "
            "the last 10 000.",
            scopes=write,
            parameters=(own, choice("state", "Only in this state.", tuple(STATES), None), *paging),
            codes=missing,
            etag=True,
        ),
        Route(
            "GET",
            f"{ONE}/deliveries/{{delivery_id}}",
            handlers.get_delivery,
            "webhooks_get_delivery",
            "Webhooks",
            "Read a delivery",
            Answer(200, "The delivery, with its body.", "DeliveryWithBody"),
            scopes=write,
            parameters=(own, delivery, s.if_none_match),
            codes=("webhook_not_found", "delivery_not_found"),
            etag=True,
        ),
        Route(
            "POST",
            f"{ONE}/deliveries/replay",
            handlers.replay_deliveries,
            "webhooks_replay_deliveries",
            "Webhooks",
            "Send failed deliveries again",
            Answer(202, "How many.", "Replayed", {"replayed": 12, "remaining": 0}),
            "In their order, each under the event id that it had, as many as may be pending.",
            scopes=write,
            parameters=(own, s.idempotency_key),
            body=Body("ReplayInput", {"state": "failed"}),
            codes=("webhook_not_found", "idempotency_conflict"),
            logged=True,
        ),
        Route(
            "POST",
            f"{ONE}/deliveries/{{delivery_id}}/replay",
            handlers.replay_delivery,
            "webhooks_replay_delivery",
            "Webhooks",
            "Send a delivery again",
            Answer(202, "The delivery, which is on its way.", "Delivery"),
            "Of any state, under the event id that it had. One that is pending is tried at once.",
            scopes=write,
            parameters=(own, delivery, s.idempotency_key),
            body=Body("Empty", {}, required=False),
            codes=("delivery_not_found", *again),
            logged=True,
        ),
    )
