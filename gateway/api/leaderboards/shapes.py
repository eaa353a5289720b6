"""Shapes of definitions (API section 2): those of requests come from the models that judge them."""

from __future__ import annotations

from gateway.http.model_shapes import model_shape
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import INSTANT, STRING, Schema, answer, closed, listing, or_null, ref, said
from lbactors.core.audience import Audience, AudienceList
from lbactors.core.definition import Definition, RankingRules, Scoring
from lbactors.core.ids import LANGUAGE_TAG
from lbactors.core.presentation import (
    LANGUAGE_CHARACTERS,
    LANGUAGES,
    Display,
    DisplayColumn,
    Translation,
    Widget,
)
from lbactors.core.timeframe import SHORT_FORMS, Timeframe


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
    written_timeframe = said(
        {"anyOf": [ref("Timeframe"), {"type": "string", "enum": list(SHORT_FORMS)}]},
        'A string is short for an object: `"weekly"` for `{"type": "weekly"}`. Answers have the object.',
    )
    written_translations: Schema = {
        "type": "object",
        "maxProperties": LANGUAGES,
        "propertyNames": {"type": "string", "maxLength": LANGUAGE_CHARACTERS, "pattern": LANGUAGE_TAG},
        "additionalProperties": ref("Translation"),
        "description": Definition.model_fields["translations"].description,
    }
    definition = model_shape(
        Definition, replaced={"timeframe": written_timeframe, "translations": written_translations}
    )
    fields = definition["properties"]
    changed_translations = {**written_translations, "additionalProperties": or_null(ref("Translation"))}
    emptied = {name: or_null(fields[name]) for name in ("display", "widget", "external")}
    # For `docs/generate_client.py`: what was not written is not in answers.
    as_written: Schema = {"x-as-written": True}
    own_id = said(fields["leaderboard_id"], "If given, it must be the leaderboard's own id.")
    return {
        "Definition": definition,
        "DefinitionPatch": closed(
            {
                **fields,
                **emptied,
                "leaderboard_id": own_id,
                "translations": or_null(changed_translations),
            },
            description="Fields that you leave out keep their values. `timeframe`, `scoring`, `ranking` and "
            "`audience` (`rank` and `view` too) are merged by field; `windows`, `rewards`, `metadata` and "
            "`external` are replaced. `display` and `widget` are merged by field, `translations` by language "
            "and field (null removes a language). Null empties each of the three, and `external`. A new "
            "`timeframe.type`, also one written as a string, keeps the other fields (the time zone, the "
            "bounds) except `cron` and `every_seconds`.",
        ),
        "Leaderboard": answer(
            {
                **fields,
                "timeframe": ref("Timeframe"),
                "tenant_id": STRING,
                "version": said(
                    {"type": "integer", "minimum": 1}, "Increases with every change; also the `ETag`."
                ),
                "created_at": INSTANT,
                "updated_at": INSTANT,
            }
        ),
        "LeaderboardListing": listing("Leaderboard"),
        "Timeframe": model_shape(
            Timeframe,
            "The reset schedule: when periods begin and end.",
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
        "Audience": model_shape(Audience, "Who is ranked, and who may read the rankings."),
        "AudienceList": model_shape(AudienceList, "Players by id, role or tag. Any of the three will do."),
        "Scoring": model_shape(Scoring, "How submissions become a player's score."),
        "Display": model_shape(Display, "How to draw the leaderboard.", **as_written),
        "DisplayColumn": model_shape(DisplayColumn, **as_written),
        "Translation": model_shape(Translation, "Texts in one language.", **as_written),
        "Widget": model_shape(Widget, "Settings of an embedded widget.", **as_written),
        "Ranking": model_shape(RankingRules, "How entries are ordered and ranked, and how many are kept."),
    }
