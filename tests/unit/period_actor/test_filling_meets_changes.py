"""A period that is filled for the first time, when what it goes by changes in the middle of it."""

from __future__ import annotations

from typing import Any

import pytest

from lbactors.core import log_inputs as made
from lbactors.core.inputs import JournalBody
from lbactors.core.log_model import EventRow
from lbactors.core.scoring import Scoring
from lbactors.period_actor.chain import Chain, Limits
from lbactors.period_actor.follower import Follower
from lbactors.period_actor.log_reader import LogReader
from lbactors.wire.chain_spec import ChainSpec, Follows
from persistence.store import Record
from tests.support.chain_world import CHAIN_ID, GRACE_MS, NOON_MS, SUM, World, hour
from tests.support.redis_server import until

LOG_ID, OTHER_LOG = "default/events~events-1/main/1", "default/events~events-2/main/1"
EVENTS = 40


def scoring(points: str) -> dict[str, Any]:
    rules = [{"event_type": "match", "points_expression": points}]
    return Scoring(source="events", aggregation="sum", rules=rules).model_dump(mode="json")


async def write_log(world: World, first_seq: int = 1, log_id: str = LOG_ID, from_ms: int = NOON_MS) -> None:
    """EVENTS matches of one player, each in a record of its own."""
    store = world.store.inner
    epoch = await store.take_epoch(log_id)
    for seq in range(first_seq, first_seq + EVENTS):
        at_ms = from_ms + seq
        row = EventRow(f"e{seq}", "match", "ann", None, None, None)
        body = JournalBody(None, at_ms, [made.event(row, at_ms, None, seq - 1)]).pack()
        await store.append(log_id, Record(epoch, seq, seq, body))


async def projection(world: World, follows: Follows) -> Chain:
    readers = {i: LogReader(world.store, i) for i in (LOG_ID, OTHER_LOG)}  # type: ignore[arg-type]
    spec = ChainSpec(CHAIN_ID, "main", 1, SUM, GRACE_MS, True, [hour(1)], None, 1, follows=follows)
    chain = Chain(
        world.store,  # type: ignore[arg-type]
        world.clock,
        Limits(1_000_000, 10_000, 60.0),
        spec,
        lambda _: world.lost.set(),
        follower=lambda chain, follows: Follower(chain, follows, readers.__getitem__),
    )
    world.chains.append(chain)
    await chain.become(spec)
    return chain


async def filled(chain: Chain) -> tuple[float, int]:
    """Score and submissions of the one player, when the period shows what it should."""
    follower = chain.follower
    assert isinstance(follower, Follower)
    await until(lambda: follower.status.state == "live", "the period is filled", 10)
    entry = chain.open[0].period.entry("ann")
    assert entry is not None
    return entry.score, entry.submissions


@pytest.fixture(autouse=True)
def in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbactors.period_actor.follower.FILL_INPUTS", 1)


async def test_rules_change_in_the_middle(world: World) -> None:
    await write_log(world)
    old = Follows(LOG_ID, scoring("1"), 0, 1, ())
    chain = await projection(world, old)
    await until(lambda: len(world.store.appended) > 5, "some are in", 10)
    new = old._replace(scoring=scoring("100"), generation=2)
    await chain.become(chain.spec._replace(version=2, follows=new))
    assert await filled(chain) == (100 * EVENTS, EVENTS)


async def test_the_period_is_loaded_anew_in_the_middle(world: World) -> None:
    """Its fill goes on from where it was."""
    await write_log(world)
    follows = Follows(LOG_ID, scoring("1"), 0, 1, ())
    chain = await projection(world, follows)
    await until(lambda: len(world.store.appended) > 20, "some are in", 10)
    chain.stop()
    before = len(world.store.appended)
    again = await projection(world, follows)
    assert await filled(again) == (EVENTS, EVENTS)
    assert len(world.store.appended) - before < EVENTS - 10


