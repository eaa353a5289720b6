"""Shapes of submissions that plugins held for review.

That of a rejection is written by hand: its one field is judged by the handler, by no model.
"""

from __future__ import annotations

from gateway.api.reviews.handlers import LONGEST_NOTE
from gateway.http.parameters import NUMBER_SCHEMA
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import INSTANT, OBJECT, STRING, Schema, answer, closed, listing, or_null, ref, said
from gateway.http.submissions import AGGREGATIONS

NULL: Schema = {"type": "null"}


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """A held submission as its sender and as reviewers see it."""
    fields: Schema = {
        "held_id": STRING,
        "leaderboard_id": STRING,
        "state": said(
            {"type": "string", "enum": ["held", "approving", "approved", "rejected"]},
            "`approving`: begun, and its outcome is not known; approve it again.",
        ),
        "player_id": STRING,
        "score": or_null(NUMBER_SCHEMA),
        "subscore": NUMBER_SCHEMA,
        "metadata": or_null(OBJECT),
        "submission_id": said(STRING, "Its own, or one made of the held_id."),
        "occurred_at": or_null(INSTANT, "As it was submitted; null: it counts for its arrival."),
        "aggregation": or_null({"type": "string", "enum": list(AGGREGATIONS)}),
        "arrived_at": INSTANT,
        "plugin": said(STRING, "The plugin that held it."),
        "reason": said(STRING, "Why; its sender does not see this."),
        "key_id": said(STRING, "The key that submitted it."),
        "note": or_null(STRING, "The reason of a rejection."),
    }
    return {
        "HeldOutcome": answer(
            {
                "period_key": NULL,
                "player_id": STRING,
                "applied": {"type": "boolean", "const": False},
                "score": NULL,
                "subscore": NULL,
                "previous_score": NULL,
                "rank": NULL,
                "previous_rank": NULL,
                "seq": NULL,
                "held": {"type": "boolean", "const": True},
                "held_id": STRING,
            },
            description="The submission is kept for review, and nothing of it is applied until then.",
        ),
        "HeldSubmission": answer(fields),
        "HeldListing": listing("HeldSubmission"),
        "ApprovedSubmission": answer({"held": ref("HeldSubmission"), "outcome": ref("Outcome")}),
        "Rejection": closed(
            {
                "reason": or_null(
                    {"type": "string", "minLength": 1, "maxLength": LONGEST_NOTE}, "For whom it concerns."
                )
            }
        ),
    }
