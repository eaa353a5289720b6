"""The connection between gateway and actor: who is let in, and what another version is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import pytest
from structlog.testing import capture_logs

from lbactors.core.packing import pack
from lbactors.service.router import lost_read, lost_write
from lbactors.wire import rpc
from lbactors.wire.rpc import (
    FAILED,
    HELLO,
    METHODS,
    OLDEST,
    REFUSED,
    VERSION,
    ConnectionLost,
    Endpoint,
    Hello,
    RpcClient,
    RpcServer,
    Served,
    VersionRefused,
    frame,
)

WRITE = METHODS.index("write")
WITHIN_S = 10.0


async def echo(payload: bytes) -> bytes:
    return payload


async def broken(payload: bytes) -> bytes:
    raise ValueError("no")


@pytest.fixture
async def server() -> AsyncIterator[RpcServer]:
    server = RpcServer({**dict.fromkeys(METHODS, echo), "wake": broken}, "one")
    await server.open("127.0.0.1")
    yield server
    server.close()


class Gateway:
    """Clients of one server, closed at the end. `looks`: how often they asked where it is."""

    def __init__(self, server: RpcServer) -> None:
        self.server = server
        self.looks = 0
        self.clients: list[RpcClient] = []

    def client(self, version: int = VERSION) -> RpcClient:
        async def endpoint() -> bytes:
            self.looks += 1
            return self.server.endpoint()

        self.clients.append(RpcClient(endpoint, version))
        return self.clients[-1]


@pytest.fixture
async def gateway(server: RpcServer) -> AsyncIterator[Gateway]:
    gateway = Gateway(server)
    yield gateway
    for client in gateway.clients:
        client.close()


async def ended(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has closed the connection, having said nothing."""
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""


async def spoken(server: RpcServer, *frames: bytes) -> list[tuple[int, int, bytes]]:
    """Number, kind and body of whatever a server answers to these bytes before it closes, or in a moment."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(b"".join(frames))
    received = b""
    try:
        async with asyncio.timeout(0.3):
            while some := await reader.read(65536):
                received += some
    except (TimeoutError, ConnectionResetError):
        pass
    writer.close()
    found = []
    while received:
        length, number, kind = rpc.HEAD.unpack_from(received)
        found.append((number, kind, received[rpc.HEAD_BYTES : 4 + length]))
        received = received[4 + length :]
    return found


# Versions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(OLDEST, VERSION + 1))
async def test_this_version_and_those_that_are_known_are_served(gateway: Gateway, version: int) -> None:
    client = gateway.client(version)
    assert await asyncio.gather(*(client.call("write", b"%d" % i) for i in range(3))) == [b"0", b"1", b"2"]
    with pytest.raises(RuntimeError, match="no"):
        await client.call("wake", b"")
    assert gateway.looks == 1


async def test_version_1_whose_hello_is_the_secret_alone_is_refused(server: RpcServer) -> None:
    found = await spoken(server, frame(0, HELLO, server.secret), frame(7, WRITE, b"x"))
    assert found == [(0, REFUSED, msgpack.packb([OLDEST, VERSION]))]
    host, port, secret, incarnation = msgpack.unpackb(server.endpoint())  # as version 1 reads it
    assert (host, port, secret, incarnation) == (*server.address, server.secret, "one")


async def test_what_a_later_version_adds_to_its_hello_is_passed_over(server: RpcServer) -> None:
    hello = frame(0, HELLO, pack([VERSION, server.secret, {"more": 1}]))
    assert await spoken(server, hello, frame(7, WRITE, b"x")) == [(7, 0, b"x")]


@pytest.mark.parametrize("version", [VERSION + 1, OLDEST - 1])
async def test_another_version_is_refused_and_both_sides_say_so(gateway: Gateway, version: int) -> None:
    client = gateway.client(version)
    with capture_logs() as logged:
        calls = [client.call("write", b"x" * 300_000) for _ in range(20)]
        answers = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
    assert {type(answer) for answer in answers} == {VersionRefused}
    told = f"this gateway speaks version {version} of the protocol, and the period actor serves"
    assert {str(answer) for answer in answers} == {
        f"{told} versions {OLDEST} to {VERSION}: start both again with one version"
    }
    assert [(event["event"], event["version"]) for event in logged] == [
        ("gateway refused", version),
        ("refused by a period actor", version),
    ]


async def test_one_look_then_a_pause(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    client = gateway.client(VERSION + 1)
    for _ in range(50):
        with pytest.raises(VersionRefused):
            await client.call("write", b"x")
    assert gateway.looks == 1, "no storm of connections"
    monkeypatch.setattr(rpc, "REFUSED_PAUSE_S", 0.0)
    with pytest.raises(VersionRefused):
        await client.call("write", b"x")
    assert gateway.looks == 2


async def test_an_actor_that_was_upgraded_is_looked_at_at_once(gateway: Gateway) -> None:
    client = gateway.client(VERSION + 1)
    with pytest.raises(VersionRefused):
        await client.call("write", b"x")
    client.moved("one")
    with pytest.raises(VersionRefused):
        await client.call("write", b"x")
    gateway.server.incarnation = "two"
    client.moved("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rpc, "VERSION", VERSION + 1)
        assert await client.call("write", b"x") == b"x"
    assert gateway.looks == 2


def test_who_was_refused_is_told_why_and_that_nothing_was_taken() -> None:
    refused = VersionRefused(3, Served(1, 2))
    for answer in (lost_write(refused), lost_read(refused)):
        assert (answer.status, answer.code, answer.message) == (503, "period_loading", str(refused))
    assert lost_write(ConnectionLost("x")).code == "storage_unavailable"


# The secret -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(32),
        b"\xc1",
        pack(5),
        pack([VERSION]),
        pack([VERSION, bytes(32)]),
        pack([VERSION + 1, bytes(32)]),
        pack([VERSION, "text"]),
        pack(["x", bytes(32)]),
        pack({"version": 1, "secret": 2}),
    ],
)
async def test_without_the_secret_nobody_learns_anything(server: RpcServer, body: bytes) -> None:
    with capture_logs() as logged:
        assert await spoken(server, frame(0, HELLO, body), frame(1, WRITE, b"x")) == []
    assert logged == []


async def test_the_secret_comes_first_and_in_its_own_frame(server: RpcServer) -> None:
    assert await spoken(server, frame(0, WRITE, server.secret), frame(1, WRITE, b"x")) == []
    hello = frame(0, HELLO, Hello(VERSION, server.secret).to_wire())
    assert await spoken(server, hello, frame(1, HELLO, server.secret)) == [], "no kind of call"
    assert await spoken(server, hello, frame(1, METHODS.index("wake"), b"")) == [
        (1, FAILED, b"ValueError('no')")
    ]


@pytest.mark.parametrize("kind", [HELLO, WRITE])
async def test_before_the_secret_a_long_frame_is_not_waited_for(server: RpcServer, kind: int) -> None:
    """Its head alone ends the connection: the actor keeps nothing of what may follow."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(rpc.HEAD.pack(100_000_000, 0, kind))
    async with asyncio.timeout(WITHIN_S):
        await ended(reader)
    writer.close()


