"""The WebSocket routes of the client: scores in (`/v1/stream`), live rankings out (`/live`).

A score stream numbers its frames; the server acknowledges numbers and remembers the highest per producer.
So a reconnect needs no ids: what lies after the number that the server greets with is sent again, what
lies before was taken. `ScoreStream` owns that window of frames, its bound (the server's credit) and the
reconnecting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import msgpack
import orjson
from yarl import URL

from lbactors.client_transport import ApiError, Pauses, Transport, Unreachable, error_from, query, reason

PROTOCOL = "lbactors.v1.msgpack"
SILENCE_S = 45.0  # the server sends at least a heartbeat every 15 s on a live connection

Rejected = list[list[Any]]  # [index in the frame, error code] each


class _Frame(NamedTuple):
    rows: Sequence[Sequence[Any]]
    done: asyncio.Future[Rejected]


class ScoreStream:
    """Scores of one producer (a game server with a stable name), in order, at full speed.

        async with client.stream("shard-7") as stream:
            done = await stream.send([["xp", "maya", 5100], ["xp", "noor", 4800]])
            rejected = await done          # [] or [[1, "validation_failed"]]

    `send` takes rows `[leaderboard_id, player_id, score, subscore?, metadata?, occurred_at_ms?]`, waits
    only while the server grants no more unacknowledged frames, and gives a future that ends with the
    acknowledgement. Leaving the block waits for all of them. A lost connection is made again for
    `patience_s` of the client; after that everything that waits raises `Unreachable`. One stream a
    producer name: a second one replaces it.
    """

    def __init__(self, transport: Transport, producer: str) -> None:
        self._transport = transport
        self._producer = producer
        self._frames: dict[int, _Frame] = {}  # sent or to be sent, not acknowledged, in the order of n
        self._last_n = 0
        self._acked = 0
        self._credit = 0
        self._welcomes = 0  # connections that got as far as the server's greeting
        self._moved = asyncio.Condition()  # whenever credit, acknowledgements, connection or failure change
        self._failure: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        async with self._moved:
            await self._moved.wait_for(lambda: self._credit > 0 or self._failure is not None)
        if self._failure is not None:
            raise self._failure
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.drain()
        finally:
            assert self._task is not None
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def send(self, rows: Sequence[Sequence[Any]]) -> asyncio.Future[Rejected]:
        """Hand over one frame; the future of its rejected rows."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._failure is not None or len(self._frames) < self._credit)
            if self._failure is not None:
                raise self._failure
            self._last_n += 1
            n = self._last_n
            frame = _Frame(rows, asyncio.get_running_loop().create_future())
            self._frames[n] = frame
            self._moved.notify_all()
        return frame.done

    async def drain(self) -> None:
        """Wait until every frame is acknowledged."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._failure is not None or not self._frames)
        if self._failure is not None:
            raise self._failure

    async def _run(self) -> None:
        pauses = Pauses(self._transport.patience_s)
        while True:
            welcomes_before = self._welcomes
            try:
                await self._connected()
                failure: Exception = Unreachable(f"{self._transport.url} closed the stream")
            except aiohttp.WSServerHandshakeError as error:
                failure = error_from(error.status, error.message, error.headers or {}, b"")
                if error.status not in (429, 502, 503, 504):
                    return await self._give_up(failure)
            except ApiError as error:
                return await self._give_up(error)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = Unreachable(f"stream to {self._transport.url} lost: {reason(error)}")
            except Exception as error:  # whatever it is, nobody may be left waiting
                return await self._give_up(error)
            if self._welcomes > welcomes_before:
                pauses = Pauses(self._transport.patience_s)
            if not await pauses.wait():
                return await self._give_up(failure)

    async def _connected(self) -> None:
        """One connection, from hello to its end."""
        transport = self._transport
        url = URL(f"{transport.url}/v1/stream", encoded=True)
        async with transport.session.ws_connect(
            url, protocols=(PROTOCOL,), headers=transport.headers, heartbeat=15
        ) as socket:
            hello = {"t": "hello", "producer": self._producer, "last": self._acked}
            await socket.send_bytes(msgpack.packb(hello))
            async with asyncio.TaskGroup() as group:
                writer: asyncio.Task[None] | None = None
                async for message in socket:
                    if message.type != aiohttp.WSMsgType.BINARY:
                        continue
                    answer = msgpack.unpackb(message.data)
                    async with self._moved:
                        if answer["t"] == "welcome":
                            self._welcomes += 1
                            self._acknowledge(answer["acked"], [])
                            self._last_n = max(self._last_n, self._acked)
                            writer = group.create_task(self._write(socket, answer["acked"] + 1))
                        elif answer["t"] == "ack":
                            self._acknowledge(answer["n"], answer["rejected"])
                        self._credit = answer.get("credit", self._credit)
                        self._moved.notify_all()
                if writer is not None:
                    writer.cancel()
            if socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION:
                raise ApiError(
                    422, "stream_refused", "the server closed the stream for a breach of its rules"
                )

    async def _write(self, socket: aiohttp.ClientWebSocketResponse, n: int) -> None:
        """Send frame n and all that follow, in order; ends with the connection.

        Apart from the reader: if both sides waited for the other to read, neither would.
        """
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):  # the reader sees that as well
            while True:
                async with self._moved:
                    while n not in self._frames:
                        await self._moved.wait()
                    rows = self._frames[n].rows
                await socket.send_bytes(msgpack.packb({"t": "scores", "n": n, "s": rows}))
                n += 1

    def _acknowledge(self, n: int, rejected: Rejected) -> None:
        """Everything up to n is taken; `rejected` speaks of frame n, or of none if that is not ours."""
        self._acked = max(self._acked, n)
        for number in [number for number in self._frames if number <= n]:
            done = self._frames.pop(number).done
            if not done.cancelled():
                done.set_result(rejected if number == n else [])

    async def _give_up(self, failure: Exception) -> None:
        async with self._moved:
            self._failure = failure
            for frame in self._frames.values():
                if not frame.done.cancelled():
                    frame.done.set_exception(failure)
                    frame.done.exception()  # marked as seen: `drain` and `send` raise it as well
            self._moved.notify_all()


async def live_messages(
    transport: Transport, path: str, params: Mapping[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Messages of a live connection: `snapshot`, `update`, `period`; heartbeats are swallowed.

    A lost connection is made again for `patience_s`; what follows then starts with a snapshot, so nothing
    is to be repaired by the caller. Ends with Unreachable or ApiError, never by itself.
    """
    url = URL(transport.url + path + query(params), encoded=True)
    pauses = Pauses(transport.patience_s)
    while True:
        failure: Exception = Unreachable(f"{transport.url} closed the live connection")
        try:
            async with transport.session.ws_connect(url, headers=transport.headers, heartbeat=15) as socket:
                while True:
                    message = await socket.receive(timeout=SILENCE_S)
                    if message.type != aiohttp.WSMsgType.TEXT:
                        break
                    answer = orjson.loads(message.data)
                    pauses = Pauses(transport.patience_s)
                    if answer["type"] != "heartbeat":
                        yield answer
        except aiohttp.WSServerHandshakeError as error:
            failure = error_from(error.status, error.message, error.headers or {}, b"")
            if error.status not in (429, 502, 503, 504):
                raise failure from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = Unreachable(f"live connection to {transport.url} lost: {reason(error)}")
        if not await pauses.wait():
            raise failure
