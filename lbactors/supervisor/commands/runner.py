"""The supervisor's commands: what changes tenants, keys, leaderboards, periods and profiles.

Each command validates, persists everything that it changes in one commit (its remembered answer included, so
a repeat with the same `Idempotency-Key` after any crash is answered, not carried out again), and then acts.
Commands run one at a time; chains' clocks go on beside them, each under its chain's lock.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from typing import Any

import msgpack
import structlog

from lbactors.core.definition import SCOPES
from lbactors.core.errors import ApiError
from lbactors.core.model import Key, Tenant
from lbactors.documents.audit import Who
from lbactors.documents.entities import pack_key, pack_tenant, unpack_key
from lbactors.supervisor.audit import amended
from lbactors.supervisor.command_plan import CommandPlan
from lbactors.supervisor.commands.access import AccessCommands
from lbactors.supervisor.commands.entry_edits import ENTRY_EDITS, EntryEdits
from lbactors.supervisor.commands.hidden_players import HiddenPlayerCommands
from lbactors.supervisor.commands.leaderboards import LeaderboardCommands
from lbactors.supervisor.commands.reviews import ReviewCommands
from lbactors.supervisor.commands.webhooks import WebhookCommands
from lbactors.supervisor.erasure import Erasure
from lbactors.supervisor.supervisor import Supervisor
from lbactors.wire.commands import Idempotency
from persistence.store import Change, StoreError

IDEMPOTENCY_MS = 24 * 3600 * 1000
FORGET_AT_ONCE = 500  # remembered answers looked at for their age with one command that adds another

log = structlog.get_logger("supervisor")

Answer = tuple[int, dict[str, Any]]


class CommandRunner:
    """One for each supervisor. `run` is the only way in."""

    def __init__(self, supervisor: Supervisor) -> None:
        state, hosting, purging = supervisor.state, supervisor.hosting, supervisor.purging
        hidden_players, outbox = supervisor.hidden_players, supervisor.outbox
        self.state = state
        self.audit = supervisor.audit
        self.lock = asyncio.Lock()
        self._looked_at = ""  # the remembered answer up to which ages were looked at
        self._claims = supervisor.claims
        self._erasure = erasure = Erasure(
            state,
            hosting,
            purging,
            hidden_players,
            supervisor.granting,
            supervisor.reviews,
            supervisor.audit,
        )
        boards = LeaderboardCommands(state, hosting, supervisor.lifecycle, purging)
        self.access = access = AccessCommands(state, hosting, purging, hidden_players, outbox)
        hiding = HiddenPlayerCommands(state, hosting, hidden_players)
        entries = EntryEdits(state, hosting)
        webhooks = WebhookCommands(state, outbox)
        held = ReviewCommands(state, supervisor.reviews)
        self._handlers: dict[str, Callable[..., Any]] = {
            "create_leaderboard": boards.create_leaderboard,
            "patch_leaderboard": boards.patch_leaderboard,
            "archive_leaderboard": boards.archive_leaderboard,
            "purge_leaderboard": boards.purge_leaderboard,
            "create_period": boards.create_period,
            "close_period": boards.close_period,
            "create_tenant": access.create_tenant,
            "patch_tenant": access.patch_tenant,
            "delete_tenant": access.delete_tenant,
            "create_key": access.create_key,
            "patch_key": access.patch_key,
            "delete_key": access.delete_key,
            "put_player": access.put_player,
            "erase_player": erasure.erase_player,
            "hide_player": hiding.hide_player,
            "unhide_player": hiding.unhide_player,
            "remove_entry": entries.remove_entry,
            "edit_entry": entries.edit_entry,
            "restore_entry": entries.restore_entry,
            "claim_reward": self._claims.command,
            "create_webhook": webhooks.create_webhook,
            "patch_webhook": webhooks.patch_webhook,
            "delete_webhook": webhooks.delete_webhook,
            "rotate_webhook_secret": webhooks.rotate_webhook_secret,
            "test_webhook": webhooks.test_webhook,
            "replay_delivery": webhooks.replay_delivery,
            "replay_deliveries": webhooks.replay_deliveries,
            "hold": held.hold,
            "begin_approval": held.begin_approval,
            "finish_approval": held.finish_approval,
            "reject_held": held.reject_held,
        }

    async def first_start(self) -> None:
        """On an empty store: the tenant `default` and a key with every scope (its hash is a setting)."""
        (pepper,) = await self.state.store.get("secrets", ["pepper"])
        changes = []
        if pepper is None:
            pepper = secrets.token_bytes(32)
            changes.append(Change("secrets", "pepper", pepper))
        self.access.pepper = pepper
        now_ms = self.state.clock.now_ms()
        if "default" not in self.state.documents["tenants"]:
            tenant = Tenant("default", "default", "active", None, now_ms)
            changes.append(Change("tenants", "default", pack_tenant(tenant)))
        key_hash = self.state.settings.root_key_hash
        known = {unpack_key(body).key_hash for body in self.state.documents["keys"].values()}
        if key_hash and key_hash not in known:
            key = Key(
                f"k_{secrets.token_hex(8)}",
                "default",
                "root",
                frozenset(SCOPES),
                key_hash,
                "active",
                None,
                None,
                now_ms,
            )
            changes.append(Change("keys", key.key_id, pack_key(key)))
        if changes:
            await self.state.commit(changes)

    async def run(
        self,
        name: str,
        tenant_id: str,
        args: dict[str, Any],
        idempotency: Idempotency | None,
        who: Who | None,
    ) -> Answer:
        """Carry out a command, with a record in the audit log, or answer its repeat: HTTP status and body.
        ApiError, StoreError.
        """
        try:
            return await self._run_in_turn(name, tenant_id, args, idempotency, who)
        except (ApiError, StoreError):
            raise
        except Exception:  # a bug, or Ray's head is away: memory may be ahead of the store
            log.exception("command failed", command=name)
            self.state.end()
            raise

    async def _run_in_turn(
        self,
        name: str,
        tenant_id: str,
        args: dict[str, Any],
        idempotency: Idempotency | None,
        who: Who | None,
    ) -> Answer:
        if name == "claim_reward" and idempotency is None:
            return 200, await self._claims.claim(self.lock, tenant_id, **args)
        if name in ENTRY_EDITS:  # each waits for its own leaderboard alone
            return await self._run(name, tenant_id, args, idempotency, who)
        if name == "erase_player":  # its long part; others need not wait for it
            args = {**args, **await self._erasure.erase_in_periods(tenant_id, **args)}
        async with self.lock:
            return await self._run(name, tenant_id, args, idempotency, who)

    async def _run(
        self,
        name: str,
        tenant_id: str,
        args: dict[str, Any],
        idempotency: Idempotency | None,
        who: Who | None,
    ) -> Answer:
        if idempotency is None:
            planned = await self._handlers[name](tenant_id, None, **args)
            told = self.audit.of_command(name, tenant_id, args, planned, who)
            return await self._carry_out(planned, told, [])
        raw_key, digest = idempotency
        doc_id = f"{tenant_id}/{hashlib.sha256(raw_key.encode()).hexdigest()}"
        now_ms = self.state.clock.now_ms()
        (known,) = await self.state.store.get("idempotency", [doc_id])
        if known is not None:
            at_ms, known_digest, status, body = msgpack.unpackb(known)
            if at_ms > now_ms - IDEMPOTENCY_MS:
                if known_digest != digest:
                    raise ApiError(
                        "idempotency_conflict", "this Idempotency-Key came with another request before"
                    )
                if name == "create_key":
                    body["key"] = self.access.key_text(f"{tenant_id}/{raw_key}/{digest}")
                return status, body
        forget = [Change("idempotency", i, None) for i in await self._expired(now_ms) if i != doc_id]
        # From the plan to its commit nothing is awaited: else the chain's clock might commit in between, and
        # an older record would overwrite its.
        planned = await self._handlers[name](tenant_id, f"{tenant_id}/{raw_key}/{digest}", **args)

        def remember(body: dict[str, Any]) -> Change:
            return Change("idempotency", doc_id, bytes(msgpack.packb([now_ms, digest, planned.status, body])))

        first = planned.remember if planned.remember is not None else planned.body
        told = self.audit.of_command(name, tenant_id, args, planned, who)
        more = forget if planned.outcome is not None else [remember(first), *forget]
        status, body = await self._carry_out(planned, told, more)
        if planned.remember is None and body != first:  # what was done told more than the plan
            await self.state.commit([remember(body)])
        return status, body

    async def _carry_out(self, planned: CommandPlan, told: list[Change], more: list[Change]) -> Answer:
        if planned.changes or told or more:
            await self.state.commit([*planned.changes, *told, *more])
        body = None
        if planned.act is not None and planned.outcome is None:
            body = await planned.act()
        elif planned.act is not None:
            try:
                body = await planned.act()
            finally:
                await self.state.commit([amended(record, planned.outcome) for record in told])
        return planned.status, planned.body if body is None else body

    async def _expired(self, now_ms: int) -> list[str]:
        """Answers to forget, of any tenant; each time the next of them are looked at, round and round."""
        rows = await self.state.store.scan("idempotency", after=self._looked_at, limit=FORGET_AT_ONCE)
        self._looked_at = rows[-1][0] if len(rows) == FORGET_AT_ONCE else ""
        return [i for i, body in rows if msgpack.unpackb(body)[0] <= now_ms - IDEMPOTENCY_MS]
