"""The demo's simulated game: players with skills, matches with plausible scores, and their traffic over HTTP.

Most matches are reported by a few game servers in batches, some by the players' own devices one at a time.
Experience is not submitted: servers send what happened in matches as events, and a leaderboard has rules that
make points of them.
The game keeps to its rate as long as the server can follow; it never builds up a backlog, so latencies are
the server's and not those of a queue in here. `Game` is pure and seeded; `Traffic` owns the figures.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from lbactors.client import ApiError, Client, Unreachable

Json = dict[str, Any]

ARENA, WEEKLY, LAPS = "arena-best", "xp-weekly", "lap-times"
LAP_SECONDS = 120

BOARDS: tuple[Json, ...] = (
    {
        "leaderboard_id": ARENA,
        "name": "Best score of all time",
        "scoring": {"aggregation": "best"},
    },
    {
        "leaderboard_id": WEEKLY,
        "name": "Experience this week, Rome time",
        "timeframe": {"type": "weekly", "timezone": "Europe/Rome"},
        "scoring": {
            "source": "events",
            "aggregation": "sum",
            "rules": [
                {"event_type": "match.finished", "points_expression": "attrs.kills * 2"},
                {
                    "event_type": "match.finished",
                    "conditions": {"attrs.won": {"eq": True}},
                    "points_expression": "20",
                },
            ],
        },
    },
    {
        "leaderboard_id": LAPS,
        "name": "Lap times in ms, 2-minute races",
        "timeframe": {"type": "every", "every_seconds": LAP_SECONDS, "late_grace_seconds": 2},
        "ranking": {"order": "asc"},
    },
)

GAME_SERVERS = 4
TICK_S = 0.1
LONGEST_BATCH_S = 1.0
SINGLES_PER_S = 20
REMEMBERED_S = 10.0

_FIRST = (
    "amber",
    "brave",
    "calm",
    "dusty",
    "eager",
    "fuzzy",
    "gentle",
    "icy",
    "jolly",
    "keen",
    "lucky",
    "quick",
)
_SECOND = ("badger", "crane", "dingo", "eagle", "ferret", "gecko", "heron", "ibis", "lynx", "otter", "puffin")


class Game:
    """Makes submissions and events. Few players are very good, few play very often, and not always the same
    ones.

    Scores: log-normal about the skill (arena), a gamma-shaped loss of time above the ideal lap (laps).
    Events: a beta share of 20 kills, and victories by skill.
    """

    def __init__(self, players: int, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self.player_ids = [self._name(number) for number in range(players)]
        self._skills = [self._random.gauss(0, 1) for _ in range(players)]
        # Zipf's law, softened: the k-th most active player plays in proportion to (k + 20)^-0.8.
        weights = [(k + 20) ** -0.8 for k in range(players)]
        self._random.shuffle(weights)
        self._cumulative = list(itertools.accumulate(weights))
        self._indices = range(players)

    def _name(self, number: int) -> str:
        return f"{self._random.choice(_FIRST)}-{self._random.choice(_SECOND)}-{number + 1}"

    def results(self, count: int) -> tuple[list[Json], list[Json]]:
        """`count` results of matches: submissions, each with its `leaderboard_id`, and events."""
        chosen = self._random.choices(self._indices, cum_weights=self._cumulative, k=count)
        boards = self._random.choices((ARENA, WEEKLY, LAPS), weights=(4, 4, 2), k=count)
        submissions: list[Json] = []
        events: list[Json] = []
        for i, board in zip(chosen, boards, strict=True):
            player_id, skill = self.player_ids[i], self._skills[i]
            if board == WEEKLY:
                events.append(self._event(player_id, skill))
            else:
                score = self._score(board, skill)
                submissions.append({"leaderboard_id": board, "player_id": player_id, "score": score})
        return submissions, events

    def _event(self, player_id: str, skill: float) -> Json:
        draw = self._random
        kills = int(20 * draw.betavariate(2 * math.exp(0.3 * skill), 2))
        won = draw.random() < 1 / (1 + math.exp(-skill))
        return {
            "event_id": f"match-{draw.getrandbits(64):016x}:{player_id}",
            "event_type": "match.finished",
            "player_id": player_id,
            "attrs": {"kills": kills, "won": won},
        }

    def _score(self, board: str, skill: float) -> int:
        draw = self._random
        if board == ARENA:
            return int(1000 * math.exp(0.35 * skill + 0.4 * draw.gauss(0, 1)))
        return 61_500 + int(6000 * math.exp(-0.4 * skill) * draw.gammavariate(2, 0.5))


class Traffic:
    """What was sent and how it went: totals, and rates and latencies of the last ten seconds."""

    def __init__(self) -> None:
        self.scores = 0
        self.errors = 0
        self.last_error = ""
        self._started_s = time.monotonic()
        self._recent: deque[tuple[float, int, float, bool]] = deque()  # when, scores, latency_ms, single

    async def timed(
        self, request: Callable[[], Awaitable[Mapping[str, Any]]], scores: int, single: bool
    ) -> None:
        """Make one request and book it; its failure is counted and never raised."""
        started_s = time.perf_counter()
        try:
            answer = await request()
        except (ApiError, Unreachable) as error:
            self.errors += 1
            self.last_error = str(error)
            return
        rejected = answer.get("rejected", 0)
        if rejected:
            self.errors += rejected
            self.last_error = "rejected: {code}: {message}".format_map(answer["errors"][0])
        self.book(scores - rejected, (time.perf_counter() - started_s) * 1000, single)

    def book(self, scores: int, latency_ms: float, single: bool) -> None:
        self.scores += scores
        self._recent.append((time.monotonic(), scores, latency_ms, single))

    def rate(self) -> float:
        """Scores a second, over the last ten seconds or since the start."""
        self._forget()
        span_s = min(REMEMBERED_S, max(time.monotonic() - self._started_s, TICK_S))
        return sum(scores for _, scores, _, _ in self._recent) / span_s

    def latency_ms(self, percent: float, single: bool) -> float | None:
        """A percentile over the last ten seconds, of single posts or of batches; None if there were none."""
        self._forget()
        latencies = sorted(ms for _, _, ms, is_single in self._recent if is_single == single)
        if not latencies:
            return None
        return latencies[max(0, math.ceil(len(latencies) * percent / 100) - 1)]

    def _forget(self) -> None:
        oldest_s = time.monotonic() - REMEMBERED_S
        while self._recent and self._recent[0][0] < oldest_s:
            self._recent.popleft()


async def play(client: Client, game: Game, traffic: Traffic, rate: int) -> None:
    """Send `rate` scores and events a second until cancelled."""
    singles_per_s = min(SINGLES_PER_S, max(1, rate // 10))
    per_server_s = (rate - singles_per_s) / GAME_SERVERS
    posts: set[asyncio.Task[None]] = set()

    async def game_server() -> None:
        due, booked_s = 0.0, time.monotonic()
        async for _ in ticks(TICK_S):
            now_s = time.monotonic()
            # After a slow answer the next batch is larger, up to a second's worth; what is beyond is never
            # played.
            due += min(now_s - booked_s, LONGEST_BATCH_S) * per_server_s
            booked_s = now_s
            (scores, events), due = game.results(int(due)), due % 1
            if scores:
                await traffic.timed(partial(client.submit_across, scores), len(scores), single=False)
            if events:
                await traffic.timed(partial(client.send_events, events), len(events), single=False)

    async def devices() -> None:
        async for _ in ticks(1 / singles_per_s):
            scores, events = game.results(1)
            request = partial(client.submit, **scores[0]) if scores else partial(client.send_events, events)
            if len(posts) < 10 * singles_per_s:
                post = group.create_task(traffic.timed(request, 1, single=True))
                posts.add(post)
                post.add_done_callback(posts.discard)

    async with asyncio.TaskGroup() as group:
        for worker in [*[game_server] * GAME_SERVERS, devices]:
            group.create_task(worker())


async def ticks(period_s: float) -> AsyncIterator[None]:
    """`async for _ in ticks(0.1)`: now and every 0.1 s; ticks that were missed are left out."""
    next_s = time.monotonic()
    while True:
        yield
        now_s = time.monotonic()
        next_s = max(next_s + period_s, now_s)
        await asyncio.sleep(next_s - now_s)
