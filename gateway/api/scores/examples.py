"""Example documents of scores."""

from __future__ import annotations

from typing import Any

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
