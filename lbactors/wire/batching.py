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
from operator import attrgetter
from typing import Any, Protocol, TypeVar

import msgpack
import structlog

from lbactors.core.errors import ApiError
from lbactors.core.packing import pack
from lbactors.wire.replies import Reply
from lbactors.wire.rpc import LOST

T = TypeVar("T")

log = structlog.get_logger("batching")

CALLS_IN_FLIGHT = 1
CALL_TIMEOUT_S = 30.0  # far beyond any healthy call; an actor's death is noticed much earlier


class Caller(Protocol):
    """An actor that can be called (`lbactors.wire.rpc.RpcClient`)."""

    async def call(self, method: str, payload: bytes) -> bytes: ...


def take_batch(waiting: deque[T], weight_of: Callable[[T], int], limit: int) -> list[T]:
    """Those that waited longest, at least one and as many as weigh no more than the limit together."""
    batch = [waiting.popleft()]
    left = limit - weight_of(batch[0])
    while waiting and (left := left - weight_of(waiting[0])) >= 0:
        batch.append(waiting.popleft())
    return batch


class _Op:
    __slots__ = ("done", "op", "value", "weight")

    def __init__(self, op: Any, weight: int) -> None:
        self.op = op
        self.weight = weight
        self.done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.value: Any = None  # what the first of those who share the reply made of it


WEIGHT = attrgetter("weight")


class Channel:
    """Calls of one method of one actor. `failed`: what waiting callers are told when a call did.

    weight_limit: submissions (or reads) that may wait, and `batch_weight`: those in one call. `request`: what
    a call with these operations says, made when it is sent.
    """

    def __init__(
        self,
        actor: Caller,
        method: str,
        failed: Callable[[Exception], Exception],
        weight_limit: int,
        batch_weight: int,
        request: Callable[[list[Any]], Any] = list,
    ) -> None:
        self._actor = actor
        self._method = method
        self._failed = failed
        self._weight_limit = weight_limit
        self._batch_weight = batch_weight
        self._request = request
        self._waiting: deque[_Op] = deque()
        self._shared: dict[Any, _Op] = {}
        self._weight = 0
        self._running = 0
        self._calls: set[asyncio.Task[None]] = set()

    async def send(self, op: Any, weight: int) -> Reply:
        """The actor's reply to one operation. ApiError overloaded, or what `failed` makes."""
        if self._weight + weight > self._weight_limit and self._waiting:
            raise ApiError("overloaded", "too many requests wait for this period")
        item = self._enqueue(op, weight)
        return await item.done

    async def send_shared(self, key: Any, op: Any, convert: Callable[[Reply], Any]) -> Any:
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

    def _enqueue(self, op: Any, weight: int) -> _Op:
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
        batch = take_batch(self._waiting, WEIGHT, self._batch_weight)
        self._weight -= sum(map(WEIGHT, batch))
        self._shared.clear()  # what is sent now is not joined any more
        try:
            payload = pack(self._request([item.op for item in batch]))
            async with asyncio.timeout(CALL_TIMEOUT_S):
                replies = msgpack.unpackb(await self._actor.call(self._method, payload))
            answered = list(zip(batch, map(Reply.from_wire, replies), strict=True))
        except Exception as error:
            if not isinstance(error, LOST):  # a bug, here or in the actor
                log.exception("call failed", method=self._method)
            for item in batch:
                if not item.done.done():
                    item.done.set_exception(self._failed(error))
                    item.done.exception()  # a caller that went away leaves nobody to fetch it
            return
        for item, reply in answered:
            if not item.done.done():
                item.done.set_result(reply)
