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
            "`approving`: the approval has begun and its outcome is unknown; approve it again.",
        ),
        "player_id": STRING,
        "score": or_null(NUMBER_SCHEMA),
        "subscore": NUMBER_SCHEMA,
        "metadata": or_null(OBJECT),
        "submission_id": said(STRING, "Its own, or one derived from the `held_id`."),
        "occurred_at": or_null(INSTANT, "As submitted; null if it counts for the time it arrived."),
        "aggregation": or_null({"type": "string", "enum": list(AGGREGATIONS)}),
        "arrived_at": INSTANT,
        "plugin": said(STRING, "The plugin that held it."),
        "reason": said(STRING, "Why the plugin held it; the sender does not see this."),
        "key_id": said(STRING, "The key that submitted it."),
        "note": or_null(STRING, "The reason of the rejection, if any."),
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
            description="The submission is in the review queue; nothing is applied until it is approved.",
        ),
        "HeldSubmission": answer(fields),
        "HeldListing": listing("HeldSubmission"),
        "ApprovedSubmission": answer({"held": ref("HeldSubmission"), "outcome": ref("Outcome")}),
        "Rejection": closed(
            {
                "reason": or_null(
                    {"type": "string", "minLength": 1, "maxLength": LONGEST_NOTE},
                    "Shown to the sender if the submission is sent again.",
                )
            }
        ),
    }
