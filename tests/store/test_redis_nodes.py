"""The Redis backend on several servers: replicas to wait for, Sentinels that name a primary, a cluster."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from persistence.redis.store import RedisStore
from persistence.store import Change, Record, SeqMismatch, Store, StoreError, StoreUnavailable
from tests.support.redis_server import MASTER_NAME, MakeRedis, RedisCluster, RedisSentinel, RedisServer, until
from tests.support.store.contract import journal, recovered, refusal
from tests.support.store.redis_backend import RedisBackend, opened, unavailable, with_options

TIMEOUT_MS = 1500  # long enough for what must succeed on a busy machine
_numbers = itertools.count()


async def appended(store: Store, period_id: str, record: Record) -> bool:
    """Whether an append, which may be a repetition, is acknowledged now."""
    return await refusal(store.append(period_id, record)) is None


# Replicas -----------------------------------------------------------------------------------------------


@pytest.fixture
async def primary(make_redis: MakeRedis) -> RedisServer:
    primary = make_redis()
    await primary.start()
    return primary


@pytest.fixture
async def replica(make_redis: MakeRedis, primary: RedisServer) -> RedisServer:
    replica = make_redis(replica_of=primary)
    await replica.start()
    return replica


async def test_a_replica_has_what_was_acknowledged(primary: RedisServer, replica: RedisServer) -> None:
    keys = RedisBackend(replica.url, "lbactors", replica.command)
    async with opened(primary.url, wait_replicas=1, timeout_ms=TIMEOUT_MS) as store:
        epoch = await store.take_epoch("p")
        assert replica.command("HGET", keys.period_key("p", "h"), "e") == b"1"
        for seq in range(1, 101):
            await store.append("p", Record(epoch, seq, seq, b"x"))
            assert replica.command("XLEN", keys.period_key("p", "j")) == seq
        await store.put_parts("p", epoch, 90, {"a": b"a"})
        await store.commit_snapshot("p", epoch, 90, {"a": 90})
        assert replica.command("HGET", keys.period_key("p", "h"), "s") == b"90"
        owner = await store.take_ownership("owner")
        await store.commit([Change("c", "1", b"one")], owner="owner", epoch=owner)
        assert replica.command("HLEN", keys.key("d:c")) == 1
        everything = await recovered(store, "p")
    primary.kill()
    replica.command("REPLICAOF", "NO", "ONE")
    async with opened(replica.url) as store:
        assert await recovered(store, "p") == everything
        assert await store.get("c", ["1"]) == [b"one"]


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_a_replica_that_is_gone_means_unknown(
    primary: RedisServer, replica: RedisServer, how: str
) -> None:
    async with opened(primary.url, wait_replicas=1, timeout_ms=TIMEOUT_MS) as store:
        epoch, records = await journal(store, "p", 3)
        if how == "killed":
            replica.kill()
        else:
            replica.pause()
        records.append(Record(epoch, 4, 4, b"x"))
        for _ in range(2):  # a repetition writes nothing, and is no more acknowledged than the first
            began_s = time.monotonic()
            error = await unavailable(store.append("p", records[-1]))
            assert error.unknown and time.monotonic() - began_s < 4 * TIMEOUT_MS / 1000
        assert (await unavailable(store.take_epoch("q"))).unknown
        assert await recovered(store, "p") == (0, {}, records), "reads go on"
        await unavailable(store.ping())
        if how == "killed":
            await replica.start()
        else:
            replica.resume()
        await until(lambda: appended(store, "p", records[-1]), "the replica is back")
        keys = RedisBackend(replica.url, "lbactors", replica.command)
        assert replica.command("XLEN", keys.period_key("p", "j")) == 4


async def test_a_repetition_is_written_so_that_wait_covers_it(primary: RedisServer) -> None:
    """From Redis 7.2 on, WAIT on a new connection covers nothing until that connection has written."""
    async with opened(primary.url) as store:
        epoch, records = await journal(store, "p", 3)
    async with opened(primary.url) as store:
        await store.ping()
        before = int(primary.info("persistence")["rdb_changes_since_last_save"])
        for record in records:
            await store.append("p", record)
        assert int(primary.info("persistence")["rdb_changes_since_last_save"]) >= before + 3
        assert await recovered(store, "p") == (0, {}, records)
        assert await refusal(store.append("p", Record(epoch, 3, 3, b"another"))) is SeqMismatch


async def test_waiting_for_disks(primary: RedisServer) -> None:
    major, minor = map(int, primary.info("server")["redis_version"].split(".")[:2])
    store = RedisStore(with_options(primary.url, wait_fsync="yes"))
    if (major, minor) >= (7, 2):
        await store.open()
        await journal(store, "p", 3)
        assert await store.cautions() == []
        await store.close()
    else:
        with pytest.raises(StoreError, match=rf"{major}\.{minor}; wait_fsync \(WAITAOF\) needs 7\.2"):
            await store.open()


# Sentinels ----------------------------------------------------------------------------------------------


@pytest.fixture
async def group(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RedisSentinel]:
    group = RedisSentinel(tmp_path_factory.mktemp("sentinel"))
    try:
        await group.start()
        yield group
    finally:
        group.close()
        print(group.tail())  # shown if the test failed


async def check_after_failover(group: RedisSentinel, store: Store, records: list[Record]) -> None:
    """Write on the promoted replica, then look at all of the journal."""
    epoch, last = records[-1].epoch, records[-1].last_seq
    for seq in range(last + 1, last + 21):
        records.append(Record(epoch, seq, seq, b"after the failover"))
        await until(lambda: appended(store, "p", records[-1]), "writes go on")
    keys = RedisBackend(group.url, "lbactors", group.replica.command)
    assert group.replica.command("XLEN", keys.period_key("p", "j")) == last + 20
    assert await recovered(store, "p") == (0, {}, records)
    assert (await store.examine("p")).damage == []
    async with opened(group.url) as another:
        assert await another.last_seq("p") == last + 20
        assert await another.identity() == await store.identity()


async def test_sentinels_name_another_primary(group: RedisSentinel) -> None:
    async with opened(group.url, timeout_ms=TIMEOUT_MS) as store:
        _, records = await journal(store, "p", 20)
        key = RedisBackend(group.url, "lbactors", group.replica.command).period_key("p", "j")
        await until(lambda: group.replica.command("XLEN", key) == 20, "the replica has all")
        group.master.kill()
        await unavailable(store.append("p", Record(1, 21, 21, b"x")))
        await until(lambda: group.replica.info("replication")["role"] == "master", "the failover")
        await check_after_failover(group, store, records)


async def test_a_primary_that_was_replaced_acknowledges_nothing(group: RedisSentinel) -> None:
    """It takes writes until it hears of the other one; waiting for a replica is what keeps the promise."""
    async with opened(group.url, timeout_ms=TIMEOUT_MS, wait_replicas=1) as store:
        epoch, records = await journal(store, "p", 20)
        assert group.sentinel is not None
        group.sentinel.command("SENTINEL", "FAILOVER", MASTER_NAME)
        await until(lambda: group.replica.info("replication")["role"] == "master", "the failover")
        records.append(Record(epoch, 21, 21, b"x"))
        assert (await unavailable(store.append("p", records[-1]))).unknown
        group.master.command("REPLICAOF", "127.0.0.1", group.replica.port)  # the Sentinel would in 10 s
        await until(lambda: appended(store, "p", records[-1]), "writes go on")
        await check_after_failover(group, store, records)


async def test_sentinels_that_cannot_help(group: RedisSentinel) -> None:
    assert group.sentinel is not None
    elsewhere = group.url.replace(f"/{MASTER_NAME}/", "/nothing/")
    error = await unavailable(RedisStore(with_options(elsewhere, timeout_ms=TIMEOUT_MS)).open())
    assert "nothing" in str(error)
    with pytest.raises(StoreError, match=r"is a Sentinel: use redis\+sentinel://"):
        await RedisStore(group.sentinel.url).open()
    group.sentinel.kill()
    error = await unavailable(RedisStore(with_options(group.url, timeout_ms=TIMEOUT_MS)).open())
    assert f"127.0.0.1:{group.sentinel.port}" in str(error) and not error.unknown


# Cluster ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


@pytest.fixture
async def cluster(_cluster: RedisCluster) -> AsyncIterator[RedisCluster]:
    """A cluster whose nodes may be left killed, and whose slots may be moved."""
    await _cluster.start()
    yield _cluster
    print(_cluster.tail())  # shown if the test failed


@pytest.fixture
async def keys(cluster: RedisCluster) -> RedisBackend:
    return RedisBackend(cluster.url, f"nodes{next(_numbers)}", cluster.command)


@pytest.fixture
async def store(keys: RedisBackend) -> AsyncIterator[RedisStore]:
    async with opened(keys.url, timeout_ms=2000) as store:
        yield store


async def test_all_keys_of_a_period_are_on_one_node(cluster: RedisCluster, keys: RedisBackend) -> None:
    async with opened(keys.url) as store:
        names = [f"period {number}" for number in range(12)] + ["{a}b", "}{", "%7B", "{}", "ß☃"]
        epochs = {name: (await journal(store, name, 3))[0] for name in names}
        for name, epoch in epochs.items():
            await store.put_parts(name, epoch, 3, {"a": b"a", "b": b"b"})
            await store.commit_snapshot(name, epoch, 3, {"a": 3})
            await store.put_parts(name, epoch, 4, {"b": b"b"})
            await store.append(name, Record(epoch, 4, 4, b"x"))
        owner = await store.take_ownership("owner")
        changes = [Change(collection, "1", b"x") for collection in ("tenants", "keys", "a}b{c")]
        await store.commit(changes, owner="owner", epoch=owner)
        await store.claim("holder", "a test", 60)
        assert await store.list_periods() == sorted(names)
        assert await store.strays() == []
    slots: dict[str, set[int]] = {}
    for node in cluster.nodes:
        for key in node.command("KEYS", f"{{{keys.prefix}*"):
            group = key.decode().rpartition("}")[0] if b":p:" in key else "the rest"
            slots.setdefault(group, set()).add(cluster.nodes[0].command("CLUSTER", "KEYSLOT", key))
    assert len(slots) == len(names) + 1
    assert all(len(of_group) == 1 for of_group in slots.values()), slots
    assert len({min(of_group) for of_group in slots.values()}) > 3, "periods are spread"


async def test_a_period_moves_to_another_node(
    cluster: RedisCluster, keys: RedisBackend, store: RedisStore
) -> None:
    epoch, records = await journal(store, "p", 50)
    moved = 0

    async def write() -> None:
        while moved < 2 or len(records) < 200:
            records.append(Record(epoch, len(records) + 1, len(records) + 1, b"x" * 500))
            await until(lambda: appended(store, "p", records[-1]), "writes go on")

    writer = asyncio.create_task(write())
    key = keys.period_key("p", "h")
    for _ in range(2):
        source = cluster.node_of(key)
        target = cluster.nodes[(cluster.nodes.index(source) + 1) % 3]
        await asyncio.to_thread(_move_slot, cluster, source, target, key)
        moved += 1
        assert cluster.node_of(key) is target
    await writer
    assert await recovered(store, "p") == (0, {}, records)
    assert (await store.examine("p")).damage == []
    assert await store.take_epoch("p") == epoch + 1


def _move_slot(cluster: RedisCluster, source: RedisServer, target: RedisServer, key: str) -> None:
    """Move a key's slot as the documentation of CLUSTER SETSLOT says."""
    slot = source.command("CLUSTER", "KEYSLOT", key)
    ids = {server: server.cli("CLUSTER", "MYID") for server in (source, target)}
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    while some := source.command("CLUSTER", "GETKEYSINSLOT", slot, 1):  # one by one: keys are on both
        source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *some)
    for server in (target, source, *cluster.nodes):
        server.command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])


