"""What moderators do, as methods of the client: part of `lbactors.client.Client`."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class Moderation:
    """See `Client`."""

    async def _json(self, method: str, path: str, **more: Any) -> Json:
        """Of the client that this is a part of."""
        raise NotImplementedError

    async def audit(self, **params: Any) -> Json:
        """The audit log, newest first. params: act, target, player_id, since, until, limit, cursor."""
        return await self._json("GET", "/v1/audit", params=params)
