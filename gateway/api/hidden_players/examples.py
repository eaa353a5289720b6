"""Example documents of hidden players."""

from __future__ import annotations

from typing import Any

HIDE = {"until": "2030-01-01T00:00:00Z", "reason": "speed hack"}
HIDDEN: dict[str, Any] = {
    "player_id": "p1",
    "hidden": True,
    "until": "2030-01-01T00:00:00.000Z",
    "reason": "speed hack",
    "since": "2026-11-18T12:00:00.000Z",
}
SHOWN = {"hidden": False, "until": None, "reason": None, "since": None}
HIDDEN_LISTING: dict[str, Any] = {"items": [HIDDEN], "total": 1, "next_cursor": None}
