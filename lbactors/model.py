"""Definitions, submissions and errors: the shapes that cross every boundary of the service.

Pure: pydantic models for what people write by hand (definitions), plain tuples for what is hot
(submissions, entries). Field names, values and defaults are those of the native API.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lbactors.numbers import MAX_EXACT_INTEGER as MAX_EXACT_INTEGER
from lbactors.numbers import Number as Number
from lbactors.numbers import check_number as check_number
from lbactors.rewards import RewardRules, check_windows
from lbactors.timeframe import Timeframe

# One row an error code: the HTTP status it travels with.
ERROR_STATUS: dict[str, int] = {
    "malformed_body": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "leaderboard_not_found": 404,
    "period_not_found": 404,
    "entry_not_found": 404,
    "player_not_found": 404,
    "tenant_not_found": 404,
    "key_not_found": 404,
    "webhook_not_found": 404,
    "delivery_not_found": 404,
    "reward_not_found": 404,
    "held_submission_not_found": 404,
    "route_not_found": 404,
    "method_not_allowed": 405,
    "leaderboard_exists": 409,
    "tenant_exists": 409,
    "period_exists": 409,
    "entry_exists": 409,
    "period_closed": 409,
    "period_not_open": 409,
    "rewards_pending": 409,
    "leaderboard_inactive": 409,
    "webhook_limit": 409,
    "webhook_disabled": 409,
    "idempotency_conflict": 409,
    "held_submission_decided": 409,
    "version_mismatch": 412,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "validation_failed": 422,
    "submission_refused": 422,
    "rate_limited": 429,
    "overloaded": 429,
    "internal_error": 500,
    "period_loading": 503,
    "storage_unavailable": 503,
}


class ApiError(Exception):
    """An answer other than success: one of the API's codes, a message for people, details by field.

    `details`: `{"loc": [...], "msg": "..."}` each. `retry_after_s`: set for 429 and 503.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: list[dict[str, Any]] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details or []
        self.status = ERROR_STATUS[code]
        if retry_after_s is None and self.status in (429, 503):
            retry_after_s = 1
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        return ApiError.from_wire, (self.to_wire(),)

    def to_wire(self) -> list[Any]:
        """As a list that crosses a process boundary; `from_wire` inverts it."""
        return [self.code, self.message, self.details, self.retry_after_s]

    @classmethod
    def from_wire(cls, wire: list[Any]) -> ApiError:
        return cls(wire[0], wire[1], wire[2], wire[3])


def invalid(message: str, *loc: str | int) -> ApiError:
    """A 422 that names one field by its path."""
    return ApiError("validation_failed", f"{'.'.join(map(str, loc))}: {message}", [detail(message, *loc)])


def detail(message: str, *loc: str | int) -> dict[str, Any]:
    """One item of an error's `details`."""
    return {"loc": list(loc), "msg": message}


