"""`lbactors verify` on stores of both kinds, whole and hurt: every kind of damage is found and placed.

The stores are written by real activations (`stored`), then hurt by raw SQL and raw Redis commands, or given
documents that no server would write. Verified: what is found, where, whether it is an error; exit codes; that
a look changes nothing and shows no secret. Not verified: that a server could not start on it all the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors.documents.entities import COLLECTIONS, pack_board
from lbactors.tools.migrate import MARKER, MARKERS
from lbactors.tools.stored_documents import all_documents, read_document
from lbactors.tools.verify import CAUTION, ERROR, Finding, Verified, epoch_findings, verify
from persistence.data_dir import lock_data_dir
from persistence.store import Change, Examined, Record, Store, StoreCorrupt
from tests.support.command import refused, run
from tests.support.stored import (
    COINS,
    COINS_2,
    COINS_RECORDS,
    NOON_MS,
    PERIODS,
    SEEN_IDS,
    XP,
    Place,
    board_of,
    commit,
    everything,
    filled,
    full,
    no_progress,
    opened,
    period_change,
    place,
    record_of,
    within,
    written_once,
)

__all__ = ["full", "written_once"]  # fixtures

Hurt = Callable[[Place, Store], Awaitable[None]]


def looked(where: Place) -> Verified:
    return within(where, lambda store: verify(store, SEEN_IDS, no_progress))


def found(verified: Verified) -> set[tuple[str, str, str]]:
    """Findings without their words, and without what a store says of itself."""
    return {(f.severity, f.kind, f.place) for f in verified.findings if f.kind != "keeping"}


def test_a_whole_store_is_sound(full: Place) -> None:
    before = within(full, lambda store: everything(store, COLLECTIONS))
    verified = looked(full)
    assert found(verified) == set() and verified.sound
    assert {name: count for name, count in verified.documents.items() if count} == {
        "tenants": 2, "keys": 1, "leaderboards": 2, "periods": 6, "homes": 2, "profiles": 7,
        "idempotency": 1, "secrets": 1,
    }  # fmt: skip
    assert (verified.periods, verified.records) == (len(PERIODS) + 2, 3 + 3 + len(COINS_RECORDS))
    assert verified.entries == 3 + 19 + 13 + 20
    assert within(full, lambda store: everything(store, COLLECTIONS)) == before


# Damage ---------------------------------------------------------------------------------------------------


async def _record(where: Place, store: Store) -> None:
    await where.backend.damage_record(COINS_2, COINS_RECORDS[2][1])


async def _gap(where: Place, store: Store) -> None:
    await where.backend.lose_record(COINS_2, COINS_RECORDS[2][1])


async def _part(where: Place, store: Store) -> None:
    await where.backend.damage_part(COINS_2, "e:1")


async def _no_part(where: Place, store: Store) -> None:
    await where.backend.lose_part(COINS_2, "e:1")


async def _manifest(where: Place, store: Store) -> None:
    await where.backend.damage_manifest(COINS_2)


async def _nonsense(where: Place, store: Store) -> None:
    """A record with a right checksum that is none of ours."""
    epoch = await store.take_epoch(COINS_2)
    last_seq = COINS_RECORDS[-1][1]
    await store.append(COINS_2, Record(epoch, last_seq + 1, last_seq + 1, b"nonsense"))


async def _too_many_inputs(where: Place, store: Store) -> None:
    epoch = await store.take_epoch(COINS_2)
    last_seq = COINS_RECORDS[-1][1]
    body = bytes(msgpack.packb([None, NOON_MS, [[1, NOON_MS, "p1"]] * 2]))
    await store.append(COINS_2, Record(epoch, last_seq + 1, last_seq + 3, body))


DAMAGE: dict[str, tuple[Hurt, str, str]] = {
    "record": (_record, "damage", f"record {COINS_RECORDS[2][0]}..{COINS_RECORDS[2][1]}"),
    "gap": (_gap, "damage", f"record {COINS_RECORDS[3][0]}..{COINS_RECORDS[3][1]}"),
    "part": (_part, "damage", "part 'e:1'"),
    "missing part": (_no_part, "damage", "part 'e:1'"),
    "manifest": (_manifest, "damage", "snapshot at seq"),
    "nonsense": (_nonsense, "state", "does not load"),
    "too many inputs": (_too_many_inputs, "state", "does not follow"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_period_is_found(full: Place, what: str) -> None:
    hurt, kind, words = DAMAGE[what]
    within(full, lambda store: hurt(full, store))
    verified = looked(full)
    assert found(verified) == {(ERROR, kind, f"period {COINS_2}")}
    assert words in verified.findings[-1].text or words in verified.findings[0].text
    assert verified.entries == 3 + 19 + 13  # the other periods were read all the same


def test_a_lost_end_is_found_where_the_store_knows_its_end(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where = filled("redis", tmp_path, request)
    first_seq, last_seq = COINS_RECORDS[-1]
    asyncio.run(where.backend.lose_record(COINS_2, last_seq))
    verified = looked(where)
    assert found(verified) == {(ERROR, "damage", f"period {COINS_2}")}
    assert str(first_seq - 1) in verified.findings[0].text and str(last_seq) in verified.findings[0].text


def test_damaged_documents_are_named_each(full: Place) -> None:
    """The first and the last of a collection, and two neighbours; the rest is read all the same."""
    for number in (0, 3, 4, 6):
        asyncio.run(full.backend.damage_document("profiles", f"default/p{number}"))
    verified = looked(full)
    places = [f"document profiles default/p{number}" for number in (0, 3, 4, 6)]
    assert found(verified) == {(ERROR, "damage", each) for each in places}
    assert verified.documents["profiles"] == 7


async def test_any_id_of_a_damaged_document_is_told(full: Place) -> None:
    ids = ["a", "a\u0001", "a ", "default/é", "日本", "~", "~~", "💡", "\U0010fffe", "z" * 300]
    async with opened(full) as store:
        await commit(store, *(Change("secrets", doc_id, b"body") for doc_id in ids))
        for doc_id in ids:
            await full.backend.damage_document("secrets", doc_id)
        read = [(doc_id, body) async for doc_id, body in all_documents(store, "secrets")]
    assert [doc_id for doc_id, body in read if isinstance(body, StoreCorrupt)] == sorted(ids)
    assert [doc_id for doc_id, body in read if not isinstance(body, StoreCorrupt)] == ["pepper"]


async def test_documents_are_read_over_many_pages(full: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbactors.tools.stored_documents.PAGE_DOCUMENTS", 3)
    async with opened(full) as store:
        read = [doc_id async for doc_id, _ in all_documents(store, "profiles")]
    assert read == [f"default/p{number}" for number in range(7)]


def test_what_cannot_be_read_makes_nothing_else_missing(full: Place) -> None:
    """A damaged leaderboard's document: its periods are not called left over."""
    asyncio.run(full.backend.damage_document("leaderboards", "studio/coins"))
    asyncio.run(full.backend.damage_document("periods", f"{XP}/main/hour-2"))
    assert found(looked(full)) == {
        (ERROR, "damage", "document leaderboards studio/coins"),
        (ERROR, "damage", f"document periods {XP}/main/hour-2"),
    }


