"""Claims of rewards: the first one of a player decides, and all others get its answer.

When a week ends, everybody claims at once. So claims are not carried out one by one as other commands are:
whoever waits is taken together, with one look into the store and one commit (law 8: batches come of
themselves). They still take turns with commands, under the commands' lock, because an erasure must not have
a claim in the middle that writes the old name again.

Departure from a queue with a worker: there is no worker that could die. Each claim waits for the lock, and
whoever has it carries out all that wait; those who come to it later find theirs done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple

import msgpack

from lbactors.core.errors import ApiError
from lbactors.core.packing import pack
from lbactors.documents.rewards import (
    Claim,
    ClaimBody,
    Promise,
    claim_doc_id,
    counts_id,
    counts_of,
    promise_id,
    reward_json,
)
from lbactors.documents.storage_errors import storage_unavailable
from lbactors.supervisor.command_plan import CommandContext, CommandPlan, parse
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import ClaimReward
from persistence.store import Change, StoreError

WAITING = 10_000  # claims that may wait; more are answered 429
AT_ONCE = 500  # carried out with one commit

Json = dict[str, Any]


class Ask(NamedTuple):
    """One claim, validated."""

    chain_id: str
    serial: int
    player_id: str
    claim_id: str | None

    @property
    def promise(self) -> str:
        return promise_id(self.chain_id, self.serial)

    @property
    def claim(self) -> str:
        return claim_doc_id(self.chain_id, self.serial, self.player_id)


class Claims:
    """Claims that wait, and what decides them."""

    def __init__(self, state: SupervisorState) -> None:
        self.state = state
        self._waiting: deque[tuple[Ask, asyncio.Future[Json]]] = deque()

    def _ask(self, tenant_id: str, command: ClaimReward) -> Ask:
        body = parse(ClaimBody, command.claim)
        board = self.state.board(tenant_id, command.leaderboard_id)
        return Ask(board.chain_id(command.window), command.serial, command.player_id, body.claim_id)

    async def claim_alone(self, context: CommandContext, command: ClaimReward) -> CommandPlan:
        """A claim by itself, under the lock, as one with an Idempotency-Key is."""
        (answer,), changes = await self._judge([self._ask(context.tenant_id, command)])
        if isinstance(answer, ApiError):
            raise answer
        return CommandPlan(200, answer, changes)

    async def claim(self, lock: asyncio.Lock, tenant_id: str, command: ClaimReward) -> Json:
        """Note that a player took what it won; the reward as the first claim left it. ApiError."""
        ask = self._ask(tenant_id, command)
        if len(self._waiting) >= WAITING:
            raise ApiError("overloaded", "too many claims are waiting")
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, answer))
        async with lock:
            if not answer.done():
                await self._carry_out()
        return await answer

    async def _carry_out(self) -> None:
        """The claims that have waited longest; the caller's is among them, since the lock keeps the order."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE))]
        lost = ApiError("storage_unavailable", "the supervisor stopped; the outcome is unknown")
        answers: list[Json | ApiError] = [lost] * len(batch)
        try:
            judged, changes = await self._judge([ask for ask, _ in batch])
            if changes:
                await self.state.commit(changes)
            answers = judged
        except ApiError as error:
            answers = [error] * len(batch)
        except StoreError as error:
            answers = [storage_unavailable(error)] * len(batch)
        finally:
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():  # who asked went away
                    continue
                if isinstance(answer, ApiError):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    async def _judge(self, asks: list[Ask]) -> tuple[list[Json | ApiError], list[Change]]:
        """What each claim is answered, in their order, and what is to be durable before. StoreError."""
        of_period = list(dict.fromkeys(ask.promise for ask in asks))
        counted = [counts_id(promise) for promise in of_period]
        stored = await self.state.store.get("rewards", [*of_period, *counted])
        promises = {
            doc_id: Promise(*msgpack.unpackb(body))
            for doc_id, body in zip(of_period, stored, strict=False)
            if body is not None
        }
        counts = dict(zip(of_period, stored[len(of_period) :], strict=True))
        ids = list(dict.fromkeys(ask.claim for ask in asks))
        found = zip(ids, await self.state.store.get("claims", ids), strict=True)
        won = {doc_id: Claim(*msgpack.unpackb(body)) for doc_id, body in found if body is not None}
        now_ms = self.state.clock.now_ms()
        answers: list[Json | ApiError] = []
        changes: dict[tuple[str, str], bytes] = {}
        for ask in asks:
            promise, claim = promises.get(ask.promise), won.get(ask.claim)
            if promise is None or claim is None or now_ms >= promise.expires_at_ms:
                answers.append(_refused(promise, ask.player_id))
                continue
            if claim.claimed_at_ms is None:
                claim = won[ask.claim] = claim._replace(claimed_at_ms=now_ms, claim_id=ask.claim_id)
                claimed, by_tier = counts_of(counts[ask.promise], len(promise.by_tier))
                for index in claim.tiers:
                    by_tier[index] += 1
                counts[ask.promise] = pack([claimed + 1, by_tier])
                changes["claims", ask.claim] = pack(claim)
                changes["rewards", counts_id(ask.promise)] = pack([claimed + 1, by_tier])
            answers.append(reward_json(ask.chain_id, promise, ask.player_id, claim))
        return answers, [Change(collection, doc_id, body) for (collection, doc_id), body in changes.items()]


def _refused(promise: Promise | None, player_id: str) -> ApiError:
    if promise is not None and promise.granted_at_ms is None:
        return ApiError("rewards_pending", "the rewards of this period are still being granted")
    return ApiError("reward_not_found", f"player '{player_id}' has no reward of this period")
