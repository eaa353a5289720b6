"""One submission feeds all windows in one operation: the main window decides, and either all windows that
take it have it or none has. An actor is away, dies with the answer or between two appends, or refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.instants import format_instant
from lbactors.core.model import Board, Outcome, Submission
from lbactors.wire.commands import (
    ArchiveLeaderboard,
    ClosePeriod,
    CreateLeaderboard,
    CreatePeriod,
    PatchLeaderboard,
)
from persistence.store import Record, Store, StoreError, StoreUnavailable
from tests.support.simulation.counted_time import ms
from tests.support.supervisor.in_process import Server

NOON_MS = ms("2011-12-29T12:00")
HOUR_MS = 3_600_000
WINDOWS = ("main", "daily", "all_time")
TRIES = 1000


class Site:
    """A server with one board of three windows."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.service = server.service

    async def open(self, **fields: Any) -> None:
        definition = {
            "leaderboard_id": "hours",
            "timeframe": {"type": "hourly"},
            "windows": ["daily", "all_time"],
            "scoring": {"aggregation": "sum"},
            **fields,
        }
        await self.service.admin(CreateLeaderboard(definition), "default")

    @property
    def board(self) -> Board:
        found = self.service.catalogue.board("default", "hours")
        assert found is not None
        return found

    @property
    def home(self) -> str:
        found = self.service.catalogue.home(self.board.board_uid)
        assert found is not None
        return found

    @property
    def store(self) -> Store:
        """Of the actor that has the board."""
        found: Store = self.server.cluster.processes[self.home].actor._store
        return found

    async def submit(
        self, item: Submission, results: str = "full", at_ms: int | None = None
    ) -> list[Outcome] | ApiError:
        now_ms = self.server.now_ms() if at_ms is None else at_ms
        return (await self.service.submit(self.board, [item], now_ms, results))[0]

    async def refused(self, item: Submission) -> ApiError:
        answer = await self.submit(item)
        assert isinstance(answer, ApiError), answer
        return answer

    async def complete(self, item: Submission) -> list[Outcome]:
        """Sent again until it is taken, as the client was told to."""
        for _ in range(TRIES):
            answer = await self.submit(item)
            if not isinstance(answer, ApiError):
                return answer
            assert answer.code in ("storage_unavailable", "period_loading"), str(answer)
            await asyncio.sleep(0.005)
        raise AssertionError(str(answer))

    async def totals(self, player_id: str, period: str = "current") -> dict[str, tuple[int | float, int]]:
        """Score and number of submissions of a player, by window; of those that have the player."""
        found = {}
        for window in self.board.windows:
            try:
                reading = await self.service.entry(self.board, window, period, player_id)
            except ApiError as error:
                assert error.code in ("entry_not_found", "period_not_found"), str(error)
                continue
            (row,) = reading.rows
            found[window] = (row.score, row.submissions)
        return found


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Site]:
    """No board yet."""
    async with Server(tmp_path / "data", NOON_MS + 1000, actors_per_core=4) as server:
        yield Site(server)


@pytest.fixture
async def site(bare: Site) -> Site:
    await bare.open()
    return bare


def item(
    number: int | None, occurred_at_ms: int | None = None, score: float = 5, player_id: str = "p"
) -> Submission:
    submission_id = None if number is None else f"s{number}"
    return Submission(player_id, score, 0, None, submission_id, occurred_at_ms, None)


