"""Cases of projections at exact instants, over HTTP: what the random walks found once, and reads of one's own
writes beside other writers.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api.client import Api, Transport
from tests.support.projections.http_server import ROOT_KEY, Clocked, as_client, serving
from tests.support.projections.walk import HOUR_MS, SEALED_MS, SECOND_MS, told
from tests.support.simulation.counted_time import ms

NOON_MS = ms("2026-11-18T12:00")
WRITERS, WRITES = 4, 30


@pytest.fixture
def folder() -> Iterator[Path]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
async def clocked(folder: Path) -> AsyncIterator[Clocked]:
    async with serving(folder, NOON_MS + HOUR_MS // 2, actors_per_core=2, spare_actors=0) as found:
        yield found


def make(api: Api, *, source: str = "metric", timeframe: Any = "hourly", **more: Any) -> None:
    scoring: dict[str, Any] = {"source": source, "aggregation": "sum", **more.pop("scoring", {})}
    if source == "metric":
        scoring.setdefault("metric", "coins")
    timeframe = {"type": timeframe} if isinstance(timeframe, str) else timeframe
    document = {"leaderboard_id": "b", "timeframe": timeframe, "scoring": scoring, **more}
    api.ok("POST", "/v1/leaderboards", document, status=201)


def award(api: Api, player_id: str, score: float, **more: Any) -> dict[str, Any]:
    item = {"player_id": player_id, "score": score, **more}
    answer: dict[str, Any] = api.ok("POST", "/v1/metrics/coins", item)
    assert answer["behind"] == [], answer
    return answer


def scores(api: Api, period: str = "current", window: str = "main") -> dict[str, float]:
    page = api.get("/v1/leaderboards/b/rankings", period=period, window=window)
    return {entry["player_id"]: entry["score"] for entry in page["entries"]}


async def test_a_late_row_counts_in_one_period_also_when_that_is_closed_and_the_next_is_filled(
    clocked: Clocked,
) -> None:
    def client() -> None:
        api = clocked.api
        timeframe = {"type": "hourly", "late_grace_seconds": 60, "late_submissions": "arrival"}
        make(api, timeframe=timeframe)
        clocked.move_to(NOON_MS + HOUR_MS + 30 * SECOND_MS)
        clocked.settle()
        award(api, "in-grace", 1, occurred_at=told(NOON_MS + HOUR_MS - 1))
        award(api, "too-late", 1, occurred_at=told(NOON_MS - 1))
        clocked.move_to(NOON_MS + HOUR_MS + 60 * SECOND_MS + SEALED_MS)
        clocked.settle()
        award(api, "after-grace", 1, occurred_at=told(NOON_MS + HOUR_MS - 1))
        for _ in range(2):
            assert scores(api, "2026-11-18T12") == {"in-grace": 1}
            assert scores(api) == {"too-late": 1, "after-grace": 1}
            api.ok("PATCH", "/v1/leaderboards/b", {"scoring": {"score_max": 1000}})

    await as_client(client)


async def test_a_period_that_is_opened_ahead_while_its_log_goes_on(clocked: Clocked) -> None:
    def client() -> None:
        api = clocked.api
        make(api, scoring={"filters": {"metadata.counts": {"eq": True}}})
        award(api, "p", 1, metadata={"counts": True})
        clocked.move_to(NOON_MS + HOUR_MS - 10 * SECOND_MS)  # the next one is opened
        for _ in range(20):
            award(api, "p", 1)
        clocked.settle()
        clocked.move_to(NOON_MS + HOUR_MS)
        award(api, "p", 5, metadata={"counts": True})
        clocked.settle()
        assert scores(api) == {"p": 5} and scores(api, "2026-11-18T12") == {"p": 1}

    await as_client(client)


async def test_a_final_period_stays_readable_whatever_is_changed_before_it_is_sealed(
    clocked: Clocked,
) -> None:
    def client() -> None:
        api = clocked.api
        make(api, timeframe="permanent", windows=["hourly"])
        award(api, "p", 3)
        clocked.move_to(clocked.now_ms() + 1)
        api.ok("PATCH", "/v1/leaderboards/b", {"windows": []})
        award(api, "later", 1)  # so it is known that nothing is missing
        assert scores(api, "2026-11-18T12", "hourly") == {"p": 3}
        (period,) = api.listing("/v1/leaderboards/b/periods", window="hourly")
        assert period["state"] == "closed"
        clocked.move_to(clocked.now_ms() + 1)
        api.ok("PATCH", "/v1/leaderboards/b", {"scoring": {"metric": "gems"}, "windows": ["hourly"]})
        assert scores(api, "2026-11-18T12", "hourly") == {"p": 3}
        assert scores(api) == scores(api, window="hourly") == {}

    await as_client(client)


@pytest.mark.parametrize("ahead_ms", [0, 3000])
async def test_a_pending_row_that_happened_now_counts_where_it_happened(
    clocked: Clocked, ahead_ms: int
) -> None:
    def client() -> None:
        api = clocked.api
        make(api, timeframe={"type": "hourly", "late_grace_seconds": 3600 * 2})
        at = told(clocked.now_ms() + ahead_ms)
        timed = award(api, "timed", 2, state="pending", occurred_at=at)
        plain = award(api, "plain", 2, state="pending")
        clocked.move_to(NOON_MS + HOUR_MS + 1)
        clocked.settle()
        for row in (timed, plain):
            api.ok("POST", f"/v1/metrics/coins/transactions/{row['transaction_id']}/complete")
        assert scores(api, "2026-11-18T12") == {"timed": 2}
        assert scores(api) == {"plain": 2}

    await as_client(client)


async def test_a_period_of_long_ago_is_rebuilt(clocked: Clocked) -> None:
    def client() -> None:
        api = clocked.api
        make(api, timeframe={"type": "hourly", "retain_periods": 100})
        award(api, "p", 2)
        clocked.move_to(NOON_MS + 20 * HOUR_MS)
        clocked.settle()
        clocked.move_to(NOON_MS + 20 * HOUR_MS + SEALED_MS)
        clocked.settle()
        before = [p["period_key"] for p in api.listing("/v1/leaderboards/b/periods", limit=100)]
        for key in (before[-1], before[-3]):
            api.call("POST", f"/v1/leaderboards/b/periods/{key}/rebuild")
            clocked.check()
        clocked.settle()
        clocked.check()
        assert [p["period_key"] for p in api.listing("/v1/leaderboards/b/periods", limit=100)] == before
        assert scores(api, "2026-11-18T12") == {"p": 2} and scores(api, before[-3]) == {}

    await as_client(client)


async def test_everybody_reads_his_own_writes(clocked: Clocked) -> None:
    """And `results=full` of an event says what its player has then, as nobody else writes for him."""
    failed: list[BaseException] = []

    def writer(number: int) -> None:
        transport = Transport(clocked.url)
        api, player_id = Api(transport, ROOT_KEY), f"p{number}"
        for count in range(1, WRITES + 1):
            event = {"event_id": f"{number}-{count}", "event_type": "win", "player_id": player_id}
            answer = api.ok("POST", "/v1/events", {"events": [event]}, params={"results": "full"})
            assert answer["behind"] == []
            ((result,),) = ([r["matched"] for r in answer["results"]],)
            by_board = {one["leaderboard_id"]: one for one in result}
            assert {b: one["points"] for b, one in by_board.items()} == {"b": 2, "events-2": 2}
            assert [(w["window"], w["score"]) for w in by_board["b"]["windows"]] == [
                ("main", 2 * count),
                ("daily", 2 * count),
            ]
            assert all(1 <= w["rank"] <= WRITERS for w in by_board["b"]["windows"])
            for board in ("b", "events-2"):
                assert api.get(f"/v1/leaderboards/{board}/players/{player_id}")["score"] == 2 * count
            award(api, player_id, 1)
            assert api.get(f"/v1/leaderboards/coins/players/{player_id}")["score"] == count
        transport.close()

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    def client() -> None:
        rules = [{"event_type": "win", "points_expression": "2"}]
        make(clocked.api, source="events", scoring={"rules": rules}, windows=["daily"])
        for board, scoring in (
            ("events-2", {"source": "events", "rules": rules}),
            ("coins", {"source": "metric", "metric": "coins"}),
        ):
            document = {"leaderboard_id": board, "scoring": {**scoring, "aggregation": "sum"}}
            clocked.api.ok("POST", "/v1/leaderboards", document, status=201)
        threads = [
            threading.Thread(target=guarded, args=(lambda n=n: writer(n),))  # type: ignore[misc]
            for n in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    async with asyncio.timeout(60):
        await as_client(client)
