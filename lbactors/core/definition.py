"""What a leaderboard is: its definition as clients write it, checked, and the rules that a period's state
follows.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lbactors.core.audience import Audience
from lbactors.core.ids import LEADERBOARD_ID as LEADERBOARD_ID
from lbactors.core.ids import TENANT_ID as TENANT_ID
from lbactors.core.numbers import MAX_EXACT_INTEGER, NumberField
from lbactors.core.presentation import (
    EXTERNAL_BYTES,
    LANGUAGES,
    TRANSLATIONS_BYTES,
    Display,
    Translation,
    Widget,
    at_most,
    check_translations,
    languages,
)
from lbactors.core.reward_rules import RewardRules, check_windows
from lbactors.core.scoring import Aggregation, Scoring
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
Order = Literal["desc", "asc"]
TieBreaking = Literal["first", "last"]
RankStyle = Literal["ordinal", "competition", "dense"]
LEAST_POSITIVE = math.nextafter(0, 1)


_EXAMPLES = {
    "scoring": '{"aggregation": "sum"}',
    "ranking": '{"order": "asc"}',
    "audience": '{"rank": {"roles": ["vip"]}}',
}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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
    positive_only: bool = Field(
        default=False,
        description="Entries with a score of 0 or less are kept, but not ranked or counted.",
    )
    top_only: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None,
        description="Ranks beyond this one read null, and so do `change` and `percentile` of these entries. "
        "The entries themselves are still listed and counted. Rewards go by the true rank.",
    )

    @property
    def lowest_ranked(self) -> int | float | None:
        """The lowest score that is ranked; None: any. "Above 0" is "at least the smallest double above 0"."""
        if not self.positive_only:
            found: int | float | None = self.min_score
            return found
        return LEAST_POSITIVE if self.min_score is None else max(self.min_score, LEAST_POSITIVE)


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
    # How it is shown, and to whom (`lbactors.core.presentation`).
    display: Display = Field(
        default=Display(), description="Hints for whoever draws the leaderboard, returned as you wrote them."
    )
    translations: dict[str, Translation] = Field(
        default_factory=dict,
        description="Texts by language tag (`it`, `pt-BR`), which `?lang=` puts in place of the definition's "
        f"own. At most {LANGUAGES} languages and {TRANSLATIONS_BYTES} bytes as compact JSON.",
    )
    display_order: Annotated[int, Field(ge=-MAX_EXACT_INTEGER, le=MAX_EXACT_INTEGER)] = Field(
        default=0, description="Listings begin with the lowest; equals follow in the order of their creation."
    )
    public: bool = Field(
        default=True,
        description="If false, the leaderboard does not exist for keys that are bound to a player: they get "
        "404 for every read and every write, and no listing shows it to them.",
    )
    preview: bool = Field(
        default=False,
        description="For your own consoles: not yet for everybody. The server does nothing with it.",
    )
    widget: Widget = Field(
        default=Widget(), description="Settings of an embedded widget, returned as you wrote them."
    )
    external: dict[str, Any] = Field(
        default_factory=dict,
        description="A document of another system, returned as you wrote it: any JSON object whose integers "
        f"fit in 64 bits, at most {EXTERNAL_BYTES} bytes as compact JSON.",
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

    @field_validator("translations", mode="before")
    @classmethod
    def _translations(cls, value: Any) -> Any:
        return check_translations(value)

    @field_validator("external")
    @classmethod
    def _external_small(cls, value: dict[str, Any]) -> dict[str, Any]:
        return at_most(EXTERNAL_BYTES, value)

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

    def in_language(self, lang: str) -> Definition:
        """The definition with the texts of a language in place of its own, each as far as there is one."""
        changes: dict[str, Any] = {}
        for tag in reversed(languages(self.translations, lang)):  # the closest last
            translation = self.translations[tag]
            changes |= {name: text for name, text in translation if text is not None}
        if (label := changes.pop("score_label", None)) is not None:
            changes["display"] = self.display.model_copy(update={"score_label": label})
        return self.model_copy(update=changes) if changes else self


class Rules(NamedTuple):
    """The part of a definition that a period's state depends on; journaled, so replay is deterministic.

    min_score: `RankingRules.lowest_ranked`.
    """

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
            r.lowest_ranked,
        )

    def reorders(self, other: Rules) -> bool:
        """Whether a change from `other` to these rules is forbidden while a period holds entries."""
        return self[:4] != other[:4]
