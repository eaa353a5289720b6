"""Projections by each player's own clock, over HTTP, on a real supervisor, period actors and store.

A row belongs to the date that its player's zone showed when it happened, by the profile that the row carries.
What each period must hold follows from the standard library's zones, and from sums over the rows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import build_app
from gateway.http.settings import GatewaySettings
from lbactors.core.instants import format_instant
from tests.integration.test_player_local_time import DAY_MS, HOUR_MS, MINUTE_MS, ZONES, World, key_of
from tests.support.gateway.fake_service import ROOT_KEY
from tests.support.gateway.http_client import Http
from tests.support.rounds import long, rounds
from tests.support.simulation.counted_time import ms
from tests.support.supervisor.in_process import Server

BEGINS_MS = ms("2026-05-22T06:00")
COINS = {"source": "metric", "metric": "coins", "aggregation": "sum"}
MATCHES = {
    "source": "events",
    "aggregation": "sum",
    "rules": [{"event_type": "match", "points_expression": "attrs.points"}],
}
SOURCES = {"metric": COINS, "events": MATCHES}
XP = "/v1/leaderboards/xp"


class Rows(World):
    """A leaderboard `xp` that is computed from rows."""

    async def make(self, source: str, *, leaderboard_id: str = "xp", **fields: Any) -> None:
        timeframe = {"type": "daily", "timezone": "player", **fields.pop("timeframe", {})}
        scoring = {**SOURCES[source], "backfill": True}
        body = {"leaderboard_id": leaderboard_id, "timeframe": timeframe, "scoring": scoring, **fields}
        await self.ok("POST", "/v1/leaderboards", body)

    async def write(
        self, source: str, player_id: str, points: float, number: int, at_ms: int | None = None
    ) -> None:
        """A row, read by the leaderboards that follow it."""
        when = {} if at_ms is None else {"occurred_at": format_instant(at_ms)}
        if source == "metric":
            body = {"player_id": player_id, "score": points, "submission_id": f"s{number}", **when}
            answer = await self.ok("POST", "/v1/metrics/coins", body)
        else:
            event = {"event_id": f"e{number}", "event_type": "match", "player_id": player_id, **when}
            answer = await self.ok("POST", "/v1/events", {"events": [{**event, "attrs": {"points": points}}]})
        assert answer["behind"] == []

    async def standings(
        self, window: str, keys: set[str], leaderboard_id: str = "xp"
    ) -> dict[str, dict[str, float]]:
        """By key of the period, when all are filled; those that nobody is in are left out."""
        found: dict[str, dict[str, float]] = {}
        for key in keys:
            path = f"/v1/leaderboards/{leaderboard_id}/rankings"
            async with asyncio.timeout(20):
                while True:
                    answer = await self.http.send("GET", path, window=window, period=key, limit=100)
                    if answer.status == 200 or answer.code != "period_loading":
                        break
                    await asyncio.sleep(0.01)
            assert answer.status == 200, answer.body
            if answer.body["entries"]:
                found[key] = {entry["player_id"]: entry["score"] for entry in answer.body["entries"]}
        return found

    async def keys(self, window: str = "main", leaderboard_id: str = "xp") -> set[str]:
        path, found, cursor = f"/v1/leaderboards/{leaderboard_id}/periods", set[str](), {}
        while True:
            listed = await self.ok("GET", path, window=window, limit=200, **cursor)
            found.update(period["period_key"] for period in listed["items"])
            if listed["next_cursor"] is None:
                return found
            cursor = {"cursor": listed["next_cursor"]}

    async def rebuild(self, window: str, key: str) -> None:
        await self.ok("POST", f"{XP}/periods/{key}/rebuild", {}, window=window)
        await self.server.settle()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Rows]:
    async with (
        Server(tmp_path / "data", BEGINS_MS, root_key=ROOT_KEY, spare_actors=0) as server,
        TestClient(TestServer(build_app(server.service, GatewaySettings()))) as client,
    ):
        yield Rows(server, Http(client))
        await server.settle()


sources = pytest.mark.parametrize("source", SOURCES)


@sources
async def test_a_row_counts_on_its_players_date(world: Rows, source: str) -> None:
    await world.make(source, windows=["hourly", "all_time"])
    await world.zones(ZONES)
    at_ms = ms("2026-05-23T10:30")  # in Kiritimati it is the 24th, west of the date line the 22nd
    await world.move_to(at_ms)
    for number, player_id in enumerate(ZONES):
        await world.write(source, player_id, number + 1, number)
    expected: dict[str, dict[str, float]] = {}
    for number, (player_id, zone) in enumerate(ZONES.items()):
        expected.setdefault(key_of("main", at_ms, zone), {})[player_id] = number + 1
    assert len(expected) == 3
    assert await world.standings("main", await world.keys()) == expected
    by_hour = await world.standings("hourly", await world.keys("hourly"))
    assert {p: key for key, players in by_hour.items() for p in players} == {
        player_id: key_of("hourly", at_ms, zone) for player_id, zone in ZONES.items()
    }
    assert set(await world.ranks(window="all_time")) == set(ZONES)
    for key in expected:
        await world.rebuild("main", key)
    assert await world.standings("main", await world.keys()) == expected, "a rebuild gives the same"


@sources
async def test_a_changed_zone_holds_from_the_next_row_on(world: Rows, source: str) -> None:
    """Also in a rebuild, when the profile is another."""
    await world.make(source, windows=["weekly"])
    await world.move_to(ms("2026-05-23T10:30"))
    number = 0
    for zone, points in (("Pacific/Kiritimati", 1), ("Etc/GMT+12", 10), ("Europe/Rome", 100)):
        await world.zones({"p": zone})
        for _ in range(2):
            number += 1
            await world.write(source, "p", points, number)
    expected = {"2026-05-24": {"p": 2}, "2026-05-22": {"p": 20}, "2026-05-23": {"p": 200}}
    assert await world.standings("main", set(expected)) == expected
    await world.zones({"p": "America/New_York"})
    for key in expected:
        await world.rebuild("main", key)
    assert await world.standings("main", set(expected)) == expected
    await world.rebuild("weekly", "2026-W21")
    assert await world.standings("weekly", {"2026-W21"}) == {"2026-W21": {"p": 222}}
    await world.make(source, leaderboard_id="later")
    await world.server.settle()
    assert await world.standings("main", set(expected), "later") == expected, "filled as it was seen"


@sources
async def test_each_zone_is_at_its_end(world: Rows, source: str) -> None:
    """The last second of the 23rd, and the first of the 24th, in each zone."""
    await world.make(source)
    await world.zones(ZONES)
    number, expected = 0, dict[str, dict[str, float]]()
    instants = sorted(
        {
            at_ms
            for at_ms in range(ms("2026-05-22T09:00"), ms("2026-05-24T13:00"), 30 * MINUTE_MS)
            for zone in ZONES.values()
            if key_of("main", at_ms - 1, zone) != key_of("main", at_ms, zone)
        }
    )
    assert len(instants) > 8
    for at_ms in instants:
        for moment_ms in (at_ms - 1000, at_ms):
            await world.move_to(moment_ms)
            for player_id, zone in ZONES.items():
                number += 1
                await world.write(source, player_id, 1, number)
                players = expected.setdefault(key_of("main", moment_ms, zone), {})
                players[player_id] = players.get(player_id, 0) + 1
    assert await world.standings("main", await world.keys()) == expected
    await world.move_to(ms("2026-05-26T13:00"))
    shown = await world.ok("GET", f"{XP}/periods/2026-05-23")
    assert (shown["state"], shown["entries"]) == ("closed", len(ZONES))
    for key in ("2026-05-22", "2026-05-23", "2026-05-24"):
        await world.rebuild("main", key)
    assert await world.standings("main", await world.keys()) == expected
    shown = await world.ok("GET", f"{XP}/periods/2026-05-23")
    assert (shown["state"], shown["entries"]) == ("closed", len(ZONES))


@sources
async def test_what_happened_earlier_counts_on_the_date_of_that_moment(world: Rows, source: str) -> None:
    """While that date is not over in the last zone; then it counts nowhere."""
    await world.make(source)
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T11:30"))
    happened_ms = ms("2026-05-23T09:30")  # before midnight in Kiritimati
    for number, player_id in enumerate(("kiri", "baker")):
        await world.write(source, player_id, 5, number, happened_ms)
    expected = {"2026-05-23": {"kiri": 5}, "2026-05-22": {"baker": 5}}
    assert await world.standings("main", await world.keys()) == expected
    await world.move_to(ms("2026-05-24T12:30"))  # the 23rd is over everywhere
    for number, player_id in enumerate(("kiri", "rome"), start=10):
        await world.write(source, player_id, 5, number, happened_ms)
    assert await world.standings("main", await world.keys()) == expected
    for key in expected:
        await world.rebuild("main", key)
    assert await world.standings("main", await world.keys()) == expected


@sources
async def test_a_timeframe_becomes_player_local(world: Rows, source: str) -> None:
    """The open period is computed anew: rows that were on another date for their player count there."""
    await world.make(source, timeframe={"timezone": "UTC"})
    await world.zones(ZONES)
    at_ms = ms("2026-05-23T10:30")
    await world.move_to(at_ms)
    for number, player_id in enumerate(ZONES):
        await world.write(source, player_id, 2, number)
    assert await world.standings("main", {"2026-05-23"}) == {"2026-05-23": dict.fromkeys(ZONES, 2)}
    await world.ok("PATCH", XP, {"timeframe": {"timezone": "player"}})
    await world.server.settle()
    live: dict[str, dict[str, float]] = {}
    for number, player_id in enumerate(ZONES, start=100):
        await world.write(source, player_id, 1, number)
    live = await world.standings("main", await world.keys())
    scores: dict[str, float] = dict.fromkeys(ZONES, 0)
    for players in live.values():
        for player_id, score in players.items():
            scores[player_id] += score
    assert scores == dict.fromkeys(ZONES, 3), "each row counts once"
    for key in live:
        await world.rebuild("main", key)
    assert await world.standings("main", await world.keys()) == live


@long
@sources
@pytest.mark.parametrize("seed", range(rounds(1, 12)))
async def test_players_who_travel(world: Rows, source: str, seed: int) -> None:
    """A model of all of it: sums by window, period and player, over moves, late rows, deaths and rebuilds."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    windows = ("main", "hourly", "weekly", "all_time")
    at_ms = rng.choice([ms("2026-10-24T20:00"), ms("2026-10-31T20:00"), ms("2026-12-30T20:00")])
    await world.move_to(at_ms)
    await world.make(source, windows=list(windows[1:]), timeframe={"retain_periods": 1000})
    choices = [*(z for z in ZONES.values() if z), "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Chatham"]
    zones: dict[str, str] = {}
    sums: dict[str, dict[str, dict[str, float]]] = {window: {} for window in windows}
    for number in range(rounds(40, 150)):
        at_ms += rng.choice([0, 1000, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 7 * HOUR_MS])
        await world.move_to(at_ms)
        player_id = f"p{rng.randrange(5)}"
        if rng.random() < 0.3:
            zones[player_id] = rng.choice(choices)
            await world.zones({player_id: zones[player_id]})
        if rng.random() < 0.05:
            await world.server.cluster.crash(rng.choice(world.server.cluster.period_actors()))
            await world.server.settle()
        if rng.random() < 0.05:
            window = rng.choice(windows)
            await world.rebuild(window, rng.choice(sorted(await world.keys(window))))
        then_ms = at_ms - rng.choice([0, 0, 0, rng.randrange(1, DAY_MS // 1000) * 1000])
        points = rng.randrange(1, 100)
        await world.write(source, player_id, points, number, then_ms if then_ms < at_ms else None)
        for window in windows:
            key = key_of(window, then_ms, zones.get(player_id))
            period = next((p for p in await periods(world, window) if p["period_key"] == key), None)
            if period is None or period["state"] not in ("active", "pending"):
                continue  # it was over, everywhere, when the row came
            players = sums[window].setdefault(key, {})
            players[player_id] = players.get(player_id, 0) + points
    for again in (False, True):
        for window in windows:
            keys = await world.keys(window)
            if again:
                for key in rng.sample(sorted(keys), min(6, len(keys))):
                    await world.rebuild(window, key)
            assert await world.standings(window, keys) == sums[window], (window, again)


async def periods(world: Rows, window: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.ok("GET", f"{XP}/periods", window=window, limit=200))["items"]
    return found