# Documents that do not fit --------------------------------------------------------------------------------

TENANT = ["studio", "Studio", "active", "hunter2", NOON_MS]


@pytest.mark.parametrize(
    ("collection", "doc_id", "document"),
    [
        ("tenants", "studio", TENANT[:-1]),
        ("tenants", "studio", [*TENANT[:-1], "hunter2"]),
        ("tenants", "other", TENANT),
        ("keys", "k_1", {"hunter2": 1}),
        ("leaderboards", "default/xp", ["default", "1", {"leaderboard_id": "hunter2!"}, 1, 1, 1]),
        ("periods", f"{XP}/main/hour-9", list(record_of(3))),
        ("periods", f"{XP}/main/hour-9", ["hunter2", "hour-9", 0, 0, True, 0, 0, 0]),
        ("profiles", "default/p1", {"player_id": "hunter2"}),
        ("profiles", "default/p1", ["hunter2"]),
        ("idempotency", "default/ab", ["hunter2"]),
    ],
)
def test_a_document_must_be_what_its_collection_holds(
    tmp_path: Path, request: pytest.FixtureRequest, collection: str, doc_id: str, document: Any
) -> None:
    where = filled("sqlite", tmp_path / "data", request)
    change = Change(collection, doc_id, bytes(msgpack.packb(document)))
    within(where, lambda store: commit(store, change))
    verified = looked(where)
    (finding,) = [f for f in verified.findings if f.kind == "document"]
    assert (finding.severity, finding.place) == (ERROR, f"document {collection} {doc_id}")
    assert "hunter2" not in finding.text  # contents may be secret


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("body", [b"", b"\xc1", b"\xff\xff"])
def test_no_bytes_break_the_reading_of_a_document(collection: str, body: bytes) -> None:
    if collection == "secrets" and body:
        assert read_document(collection, "x", body) == body  # any bytes are a secret
        return
    with pytest.raises(ValueError, match="is not what it should be"):
        read_document(collection, "x", body)


