"""Example documents of periods."""

from __future__ import annotations

from typing import Any

from gateway.http.examples import PAGE_PERIOD

PERIOD: dict[str, Any] = {
    **PAGE_PERIOD,
    "next_starts_at": "2026-11-22T23:00:00.000Z",
    "entries": 1250,
    "submissions": 88123,
}
PERIOD_INPUT = {
    "period_key": "cup-final",
    "starts_at": "2030-06-01T18:00:00Z",
    "ends_at": "2030-06-01T20:00:00Z",
}
REBUILD = {"keep_rewards": True}
