"""Removing, editing, restoring and importing entries in the current periods: commands of the supervisor.

An entry is changed by an input of its period's journal; the audit log is the supervisor's. Neither can be
committed with the other, so the record is written first, as asked; then the actors carry it out; then the
record is written again with the entries before and after. If everybody concerned said that nothing was done,
it goes. So nothing is done without a record. Its `outcome` is `done`, `in part` (another window refused),
`unknown` (no answer came from an actor, or its store failed); none tells that the supervisor died in between.

All go this way, removal by a game server too: it is as rare as an administrative act, and a direct way
to the actor could not be audited without gaps. The price: while the supervisor is away (a few seconds after
its death) removal waits for it, and is answered 503 if it does not come; it can be repeated. These commands
run beside others, so that none waits for an erasure or for a leaderboard that is being made.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeGuard

import msgpack
import orjson

from lbactors.core.errors import ApiError
from lbactors.core.ids import in_tenant
from lbactors.core.model import Board, Row
from lbactors.documents.audit import Audited
from lbactors.documents.entry_edits import EditBody, RestoreBody
from lbactors.documents.profiles import zone_of_profile
from lbactors.documents.storage_errors import storage_errors
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.command_plan import CommandContext, CommandPlan, parse
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.actors import Unanswered
from lbactors.wire.commands import EditEntry, ImportEntries, RemoveEntry, RestoreEntry
from lbactors.wire.requests import ChangeEntry, EntryChange, EntryImport, Import

UNKNOWN = "unknown"


def _told(window: str, key: str, row: Row) -> dict[str, Any]:
    """An entry as a record of the audit log shows it."""
    return {
        "window": window,
        "period_key": key,
        "rank": row.rank,
        "score": row.score,
        "subscore": row.subscore,
    }


def _is_refusal(error: BaseException) -> TypeGuard[ApiError]:
    """Whether an actor said that it did nothing. Its store, or a call, may fail after it was done."""
    if not isinstance(error, ApiError) or isinstance(error, Unanswered):
        return False
    return error.code not in ("storage_unavailable", "internal_error")


class EntryEdits:
    """Handlers by the command's class; see `CommandRunner`. Their answers are rows, for gateways to render:
    {"changed": [[window, period key, row before or nil, row after or nil]…]}.
    """

    def __init__(self, state: SupervisorState, hosting: Hosting) -> None:
        self.state = state
        self.hosting = hosting

    async def remove_entry(self, context: CommandContext, command: RemoveEntry) -> CommandPlan:
        return self._planned(
            "remove",
            context.tenant_id,
            command.leaderboard_id,
            command.player_id,
            command.window,
            [],
            {"reason": command.reason},
        )

    async def edit_entry(self, context: CommandContext, command: EditEntry) -> CommandPlan:
        body = parse(EditBody, command.edit)
        metadata: bytes | bool | None = False
        if "metadata" in body.model_fields_set:
            metadata = None if body.metadata is None else orjson.dumps(body.metadata)
        fields = [body.score, body.subscore, metadata]
        asked = sorted(body.model_fields_set - {"reason"})
        details = {"reason": body.reason, "fields": asked, "score": body.score}
        return self._planned(
            "edit",
            context.tenant_id,
            command.leaderboard_id,
            command.player_id,
            command.window,
            fields,
            details,
        )

    async def restore_entry(self, context: CommandContext, command: RestoreEntry) -> CommandPlan:
        body = parse(RestoreBody, command.restore)
        return self._planned(
            "restore",
            context.tenant_id,
            command.leaderboard_id,
            command.player_id,
            command.window,
            [],
            {"reason": body.reason},
        )

    async def import_entries(self, context: CommandContext, command: ImportEntries) -> CommandPlan:
        """Many entries into one window; the answer's body is an `EntryImport` by names. One record tells of
        all.
        """
        board = self.state.board(context.tenant_id, command.leaderboard_id)
        (chain,) = self._chains(board, command.window)
        request = Import(chain.chain_id, command.period_key, command.entries, command.replace)
        outcome: dict[str, Any] = {}

        async def carry_out() -> dict[str, Any]:
            outcome["outcome"] = UNKNOWN
            try:
                async with chain.lock:
                    done = EntryImport(*await self.hosting.change(chain, "import_entries", request))
            except ApiError as error:
                if _is_refusal(error):
                    outcome.clear()
                raise
            outcome.update(done._asdict(), refused=len(done.refused))
            outcome["outcome"] = "in part" if done.refused else "done"
            return done._asdict()

        details = {
            "window": command.window,
            "period_key": command.period_key,
            "entries": len(command.entries),
            "replace": command.replace,
        }
        audited = Audited("entry.import", board.leaderboard_id, details)
        return CommandPlan(200, {}, [], carry_out, audited=audited, outcome=outcome)

    def _planned(
        self,
        act: str,
        tenant_id: str,
        leaderboard_id: str,
        player_id: str,
        window: str | None,
        fields: list[Any],
        details: dict[str, Any],
    ) -> CommandPlan:
        board = self.state.board(tenant_id, leaderboard_id)
        chains = self._chains(board, window)
        details = {"player_id": player_id, "window": window, **details}
        outcome: dict[str, Any] = {}

        async def carry_out() -> dict[str, Any]:
            zone = await self._zone(board, player_id)
            outcome["outcome"] = UNKNOWN  # as long as not all have answered
            done = await asyncio.gather(
                *(self._change(chain, act, player_id, fields, zone) for chain in chains),
                return_exceptions=True,
            )
            changed: list[tuple[str, EntryChange]] = []
            missing: list[ApiError] = []
            refused: list[BaseException] = []
            unsure: list[BaseException] = []
            for chain, found in zip(chains, done, strict=True):
                if not isinstance(found, BaseException):
                    changed.append((chain.window, found))
                elif not _is_refusal(found):
                    unsure.append(found)
                elif found.code in ("entry_not_found", "entry_exists"):
                    missing.append(found)
                else:
                    refused.append(found)
            if changed:
                for name in ("before", "after"):
                    rows = [(w, c.period_key, getattr(c, name)) for w, c in changed]
                    outcome[name] = [_told(w, key, row) for w, key, row in rows if row is not None]
            if unsure:
                if isinstance(unsure[0], Unanswered):
                    raise ApiError("storage_unavailable", f"it may have been done: {unsure[0]}")
                raise unsure[0]
            if not changed:
                outcome.clear()
                raise refused[0] if refused else max(missing, key=lambda error: error.code == "entry_exists")
            outcome["outcome"] = "in part" if refused else "done"
            if refused:
                raise refused[0]
            return {"changed": [[window, *change] for window, change in changed]}

        audited = Audited(f"entry.{act}", leaderboard_id, details)
        return CommandPlan(200, {}, [], carry_out, audited=audited, outcome=outcome)

    def _chains(self, board: Board, window: str | None) -> list[ChainState]:
        windows = board.windows if window is None else (window,)
        found = [self.state.chains.get(board.chain_id(w)) for w in windows if w in board.windows]
        chains = [c for c in found if c is not None and c.records]
        if not chains:
            name = board.leaderboard_id
            raise ApiError(
                "period_not_found", f"leaderboard '{name}' has no period in window '{window or 'main'}'"
            )
        return chains

    async def _zone(self, board: Board, player_id: str) -> str:
        """The zone whose current periods are meant. ApiError storage_unavailable."""
        if not board.definition.timeframe.is_player_local:
            return ""
        with storage_errors():
            (body,) = await self.state.store.get("profiles", [in_tenant(board.tenant_id, player_id)])
        return zone_of_profile(None if body is None else msgpack.unpackb(body))

    async def _change(
        self, chain: ChainState, act: str, player_id: str, fields: list[Any], zone: str
    ) -> EntryChange:
        """Of one chain. Under its lock, so it does not move meanwhile."""
        request = ChangeEntry(chain.chain_id, act, player_id, fields, zone)
        async with chain.lock:
            return EntryChange.from_wire(await self.hosting.change(chain, "change_entry", request.to_wire()))
