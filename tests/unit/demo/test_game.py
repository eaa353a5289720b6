"""The game of the demo: its numbers are plausible, and failures do not end it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from lbactors.client import Client
from lbactors.demo.game import ARENA, BOARDS, LAPS, WEEKLY, Game, Traffic, play
from tests.support.fake_api import KEY, FakeApi


def test_the_game_is_plausible() -> None:
    game = Game(2000)
    assert game.submissions(50) == Game(2000).submissions(50)
    assert len(set(game.player_ids)) == 2000
    items = game.submissions(20_000)
    scores: dict[str, list[int]] = {ARENA: [], WEEKLY: [], LAPS: []}
    for item in items:
        scores[item["leaderboard_id"]].append(item["score"])
    assert all(1 <= score <= 51 for score in scores[WEEKLY])
    assert all(61_500 <= score < 200_000 for score in scores[LAPS])
    median = sorted(scores[ARENA])[len(scores[ARENA]) // 2]
    assert 900 < median < 1100 and 3000 < max(scores[ARENA]) < 20_000
    plays = sorted(
        (sum(1 for item in items if item["player_id"] == p) for p in game.player_ids[:300]), reverse=True
    )
    assert plays[0] > 5 * plays[150]  # some play much more than others


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as running:
        for board in BOARDS:
            running.add_board(board["leaderboard_id"], **board)
        yield running


async def test_playing(api: FakeApi) -> None:
    enough = asyncio.Event()

    class Watched(Traffic):
        def book(self, scores: int, latency_ms: float, single: bool) -> None:
            super().book(scores, latency_ms, single)
            if self.scores >= 500 and self.latency_ms(50, single=True) is not None:
                enough.set()

    traffic = Watched()
    async with Client(api.url, KEY) as client:
        task = asyncio.create_task(play(client, Game(100), traffic, rate=1000))
        await asyncio.wait_for(enough.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert traffic.errors == 0 and traffic.last_error == ""
    assert 0 < traffic.latency_ms(50, single=False) <= traffic.latency_ms(99, single=False)  # type: ignore[operator]
    assert all(len(api.standings(board)) > 20 for board in (ARENA, WEEKLY, LAPS))
    received = sum(len(body["submissions"]) if "submissions" in body else 1 for *_, body in api.requests)
    assert received >= traffic.scores


async def test_failures_are_counted_and_do_not_end_the_game(api: FakeApi) -> None:
    traffic = Traffic()
    async with Client(api.url, KEY) as client:
        api.fail(403, "forbidden")
        await traffic.timed(lambda: client.submit(ARENA, "a", 1), 1, single=True)
        bad = [{"player_id": "a", "score": "x"}] * 2
        await traffic.timed(lambda: client.submit_many(ARENA, bad), 2, single=False)
    assert (traffic.scores, traffic.errors) == (0, 3)
    assert traffic.last_error == "rejected: validation_failed: score: must be a number"
