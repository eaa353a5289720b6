"""`lbactors repair` on stores of both kinds: what it would drop is said exactly, and cut only when asked.

The stores are written by real activations (`stored`), then hurt by raw SQL and raw Redis commands. Verified:
what is offered and what is not; that nothing changes without --apply and a confirmation; that what remains
loads, is sound, and takes scores again. Not verified: that the inputs that remain are those a player wants.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors.core.definition import Rules
from lbactors.core.inputs import ERASE
from lbactors.core.model import PeriodRecord
from lbactors.documents.entities import COLLECTIONS
from lbactors.period_actor.replay import Contents
from lbactors.tools.repair import NotRepaired, Remains, Repair, Trouble, last_sound_seq
from lbactors.tools.stored_periods import load_period
from lbactors.tools.verify import ERROR, verify
from persistence.data_dir import lock_data_dir
from persistence.store import Examined, Record, Store
from tests.support.command import json_fields, refused, run
from tests.support.repository import python_path
from tests.support.stored import (
    COINS,
    COINS_2,
    COINS_RECORDS,
    NOON_MS,
    SEEN_IDS,
    XP,
    Place,
    activation,
    board_of,
    commit,
    everything,
    filled,
    full,
    no_progress,
    opened,
    period_change,
    record_of,
    submission,
    within,
    written_once,
)

__all__ = ["full", "written_once"]  # fixtures

THIRD, FOURTH, LAST = COINS_RECORDS[2], COINS_RECORDS[3], COINS_RECORDS[-1]


def looked(where: Place) -> list[Trouble]:
    return within(where, lambda store: Repair(store, SEEN_IDS, no_progress).find())


def held(where: Place) -> dict[str, Any]:
    return within(where, lambda store: everything(store, COLLECTIONS))


async def errors(store: Store) -> list[str]:
    verified = await verify(store, SEEN_IDS, no_progress)
    return [finding.text for finding in verified.findings if finding.severity == ERROR]


def entries_after(seq: int, where: Place) -> Remains:
    """What the coins' period holds at a seq, from the whole journal."""

    async def load(store: Store) -> Remains:
        period = await load_period(store, COINS_2, SEEN_IDS)
        assert period is not None
        gone = COINS_RECORDS[-1][1] - seq
        return Remains(period.total, period.submissions - gone, seq)

    return within(where, load)


def test_a_whole_store_needs_no_repair(full: Place) -> None:
    before = held(full)
    for more in ((), ("--apply", "--yes")):
        result = run("repair", "--store", full.url, *more)
        assert result.exit_code == 0
        assert result.stdout.endswith("every period loads, there is nothing to repair\n")
    assert held(full) == before


# What is found --------------------------------------------------------------------------------------------


def test_a_damaged_record_and_all_after_it_would_go(full: Place) -> None:
    remains = entries_after(THIRD[0] - 1, full)
    asyncio.run(full.backend.damage_record(COINS_2, THIRD[1]))
    (trouble,) = looked(full)
    assert (trouble.period_id, trouble.key) == (COINS_2, "hour-2")
    assert (trouble.cut_seq, trouble.last_seq, trouble.inputs) == (THIRD[0] - 1, LAST[1], 40)
    assert trouble.remains == remains
    dropped = [(record.first_seq, record.last_seq, record.sound) for record in trouble.dropped]
    assert dropped == [(*THIRD, False), *((*each, True) for each in COINS_RECORDS[3:])]
    assert trouble.dropped[0].contents is None
    assert trouble.readable == Contents(30, 0, 0, 0)


def test_after_a_gap_all_would_go(full: Place) -> None:
    asyncio.run(full.backend.lose_record(COINS_2, THIRD[1]))
    (trouble,) = looked(full)
    assert (trouble.cut_seq, trouble.inputs, len(trouble.dropped)) == (THIRD[0] - 1, 40, 3)
    # The first record after the gap follows nothing; those after it follow it.
    assert [record.contents is None for record in trouble.dropped] == [True, False, False]
    assert trouble.readable == Contents(20, 0, 0, 0)


