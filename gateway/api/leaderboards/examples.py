"""Example documents of leaderboards."""

from __future__ import annotations

from typing import Any

DEFINITION: dict[str, Any] = {
    "leaderboard_id": "xp-weekly-global",
    "name": "Global Weekly XP",
    "timeframe": {"type": "weekly", "timezone": "Europe/Rome", "reset_day": "monday", "reset_time": "00:00"},
    "windows": ["daily", "all_time"],
    "scoring": {"aggregation": "best", "score_min": 0, "score_max": 1_000_000},
    "ranking": {"order": "desc", "rank_style": "ordinal", "max_entries": 100_000},
}
DEFINITION_PATCH = {"name": "Global Weekly XP (season 2)", "ranking": {"max_entries": 200_000}}
DEFINITION_WITH_REWARDS: dict[str, Any] = {
    "leaderboard_id": "xp-with-rewards",
    "timeframe": {"type": "weekly"},
    "rewards": {
        "tiers": [
            {"name": "champion", "rank_from": 1, "rank_to": 1, "payload": {"gems": 1000}},
            {"name": "half", "top_percent": 50, "payload": {"gems": 10}},
        ]
    },
}
DEFINITION_WITH_PRESENTATION: dict[str, Any] = {
    "leaderboard_id": "weekly-cup",
    "name": "Weekly cup",
    "ranking": {"positive_only": True, "top_only": 1000},
    "display": {
        "columns": [{"column": "rank", "order": 1}, {"column": "score", "visible": True, "order": 2}],
        "score_label": "Points",
        "top_n": 100,
    },
    "translations": {"it": {"name": "Coppa settimanale", "score_label": "Punti"}},
    "display_order": 10,
    "public": False,
}
