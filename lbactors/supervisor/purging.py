"""Purging: a leaderboard goes with all that is its own, at last, whatever fails or dies on the way.

Part of the supervisor. The commit that removes a leaderboard's documents puts a mark for each of its chains
(collection `purged`, by chain_id): these journals and snapshots are to go. In the same step memory lets go of
the chains, so no closing, move or command finds them any more. The command drops the journals before it
answers, if the store lets it.

One task works through the marks, also those of a purge that died. It waits for what was under way for the
chain, has every actor let go of it, drops the journals again, deletes what arrived in the meantime, and takes
the mark away with that. So a mark that is there says: perhaps something of the chain is, too.

Why drop twice: a drop fences the writers that there were, but an actor that has not heard of the purge takes
a new epoch for a period that it had not used yet.
"""

from __future__ import annotations

import asyncio

import msgpack
import structlog

from lbactors.core.errors import ApiError
from lbactors.core.ids import in_chain, in_tenant
from lbactors.core.model import Board
from lbactors.core.packing import pack
from lbactors.documents.entities import Mark
from lbactors.supervisor.chain_state import ChainState, chains_of
from lbactors.supervisor.hosting import TOLD_WITHIN_S, Hosting
from lbactors.supervisor.reviews import Reviews
from lbactors.supervisor.rewards.retention import RewardRetention, purge_changes
from lbactors.supervisor.state import SupervisorState
from persistence.store import Change, StoreError

COLLECTION = "purged"
AGAIN_S = 2.0  # after a try that failed: the store is away, or an actor

log = structlog.get_logger("supervisor")


class Purging:
    """One for each supervisor."""

    def __init__(
        self,
        state: SupervisorState,
        hosting: Hosting,
        reviews: Reviews,
        reward_retention: RewardRetention,
    ) -> None:
        self.state = state
        self.hosting = hosting
        self.reviews = reviews
        self.reward_retention = reward_retention
        self._wake = asyncio.Event()
        self._purged: dict[str, ChainState] = {}  # by id: something may be under way for them

    async def plan(self, boards: list[Board]) -> list[Change]:
        """What the commit that purges leaderboards has to hold; memory lets go of them now, so nothing may
        come between. StoreError.
        """
        changes = [change for board in boards for change in await self.reviews.purge(board)]
        for board in boards:
            doc_id = in_tenant(board.tenant_id, board.leaderboard_id)
            del self.state.boards[doc_id]
            changes.append(Change("leaderboards", doc_id, None))
            changes += self._forgotten(board)
        return changes

    def plan_logs(self, tenant_id: str) -> list[Change]:
        """The same for all logs of a tenant that goes."""
        changes = []
        for name, log_board in list(self.state.logs.items()):
            if log_board.tenant_id == tenant_id:
                del self.state.logs[name]
                changes.append(Change("logs", name, None))
                changes += self._forgotten(log_board)
        return changes

    def _forgotten(self, board: Board) -> list[Change]:
        """Let go of a board's chains; the documents that go, and the marks."""
        changes = [self.state.forget_home(board.board_uid)]
        for chain in chains_of(self.state.chains, board.board_uid):
            chain_id = chain.chain_id
            self._purged[chain_id] = self.state.chains.pop(chain_id)
            mark = Mark(chain.oldest_serial or 1, chain.next_serial)
            changes.append(Change(COLLECTION, chain_id, pack(list(mark))))
            changes += [Change("periods", in_chain(chain_id, key), None) for key in chain.keys]
            changes += purge_changes([chain_id])
        return changes

    async def begin(self) -> None:
        """After that commit. What fails is done later."""
        self.reward_retention.look()
        try:
            async with asyncio.timeout(TOLD_WITHIN_S):
                await self.hosting.release(list(self._purged))
        except (ApiError, TimeoutError) as error:
            log.warning("an actor may still host purged leaderboards", error=str(error))
        try:
            await self.drop()
        except StoreError as error:
            log.warning("journals of purged leaderboards not deleted yet", error=str(error))
        finally:
            self._wake.set()

    async def drop(self) -> None:
        """Delete all journals and snapshots that are marked. StoreError."""
        for chain_id, mark in (await self._marks()).items():
            await self._drop(chain_id, mark)

    async def _marks(self) -> dict[str, Mark]:
        rows = await self.state.store.scan(COLLECTION)
        return {chain_id: Mark(*msgpack.unpackb(body)) for chain_id, body in rows}

    async def _drop(self, chain_id: str, mark: Mark) -> None:
        await self.state.store.drop_periods([in_chain(chain_id, serial) for serial in range(*mark)])

    async def run(self) -> None:
        """Work through the marks, for as long as the supervisor lives."""
        while not self.state.is_over:
            self._wake.clear()
            again_s = None
            try:
                await self.sweep()
            except Exception as error:
                if not isinstance(error, ApiError | StoreError):
                    log.exception("purge not finished")
                again_s = AGAIN_S
            try:
                async with asyncio.timeout(again_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def sweep(self) -> None:
        """Finish what is marked. ApiError, StoreError: to be repeated."""
        marks = await self._marks()
        if not marks:
            return
        for chain_id, mark in marks.items():
            await self._drop(chain_id, mark)
        for chain_id in marks:
            if chain_id in self._purged:
                async with self._purged[chain_id].lock:
                    pass  # what was under way has ended, and whoever comes next finds the chain unknown
        await self.hosting.release(list(marks))
        for chain_id, mark in marks.items():
            await self._drop(chain_id, mark)
            late = await self.state.store.scan("periods", prefix=f"{chain_id}/")
            changes = [Change("periods", doc_id, None) for doc_id, _ in late]
            changes += purge_changes([chain_id])
            await self.state.commit([*changes, Change(COLLECTION, chain_id, None)])
            self._purged.pop(chain_id, None)
            self.reward_retention.look()
            log.info("purged", chain=chain_id)
