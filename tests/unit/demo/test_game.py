"""The game of the demo: its numbers are plausible, and failures do not end it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from lbactors.client import Client
from lbactors.core.definition import Definition
from lbactors.core.projection import Projection
from lbactors.core.subject import Subject
from lbactors.demo.game import ARENA, BOARDS, LAPS, WEEKLY, Game, Traffic, play
from tests.support.fake_api import KEY, FakeApi


def test_the_game_is_plausible() -> None:
    game = Game(2000)
    assert game.results(50) == Game(2000).results(50)
    assert len(set(game.player_ids)) == 2000
    submissions, events = game.results(20_000)
    items = [*submissions, *events]
    assert len(items) == 20_000
    scores: dict[str, list[int]] = {ARENA: [], LAPS: []}
    for item in submissions:
        scores[item["leaderboard_id"]].append(item["score"])
    assert len({event["event_id"] for event in events}) == len(events)
    assert {event["attrs"]["kills"] for event in events} >= set(range(15))
    assert 0.3 < sum(event["attrs"]["won"] for event in events) / len(events) < 0.7
    assert all(61_500 <= score < 200_000 for score in scores[LAPS])
    median = sorted(scores[ARENA])[len(scores[ARENA]) // 2]
    assert 900 < median < 1100 and 3000 < max(scores[ARENA]) < 20_000
    plays = sorted(
        (sum(1 for item in items if item["player_id"] == p) for p in game.player_ids[:300]), reverse=True
    )
    assert plays[0] > 5 * plays[150]  # some play much more than others


def test_the_rules_make_points_of_every_event() -> None:
    (weekly,) = [Definition.model_validate(board) for board in BOARDS if board["leaderboard_id"] == WEEKLY]
    rules = Projection.of(weekly.scoring)
    _, events = Game(100).results(500)
    points = [rules.points(e["event_type"], Subject(attrs=json.dumps(e["attrs"]).encode())) for e in events]
    wanted = [2 * e["attrs"]["kills"] + 20 * e["attrs"]["won"] for e in events]
    assert points == wanted and max(wanted) > 40


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
    assert all(len(api.standings(board)) > 20 for board in (ARENA, LAPS))
    bodies = [body for *_, body in api.requests]
    events = sum(len(body["events"]) for body in bodies if "events" in body)
    scores = sum(len(body.get("submissions", [body])) for body in bodies if "events" not in body)
    assert events > 100 and events + scores >= traffic.scores


async def test_failures_are_counted_and_do_not_end_the_game(api: FakeApi) -> None:
    traffic = Traffic()
    async with Client(api.url, KEY) as client:
        api.fail(403, "forbidden")
        await traffic.timed(lambda: client.submit(ARENA, "a", 1), 1, single=True)
        bad = [{"player_id": "a", "score": "x"}] * 2
        await traffic.timed(lambda: client.submit_many(ARENA, bad), 2, single=False)
    assert (traffic.scores, traffic.errors) == (0, 3)
    assert traffic.last_error == "rejected: validation_failed: score: must be a number"
