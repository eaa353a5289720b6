"""Webhooks and deliveries as readers of the API see them: read from the store, without the supervisor."""

from __future__ import annotations

from typing import Any

import msgpack
import orjson

from lbactors.core.errors import ApiError
from lbactors.core.ids import in_tenant
from lbactors.documents.storage_errors import storage_errors
from lbactors.documents.webhooks import (
    BODY,
    PENDING,
    STATES,
    Delivery,
    Webhook,
    delivery_json,
    unpack_delivery,
    unpack_webhook,
)
from persistence.store import Store, scan_pages

PAGE_DOCUMENTS = 2000
WORDS = {letter: word for word, letter in STATES.items()}
EVERY_STATE = (*STATES.values(), PENDING)  # that again, for what is replayed while the others are read


class WebhookReader:
    """All methods raise ApiError storage_unavailable where the store is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def webhooks(self, tenant_id: str) -> list[Webhook]:
        """A tenant's webhooks, oldest first."""
        found = [unpack_webhook(body) for _, body in await self._scan("webhooks", f"{tenant_id}/")]
        return sorted(found, key=lambda webhook: (webhook.created_at_ms, webhook.webhook_id))

    async def webhook(self, tenant_id: str, webhook_id: str) -> Webhook:
        """ApiError webhook_not_found."""
        (body,) = await self._get("webhooks", [in_tenant(tenant_id, webhook_id)])
        if body is None:
            raise ApiError("webhook_not_found", f"no webhook {webhook_id[:128]!r}")
        return unpack_webhook(body)

    async def deliveries(
        self, webhook: Webhook, state: str | None, offset: int, limit: int, before: str | None = None
    ) -> tuple[list[dict[str, Any]], int, str | None]:
        """Deliveries of a state (None: any), newest first; how many there are; the id of the last one if more
        follow. before: only those with a lower id.
        """
        letter_of: dict[str, str] = {}  # a delivery that takes another state meanwhile is listed once
        with storage_errors():
            for letter in EVERY_STATE if state is None else (STATES[state],):
                prefix = f"{letter}/{webhook.listener}/"
                pages = scan_pages(self._store, "deliveries", prefix=prefix, page=PAGE_DOCUMENTS)
                letter_of |= {i.removeprefix(prefix): letter async for rows in pages for i, _ in rows}
        ids = sorted(letter_of.items(), reverse=True)
        rest = ids if before is None else [found for found in ids if found[0] < before]
        shown = rest[offset : offset + limit]
        names = [f"{letter}/{webhook.listener}/{name}" for name, letter in shown]
        items: list[dict[str, Any]] = []
        for (name, letter), body in zip(shown, await self._get("deliveries", names), strict=True):
            if body is None:  # it has another state by now
                found = await self._head(webhook, name)
                if found is not None:
                    items.append(delivery_json(name, *found))
            else:
                items.append(delivery_json(name, WORDS[letter], unpack_delivery(body)))
        return items, len(ids), shown[-1][0] if offset + len(shown) < len(rest) and shown else None

    async def delivery(self, webhook: Webhook, delivery_id: str) -> dict[str, Any]:
        """One, with the body that is sent. ApiError delivery_not_found."""
        found = await self._head(webhook, delivery_id)
        (body,) = await self._get("deliveries", [f"{BODY}/{webhook.listener}/{delivery_id}"])
        if found is None or body is None:
            raise ApiError("delivery_not_found", f"no delivery {delivery_id[:128]!r}")
        return {
            **delivery_json(delivery_id, *found),
            "body": orjson.loads(msgpack.unpackb(body)),
        }

    async def _head(self, webhook: Webhook, name: str) -> tuple[str, Delivery] | None:
        """State and head of a delivery, whatever its state; a pending one that was replayed goes first."""
        letters = (PENDING, *(letter for letter in STATES.values() if letter != PENDING))
        bodies = await self._get("deliveries", [f"{letter}/{webhook.listener}/{name}" for letter in letters])
        for letter, body in zip(letters, bodies, strict=True):
            if body is not None:
                return WORDS[letter], unpack_delivery(body)
        return None

    async def _get(self, collection: str, doc_ids: list[str]) -> list[bytes | None]:
        with storage_errors():
            return await self._store.get(collection, doc_ids)

    async def _scan(self, collection: str, prefix: str) -> list[tuple[str, bytes]]:
        with storage_errors():
            return await self._store.scan(collection, prefix=prefix)
