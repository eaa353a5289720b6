"""Shapes of rows of metrics, balances and transactions (API section 9).

Those of rows are written by hand, as those of submissions are (`gateway.api.scores.shapes`).
"""

from __future__ import annotations

from gateway.http.document_shapes import BEHIND, occurred_at_shape
from gateway.http.log_rows import WRITTEN_STATES
from gateway.http.parameters import NUMBER_SCHEMA, identifier_schema
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    BOOLEAN,
    COUNT,
    INSTANT,
    STRING,
    Schema,
    answer,
    closed,
    listing,
    or_null,
    ref,
    said,
)
from lbactors.core.log_model import ROW_KINDS

KIND: Schema = {"type": "string", "enum": list(ROW_KINDS)}
STATE: Schema = {"type": "string", "enum": ["completed", "pending", "rejected"]}


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """What is written to a metric, and what is read of it."""
    identifier = identifier_schema(settings.id_length)
    row = closed(
        {
            "player_id": identifier,
            "score": said(NUMBER_SCHEMA, "The amount. Above 0 in a deduction."),
            "kind": or_null(
                KIND,
                "`award` (default) adds the amount to the balance, `deduct` takes it away (409 if the "
                "balance would fall below 0), `set` replaces the balance by it.",
            ),
            "state": or_null(
                {"type": "string", "enum": list(WRITTEN_STATES)},
                "`completed` (default), or `pending`: counts for nothing until it is completed.",
            ),
            "subscore": or_null(NUMBER_SCHEMA, "Decides between equal scores. Defaults to 0."),
            "metadata": {
                "type": ["object", "null"],
                "description": "Any JSON object whose integers fit in 64 bits; as compact JSON at most "
                f"{settings.metadata_bytes} bytes. Leaderboards can filter by it.",
            },
            "submission_id": or_null(
                identifier,
                "Makes the row safe to repeat: an id that the metric has seen within 24 hours changes "
                "nothing and counts as accepted. A rejected row does not use up its id.",
            ),
            "occurred_at": occurred_at_shape("When it happened"),
        },
        ("player_id", "score"),
    )
    array: Schema = {
        "type": "array",
        "maxItems": settings.batch_items,
        "items": {
            "anyOf": [
                ref("MetricRow"),
                said({}, "A row. An invalid one is rejected without affecting the others."),
            ]
        },
    }
    outcome: Schema = {
        "transaction_id": said(STRING, "Names the row; unique in the metric."),
        "seq": said(COUNT, "Position in the metric's log."),
        "balance": said(NUMBER_SCHEMA, "The player's balance after the row; of a repeat, as it is now."),
        "earned": said(NUMBER_SCHEMA, "The sum of the player's completed awards."),
        "duplicate": said(BOOLEAN, "True for a repeated `submission_id`: nothing changed."),
    }
    transaction: Schema = {
        "transaction_id": STRING,
        "seq": COUNT,
        "player_id": STRING,
        "kind": KIND,
        "state": STATE,
        "score": said(NUMBER_SCHEMA, "The amount."),
        "subscore": NUMBER_SCHEMA,
        "submission_id": or_null(STRING),
        "metadata": {"type": ["object", "null"]},
        "occurred_at": or_null(INSTANT, "As it was given."),
        "created_at": INSTANT,
        "settled_at": or_null(INSTANT, "When a pending row was completed or rejected."),
    }
    return {
        "MetricRow": row,
        "MetricRows": {"anyOf": [ref("MetricRow"), array, closed({"submissions": array}, ("submissions",))]},
        "RowOutcome": answer({**outcome, "behind": BEHIND}),
        "RowsOutcome": answer(
            {
                "accepted": COUNT,
                "rejected": COUNT,
                "errors": {"type": "array", "items": ref("ItemError")},
                "results": said(
                    {"type": "array", "items": answer({"index": COUNT, **outcome})},
                    "The accepted items; empty with `results=none`.",
                ),
                "behind": BEHIND,
            }
        ),
        "MetricRowsAnswer": {"anyOf": [ref("RowOutcome"), ref("RowsOutcome")]},
        "Metric": answer(
            {
                "metric": STRING,
                "players": said(COUNT, "Number of players with rows."),
                "transactions": said(COUNT, "Number of rows that were ever written."),
                "last_at": or_null(INSTANT, "When the last row was written."),
            }
        ),
        "MetricListing": listing("Metric"),
        "Balance": answer(
            {
                "metric": STRING,
                "player_id": STRING,
                "balance": NUMBER_SCHEMA,
                "earned": said(NUMBER_SCHEMA, "The sum of completed awards."),
                "spent": said(NUMBER_SCHEMA, "The sum of completed deductions."),
                "pending": said(NUMBER_SCHEMA, "What pending awards would add, less pending deductions."),
                "transactions": said(COUNT, "Number of the player's rows, whatever became of them."),
                "updated_at": or_null(INSTANT, "When a row was last completed."),
            }
        ),
        "Transaction": answer(transaction),
        "SettledTransaction": answer(
            {
                **transaction,
                "balance": said(NUMBER_SCHEMA, "The player's balance after it."),
                "earned": said(NUMBER_SCHEMA, "The sum of the player's completed awards."),
                "behind": BEHIND,
            }
        ),
        "TransactionListing": listing("Transaction"),
    }
