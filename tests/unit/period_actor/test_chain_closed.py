"""A period that was shown as closed stays as it was shown, in this process and the next; unless its end is
taken back.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import EndTerms
from lbactors.core.model import PeriodRecord
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.chain_reads import read
from lbactors.period_actor.entry_edits import erase
from persistence.store import StoreError
from tests.support.chain_world import (
    END_MS,
    GRACE_MS,
    HOUR_MS,
    OVER_MS,
    SUM,
    World,
    hour,
    refusal,
    standings,
    submit,
)

CLOSED_MS = END_MS + GRACE_MS  # of period 1


async def state(chain: Chain, ref: str = "hour-1") -> str:
    view = (await read(chain, ref, "stats", []))[0]
    return view.state


async def test_nothing_is_taken_after_a_read_that_said_closed(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    await submit(chain, "p1", 5)
    world.at(CLOSED_MS)
    late = {"occurred_at_ms": END_MS - 1, "arrived_at_ms": CLOSED_MS - 1}
    assert (await submit(chain, "p2", 5, **late))[0] == "hour-1", "it arrived in time, and nobody looked"
    assert await state(chain) == "closed"
    before = await standings(chain, "hour-1")
    assert await refusal(submit(chain, "p3", 5, **late)) == "period_closed"
    again = await world.chain(hour(1), hour(2))
    assert await refusal(submit(again, "p3", 5, **late)) == "period_closed"
    assert await standings(again, "hour-1") == before == {"p1": (1, 5), "p2": (2, 5)}
    assert (await submit(again, "p3", 5))[0] == "hour-2"


async def test_what_is_on_its_way_is_in_what_is_shown(world: World) -> None:
    chain = await world.chain(hour(1), more=False)
    gate = world.store.hold("append", 1)
    sent = asyncio.create_task(submit(chain, "p1", 5))
    await gate.entered.wait()
    world.at(CLOSED_MS)
    shown = asyncio.create_task(state(chain))
    await asyncio.sleep(0)
    gate.opened.set()
    assert await shown == "closed" and (await sent)[1].applied
    assert await standings(chain) == {"p1": (1, 5)}


async def test_it_is_closing_as_long_as_the_store_is_away(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    await submit(chain, "p1", 5)
    world.at(CLOSED_MS)
    world.store.fail("append", 1)
    assert await state(chain) == "closing" and await standings(chain, "hour-1") == {"p1": (1, 5)}
    assert await state(chain) == "closed"


async def test_rules_of_later_are_not_those_of_a_closed_period(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    await submit(chain, "p1", 5)
    world.at(CLOSED_MS)
    kept = hour(1)._replace(end_terms=EndTerms(GRACE_MS, list(SUM)))
    later = SUM._replace(min_score=10)
    chain = await world.chain(kept, hour(2), rules=later)  # another process, which nobody asked before
    assert await state(chain) == "closed" and await standings(chain, "hour-1") == {"p1": (1, 5)}
    await world.change(chain, rules=SUM._replace(min_score=11), records=[kept, hour(2)])
    assert await standings(chain, "hour-1") == {"p1": (1, 5)}
    assert (await submit(chain, "p1", 5))[1].rank is None
    sealed = await world.seal(chain, 1)
    assert (sealed.entries, await standings(chain, "hour-1")) == (1, {"p1": (1, 5)})


async def test_the_last_period_is_found_before_the_supervisor_has_heard_of_its_seal(world: World) -> None:
    chain = await world.chain(hour(1), more=False)
    await submit(chain, "p1", 5)
    world.at(OVER_MS)
    await chain.seal(1)
    assert await standings(chain) == {"p1": (1, 5)}


# Ends that are taken back -----------------------------------------------------------------------------------


def longer(times: int = 1) -> PeriodRecord:
    """Period 1, which goes on for two hours more."""
    return hour(1)._replace(ends_at_ms=END_MS + 2 * times * HOUR_MS, reopened=times)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_period_whose_end_is_taken_back_goes_on(world: World, sealed: bool, elsewhere: bool) -> None:
    chain = await world.chain(hour(1), more=False)
    await submit(chain, "p1", 5, "a")
    world.at(OVER_MS)
    assert await state(chain) == "closed"
    if sealed:
        await world.seal(chain, 1)
        assert await refusal(submit(chain, "p1", 5)) == "period_closed"
    if elsewhere:
        chain = await world.chain(longer(), more=False)
    else:
        await world.change(chain, records=[longer()], previous=None)
    assert await state(chain) == "active"
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate
    await submit(chain, "p1", 2)
    assert await standings(chain) == {"p1": (1, 7)}
    world.at(END_MS + 2 * HOUR_MS + GRACE_MS)
    assert await state(chain) == "closed"
    assert (await world.seal(chain, 1)).reopened == 1
    assert await standings(chain) == {"p1": (1, 7)}


async def test_a_seal_of_an_end_that_was_taken_back_does_nothing(world: World) -> None:
    """A supervisor that is gone had asked for it."""
    chain = await world.chain(hour(1), more=False)
    await submit(chain, "p1", 5)
    world.at(OVER_MS)
    await world.change(chain, records=[longer()])
    assert await refusal(chain.seal(1, [0, END_MS])) == "period_loading"
    await submit(chain, "p1", 2)
    assert await standings(chain) == {"p1": (1, 7)} and await state(chain) == "active"


async def test_a_period_may_be_reopened_while_it_is_sealed(world: World) -> None:
    chain = await world.chain(hour(1), more=False)
    await submit(chain, "p1", 5)
    world.at(OVER_MS)
    gate = world.store.hold("commit_snapshot", 1)
    sealing: Any = asyncio.create_task(refusal(chain.seal(1, [0, END_MS])))
    await gate.entered.wait()
    await world.change(chain, records=[longer()], wait=False)
    gate.opened.set()
    assert await sealing == "period_loading"
    await chain.wait_loaded()
    await submit(chain, "p1", 2)
    assert await standings(chain) == {"p1": (1, 7)} and await state(chain) == "active"


# What fails on the way -----------------------------------------------------------------------------------


async def test_a_period_whose_seal_failed_takes_scores_when_it_is_reopened(world: World) -> None:
    chain = await world.chain(hour(1), more=False)
    await submit(chain, "p1", 5)
    world.at(OVER_MS)
    world.store.fail("commit_snapshot", 1)
    with pytest.raises(StoreError):
        await chain.seal(1, [0, END_MS])
    await world.change(chain, records=[longer()])
    async with asyncio.timeout(10):
        while chain.open[0].state != "serving":  # noqa: ASYNC110 - a successor reads the journal's end
            await asyncio.sleep(0.001)
    await submit(chain, "p1", 2)
    assert await standings(chain) == {"p1": (1, 7)}


async def test_a_seal_that_failed_can_be_repeated(world: World) -> None:
    chain = await world.chain(hour(1), more=False)
    await submit(chain, "p1", 5)
    world.at(OVER_MS)
    world.store.fail("commit_snapshot", 1)
    with pytest.raises(StoreError):
        await chain.seal(1)
    record = await chain.seal(1)
    assert record.sealed and record.entries == 1


async def test_a_repeated_seal_waits_for_the_closed_period_to_load(world: World) -> None:
    """Its reply was lost, nobody read the period for long, and now somebody does."""
    chain = await world.chain(hour(1), more=False)
    await submit(chain, "p1", 5)
    world.at(OVER_MS)
    record = await chain.seal(1)
    chain.closed.forget(1)
    gate = world.store.hold("recover", 1)
    reading = asyncio.create_task(standings(chain))
    await gate.entered.wait()
    again = asyncio.create_task(chain.seal(1))
    await asyncio.sleep(0)
    gate.opened.set()
    assert await again == record
    assert await reading == {"p1": (1, 5)}


async def test_a_hidden_player_who_was_erased_does_not_come_back(world: World) -> None:
    chain = await world.chain(hour(1), more=False)
    await submit(chain, "cheat", 99)
    await submit(chain, "p1", 5)
    chain.hidden.take(1, {"cheat": None})
    await chain.follow_hidden()
    world.at(OVER_MS)
    await world.seal(chain, 1)
    assert await erase(chain, "cheat", "erased-1") == 1
    chain.hidden.take(2, {})  # who was erased is on no list any more
    await world.change(chain, records=[longer()], previous=None)
    assert await standings(chain) == {"p1": (1, 5)}


# Rules that could not be journaled ------------------------------------------------------------------------


async def test_rules_that_could_not_be_journaled_are_when_the_store_is_back(world: World) -> None:
    """One period's failure keeps no other from them; whoever reads meanwhile sees to it, too."""
    chain = await world.chain(hour(1), hour(2))
    await submit(chain, "p1", 5)
    world.at(END_MS + 1000)
    await submit(chain, "p1", 5)
    world.store.fail("append", 1, n=2)
    strict = SUM._replace(min_score=10)
    with pytest.raises(ApiError):
        await world.change(chain, rules=strict)
    assert [a.period.rules for a in chain.open] == [SUM, strict]
    assert await standings(chain, "hour-2") == {}
    assert await standings(chain, "hour-1") == {"p1": (1, 5)}, "the store is still away"
    assert await standings(chain, "hour-1") == {}
    world.store.fail("append", 1)
    with pytest.raises(ApiError):
        await world.change(chain, rules=SUM)
    await chain.follow_rules()
    assert await standings(chain, "hour-1") == {"p1": (1, 5)}