def test_two_damaged_records(full: Place) -> None:
    for _, last_seq in (THIRD, COINS_RECORDS[4]):
        asyncio.run(full.backend.damage_record(COINS_2, last_seq))
    (trouble,) = looked(full)
    assert [record.sound for record in trouble.dropped] == [False, True, False, True]
    contents = [record.contents for record in trouble.dropped]
    ten = Contents(10, 0, 0, 0)
    assert contents == [None, ten, None, ten]


def test_a_lost_end_would_be_given_up(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    where = filled("redis", tmp_path, request)
    asyncio.run(where.backend.lose_record(COINS_2, LAST[1]))
    (trouble,) = looked(where)
    assert (trouble.cut_seq, trouble.last_seq, trouble.inputs) == (LAST[0] - 1, LAST[1], 10)
    assert trouble.dropped == ()
    result = run("repair", "--store", where.url, "--apply", "--yes")
    assert result.exit_code == 0, result.output
    assert within(where, errors) == []


def test_a_journal_that_is_damaged_from_its_beginning(full: Place) -> None:
    daily = f"{XP}/daily/1"
    asyncio.run(full.backend.damage_record(daily, 1))
    (trouble,) = looked(full)
    assert (trouble.cut_seq, trouble.inputs, trouble.remains) == (0, 3, Remains(0, 0, 0))
    assert trouble.readable == Contents(2, 0, 0, 0)
    result = run("repair", "--store", full.url, "--apply", "--yes")
    assert result.exit_code == 0, result.output
    assert within(full, errors) == []
    assert within(full, lambda store: store.last_seq(daily)) == 0


@pytest.mark.parametrize("hurt", ["damage_part", "lose_part", "damage_manifest"])
def test_a_snapshot_cannot_be_cut(full: Place, hurt: str) -> None:
    names = (COINS_2,) if hurt == "damage_manifest" else (COINS_2, "e:1")
    asyncio.run(getattr(full.backend, hurt)(*names))
    asyncio.run(full.backend.damage_record(COINS_2, THIRD[1]))
    (trouble,) = looked(full)
    assert trouble.cut_seq is None and "restore the store from a backup" in trouble.advice
    result = run("repair", "--store", full.url, "--apply", "--yes")
    assert result.exit_code == 1
    assert "not to be repaired here: the snapshot is damaged" in result.stdout
    assert result.stdout.endswith("nothing was changed; there is nothing that a cut could repair\n")


def test_a_document_cannot_be_cut(full: Place) -> None:
    asyncio.run(full.backend.damage_document("profiles", "default/p3"))
    (trouble,) = looked(full)
    assert (trouble.place, trouble.cut_seq) == ("document profiles default/p3", None)
    result = run("repair", "--store", full.url)
    assert result.exit_code == 1 and "restore the store from a backup" in result.stdout


def test_sound_bytes_that_do_not_load_are_not_dropped(full: Place) -> None:
    async def write_nonsense(store: Store) -> None:
        epoch = await store.take_epoch(COINS_2)
        await store.append(COINS_2, Record(epoch, LAST[1] + 1, LAST[1] + 1, b"nonsense"))

    within(full, write_nonsense)
    (trouble,) = looked(full)
    assert trouble.cut_seq is None and "every byte is sound, so nothing is cut" in trouble.advice


# What is cut ----------------------------------------------------------------------------------------------


def test_nothing_is_cut_unless_it_is_asked_for(full: Place) -> None:
    asyncio.run(full.backend.damage_record(COINS_2, THIRD[1]))
    before = within(full, lambda store: store.examine(COINS_2))
    result = run("repair", "--store", full.url)
    assert result.exit_code == 1
    assert result.stdout.endswith("nothing was changed; --apply makes the cuts described above\n")
    shown = json.loads(run("repair", "--store", full.url, "--json").stdout)
    assert set(shown) == json_fields("repair") and not shown["all_load"] and shown["cut"] == []
    (trouble,) = shown["troubles"]
    assert trouble["cut_after_seq"] is not None and trouble["dropped_inputs"] > 0
    result = run("repair", "--store", full.url, "--apply")  # where nobody can answer
    assert result.exit_code == 2 and "add --yes" in result.stderr
    assert within(full, lambda store: store.examine(COINS_2)) == before


def test_what_would_go_is_said(full: Place) -> None:
    asyncio.run(full.backend.damage_record(COINS_2, THIRD[1]))
    lines = run("repair", "--store", full.url).stdout.splitlines()
    assert lines[0] == f"period {COINS_2} (hour-2)"
    assert f"record {THIRD[0]}..{THIRD[1]}" in lines[1]
    assert lines[2] == "  cut after seq 162: what remains loads, with 20 entries of 162 submissions"
    assert lines[3] == (
        "  dropped: 4 records, 40 inputs (seqs 163..202). 30 of them can be read: 30 submissions, "
        "0 removals, 0 erasures, 0 others; 10 cannot"
    )
    assert (
        lines[4].startswith("    record 163..172, epoch 1, ") and "damaged: 10 inputs, unreadable" in lines[4]
    )
    assert (
        lines[5].startswith("    record 173..182, epoch 1, ") and "sound: 10 inputs, 10 submiss" in lines[5]
    )
    assert len(lines) == 9


def test_a_cut_makes_the_period_load_and_go_on(full: Place) -> None:
    asyncio.run(full.backend.damage_record(COINS_2, FOURTH[1]))
    others = held_without_coins(full)
    result = run("repair", "--store", full.url, "--apply", "--yes")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"cut: period {COINS_2} loads and ends at seq {THIRD[1]}\n")
    assert within(full, errors) == []
    assert held_without_coins(full) == others

    async def go_on(store: Store) -> None:
        rules = Rules.of(board_of(COINS, "sum", []).definition)
        coins = await activation(store, f"{COINS}/main", record_of(2), rules)
        assert (coins.period.seq, coins.epoch) == (THIRD[1], 3)
        inputs = [submission(1000 + seq) for seq in (THIRD[1], FOURTH[0])]
        kept, dropped = await coins.submit(inputs, 0)
        assert kept.duplicate and not dropped.duplicate  # what was cut may be sent again
        saved = await coins.snapshot()
        assert saved

    within(full, go_on)
    assert run("repair", "--store", full.url).exit_code == 0
    assert within(full, errors) == []


