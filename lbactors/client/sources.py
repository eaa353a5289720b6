"""What leaderboards are computed from: rows of metrics, with the balances that follow, and events.

Every row and every event carries an id, its own or one made here, so that sending it again does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from lbactors.client.batches import ListRoute, send_all
from lbactors.client.routes import Instant, Routes, board_path, metric_path, segment
from lbactors.client.transport import new_id
from lbactors.client.types import (
    Balance,
    EventsOutcome,
    Json,
    MetricListing,
    Period,
    RowOutcome,
    RowsOutcome,
    RulesTested,
    SettledTransaction,
    Transaction,
    TransactionListing,
)

# The API's limits for one body; longer lists go in several requests.
BATCH_ROWS = 10_000
BATCH_EVENTS = 1000
BATCH_EVENT_BYTES = 4 * 1024 * 1024


class Sources(Routes):
    """Part of `Client`: metrics and events."""

    # Metrics --------------------------------------------------------------------------------------------

    async def award(
        self,
        metric: str,
        player_id: str,
        score: float,
        *,
        pending: bool = False,
        subscore: float | None = None,
        metadata: Any = None,
        submission_id: str | None = None,
        occurred_at: Instant | None = None,
    ) -> RowOutcome:
        """Add an amount to a player's balance; answers with the balance after it.

        answer = await client.award("coins", "maya", 50, metadata={"quest": "dragon"})
        print(answer["balance"])

        pending: it counts for nothing until `complete_transaction`. Give a `submission_id` of your own
        (`"quest-77:maya"`) if your process may die and send the same row again later.
        """
        return await self._row(
            "award", metric, player_id, score, pending, subscore, metadata, submission_id, occurred_at
        )

    async def deduct(
        self,
        metric: str,
        player_id: str,
        score: float,
        *,
        pending: bool = False,
        subscore: float | None = None,
        metadata: Any = None,
        submission_id: str | None = None,
        occurred_at: Instant | None = None,
    ) -> RowOutcome:
        """Take an amount above 0 from a player's balance; ApiError `insufficient_balance` if it lacks it."""
        return await self._row(
            "deduct", metric, player_id, score, pending, subscore, metadata, submission_id, occurred_at
        )

    async def set_balance(
        self,
        metric: str,
        player_id: str,
        score: float,
        *,
        pending: bool = False,
        subscore: float | None = None,
        metadata: Any = None,
        submission_id: str | None = None,
        occurred_at: Instant | None = None,
    ) -> RowOutcome:
        """Replace a player's balance by an amount; what was earned and spent stays."""
        return await self._row(
            "set", metric, player_id, score, pending, subscore, metadata, submission_id, occurred_at
        )

    async def _row(
        self,
        kind: str,
        metric: str,
        player_id: str,
        score: float,
        pending: bool,
        subscore: float | None,
        metadata: Any,
        submission_id: str | None,
        occurred_at: Instant | None,
    ) -> RowOutcome:
        row = {
            "player_id": player_id,
            "score": score,
            "kind": kind,
            "state": "pending" if pending else None,
            "subscore": subscore,
            "metadata": metadata,
            "submission_id": submission_id or new_id(),
            "occurred_at": occurred_at,
        }
        body = {name: value for name, value in row.items() if value is not None}
        return await self.transport.json("POST", metric_path(metric), body=body)

    async def write_rows(
        self, metric: str, rows: Sequence[Mapping[str, Any]], results: str = "none"
    ) -> RowsOutcome:
        """Many rows of one metric, in order; `{"accepted", "rejected", "errors", "results", "behind"}`.

        rows = [{"player_id": "maya", "score": 50}, {"player_id": "noor", "score": 30, "kind": "deduct"}]
        answer = await client.write_rows("coins", rows)

        results: none or full. A bad row is rejected alone. Rows that the server could not take for the moment
        are sent again, after the others, as long as patience lasts.
        """
        route = ListRoute(metric_path(metric), "submissions", "submission_id", BATCH_ROWS)
        empty: Json = {"accepted": 0, "rejected": 0, "errors": [], "results": [], "behind": []}
        return cast("RowsOutcome", await send_all(self.transport, route, rows, results, empty))

    async def complete_transaction(self, metric: str, transaction_id: str) -> SettledTransaction:
        """A pending row counts from now on. ApiError `transaction_settled`, `insufficient_balance`."""
        path = f"{metric_path(metric)}/transactions/{segment(transaction_id)}/complete"
        return await self.transport.command(path, {})

    async def reject_transaction(self, metric: str, transaction_id: str) -> SettledTransaction:
        """A pending row never counts. ApiError `transaction_settled`."""
        path = f"{metric_path(metric)}/transactions/{segment(transaction_id)}/reject"
        return await self.transport.command(path, {})

    async def list_metrics(self, **params: Any) -> MetricListing:
        """All metrics, by name. params: limit, offset, cursor."""
        return await self.transport.json("GET", "/v1/metrics", params=params)

    async def balance(self, metric: str, player_id: str) -> Balance:
        """A player's balance, and what was earned, spent and is pending; zeros for a player without rows."""
        return await self.transport.json("GET", f"{metric_path(metric)}/players/{segment(player_id)}")

    async def transactions(self, metric: str, **params: Any) -> TransactionListing:
        """The rows of a metric, newest first. params: player_id, limit, cursor."""
        return await self.transport.json("GET", f"{metric_path(metric)}/transactions", params=params)

    async def transaction(self, metric: str, transaction_id: str) -> Transaction:
        """One row of a metric; ApiError `transaction_not_found`."""
        path = f"{metric_path(metric)}/transactions/{segment(transaction_id)}"
        return await self.transport.json("GET", path)

    # Events ---------------------------------------------------------------------------------------------

    async def send_events(self, events: Sequence[Mapping[str, Any]], results: str = "none") -> EventsOutcome:
        """Events, in order; `{"accepted", "duplicates", "rejected", "errors", "behind"}`.

        won = {"event_id": "match-77:maya", "event_type": "match.won", "player_id": "maya"}
        answer = await client.send_events([won])

        results: `full` adds what leaderboards made of each. An event without an `event_id` gets one that no
        one else uses; give your own if your process may die and send the same event again later. A bad event
        is rejected alone. Events that the server could not take for the moment are sent again, after the
        others, as long as patience lasts.
        """
        route = ListRoute("/v1/events", "events", "event_id", BATCH_EVENTS, BATCH_EVENT_BYTES)
        empty: Json = {"accepted": 0, "duplicates": 0, "rejected": 0, "errors": [], "behind": []}
        if results == "full":
            empty["results"] = []
        return cast("EventsOutcome", await send_all(self.transport, route, events, results, empty))

    async def test_rules(self, leaderboard_id: str, event: Mapping[str, Any]) -> RulesTested:
        """What the rules of a leaderboard would make of an event; nothing is written."""
        path = f"{board_path(leaderboard_id)}/rules/test"
        return await self.transport.json("POST", path, body={"event": event})

    async def rebuild_period(
        self,
        leaderboard_id: str,
        period_key: str,
        *,
        keep_rewards: bool = False,
        window: str | None = None,
    ) -> Period:
        """Compute a period anew from its log. keep_rewards: also one with rewards, which stay."""
        path = f"{board_path(leaderboard_id)}/periods/{segment(period_key)}/rebuild"
        return await self.transport.command(path, {"keep_rewards": keep_rewards}, {"window": window})
