"""Example documents that several resources show. Their own stand beside their routes.

A test holds every example against its schema.
"""

from __future__ import annotations

from typing import Any

OUTCOME: dict[str, Any] = {
    "period_key": "2026-W47",
    "player_id": "p1",
    "applied": True,
    "score": 5100,
    "subscore": 3,
    "previous_score": 4900,
    "rank": 12,
    "previous_rank": 15,
    "seq": 88124,
}
PAGE_PERIOD: dict[str, Any] = {
    "period_key": "2026-W47",
    "window": "main",
    "state": "active",
    "starts_at": "2026-11-15T23:00:00.000Z",
    "ends_at": "2026-11-22T23:00:00.000Z",
}
ENTRY: dict[str, Any] = {
    "rank": 1,
    "player_id": "p1",
    "display_name": "Maya",
    "score": 5100,
    "subscore": 3,
    "metadata": {"level": 7},
    "submissions": 9,
    "first_at": "2026-11-16T08:00:00.000Z",
    "updated_at": "2026-11-18T12:00:00.000Z",
    "change": "up",
}
