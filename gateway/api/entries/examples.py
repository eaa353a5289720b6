"""Example documents of entries."""

from __future__ import annotations

from typing import Any

EDIT: dict[str, Any] = {"score": 5000, "reason": "score of a broken event"}
IMPORT: dict[str, Any] = {
    "entries": [
        {
            "player_id": "p1",
            "score": 5100,
            "subscore": 3,
            "metadata": {"level": 7},
            "submissions": 9,
            "first_at": "2026-11-16T09:00:00.000Z",
            "updated_at": "2026-11-18T11:00:00.000Z",
        }
    ],
}
IMPORTED: dict[str, Any] = {
    "period_key": "2026-W47",
    "imported": 1,
    "unchanged": 0,
    "dropped": 0,
    "rejected": 0,
    "errors": [],
}
