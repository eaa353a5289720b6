"""Shapes of definitions (API section 2): those of requests come from the models that judge them."""

from __future__ import annotations

from gateway.http.model_shapes import model_shape
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import COUNT, INSTANT, STRING, Schema, answer, closed, listing, or_null, ref, said
from lbactors.core.audience import Audience, AudienceList
from lbactors.core.definition import Definition, RankingRules
from lbactors.core.filters import OPERATORS, PATHS, VALUES
from lbactors.core.ids import LANGUAGE_TAG
from lbactors.core.presentation import (
    LANGUAGE_CHARACTERS,
    LANGUAGES,
    Display,
    DisplayColumn,
    Translation,
    Widget,
)
from lbactors.core.scoring import Scoring, ScoringRule
from lbactors.core.timeframe import SHORT_FORMS, Timeframe


def _where(value: str, field: str = "type") -> Schema:
    return {"if": {"properties": {field: {"const": value}}, "required": [field]}}


def _only_for(type_: str, field: str) -> Schema:
    """A field of a timeframe that one type requires and the others refuse."""
    return {
        **_where(type_),
        "then": {"required": [field], "properties": {field: {"not": {"type": "null"}}}},
        "else": {"properties": {field: {"type": "null"}}},
    }


def _of_source(source: str, required: str | None, others: tuple[str, ...]) -> Schema:
    """Fields of a scoring that one source has, the first required there, and the others have not."""
    without = {name: {"type": "null"} for name in (*([required] if required else []), *others)}
    then = {"required": [required], "properties": {required: {"not": {"type": "null"}}}} if required else {}
    return {**_where(source, "source"), "then": then, "else": {"properties": without}}


_VALUE: Schema = {"type": ["string", "number", "boolean", "array", "object"], "items": {}}
_ORDERED: Schema = {"type": ["number", "string"]}
_VALUES: Schema = {"type": "array", "items": _VALUE, "maxItems": VALUES}
_OPERANDS: dict[str, Schema] = {
    "eq": said(_VALUE, "Equal as in JSON: 1 is 1.0, true is not 1."),
    "ne": said(_VALUE, "Not equal, or missing."),
    "in": said(_VALUES, "One of these; of a list, one item is."),
    "not_in": said(_VALUES, "None of these, or missing."),
    "gt": said(_ORDERED, "Above; between two numbers or two strings."),
    "gte": said(_ORDERED, "At least."),
    "lt": said(_ORDERED, "Below."),
    "lte": said(_ORDERED, "At most."),
    "exists": said({"type": "boolean"}, "Whether there is a value; null is none."),
    "contains": said(_VALUE, "A list has this item, or a string this part."),
}
_FILTERS: Schema = {"type": "object", "maxProperties": PATHS, "additionalProperties": ref("FilterOperators")}


def _scoring_shapes() -> dict[str, Schema]:
    """Of where scores come from. A patch has some of the fields, so there are no rules across them."""
    filters = said(_FILTERS, str(Scoring.model_fields["filters"].description))
    conditions = said(_FILTERS, str(ScoringRule.model_fields["conditions"].description))
    about = "How submissions become a player's score, and where they come from."
    sometimes = ["metric", "basis", "filters", "rules", "backfill"]  # for `docs/generate_client.py`
    across = [
        _of_source("metric", "metric", ("basis",)),
        _of_source("events", "rules", ()),
        {
            "if": {"properties": {"source": {"enum": ["metric", "events"]}}, "required": ["source"]},
            "else": {"properties": {"backfill": {"type": "null"}, "filters": {"maxProperties": 0}}},
        },
    ]
    scoring = model_shape(Scoring, about, replaced={"filters": filters}, allOf=across)
    return {
        "Scoring": {**scoring, "x-as-written": sometimes},
        "ScoringPatch": closed(
            {
                name: {keyword: said for keyword, said in field.items() if keyword != "default"}
                for name, field in scoring["properties"].items()
            },
            description="Fields that you leave out keep their values.",
        ),
        "ScoringRule": model_shape(
            ScoringRule, "What an event of one type is worth.", replaced={"conditions": conditions}
        ),
        "FilterOperators": {
            **closed(
                {name: _OPERANDS[name] for name in OPERATORS},
                description="What the value at a path must be; all operators must hold.",
                minProperties=1,
            ),
            "x-as-written": True,
        },
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
                "scoring": ref("ScoringPatch"),
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
                "projection": or_null(
                    ref("ProjectionStatus"),
                    "How far a leaderboard that is computed from a metric or events has read its log; null "
                    "while nobody can tell. Only present for such a leaderboard, and where it alone is read.",
                ),
            },
            ("projection",),
        ),
        "ProjectionStatus": answer(
            {
                "state": said(
                    {"type": "string", "enum": ["live", "behind", "filling", "asleep"]},
                    "`live`: it has taken all. `behind`: it is catching up. `filling`: periods are computed "
                    "anew; reads of them are answered 503. `asleep`: nobody uses it; it reads on when it is "
                    "woken.",
                ),
                "rows_read": said(COUNT, "Rows of the log read so far, in this filling or catching up."),
                "rows": said(COUNT, "Rows of the log that there are to read in it."),
                "behind_seconds": said(
                    {"type": "number", "minimum": 0},
                    "How long ago the first row was written that it has not taken; 0 if there is none.",
                ),
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
        **_scoring_shapes(),
        "Display": model_shape(Display, "How to draw the leaderboard.", **as_written),
        "DisplayColumn": model_shape(DisplayColumn, **as_written),
        "Translation": model_shape(Translation, "Texts in one language.", **as_written),
        "Widget": model_shape(Widget, "Settings of an embedded widget.", **as_written),
        "Ranking": model_shape(RankingRules, "How entries are ordered and ranked, and how many are kept."),
    }
