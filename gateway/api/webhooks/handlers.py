"""Webhooks and their deliveries: reads come from the store, writes go to the supervisor as they came.

A key that is bound to a player manages none: what is sent tells of all players.
"""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from gateway.http.call import Call
from gateway.http.listings import asked, listing, listing_of
from lbactors.documents.webhooks import Webhook, webhook_json
from lbactors.wire.commands import (
    CreateWebhook,
    DeleteWebhook,
    PatchWebhook,
    ReplayDeliveries,
    ReplayDelivery,
    RotateWebhookSecret,
    TestWebhook,
)


async def _webhook(call: Call) -> Webhook:
    """The webhook that the path names; 404 `webhook_not_found`."""
    return await call.service.webhooks.webhook(call.tenant_id, call.path["webhook_id"])


async def create(call: Call) -> web.Response:
    """`POST /v1/webhooks`."""
    webhook, idempotency = await call.document()
    answer = await call.admin(CreateWebhook(webhook=webhook), call.tenant_id, idempotency)
    location = f"/v1/webhooks/{quote(str(answer.body.get('webhook_id', '')), safe='')}"
    return call.admin_answer(answer, {"Location": location})


async def list_all(call: Call) -> web.Response:
    """`GET /v1/webhooks`."""
    found = await call.service.webhooks.webhooks(call.tenant_id)
    return listing_of(
        call, found, webhook_json, lambda w: (w.created_at_ms, w.webhook_id), "webhooks", call.tenant_id
    )


async def get(call: Call) -> web.Response:
    """`GET /v1/webhooks/{webhook_id}`."""
    return call.reading(webhook_json(await _webhook(call)))


async def patch(call: Call) -> web.Response:
    """`PATCH /v1/webhooks/{webhook_id}`."""
    webhook = await _webhook(call)
    changes, _ = await call.document()
    return call.admin_answer(
        await call.admin(PatchWebhook(webhook_id=webhook.webhook_id, patch=changes), call.tenant_id)
    )


async def delete(call: Call) -> web.Response:
    """`DELETE /v1/webhooks/{webhook_id}`."""
    webhook = await _webhook(call)
    return call.admin_answer(await call.admin(DeleteWebhook(webhook_id=webhook.webhook_id), call.tenant_id))


async def rotate(call: Call) -> web.Response:
    """`POST /v1/webhooks/{webhook_id}/rotate-secret`."""
    webhook = await _webhook(call)
    rotation, idempotency = await call.optional_document()
    return call.admin_answer(
        await call.admin(
            RotateWebhookSecret(webhook_id=webhook.webhook_id, rotation=rotation), call.tenant_id, idempotency
        )
    )


async def test(call: Call) -> web.Response:
    """`POST /v1/webhooks/{webhook_id}/test`."""
    webhook = await _webhook(call)
    idempotency = await call.empty_document()
    return call.admin_answer(
        await call.admin(TestWebhook(webhook_id=webhook.webhook_id), call.tenant_id, idempotency)
    )


# Deliveries -----------------------------------------------------------------------------------------------


async def list_deliveries(call: Call) -> web.Response:
    """`GET /v1/webhooks/{webhook_id}/deliveries`, newest first."""
    webhook = await _webhook(call)
    state = call.query["state"]
    filters = ("deliveries", webhook.webhook_id, state)
    after, offset, limit = asked(call, (str,), *filters)
    before = None if after is None else str(after[0])
    items, total, following = await call.service.webhooks.deliveries(webhook, state, offset, limit, before)
    return listing(call, items, total, None if following is None else (following,), *filters)


async def get_delivery(call: Call) -> web.Response:
    """`GET /v1/webhooks/{webhook_id}/deliveries/{delivery_id}`."""
    webhook = await _webhook(call)
    return call.reading(await call.service.webhooks.delivery(webhook, call.path["delivery_id"]))


async def replay_delivery(call: Call) -> web.Response:
    """`POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay`."""
    webhook = await _webhook(call)
    idempotency = await call.empty_document()
    return call.admin_answer(
        await call.admin(
            ReplayDelivery(webhook_id=webhook.webhook_id, delivery_id=call.path["delivery_id"]),
            call.tenant_id,
            idempotency,
        )
    )


async def replay_deliveries(call: Call) -> web.Response:
    """`POST /v1/webhooks/{webhook_id}/deliveries/replay`."""
    webhook = await _webhook(call)
    replay, idempotency = await call.document()
    return call.admin_answer(
        await call.admin(
            ReplayDeliveries(webhook_id=webhook.webhook_id, replay=replay), call.tenant_id, idempotency
        )
    )
