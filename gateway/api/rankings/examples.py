"""Example documents of rankings."""

from __future__ import annotations

from typing import Any

from gateway.http.examples import ENTRY, PAGE_PERIOD

HEAD: dict[str, Any] = {
    "leaderboard_id": "xp-weekly-global",
    "period": PAGE_PERIOD,
    "total": 1250,
    "as_of_seq": 88124,
}
PAGE: dict[str, Any] = {**HEAD, "entries": [ENTRY], "next_cursor": "lqFy…", "prev_cursor": None}
PLAYER_ENTRY: dict[str, Any] = {**HEAD, **ENTRY, "percentile": 99.9}
LOOKUP = {"player_ids": ["p1", "p2", "p3"]}
LOOKUP_ANSWER: dict[str, Any] = {**HEAD, "entries": [{"position": 1, **ENTRY}], "not_found": ["p2", "p3"]}
DISTRIBUTION: dict[str, Any] = {
    "total": 3,
    "min": 10,
    "max": 30,
    "mean": 20,
    "quantiles": {"p50": 20, "p90": 30, "p99": 30},
    "buckets": [{"from": 10, "to": 20, "count": 1}, {"from": 20, "to": 30, "count": 2}],
    "period": PAGE_PERIOD,
}
