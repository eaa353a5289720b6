"""Rewards of closed periods, as methods of the client: part of `lbactors.client.Client`."""

from __future__ import annotations

from typing import Any

from lbactors.client.transport import Transport, segment

Json = dict[str, Any]


class RewardMethods(Transport):
    """See `Client`."""

    async def rewards(self, leaderboard_id: str, period_key: str, **params: Any) -> Json:
        """What players won in a period, best rank first: `{"state", "tiers", "items", "next_cursor", …}`.

        page = await client.rewards("xp", "previous", claimed=False)

        params: window, player_id, tier, claimed, limit, cursor. A period that is not closed answers with the
        state `pending` and no items.
        """
        return await self._json("GET", _path(leaderboard_id, period_key), params=params)

    async def reward(
        self, leaderboard_id: str, period_key: str, player_id: str, *, window: str | None = None
    ) -> Json:
        """What one player won; ApiError `reward_not_found`, `rewards_pending` (not yet known)."""
        path = f"{_path(leaderboard_id, period_key)}/{segment(player_id)}"
        return await self._json("GET", path, params={"window": window})

    async def claim_reward(
        self,
        leaderboard_id: str,
        period_key: str,
        player_id: str,
        *,
        claim_id: str | None = None,
        window: str | None = None,
    ) -> Json:
        """Note that a player took what it won. Repeating it is harmless: the first claim's answer stands.

        won = await client.claim_reward("xp", "previous", "maya", claim_id="tx-9")
        if won["claim_id"] == "tx-9": …  # this claim was the first

        """
        path = f"{_path(leaderboard_id, period_key)}/{segment(player_id)}/claim"
        body = {} if claim_id is None else {"claim_id": claim_id}
        return await self._json("POST", path, params={"window": window}, body=body)

    async def player_rewards(self, player_id: str, **params: Any) -> Json:
        """What a player won on all leaderboards, newest first. params: claimed, limit, cursor."""
        return await self._json("GET", f"/v1/players/{segment(player_id)}/rewards", params=params)


def _path(leaderboard_id: str, period_key: str) -> str:
    return f"/v1/leaderboards/{segment(leaderboard_id)}/periods/{segment(period_key)}/rewards"
