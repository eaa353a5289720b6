"""Webhooks for the fake service: the real reader, on documents in a dictionary."""

from __future__ import annotations

import secrets
from typing import Any

import msgpack

from lbactors.documents.events import Event, event_body
from lbactors.documents.webhooks import (
    Answer,
    Delivery,
    Webhook,
    WebhookBody,
    WebhookPatch,
    delivery_id,
    delivery_json,
    pack_delivery,
    pack_webhook,
    unpack_webhook,
    webhook_json,
)
from lbactors.service.webhook_reader import WebhookReader


class Documents:
    """The part of a store that readers need."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, bytes]] = {"webhooks": {}, "deliveries": {}}

    async def get(self, collection: str, doc_ids: list[str]) -> list[bytes | None]:
        return [self.of[collection].get(doc_id) for doc_id in doc_ids]

    async def scan(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 0
    ) -> list[tuple[str, bytes]]:
        found = sorted(i for i in self.of[collection].items() if i[0].startswith(prefix) and i[0] > after)
        return found[: limit or None]


class FakeWebhooks(WebhookReader):
    """`add` makes a webhook known at once, `deliver` a delivery."""

    def __init__(self, now_ms: int) -> None:
        self.documents = Documents()
        super().__init__(self.documents)  # type: ignore[arg-type]
        self.now_ms = now_ms

    def add(self, tenant_id: str, webhook_id: str = "", **fields: Any) -> Webhook:
        body = WebhookBody.model_validate(fields)
        webhook_id = webhook_id or f"wh_{secrets.token_hex(4)}"
        made = Webhook(
            tenant_id,
            webhook_id,
            body.url,
            None if body.events is None else list(body.events),
            body.leaderboard_ids,
            body.description,
            body.status,
            None,
            "whsec_c2VjcmV0",
            None,
            0,
            self.now_ms,
            self.now_ms,
        )
        return self._put(made)

    def _put(self, webhook: Webhook) -> Webhook:
        self.documents.of["webhooks"][webhook.listener] = pack_webhook(webhook)
        return webhook

    def stored(self, tenant_id: str, webhook_id: str) -> Webhook:
        return unpack_webhook(self.documents.of["webhooks"][f"{tenant_id}/{webhook_id}"])

    def deliver(self, webhook: Webhook, number: int, state: str = "p", **fields: Any) -> str:
        """A delivery in a state (p, d, f); its id."""
        event = Event(f"evt_{number}", "period.opened", self.now_ms, webhook.tenant_id, "xp", {"n": number})
        head = Delivery(event.event_id, event.type, webhook.tenant_id, "xp", self.now_ms, self.now_ms)
        name = delivery_id(1, number)
        documents = self.documents.of["deliveries"]
        documents[f"{state}/{webhook.listener}/{name}"] = pack_delivery(head._replace(**fields))
        documents[f"b/{webhook.listener}/{name}"] = msgpack.packb(event_body(event))
        return name

    def answered(self, status: int | None, error: str | None) -> Answer:
        return Answer(self.now_ms, status, error, 12)

    # What the supervisor does -----------------------------------------------------------------------------

    def create(self, tenant_id: str, webhook: Any) -> dict[str, Any]:
        made = self.add(tenant_id, **webhook)
        return {**webhook_json(made), "secret": made.secret}

    def patch(self, tenant_id: str, webhook_id: str, patch: Any) -> dict[str, Any]:
        body = WebhookPatch.model_validate(patch)
        fields = {field: getattr(body, field) for field in body.model_fields_set}
        return webhook_json(self._put(self.stored(tenant_id, webhook_id)._replace(**fields)))

    def delete(self, tenant_id: str, webhook_id: str) -> dict[str, Any]:
        found = self.stored(tenant_id, webhook_id)
        del self.documents.of["webhooks"][found.listener]
        return webhook_json(found)

    def pending(self, tenant_id: str, webhook_id: str, name: str) -> dict[str, Any]:
        found = self.stored(tenant_id, webhook_id)
        head = Delivery("evt_1", "period.opened", found.tenant_id, "xp", self.now_ms, self.now_ms)
        return delivery_json(name, "pending", head)
