"""Gateways whose clocks differ by a second agree on the period of a submission: the period actor decides.

What arrived counts as so long ago as the gateway held it, by the gateway's own clock. One gateway is a second
ahead of the actors, one a second behind; time stands still, so every instant around a boundary can be met.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Outcome, Submission
from lbactors.service.service import Service
from lbactors.wire.commands import CreateLeaderboard
from tests.support.simulation.counted_time import ms
from tests.support.supervisor.in_process import Server

NOON_MS = ms("2011-12-29T12:00")
GRACE_MS = 10_000
SECOND_MS = 1000


class Site:
    """A server with three gateways: by their difference to the actors' clock, in ms."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.gateways: dict[int, Service] = {}
        self._number = 0

    async def open(self) -> None:
        self.gateways = {by_ms: await self.server.gateway(by_ms) for by_ms in (-SECOND_MS, 0, SECOND_MS)}
        definition = {
            "leaderboard_id": "hours",
            "timeframe": {"type": "hourly", "late_grace_seconds": GRACE_MS // 1000},
            "windows": ["daily", "all_time"],
            "scoring": {"aggregation": "sum"},
        }
        answer = await self.server.service.admin(CreateLeaderboard(definition), "default")
        assert answer.status == 201
        for gateway in self.gateways.values():
            await gateway.catalogue.sync()

    async def close(self) -> None:
        for gateway in self.gateways.values():
            await gateway.close()

    async def submit(
        self, by_ms: int, held_ms: int = 0, occurred_at_ms: int | None = None
    ) -> list[Outcome] | ApiError:
        """Through one of the gateways, which has held it for so long."""
        self._number += 1
        gateway = self.gateways[by_ms]
        board = gateway.catalogue.board("default", "hours")
        assert board is not None
        arrived_ms = gateway.now_ms() - held_ms
        assert gateway.now_ms() == self.server.now_ms() + by_ms
        item = Submission("p", 1, 0, None, f"s{self._number}", occurred_at_ms, None)
        return (await gateway.submit(board, [item], arrived_ms, "full"))[0]

    async def keys(self, **how: Any) -> set[str]:
        """The main window's period of the same submission through each gateway."""
        found = set()
        for by_ms in self.gateways:
            answer = await self.submit(by_ms, **how)
            assert not isinstance(answer, ApiError), (by_ms, how, answer.code, str(answer))
            found.add(answer[0].period_key)
        return found


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Server(tmp_path / "data", NOON_MS + 1000) as server:
        site = Site(server)
        await site.open()
        yield site
        await site.close()


async def after(site: Site, at_ms: int) -> None:
    site.server.move_to(at_ms)
    await site.server.settle()


async def test_the_same_instant_is_in_the_same_period(site: Site) -> None:
    one_ms = NOON_MS + 3_600_000
    await after(site, one_ms - 20_000)  # the next period is opened ahead
    for offset_ms, key in [
        (-1500, "T12"),
        (-SECOND_MS, "T12"),
        (-1, "T12"),
        (0, "T13"),
        (1, "T13"),
        (SECOND_MS, "T13"),
        (1500, "T13"),
    ]:
        site.server.move_to(one_ms + offset_ms)
        assert await site.keys() == {f"2011-12-29{key}"}, offset_ms


async def test_what_a_gateway_held_counts_from_its_arrival(site: Site) -> None:
    one_ms = NOON_MS + 3_600_000
    await after(site, one_ms - 20_000)
    site.server.move_to(one_ms + 300)
    assert await site.keys(held_ms=300) == {"2011-12-29T13"}
    assert await site.keys(held_ms=301) == {"2011-12-29T12"}


@pytest.mark.parametrize("by_ms", [-SECOND_MS, 0, SECOND_MS])
async def test_the_grace_ends_by_the_actors_clock(site: Site, by_ms: int) -> None:
    one_ms = NOON_MS + 3_600_000
    await after(site, one_ms - 20_000)
    site.server.move_to(one_ms + GRACE_MS - 1)
    answer = await site.submit(by_ms, occurred_at_ms=one_ms - 5)
    assert not isinstance(answer, ApiError), str(answer)
    assert answer[0].period_key == "2011-12-29T12"
    site.server.move_to(one_ms + GRACE_MS)
    refused = await site.submit(by_ms, occurred_at_ms=one_ms - 5)
    assert isinstance(refused, ApiError) and refused.code == "period_closed"
    for window, total in (("daily", 1), ("all_time", 1)):
        reading = await site.gateways[by_ms].entry(board_of(site.gateways[by_ms]), window, "current", "p")
        assert reading.rows[0].score == total, "what main refuses, no window takes"


@pytest.mark.parametrize("by_ms", [-SECOND_MS, 0, SECOND_MS])
async def test_what_happened_a_moment_ahead(site: Site, by_ms: int) -> None:
    """An event of the next period, from a game server whose clock is ahead: it counts as now."""
    one_ms = NOON_MS + 3_600_000
    await after(site, one_ms - 20_000)
    site.server.move_to(one_ms - 500)
    for now_ms, hour in ((one_ms - 500, 12), (one_ms - 1, 12), (one_ms, 13)):
        site.server.move_to(now_ms)
        for ahead_ms in (1, 501, 60_000):
            answer = await site.submit(by_ms, occurred_at_ms=now_ms + ahead_ms)
            assert not isinstance(answer, ApiError), str(answer)
            keys = {o.window: o.period_key for o in answer}
            assert keys == {"main": f"2011-12-29T{hour}", "daily": "2011-12-29", "all_time": "all_time"}


def board_of(service: Service) -> Board:
    found = service.catalogue.board("default", "hours")
    assert found is not None
    return found


async def test_nothing_is_counted_twice_or_lost(site: Site) -> None:
    """A client goes from gateway to gateway over a boundary with the same submission."""
    one_ms = NOON_MS + 3_600_000
    await after(site, one_ms - 20_000)
    item = Submission("p", 7, 0, None, "the-same", None, None)
    outcomes = []
    for offset_ms, by_ms in [(-400, SECOND_MS), (-1, -SECOND_MS), (400, -SECOND_MS), (900, SECOND_MS)]:
        site.server.move_to(one_ms + offset_ms)
        gateway = site.gateways[by_ms]
        outcomes += await gateway.submit(board_of(gateway), [item], gateway.now_ms(), "full")
    assert not any(isinstance(outcome, ApiError) for outcome in outcomes)
    assert [[o.duplicate for o in outcome] for outcome in outcomes] == [[False] * 3, *[[True] * 3] * 3]  # type: ignore[union-attr]
    for window in ("main", "daily", "all_time"):
        views, _ = await site.gateways[0].periods(board_of(site.gateways[0]), window, None, 0, 10)
        assert sum(view.submissions for view in views) == 1
