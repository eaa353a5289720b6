"""Submissions on their way into several windows: who takes what, ids, sums, what comes at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.model import Submission
from lbactors.core.period import FULL, NO_RANK
from lbactors.period_actor.chain_reads import read
from lbactors.wire.replies import ASLEEP, VALUE
from lbactors.wire.writes import Submitted, Verdict, WriteOp
from tests.support.chain_world import (
    BOARD_ID,
    END_MS,
    GRACE_MS,
    World,
    hour,
    leaderboard,
    standings,
    submit,
    submit_all,
    two_windows,
)

MAIN, BOTH = ("main",), ("main", "daily")


def item(player_id: str, score: float, submission_id: str | None = None) -> list[Any]:
    return [player_id, score, 0, None, submission_id, None, None]


def said(verdict: Verdict) -> Any:
    """The code of a refusal, or what each window says."""
    if isinstance(verdict, ApiError):
        return verdict.code
    assert verdict is not None
    return [w if isinstance(w, str) else "duplicate" if w[1].duplicate else "taken" for w in verdict]


# At the same time -----------------------------------------------------------------------------------------


async def test_gateways_that_know_other_windows_send_the_same_at_once(world: World) -> None:
    """Around a change of windows: one append has both, and each is answered for the windows that it named."""
    main, _, board = await two_windows(world, hour(1))
    now_ms = world.clock.now_ms()
    gate = world.store.hold("append", 1)
    first = asyncio.create_task(board.submit([main], [item("q", 1)], now_ms, FULL))
    await gate.entered.wait()
    sent = item("p", 5, "x")
    ops = [WriteOp(BOARD_ID, now_ms, FULL, [sent], windows) for windows in (MAIN, BOTH)]
    asked = [asyncio.create_task(board.write(op, now_ms)) for op in ops]
    await asyncio.sleep(0)
    gate.opened.set()
    await first
    for op, reply in zip(ops, await asyncio.gather(*asked), strict=True):
        assert reply.status == VALUE
        (outcomes,) = Submitted(reply.value, FULL).answers([Submission(*sent)], op.windows)
        assert isinstance(outcomes, list) and [o.window for o in outcomes] == list(op.windows)
    assert (await standings(main))["p"] == (1, 5)


@pytest.mark.parametrize("want", [NO_RANK, FULL])
@pytest.mark.parametrize("unknown", [False, True])
async def test_a_repeat_in_an_append_that_fails_is_no_repeat(world: World, want: int, unknown: bool) -> None:
    """It would be acknowledged, and is not in the journal."""
    chain = await world.chain(hour(1))
    gate = world.store.hold("append", 1)
    first = asyncio.create_task(submit(chain, "q", 1))
    await gate.entered.wait()
    twice = [item("p", 5, "x"), item("r", 1), item("p", 5, "x")]
    sent = [asyncio.create_task(submit_all(chain, [item("p", 5, "x")], want)) for _ in range(2)]
    sent.append(asyncio.create_task(submit_all(chain, twice, want)))
    await asyncio.sleep(0)
    world.store.fail("append", 1, unknown=unknown)  # the next one, in which the others are together
    gate.opened.set()
    await first
    verdicts = [verdict for answer in await asyncio.gather(*sent) for verdict in answer]
    assert {said(verdict) for verdict in verdicts} == {"storage_unavailable"}


async def test_what_came_in_time_is_taken_before_the_period_is_made_final(world: World) -> None:
    """It waits inside the server while the first read comes that will say closed."""
    chain = await world.chain(hour(1), more=False)
    world.at(END_MS - 50)
    gate = world.store.hold("append", 1)
    first = asyncio.create_task(submit(chain, "p0", 1))
    await gate.entered.wait()
    in_time = asyncio.create_task(submit(chain, "p1", 5, arrived_at_ms=END_MS - 1))
    await asyncio.sleep(0)
    world.at(END_MS + GRACE_MS)
    reading = asyncio.create_task(read(chain, "current", "page", [0, 100, None, None]))
    await asyncio.sleep(0)
    late = asyncio.create_task(submit_all(chain, [item("p2", 5)], FULL, END_MS - 1))
    await asyncio.sleep(0)
    gate.opened.set()
    await first
    assert (await in_time)[0] == "hour-1"
    view, _, _, rows, *_ = await reading
    assert (view.state, [row.player_id for row in rows]) == ("closed", ["p1", "p0"])
    assert said((await late)[0]) == "period_closed", "it was queued behind"


async def test_a_board_that_sleeps_is_woken_whatever_the_scores(world: World) -> None:
    chain = await world.chain(hour(1), awake=False)
    now_ms = world.clock.now_ms()
    for items in ([item("p", 1)], [item("p", 1e300)], [item("p", 1e300), item("q", 1)]):
        op = WriteOp(BOARD_ID, now_ms, NO_RANK, items, MAIN)
        assert (await leaderboard(chain).write(op, now_ms)).status == ASLEEP


# Sums -----------------------------------------------------------------------------------------------------


async def test_large_sums_of_one_call_share_one_append(world: World) -> None:
    chain = await world.chain(hour(1))
    before = len(world.store.appended)
    assert not any(await submit_all(chain, [item(f"p{i}", 1e300) for i in range(2000)], NO_RANK))
    assert len(world.store.appended) == before + 1


async def test_each_large_sum_is_looked_at_after_those_before_it(world: World) -> None:
    main, daily, board = await two_windows(world, hour(1))
    now_ms = world.clock.now_ms()
    await board.submit([daily], [item("p", 1e308)], now_ms, FULL)
    scores = [5, 1e308, -1e308, 1e308, 1.7e308, -1.7e308]
    verdicts = await board.submit([main, daily], [item("p", s) for s in scores], now_ms, FULL)
    refused = "validation_failed"
    taken = ["taken", "taken"]
    assert [said(v) for v in verdicts] == [taken, refused, taken, taken, refused, taken]
    assert await standings(main) == {"p": (1, -1.7e308)}
    assert await standings(daily) == {"p": (1, 1e308 - 1.7e308)}


# Ids ------------------------------------------------------------------------------------------------------


async def test_an_id_that_a_further_window_has_of_another_player_is_a_conflict(world: World) -> None:
    """As a death between two appends leaves it in a cluster: it is no repeat of the other player's."""
    main, daily, board = await two_windows(world, hour(1))
    now_ms = world.clock.now_ms()
    await board.submit([daily], [item("p", 5, "x")], now_ms, FULL)
    (verdict,) = await board.submit([main, daily], [item("q", 7, "x")], now_ms, FULL)
    assert said(verdict) == "idempotency_conflict" and await standings(main) == {}
    (verdict,) = await board.submit([main, daily], [item("p", 5, "x")], now_ms, FULL)
    assert said(verdict) == ["taken", "duplicate"]
    assert await standings(main) == await standings(daily) == {"p": (1, 5)}


async def test_a_repeat_is_one_also_while_a_further_window_loads(world: World) -> None:
    main, daily, board = await two_windows(world, hour(1))
    now_ms = world.clock.now_ms()
    await board.submit([main, daily], [item("p", 5, "x")], now_ms, FULL)
    daily.open[0]._turn("lost")  # its journal's end is being read again
    (verdict,) = await board.submit([main, daily], [item("p", 5, "x")], now_ms, FULL)
    assert said(verdict) == ["duplicate"] * 2
    (answered,) = Submitted(Submitted.to_wire([verdict], FULL), FULL).answers(
        [Submission(*item("p", 5, "x"))], BOTH
    )
    assert isinstance(answered, list) and [(o.duplicate, o.skipped) for o in answered] == [(True, None)] * 2
    (verdict,) = await board.submit([main, daily], [item("p", 5, "y")], now_ms, FULL)
    assert said(verdict) in ("storage_unavailable", "period_loading"), "no window takes what another cannot"
    assert await standings(main) == {"p": (1, 5)}
