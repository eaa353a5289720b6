"""The routes of metrics and events for `tests.support.fake_api`: balances in dictionaries, ids recognised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

Json = dict[str, Any]
NOW = "2026-11-18T12:00:00.000Z"


class RefusedItem(Exception):
    """An item that is refused alone."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message


class FakeLogRoutes:
    """`rows`: by transaction id, as they came. `events`: by id. `behind`: who every answer names.
    `waiting_codes`: player id -> codes of its next refusals.
    """

    def __init__(self, waiting_codes: dict[str, list[str]]) -> None:
        self.rows: dict[str, Json] = {}
        self.events: dict[str, Json] = {}
        self.behind: list[str] = []
        self._waiting_codes = waiting_codes

    def write(self, body: Any, full: bool) -> Json:
        if isinstance(body, dict) and "submissions" not in body:
            return {**self._row(body), "behind": self.behind}
        items = body["submissions"] if isinstance(body, dict) else body
        counts, results = self._each(items, self._row)
        return {**counts, "results": results if full else [], "behind": self.behind}

    def send(self, body: Json, full: bool) -> Json:
        counts, results = self._each(body["events"], self._event)
        duplicates = sum(result.pop("duplicate") for result in results)
        answer = {**counts, "duplicates": duplicates, "behind": self.behind}
        return {**answer, "results": results} if full else answer

    def _each(self, items: list[Json], take: Callable[[Json], Json]) -> tuple[Json, list[Json]]:
        errors, results = [], []
        for index, item in enumerate(items):
            try:
                results.append({"index": index, **take(item)})
            except RefusedItem as refused:
                errors.append({"index": index, "code": refused.code, "message": refused.message})
        return {"accepted": len(results), "rejected": len(errors), "errors": errors}, results

    def _may_pass(self, item: Json) -> None:
        if codes := self._waiting_codes.get(item["player_id"]):
            raise RefusedItem(codes.pop(0), "not now")

    def _row(self, item: Json) -> Json:
        self._may_pass(item)
        known = [name for name, row in self.rows.items() if row["submission_id"] == item["submission_id"]]
        name = known[0] if known else f"tx-{len(self.rows) + 1}"
        self.rows.setdefault(name, item)
        return {
            "transaction_id": name,
            "seq": int(name[3:]),
            "balance": self.balance(item["player_id"]),
            "earned": 0,
            "duplicate": bool(known),
        }

    def _event(self, item: Json) -> Json:
        self._may_pass(item)
        if "event_type" not in item:
            raise RefusedItem("validation_failed", "event_type: is required")
        known = item["event_id"] in self.events
        self.events[item["event_id"]] = item
        return {"event_id": item["event_id"], "matched": [], "duplicate": known}

    def balance(self, player_id: str) -> Any:
        """Of the player's completed rows."""
        balance = 0
        for row in self.rows.values():
            if row["player_id"] == player_id and row.get("state") != "pending":
                sign = -1 if row.get("kind") == "deduct" else 1
                balance = row["score"] if row.get("kind") == "set" else balance + sign * row["score"]
        return balance

    def read(self, request: web.Request) -> Json:
        """What is read of metrics, and settling: as if all that is named were there."""
        parts = request.path.removeprefix("/v1/metrics").strip("/").split("/")
        if parts == [""]:
            item = {"metric": "coins", "players": 2, "transactions": len(self.rows), "last_at": NOW}
            return {"items": [item], "total": 1, "next_cursor": None}
        if parts[1] == "players":
            amounts = {"earned": 0, "spent": 0, "pending": 0, "transactions": len(self.rows)}
            return {
                "metric": parts[0],
                "player_id": parts[2],
                "balance": self.balance(parts[2]),
                **amounts,
                "updated_at": NOW,
            }
        if len(parts) == 2:
            return {"items": [self._transaction("tx-1")], "total": 1, "next_cursor": None}
        shown = self._transaction(parts[2])
        if len(parts) == 3:
            return shown
        state = {"complete": "completed", "reject": "rejected"}[parts[3]]
        return {
            **shown, "state": state, "settled_at": NOW, "balance": 5, "earned": 5, "behind": self.behind
        }  # fmt: skip

    def _transaction(self, name: str) -> Json:
        row = self.rows.get(name, {"player_id": "maya", "kind": "award", "score": 5})
        return {
            "transaction_id": name,
            "seq": int(name[3:]),
            "player_id": row["player_id"],
            "kind": row.get("kind", "award"),
            "state": row.get("state", "completed"),
            "score": row["score"],
            "subscore": 0,
            "submission_id": row.get("submission_id"),
            "metadata": None,
            "occurred_at": None,
            "created_at": NOW,
            "settled_at": None,
        }
