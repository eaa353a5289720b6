"""Example documents of keys."""

from __future__ import annotations

from typing import Any

KEY: dict[str, Any] = {"name": "game server", "scopes": ["scores:write", "rankings:read"]}
KEY_PATCH = {"status": "disabled"}
