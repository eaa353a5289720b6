"""The supervisor's commands: what changes tenants, keys, leaderboards, periods and profiles.

Each command validates, persists everything that it changes in one commit (its remembered answer included, so
a repeat with the same `Idempotency-Key` after any crash is answered, not carried out again), and then acts.
A repeat that comes while the first is under way waits for its answer. Commands run one at a time; chains'
clocks go on beside them, each under its chain's lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import structlog

from lbactors.core.definition import SCOPES
from lbactors.core.errors import ApiError
from lbactors.core.ids import in_tenant
from lbactors.core.model import Key, Tenant
from lbactors.documents.audit import Who
from lbactors.documents.entities import pack_key, pack_tenant, unpack_key
from lbactors.documents.remembered_answers import RememberedAnswer, pack_answer, unpack_answer
from lbactors.supervisor.audit import amended
from lbactors.supervisor.command_plan import CommandContext, CommandPlan
from lbactors.supervisor.commands.access import AccessCommands, repeated_keys
from lbactors.supervisor.commands.entry_edits import EntryEdits
from lbactors.supervisor.commands.hidden_players import HiddenPlayerCommands
from lbactors.supervisor.commands.leaderboards import LeaderboardCommands
from lbactors.supervisor.commands.logs import LogCommands
from lbactors.supervisor.commands.profiles import ProfileCommands
from lbactors.supervisor.commands.rebuilds import RebuildCommands
from lbactors.supervisor.commands.reviews import ReviewCommands
from lbactors.supervisor.commands.webhooks import WebhookCommands
from lbactors.supervisor.erasure import Erasure
from lbactors.supervisor.supervisor import Supervisor
from lbactors.wire.commands import (
    ArchiveLeaderboard,
    BeginApproval,
    ClaimReward,
    ClosePeriod,
    Command,
    CreateKey,
    CreateLeaderboard,
    CreatePeriod,
    CreateTenant,
    CreateWebhook,
    DeleteKey,
    DeleteTenant,
    DeleteWebhook,
    EditEntry,
    EntryCommand,
    ErasePlayer,
    FinishApproval,
    HidePlayer,
    HoldSubmissions,
    Idempotency,
    ImportEntries,
    OpenLog,
    PatchKey,
    PatchLeaderboard,
    PatchPlayer,
    PatchTenant,
    PatchWebhook,
    PurgeLeaderboard,
    PutPlayer,
    RebuildPeriod,
    RejectSubmission,
    RemoveEntry,
    ReplayDeliveries,
    ReplayDelivery,
    RestoreEntry,
    RotateWebhookSecret,
    TestWebhook,
    UnhidePlayer,
)
from persistence.store import Change, StoreError

IDEMPOTENCY_MS = 24 * 3600 * 1000
NONCE_BYTES = 32
FORGET_AT_ONCE = 500  # remembered answers looked at for their age with one command that adds another

log = structlog.get_logger("supervisor")

Answer = tuple[int, dict[str, Any]]
Handler = Callable[[CommandContext, Any], Awaitable[CommandPlan]]


def remembered_as(tenant_id: str, idempotency_key: str) -> str:
    """Id of the document that has the answer to a command with this key."""
    return in_tenant(tenant_id, hashlib.sha256(idempotency_key.encode()).hexdigest())


class CommandRunner:
    """One for each supervisor. `run` is the only way in."""

    def __init__(self, supervisor: Supervisor) -> None:
        state, hosting, purging = supervisor.state, supervisor.hosting, supervisor.purging
        hidden_players, outbox = supervisor.hidden_players, supervisor.outbox
        self.state = state
        self.audit = supervisor.audit
        self.lock = asyncio.Lock()
        self._by_key: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # those under way
        self._looked_at = ""  # the remembered answer up to which ages were looked at
        self._claims = supervisor.claims
        self._erasure = Erasure(
            state,
            hosting,
            purging,
            hidden_players,
            supervisor.granting,
            supervisor.reviews,
            supervisor.audit,
        )
        boards = LeaderboardCommands(
            state, hosting, supervisor.lifecycle, purging, hidden_players.labels, supervisor.logs
        )
        logs = LogCommands(state, supervisor.logs)
        rebuilds = RebuildCommands(state, hosting, supervisor.lifecycle)
        self.access = access = AccessCommands(state, hosting, purging, hidden_players, outbox)
        hiding = HiddenPlayerCommands(state, hosting, hidden_players)
        profiles = ProfileCommands(state, hosting, hidden_players)
        entries = EntryEdits(state, hosting)
        webhooks = WebhookCommands(state, outbox)
        held = ReviewCommands(state, supervisor.reviews)
        self._handlers: dict[type[Command], Handler] = {
            CreateLeaderboard: boards.create_leaderboard,
            PatchLeaderboard: boards.patch_leaderboard,
            ArchiveLeaderboard: boards.archive_leaderboard,
            PurgeLeaderboard: boards.purge_leaderboard,
            CreatePeriod: boards.create_period,
            ClosePeriod: boards.close_period,
            OpenLog: logs.open_log,
            RebuildPeriod: rebuilds.rebuild_period,
            CreateTenant: access.create_tenant,
            PatchTenant: access.patch_tenant,
            DeleteTenant: access.delete_tenant,
            CreateKey: access.create_key,
            PatchKey: access.patch_key,
            DeleteKey: access.delete_key,
            PutPlayer: profiles.put_player,
            PatchPlayer: profiles.patch_player,
            HidePlayer: hiding.hide_player,
            UnhidePlayer: hiding.unhide_player,
            RemoveEntry: entries.remove_entry,
            EditEntry: entries.edit_entry,
            RestoreEntry: entries.restore_entry,
            ImportEntries: entries.import_entries,
            ClaimReward: self._claims.claim_alone,
            CreateWebhook: webhooks.create_webhook,
            PatchWebhook: webhooks.patch_webhook,
            DeleteWebhook: webhooks.delete_webhook,
            RotateWebhookSecret: webhooks.rotate_webhook_secret,
            TestWebhook: webhooks.test_webhook,
            ReplayDelivery: webhooks.replay_delivery,
            ReplayDeliveries: webhooks.replay_deliveries,
            HoldSubmissions: held.hold,
            BeginApproval: held.begin_approval,
            FinishApproval: held.finish_approval,
            RejectSubmission: held.reject_held,
        }

    async def first_start(self) -> None:
        """On an empty store: the tenant `default` and a key with every scope (its hash is a setting). On an
        older one: every key once.
        """
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
        keys = [unpack_key(body) for body in self.state.documents["keys"].values()]
        changes += [Change("keys", key.key_id, None) for key in repeated_keys(keys)]
        if key_hash and key_hash not in {key.key_hash for key in keys}:
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
        self, command: Command, tenant_id: str, idempotency: Idempotency | None, who: Who | None
    ) -> Answer:
        """Carry out a command, with a record in the audit log, or answer its repeat: HTTP status and body.
        ApiError, StoreError.
        """
        try:
            async with self._one_of_its_key(tenant_id, idempotency):
                return await self._run_in_turn(command, tenant_id, idempotency, who)
        except (ApiError, StoreError):
            raise
        except Exception:  # a bug, or Ray's head is away: memory may be ahead of the store
            log.exception("command failed", command=command.name)
            self.state.end()
            raise

    def _one_of_its_key(
        self, tenant_id: str, idempotency: Idempotency | None
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Commands with one Idempotency-Key come one after the other, those too that run beside others."""
        if idempotency is None:
            return contextlib.nullcontext()
        return self._by_key.setdefault(remembered_as(tenant_id, idempotency.key), asyncio.Lock())

    async def _run_in_turn(
        self, command: Command, tenant_id: str, idempotency: Idempotency | None, who: Who | None
    ) -> Answer:
        if isinstance(command, ClaimReward) and idempotency is None:
            return 200, await self._claims.claim(self.lock, tenant_id, command)
        if isinstance(command, EntryCommand | ImportEntries):  # each waits for its own leaderboard alone
            return await self._run(self._handlers[type(command)], command, tenant_id, idempotency, who)
        if isinstance(command, ErasePlayer):  # its long part; others need not wait for it
            erased = await self._erasure.erase_in_periods(tenant_id, command.player_id)
            handler: Handler = partial(self._erasure.erase_player, erased)
        else:
            handler = self._handlers[type(command)]
        async with self.lock:
            return await self._run(handler, command, tenant_id, idempotency, who)

    async def _run(
        self,
        handler: Handler,
        command: Command,
        tenant_id: str,
        idempotency: Idempotency | None,
        who: Who | None,
    ) -> Answer:
        if idempotency is None:
            planned = await handler(CommandContext(tenant_id, None), command)
            told = self.audit.of_command(command, tenant_id, planned, who)
            return await self._carry_out(planned, told, [])
        raw_key, digest = idempotency
        request = f"{tenant_id}/{raw_key}/{digest}".encode()
        doc_id = remembered_as(tenant_id, raw_key)
        now_ms = self.state.clock.now_ms()
        (known,) = await self.state.store.get("idempotency", [doc_id])
        if known is not None:
            answer = unpack_answer(known)
            if answer.at_ms > now_ms - IDEMPOTENCY_MS:
                if answer.digest != digest:
                    raise ApiError(
                        "idempotency_conflict", "this Idempotency-Key came with another request before"
                    )
                if isinstance(command, CreateKey):
                    answer.body["key"] = self.access.key_text(answer.nonce + request)
                return answer.status, answer.body
        forget = [Change("idempotency", i, None) for i in await self._expired(now_ms) if i != doc_id]
        # From the plan to its commit nothing is awaited: else the chain's clock might commit in between, and
        # an older record would overwrite its.
        nonce = secrets.token_bytes(NONCE_BYTES) if isinstance(command, CreateKey) else b""
        planned = await handler(CommandContext(tenant_id, nonce + request), command)

        def remember(body: dict[str, Any]) -> Change:
            made = RememberedAnswer(now_ms, digest, planned.status, body, nonce)
            return Change("idempotency", doc_id, pack_answer(made))

        first = planned.remember if planned.remember is not None else planned.body
        told = self.audit.of_command(command, tenant_id, planned, who)
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
        return [i for i, body in rows if unpack_answer(body).at_ms <= now_ms - IDEMPOTENCY_MS]
