"""Backups of SQLite below the command line: one moment beside writers, and who stays out of a new store."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

import persistence
from persistence.data_dir import DATABASE_NAME
from persistence.sqlite import backup as sqlite_backup
from persistence.sqlite import operations
from persistence.sqlite.store import SqliteStore
from persistence.store import (
    Change,
    Record,
    Store,
    StoreCorrupt,
    StoreError,
    StoreTooNew,
    StoreUnavailable,
    StoreWentBack,
)
from tests.support.store.child import body_of
from tests.support.store.contract import recovered
from tests.support.store.processes import Child


def no_steps(done: int, total: int) -> None:
    assert 0 <= done <= total


def backed_up(directory: Path, target: Path) -> Path:
    target.touch(0o600)
    persistence.back_up(f"sqlite:{directory}", target, no_steps)
    return target


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def fill(store: Store) -> None:
    """One document, and a journal of two records."""
    epoch = await store.take_ownership("owner")
    await store.commit([Change("things", "a", b"1")], owner="owner", epoch=epoch)
    epoch = await store.take_epoch("p")
    for seq in (1, 2):
        await store.append("p", Record(epoch, seq, seq, body_of(seq)))


async def test_all_that_was_acknowledged_before_is_in_it(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    data = tmp_path / "data"
    acknowledged = dict.fromkeys("pq", 0)
    with Child("append", data, "p") as first, Child("append", data, "q") as second:
        children = {"p": first, "q": second}
        for child in children.values():
            child.line()  # epoch
        for number in range(4):
            for _ in range(chance.randrange(1, 300)):
                name = chance.choice("pq")
                acknowledged[name] = int(children[name].line()[1])
            file = backed_up(data, tmp_path / f"backup-{number}")
            async with opened(persistence.open_backup(file)) as backup:
                for name, acked in acknowledged.items():
                    seq, parts, records = await recovered(backup, name)
                    assert parts == ({"low": body_of(seq), "high": b"x" * seq} if seq else {})
                    for record in records:
                        assert record[1:] == (seq + 1, seq + 1, body_of(seq + 1))
                        seq += 1
                    assert acked <= seq == await backup.last_seq(name)
    assert min(acknowledged.values()) > 0


async def test_a_backup_is_one_file_that_is_only_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with opened(SqliteStore(data)) as store:
        await fill(store)
        file = backed_up(data, tmp_path / "backup")
        bytes_before = file.read_bytes()
        async with opened(persistence.open_backup(file)) as backup:
            assert await backup.identity() == await store.identity()
            assert await backup.scan("things") == [("a", b"1")]
            with pytest.raises(StoreUnavailable):
                await backup.take_ownership("owner")
    assert file.read_bytes() == bytes_before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


async def test_what_is_deleted_is_not_in_it(tmp_path: Path) -> None:
    """The log has the old pages for a while; a backup has what they hold now."""
    data = tmp_path / "data"
    async with opened(SqliteStore(data)) as store:
        epoch = await store.take_ownership("owner")
        await store.commit([Change("things", "a", b"an erased name" * 9)], owner="owner", epoch=epoch)
        await store.commit([Change("things", "a", None)], owner="owner", epoch=epoch)
        assert b"an erased name" not in backed_up(data, tmp_path / "backup").read_bytes()


async def test_who_has_the_old_store_open_never_writes_to_the_new_one(tmp_path: Path) -> None:
    """A process that outlived its server, say. Epochs alone would let it in: they are given out again."""
    data = tmp_path / "data"
    old = SqliteStore(data)
    await old.open()
    await fill(old)
    old_id = await old.identity()
    file = backed_up(data, tmp_path / "backup")
    old_epoch = await old.take_epoch("p")
    made = persistence.new_store(file, data, no_steps)
    persistence.put_in_place(made, data / "replaced-1")
    async with opened(SqliteStore(data)) as new:
        assert await new.identity() != old_id
        assert await new.take_epoch("p") == old_epoch
        await old.append("p", Record(old_epoch, 3, 3, b"old"))
        await new.append("p", Record(old_epoch, 3, 3, b"new"))
        late = SqliteStore(data)
        late.expect(old_id)
        with pytest.raises(StoreWentBack):
            await late.open()
        await old.close()  # must not take the log away from the new one
        await new.append("p", Record(old_epoch, 4, 4, b"newer"))
    async with opened(SqliteStore(data)) as new:
        _, _, records = await recovered(new, "p")
        assert [record.body for record in records[2:]] == [b"new", b"newer"]
    async with opened(SqliteStore(data / "replaced-1")) as aside:
        _, _, records = await recovered(aside, "p")
        assert [record.body for record in records[2:]] == [b"old"]


async def test_the_log_of_the_old_store_moves_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it cannot be written back, since the file is damaged, say."""
    data = tmp_path / "data"
    old = SqliteStore(data)
    await old.open()
    await fill(old)
    file = backed_up(data, tmp_path / "backup")
    log = data / f"{DATABASE_NAME}-wal"
    assert log.stat().st_size
    content = log.read_bytes()

    def damaged(path: Path, store_id: str) -> sqlite3.Connection:
        raise StoreCorrupt(str(path))

    monkeypatch.setattr(sqlite_backup, "connect", damaged)
    made = persistence.new_store(file, data, no_steps)
    persistence.put_in_place(made, data / "replaced-1")
    assert (data / "replaced-1" / log.name).read_bytes() == content
    async with opened(SqliteStore(data)) as new:
        assert await new.last_seq("p") == 2
    await old.close()


async def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with opened(SqliteStore(data)) as store:
        await fill(store)
        with pytest.raises(StoreError, match="a store's file, not a backup"):
            await persistence.open_backup(data / DATABASE_NAME).open()
        file = backed_up(data, tmp_path / "backup")
    with closing(sqlite3.connect(file)) as conn:
        conn.execute(f"PRAGMA user_version = {operations.FORMAT + 1}")
    with pytest.raises(StoreTooNew):
        await persistence.open_backup(file).open()
    (tmp_path / "text").write_text("a text that is no database" * 100)
    with pytest.raises(StoreCorrupt):
        await persistence.open_backup(tmp_path / "text").open()
    with pytest.raises(StoreUnavailable):
        await persistence.open_backup(tmp_path / "nothing").open()
    with pytest.raises(StoreError, match="no store in"):
        backed_up(tmp_path / "nowhere", tmp_path / "of-nothing")
    assert not (tmp_path / "nowhere").exists()
