"""Example documents of events."""

from __future__ import annotations

from typing import Any

EVENT: dict[str, Any] = {
    "event_id": "match-77:p1",
    "event_type": "match.won",
    "player_id": "p1",
    "occurred_at": "2026-11-18T12:00:00Z",
    "attrs": {"kills": 7, "mode": "ranked"},
    "actor": {"metadata": {"region": "eu"}},
}
EVENTS: dict[str, Any] = {"events": [EVENT]}
EVENTS_OUTCOME: dict[str, Any] = {"accepted": 1, "duplicates": 0, "rejected": 0, "errors": [], "behind": []}
TEST: dict[str, Any] = {"event": EVENT}
TESTED: dict[str, Any] = {
    "matched": True,
    "points": 70,
    "filters": {"matched": True, "why": "all of them hold"},
    "rules": [
        {"index": 0, "matched": True, "points": 70, "why": "it gives 70"},
        {
            "index": 1,
            "matched": False,
            "points": None,
            "why": "event_type is 'match.won', and must be 'match.lost'",
        },
    ],
}
