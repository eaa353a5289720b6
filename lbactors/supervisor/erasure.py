"""Forgetting a player: everything that names him, wherever it is kept (docs/erasure.md).

Logs first, then periods, by their actors: entries, removed entries, who is hidden, journals and snapshots;
closed periods keep an entry under an anonymous id, so that ranks stay. (A leaderboard that is computed from a
log would read the player's rows again, if it was erased before the log.) That takes as long as there are
leaderboards, so other commands go on beside it. Then all documents in one commit. Every step can be repeated,
so an erasure that was interrupted is asked for again.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import NamedTuple

import msgpack
import structlog

from lbactors.core.errors import ApiError
from lbactors.core.ids import in_tenant, is_log
from lbactors.documents.audit import Audited, anonymised
from lbactors.documents.entities import pack_board, pack_key, unpack_key
from lbactors.documents.hidden_players import SHOWN
from lbactors.documents.labels import index_changes
from lbactors.documents.remembered_answers import pack_answer, unpack_answer
from lbactors.supervisor.audit import Audit
from lbactors.supervisor.chain_state import ChainState, chains_of
from lbactors.supervisor.command_plan import CommandContext, CommandPlan
from lbactors.supervisor.events.erasure import erased_bodies
from lbactors.supervisor.hidden_players import HiddenPlayers
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.purging import Purging
from lbactors.supervisor.reviews import Reviews
from lbactors.supervisor.rewards.granting import Granting
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import ErasePlayer
from lbactors.wire.requests import Erase
from persistence.store import Change, StoreError, scan_pages

CHAINS_AT_ONCE = 8
CHUNK = 500  # documents read at a time
SCRUB_PAUSE_S = 1.0

log = structlog.get_logger("erasure")


class ErasedEntries(NamedTuple):
    """What the first step did: the name that stands for the player now, in how many periods, and whether any
    log had rows of him.
    """

    anonymous_id: str
    entries: int
    in_logs: bool


class Erasure:
    """Two steps of one command; see `CommandRunner`."""

    def __init__(
        self,
        state: SupervisorState,
        hosting: Hosting,
        purging: Purging,
        hidden_players: HiddenPlayers,
        granting: Granting,
        reviews: Reviews,
        audit: Audit,
    ) -> None:
        self.state = state
        self.hosting = hosting
        self.purging = purging
        self.hidden_players = hidden_players
        self.granting = granting
        self.reviews = reviews
        self.audit = audit

    async def erase_in_periods(self, tenant_id: str, player_id: str) -> ErasedEntries:
        """Forget a player in all periods; what the second step needs to know of it. ApiError."""
        anonymous_id = f"erased-{secrets.token_hex(8)}"
        await self.purging.drop()  # what a purge had to leave for later may hold the player, too
        limit = asyncio.Semaphore(CHAINS_AT_ONCE)

        async def erase(*, logs: bool) -> list[int]:
            chains = [
                chain
                for chain in self.state.chains.values()
                if chain.board.tenant_id == tenant_id and chain.records and is_log(chain.chain_id) == logs
            ]
            return await asyncio.gather(*(self._erase(c, player_id, anonymous_id, limit) for c in chains))

        in_logs = any(await erase(logs=True))
        return ErasedEntries(anonymous_id, sum(await erase(logs=False)), in_logs)

    async def erase_player(
        self, erased: ErasedEntries, context: CommandContext, command: ErasePlayer
    ) -> CommandPlan:
        """Forget a player in all documents. player_not_found if nothing but the audit log named him."""
        tenant_id, player_id, anonymous_id = context.tenant_id, command.player_id, erased.anonymous_id
        await self.purging.drop()  # of what was purged since
        doc_id = in_tenant(tenant_id, player_id)
        (profile,) = await self.state.store.get("profiles", [doc_id])
        stored = None if profile is None else msgpack.unpackb(profile)
        hidden = self.hidden_players.hidden(tenant_id, player_id)
        changes = await self.granting.erase(tenant_id, player_id, anonymous_id)
        changes += await self.reviews.erase(tenant_id, player_id)
        changes += await self._documents(tenant_id, player_id, anonymous_id)
        if profile is not None:
            changes.append(Change("profiles", doc_id, None))
            changes += index_changes(tenant_id, player_id, stored, None)
        if hidden != SHOWN:
            changes.append(Change("hidden", doc_id, None))
        renamed, chains = self._audiences(tenant_id, player_id, anonymous_id)
        changes += renamed
        if not changes and erased.entries == 0 and not erased.in_logs:
            raise ApiError("player_not_found", f"no player '{player_id}'")
        changes += await erased_bodies(self.state.store, tenant_id, player_id, anonymous_id)
        changes += await self.audit.erase(tenant_id, player_id, anonymous_id)

        async def act() -> None:
            self.hidden_players.apply(tenant_id, player_id, [c for c in changes if c.doc_id == doc_id])
            self.hidden_players.labels.apply(tenant_id, player_id, stored, None)
            await self.hosting.tell_all_who_is_hidden()
            await self.hosting.host(chains, wait=False)
            if not await self._scrubbed():
                self.state.spawn(self._scrub())

        told = Audited("player.erase", anonymous_id, {"player_id": anonymous_id, "entries": erased.entries})
        body = {"player_id": player_id, "erased_entries": erased.entries}
        return CommandPlan(200, body, changes, act, audited=told)

    def _audiences(
        self, tenant_id: str, player_id: str, anonymous_id: str
    ) -> tuple[list[Change], list[ChainState]]:
        """Leaderboards whose audience lists the player, and their chains. The anonymous id takes the place: a
        list without anybody would mean everyone.
        """
        changes: list[Change] = []
        changed: list[ChainState] = []
        for doc_id, board in list(self.state.boards.items()):
            if board.tenant_id != tenant_id or not board.definition.audience.names(player_id):
                continue
            audience = board.definition.audience.renamed(player_id, anonymous_id)
            definition = board.definition.model_copy(update={"audience": audience})
            now_ms = self.state.clock.now_ms()
            new = board._replace(definition=definition, version=board.version + 1, updated_at_ms=now_ms)
            self.state.boards[doc_id] = new
            changes.append(Change("leaderboards", doc_id, pack_board(new)))
            for chain in chains_of(self.state.chains, board.board_uid):
                chain.board = new
                chain.version += 1
                changed.append(chain)
        return changes, changed

    async def _scrubbed(self) -> bool:
        """Whether the store could see to it that deleted bytes are gone."""
        try:
            return await self.state.store.scrub()
        except StoreError as error:
            log.warning("deleted bytes are still there", error=str(error))
            return False

    async def _scrub(self) -> None:
        """Go on until it can: a reading in the way lasts seconds."""
        while True:
            await asyncio.sleep(SCRUB_PAUSE_S)
            if await self._scrubbed():
                return

    async def _erase(
        self, chain: ChainState, player_id: str, anonymous_id: str, limit: asyncio.Semaphore
    ) -> int:
        """In the periods of a chain; how many had an entry. ApiError."""
        request = Erase(chain.chain_id, player_id, anonymous_id)
        async with limit, chain.lock:
            try:
                return int(await self.hosting.change(chain, "erase", request))
            except ApiError:
                if self.state.knows(chain):
                    raise
                return 0  # purged meanwhile

    async def _documents(self, tenant_id: str, player_id: str, anonymous_id: str) -> list[Change]:
        """Remembered answers, and keys that are bound to the player: those are deleted."""
        changes: list[Change] = []
        for found_id, body in await self._mentioning("idempotency", tenant_id, player_id):
            answer = unpack_answer(body)
            new = answer._replace(body=anonymised(answer.body, player_id, anonymous_id))
            changes.append(Change("idempotency", found_id, pack_answer(new)))
        for key_id, body in self.state.documents["keys"].items():
            key = unpack_key(body)
            if key.tenant_id == tenant_id and key.player_id == player_id:
                gone = key._replace(status="deleted", player_id=anonymous_id, name=anonymous_id)
                changes.append(Change("keys", key_id, pack_key(gone)))
        return changes

    async def _mentioning(self, collection: str, tenant_id: str, player_id: str) -> list[tuple[str, bytes]]:
        """A tenant's documents whose bytes contain the id. StoreError."""
        name = player_id.encode()
        pages = scan_pages(self.state.store, collection, prefix=f"{tenant_id}/", page=CHUNK)
        return [(found_id, body) async for rows in pages for found_id, body in rows if name in body]
