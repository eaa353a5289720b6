"""Shapes of what is read (API section 5).

That of a look-up is written by hand: its one field is judged under the limits of the settings, by no model.
"""

from __future__ import annotations

from gateway.http.document_shapes import ENTRY, PAGE_HEAD
from gateway.http.parameters import NUMBER_SCHEMA, identifier_schema
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    COUNT,
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


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """What is read."""
    percentile = said(
        {"type": ["number", "null"], "minimum": 0, "maximum": 100},
        "The percentage of ranked players who rank below: (total − rank) / total × 100, rounded to one "
        "decimal. Null for an entry whose `rank` is null.",
    )
    cursor = or_null(STRING)
    return {
        "RankingsPage": answer(
            {
                **PAGE_HEAD,
                "entries": {"type": "array", "items": ref("Entry")},
                "matched": said(
                    COUNT, "Number of entries in the score range; only present if you asked for one."
                ),
                "next_cursor": cursor,
                "prev_cursor": cursor,
            },
            ("matched",),
        ),
        "PlayerEntry": answer({**PAGE_HEAD, **ENTRY, "percentile": percentile}),
        "Lookup": closed(
            {
                "player_ids": said(
                    {
                        "type": "array",
                        "maxItems": settings.lookup_players,
                        "items": identifier_schema(settings.id_length),
                    },
                    "Repeated ids count once.",
                )
            },
            ("player_ids",),
        ),
        "LookupAnswer": answer(
            {
                **PAGE_HEAD,
                "entries": {
                    "type": "array",
                    "items": answer({"position": {"type": "integer", "minimum": 1}, **ENTRY}),
                },
                "not_found": {"type": "array", "items": STRING},
            }
        ),
        "RankAt": answer(
            {
                "rank": said(RANK, "Null for a score that is not ranked, and beyond `top_only`."),
                "total": COUNT,
                "period": ref("PagePeriod"),
            }
        ),
        "Distribution": answer(
            {
                "total": COUNT,
                "min": or_null(NUMBER_SCHEMA, "Null if there are no entries, like the other statistics."),
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
                            **ENTRY,
                            "total": COUNT,
                            "percentile": percentile,
                        }
                    ),
                },
            }
        ),
    }
