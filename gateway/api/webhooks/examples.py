"""Example documents of webhooks."""

from __future__ import annotations

from typing import Any

WEBHOOK: dict[str, Any] = {
    "url": "https://game.example.com/hooks/leaderboards",
    "events": ["period.closed", "reward.granted"],
    "leaderboard_ids": ["xp-weekly-global"],
    "description": "Mails the winners.",
}
WEBHOOK_PATCH = {"status": "disabled"}
