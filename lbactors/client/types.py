"""The shapes of the API's answers, for type checkers and editors; at run time they are dicts.

Written by `docs/generate_client.py` from `docs/openapi.json`, whose schemas have these names and describe
what the fields mean. A key that is `NotRequired` may be absent.
"""

from typing import Any, Literal, NotRequired, TypedDict, final

Json = dict[str, Any]
"""An object whose keys are those that you sent, or are described in the API reference alone."""


@final
class OutcomeWindow(TypedDict):
    window: Literal["all_time", "yearly", "monthly", "weekly", "daily", "hourly"]
    period_key: NotRequired[str]
    player_id: NotRequired[str]
    applied: bool
    score: NotRequired[float | None]
    subscore: NotRequired[float | None]
    previous_score: NotRequired[float | None]
    rank: NotRequired[int | None]
    previous_rank: NotRequired[int | None]
    seq: NotRequired[int]
    duplicate: NotRequired[Literal[True]]
    skipped: NotRequired[Literal["period_closed", "period_not_open"]]


@final
class Outcome(TypedDict):
    period_key: str
    player_id: str
    applied: bool
    score: float | None
    subscore: float | None
    previous_score: float | None
    rank: int | None
    previous_rank: int | None
    seq: int
    windows: NotRequired[list[OutcomeWindow]]
    duplicate: NotRequired[Literal[True]]


@final
class HeldOutcome(TypedDict):
    """The submission is in the review queue; nothing is applied until it is approved."""

    period_key: None
    player_id: str
    applied: Literal[False]
    score: None
    subscore: None
    previous_score: None
    rank: None
    previous_rank: None
    seq: None
    held: Literal[True]
    held_id: str


@final
class ErrorDetail(TypedDict):
    loc: list[str | int]
    msg: str


@final
class ItemError(TypedDict):
    index: int
    code: str
    message: str
    details: NotRequired[list[ErrorDetail]]


@final
class BatchOutcomeResult(TypedDict):
    index: int
    period_key: NotRequired[str | None]
    player_id: NotRequired[str]
    applied: NotRequired[bool]
    score: NotRequired[float | None]
    subscore: NotRequired[float | None]
    previous_score: NotRequired[float | None]
    rank: int | None
    previous_rank: NotRequired[int | None]
    seq: NotRequired[int | None]
    windows: NotRequired[list[OutcomeWindow]]
    duplicate: NotRequired[Literal[True]]
    held: NotRequired[Literal[True]]
    held_id: NotRequired[str]


@final
class BatchOutcome(TypedDict):
    accepted: int
    rejected: int
    held: NotRequired[int]
    errors: list[ItemError]
    results: list[BatchOutcomeResult]


@final
class RowOutcome(TypedDict):
    transaction_id: str
    seq: int
    balance: float
    earned: float
    duplicate: bool
    behind: list[str]


@final
class RowsOutcomeResult(TypedDict):
    index: int
    transaction_id: str
    seq: int
    balance: float
    earned: float
    duplicate: bool


@final
class RowsOutcome(TypedDict):
    accepted: int
    rejected: int
    errors: list[ItemError]
    results: list[RowsOutcomeResult]
    behind: list[str]


@final
class SettledTransaction(TypedDict):
    transaction_id: str
    seq: int
    player_id: str
    kind: Literal["award", "deduct", "set"]
    state: Literal["completed", "pending", "rejected"]
    score: float
    subscore: float
    submission_id: str | None
    metadata: Json | None
    occurred_at: str | None
    created_at: str
    settled_at: str | None
    balance: float
    earned: float
    behind: list[str]


@final
class Balance(TypedDict):
    metric: str
    player_id: str
    balance: float
    earned: float
    spent: float
    pending: float
    transactions: int
    updated_at: str | None


@final
class Transaction(TypedDict):
    transaction_id: str
    seq: int
    player_id: str
    kind: Literal["award", "deduct", "set"]
    state: Literal["completed", "pending", "rejected"]
    score: float
    subscore: float
    submission_id: str | None
    metadata: Json | None
    occurred_at: str | None
    created_at: str
    settled_at: str | None


