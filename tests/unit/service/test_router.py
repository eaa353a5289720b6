"""The way from a gateway to a period actor when that is away, late, or has a bug: what the caller is told.

A real server and a real client of the wire, with handlers that answer what the test says. The loops: the
gateway's is uvloop's, which raises RuntimeError where asyncio's only loses what is written.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
import uvloop

from lbactors.core.errors import ApiError
from lbactors.core.model import PeriodView, Row
from lbactors.service.router import Router
from lbactors.settings import ServerSettings
from lbactors.wire.actors import ActorGone
from lbactors.wire.logs import BALANCE, ROWS, FollowOp, LogOp, LogRead
from lbactors.wire.reads import Page, ReadOp
from lbactors.wire.replies import ASLEEP, ERROR, NOT_HERE, VALUE
from lbactors.wire.rpc import METHODS, RpcServer
from lbactors.wire.writes import WriteOp

BOARD = "default/board~1"
CHAIN = f"{BOARD}/main"
OP = WriteOp(BOARD, 0, 0, [["player"]], ["main"])
NO_TIME_S = -1.0  # a deadline that has passed when it is set
WITHIN_S = 5.0  # far less than any of the router's own timeouts

Endpoint = Callable[[], Awaitable[bytes]]
Ask = Callable[[Router], Awaitable[Any]]


class OneHome:
    """Stands in for the catalogue: one leaderboard with one home that runs."""

    dormant: frozenset[str] = frozenset()

    def home(self, board_id: str) -> str:
        assert board_id == BOARD
        return "period-1"

    async def home_changed(self, board_id: str, name: str, within_s: float) -> None:
        await asyncio.sleep(0)


async def nothing(*_: Any, **__: Any) -> bytes:
    return b""


def router_to(endpoint: Endpoint) -> Router:
    """A router to one actor, whose method `endpoint` this is."""

    async def call(method: str, *_: bytes, timeout_s: float | None = None) -> bytes:
        return await endpoint()

    async def find(name: str) -> Any:
        return SimpleNamespace(call=call)

    cluster: Any = SimpleNamespace(find=find)
    supervisor: Any = SimpleNamespace(call=nothing)
    catalogue: Any = OneHome()
    return Router(cluster, supervisor, catalogue, ServerSettings(), lambda: 0)


async def server_of(**handlers: Callable[[bytes], Awaitable[bytes]]) -> RpcServer:
    """An actor's server; what is not given answers nothing useful."""
    server = RpcServer({name: handlers.get(name, nothing) for name in METHODS}, "one")
    await server.open("127.0.0.1")
    return server


async def router_of(**handlers: Callable[[bytes], Awaitable[bytes]]) -> Router:
    server = await server_of(**handlers)

    async def endpoint() -> bytes:
        return server.endpoint()

    return router_to(endpoint)


def replies(*given: Any) -> Callable[[bytes], Awaitable[bytes]]:
    """A handler of batches of one: these replies, one after the other, the last one again and again."""
    left = list(given)

    async def handle(_: bytes) -> bytes:
        return bytes(msgpack.packb([left.pop(0) if len(left) > 1 else left[0]]))

    return handle


async def write(router: Router) -> Any:
    return await router.write(OP, 1)


async def read(router: Router) -> Any:
    return await router.read(CHAIN, "current", Page(0, 10))


async def load(router: Router) -> Any:
    """A read of a period that is not in memory."""
    return await router._load("period-1", ReadOp.of(CHAIN, "2026-W01", Page(0, 10)))


async def wake(router: Router) -> Any:
    """What a write does first whose period sleeps."""
    return await router._wake(BOARD, "period-1")


async def append(router: Router) -> Any:
    return list(await router.append(LogOp(BOARD, ROWS, [["player"]])))


async def read_log(router: Router) -> Any:
    return await router.read_log(LogRead(BOARD, BALANCE, ["player"]))