async def test_the_next_period_is_opened_in_the_middle(world: World) -> None:
    """The log has gone on, and nobody of this chain has read so far: the new period has nothing to read in
    all that, and waits for it.
    """
    await write_log(world)
    chain = await projection(world, Follows(LOG_ID, scoring("1"), 0, 1, ()))
    await until(lambda: len(world.store.appended) > 5, "some are in", 10)
    await write_log(world, EVENTS + 1)
    await world.save(hour(2))
    await chain.become(chain.spec._replace(version=2, records=[hour(1), hour(2)]))
    await chain.wait_loaded()
    follower = chain.follower
    assert isinstance(follower, Follower)
    assert await follower.through(2 * EVENTS, 10)
    assert await filled(chain) == (2 * EVENTS, 2 * EVENTS)
    assert chain.open[1].period.total == 0


async def test_a_period_that_reads_up_says_how_far_it_is(world: World) -> None:
    """And not how far the log goes: that lets go of what all have read."""
    await write_log(world)
    follows = Follows(LOG_ID, scoring("1"), 0, 1, ())
    chain = await projection(world, follows)
    assert await filled(chain) == (EVENTS, EVENTS)
    chain.stop()
    await write_log(world, EVENTS + 1)
    gate = world.store.hold("append", 1)
    again = await projection(world, follows)
    follower = again.follower
    assert isinstance(follower, Follower)
    assert follower.status.rows_read == 0  # it is being loaded
    await gate.entered.wait()
    assert (follower.status.state, follower.status.rows_read) == ("behind", EVENTS)
    world.clock.move(2500)
    assert follower.status.behind_ms >= 2500
    gate.opened.set()
    assert await filled(again) == (2 * EVENTS, 2 * EVENTS)
    assert (follower.status.rows_read, follower.status.behind_ms) == (2 * EVENTS, 0)


async def test_another_log_while_rows_are_on_their_way(world: World) -> None:
    """How far they go says nothing about the log that holds now."""
    await write_log(world)
    await write_log(world, EVENTS + 1)
    await write_log(world, log_id=OTHER_LOG)
    follows = Follows(LOG_ID, scoring("1"), 0, 1, ())
    chain = await projection(world, follows)
    assert await filled(chain) == (2 * EVENTS, 2 * EVENTS)
    await write_log(world, 2 * EVENTS + 1)
    follower = chain.follower
    assert isinstance(follower, Follower)
    gate = world.store.hold("append", 1)
    follower.told(3 * EVENTS)
    await gate.entered.wait()
    await chain.become(
        chain.spec._replace(version=2, follows=follows._replace(log_id=OTHER_LOG, generation=2))
    )
    await until(lambda: follower.status.rows == EVENTS, "the other log is looked at", 10)
    gate.opened.set()
    assert await filled(chain) == (EVENTS, EVENTS)
    chain.check()
    assert not await follower.through(EVENTS + 1, 0.01)


async def test_traffic_that_does_not_end_leaves_nobody_behind(world: World) -> None:
    """Rows come before all that came are taken, again and again: what counts is how old the next one is."""
    await write_log(world)
    chain = await projection(world, Follows(LOG_ID, scoring("1"), 0, 1, ()))
    assert await filled(chain) == (EVENTS, EVENTS)
    follower = chain.follower
    assert isinstance(follower, Follower)
    now_ms = world.clock.now_ms()
    await write_log(world, EVENTS + 1, from_ms=now_ms + 4000)
    first = world.store.hold("append", 1)
    follower.told(2 * EVENTS)
    await first.entered.wait()
    second = world.store.hold("append", 1)
    world.clock.move(5000)
    await write_log(world, 2 * EVENTS + 1, from_ms=now_ms + 5000)
    follower.told(3 * EVENTS)
    assert follower.status.behind_ms >= 5000
    first.opened.set()
    await second.entered.wait()
    assert follower.status.state == "behind" and follower.status.behind_ms < 4000
    second.opened.set()
    assert await filled(chain) == (3 * EVENTS, 3 * EVENTS)