@final
class TransactionListing(TypedDict):
    items: list[Transaction]
    total: int
    next_cursor: str | None


@final
class Metric(TypedDict):
    metric: str
    players: int
    transactions: int
    last_at: str | None


@final
class MetricListing(TypedDict):
    items: list[Metric]
    total: int
    next_cursor: str | None


@final
class EventsOutcomeResultMatchedWindow(TypedDict):
    window: Literal["main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly"]
    score: float
    rank: int | None


@final
class EventsOutcomeResultMatched(TypedDict):
    leaderboard_id: str
    points: float
    windows: list[EventsOutcomeResultMatchedWindow]


@final
class EventsOutcomeResult(TypedDict):
    index: int
    event_id: str
    matched: list[EventsOutcomeResultMatched]


@final
class EventsOutcome(TypedDict):
    accepted: int
    duplicates: int
    rejected: int
    errors: list[ItemError]
    behind: list[str]
    results: NotRequired[list[EventsOutcomeResult]]


@final
class RulesTestedFilters(TypedDict):
    matched: bool
    why: str


@final
class RulesTestedRule(TypedDict):
    index: int
    matched: bool
    points: float | None
    why: str


@final
class RulesTested(TypedDict):
    matched: bool
    points: float | None
    filters: RulesTestedFilters
    rules: list[RulesTestedRule]


@final
class PagePeriod(TypedDict):
    period_key: str
    window: Literal["main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly"]
    state: Literal["pending", "active", "closing", "closed"]
    starts_at: str | None
    ends_at: str | None
    local_starts_at: NotRequired[str | None]
    local_ends_at: NotRequired[str | None]


@final
class Entry(TypedDict):
    rank: int | None
    player_id: str
    display_name: str | None
    score: float
    subscore: float
    metadata: Json | None
    submissions: int
    first_at: str
    updated_at: str
    change: Literal["up", "down", "same", "new"] | None


@final
class RankingsPage(TypedDict):
    leaderboard_id: str
    period: PagePeriod
    total: int
    as_of_seq: int
    entries: list[Entry]
    matched: NotRequired[int]
    next_cursor: str | None
    prev_cursor: str | None


@final
class PlayerEntry(TypedDict):
    leaderboard_id: str
    period: PagePeriod
    total: int
    as_of_seq: int
    rank: int | None
    player_id: str
    display_name: str | None
    score: float
    subscore: float
    metadata: Json | None
    submissions: int
    first_at: str
    updated_at: str
    change: Literal["up", "down", "same", "new"] | None
    percentile: float | None


@final
class WindowEntry(TypedDict):
    window: Literal["main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly"]
    period_key: str
    rank: int | None
    player_id: str
    display_name: str | None
    score: float
    subscore: float
    metadata: Json | None
    submissions: int
    first_at: str
    updated_at: str
    change: Literal["up", "down", "same", "new"] | None


@final
class RemovedEntries(TypedDict):
    removed: list[WindowEntry]


@final
class EditedEntries(TypedDict):
    before: list[WindowEntry]
    after: list[WindowEntry]


@final
class LookupAnswerEntry(TypedDict):
    position: int
    rank: int | None
    player_id: str
    display_name: str | None
    score: float
    subscore: float
    metadata: Json | None
    submissions: int
    first_at: str
    updated_at: str
    change: Literal["up", "down", "same", "new"] | None


@final
class LookupAnswer(TypedDict):
    leaderboard_id: str
    period: PagePeriod
    total: int
    as_of_seq: int
    entries: list[LookupAnswerEntry]
    not_found: list[str]


@final
class RankAt(TypedDict):
    rank: int | None
    total: int
    period: PagePeriod


@final
class DistributionQuantiles(TypedDict):
    p50: float | None
    p90: float | None
    p99: float | None


DistributionBucket = TypedDict("DistributionBucket", {"from": float, "to": float, "count": int})


