"""Hidden players in a chain's periods: asleep, awake, taken over, sealed; and what is journaled for them.

The chains and the obedient store of `tests.support.chain_world`. From the command on: `test_moderation`.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

from lbactors.clock import Clock
from lbactors.core import inputs
from lbactors.core.audience import RankAudience
from lbactors.core.errors import ApiError
from lbactors.core.packing import pack
from lbactors.core.period import Period
from lbactors.period_actor.actor import PeriodActor
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.entry_edits import change_entry
from lbactors.period_actor.hidden_players import HiddenPlayers
from lbactors.wire.chain_spec import ChainSpec
from lbactors.wire.requests import HiddenList, Host, MemberList, Moderate
from persistence.sqlite.store import SqliteStore
from tests.support.actor_settings import actor_settings
from tests.support.chain_world import (
    CHAIN_ID,
    END_MS,
    HOUR_MS,
    NOON_MS,
    OVER_MS,
    SUM,
    World,
    hour,
    standings,
    submit,
)

WITHIN_S = 20.0
FOR_GOOD: dict[str, int | None] = {"ada": None}


async def played(world: World, **fields: Any) -> Chain:
    chain = await world.chain(hour(1), hour(2), **fields)
    for player_id, score in (("ada", 9), ("bob", 5)):
        await submit(chain, player_id, score)
    return chain


async def rest(world: World, chain: Chain) -> None:
    world.clock.move(1)
    await chain.rest(world.clock.now_ms())
    assert not chain.open.is_awake


async def test_who_is_hidden_while_a_period_sleeps_is_hidden_when_it_wakes(world: World) -> None:
    chain = await played(world)
    await rest(world, chain)
    chain.hidden.take(1, FOR_GOOD)
    await chain.follow_hidden()
    assert not chain.open.is_awake, "nobody is woken for that"
    assert await standings(chain) == {"bob": (1, 5)}
    await rest(world, chain)
    chain.hidden.take(2, {})
    assert await standings(chain) == {"ada": (1, 9), "bob": (2, 5)}


async def test_the_first_score_of_a_hidden_player_is_never_seen(world: World) -> None:
    chain = await played(world)
    chain.hidden.take(1, {"new": None})
    await chain.follow_hidden()
    before = len(world.store.appended)
    gate = world.store.hold("append", 1)
    sent = asyncio.create_task(submit(chain, "new", 100))
    await gate.entered.wait()
    gate.opened.set()
    _, result = await sent
    assert result.rank is None and await standings(chain) == {"ada": (1, 9), "bob": (2, 5)}
    assert len(world.store.appended) == before + 1, "hidden and taken in one record"


async def test_players_without_an_entry_are_not_journaled(world: World) -> None:
    chain = await played(world)
    before = len(world.store.appended)
    chain.hidden.take(1, {f"nobody{n}": None for n in range(1000)})
    await chain.follow_hidden()
    assert len(world.store.appended) == before
    chain.hidden.take(2, {**chain.hidden.until, "ada": END_MS})
    await chain.follow_hidden()
    await chain.follow_hidden()
    assert len(world.store.appended) == before + 1, "once"


async def test_an_older_list_changes_nothing(world: World) -> None:
    chain = await played(world)
    chain.hidden.take(5, FOR_GOOD)
    chain.hidden.take(4, {})
    await chain.follow_hidden()
    assert await standings(chain) == {"bob": (1, 5)}


async def test_a_successor_follows_before_it_is_read(world: World) -> None:
    chain = await played(world)
    world.store.fail("append", 1, unknown=True)
    chain.hidden.take(1, FOR_GOOD)
    with pytest.raises(ApiError):
        await chain.follow_hidden()
    async with asyncio.timeout(10):
        while True:  # until then what was acknowledged stays readable
            if chain.open[0].state == "serving":
                break
            await asyncio.sleep(0.001)
    assert await standings(chain) == {"bob": (1, 5)}
    again = await world.chain(hour(1), hour(2))
    again.hidden.take(1, FOR_GOOD)
    assert await standings(again) == {"bob": (1, 5)}


async def test_a_closed_period_keeps_who_was_hidden_at_its_end(world: World) -> None:
    chain = await played(world)
    world.at(END_MS)
    await submit(chain, "ada", 4)
    chain.hidden.take(1, FOR_GOOD)
    world.at(OVER_MS)
    record = await world.seal(chain, 1)
    assert record.entries == 1
    chain.hidden.take(2, {"bob": None})
    assert await standings(chain) == {"ada": (1, 4)}
    assert await standings(chain, "previous") == {"bob": (1, 5)}
    again = await world.chain(hour(2), previous=record)
    again.hidden.take(2, {"bob": None})
    assert await standings(again, "previous") == {"bob": (1, 5)}


async def test_ends_pass_one_after_the_other(world: World) -> None:
    now_ms = world.clock.now_ms()
    hidden = HiddenPlayers(world.clock)
    hidden.take(1, {"ada": now_ms + 60_000, "bob": now_ms + 120_000, "cyd": None, "dan": now_ms})
    assert set(hidden.until) == {"ada", "bob", "cyd"}
    for gone in ("ada", "bob"):
        generation = hidden.generation
        hidden.expire()
        assert hidden.generation == generation
        world.clock.move(60_001)
        hidden.expire()
        assert gone not in hidden.until and hidden.generation == generation + 1
    world.clock.move(HOUR_MS)
    hidden.expire()
    assert hidden.until == {"cyd": None}


async def test_an_end_passes_while_a_snapshot_is_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of a large period under load takes half a minute."""
    entered, opened = asyncio.Event(), asyncio.Event()
    put_parts = SqliteStore.put_parts

    async def held(*arguments: Any) -> None:
        entered.set()
        await opened.wait()
        await put_parts(*arguments)

    monkeypatch.setattr(SqliteStore, "put_parts", held)
    monkeypatch.setattr("lbactors.period_actor.actor.UPKEEP_S", 0.001)
    clock = Clock(str(tmp_path / "clock"))
    clock.move(NOON_MS - clock.now_ms())
    settings = actor_settings(
        store_url=f"sqlite:{tmp_path}", clock_file=str(tmp_path / "clock"), snapshot_inputs=1
    )
    actor = PeriodActor("period-1", settings.to_wire())
    spec = ChainSpec(CHAIN_ID, "main", 1, SUM, 0, True, [hour(1)], None, 1)
    until_ms = NOON_MS + 60_000
    await actor.moderate(pack(Moderate(1, [HiddenList("default", 1, {"ada": until_ms})], True)))
    await actor.host(pack(Host([spec], True, 1).to_wire()))
    chain = actor.chains[CHAIN_ID]
    for player_id, score in (("ada", 9), ("bob", 5)):
        await submit(chain, player_id, score)
    await asyncio.wait_for(entered.wait(), WITHIN_S)
    assert await standings(chain) == {"bob": (1, 5)}
    clock.move(60_001)
    async with asyncio.timeout(WITHIN_S):
        while len(await standings(chain)) < 2:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.001)
    opened.set()
    await actor.stop()


