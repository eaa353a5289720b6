"""Rewards of a leaderboard: who wins what when a period closes. Pure: models, and rules applied to standings.

A leaderboard's `rewards` name tiers. A tier is won by rank (`rank_from`..`rank_to`), by share of the field
(`top_percent`) or by score (`score_threshold`), and carries a payload that means something to the game alone.
What counts is the rank that is shown: under the rank styles with ties, equals win alike, so a tier for rank 1
may have three winners.

`Awarding` is a set of rules made ready for one period's total. Beside judging a row it says which rows have
to be looked at: standings are read in pages from the best, and the reading stops (or jumps ahead) where no
tier can be won any more. A board of a million entries with a tier for the first hundred reads 101 rows.

What is promised and granted is stored by `lbactors.supervisor.rewards.granting`; this module knows nothing of
it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lbactors.core.ids import TIER_NAME
from lbactors.core.numbers import NumberField

TIERS = 100
PAYLOAD_BYTES = 2048  # of one tier, as compact JSON
PAYLOADS_BYTES = 65_536  # of all tiers of a leaderboard: they travel with every batch of winners
PAGE_ROWS = 1000  # most rows of the standings that are read at once

RewardWindow = Literal["main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Tier(_Strict):
    """One thing to win. Exactly one condition: a span of ranks, a share of the field, or a score.

    `score_threshold`: for boards in falling order at least this score, in rising order at most.
    """

    name: Annotated[str, Field(pattern=TIER_NAME)]
    rank_from: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None, description="First rank that wins; needs `rank_to`."
    )
    rank_to: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None, description="Last rank that wins; not before `rank_from`."
    )
    top_percent: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = Field(
        default=None,
        description="This share of the ranked players wins: ranks up to ceil(total × top_percent / 100).",
    )
    score_threshold: NumberField | None = Field(
        default=None,
        description="Scores of at least this win; where low scores lead (`asc`), scores of at most this.",
    )
    payload: dict[str, Any] = Field(
        default_factory=dict,
        description="The reward, in your game's own terms: any JSON object whose integers fit in 64 bits; "
        "at most "
        f"{PAYLOAD_BYTES} bytes as compact JSON.",
    )

    @field_validator("payload")
    @classmethod
    def _small(cls, value: dict[str, Any]) -> dict[str, Any]:
        if _payload_bytes(value) > PAYLOAD_BYTES:
            raise PydanticCustomError(
                "too_large", "must not exceed {most} bytes as JSON", {"most": PAYLOAD_BYTES}
            )
        return value

    @model_validator(mode="after")
    def _one_condition(self) -> Tier:
        by_rank = self.rank_from is not None or self.rank_to is not None
        conditions = [by_rank, self.top_percent is not None, self.score_threshold is not None]
        if sum(conditions) != 1:
            raise PydanticCustomError(
                "condition", "needs exactly one of rank_from and rank_to, top_percent, score_threshold"
            )
        if by_rank:
            if self.rank_from is None or self.rank_to is None:
                raise PydanticCustomError("ranks", "rank_from and rank_to belong together")
            if self.rank_from > self.rank_to:
                raise PydanticCustomError("ranks", "rank_from must not exceed rank_to")
        return self


class RewardRules(_Strict):
    """What a leaderboard promises for each closed period of its `windows`.

    `grant`: a player wins the first tier that matches, in the order given, or every one. `retain_days`: how
    long after the closing winners are kept and rewards can be claimed, whatever becomes of the period.
    """

    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=TIERS)] = Field(
        description="Tier names must be unique. All payloads together: at most "
        f"{PAYLOADS_BYTES} bytes as compact JSON."
    )
    grant: Literal["first", "every"] = Field(
        default="first",
        description="Whether a player wins only the first tier that matches, in the order given, or every "
        "tier that matches.",
    )
    windows: Annotated[tuple[RewardWindow, ...], Field(min_length=1, max_length=7)] = Field(
        default=("main",),
        description="The leaderboard's windows whose periods have rewards.",
        json_schema_extra={"uniqueItems": True},
    )
    retain_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=90,
        description="How many days after a period closes its rewards are kept and can be claimed, even if "
        "the period itself is deleted.",
    )

    @field_validator("tiers", "windows", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("tiers")
    @classmethod
    def _tiers_distinct(cls, value: tuple[Tier, ...]) -> tuple[Tier, ...]:
        if len({tier.name for tier in value}) != len(value):
            raise PydanticCustomError("tiers", "a name may be used by one tier")
        if sum(_payload_bytes(tier.payload) for tier in value) > PAYLOADS_BYTES:
            raise PydanticCustomError(
                "too_large", "all payloads together must not exceed {most} bytes", {"most": PAYLOADS_BYTES}
            )
        return value

    @field_validator("windows")
    @classmethod
    def _windows_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise PydanticCustomError("windows", "a window may be named once")
        return value


def check_windows(rules: RewardRules | None, info: ValidationInfo) -> RewardRules | None:
    """Of a definition: rewards may name its own windows alone. For a validator after `windows`."""
    windows = info.data.get("windows")  # missing where it is invalid itself
    if rules is not None and windows is not None:
        for window in rules.windows:
            if window not in ("main", *windows):
                raise PydanticCustomError(
                    "windows", "windows: '{window}' is no window of this leaderboard", {"window": window}
                )
    return rules


def _payload_bytes(payload: dict[str, Any]) -> int:
    try:
        return len(orjson.dumps(payload))
    except (TypeError, ValueError):
        raise PydanticCustomError("json", "must be a JSON object whose integers fit in 64 bits") from None


# Rules applied --------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """How far standings were looked at: rows before `offset`; the last of them had this rank and score."""

    offset: int
    rank: int
    score: int | float


class Awarding:
    """Rules for a period with `total` ranked entries. order: desc | asc, of the board's scores."""

    def __init__(self, rules: RewardRules, total: int, order: str) -> None:
        self.rules = rules
        self.total = total
        self._sign = 1 if order == "desc" else -1
        self._first_only = rules.grant == "first"
        # Tier by tier: best and worst rank, or the least score, with a sign by which more is better.
        self._tiers = [self._ready(tier) for tier in rules.tiers]
        self._spans = _merged([(low, high) for low, high, lowest in self._tiers if lowest is None])
        self._lowest_score = min((lowest for *_, lowest in self._tiers if lowest is not None), default=None)

    def _ready(self, tier: Tier) -> tuple[int, int, int | float | None]:
        if tier.score_threshold is not None:
            return 0, 0, self._sign * tier.score_threshold
        if tier.top_percent is not None:
            return 1, most_rank(self.total, tier.top_percent), None
        assert tier.rank_from is not None and tier.rank_to is not None, "one condition each"
        return tier.rank_from, tier.rank_to, None

    def tiers(self, rank: int, score: int | float) -> list[int]:
        """Indices of the tiers that a ranked entry wins, in the order given; at most one under `first`."""
        won = []
        signed = self._sign * score
        for index, (low, high, lowest) in enumerate(self._tiers):
            if low <= rank <= high if lowest is None else signed >= lowest:
                won.append(index)
                if self._first_only:
                    break
        return won

    def next_page(self, place: Place | None) -> tuple[int, int] | None:
        """Offset and number of the rows to look at next, best first; None where nothing more can be won.

        A rank that is shown is never above the position (an entry of rank r has r - 1 entries or more before
        it), so the rows before offset r - 1 have better ranks, and a jump to there misses none.
        """
        offset = 0 if place is None else place.offset
        if offset >= self.total:
            return None
        if self._lowest_score is not None and (
            place is None or self._sign * place.score >= self._lowest_score
        ):
            return offset, PAGE_ROWS
        for low, high in self._spans:
            if place is None or place.rank <= high:
                offset = max(offset, low - 1)
                if offset >= self.total:
                    return None
                # One row more than there are ranks shows that the last rank has no further equals.
                return offset, min(max(high - offset, 0) + 1, PAGE_ROWS)
        return None


def most_rank(total: int, percent: float) -> int:
    """ceil(total * percent / 100), exact for the decimal number as it is written (1.1 % of 3000 is 33)."""
    return math.ceil(total * Fraction(repr(percent)) / 100)


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of ranks that overlap, or lie less than a page apart, as one; in rising order."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1] + PAGE_ROWS:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged
