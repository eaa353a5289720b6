"""Example documents of the OpenAPI description. A test holds every one of them against its schema."""

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

SUBMISSION: dict[str, Any] = {
    "player_id": "p1",
    "score": 5100,
    "subscore": 3,
    "metadata": {"level": 7},
    "submission_id": "m-77:p1",
}
SUBMISSIONS = [SUBMISSION, {"player_id": "p2", "score": 4800}]
SUBMISSIONS_OBJECT = {"submissions": SUBMISSIONS}
SUBMISSIONS_TO_BOARDS = [
    {"leaderboard_id": "xp-weekly-global", "player_id": "p1", "score": 5100},
    {"leaderboard_id": "deaths", "player_id": "p1", "score": 2},
]

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
BATCH_OUTCOME: dict[str, Any] = {
    "accepted": 1,
    "rejected": 1,
    "errors": [
        {
            "index": 1,
            "code": "validation_failed",
            "message": "body.1.score: must be finite",
            "details": [{"loc": ["body", 1, "score"], "msg": "must be finite"}],
        }
    ],
    "results": [],
}

HELD: dict[str, Any] = {
    "held_id": "h_5f0c2a1b9d8e7f6a5b4c3d2e",
    "leaderboard_id": "xp-weekly-global",
    "state": "held",
    "player_id": "p1",
    "score": 999_000,
    "subscore": 0,
    "metadata": {"level": 7, "seconds": 12},
    "submission_id": "m-77:p1",
    "occurred_at": None,
    "aggregation": None,
    "arrived_at": "2026-11-18T12:00:00.000Z",
    "plugin": "plausible-scores",
    "reason": "83250 points a second",
    "key_id": "k_0123456789abcdef",
    "note": None,
}
HELD_OUTCOME: dict[str, Any] = {
    "period_key": None,
    "player_id": "p1",
    "applied": False,
    "score": None,
    "subscore": None,
    "previous_score": None,
    "rank": None,
    "previous_rank": None,
    "seq": None,
    "held": True,
    "held_id": "h_5f0c2a1b9d8e7f6a5b4c3d2e",
}

PAGE_PERIOD: dict[str, Any] = {
    "period_key": "2026-W47",
    "window": "main",
    "state": "active",
    "starts_at": "2026-11-15T23:00:00.000Z",
    "ends_at": "2026-11-22T23:00:00.000Z",
}
PERIOD: dict[str, Any] = {
    **PAGE_PERIOD,
    "next_starts_at": "2026-11-22T23:00:00.000Z",
    "entries": 1250,
    "submissions": 88123,
}
PERIOD_INPUT = {
    "period_key": "cup-final",
    "starts_at": "2026-12-01T18:00:00Z",
    "ends_at": "2026-12-01T20:00:00Z",
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

REWARD_TIER: dict[str, Any] = {
    "name": "champion",
    "rank_from": 1,
    "rank_to": 1,
    "top_percent": None,
    "score_threshold": None,
    "payload": {"gems": 500},
}
_WON: dict[str, Any] = {
    "player_id": "p1",
    "rank": 1,
    "score": 5100,
    "rewards": [{"tier": "champion", "payload": {"gems": 500}}],
    "claimed": True,
    "claimed_at": "2026-11-23T08:00:00.000Z",
    "claim_id": "tx-9",
}
_REWARDED: dict[str, Any] = {
    "leaderboard_id": "xp-weekly-global",
    "period": {**PAGE_PERIOD, "state": "closed"},
    "granted_at": "2026-11-22T23:00:06.000Z",
    "expires_at": "2027-02-20T23:00:06.000Z",
}
REWARD: dict[str, Any] = {**_REWARDED, **_WON}
REWARD_PAGE: dict[str, Any] = {
    **_REWARDED,
    "state": "granted",
    "grant": "first",
    "tiers": [{**REWARD_TIER, "winners": 1, "claimed": 1}],
    "winners": 1,
    "claimed": 1,
    "items": [{**_WON, "display_name": "Maya"}],
    "total": 1,
    "next_cursor": None,
}
CLAIM = {"claim_id": "tx-9"}

PROFILE: dict[str, Any] = {
    "display_name": "Maya",
    "avatar_url": "https://example.com/maya.png",
    "attributes": {"country": "IT"},
    "roles": [],
    "tags": ["beta"],
}
HIDE = {"until": "2026-12-01T00:00:00Z", "reason": "speed hack"}
HIDDEN: dict[str, Any] = {
    "player_id": "p1",
    "hidden": True,
    "until": "2026-12-01T00:00:00.000Z",
    "reason": "speed hack",
    "since": "2026-11-18T12:00:00.000Z",
}
SHOWN = {"hidden": False, "until": None, "reason": None, "since": None}
HIDDEN_LISTING: dict[str, Any] = {"items": [HIDDEN], "total": 1, "next_cursor": None}
EDIT: dict[str, Any] = {"score": 5000, "reason": "score of a broken event"}
AUDIT: dict[str, Any] = {
    "items": [
        {
            "audit_id": "aud_1795003200000000",
            "at": "2026-11-18T12:00:00.000Z",
            "act": "leaderboard.update",
            "target": "xp-weekly-global",
            "player_id": None,
            "reason": None,
            "key_id": "k_5f0c2b9a41d7e836",
            "key_name": "root",
            "request_id": "8c4f5e0d",
            "details": {"fields": ["name", "ranking"]},
        }
    ],
    "total": 1,
    "next_cursor": None,
}
TENANT = {"tenant_id": "studio-a", "name": "Studio A"}
TENANT_PATCH = {"status": "disabled"}
KEY: dict[str, Any] = {"name": "game server", "scopes": ["scores:write", "rankings:read"]}
KEY_PATCH = {"status": "disabled"}

WEBHOOK: dict[str, Any] = {
    "url": "https://game.example.com/hooks/leaderboards",
    "events": ["period.closed", "reward.granted"],
    "leaderboard_ids": ["xp-weekly-global"],
    "description": "Mails the winners.",
}
WEBHOOK_PATCH = {"status": "disabled"}
