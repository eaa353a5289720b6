"""Example documents of entries."""

from __future__ import annotations

from typing import Any

EDIT: dict[str, Any] = {"score": 5000, "reason": "score of a broken event"}
