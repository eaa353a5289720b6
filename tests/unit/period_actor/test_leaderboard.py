"""A leaderboard's windows together: they end alike, whoever is read or sealed first."""

from __future__ import annotations

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.period import FULL
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.chain_reads import read
from tests.support.chain_world import END_MS, GRACE_MS, World, hour, standings, two_windows

CLOSED_MS = END_MS + GRACE_MS


async def shown(chain: Chain) -> tuple[str, dict[str, tuple[int | None, float]]]:
    view = (await read(chain, "hour-1", "stats", []))[0]
    return view.state, await standings(chain, "hour-1")


async def with_scores(world: World) -> tuple[Chain, Chain]:
    main, daily, board = await two_windows(world, hour(1), hour(2))
    items = [["p", 5, 0, None, None, None, None], ["z", 9, 0, None, None, None, None]]
    await board.submit([main, daily], items, world.clock.now_ms(), FULL)
    daily.hidden = main.hidden
    return main, daily


ALL, WITHOUT_P = {"z": (1, 9), "p": (2, 5)}, {"z": (1, 9)}


@pytest.mark.parametrize("first", ["main", "daily"])
@pytest.mark.parametrize("sealed", [False, True])
async def test_who_is_hidden_after_the_end_stays_in_all_windows(
    world: World, first: str, sealed: bool
) -> None:
    main, daily = await with_scores(world)
    one, other = (main, daily) if first == "main" else (daily, main)
    world.at(CLOSED_MS)
    if sealed:
        await one.seal(1)
    assert await shown(one) == ("closed", ALL)
    main.hidden.take(1, {"p": None})
    assert await shown(other) == ("closed", ALL)
    await main.follow_hidden()
    await daily.follow_hidden()
    assert await shown(one) == await shown(other) == ("closed", ALL)


async def test_whose_hiding_ends_after_the_end_is_hidden_in_all_windows(world: World) -> None:
    main, daily = await with_scores(world)
    main.hidden.take(1, {"p": CLOSED_MS + 400})
    await main.follow_hidden()
    await daily.follow_hidden()
    world.at(CLOSED_MS + 200)
    assert await shown(main) == ("closed", WITHOUT_P)
    world.at(CLOSED_MS + 1000)
    for chain in (daily, main):
        await chain.follow_hidden()
        assert await shown(chain) == ("closed", WITHOUT_P)


async def test_nobody_looked_before_a_hiding_ended(world: World) -> None:
    main, daily = await with_scores(world)
    main.hidden.take(1, {"p": CLOSED_MS + 400})
    world.at(CLOSED_MS + 1000)
    for chain in (daily, main):
        await chain.follow_hidden()
        assert await shown(chain) == ("closed", WITHOUT_P)


async def test_a_window_that_cannot_be_made_final_keeps_no_other_from_it(world: World) -> None:
    main, daily = await with_scores(world)
    world.at(CLOSED_MS)
    world.store.fail("append", 1)  # the main window's
    assert (await shown(daily))[0] == "closed"
    assert (await shown(main))[0] == "closed", "at the next try"


async def test_a_queue_that_is_full_takes_nothing_and_an_empty_one_takes_all(world: World) -> None:
    """What is sent at once stays together, whatever the limit."""
    main, daily, board = await two_windows(world, hour(1))
    board._queue_limit = 3
    items = [[f"p{i}", 1, 0, None, None, None, None] for i in range(5)]
    verdicts = await board.submit([main, daily], items, world.clock.now_ms(), FULL)
    assert not [verdict for verdict in verdicts if isinstance(verdict, ApiError)]
