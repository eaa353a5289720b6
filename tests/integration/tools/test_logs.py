"""`migrate`, `verify` and `repair` on stores with logs: journals whose records are kept.

The logs hold nothing that means anything: here all is at the level of the store. `TRIMMED` begins after its
first ten records, has a snapshot at 30, and five records after it; `YOUNG` has a snapshot that covers all of
it, `FRESH` has none, `EMPTY` is trimmed to its end.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from lbactors.tools.migrate import Migrated, Migration, MigrationFailed, MigrationRefused, digest_of
from lbactors.tools.repair import Repair
from lbactors.tools.verify import ERROR, Verified, verify
from persistence.store import Part, Record, Store, StoreCorrupt, StoreUnavailable
from tests.support.command import run
from tests.support.stored import (
    NOON_MS,
    SEEN_IDS,
    Place,
    filled,
    no_progress,
    opened,
    place,
    within,
    written_once,
)

__all__ = ["written_once"]  # a fixture

TRIMMED = "studio/coins~metric-0000000a/main/1"
YOUNG = "studio/gems~metric-0000000b/main/1"
FRESH = "default/events~events-0000000c/main/1"
EMPTY = "default/old~metric-0000000d/main/1"
LOGS = [EMPTY, FRESH, TRIMMED, YOUNG]
KINDS = ("sqlite", "redis")


async def write_log(store: Store, name: str, count: int, covered: int, trimmed: int) -> None:
    """A log in two epochs, of two seqs a record."""
    epoch = await store.take_epoch(name)
    for n in range(count):
        if n == count // 2:
            epoch = await store.take_epoch(name)
        await store.append(name, Record(epoch, 2 * n + 1, 2 * n + 2, f"{name} {n};".encode() * (n % 7 + 1)))
        if 2 * n + 2 in (covered // 2, covered):
            part = f"part {n}"
            await store.put_parts(name, epoch, 2 * n + 2, {part: b"body", "meta": b"log's own"})
            manifest = await store.manifest(name) | {part: 2 * n + 2, "meta": 2 * n + 2}
            await store.commit_snapshot(name, epoch, 2 * n + 2, manifest, keep_journal=True)
    await store.trim(name, epoch, trimmed)
    if trimmed < covered:
        (record,) = await store.records(name, trimmed, 1)
        await store.rewrite(name, epoch, [record._replace(body=b"rewritten")])


async def write_logs(store: Store) -> None:
    await write_log(store, TRIMMED, 40, 60, 20)
    await write_log(store, YOUNG, 10, 20, 0)
    await write_log(store, FRESH, 10, 0, 0)
    await write_log(store, EMPTY, 10, 20, 20)


@pytest.fixture(params=KINDS)
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    where = filled(request.param, tmp_path / "full", request)
    within(where, write_logs)
    return where


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place(request.param, tmp_path / "empty", request)


def migrating(source: Store, target: Store) -> Migration:
    return Migration(source, target, address="somewhere", now_ms=lambda: NOON_MS, progress=no_progress)


async def migrated(source: Place, target: Place) -> Migrated:
    async with opened(source) as ours, opened(target) as theirs:
        return await migrating(ours, theirs).run()


async def held(store: Store, name: str) -> tuple[object, ...]:
    """All that a log holds, without its epochs."""
    records = [record[1:] for record in await store.records(name, 0, 1000)]
    backwards = [record[1:] for record in await store.records_before(name, 10_000, 1000)]
    assert backwards == records[::-1]
    items = [item async for item in store.recover(name)]
    parts = sorted(item for item in items if isinstance(item, Part))
    seq = (await store.examine(name)).snapshot_seq
    bounds = (await store.first_seq(name), await store.last_seq(name), seq)
    return records, parts, await store.manifest(name), bounds


async def held_by_all(store: Store) -> list[tuple[object, ...]]:
    return [await held(store, name) for name in LOGS]


async def checked(store: Store) -> Verified:
    return await verify(store, SEEN_IDS, no_progress)


def errors(where: Place) -> list[tuple[str, str]]:
    findings = within(where, checked).findings
    return [(finding.place, finding.text) for finding in findings if finding.severity == ERROR]


# Migration ------------------------------------------------------------------------------------------------


async def test_logs_arrive(full: Place, empty: Place) -> None:
    outcome = await migrated(full, empty)
    assert outcome.periods == 10
    async with opened(full) as ours, opened(empty) as theirs:
        assert await held_by_all(theirs) == await held_by_all(ours)
        assert (await theirs.first_seq(TRIMMED), await theirs.first_seq(EMPTY)) == (21, 21)
        for name in LOGS:
            found = await theirs.examine(name)
            assert (found.damage, found.kept) == ([], (await ours.examine(name)).kept)
            assert await digest_of(ours, name) == await digest_of(theirs, name)
        assert await theirs.strays() == []
        # A server goes on with them.
        epoch = await theirs.take_epoch(TRIMMED)
        await theirs.append(TRIMMED, Record(epoch, 81, 82, b"next"))
        manifest = await theirs.manifest(TRIMMED)
        await theirs.commit_snapshot(TRIMMED, epoch, 82, manifest, keep_journal=True)
        await theirs.trim(TRIMMED, epoch, 40)
        assert len(await theirs.records(TRIMMED, 0, 1000)) == 21
        assert [f for f in (await checked(theirs)).findings if f.severity == ERROR] == []


@pytest.mark.parametrize("method", ["append", "put_parts", "commit_snapshot", "trim"])
async def test_a_copy_that_breaks_off_goes_on(
    full: Place, empty: Place, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(full) as ours, opened(empty) as theirs:
        before = await held_by_all(ours)
        through = getattr(theirs, method)

        async def breaks(name: str, *args: Any, **named: Any) -> None:
            if name == TRIMMED:
                raise StoreUnavailable("as told")
            await through(name, *args, **named)

        monkeypatch.setattr(theirs, method, breaks)
        with pytest.raises(StoreUnavailable, match="as told"):
            await migrating(ours, theirs).run()
        monkeypatch.undo()
        await migrating(ours, theirs).run()
        assert await held_by_all(theirs) == before == await held_by_all(ours)
        assert await theirs.strays() == []


async def test_a_half_copied_log_is_copied_anew(full: Place, empty: Place) -> None:
    """Ends and snapshots alike are not enough: what is kept is compared, too."""
    async with opened(empty) as store:
        await store.take_ownership("migration")
    await migrated(full, empty)
    async with opened(full) as ours, opened(empty) as theirs:
        epoch = (await theirs.epochs([TRIMMED]))[0]
        (record,) = await theirs.records(TRIMMED, 30, 1)
        await theirs.rewrite(TRIMMED, epoch, [record._replace(body=b"another")])
        assert await digest_of(ours, TRIMMED) != await digest_of(theirs, TRIMMED)
        await theirs.rewrite(TRIMMED, epoch, [record])
        assert await digest_of(ours, TRIMMED) == await digest_of(theirs, TRIMMED)
        await theirs.trim(TRIMMED, epoch, 22)
        assert await digest_of(ours, TRIMMED) != await digest_of(theirs, TRIMMED)
    with pytest.raises(MigrationRefused, match=f"period {TRIMMED} differs"):
        await migrated(full, empty)


async def test_a_damaged_log_is_not_copied(full: Place, empty: Place) -> None:
    await full.backend.damage_record(TRIMMED, 50)
    with pytest.raises((StoreCorrupt, MigrationFailed), match=r"record 49\.\.50"):
        await migrated(full, empty)


# Verification ---------------------------------------------------------------------------------------------


def test_sound_logs_are_sound(full: Place) -> None:
    verified = within(full, checked)
    assert [finding for finding in verified.findings if finding.kind != "keeping"] == []
    assert (verified.periods, verified.records) == (10, within(full, count_of_records))


async def count_of_records(store: Store) -> int:
    logs = sum([len(await store.records(name, 0, 1000)) for name in LOGS])
    others = [name for name in await store.list_periods() if name not in LOGS]
    return logs + sum([len((await store.examine(name)).records) for name in others])


@pytest.mark.parametrize(
    ("last_seq", "text"), [(22, "record 21..22: checksum"), (70, "record 69..70: checksum")]
)
def test_damage_in_a_log_is_found(full: Place, last_seq: int, text: str) -> None:
    asyncio.run(full.backend.damage_record(TRIMMED, last_seq))
    ((where, found),) = errors(full)
    assert where == f"period {TRIMMED}" and text in found
    result = run("verify", full.url)
    assert result.exit_code == 1 and TRIMMED in result.output


def test_a_record_that_is_lost_among_the_kept(full: Place) -> None:
    asyncio.run(full.backend.lose_record(TRIMMED, 40))
    ((_, found),) = errors(full)
    assert re.search(r"41\.\.42 comes after seq 38: a gap", found)


# Repair ---------------------------------------------------------------------------------------------------


def test_the_damaged_end_of_a_log_is_cut(full: Place) -> None:
    before = within(full, lambda store: held(store, TRIMMED))
    asyncio.run(full.backend.damage_record(TRIMMED, 72))
    result = run("repair", "--store", full.url)
    assert result.exit_code == 1 and "whether what remains loads is looked at then" in result.output
    assert run("repair", "--store", full.url, "--apply", "--yes").exit_code == 0
    after = within(full, lambda store: held(store, TRIMMED))
    records = before[0]
    assert isinstance(records, list)
    assert after == (records[:25], *before[1:3], (21, 70, 60))
    assert errors(full) == []


def test_damage_in_what_is_kept_cannot_be_cut(full: Place) -> None:
    asyncio.run(full.backend.damage_record(TRIMMED, 40))
    before = within(full, lambda store: store.last_seq(TRIMMED))
    (trouble,) = within(full, lambda store: Repair(store, SEEN_IDS, no_progress).find())
    assert (trouble.period_id, trouble.cut_seq) == (TRIMMED, None)
    assert "not in the journal's end" in trouble.advice
    assert run("repair", "--store", full.url, "--apply", "--yes").exit_code == 1
    assert within(full, lambda store: store.last_seq(TRIMMED)) == before


# Backup ---------------------------------------------------------------------------------------------------


def test_a_backup_has_logs(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    where = filled("sqlite", tmp_path / "data", request)
    within(where, write_logs)
    before = within(where, held_by_all)
    file, again = tmp_path / "copy.backup", tmp_path / "again"
    assert run("backup", str(file), "--data-dir", str(tmp_path / "data")).exit_code == 0
    result = run("restore", str(file), "--data-dir", str(again))
    assert result.exit_code == 0, result.output
    assert within(f"sqlite:{again}", held_by_all) == before
