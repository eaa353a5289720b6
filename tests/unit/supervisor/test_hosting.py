"""Projections stop reading for a moment, so that what is decided then concerns no row that they took."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.supervisor import hosting as hosting_module
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.hosting import HOLD_MS
from lbactors.supervisor.logs import Logs
from lbactors.wire.logs import Hold
from lbactors.wire.replies import NOT_HERE, VALUE, Reply
from tests.support.supervisor.scripted_actors import ScriptedActor, ScriptedHosting
from tests.support.told_catalogue import projection

NOW_MS = 1_795_003_200_000


class World(ScriptedHosting):
    def __init__(self) -> None:
        super().__init__(NOW_MS)
        Logs(self.state, self.hosting).ensure("t", "coins")

    def projection(self, name: str = "xp", read_ms: int | None = None) -> tuple[ChainState, ScriptedActor]:
        """A leaderboard in an actor that is up; read_ms: of its answer to a hold."""
        chain = self.add(projection(name, tenant_id="t"))
        ref = self.begin(chain)

        async def hold(request: Any) -> Any:
            return [VALUE, read_ms]

        if read_ms is not None:
            ref.answers["hold"] = hold
        return chain, ref


@pytest.fixture
def world() -> World:
    return World()


def held(ref: ScriptedActor) -> list[Hold]:
    return [Hold(*request) for method, request in ref.calls if method == "hold"]


async def test_what_is_decided_comes_after_all_that_was_read(world: World) -> None:
    """Of all windows; the log's clock may be ahead of the supervisor's."""
    (one, first), (other, second) = world.projection("a", NOW_MS - 5), world.projection("b", NOW_MS + 700)
    assert await world.hosting.hold([one]) == NOW_MS
    assert await world.hosting.hold([one, other]) == NOW_MS + 701
    assert held(first) == [Hold(one.chain_id, HOLD_MS)] * 2
    assert held(second) == [Hold(other.chain_id, HOLD_MS)]


async def test_a_row_of_this_very_moment_comes_before(world: World) -> None:
    chain, _ = world.projection(read_ms=NOW_MS)
    assert await world.hosting.hold([chain]) == NOW_MS + 1


async def test_leaderboards_of_scores_are_not_asked(world: World) -> None:
    chain = world.add(projection("plain", tenant_id="t", scoring={}))
    ref = world.begin(chain)
    assert await world.hosting.hold([chain]) == NOW_MS
    assert await world.hosting.hold([]) == NOW_MS
    assert not ref.calls


async def test_an_actor_that_is_not_up_reads_nothing(world: World) -> None:
    chain, ref = world.projection(read_ms=NOW_MS + 700)
    actor, _ = world.actor_of(chain)
    actor.incarnation = ""
    assert await world.hosting.hold([chain]) == NOW_MS
    world.lie_dormant(chain)
    assert await world.hosting.hold([chain]) == NOW_MS
    assert not ref.calls and chain.home in world.hosting.dormant, "it is not woken for that"


async def test_an_actor_that_went_away_is_not_waited_for(world: World) -> None:
    chain, ref = world.projection()
    _, other = world.projection("other", NOW_MS + 20)
    (second,) = [c for c in world.state.chains.values() if c.board.leaderboard_id == "other"]
    assert await world.hosting.hold([chain, second]) == NOW_MS + 21
    assert held(ref) and held(other)
    world.state.end()


async def test_an_actor_that_answers_nothing_is_not_waited_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting_module, "HELD_WITHIN_S", 0.01)
    chain, ref = world.projection()

    async def never(request: Any) -> Any:
        await asyncio.Event().wait()

    ref.answers["hold"] = never
    async with asyncio.timeout(5):
        assert await world.hosting.hold([chain]) == NOW_MS


@pytest.mark.parametrize(
    "reply",
    [Reply(NOT_HERE), Reply.of_error(ApiError("period_loading", "it loads"))],
    ids=["gone", "refused"],
)
async def test_an_actor_that_does_not_have_it_has_read_nothing(world: World, reply: Reply) -> None:
    chain, ref = world.projection()

    async def answer(request: Any) -> Any:
        return list(reply)

    ref.answers["hold"] = answer
    assert await world.hosting.hold([chain]) == NOW_MS
