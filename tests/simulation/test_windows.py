"""One submission feeds all windows: all of them have it, or the client is told which do not, and a retry with
the same id completes it without doubling. A window's actor is away, dies with the answer, or refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Outcome, Submission
from lbactors.wire.commands import ClosePeriod, CreateLeaderboard
from tests.support.simulation.counted_time import ms
from tests.support.supervisor.in_process import Server

NOON_MS = ms("2011-12-29T12:00")
WINDOWS = ("main", "daily", "all_time")
TRIES = 1000


class Site:
    """A server with one board, whose windows live in actors of their own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.service = server.service

    async def open(self) -> None:
        definition = {
            "leaderboard_id": "hours",
            "timeframe": {"type": "hourly"},
            "windows": ["daily", "all_time"],
            "scoring": {"aggregation": "sum"},
        }
        await self.service.admin(CreateLeaderboard(definition), "default")
        assert len({self.home(window) for window in WINDOWS}) == len(WINDOWS)

    @property
    def board(self) -> Board:
        found = self.service.catalogue.board("default", "hours")
        assert found is not None
        return found

    def home(self, window: str) -> str:
        found = self.service.catalogue.home(self.board.chain_id(window))
        assert found is not None
        return found

    async def submit(
        self, item: Submission, results: str = "full", at_ms: int | None = None
    ) -> list[Outcome] | ApiError:
        now_ms = self.server.now_ms() if at_ms is None else at_ms
        return (await self.service.submit(self.board, [item], now_ms, results))[0]

    async def complete(self, item: Submission) -> list[Outcome]:
        """Sent again until every window has it, as the client was told to."""
        for _ in range(TRIES):
            answer = await self.submit(item)
            if not isinstance(answer, ApiError):
                return answer
            assert answer.code in ("storage_unavailable", "period_loading"), str(answer)
            await asyncio.sleep(0.005)
        raise AssertionError(str(answer))

    async def totals(self, player_id: str) -> dict[str, tuple[int | float, int]]:
        """Score and number of submissions of a player, by window."""
        found = {}
        for window in WINDOWS:
            (row,) = (await self.service.entry(self.board, window, "current", player_id)).rows
            found[window] = (row.score, row.submissions)
        return found


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Server(tmp_path / "data", NOON_MS + 1000, actors_per_core=4) as server:
        site = Site(server)
        await site.open()
        yield site


def item(number: int, occurred_at_ms: int | None = None) -> Submission:
    return Submission("p", 5, 0, None, f"s{number}", occurred_at_ms, None)


def named(answer: list[Outcome] | ApiError) -> list[str]:
    """The windows that an error says did not take the submission."""
    assert isinstance(answer, ApiError), answer
    return [detail["loc"][1] for detail in answer.details if detail["loc"][0] == "windows"]


@pytest.mark.parametrize("away", [["daily"], ["main"], ["daily", "all_time"]])
@pytest.mark.parametrize("results", ["full", "none"])
async def test_a_window_that_is_away_is_named_and_a_retry_completes(
    site: Site, away: list[str], results: str
) -> None:
    await site.complete(item(0))
    stopped = [site.server.cluster.processes[site.home(window)] for window in away]
    for process in stopped:
        await process.end()  # and is not started again yet
    answer = await site.submit(item(1), results)
    assert isinstance(answer, ApiError) and answer.code == "storage_unavailable"
    assert named(answer) == away, answer.details
    await site.server.cluster.crash(*(site.home(window) for window in away))
    outcomes = await site.complete(item(1))
    assert {o.window for o in outcomes if not o.duplicate} == set(away), "the others had it"
    assert all(o.duplicate for o in await site.complete(item(1)))
    assert await site.totals("p") == dict.fromkeys(WINDOWS, (10, 2))


@pytest.mark.parametrize("window", WINDOWS)
async def test_an_answer_that_is_lost_is_no_second_score(site: Site, window: str) -> None:
    """The actor journals, and dies before it answers: nobody knows, and the retry finds out."""
    await site.complete(item(0))
    process = site.server.cluster.processes[site.home(window)]
    rpc_server = process.actor.rpc_server
    write = rpc_server.handlers[0]

    async def write_and_die(payload: bytes) -> bytes:
        await write(payload)
        await process.end()
        site.service._router.moved(site.home(window), "the next process")  # the connection ends with it
        return b""

    rpc_server.handlers[0] = write_and_die
    answer = await site.submit(item(1))
    assert isinstance(answer, ApiError) and answer.code == "storage_unavailable"
    assert named(answer) == [window]
    await site.server.cluster.crash(site.home(window))
    assert all(o.duplicate for o in await site.complete(item(1)))
    assert await site.totals("p") == dict.fromkeys(WINDOWS, (10, 2))


async def test_a_window_that_refuses_is_named_and_the_others_count_once(site: Site) -> None:
    """The main period was closed by hand: it takes nothing that happened before, and the others do."""
    await site.complete(item(0))
    happened_ms = site.server.now_ms()
    site.server.move_to(happened_ms + 5000)
    args = {"leaderboard_id": "hours", "window": "main"}
    await site.service.admin(ClosePeriod(**args), "default")
    await site.server.settle()
    for _ in range(2):
        answer = await site.submit(item(1, happened_ms))
        assert isinstance(answer, ApiError) and answer.code == "period_closed", answer
        assert named(answer) == ["main"]
        (detail,) = answer.details
        assert detail["msg"].startswith("period_closed: ")
    for window, score in (("daily", 10), ("all_time", 10)):
        (row,) = (await site.service.entry(site.board, window, "current", "p")).rows
        assert (row.score, row.submissions) == (score, 2)
    (row,) = (await site.service.entry(site.board, "main", "previous", "p")).rows
    assert (row.score, row.submissions) == (5, 1)


async def test_a_retry_over_a_boundary_completes_in_the_next_period(site: Site) -> None:
    """The hourly window was away until its period was over: the retry counts where it arrives, once."""
    await site.complete(item(0))
    one_ms = NOON_MS + 3_600_000
    site.server.move_to(one_ms - 10_000)
    await site.server.settle()
    await site.server.cluster.processes[site.home("main")].end()
    assert named(await site.submit(item(1))) == ["main"]
    site.server.move_to(one_ms + 1)
    await site.server.cluster.crash(site.home("main"))
    outcomes = {o.window: o for o in await site.complete(item(1))}
    assert (outcomes["main"].period_key, outcomes["main"].duplicate) == ("2011-12-29T13", False)
    assert outcomes["daily"].duplicate and outcomes["all_time"].duplicate
    site.server.move_to(one_ms + 120_000)
    await site.server.settle()
    assert all(o.duplicate for o in await site.complete(item(1)))
    assert await site.totals("p") == {"main": (5, 1), "daily": (10, 2), "all_time": (10, 2)}
