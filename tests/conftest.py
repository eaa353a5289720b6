"""Fixtures of Redis servers, for every folder of tests: some of a test's own, and two that all tests share.

Tests that share one keep to a key prefix or a database of their own, and leave its settings as they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from redis_server import MakeRedis, RedisCluster, RedisServer


@pytest.fixture
def make_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRedis]:
    """Servers of this test alone, not started yet. Arguments: those of `RedisServer` after the folder."""
    made: list[RedisServer] = []

    def make(*options: str, **settings: object) -> RedisServer:
        made.append(RedisServer(tmp_path_factory.mktemp("redis"), *options, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for server in made:
        server.close()
        print(server.tail())  # shown if the test failed


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A running server that keeps its data in an append-only file and does not wait for the disk."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), "appendfsync everysec")
    asyncio.run(server.start())
    yield server
    server.close()


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A running Redis Cluster of three nodes, which do not wait for the disk."""
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"), 3, "appendfsync everysec")
    asyncio.run(cluster.start())
    yield cluster
    cluster.close()
