"""RPC: a TCP connection from a gateway straight to a period actor's process, for scores and reads.

Ray starts, names, restarts and finds actors, and carries everything administrative. A Ray call however costs
both sides about half a millisecond of CPU, and a frame over a socket a tenth of that. So the actor opens a
port, tells it (with a secret) through a Ray call, and gateways speak to it directly.

Frames, both ways: length of the rest (4 bytes, big endian), call number (4 bytes), kind (1 byte), body. The
first frame of a connection is a `Hello`: the secret, and the version of the protocol that the gateway speaks.
A wrong secret closes the connection, and says nothing; so does a first frame that is long, or that is not
there within HELLO_WITHIN_S: who has not shown the secret may cost nothing. A call's reply has its number, and
kind RESULT, or FAILED with a message if the call failed.

Versions. Each release that changes frames or messages has a higher one; an actor serves gateways of OLDEST
to VERSION. It tells any other gateway REFUSED, with the versions that it serves, and closes: the gateway's
calls fail with `VersionRefused` from then on, without a connection, until the actor is another process or a
pause is over. Version 1 sent the secret alone as its first frame.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

import msgpack
import structlog

from lbactors.core.packing import pack
from lbactors.wire.actors import ActorGone
from lbactors.wire.single_flight import SingleFlight

VERSION = 4
OLDEST = 3  # that is still served, and knows no logs; 2 wrote to each window of a leaderboard by itself
BARE = 1  # the version whose hello is the secret alone; it is known to be refused
HEAD = struct.Struct(">IIB")
HEAD_BYTES = HEAD.size
FRAME_BYTES = 256 * 1024 * 1024  # a longer frame is no frame
HELLO_FRAME_BYTES = 4096  # nor is a longer one before the secret was shown; a hello has about 40
HELLO_WITHIN_S = 5.0  # so long a connection may wait for it; gateways send it at once
METHODS = ("write", "read", "load", "wake", "append", "read_log", "follow")  # the kinds of calls, by number
HELLO = 255
RESULT, FAILED, REFUSED = range(3)  # the kinds of what an actor sends
CONNECT_TIMEOUT_S = 5.0
REFUSED_CLOSES_S = 5.0  # a gateway that was refused closes by itself within this time
REFUSED_PAUSE_S = 5.0  # between two looks at an actor that does not serve this version

log = structlog.get_logger("rpc")

Handler = Callable[[bytes], Awaitable[bytes]]


class ConnectionLost(Exception):
    """The connection ended, or could not be made; whether a call in flight was carried out is unknown."""


class VersionRefused(Exception):
    """An actor does not serve this gateway's version of the protocol; nothing was carried out."""

    def __init__(self, gateway: int, served: Served) -> None:
        super().__init__(
            f"this gateway speaks version {gateway} of the protocol, and the period actor serves "
            f"versions {served.oldest} to {served.newest}: start both again with one version"
        )


class Served(NamedTuple):
    """The versions that an actor serves: what REFUSED says."""

    oldest: int
    newest: int


class Hello(NamedTuple):
    """How a gateway begins. What later versions add comes after these two."""

    version: int
    secret: bytes

    def to_wire(self) -> bytes:
        return pack(self)

    @classmethod
    def from_wire(cls, body: bytes, secret: bytes) -> Hello | None:
        """None if it does not show the secret."""
        if hmac.compare_digest(body, secret):
            return cls(BARE, secret)
        try:
            version, shown, *_ = msgpack.unpackb(body)
        except (ValueError, TypeError, msgpack.UnpackException):
            return None
        if not isinstance(version, int) or not isinstance(shown, bytes):
            return None
        return cls(version, secret) if hmac.compare_digest(shown, secret) else None


class Endpoint(NamedTuple):
    """Where an actor listens, the secret that a connection must begin with, and which process it is."""

    host: str
    port: int
    secret: bytes
    incarnation: str


# What a call raises that did not come back. Whatever else it raises is a bug, here or in the actor.
LOST = (ConnectionLost, VersionRefused, ActorGone, TimeoutError)


def frame(number: int, kind: int, body: bytes) -> bytes:
    return HEAD.pack(len(body) + HEAD_BYTES - 4, number, kind) + body


class _Frames(asyncio.Protocol):
    """Cuts what arrives into frames of at most `frame_bytes`."""

    def __init__(self, frame_bytes: int = FRAME_BYTES) -> None:
        self.transport: asyncio.Transport | None = None
        self.frame_bytes = frame_bytes
        self._buffer = bytearray()
        self._is_dropped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start, have = 0, len(buffer)
        while have - start >= HEAD_BYTES and not self._is_dropped:
            length, number, kind = HEAD.unpack_from(buffer, start)
            end = start + 4 + length
            if length < HEAD_BYTES - 4 or length > self.frame_bytes:
                self.drop()
                break
            if have < end:
                break
            self.frame_received(number, kind, bytes(buffer[start + HEAD_BYTES : end]))
            start = end
        del buffer[: have if self._is_dropped else start]

    def drop(self) -> None:
        """Close at once; what has arrived and is no frame yet is none any more."""
        self._is_dropped = True
        if self.transport is not None:
            self.transport.abort()

    def frame_received(self, number: int, kind: int, body: bytes) -> None:
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
        self.connections: set[_ServerConnection] = set()

    async def open(self, host: str) -> None:
        """Listen on any free port of an address. OSError."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _ServerConnection(self), host, 0
        )
        self.address = (host, self._server.sockets[0].getsockname()[1])

    def endpoint(self) -> bytes:
        """What a gateway needs to know: an `Endpoint`, packed."""
        return pack(Endpoint(*self.address, self.secret, self.incarnation))

    def answer(self, connection: _ServerConnection, number: int, kind: int, body: bytes) -> None:
        task = asyncio.create_task(self._answer(connection, number, kind, body))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, connection: _ServerConnection, number: int, kind: int, body: bytes) -> None:
        try:
            reply = frame(number, RESULT, await self.handlers[kind](body))
        except Exception as error:
            log.exception("call failed", method=METHODS[kind])
            reply = frame(number, FAILED, repr(error).encode())
        if connection.transport is not None and not connection.transport.is_closing():
            connection.transport.write(reply)

    def close(self) -> None:
        """Listen no more, and end every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.drop()


