"""Open periods that sleep: what wakes them, what puts them to sleep, and that neither loses anything.

The chains and the obedient store of `test_chain`; the actor's part is called as gateways call it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest

from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.period import FULL
from lbactors.period_actor.actor import PeriodActor
from lbactors.period_actor.chain import Chain, Limits
from lbactors.period_actor.chain_reads import is_warm, read
from lbactors.wire.replies import ASLEEP, NOT_HERE
from tests.support.actor_settings import actor_settings
from tests.support.chain_world import (
    BOARD_ID,
    CHAIN_ID,
    END_MS,
    GRACE_MS,
    HOUR_MS,
    NOON_MS,
    OVER_MS,
    World,
    hour,
    leaderboard,
    refusal,
    standings,
    submit,
)

LIMITS: dict[str, Any] = {
    "lease_seconds": 60.0,
    "seen_ids_limit": 1000,
    "queue_limit": 1000,
    "snapshot_inputs": 1000,
    "log_level": "error",
}


async def asleep(world: World, *serials: int, **fields: Any) -> Chain:
    return await world.chain(*map(hour, serials), wait=False, awake=False, **fields)


def states(chain: Chain) -> list[str]:
    return [a.state for a in chain.open]


async def rest(world: World, chain: Chain) -> None:
    """Nobody used anything for a while."""
    world.clock.move(1)
    await chain.rest(world.clock.now_ms())
    chain.check()


async def test_what_sleeps_costs_the_store_nothing_and_a_write_wakes_it(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5, "a")
    chain.stop()
    epochs = await world.store.inner.epochs([f"{CHAIN_ID}/1"])
    chain = await asleep(world, 1, 2)
    await chain.wait_loaded()
    assert states(chain) == ["asleep", "asleep"] and chain.is_waking
    assert await world.store.inner.epochs([f"{CHAIN_ID}/1"]) == epochs
    assert await refusal(submit(chain, "p2", 9)) == "period_loading", "the gateway wakes it first"
    assert await chain.wake() and states(chain) == ["serving", "asleep"], "what has not begun sleeps on"
    assert not chain.is_waking
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate
    await submit(chain, "p2", 9)
    assert await standings(chain) == {"p2": (1, 9), "p1": (2, 5)}


async def test_a_read_wakes_and_others_wait_with_it(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5)
    chain.stop()
    chain = await asleep(world, 1)
    gate = world.store.hold("recover", 1)
    assert not is_warm(chain, "current")
    reads = [asyncio.create_task(standings(chain)) for _ in range(3)]
    await gate.entered.wait()
    assert states(chain) == ["loading"] and not is_warm(chain, "current"), "worth a moment's wait"
    gate.opened.set()
    assert await asyncio.gather(*reads) == [{"p1": (1, 5)}] * 3
    assert is_warm(chain, "current")


async def test_what_nobody_uses_goes_to_sleep_with_all_that_it_knows(world: World) -> None:
    chain = await world.chain(hour(1))
    now_ms = world.clock.now_ms()
    await submit(chain, "p1", 5, "a")
    await chain.rest(now_ms)
    assert states(chain) == ["serving"], "used just now"
    await rest(world, chain)
    assert states(chain) == ["asleep"]
    assert (await world.stored(1))[:2] == (1, []), "a snapshot has it, the journal is empty"
    assert await chain.wake()
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate
    await submit(chain, "p1", 2)
    assert await standings(chain) == {"p1": (1, 7)}
    await rest(world, chain)
    assert await standings(chain) == {"p1": (1, 7)} and states(chain) == ["serving"]


async def test_it_stays_awake_if_it_cannot_be_saved(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5)
    world.store.fail("put_parts", 1)
    await rest(world, chain)
    assert states(chain) == ["serving"] and await standings(chain) == {"p1": (1, 5)}
    await rest(world, chain)
    assert states(chain) == ["asleep"]


async def test_whoever_comes_while_it_is_being_saved_keeps_it_awake(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5)
    gate = world.store.hold("put_parts", 1)
    resting = asyncio.create_task(rest(world, chain))
    await gate.entered.wait()
    world.clock.move(5)
    await submit(chain, "p1", 1)
    gate.opened.set()
    await resting
    assert states(chain) == ["serving"] and await standings(chain) == {"p1": (1, 6)}


async def test_writers_and_rest_at_the_same_time_lose_nothing(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    world.at(END_MS + 1)  # two open periods: repeats are looked for in both
    rounds, stop = 60, asyncio.Event()

    async def lull() -> int:
        slept = 0
        while not stop.is_set():
            await chain.rest(world.clock.now_ms() - 1)
            chain.check()
            slept += "asleep" in states(chain)
            await asyncio.sleep(0.001)  # the store's threads need the interpreter, too
        return slept

    lulling = asyncio.create_task(lull())
    for number in range(rounds):
        while number % 10 == 0 and "asleep" not in states(chain):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)
        while True:
            assert await chain.wake()
            try:
                _, result = await submit(chain, "p1", 1, f"id-{number}")
            except ApiError as error:
                assert error.code == "period_loading", "nothing was taken"
                continue
            assert not result.duplicate
            break
    stop.set()
    assert await lulling > 0, "it did go to sleep"
    assert await standings(chain) == {"p1": (1, rounds)}


async def test_a_period_is_sealed_from_its_sleep_and_its_ids_are_handed_on(world: World) -> None:
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5, "a")
    chain.stop()
    chain = await asleep(world, 1, 2)
    world.at(OVER_MS)
    record = await world.seal(chain, 1)
    assert (record.sealed, record.entries, record.submissions, record.last_seq) == (True, 1, 1, 2)
    await chain.wake()
    assert (await submit(chain, "p1", 5, "a"))[1].duplicate
    assert await standings(chain, "hour-1") == {"p1": (1, 5)}


async def test_sealing_what_was_never_used_wakes_no_successor(world: World) -> None:
    chain = await asleep(world, 1, 2)
    world.at(OVER_MS)
    record = await world.seal(chain, 1)
    assert (record.sealed, record.entries, record.last_seq) == (True, 0, 0)
    assert states(chain) == ["asleep"] and not world.store.appended


async def test_change_and_repeats_look_into_a_closing_period_that_sleeps(world: World) -> None:
    chain = await world.chain(hour(1), hour(2))
    await submit(chain, "p1", 5, "a")
    world.at(END_MS + 1)
    await rest(world, chain)
    assert states(chain) == ["asleep", "asleep"]
    assert await chain.wake() and states(chain) == ["serving", "serving"]
    assert (await submit(chain, "p1", 5, "a"))[0] == "hour-1"
    await submit(chain, "p1", 3, "b")
    await rest(world, chain)
    rows = (await read(chain, "current", "page", [0, 9, None, None]))[3]
    assert [(row.player_id, row.change) for row in rows] == [("p1", "same")]


async def test_a_load_that_fails_is_tried_again_and_a_long_one_is_told(world: World) -> None:
    chain = await asleep(world, 1)
    world.store.fail("recover", 1, n=3)
    assert await chain.wake()
    chain.stop()
    world.patch.setattr("lbactors.period_actor.open_periods.AWAKE_WITHIN_S", 0.05)
    chain = await asleep(world, 1)
    gate = world.store.hold("recover", 1)
    waking = asyncio.create_task(chain.wake())
    await gate.entered.wait()
    assert not await waking, "within the time that a caller waits"
    assert await refusal(standings(chain)) == "period_loading"
    gate.opened.set()
    while not await chain.wake():
        pass
    assert states(chain) == ["serving"]


async def test_a_store_that_lost_what_a_sleeper_had_is_noticed(world: World) -> None:
    world.patch.setattr("lbactors.period_actor.open_periods.WENT_BACK_RETRY_S", 0.001)
    world.patch.setattr("lbactors.period_actor.open_periods.AWAKE_WITHIN_S", 0.05)
    chain = await world.chain(hour(1))
    await submit(chain, "p1", 5)
    await rest(world, chain)
    await world.store.inner.drop_periods([f"{CHAIN_ID}/1"])
    await chain.wake()
    assert await refusal(submit(chain, "p1", 1)) in ("period_loading", "storage_unavailable")
    assert await refusal(standings(chain)) in ("period_loading", "storage_unavailable"), "never an empty one"


async def test_what_was_asleep_elsewhere_is_fenced_like_any_other(world: World) -> None:
    first = await world.chain(hour(1))
    await submit(first, "p1", 5)
    await rest(world, first)
    second = await world.chain(hour(1))
    await submit(second, "p1", 1)
    assert await first.wake(), "it takes a higher epoch, and all that was journaled"
    assert await standings(first) == {"p1": (1, 6)}
    assert await refusal(submit(second, "p1", 1)) == "storage_unavailable"


# Late ones, and clocks ------------------------------------------------------------------------------------


async def test_a_submission_from_a_closed_period_can_count_for_its_arrival(world: World) -> None:
    chain = await world.chain(hour(1), hour(2), late_arrival=True)
    world.at(END_MS + GRACE_MS - 1)
    assert (await submit(chain, "p1", 1, occurred_at_ms=END_MS - 1))[0] == "hour-1", "within its grace"
    world.at(END_MS + GRACE_MS)
    assert (await submit(chain, "p1", 2, occurred_at_ms=END_MS - 1))[0] == "hour-2"
    assert (await submit(chain, "p1", 2, occurred_at_ms=NOON_MS - HOUR_MS))[0] == "hour-2", (
        "before all periods"
    )
    assert (await submit(chain, "p1", 2, occurred_at_ms=END_MS + 3 * HOUR_MS))[0] == "hour-2", (
        "it counts as now"
    )
    await world.change(chain, late_arrival=False)
    assert await refusal(submit(chain, "p1", 2, occurred_at_ms=END_MS - 1)) == "period_closed"


async def test_a_repeat_after_the_grace_is_recognised(world: World) -> None:
    """It was taken in time, and its answer was lost: so it is no late submission."""
    chain = await world.chain(hour(1), hour(2))
    times = {"occurred_at_ms": END_MS - 1}
    world.at(END_MS + 1)
    assert (await submit(chain, "p1", 5, "a", **times))[0] == "hour-1"
    world.at(OVER_MS)
    for sealed in (False, True):
        if sealed:
            await world.seal(chain, 1)
        assert (await submit(chain, "p1", 5, "a", **times))[1].duplicate
        assert await refusal(submit(chain, "p1", 5, "b", **times)) == "period_closed"
        assert chain.knowing("a") is not None and chain.knowing("b") is None
    assert (await standings(chain), await standings(chain, "hour-1")) == ({}, {"p1": (1, 5)})


async def actor_of(world: World, tmp_path: Any, *serials: int, awake: bool) -> PeriodActor:
    actor = PeriodActor("a", actor_settings(store_url=f"sqlite:{tmp_path}", **LIMITS).to_wire())
    actor._store, actor._starting = world.store, asyncio.Lock()  # type: ignore[assignment]
    actor.clock = world.clock
    actor.limits = Limits(1000, 1000, 60.0)
    chain = await world.chain(*map(hour, serials), awake=awake)
    actor.chains[CHAIN_ID] = chain
    actor.leaderboards[BOARD_ID] = leaderboard(chain)
    return actor


async def test_a_gateway_is_told_to_wake_before_anything_is_taken(world: World, tmp_path: Any) -> None:
    actor = await actor_of(world, tmp_path, 1, awake=False)
    item = ["p1", 5, 0, None, "a", None, None]
    now_ms = world.clock.now_ms()
    payload = msgpack.packb([now_ms, [[BOARD_ID, now_ms, FULL, [item], ["main"]]]])
    assert msgpack.unpackb(await actor.write(payload)) == [[ASLEEP]]
    assert msgpack.unpackb(await actor.wake(msgpack.packb(BOARD_ID))) == [0, True]
    ((code, rows),) = msgpack.unpackb(await actor.write(payload))
    ((error, ((key, *_, rank, _, _, _),)),) = rows
    assert (code, error, key, rank) == (0, None, "hour-1", 1)
    world.at(END_MS)
    now_ms = world.clock.now_ms()
    payload = msgpack.packb([now_ms, [[BOARD_ID, now_ms, FULL, [item], ["main"]]]])
    assert actor.chains[CHAIN_ID].is_between(now_ms), "the next period is late: worth a moment's wait"
    assert msgpack.unpackb(await actor.write(payload)) == [[NOT_HERE]]
    world.at(END_MS - 1)
    actor.chains[CHAIN_ID].is_leaving = True
    assert msgpack.unpackb(await actor.write(payload)) == [[NOT_HERE]]
    assert msgpack.unpackb(await actor.wake(msgpack.packb("other"))) == [NOT_HERE]


async def test_what_leaves_while_it_is_woken_is_looked_for_elsewhere(world: World, tmp_path: Any) -> None:
    actor = await actor_of(world, tmp_path, 1, awake=False)
    waking = asyncio.create_task(actor.wake(msgpack.packb(BOARD_ID)))
    op = [CHAIN_ID, "current", "stats", []]
    loading = asyncio.create_task(actor.load(msgpack.packb(op)))
    await asyncio.sleep(0)
    assert actor.chains[CHAIN_ID].is_waking
    await actor.release(msgpack.packb([[CHAIN_ID], False]))
    assert [msgpack.unpackb(await task) for task in (waking, loading)] == [[NOT_HERE]] * 2


@pytest.mark.parametrize("skew_ms", [-60_000, -1_000, 0, 1_000, 60_000])
@pytest.mark.parametrize(("held_ms", "key"), [(0, "hour-2"), (400, "hour-2"), (600, "hour-1")])
async def test_gateways_whose_clocks_differ_agree_on_the_period(
    world: World, tmp_path: Any, skew_ms: int, held_ms: int, key: str
) -> None:
    """Half a second into the second period, by the actor's clock, a submission comes that its gateway, whose
    clock is ahead or behind, held for so long.
    """
    actor = await actor_of(world, tmp_path, 1, 2, awake=True)
    world.at(END_MS + 500)
    stopped = Clock()
    stopped.now_ms = lambda: END_MS + 500  # type: ignore[method-assign]
    actor.clock = stopped
    sent_ms = stopped.now_ms() + skew_ms
    op = [BOARD_ID, sent_ms - held_ms, FULL, [["p1", 5, 0, None, None, None, None]], ["main"]]
    ((code, rows),) = msgpack.unpackb(await actor.write(msgpack.packb([sent_ms, [op]])))
    assert (code, rows[0][1][0][0]) == (0, key)


async def test_a_ping_says_who_is_awake(world: World, tmp_path: Any) -> None:
    actor = await actor_of(world, tmp_path, 1, awake=False)
    actor.started_at = 0.0
    ping = msgpack.unpackb(await actor.ping())
    assert ping["chains"] == {} and ping["hosted"][0] == 1
    await actor.chains[CHAIN_ID].wake()
    await submit(actor.chains[CHAIN_ID], "p1", 5)
    ping = msgpack.unpackb(await actor.ping())
    version, (period,), closed, work, follows = ping["chains"][CHAIN_ID]
    assert follows is None
    assert (version, period[:4], closed, work) == (1, ["hour-1", "serving", period[2], 1], 0, 1)
    await world.change(actor.chains[CHAIN_ID])
    assert msgpack.unpackb(await actor.ping())["hosted"] != ping["hosted"], "a newer version shows"
