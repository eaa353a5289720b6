"""How periods of projections are closed: not before their log can say that it has every row that counts, and
not before they have read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import Stage
from lbactors.core.model import PeriodRecord
from lbactors.supervisor.chain_state import ChainState
from lbactors.wire.logs import Tick
from lbactors.wire.replies import Reply
from lbactors.wire.requests import Seal
from tests.support.supervisor.local_logs import LocalLogs, row
from tests.support.supervisor.local_supervisor import NOON_MS, LocalServer

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MIDNIGHT_MS = NOON_MS + 12 * HOUR_MS
SCORING = {"source": "metric", "metric": "coins", "aggregation": "sum"}
WITHIN_S = 20


class World:
    """A daily leaderboard `xp` of a metric; the clock begins on 2026-11-18 at noon. `calls`: what chains'
    actors were asked to do, with what they answered. `refuse`: raised instead of the call, by method.
    """

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.logs = LocalLogs(server)
        self.calls: list[tuple[str, Any, Any]] = []
        self.refuse: dict[str, list[ApiError]] = {}
        hosting: Any = server.supervisor.hosting
        call_home = hosting.call_home

        async def noted(chain: ChainState, method: str, request: Any) -> Reply:
            if self.refuse.get(method):
                raise self.refuse[method].pop(0)
            reply: Reply = await call_home(chain, method, request)
            self.calls.append((method, request, reply.value))
            return reply

        hosting.call_home = noted

    async def create(self, scoring: Any = None, grace_s: int = 0, **fields: Any) -> None:
        timeframe = {"type": "daily", "timezone": "UTC", "late_grace_seconds": grace_s}
        definition = {"leaderboard_id": "xp", "scoring": scoring or SCORING, "timeframe": timeframe}
        await self.server.command("create_leaderboard", definition={**definition, **fields})

    @property
    def chain(self) -> ChainState:
        board = self.server.supervisor.state.boards["default/xp"]
        return self.server.supervisor.state.chains[board.chain_id("main")]

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds():  # noqa: ASYNC110 - the supervisor's clock ticks
                await asyncio.sleep(0.01)

    def move_to(self, at_ms: int) -> None:
        self.server.clock.move(at_ms - self.server.clock.now_ms())

    async def closed(self, *keys: str) -> list[PeriodRecord]:
        """Periods, when nothing of them is left to do."""

        def found() -> list[PeriodRecord]:
            return [r for r in self.chain.records if r.key in keys and r.stage == Stage.COMPLETE]

        await self.until(lambda: len(found()) == len(keys) and not self.chain.lock.locked())
        return found()

    def asked(self, *methods: str) -> list[tuple[str, Any, Any]]:
        return [call for call in self.calls if call[0] in methods]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with LocalServer(tmp_path / "data") as server:
        yield World(server)


@pytest.mark.parametrize("grace_s", [0, 600])
async def test_a_log_says_that_no_row_comes_any_more_before_a_period_is_closed(
    world: World, grace_s: int
) -> None:
    await world.create(grace_s=grace_s)
    await world.logs.write("coins", row("a", 5))
    world.move_to(MIDNIGHT_MS + grace_s * 1000 + HOUR_MS)
    (record,) = await world.closed("2026-11-18")
    (first, tick, seq), (second, seal, _) = world.asked("tick", "seal")[:2]
    assert (first, second) == ("tick", "seal")
    assert tick == Tick(world.logs.board("coins").chain_id("main"), MIDNIGHT_MS + grace_s * 1000), (
        "at its end and grace"
    )
    assert isinstance(seal, Seal) and seal.log_seq == seq >= 1
    assert (seal.chain_id, seal.serial) == (world.chain.chain_id, 1)
    assert (record.sealed, record.entries) == (True, 1)


async def test_a_leaderboard_of_scores_is_closed_without_a_log(world: World) -> None:
    await world.create({"aggregation": "sum"})
    await world.server.submit("xp", "a", 5)
    world.move_to(MIDNIGHT_MS + HOUR_MS)
    await world.closed("2026-11-18")
    assert [(method, seal.log_seq) for method, seal, _ in world.asked("tick", "seal")] == [("seal", 0)]


async def test_what_was_acknowledged_in_time_counts_and_nothing_later(world: World) -> None:
    """By when it was acknowledged, though the period is closed later."""
    await world.create(grace_s=600)
    for at_ms, amount in (
        (MIDNIGHT_MS - 1000, 1),
        (MIDNIGHT_MS, 2),
        (MIDNIGHT_MS + 599_000, 4),
        (MIDNIGHT_MS + 600_000, 8),
    ):
        world.refuse["tick"] = [ApiError("period_loading", "not yet")] * 1000
        world.move_to(at_ms)
        late = (
            row("a", amount, occurred_at_ms=MIDNIGHT_MS - 2000) if at_ms >= MIDNIGHT_MS else row("a", amount)
        )
        await world.logs.write("coins", late)
    world.move_to(MIDNIGHT_MS + HOUR_MS)
    world.refuse.clear()
    await world.closed("2026-11-18")
    assert await world.server.page("xp", "2026-11-18") == [(1, "a", 7)]
    assert await world.server.page("xp") == []


async def test_a_period_waits_for_a_log_that_is_away(world: World) -> None:
    await world.create()
    await world.logs.write("coins", row("a", 5))
    world.refuse["tick"] = [ApiError("period_loading", "the log is away")] * 2
    world.move_to(MIDNIGHT_MS + HOUR_MS)
    await world.until(lambda: not world.refuse["tick"])
    (record,) = await world.closed("2026-11-18")
    assert record.entries == 1
    assert world.asked("tick", "seal")[0][0] == "tick"


async def test_a_dormant_projection_is_not_closed_unread(tmp_path: Path) -> None:
    """Its actor does not run, and nobody told it of the row: a leaderboard of scores would need no actor."""
    server = LocalServer(tmp_path / "data")
    async with server:
        world = World(server)
        await world.create()
        await world.server.command("create_leaderboard", definition={"leaderboard_id": "plain"})
        await world.logs.write("coins", row("a", 5), row("b", 3))
    async with server:
        world = World(server)
        assert world.chain.home in server.supervisor.hosting.dormant
        world.move_to(MIDNIGHT_MS + HOUR_MS)
        (record,) = await world.closed("2026-11-18")
        assert (record.sealed, record.entries) == (True, 2)
        assert await server.page("xp", "2026-11-18") == [(1, "a", 5), (2, "b", 3)]


async def test_periods_that_were_missed_are_opened_and_filled(world: World) -> None:
    """Rows are taken while the supervisor is away, and each counts on its day."""
    await world.create()
    await world.logs.write("coins", row("a", 1))
    async with world.chain.lock:  # nobody opens or closes a period
        for day in range(1, 4):
            world.move_to(NOON_MS + day * DAY_MS)
            await world.logs.write("coins", row("a", 10**day), row(f"only-{day}", 5))
        assert len(world.chain.records) == 1
    world.move_to(NOON_MS + 5 * DAY_MS)
    days = [f"2026-11-{day}" for day in range(18, 23)]
    closed = await world.closed(*days)
    assert [record.entries for record in closed] == [1, 2, 2, 2, 0]
    assert await world.server.page("xp", "2026-11-18") == [(1, "a", 1)]
    for day in range(1, 4):
        ranks = [(1, "a", 10**day), (2, f"only-{day}", 5)]
        assert await world.server.page("xp", f"2026-11-{18 + day}") == ranks
    assert await world.server.page("xp") == []
