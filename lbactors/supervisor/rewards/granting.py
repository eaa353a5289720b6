"""Granting: from a sealed period's standings to winners, each exactly once, whatever dies on the way.

Part of the supervisor. `begin` says which documents belong into the commit that closes a period: the promise,
with the rules as they are at that moment, so a later change of the leaderboard changes no reward. `grant`
walks the standings (as far as anything can be won) and stores winners in chunks. Each chunk is one commit:
winners, a claim document for each of them, the `reward.granted` events, and in the promise how far the walk
is. A death at any point therefore leaves whole chunks, and the next `grant` goes on after the last of them:
standings of a sealed period do not change, so nobody is passed over or met twice.

What is claimed afterwards is in `lbactors.supervisor.rewards.claiming`.

Departure from a queue of grants with a state for each winner: there is no "being granted" for a player. A
claim document is there, or the player has (as yet) won nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgpack
import orjson
import structlog

from lbactors.core.definition import Rules
from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import EndTerms, end_terms_of
from lbactors.core.model import PeriodRecord
from lbactors.core.packing import pack
from lbactors.core.reward_rules import Awarding, Place, RewardRules
from lbactors.documents.events import Event, event_id
from lbactors.documents.rewards import (
    CHUNK_WINNERS,
    Claim,
    Promise,
    Winner,
    chain_of_claim,
    chunk_id,
    claim_doc_id,
    expiry_id,
    key_id,
    period_of,
    player_prefix,
    promise_id,
    winners_of,
)
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.events.outbox import Outbox
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.rewards.retention import RewardRetention
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.reads import Standings
from persistence.store import Change

EVENT = "reward.granted"
CHUNKS_AT_ONCE = 20  # stored by one call: a second or two
EVENT_BYTES = 128 * 1024  # of an event's players as JSON; with all payloads it stays below 256 KiB

log = structlog.get_logger("supervisor")


class Granting:
    """The supervisor's: begins and carries out what is promised."""

    def __init__(
        self, state: SupervisorState, hosting: Hosting, outbox: Outbox, reward_retention: RewardRetention
    ) -> None:
        self.state = state
        self.hosting = hosting
        self.outbox = outbox
        self.reward_retention = reward_retention
        self._grants = 0  # how many are being carried out
        self._renamed: dict[tuple[str, str], str] = {}  # erased while grants were being carried out

    async def begin(self, chain: ChainState, record: PeriodRecord) -> list[Change]:
        """Documents for the commit that closes a sealed period; none if it has no rewards. StoreError.

        By the definition at its end. Of a period that was closed before and reopened the promise goes on:
        what was granted stays granted, by the rules that it was granted by.
        """
        chain_id, now_ms = chain.chain_id, self.state.clock.now_ms()
        terms = end_terms_of(record) or EndTerms.of(chain.board.definition)
        rules = None if terms.rewards is None else RewardRules.model_validate(terms.rewards)
        order = Rules(*terms.rules).order
        before = await self._promise(chain_id, record.serial) if record.reopened else None
        changes: dict[str, bytes | None] = {}
        promise: Promise | None = None
        if before is None and record.rewarded:
            return []  # what was granted has ended (`retain_days`), and nobody knows any more who had won
        if before is not None:  # the changes that may come again are those that count
            changes[key_id(chain_id, before.period_key)] = None
            changes[expiry_id(chain_id, before)] = None
            changes[promise_id(chain_id, record.serial)] = None
        if before is not None and before.winners:
            promise = before.again(record, order, now_ms)
        elif rules is not None and chain.window in rules.windows:
            promise = Promise.of(record, rules, order, now_ms)
        if promise is not None:
            self.reward_retention.ends_at(promise.expires_at_ms)
            changes[promise_id(chain_id, record.serial)] = pack(promise)
            changes[key_id(chain_id, record.key)] = pack(record.serial)
            changes[expiry_id(chain_id, promise)] = pack(None)
        return [Change("rewards", doc_id, body) for doc_id, body in changes.items()]

    async def has_promise(self, chain: ChainState, record: PeriodRecord) -> bool:
        """Whether rewards of a period were promised, and have not ended. StoreError."""
        return await self._promise(chain.chain_id, record.serial) is not None

    async def reopen(self, chain: ChainState, record: PeriodRecord) -> list[Change]:
        """Documents for the commit that reopens a sealed period: what was granted stays until it is closed
        again, else it would be granted twice. StoreError.
        """
        promise = await self._promise(chain.chain_id, record.serial)
        return [] if promise is None else [Change("rewards", expiry_id(chain.chain_id, promise), None)]

    async def grant(self, chain: ChainState, record: PeriodRecord) -> bool:
        """Carry out what `begin` promised, from where it stands, for some seconds at most; whether all is
        granted. Called under the chain's lock, which others wait for, so a million winners take many calls.

        Repeating it is harmless. ApiError (the period is away, the store is): to be repeated.
        """
        promise = await self._promise(chain.chain_id, record.serial)
        if promise is None or promise.granted_at_ms is not None:
            return True
        self._grants += 1
        try:
            promise = await self._walk(chain, record, promise)
        finally:
            self._grants -= 1
            if not self._grants:
                self._renamed.clear()
        if promise.granted_at_ms is None:
            return False
        log.info("rewards granted", chain=chain.chain_id, key=record.key, winners=promise.winners)
        return True

    async def _promise(self, chain_id: str, serial: int) -> Promise | None:
        (body,) = await self.state.store.get("rewards", [promise_id(chain_id, serial)])
        return None if body is None else Promise(*msgpack.unpackb(body))

    async def _walk(self, chain: ChainState, record: PeriodRecord, promise: Promise) -> Promise:
        rules = RewardRules.model_validate(promise.rules)
        awarding = Awarding(rules, promise.total, promise.order)
        place = promise.read_so_far
        winners: list[Winner] = []
        chunks = 0
        while (page := awarding.next_page(place)) is not None:
            offset, limit = page
            reading = await self.hosting.read(chain, record.key, Standings(offset, limit))
            for position, row in enumerate(reading.rows, start=offset + 1):
                assert row.rank is not None, "standings are of those who are ranked"
                place = Place(position, row.rank, row.score)
                tiers = awarding.tiers(row.rank, row.score)
                if tiers:
                    winners.append(Winner(row.player_id, row.rank, row.score, tiers))
                    if len(winners) == CHUNK_WINNERS:
                        promise = await self._store_chunk(chain, promise, winners, place, last=False)
                        winners = []
                        chunks += 1
                        if chunks == CHUNKS_AT_ONCE:
                            return promise
            if not reading.rows:  # fewer rows than the closing counted: there is no more to find
                log.error("standings are shorter than their total", chain=chain.chain_id, key=record.key)
                break
        return await self._store_chunk(chain, promise, winners, place, last=True)

    async def _store_chunk(
        self, chain: ChainState, promise: Promise, winners: list[Winner], place: Place | None, *, last: bool
    ) -> Promise:
        """One commit: winners, their claims, their events, and the promise as it stands then."""
        chain_id, tenant_id = chain.chain_id, chain.board.tenant_id
        own_id = promise_id(chain_id, promise.serial)
        async with self.reward_retention.naming:
            if not self.state.knows(chain):
                raise ApiError("leaderboard_not_found", "purged while its rewards were granted")
            winners = [
                w._replace(player_id=self._renamed.get((tenant_id, w.player_id), w.player_id))
                for w in winners
            ]
            if promise.reopened:
                winners = await self._without_those_granted(chain_id, promise.serial, winners)
            by_tier = list(promise.by_tier)
            for winner in winners:
                for index in winner.tiers:
                    by_tier[index] += 1
            after = promise._replace(
                place=None if place is None else list(place),
                winners=promise.winners + len(winners),
                by_tier=by_tier,
                granted_at_ms=promise.at_ms if last else None,
            )
            changes = [Change("rewards", own_id, pack(after))]
            number, begun = divmod(promise.winners, CHUNK_WINNERS)
            rows = [*await self._chunk(own_id, number), *winners] if begun and winners else winners
            for start in range(0, len(rows), CHUNK_WINNERS):
                chunk = [list(w) for w in rows[start : start + CHUNK_WINNERS]]
                changes.append(
                    Change("rewards", chunk_id(own_id, number + start // CHUNK_WINNERS), pack(chunk))
                )
            for index, w in enumerate(winners, start=promise.winners):
                of_chunk = index // CHUNK_WINNERS
                claim = Claim(w.rank, w.score, w.tiers, of_chunk, promise.at_ms, promise.expires_at_ms)
                doc_id = claim_doc_id(chain_id, promise.serial, w.player_id)
                changes.append(Change("claims", doc_id, pack(claim)))
            changes += self.outbox.changes(self._events(chain, promise, winners))
            await self.state.commit(changes)
        self.outbox.committed()
        return after

    async def _chunk(self, own_id: str, number: int) -> list[Winner]:
        """The winners of a chunk that is there already. StoreError."""
        (body,) = await self.state.store.get("rewards", [chunk_id(own_id, number)])
        return [] if body is None else winners_of(body)

    async def _without_those_granted(self, chain_id: str, serial: int, winners: list[Winner]) -> list[Winner]:
        """Those who won nothing when the period was closed before. StoreError."""
        ids = [claim_doc_id(chain_id, serial, w.player_id) for w in winners]
        claims = await self.state.store.get("claims", ids) if ids else []
        return [w for w, claim in zip(winners, claims, strict=True) if claim is None]

    def _events(self, chain: ChainState, promise: Promise, winners: list[Winner]) -> Iterable[Event]:
        """One for a chunk; several where players' ids and tiers are so long that one would be too large."""
        board = chain.board
        if not winners or not self.outbox.wanted(board.tenant_id, board.leaderboard_id, EVENT, promise.at_ms):
            return
        named = promise.rules["tiers"]
        path = f"/v1/leaderboards/{board.leaderboard_id}/periods/{promise.period_key}/rewards"
        chunk: tuple[int, ...] = (promise.winners // CHUNK_WINNERS,)
        if promise.reopened:  # some are passed over, so a chunk may be filled by several commits
            chunk = (promise.reopened, promise.winners)
        for part, batch in enumerate(_batches(promise, winners)):
            won = sorted({index for w in batch for index in w.tiers})
            yield Event(
                event_id(EVENT, chain.chain_id, promise.serial, *chunk, part),
                EVENT,
                promise.at_ms,
                board.tenant_id,
                board.leaderboard_id,
                {
                    "period": period_of(chain.chain_id, promise),
                    "tiers": [{"tier": named[i]["name"], "payload": named[i]["payload"]} for i in won],
                    "players": [_player(promise, w) for w in batch],
                    "rewards_url": f"{path}?window={chain.window}",
                },
            )

    # Erasure --------------------------------------------------------------------------------------------

    async def erase(self, tenant_id: str, player_id: str, anonymous_id: str) -> list[Change]:
        """Documents that take a player's name out of what was won and claimed, for the commit of an erasure.

        Rank, score and what was won stay, under `anonymous_id`. To be called as part of a command, after the
        player's entries were erased. StoreError.
        """
        async with self.reward_retention.naming:
            if self._grants:  # what they read before the player was erased has the old name
                self._renamed[tenant_id, player_id] = anonymous_id
            prefix = player_prefix(tenant_id, player_id)
            found = await self.state.store.scan("claims", prefix=prefix)
        changes = []
        for doc_id, body in found:
            chain_id, serial = chain_of_claim(tenant_id, player_id, doc_id)
            claim = Claim(*msgpack.unpackb(body))
            chunk = chunk_id(promise_id(chain_id, serial), claim.chunk)
            (stored,) = await self.state.store.get("rewards", [chunk])
            changes.append(Change("claims", doc_id, None))
            if stored is None:
                continue
            renamed = [
                list(w._replace(player_id=anonymous_id) if w.player_id == player_id else w)
                for w in winners_of(stored)
            ]
            changes.append(Change("rewards", chunk, pack(renamed)))
            anonymous = claim_doc_id(chain_id, serial, anonymous_id)
            changes.append(Change("claims", anonymous, pack(claim._replace(claim_id=None))))
        return changes


def _player(promise: Promise, winner: Winner) -> dict[str, Any]:
    """A winner as an event lists it; the payloads stand once, beside the list."""
    named = promise.rules["tiers"]
    return {
        "player_id": winner.player_id,
        "rank": winner.rank,
        "score": winner.score,
        "tiers": [named[i]["name"] for i in winner.tiers],
    }


def _batches(promise: Promise, winners: list[Winner]) -> Iterable[list[Winner]]:
    """Winners in lists of at most EVENT_BYTES each, one winner at least."""
    batch: list[Winner] = []
    size = 0
    for winner in winners:
        own = len(orjson.dumps(_player(promise, winner))) + 1
        if batch and size + own > EVENT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(winner)
        size += own
    if batch:
        yield batch
