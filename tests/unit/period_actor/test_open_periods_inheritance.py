"""Submission ids that a period takes over late: it was made after the one before had been closed.

The chains and the obedient store of `test_chain`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.inputs import INHERIT, SUBMIT
from lbactors.core.model import PeriodRecord
from persistence.store import StoreCorrupt
from tests.support.chain_world import (
    HOUR_MS,
    NOON_MS,
    OVER_MS,
    World,
    hour,
    refusal,
    submit,
)

NOT_OPEN = "period_not_open"


async def owing(world: World) -> PeriodRecord:
    """Period 1, closed when there was no other; nothing of it is in memory any more."""
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5, "a")
    world.at(OVER_MS)
    record = await chain.seal(1)
    assert record.ids_owed
    chain.stop()
    return record


async def code_of(work: Awaitable[Any]) -> str:
    """Of the error that came, if one came."""
    try:
        await work
    except ApiError as error:
        return error.code
    return ""


async def test_what_is_owed_is_taken_over_before_anything_else(world: World) -> None:
    record = await owing(world)
    world.store.fail("recover", 1)
    world.store.fail("append", 2, unknown=True, happened=True)
    chain = await world.chain(hour(2), previous=record, owing=record)
    async with asyncio.timeout(10):
        while True:
            code = await code_of(submit(chain, "p1", 3, "b"))
            if code not in ("period_loading", "storage_unavailable"):
                break
            await asyncio.sleep(0.001)
    assert not code
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate
    kinds = [item[0] for r in (await world.stored(2))[1] for item in msgpack.unpackb(r.body)[2]]
    assert kinds == [INHERIT, SUBMIT], "it is in the journal"
    chain.stop()
    chain = await world.chain(hour(2), previous=record)  # it is noted that nothing is owed any more
    for submission_id in ("a", "b"):
        assert (await submit(chain, "p1", 5, submission_id))[1].duplicate


async def test_nothing_is_taken_while_ids_are_being_taken_over(world: World) -> None:
    record = await owing(world)
    gate = world.store.hold("recover", 1)
    chain = await world.chain(hour(2), wait=False, previous=record, owing=record)
    await gate.entered.wait()
    async with asyncio.timeout(10):
        while True:
            if chain.open[0].state == "serving":
                break
            await asyncio.sleep(0.001)
    assert chain.is_waking, "gateways wait for it"
    assert await refusal(submit(chain, "p1", 5, "a")) == "period_loading"
    gate.opened.set()
    await chain.wait_loaded()
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate


async def test_a_sleeper_takes_over_when_it_is_woken_and_again_when_it_is_asked_to(world: World) -> None:
    record = await owing(world)
    chain = await world.chain(hour(2), wait=False, awake=False, previous=record, owing=record)
    assert chain.open[0].state == "asleep"
    await chain.hand_on_ids()
    assert chain.open[0].state == "serving"
    written = len(world.store.appended)
    await chain.hand_on_ids()
    assert len(world.store.appended) == written
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate


async def test_a_period_that_has_not_begun_owes_its_repeats_the_one_before(world: World) -> None:
    record = await owing(world)
    chain = await world.chain(hour(3), wait=False, awake=False, previous=record, owing=record)
    times = {"occurred_at_ms": NOON_MS + 1}
    for known in ({}, times):
        assert (await submit(chain, "p1", 5, "a", **known))[1].duplicate
    assert await refusal(submit(chain, "p1", 5, "b", **times)) == "period_closed"
    assert await refusal(submit(chain, "p1", 5, "b")) == await refusal(submit(chain, "p1", 5)) == NOT_OPEN
    assert chain.open[0].state == "asleep"


async def test_a_seal_that_the_supervisor_did_not_hear_of_hands_on_to_what_it_made_since(
    world: World,
) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5, "a")
    world.at(OVER_MS)
    assert (await chain.seal(1)).ids_owed
    await world.change(chain, records=[hour(1), hour(2)])
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate
    assert not (await world.seal(chain, 1)).ids_owed
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate


async def test_ids_of_a_damaged_period_keep_the_next_one_from_nothing(world: World) -> None:
    record = await owing(world)
    world.store.fault("recover", 1, StoreCorrupt("damaged as told"), n=100)
    chain = await world.chain(hour(2), previous=record, owing=record)
    await chain.hand_on_ids()
    assert not (await submit(chain, "p1", 5, "a"))[1].duplicate


@pytest.mark.parametrize("days", [1, 2])
async def test_what_is_owed_is_forgotten_like_any_id(world: World, days: int) -> None:
    record = await owing(world)
    serial = 1 + 24 * days
    world.at(NOON_MS + (serial - 1) * HOUR_MS + HOUR_MS // 2 + 60_000)
    written = len(world.store.appended)
    chain = await world.chain(hour(serial), previous=record, owing=record)
    assert len(world.store.appended) == written
    assert not (await submit(chain, "p1", 5, "a"))[1].duplicate
