"""What moderators do, as methods of the client: part of `lbactors.client.Client`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lbactors.client.transport import Transport, segment

Json = dict[str, Any]


class HiddenPlayers(Transport):
    """See `Client`."""

    async def hide_player(
        self, player_id: str, *, until: str | datetime | None = None, reason: str | None = None
    ) -> Json:
        """Take a player out of all rankings until an instant, or for good; entries are kept."""
        given = {"until": until, "reason": reason}
        body = {name: value for name, value in given.items() if value is not None}
        return dict(await self.command(f"/v1/players/{segment(player_id)}/hide", body))

    async def unhide_player(self, player_id: str, *, reason: str | None = None) -> Json:
        """Put a hidden player back to his places."""
        body = {} if reason is None else {"reason": reason}
        return dict(await self.command(f"/v1/players/{segment(player_id)}/unhide", body))

    async def hidden_players(self, **params: Any) -> Json:
        """params: limit, offset, cursor."""
        return await self._json("GET", "/v1/hidden-players", params=params)

    async def edit_entry(
        self,
        leaderboard_id: str,
        player_id: str,
        changes: Mapping[str, Any],
        *,
        reason: str,
        window: str | None = None,
    ) -> Json:
        """Set the entry of the current periods: `{"score", "subscore"?, "metadata"?}`."""
        path = f"/v1/leaderboards/{segment(leaderboard_id)}/players/{segment(player_id)}"
        body = {**changes, "reason": reason}
        return await self._json("PATCH", path, body=body, params={"window": window})

    async def restore_entry(
        self,
        leaderboard_id: str,
        player_id: str,
        *,
        reason: str | None = None,
        window: str | None = None,
    ) -> Json:
        """Put back what was removed last; ApiError `entry_exists`, `entry_not_found`."""
        path = f"/v1/leaderboards/{segment(leaderboard_id)}/players/{segment(player_id)}/restore"
        body = {} if reason is None else {"reason": reason}
        return dict(await self.command(path, body, {"window": window}))

    async def audit(self, **params: Any) -> Json:
        """The audit log, newest first. params: act, target, player_id, since, until, limit, cursor."""
        return await self._json("GET", "/v1/audit", params=params)