@pytest.mark.parametrize("seed", range(6))
async def test_any_course_of_events(world: World, seed: int) -> None:
    """Scores, hidings, removals, sleep and failed appends in any order, side by side: in the end everybody
    who has an entry and is not hidden is ranked, and nobody else.
    """
    rng = random.Random(seed)
    chain = await world.chain(hour(1))
    players = [f"p{n}" for n in range(8)]
    hidden: dict[str, int | None] = {}
    entries: set[str] = set()

    async def play(player_id: str) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline_s:
            if await chain.wake():
                try:
                    await submit(chain, player_id, rng.randrange(9))
                    entries.add(player_id)
                    return
                except ApiError as error:
                    assert error.code in ("period_loading", "storage_unavailable")
            await asyncio.sleep(0.001)
        raise AssertionError("the period does not come back")

    for version in range(1, 25):
        player_id = rng.choice(players)
        playing = [asyncio.create_task(play(p)) for p in rng.sample(players, 2)]
        if player_id in hidden:
            del hidden[player_id]
        else:
            hidden[player_id] = rng.choice([None, END_MS])
        chain.hidden.take(version, hidden)
        if rng.random() < 0.2:
            world.store.fail("append", 1, unknown=True, happened=rng.random() < 0.5)
        try:
            await chain.follow_hidden()
        except ApiError as error:
            assert error.code in ("period_loading", "storage_unavailable")
        await asyncio.gather(*playing)
        chain.check()
        if rng.random() < 0.3:
            await chain.wait_loaded()
            world.clock.move(1)
            await chain.rest(world.clock.now_ms())
        if rng.random() < 0.3 and player_id in entries:
            await chain.wake()
            await chain.wait_loaded()
            await change_entry(chain, "remove", player_id)
            entries.discard(player_id)
    await chain.wake()
    await chain.wait_loaded()
    assert set(await standings(chain)) == entries - set(hidden)
    chain.open[0].period.check()