def held_without_coins(where: Place) -> dict[str, Any]:
    async def read(store: Store) -> dict[str, Any]:
        periods = [period_id for period_id in await store.list_periods() if period_id != COINS_2]
        held = {period_id: [item async for item in store.recover(period_id)] for period_id in periods}
        return {**held, **{name: await store.scan(name) for name in COLLECTIONS}}

    return within(where, read)


def test_one_that_can_be_cut_and_one_that_cannot(full: Place) -> None:
    asyncio.run(full.backend.damage_part(f"{XP}/main/2", "e:0"))
    asyncio.run(full.backend.damage_record(COINS_2, LAST[1]))
    result = run("repair", "--store", full.url, "--apply", "--yes")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[-2:] == [
        f"cut: period {COINS_2} loads and ends at seq {LAST[0] - 1}",
        "not repaired: 1, see above",
    ]


@pytest.mark.parametrize("changes_numbers", [True, False])
def test_a_closed_period_s_record_follows_only_if_it_must(full: Place, changes_numbers: bool) -> None:
    """A cut erasure changes no number, so the record stays; cut submissions do."""

    async def close(store: Store) -> bytes:
        period = await load_period(store, COINS_2, SEEN_IDS)
        assert period is not None
        record = record_of(2, sealed=True, entries=20, submissions=period.submissions, last_seq=period.seq)
        epoch = await store.take_epoch(COINS_2)
        what = submission(9000, 3) if changes_numbers else [ERASE, NOON_MS, "p3", "erased-1"]
        body = bytes(msgpack.packb([None, NOON_MS, [what]]))
        await store.append(COINS_2, Record(epoch, LAST[1] + 1, LAST[1] + 1, body))
        if changes_numbers:
            record = record._replace(submissions=record.submissions + 1, last_seq=record.last_seq + 1)
        change = period_change(f"{COINS}/main", record)
        await commit(store, change)
        assert change.body is not None
        return change.body

    written = within(full, close)
    assert within(full, errors) == []
    asyncio.run(full.backend.damage_record(COINS_2, LAST[1] + 1))
    result = run("repair", "--store", full.url, "--apply", "--yes")
    assert result.exit_code == 0, result.output
    assert ("its record was corrected" in result.stdout) == changes_numbers
    assert within(full, errors) == []
    (body,) = within(full, lambda store: store.get("periods", [f"{COINS}/main/hour-2"]))
    assert body is not None
    before, after = PeriodRecord(*msgpack.unpackb(written)), PeriodRecord(*msgpack.unpackb(body))
    if changes_numbers:
        before = before._replace(submissions=before.submissions - 1, last_seq=before.last_seq - 1)
    assert after == before


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1)])
def test_the_question_is_answered_at_a_terminal(
    tmp_path: Path, request: pytest.FixtureRequest, answer: str, code: int
) -> None:
    where = filled("sqlite", tmp_path / "data", request)
    asyncio.run(where.backend.damage_record(COINS_2, LAST[1]))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "lbactors", "repair", "--data-dir", str(tmp_path / "data"), "--apply"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"},
    ) as child:
        os.close(theirs)
        assert child.stdout is not None
        said = b""
        while not said.endswith(b"[y/N]: "):
            byte = child.stdout.read(1)
            assert byte, said
            said += byte
        assert said.endswith(b"Drop 10 inputs of 1 period for good? [y/N]: ")
        os.write(ours, answer.encode())
        rest = child.stdout.read().decode()
    os.close(ours)
    assert child.returncode == code, rest
    assert ("cut: period" in rest) == (code == 0) and "Traceback" not in rest
    assert within(where, lambda store: store.last_seq(COINS_2)) == LAST[1] - (10 if code == 0 else 0)


