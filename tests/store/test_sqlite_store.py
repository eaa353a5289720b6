"""What is special to SQLite: processes, groups, a full disk, foreign files, garbage, the write-ahead log."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import random
import sqlite3
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from persistence import open_store
from persistence.data_dir import DATABASE_NAME, WRITE_LOCK
from persistence.sqlite import operations
from persistence.sqlite import store as sqlite_store
from persistence.sqlite.store import SqliteStore
from persistence.store import (
    Change,
    Fenced,
    Part,
    Record,
    Recovered,
    SeqMismatch,
    StoreCorrupt,
    StoreError,
    StoreTooNew,
    StoreUnavailable,
)
from tests.support.store.child import body_of
from tests.support.store.contract import journal, recovered, refusal
from tests.support.store.processes import Child


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    yield store
    await store.close()


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(directory)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextlib.contextmanager
def writers_wait(directory: Path) -> Iterator[None]:
    """Hold the writers' queue, as another process in a long transaction would."""
    with (directory / WRITE_LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sql(directory: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(directory / DATABASE_NAME, isolation_level=None)) as conn:
        return conn.execute(statement).fetchall()


def rows(directory: Path) -> tuple[int, int]:
    """How many parts and records take up room."""
    ((parts, records),) = sql(
        directory, "SELECT (SELECT count(*) FROM parts), (SELECT count(*) FROM journal)"
    )
    return parts, records


def check_child_records(seq: int, parts: dict[str, bytes], records: list[Record]) -> int:
    """Snapshot and journal are what `child.py append` wrote; the last seq."""
    assert parts == ({"low": body_of(seq), "high": b"x" * seq} if seq else {})
    for record in records:
        assert record[1:] == (seq + 1, seq + 1, body_of(seq + 1))
        seq += 1
    return seq


# Processes ----------------------------------------------------------------------------------------------


async def test_nothing_acknowledged_is_lost_at_kill(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    acknowledged = dict.fromkeys(["p", "q"], 0)
    for round_number in range(1, 6):
        with Child("append", tmp_path, "p") as first, Child("append", tmp_path, "q") as second:
            children = {"p": first, "q": second}
            for child in children.values():
                assert child.line() == ["epoch", str(round_number)]
            for _ in range(chance.randrange(400)):
                name = chance.choice("pq")
                acknowledged[name] = int(children[name].line()[1])
            for child in children.values():
                child.kill()
            for name, child in children.items():
                # What was said before the kill; the last line may be cut.
                acknowledged[name] = max([acknowledged[name], *(int(line[1]) for line in child.lines()[:-1])])
        async with opened(tmp_path) as store:
            for name, acked in acknowledged.items():
                last_seq = check_child_records(*await recovered(store, name))
                assert acked <= last_seq == await store.last_seq(name)
    assert sql(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert min(acknowledged.values()) > 10


async def test_a_successor_fences_another_process(store: SqliteStore) -> None:
    with Child("append", store.directory, "p") as child:
        assert child.line() == ["epoch", "1"]
        for _ in range(60):
            assert child.line()[0] == "ack"
        epoch = await store.take_epoch("p")
        last_seq = await store.last_seq("p")
        lines = child.lines()
    assert (epoch, lines[-1]) == (2, ["fenced"])
    assert all(int(line[1]) <= last_seq for line in lines[:-1]), "nothing was acknowledged after the fence"
    await store.append("p", Record(epoch, last_seq + 1, last_seq + 1, body_of(last_seq + 1)))
    assert check_child_records(*await recovered(store, "p")) == last_seq + 1


async def test_full_disk_in_a_process(tmp_path: Path) -> None:
    with Child("full", tmp_path) as child:
        lines = child.lines()
    acknowledged = [int(seq) for word, seq, *_ in lines if word == "ack"]
    refused = [rest for word, _, *rest in lines if word == "refused"]
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    assert len(acknowledged) + len(refused) == 180 and lines[-1][0] == "ack"
    assert len(refused) > 20 and refused == [["unchanged"]] * len(refused)
    async with opened(tmp_path) as store:
        assert await store.last_seq("p") == len(acknowledged)


# Groups -------------------------------------------------------------------------------------------------


async def test_group_commit(store: SqliteStore) -> None:
    epoch = await store.take_epoch("p")
    before = store.commits
    for seq in range(1, 11):
        await store.append("p", Record(epoch, seq, seq, b"x"))
    assert store.commits == before + 10, "one by one when nothing waits"
    appends = [store.append("p", Record(epoch, seq, seq, b"x")) for seq in range(11, 211)]
    with writers_wait(store.directory):
        tasks = [asyncio.ensure_future(append) for append in appends]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert store.commits == before + 11, "all that waited while another process wrote"


async def test_limits_of_the_queue(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "WRITE_QUEUE_OPERATIONS", 4)
    monkeypatch.setattr(sqlite_store, "WRITE_QUEUE_BYTES", 1000)
    epoch = await store.take_epoch("p")
    with writers_wait(store.directory):
        sizes = [300, 300, 500, 400]
        waiting = [store.append("p", Record(epoch, seq, seq, bytes(sizes[seq - 1]))) for seq in (1, 2, 3, 4)]
        tasks = [asyncio.ensure_future(call) for call in waiting]
        await asyncio.sleep(0)
        assert isinstance(tasks[2].exception(), StoreUnavailable), "too many bytes"
        pings = [asyncio.ensure_future(store.ping()) for _ in range(2)]
        await asyncio.sleep(0)
        refused = pings[1].exception()
        assert isinstance(refused, StoreUnavailable) and not refused.unknown, "too many operations"
    results = await asyncio.gather(*tasks, *pings, return_exceptions=True)
    assert [result is None for result in results] == [True, True, False, False, True, False]
    await store.append("p", Record(epoch, 3, 3, bytes(5000)))
    assert await store.last_seq("p") == 3, "whatever its size, one operation fits"


async def test_reads_have_a_limit_too(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "READ_QUEUE_QUERIES", 2)
    results = await asyncio.gather(*(store.last_seq("p") for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [int, int, StoreUnavailable]
    assert await store.last_seq("p") == 0


async def test_a_cancelled_append_happens_and_stops_nothing(store: SqliteStore) -> None:
    epoch = await store.take_epoch("p")
    with writers_wait(store.directory):
        task = asyncio.ensure_future(store.append("p", Record(epoch, 1, 1, b"x")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await store.append("p", Record(epoch, 2, 2, b"x"))
    assert task.cancelled() and await store.last_seq("p") == 2


async def test_the_loop_lends_the_interpreter(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    lent: list[float] = []
    enough = asyncio.Event()

    def sleep(duration_s: float) -> None:
        lent.append(duration_s)
        if len(lent) == 3:
            enough.set()

    monkeypatch.setattr(time, "sleep", sleep)
    with writers_wait(store.directory):
        append = asyncio.ensure_future(store.take_epoch("p"))
        await asyncio.wait_for(enough.wait(), 10)
    await append
    count = len(lent)
    await asyncio.sleep(5 * sqlite_store.LEND_EVERY_S)
    assert lent == [sqlite_store.LEND_S] * count, "nothing waits, nothing is lent"


# Errors -------------------------------------------------------------------------------------------------


async def test_file_at_its_limit(store: SqliteStore) -> None:
    epoch, _ = await journal(store, "p", 3)
    owner = await store.take_ownership("owner")
    await store.close()
    store.max_bytes = 300_000
    await store.open()
    seq = 3
    with pytest.raises(StoreUnavailable, match=f"{DATABASE_NAME}: .*full") as refused:
        for seq in range(4, 400):
            await store.append("p", Record(epoch, seq, seq, bytes(3000)))
    assert not refused.value.unknown and 20 < seq < 200
    assert await store.last_seq("p") == seq - 1
    assert await refusal(store.put_parts("p", epoch, 1, {"a": bytes(9000)})) is StoreUnavailable
    assert await refusal(store.commit([Change("c", "1", bytes(9000))], owner="owner", epoch=owner))
    assert await refusal(store.ping()) is StoreUnavailable
    assert len((await recovered(store, "p"))[2]) == seq - 1, "reads go on"
    store.max_bytes = 0
    assert await refusal(store.append("p", Record(epoch, seq, seq, bytes(3000)))) is None
    await store.ping()
    assert await store.scan("c") == []


async def test_commit_of_unknown_outcome(store: SqliteStore) -> None:
    epoch = await store.take_epoch("p")
    writer = store._writer
    assert writer is not None

    class Failing:
        """A connection whose COMMIT fails with an error code; the rest works."""

        def __init__(self, conn: sqlite3.Connection, code: int) -> None:
            self._conn, self._code = conn, code

        def execute(self, statement: str, *parameters: Any) -> Any:
            if statement == "COMMIT":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = self._code
                raise error
            return self._conn.execute(statement, *parameters)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._conn, name)

    codes = {sqlite3.SQLITE_IOERR_FSYNC: True, sqlite3.SQLITE_IOERR: True, sqlite3.SQLITE_FULL: False}
    for seq, (code, unknown) in enumerate(codes.items(), start=1):
        writer._conn = Failing(writer._conn, code)  # type: ignore[assignment, arg-type]
        record = Record(epoch, seq, seq, b"x")
        with pytest.raises(StoreUnavailable) as failed:
            await store.append("p", record)
        assert failed.value.unknown is unknown
        assert await store.last_seq("p") == seq - 1
        await store.append("p", record)
        assert await store.last_seq("p") == seq, "a new connection"


async def test_one_group_fails_together(store: SqliteStore) -> None:
    epoch = await store.take_epoch("p")
    await store.close()
    store.max_bytes = 1 << 20
    await store.open()
    with writers_wait(store.directory):
        sizes = [10, 2 << 20, 10]
        tasks = [
            asyncio.ensure_future(store.append("p", Record(epoch, seq, seq, bytes(size))))
            for seq, size in enumerate(sizes, start=1)
        ]
        await asyncio.sleep(0)
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreUnavailable] * 3
    assert len({id(error) for error in errors}) == 3, "each caller raises its own"
    assert await store.last_seq("p") == 0


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("mysql://host/db", "mysql"),
        ("sqlite", "sqlite"),
        ("", "''"),
        ("sqlite:", "directory"),
        ("/data", "/data"),
    ],
)
def test_urls_refused(url: str, names: str) -> None:
    with pytest.raises(StoreError, match=names):
        open_store(url)


async def test_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:relative/with space", f"sqlite:{tmp_path}/absolute"):
        store = open_store(url)
        await store.open()
        await store.close()
    assert sorted(path.parent.name for path in tmp_path.rglob(DATABASE_NAME)) == ["absolute", "with space"]


async def test_newer_format(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    sql(tmp_path, "PRAGMA user_version = 7")
    for _ in range(2):
        store = SqliteStore(tmp_path)
        with pytest.raises(StoreTooNew) as refused:
            await store.open()
        line = (
            f"{tmp_path / DATABASE_NAME} has format 7; this version knows formats up to {operations.FORMAT}"
        )
        assert str(refused.value) == line
        assert await refusal(store.ping()) is StoreUnavailable
    sql(tmp_path, "PRAGMA user_version = 1")
    async with opened(tmp_path) as store:
        await store.ping()


async def test_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(StoreCorrupt, match=f"{path}: file is not a database"):
        await SqliteStore(tmp_path).open()
    assert path.read_bytes() == b"not a database " * 100
    path.unlink()
    sql(tmp_path, "CREATE TABLE songs (title)")
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=f"{path} is a database of another application"):
        await SqliteStore(tmp_path).open()
    assert path.read_bytes() == before
    path.write_bytes(b"")
    async with opened(tmp_path) as store:
        assert await store.list_periods() == []
    with pytest.raises(StoreError, match=f"data directory {path}: "):
        await SqliteStore(path).open()


async def test_damaged_pages(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await journal(store, "p", 2000)
    path = tmp_path / DATABASE_NAME
    sound = path.read_bytes()
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    found = 0
    for _ in range(12):
        page = chance.randrange(1, len(sound) // 4096) * 4096
        path.write_bytes(sound[:page] + chance.randbytes(4096) + sound[page + 4096 :])
        store = SqliteStore(tmp_path)
        try:
            await store.open()
            seq, _, records = await recovered(store, "p")
            assert (seq, [record.last_seq for record in records]) == (0, list(range(1, 2001)))
        except StoreCorrupt:
            found += 1
        finally:
            await store.close()
    assert found >= 3


# Reading, garbage, log ------------------------------------------------------------------------------------


async def test_recover_reads_one_view(store: SqliteStore) -> None:
    epoch, records = await journal(store, "p", 1000)
    parts = {f"part {number}": b"body" for number in range(400)}
    await store.put_parts("p", epoch, 1, parts)
    await store.commit_snapshot("p", epoch, 1, dict.fromkeys(parts, 1))
    stream = store.recover("p")
    assert await anext(stream) == Recovered(1)
    async with opened(store.directory) as other:
        epoch = await other.take_epoch("p")
        await other.put_parts("p", epoch, 900, {"a": b"a"})
        await other.commit_snapshot("p", epoch, 900, {"a": 900})
        await other.append("p", Record(epoch, 1001, 1001, b"x"))
        for _ in range(40):
            await other.ping()
        assert rows(store.directory) == (1, 101)
    items = [item async for item in stream]
    assert items == [*(Part(name, body) for name, body in parts.items()), *records[1:]]
    assert len((await recovered(store, "p"))[2]) == 101


async def test_recover_holds_little(store: SqliteStore) -> None:
    epoch = await store.take_epoch("p")
    for seq in range(1, 41):
        await store.append("p", Record(epoch, seq, seq, bytes(1 << 20)))
    tracemalloc.start()
    try:
        async for _ in store.recover("p"):
            pass
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


async def test_closing_ends_open_streams(store: SqliteStore) -> None:
    await journal(store, "p", 1000)
    stream = store.recover("p")
    await anext(stream)
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        async for _ in stream:
            pass


async def collected(store: SqliteStore, wanted: tuple[int, int]) -> None:
    """Wait until so many parts and records take up room."""
    async with asyncio.timeout(60):
        while rows(store.directory) != wanted:
            await store.ping()


async def test_garbage_is_collected_little_by_little(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "COLLECT_RECORDS", 8)  # so that there is time to look
    epoch, _ = await journal(store, "p", 1500)
    await journal(store, "q", 1500)
    names = [f"part {number}" for number in range(100)]
    for seq in (1, 2):
        await store.put_parts("p", epoch, seq, dict.fromkeys(names, b"body"))
    await store.commit_snapshot("p", epoch, 1499, dict.fromkeys(names, 2))
    await store.put_parts("p", epoch, 1500, {"late": b"put before all is collected"})
    await store.drop_periods(["q"])
    parts, records = rows(store.directory)
    assert parts > 101 or records > 1, "not all at once"
    assert await refusal(store.commit_snapshot("p", epoch, 1400, {})) is SeqMismatch, (
        "covered, if still there"
    )
    await collected(store, (101, 1))
    await store.commit_snapshot("p", epoch, 1500, {"late": 1500, "part 7": 2})
    await collected(store, (2, 0))
    assert await recovered(store, "p") == (
        1500,
        {"late": b"put before all is collected", "part 7": b"body"},
        [],
    )


async def test_garbage_of_a_process_that_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "COLLECT_RECORDS", 32)  # so that it dies with some of it
    async with opened(tmp_path) as store:
        await journal(store, "p", 3000)
        await store.drop_periods(["p"])
    assert rows(tmp_path)[1] > 0
    async with opened(tmp_path) as store:
        await collected(store, (0, 0))


async def test_parts_of_an_epoch_that_never_committed(store: SqliteStore) -> None:
    epoch, _ = await journal(store, "p", 3)
    await store.put_parts("p", epoch, 1, {"a": b"a1", "b": b"b1"})
    await store.commit_snapshot("p", epoch, 1, {"a": 1})
    await store.put_parts("p", epoch, 3, {"a": b"a3", "b": b"b3"})
    await store.take_epoch("p")
    assert rows(store.directory)[0] == 1
    assert (await recovered(store, "p"))[1] == {"a": b"a1"}


async def test_log_stays_small(store: SqliteStore) -> None:
    epoch, _ = await journal(store, "p", 1000)
    early = store.recover("p")
    await anext(early)
    await early.aclose()  # type: ignore[attr-defined]
    for start in range(1000, 10_000, 100):
        records = [Record(epoch, start + n, start + n, bytes(3000)) for n in range(1, 101)]
        await asyncio.gather(*(store.append("p", record) for record in records))
    assert (store.directory / DATABASE_NAME).stat().st_size > 27_000_000
    assert (store.directory / f"{DATABASE_NAME}-wal").stat().st_size < 8_000_000


async def test_fence_holds_without_the_queue_of_writers(store: SqliteStore) -> None:
    """SQLite's own lock is the guarantee: who ignores write.lock makes us wait, and the checks still hold."""
    epoch, _ = await journal(store, "p", 1)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as rude:
        rude.execute("BEGIN IMMEDIATE")
        append = asyncio.ensure_future(store.append("p", Record(epoch, 2, 2, b"x")))
        done, _ = await asyncio.wait({append}, timeout=0.05)
        assert not done
        rude.execute("UPDATE names SET epoch = epoch + 1 WHERE name = 'p'")
        rude.execute("COMMIT")
    assert await refusal(append) is Fenced


async def test_a_folder_that_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk went away: nothing of that is a bug, for readers either."""
    store = SqliteStore(tmp_path)
    await store.open()

    def gone(_: Path) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "exists", gone)
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        await store.get("collection", ["one"])
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        await recovered(store, "p")
    monkeypatch.undo()
    assert await store.get("collection", ["one"]) == [None]
    await store.close()
