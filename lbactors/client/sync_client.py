"""`SyncClient`: every method of `Client`, without `await`.

Written by `docs/generate_client.py` from `client.py`, `scores.py`, `sources.py` and `administration.py`:
change it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lbactors.client.blocking import Blocking
from lbactors.client.routes import Instant
from lbactors.client.types import (
    ApprovedSubmission,
    AuditListing,
    Balance,
    BatchOutcome,
    ClosedPeriod,
    Delivery,
    DeliveryListing,
    DeliveryWithBody,
    Distribution,
    EditedEntries,
    Erased,
    EventsOutcome,
    Health,
    HeldListing,
    HeldOutcome,
    HeldSubmission,
    HiddenListing,
    HiddenPlayer,
    Imported,
    Json,
    Key,
    KeyListing,
    Leaderboard,
    LeaderboardListing,
    LookupAnswer,
    MetricListing,
    NewKey,
    NewWebhook,
    Outcome,
    Period,
    PeriodListing,
    PlayerEntries,
    PlayerEntry,
    PlayerProfile,
    PlayerProfileListing,
    RankAt,
    RankingsPage,
    RemovedEntries,
    Replayed,
    RestoredEntries,
    Reward,
    RewardListing,
    RewardPage,
    RowOutcome,
    RowsOutcome,
    RulesTested,
    SettledTransaction,
    Tenant,
    TenantListing,
    Transaction,
    TransactionListing,
    Webhook,
    WebhookListing,
)


class SyncClient(Blocking):
    """`Client` for programs without an event loop: the same methods, arguments, answers and errors.

        with SyncClient("http://127.0.0.1:8080", key) as client:
            client.submit("xp", "maya", 5100)

    It takes the arguments of `Client`. Inside a running event loop (a coroutine, a notebook) every call
    raises RuntimeError: use `Client` there. Threads may share one; their calls take turns.
    """

    def call(self, method: str, path: str, **more: Any) -> Any:
        """A route that has no method here, see `Transport.call`."""
        return self._run(self._client.call(method, path, **more))

    def command(self, path: str, body: Any, params: Mapping[str, Any] | None = None) -> Json:
        """A POST that has no method here, see `Transport.command`."""
        return self._run(self._client.command(path, body, params))

    def submit(
        self,
        leaderboard_id: str,
        player_id: str,
        score: float | None = None,
        *,
        subscore: float | None = None,
        metadata: Any = None,
        submission_id: str | None = None,
        occurred_at: Instant | None = None,
        aggregation: str | None = None,
    ) -> Outcome | HeldOutcome:
        """One score; answers with the entry's score and rank, before and after.

        answer = client.submit("xp", "maya", 5100, metadata={"level": 7})
        print(answer["rank"], answer["previous_rank"])

        Where a plugin held it for review, `held` is true and nothing else is told. score None: for boards
        that count. Give a `submission_id` of your own (`"match-77:maya"`) if your process may die and send
        the same score again later.
        """
        return self._run(
            self._client.submit(
                leaderboard_id,
                player_id,
                score,
                subscore=subscore,
                metadata=metadata,
                submission_id=submission_id,
                occurred_at=occurred_at,
                aggregation=aggregation,
            )
        )

    def submit_many(
        self, leaderboard_id: str, submissions: Sequence[Mapping[str, Any]], results: str = "none"
    ) -> BatchOutcome:
        """Many scores of one leaderboard; `{"accepted", "rejected", "errors", "results"}`, and `held` where a
        plugin held some.

        scores = [{"player_id": "maya", "score": 5100}, {"player_id": "noor", "score": 4800}]
        answer = client.submit_many("xp", scores)

        results: none, ranks or full. A bad item is rejected alone. Items that the server could not take
        for the moment are sent again, after the others, as long as patience lasts.
        """
        return self._run(self._client.submit_many(leaderboard_id, submissions, results))

    def submit_across(self, submissions: Sequence[Mapping[str, Any]], results: str = "none") -> BatchOutcome:
        """Like `submit_many`, for any leaderboards: each item has a `leaderboard_id`."""
        return self._run(self._client.submit_across(submissions, results))

    def rankings(
        self,
        leaderboard_id: str,
        *,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
        score_min: float | None = None,
        score_max: float | None = None,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> RankingsPage:
        """A page of the ranking: `{"period", "total", "as_of_seq", "entries", "next_cursor", …}`."""
        return self._run(
            self._client.rankings(
                leaderboard_id,
                limit=limit,
                offset=offset,
                cursor=cursor,
                score_min=score_min,
                score_max=score_max,
                period=period,
                window=window,
                timezone=timezone,
            )
        )

    def all_rankings(
        self,
        leaderboard_id: str,
        *,
        page: int = 1000,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> Iterator[RankingsPage]:
        """Every page of a ranking, best first: `for page in client.all_rankings("xp"): …`."""
        return self._iterate(
            self._client.all_rankings(
                leaderboard_id, page=page, period=period, window=window, timezone=timezone
            )
        )

    def entry(
        self,
        leaderboard_id: str,
        player_id: str,
        *,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> PlayerEntry:
        """One player's entry with rank and percentile; ApiError `entry_not_found`."""
        return self._run(
            self._client.entry(leaderboard_id, player_id, period=period, window=window, timezone=timezone)
        )

    def around(
        self,
        leaderboard_id: str,
        player_id: str,
        *,
        limit: int | None = None,
        fill: bool | None = None,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> RankingsPage:
        """The player and the neighbours, `limit` in all."""
        return self._run(
            self._client.around(
                leaderboard_id,
                player_id,
                limit=limit,
                fill=fill,
                period=period,
                window=window,
                timezone=timezone,
            )
        )

    def lookup(
        self,
        leaderboard_id: str,
        player_ids: Sequence[str],
        *,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> LookupAnswer:
        """A friends list: these players' entries in rank order, and `not_found`."""
        return self._run(
            self._client.lookup(leaderboard_id, player_ids, period=period, window=window, timezone=timezone)
        )

    def rank_at(
        self,
        leaderboard_id: str,
        score: float,
        *,
        subscore: float | None = None,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> RankAt:
        """The rank that a new player with this score would take."""
        return self._run(
            self._client.rank_at(
                leaderboard_id, score, subscore=subscore, period=period, window=window, timezone=timezone
            )
        )

    def distribution(
        self,
        leaderboard_id: str,
        *,
        buckets: int | None = None,
        period: str | None = None,
        window: str | None = None,
        timezone: str | None = None,
    ) -> Distribution:
        """How the scores are spread: quantiles and a histogram."""
        return self._run(
            self._client.distribution(
                leaderboard_id, buckets=buckets, period=period, window=window, timezone=timezone
            )
        )

    def player_entries(self, player_id: str, **params: Any) -> PlayerEntries:
        """The player's entries in all leaderboards. params: window, period."""
        return self._run(self._client.player_entries(player_id, **params))

    def award(
        self,
        metric: str,
        player_id: str,
        score: float,
        *,
        pending: bool = False,
        subscore: float | None = None,
        metadata: Any = None,
        submission_id: str | None = None,
        occurred_at: Instant | None = None,
    ) -> RowOutcome:
        """Add an amount to a player's balance; answers with the balance after it.

        answer = client.award("coins", "maya", 50, metadata={"quest": "dragon"})
        print(answer["balance"])

        pending: it counts for nothing until `complete_transaction`. Give a `submission_id` of your own
        (`"quest-77:maya"`) if your process may die and send the same row again later.
        """
        return self._run(
            self._client.award(
                metric,
                player_id,
                score,
                pending=pending,
                subscore=subscore,
                metadata=metadata,
                submission_id=submission_id,
                occurred_at=occurred_at,
            )
        )

    def deduct(
        self,
        metric: str,
        player_id: str,
        score: float,
        *,
        pending: bool = False,
        subscore: float | None = None,
        metadata: Any = None,
        submission_id: str | None = None,
        occurred_at: Instant | None = None,
    ) -> RowOutcome:
        """Take an amount above 0 from a player's balance; ApiError `insufficient_balance` if it lacks it."""
        return self._run(
            self._client.deduct(
                metric,
                player_id,
                score,
                pending=pending,
                subscore=subscore,
                metadata=metadata,
                submission_id=submission_id,
                occurred_at=occurred_at,
            )
        )

    def set_balance(
        self,
        metric: str,
        player_id: str,
        score: float,
        *,
        pending: bool = False,
        subscore: float | None = None,
        metadata: Any = None,
        submission_id: str | None = None,
        occurred_at: Instant | None = None,
    ) -> RowOutcome:
        """Replace a player's balance by an amount; what was earned and spent stays."""
        return self._run(
            self._client.set_balance(
                metric,
                player_id,
                score,
                pending=pending,
                subscore=subscore,
                metadata=metadata,
                submission_id=submission_id,
                occurred_at=occurred_at,
            )
        )

    def write_rows(
        self, metric: str, rows: Sequence[Mapping[str, Any]], results: str = "none"
    ) -> RowsOutcome:
        """Many rows of one metric, in order; `{"accepted", "rejected", "errors", "results", "behind"}`.

        rows = [{"player_id": "maya", "score": 50}, {"player_id": "noor", "score": 30, "kind": "deduct"}]
        answer = client.write_rows("coins", rows)

        results: none or full. A bad row is rejected alone. Rows that the server could not take for the moment
        are sent again, after the others, as long as patience lasts.
        """
        return self._run(self._client.write_rows(metric, rows, results))

    def complete_transaction(self, metric: str, transaction_id: str) -> SettledTransaction:
        """A pending row counts from now on. ApiError `transaction_settled`, `insufficient_balance`."""
        return self._run(self._client.complete_transaction(metric, transaction_id))

    def reject_transaction(self, metric: str, transaction_id: str) -> SettledTransaction:
        """A pending row never counts. ApiError `transaction_settled`."""
        return self._run(self._client.reject_transaction(metric, transaction_id))

    def list_metrics(self, **params: Any) -> MetricListing:
        """All metrics, by name. params: limit, offset, cursor."""
        return self._run(self._client.list_metrics(**params))

    def balance(self, metric: str, player_id: str) -> Balance:
        """A player's balance, and what was earned, spent and is pending; zeros for a player without rows."""
        return self._run(self._client.balance(metric, player_id))

    def transactions(self, metric: str, **params: Any) -> TransactionListing:
        """The rows of a metric, newest first. params: player_id, limit, cursor."""
        return self._run(self._client.transactions(metric, **params))

    def transaction(self, metric: str, transaction_id: str) -> Transaction:
        """One row of a metric; ApiError `transaction_not_found`."""
        return self._run(self._client.transaction(metric, transaction_id))

    def send_events(self, events: Sequence[Mapping[str, Any]], results: str = "none") -> EventsOutcome:
        """Events, in order; `{"accepted", "duplicates", "rejected", "errors", "behind"}`.

        won = {"event_id": "match-77:maya", "event_type": "match.won", "player_id": "maya"}
        answer = client.send_events([won])

        results: `full` adds what leaderboards made of each. An event without an `event_id` gets one that no
        one else uses; give your own if your process may die and send the same event again later. A bad event
        is rejected alone. Events that the server could not take for the moment are sent again, after the
        others, as long as patience lasts.
        """
        return self._run(self._client.send_events(events, results))

    def test_rules(self, leaderboard_id: str, event: Mapping[str, Any]) -> RulesTested:
        """What the rules of a leaderboard would make of an event; nothing is written."""
        return self._run(self._client.test_rules(leaderboard_id, event))

    def rebuild_period(
        self, leaderboard_id: str, period_key: str, *, keep_rewards: bool = False, window: str | None = None
    ) -> Period:
        """Compute a period anew from its log. keep_rewards: also one with rewards, which stay."""
        return self._run(
            self._client.rebuild_period(leaderboard_id, period_key, keep_rewards=keep_rewards, window=window)
        )

    def create_leaderboard(self, definition: Mapping[str, Any], *, exist_ok: bool = False) -> Leaderboard:
        """`client.create_leaderboard({"leaderboard_id": "xp", "timeframe": "weekly"})`.

        exist_ok: if there is one with this id, answer with that one, as it is, instead of ApiError
        `leaderboard_exists`.
        """
        return self._run(self._client.create_leaderboard(definition, exist_ok=exist_ok))

    def list_leaderboards(self, **params: Any) -> LeaderboardListing:
        """params: status, search, sort, lang, limit, cursor."""
        return self._run(self._client.list_leaderboards(**params))

    def leaderboard(self, leaderboard_id: str, *, lang: str | None = None) -> Leaderboard:
        """lang: with the names of this language, as far as the leaderboard's `translations` have it."""
        return self._run(self._client.leaderboard(leaderboard_id, lang=lang))

    def update_leaderboard(
        self, leaderboard_id: str, changes: Mapping[str, Any], *, if_version: int | None = None
    ) -> Leaderboard:
        """Change some fields. if_version: refuse with `version_mismatch` if the definition has moved on."""
        return self._run(self._client.update_leaderboard(leaderboard_id, changes, if_version=if_version))

    def archive_leaderboard(self, leaderboard_id: str) -> Leaderboard:
        """Stop writes for good; reads go on."""
        return self._run(self._client.archive_leaderboard(leaderboard_id))

    def purge_leaderboard(self, leaderboard_id: str) -> Leaderboard:
        """Remove definition, periods and entries."""
        return self._run(self._client.purge_leaderboard(leaderboard_id))

    def list_periods(self, leaderboard_id: str, **params: Any) -> PeriodListing:
        """params: window, state, limit, cursor."""
        return self._run(self._client.list_periods(leaderboard_id, **params))

    def period(
        self, leaderboard_id: str, period_key: str, *, window: str | None = None, timezone: str | None = None
    ) -> Period:
        """One period. timezone: whose `current` is meant on a leaderboard with timezone `player`."""
        return self._run(self._client.period(leaderboard_id, period_key, window=window, timezone=timezone))

    def create_period(self, leaderboard_id: str, period: Mapping[str, Any]) -> Period:
        """For boards with timeframe `manual`: `{"period_key"?, "starts_at"? (now), "ends_at"?}`."""
        return self._run(self._client.create_period(leaderboard_id, period))

    def close_period(self, leaderboard_id: str, *, window: str | None = None) -> ClosedPeriod:
        """End the current period now; `{"closed", "current"}`."""
        return self._run(self._client.close_period(leaderboard_id, window=window))

    def rewards(self, leaderboard_id: str, period_key: str, **params: Any) -> RewardPage:
        """What players won in a period, best rank first: `{"state", "tiers", "items", "next_cursor", …}`.

        page = client.rewards("xp", "previous", claimed=False)

        params: window, player_id, tier, claimed, limit, cursor. A period that is not closed answers with the
        state `pending` and no items.
        """
        return self._run(self._client.rewards(leaderboard_id, period_key, **params))

    def reward(
        self, leaderboard_id: str, period_key: str, player_id: str, *, window: str | None = None
    ) -> Reward:
        """What one player won; ApiError `reward_not_found`, `rewards_pending` (not yet known)."""
        return self._run(self._client.reward(leaderboard_id, period_key, player_id, window=window))

    def claim_reward(
        self,
        leaderboard_id: str,
        period_key: str,
        player_id: str,
        *,
        claim_id: str | None = None,
        window: str | None = None,
    ) -> Reward:
        """Note that a player took what it won. Repeating it is harmless: the first claim's answer stands.

        won = client.claim_reward("xp", "previous", "maya", claim_id="tx-9")
        if won["claim_id"] == "tx-9": …  # this claim was the first

        """
        return self._run(
            self._client.claim_reward(leaderboard_id, period_key, player_id, claim_id=claim_id, window=window)
        )

    def player_rewards(self, player_id: str, **params: Any) -> RewardListing:
        """What a player won on all leaderboards, newest first. params: claimed, limit, cursor."""
        return self._run(self._client.player_rewards(player_id, **params))

    def list_held(self, leaderboard_id: str, **params: Any) -> HeldListing:
        """What waits to be decided, oldest first. params: player_id, limit, cursor."""
        return self._run(self._client.list_held(leaderboard_id, **params))

    def approve_held(self, leaderboard_id: str, held_id: str) -> ApprovedSubmission:
        """It counts, for the time at which it came; `{"held", "outcome"}`."""
        return self._run(self._client.approve_held(leaderboard_id, held_id))

    def reject_held(self, leaderboard_id: str, held_id: str, *, reason: str | None = None) -> HeldSubmission:
        """It will not count."""
        return self._run(self._client.reject_held(leaderboard_id, held_id, reason=reason))

    def delete_entry(
        self, leaderboard_id: str, player_id: str, *, window: str | None = None, reason: str | None = None
    ) -> RemovedEntries:
        """Take an entry out of the current periods. Not repeated if the answer is lost."""
        return self._run(self._client.delete_entry(leaderboard_id, player_id, window=window, reason=reason))

    def edit_entry(
        self,
        leaderboard_id: str,
        player_id: str,
        changes: Mapping[str, Any],
        *,
        reason: str,
        window: str | None = None,
    ) -> EditedEntries:
        """Set the entry of the current periods: `{"score", "subscore"?, "metadata"?}`. Not repeated if the
        answer is lost: what was submitted meanwhile would be lost with it.
        """
        return self._run(
            self._client.edit_entry(leaderboard_id, player_id, changes, reason=reason, window=window)
        )

    def restore_entry(
        self, leaderboard_id: str, player_id: str, *, reason: str | None = None, window: str | None = None
    ) -> RestoredEntries:
        """Put back what was removed last; ApiError `entry_exists`, `entry_not_found`."""
        return self._run(self._client.restore_entry(leaderboard_id, player_id, reason=reason, window=window))

    def import_entries(
        self,
        leaderboard_id: str,
        entries: Sequence[Mapping[str, Any]],
        *,
        window: str | None = None,
        period_key: str | None = None,
        replace: bool = False,
    ) -> Imported:
        """Put entries into the current period as they are told, where players have none: `{"imported",
        "unchanged", "dropped", "rejected", "errors", "period_key"}`.

        entries: at most 10 000 of `{"player_id", "score", "subscore"?, "metadata"?, "submissions"?,
        "first_at"?, "updated_at"?}`, equals in their order. period_key: what the current period must be.
        replace: also where a player has an entry; that is not repeated if the answer is lost, since what was
        submitted meanwhile would be lost with it.
        """
        return self._run(
            self._client.import_entries(
                leaderboard_id, entries, window=window, period_key=period_key, replace=replace
            )
        )

    def player(self, player_id: str) -> PlayerProfile:
        """The profile of a player; ApiError `player_not_found` without one."""
        return self._run(self._client.player(player_id))

    def update_player(
        self, player_id: str, changes: Mapping[str, Any], *, if_version: str | None = None
    ) -> PlayerProfile:
        """Change some fields of a profile: `client.update_player("p1", {"display_name": "Maya"})`.

        if_version: refuse with `version_mismatch` if the profile has another `version` by now.
        """
        return self._run(self._client.update_player(player_id, changes, if_version=if_version))

    def put_player(self, player_id: str, profile: Mapping[str, Any]) -> PlayerProfile:
        """Replace the profile: what is not given is gone, but for `hidden_until`. See `update_player`."""
        return self._run(self._client.put_player(player_id, profile))

    def list_players(self, **params: Any) -> PlayerProfileListing:
        """params: search, tag, role, limit, offset, cursor."""
        return self._run(self._client.list_players(**params))

    def erase_player(self, player_id: str) -> Erased:
        """Remove profile, entries and traces of a person."""
        return self._run(self._client.erase_player(player_id))

    def hide_player(
        self, player_id: str, *, until: Instant | None = None, reason: str | None = None
    ) -> HiddenPlayer:
        """Take a player out of all rankings until an instant, or for good; entries are kept."""
        return self._run(self._client.hide_player(player_id, until=until, reason=reason))

    def unhide_player(self, player_id: str, *, reason: str | None = None) -> HiddenPlayer:
        """Put a hidden player back to his places."""
        return self._run(self._client.unhide_player(player_id, reason=reason))

    def hidden_players(self, **params: Any) -> HiddenListing:
        """params: limit, offset, cursor."""
        return self._run(self._client.hidden_players(**params))

    def list_webhooks(self, **params: Any) -> WebhookListing:
        """params: limit, cursor."""
        return self._run(self._client.list_webhooks(**params))

    def webhook(self, webhook_id: str) -> Webhook:
        """One, without its secret."""
        return self._run(self._client.webhook(webhook_id))

    def create_webhook(self, webhook: Mapping[str, Any]) -> NewWebhook:
        """`{"url", "events"?, "leaderboard_ids"?, "description"?, "status"?}`; the answer holds the secret.

        made = client.create_webhook({"url": "https://x.example/hook", "events": ["period.closed"]})
        """
        return self._run(self._client.create_webhook(webhook))

    def update_webhook(self, webhook_id: str, changes: Mapping[str, Any]) -> Webhook:

        return self._run(self._client.update_webhook(webhook_id, changes))

    def delete_webhook(self, webhook_id: str) -> Webhook:
        """With its deliveries."""
        return self._run(self._client.delete_webhook(webhook_id))

    def rotate_webhook_secret(
        self, webhook_id: str, *, previous_valid_seconds: int | None = None
    ) -> NewWebhook:
        """A new secret, in the answer; the one before signs too for a day, or as long as is said."""
        return self._run(
            self._client.rotate_webhook_secret(webhook_id, previous_valid_seconds=previous_valid_seconds)
        )

    def test_webhook(self, webhook_id: str) -> Delivery:
        """Send an event `webhook.test`; the answer is its delivery, which is on its way."""
        return self._run(self._client.test_webhook(webhook_id))

    def list_deliveries(self, webhook_id: str, **params: Any) -> DeliveryListing:
        """Newest first. params: state (pending, delivered, failed), limit, cursor."""
        return self._run(self._client.list_deliveries(webhook_id, **params))

    def delivery(self, webhook_id: str, delivery_id: str) -> DeliveryWithBody:
        """One delivery, with its body and its last answer."""
        return self._run(self._client.delivery(webhook_id, delivery_id))

    def replay_delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Send one again, under the event id that it had."""
        return self._run(self._client.replay_delivery(webhook_id, delivery_id))

    def replay_failed_deliveries(self, webhook_id: str) -> Replayed:
        """Send all failed ones again, in order: `{"replayed", "remaining"}`."""
        return self._run(self._client.replay_failed_deliveries(webhook_id))

    def list_keys(self, **params: Any) -> KeyListing:

        return self._run(self._client.list_keys(**params))

    def key(self, key_id: str) -> Key:
        """One, without the key itself."""
        return self._run(self._client.key(key_id))

    def create_key(self, key: Mapping[str, Any]) -> NewKey:
        """`{"name", "scopes", "tenant_id"?, "expires_at"?, "player_id"?}`; the answer alone holds the key."""
        return self._run(self._client.create_key(key))

    def update_key(self, key_id: str, changes: Mapping[str, Any]) -> Key:

        return self._run(self._client.update_key(key_id, changes))

    def delete_key(self, key_id: str) -> Key:

        return self._run(self._client.delete_key(key_id))

    def list_tenants(self, **params: Any) -> TenantListing:

        return self._run(self._client.list_tenants(**params))

    def create_tenant(self, tenant: Mapping[str, Any]) -> Tenant:

        return self._run(self._client.create_tenant(tenant))

    def tenant(self, tenant_id: str) -> Tenant:

        return self._run(self._client.tenant(tenant_id))

    def update_tenant(self, tenant_id: str, changes: Mapping[str, Any]) -> Tenant:

        return self._run(self._client.update_tenant(tenant_id, changes))

    def delete_tenant(self, tenant_id: str) -> Tenant:

        return self._run(self._client.delete_tenant(tenant_id))

    def audit(self, **params: Any) -> AuditListing:
        """The audit log, newest first. params: act, target, player_id, since, until, limit, cursor."""
        return self._run(self._client.audit(**params))

    def health(self) -> Health:
        """Whether the gateway process is up."""
        return self._run(self._client.health())

    def ready(self) -> Json:
        """Whether actors and storage are; a server that is not ready answers here too, with `ready:
        false`.
        """
        return self._run(self._client.ready())

    def status(self) -> Json:
        """For operators: actors, supervisor, store."""
        return self._run(self._client.status())

    def metrics(self) -> str:
        """Prometheus' text format."""
        return self._run(self._client.metrics())
