"""Example documents of rewards."""

from __future__ import annotations

from typing import Any

from gateway.http.examples import PAGE_PERIOD

REWARD_TIER: dict[str, Any] = {
    "name": "champion",
    "rank_from": 1,
    "rank_to": 1,
    "top_percent": None,
    "score_threshold": None,
    "payload": {"gems": 500},
}
_WON: dict[str, Any] = {
    "player_id": "p1",
    "rank": 1,
    "score": 5100,
    "rewards": [{"tier": "champion", "payload": {"gems": 500}}],
    "claimed": True,
    "claimed_at": "2026-11-23T08:00:00.000Z",
    "claim_id": "tx-9",
}
_REWARDED: dict[str, Any] = {
    "leaderboard_id": "xp-weekly-global",
    "period": {**PAGE_PERIOD, "state": "closed"},
    "granted_at": "2026-11-22T23:00:06.000Z",
    "expires_at": "2027-02-20T23:00:06.000Z",
}
REWARD: dict[str, Any] = {**_REWARDED, **_WON}
REWARD_PAGE: dict[str, Any] = {
    **_REWARDED,
    "state": "granted",
    "grant": "first",
    "tiers": [{**REWARD_TIER, "winners": 1, "claimed": 1}],
    "winners": 1,
    "claimed": 1,
    "items": [{**_WON, "display_name": "Maya"}],
    "total": 1,
    "next_cursor": None,
}
CLAIM = {"claim_id": "tx-9"}