# What does not belong together ----------------------------------------------------------------------------


async def _purged(where: Place, store: Store) -> None:
    """A purge that was interrupted after its documents were gone."""
    changes = [Change("leaderboards", "studio/coins", None), Change("homes", COINS, None)]
    changes += [Change("periods", f"{COINS}/main/hour-{n}", None) for n in (1, 2)]
    await commit(store, *changes)


async def _unnamed(where: Place, store: Store) -> None:
    await commit(store, Change("periods", f"{COINS}/main/hour-2", None))


async def _no_board(where: Place, store: Store) -> None:
    """Documents of periods outlive the leaderboard; so do their data."""
    await commit(store, Change("leaderboards", "studio/coins", None))


async def _home(where: Place, store: Store) -> None:
    gone = ("default/gone~00000009", "default/gone~00000009/main")  # and as stores had it before
    await commit(store, *(Change("homes", name, b"period-1") for name in gone))


async def _no_data(where: Place, store: Store) -> None:
    await store.drop_periods([f"{XP}/main/1"])


async def _being_deleted(where: Place, store: Store) -> None:
    """Beyond what the leaderboard keeps: the data go first, then the document."""
    board = board_of(XP, "best", ["daily"])
    timeframe = board.definition.timeframe.model_copy(update={"retain_periods": 0, "retain_days": 0})
    board = board._replace(definition=board.definition.model_copy(update={"timeframe": timeframe}))
    await commit(store, Change("leaderboards", "default/xp", pack_board(board)))
    await store.drop_periods([f"{XP}/main/1"])


def _with_record(**fields: Any) -> Hurt:
    async def change(where: Place, store: Store) -> None:
        (body,) = await store.get("periods", [f"{XP}/main/hour-1"])
        record = record_of(1)._make(msgpack.unpackb(body or b""))._replace(**fields)
        await commit(store, period_change(f"{XP}/main", record))

    return change


async def _same_journal(where: Place, store: Store) -> None:
    record = record_of(3)._replace(serial=2)
    await commit(store, period_change(f"{XP}/main", record))


async def _epoch_gone(where: Place, store: Store) -> None:
    """The store gave out a lower epoch than the journal has: an older copy of a part of it."""
    if where.kind == "sqlite":
        where.backend._sql("UPDATE names SET epoch = 0 WHERE name = ?", COINS_2)  # type: ignore[attr-defined]
    else:
        key = where.backend.period_key(COINS_2, "h")  # type: ignore[attr-defined]
        where.backend._command("HSET", key, "e", 0)  # type: ignore[attr-defined]


