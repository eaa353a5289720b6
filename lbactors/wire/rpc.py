"""A line: a TCP connection from a gateway straight to a period actor's process, for scores and reads.

Ray starts, names, restarts and finds actors, and carries everything administrative. A Ray call however costs
both sides about half a millisecond of CPU, and a frame over a socket a tenth of that. So the actor opens a
port, tells it (with a secret) through a Ray call, and gateways speak to it directly.

Frames, both ways: length of the rest (4 bytes, big endian), call number (4 bytes), kind (1 byte), body. The
first frame of a connection must be the secret; a wrong one closes it. A call's reply has its number, and kind
0, or 1 with a message if the call failed.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgpack
import structlog

from lbactors.wire.protocol import ActorGone

HEAD = struct.Struct(">IIB")
HEAD_BYTES = HEAD.size
FRAME_BYTES = 256 * 1024 * 1024  # a longer frame is no frame
METHODS = ("write", "read", "load", "wake")  # the kinds of calls, by number
HELLO = 255
CONNECT_TIMEOUT_S = 5.0

Handler = Callable[[bytes], Awaitable[bytes]]

log = structlog.get_logger("rpc")


class ConnectionLost(Exception):
    """The connection ended, or could not be made; whether a call in flight was carried out is unknown."""


# What a call raises that did not come back. Whatever else it raises is a bug, here or in the actor.
LOST = (ConnectionLost, ActorGone, TimeoutError)


def frame(number: int, kind: int, body: bytes) -> bytes:
    return HEAD.pack(len(body) + HEAD_BYTES - 4, number, kind) + body


class _Frames(asyncio.Protocol):
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start, have = 0, len(buffer)
        while have - start >= HEAD_BYTES:
            length, number, kind = HEAD.unpack_from(buffer, start)
            end = start + 4 + length
            if length < HEAD_BYTES - 4 or length > FRAME_BYTES:
                self.drop()
                return
            if have < end:
                break
            self.took(number, kind, bytes(buffer[start + HEAD_BYTES : end]))
            start = end
        del buffer[:start]

    def drop(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def took(self, number: int, kind: int, body: bytes) -> None:
        raise AssertionError("a subclass takes frames")


class RpcServer:
    """The actor's side: a port, its secret, and the handlers of the calls by name."""

    def __init__(self, handlers: dict[str, Handler], incarnation: str) -> None:
        self.incarnation = incarnation
        self.handlers = [handlers[name] for name in METHODS]
        self.secret = secrets.token_bytes(32)
        self.address = ("", 0)
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def open(self, host: str) -> None:
        """Listen on any free port of an address. OSError."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _ServerConnection(self), host, 0
        )
        self.address = (host, self._server.sockets[0].getsockname()[1])

    def endpoint(self) -> bytes:
        """What a gateway needs to know: host, port, secret, and which process it is."""
        return bytes(msgpack.packb([*self.address, self.secret, self.incarnation]))

    def answer(self, callee: _ServerConnection, number: int, kind: int, body: bytes) -> None:
        task = asyncio.create_task(self._answer(callee, number, kind, body))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, callee: _ServerConnection, number: int, kind: int, body: bytes) -> None:
        try:
            reply = frame(number, 0, await self.handlers[kind](body))
        except Exception as error:
            log.exception("call failed", method=METHODS[kind])
            reply = frame(number, 1, repr(error).encode())
        if callee.transport is not None and not callee.transport.is_closing():
            callee.transport.write(reply)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class _ServerConnection(_Frames):
    def __init__(self, board: RpcServer) -> None:
        super().__init__()
        self.board = board
        self.known = False

    def took(self, number: int, kind: int, body: bytes) -> None:
        if not self.known:
            self.known = kind == HELLO and hmac.compare_digest(body, self.board.secret)
            if not self.known:
                self.drop()
        elif kind < len(METHODS):
            self.board.answer(self, number, kind, body)
        else:
            self.drop()


class _ClientConnection(_Frames):
    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self.lost = False

    def took(self, number: int, kind: int, body: bytes) -> None:
        done = self.waiting.pop(number, None)
        if done is None or done.done():
            return
        if kind == 0:
            done.set_result(body)
        else:
            done.set_exception(RuntimeError(body.decode(errors="replace")))

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        for done in self.waiting.values():
            if not done.done():
                done.set_exception(ConnectionLost(str(error or "the actor closed the connection")))
        self.waiting.clear()


def _require_alive(caller: _ClientConnection) -> None:
    """ConnectionLost if the connection ended in the moment after it was made: a call would wait for nothing,
    and uvloop raises RuntimeError for what is written to it.
    """
    if caller.lost:
        raise ConnectionLost("the connection ended as it was made")


class RpcClient:
    """The gateway's side: one connection to one actor, made when it is needed, and again when it was lost.

    `endpoint` asks the actor (through Ray) for its present host, port, secret and incarnation.
    """

    def __init__(self, endpoint: Callable[[], Awaitable[bytes]]) -> None:
        self._endpoint = endpoint
        self._caller: _ClientConnection | None = None
        self._incarnation = ""  # of the actor at the other end
        self._number = 0
        self._connecting: asyncio.Task[_ClientConnection] | None = None

    async def call(self, method: str, payload: bytes) -> bytes:
        """The actor's reply. ConnectionLost; RuntimeError if the method raised; what `endpoint` raises."""
        caller = self._caller
        if caller is None or caller.lost:
            caller = await self._connected()
            _require_alive(caller)
        self._number = number = (self._number + 1) & 0xFFFFFFFF
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        caller.waiting[number] = done
        cast("Any", caller.transport).write(frame(number, METHODS.index(method), payload))
        try:
            return await done
        finally:
            caller.waiting.pop(number, None)

    async def _connected(self) -> _ClientConnection:
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect())
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> _ClientConnection:
        host, port, secret, incarnation = msgpack.unpackb(await self._endpoint())
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, caller = await asyncio.get_running_loop().create_connection(_ClientConnection, host, port)
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(f"cannot connect: {error}") from error
        _require_alive(caller)
        cast("Any", caller.transport).write(frame(0, HELLO, secret))
        self._caller, self._incarnation = caller, incarnation
        return caller

    def moved(self, incarnation: str) -> None:
        """The actor is another process now. The old one may live on, stopped or cut off: let go of it."""
        if self._caller is not None and incarnation != self._incarnation:
            self.close()

    def close(self) -> None:
        if self._caller is not None:
            self._caller.drop()
