"""What readers see of a chain: pages, changes, closed periods; and what is left to be read after erasures,
store failures, takeovers and crashes. On the `World` of `tests.support.chain_world`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.period import NO_RANK
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.chain_reads import is_warm, read
from lbactors.period_actor.entry_edits import change_entry, erase
from persistence.store import StoreCorrupt, StoreError
from tests.support.chain_world import (
    END_MS,
    HOUR_MS,
    NOON_MS,
    OVER_MS,
    SUM,
    World,
    hour,
    refusal,
    standings,
    submit,
    submit_all,
)

WITHIN_S = 20.0


async def ids(chain: Chain, ref: str, kind: str, *args: Any) -> list[tuple[int | None, str]]:
    return [(row.rank, row.player_id) for row in (await read(chain, ref, kind, args))[3]]


async def submit_scores(chain: Chain, scores: Mapping[str, float], arrived_at_ms: int) -> None:
    items = [[player_id, score, 0, None, None, None, None] for player_id, score in scores.items()]
    results = await submit_all(chain, items, NO_RANK, arrived_at_ms)
    assert not [r for r in results if isinstance(r, ApiError)]


# Pages and the like ---------------------------------------------------------------------------------------


async def test_reads_of_one_period(world: World) -> None:
    chain = await world.chain(hour(1), rules=SUM._replace(rank_style="competition", min_score=1))
    scores = {"a": 50, "b": 40, "c": 40, "d": 30, "e": 20, "f": 10, "low": 0}
    await submit_scores(chain, scores, NOON_MS)
    ranked = [(1, "a"), (2, "b"), (2, "c"), (4, "d"), (5, "e"), (6, "f")]
    view, total, seq, rows, offset, matched, missing, edges = await read(
        chain, "current", "page", [1, 2, None, None]
    )
    assert (view.key, view.state, view.entries, view.submissions) == ("hour-1", "active", 6, 7)
    assert (total, seq, offset, matched, missing) == (6, 7, 1, None, [])
    assert edges == [(40, 0, 2), (40, 0, 3)]
    assert [(r.rank, r.player_id) for r in rows] == ranked[1:3]
    assert (rows[0].score, rows[0].submissions, rows[0].first_at_ms) == (40, 1, NOON_MS)
    assert await ids(chain, "current", "page", 0, 99, None, None) == ranked
    assert await ids(chain, "hour-1", "page", 6, 5, None, None) == []
    assert await ids(chain, "current", "standings", 1, 2) == ranked[1:3]
    inside = await read(chain, "current", "page", [1, 2, 20, 40])
    assert ([r.rank for r in inside[3]], inside[5], inside[1]) == ([2, 4], 4, 6), "global ranks"
    assert await ids(chain, "current", "page", 4, 9, 20, 40) == []
    assert await ids(chain, "current", "entry", "c") == [(2, "c")]
    assert await ids(chain, "current", "entry", "low") == [(None, "low")]
    assert await refusal(read(chain, "current", "entry", ["x"])) == "entry_not_found"
    assert await ids(chain, "current", "around", "d", 4, True) == ranked[2:6]
    assert await ids(chain, "current", "around", "a", 3, True) == ranked[:3]
    assert await ids(chain, "current", "around", "a", 3, False) == ranked[:2]
    assert await ids(chain, "current", "around", "low", 3, True) == [(None, "low")]
    assert await refusal(read(chain, "current", "around", ["x", 3, True])) == "entry_not_found"
    assert await ids(chain, "current", "page", 0, 2, None, None, edges[1]) == ranked[3:5]
    assert await ids(chain, "current", "page", 0, 2, None, None, edges[0], True) == ranked[:1]
    assert (await read(chain, "current", "around", ["d", 3, True])).edges == [(40, 0, 3), (20, 0, 5)]
    assert (await read(chain, "current", "around", ["low", 3, True])).edges == ()
    found = await read(chain, "current", "lookup", [["low", "f", "x", "c", "f"]])
    assert [(r.rank, r.player_id) for r in found[3]] == [(2, "c"), (6, "f"), (None, "low")]
    assert found[6] == ["x"]
    at = [(await read(chain, "current", "rank_at", [score, 0]))[5] for score in (60, 40, 39, 0)]
    assert at == [1, 2, 4, None]
    spread = (await read(chain, "current", "distribution", [4]))[3]
    assert (spread["total"], spread["min"], spread["max"]) == (6, 10, 50)
    assert [bucket["count"] for bucket in spread["buckets"]] == [1, 1, 1, 3]
    assert (await read(chain, "current", "stats", []))[3] == []
    assert await refusal(read(chain, "hour-2", "page", [0, 1, None, None])) == "period_not_found"
    assert await refusal(read(chain, "previous", "page", [0, 1, None, None])) == "period_not_found"


# One period after the other -------------------------------------------------------------------------------


async def three_hours(world: World, more: bool = True) -> Chain:
    """Periods 1 and 2 are sealed, 3 is open if there are `more`."""
    records = [hour(n) for n in ((1, 2, 3) if more else (1, 2))]
    chain = await world.chain(*records, more=more)
    for record, scores in zip(
        records,
        ({"a": 40, "b": 30, "c": 20}, {"b": 50, "a": 30, "c": 20, "d": 10}, {"d": 9, "b": 8, "e": 7}),
        strict=False,
    ):
        assert record.starts_at_ms is not None
        await submit_scores(chain, scores, record.starts_at_ms)
    world.at(OVER_MS + HOUR_MS)
    for serial in (1, 2):
        await world.seal(chain, serial)
    return chain


async def changes(chain: Chain, ref: str = "current") -> dict[str, str | None]:
    return {row.player_id: row.change for row in (await read(chain, ref, "page", [0, 99, None, None]))[3]}


async def test_change_against_the_period_before_however_it_is_loaded(world: World) -> None:
    chain = await three_hours(world)
    for _ in range(2):  # as they were sealed; then loaded from the store one by one
        assert await changes(chain, "current") == {"d": "up", "b": "down", "e": "new"}
        assert await changes(chain, "hour-2") == {"b": "up", "a": "down", "c": "same", "d": "new"}
        assert await changes(chain, "hour-1") == {"a": "new", "b": "new", "c": "new"}
        assert await changes(chain, "previous") == await changes(chain, "hour-2")
        chain = await world.chain(hour(3), previous=chain.spec.previous)


async def test_closed_periods_load_on_demand_and_are_let_go(world: World) -> None:
    chain = await three_hours(world)
    chain = await world.chain(hour(3), previous=chain.spec.previous)
    assert set(chain.closed) == {2} and not is_warm(chain, "hour-1")
    assert await standings(chain, "hour-1") == {"a": (1, 40), "b": (2, 30), "c": (3, 20)}
    assert set(chain.closed) == {1, 2} and is_warm(chain, "hour-1")
    assert (await read(chain, "hour-1", "stats", []))[0].next_starts_at_ms == END_MS, "that of hour-2"
    chain.closed.forget_idle(world.clock.now_ms() - 1_000, keep=2)
    assert set(chain.closed) == {1, 2}, "read just now"
    chain.closed.forget_idle(world.clock.now_ms() + 1, keep=2)
    assert set(chain.closed) == {2}, "the previous one stays for `change`"
    gate = world.store.hold("recover", 1)
    reads = [asyncio.create_task(standings(chain, "hour-1")) for _ in range(3)]
    await gate.entered.wait()
    assert await standings(chain) == {"d": (1, 9), "b": (2, 8), "e": (3, 7)}, "others are not held up"
    gate.opened.set()
    assert await asyncio.gather(*reads) == [{"a": (1, 40), "b": (2, 30), "c": (3, 20)}] * 3
    await world.change(chain, oldest_serial=2)
    assert set(chain.closed) == {2}, "what is deleted is let go"


async def test_after_the_end_of_a_schedule_its_last_period_is_current(world: World) -> None:
    chain = await three_hours(world, more=False)
    view, _, _, rows, *_ = await read(chain, "current", "page", [0, 1, None, None])
    assert (view.key, view.state, rows[0].player_id) == ("hour-2", "closed", "b")
    assert (await read(chain, "hour-1", "stats", []))[0].next_starts_at_ms == END_MS
    assert view.next_starts_at_ms is None, "no period follows the last one"


async def test_after_the_end_of_a_schedule_the_one_before_the_last_is_previous(world: World) -> None:
    chain = await three_hours(world, more=False)
    assert await standings(chain, "previous") == {"a": (1, 40), "b": (2, 30), "c": (3, 20)}


async def test_a_pending_period_is_an_empty_page(world: World) -> None:
    chain = await world.chain(hour(2))
    view, total, *_ = await read(chain, "current", "page", [0, 10, None, None])
    assert (view.key, view.state, total, view.next_starts_at_ms) == (
        "hour-2",
        "pending",
        0,
        END_MS + HOUR_MS,
    )


# The period before cannot be read -------------------------------------------------------------------------


async def after_one(world: World) -> Chain:
    """Period 2, with `p1` in it and in the closed period 1, of which nothing is in memory."""
    chain = await world.chain(hour(1), hour(2))
    await submit(chain, "p1", 5)
    world.at(OVER_MS)
    record = await world.seal(chain, 1)
    await submit(chain, "p1", 3)
    chain.stop()
    return await world.chain(hour(2), wait=False, awake=False, previous=record)


async def test_damage_in_the_period_before_leaves_the_current_one_readable(world: World) -> None:
    chain = await after_one(world)
    world.store.fault("recover", 1, StoreCorrupt("damaged as told"), n=100)
    for kind, args in (
        ("page", [0, 9, None, None]),
        ("entry", ["p1"]),
        ("around", ["p1", 3, True]),
        ("lookup", [["p1"]]),
    ):
        (row,) = (await read(chain, "current", kind, args))[3]
        assert (row.player_id, row.rank, row.score, row.change) == ("p1", 1, 3, None), kind
    assert is_warm(chain, "current"), "nobody waits for what cannot be loaded"
    key, before, after = await change_entry(chain, "edit", "p1", [4, None, False])
    assert before is not None and after is not None
    assert (key, before.score, before.change, after.score, after.change) == ("hour-2", 3, None, 4, None)
    assert await refusal(standings(chain, "hour-1")) == "storage_unavailable", "it alone"
    assert await standings(chain) == {"p1": (1, 4)}


async def test_changes_are_known_again_when_the_store_is_back(world: World) -> None:
    chain = await after_one(world)
    await chain.wake()
    gate = world.store.hold("recover", 1)
    world.store.fail("recover", 1, n=2)
    reading = asyncio.create_task(changes(chain))
    await gate.entered.wait()
    gate.opened.set()
    assert await reading == {"p1": None}
    world.patch.setattr("lbactors.period_actor.closed_periods.TRY_AGAIN_S", 0.0)
    async with asyncio.timeout(10):
        while True:
            if await changes(chain) == {"p1": "same"}:
                return
            await asyncio.sleep(0.001)


async def test_an_act_that_is_done_is_not_refused_for_what_its_answer_lacks(world: World) -> None:
    """The chain is let go of while the answer waits for the period before."""
    chain = await after_one(world)
    await chain.wake()
    gate = world.store.hold("recover", 1)
    acting = asyncio.create_task(change_entry(chain, "remove", "p1"))
    await gate.entered.wait()
    chain.closed.stop()
    _, before, after = await acting
    assert before is not None and (before.score, before.change, after) == (3, None, None)


# Removal and erasure --------------------------------------------------------------------------------------


async def test_remove(world: World) -> None:
    chain = await world.chain(hour(1), more=False)
    await submit_scores(chain, {"p1": 5, "p2": 7}, NOON_MS)
    key, row, after = await change_entry(chain, "remove", "p1")
    assert row is not None and after is None
    assert (key, row.player_id, row.rank, row.score, row.change) == ("hour-1", "p1", 2, 5, "new")
    assert await standings(chain) == {"p2": (1, 7)}
    assert await refusal(change_entry(chain, "remove", "p1")) == "entry_not_found"
    _, again = await submit(chain, "p1", 1)
    assert again.entry is not None and again.entry.submissions == 1
    world.at(OVER_MS)
    await world.seal(chain, 1)
    assert await refusal(change_entry(chain, "remove", "p2")) == "period_closed"


async def with_gone_soon(world: World) -> Chain:
    """`gone-soon` leads in the closed period 1 and in 2, and only the journal of 3 still names him."""
    chain = await world.chain(hour(1), hour(2), hour(3))
    for arrived_at_ms in (NOON_MS, END_MS):
        await submit_scores(chain, {"gone-soon": 9, "p1": 5, "p2": 3}, arrived_at_ms)
    world.at(END_MS + HOUR_MS)
    await submit(chain, "gone-soon", 9)
    await change_entry(chain, "remove", "gone-soon")
    world.at(OVER_MS)
    await world.seal(chain, 1)
    return chain


async def named(world: World) -> list[int]:
    """Periods whose stored bytes name the player."""
    return [serial for serial in (1, 2, 3) if b"gone-soon" in (await world.stored(serial))[2]]


CLOSED = {"erased-1": (1, 9), "p1": (2, 5), "p2": (3, 3)}


async def test_an_erased_player_is_in_no_period_and_in_no_byte(world: World) -> None:
    chain = await with_gone_soon(world)
    assert await named(world) == [1, 2, 3]
    assert await erase(chain, "gone-soon", "erased-1") == 2
    assert await named(world) == []
    for _ in range(2):  # the second time read back from the store
        assert await standings(chain, "hour-1") == CLOSED
        assert await standings(chain, "hour-2") == {"p1": (1, 5), "p2": (2, 3)}
        chain = await world.chain(hour(2), hour(3), previous=chain.spec.previous)
    assert await erase(chain, "gone-soon", "erased-2") == 0
    for _ in range(5):
        await world.store.ping()  # each commit deletes some garbage
    await world.store.inner.close()
    files = [file for file in world.store.inner.directory.iterdir() if file.is_file()]
    assert files and not [file.name for file in files if b"gone-soon" in file.read_bytes()]


async def test_an_erasure_leaves_the_ranks_of_a_closed_period(world: World) -> None:
    """Rules that came after a period's end are none of its business."""
    chain = await with_gone_soon(world)
    await world.change(chain, rules=SUM._replace(max_entries=2, min_score=4))
    await erase(chain, "gone-soon", "erased-1")
    assert await standings(chain, "hour-1") == CLOSED


