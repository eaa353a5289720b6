"""How long rewards stay: until their time is over or their leaderboard is purged, whatever dies meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from lbactors.documents.rewards import promise_id
from lbactors.supervisor.rewards.retention import purge_changes
from tests.support.supervisor.rewards_world import DAY_MS, TIERS, Died, World, field

# Retention ------------------------------------------------------------------------------------------------


async def test_rewards_end_when_their_time_is_over(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS, "retain_days": 2})
    await world.granted(chain, world.close(chain, field(1300)))
    await world.claim("p3")
    world.clock.at_ms += DAY_MS
    chain = world.add_chain({"tiers": TIERS, "retain_days": 1})
    await world.granted(chain, world.close(chain, field(2), 2, "W48"))
    await world.granted(chain, world.close(chain, field(2), 3, "W47"))  # the key of the first, used again
    await world.reward_retention.sweep()
    assert len(await world.store.scan("claims")) == 1040 + 4
    world.clock.at_ms += DAY_MS - 1
    await world.reward_retention.sweep()
    assert len(await world.store.scan("claims")) == 1040 + 4
    world.clock.at_ms += 1
    await world.reward_retention.sweep()
    assert await world.stored() == {}


async def test_a_key_that_a_later_period_took_stays_with_it(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS, "retain_days": 1})
    await world.granted(chain, world.close(chain, field(2)))
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, field(2), 2))
    world.clock.at_ms += DAY_MS
    await world.reward_retention.sweep()
    stored = await world.stored()
    assert stored[f"rewards:{chain.chain_id}/key/W47"] == 2
    assert f"rewards:{promise_id(chain.chain_id, 1)}" not in stored
    assert len(await world.winners(chain, 2)) == 2


async def test_a_sweep_that_dies_is_made_up_for(world: World) -> None:
    chain = world.add_chain({"tiers": TIERS, "retain_days": 1})
    await world.granted(chain, world.close(chain, field(3000)))
    world.clock.at_ms += DAY_MS
    for _ in range(20):
        world.commits, world.die_at = 0, (2, "before")
        try:
            await world.reward_retention.sweep()
        except Died:
            continue
        break
    else:
        pytest.fail("never comes to an end")
    assert await world.stored() == {}


async def test_the_task_deletes_by_itself_what_is_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = asyncio.Event()
    retention = world.reward_retention
    really = retention.sweep

    async def sweep() -> None:
        await really()
        swept.set()

    monkeypatch.setattr(retention, "sweep", sweep)
    task = asyncio.create_task(retention.run())
    await asyncio.wait_for(swept.wait(), 10)
    chain = world.add_chain({"tiers": TIERS})
    await world.granted(chain, world.close(chain, field(3)))
    await world.commit(purge_changes([chain.chain_id]))
    swept.clear()
    retention.look()
    await asyncio.wait_for(swept.wait(), 10)
    assert await world.stored() == {}
    task.cancel()
