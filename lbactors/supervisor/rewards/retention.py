"""How long rewards stay: until their time is over, or their leaderboard is purged.

Winners and claims outlive the period that they are of (`retain_periods` may be 0, and a player comes back
after a month): each promise has an instant at which it ends, and stands in a list in order of time. A purge
puts its chains on another list, in the commit that removes the leaderboard, so a server that dies in the
middle finds them there.

One task works through both, in small commits: winners and their claims first, the promise itself and its
place on the list last. So a death anywhere is made up for by the next look. Readers do not count on it: they
compare the promise's end with the clock themselves.
"""

from __future__ import annotations

import asyncio

import msgpack
import structlog

from lbactors.core.errors import ApiError
from lbactors.core.packing import pack
from lbactors.documents.rewards import (
    EXPIRY,
    GONE,
    Promise,
    claim_doc_id,
    expiry_id,
    key_id,
    promise_id,
    winners_of,
)
from lbactors.supervisor.state import SupervisorState
from persistence.store import Change, StoreError

LOOK_S = 2.0  # how often the clock is compared with the next end that is known; no store is asked for that
AT_ONCE = 100  # ends looked at with one question
DOCUMENTS = 4  # deleted with one commit, chunks with the claims of their winners
NEVER_MS = 2**62

log = structlog.get_logger("supervisor")


def purge_changes(chain_ids: list[str]) -> list[Change]:
    """For the commit that removes a leaderboard: its rewards are to go. Then `RewardRetention.look`."""
    return [Change("rewards", f"{GONE}{chain_id}", pack(None)) for chain_id in chain_ids]


class RewardRetention:
    """`naming` is held while a chunk of winners is stored: meanwhile nobody is renamed or deleted."""

    def __init__(self, state: SupervisorState) -> None:
        self.state = state
        self.naming = asyncio.Lock()
        self._wake = asyncio.Event()
        self._due_ms = 0

    def look(self) -> None:
        """There is something to delete now."""
        self._due_ms = 0
        self._wake.set()

    def ends_at(self, at_ms: int) -> None:
        """A promise was made that ends then."""
        self._due_ms = min(self._due_ms, at_ms)

    async def run(self) -> None:
        """Delete what is due, for as long as the supervisor lives."""
        while True:
            self._wake.clear()
            if self.state.clock.now_ms() >= self._due_ms:
                try:
                    await self.sweep()
                except (StoreError, ApiError) as error:
                    log.warning("rewards not deleted", error=str(error))
                except Exception:  # the others are to be deleted all the same, sooner or later
                    log.exception("rewards not deleted")
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def sweep(self) -> None:
        """Delete everything that is due. StoreError, ApiError: to be repeated."""
        self._due_ms = NEVER_MS
        try:
            await self._sweep()
        except BaseException:
            self._due_ms = 0
            raise

    async def _sweep(self) -> None:
        for doc_id, _ in await self.state.store.scan("rewards", prefix=GONE):
            async with self.naming:
                pass  # a chunk that was on its way is stored; the chain is unknown, so no other follows
            chain_id = doc_id.removeprefix(GONE)
            await self._delete_under(chain_id, chain_id)
            await self.state.commit([Change("rewards", doc_id, None)])
        while True:
            ends = await self.state.store.scan("rewards", prefix=EXPIRY, limit=AT_ONCE)
            for doc_id, _ in ends:
                at_ms, own_id = doc_id.removeprefix(EXPIRY).split("/", 1)
                if int(at_ms) > self.state.clock.now_ms():
                    self.ends_at(int(at_ms))
                    return
                chain_id = own_id.rpartition("/")[0]
                await self._delete_under(chain_id, own_id)
                await self.state.commit(
                    [*await self._promise_changes(chain_id, own_id), Change("rewards", doc_id, None)]
                )
                log.info("rewards ended", promise=own_id)
            if len(ends) < AT_ONCE:
                return

    async def _delete_under(self, chain_id: str, under: str) -> None:
        """Every document below an id: chunks with their winners' claims, promises, keys."""
        while rows := await self.state.store.scan("rewards", prefix=f"{under}/", limit=DOCUMENTS):
            changes = []
            for doc_id, body in rows:
                serial, _, part = doc_id.removeprefix(f"{chain_id}/").partition("/")
                if part.isdigit() and serial.isdigit():
                    changes += [
                        Change("claims", claim_doc_id(chain_id, int(serial), w.player_id), None)
                        for w in winners_of(body)
                    ]
                elif not part:
                    changes.append(
                        Change("rewards", expiry_id(chain_id, Promise(*msgpack.unpackb(body))), None)
                    )
                changes.append(Change("rewards", doc_id, None))
            await self.state.commit(changes)

    async def _promise_changes(self, chain_id: str, own_id: str) -> list[Change]:
        """A promise goes, and its key unless a later period has taken that."""
        (body,) = await self.state.store.get("rewards", [own_id])
        if body is None:
            return []
        promise = Promise(*msgpack.unpackb(body))
        changes = [Change("rewards", own_id, None)]
        by_key = key_id(chain_id, promise.period_key)
        (serial,) = await self.state.store.get("rewards", [by_key])
        if serial is not None and promise_id(chain_id, msgpack.unpackb(serial)) == own_id:
            changes.append(Change("rewards", by_key, None))
        return changes
