"""Commands on webhooks and their deliveries.

Handlers plan, as in `lbactors.supervisor.commands.runner`: they say which documents change, and the outbox
(`lbactors.supervisor.events.outbox`) follows what was committed. The secret is made here, is shown in the
answers that made it, and is kept, since it signs.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

from lbactors.core.errors import ApiError, invalid
from lbactors.core.ids import in_tenant
from lbactors.documents.events import TEST, Event, event_id
from lbactors.documents.webhooks import (
    BODY,
    DELIVERED,
    FAILED,
    PENDING,
    Delivery,
    ReplayBody,
    RotateBody,
    Webhook,
    WebhookBody,
    WebhookPatch,
    delivery_json,
    pack_delivery,
    pack_webhook,
    unpack_delivery,
    webhook_json,
)
from lbactors.supervisor.command_plan import CommandContext, CommandPlan, parse
from lbactors.supervisor.events.outbox import Outbox
from lbactors.supervisor.events.retention import heads, purge_deliveries
from lbactors.supervisor.events.webhook_signing import is_private_literal, new_secret
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import (
    CreateWebhook,
    DeleteWebhook,
    PatchWebhook,
    ReplayDeliveries,
    ReplayDelivery,
    RotateWebhookSecret,
    TestWebhook,
)
from persistence.store import Change

WEBHOOKS_OF_TENANT = 20  # each event is written once for each of them
REPLAYED_AT_ONCE = 250  # deliveries of one commit


class WebhookCommands:
    """Handlers by the command's class; see `CommandRunner`."""

    def __init__(self, state: SupervisorState, outbox: Outbox) -> None:
        self.state = state
        self.outbox = outbox

    def _webhook(self, tenant_id: str, webhook_id: str) -> Webhook:
        webhook = self.outbox.webhooks.get(in_tenant(tenant_id, webhook_id))
        if webhook is None:
            raise ApiError("webhook_not_found", f"no webhook '{webhook_id}'")
        return webhook

    def _check_target(self, url: str) -> None:
        if self.state.settings.webhook_public_targets and is_private_literal(url):
            raise invalid("must not be a private address", "body", "url")

    async def create_webhook(self, context: CommandContext, command: CreateWebhook) -> CommandPlan:
        self.state.tenant(context.tenant_id)
        body = parse(WebhookBody, command.webhook)
        self._check_target(body.url)
        if len(self.outbox.webhooks_of(context.tenant_id)) >= WEBHOOKS_OF_TENANT:
            raise ApiError("webhook_limit", f"a tenant has at most {WEBHOOKS_OF_TENANT} webhooks")
        now_ms = self.state.clock.now_ms()
        made = Webhook(
            context.tenant_id,
            f"wh_{secrets.token_hex(8)}",
            body.url,
            _distinct(body.events),
            _distinct(body.leaderboard_ids),
            body.description,
            body.status,
            None,
            new_secret(),
            None,
            0,
            now_ms,
            now_ms,
        )
        return CommandPlan(201, {**webhook_json(made), "secret": made.secret}, [_change(made)])

    async def patch_webhook(self, context: CommandContext, command: PatchWebhook) -> CommandPlan:
        old = self._webhook(context.tenant_id, command.webhook_id)
        body = parse(WebhookPatch, command.patch)
        fields = {field: getattr(body, field) for field in body.model_fields_set}
        for field in ("url", "description", "status"):
            if field in fields and fields[field] is None:
                raise invalid("must not be null", "body", field)
        if "url" in fields:
            self._check_target(fields["url"])
        for field in ("events", "leaderboard_ids"):
            if field in fields:
                fields[field] = _distinct(fields[field])
        if fields.get("status") == "active":
            fields["disabled_reason"] = None
        new = old._replace(**fields, updated_at_ms=self.state.clock.now_ms())
        return CommandPlan(200, webhook_json(new), [_change(new)])

    async def delete_webhook(self, context: CommandContext, command: DeleteWebhook) -> CommandPlan:
        """It goes at once, its deliveries go behind it."""
        webhook = self._webhook(context.tenant_id, command.webhook_id)

        async def act() -> None:
            self.state.spawn(purge_deliveries(self.state, [webhook.listener]))

        return CommandPlan(200, webhook_json(webhook), [Change("webhooks", webhook.listener, None)], act)

    async def rotate_webhook_secret(
        self, context: CommandContext, command: RotateWebhookSecret
    ) -> CommandPlan:
        old = self._webhook(context.tenant_id, command.webhook_id)
        body = parse(RotateBody, command.rotation)
        now_ms = self.state.clock.now_ms()
        new = old._replace(
            secret=new_secret(),
            previous_secret=old.secret if body.previous_valid_seconds else None,
            previous_until_ms=now_ms + body.previous_valid_seconds * 1000,
            updated_at_ms=now_ms,
        )
        return CommandPlan(200, {**webhook_json(new), "secret": new.secret}, [_change(new)])

    # Deliveries -----------------------------------------------------------------------------------------

    async def test_webhook(self, context: CommandContext, command: TestWebhook) -> CommandPlan:
        """A delivery like any other, to be looked at by its id."""
        webhook = self._webhook(context.tenant_id, command.webhook_id)
        if webhook.status != "active":
            raise ApiError("webhook_disabled", "the webhook is disabled")
        self._check_room(webhook)
        now_ms = self.state.clock.now_ms()
        made = event_id(TEST, webhook.listener, now_ms, secrets.token_hex(8))
        event = Event(made, TEST, now_ms, context.tenant_id, "", {"webhook_id": command.webhook_id})
        changes = self.outbox.delivery_changes(webhook.listener, event)
        head = changes[0]
        assert head.body is not None
        name = head.doc_id.rpartition("/")[2]
        self.outbox.lanes[webhook.listener].probe_now()
        return CommandPlan(202, delivery_json(name, "pending", unpack_delivery(head.body)), changes)

    def _check_room(self, webhook: Webhook) -> int:
        """How many more deliveries may be pending. ApiError overloaded if none."""
        room = self.outbox.room(webhook.listener)
        if room <= 0:
            raise ApiError("overloaded", "too many deliveries of this webhook are pending")
        return room

    async def replay_delivery(self, context: CommandContext, command: ReplayDelivery) -> CommandPlan:
        """Send one again, under the event id that it had; one that is pending is tried at once."""
        webhook = self._webhook(context.tenant_id, command.webhook_id)
        name = f"{webhook.listener}/{command.delivery_id}"
        letters = (PENDING, DELIVERED, FAILED)
        found = await self.state.store.get("deliveries", [f"{letter}/{name}" for letter in (*letters, BODY)])
        heads_found = {letter: body for letter, body in zip(letters, found, strict=False) if body is not None}
        if not heads_found or found[-1] is None:
            raise ApiError("delivery_not_found", f"no delivery '{command.delivery_id}'")
        letter, body = next(iter(heads_found.items()))
        head = unpack_delivery(body)
        if letter == PENDING and self.outbox.lanes[webhook.listener].is_sending(command.delivery_id):
            return CommandPlan(202, delivery_json(command.delivery_id, "pending", head), [])
        if letter != PENDING:
            self._check_room(webhook)
        self.outbox.lanes[webhook.listener].probe_now()
        head, changes = self._again(webhook, letter, command.delivery_id, head)
        return CommandPlan(202, delivery_json(command.delivery_id, "pending", head), changes)

    def _again(
        self, webhook: Webhook, letter: str, name: str, head: Delivery
    ) -> tuple[Delivery, list[Change]]:
        """A delivery of any state as a pending one that is due now."""
        head = head._replace(
            queued_at_ms=self.state.clock.now_ms(), attempts=0, next_at_ms=0, finished_at_ms=None
        )
        put = Change("deliveries", f"{PENDING}/{webhook.listener}/{name}", pack_delivery(head))
        if letter == PENDING:
            return head, [put]
        return head, [Change("deliveries", f"{letter}/{webhook.listener}/{name}", None), put]

    async def replay_deliveries(self, context: CommandContext, command: ReplayDeliveries) -> CommandPlan:
        """Send all failed ones again, oldest first, as many as may be pending."""
        webhook = self._webhook(context.tenant_id, command.webhook_id)
        parse(ReplayBody, command.replay)

        async def act() -> dict[str, Any]:
            replayed, remaining = 0, 0
            async for page in heads(self.state.store, f"{FAILED}/{webhook.listener}/"):
                for start in range(0, len(page), REPLAYED_AT_ONCE):
                    room = max(self.outbox.room(webhook.listener), 0)
                    part = page[start : start + REPLAYED_AT_ONCE]
                    remaining += max(len(part) - room, 0)
                    again = [self._again(webhook, FAILED, name, head)[1] for _, name, head in part[:room]]
                    if again:
                        await self.state.commit([change for changes in again for change in changes])
                        replayed += len(again)
                    await asyncio.sleep(0)
            return {"replayed": replayed, "remaining": remaining}

        return CommandPlan(202, {"replayed": 0, "remaining": 0}, [], act)


def _change(webhook: Webhook) -> Change:
    return Change("webhooks", webhook.listener, pack_webhook(webhook))


def _distinct(names: Sequence[str] | None) -> list[str] | None:
    """Each name once, in the order given."""
    return None if names is None else list(dict.fromkeys(names))
