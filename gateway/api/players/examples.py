"""Example documents of players."""

from __future__ import annotations

from typing import Any

PROFILE: dict[str, Any] = {
    "display_name": "Maya",
    "avatar_url": "https://example.com/maya.png",
    "attributes": {"country": "IT"},
    "roles": [],
    "tags": ["beta"],
}
PROFILE_PATCH: dict[str, Any] = {"display_name": "Maya the Great", "attributes": {"level": 7}}
