"""Which delivery of a listener is to be sent next: pure, the clock is an argument.

A *lane* is one listener's pending deliveries, in one queue for each leaderboard. Laws:

1. Of a queue one delivery is under way at a time, the one with the lowest id; the next one follows when the
   result of the one before is durable (`recorded`). So a leaderboard's events arrive in order, also when the
   process dies between a confirmation and its record.
2. Queues are independent, up to `at_once` at a time. A failed delivery makes its own queue wait.
3. A receiver that fails DOWN_AFTER times in a row, whatever was sent, counts as down: then one delivery at a
   time probes it, each time that of another queue (one that it always refuses must not keep it down), with
   pauses that grow from probe to probe. The first success lets all queues go on at once.

Only ids are in memory, about 200 bytes for each delivery that waits.
"""

from __future__ import annotations

import heapq
from itertools import count

from lbactors.documents.webhooks import Delivery

DOWN_AFTER = 3
FIRST_PAUSE_MS = 5_000  # a restart of a receiver is over by then, or nearly
LONGEST_PAUSE_MS = 3_600_000  # so that one that is back hears of it within the hour


def pause_ms(failures: int, spread: float) -> int:
    """How long to wait after so many failures in a row (1, 2, …): doubles, with a limit.

    spread: 0..1 at random; the pause is up to a quarter shorter or longer, so that many that failed at one
    time do not come back at one time.
    """
    whole = min(FIRST_PAUSE_MS << min(failures - 1, 20), LONGEST_PAUSE_MS)
    return int(whole * (0.75 + spread / 2))


class _Queue:
    __slots__ = ("ids", "sending", "token")

    def __init__(self) -> None:
        self.ids: list[str] = []  # a heap
        self.sending: str | None = None
        self.token = 0  # of the entry in the lane's heap that counts


class Lane:
    """One listener's pending deliveries; see the module's docstring."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.paused = False  # nothing is sent (the webhook is disabled)
        self.under_way = 0
        self.failures = 0  # in a row
        self.probe_at_ms = 0  # while it is down: not before
        self._probes = 0  # that failed, since it is down
        self._probing = False
        self._queues: dict[str, _Queue] = {}
        self._queue_of: dict[str, str] = {}
        self._not_before: dict[str, int] = {}  # ms, of deliveries that failed
        self._due: list[tuple[int, int, str]] = []  # (ms, token, queue), lazily cleaned
        self._tokens = count(1)

    def __len__(self) -> int:
        return len(self._queue_of)

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._queue_of

    @property
    def down(self) -> bool:
        return self.failures >= DOWN_AFTER

    def is_sending(self, delivery_id: str) -> bool:
        """Whether it is under way, or its result is not durable yet."""
        queue = self._queue_of.get(delivery_id)
        return queue is not None and self._queues[queue].sending == delivery_id

    def put(self, delivery_id: str, queue: str, not_before_ms: int = 0) -> None:
        """Add a delivery, or give it another time."""
        if not_before_ms:
            self._not_before[delivery_id] = not_before_ms
        else:
            self._not_before.pop(delivery_id, None)
        if delivery_id not in self._queue_of:
            self._queue_of[delivery_id] = queue
            heapq.heappush(self._queues.setdefault(queue, _Queue()).ids, delivery_id)
        self._offer(queue)

    def remove(self, delivery_id: str) -> None:
        """It is over."""
        name = self._queue_of.pop(delivery_id, None)
        self._not_before.pop(delivery_id, None)
        if name is not None:
            self._offer(name)

    def _head(self, queue: _Queue) -> str | None:
        while queue.ids and queue.ids[0] not in self._queue_of:
            heapq.heappop(queue.ids)
        return queue.ids[0] if queue.ids else None

    def _offer(self, name: str) -> None:
        """Enter a queue among those that may be sent from, at the time of its first delivery."""
        queue = self._queues.get(name)
        if queue is None or queue.sending is not None:
            return
        head = self._head(queue)
        if head is None:
            del self._queues[name]
            return
        queue.token = next(self._tokens)
        heapq.heappush(self._due, (self._not_before.get(head, 0), queue.token, name))

    def take(self, now_ms: int) -> str | None:
        """The delivery to send now, if there is one; it counts as under way until `answered`."""
        if self.paused or self.under_way >= (1 if self.down else self.at_once):
            return None
        if self.down and now_ms < self.probe_at_ms:
            return None
        if not self._clean() or (self._due[0][0] > now_ms and not self.down):
            return None
        name = heapq.heappop(self._due)[2]
        queue = self._queues[name]
        queue.sending = self._head(queue)
        self.under_way += 1
        self._probing = self.down
        return queue.sending

    def _clean(self) -> bool:
        """Drop entries that count no more; whether one that counts is left."""
        while self._due:
            _, token, name = self._due[0]
            queue = self._queues.get(name)
            if queue is not None and queue.token == token and queue.sending is None and self._head(queue):
                return True
            heapq.heappop(self._due)
        return False

    def answered(self, success: bool, now_ms: int, spread: float) -> None:
        """An attempt has ended."""
        self.under_way -= 1
        was_probe, self._probing = self._probing, False
        if not success:
            # Attempts that were under way together when the receiver went down are one finding, not many.
            self.failures += 1
            self._probes += was_probe
            if self.down:
                self.probe_at_ms = max(self.probe_at_ms, now_ms + pause_ms(self._probes + 1, spread))
            return
        if self.down:
            self.revive()
        self.failures = 0

    def put_back(self, delivery_id: str, not_before_ms: int) -> None:
        """It was not sent after all; this says nothing about the receiver."""
        self.under_way -= 1
        self._probing = False
        queue = self._queue_of.get(delivery_id)
        if not_before_ms and queue is not None:
            self.put(delivery_id, queue, not_before_ms)
        for name, found in self._queues.items() if queue is None else [(queue, self._queues[queue])]:
            if found.sending == delivery_id:
                self.recorded(delivery_id, name)
                return

    def probe_now(self) -> None:
        """Somebody wants to know: where the receiver is down, it is probed at once."""
        self.probe_at_ms = 0

    def revive(self) -> None:
        """The receiver may be another one now: everything is due at once."""
        self.failures, self.probe_at_ms, self._probes, self._probing = 0, 0, 0, False
        self._not_before.clear()
        for name in list(self._queues):
            self._offer(name)

    def recorded(self, delivery_id: str, queue: str) -> None:
        """The result is durable: the queue goes on."""
        found = self._queues.get(queue)
        if found is not None and found.sending == delivery_id:
            found.sending = None
            self._offer(queue)

    def next_at_ms(self) -> int | None:
        """When `take` may have something, for those who look (None: nothing waits)."""
        if self.paused or not self._clean():
            return None
        return self.probe_at_ms if self.down else self._due[0][0]

    def check(self) -> None:
        """Every invariant."""
        sending = 0
        for name, queue in self._queues.items():
            waiting = [i for i in queue.ids if i in self._queue_of]
            assert all(self._queue_of[i] == name for i in waiting), name
            if queue.sending is None:
                assert waiting, name
                assert [e[2] for e in self._due if e[1] == queue.token] == [name], name
            else:
                sending += 1
        assert sending >= self.under_way
        assert {i for q in self._queues.values() for i in q.ids} >= set(self._queue_of)
        assert set(self._not_before) <= set(self._queue_of)


def queue_of(head: Delivery) -> str:
    """The queue of a lane that a delivery is in: its leaderboard."""
    return f"{head.tenant_id}/{head.leaderboard_id}"
