"""Shapes of definitions (API section 2)."""

from __future__ import annotations

from typing import get_args

from gateway.http.parameters import NUMBER_SCHEMA
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    FREE_OBJECT,
    FURTHER_WINDOW,
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
from gateway.http.submissions import AGGREGATIONS
from lbactors.model import LEADERBOARD_ID
from lbactors.timeframe import TimeframeType, Weekday


def _where(type_: str) -> Schema:
    return {"if": {"properties": {"type": {"const": type_}}, "required": ["type"]}}


def _only_for(type_: str, field: str) -> Schema:
    """A field of a timeframe that one type requires and the others refuse."""
    return {
        **_where(type_),
        "then": {"required": [field], "properties": {field: {"not": {"type": "null"}}}},
        "else": {"properties": {field: {"type": "null"}}},
    }


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of a leaderboard."""
    fields: Schema = {
        "name": said({"type": "string", "minLength": 1, "maxLength": 200}, "Default: the id."),
        "description": {"type": "string", "maxLength": 2000, "default": ""},
        "status": said(
            {"type": "string", "enum": ["active", "inactive", "archived"], "default": "active"},
            "`inactive` and `archived` refuse writes and serve reads.",
        ),
        "timeframe": ref("Timeframe"),
        "windows": said(
            {"type": "array", "items": FURTHER_WINDOW, "uniqueItems": True, "default": []},
            "Further views, each its own chain of periods fed by the same submissions; not the main type.",
        ),
        "scoring": ref("Scoring"),
        "ranking": ref("Ranking"),
        "placement": said(
            {"type": "string", "enum": ["auto", "dedicated"], "default": "auto"},
            "`dedicated`: each window has a period actor of its own, whatever else runs.",
        ),
        "rewards": or_null(
            ref("RewardRules"),
            "What the players of a closed period win; null for nothing. PATCH replaces it.",
        ),
        "metadata": said(FREE_OBJECT, FREE_OBJECT["description"], default={}),
    }
    leaderboard_id = said(
        {"type": "string", "pattern": LEADERBOARD_ID.replace(r"\Z", "$")}, "Unique in the tenant, immutable."
    )
    return {
        "Definition": closed({"leaderboard_id": leaderboard_id, **fields}, ("leaderboard_id",)),
        "DefinitionPatch": closed(
            {"leaderboard_id": said(leaderboard_id, "Must be the leaderboard's own."), **fields},
            description="What is absent stays. `timeframe`, `scoring` and `ranking` are merged by field, "
            "`windows`, `rewards` and `metadata` are replaced.",
        ),
        "Leaderboard": answer(
            {
                "leaderboard_id": leaderboard_id,
                **fields,
                "tenant_id": STRING,
                "version": said({"type": "integer", "minimum": 1}, "Rises with every change; the ETag."),
                "created_at": INSTANT,
                "updated_at": INSTANT,
            }
        ),
        "LeaderboardListing": listing("Leaderboard"),
        "Timeframe": closed(
            {
                "type": {"type": "string", "enum": list(get_args(TimeframeType)), "default": "permanent"},
                "timezone": said(
                    {"type": "string", "format": "time-zone", "default": "UTC"},
                    "IANA name; boundaries are wall-clock times in it, across clock changes.",
                ),
                "reset_time": {
                    "type": "string",
                    "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$",
                    "default": "00:00",
                },
                "reset_day": {"type": "string", "enum": list(get_args(Weekday)), "default": "monday"},
                "reset_date": said(
                    {"type": "integer", "minimum": 1, "maximum": 31, "default": 1},
                    "Clamped to the month's last day.",
                ),
                "cron": or_null(
                    {"type": "string", "format": "cron", "maxLength": 256},
                    "Five fields, in the zone. Required for type `cron`, only there.",
                ),
                "every_seconds": or_null(
                    {"type": "integer", "minimum": 1, "maximum": 315_360_000},
                    "Required for type `every`, only there; anchored on `starts_at`, else on 1970.",
                ),
                "starts_at": or_null(INSTANT, "Begin of the whole schedule. Required for type `range`."),
                "ends_at": or_null(
                    INSTANT, "End of the whole schedule, after `starts_at`. Required for type `range`."
                ),
                "late_grace_seconds": said(
                    {"type": "integer", "minimum": 0, "maximum": 86_400, "default": 5},
                    "How long after its end a period takes submissions that occurred inside it.",
                ),
                "retain_periods": said(
                    {"type": "integer", "minimum": 0, "maximum": 1000, "default": 10}, "Closed periods kept."
                ),
                "late_submissions": said(
                    {"type": "string", "enum": ["refuse", "arrival"], "default": "refuse"},
                    "What becomes of a submission that occurred in a closed period: 409 (`refuse`), or it "
                    "counts for the period in which it arrived.",
                ),
            },
            description="The rule that generates periods.",
            allOf=[
                _only_for("cron", "cron"),
                _only_for("every", "every_seconds"),
                {
                    **_where("range"),
                    "then": {
                        "required": ["starts_at", "ends_at"],
                        "properties": {"starts_at": INSTANT, "ends_at": INSTANT},
                    },
                },
            ],
        ),
        "Scoring": closed(
            {
                "source": {"type": "string", "enum": ["scores"], "default": "scores"},
                "aggregation": said(
                    {"type": "string", "enum": list(AGGREGATIONS), "default": "best"},
                    "Cannot change while a period holds entries.",
                ),
                "score_min": or_null(NUMBER_SCHEMA, "A submission below is refused."),
                "score_max": or_null(NUMBER_SCHEMA, "A submission above is refused; not below `score_min`."),
            },
            description="How submissions become an entry's score.",
        ),
        "Ranking": closed(
            {
                "order": {"type": "string", "enum": ["desc", "asc"], "default": "desc"},
                "subscore_order": {"type": "string", "enum": ["desc", "asc"], "default": "desc"},
                "tie_breaking": said(
                    {"type": "string", "enum": ["first", "last"], "default": "first"},
                    "Who leads among equals: who reached it first, or last.",
                ),
                "rank_style": said(
                    {"type": "string", "enum": ["ordinal", "competition", "dense"], "default": "ordinal"},
                    "1,2,3 · 1,1,3 · 1,1,2",
                ),
                "max_entries": or_null(
                    {"type": "integer", "minimum": 1, "maximum": 100_000_000}, "The worst drops out."
                ),
                "min_score": or_null(
                    NUMBER_SCHEMA, "Below it an entry is kept, but neither ranked nor counted."
                ),
            },
            description="How entries are ordered, ranked and kept.",
        ),
    }
