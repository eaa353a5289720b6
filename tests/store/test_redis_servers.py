"""The Redis backend on servers that are full, read-only, unsafe, emptied, or older than they were."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from persistence.redis.store import RedisStore
from persistence.store import (
    Change,
    Fenced,
    Record,
    Store,
    StoreCorrupt,
    StoreError,
    StoreLoading,
    StoreTooNew,
    StoreUnavailable,
    StoreWentBack,
)
from tests.support.redis_server import MakeRedis, RedisServer, until
from tests.support.store.contract import journal, recovered, refusal
from tests.support.store.redis_backend import RedisBackend, opened, unavailable, with_options

BIG = bytes(20_000)


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    asyncio.run(server.start())
    yield server
    server.close()


@pytest.fixture
def server(_server: RedisServer) -> RedisServer:
    """A server whose data and settings a test may change."""
    _server.command("REPLICAOF", "NO", "ONE")
    for setting in ("maxmemory 0", "maxmemory-policy noeviction", "save ", "appendfsync always"):
        _server.command("CONFIG", "SET", *setting.split(" "))
    _server.command("FLUSHALL")
    return _server


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    async with opened(server.url) as store:
        yield store


# Full ---------------------------------------------------------------------------------------------------


async def fill(server: RedisServer, store: Store, period_id: str, epoch: int) -> int:
    """Append until Redis refuses; the last seq."""
    used_bytes = int(server.info("memory")["used_memory"])
    server.command("CONFIG", "SET", "maxmemory", used_bytes + 500_000)
    seq = await store.last_seq(period_id)
    while True:
        try:
            await store.append(period_id, Record(epoch, seq + 1, seq + 1, BIG))
        except StoreUnavailable:
            return seq
        seq += 1


async def test_full(server: RedisServer, store: RedisStore) -> None:
    epoch, _ = await journal(store, "p", 5)
    owner = await store.take_ownership("owner")
    await store.commit([Change("c", "1", b"one"), Change("c", "2", b"two")], owner="owner", epoch=owner)
    last = await fill(server, store, "p", epoch)
    assert last > 10
    refused = [
        store.append("p", Record(epoch, last + 1, last + 1, BIG)),
        store.put_parts("p", epoch, last, {"a": BIG}),
        store.commit([Change("c", "3", BIG)], owner="owner", epoch=owner),
        store.ping(),
    ]
    for call in refused:
        error = await unavailable(call)
        assert not error.unknown and "OOM" in str(error) and "\n" not in str(error)
    assert await refusal(store.append("p", Record(epoch + 1, 1, 1, b"x"))) in (Fenced, StoreUnavailable)

    seq, parts, records = await recovered(store, "p")
    assert (seq, parts, len(records)) == (0, {}, last), "reads go on"
    assert await store.scan("c") == [("1", b"one"), ("2", b"two")]
    assert await store.take_epoch("p") == epoch + 1, "a successor can take over, and serve reads"
    assert await store.take_ownership("owner") == owner + 1

    server.command("CONFIG", "SET", "maxmemory", 0)
    await store.append("p", Record(epoch + 1, last + 1, last + 1, BIG))
    await store.commit([Change("c", "3", BIG)], owner="owner", epoch=owner + 1)
    assert await store.last_seq("p") == last + 1
    assert (await store.examine("p")).damage == []


async def test_a_full_server_gets_room_again_by_dropping(server: RedisServer, store: RedisStore) -> None:
    await journal(store, "small", 1)
    epoch, _ = await journal(store, "old", 3)
    last = await fill(server, store, "old", epoch)
    assert last > 10
    await store.drop_periods(["old"])
    await until(lambda: _works(store), "there is room again")
    await journal(store, "small", 1)
    assert await store.list_periods() == ["small"]
    assert await store.last_seq("small") == 2


async def _works(store: Store) -> bool:
    return await refusal(store.ping()) is None


async def test_a_full_server_gets_room_again_by_a_repair(server: RedisServer, store: RedisStore) -> None:
    epoch, records = await journal(store, "p", 3)
    await fill(server, store, "p", epoch)
    await store.cut("p", epoch, 3)
    await until(lambda: _works(store), "there is room again")
    records.append(Record(epoch, 4, 4, b"x"))
    await store.append("p", records[-1])
    assert await recovered(store, "p") == (0, {}, records)


# Writes refused -------------------------------------------------------------------------------------------


async def test_a_replica_is_no_store(server: RedisServer, store: RedisStore, make_redis: MakeRedis) -> None:
    await journal(store, "p", 1)
    replica = make_redis(replica_of=server)
    await replica.start()
    with pytest.raises(StoreError, match="read-only replica"):
        await RedisStore(replica.url).open()


async def test_a_store_that_becomes_a_replica(
    server: RedisServer, store: RedisStore, make_redis: MakeRedis
) -> None:
    epoch, records = await journal(store, "p", 2)
    copy = make_redis(replica_of=server)
    await copy.start()
    copy.command("REPLICAOF", "NO", "ONE")
    server.command("REPLICAOF", "127.0.0.1", copy.port)
    record = Record(epoch, 3, 3, b"x")
    for _ in range(3):
        error = await unavailable(store.append("p", record))
        assert not error.unknown and "READONLY" in str(error)
    await unavailable(store.ping())
    await unavailable(store.take_epoch("p"))
    server.command("REPLICAOF", "NO", "ONE")
    await until(lambda: _works(store), "it is a primary again")
    await store.append("p", record)
    assert await recovered(store, "p") == (0, {}, [*records, record])


async def test_a_server_that_cannot_save(server: RedisServer, store: RedisStore) -> None:
    epoch, records = await journal(store, "p", 2)
    in_the_way = server.folder / "dump.rdb"
    in_the_way.mkdir()
    try:
        server.command("CONFIG", "SET", "save", "3600 1")
        server.command("BGSAVE")
        await until(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "err", "it failed")
        error = await unavailable(store.append("p", Record(epoch, 3, 3, b"x")))
        assert not error.unknown and "MISCONF" in str(error)
        assert await recovered(store, "p") == (0, {}, records)
    finally:
        in_the_way.rmdir()
    server.command("BGSAVE")
    await until(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "ok", "it saved")
    await store.append("p", Record(epoch, 3, 3, b"x"))


@contextlib.contextmanager
def disk_with_room(server: RedisServer, room_bytes: int) -> Iterator[None]:
    """Let the append-only file grow by no more than that."""
    size_bytes = max(path.stat().st_size for path in (server.folder / "appendonlydir").iterdir())
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size_bytes + room_bytes, hard))
    yield
    if server.runs:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))


async def append_until_refused(store: Store, period_id: str, epoch: int) -> tuple[int, StoreUnavailable]:
    """The last seq that was acknowledged, and how the next one ended."""
    for seq in itertools.count(await store.last_seq(period_id) + 1):
        try:
            await store.append(period_id, Record(epoch, seq, seq, BIG))
        except StoreUnavailable as error:
            return seq - 1, error
    raise AssertionError


async def test_a_full_disk_that_every_write_waits_for(make_redis: MakeRedis) -> None:
    """With `appendfsync always` Redis ends itself rather than answer what it could not write."""
    server = make_redis()
    await server.start()
    async with opened(server.url) as store:
        epoch = await store.take_epoch("p")
        with disk_with_room(server, 300_000):
            last, error = await append_until_refused(store, "p", epoch)
            assert last > 5 and error.unknown
            server.kill()
        await server.start()
        await until(lambda: _works(store), "it writes again")
        _, _, records = await recovered(store, "p")
        assert len(records) in (last, last + 1)
        await store.append("p", Record(epoch, last + 1, last + 1, BIG))
        assert await store.last_seq("p") == last + 1


async def test_a_full_disk_that_no_write_waits_for(make_redis: MakeRedis) -> None:
    server = make_redis("appendfsync everysec")
    await server.start()
    async with opened(server.url) as store:
        epoch = await store.take_epoch("p")
        with disk_with_room(server, 300_000):
            last, error = await append_until_refused(store, "p", epoch)
            assert last > 5 and not error.unknown and "MISCONF" in str(error)
            assert len((await recovered(store, "p"))[2]) == last, "reads go on"
            await unavailable(store.ping())
        await until(lambda: _works(store), "there is room again, and Redis tries again by itself")
        await store.append("p", Record(epoch, last + 1, last + 1, BIG))
        server.kill()
        await server.start()
        await until(lambda: _works(store), "the same store object works again")
        assert await store.last_seq("p") == last + 1
        assert (await store.examine("p")).damage == []


async def test_a_server_that_is_loading(make_redis: MakeRedis) -> None:
    server = make_redis("key-load-delay 4000", "loading-process-events-interval-bytes 1024")
    await server.start()
    async with opened(server.url) as store:
        for number in range(100):  # two keys each, 4 ms each to load
            epoch, records = await journal(store, f"p{number}", 3)
        server.command("BGREWRITEAOF")
        await until(lambda: server.info("persistence")["aof_base_size"] != "0", "there is one")
        await until(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "it is compact")
        server.kill()
        said: dict[str, list[StoreUnavailable]] = {"open": [], "ping": [], "append": []}

        async def works(name: str, call: Callable[[], Awaitable[object]]) -> bool:
            try:
                await call()
            except StoreUnavailable as error:
                assert not error.unknown
                said[name].append(error)
                return False
            return True

        another = RedisStore(server.url)
        records.append(Record(epoch, 4, 4, b"x"))
        await unavailable(store.ping())  # from now on the event loop knows that the connections are gone
        await unavailable(store.append("p99", records[-1]))
        await asyncio.gather(
            server.start(),
            until(partial(works, "open", another.open), "it has loaded"),
            until(partial(works, "ping", store.ping), "it has loaded"),
            until(partial(works, "append", lambda: store.append("p99", records[-1])), "it has loaded"),
        )
        for errors in said.values():
            loading = [error for error in errors if "loading" in str(error)]
            assert loading and all(isinstance(error, StoreLoading) for error in loading), said
        assert await recovered(another, "p99") == (0, {}, records)
        await another.close()


async def test_a_server_with_too_many_clients(server: RedisServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as operator:

        def allow(clients: int) -> None:
            operator.sendall(b"CONFIG SET maxclients %d\r\n" % clients)
            assert operator.recv(100) == b"+OK\r\n"

        try:
            allow(1)
            for _ in range(3):
                assert not (await unavailable(RedisStore(server.url).open())).unknown
        finally:
            allow(10_000)
    async with opened(server.url) as store:
        await store.ping()


# What is said at the start --------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
async def test_a_server_that_deletes_what_it_likes_is_refused(server: RedisServer, policy: str) -> None:
    server.command("CONFIG", "SET", "maxmemory", 100_000_000)
    server.command("CONFIG", "SET", "maxmemory-policy", policy)
    with pytest.raises(StoreError, match=f"maxmemory-policy {policy}.*noeviction"):
        await RedisStore(server.url).open()
    assert server.command("DBSIZE") == 0, "nothing was made there"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("appendfsync everysec", ["appendfsync everysec", "power loss", "one or two seconds"]),
        ("appendfsync no", ["appendfsync no", "power loss"]),
        ("maxmemory-policy volatile-ttl", ["maxmemory-policy volatile-ttl", "noeviction"]),
    ],
)
async def test_settings_that_call_for_caution(server: RedisServer, setting: str, words: list[str]) -> None:
    async with opened(server.url) as store:
        assert await store.cautions() == []
        server.command("CONFIG", "SET", *setting.split())
        (caution,) = await store.cautions()
    assert all(word in caution for word in words), caution


async def test_a_server_that_keeps_nothing_calls_for_caution(make_redis: MakeRedis) -> None:
    server = make_redis("appendonly no")
    await server.start()
    async with opened(server.url) as store:
        (nothing,) = await store.cautions()
        server.command("CONFIG", "SET", "save", "60 1")
        (little,) = await store.cautions()
        epoch = await store.take_epoch("p")
        await store.append("p", Record(epoch, 1, 1, b"x"))
        server.command("CONFIG", "SET", "save", "")
        identity = await store.identity()
        server.kill()
        await server.start()
        append = store.append("p", Record(epoch, 2, 2, b"x"))
        assert await refusal(append) in (StoreWentBack, Fenced), "what the caution said has happened"
    assert "nothing on disk" in nothing and "every score is lost" in nothing
    assert "RDB" in little and "nothing on disk" not in little
    async with opened(server.url) as store:
        assert await store.identity() != identity


# Gone back --------------------------------------------------------------------------------------------------


async def test_emptied_while_in_use(server: RedisServer, store: RedisStore) -> None:
    epoch, _ = await journal(store, "p", 3)
    owner = await store.take_ownership("owner")
    identity = await store.identity()
    server.command("FLUSHALL")
    with pytest.raises((Fenced, StoreWentBack)) as raised:
        await store.append("p", Record(epoch, 4, 4, b"x"))
    assert getattr(raised.value, "highest", 0) == 0
    late = [
        store.append("p", Record(epoch, 1, 1, b"x")),
        store.put_parts("p", epoch, 3, {"a": b"a"}),
        store.commit_snapshot("p", epoch, 3, {}),
        store.commit([Change("c", "1", b"x")], owner="owner", epoch=owner),
        anext(aiter(store.records_after("p", 3))),
    ]
    for call in late:
        assert await refusal(call) in (Fenced, StoreWentBack)
    with pytest.raises(StoreWentBack, match="emptied or replaced"):
        await store.ping()
    await asyncio.sleep(0)
    server.command("CLIENT", "KILL", "TYPE", "normal")
    for _ in range(3):
        assert isinstance(await _error(store.last_seq("p")), StoreError), "on a new connection, too"
    assert server.command("DBSIZE") in (0, 1), "nothing was begun anew (beside the probe)"
    async with opened(server.url) as another:
        assert await another.identity() != identity
        with pytest.raises(StoreWentBack):
            await store.ping()


async def _error(call: object) -> BaseException | None:
    (result,) = await asyncio.gather(call, return_exceptions=True)  # type: ignore[call-overload]
    return result if isinstance(result, BaseException) else None


async def test_an_epoch_is_not_begun_anew_in_an_emptied_store(server: RedisServer, store: RedisStore) -> None:
    await journal(store, "p", 3)
    await store.take_ownership("owner")
    server.command("FLUSHALL")
    assert await refusal(store.take_epoch("p")) is StoreWentBack
    assert await refusal(store.take_ownership("owner")) is StoreWentBack


async def test_an_older_copy_put_back(make_redis: MakeRedis, tmp_path: Path) -> None:
    server = make_redis()
    await server.start()
    url = with_options(server.url, timeout_ms=1000)
    async with opened(url) as store:
        epochs = {name: (await journal(store, name, 3))[0] for name in ("lost records", "lost epoch")}
        owner = await store.take_ownership("owner")
        identity = await store.identity()
        server.stop()
        shutil.copytree(server.folder / "appendonlydir", tmp_path / "copy")
        await server.start()
        await until(lambda: _works(store), "the same store object works again")
        for seq in (4, 5):
            await store.append("lost records", Record(epochs["lost records"], seq, seq, b"x"))
        epochs["lost epoch"] = await store.take_epoch("lost epoch")
        owner = await store.take_ownership("owner")
        server.kill()
        shutil.rmtree(server.folder / "appendonlydir")
        shutil.copytree(tmp_path / "copy", server.folder / "appendonlydir")
        await server.start()
        await until(lambda: _works(store), "it is the same store, only older")
        assert await store.identity() == identity

        with pytest.raises(Fenced) as raised:
            await store.append("lost epoch", Record(epochs["lost epoch"], 4, 4, b"x"))
        assert (raised.value.highest, epochs["lost epoch"]) == (1, 2)
        with pytest.raises(Fenced) as raised:
            await store.commit([], owner="owner", epoch=owner)
        assert raised.value.highest == owner - 1
        refused = await refusal(store.append("lost records", Record(1, 6, 6, b"x")))
        assert refused is not None and refused.__name__ == "SeqMismatch"
        with pytest.raises(StoreWentBack, match="'lost records'"):
            await anext(aiter(store.records_after("lost records", 5)))


# Foreign data ----------------------------------------------------------------------------------------------


async def test_foreign_data_under_the_prefix(server: RedisServer) -> None:
    keys = RedisBackend(server.url, "lbactors", server.command)
    server.command("SET", keys.key("store"), "of another program")
    with pytest.raises(StoreCorrupt, match=r"\{lbactors\}:store"):
        await RedisStore(server.url).open()
    server.command("DEL", keys.key("store"))
    server.command("HSET", keys.key("owners"), "supervisor", 7)
    with pytest.raises(StoreCorrupt, match=r"\{lbactors\}:store is missing"):
        await RedisStore(server.url).open()
    assert server.command("DBSIZE") == 1, "nothing was made there"
    server.command("HSET", keys.key("store"), "format", 4, "id", "x")
    with pytest.raises(StoreTooNew, match="format 4"):
        await RedisStore(server.url).open()
    server.command("HSET", keys.key("store"), "format", 1)
    store = RedisStore(server.url)
    await store.open()
    assert server.command("HGET", keys.key("store"), "format") == b"1", "who only looks leaves it as it is"
    await store.take_ownership("supervisor")
    await store.close()
    assert server.command("HGET", keys.key("store"), "format") == b"3"
    server.command("HSET", keys.key("store"), "format", "x")
    with pytest.raises((StoreTooNew, StoreCorrupt), match="format"):
        await RedisStore(server.url).open()


@pytest.mark.parametrize("kind", ["h", "j", "p", "s"])
async def test_a_key_of_another_type(server: RedisServer, store: RedisStore, kind: str) -> None:
    keys = RedisBackend(server.url, "lbactors", server.command)
    epoch, _ = await journal(store, "q", 1)
    epoch, _ = await journal(store, "p", 2)
    await store.put_parts("p", epoch, 2, {"a": b"a"})
    await store.commit_snapshot("p", epoch, 2, {"a": 2})
    clashing = keys.period_key("p", kind)
    server.command("DEL", clashing)
    server.command("SET", clashing, "of another program")
    touches = {"h": "append", "j": "append", "p": "put_parts", "s": "put_parts"}[kind]
    for _ in range(2):
        call = (
            store.append("p", Record(epoch, 3, 3, b"x"))
            if touches == "append"
            else store.put_parts("p", epoch, 2, {"b": b"b"})
        )
        with pytest.raises(StoreCorrupt, match=r"WRONGTYPE|wrong kind"):
            await call
    assert server.command("GET", clashing) == b"of another program"
    await store.append("q", Record(1, 2, 2, b"x"))
