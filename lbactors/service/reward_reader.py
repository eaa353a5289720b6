"""The gateway's side of rewards: who won what in a period, and what a player won everywhere.

Reads go to the store's documents (`lbactors.documents.rewards`), not to an actor: rewards outlive the period
that they are of, and the supervisor is not needed to read them. Winners lie in chunks of equal size, so a
page by rank reads one or two of them. Where a listing is filtered, chunks are walked from the cursor on; the
walk of one request has a limit, so a page may be shorter than asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgpack

from lbactors.core.errors import ApiError
from lbactors.core.ids import board_of_chain, board_uid, in_chain
from lbactors.core.model import Board, PeriodRecord, PeriodView
from lbactors.documents.entities import bounds_json, view_of_record
from lbactors.documents.rewards import (
    CHUNK_WINNERS,
    Claim,
    Promise,
    Winner,
    chain_of_claim,
    chunk_id,
    claim_doc_id,
    claim_json,
    counts_id,
    counts_of,
    instant,
    key_id,
    period_of,
    player_prefix,
    promise_id,
    reward_json,
    shares,
    winners_of,
)
from lbactors.documents.storage_errors import storage_errors
from persistence.store import Store

CHUNKS_AT_ONCE = 200  # looked at for one page of a filtered listing
PLAYER_CLAIMS = 10_000  # of one player, looked at for a listing

Json = dict[str, Any]


class Found(NamedTuple):
    """A period as its rewards are concerned. `state`: pending | granting | granted | none; `promise` is there
    in the middle two. `period`: as pages name theirs.
    """

    board: Board
    chain_id: str
    serial: int
    state: str
    period: Json
    promise: Promise | None


class Page(NamedTuple):
    """Winners in rank order. `after`: index of the winner to go on with; None at the end."""

    items: list[Json]
    total: int
    after: int | None


class Won(NamedTuple):
    """What a player won in one period."""

    chain_id: str
    serial: int
    claim: Claim


class RewardReader:
    """Of one gateway. now_ms: the clock."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    async def _get(self, collection: str, doc_ids: list[str]) -> list[bytes | None]:
        with storage_errors():
            return await self._store.get(collection, doc_ids)

    # Of a period ----------------------------------------------------------------------------------------

    async def find(self, board: Board, window: str, period_key: str) -> Found:
        """A period by its key, also one that is deleted, while its rewards are kept. period_not_found.

        A closing makes its promise in the commit that seals the record. So the record is asked first: one
        that is sealed without a promise has no rewards.
        """
        chain_id = board.chain_id(window)
        (stored,) = await self._get("periods", [in_chain(chain_id, period_key)])
        record = None if stored is None else PeriodRecord(*msgpack.unpackb(stored))
        serial = 0 if record is None else record.serial
        if record is None:
            (by_key,) = await self._get("rewards", [key_id(chain_id, period_key)])
            serial = 0 if by_key is None else msgpack.unpackb(by_key)
        promise = await self._promise(chain_id, serial)
        shown = None
        if record is not None and (promise is None or not record.sealed):  # there before, or reopened
            grace_ms = board.definition.timeframe.late_grace_seconds * 1000
            shown = _period(view_of_record(record, window, self._now_ms(), grace_ms, None))
        if promise is not None:
            state = "granting" if promise.granted_at_ms is None else "granted"
            return Found(board, chain_id, serial, state, shown or period_of(chain_id, promise), promise)
        if record is None or shown is None:
            raise ApiError("period_not_found", f"no period '{period_key}' in window '{window}'")
        rules = board.definition.rewards
        promised = rules is not None and window in rules.windows and not record.sealed
        return Found(board, chain_id, serial, "pending" if promised else "none", shown, None)

    async def _promise(self, chain_id: str, serial: int) -> Promise | None:
        """What was promised, while it lasts."""
        (body,) = await self._get("rewards", [promise_id(chain_id, serial)]) if serial else (None,)
        promise = None if body is None else Promise(*msgpack.unpackb(body))
        return None if promise is None or self._now_ms() >= promise.expires_at_ms else promise

    async def summary(self, found: Found) -> Json:
        """What all pages of a period's rewards begin with."""
        promise, rules = found.promise, found.board.definition.rewards
        head: Json = {
            "leaderboard_id": found.board.leaderboard_id,
            "period": found.period,
            "state": found.state,
        }
        if promise is None:
            shown = rules.model_dump(mode="json") if rules is not None and found.state == "pending" else None
            zero = [0] * len(shown["tiers"] if shown else [])
            return head | _summary(shown, zero, zero, 0, 0, None, None)
        (counts,) = await self._get("rewards", [counts_id(promise_id(found.chain_id, found.serial))])
        claimed, claimed_by_tier = counts_of(counts, len(promise.by_tier))
        return head | _summary(
            promise.rules,
            promise.by_tier,
            claimed_by_tier,
            promise.winners,
            claimed,
            promise.granted_at_ms,
            promise.expires_at_ms,
        )

    async def page(
        self, found: Found, start: int, limit: int, tier: str | None, claimed: bool | None, summary: Json
    ) -> Page:
        """Winners from the index `start` on, who won `tier` and have (not) claimed, if that is asked.

        summary: of the same period; it knows how many there are.
        """
        promise = found.promise
        names = [t["name"] for t in summary["tiers"]]
        if promise is None or (tier is not None and tier not in names):
            return Page([], 0, None)
        wanted = None if tier is None else names.index(tier)
        counts = summary if wanted is None else summary["tiers"][wanted]
        total = counts["winners"]
        if claimed is not None:
            total = counts["claimed"] if claimed else total - counts["claimed"]
        items: list[Json] = []
        first = start // CHUNK_WINNERS
        last = -(-promise.winners // CHUNK_WINNERS)
        for number in range(first, min(last, first + CHUNKS_AT_ONCE)):
            for index, item in await self._chunk(found, promise, number, start, wanted, claimed, limit):
                if len(items) == limit:
                    return Page(items, total, index)
                items.append(item)
        end = (first + CHUNKS_AT_ONCE) * CHUNK_WINNERS
        return Page(items, total, end if end < promise.winners else None)

    async def _chunk(
        self,
        found: Found,
        promise: Promise,
        number: int,
        start: int,
        wanted: int | None,
        claimed: bool | None,
        limit: int,
    ) -> list[tuple[int, Json]]:
        """Index and item of the winners of one chunk that are asked for; of all of them at most one more
        than `limit` where no claim decides.
        """
        (body,) = await self._get("rewards", [chunk_id(promise_id(found.chain_id, found.serial), number)])
        rows = [] if body is None else list(enumerate(winners_of(body), start=number * CHUNK_WINNERS))
        rows = [(i, w) for i, w in rows if i >= start and (wanted is None or wanted in w.tiers)]
        if claimed is None:
            rows = rows[: limit + 1]
        ids = [claim_doc_id(found.chain_id, found.serial, w.player_id) for _, w in rows]
        chosen = []
        for (index, winner), stored in zip(rows, await self._get("claims", ids), strict=True):
            claim = _claim_of(winner, stored, promise)
            if claimed is None or claimed == (claim.claimed_at_ms is not None):
                chosen.append((index, _item(promise, winner.player_id, claim)))
        return chosen

    async def claim_of(self, found: Found, player_id: str) -> Claim:
        """What one player won. ApiError rewards_pending, reward_not_found."""
        (body,) = await self._get("claims", [claim_doc_id(found.chain_id, found.serial, player_id)])
        if found.promise is not None and body is not None:
            return Claim(*msgpack.unpackb(body))
        if found.state in ("pending", "granting"):
            raise ApiError("rewards_pending", "the rewards of this period are not granted yet")
        raise ApiError("reward_not_found", f"player '{player_id}' has no reward of this period")

    async def one(self, found: Found, player_id: str) -> Json:
        """One player's reward in full. ApiError rewards_pending, reward_not_found."""
        claim = await self.claim_of(found, player_id)
        assert found.promise is not None, "claim_of has seen it"
        return reward_json(found.chain_id, found.promise, player_id, claim)

    async def only(self, found: Found, player_id: str) -> list[Json]:
        """The item of one player in a listing, or none."""
        try:
            claim = await self.claim_of(found, player_id)
        except ApiError as error:
            if error.code in ("rewards_pending", "reward_not_found"):
                return []
            raise
        assert found.promise is not None, "claim_of has seen it"
        return [_item(found.promise, player_id, claim)]

    # Of a player ----------------------------------------------------------------------------------------

    async def of_player(
        self, tenant_id: str, player_id: str, boards: Iterable[Board], claimed: bool | None
    ) -> list[Won]:
        """Everything that a player won on these boards and that is kept, the newest first. At most
        PLAYER_CLAIMS are looked at.
        """
        prefix = player_prefix(tenant_id, player_id)
        with storage_errors():
            rows = await self._store.scan("claims", prefix=prefix, limit=PLAYER_CLAIMS)
        known = {board_uid(board.tenant_id, board.leaderboard_id, board.uid) for board in boards}
        now_ms = self._now_ms()
        found = []
        for doc_id, body in rows:
            chain_id, serial = chain_of_claim(tenant_id, player_id, doc_id)
            claim = Claim(*msgpack.unpackb(body))
            if board_of_chain(chain_id) not in known or now_ms >= claim.expires_at_ms:
                continue
            if claimed is None or claimed == (claim.claimed_at_ms is not None):
                found.append(Won(chain_id, serial, claim))
        return sorted(found, key=lambda won: (-won.claim.granted_at_ms, won.chain_id, -won.serial))

    async def in_full(self, player_id: str, found: list[Won]) -> list[Json]:
        """Some of what `of_player` found, each as `one` shows it."""
        bodies = await self._get("rewards", [promise_id(chain_id, serial) for chain_id, serial, _ in found])
        return [
            reward_json(chain_id, Promise(*msgpack.unpackb(body)), player_id, claim)
            for (chain_id, _, claim), body in zip(found, bodies, strict=True)
            if body is not None
        ]


def _claim_of(winner: Winner, stored: bytes | None, promise: Promise) -> Claim:
    """A winner's claim; one without a document (it was just deleted) is unclaimed."""
    if stored is not None:
        return Claim(*msgpack.unpackb(stored))
    return Claim(winner.rank, winner.score, winner.tiers, 0, promise.at_ms, promise.expires_at_ms)


def _item(promise: Promise, player_id: str, claim: Claim) -> Json:
    return {
        "player_id": player_id,
        "rank": claim.rank,
        "score": claim.score,
        "rewards": shares(promise, claim.tiers),
        **claim_json(claim),
    }


def _period(view: PeriodView) -> Json:
    return {
        "period_key": view.key,
        "window": view.window,
        "state": view.state,
        **bounds_json(view),
    }


def _summary(
    rules: Json | None,
    winners_by_tier: list[int],
    claimed_by_tier: list[int],
    winners: int,
    claimed: int,
    granted_at_ms: int | None,
    expires_at_ms: int | None,
) -> Json:
    tiers = [] if rules is None else rules["tiers"]
    return {
        "grant": None if rules is None else rules["grant"],
        "tiers": [
            {**tier, "winners": won, "claimed": taken}
            for tier, won, taken in zip(tiers, winners_by_tier, claimed_by_tier, strict=True)
        ],
        "winners": winners,
        "claimed": claimed,
        "granted_at": instant(granted_at_ms),
        "expires_at": instant(expires_at_ms),
    }