@final
class Distribution(TypedDict):
    total: int
    min: float | None
    max: float | None
    mean: float | None
    quantiles: DistributionQuantiles
    buckets: list[DistributionBucket]
    period: PagePeriod


@final
class PlayerEntriesItem(TypedDict):
    leaderboard_id: str
    window: Literal["main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly"]
    period_key: str
    rank: int | None
    player_id: str
    display_name: str | None
    score: float
    subscore: float
    metadata: Json | None
    submissions: int
    first_at: str
    updated_at: str
    change: Literal["up", "down", "same", "new"] | None
    total: int
    percentile: float | None


@final
class PlayerEntries(TypedDict):
    player_id: str
    items: list[PlayerEntriesItem]


@final
class RestoredEntries(TypedDict):
    restored: list[WindowEntry]


@final
class Imported(TypedDict):
    period_key: str | None
    imported: int
    unchanged: int
    dropped: int
    rejected: int
    errors: list[ItemError]


@final
class Timeframe(TypedDict):
    """The reset schedule: when periods begin and end."""

    type: Literal[
        "permanent", "hourly", "daily", "weekly", "monthly", "yearly", "cron", "every", "range", "manual"
    ]
    timezone: str
    reset_time: str
    reset_day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    reset_date: int
    cron: str | None
    every_seconds: int | None
    starts_at: str | None
    ends_at: str | None
    late_grace_seconds: int
    retain_periods: int
    retain_days: int
    late_submissions: Literal["refuse", "arrival"]


FilterOperators = TypedDict(
    "FilterOperators",
    {
        "eq": NotRequired[str | float | bool | list[Any] | Json],
        "ne": NotRequired[str | float | bool | list[Any] | Json],
        "in": NotRequired[list[str | float | bool | list[Any] | Json]],
        "not_in": NotRequired[list[str | float | bool | list[Any] | Json]],
        "gt": NotRequired[float | str],
        "gte": NotRequired[float | str],
        "lt": NotRequired[float | str],
        "lte": NotRequired[float | str],
        "exists": NotRequired[bool],
        "contains": NotRequired[str | float | bool | list[Any] | Json],
    },
)


@final
class ScoringRule(TypedDict):
    """What an event of one type is worth."""

    event_type: str
    points_expression: str
    conditions: dict[str, FilterOperators]


@final
class Scoring(TypedDict):
    """How submissions become a player's score, and where they come from."""

    source: Literal["scores", "metric", "events"]
    aggregation: Literal["best", "latest", "sum", "min", "max", "count"]
    score_min: float | None
    score_max: float | None
    metric: NotRequired[str | None]
    basis: NotRequired[Literal["earned", "balance"] | None]
    filters: NotRequired[dict[str, FilterOperators]]
    rules: NotRequired[list[ScoringRule] | None]
    backfill: NotRequired[bool | None]


@final
class Ranking(TypedDict):
    """How entries are ordered and ranked, and how many are kept."""

    order: Literal["desc", "asc"]
    subscore_order: Literal["desc", "asc"]
    tie_breaking: Literal["first", "last"]
    rank_style: Literal["ordinal", "competition", "dense"]
    max_entries: int | None
    min_score: float | None
    positive_only: bool
    top_only: int | None


@final
class AudienceList(TypedDict):
    """Players by id, role or tag. Any of the three will do."""

    players: list[str]
    roles: list[str]
    tags: list[str]


@final
class Audience(TypedDict):
    """Who is ranked, and who may read the rankings."""

    rank: AudienceList
    view: AudienceList
    include_test_players: bool


@final
class RewardTier(TypedDict):
    """Needs exactly one condition: a range of ranks, `top_percent` or `score_threshold`. The displayed
    rank counts, so players with equal ranks win alike."""

    name: str
    rank_from: int | None
    rank_to: int | None
    top_percent: float | None
    score_threshold: float | None
    payload: Json


@final
class RewardRules(TypedDict):
    """What players win when a period closes."""

    tiers: list[RewardTier]
    grant: Literal["first", "every"]
    windows: list[Literal["main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly"]]
    retain_days: int