async def follow(router: Router) -> Any:
    return list(await router.follow(FollowOp(BOARD, 5, 100)))


WRITING = [write, append]
ASKS = [*WRITING, read, load, wake, read_log, follow]
LOST = {ask: "storage_unavailable" if ask in WRITING else "period_loading" for ask in ASKS}
asks = pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__)
loops = pytest.mark.parametrize(
    "make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


async def code_of(asked: Awaitable[Any]) -> str:
    """The code of the error that it raises, within the time of a test."""
    with pytest.raises(ApiError) as raised:
        async with asyncio.timeout(WITHIN_S):
            await asked
    return raised.value.code


# Ranks that are not shown -------------------------------------------------------------------------------


@pytest.mark.parametrize("loaded", [True, False])
async def test_ranks_beyond_the_top_are_not_shown(loaded: bool) -> None:
    """Also where readers with another limit wait for the same rows, and where a period is loaded first."""
    view = PeriodView(1, "all_time", "main", "active", None, None, None, 3, 3)
    rows = [Row(rank, f"p{rank}", 5, 0, None, 1, 0, 0, "same") for rank in (1, 2, 3)]
    wire = [VALUE, [view, 3, 7, rows, 0, None, [], []]]
    calls = 0

    async def answers(packed: bytes) -> bytes:
        nonlocal calls
        calls += 1
        ops = msgpack.unpackb(packed)
        return bytes(msgpack.packb([wire if loaded else [VALUE, None]] * len(ops)))

    async def load(_: bytes) -> bytes:
        return bytes(msgpack.packb(wire))

    router = await router_of(read=answers, load=load)
    limits = (None, 2, 1, 2)
    reads = (router.read(CHAIN, "current", Page(0, 10), top_only) for top_only in limits)
    found = await asyncio.gather(*reads)
    shown = [[(row.rank, row.change) for row in reading.rows] for reading in found]
    ranked = [(rank, "same") for rank in (1, 2, 3)]
    assert shown == [ranked[:top_only] + [(None, None)] * (3 - (top_only or 3)) for top_only in limits]
    assert all(len(reading.rows) == reading.total == 3 for reading in found)
    if loaded:
        assert found[1] is found[3], "equal reads share an answer"


# What nobody took ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [NOT_HERE, ASLEEP])
async def test_a_write_that_nobody_took_in_time_is_told_so(
    reply: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer came late (the actor was being started, say), and says that nothing was taken."""
    monkeypatch.setattr("lbactors.service.router.FOUND_WITHIN_S", NO_TIME_S)
    assert await code_of(write(await router_of(write=replies([reply])))) == "period_loading"


async def test_a_write_wakes_what_sleeps() -> None:
    async def awake(_: bytes) -> bytes:
        return bytes(msgpack.packb([VALUE, True]))

    router = await router_of(write=replies([ASLEEP], [NOT_HERE], [VALUE, "rows"]), wake=awake)
    assert await write(router) == "rows"


async def test_a_wake_that_is_refused_is_no_awake_period() -> None:
    """Its reply is an error; so is that of the write then."""

    async def refused(_: bytes) -> bytes:
        return bytes(msgpack.packb([ERROR, ["storage_unavailable", "the store is away", [], 1]]))

    router = await router_of(write=replies([ASLEEP], [VALUE, "rows"]), wake=refused)
    assert await code_of(write(router)) == "storage_unavailable"


# Logs, and those that follow them ------------------------------------------------------------------------

LOG_ASKS = pytest.mark.parametrize("ask", [append, read_log, follow], ids=lambda ask: ask.__name__)


def recorded(told: list[Any], *given: Any) -> Callable[[bytes], Awaitable[bytes]]:
    """`replies`, which notes what arrived."""
    answer = replies(*given)

    async def handle(packed: bytes) -> bytes:
        told.extend(msgpack.unpackb(packed))
        return await answer(packed)

    return handle


@LOG_ASKS
async def test_a_log_is_asked_where_it_is(ask: Ask) -> None:
    told: list[Any] = []
    router = await router_of(**{ask.__name__: recorded(told, [VALUE, [7, []]])})
    assert await ask(router) in ([7, []], [7, [], None])
    (op,) = told
    assert op[0] == BOARD


@LOG_ASKS
async def test_what_sleeps_or_moves_is_asked_again(ask: Ask) -> None:
    """Nothing was taken: the same is sent again, as it was."""
    told: list[Any] = []
    woken: list[Any] = []
    asked = recorded(told, [ASLEEP], [NOT_HERE], [VALUE, [7, []]])

    async def awake(packed: bytes) -> bytes:
        woken.append(msgpack.unpackb(packed))
        return bytes(msgpack.packb([VALUE, True]))

    router = await router_of(**{ask.__name__: asked, "wake": awake})
    async with asyncio.timeout(WITHIN_S):
        assert (await ask(router))[:2] == [7, []]
    assert woken == [BOARD]
    assert len(told) == 3 and told[0] == told[1] == told[2]


@LOG_ASKS
@pytest.mark.parametrize("reply", [NOT_HERE, ASLEEP])
async def test_a_log_that_is_not_found_in_time(ask: Ask, reply: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbactors.service.router.FOUND_WITHIN_S", NO_TIME_S)
    assert await code_of(ask(await router_of(**{ask.__name__: replies([reply])}))) == "period_loading"


@LOG_ASKS
async def test_what_has_no_home_has_no_period(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OneHome, "home", lambda self, board_id: None)
    assert await code_of(ask(await router_of())) == "period_not_open"


@LOG_ASKS
async def test_what_an_actor_refuses_is_told(ask: Ask) -> None:
    refusal = [ERROR, ["overloaded", "too many rows wait", [], 1]]
    assert await code_of(ask(await router_of(**{ask.__name__: replies(refusal)}))) == "overloaded"


async def test_a_leaderboard_that_reads_long_keeps_no_other() -> None:
    """Each is asked by a call of its own."""
    release = asyncio.Event()
    begun = asyncio.Event()

    async def handle(packed: bytes) -> bytes:
        (op,) = msgpack.unpackb(packed)
        if op[1] == 1:
            begun.set()
            await release.wait()
        return bytes(msgpack.packb([[VALUE, [op[1] == 1, []]]]))

    router = await router_of(follow=handle)
    async with asyncio.timeout(WITHIN_S):
        slow = asyncio.create_task(router.follow(FollowOp(BOARD, 1, 100)))
        await begun.wait()
        assert not (await router.follow(FollowOp(BOARD, 2, 100))).is_behind
        assert not slow.done()
        release.set()
        assert (await slow).is_behind


async def test_whoever_does_not_wait_for_a_leaderboard_leaves_it_waking() -> None:
    """An answer waits for a moment alone; a leaderboard that sleeps may take longer to load, once for all."""
    loaded, woken = asyncio.Event(), 0

    async def awake(_: bytes) -> bytes:
        nonlocal woken
        woken += 1
        await loaded.wait()
        return bytes(msgpack.packb([VALUE, True]))

    router = await router_of(follow=replies([ASLEEP], [ASLEEP], [VALUE, [False, []]]), wake=awake)
    async with asyncio.timeout(WITHIN_S):
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await router.follow(FollowOp(BOARD, 5, 100))
        loaded.set()
        assert not (await router.follow(FollowOp(BOARD, 5, 100))).is_behind
    assert woken == 1


# Actors that are away -----------------------------------------------------------------------------------


@asks
@pytest.mark.parametrize(
    "error", [ActorGone("away"), TimeoutError()], ids=["gone", "late"]
)  # all that `ActorRef.call` raises
async def test_an_actor_that_ray_does_not_reach_is_away(ask: Ask, error: Exception) -> None:
    async def endpoint() -> bytes:
        raise error

    assert await code_of(ask(router_to(endpoint))) == LOST[ask]


@asks
@loops
def test_a_connection_that_ends_as_it_is_made(
    ask: Ask, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """The actor was killed when its system had already taken the connection."""

    class Reset(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            end: socket.socket = transport.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()  # type: ignore[attr-defined]

    async def main() -> str:
        server = await asyncio.get_running_loop().create_server(Reset, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def endpoint() -> bytes:
            return bytes(msgpack.packb(["127.0.0.1", port, b"secret", "one"]))

        try:
            return await code_of(ask(router_to(endpoint)))
        finally:
            server.close()

    assert run(main(), make_loop) == LOST[ask]


@asks
@loops
def test_a_connection_that_ends_during_a_call(
    ask: Ask, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> str:
        router: Router

        async def killed(_: bytes) -> bytes:
            router.moved("period-1", "two")  # ends the connection of the first
            await asyncio.Event().wait()
            return b""

        router = await router_of(**dict.fromkeys(METHODS, killed))
        return await code_of(ask(router))

    assert run(main(), make_loop) == LOST[ask]


def run(work: Coroutine[Any, Any, str], make_loop: Callable[[], asyncio.AbstractEventLoop]) -> str:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(work)


# Bugs ---------------------------------------------------------------------------------------------------


@asks
async def test_a_bug_of_the_actor_is_one(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no actor that is away: who reads gets what is no ApiError, and the actor's log the traceback. A
    write may have been journaled: its outcome is unknown.
    """

    async def broken(_: bytes) -> bytes:
        raise KeyError("a bug")

    router = await router_of(**dict.fromkeys(METHODS, broken))
    if ask in WRITING:
        assert await code_of(ask(router)) == "storage_unavailable"
    else:
        with pytest.raises(RuntimeError, match="a bug"):
            async with asyncio.timeout(WITHIN_S):
                await ask(router)
    told = capsys.readouterr()
    assert "call failed" in told.out + told.err and "Traceback" in told.out + told.err


BATCHED = [write, read, append, read_log]


@pytest.mark.parametrize("ask", BATCHED, ids=lambda ask: ask.__name__)
async def test_replies_that_do_not_fit_their_batch_are_a_bug(ask: Ask) -> None:
    async def two(_: bytes) -> bytes:
        return bytes(msgpack.packb([[VALUE, 1], [VALUE, 2]]))

    router = await router_of(**dict.fromkeys(METHODS, two))
    for _ in range(2):  # and the channel goes on
        if ask in WRITING:
            assert await code_of(ask(router)) == "storage_unavailable"
            continue
        with pytest.raises(RuntimeError, match="zip"):
            async with asyncio.timeout(WITHIN_S):
                await ask(router)


@pytest.mark.parametrize("wire", [[9], [9, "value"], [], [VALUE, 1, 2], ["x"]], ids=str)
@pytest.mark.parametrize("ask", [*BATCHED, follow], ids=lambda ask: ask.__name__)
async def test_a_reply_of_no_known_kind_is_a_bug(ask: Ask, wire: list[Any]) -> None:
    """That of a newer actor, say. Nobody knows what it took; and nobody waits for ever."""
    router = await router_of(**dict.fromkeys(METHODS, replies(wire)))
    for _ in range(2):  # and the channel goes on
        if ask in WRITING:
            assert await code_of(ask(router)) == "storage_unavailable"
            continue
        with pytest.raises(RuntimeError, match="no known kind"):
            async with asyncio.timeout(WITHIN_S):
                await ask(router)


@pytest.mark.parametrize("ask", [*BATCHED, follow], ids=lambda ask: ask.__name__)
async def test_a_bug_with_one_operation_is_one(ask: Ask) -> None:
    error = ["internal_error", "KeyError('a bug')", [], None]
    router = await router_of(**dict.fromkeys(METHODS, replies([ERROR, error])))
    with pytest.raises(RuntimeError, match="a bug"):
        await ask(router)