async def test_a_long_frame_is_welcome_after_the_secret(gateway: Gateway) -> None:
    long = bytes(rpc.HELLO_FRAME_BYTES + 1)
    assert await gateway.client().call("write", long) == long


@pytest.mark.parametrize("sent", [b"", frame(0, HELLO, bytes(32))[:20]], ids=["nothing", "half a hello"])
async def test_the_secret_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(rpc, "HELLO_WITHIN_S", 0.02)
    server = RpcServer(dict.fromkeys(METHODS, echo), "one")
    await server.open("127.0.0.1")
    client = RpcClient(lambda: asyncio.sleep(0, server.endpoint()))
    assert await client.call("write", b"x") == b"x"
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(sent)
    async with asyncio.timeout(WITHIN_S):
        await ended(reader)
    assert await client.call("write", b"x") == b"x", "who has shown it stays"
    for end in (writer, client, server):
        end.close()


async def test_a_wrong_secret_has_no_second_try(server: RpcServer) -> None:
    wrong, right = bytes(32), Hello(VERSION, server.secret).to_wire()
    assert await spoken(server, frame(0, HELLO, wrong), frame(0, HELLO, right), frame(1, WRITE, b"x")) == []


async def test_a_refusal_arrives_before_the_connection_ends(server: RpcServer) -> None:
    hello = frame(0, HELLO, Hello(VERSION + 5, server.secret).to_wire())
    began_s = time.monotonic()
    assert await spoken(server, hello, frame(1, WRITE, bytes(1 << 20))) == [
        (0, REFUSED, pack(Served(OLDEST, VERSION)))
    ]
    assert time.monotonic() - began_s < rpc.REFUSED_CLOSES_S


async def test_an_endpoint_is_what_it_says(server: RpcServer) -> None:
    found: Any = Endpoint(*msgpack.unpackb(server.endpoint()))
    assert found == Endpoint(*server.address, server.secret, "one")