@final
class DisplayColumn(TypedDict):
    column: str
    visible: NotRequired[bool | None]
    order: NotRequired[int | None]


@final
class Display(TypedDict):
    """How to draw the leaderboard."""

    columns: NotRequired[list[DisplayColumn] | None]
    score_label: NotRequired[str | None]
    top_n: NotRequired[int | None]
    show_rank: NotRequired[bool | None]
    show_score: NotRequired[bool | None]
    icon_url: NotRequired[str | None]
    image_url: NotRequired[str | None]
    color: NotRequired[str | None]


@final
class Translation(TypedDict):
    """Texts in one language."""

    name: NotRequired[str | None]
    description: NotRequired[str | None]
    score_label: NotRequired[str | None]


@final
class Widget(TypedDict):
    """Settings of an embedded widget."""

    enabled: NotRequired[bool | None]
    whitelisted_domains: NotRequired[list[str] | None]
    theme: NotRequired[Json | None]
    size: NotRequired[Json | None]
    button: NotRequired[Json | None]


@final
class ProjectionStatus(TypedDict):
    state: Literal["live", "behind", "filling", "asleep"]
    rows_read: int
    rows: int
    behind_seconds: float


@final
class Leaderboard(TypedDict):
    leaderboard_id: str
    name: str
    description: str
    status: Literal["active", "inactive", "archived"]
    timeframe: Timeframe
    windows: list[Literal["all_time", "yearly", "monthly", "weekly", "daily", "hourly"]]
    scoring: Scoring
    ranking: Ranking
    audience: Audience
    placement: Literal["auto", "dedicated"]
    rewards: RewardRules | None
    metadata: Json
    display: Display
    translations: dict[str, Translation]
    display_order: int
    public: bool
    preview: bool
    widget: Widget
    external: Json
    tenant_id: str
    version: int
    created_at: str
    updated_at: str
    projection: NotRequired[ProjectionStatus | None]


@final
class LeaderboardListing(TypedDict):
    items: list[Leaderboard]
    total: int
    next_cursor: str | None


@final
class Period(TypedDict):
    period_key: str
    window: Literal["main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly"]
    state: Literal["pending", "active", "closing", "closed"]
    starts_at: str | None
    ends_at: str | None
    local_starts_at: NotRequired[str | None]
    local_ends_at: NotRequired[str | None]
    next_starts_at: str | None
    entries: int
    submissions: int


@final
class PeriodListing(TypedDict):
    items: list[Period]
    total: int
    next_cursor: str | None


@final
class ClosedPeriod(TypedDict):
    closed: Period
    current: Period | None


@final
class HiddenPlayer(TypedDict):
    player_id: str
    hidden: bool
    until: str | None
    reason: str | None
    since: str | None


@final
class HiddenListing(TypedDict):
    items: list[HiddenPlayer]
    total: int
    next_cursor: str | None


@final
class PlayerProfile(TypedDict):
    player_id: str
    display_name: str | None
    avatar_url: str | None
    attributes: Json
    roles: list[str]
    tags: list[str]
    timezone: str | None
    test: bool
    external_id: str | None
    hidden_until: str | None
    updated_at: str
    version: str


@final
class PlayerProfileListing(TypedDict):
    items: list[PlayerProfile]
    total: int
    next_cursor: str | None


@final
class Erased(TypedDict):
    player_id: str
    erased_entries: int


@final
class RewardPageTier(TypedDict):
    name: str
    rank_from: int | None
    rank_to: int | None
    top_percent: float | None
    score_threshold: float | None
    payload: Json
    winners: int
    claimed: int


@final
class WonReward(TypedDict):
    tier: str
    payload: Json


@final
class RewardPageItem(TypedDict):
    player_id: str
    rank: int
    score: float
    rewards: list[WonReward]
    claimed: bool
    claimed_at: str | None
    claim_id: str | None
    display_name: str | None


