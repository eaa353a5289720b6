"""Webhooks and their deliveries, as methods of the client: part of `lbactors.client.Client`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbactors.client.transport import Transport, segment

Json = dict[str, Any]


class WebhookMethods(Transport):
    """See `Client`."""

    async def list_webhooks(self, **params: Any) -> Json:
        """params: limit, cursor."""
        return await self._json("GET", "/v1/webhooks", params=params)

    async def webhook(self, webhook_id: str) -> Json:
        """One, without its secret."""
        return await self._json("GET", _path(webhook_id))

    async def create_webhook(self, webhook: Mapping[str, Any]) -> Json:
        """`{"url", "events"?, "leaderboard_ids"?, "description"?, "status"?}`; the answer holds the secret.

        made = await client.create_webhook({"url": "https://x.example/hook", "events": ["period.closed"]})
        """
        return dict(await self.command("/v1/webhooks", webhook))

    async def update_webhook(self, webhook_id: str, changes: Mapping[str, Any]) -> Json:
        return await self._json("PATCH", _path(webhook_id), body=changes)

    async def delete_webhook(self, webhook_id: str) -> Json:
        """With its deliveries."""
        return await self._json("DELETE", _path(webhook_id))

    async def rotate_webhook_secret(
        self, webhook_id: str, *, previous_valid_seconds: int | None = None
    ) -> Json:
        """A new secret, in the answer; the one before signs too for a day, or as long as is said."""
        body = {} if previous_valid_seconds is None else {"previous_valid_seconds": previous_valid_seconds}
        return dict(await self.command(f"{_path(webhook_id)}/rotate-secret", body))

    async def test_webhook(self, webhook_id: str) -> Json:
        """Send an event `webhook.test`; the answer is its delivery, which is on its way."""
        return dict(await self.command(f"{_path(webhook_id)}/test", {}))

    async def list_deliveries(self, webhook_id: str, **params: Any) -> Json:
        """Newest first. params: state (pending, delivered, failed), limit, cursor."""
        return await self._json("GET", f"{_path(webhook_id)}/deliveries", params=params)

    async def delivery(self, webhook_id: str, delivery_id: str) -> Json:
        """One delivery, with its body and its last answer."""
        return await self._json("GET", f"{_path(webhook_id)}/deliveries/{segment(delivery_id)}")

    async def replay_delivery(self, webhook_id: str, delivery_id: str) -> Json:
        """Send one again, under the event id that it had."""
        return dict(await self.command(f"{_path(webhook_id)}/deliveries/{segment(delivery_id)}/replay", {}))

    async def replay_failed_deliveries(self, webhook_id: str) -> Json:
        """Send all failed ones again, in order: `{"replayed", "remaining"}`."""
        return dict(await self.command(f"{_path(webhook_id)}/deliveries/replay", {"state": "failed"}))


def _path(webhook_id: str) -> str:
    return f"/v1/webhooks/{segment(webhook_id)}"
