"""SQLite's format 1 as its first version made it, files replaced while in use, damaged pages, strays."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from persistence.checksum import checksum
from persistence.data_dir import DATABASE_NAME
from persistence.sqlite import operations
from persistence.sqlite.operations import ADDITIONS
from persistence.sqlite.store import SqliteStore
from persistence.store import (
    Change,
    Fenced,
    Part,
    Record,
    Recovered,
    StoreCorrupt,
    StoreUnavailable,
    StoreWentBack,
)
from tests.support.store.contract import journal, recovered, refusal

# Word for word what the first version made; what it must go on finding.
FIRST_VERSION = """
CREATE TABLE names (num INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL);
CREATE TABLE documents (collection TEXT NOT NULL, doc_id TEXT NOT NULL, crc INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (collection, doc_id)) WITHOUT ROWID;
CREATE TABLE journal (num INTEGER NOT NULL, last_seq INTEGER NOT NULL, first_seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (num, last_seq));
CREATE TABLE parts (id INTEGER PRIMARY KEY AUTOINCREMENT, num INTEGER NOT NULL, name TEXT NOT NULL,
    seq INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX parts_of ON parts (num, name, seq);
CREATE TABLE snapshots (num INTEGER PRIMARY KEY, seq INTEGER NOT NULL, epoch INTEGER NOT NULL,
    crc INTEGER NOT NULL, manifest BLOB NOT NULL);
CREATE TABLE garbage (num INTEGER PRIMARY KEY, seq INTEGER NOT NULL, mark INTEGER NOT NULL);
CREATE TABLE probe (body BLOB);
PRAGMA application_id = 0x4C424143;
PRAGMA user_version = 1;
"""


def sql(directory: Path, statement: str, *parameters: Any) -> list[Any]:
    with closing(sqlite3.connect(directory / DATABASE_NAME, isolation_level=None)) as conn:
        return conn.execute(statement, parameters).fetchall()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data directory of the first version: a supervisor in its 7th epoch, and two periods."""
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as conn:
        conn.executescript(FIRST_VERSION)
        names = [(1, "supervisor", 7), (2, "journaled", 3), (3, "covered", 2), (4, "dropped", 5)]
        conn.executemany("INSERT INTO names VALUES (?, ?, ?)", names)
        for seq in (1, 2):
            crc = checksum(b"record", "journaled", 3, seq, seq)
            conn.execute("INSERT INTO journal VALUES (2, ?, ?, 3, ?, ?)", (seq, seq, crc, b"record"))
        crc = checksum(b"part", "covered", "a", 9)
        conn.execute("INSERT INTO parts VALUES (1, 3, 'a', 9, ?, ?)", (crc, b"part"))
        manifest = b'[["a", 9, 1]]'
        crc = checksum(manifest, "covered", 9, 2)
        conn.execute("INSERT INTO snapshots VALUES (3, 9, 2, ?, ?)", (crc, manifest))
        crc = checksum(b"body", "c", "1")
        conn.execute("INSERT INTO documents VALUES ('c', '1', ?, ?)", (crc, b"body"))
        conn.commit()
    return tmp_path


# Format 1 as it was -------------------------------------------------------------------------------------


async def test_an_old_file_goes_on(old: Path) -> None:
    store = SqliteStore(old)
    await store.open()
    assert await store.ownership("supervisor") == 7
    assert await refusal(store.commit([], owner="supervisor", epoch=6)) is Fenced
    await store.commit([Change("c", "2", b"new")], owner="supervisor", epoch=7)
    assert await store.scan("c") == [("1", b"body"), ("2", b"new")]
    assert sql(old, "PRAGMA user_version") == [(1,)], "who only looks leaves it to the version before"
    assert await store.take_ownership("supervisor") == 8
    assert sql(old, "PRAGMA user_version") == [(operations.FORMAT,)]
    assert await store.list_periods() == ["covered", "journaled"]
    assert await store.epochs(["journaled", "covered", "dropped"]) == [3, 2, 5]
    assert await store.ownership("journaled") == await store.ownership("covered") == 0
    assert await recovered(store, "covered") == (9, {"a": b"part"}, [])
    assert [record.last_seq for record in (await recovered(store, "journaled"))[2]] == [1, 2]
    assert await store.strays() == []
    await store.close()


async def test_an_old_file_gets_one_identity(old: Path) -> None:
    stores = [SqliteStore(old) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    found = {await store.identity() for store in stores}
    assert len(found) == 1 and len(found.pop()) == 32
    for store in stores:
        await store.close()
    again = SqliteStore(old)
    await again.open()
    identity = await again.identity()
    epochs = [await again.take_ownership("supervisor") for _ in range(2)]
    await again.close()
    assert epochs == [8, 9], "copied once"
    with closing(sqlite3.connect(old / DATABASE_NAME)) as late:
        late.executescript(ADDITIONS)  # by a process that had looked before the others added them
    last = SqliteStore(old)
    last.expect(identity)
    await last.open()
    assert await last.take_ownership("supervisor") == 10
    await last.close()


async def test_an_old_file_is_not_what_was_expected(old: Path) -> None:
    before = (old / DATABASE_NAME).read_bytes()
    store = SqliteStore(old)
    store.expect("0123456789abcdef")
    with pytest.raises(StoreWentBack, match="0123456789abcdef"):
        await store.open()
    assert (old / DATABASE_NAME).read_bytes() == before


async def test_a_file_is_laid_out_as_the_first_version_made_it(tmp_path: Path) -> None:
    """What is new was added beside it. Its number says that journals may hold what that one would misread."""
    store = SqliteStore(tmp_path)
    await store.open()
    await store.take_ownership("supervisor")
    await journal(store, "p", 2)
    await store.close()
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.executescript(FIRST_VERSION)
        wanted = set(conn.execute("SELECT name, sql FROM sqlite_master"))
    assert wanted <= set(sql(tmp_path, "SELECT name, sql FROM sqlite_master"))
    assert sql(tmp_path, "PRAGMA user_version") == [(operations.FORMAT,)]


# The file under an open store ---------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["gone", "emptied", "another", "older"])
async def test_a_file_replaced_while_in_use(tmp_path: Path, what: str) -> None:
    """An open store goes on with the file it has; its next connections see what lies there by then."""
    directory, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for place in (directory, elsewhere):
        made = SqliteStore(place)
        await made.open()
        await made.close()
    path = directory / DATABASE_NAME
    if what == "older":
        shutil.copy(path, tmp_path / "copy")
    store = SqliteStore(directory)
    await store.open()
    identity = await store.identity()
    await journal(store, "p", 2)
    path.rename(tmp_path / "moved")
    for suffix in ("-wal", "-shm"):
        path.with_name(f"{DATABASE_NAME}{suffix}").unlink()
    if what == "emptied":
        path.touch()
    elif what != "gone":
        shutil.copy(elsewhere / DATABASE_NAME if what == "another" else tmp_path / "copy", path)
    if what == "older":
        assert await recovered(store, "p") == (0, {}, []), "the same store, and only its user can know better"
    else:
        now = "gone" if what != "another" else "[0-9a-f]{32}"
        with pytest.raises(StoreWentBack, match=f"its id was {identity}, and is {now}"):
            await recovered(store, "p")
        assert await refusal(anext(aiter(store.records_after("p", 0)))) is StoreWentBack
    await store.close()
    again = SqliteStore(directory)
    again.expect(identity)
    assert await refusal(again.open()) is (None if what == "older" else StoreWentBack)
    assert await refusal(again.ping()) is (None if what == "older" else StoreUnavailable)
    await again.close()
    assert path.exists() is (what != "gone"), "nothing was made in its place"


async def test_a_writer_that_comes_back_finds_its_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, max_bytes=200_000)
    await store.open()
    epoch, _ = await journal(store, "p", 1)
    path = tmp_path / DATABASE_NAME
    assert await refusal(store.append("p", Record(epoch, 2, 2, bytes(1 << 20)))) is StoreUnavailable
    path.rename(tmp_path / "moved")
    assert await refusal(store.append("p", Record(epoch, 2, 2, b"x"))) is StoreWentBack
    assert not path.exists()
    (tmp_path / "moved").rename(path)
    await store.append("p", Record(epoch, 2, 2, b"x"))
    assert await store.last_seq("p") == 2
    await store.close()


# Looking at all of it -----------------------------------------------------------------------------------


async def test_examination_and_records_after_have_one_view(tmp_path: Path) -> None:
    store, other = SqliteStore(tmp_path), SqliteStore(tmp_path)
    await store.open()
    await other.open()
    epoch, records = await journal(store, "p", 1500)
    stream = store.records_after("p", 10)
    assert await anext(stream) == records[10]
    looking = asyncio.ensure_future(store.examine("p"))
    for seq in (900, 1500):
        await other.put_parts("p", epoch, seq, {"a": b"a"})
        await other.commit_snapshot("p", epoch, seq, {"a": seq})
        await other.ping()
    await other.drop_periods(["p"])
    for _ in range(20):
        await other.ping()
    assert [record async for record in stream] == records[11:]
    found = await looking
    assert found.damage == [] and len(found.records) in (1500, 600, 0), "what one commit left"
    assert await recovered(store, "p") == (0, {}, [])
    for each in (store, other):
        await each.close()


async def test_examination_of_damaged_pages(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.open()
    await journal(store, "sound", 3)
    epoch = await store.take_epoch("p")
    for seq in range(1, 201):
        await store.append("p", Record(epoch, seq, seq, bytes(2000)))
    await store.close()
    path = tmp_path / DATABASE_NAME
    sound = path.read_bytes()
    (page,) = sql(tmp_path, "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_journal_1'")[0]
    body = bytearray(sound)
    body[(page - 1) * 4096 : page * 4096] = b"\x55" * 4096
    path.write_bytes(body)
    await store.open()
    assert await refusal(recovered(store, "p")) is StoreCorrupt
    found = await store.examine("p")
    assert len(found.damage) == 1 and str(path) in found.damage[0]
    assert (found.epoch, found.records) == (epoch, [])
    await store.close()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "INSERT INTO journal VALUES (77, {n}, 1, 1, 0, x'00')",
            "table journal: 3 journal records of number 77",
        ),
        (
            "INSERT INTO parts VALUES (NULL, 77, 'a', {n}, 0, '')",
            "table parts: 3 snapshot parts of number 77",
        ),
        (
            "INSERT OR REPLACE INTO snapshots VALUES (77, {n}, 1, 0, '')",
            "table snapshots: 1 snapshots of number 77",
        ),
    ],
    ids=["journal", "parts", "snapshots"],
)
async def test_strays_of_each_table(
    tmp_path: Path, statement: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "COLLECT_RECORDS", 4)  # so that there is time to look
    store = SqliteStore(tmp_path)
    await store.open()
    await journal(store, "p", 2)
    await journal(store, "dropped", 1500)
    await store.drop_periods(["dropped"])
    assert len(sql(tmp_path, "SELECT * FROM journal")) > 100, "garbage that is still to be collected"
    for n in (1, 2, 3):
        sql(tmp_path, statement.format(n=n))
    assert await store.strays() == [f"{sentence}, which no period has"]
    await store.close()


async def test_a_reading_left_early_gives_its_view_up(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.open()
    epoch, _ = await journal(store, "p", 600)
    await store.put_parts("p", epoch, 600, {"a": b"a"})
    await store.commit_snapshot("p", epoch, 600, {"a": 600})
    for _ in range(40):
        stream = store.recover("p")
        assert [await anext(stream), await anext(stream)] == [Recovered(600), Part("a", b"a")]
        await stream.aclose()  # type: ignore[attr-defined]
        looking = asyncio.ensure_future(store.examine("p"))
        await asyncio.sleep(0)
        looking.cancel()
        await asyncio.wait([looking])
    assert (await store.examine("p")).damage == []
    await store.close()