@final
class RewardPage(TypedDict):
    leaderboard_id: str
    period: PagePeriod
    state: Literal["pending", "granting", "granted", "none"]
    grant: Literal["first", "every"] | None
    tiers: list[RewardPageTier]
    winners: int
    claimed: int
    granted_at: str | None
    expires_at: str | None
    items: list[RewardPageItem]
    total: int
    next_cursor: str | None


@final
class Reward(TypedDict):
    leaderboard_id: str
    period: PagePeriod
    player_id: str
    rank: int
    score: float
    rewards: list[WonReward]
    claimed: bool
    claimed_at: str | None
    claim_id: str | None
    granted_at: str | None
    expires_at: str | None


@final
class RewardListing(TypedDict):
    items: list[Reward]
    total: int
    next_cursor: str | None


@final
class HeldSubmission(TypedDict):
    held_id: str
    leaderboard_id: str
    state: Literal["held", "approving", "approved", "rejected"]
    player_id: str
    score: float | None
    subscore: float
    metadata: Json | None
    submission_id: str
    occurred_at: str | None
    aggregation: Literal["best", "latest", "sum", "min", "max", "count"] | None
    arrived_at: str
    plugin: str
    reason: str
    key_id: str
    note: str | None


@final
class HeldListing(TypedDict):
    items: list[HeldSubmission]
    total: int
    next_cursor: str | None


@final
class ApprovedSubmission(TypedDict):
    held: HeldSubmission
    outcome: Outcome


@final
class NewWebhook(TypedDict):
    webhook_id: str
    tenant_id: str
    url: str
    events: (
        list[Literal["period.opened", "period.closing", "period.closed", "period.reopened", "reward.granted"]]
        | None
    )
    leaderboard_ids: list[str] | None
    description: str
    status: Literal["active", "disabled"]
    disabled_reason: str | None
    created_at: str
    updated_at: str
    secret: str


@final
class Webhook(TypedDict):
    webhook_id: str
    tenant_id: str
    url: str
    events: (
        list[Literal["period.opened", "period.closing", "period.closed", "period.reopened", "reward.granted"]]
        | None
    )
    leaderboard_ids: list[str] | None
    description: str
    status: Literal["active", "disabled"]
    disabled_reason: str | None
    created_at: str
    updated_at: str


@final
class WebhookListing(TypedDict):
    items: list[Webhook]
    total: int
    next_cursor: str | None


@final
class DeliveryLastAnswer(TypedDict):
    at: str
    status: int | None
    error: str | None
    duration_ms: int


@final
class Delivery(TypedDict):
    delivery_id: str
    event_id: str
    type: Literal[
        "period.opened",
        "period.closing",
        "period.closed",
        "period.reopened",
        "reward.granted",
        "webhook.test",
    ]
    leaderboard_id: str | None
    state: Literal["pending", "delivered", "failed"]
    occurred_at: str
    queued_at: str
    attempts: int
    next_attempt_at: str | None
    finished_at: str | None
    last_answer: DeliveryLastAnswer | None


@final
class DeliveryListing(TypedDict):
    items: list[Delivery]
    total: int
    next_cursor: str | None


@final
class DeliveryWithBody(TypedDict):
    delivery_id: str
    event_id: str
    type: Literal[
        "period.opened",
        "period.closing",
        "period.closed",
        "period.reopened",
        "reward.granted",
        "webhook.test",
    ]
    leaderboard_id: str | None
    state: Literal["pending", "delivered", "failed"]
    occurred_at: str
    queued_at: str
    attempts: int
    next_attempt_at: str | None
    finished_at: str | None
    last_answer: DeliveryLastAnswer | None
    body: Json


@final
class Replayed(TypedDict):
    replayed: int
    remaining: int


@final
class AuditRecord(TypedDict):
    audit_id: str
    at: str
    act: str
    target: str
    player_id: str | None
    reason: str | None
    key_id: str | None
    key_name: str | None
    request_id: str | None
    details: Json


@final
class AuditListing(TypedDict):
    items: list[AuditRecord]
    total: int
    next_cursor: str | None


