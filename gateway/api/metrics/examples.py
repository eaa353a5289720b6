"""Example documents of metrics."""

from __future__ import annotations

from typing import Any

ROW: dict[str, Any] = {
    "player_id": "p1",
    "score": 50,
    "kind": "award",
    "metadata": {"quest": "dragon"},
    "submission_id": "quest-77:p1",
}
ROWS = [ROW, {"player_id": "p2", "score": 30, "kind": "deduct"}]
ROWS_OBJECT = {"submissions": ROWS}
ROW_OUTCOME: dict[str, Any] = {
    "transaction_id": "tx-1042",
    "seq": 1042,
    "balance": 250,
    "earned": 900,
    "duplicate": False,
    "behind": [],
}
ROWS_OUTCOME: dict[str, Any] = {
    "accepted": 1,
    "rejected": 1,
    "errors": [
        {
            "index": 1,
            "code": "insufficient_balance",
            "message": "player 'p2' has 20, which does not cover 30",
        }
    ],
    "results": [],
    "behind": [],
}
TRANSACTION: dict[str, Any] = {
    "transaction_id": "tx-1042",
    "seq": 1042,
    "player_id": "p1",
    "kind": "award",
    "state": "completed",
    "score": 50,
    "subscore": 0,
    "submission_id": "quest-77:p1",
    "metadata": {"quest": "dragon"},
    "occurred_at": None,
    "created_at": "2026-11-18T12:00:00.000Z",
    "settled_at": None,
}
SETTLED: dict[str, Any] = {
    **TRANSACTION,
    "settled_at": "2026-11-18T12:05:00.000Z",
    "balance": 250,
    "earned": 900,
    "behind": [],
}
BALANCE: dict[str, Any] = {
    "metric": "coins",
    "player_id": "p1",
    "balance": 250,
    "earned": 900,
    "spent": 650,
    "pending": 0,
    "transactions": 41,
    "updated_at": "2026-11-18T12:00:00.000Z",
}
METRICS: dict[str, Any] = {
    "items": [
        {"metric": "coins", "players": 1250, "transactions": 88124, "last_at": "2026-11-18T12:00:00.000Z"}
    ],
    "total": 1,
    "next_cursor": None,
}