async def test_a_cut_that_does_not_help_is_said(full: Place) -> None:
    """The store changed between the look and the cut."""
    await full.backend.damage_record(COINS_2, LAST[1])
    async with opened(full) as store:
        repair = Repair(store, SEEN_IDS, no_progress)
        (trouble,) = await repair.find()
        await full.backend.damage_record(COINS_2, THIRD[1])
        with pytest.raises(NotRepaired, match="checksum"):
            await repair.cut(trouble)


def test_a_store_in_use_is_left_alone(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    where = filled("sqlite", tmp_path / "data", request)
    with lock_data_dir(tmp_path / "data"):
        assert "in use" in refused(2, "repair", "--store", where.url)
    where = filled("redis", tmp_path, request)
    within(where, lambda store: store.claim("other", "server elsewhere pid 7", 60.0))
    assert "server elsewhere pid 7" in refused(2, "repair", "--store", where.url)


def test_the_end_that_can_be_applied() -> None:
    def examined(*rows: tuple[int, int, bool], snapshot_seq: int = 10) -> Examined:
        records = [(1, first_seq, last_seq, 1, sound) for first_seq, last_seq, sound in rows]
        return Examined(1, snapshot_seq, 99, 1, True, records, ["x"])

    assert last_sound_seq(examined()) == (10, 0)
    assert last_sound_seq(examined((11, 12, True), (13, 13, True))) == (13, 2)
    assert last_sound_seq(examined((11, 12, True), (13, 13, False), (14, 14, True))) == (12, 1)
    assert last_sound_seq(examined((11, 12, True), (14, 14, True))) == (12, 1)  # a gap
    assert last_sound_seq(examined((11, 12, True), (12, 14, True))) == (12, 1)  # two of one seq