async def _unfinished(where: Place, store: Store) -> None:
    body = bytes(msgpack.packb(["source", "redis://***@there/0", NOON_MS, None]))
    await commit(store, Change(MARKERS, MARKER, body))


async def _stray(where: Place, store: Store) -> None:
    if where.kind == "sqlite":
        where.backend._sql("INSERT INTO journal VALUES (999, 1, 1, 1, 0, x'00')")  # type: ignore[attr-defined]
    else:
        key = where.backend.period_key("default/gone~1/main/1", "j")  # type: ignore[attr-defined]
        where.backend._command("XADD", key, "1-0", "e", 1, "f", 1, "b", b"xxxx")  # type: ignore[attr-defined]


STATE = {
    "purged": (_purged, {(CAUTION, "orphan", f"period {COINS_2}")}),
    "unnamed": (_unnamed, {(ERROR, "orphan", f"period {COINS_2}")}),
    "no leaderboard": (_no_board, {(CAUTION, "leftover", f"documents periods {COINS}/main")}),
    "home": (_home, {
        (CAUTION, "leftover", f"document homes default/gone~00000009{window}") for window in ("", "/main")
    }),
    "no data": (_no_data, {(ERROR, "missing", f"period {XP}/main/1")}),
    "being deleted": (_being_deleted, {(CAUTION, "deleting", f"period {XP}/main/1")}),
    "entries": (_with_record(entries=18), {(ERROR, "record", f"period {XP}/main/1")}),
    "submissions": (_with_record(submissions=31), {(ERROR, "record", f"period {XP}/main/1")}),
    "too few inputs": (_with_record(last_seq=32), {(ERROR, "record", f"period {XP}/main/1")}),
    "an erasure since": (_with_record(last_seq=30), set()),
    "one journal for two": (_same_journal, {(ERROR, "document", f"documents periods {XP}/main")}),
    "epoch": (_epoch_gone, {(ERROR, "epoch", f"period {COINS_2}")}),
    "unfinished migration": (_unfinished, {(ERROR, "migration", "store")}),
    "stray": (_stray, {(CAUTION, "stray", "store")}),
}  # fmt: skip


@pytest.mark.parametrize("what", STATE)
def test_what_does_not_belong_together_is_found(full: Place, what: str) -> None:
    hurt, expected = STATE[what]
    within(full, lambda store: hurt(full, store))
    verified = looked(full)
    assert found(verified) == expected
    assert verified.sound == all(severity == CAUTION for severity, _, _ in expected)


def examined(epoch: int, *epochs: int, last_seq: int = 0) -> Examined:
    """A period whose records have these epochs; a negative one's record is damaged."""
    records = [(abs(e), n, n, 1, e > 0) for n, e in enumerate(epochs, 1)]
    return Examined(epoch, 0, last_seq or len(epochs), 0, True, records, [])


def test_epochs_never_fall_and_are_all_given_out() -> None:
    assert epoch_findings(examined(3, 1, 1, 3)) == []
    assert epoch_findings(examined(4, 1, -9, 3)) == []  # what a damaged record says counts for nothing
    assert epoch_findings(examined(0)) == []
    assert epoch_findings(examined(3, 1, 3, 2, 3)) == ["record 3..3 has epoch 2, one before it 3"]
    assert epoch_findings(examined(2, 1, 3)) == ["a record has epoch 3, but the highest given out is 2"]
    assert epoch_findings(examined(0, last_seq=5)) == ["it has data, but no epoch of it was ever given out"]


# The command ----------------------------------------------------------------------------------------------


def test_the_command_tells_a_sound_store(full: Place) -> None:
    result = run("verify", "--store", full.url)
    assert result.exit_code == 0, result.output
    last = result.stdout.splitlines()[-1]
    assert " is sound: 0 errors, " in last and "22 documents and 6 periods with 55 entries" in last


