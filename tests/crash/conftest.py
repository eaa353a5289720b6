"""Crash tests: real server processes, real kills. Here: servers to be killed, one that several tests share.

Everything is black box: a server as a child process, HTTP from outside, `kill -9` from the system. A ledger
(`writers`) remembers what each submission was answered; readers (`readers`) judge every page that they get
while processes die; an audit compares what is there afterwards with what was promised. Every server is ended
with all its processes when its fixture ends, whatever the test did to it.

The moments of the kills are random: the seed is printed at the end of the run, and LBACTORS_CRASH_SEED sets
it. LBACTORS_CRASH_KILLS makes `test_random_kills` longer, LBACTORS_CRASH_OUTAGE_SECONDS the outage of Redis.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.crash.nodes import Nodes
from tests.support.crash.writers import Api
from tests.support.redis_server import RedisServer
from tests.support.server_process import MakeServer, Server


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
    seed = os.environ["LBACTORS_CRASH_SEED"]
    print(f"LBACTORS_CRASH_SEED={seed}")  # shown if the test failed
    return random.Random(f"{seed}/{request.node.name}")


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.close()
