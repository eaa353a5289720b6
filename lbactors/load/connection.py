"""A cheap HTTP/1.1 connection for load generation: bytes out, status in.

Idea: a load generator that shares the machine with the server must cost little, or it measures itself.
Requests are rendered before the timing; an answer is parsed only as far as its status, its Content-Length
and, for batches, its number of rejected items. One request is in flight on a connection; the next leaves in
the callback that received the answer, with no task, future or timer in between.

Departure from HTTP: answers without Content-Length (chunked ones) are not understood and count as
`unreadable`; redirects are not followed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import cast

import orjson

RETRY_PAUSE_S = 0.01  # after an error, so that a failing server is not hammered
ID_MARK = b"#id#"  # replaced by a number that no other request has


class Tally:
    """What happened on all connections of a case while `counting` is on."""

    def __init__(self) -> None:
        self.counting = False
        self.latencies_ns = array("q")
        self.errors: Counter[str] = Counter()  # by status, and `lost`, `unreadable`, `rejected` items


class Source:
    """The requests of a case, handed out in turn to its connections.

    requests: whole HTTP requests. batch: whether answers tell of rejected items. unique: the number that
    replaces ID_MARK, rising.
    """

    def __init__(
        self, requests: list[bytes], *, batch: bool = False, unique: Iterator[int] | None = None
    ) -> None:
        self.batch = batch
        self._turn = itertools.cycle(requests)
        self._unique = unique

    def next(self) -> bytes:
        request = next(self._turn)
        if self._unique is not None:
            return request.replace(ID_MARK, b"%d" % next(self._unique), 1)
        return request


class LoadConnection(asyncio.Protocol):
    """One closed-loop client: the next request leaves when the last one is answered.

    `stop` ends it after the answer that is under way; `ended` is done then.
    """

    def __init__(self, source: Source, tally: Tally) -> None:
        self._source = source
        self._tally = tally
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._wanted = 0  # bytes of the whole answer, 0 while its head is incomplete
        self._status = b""
        self._sent_ns = 0
        self._stopping = False
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by its class

    def send(self) -> None:
        """Send the next request, or end."""
        assert self._transport is not None
        if self._stopping or self._transport.is_closing():
            self._end()
            return
        request = self._source.next()
        self._sent_ns = time.perf_counter_ns()
        self._transport.write(request)

    def stop(self) -> None:
        self._stopping = True

    def data_received(self, data: bytes) -> None:
        answer = self._buffer + data if self._buffer else data
        if not self._wanted:
            head_end = answer.find(b"\r\n\r\n")
            if head_end < 0:
                self._buffer = answer
                return
            length = content_length(answer, head_end)
            if length is None:
                self._fail("unreadable")
                return
            self._status = answer[9:12]
            self._wanted = head_end + 4 + length
        if len(answer) < self._wanted:
            self._buffer = answer
            return
        self._buffer = b""
        self._wanted = 0
        self._answered(answer)

    def _answered(self, answer: bytes) -> None:
        tally = self._tally
        succeeded = self._status[:1] == b"2"
        if tally.counting:
            if succeeded:
                tally.latencies_ns.append(time.perf_counter_ns() - self._sent_ns)
                if self._source.batch and b'"rejected":0' not in answer:
                    tally.errors["rejected"] += rejected_items(answer)
            else:
                tally.errors[self._status.decode()] += 1
        if succeeded:
            self.send()
        else:
            self._loop.call_later(RETRY_PAUSE_S, self.send)

    def _fail(self, why: str) -> None:
        assert self._transport is not None
        if self._tally.counting:
            self._tally.errors[why] += 1
        self._transport.abort()
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            if self._tally.counting and not self._stopping:
                self._tally.errors["lost"] += 1
            self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        if self._transport is not None:
            self._transport.close()


def content_length(answer: bytes, head_end: int) -> int | None:
    """The Content-Length in the head of an answer; None if there is none."""
    at = answer.find(b"Content-Length: ", 0, head_end)  # aiohttp's spelling, found without a copy
    if at < 0:
        at = answer[:head_end].lower().find(b"content-length: ")
        if at < 0:
            return None
    end = answer.find(b"\r", at)
    digits = answer[at + 16 : end].strip()
    return int(digits) if digits.isdigit() else None


def rejected_items(answer: bytes) -> int:
    """The field `rejected` of a batch's answer, however its JSON is spaced; 0 where it has none."""
    try:
        body = orjson.loads(answer[answer.find(b"\r\n\r\n") + 4 :])
    except orjson.JSONDecodeError:
        return 0
    return int(body.get("rejected", 0)) if isinstance(body, dict) else 0
