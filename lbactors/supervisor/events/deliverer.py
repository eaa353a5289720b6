"""The deliverer: sends what the outbox holds, and records what became of it.

A part of the supervisor, three kinds of tasks in its event loop. One looks which deliveries are due
(`lbactors.supervisor.events.delivery_queue`) and starts attempts; each attempt reads its body from the store,
sends it and leaves a result; one writer makes results durable, all that have come in while the commit before
was under way in one commit. Only then does a leaderboard's next delivery go out, so a death at any point
repeats at most the deliveries that were under way, each under the event id that it had, and never changes
their order.

A delivery that fails is tried again after growing pauses, and given up (failed, replayable) when it has been
tried for `give_up_ms`. A receiver that answers 410 has its webhook disabled. Time is the supervisor's clock,
which is looked at several times a second while anything is pending, because tests move it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack
import orjson
import structlog

from lbactors.core.errors import ApiError
from lbactors.documents.events import Event
from lbactors.documents.webhooks import (
    BODY,
    DELIVERED,
    FAILED,
    PENDING,
    PLUGIN,
    Answer,
    Delivery,
    pack_delivery,
    unpack_delivery,
)
from lbactors.supervisor.events.delivery_queue import Lane, pause_ms, queue_of
from lbactors.supervisor.events.retention import trim
from lbactors.supervisor.events.webhook_signing import signed_headers
from lbactors.supervisor.state import SupervisorState
from persistence.store import Change, StoreCorrupt, StoreError

if TYPE_CHECKING:
    from lbactors.supervisor.events.outbox import Outbox
    from lbactors.supervisor.events.webhook_sender import Attempt, Sender

IN_ALL = 64  # attempts at a time, of all listeners together
LOOK_S = 0.2  # how often the clock is looked at while something is pending
IDLE_LOOK_S = 5.0
RECORDS_AT_ONCE = 256  # results of one commit
PLUGIN_S = 60.0  # a plugin's call may do work, such as writing to a database
STORE_PAUSE_MS = 1_000
DAMAGED_PAUSE_MS = 60_000  # a document that cannot be read is said to be so once a minute
GONE = 410
STOP_S = 2.0
TRIM_MS = 3_600_000
FIRST_TRIM_MS = 60_000  # after the start, which has more urgent work

log = structlog.get_logger("delivery")


class _Result(NamedTuple):
    listener: str
    name: str
    state: str  # that it has now
    head: Delivery
    gone: bool


class Deliverer:
    """See the module's docstring. spread: random numbers in 0..1 for the pauses."""

    def __init__(
        self, state: SupervisorState, outbox: Outbox, spread: Callable[[], float] = random.random
    ) -> None:
        self.state = state
        self.outbox = outbox
        self.delivered = 0  # since the start of this process, like the others
        self.failed = 0
        self.attempts = 0
        self._spread = spread
        self._sender: Sender | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._results: list[_Result] = []
        self._unwritten = 0
        self._some = asyncio.Event()
        self._written = asyncio.Event()  # is set once, whenever a commit has returned
        self._trim_at_ms = 0
        self._turn = 0
        self._stopping = False

    def status(self) -> dict[str, int]:
        """For operators; counts since this process began."""
        return {"attempts": self.attempts, "delivered": self.delivered, "failed": self.failed}

    def start(self) -> None:
        """Begin to deliver."""
        self._trim_at_ms = self.state.clock.now_ms() + FIRST_TRIM_MS
        self.state.spawn(self._run())
        self.state.spawn(self._write())

    async def stop(self) -> None:
        """Start no more attempts; give those under way a moment, and record their results."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                while self._under_way:
                    await asyncio.wait(set(self._under_way))
                while self._unwritten:
                    await self._written.wait()
        if self._sender is not None:
            await self._sender.close()

    # Choosing -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                self.outbox.wake.clear()
                now_ms = self.state.clock.now_ms()
                if not self._stopping:
                    self._dispatch(now_ms)
                if now_ms >= self._trim_at_ms:
                    self._trim_at_ms = now_ms + TRIM_MS
                    self.state.spawn(self._trim())
                waits = any(len(lane) for lane in self.outbox.lanes.values())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S if waits else IDLE_LOOK_S):
                        await self.outbox.wake.wait()
        finally:
            if self._sender is not None:
                await self._sender.close()

    def _dispatch(self, now_ms: int) -> None:
        """Start what is due. Listeners take turns, so that one with much to send leaves others room."""
        lanes = [(listener, lane) for listener, lane in self.outbox.lanes.items() if len(lane)]
        while lanes and len(self._under_way) < IN_ALL:
            self._turn = (self._turn + 1) % len(lanes)
            listener, lane = lanes[self._turn]
            name = lane.take(now_ms)
            if name is None:
                del lanes[self._turn]
                continue
            task = self.state.spawn(self._attempt(listener, lane, name))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        self.outbox.wake.set()

    # Sending --------------------------------------------------------------------------------------------

    async def _attempt(self, listener: str, lane: Lane, name: str) -> None:
        """One attempt; whatever goes wrong here itself, the queue goes on."""
        try:
            await self._try(listener, lane, name)
        except Exception as error:
            log.exception("delivery not attempted", listener=listener, delivery=name, error=repr(error))
            lane.put_back(name, self.state.clock.now_ms() + DAMAGED_PAUSE_MS)

    async def _try(self, listener: str, lane: Lane, name: str) -> None:
        ids = [f"{PENDING}/{listener}/{name}", f"{BODY}/{listener}/{name}"]
        try:
            head_bytes, body_bytes = await self.state.store.get("deliveries", ids)
        except StoreError as error:
            log.error("delivery cannot be read", delivery=ids[0], error=str(error))
            pause = DAMAGED_PAUSE_MS if isinstance(error, StoreCorrupt) else STORE_PAUSE_MS
            lane.put_back(name, self.state.clock.now_ms() + pause)
            return
        if head_bytes is None or body_bytes is None:  # deleted meanwhile
            lane.put_back(name, 0)
            lane.remove(name)
            return
        head, body = unpack_delivery(head_bytes), bytes(msgpack.unpackb(body_bytes))
        self.attempts += 1
        attempt = await self._send(listener, head, body)
        now_ms = self.state.clock.now_ms()
        lane.answered(attempt.error is None, now_ms, self._spread())
        self._leave(listener, name, head, attempt, now_ms)

    async def _send(self, listener: str, head: Delivery, body: bytes) -> Attempt:
        from lbactors.supervisor.events.webhook_sender import (  # no HTTP client without webhooks
            Attempt,
            Sender,
        )

        if listener.startswith(PLUGIN):
            error, seconds = await self._call(listener, head, body)
            return Attempt(None, error, int(seconds * 1000))
        webhook = self.outbox.webhooks.get(listener)
        if webhook is None:
            return Attempt(None, "the webhook was deleted", 0)
        if self._sender is None:
            self._sender = Sender(self.state.settings.webhook_public_targets)
        now_ms = self.state.clock.now_ms()
        headers = signed_headers(webhook.secrets_at(now_ms), head.event_id, now_ms, body)
        return await self._sender.post(webhook.url, headers, body)

    async def _call(self, listener: str, head: Delivery, body: bytes) -> tuple[str | None, float]:
        """Have a plugin hear of an event: what went wrong, and how long it took (s)."""
        data = orjson.loads(body)["data"]
        event = Event(head.event_id, head.type, head.at_ms, head.tenant_id, head.leaderboard_id, data)
        began, error = time.monotonic(), None
        try:
            async with asyncio.timeout(PLUGIN_S):
                await self.outbox.plugins[listener].call(event)
        except Exception as raised:  # of somebody else's code; the event is repeated
            error = f"{type(raised).__name__}: {raised}"[:200]
            log.warning("a plugin failed", plugin=listener, event_id=head.event_id, exc_info=raised)
        return error, time.monotonic() - began

    # Recording ------------------------------------------------------------------------------------------

    def _leave(self, listener: str, name: str, head: Delivery, attempt: Attempt, now_ms: int) -> None:
        """What an attempt changes, for the writer."""
        answer = Answer(now_ms, attempt.status, attempt.error, attempt.duration_ms)
        head = head._replace(attempts=head.attempts + 1, last=answer)
        gone = attempt.status == GONE
        if attempt.error is None:
            state, head = DELIVERED, head._replace(finished_at_ms=now_ms)
        elif now_ms - head.queued_at_ms >= self.outbox.give_up_ms and not gone:
            state, head = FAILED, head._replace(finished_at_ms=now_ms)
        else:
            wait_ms = max(pause_ms(head.attempts, self._spread()), attempt.wait_ms)
            state, head = PENDING, head._replace(next_at_ms=now_ms + wait_ms)
        self._results.append(_Result(listener, name, state, head, gone))
        self._unwritten += 1
        self._some.set()

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._results:
                batch, self._results = self._results[:RECORDS_AT_ONCE], self._results[RECORDS_AT_ONCE:]
                known = [result for result in batch if result.listener in self.outbox.lanes]
                changes = [change for result in known for change in self._changes(result)]
                try:
                    if changes:
                        await self.state.commit(changes)
                except ApiError as error:
                    log.warning("results not recorded; what was under way is sent again", error=str(error))
                    return  # the supervisor begins anew from its documents
                self._unwritten -= len(batch)
                self._written.set()
                self._written = asyncio.Event()
                for result in known:
                    self._recorded(result)

    def _changes(self, result: _Result) -> list[Change]:
        name = f"{result.listener}/{result.name}"
        body = pack_delivery(result.head)
        found = [Change("deliveries", f"{PENDING}/{name}", body if result.state == PENDING else None)]
        if result.state == DELIVERED and result.listener.startswith(PLUGIN):
            found.append(Change("deliveries", f"{BODY}/{name}", None))  # nobody could look at it
        elif result.state != PENDING:
            found.append(Change("deliveries", f"{result.state}/{name}", body))
        webhook = self.outbox.webhooks.get(result.listener)
        if result.gone and webhook is not None and webhook.status == "active":
            found.append(self.outbox.disable(webhook, "the receiver answered 410 Gone"))
        return found

    def _recorded(self, result: _Result) -> None:
        lane = self.outbox.lanes.get(result.listener)
        if lane is not None:
            lane.recorded(result.name, queue_of(result.head))
        self.delivered += result.state == DELIVERED
        if result.state == FAILED:
            self.failed += 1
            log.warning(
                "delivery given up",
                listener=result.listener,
                delivery=result.name,
                event_id=result.head.event_id,
                error=None if result.head.last is None else result.head.last.error,
            )
        self.outbox.wake.set()

    async def _trim(self) -> None:
        try:
            given_up = await trim(self.state, self.outbox)
            self.failed += given_up  # not in one statement: it would forget what was counted during the await
        except (StoreError, ApiError) as error:
            log.warning("old deliveries not trimmed", error=str(error))
