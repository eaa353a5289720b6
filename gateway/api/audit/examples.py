"""Example documents of audit."""

from __future__ import annotations

from typing import Any

AUDIT: dict[str, Any] = {
    "items": [
        {
            "audit_id": "aud_1795003200000000",
            "at": "2026-11-18T12:00:00.000Z",
            "act": "leaderboard.update",
            "target": "xp-weekly-global",
            "player_id": None,
            "reason": None,
            "key_id": "k_5f0c2b9a41d7e836",
            "key_name": "root",
            "request_id": "8c4f5e0d",
            "details": {"fields": ["name", "ranking"]},
        }
    ],
    "total": 1,
    "next_cursor": None,
}