def invalid_from(error: ValidationError, *prefix: str | int) -> ApiError:
    """A 422 from pydantic's findings, at most 20 of them, each with its path after `prefix`."""
    details = [
        detail(e["msg"].removeprefix("Value error, "), *prefix, *e["loc"])
        for e in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    first = details[0]
    return ApiError("validation_failed", f"{'.'.join(map(str, first['loc']))}: {first['msg']}", details)


# Identifiers ---------------------------------------------------------------------------------------------

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


# Definitions ----------------------------------------------------------------------------------------------

WINDOWS = ("main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly")
LEADERBOARD_ID = (
    r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"  # for re: use fullmatch, `$` allows a final newline there
)
TENANT_ID = r"^[a-z0-9][a-z0-9_-]{0,62}$"
SCOPES = (
    "scores:write",
    "rankings:read",
    "leaderboards:read",
    "leaderboards:write",
    "players:write",
    "keys:write",
    "platform",
)

Aggregation = Literal["best", "latest", "sum", "min", "max", "count"]
Order = Literal["desc", "asc"]
TieBreaking = Literal["first", "last"]
RankStyle = Literal["ordinal", "competition", "dense"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Scoring(_Strict):
    """How submissions become an entry's score."""

    source: Literal["scores", "metric", "events"] = Field(
        default="scores", json_schema_extra={"enum": ["scores"]}
    )
    aggregation: Aggregation = Field(
        default="best", description="Cannot change while a period holds entries."
    )
    score_min: Number | None = Field(default=None, description="A submission below is refused.")
    score_max: Number | None = Field(
        default=None, description="A submission above is refused; not below `score_min`."
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


class RankingRules(_Strict):
    """How entries are ordered, ranked and kept."""

    order: Order = "desc"
    subscore_order: Order = "desc"
    tie_breaking: TieBreaking = Field(
        default="first", description="Who leads among equals: who reached it first, or last."
    )
    rank_style: RankStyle = Field(default="ordinal", description="1,2,3 · 1,1,3 · 1,1,2")
    max_entries: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None, description="The worst drops out."
    )
    min_score: Number | None = Field(
        default=None, description="Below it an entry is kept, but neither ranked nor counted."
    )


class Definition(_Strict):
    """A leaderboard as a client writes it (`POST /v1/leaderboards`)."""

    leaderboard_id: Annotated[str, Field(pattern=LEADERBOARD_ID)] = Field(
        description="Unique in the tenant, immutable."
    )
    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        default="", description="Default: the id."
    )
    description: Annotated[str, Field(max_length=2000)] = ""
    status: Literal["active", "inactive", "archived"] = Field(
        default="active", description="`inactive` and `archived` refuse writes and serve reads."
    )
    timeframe: Timeframe = Timeframe()
    windows: tuple[Literal["all_time", "yearly", "monthly", "weekly", "daily", "hourly"], ...] = Field(
        default=(),
        description="Further views, each its own chain of periods fed by the same submissions; not the main "
        "type.",
        json_schema_extra={"uniqueItems": True},
    )
    scoring: Scoring = Scoring()
    ranking: RankingRules = RankingRules()
    placement: Literal["auto", "dedicated"] = Field(
        default="auto",
        description="`dedicated`: each window has a period actor of its own, whatever else runs.",
    )
    rewards: RewardRules | None = Field(
        default=None,
        description="What the players of a closed period win; null for nothing. PATCH replaces it.",
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

    @field_validator("rewards")
    @classmethod
    def _rewards_windows(cls, value: RewardRules | None, info: ValidationInfo) -> RewardRules | None:
        return check_windows(value, info)

    @field_validator("windows", mode="before")
    @classmethod
    def _windows_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

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


class Submission(NamedTuple):
    """One requested change, validated, as it travels to the period actor (times in ms, metadata as JSON)."""

    player_id: str
    score: int | float | None
    subscore: int | float
    metadata: bytes | None
    submission_id: str | None
    occurred_at_ms: int | None
    aggregation: str | None


# Steps of a period's life that were carried out, events included, in this order. CLOSED: sealed, rewards are
# still to be granted. A record that is sealed at UNANNOUNCED is of an earlier version: nothing is left to do.
UNANNOUNCED, OPENED, CLOSING, CLOSED, COMPLETE = range(5)


# Submission ids are known for a day, and a period takes them until a day's grace after its end is over.
IDS_OWED_MS = 48 * 3600 * 1000


class PeriodRecord(NamedTuple):
    """A period as the store remembers it: document `<chain_id>/<key>` of the collection `periods`.

    `serial` counts the periods of a chain from 1 and names the journal (`<chain_id>/<serial>`), so a key
    may change (a new timeframe) while the entries stay. `starts_at_ms` None: no beginning.
    """

    serial: int
    key: str
    starts_at_ms: int | None
    ends_at_ms: int | None
    sealed: bool
    entries: int
    submissions: int
    opened_at_ms: int
    last_seq: int = 0
    forced: bool = False  # closed by hand: takes no late submissions
    stage: int = 0  # how far its life was announced, one of STAGES
    ids_owed: bool = False  # closed while there was no period after it that could take its submission ids

    def owes_ids(self, now_ms: int) -> bool:
        """Whether a period that is made now may be sent a repeat of what this one took."""
        return self.ids_owed and (self.ends_at_ms is None or now_ms < self.ends_at_ms + IDS_OWED_MS)

    def contains(self, at_ms: int) -> bool:
        """Whether an instant lies in [start, end)."""
        return (self.starts_at_ms is None or self.starts_at_ms <= at_ms) and (
            self.ends_at_ms is None or at_ms < self.ends_at_ms
        )

    def state(self, now_ms: int, grace_ms: int) -> str:
        """`pending`, `active`, `closing` or `closed`: a function of the clock alone."""
        if self.forced:
            grace_ms = 0
        if self.starts_at_ms is not None and now_ms < self.starts_at_ms:
            return "pending"
        if self.ends_at_ms is None or now_ms < self.ends_at_ms:
            return "active"
        return "closing" if now_ms < self.ends_at_ms + grace_ms else "closed"


# What the catalogue knows ---------------------------------------------------------------------------------


class Tenant(NamedTuple):
    """Owner of leaderboards and keys; document `<tenant_id>` of the collection `tenants`."""

    tenant_id: str
    name: str
    status: str  # active | disabled
    hmac_secret: str | None
    created_at_ms: int


class Key(NamedTuple):
    """An API key without the key: document `<key_id>` of the collection `keys`."""

    key_id: str
    tenant_id: str
    name: str
    scopes: frozenset[str]
    key_hash: str  # hex SHA-256 of the whole key text
    status: str  # active | disabled | deleted
    expires_at_ms: int | None
    player_id: str | None
    created_at_ms: int


class Board(NamedTuple):
    """A leaderboard as it stands: document `<tenant_id>/<leaderboard_id>` of the collection `leaderboards`.

    `uid` tells apart leaderboards that had the same id one after the other, so a purged one leaves no trace.
    """

    tenant_id: str
    uid: str
    definition: Definition
    version: int
    created_at_ms: int
    updated_at_ms: int

    @property
    def leaderboard_id(self) -> str:
        return self.definition.leaderboard_id

    @property
    def windows(self) -> tuple[str, ...]:
        """`main` and the further windows."""
        return ("main", *self.definition.windows)

    def chain_id(self, window: str) -> str:
        """Name of one window's chain of periods, the unit of placement."""
        return f"{self.tenant_id}/{self.leaderboard_id}~{self.uid}/{window}"


# What period actors answer --------------------------------------------------------------------------------


class PeriodView(NamedTuple):
    """A period as readers see it. `state` is by the actor's clock at the time of the answer."""

    serial: int
    key: str
    window: str
    state: str
    starts_at_ms: int | None
    ends_at_ms: int | None
    next_starts_at_ms: int | None
    entries: int
    submissions: int


class Row(NamedTuple):
    """One entry in an answer. `rank` None: below `min_score`. `metadata`: JSON bytes or None. `change` None:
    the period before cannot be read.
    """

    rank: int | None
    player_id: str
    score: int | float
    subscore: int | float
    metadata: bytes | None
    submissions: int
    first_at_ms: int
    updated_at_ms: int
    change: str | None


class Reading(NamedTuple):
    """Entries of one period at one seq. `offset` is 0-based, of the first row in the total order.

    `matched`: rows inside the asked score range (None without one). `missing`: players looked up in vain.
    `spread`: a distribution, where that was asked for.
    """

    period: PeriodView
    total: int
    as_of_seq: int
    rows: list[Row]
    offset: int
    matched: int | None = None
    missing: tuple[str, ...] = ()
    spread: dict[str, Any] | None = None


class Outcome(NamedTuple):
    """What became of one submission in one window's period. Ranks are None unless asked for."""

    window: str
    period_key: str
    player_id: str
    applied: bool
    score: int | float | None
    subscore: int | float | None
    previous_score: int | float | None
    rank: int | None
    previous_rank: int | None
    seq: int
    duplicate: bool
