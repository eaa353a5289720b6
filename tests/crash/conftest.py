"""Fixtures of the crash tests: servers to be killed, one that several tests share, random moments.

Every server is ended with all its processes when its fixture ends, whatever the test did to it.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis_server import RedisServer

from .server_process import Server
from .writers import Api

ROOT_KEY = "lb_a-key-for-crash-tests"

MakeServer = Callable[..., Server]
Note = Callable[[str], None]


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Servers of this test alone, not started yet. Arguments: see `Server`."""
    made: list[Server] = []

    def make(*arguments: str | None) -> Server:
        made.append(Server(*arguments))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for server in made:
        print(server.tail())  # shown if the test failed
        server.close()


@pytest.fixture(scope="session")
def _shared() -> Iterator[Server]:
    server = Server("lb_" + secrets.token_hex(16))
    yield server
    server.close()


@pytest.fixture
async def server(_shared: Server) -> AsyncIterator[Server]:
    """A server that lives over several tests, which may kill all of its processes but its own."""
    if not _shared.ready_at_s:
        await _shared.start()
    yield _shared
    print(_shared.tail())  # shown if the test failed


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Api]:
    async with Api(server.url, server.key) as api:
        yield api


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A Redis of this test alone that keeps on disk whatever it answered (`appendfsync always`)."""
    server = RedisServer(tmp_path)
    await server.start()
    yield server
    print(server.tail())  # shown if the test failed
    server.close()


@pytest.fixture(params=["sqlite", "redis"])
def storage(request: pytest.FixtureRequest) -> RedisServer | None:
    """Each store in its turn: None is SQLite, in the data directory of whoever is started."""
    found: RedisServer | None = None
    if request.param == "redis":
        found = request.getfixturevalue("redis")
    return found


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(f"{os.environ['LBACTORS_CRASH_SEED']}/{request.node.name}")
