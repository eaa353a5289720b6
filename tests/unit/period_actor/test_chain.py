"""Chains: which period takes what, batches, repeats, seals, moves. What readers see: `test_chain_reads`."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.period import NO_RANK, RANK, Applied, Period
from persistence.store import StoreError
from tests.support.chain_world import (
    END_MS,
    GRACE_MS,
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

# Which period takes a submission --------------------------------------------------------------------------


async def test_a_submission_goes_where_it_occurred_or_else_arrived(world: World) -> None:
    world.at(END_MS + 2_000)
    chain = await world.chain(hour(1), hour(2), hour(3))
    for occurred_at_ms, arrived_at_ms, outcome in (
        (None, END_MS - 1, "hour-1"),  # it was on its way while the period ended
        (None, END_MS, "hour-2"),
        (END_MS - 1, END_MS + GRACE_MS - 1, "hour-1"),
        (END_MS - 1, END_MS + GRACE_MS, "period_closed"),
        (END_MS, END_MS + 1, "hour-2"),
        (END_MS - 1, END_MS - 50, "hour-1"),  # a clock that is fast
        (END_MS + 1, END_MS - 50, "hour-1"),  # it counts as now
        (END_MS + 59_999, END_MS - 1, "hour-1"),
        (END_MS, END_MS, "hour-2"),
        (NOON_MS - 1, END_MS + 1, "period_closed"),  # a period that is not kept
    ):
        times: Any = {"occurred_at_ms": occurred_at_ms, "arrived_at_ms": arrived_at_ms}
        if outcome.startswith("period"):
            assert await refusal(submit(chain, "p0", 1, **times)) == outcome, times
            continue
        key, result = await submit(chain, f"{outcome} {times}", 1, **times)
        assert key == outcome and result.entry is not None, times
        assert result.entry.first_at_ms == min(occurred_at_ms or arrived_at_ms, arrived_at_ms)


async def test_a_forced_close_takes_nothing_late(world: World) -> None:
    now_ms = world.clock.now_ms()
    chain = await world.chain(
        hour(1)._replace(ends_at_ms=now_ms, forced=True), hour(2)._replace(starts_at_ms=now_ms)
    )
    late = submit(chain, "p1", 1, occurred_at_ms=now_ms - 1, arrived_at_ms=now_ms)
    assert await refusal(late) == "period_closed"
    assert (await submit(chain, "p1", 1, arrived_at_ms=now_ms))[0] == "hour-2"


async def test_what_was_long_on_its_way_meets_the_next_period(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    world.at(OVER_MS)
    assert (await submit(chain, "p1", 1, arrived_at_ms=END_MS - 1))[0] == "hour-1"
    gate = world.store.hold("put_parts", 1)
    sealing = asyncio.create_task(chain.seal(1))
    await gate.entered.wait()
    assert (await submit(chain, "p2", 1, arrived_at_ms=END_MS - 1))[0] == "hour-2"
    gate.opened.set()
    await sealing
    assert (await submit(chain, "p3", 1, arrived_at_ms=END_MS - 1))[0] == "hour-2"


async def test_outside_an_open_period(world: World) -> None:
    chain = await world.chain(hour(2))
    assert await refusal(submit(chain, "p1", 1)) == "period_not_open"
    await world.change(chain, records=[hour(1)])
    world.at(END_MS)
    assert await refusal(submit(chain, "p1", 1)) == "period_loading", "the next one is being opened"
    await world.change(chain, more=False)
    assert await refusal(submit(chain, "p1", 1)) == "period_closed"
    await world.change(chain, records=[])
    assert await refusal(submit(chain, "p1", 1)) == "period_not_open"


async def test_between_two_manual_periods_the_next_one_is_not_open(world: World) -> None:
    chain = await world.chain(hour(1), hour(3), more=False)
    world.at(OVER_MS)
    for _ in range(2):  # while the first is not sealed yet, and when it is
        assert await refusal(submit(chain, "p1", 1)) == "period_not_open"
        await world.seal(chain, 1)


async def test_what_occurs_now_waits_for_a_period_that_opens_late(world: World) -> None:
    """The supervisor was away: with `occurred_at` too, the answer is one that can pass."""
    chain = await world.chain(hour(1))
    world.at(END_MS + 10)
    assert await refusal(submit(chain, "p1", 1, occurred_at_ms=END_MS + 5)) == "period_loading"


async def test_while_loading_a_period_answers_nothing_and_delays_no_other(world: World) -> None:
    gates = [world.store.hold("recover", 1), world.store.hold("recover", 2)]
    chain = await world.chain(hour(1), wait=False)
    await gates[0].entered.wait()
    for work in (submit(chain, "p1", 1, "a"), standings(chain)):
        assert await refusal(work) == "period_loading"
    gates[0].opened.set()
    await chain.wait_loaded()
    await world.change(chain, wait=False, records=[hour(1), hour(2)])  # opened ahead
    await gates[1].entered.wait()
    assert (await submit(chain, "p1", 1))[0] == "hour-1"
    assert (await submit(chain, "p1", 1, "a"))[0] == "hour-1", "with an id as without"


# Order, batches, limits, moves ----------------------------------------------------------------------------


async def test_concurrent_submissions_are_batched_and_applied_in_order(world: World) -> None:
    chain = await world.chain(hour(1))
    results = await asyncio.gather(*(submit(chain, f"p{i % 7}", 1, f"id{i}") for i in range(200)))
    found = [(result.seq, result.entry and result.entry.score) for _, result in results]
    assert found == [(i + 1, i // 7 + 1) for i in range(200)]
    assert len(world.store.appended) <= 10, "what waits for an append forms the next one"
    replayed = Period(SUM)
    for record in (await world.stored(1))[1]:
        _, now_ms, inputs = msgpack.unpackb(record.body)
        replayed.apply(now_ms, inputs)
    rows = replayed.ranking.page(0, 10)
    assert await standings(chain) == {p: (rank, replayed.entry(p).score) for rank, p in rows}


async def test_one_call_keeps_its_order_and_its_bad_items_to_themselves(world: World) -> None:
    chain = await world.chain(hour(1))
    rows = [("p1", 1.7e308, "a"), ("p1", 1.7e308, "b"), ("p2", 1, None), ("p1", 1, "a"), ("p3", 2, None)]
    items = [[player, score, 0, None, submission_id, None, None] for player, score, submission_id in rows]
    found: list[Any] = []
    for verdict in await submit_all(chain, items, RANK):
        if isinstance(verdict, ApiError):
            found.append(verdict.code)
        else:
            ((_, result),) = cast("list[tuple[str, Applied]]", verdict)
            found.append((result.seq, result.duplicate))
    assert found == [(1, False), "validation_failed", (2, False), (1, True), (3, False)]
    again = await submit_all(chain, items, NO_RANK)
    codes = [verdict and verdict.code for verdict in again if not isinstance(verdict, list)]
    assert codes == [None, "validation_failed", None, None, None]


async def test_a_full_queue_takes_nothing(world: World) -> None:
    chain = await world.chain(hour(1), queue=3)
    gate = world.store.hold("append", 1)
    sent = [asyncio.create_task(submit(chain, "p1", 1))]
    await gate.entered.wait()
    sent += [asyncio.create_task(submit(chain, "p1", 1)) for _ in range(5)]
    refused = await asyncio.gather(*sent[4:], return_exceptions=True)
    gate.opened.set()
    await asyncio.gather(*sent[:4])
    assert [e.code for e in refused if isinstance(e, ApiError)] == ["overloaded"] * 2
    assert await standings(chain) == {"p1": (1, 4)}


async def test_while_a_chain_moves_a_refusal_is_one_that_passes(world: World) -> None:
    """Draining is no end of the period: what is refused meanwhile must be sent again, to the new place."""
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 1)
    first = world.store.hold("put_parts", 1)
    leaving = asyncio.create_task(chain.leave())
    await first.entered.wait()
    await submit(chain, "p2", 2)  # while most of it is saved, it still serves
    second = world.store.hold("put_parts", 1)
    first.opened.set()
    await second.entered.wait()
    assert chain.is_leaving
    code = await refusal(submit(chain, "p3", 3))
    second.opened.set()
    await leaving
    assert (await world.stored(1))[:2] == (2, []), "everything is in the snapshot"
    assert await standings(await world.chain(hour(1))) == {"p2": (1, 2), "p1": (2, 1)}
    assert code == "period_loading"


# Repeats and seals ----------------------------------------------------------------------------------------


async def test_a_repeat_is_recognised_across_a_boundary_and_after_the_seal(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    _, first = await submit(chain, "p1", 5, "a")
    world.at(END_MS + 1_000)
    key, repeat = await submit(chain, "p1", 5, "a")
    assert (key, repeat.duplicate, repeat[5], repeat[1]) == ("hour-1", True, first.seq, first.entry)
    world.at(OVER_MS)
    await world.seal(chain, 1)
    for _ in range(2):  # the second time after a crash
        assert (await submit(chain, "p1", 5, "a"))[1].duplicate
        assert (await standings(chain), await standings(chain, "hour-1")) == ({}, {"p1": (1, 5)})
        chain = await world.chain(hour(2), previous=chain.spec.previous)


async def test_sealing_again_changes_nothing(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    await asyncio.gather(submit(chain, "p1", 5, "a"), submit(chain, "p2", 5, "b"))
    world.at(OVER_MS)
    world.store.fail("commit_snapshot", 1)
    with pytest.raises(StoreError):
        await chain.seal(1)
    assert await standings(chain, "hour-1") == {"p1": (1, 5), "p2": (2, 5)}
    record = await chain.seal(1)
    assert record == hour(1)._replace(sealed=True, entries=2, submissions=2, last_seq=3)
    written = len(world.store.appended)
    assert await chain.seal(1) == record
    assert (await world.stored(1))[:2] == (3, []) and len(world.store.appended) == written
    # The record was not saved before a crash: a supervisor has the same period sealed once more.
    again = await world.chain(hour(1), hour(2))
    assert await world.seal(again, 1) == record
    assert (await submit(again, "p1", 5, "a"))[1].duplicate


async def test_a_seal_hands_ids_on_though_the_successor_is_not_ready(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5, "a")
    gate = world.store.hold("recover", 2)
    await world.change(chain, wait=False, records=[hour(1), hour(2)])
    world.at(OVER_MS)
    await gate.entered.wait()
    sealing = asyncio.gather(chain.seal(1), return_exceptions=True)  # it may wait, or fail and come again
    await asyncio.wait([sealing], timeout=0.1)
    gate.opened.set()
    await sealing
    await chain.wait_loaded()
    await world.seal(chain, 1)
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate
    assert await standings(chain) == {}


async def test_a_repeat_that_overtakes_the_first_is_not_applied_twice(world: World) -> None:
    """Around a boundary, over two gateways: the repeat arrives later but is handed to the chain first."""
    chain = await world.chain(hour(1), hour(2))
    world.at(END_MS + 1_000)
    gate = world.store.hold("append", 1)
    sent = [asyncio.create_task(submit(chain, "p9", 1, "z", arrived_at_ms=END_MS - 1))]
    await gate.entered.wait()  # the repeat waits for what is on its way into the period before
    for arrived_at_ms in (END_MS + 1, END_MS - 1):
        sent.append(asyncio.create_task(submit(chain, "p1", 5, "a", arrived_at_ms=arrived_at_ms)))
        await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(*sent)
    found = [await standings(chain, key) for key in ("hour-1", "hour-2")]
    assert [period["p1"][1] for period in found if "p1" in period] == [5]
