"""Rewards for the gateway's tests: the real reader over documents in a dictionary, and claims on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack

from lbactors.core.model import Board, PeriodRecord
from lbactors.core.packing import pack
from lbactors.core.reward_rules import Awarding, RewardRules
from lbactors.documents.rewards import (
    CHUNK_WINNERS,
    Claim,
    ClaimBody,
    Promise,
    Winner,
    chunk_id,
    claim_doc_id,
    counts_id,
    counts_of,
    key_id,
    promise_id,
    reward_json,
)
from lbactors.service.reward_reader import RewardReader
from lbactors.supervisor.command_plan import parse
from persistence.store import StoreUnavailable

DAY_MS = 86_400_000


class FakeStore:
    """Documents by collection; `away`: every read fails."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, bytes]] = {"rewards": {}, "claims": {}, "periods": {}}
        self.away = False

    async def get(self, collection: str, doc_ids: Sequence[str]) -> list[bytes | None]:
        if self.away:
            raise StoreUnavailable("away")
        return [self.documents[collection].get(doc_id) for doc_id in doc_ids]

    async def scan(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 0
    ) -> list[tuple[str, bytes]]:
        if self.away:
            raise StoreUnavailable("away")
        found = sorted((i, b) for i, b in self.documents[collection].items() if i.startswith(prefix))
        found = [(i, b) for i, b in found if i > after]
        return found[:limit] if limit else found


class FakeRewards(RewardReader):
    """`close` and `grant` do what a closing does; `claim` what the supervisor's command does."""

    def __init__(self, now_ms: int) -> None:
        self.store = FakeStore()
        self.at_ms = now_ms
        super().__init__(self.store, lambda: self.at_ms)  # type: ignore[arg-type]

    def _put(self, collection: str, doc_id: str, value: Any) -> None:
        self.store.documents[collection][doc_id] = pack(value)

    def add_period(self, board: Board, key: str, *, serial: int = 1, sealed: bool = False) -> None:
        record = PeriodRecord(serial, key, self.at_ms - 1000, self.at_ms, sealed, 0, 0, 0)
        self._put("periods", f"{board.chain_id('main')}/{key}", record)

    def grant(
        self,
        board: Board,
        key: str,
        rules: dict[str, Any],
        players: Sequence[str],
        *,
        serial: int = 1,
        whole: bool = True,
    ) -> None:
        """Players in order of rank, with the scores 1000, 999, … `whole` false: more are to follow."""
        chain_id = board.chain_id("main")
        parsed = RewardRules.model_validate(rules)
        record = PeriodRecord(serial, key, self.at_ms - 1000, self.at_ms, True, len(players), 0, 0)
        promise = Promise.of(record, parsed, "desc", self.at_ms)
        awarding = Awarding(parsed, len(players), "desc")
        winners = []
        by_tier = [0] * len(parsed.tiers)
        for rank, player_id in enumerate(players, start=1):
            tiers = awarding.tiers(rank, 1001 - rank)
            for index in tiers:
                by_tier[index] += 1
            if tiers:
                winners.append(Winner(player_id, rank, 1001 - rank, tiers))
        own_id = promise_id(chain_id, serial)
        for start in range(0, len(winners), CHUNK_WINNERS):
            number = start // CHUNK_WINNERS
            chunk = winners[start : start + CHUNK_WINNERS]
            self._put("rewards", chunk_id(own_id, number), [list(w) for w in chunk])
            for w in chunk:
                claim = Claim(w.rank, w.score, w.tiers, number, self.at_ms, promise.expires_at_ms)
                self._put("claims", claim_doc_id(chain_id, serial, w.player_id), claim)
        granted_at_ms = self.at_ms if whole else None
        promise = promise._replace(winners=len(winners), by_tier=by_tier, granted_at_ms=granted_at_ms)
        self._put("rewards", own_id, promise)
        self._put("rewards", key_id(chain_id, key), serial)

    def claim(self, board: Board, serial: int, player_id: str, claim: Any) -> dict[str, Any]:
        body = parse(ClaimBody, claim)
        chain_id = board.chain_id("main")
        own_id, doc_id = promise_id(chain_id, serial), claim_doc_id(chain_id, serial, player_id)
        documents = self.store.documents
        promise = Promise(*msgpack.unpackb(documents["rewards"][own_id]))
        won = Claim(*msgpack.unpackb(documents["claims"][doc_id]))
        if won.claimed_at_ms is None:
            won = won._replace(claimed_at_ms=self.at_ms, claim_id=body.claim_id)
            self._put("claims", doc_id, won)
            counted = documents["rewards"].get(counts_id(own_id))
            claimed, by_tier = counts_of(counted, len(promise.by_tier))
            for index in won.tiers:
                by_tier[index] += 1
            self._put("rewards", counts_id(own_id), [claimed + 1, by_tier])
        return reward_json(chain_id, promise, player_id, won)