class _ServerConnection(_Frames):
    def __init__(self, server: RpcServer) -> None:
        super().__init__(HELLO_FRAME_BYTES)
        self._server = server
        self._is_served = False
        self._is_refused = False
        self._waiting: asyncio.TimerHandle | None = None  # for the hello

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.connections.add(self)
        self._waiting = asyncio.get_running_loop().call_later(HELLO_WITHIN_S, self.drop)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        self._heard()

    def _heard(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def frame_received(self, number: int, kind: int, body: bytes) -> None:
        if self._is_refused:
            return  # what was sent behind the hello
        if not self._is_served:
            self._greet(kind, body)
        elif kind < len(METHODS):
            self._server.answer(self, number, kind, body)
        else:
            self.drop()

    def _greet(self, kind: int, body: bytes) -> None:
        hello = Hello.from_wire(body, self._server.secret) if kind == HELLO else None
        if hello is None or self.transport is None:
            self.drop()
            return
        self._heard()
        self.frame_bytes = FRAME_BYTES
        if OLDEST <= hello.version <= VERSION:
            self._is_served = True
        else:
            log.warning("gateway refused", version=hello.version, oldest_served=OLDEST, newest_served=VERSION)
            self._is_refused = True
            self.transport.write(frame(0, REFUSED, pack(Served(OLDEST, VERSION))))
            # Closed at once, with something left to read, the connection might be reset before it is read.
            asyncio.get_running_loop().call_later(REFUSED_CLOSES_S, self.drop)


class _ClientConnection(_Frames):
    def __init__(self, hello: Hello) -> None:
        super().__init__()
        self.hello = hello
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self.lost = False
        self.served: Served | None = None  # what was said where this version is refused
        self._refused_at_s = 0.0

    @property
    def refused_for_s(self) -> float:
        """How long ago this version was refused."""
        return time.monotonic() - self._refused_at_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        cast("asyncio.Transport", transport).write(frame(0, HELLO, self.hello.to_wire()))

    def frame_received(self, number: int, kind: int, body: bytes) -> None:
        if kind == REFUSED:
            self.served, self._refused_at_s = Served(*msgpack.unpackb(body)), time.monotonic()
            log.error("refused by a period actor", version=self.hello.version, **self.served._asdict())
            self.drop()
            return
        done = self.waiting.pop(number, None)
        if done is None or done.done():
            return
        if kind == RESULT:
            done.set_result(body)
        else:
            done.set_exception(RuntimeError(body.decode(errors="replace")))

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        for done in self.waiting.values():
            if not done.done():
                done.set_exception(self._why(error))
        self.waiting.clear()

    def require_alive(self) -> None:
        """ConnectionLost or VersionRefused if the connection ended in the moment after it was made: a call
        would wait for nothing, and uvloop raises RuntimeError for what is written to it.
        """
        if self.lost:
            raise self._why(None)

    def _why(self, error: Exception | None) -> Exception:
        if self.served is not None:
            return VersionRefused(self.hello.version, self.served)
        return ConnectionLost(str(error or "the actor closed the connection"))


class RpcClient:
    """The gateway's side: one connection to one actor, made when it is needed, and again when it was lost.

    `endpoint` asks the actor (through Ray) for its present `Endpoint`.
    """

    def __init__(self, endpoint: Callable[[], Awaitable[bytes]], version: int = VERSION) -> None:
        self._endpoint = endpoint
        self._version = version
        self._connection: _ClientConnection | None = None
        self._incarnation = ""  # of the actor at the other end
        self._number = 0
        self._connecting: SingleFlight[_ClientConnection] = SingleFlight()

    async def call(self, method: str, payload: bytes) -> bytes:
        """The actor's reply. VersionRefused; ConnectionLost; RuntimeError if the method raised; what
        `endpoint` raises.
        """
        connection = self._connection
        if connection is None or connection.lost:
            connection = await self._connected()
            connection.require_alive()
        self._number = number = (self._number + 1) & 0xFFFFFFFF
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        connection.waiting[number] = done
        cast("Any", connection.transport).write(frame(number, METHODS.index(method), payload))
        try:
            return await done
        finally:
            connection.waiting.pop(number, None)

    async def _connected(self) -> _ClientConnection:
        last = self._connection
        if last is not None and last.served is not None and last.refused_for_s < REFUSED_PAUSE_S:
            raise VersionRefused(last.hello.version, last.served)
        return await self._connecting.of("", self._connect)

    async def _connect(self) -> _ClientConnection:
        at = Endpoint(*msgpack.unpackb(await self._endpoint()))
        hello = Hello(self._version, at.secret)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _ClientConnection(hello), at.host, at.port
                )
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(f"cannot connect: {error}") from error
        self._connection, self._incarnation = connection, at.incarnation
        connection.require_alive()
        return connection

    def moved(self, incarnation: str) -> None:
        """The actor is another process now. The old one may live on, stopped or cut off: let go of it."""
        if self._connection is not None and incarnation != self._incarnation:
            self.close()
            self._connection = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.drop()