@final
class Tenant(TypedDict):
    tenant_id: str
    name: str
    status: Literal["active", "disabled"]
    has_hmac_secret: bool
    created_at: str


@final
class TenantListing(TypedDict):
    items: list[Tenant]
    total: int
    next_cursor: str | None


@final
class Key(TypedDict):
    key_id: str
    tenant_id: str
    name: str
    scopes: list[
        Literal[
            "scores:write",
            "rankings:read",
            "leaderboards:read",
            "leaderboards:write",
            "players:write",
            "keys:write",
            "platform",
        ]
    ]
    status: Literal["active", "disabled", "deleted"]
    expires_at: str | None
    player_id: str | None
    created_at: str


@final
class KeyListing(TypedDict):
    items: list[Key]
    total: int
    next_cursor: str | None


@final
class NewKey(TypedDict):
    key_id: str
    tenant_id: str
    name: str
    scopes: list[
        Literal[
            "scores:write",
            "rankings:read",
            "leaderboards:read",
            "leaderboards:write",
            "players:write",
            "keys:write",
            "platform",
        ]
    ]
    status: Literal["active", "disabled", "deleted"]
    expires_at: str | None
    player_id: str | None
    created_at: str
    key: str


@final
class StatusGateway(TypedDict):
    pid: int
    resident_bytes: int


@final
class StatusSupervisor(TypedDict):
    pid: int
    epoch: int
    started_at: str
    resident_bytes: int
    trouble: str


@final
class StatusPeriods(TypedDict):
    serving: int
    loading: int
    asleep: int


@final
class StatusEvents(TypedDict):
    webhooks: int
    pending: int
    receivers_down: int
    attempts: int
    delivered: int
    failed: int


@final
class StatusProjection(TypedDict):
    tenant_id: str
    leaderboard_id: str
    state: Literal["live", "behind", "filling"]
    rows_read: int
    rows: int
    behind_seconds: float


@final
class StatusProjections(TypedDict):
    behind: int
    leaderboards: list[StatusProjection]


@final
class StatusPeriod(TypedDict):
    period_key: str
    state: Literal["asleep", "loading", "serving", "draining", "suspended", "sealed", "gone"]
    epoch: int
    entries: int
    serial: int
    seq: int


@final
class StatusWindowFollows(TypedDict):
    state: Literal["live", "behind", "filling"]
    rows_read: int
    rows: int
    behind_seconds: float


@final
class StatusWindow(TypedDict):
    window: Literal["main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly"]
    awake: bool
    closed_loaded: int
    operations: int
    periods: list[StatusPeriod]
    follows: StatusWindowFollows | None


@final
class StatusLeaderboard(TypedDict):
    tenant_id: str
    leaderboard_id: str
    uid: str
    waiting: int
    windows: list[StatusWindow]


@final
class StatusLog(TypedDict):
    """A log of rows, from which leaderboards are computed."""

    tenant_id: str
    metric: str | None
    uid: str
    state: Literal["asleep", "loading", "serving", "draining", "suspended", "sealed", "gone"]
    epoch: int | None
    rows: int | None
    waiting: int
    operations: int


@final
class StatusActor(TypedDict):
    """A period actor: a process that has leaderboards in memory."""

    name: str
    dormant: bool
    pid: int | None
    started_at: str | None
    resident_bytes: int | None
    submissions: int | None
    reads: int | None
    trouble: list[str]
    reserved: bool
    load_per_second: float
    leaderboards: list[StatusLeaderboard]
    logs: list[StatusLog]


@final
class Status(TypedDict):
    ready: bool
    storage: str
    at: str
    gateway: StatusGateway
    supervisor: StatusSupervisor
    leaderboards: int
    periods: StatusPeriods
    events: StatusEvents
    projections: StatusProjections
    actors: list[StatusActor]


@final
class Health(TypedDict):
    status: Literal["ok"]


@final
class Readiness(TypedDict):
    ready: Literal[True]
    storage: str
    supervisor: Literal["ok", "away"]
    actors: int
    periods: StatusPeriods
