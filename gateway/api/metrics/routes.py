"""Routes of metrics (API section 9)."""

from __future__ import annotations

from dataclasses import replace

from gateway.api.metrics import examples as example
from gateway.api.metrics import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import choice, text
from gateway.http.parameters import metric as metric_parameter
from gateway.http.shared_parameters import Shared

METRIC = "/v1/metrics/{metric}"


def routes(s: Shared) -> tuple[Route, ...]:
    """Rows, balances, transactions."""
    metric = metric_parameter()
    read = ("rankings:read",)
    write = ("scores:write",)
    named = text("transaction_id", "Id of a transaction.", "path", example="tx-1042", max_length=128)
    one = f"{METRIC}/transactions/{{transaction_id}}"
    settles = ("metric_not_found", "transaction_not_found", "transaction_settled", "idempotency_conflict")
    return (
        Route(
            "POST",
            METRIC,
            handlers.write,
            "metrics_write",
            "Metrics",
            "Award, deduct or set, one row or many",
            Answer(
                200,
                "For one row, its outcome; for a batch, how many items were accepted and rejected.",
                "MetricRowsAnswer",
                example.ROW_OUTCOME,
            ),
            "Writes to the metric's log, from which every leaderboard with this metric is computed, also "
            "those that are made later. A metric comes into being with its first row. A single object is one "
            'row. An array, or `{"submissions": […]}`, is a batch: an invalid item is rejected without '
            "affecting the others, and the answer is 200, unless all items failed for the same temporary "
            "reason. The answer waits for the leaderboards for a moment and names those that are `behind`.",
            scopes=write,
            own_player="items",
            parameters=(
                metric,
                choice(
                    "results",
                    "What the answer to a batch contains for accepted items: nothing, or their outcomes.",
                    handlers.RESULTS,
                    "none",
                ),
                s.idempotency_key.described(
                    "A key `K` stands for the submission ids `K:0`, `K:1`, … of items without an id of their "
                    "own."
                ),
            ),
            body=Body(
                "MetricRows",
                example.ROW,
                more_examples={"many": example.ROWS, "object": example.ROWS_OBJECT},
            ),
            codes=("insufficient_balance", "idempotency_conflict", "overloaded"),
            python="award(metric, player_id, score, metadata=, submission_id=)",
        ),
        Route(
            "POST",
            f"{one}/complete",
            handlers.complete,
            "metrics_complete",
            "Metrics",
            "Complete a pending transaction",
            Answer(200, "The transaction, and the player's balance after it.", "SettledTransaction"),
            "It counts from now on: at its `occurred_at` if it has one, else at this moment. A deduction "
            "that the balance does not cover stays pending (409).",
            scopes=write,
            own_player="items",
            parameters=(metric, named, s.idempotency_key),
            body=Body("Empty", {}, required=False),
            codes=(*settles, "insufficient_balance", "overloaded"),
            python="complete_transaction(metric, transaction_id)",
        ),
        Route(
            "POST",
            f"{one}/reject",
            handlers.reject,
            "metrics_reject",
            "Metrics",
            "Reject a pending transaction",
            Answer(200, "The transaction, and the player's balance.", "SettledTransaction"),
            "It never counts.",
            scopes=write,
            own_player="items",
            parameters=(metric, named, s.idempotency_key),
            body=Body("Empty", {}, required=False),
            codes=(*settles, "overloaded"),
            python="reject_transaction(metric, transaction_id)",
        ),
        Route(
            "GET",
            f"{METRIC}/players/{{player_id}}",
            handlers.balance,
            "metrics_balance",
            "Metrics",
            "Read a player's balance",
            Answer(200, "The balance; zeros for a player without rows.", "Balance", example.BALANCE),
            scopes=read,
            own_player="path",
            private=True,
            parameters=(metric, s.player, s.if_none_match),
            codes=("metric_not_found",),
            etag=True,
            python="balance(metric, player_id)",
        ),
        Route(
            "GET",
            f"{METRIC}/transactions",
            handlers.transactions,
            "metrics_transactions",
            "Metrics",
            "List transactions",
            Answer(200, "A page of transactions, newest first.", "TransactionListing"),
            "Rows are kept as long as the server's setting `metric_retain_days` says; `total` counts those "
            "that are kept.",
            scopes=read,
            own_player="items",
            private=True,
            parameters=(
                metric,
                replace(
                    s.player,
                    where="query",
                    description="Only this player; with a key that is bound to a player, that one.",
                ),
                s.limit,
                s.cursor.described("`next_cursor` of an earlier answer."),
                s.if_none_match,
            ),
            codes=("metric_not_found",),
            etag=True,
            python="transactions(metric, player_id=, limit=)",
            sample_query={"player_id": "p1", "limit": 10},
        ),
        Route(
            "GET",
            one,
            handlers.transaction,
            "metrics_transaction",
            "Metrics",
            "Read a transaction",
            Answer(200, "The transaction.", "Transaction", example.TRANSACTION),
            scopes=read,
            own_player="items",
            private=True,
            parameters=(metric, named, s.if_none_match),
            codes=("metric_not_found", "transaction_not_found"),
            etag=True,
            python="transaction(metric, transaction_id)",
        ),
        Route(
            "GET",
            "/v1/metrics",
            handlers.list_all,
            "metrics_list_all",
            "Metrics",
            "List metrics",
            Answer(200, "A page of metrics, by name.", "MetricListing", example.METRICS),
            scopes=read,
            private=True,
            parameters=(s.limit, s.offset, s.cursor, s.if_none_match),
            etag=True,
            python="list_metrics(limit=)",
            sample_query={"limit": 10},
        ),
    )
