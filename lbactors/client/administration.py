"""All that is set up, looked after and decided: leaderboards, rewards, reviews, players, webhooks, keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbactors.client.routes import (
    Instant,
    Routes,
    board_path,
    player_path,
    rewards_path,
    segment,
    webhook_path,
)
from lbactors.client.transport import ApiError
from lbactors.client.types import (
    ApprovedSubmission,
    AuditListing,
    ClosedPeriod,
    Delivery,
    DeliveryListing,
    DeliveryWithBody,
    EditedEntries,
    Erased,
    Health,
    HeldListing,
    HeldSubmission,
    HiddenListing,
    HiddenPlayer,
    Imported,
    Json,
    Key,
    KeyListing,
    Leaderboard,
    LeaderboardListing,
    NewKey,
    NewWebhook,
    Period,
    PeriodListing,
    PlayerProfile,
    PlayerProfileListing,
    RemovedEntries,
    Replayed,
    RestoredEntries,
    Reward,
    RewardListing,
    RewardPage,
    Tenant,
    TenantListing,
    Webhook,
    WebhookListing,
)


class Administration(Routes):
    """Part of `Client`: all that is neither a score nor a ranking."""

    # Leaderboards and periods ---------------------------------------------------------------------------

    async def create_leaderboard(
        self, definition: Mapping[str, Any], *, exist_ok: bool = False
    ) -> Leaderboard:
        """`await client.create_leaderboard({"leaderboard_id": "xp", "timeframe": "weekly"})`.

        exist_ok: if there is one with this id, answer with that one, as it is, instead of ApiError
        `leaderboard_exists`.
        """
        try:
            return await self.transport.command("/v1/leaderboards", definition)
        except ApiError as error:
            if not exist_ok or error.code != "leaderboard_exists":
                raise
        return await self.leaderboard(str(definition["leaderboard_id"]))

    async def list_leaderboards(self, **params: Any) -> LeaderboardListing:
        """params: status, search, sort, lang, limit, cursor."""
        return await self.transport.json("GET", "/v1/leaderboards", params=params)

    async def leaderboard(self, leaderboard_id: str, *, lang: str | None = None) -> Leaderboard:
        """lang: with the names of this language, as far as the leaderboard's `translations` have it."""
        return await self.transport.json("GET", board_path(leaderboard_id), params={"lang": lang})

    async def update_leaderboard(
        self, leaderboard_id: str, changes: Mapping[str, Any], *, if_version: int | None = None
    ) -> Leaderboard:
        """Change some fields. if_version: refuse with `version_mismatch` if the definition has moved on."""
        headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
        path = board_path(leaderboard_id)
        return await self.transport.json(
            "PATCH", path, body=changes, headers=headers, repeatable=if_version is None
        )

    async def archive_leaderboard(self, leaderboard_id: str) -> Leaderboard:
        """Stop writes for good; reads go on."""
        return await self.transport.json("DELETE", board_path(leaderboard_id))

    async def purge_leaderboard(self, leaderboard_id: str) -> Leaderboard:
        """Remove definition, periods and entries."""
        return await self.transport.json("DELETE", board_path(leaderboard_id), params={"purge": True})

    async def list_periods(self, leaderboard_id: str, **params: Any) -> PeriodListing:
        """params: window, state, limit, cursor."""
        return await self.transport.json("GET", f"{board_path(leaderboard_id)}/periods", params=params)

    async def period(
        self, leaderboard_id: str, period_key: str, *, window: str | None = None, timezone: str | None = None
    ) -> Period:
        """One period. timezone: whose `current` is meant on a leaderboard with timezone `player`."""
        path = f"{board_path(leaderboard_id)}/periods/{segment(period_key)}"
        return await self.transport.json("GET", path, params={"window": window, "timezone": timezone})

    async def create_period(self, leaderboard_id: str, period: Mapping[str, Any]) -> Period:
        """For boards with timeframe `manual`: `{"period_key"?, "starts_at"? (now), "ends_at"?}`."""
        return await self.transport.command(f"{board_path(leaderboard_id)}/periods", period)

    async def close_period(self, leaderboard_id: str, *, window: str | None = None) -> ClosedPeriod:
        """End the current period now; `{"closed", "current"}`."""
        path = f"{board_path(leaderboard_id)}/periods/current/close"
        return await self.transport.command(path, {}, {"window": window})

    # Rewards of closed periods --------------------------------------------------------------------------

    async def rewards(self, leaderboard_id: str, period_key: str, **params: Any) -> RewardPage:
        """What players won in a period, best rank first: `{"state", "tiers", "items", "next_cursor", …}`.

        page = await client.rewards("xp", "previous", claimed=False)

        params: window, player_id, tier, claimed, limit, cursor. A period that is not closed answers with the
        state `pending` and no items.
        """
        return await self.transport.json("GET", rewards_path(leaderboard_id, period_key), params=params)

    async def reward(
        self, leaderboard_id: str, period_key: str, player_id: str, *, window: str | None = None
    ) -> Reward:
        """What one player won; ApiError `reward_not_found`, `rewards_pending` (not yet known)."""
        path = f"{rewards_path(leaderboard_id, period_key)}/{segment(player_id)}"
        return await self.transport.json("GET", path, params={"window": window})

    async def claim_reward(
        self,
        leaderboard_id: str,
        period_key: str,
        player_id: str,
        *,
        claim_id: str | None = None,
        window: str | None = None,
    ) -> Reward:
        """Note that a player took what it won. Repeating it is harmless: the first claim's answer stands.

        won = await client.claim_reward("xp", "previous", "maya", claim_id="tx-9")
        if won["claim_id"] == "tx-9": …  # this claim was the first

        """
        path = f"{rewards_path(leaderboard_id, period_key)}/{segment(player_id)}/claim"
        body = {} if claim_id is None else {"claim_id": claim_id}
        return await self.transport.json("POST", path, params={"window": window}, body=body)

    async def player_rewards(self, player_id: str, **params: Any) -> RewardListing:
        """What a player won on all leaderboards, newest first. params: claimed, limit, cursor."""
        return await self.transport.json("GET", f"/v1/players/{segment(player_id)}/rewards", params=params)

    # Submissions that a plugin held for review ----------------------------------------------------------

    async def list_held(self, leaderboard_id: str, **params: Any) -> HeldListing:
        """What waits to be decided, oldest first. params: player_id, limit, cursor."""
        return await self.transport.json("GET", f"{board_path(leaderboard_id)}/held", params=params)

    async def approve_held(self, leaderboard_id: str, held_id: str) -> ApprovedSubmission:
        """It counts, for the time at which it came; `{"held", "outcome"}`."""
        return await self.transport.json(
            "POST", f"{board_path(leaderboard_id)}/held/{segment(held_id)}/approve", body={}
        )

    async def reject_held(
        self, leaderboard_id: str, held_id: str, *, reason: str | None = None
    ) -> HeldSubmission:
        """It will not count."""
        body = {} if reason is None else {"reason": reason}
        return await self.transport.json(
            "POST", f"{board_path(leaderboard_id)}/held/{segment(held_id)}/reject", body=body
        )

    # Entries and players --------------------------------------------------------------------------------

    async def delete_entry(
        self, leaderboard_id: str, player_id: str, *, window: str | None = None, reason: str | None = None
    ) -> RemovedEntries:
        """Take an entry out of the current periods. Not repeated if the answer is lost."""
        path = player_path(leaderboard_id, player_id)
        params = {"window": window, "reason": reason}
        return await self.transport.json("DELETE", path, params=params, repeatable=False)

    async def edit_entry(
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
        path = player_path(leaderboard_id, player_id)
        body = {**changes, "reason": reason}
        return await self.transport.json(
            "PATCH", path, body=body, params={"window": window}, repeatable=False
        )

    async def restore_entry(
        self,
        leaderboard_id: str,
        player_id: str,
        *,
        reason: str | None = None,
        window: str | None = None,
    ) -> RestoredEntries:
        """Put back what was removed last; ApiError `entry_exists`, `entry_not_found`."""
        path = f"{player_path(leaderboard_id, player_id)}/restore"
        body = {} if reason is None else {"reason": reason}
        return await self.transport.command(path, body, {"window": window})

    async def import_entries(
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
        body = {"entries": list(entries), "period_key": period_key, "replace": replace}
        path = f"{board_path(leaderboard_id)}/entries/import"
        return await self.transport.json(
            "POST", path, body=body, params={"window": window}, repeatable=not replace
        )

    async def player(self, player_id: str) -> PlayerProfile:
        """The profile of a player; ApiError `player_not_found` without one."""
        return await self.transport.json("GET", f"/v1/players/{segment(player_id)}")

    async def update_player(
        self, player_id: str, changes: Mapping[str, Any], *, if_version: str | None = None
    ) -> PlayerProfile:
        """Change some fields of a profile: `await client.update_player("p1", {"display_name": "Maya"})`.

        if_version: refuse with `version_mismatch` if the profile has another `version` by now.
        """
        headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
        path = f"/v1/players/{segment(player_id)}"
        return await self.transport.json(
            "PATCH", path, body=changes, headers=headers, repeatable=if_version is None
        )

    async def put_player(self, player_id: str, profile: Mapping[str, Any]) -> PlayerProfile:
        """Replace the profile: what is not given is gone, but for `hidden_until`. See `update_player`."""
        return await self.transport.json("PUT", f"/v1/players/{segment(player_id)}", body=profile)

    async def list_players(self, **params: Any) -> PlayerProfileListing:
        """params: search, tag, role, limit, offset, cursor."""
        return await self.transport.json("GET", "/v1/players", params=params)

    async def erase_player(self, player_id: str) -> Erased:
        """Remove profile, entries and traces of a person."""
        return await self.transport.json("DELETE", f"/v1/players/{segment(player_id)}")

    async def hide_player(
        self, player_id: str, *, until: Instant | None = None, reason: str | None = None
    ) -> HiddenPlayer:
        """Take a player out of all rankings until an instant, or for good; entries are kept."""
        given = {"until": until, "reason": reason}
        body = {name: value for name, value in given.items() if value is not None}
        return await self.transport.command(f"/v1/players/{segment(player_id)}/hide", body)

    async def unhide_player(self, player_id: str, *, reason: str | None = None) -> HiddenPlayer:
        """Put a hidden player back to his places."""
        body = {} if reason is None else {"reason": reason}
        return await self.transport.command(f"/v1/players/{segment(player_id)}/unhide", body)

    async def hidden_players(self, **params: Any) -> HiddenListing:
        """params: limit, offset, cursor."""
        return await self.transport.json("GET", "/v1/hidden-players", params=params)

    # Webhooks and their deliveries ----------------------------------------------------------------------

    async def list_webhooks(self, **params: Any) -> WebhookListing:
        """params: limit, cursor."""
        return await self.transport.json("GET", "/v1/webhooks", params=params)

    async def webhook(self, webhook_id: str) -> Webhook:
        """One, without its secret."""
        return await self.transport.json("GET", webhook_path(webhook_id))

    async def create_webhook(self, webhook: Mapping[str, Any]) -> NewWebhook:
        """`{"url", "events"?, "leaderboard_ids"?, "description"?, "status"?}`; the answer holds the secret.

        made = await client.create_webhook({"url": "https://x.example/hook", "events": ["period.closed"]})
        """
        return await self.transport.command("/v1/webhooks", webhook)

    async def update_webhook(self, webhook_id: str, changes: Mapping[str, Any]) -> Webhook:
        return await self.transport.json("PATCH", webhook_path(webhook_id), body=changes)

    async def delete_webhook(self, webhook_id: str) -> Webhook:
        """With its deliveries."""
        return await self.transport.json("DELETE", webhook_path(webhook_id))

    async def rotate_webhook_secret(
        self, webhook_id: str, *, previous_valid_seconds: int | None = None
    ) -> NewWebhook:
        """A new secret, in the answer; the one before signs too for a day, or as long as is said."""
        body = {} if previous_valid_seconds is None else {"previous_valid_seconds": previous_valid_seconds}
        return await self.transport.command(f"{webhook_path(webhook_id)}/rotate-secret", body)

    async def test_webhook(self, webhook_id: str) -> Delivery:
        """Send an event `webhook.test`; the answer is its delivery, which is on its way."""
        return await self.transport.command(f"{webhook_path(webhook_id)}/test", {})

    async def list_deliveries(self, webhook_id: str, **params: Any) -> DeliveryListing:
        """Newest first. params: state (pending, delivered, failed), limit, cursor."""
        return await self.transport.json("GET", f"{webhook_path(webhook_id)}/deliveries", params=params)

    async def delivery(self, webhook_id: str, delivery_id: str) -> DeliveryWithBody:
        """One delivery, with its body and its last answer."""
        return await self.transport.json(
            "GET", f"{webhook_path(webhook_id)}/deliveries/{segment(delivery_id)}"
        )

    async def replay_delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Send one again, under the event id that it had."""
        return await self.transport.command(
            f"{webhook_path(webhook_id)}/deliveries/{segment(delivery_id)}/replay", {}
        )

    async def replay_failed_deliveries(self, webhook_id: str) -> Replayed:
        """Send all failed ones again, in order: `{"replayed", "remaining"}`."""
        return await self.transport.command(
            f"{webhook_path(webhook_id)}/deliveries/replay", {"state": "failed"}
        )

    # Tenants, keys, operations --------------------------------------------------------------------------

    async def list_keys(self, **params: Any) -> KeyListing:
        return await self.transport.json("GET", "/v1/keys", params=params)

    async def key(self, key_id: str) -> Key:
        """One, without the key itself."""
        return await self.transport.json("GET", f"/v1/keys/{segment(key_id)}")

    async def create_key(self, key: Mapping[str, Any]) -> NewKey:
        """`{"name", "scopes", "tenant_id"?, "expires_at"?, "player_id"?}`; the answer alone holds the key."""
        return await self.transport.command("/v1/keys", key)

    async def update_key(self, key_id: str, changes: Mapping[str, Any]) -> Key:
        return await self.transport.json("PATCH", f"/v1/keys/{segment(key_id)}", body=changes)

    async def delete_key(self, key_id: str) -> Key:
        return await self.transport.json("DELETE", f"/v1/keys/{segment(key_id)}")

    async def list_tenants(self, **params: Any) -> TenantListing:
        return await self.transport.json("GET", "/v1/tenants", params=params)

    async def create_tenant(self, tenant: Mapping[str, Any]) -> Tenant:
        return await self.transport.command("/v1/tenants", tenant)

    async def tenant(self, tenant_id: str) -> Tenant:
        return await self.transport.json("GET", f"/v1/tenants/{segment(tenant_id)}")

    async def update_tenant(self, tenant_id: str, changes: Mapping[str, Any]) -> Tenant:
        return await self.transport.json("PATCH", f"/v1/tenants/{segment(tenant_id)}", body=changes)

    async def delete_tenant(self, tenant_id: str) -> Tenant:
        return await self.transport.json("DELETE", f"/v1/tenants/{segment(tenant_id)}")

    async def audit(self, **params: Any) -> AuditListing:
        """The audit log, newest first. params: act, target, player_id, since, until, limit, cursor."""
        return await self.transport.json("GET", "/v1/audit", params=params)

    async def health(self) -> Health:
        """Whether the gateway process is up."""
        return await self.transport.json("GET", "/healthz")

    async def ready(self) -> Json:
        """Whether actors and storage are; a server that is not ready answers here too, with `ready:
        false`.
        """
        return await self.transport.json("GET", "/readyz", answers=(503,))

    async def status(self) -> Json:
        """For operators: actors, supervisor, store."""
        return await self.transport.json("GET", "/v1/status")

    async def metrics(self) -> str:
        """Prometheus' text format."""
        return str(await self.transport.call("GET", "/metrics"))
