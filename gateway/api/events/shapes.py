"""Shapes of events and of what became of them (API section 9)."""

from __future__ import annotations

from gateway.http.document_shapes import BEHIND, occurred_at_shape
from gateway.http.log_rows import EVENT_TYPE_LENGTH
from gateway.http.parameters import NUMBER_SCHEMA, identifier_schema
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    BOOLEAN,
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

WHY: Schema = said(STRING, "For people; it may change.")


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """What is sent, and what became of it."""
    identifier = identifier_schema(settings.id_length)
    any_object: Schema = {"type": ["object", "null"]}
    fields: Schema = {
        "event_id": said(
            identifier,
            "Makes the event safe to repeat: an id that the tenant has seen within 24 hours changes nothing "
            "and counts as accepted.",
        ),
        "event_type": said(identifier_schema(EVENT_TYPE_LENGTH), "What happened, such as `match.won`."),
        "player_id": identifier,
        "occurred_at": occurred_at_shape("When it happened"),
        "attrs": said(
            any_object,
            "What rules and filters read as `attrs.*`: any JSON object whose integers fit in 64 bits. "
            f"Together with `actor.metadata` at most {settings.event_bytes} bytes as compact JSON.",
        ),
        "actor": or_null(
            closed({"metadata": said(any_object, "What rules and filters read as `actor.metadata.*`.")})
        ),
    }
    items: Schema = {
        "anyOf": [
            ref("Event"),
            said({}, "An event. An invalid one is rejected without affecting the others."),
        ]
    }
    window = answer({"window": WINDOW, "score": NUMBER_SCHEMA, "rank": RANK})
    matched = answer(
        {
            "leaderboard_id": STRING,
            "points": NUMBER_SCHEMA,
            "windows": said(
                {"type": "array", "items": window},
                "Score and rank of the player after the request, in each window that took the event.",
            ),
        }
    )
    return {
        "Event": closed(fields, ("event_id", "event_type", "player_id")),
        "Events": closed(
            {"events": {"type": "array", "maxItems": settings.events_per_request, "items": items}},
            ("events",),
        ),
        "RulesTest": closed({"event": ref("TestedEvent")}, ("event",)),
        "TestedEvent": closed(
            {**fields, **{name: or_null(fields[name]) for name in ("event_id", "player_id")}},
            ("event_type",),
        ),
        "RulesTested": answer(
            {
                "matched": said(BOOLEAN, "Whether the event would count."),
                "points": or_null(NUMBER_SCHEMA, "The sum of the rules that match; null if none counts."),
                "filters": answer({"matched": BOOLEAN, "why": WHY}),
                "rules": said(
                    {
                        "type": "array",
                        "items": answer(
                            {
                                "index": COUNT,
                                "matched": BOOLEAN,
                                "points": or_null(NUMBER_SCHEMA),
                                "why": WHY,
                            }
                        ),
                    },
                    "Each rule of the definition by itself, whether or not the filters hold.",
                ),
            }
        ),
        "EventsOutcome": answer(
            {
                "accepted": said(COUNT, "Number of accepted events, repeats among them."),
                "duplicates": said(COUNT, "How many of the accepted ones were known already."),
                "rejected": COUNT,
                "errors": {"type": "array", "items": ref("ItemError")},
                "behind": BEHIND,
                "results": said(
                    {
                        "type": "array",
                        "items": answer(
                            {
                                "index": COUNT,
                                "event_id": STRING,
                                "matched": said(
                                    {"type": "array", "items": matched},
                                    "Leaderboards that gave points for it; none for a repeat, and none of "
                                    "those that are `behind`.",
                                ),
                            }
                        ),
                    },
                    "The accepted events; only present with `results=full`.",
                ),
            },
            ("results",),
        ),
    }
