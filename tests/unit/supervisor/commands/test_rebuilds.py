"""Computing a period anew from its log, on demand: which one is meant, when it is refused, what stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import KEPT_WHOLE, Stage
from lbactors.core.model import PeriodRecord
from lbactors.supervisor.chain_state import ChainState
from tests.support.supervisor.local_logs import LocalLogs, row
from tests.support.supervisor.local_supervisor import LocalServer

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SCORING = {"source": "metric", "metric": "coins", "aggregation": "sum"}
TIERS = {"tiers": [{"name": "first", "rank_from": 1, "rank_to": 1, "payload": {"gems": 1}}]}
WITHIN_S = 20


class World:
    """A daily leaderboard `xp` of a metric; the clock begins on 2026-11-18 at noon."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.logs = LocalLogs(server)

    async def create(self, timeframe: Any = None, **fields: Any) -> None:
        definition = {"leaderboard_id": "xp", "scoring": SCORING, **fields}
        definition["timeframe"] = {"type": "daily", "timezone": "UTC", "retain_periods": 1000} | (
            timeframe or {}
        )
        await self.server.command("create_leaderboard", definition=definition)

    def chain(self, window: str = "main") -> ChainState:
        board = self.server.supervisor.state.boards["default/xp"]
        return self.server.supervisor.state.chains[board.chain_id(window)]

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds():  # noqa: ASYNC110 - the supervisor's clock ticks
                await asyncio.sleep(0.01)

    async def play(self, **amounts: float) -> None:
        await self.logs.write("coins", *(row(player_id, amount) for player_id, amount in amounts.items()))
        await self.logs.read_by("xp", "coins")

    async def closed(self, key: str) -> PeriodRecord:
        """A period, when nothing of it is left to do."""
        await self.until(
            lambda: (
                not self.chain().lock.locked()
                and (
                    key in self.chain().past.keys()  # noqa: SIM118 - it is no dictionary
                    or any(r.key == key and r.stage == Stage.COMPLETE for r in self.chain().records)
                )
            )
        )
        (body,) = await self.server.supervisor.state.store.get("periods", [f"{self.chain().chain_id}/{key}"])
        return PeriodRecord(*msgpack.unpackb(body or b""))

    async def next_day(self, key: str) -> None:
        """The day after, when the one of this key is closed."""
        self.server.clock.move(DAY_MS)
        await self.closed(key)

    async def rebuild(
        self, key: str = "current", window: str = "main", leaderboard_id: str = "xp", *, keep: bool = False
    ) -> dict[str, Any]:
        return await self.server.command(
            "rebuild_period",
            leaderboard_id=leaderboard_id,
            window=window,
            period_key=key,
            keep_rewards=keep,
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalServer(tmp_path / "data") as server:
        yield World(server)


async def code_of(asked: Any) -> str:
    with pytest.raises(ApiError) as refused:
        await asked
    return refused.value.code


# Which period -------------------------------------------------------------------------------------------


async def test_an_open_period_is_computed_anew_and_goes_on(world: World) -> None:
    await world.create(windows=["weekly"])
    await world.play(a=5, b=7)
    for number in (1, 2):
        answer = await world.rebuild()
        assert (answer["period_key"], answer["state"]) == ("2026-11-18", "active")
        assert world.chain().records[0].reopened == number
        await world.logs.read_by("xp", "coins")
        assert await world.server.page("xp") == [(1, "b", 7), (2, "a", 5)]
    await world.play(a=5)
    assert await world.server.page("xp") == [(1, "a", 10), (2, "b", 7)]
    assert world.chain("weekly").records[0].reopened == 0, "only the one that was named"


async def test_a_closed_period_is_computed_anew_and_closed_again(world: World) -> None:
    await world.create()
    await world.play(a=5, b=7)
    await world.next_day("2026-11-18")
    await world.play(a=100)
    before = await world.closed("2026-11-18")
    answer = await world.rebuild("2026-11-18")
    assert answer["period_key"] == "2026-11-18"
    assert answer["ends_at"] == "2026-11-19T00:00:00.000Z", "its bounds stay"
    assert answer["next_starts_at"] == "2026-11-19T00:00:00.000Z"
    after = await world.closed("2026-11-18")
    assert (after.reopened, after.sealed, after.entries) == (1, True, before.entries)
    assert await world.server.page("xp", "2026-11-18") == [(1, "b", 7), (2, "a", 5)]
    assert await world.server.page("xp") == [(1, "a", 100)]


@pytest.mark.parametrize(("name", "key"), [("current", "2026-11-20"), ("previous", "2026-11-19")])
async def test_names_mean_what_they_mean_in_a_read(world: World, name: str, key: str) -> None:
    await world.create()
    await world.play(a=5)
    for past in ("2026-11-18", "2026-11-19"):
        await world.next_day(past)
    assert (await world.rebuild(name))["period_key"] == key


async def test_a_period_that_is_about_to_begin_is_not_the_current_one(world: World) -> None:
    """It is opened some time ahead."""
    await world.create()
    await world.play(a=5)
    world.server.clock.move(12 * HOUR_MS - 20_000)
    await world.until(lambda: len(world.chain().records) == 2)
    assert (await world.rebuild("current"))["period_key"] == "2026-11-18"
    assert await code_of(world.rebuild("previous")) == "period_not_found"


async def test_the_current_period_of_a_player_local_one_is_that_of_utc(world: World) -> None:
    """At noon it is tomorrow already in Kiritimati, and its period has begun."""
    await world.create({"timezone": "player"})
    await world.play(a=5)
    keys = [r.key for r in world.chain().records]
    assert keys[-2:] == ["2026-11-18", "2026-11-19"]
    shown = await world.server.read("xp", "stats", [])
    assert shown[0][1] == "2026-11-18"
    assert (await world.rebuild("current"))["period_key"] == "2026-11-18"
    world.server.clock.move(DAY_MS)
    await world.until(lambda: world.chain().records[-1].key == "2026-11-20")
    assert (await world.rebuild("previous"))["period_key"] == "2026-11-18"


async def test_a_period_of_long_ago(world: World) -> None:
    """The supervisor keeps no more of it than its key and bounds."""
    await world.create()
    await world.play(a=5, b=7)
    await world.next_day("2026-11-18")
    await world.play(b=1)
    for number in range(KEPT_WHOLE + 3):
        world.server.clock.move(DAY_MS)
        await world.until(lambda n=number: len(world.chain().keys) >= n + 3)
    await world.until(lambda: len(world.chain().past) >= 2)
    names = world.chain().names
    before = await world.closed("2026-11-18")
    assert before.sealed and not any(r.key == "2026-11-18" for r in world.chain().records)
    answer = await world.rebuild("2026-11-18")
    assert world.chain().names == names and world.chain().oldest_serial == 1
    assert (answer["period_key"], answer["ends_at"]) == ("2026-11-18", "2026-11-19T00:00:00.000Z")
    assert answer["next_starts_at"] == "2026-11-19T00:00:00.000Z"
    await world.until(lambda: not world.chain().records[0].sealed or len(world.chain().past) >= 2)
    after = await world.closed("2026-11-18")
    assert after._replace(reopened=0, last_seq=0) == before._replace(last_seq=0)
    assert after.reopened == 1
    assert await world.server.page("xp", "2026-11-18") == [(1, "b", 7), (2, "a", 5)]
    assert await world.server.page("xp", "2026-11-19") == [(1, "b", 1)]
    await world.until(lambda: len(world.chain().past) >= 2)
    assert world.chain().names == names, "it is again where it was"


async def test_it_survives_the_supervisor(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "data")
    async with server:
        world = World(server)
        await world.create()
        await world.play(a=5)
        await world.next_day("2026-11-18")
        await world.rebuild("2026-11-18")
    async with server:
        world = World(server)
        assert (await world.closed("2026-11-18")).reopened == 1
        assert await server.page("xp", "2026-11-18") == [(1, "a", 5)]


# What is refused ------------------------------------------------------------------------------------------


async def test_what_there_is_not(world: World) -> None:
    await world.create()
    assert await code_of(world.rebuild("2026-11-17")) == "period_not_found"
    assert await code_of(world.rebuild("2026-11-19")) == "period_not_found"
    assert await code_of(world.rebuild("previous")) == "period_not_found"
    assert await code_of(world.rebuild(window="weekly")) == "period_not_found"
    assert await code_of(world.rebuild(leaderboard_id="nobody")) == "leaderboard_not_found"
    assert world.chain().records[0].reopened == 0


async def test_between_two_seasons_there_is_no_current_one(world: World) -> None:
    """A read shows the next one then, which has nothing to be computed from."""
    await world.create({"type": "manual"})
    for key, begins, ends in (("first", "18T12:00", "18T13:00"), ("second", "18T15:00", "18T16:00")):
        period = {
            "period_key": key,
            "starts_at": f"2026-11-{begins}:00Z",
            "ends_at": f"2026-11-{ends}:00Z",
        }
        await world.server.command("create_period", leaderboard_id="xp", period=period)
    await world.play(a=5)
    assert (await world.rebuild("current"))["period_key"] == "first"
    world.server.clock.move(HOUR_MS + HOUR_MS // 2)
    await world.closed("first")
    assert await code_of(world.rebuild("current")) == "period_not_found"
    assert await code_of(world.rebuild("second")) == "period_not_found"
    assert (await world.rebuild("previous"))["period_key"] == "first"
    await world.closed("first")
    world.server.clock.move(HOUR_MS * 3)
    await world.closed("second")
    assert (await world.rebuild("current"))["period_key"] == "second", "the last one"


async def test_a_leaderboard_of_scores_has_nothing_to_be_computed_from(world: World) -> None:
    await world.create(scoring={"aggregation": "sum"})
    with pytest.raises(ApiError) as refused:
        await world.rebuild()
    assert (refused.value.code, refused.value.details[0]["loc"]) == (
        "validation_failed",
        ["path", "leaderboard_id"],
    )


# Rewards ------------------------------------------------------------------------------------------------


async def rewards(world: World) -> dict[str, bytes]:
    return dict(await world.server.supervisor.state.store.scan("rewards"))


async def test_rewards_that_were_granted_stay(world: World) -> None:
    await world.create(rewards=TIERS)
    await world.play(a=5, b=7)
    await world.next_day("2026-11-18")
    granted = await rewards(world)
    assert granted
    assert await code_of(world.rebuild("2026-11-18")) == "rewards_granted"
    assert (await world.closed("2026-11-18")).reopened == 0
    for number in (1, 2):  # and again, with nothing more to be said
        await world.rebuild("2026-11-18", keep=True)
        after = await world.closed("2026-11-18")
        assert (after.reopened, after.keeps_rewards, after.rewarded) == (number, True, True)
        assert await rewards(world) == granted
    assert await world.server.page("xp", "2026-11-18") == [(1, "b", 7), (2, "a", 5)]


async def test_a_period_that_is_being_rewarded_is_not_touched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    granting = world.server.supervisor.granting
    grant, may_grant = granting.grant, asyncio.Event()

    async def waits(chain: ChainState, record: PeriodRecord) -> bool:
        return may_grant.is_set() and await grant(chain, record)

    monkeypatch.setattr(granting, "grant", waits)
    await world.create(rewards=TIERS)
    await world.play(a=5)
    world.server.clock.move(DAY_MS)
    await world.until(lambda: world.chain().records[0].stage == Stage.CLOSED)
    for keep in (False, True):
        assert await code_of(world.rebuild("2026-11-18", keep=keep)) == "rewards_pending"
    may_grant.set()
    await world.closed("2026-11-18")
    assert await rewards(world)


async def test_an_open_period_is_rewarded_once_it_is_closed(world: World) -> None:
    await world.create(rewards=TIERS)
    await world.play(a=5)
    await world.rebuild()
    await world.next_day("2026-11-18")
    after = await world.closed("2026-11-18")
    assert (after.reopened, after.keeps_rewards, after.rewarded) == (1, False, True)
    assert await rewards(world)


async def test_a_closed_period_that_nobody_was_promised_anything_of_is_rewarded_by_its_new_standings(
    world: World,
) -> None:
    """Tiers came later, or nobody was in it."""
    await world.create()
    await world.play(a=5)
    await world.next_day("2026-11-18")
    await world.server.command(
        "patch_leaderboard", leaderboard_id="xp", patch={"rewards": TIERS}, if_match=None
    )
    assert not await rewards(world)
    await world.rebuild("2026-11-18")
    after = await world.closed("2026-11-18")
    assert after.reopened == 1 and after.entries == 1
    assert after.rewarded == bool(await rewards(world))
