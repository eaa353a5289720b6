"""The Redis backend under the contract suite: on one server, and on a Redis Cluster of three nodes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.store.contract import Backend, StoreContract
from tests.support.store.redis_backend import RedisBackend

_numbers = itertools.count()


class TestRedisContract(StoreContract):
    @pytest.fixture
    def new_backend(self, shared_redis: RedisServer) -> Callable[[], Backend]:
        return lambda: RedisBackend(shared_redis.url, f"contract{next(_numbers)}", shared_redis.command)


class TestRedisClusterContract(StoreContract):
    @pytest.fixture
    def new_backend(self, shared_cluster: RedisCluster) -> Callable[[], Backend]:
        return lambda: RedisBackend(shared_cluster.url, f"contract{next(_numbers)}", shared_cluster.command)
