"""The way from a gateway to a period actor when that is away, late, or has a bug: what the caller is told.

A real server and a real client of the wire, with handlers that answer what the test says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.service.router import Router
from lbactors.settings import ServerSettings
from lbactors.wire.protocol import ASLEEP, NOT_HERE, VALUE
from lbactors.wire.rpc import METHODS, RpcServer

CHAIN = "default/board~1/main"
OP = ["submit", 0, 0, [["player"]]]
NO_TIME_S = -1.0  # a deadline that has passed when it is set
WITHIN_S = 5.0  # far less than any of the router's own timeouts

Endpoint = Callable[[], Awaitable[bytes]]


class Asleep:
    """Stands in for the catalogue: one chain with one home that runs."""

    dormant: frozenset[str] = frozenset()

    def home(self, chain_id: str) -> str:
        return "period-1"

    async def home_changed(self, chain_id: str, name: str, within_s: float) -> None:
        await asyncio.sleep(0)


async def nothing(*_: Any, **__: Any) -> bytes:
    return b""


def router_to(endpoint: Endpoint) -> Router:
    """A router to one actor, whose method `endpoint` this is."""

    async def call(method: str, *_: bytes, timeout_s: float | None = None) -> bytes:
        return await endpoint()

    cluster: Any = SimpleNamespace(find=lambda name: SimpleNamespace(call=call))
    supervisor: Any = SimpleNamespace(call=nothing)
    catalogue: Any = Asleep()
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
    return await router.write(CHAIN, OP, 1)


async def code_of(asked: Awaitable[Any]) -> str:
    """The code of the error that it raises, within the time of a test."""
    with pytest.raises(ApiError) as raised:
        async with asyncio.timeout(WITHIN_S):
            await asked
    return raised.value.code


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
