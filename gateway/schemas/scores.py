"""Schemas of submissions and rankings (API sections 4 and 5)."""

from __future__ import annotations

from gateway.parameters import NUMBER_SCHEMA, identifier_schema
from gateway.schemas.words import (
    BOOLEAN,
    CHANGE,
    COUNT,
    FURTHER_WINDOW,
    INSTANT,
    RANK,
    STRING,
    WINDOW,
    Schema,
    answer,
    closed,
    or_null,
    ref,
    said,
)
from gateway.settings import GatewaySettings
from gateway.submissions import AGGREGATIONS
from lbactors.core.errors import ERROR_STATUS


def submissions(settings: GatewaySettings) -> dict[str, Schema]:
    """What is submitted, and what became of it."""
    identifier = identifier_schema(settings.id_length)
    fields: Schema = {
        "player_id": identifier,
        "score": or_null(NUMBER_SCHEMA, "Required unless the aggregation is `count`."),
        "subscore": or_null(NUMBER_SCHEMA, "Default 0."),
        "metadata": {
            "type": ["object", "null"],
            "description": "Any JSON object whose integers fit in 64 bits; as compact JSON at most "
            f"{settings.metadata_bytes} bytes.",
        },
        "submission_id": or_null(
            identifier,
            "Unique in the leaderboard: a repeat within a day changes nothing and counts as accepted.",
        ),
        "occurred_at": or_null(INSTANT, "At most 60 s ahead of the server's clock. Default: the arrival."),
        "aggregation": or_null(
            {"type": "string", "enum": list(AGGREGATIONS)},
            "Overrides the leaderboard's for this submission; needs the scope `leaderboards:write`.",
        ),
    }
    outcome: Schema = {
        "period_key": STRING,
        "player_id": STRING,
        "applied": said(BOOLEAN, "False where the leaderboard's rule keeps the entry as it was."),
        "score": or_null(NUMBER_SCHEMA, "The entry's, after the submission."),
        "subscore": or_null(NUMBER_SCHEMA),
        "previous_score": or_null(NUMBER_SCHEMA, "Null for a new entry."),
        "rank": said(RANK, "Null for an unranked entry."),
        "previous_rank": RANK,
        "seq": said(COUNT, "Position in the period's journal."),
    }
    windows = said(
        {"type": "array", "items": answer({"window": FURTHER_WINDOW, **outcome})},
        "One item for each further window; there only if the leaderboard has some.",
    )
    duplicate = said({"type": "boolean", "const": True}, "There only for a repeated `submission_id`.")
    any_item = said({}, "Should be a submission. A bad item rejects itself alone.")

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
        "BatchOutcome": answer(
            {
                "accepted": COUNT,
                "rejected": COUNT,
                "held": said(
                    {"type": "integer", "minimum": 1},
                    "Of the accepted ones, those held for review, not applied yet; there only if there "
                    "are some.",
                ),
                "errors": {
                    "type": "array",
                    "items": answer(
                        {
                            "index": COUNT,
                            "code": {"type": "string", "enum": list(ERROR_STATUS)},
                            "message": STRING,
                            "details": {"type": "array", "items": ref("ErrorDetail")},
                        },
                        ("details",),
                    ),
                },
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
                                "held": said({"type": "boolean", "const": True}, "There only if it is held."),
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
                    "Of the accepted items: empty for `none`, index and rank for `ranks`, all for `full`.",
                ),
            },
            ("held",),
        ),
        "SubmissionsAnswer": {"anyOf": [ref("Outcome"), ref("HeldOutcome"), ref("BatchOutcome")]},
    }


def rankings(settings: GatewaySettings) -> dict[str, Schema]:
    """What is read."""
    entry: Schema = {
        "rank": said(RANK, "Null below `min_score`."),
        "player_id": STRING,
        "display_name": or_null(STRING),
        "score": NUMBER_SCHEMA,
        "subscore": NUMBER_SCHEMA,
        "metadata": {"type": ["object", "null"]},
        "submissions": COUNT,
        "first_at": INSTANT,
        "updated_at": INSTANT,
        "change": said(
            or_null(CHANGE),
            "The rank against the previous period of the same window. Null while that cannot be read.",
        ),
    }
    head: Schema = {
        "leaderboard_id": STRING,
        "period": ref("PagePeriod"),
        "total": said(COUNT, "Ranked entries in the period."),
        "as_of_seq": said(COUNT, "Everything up to this seq is in the answer."),
    }
    percentile = said(
        {"type": ["number", "null"], "minimum": 0, "maximum": 100},
        "round((total − rank) / total × 100, 1); null for an unranked entry.",
    )
    cursor = or_null(STRING)
    return {
        "Entry": answer(entry),
        "RankingsPage": answer(
            {
                **head,
                "entries": {"type": "array", "items": ref("Entry")},
                "matched": said(COUNT, "Entries inside the score range; there only if one was asked for."),
                "next_cursor": cursor,
                "prev_cursor": cursor,
            },
            ("matched",),
        ),
        "PlayerEntry": answer({**head, **entry, "percentile": percentile}),
        "Lookup": closed(
            {
                "player_ids": said(
                    {
                        "type": "array",
                        "maxItems": settings.lookup_players,
                        "items": identifier_schema(settings.id_length),
                    },
                    "A repeated id counts once.",
                )
            },
            ("player_ids",),
        ),
        "LookupAnswer": answer(
            {
                **head,
                "entries": {
                    "type": "array",
                    "items": answer({"position": {"type": "integer", "minimum": 1}, **entry}),
                },
                "not_found": {"type": "array", "items": STRING},
            }
        ),
        "RankAt": answer(
            {
                "rank": said(RANK, "Null below `min_score`."),
                "total": COUNT,
                "period": ref("PagePeriod"),
            }
        ),
        "Distribution": answer(
            {
                "total": COUNT,
                "min": or_null(NUMBER_SCHEMA, "Null without entries, as are the other figures."),
                "max": or_null(NUMBER_SCHEMA),
                "mean": or_null(NUMBER_SCHEMA),
                "quantiles": answer({name: or_null(NUMBER_SCHEMA) for name in ("p50", "p90", "p99")}),
                "buckets": {
                    "type": "array",
                    "items": answer({"from": NUMBER_SCHEMA, "to": NUMBER_SCHEMA, "count": COUNT}),
                },
                "period": ref("PagePeriod"),
            }
        ),
        "PlayerEntries": answer(
            {
                "player_id": STRING,
                "items": {
                    "type": "array",
                    "items": answer(
                        {
                            "leaderboard_id": STRING,
                            "window": WINDOW,
                            "period_key": STRING,
                            **entry,
                            "total": COUNT,
                            "percentile": percentile,
                        }
                    ),
                },
            }
        ),
        "RemovedEntries": answer(
            {
                "removed": {
                    "type": "array",
                    "items": answer({"window": WINDOW, "period_key": STRING, **entry}),
                }
            }
        ),
    }