async def test_an_interrupted_erasure_is_completed_by_the_next(world: World) -> None:
    chain = await with_gone_soon(world)
    world.store.fail("commit_snapshot", 1)
    with pytest.raises((StoreError, ApiError)):
        await erase(chain, "gone-soon", "erased-1")
    chain = await world.chain(hour(2), hour(3), previous=chain.spec.previous)
    await erase(chain, "gone-soon", "erased-1")
    assert await named(world) == []


async def test_an_erasure_reaches_a_period_whose_seal_is_not_recorded_yet(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    await submit_scores(chain, {"gone-soon": 9}, NOON_MS)
    world.at(OVER_MS)
    await chain.seal(1)
    await erase(chain, "gone-soon", "erased-1")
    assert await standings(chain, "hour-1") == {"erased-1": (1, 9)}


# Failures of the store ------------------------------------------------------------------------------------


async def eventually(happens: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not happens():
        assert time.monotonic() < deadline_s, what
        await asyncio.sleep(0.001)


async def served_again(chain: Chain) -> None:
    await eventually(lambda: all(a.state == "serving" for a in chain.open), "every period serves")


async def test_a_refused_append_changes_nothing_and_the_next_one_goes_on(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5, "a")
    world.store.fail("append", 1, n=2)
    for _ in range(2):
        assert await refusal(submit(chain, "p2", 7, "b")) == "storage_unavailable"
    assert await standings(chain) == {"p1": (1, 5)}
    assert (await submit(chain, "p2", 7, "b"))[1][5:7] == (2, False), "the next seq, no repeat"
    assert await standings(chain) == {"p2": (1, 7), "p1": (2, 5)}


@pytest.mark.parametrize("happened", [False, True])
async def test_an_append_of_unknown_outcome_loses_and_doubles_nothing(world: World, happened: bool) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5, "a")
    world.store.fail("append", 1, unknown=True, happened=happened)
    gates = [world.store.hold("append", 1), world.store.hold("records_after", 1)]
    uncertain = asyncio.create_task(refusal(submit(chain, "p1", 5, "b")))
    await gates[0].entered.wait()
    behind = [asyncio.create_task(refusal(submit(chain, "p1", 5, f"c{i}"))) for i in range(5)]
    await asyncio.sleep(0)
    gates[0].opened.set()
    assert await asyncio.gather(uncertain, *behind) == ["storage_unavailable"] * 6
    await gates[1].entered.wait()
    assert await standings(chain) == {"p1": (1, 5)}, "reads go on, and show what was acknowledged"
    assert await refusal(submit(chain, "p1", 5, "d")) == "storage_unavailable"
    gates[1].opened.set()
    await served_again(chain)
    assert (await submit(chain, "p1", 5, "b"))[1].duplicate == happened
    assert [(await submit(chain, "p1", 5, f"c{i}"))[1].duplicate for i in range(5)] == [False] * 5
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate
    assert await standings(chain) == await standings(await world.chain(hour(1))) == {"p1": (1, 35)}


@pytest.mark.parametrize("method", ["take_epoch", "recover"])
async def test_a_period_loads_once_the_store_is_back(world: World, method: str) -> None:
    await submit(await world.chain(hour(1)), "p1", 5)
    world.store.fail(method, 1, n=3)
    chain = await world.chain(hour(1))
    await served_again(chain)
    assert (await submit(chain, "p1", 5))[1].entry.score == 10  # type: ignore[union-attr]


@pytest.mark.parametrize("unknown", [False, True])
async def test_new_rules_not_journaled_at_the_load_are_later(world: World, unknown: bool) -> None:
    await submit(await world.chain(hour(1)), "p1", 5, "a")
    world.store.fail("append", 1, unknown=unknown)
    chain = await world.chain(hour(1), rules=SUM._replace(max_entries=1))
    await eventually(lambda: chain.open[0].period.rules.max_entries == 1, "the new rules are in force")
    assert (await submit(chain, "p2", 9))[1].rank == 1
    assert await standings(chain) == {"p2": (1, 9)}


async def test_new_rules_reach_the_successor_of_a_suspended_activation(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit_scores(chain, {"p1": 5, "p2": 9}, NOON_MS)
    world.store.fail("append", 1, unknown=True)
    gate = world.store.hold("records_after", 1)
    assert await refusal(submit(chain, "p3", 1)) == "storage_unavailable"
    await gate.entered.wait()
    await world.change(chain, rules=SUM._replace(max_entries=1))
    gate.opened.set()
    await served_again(chain)
    await eventually(lambda: len(chain.open[0].period) == 1, "the new rules are in force")


@pytest.mark.parametrize("happened", [False, True])
async def test_a_snapshot_that_failed_is_made_up_for(world: World, happened: bool) -> None:
    chain = await world.chain(hour(1))
    for turn in range(4):
        await submit_scores(chain, {f"p{i}": i for i in range(turn * 10, turn * 10 + 10)}, NOON_MS)
        world.store.fail("commit_snapshot", 1, unknown=True, happened=happened)
        with pytest.raises(StoreError):
            await chain.open[0].snapshot()
        if turn % 2:
            assert await chain.open[0].snapshot()
    expected = await standings(chain)
    assert len(expected) == 40 and await standings(await world.chain(hour(1))) == expected


# Takeovers and crashes ------------------------------------------------------------------------------------


async def test_a_second_chain_fences_the_first(world: World) -> None:
    first = await world.chain(hour(1))
    await submit(first, "p1", 5, "a")
    gate = world.store.hold("append", 1)
    in_flight = asyncio.create_task(refusal(submit(first, "p2", 7, "b")))
    await gate.entered.wait()
    second = await world.chain(hour(1))
    gate.opened.set()
    assert await in_flight == "storage_unavailable"
    async with asyncio.timeout(5):
        await world.lost.wait()
    assert await refusal(submit(first, "p3", 7, "c")) == "storage_unavailable"
    assert await refusal(read(first, "current", "page", [0, 9, None, None])) == "storage_unavailable"
    assert not (await submit(second, "p2", 7, "b"))[1].duplicate
    assert await standings(second) == {"p2": (1, 7), "p1": (2, 5)}


async def test_a_snapshot_finds_that_another_took_over(world: World) -> None:
    first = await world.chain(hour(1))
    await submit(first, "p1", 5)
    second = await world.chain(hour(1))
    with pytest.raises(StoreError):
        await first.open[0].snapshot()
    async with asyncio.timeout(5):
        await world.lost.wait()
    assert await refusal(submit(first, "p1", 5)) == "storage_unavailable"
    assert await standings(second) == {"p1": (1, 5)}


async def test_a_crash_in_any_moment_of_a_snapshot(world: World) -> None:
    """Submissions go on beside the snapshot; the process ends before each of its writes in turn."""
    rng = random.Random(4)
    chain = await world.chain(hour(1))
    for step in range(12):
        method = "put_parts" if step % 3 else "commit_snapshot"
        gate = world.store.hold(method, 1)
        await submit_scores(chain, {f"p{rng.randrange(40)}": rng.randrange(9) for _ in range(20)}, NOON_MS)
        saving = asyncio.create_task(chain.open[0].snapshot())
        await gate.entered.wait()
        players = [f"p{rng.randrange(40)}" for _ in range(20)]
        await asyncio.gather(*(submit(chain, p, 1, f"{step}.{i}") for i, p in enumerate(players)))
        if step % 2:
            gate.opened.set()
            await saving
            seq, journal, _ = await world.stored(1)
            assert seq and all(record.first_seq > seq for record in journal), "the journal is trimmed"
        expected, seq_before = await standings(chain), chain.open[0].period.seq
        crashed, chain = chain, await world.chain(hour(1))
        assert (await standings(chain), chain.open[0].period.seq) == (expected, seq_before)
        chain.open[0].period.check()
        assert (await submit(chain, players[7], 99, f"{step}.7"))[1].duplicate
        gate.opened.set()
        await asyncio.gather(saving, return_exceptions=True)
        assert crashed.open[0].state == "gone" or step % 2
