"""A lane whose connection is reset, and one that meets a bug: no command is left without an outcome.

The other side is no Redis, but answers `+OK` to everything. The loops: the server's is uvloop's, which raises
RuntimeError for what is written to a connection that was reset.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop
from redis.asyncio.connection import Connection
from redis.exceptions import SlotNotCoveredError

from persistence.redis.lane import Lane, Nodes
from persistence.redis.url import parse_redis_url
from persistence.store import StoreUnavailable

WITHIN_S = 5.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what closes, resets

loops = pytest.mark.parametrize(
    "make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
MakeLoop = Callable[[], asyncio.AbstractEventLoop]


class Answering(asyncio.Protocol):
    """The other side of one connection; all of them, in order, in `made`."""

    def __init__(self, made: list[Answering]) -> None:
        made.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"+OK\r\n" * data.count(b"*"))

    def reset(self) -> None:
        end: socket.socket = self.transport.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()


def run(work: Coroutine[Any, Any, None], make_loop: MakeLoop) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(work)


def lane_to(port: int, connect: Callable[[], Awaitable[Connection]] | None = None) -> Lane:
    options = parse_redis_url(f"redis://127.0.0.1:{port}/0?timeout_ms=1000")
    nodes = Nodes(options)
    return Lane("there", options, connect or (lambda: nodes.connect(None)), lambda error: None)


async def outcome(lane: Lane, **more: Any) -> Any:
    """The reply, or the exception, of a command; fails if there is none."""
    async with asyncio.timeout(WITHIN_S):
        try:
            return await lane.run("PING", **more)
        except TimeoutError:
            raise
        except Exception as error:
            return error


@loops
@pytest.mark.parametrize("turns", [3, 30])  # of the loop, before the next command
def test_a_connection_that_was_reset_while_it_was_idle(make_loop: MakeLoop, turns: int) -> None:
    async def main() -> None:
        made: list[Answering] = []
        server = await asyncio.get_running_loop().create_server(lambda: Answering(made), "127.0.0.1", 0)
        lane = lane_to(server.sockets[0].getsockname()[1])
        assert await outcome(lane) == b"OK"
        made[-1].reset()
        for _ in range(turns):
            await asyncio.sleep(0)
        told = await outcome(lane, writes=True)
        assert told == b"OK" or (isinstance(told, StoreUnavailable) and told.unknown)
        assert await outcome(lane, writes=True) == b"OK", "on a new connection"
        await lane.close()
        server.close()

    run(main(), make_loop)


async def test_a_cluster_that_knows_no_node_for_a_key_is_away() -> None:
    async def connect() -> Connection:
        raise SlotNotCoveredError("no node has this slot")

    told = await outcome(lane_to(1, connect), writes=True)
    assert isinstance(told, StoreUnavailable) and not told.unknown


async def test_a_bug_is_shown_to_whoever_waits() -> None:
    async def connect() -> Connection:
        raise KeyError("a bug")

    lane = lane_to(1, connect)
    async with asyncio.timeout(WITHIN_S):
        told = await asyncio.gather(*(lane.run("PING") for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in told] == [KeyError] * 3
    assert isinstance(await outcome(lane), KeyError), "and the lane goes on"
