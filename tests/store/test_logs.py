"""Logs beyond the contract: killed writers, what a rewritten record leaves, trims in steps, old files."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import persistence
from persistence import open_store
from persistence.data_dir import DATABASE_NAME
from persistence.redis import store as redis_store
from persistence.redis.store import RedisStore
from persistence.sqlite import operations
from persistence.sqlite.store import SqliteStore
from persistence.store import Record, Store
from tests.support.redis_server import RedisServer
from tests.support.rounds import long, rounds
from tests.support.store.child import check_child_log
from tests.support.store.contract import journal, recovered
from tests.support.store.processes import Child
from tests.support.store.redis_backend import RedisBackend, with_options


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = open_store(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def all_records(store: Store, period_id: str) -> list[Record]:
    """A log, read in pages."""
    found: list[Record] = []
    while page := await store.records(period_id, found[-1].last_seq if found else 0, 50):
        found += page
    return found


# Killed writers -----------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'data'}"
    return with_options(request.getfixturevalue("shared_redis").url, prefix="killed-logs")


@long
async def test_nothing_acknowledged_is_lost_at_kill_of_a_writer(url: str) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    acknowledged = trimmed = 0
    for round_number in range(1, rounds(4, 20)):
        with Child("log", url, "p") as child:
            assert child.line() == ["epoch", str(round_number)]
            for _ in range(chance.randrange(5, 90)):
                acknowledged = int(child.line()[1])
            child.kill()
            acknowledged = max([acknowledged, *(int(line[1]) for line in child.lines()[:-1])])
        async with opened(url) as store:
            first, last = await store.first_seq("p"), await store.last_seq("p")
            assert acknowledged <= last
            records = await all_records(store, "p")
            check_child_log(first, last, records)
            assert await store.records_before("p", last + 1, 10_000) == records[::-1][:10_000]
            seq, _, after = await recovered(store, "p")
            assert after == [record for record in records if record.last_seq > seq]
            examined = await store.examine("p")
            assert (examined.damage, examined.kept) == ([], len(records) - len(after))
            assert await store.strays() == []
            trimmed = first
    assert trimmed > 1 and acknowledged > 40


# What is left of a body ---------------------------------------------------------------------------------


@pytest.fixture
def redis(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of its own, whose dumps show bytes as they are; settings as the test's parameter says."""
    options = getattr(request, "param", ())
    server = RedisServer(tmp_path / "redis", "rdbcompression no", *options)
    asyncio.run(server.start())
    yield server
    server.close()


def bytes_in_redis(server: RedisServer) -> bytes:
    """All that an RDB file or the next append-only file would hold."""
    return b"".join(server.command("DUMP", key) for key in server.command("KEYS", "*"))


