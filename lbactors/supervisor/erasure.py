"""Forgetting a player: everything that names him, wherever it is kept (docs/erasure.md).

Periods first, by their actors: entries, removed entries, who is hidden, journals and snapshots; closed
periods keep an entry under an anonymous id, so that ranks stay. That takes as long as there are leaderboards,
so other commands go on beside it. Then all documents in one commit. Every step can be repeated, so an erasure
that was interrupted is asked for again.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import msgpack
import structlog

from lbactors.core.errors import ApiError
from lbactors.documents.audit import Audited, anonymised
from lbactors.documents.entities import pack_key, unpack_key
from lbactors.documents.hidden_players import SHOWN
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.command_plan import CommandPlan
from lbactors.supervisor.commands.reviews import erase_reviews
from lbactors.supervisor.rewards.granting import erase_rewards
from lbactors.wire.requests import Erase
from persistence.store import Change, StoreError

if TYPE_CHECKING:
    from lbactors.supervisor.supervisor import Supervisor

CHAINS_AT_ONCE = 8
CHUNK = 500  # documents read at a time
SCRUB_PAUSE_S = 1.0

log = structlog.get_logger("erasure")


class Erasure:
    """Two steps of one command; see `CommandRunner`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.s = supervisor

    async def erase_in_periods(self, tenant_id: str, player_id: str) -> dict[str, Any]:
        """Forget a player in all periods; what the second step needs to know of it. ApiError."""
        anonymous_id = f"erased-{secrets.token_hex(8)}"
        await self.s.purging.drop()  # what a purge had to leave for later may hold the player, too
        limit = asyncio.Semaphore(CHAINS_AT_ONCE)
        chains = [c for c in self.s.chains.values() if c.board.tenant_id == tenant_id and c.records]
        erased = sum(
            await asyncio.gather(*(self._erase(chain, player_id, anonymous_id, limit) for chain in chains))
        )
        return {"anonymous_id": anonymous_id, "erased": erased}

    async def erase_player(
        self, tenant_id: str, _: str | None, player_id: str, anonymous_id: str, erased: int
    ) -> CommandPlan:
        """Forget a player in all documents. player_not_found if nothing but the audit log named him."""
        await self.s.purging.drop()  # of what was purged since
        doc_id = f"{tenant_id}/{player_id}"
        (profile,) = await self.s.store.get("profiles", [doc_id])
        hidden = self.s.moderation.hidden(tenant_id, player_id)
        changes = await erase_rewards(self.s, tenant_id, player_id, anonymous_id)
        changes += await erase_reviews(self.s, tenant_id, player_id)
        changes += await self._documents(tenant_id, player_id, anonymous_id)
        if profile is not None:
            changes.append(Change("profiles", doc_id, None))
        if hidden != SHOWN:
            changes.append(Change("hidden", doc_id, None))
        if not changes and erased == 0:
            raise ApiError("player_not_found", f"no player '{player_id}'")
        changes += await self.s.events.erase(tenant_id, player_id, anonymous_id)
        changes += await self.s.audit.erase(tenant_id, player_id, anonymous_id)

        async def act() -> None:
            await self.s.moderation.apply(tenant_id, player_id, [c for c in changes if c.doc_id == doc_id])
            if not await self._scrubbed():
                self.s._keep(self._scrub())

        told = Audited("player.erase", anonymous_id, {"player_id": anonymous_id, "entries": erased})
        body = {"player_id": player_id, "erased_entries": erased}
        return CommandPlan(200, body, changes, act, audited=told)

    async def _scrubbed(self) -> bool:
        """Whether the store could see to it that deleted bytes are gone."""
        try:
            return await self.s.store.scrub()
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
                return int(await self.s.hosting.change(chain, "erase", request))
            except ApiError:
                if self.s.hosting.knows(chain):
                    raise
                return 0  # purged meanwhile

    async def _documents(self, tenant_id: str, player_id: str, anonymous_id: str) -> list[Change]:
        """Remembered answers, and keys that are bound to the player: those are deleted."""
        changes: list[Change] = []
        for found_id, body in await self._mentioning("idempotency", tenant_id, player_id):
            at_ms, digest, status, answer = msgpack.unpackb(body)
            new = [at_ms, digest, status, anonymised(answer, player_id, anonymous_id)]
            changes.append(Change("idempotency", found_id, bytes(msgpack.packb(new))))
        for key_id, body in self.s.documents["keys"].items():
            key = unpack_key(body)
            if key.tenant_id == tenant_id and key.player_id == player_id:
                gone = key._replace(status="deleted", player_id=anonymous_id, name=anonymous_id)
                changes.append(Change("keys", key_id, pack_key(gone)))
        return changes

    async def _mentioning(self, collection: str, tenant_id: str, player_id: str) -> list[tuple[str, bytes]]:
        """A tenant's documents whose bytes contain the id. StoreError."""
        name = player_id.encode()
        found: list[tuple[str, bytes]] = []
        after = ""
        while True:
            some: list[tuple[str, Any]] = await self.s.store.scan(
                collection, prefix=f"{tenant_id}/", after=after, limit=CHUNK
            )
            found += [(i, body) for i, body in some if name in body]
            if len(some) < CHUNK:
                return found
            after = some[-1][0]
