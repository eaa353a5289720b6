"""`migrate`, `verify` and `repair` on stores with logs: journals whose records are kept.

Every record has two inputs. `TRIMMED` begins after its first ten records, has a snapshot at 60, and ten
records after it; `YOUNG` has a snapshot that covers all of it, `FRESH` has none, `EMPTY` is trimmed to its
end. `earners` is a leaderboard that has read all of `TRIMMED`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.definition import Definition, Rules
from lbactors.core.followed import Terms
from lbactors.core.ids import chain_of, parse_chain
from lbactors.core.inputs import JournalBody, follow
from lbactors.core.log import Log
from lbactors.core.log_draft import LogDraft
from lbactors.core.log_inputs import erased, tick, trim
from lbactors.core.log_model import MetricRow
from lbactors.core.model import Board, FillTerms, PeriodRecord
from lbactors.documents.entities import pack_board, unpack_board
from lbactors.tools.migrate import Migrated, Migration, MigrationFailed, MigrationRefused, digest_of
from lbactors.tools.repair import Repair
from lbactors.tools.stored_logs import document_of
from lbactors.tools.verify import CAUTION, ERROR, Verified, verify
from persistence.store import Change, Part, Record, Store, StoreCorrupt, StoreUnavailable
from tests.support.command import run
from tests.support.stored import (
    NOON_MS,
    SEEN_IDS,
    Place,
    activation,
    commit,
    filled,
    no_progress,
    opened,
    period_change,
    place,
    record_of,
    submission,
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

Hurt = Callable[[Store], Awaitable[None]]


def body(*items: Any) -> bytes:
    return JournalBody(None, NOON_MS, items).pack()


async def write_log(store: Store, name: str, count: int, covered: int, trimmed: int) -> None:
    """A log in two epochs, of two seqs a record: rows of five players, some pending; the last input notes
    what is trimmed.
    """
    epoch = await store.take_epoch(name)
    log = Log(SEEN_IDS)
    for n in range(count):
        if n == count // 2:
            epoch = await store.take_epoch(name)
        draft = LogDraft(log, NOON_MS + n)
        state: Any = "pending" if n % 5 == 4 else "completed"
        draft.row(MetricRow(f"p{n % 5}", "award", state, n, 0, b"{}" * (n % 7 + 1), f"id{n}", None))
        if n < count - 1:
            draft.row(MetricRow(f"p{(n + 1) % 5}", "award", "completed", n, 0, None, None, None))
        else:
            draft.add(trim(trimmed, draft.at_ms))
        await store.append(name, Record(epoch, log.seq + 1, log.seq + 2, body(*draft.items)))
        log.apply(NOON_MS + n, draft.items)
        if log.seq in (covered // 2, covered):
            snapshot = log.begin_snapshot()
            assert snapshot is not None
            while parts := log.next_parts(2):
                await store.put_parts(name, epoch, log.seq, parts)
            await store.commit_snapshot(name, epoch, log.seq, snapshot.manifest, keep_journal=True)
            log.end_snapshot(True)
    await store.trim(name, epoch, trimmed)
    if trimmed < covered:
        (record,) = await store.records(name, trimmed, 1)
        gone = [erased(item) for item in JournalBody.unpack(record.body).inputs]
        await store.rewrite(name, epoch, [record._replace(body=body(*gone))])


def log_board(log_id: str) -> Board:
    tenant_id, name, uid, _ = parse_chain(chain_of(log_id))
    return Board(tenant_id, uid, Definition(leaderboard_id=name), 1, NOON_MS, NOON_MS)


def log_documents(log_id: str) -> list[Change]:
    board = log_board(log_id)
    record = PeriodRecord(1, "all-time", None, None, False, 0, 0, NOON_MS)
    return [
        Change("logs", document_of(board), pack_board(board)),
        period_change(chain_of(log_id), record),
        Change("homes", board.board_uid, b"period-1"),
    ]


async def write_logs(store: Store) -> None:
    await write_log(store, TRIMMED, 40, 60, 20)
    await write_log(store, YOUNG, 10, 20, 0)
    await write_log(store, FRESH, 10, 0, 0)
    await write_log(store, EMPTY, 10, 20, 20)
    await commit(store, *(change for name in LOGS for change in log_documents(name)))
    await write_earners(store)


def earners(generation: int = 1) -> Board:
    scoring = {"source": "metric", "metric": "coins"}
    definition = Definition.model_validate({"leaderboard_id": "earners", "scoring": scoring})
    fill = FillTerms(generation)
    return Board("studio", "00000004", definition, 1, NOON_MS, NOON_MS, fill)


async def write_earners(store: Store, position: int = 80) -> None:
    """Two periods that have read the log up to a place, one of them closed."""
    board = earners()
    changes = [Change("leaderboards", "studio/earners", pack_board(board))]
    for serial in (1, 2):
        record = record_of(serial)
        period = await activation(store, board.chain_id("main"), record, Rules.of(board.definition))
        await period.submit([submission(n) for n in range(5)], 0)
        terms = Terms(1, TRIMMED, 0, record.ends_at_ms)
        await period.submit([follow(position, NOON_MS, NOON_MS, terms)], 0)
        if serial == 1:
            await period.seal()
            record = record._replace(sealed=True, last_seq=6, entries=5, submissions=5)
        changes.append(period_change(board.chain_id("main"), record))
    await commit(store, *changes)


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
    assert outcome.periods == 12
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
        await theirs.append(TRIMMED, Record(epoch, 81, 82, body(tick(NOON_MS + 99), trim(40, NOON_MS + 99))))
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
        await theirs.rewrite(TRIMMED, epoch, [record._replace(body=body(tick(1), tick(1)))])
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
    assert (verified.periods, verified.records) == (12, within(full, count_of_records))
    assert verified.documents["logs"] == 4


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


def hurt_record(last_seq: int, change: Callable[[list[Any]], Any], name: str = TRIMMED) -> Hurt:
    async def hurt(store: Store) -> None:
        epoch = (await store.epochs([name]))[0]
        (record,) = await store.records(name, last_seq - 1, 1)
        items = list(JournalBody.unpack(record.body).inputs)
        await store.rewrite(name, epoch, [record._replace(body=change(items))])

    return hurt


def committing(*changes: Change) -> Hurt:
    return lambda store: commit(store, *changes)


async def trimmed_by_force(store: Store) -> None:
    await store.trim(TRIMMED, (await store.epochs([TRIMMED]))[0], 30)


COINS_LOG = "document logs studio/metric/coins"
PERIOD = f"period {TRIMMED}"
BOARD = log_board(TRIMMED)
HURTS: dict[str, tuple[Hurt, set[tuple[str, str, str]]]] = {
    "a log among leaderboards": (
        committing(Change("leaderboards", "studio/coins", pack_board(BOARD))),
        {(ERROR, "document", "document leaderboards studio/coins")},
    ),
    "under another name": (
        committing(Change("logs", "studio/metric/other", pack_board(BOARD))),
        {(ERROR, "document", "document logs studio/metric/other")},
    ),
    "a leaderboard among logs": (
        committing(Change("logs", "studio/events", pack_board(earners()))),
        {(ERROR, "document", "document logs studio/events")},
    ),
    "no document": (
        committing(Change("logs", "studio/metric/coins", None)),
        {
            (CAUTION, "leftover", f"documents periods {chain_of(TRIMMED)}"),
            (ERROR, "log", "document leaderboards studio/earners"),
        },
    ),
    "orphaned": (
        committing(
            Change("logs", "studio/metric/gems", None),
            Change("periods", f"{chain_of(YOUNG)}/all-time", None),
            Change("homes", log_board(YOUNG).board_uid, None),
        ),
        {(CAUTION, "orphan", f"period {YOUNG}")},
    ),
    "no period": (
        committing(Change("periods", f"{chain_of(TRIMMED)}/all-time", None)),
        {(ERROR, "log", COINS_LOG), (ERROR, "orphan", PERIOD)},
    ),
    "no journal body": (hurt_record(50, lambda _: b"rewritten"), {(ERROR, "damage", PERIOD)}),
    "a row too few": (hurt_record(50, lambda items: body(items[0])), {(ERROR, "damage", PERIOD)}),
    "an unknown kind": (
        hurt_record(52, lambda items: body([9, NOON_MS], items[1])),
        {(ERROR, "damage", PERIOD)},
    ),
    "too few fields": (
        hurt_record(50, lambda items: body(items[0][:-1], items[1])),
        {(ERROR, "damage", PERIOD)},
    ),
    "back in time": (
        hurt_record(50, lambda items: body([0, NOON_MS, *items[0][2:]], items[1])),
        {(ERROR, "damage", PERIOD)},
    ),
    "a chain that leads ahead": (
        hurt_record(50, lambda items: body([*items[0][:-1], 60], items[1])),
        {(ERROR, "damage", PERIOD)},
    ),
    "a newest row of another": (
        hurt_record(18, lambda items: body([*items[0][:2], "p9", *items[0][3:]], items[1]), YOUNG),
        {(ERROR, "state", f"period {YOUNG}")},
    ),
    "pending and not": (
        hurt_record(30, lambda items: body([*items[0][:4], False, *items[0][5:]], items[1])),
        {(ERROR, "state", PERIOD)},
    ),
    "trimmed and the note is gone": (trimmed_by_force, {(CAUTION, "leftover", PERIOD)}),
    "a leaderboard that has read more": (
        lambda store: write_more_earners(store, 81),
        {(ERROR, "place", f"period {earners().chain_id('main')}/2")},
    ),
}


@pytest.mark.parametrize("what", HURTS)
def test_what_is_wrong_with_a_log_is_found(full: Place, what: str) -> None:
    hurt, expected = HURTS[what]
    within(full, hurt)
    findings = [finding for finding in within(full, checked).findings if finding.kind != "keeping"]
    assert {finding[:3] for finding in findings} == expected


def test_a_leaderboard_that_begins_anew_may_have_read_more(full: Place) -> None:
    within(full, lambda store: write_more_earners(store, 81))
    within(full, committing(Change("leaderboards", "studio/earners", pack_board(earners(2)))))
    assert errors(full) == []


# Repair ---------------------------------------------------------------------------------------------------


def test_the_damaged_end_of_a_log_is_cut(full: Place) -> None:
    before = within(full, lambda store: held(store, TRIMMED))
    asyncio.run(full.backend.damage_record(TRIMMED, 72))
    result = run("repair", "--store", full.url)
    assert result.exit_code == 1
    assert "cut after seq 70: what remains loads, with 70 rows of 5 players" in result.output
    assert "8 of them can be read: 7 rows, 0 erasures, 1 others; 2 cannot" in result.output
    assert "leaderboard studio/earners has read rows that go" in result.output
    generation = within(full, generation_of_earners)
    result = run("repair", "--store", full.url, "--apply", "--yes")
    assert result.exit_code == 0
    assert "leaderboard studio/earners fills its open periods again" in result.output
    assert (generation, within(full, generation_of_earners)) == (1, 2)
    after = within(full, lambda store: held(store, TRIMMED))
    records = before[0]
    assert isinstance(records, list)
    assert after == (records[:25], *before[1:3], (21, 70, 60))
    assert errors(full) == []


async def generation_of_earners(store: Store) -> int:
    (document,) = await store.get("leaderboards", ["studio/earners"])
    assert document is not None
    return unpack_board(document).fill.generation


def test_a_cut_concerns_nobody_who_has_not_read_so_far(full: Place) -> None:
    within(full, lambda store: store.drop_periods([f"{earners().chain_id('main')}/2"]))
    within(full, lambda store: write_more_earners(store, 70))
    asyncio.run(full.backend.damage_record(TRIMMED, 72))
    (trouble,) = within(full, lambda store: Repair(store, SEEN_IDS, no_progress).find())
    assert (trouble.cut_seq, trouble.ahead) == (70, ())
    assert run("repair", "--store", full.url, "--apply", "--yes").exit_code == 0
    assert (within(full, generation_of_earners), errors(full)) == (1, [])


async def write_more_earners(store: Store, position: int) -> None:
    """The open period again, with another place."""
    record = record_of(2)
    period = await activation(store, earners().chain_id("main"), record, Rules.of(earners().definition))
    await period.submit([follow(position, NOON_MS, NOON_MS, Terms(1, TRIMMED, 0, record.ends_at_ms))], 0)


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