def test_the_command_tells_damage_with_its_place(full: Place) -> None:
    asyncio.run(full.backend.damage_record(COINS_2, COINS_RECORDS[2][1]))
    result = run("verify", "--store", full.url)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["severity", "place", "finding"]
    assert lines[1].startswith(f"error     period {COINS_2}  ") and "record 163..172" in lines[1]
    assert " is NOT sound: 1 error, " in lines[-1]
    result = run("verify", "--store", full.url, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["sound"], told["errors"], told["periods"]) == (False, 1, 6)
    finding = told["findings"][0]
    assert set(finding) == set(Finding._fields) and finding["place"] == f"period {COINS_2}"


def test_a_store_in_use_is_one_line(full: Place) -> None:
    if full.kind == "sqlite":
        with lock_data_dir(full.url.removeprefix("sqlite:")):
            line = refused(2, "verify", "--store", full.url)
            assert run("verify", "--store", full.url, "--live").exit_code == 0
    else:
        within(full, lambda store: store.claim("other", "server elsewhere pid 7", 60.0))
        line = refused(2, "verify", "--store", full.url)
        assert "server elsewhere pid 7" in line
        assert run("verify", "--store", full.url, "--live").exit_code == 0
        within(full, lambda store: store.disclaim("other"))
    assert line.startswith("error: ") and "in use" in line and line.count("\n") == 1
    assert run("verify", "--store", full.url).exit_code == 0
    assert run("verify", "--store", full.url).exit_code == 0  # and it let go of the store itself


def test_where_there_is_no_store_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("verify", "repair"):
        line = refused(2, command, "--data-dir", str(tmp_path / "data"))
        assert line == f"error: no store in {tmp_path}/data: there is no lbactors.sqlite3\n"
    monkeypatch.setenv("LBACTORS_STORE", "redis://:hunter2@127.0.0.1:1/0")
    for command in ("verify", "repair"):
        line = refused(2, command)
        assert "127.0.0.1:1" in line and "hunter2" not in line
    monkeypatch.setenv("LBACTORS_STORE", "mysql://:hunter2@x")
    assert refused(2, "verify").startswith("error: LBACTORS_STORE: must be sqlite or")
    assert not (tmp_path / "data").exists()


def test_the_environment_names_the_store_as_for_the_server(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = filled("sqlite", tmp_path / "data", request)
    monkeypatch.setenv("LBACTORS_DATA_DIR", str(tmp_path / "data"))
    assert where.url in run("verify").stdout
    monkeypatch.setenv("LBACTORS_STORE", "redis://127.0.0.1:1/0")
    assert run("verify").exit_code == 2
    assert run("verify", "--store", "sqlite").exit_code == 0


def test_an_empty_store_is_told(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for kind in ("sqlite", "redis"):
        where = place(kind, tmp_path / kind, request)

        async def nothing(_: Store) -> None:
            return

        within(where, nothing)
        assert found(looked(where)) == {(CAUTION, "empty", "store")}


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "lbactors.sqlite3").write_bytes(b"no database" * 1000)
    result = run("verify", "--data-dir", str(tmp_path))
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "lbactors.sqlite3" in result.stderr


class _Moving:
    """A store that a server changes: what it holds too much of at the first look is gone at the second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.looks = 0

    async def strays(self) -> list[str]:
        self.looks += 1
        return ["key x"] if self.looks == 1 else []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_of_a_live_store_counts_what_is_found_twice(full: Place) -> None:
    await full.backend.damage_document("profiles", "default/p3")
    async with opened(full) as store:
        moving: Any = _Moving(store)
        verified = await verify(moving, SEEN_IDS, no_progress, live=True)
        assert found(verified) == {(ERROR, "damage", "document profiles default/p3")}
        assert moving.looks == 2
        moving = _Moving(store)
        verified = await verify(moving, SEEN_IDS, no_progress)
        assert (CAUTION, "stray", "store") in found(verified) and moving.looks == 1
