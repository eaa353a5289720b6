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
    own = text("webhook_id", "Id of a webhook.", "path", example="wh_5f0c2b9a41d7e836")
    delivery = text("delivery_id", "Id of a delivery.", "path", example="dlv_00000100000007")
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
            Answer(
                201, "Created. The secret is shown only in this answer.", "NewWebhook", headers=("Location",)
            ),
            "From now on, events are sent to the URL, signed with the secret, until your server confirms "
            "each with a 2xx. A tenant can have at most 20 webhooks.",
            scopes=write,
            parameters=(s.idempotency_key,),
            body=Body("WebhookInput", example.WEBHOOK),
            codes=("webhook_limit", "idempotency_conflict"),
            logged=True,
            python="create_webhook(body)",
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
            python="list_webhooks()",
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
            python="webhook(webhook_id)",
        ),
        Route(
            "PATCH",
            ONE,
            handlers.patch,
            "webhooks_patch",
            "Webhooks",
            "Change a webhook",
            Answer(200, "The webhook.", "Webhook"),
            "If the URL or the status changes, pending deliveries are tried at once.",
            scopes=write,
            parameters=(own,),
            body=Body("WebhookPatch", example.WEBHOOK_PATCH),
            codes=missing,
            logged=True,
            python="update_webhook(webhook_id, body)",
        ),
        Route(
            "DELETE",
            ONE,
            handlers.delete,
            "webhooks_delete",
            "Webhooks",
            "Delete a webhook",
            Answer(200, "The deleted webhook.", "Webhook"),
            "Its deliveries are deleted too.",
            scopes=write,
            parameters=(own,),
            codes=missing,
            logged=True,
            python="delete_webhook(webhook_id)",
        ),
        Route(
            "POST",
            f"{ONE}/rotate-secret",
            handlers.rotate,
            "webhooks_rotate",
            "Webhooks",
            "Rotate a webhook's secret",
            Answer(200, "The webhook, with the new secret.", "NewWebhook"),
            "For a while, requests are signed with the previous secret too, so that you have time to "
            "switch your receivers.",
            scopes=write,
            parameters=(own, s.idempotency_key),
            body=Body("SecretRotation", {"previous_valid_seconds": 3600}, required=False),
            codes=("webhook_not_found", "idempotency_conflict"),
            logged=True,
            python="rotate_webhook_secret(webhook_id, previous_valid_seconds=)",
        ),
        Route(
            "POST",
            f"{ONE}/test",
            handlers.test,
            "webhooks_test",
            "Webhooks",
            "Send a test event",
            Answer(202, "The delivery, which is on its way.", "Delivery"),
            "Sends an event of type `webhook.test`, whichever events the webhook subscribes to.",
            scopes=write,
            parameters=(own, s.idempotency_key),
            body=Body("Empty", {}, required=False),
            codes=("webhook_disabled", *again),
            logged=True,
            python="test_webhook(webhook_id)",
        ),
        Route(
            "GET",
            f"{ONE}/deliveries",
            handlers.list_deliveries,
            "webhooks_list_deliveries",
            "Webhooks",
            "List deliveries",
            Answer(200, "A page of deliveries, newest first, without bodies.", "DeliveryListing"),
            "Finished deliveries are kept for `--webhook-keep-seconds`; of the confirmed ones, at most the "
            "last 10 000.",
            scopes=write,
            parameters=(own, choice("state", "Only in this state.", tuple(STATES), None), *paging),
            codes=missing,
            etag=True,
            python="list_deliveries(webhook_id, state=)",
            sample_query={"state": "failed"},
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
            python="delivery(webhook_id, delivery_id)",
        ),
        Route(
            "POST",
            f"{ONE}/deliveries/replay",
            handlers.replay_deliveries,
            "webhooks_replay_deliveries",
            "Webhooks",
            "Replay failed deliveries",
            Answer(202, "How many deliveries are sent again.", "Replayed", {"replayed": 12, "remaining": 0}),
            "Sends them in order, under the event ids that they had, as many as may be pending.",
            scopes=write,
            parameters=(own, s.idempotency_key),
            body=Body("ReplayInput", {"state": "failed"}),
            codes=("webhook_not_found", "idempotency_conflict"),
            logged=True,
            python="replay_failed_deliveries(webhook_id)",
        ),
        Route(
            "POST",
            f"{ONE}/deliveries/{{delivery_id}}/replay",
            handlers.replay_delivery,
            "webhooks_replay_delivery",
            "Webhooks",
            "Replay a delivery",
            Answer(202, "The delivery, which is on its way.", "Delivery"),
            "Sends a delivery in any state again, under the event id that it had. A pending one is tried "
            "at once.",
            scopes=write,
            parameters=(own, delivery, s.idempotency_key),
            body=Body("Empty", {}, required=False),
            codes=("delivery_not_found", *again),
            logged=True,
            python="replay_delivery(webhook_id, delivery_id)",
        ),
    )