async def test_a_node_of_a_cluster_is_killed(
    cluster: RedisCluster, store: RedisStore, keys: RedisBackend
) -> None:
    names = [f"period {number}" for number in range(8)]
    records = {name: (await journal(store, name, 3))[1] for name in names}
    victim = cluster.node_of(keys.period_key(names[0], "h"))
    others = [name for name in names if cluster.node_of(keys.period_key(name, "h")) is not victim]
    assert 0 < len(others) < len(names)
    victim.kill()
    appends = {name: Record(1, 4, 4, b"x") for name in names}
    outcomes = await asyncio.gather(*(refusal(store.append(name, appends[name])) for name in names))
    assert all(
        outcome is (None if name in others else StoreUnavailable)
        for name, outcome in zip(names, outcomes, strict=True)
    ), "until the cluster stops as a whole, the other nodes serve theirs"
    await cluster.start()
    for name in names:
        await until(partial(appended, store, name, appends[name]), "writes go on")
        assert await recovered(store, name) == (0, {}, [*records[name], appends[name]])


async def test_a_whole_cluster_is_killed(cluster: RedisCluster, store: RedisStore) -> None:
    records = (await journal(store, "p", 3))[1]
    for node in cluster.nodes:
        node.kill()
    records.append(Record(1, 4, 4, b"x"))
    await unavailable(store.append("p", records[-1]))
    calls = [store.append("p", records[-1]), store.take_epoch("q"), store.ping(), store.last_seq("p")]
    assert [await refusal(call) for call in calls] == [StoreUnavailable] * 4
    assert not (await unavailable(store.append("p", records[-1]))).unknown
    await cluster.start()
    await until(lambda: appended(store, "p", records[-1]), "writes go on")
    assert await recovered(store, "p") == (0, {}, records)


async def test_a_cluster_needs_its_own_scheme(cluster: RedisCluster, shared_redis: RedisServer) -> None:
    with pytest.raises(StoreError, match=r"is a node of a Redis Cluster: use redis\+cluster://"):
        await RedisStore(cluster.nodes[0].url).open()
    single = f"redis+cluster://127.0.0.1:{shared_redis.port}/"
    with pytest.raises(StoreError, match="is no Redis Cluster: use redis://"):
        await RedisStore(with_options(single, timeout_ms=TIMEOUT_MS)).open()


async def test_any_node_of_a_cluster_will_do(cluster: RedisCluster, keys: RedisBackend) -> None:
    async with opened(keys.url) as store:
        await journal(store, "p", 3)
        identity = await store.identity()
    for node in cluster.nodes:
        url = f"redis+cluster://127.0.0.1:1,127.0.0.1:{node.port}/?prefix={keys.prefix}"
        async with opened(url) as store:
            assert (await store.identity(), await store.last_seq("p")) == (identity, 3)
