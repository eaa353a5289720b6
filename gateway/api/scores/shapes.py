"""Shapes of submissions and of what became of them (API section 4).

Those of submissions are written by hand. For speed no model judges them as a whole: `http.submissions` checks
their structure under the limits of the settings, and numbers, times and metadata in a loop.
"""

from __future__ import annotations

from gateway.http.document_shapes import occurred_at_shape
from gateway.http.parameters import NUMBER_SCHEMA, identifier_schema
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    BOOLEAN,
    COUNT,
    FURTHER_WINDOW,
    RANK,
    STRING,
    Schema,
    answer,
    closed,
    or_null,
    ref,
    said,
)
from gateway.http.submissions import AGGREGATIONS
from lbactors.core.errors import ERROR_STATUS


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """What is submitted, and what became of it."""
    identifier = identifier_schema(settings.id_length)
    fields: Schema = {
        "player_id": identifier,
        "score": or_null(NUMBER_SCHEMA, "Required, unless the aggregation is `count`."),
        "subscore": or_null(NUMBER_SCHEMA, "Decides between equal scores. Defaults to 0."),
        "metadata": {
            "type": ["object", "null"],
            "description": "Any JSON object whose integers fit in 64 bits; as compact JSON at most "
            f"{settings.metadata_bytes} bytes.",
        },
        "submission_id": or_null(
            identifier,
            "Makes the submission safe to repeat: an id that the leaderboard has seen within 24 hours "
            "changes nothing and counts as accepted.",
        ),
        "occurred_at": occurred_at_shape("When the score was achieved"),
        "aggregation": or_null(
            {"type": "string", "enum": list(AGGREGATIONS)},
            "Overrides the leaderboard's aggregation for this submission; needs the scope "
            "`leaderboards:write`.",
        ),
    }
    outcome: Schema = {
        "period_key": STRING,
        "player_id": STRING,
        "applied": said(
            BOOLEAN, "False if the entry did not change, for example because the new score is not better."
        ),
        "score": or_null(NUMBER_SCHEMA, "The entry's score after the submission."),
        "subscore": or_null(NUMBER_SCHEMA),
        "previous_score": or_null(NUMBER_SCHEMA, "Null for a new entry."),
        "rank": said(RANK, "Null for an entry that is not ranked, and beyond `top_only`."),
        "previous_rank": RANK,
        "seq": said(
            COUNT,
            "Position in the period's journal; of a repeat, the one under which its id is known there.",
        ),
    }
    duplicate = said(
        {"type": "boolean", "const": True},
        "There only for a repeated `submission_id`: nothing changed, and the other fields show the entry as "
        "it is now.",
    )
    windows = said(
        {
            "type": "array",
            "items": answer(
                {
                    "window": FURTHER_WINDOW,
                    **outcome,
                    "duplicate": said(
                        duplicate,
                        "Of a repeat every window says so, and none says `skipped`. The other fields show "
                        "the player's entry in the window's present period (`seq` is 0 where the window "
                        "never took the submission); while that cannot be read, only `window` and "
                        "`applied` stand beside it.",
                    ),
                    "skipped": said(
                        {"type": "string", "enum": ["period_closed", "period_not_open"]},
                        "Why the window passed the submission over: its own period is over, or not open. "
                        "Only `window` and `applied` stand beside it.",
                    ),
                },
                (*(name for name in outcome if name != "applied"), "duplicate", "skipped"),
            ),
        },
        "One item for each further window; only present if the leaderboard has any.",
    )
    any_item = said({}, "A submission. An invalid one is rejected without affecting the others.")

    def batch(item: str) -> Schema:
        items = {"anyOf": [ref(item), any_item]}
        array = {"type": "array", "maxItems": settings.batch_items, "items": items}
        return {"anyOf": [array, closed({"submissions": array}, ("submissions",))]}

    return {
        "Submission": closed(fields, ("player_id",)),
        "SubmissionToBoard": closed({"leaderboard_id": STRING, **fields}, ("leaderboard_id", "player_id")),
        "Submissions": {"anyOf": [ref("Submission"), *batch("Submission")["anyOf"]]},
        "SubmissionsToBoards": batch("SubmissionToBoard"),
        "Outcome": answer({**outcome, "windows": windows, "duplicate": duplicate}, ("windows", "duplicate")),
        "ItemError": answer(
            {
                "index": COUNT,
                "code": {"type": "string", "enum": list(ERROR_STATUS)},
                "message": STRING,
                "details": {"type": "array", "items": ref("ErrorDetail")},
            },
            ("details",),
        ),
        "BatchOutcome": answer(
            {
                "accepted": COUNT,
                "rejected": COUNT,
                "held": said(
                    {"type": "integer", "minimum": 1},
                    "How many of the accepted items are in the review queue and not applied yet; only "
                    "present if there are any.",
                ),
                "errors": {"type": "array", "items": ref("ItemError")},
                "results": said(
                    {
                        "type": "array",
                        "items": answer(
                            {
                                "index": COUNT,
                                **{
                                    # of a held item they are null
                                    name: or_null(schema) if name in ("period_key", "seq") else schema
                                    for name, schema in outcome.items()
                                },
                                "windows": windows,
                                "duplicate": duplicate,
                                "held": said(
                                    {"type": "boolean", "const": True},
                                    "Only present if the item is held for review.",
                                ),
                                "held_id": STRING,
                            },
                            (
                                *(name for name in outcome if name != "rank"),
                                "windows",
                                "duplicate",
                                "held",
                                "held_id",
                            ),
                        ),
                    },
                    "The accepted items: empty with `results=none`, `index` and `rank` with `ranks`, all "
                    "fields with `full`.",
                ),
            },
            ("held",),
        ),
        "SubmissionsAnswer": {"anyOf": [ref("Outcome"), ref("HeldOutcome"), ref("BatchOutcome")]},
    }
