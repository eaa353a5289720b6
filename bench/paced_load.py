"""Requests that leave when they are due, whether those before are answered or not.

Idea: a closed loop waits with the server, and so hides a server that stands still: the requests that real
clients would have sent meanwhile are never made. Here every request has a due time, and its latency runs from
it. A request that finds all connections busy waits for one, and that is in its latency as well.

A connection carries one request at a time. Answers are parsed only as far as status and Content-Length.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from lbactors.load.connection import content_length

LATE_S = 0.002  # a request that is due so soon leaves at once: shorter than what a timer can tell
LAST_ANSWERS_S = 60.0


class Request(NamedTuple):
    """due_s: on the clock of `time.perf_counter`. tag: the caller's."""

    due_s: float
    content: bytes
    tag: Any


class Answer(NamedTuple):
    """status 0: the connection was lost. sent_s, done_s: as in `Request`. body: without the head."""

    request: Request
    status: int
    sent_s: float
    done_s: float
    body: bytes

    @property
    def latency_ms(self) -> float:
        return (self.done_s - self.request.due_s) * 1e3


class PacedLoad:
    """`run` sends what an iterator yields, in order of the due times; `answers` are in order of arrival."""

    def __init__(self, address: tuple[str, int], connections: int) -> None:
        self.answers: list[Answer] = []
        self._address = address
        self._connections = connections
        self._free: deque[_Connection] = deque()  # used in turn: an idle one is closed by the server
        self._waiting: deque[Request] = deque()
        self._in_flight = 0
        self._settled = asyncio.Event()
        self._connecting: set[asyncio.Task[None]] = set()

    async def run(self, requests: Iterator[Request]) -> None:
        """Until every request is answered. OSError if the server cannot be reached at all."""
        loop = asyncio.get_running_loop()
        for _ in range(self._connections):
            _, connection = await loop.create_connection(lambda: _Connection(self), *self._address)
            self._free.append(connection)
        for request in requests:
            early_s = request.due_s - time.perf_counter()
            if early_s > LATE_S:
                await asyncio.sleep(early_s)
            self._waiting.append(request)
            self._send()
        async with asyncio.timeout(LAST_ANSWERS_S):
            while self._waiting or self._in_flight:
                self._settled.clear()
                await self._settled.wait()
        free, self._free = self._free, deque()
        for connection in free:
            connection.close()

    def _send(self) -> None:
        while self._waiting and self._free:
            self._in_flight += 1
            self._free.popleft().send(self._waiting.popleft())

    def took(self, connection: _Connection, request: Request, status: int, body: bytes) -> None:
        """A connection has its answer, or lost it."""
        answer = Answer(request, status, connection.sent_s, time.perf_counter(), body)
        self.answers.append(answer)
        self._in_flight -= 1
        if status:
            self._free.append(connection)
        else:
            self._reconnect()
        self._send()
        self._settled.set()

    def lost(self, connection: _Connection) -> None:
        """A free connection was closed by the server."""
        if connection in self._free:
            self._free.remove(connection)
            self._reconnect()

    def _reconnect(self) -> None:
        task = asyncio.create_task(self._again())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _again(self) -> None:
        """A connection in the place of one that was lost."""
        while True:
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self), *self._address
                )
            except OSError:
                await asyncio.sleep(0.1)
                continue
            self._free.append(connection)
            self._send()
            return


class _Connection(asyncio.Protocol):
    def __init__(self, load: PacedLoad) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._buffer = b""
        self.sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: Request) -> None:
        assert self._transport is not None
        self._request = request
        self.sent_s = time.perf_counter()
        self._transport.write(request.content)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0 or self._request is None:
            return
        length = content_length(self._buffer, head_end)
        if length is None:
            self.close()
            return
        if len(self._buffer) < head_end + 4 + length:
            return
        answer, self._buffer = self._buffer, b""
        request, self._request = self._request, None
        self._load.took(self, request, int(answer[9:12]), answer[head_end + 4 :])

    def connection_lost(self, error: Exception | None) -> None:
        if self._request is not None:
            request, self._request = self._request, None
            self._load.took(self, request, 0, b"")
        else:
            self._load.lost(self)