def said(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """What each window says: applied, duplicate, or why it passed the submission over."""
    return {
        o.window: o.skipped or ("duplicate" if o.duplicate else "applied" if o.applied else "kept")
        for o in outcomes
    }


EVERYWHERE = dict.fromkeys(WINDOWS, "applied")


# One operation --------------------------------------------------------------------------------------------


async def test_all_windows_live_in_one_actor_and_are_written_in_one_step(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    chains = site.server.supervisor.state.chains.values()
    assert {chain.home for chain in chains} == {site.home} and len(chains) == len(WINDOWS)
    steps: list[int] = []
    really = site.store.append_all

    async def counted(stages: Sequence[Mapping[str, Record]]) -> dict[str, StoreError]:
        steps.append(sum(map(len, stages)))
        return await really(stages)

    monkeypatch.setattr(site.store, "append_all", counted)
    assert said(await site.complete(item(1))) == EVERYWHERE
    assert steps == [3]


@pytest.mark.parametrize("results", ["full", "none"])
async def test_while_the_actor_is_away_nothing_is_taken_and_a_repeat_completes(
    site: Site, results: str
) -> None:
    await site.complete(item(0))
    await site.server.cluster.processes[site.home].end()  # and is not started again yet
    answer = await site.submit(item(1), results)
    assert isinstance(answer, ApiError) and answer.code == "storage_unavailable"
    await site.server.cluster.crash(site.home)
    assert said(await site.complete(item(1))) == EVERYWHERE
    assert set(said(await site.complete(item(1))).values()) == {"duplicate"}
    assert await site.totals("p") == dict.fromkeys(WINDOWS, (10, 2))


async def test_an_answer_that_is_lost_is_no_second_score(site: Site) -> None:
    """The actor journals, and dies before it answers: nobody knows, and the repeat finds out."""
    await site.complete(item(0))
    process = site.server.cluster.processes[site.home]
    rpc_server = process.actor.rpc_server
    write = rpc_server.handlers[0]

    async def write_and_die(payload: bytes) -> bytes:
        await write(payload)
        await process.end()
        site.service._router.moved(site.home, "the next process")  # the connection ends with it
        return b""

    rpc_server.handlers[0] = write_and_die
    assert (await site.refused(item(1))).code == "storage_unavailable"
    await site.server.cluster.crash(site.home)
    assert set(said(await site.complete(item(1))).values()) == {"duplicate"}
    assert await site.totals("p") == dict.fromkeys(WINDOWS, (10, 2))


@pytest.mark.parametrize("unknown", [True, False])
async def test_a_repeat_completes_what_a_death_between_two_appends_left(
    site: Site, monkeypatch: pytest.MonkeyPatch, unknown: bool
) -> None:
    """As in a Redis Cluster: the further windows' journals are written, and the main one's is not."""
    await site.complete(item(0))
    really = site.store.append_all

    async def in_part(stages: Sequence[Mapping[str, Record]]) -> dict[str, StoreError]:
        assert await really(stages[:-1]) == {}
        (period_id,) = stages[-1]
        assert "/main/" in period_id, "the main window decides, so it is written last"
        return {period_id: StoreUnavailable("the node is away", unknown=unknown)}

    with monkeypatch.context() as patch:
        patch.setattr(site.store, "append_all", in_part)
        assert (await site.refused(item(1))).code == "storage_unavailable"
    outcomes = said(await site.complete(item(1)))
    assert outcomes == {"main": "applied", "daily": "duplicate", "all_time": "duplicate"}
    assert await site.totals("p") == dict.fromkeys(WINDOWS, (10, 2))
    await site.complete(item(2))
    assert await site.totals("p") == dict.fromkeys(WINDOWS, (15, 3))


# The main window decides ----------------------------------------------------------------------------------


async def tried(site: Site, code: str, *items: Submission) -> None:
    """All of these are refused, and count nowhere."""
    before = await site.totals("p")
    for one in items:
        error = await site.refused(one)
        assert error.code == code, str(error)
    assert await site.totals("p") == before


async def test_what_the_main_window_refuses_counts_nowhere(bare: Site) -> None:
    await bare.open(timeframe={"type": "manual"}, windows=["all_time"])
    await tried(bare, "period_not_open", item(None), item(None), item(1))
    admin = bare.service.admin
    period = {"starts_at": format_instant(bare.server.now_ms())}
    await admin(CreatePeriod(leaderboard_id="hours", period=period), "default")
    opened = said(await bare.complete(item(1)))
    assert opened == {"main": "applied", "all_time": "applied"}, "the id was not used up"
    bare.server.move_to(bare.server.now_ms() + 1000)
    await admin(ClosePeriod(leaderboard_id="hours", window="main"), "default")
    await bare.server.settle()
    await tried(bare, "period_closed", item(None), item(2))
    assert said(await bare.complete(item(1))) == {"main": "duplicate", "all_time": "duplicate"}
    assert (await bare.totals("p"))["all_time"] == (5, 1)


async def test_what_occurred_before_a_forced_close_counts_nowhere(site: Site) -> None:
    await site.complete(item(0))
    happened_ms = site.server.now_ms()
    site.server.move_to(happened_ms + 5000)
    await site.service.admin(ClosePeriod(leaderboard_id="hours", window="main"), "default")
    await site.server.settle()
    await tried(site, "period_closed", item(1, happened_ms), item(1, happened_ms), item(None, happened_ms))
    assert await site.totals("p") == {"daily": (5, 1), "all_time": (5, 1)}
    assert said(await site.complete(item(1))) == EVERYWHERE


async def test_an_archived_board_takes_nothing_after_its_period(site: Site) -> None:
    await site.complete(item(0))
    await site.service.admin(ArchiveLeaderboard(leaderboard_id="hours"), "default")
    site.server.move_to(NOON_MS + 2 * HOUR_MS)
    await site.server.settle()
    await tried(site, "period_closed", item(None), item(1))


# A further window is passed over --------------------------------------------------------------------------


async def test_a_score_of_two_hours_ago_counts_in_the_week_although_the_hour_is_over(bare: Site) -> None:
    await bare.open(timeframe={"type": "weekly"}, windows=["hourly", "all_time"])
    happened_ms = bare.server.now_ms()
    bare.server.move_to(happened_ms + 2 * HOUR_MS)
    await bare.server.settle()
    outcomes = await bare.complete(item(1, happened_ms))
    assert said(outcomes) == {"main": "applied", "hourly": "period_closed", "all_time": "applied"}
    again = said(await bare.complete(item(1, happened_ms)))
    assert again == dict.fromkeys(again, "duplicate"), "also the window that passed it over"
    later = said(await bare.complete(item(1)))
    assert set(later.values()) == {"duplicate"}, "a repeat changes nothing, whatever it says of its time"
    assert await bare.totals("p") == {"main": (5, 1), "all_time": (5, 1)}


@pytest.mark.parametrize("at_once", [True, False])
async def test_many_take_their_own_ways(bare: Site, at_once: bool) -> None:
    """In one call or each by itself: late ones are passed over by the hour, each by its own time."""
    await bare.open(timeframe={"type": "weekly"}, windows=["hourly", "all_time"])
    happened_ms = bare.server.now_ms()
    bare.server.move_to(happened_ms + 2 * HOUR_MS)
    await bare.server.settle()
    items = [item(1, happened_ms), item(2), item(None, happened_ms), item(None), item(2), item(1)]
    now_ms = bare.server.now_ms()
    if at_once:
        answers = await bare.service.submit(bare.board, items, now_ms, "full")
    else:
        answers = [await bare.submit(one) for one in items]
    passed = {"main": "applied", "hourly": "period_closed", "all_time": "applied"}
    taken, repeated = dict.fromkeys(passed, "applied"), dict.fromkeys(passed, "duplicate")
    found = [said(answer) for answer in answers if not isinstance(answer, ApiError)]
    assert found == [passed, taken, passed, taken, repeated, repeated]
    assert await bare.totals("p") == {"main": (20, 4), "hourly": (10, 2), "all_time": (20, 4)}


async def test_a_window_that_was_added_starts_empty_and_one_that_was_taken_away_takes_nothing(
    site: Site,
) -> None:
    await site.complete(item(0))
    now = site.server.now_ms()

    async def have(*windows: str) -> None:
        patch = {"windows": list(windows)}
        await site.service.admin(PatchLeaderboard("hours", patch, None), "default")
        site.server.move_to(site.server.now_ms() + 10_000)
        await site.server.settle()

    await have("daily")
    assert said(await site.complete(item(1, now))) == {"main": "applied", "daily": "applied"}
    await have("daily", "all_time")
    assert said(await site.complete(item(0)))["main"] == "duplicate"
    assert "all_time" not in await site.totals("p"), "a repeat feeds no window that was added since"
    assert said(await site.complete(item(2)))["all_time"] == "applied"
    assert await site.totals("p") == {"main": (15, 3), "daily": (15, 3), "all_time": (5, 1)}


# Sums -----------------------------------------------------------------------------------------------------


async def test_a_sum_that_would_not_be_finite_in_any_window_is_refused_everywhere(site: Site) -> None:
    await site.complete(item(0, score=1.7e308))
    site.server.move_to(NOON_MS + HOUR_MS + 1000)
    await site.server.settle()
    for number in (1, None):
        error = await site.refused(item(number, score=1.7e308))
        assert error.code == "validation_failed" and error.details[0]["loc"] == ["score"]
    assert await site.totals("p") == {"daily": (1.7e308, 1), "all_time": (1.7e308, 1)}
    assert said(await site.complete(item(1, score=-1.7e308))) == EVERYWHERE, "the id was not used up"
    assert await site.totals("p") == {"main": (-1.7e308, 1), "daily": (0, 2), "all_time": (0, 2)}


async def test_sums_are_looked_at_one_after_the_other(site: Site) -> None:
    """In one call: each on what those before it left, in all windows alike."""
    huge = [item(n, score=s) for n, s in enumerate((1e308, 1e308, -1e308, 5, 1e308, 1.7e308), start=1)]
    answers = await site.service.submit(site.board, huge, site.server.now_ms(), "full")
    assert [isinstance(answer, ApiError) for answer in answers] == [False, True, False, False, False, True]
    assert await site.totals("p") == dict.fromkeys(WINDOWS, (1e308, 4))
    none = await site.service.submit(site.board, [huge[1], huge[3], huge[5]], site.server.now_ms(), "none")
    assert [getattr(answer, "code", "") for answer in none] == ["validation_failed", "", "validation_failed"]


# Ids ------------------------------------------------------------------------------------------------------


async def test_an_id_that_is_known_for_another_player_is_a_conflict(site: Site) -> None:
    """In every window's period, and behind it; in one call, too. Nothing is lost in silence."""
    await site.complete(item(1))
    for _ in range(2):
        error = await site.refused(item(1, player_id="q"))
        assert error.code == "idempotency_conflict" and "s1" in error.message
        site.server.move_to(site.server.now_ms() + HOUR_MS)
        await site.server.settle()
    both = [item(2), item(2, player_id="q"), item(2)]
    answers = await site.service.submit(site.board, both, site.server.now_ms(), "full")
    found = [a.code if isinstance(a, ApiError) else set(said(a).values()) for a in answers]
    assert found == [{"applied"}, "idempotency_conflict", {"duplicate"}]
    await site.server.lose_power()
    await site.server.start()
    site.service = site.server.service
    for number in (1, 2):
        assert (await site.refused(item(number, player_id="q"))).code == "idempotency_conflict"
        assert set(said(await site.complete(item(number))).values()) == {"duplicate"}


async def test_a_request_that_comes_again_with_another_body_is_a_conflict(site: Site) -> None:
    """Its ids are its own key's, and carry what it said."""
    now_ms = site.server.now_ms()

    async def sent(tag: int, *scores: float) -> list[str]:
        items = [item(None, score=s)._replace(submission_id=f"K:{n}") for n, s in enumerate(scores)]
        answers = await site.service.submit(site.board, items, now_ms, "full", tag)
        return [a.code if isinstance(a, ApiError) else said(a)["main"] for a in answers]

    assert await sent(7, 1, 2) == ["applied"] * 2
    assert await sent(7, 1, 2) == ["duplicate"] * 2
    assert await sent(8, 1, 3, 4) == ["idempotency_conflict"] * 3, "nothing of it is taken"
    assert await site.totals("p") == dict.fromkeys(WINDOWS, (3, 2))
