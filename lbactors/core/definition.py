"""What a leaderboard is: its definition as clients write it, checked, and the rules that a period's state
follows.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lbactors.core.audience import Audience
from lbactors.core.ids import LEADERBOARD_ID as LEADERBOARD_ID
from lbactors.core.ids import TENANT_ID as TENANT_ID
from lbactors.core.numbers import NumberField
from lbactors.core.reward_rules import RewardRules, check_windows
from lbactors.core.timeframe import Timeframe, spelled_out

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def check_identifier(value: object, max_length: int) -> str:
    """A player or submission id: 1..max_length characters, none of them a control character."""
    if type(value) is not str:
        raise PydanticCustomError("id_type", "must be a string")
    if not 1 <= len(value) <= max_length:
        raise PydanticCustomError(
            "id_length", "must have 1 to {max_length} characters", {"max_length": max_length}
        )
    if _CONTROL.search(value):
        raise PydanticCustomError("id_characters", "must not contain control characters")
    return value


WINDOWS = ("main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly")
Scope = Literal[
    "scores:write",
    "rankings:read",
    "leaderboards:read",
    "leaderboards:write",
    "players:write",
    "keys:write",
    "platform",
]
SCOPES: tuple[str, ...] = get_args(Scope)
Aggregation = Literal["best", "latest", "sum", "min", "max", "count"]
Order = Literal["desc", "asc"]
TieBreaking = Literal["first", "last"]
RankStyle = Literal["ordinal", "competition", "dense"]


_EXAMPLES = {
    "scoring": '{"aggregation": "sum"}',
    "ranking": '{"order": "asc"}',
    "audience": '{"rank": {"roles": ["vip"]}}',
}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Scoring(Strict):
    """How submissions become an entry's score."""

    source: Literal["scores", "metric", "events"] = Field(
        default="scores", json_schema_extra={"enum": ["scores"]}
    )
    aggregation: Aggregation = Field(
        default="best",
        description="How several scores of a player become one: `best` (by the leaderboard's order), "
        "`latest`, `sum`, `min`, `max`, or `count` (of submissions). It cannot change while a period has "
        "entries.",
    )
    score_min: NumberField | None = Field(default=None, description="Lower scores are refused.")
    score_max: NumberField | None = Field(
        default=None, description="Higher scores are refused. Not below `score_min`."
    )

    @field_validator("source")
    @classmethod
    def _source_supported(cls, value: str) -> str:
        if value != "scores":
            raise PydanticCustomError("unsupported", "not yet supported; use 'scores'")
        return value

    @model_validator(mode="after")
    def _bounds(self) -> Scoring:
        if self.score_min is not None and self.score_max is not None and self.score_min > self.score_max:
            raise PydanticCustomError("bounds", "score_min must not exceed score_max")
        return self


class RankingRules(Strict):
    """How entries are ordered, ranked and kept."""

    order: Order = "desc"
    subscore_order: Order = "desc"
    tie_breaking: TieBreaking = Field(
        default="first",
        description="Which of two players with equal score and subscore ranks higher: the one who reached "
        "it `first`, or `last`.",
    )
    rank_style: RankStyle = Field(
        default="ordinal",
        description="How equal scores rank: `ordinal` 1, 2, 3; `competition` 1, 1, 3; `dense` 1, 1, 2.",
    )
    max_entries: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None,
        description="Maximum number of entries in a period; beyond it the worst entry is dropped.",
    )
    min_score: NumberField | None = Field(
        default=None, description="Entries with a lower score are kept, but not ranked or counted."
    )


class Definition(Strict):
    """A leaderboard as a client writes it (`POST /v1/leaderboards`)."""

    leaderboard_id: Annotated[str, Field(pattern=LEADERBOARD_ID)] = Field(
        description="Unique in the tenant; cannot be changed."
    )
    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        default="", description="Defaults to the id."
    )
    description: Annotated[str, Field(max_length=2000)] = ""
    status: Literal["active", "inactive", "archived"] = Field(
        default="active", description="`inactive` and `archived` leaderboards can be read but take no scores."
    )
    timeframe: Timeframe = Timeframe()
    windows: tuple[Literal["all_time", "yearly", "monthly", "weekly", "daily", "hourly"], ...] = Field(
        default=(),
        description="Further schedules over the same scores, each with its own periods and rankings. The "
        "main timeframe's own type is not allowed.",
        json_schema_extra={"uniqueItems": True},
    )
    scoring: Scoring = Scoring()
    ranking: RankingRules = RankingRules()
    audience: Audience = Audience()
    placement: Literal["auto", "dedicated"] = Field(
        default="auto",
        description="`dedicated` gives the leaderboard an actor (a process) of its own; with `auto` it may "
        "share one.",
    )
    rewards: RewardRules | None = Field(
        default=None,
        description="What players win when a period closes; null for no rewards. PATCH replaces it.",
    )
    metadata: dict[str, Any] = Field(
        default_factory=dict,
        description="Any JSON object whose integers fit in 64 bits; at most 4096 bytes as compact JSON.",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_defaults_to_id(cls, data: Any) -> Any:
        if isinstance(data, dict) and "name" not in data and isinstance(data.get("leaderboard_id"), str):
            return {**data, "name": data["leaderboard_id"]}
        return data

    @field_validator("timeframe", mode="before")
    @classmethod
    def _timeframe_spelled_out(cls, value: Any) -> Any:
        return spelled_out(value)

    @field_validator("scoring", "ranking", "audience", mode="before")
    @classmethod
    def _objects(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, BaseModel | dict):
            raise ValueError(f"must be an object such as {_EXAMPLES[str(info.field_name)]}")
        return value

    @field_validator("rewards")
    @classmethod
    def _rewards_windows(cls, value: RewardRules | None, info: ValidationInfo) -> RewardRules | None:
        return check_windows(value, info)

    @field_validator("windows", mode="before")
    @classmethod
    def _windows_list(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError('must be a list such as ["daily", "all_time"]')
        return tuple(value)

    @field_validator("windows")
    @classmethod
    def _windows_distinct(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise PydanticCustomError("windows", "a window may be named once")
        timeframe = info.data.get("timeframe")  # missing where it is invalid itself
        main = timeframe.type if timeframe is not None else None
        main = "all_time" if main == "permanent" else main
        if main in value:
            raise PydanticCustomError("windows", "'{main}' is the main timeframe already", {"main": main})
        return value


class Rules(NamedTuple):
    """The part of a definition that a period's state depends on; journaled, so replay is deterministic."""

    aggregation: Aggregation
    order: Order
    subscore_order: Order
    tie_breaking: TieBreaking
    rank_style: RankStyle
    max_entries: int | None
    min_score: int | float | None

    @classmethod
    def of(cls, definition: Definition) -> Rules:
        r = definition.ranking
        return cls(
            definition.scoring.aggregation,
            r.order,
            r.subscore_order,
            r.tie_breaking,
            r.rank_style,
            r.max_entries,
            r.min_score,
        )

    def reorders(self, other: Rules) -> bool:
        """Whether a change from `other` to these rules is forbidden while a period holds entries."""
        return self[:4] != other[:4]