def bytes_on_disk(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def log_with_secrets(store: Store, sizes: list[int]) -> tuple[int, list[Record], list[bytes]]:
    """A log of records, each with a secret in its body; epoch, records, secrets."""
    epoch = await store.take_epoch("p")
    marks = [secrets.token_hex(12).encode() for _ in sizes]
    records = [
        Record(epoch, seq, seq, mark + b"." * size)
        for seq, (mark, size) in enumerate(zip(marks, sizes, strict=True), 1)
    ]
    await asyncio.gather(*(store.append("p", record) for record in records))
    await store.commit_snapshot("p", epoch, len(records) - 5, {}, keep_journal=True)
    return epoch, records, marks


async def forget(store: Store, epoch: int, records: list[Record], chosen: list[int]) -> None:
    await store.rewrite("p", epoch, [records[n]._replace(body=b"forgotten") for n in chosen])
    assert await store.scrub()
    expected = [r._replace(body=b"forgotten") if n in chosen else r for n, r in enumerate(records)]
    assert await all_records(store, "p") == expected


SIZES = {
    "small": [30] * 400,
    "large": [20_000] * 40,
    "mixed": [(n * 977) % 5000 for n in range(150)],
}


def some(count: int) -> list[int]:
    return [0, 1, count // 3, count // 2, count // 2 + 1, count - 3, count - 1]


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize(
    "redis",
    [
        (),
        ("stream-node-max-bytes 20000", "stream-node-max-entries 300"),
        ("stream-node-max-entries 0",),
        ("rename-command CONFIG ''",),
    ],
    ids=["defaults", "large nodes", "no limit of entries", "no CONFIG"],
    indirect=True,
)
async def test_a_rewritten_body_leaves_nothing_in_redis(redis: RedisServer, kind: str) -> None:
    async with opened(redis.url) as store:
        epoch, records, marks = await log_with_secrets(store, SIZES[kind])
        chosen = some(len(records))
        before = bytes_in_redis(redis)
        assert all(mark in before for mark in marks)
        await forget(store, epoch, records, chosen)
        left = bytes_in_redis(redis)
        assert [n for n, mark in enumerate(marks) if mark not in left] == chosen
        await store.append("p", Record(epoch, len(records) + 1, len(records) + 1, b"next"))
        await forget(
            store, epoch, [*records, Record(epoch, len(records) + 1, len(records) + 1, b"next")], chosen
        )


@pytest.mark.parametrize("kind", SIZES)
async def test_a_rewritten_body_leaves_nothing_in_sqlite(tmp_path: Path, kind: str) -> None:
    async with opened(f"sqlite:{tmp_path}") as store:
        epoch, records, marks = await log_with_secrets(store, SIZES[kind])
        chosen = some(len(records))
        await forget(store, epoch, records, chosen)
        left = bytes_on_disk(tmp_path)
        assert [n for n, mark in enumerate(marks) if mark not in left] == chosen


async def test_a_trimmed_log_leaves_nothing(tmp_path: Path, redis: RedisServer) -> None:
    for url in (f"sqlite:{tmp_path / 'data'}", redis.url):
        async with opened(url) as store:
            epoch, records, marks = await log_with_secrets(store, [200] * 300)
            await store.rewrite("p", epoch, [records[7]._replace(body=b"new")])
            await store.commit_snapshot("p", epoch, 300, {}, keep_journal=True)
            await store.trim("p", epoch, 300)
            assert await store.scrub()
            held = bytes_in_redis(redis) if url == redis.url else bytes_on_disk(tmp_path / "data")
            assert [mark for mark in marks if mark in held] == []


# Trims in steps -----------------------------------------------------------------------------------------


async def test_sqlite_trims_little_by_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "COLLECT_RECORDS", 8)  # so that there is time to look
    store = SqliteStore(tmp_path)
    await store.open()
    epoch, records = await journal(store, "p", 1500)
    await store.commit_snapshot("p", epoch, 1500, {}, keep_journal=True)
    await store.trim("p", epoch, 1400)
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as conn:
        ((left,),) = conn.execute("SELECT count(*) FROM journal").fetchall()
    assert left > 200, "not all at once"
    assert await store.records("p", 0, 1000) == records[1400:]
    assert await store.records_before("p", 1500, 1000) == records[1400:-1][::-1]
    assert (await store.examine("p")).kept == 100
    await store.close()
    again = SqliteStore(tmp_path)  # goes on where the other one ended
    await again.open()
    async with asyncio.timeout(60):
        while left != 100:
            await again.ping()
            with contextlib.closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as conn:
                ((left,),) = conn.execute("SELECT count(*) FROM journal").fetchall()
    assert await again.records("p", 0, 1000) == records[1400:]
    await again.close()


async def test_redis_trims_in_steps(shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is missed is made up for; nobody sees what is still there."""
    monkeypatch.setattr(redis_store, "TRIM_RECORDS", 100)
    backend = RedisBackend(shared_redis.url, "steps", shared_redis.command)
    store = RedisStore(backend.url)
    await store.open()
    epoch, records = await journal(store, "p", 1500)
    await store.commit_snapshot("p", epoch, 1500, {}, keep_journal=True)
    await store.rewrite("p", epoch, [record._replace(body=b"new") for record in records[200:500]])
    left: list[int] = []
    script = store._script

    async def one_by_one(kind: str, operation: str, *words: Any, **named: Any) -> Any:
        if operation == "collect":
            left.append(len((await backend.stored("p"))[1]))
            assert await store.first_seq("p") == 1401
            assert await store.records("p", 0, 1000) == records[1400:]
            assert (await store.examine("p")).damage == []
        return await script(kind, operation, *words, **named)

    monkeypatch.setattr(store, "_script", one_by_one)
    await store.trim("p", epoch, 1400)
    assert len(left) > 10 and left == sorted(left, reverse=True)
    assert max(one - other for one, other in itertools.pairwise(left)) <= 200
    assert (await backend.stored("p"))[1] == list(range(1401, 1501))
    await store.close()


# Files of before ----------------------------------------------------------------------------------------


def made_by_format_2(directory: Path) -> None:
    """Let a data directory be as the version before left it."""
    with contextlib.closing(sqlite3.connect(directory / DATABASE_NAME, isolation_level=None)) as conn:
        conn.execute("DROP TABLE kept")
        conn.execute("PRAGMA user_version = 2")


async def test_a_file_of_format_2_becomes_one_of_format_3(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with opened(f"sqlite:{data}") as store:
        epoch, records = await journal(store, "p", 5)
        await store.commit_snapshot("p", epoch, 3, {})
    made_by_format_2(data)
    file = tmp_path / "backup"
    copied(data / DATABASE_NAME, file)
    old = persistence.open_backup(file)
    await old.open()
    assert await old.records("p", 0, 10) == records[3:]
    assert (await old.examine("p")).damage == []
    assert await old.strays() == []
    await old.close()
    async with opened(f"sqlite:{data}") as store:
        assert await store.records("p", 0, 10) == records[3:]
        assert user_version(data) == 2, "who only looks leaves it to the version before"
        await store.take_ownership("supervisor")
        assert user_version(data) == 3
        await store.commit_snapshot("p", epoch, 5, {}, keep_journal=True)
        assert await store.records("p", 0, 10) == records[3:]
        assert await store.first_seq("p") == 4


def copied(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def user_version(directory: Path) -> int:
    with contextlib.closing(sqlite3.connect(directory / DATABASE_NAME)) as conn:
        ((version,),) = conn.execute("PRAGMA user_version").fetchall()
    return int(version)


async def test_a_period_of_format_2_in_redis(shared_redis: RedisServer) -> None:
    """Its head has no `t`: nothing is kept that its snapshot covers."""
    backend = RedisBackend(shared_redis.url, "format-2", shared_redis.command)
    async with opened(backend.url) as store:
        epoch, records = await journal(store, "p", 9)
        await store.commit_snapshot("p", epoch, 3, {})
        shared_redis.command("HDEL", backend.period_key("p", "h"), "t")
        assert await store.first_seq("p") == 4
        assert await store.records("p", 0, 10) == records[3:]
        assert (await store.examine("p")).damage == []
        await store.commit_snapshot("p", epoch, 6, {}, keep_journal=True)
        assert await store.first_seq("p") == 4
        assert await store.records("p", 0, 10) == records[3:]
