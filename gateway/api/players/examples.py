"""Example documents of players."""

from __future__ import annotations

from typing import Any

PROFILE: dict[str, Any] = {
    "display_name": "Maya",
    "avatar_url": "https://example.com/maya.png",
    "attributes": {"country": "IT"},
    "roles": [],
    "tags": ["beta"],
    "timezone": "Europe/Rome",
    "test": False,
    "external_id": "crm-1042",
}
PROFILE_PATCH: dict[str, Any] = {"display_name": "Maya the Great", "attributes": {"level": 7}}
LISTING: dict[str, Any] = {
    "items": [
        {
            "player_id": "p1",
            **PROFILE,
            "hidden_until": None,
            "updated_at": "2026-11-18T12:00:00.000Z",
            "version": "5f1c0b8e2a7d4c9e61",
        }
    ],
    "total": 1,
    "next_cursor": None,
}
