"""Natural batching of calls to period actors (law 8).

For each actor there is one channel for writes and one for reads. A channel has one call in flight; what
arrives meanwhile waits and forms the next call (with two, many calls would carry a single operation, and a
call costs as much as dozens of them). So an idle system answers at once, and a busy one packs
more into each call without any timer. Reads that are equal and wait share one answer; one that was already
sent is not joined, so a client that reads after its write was acknowledged sees that write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgpack

from lbactors.core.errors import ApiError
from lbactors.wire.rpc import LOST

CALLS_IN_FLIGHT = 1
CALL_TIMEOUT_S = 30.0  # far beyond any healthy call; an actor's death is noticed much earlier


class Caller(Protocol):
    """An actor that can be called (`lbactors.wire.rpc.RpcClient`)."""

    async def call(self, method: str, payload: bytes) -> bytes: ...


class _Op:
    __slots__ = ("done", "op", "value", "weight")

    def __init__(self, op: list[Any], weight: int) -> None:
        self.op = op
        self.weight = weight
        self.done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.value: Any = None  # what the first of those who share the reply made of it


class Channel:
    """Calls of one method of one actor. `lost`: what waiting callers are told when the actor is gone.

    weight_limit: submissions (or reads) that may wait, and `batch_weight`: those in one call. now_ms: each
    call says when it was sent, so the actor can tell how long ago something arrived, whatever the clocks say.
    """

    def __init__(
        self,
        actor: Caller,
        method: str,
        lost: Callable[[Exception], ApiError],
        weight_limit: int,
        batch_weight: int,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._actor = actor
        self._method = method
        self._lost = lost
        self._weight_limit = weight_limit
        self._batch_weight = batch_weight
        self._now_ms = now_ms
        self._waiting: deque[_Op] = deque()
        self._shared: dict[Any, _Op] = {}
        self._weight = 0
        self._running = 0
        self._calls: set[asyncio.Task[None]] = set()

    async def send(self, op: list[Any], weight: int) -> list[Any]:
        """The actor's reply to one operation. ApiError overloaded, or what `lost` makes."""
        if self._weight + weight > self._weight_limit and self._waiting:
            raise ApiError("overloaded", "too many requests wait for this period")
        item = self._enqueue(op, weight)
        return await item.done

    async def send_shared(self, key: Any, op: list[Any], convert: Callable[[list[Any]], Any]) -> Any:
        """Like `send`, but equal keys that wait share one operation, and what `convert` makes of its reply.

        The value must not be changed. `convert` may raise; then each caller has it raised anew.
        """
        item = self._shared.get(key)
        if item is None:
            if self._weight >= self._weight_limit:
                raise ApiError("overloaded", "too many reads wait for this period")
            item = self._shared[key] = self._enqueue(op, 1)
        reply = await asyncio.shield(item.done)
        if item.value is None:
            item.value = convert(reply)
        return item.value

    def _enqueue(self, op: list[Any], weight: int) -> _Op:
        item = _Op(op, weight)
        self._waiting.append(item)
        self._weight += weight
        if self._running < CALLS_IN_FLIGHT:
            self._running += 1
            task = asyncio.create_task(self._run())
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        return item

    async def _run(self) -> None:
        """Send batch after batch until nothing waits."""
        while self._waiting:
            await self._send_batch()
        self._running -= 1  # with no await since the look above: whoever comes now starts a new run

    async def _send_batch(self) -> None:
        batch: list[_Op] = []
        weight = 0
        while self._waiting and (not batch or weight + self._waiting[0].weight <= self._batch_weight):
            item = self._waiting.popleft()
            weight += item.weight
            batch.append(item)
        self._weight -= weight
        self._shared.clear()  # what is sent now is not joined any more
        try:
            ops = [item.op for item in batch]
            payload = bytes(msgpack.packb(ops if self._now_ms is None else [self._now_ms(), ops]))
            async with asyncio.timeout(CALL_TIMEOUT_S):
                replies = msgpack.unpackb(await self._actor.call(self._method, payload))
            answered = list(zip(batch, replies, strict=True))
        except Exception as error:
            for item in batch:
                if not item.done.done():
                    # What is no lost call is a bug, and whoever waits for the outcome is to see it.
                    item.done.set_exception(self._lost(error) if isinstance(error, LOST) else error)
                    item.done.exception()  # a caller that went away leaves nobody to fetch it
            return
        for item, answer in answered:
            if not item.done.done():
                item.done.set_result(answer)
