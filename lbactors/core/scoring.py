"""Where a leaderboard's scores come from, and how they become an entry's score: a definition's `scoring`.

With `source: scores` they are submitted to the leaderboard. With `metric` or `events` it is a projection: a
log is written once, whatever leaderboards look at it, and what counts of it follows from this part of the
definition alone (`lbactors.core.projection`).

Fields that mean something for one source only are refused with another, and are not in what is answered and
stored for it, so a definition without a log looks as it did before there were logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lbactors.core.expressions import CHARACTERS, compile_expression
from lbactors.core.filters import NO_FILTERS, Filters
from lbactors.core.ids import LEADERBOARD_ID, NO_CONTROL_CHARACTERS
from lbactors.core.numbers import NumberField
from lbactors.core.subject import EVENT_ROOTS, METRIC_ROOTS, Root

RULES: Final = 100
EVENT_TYPE_CHARACTERS: Final = 128

Aggregation = Literal["best", "latest", "sum", "min", "max", "count"]
Source = Literal["scores", "metric", "events"]
Basis = Literal["earned", "balance"]

# Where paths of filters begin, by the source.
ROOTS: Final[Mapping[str, Mapping[str, Root]]] = {"metric": METRIC_ROOTS, "events": EVENT_ROOTS}
_ONLY_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "metric": ("metric",),
    "basis": ("metric",),
    "filters": ("metric", "events"),
    "rules": ("events",),
    "backfill": ("metric", "events"),
}


def _expression(text: str) -> str:
    compile_expression(text)  # ExpressionError is a ValueError, as validators raise it
    return text


class ScoringRule(BaseModel):
    """What an event of one type is worth."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    event_type: Annotated[
        str, Field(min_length=1, max_length=EVENT_TYPE_CHARACTERS, pattern=NO_CONTROL_CHARACTERS)
    ] = Field(description="The rule is for events of this type.")
    points_expression: Annotated[
        str, Field(min_length=1, max_length=CHARACTERS), AfterValidator(_expression)
    ] = Field(
        description="What the event is worth, such as `attrs.kills * 10 + if(attrs.won == 1, 50, 0)`: "
        "numbers, paths (`attrs.…`, `actor.metadata.…`, `player.attributes.…`), `+ - * / %`, comparisons "
        "(1 or 0), `min` and `max` of 1 to 16, `abs`, `round` (halves away from zero), `floor`, `ceil`, and "
        "`if(condition, then, else)`. A name in a path has letters, digits and underscores: `a-b` subtracts. "
        "Where an operand is missing or no number, a division is by zero or a result is not finite, the rule "
        "yields nothing."
    )
    conditions: Filters = Field(
        default=NO_FILTERS,
        description="Like `filters`, for this rule: all must hold, else it yields nothing.",
    )

    @field_validator("conditions", mode="before")
    @classmethod
    def _conditions_right(cls, value: object) -> Filters:
        return Filters.parse(value, EVENT_ROOTS)


class Scoring(BaseModel):
    """How submissions become an entry's score, and where they come from."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: Source = Field(
        default="scores",
        description="`scores`: submitted to this leaderboard. `metric`, `events`: computed from a log; the "
        "leaderboard takes no submissions of its own (409 `leaderboard_not_writable`). It cannot change.",
    )
    aggregation: Aggregation = Field(
        default="best",
        description="How several scores of a player become one: `best` (by the leaderboard's order), "
        "`latest`, `sum`, `min`, `max`, or `count` (of submissions). It cannot change while a period has "
        "entries.",
    )
    score_min: NumberField | None = Field(
        default=None, description="Lower scores are refused; from a log they are passed over."
    )
    score_max: NumberField | None = Field(
        default=None,
        description="Higher scores are refused; from a log they are passed over. Not below `score_min`.",
    )
    # The checks across fields hang on the field that is to be put right, so that the error's loc names it.
    # They see the fields above only, and not those that were wrong in themselves.
    metric: Annotated[str, Field(pattern=LEADERBOARD_ID)] | None = Field(
        default=None,
        validate_default=True,
        description="Name of the metric. Required for source `metric`, not allowed otherwise.",
    )
    basis: Basis | None = Field(
        default=None,
        validate_default=True,
        description="For source `metric`, what counts. `earned` (the default): the amount of an award is the "
        "submission, other rows are none. `balance`: with `sum` the change of the balance is the submission, "
        "else the balance after the row.",
    )
    filters: Filters = Field(
        default=NO_FILTERS,
        description="For sources `metric` and `events`: which rows count, as operators by path; all must "
        "hold. Paths begin with `attrs.` or `actor.metadata.` (events), `metadata.` (a metric's rows), "
        "`player.attributes.`, `player.tags` or `player.roles`, and lead into objects by names with dots "
        "between them. PATCH replaces them.",
    )
    rules: Annotated[tuple[ScoringRule, ...], Field(min_length=1, max_length=RULES)] | None = Field(
        default=None,
        validate_default=True,
        description="What events are worth. All rules of an event's type whose conditions hold add up to one "
        "submission. Required for source `events`, not allowed otherwise. PATCH replaces them.",
    )
    backfill: bool | None = Field(
        default=None,
        validate_default=True,
        description="For sources `metric` and `events`: whether a new leaderboard is filled with what the "
        "log already has, instead of beginning with its creation. By default true for `metric`, and false "
        "for `events`.",
    )

    @model_validator(mode="after")
    def _bounds(self) -> Scoring:
        if self.score_min is not None and self.score_max is not None and self.score_min > self.score_max:
            raise PydanticCustomError("bounds", "score_min must not exceed score_max")
        return self

    @field_validator("rules", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("filters", mode="before")
    @classmethod
    def _filters_right(cls, value: object, info: ValidationInfo) -> Filters:
        # Without a source that has paths, those of all are known.
        roots = ROOTS.get(info.data.get("source", ""), {**EVENT_ROOTS, **METRIC_ROOTS})
        return Filters.parse(value, roots)

    @field_validator("metric", "rules")
    @classmethod
    def _required_by_source(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.data.get("source") in _ONLY_FOR[str(info.field_name)]:
            raise ValueError(f"is required for source '{info.data['source']}'")
        return value

    @field_validator("metric", "basis", "filters", "rules", "backfill")
    @classmethod
    def _goes_with_source(cls, value: Any, info: ValidationInfo) -> Any:
        owners, source = _ONLY_FOR[str(info.field_name)], info.data.get("source")
        if value is None or value == NO_FILTERS or source is None or source in owners:
            return value
        named = " and ".join(f"'{owner}'" for owner in owners)
        raise ValueError(f"is only for source{'s' if len(owners) > 1 else ''} {named}, not '{source}'")

    @field_validator("basis")
    @classmethod
    def _default_basis(cls, value: Basis | None, info: ValidationInfo) -> Basis | None:
        return "earned" if value is None and info.data.get("source") == "metric" else value

    @field_validator("backfill")
    @classmethod
    def _default_backfill(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value is None and info.data.get("source") in ROOTS:
            return bool(info.data["source"] == "metric")
        return value

    @model_serializer(mode="wrap")
    def _of_its_source(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        return {
            name: value
            for name, value in dumped.items()
            if name not in _ONLY_FOR or self.source in _ONLY_FOR[name]
        }

    @property
    def is_projection(self) -> bool:
        """Whether it is computed from a log."""
        return self.source != "scores"