# Audiences ------------------------------------------------------------------------------------------------

VIPS = RankAudience(labels=("role/vip",))


def told(version: int, *vips: str, test: tuple[str, ...] = ()) -> MemberList:
    return MemberList("default", version, True, {"role/vip": vips, "test": test}, [])


async def test_the_first_score_says_whether_the_player_is_outside(world: World) -> None:
    chain = await world.chain(hour(1), hour(2), audience=VIPS)
    chain.hidden.take_members(told(1, "ada"))
    before = len(world.store.appended)
    for player_id, score in (("ada", 9), ("bob", 5)):
        await submit(chain, player_id, score)
    assert len(world.store.appended) == before + 2, "one record each"
    assert await standings(chain) == {"ada": (1, 9)}
    again = await world.chain(hour(1), hour(2), audience=VIPS, wait=False)
    again.hidden.take_members(told(1, "ada"))  # an actor is told before it hosts anything
    before = len(world.store.appended)
    await again.wait_loaded()
    assert await standings(again) == {"ada": (1, 9)}
    assert len(world.store.appended) == before, "a replay leaves nothing to be journaled"


async def test_a_period_that_follows_looks_at_those_who_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = await world.chain(hour(1), hour(2), audience=VIPS)
    players = [f"p{n}" for n in range(50)]
    chain.hidden.take_members(told(1, *players))
    await asyncio.gather(*(submit(chain, player_id, 1) for player_id in players))
    await chain.follow_hidden()

    def everybody(_: Period) -> Any:
        raise AssertionError("all entries are looked at")

    monkeypatch.setattr(Period, "players", everybody)
    before = len(world.store.appended)
    chain.hidden.take_members(MemberList("default", 2, False, {}, [("p3", []), ("new", ["role/vip"])]))
    await chain.follow_hidden()
    assert len(await standings(chain)) == 49
    assert len(world.store.appended) == before + 1
    monkeypatch.undo()
    await world.change(chain, audience=VIPS._replace(players=frozenset(["p3"]), labels=()))
    assert await standings(chain) == {"p3": (1, 1)}


async def test_a_role_is_lost_while_a_score_is_on_its_way(world: World) -> None:
    """The append that is on its way holds the first score, and was judged by the list before."""
    chain = await world.chain(hour(1), hour(2), audience=VIPS)
    chain.hidden.take_members(told(1, "ada", "bob"))
    await submit(chain, "ada", 9)
    gate = world.store.hold("append", 1)
    sent = asyncio.create_task(submit(chain, "bob", 5))
    await gate.entered.wait()
    chain.hidden.take_members(told(2, "ada"))
    following = asyncio.create_task(chain.follow_hidden())
    late = asyncio.create_task(submit(chain, "bob", 1))  # behind it
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(sent, following, late)
    assert await standings(chain) == {"ada": (1, 9)}
    assert chain.open[0].period.entry("bob") is not None


async def test_test_players_cost_the_others_nothing(world: World) -> None:
    chain = await played(world)
    before = len(world.store.appended)
    chain.hidden.take_members(told(1, test=tuple(f"bot{n}" for n in range(1000))))
    await chain.follow_hidden()
    assert len(world.store.appended) == before
    await submit(chain, "bot7", 100)
    assert await standings(chain) == {"ada": (1, 9), "bob": (2, 5)}
    chain.hidden.take_members(told(2))
    await chain.follow_hidden()
    assert await standings(chain) == {"bot7": (1, 100), "ada": (2, 9), "bob": (3, 5)}


def test_inputs_about_nobody_are_not_marked() -> None:
    """Places in a log go in one batch with the rows."""
    hidden = HiddenPlayers(Clock())
    row = inputs.submit(["p1", 5, 0, None, None, None, None], 3)
    others = [inputs.follow(7, 2, 3), inputs.again(3), inputs.close(0, None, 3)]
    marked = hidden.marked(RankAudience(frozenset(("p2",))), [row, *others])
    assert list(marked) == [inputs.outside("p1", 3, row), *others]
    assert hidden.marked(RankAudience(frozenset(("p2",))), others) is others
