"""Commands on tenants and keys."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from lbactors.core.errors import ApiError, invalid
from lbactors.core.model import Key, Tenant
from lbactors.documents.entities import (
    KeyBody,
    KeyPatch,
    TenantBody,
    TenantPatch,
    key_json,
    pack_key,
    pack_tenant,
    tenant_json,
    unpack_key,
)
from lbactors.supervisor.command_plan import CommandContext, CommandPlan, parse
from lbactors.supervisor.events.outbox import Outbox
from lbactors.supervisor.events.retention import purge_deliveries
from lbactors.supervisor.hidden_players import HiddenPlayers
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.purging import Purging
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import (
    CreateKey,
    CreateTenant,
    DeleteKey,
    DeleteTenant,
    PatchKey,
    PatchTenant,
)
from persistence.store import Change


class AccessCommands:
    """Handlers by the command's class; see `CommandRunner`. `pepper`: a secret of the store, for keys that
    can be told again without being kept.
    """

    def __init__(
        self,
        state: SupervisorState,
        hosting: Hosting,
        purging: Purging,
        hidden_players: HiddenPlayers,
        outbox: Outbox,
    ) -> None:
        self.state = state
        self.hosting = hosting
        self.purging = purging
        self.hidden_players = hidden_players
        self.outbox = outbox
        self.pepper = b""

    # Tenants and keys -----------------------------------------------------------------------------------

    async def create_tenant(self, context: CommandContext, command: CreateTenant) -> CommandPlan:
        body = parse(TenantBody, command.tenant)
        if body.tenant_id in self.state.documents["tenants"]:
            raise ApiError("tenant_exists", f"tenant '{body.tenant_id}' exists already")
        made = Tenant(
            body.tenant_id, body.name or body.tenant_id, "active", body.hmac_secret, self.state.clock.now_ms()
        )
        return CommandPlan(201, tenant_json(made), [Change("tenants", made.tenant_id, pack_tenant(made))])

    async def patch_tenant(self, context: CommandContext, command: PatchTenant) -> CommandPlan:
        old = self.state.tenant(command.tenant_id)
        body = parse(TenantPatch, command.patch)
        fields = {f: getattr(body, f) for f in body.model_fields_set}
        for field in ("name", "status"):
            if field in fields and fields[field] is None:
                raise invalid("must not be null", "body", field)
        new = old._replace(**fields)
        return CommandPlan(200, tenant_json(new), [Change("tenants", command.tenant_id, pack_tenant(new))])

    async def delete_tenant(self, context: CommandContext, command: DeleteTenant) -> CommandPlan:
        """A tenant goes with all that is its own: leaderboards, keys, profiles, webhooks."""
        tenant = self.state.tenant(command.tenant_id)
        if command.tenant_id == "default":
            raise invalid("the tenant 'default' cannot be deleted", "path", "tenant_id")
        changes = []
        for key_id, body in self.state.documents["keys"].items():
            key = unpack_key(body)
            if key.tenant_id == command.tenant_id:
                changes.append(Change("keys", key_id, pack_key(key._replace(status="deleted"))))
        for collection in ("profiles", "idempotency", "hidden", "labels", "test_players", "audit"):
            for doc_id, _body in await self.state.store.scan(collection, prefix=f"{command.tenant_id}/"):
                changes.append(Change(collection, doc_id, None))
        listeners = [webhook.listener for webhook in self.outbox.webhooks_of(command.tenant_id)]
        changes += [Change("webhooks", listener, None) for listener in listeners]
        changes.append(Change("tenants", command.tenant_id, None))
        boards = [b for b in self.state.boards.values() if b.tenant_id == command.tenant_id]
        changes += await self.purging.plan(boards)
        changes += self.purging.plan_logs(command.tenant_id)

        async def act() -> None:
            self.state.spawn(purge_deliveries(self.state, listeners))
            await self.purging.begin()
            if self.hidden_players.forget_tenant(command.tenant_id):
                await self.hosting.tell_all_who_is_hidden()

        return CommandPlan(200, tenant_json(tenant), changes, act)

    def key_text(self, seed: bytes | None) -> str:
        """A key, the same for the same seed; without one it is random."""
        if seed is None:
            return f"lb_{secrets.token_hex(24)}"
        return f"lb_{hmac.new(self.pepper, seed, hashlib.sha256).hexdigest()[:48]}"

    async def create_key(self, context: CommandContext, command: CreateKey) -> CommandPlan:
        body = parse(KeyBody, command.key)
        tenant_id = body.tenant_id or context.tenant_id
        self.state.tenant(tenant_id)
        text = self.key_text(context.seed)
        made = Key(
            f"k_{secrets.token_hex(8)}",
            tenant_id,
            body.name,
            frozenset(body.scopes),
            hashlib.sha256(text.encode()).hexdigest(),
            "active",
            body.expires_at,
            body.player_id,
            self.state.clock.now_ms(),
        )
        shown = key_json(made)
        change = Change("keys", made.key_id, pack_key(made))
        return CommandPlan(201, {**shown, "key": text}, [change], None, shown)

    def _key(self, key_id: str) -> Key:
        body = self.state.documents["keys"].get(key_id)
        key = unpack_key(body) if body is not None else None
        if key is None or key.status == "deleted":
            raise ApiError("key_not_found", f"no key '{key_id}'")
        return key

    async def patch_key(self, context: CommandContext, command: PatchKey) -> CommandPlan:
        key = self._key(command.key_id)
        body = parse(KeyPatch, command.patch)
        fields = {f: getattr(body, f) for f in body.model_fields_set}
        for field, value in fields.items():
            if value is None:
                raise invalid("must not be null", "body", field)
        new = key._replace(**fields)
        return CommandPlan(200, key_json(new), [Change("keys", command.key_id, pack_key(new))])

    async def delete_key(self, context: CommandContext, command: DeleteKey) -> CommandPlan:
        """A deleted key is remembered, so its hash can never come to life again."""
        key = self._key(command.key_id)._replace(status="deleted")
        return CommandPlan(200, key_json(key), [Change("keys", command.key_id, pack_key(key))])


def repeated_keys(keys: Iterable[Key]) -> list[Key]:
    """Of keys that have the same text, all but one: a deleted one stays, and so its text stays dead; else the
    oldest. Earlier versions could make them, by a repeat of `POST /v1/keys` after its answer was forgotten.
    """
    kept: dict[str, Key] = {}
    ordered = sorted(keys, key=lambda key: (key.status != "deleted", key.created_at_ms, key.key_id))
    for key in ordered:
        kept.setdefault(key.key_hash, key)
    return [key for key in ordered if kept[key.key_hash] is not key]
