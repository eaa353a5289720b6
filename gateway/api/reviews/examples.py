"""Example documents of reviews."""

from __future__ import annotations

from typing import Any

HELD: dict[str, Any] = {
    "held_id": "h_5f0c2a1b9d8e7f6a5b4c3d2e",
    "leaderboard_id": "xp-weekly-global",
    "state": "held",
    "player_id": "p1",
    "score": 999_000,
    "subscore": 0,
    "metadata": {"level": 7, "seconds": 12},
    "submission_id": "m-77:p1",
    "occurred_at": None,
    "aggregation": None,
    "arrived_at": "2026-11-18T12:00:00.000Z",
    "plugin": "plausible_scores",
    "reason": "83250 points a second",
    "key_id": "k_0123456789abcdef",
    "note": None,
}
