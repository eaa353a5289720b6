"""Player-local time over HTTP, on a real supervisor, period actors and store, with a clock that is moved.

What a period must be follows from what a clock in the player's zone shows, by the standard library.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import build_app
from gateway.http.settings import GatewaySettings
from lbactors.core.instants import format_instant
from lbactors.core.zones import zone_of
from tests.support.gateway.fake_service import ROOT_KEY
from tests.support.gateway.http_client import Answer, Http
from tests.support.rounds import long, rounds
from tests.support.simulation.counted_time import ms
from tests.support.supervisor.in_process import Server

NOON_MS = ms("2026-05-22T06:00")
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
XP = "/v1/leaderboards/xp"
KEYS: dict[str, Callable[[datetime], str]] = {
    "hourly": lambda local: f"{local:%Y-%m-%dT%H}",
    "main": lambda local: f"{local:%Y-%m-%d}",
    "weekly": lambda local: "{}-W{:02}".format(*local.isocalendar()),
    "monthly": lambda local: f"{local:%Y-%m}",
    "all_time": lambda local: "all_time",
}
WINDOWS = ["hourly", "weekly", "monthly", "all_time"]
ZONES = {
    "kiri": "Pacific/Kiritimati",
    "howe": "Australia/Lord_Howe",
    "rome": "Europe/Rome",
    "york": "America/New_York",
    "baker": "Etc/GMT+12",
    "nobody": None,  # no profile
}


def key_of(window: str, at_ms: int, zone: str | None) -> str:
    return KEYS[window](datetime.fromtimestamp(at_ms / 1000, zone_of(zone or "UTC")).replace(tzinfo=None))


class World(NamedTuple):
    """A server, and a client with its root key."""

    server: Server
    http: Http

    async def ok(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        headers = query.pop("headers", None)
        answer: Answer = await self.http.send(method, path, body, headers, **query)
        assert answer.status < 300, (method, path, query, answer.body)
        return answer.body

    async def move_to(self, at_ms: int) -> None:
        self.server.move_to(at_ms)
        await self.server.settle()

    async def create(self, **fields: Any) -> None:
        timeframe = {"type": "daily", "timezone": "player", **fields.pop("timeframe", {})}
        scoring = {"aggregation": "sum"}
        body = {"leaderboard_id": "xp", "timeframe": timeframe, "scoring": scoring, **fields}
        await self.ok("POST", "/v1/leaderboards", body)

    async def zones(self, zones: dict[str, str | None]) -> None:
        for player_id, zone in zones.items():
            if zone is not None:
                await self.ok("PUT", f"/v1/players/{player_id}", {"timezone": zone})

    async def submit(self, player_id: str, score: float = 1, **fields: Any) -> dict[str, str]:
        """The period of each window that took it."""
        answer = await self.ok("POST", f"{XP}/scores", {"player_id": player_id, "score": score, **fields})
        return {
            "main": answer["period_key"],
            **{w["window"]: w.get("period_key", "") for w in answer.get("windows", ())},
        }

    async def ranks(self, **query: Any) -> dict[str, float]:
        page = await self.ok("GET", f"{XP}/rankings", **query)
        return {entry["player_id"]: entry["score"] for entry in page["entries"]}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with (
        Server(tmp_path / "data", NOON_MS, root_key=ROOT_KEY, spare_actors=0) as server,
        TestClient(TestServer(build_app(server.service, GatewaySettings()))) as client,
    ):
        yield World(server, Http(client))
        await server.settle()


async def test_a_submission_counts_on_the_players_own_date(world: World) -> None:
    await world.create()
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:00"))  # in Kiritimati the 24th begins
    taken = {player_id: (await world.submit(player_id))["main"] for player_id in ZONES}
    assert taken == {
        "kiri": "2026-05-24",
        "howe": "2026-05-23",
        "rome": "2026-05-23",
        "york": "2026-05-23",
        "baker": "2026-05-22",
        "nobody": "2026-05-23",
    }
    shown = await world.ok("GET", f"{XP}/periods/2026-05-24")
    assert shown["state"] == "active" and shown["entries"] == 1
    assert (shown["starts_at"], shown["ends_at"]) == ("2026-05-23T10:00:00.000Z", "2026-05-25T12:00:00.000Z")
    assert (shown["local_starts_at"], shown["local_ends_at"]) == (
        "2026-05-24T00:00:00",
        "2026-05-25T00:00:00",
    )
    assert shown["next_starts_at"] == "2026-05-24T10:00:00.000Z"
    await world.move_to(ms("2026-05-25T11:59:59"))
    assert (await world.submit("baker", 7))["main"] == "2026-05-24", "the last ones there"
    assert await world.ranks(period="2026-05-24") == {"baker": 7, "kiri": 1}
    await world.move_to(ms("2026-05-25T12:01"))
    listed = (await world.ok("GET", f"{XP}/periods"))["items"]
    assert [(p["period_key"], p["state"]) for p in listed] == [
        ("2026-05-26", "active"),
        ("2026-05-25", "active"),
        ("2026-05-24", "closed"),
        ("2026-05-23", "closed"),
        ("2026-05-22", "closed"),
        ("2026-05-21", "closed"),
    ]


async def test_a_batch_is_placed_player_by_player(world: World) -> None:
    await world.create(windows=WINDOWS)
    await world.zones(ZONES)
    at_ms = ms("2026-05-31T23:30")
    await world.move_to(at_ms)
    items = [{"player_id": p, "score": 1, "submission_id": f"id-{p}"} for p in ZONES]
    for duplicate in (False, True):  # the second time by id, whatever the date is by then
        answer = await world.ok("POST", f"{XP}/scores", items, results="full")
        assert answer["accepted"] == len(ZONES)
        for (_, zone), one in zip(ZONES.items(), answer["results"], strict=True):
            assert one.get("duplicate", False) is duplicate
            assert one["period_key"] == key_of("main", at_ms, zone)
            for window in one["windows"]:
                assert window["period_key"] == key_of(window["window"], at_ms, zone)
        await world.move_to(at_ms + 4 * MINUTE_MS)


async def test_a_repeat_is_known_on_another_date_and_in_another_zone(world: World) -> None:
    await world.create(windows=["hourly"])
    await world.zones({"p": "Pacific/Kiritimati"})
    await world.move_to(ms("2026-05-23T10:30"))
    first = await world.submit("p", 5, submission_id="once")
    assert first == {"main": "2026-05-24", "hourly": "2026-05-24T00"}
    await world.zones({"p": "Etc/GMT+12"})
    assert await world.submit("p", 5, submission_id="once") == first, "found where it is"
    assert (await world.submit("p", 1))["main"] == "2026-05-22", "a changed zone holds from the next one on"
    await world.move_to(ms("2026-05-23T10:30") + 23 * HOUR_MS)
    again = await world.ok("POST", f"{XP}/scores", {"player_id": "p", "score": 5, "submission_id": "once"})
    assert again.get("duplicate") and again["period_key"] == "2026-05-24"
    assert await world.ranks(period="2026-05-24") == {"p": 5}


async def test_what_occurred_counts_on_the_date_of_then(world: World) -> None:
    await world.create()
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-24T05:00"))  # New York: 01:00
    taken = await world.submit("york", occurred_at="2026-05-24T03:59:59Z")
    assert taken["main"] == "2026-05-23"
    assert (await world.submit("york"))["main"] == "2026-05-24"
    old = {"player_id": "york", "score": 1, "occurred_at": "2026-05-22T01:00:00Z"}
    answer = await world.http.send("POST", f"{XP}/scores", old)
    assert (answer.status, answer.code) == (409, "period_closed")
    await world.ok("PATCH", XP, {"timeframe": {"late_submissions": "arrival"}})
    assert (await world.submit("york", occurred_at="2026-05-22T01:00:00Z"))["main"] == "2026-05-24"


async def test_current_is_that_of_the_zone_who_asks(world: World) -> None:
    await world.create()
    await world.zones(ZONES)
    for day in ("2026-05-22", "2026-05-23"):
        await world.move_to(ms(f"{day}T10:00"))
        for player_id in ZONES:
            await world.submit(player_id, 3)
    await world.submit("kiri", 4)

    async def keys(period: str, **query: Any) -> set[str]:
        ask = {"period": period, **query}
        found = [
            await world.ok("GET", f"{XP}/rankings", **ask),
            await world.ok("GET", f"{XP}/distribution", **ask),
        ]
        found.append(await world.ok("GET", f"{XP}/rankings/at/5", **ask))
        found.append(await world.ok("POST", f"{XP}/rankings/lookup", {"player_ids": []}, **ask))
        listed = {answer["period"]["period_key"] for answer in found}
        return listed | {(await world.ok("GET", f"{XP}/periods/{period}", **query))["period_key"]}

    assert await keys("current") == {"2026-05-23"}
    assert await keys("previous") == {"2026-05-22"}
    assert await keys("current", timezone="Pacific/Kiritimati") == {"2026-05-24"}
    assert await keys("previous", timezone="Pacific/Kiritimati") == {"2026-05-23"}
    assert await keys("current", timezone="Etc/GMT+12") == {"2026-05-22"}
    assert await keys("previous", timezone="Etc/GMT+12") == {"2026-05-21"}
    asks = {"X-Player-Id": "kiri"}
    assert await keys("current", headers=asks) == {"2026-05-24"}
    assert await keys("current", headers=asks, timezone="UTC") == {"2026-05-23"}
    assert await keys("current", headers={"X-Player-Id": "nobody"}) == {"2026-05-23"}
    made = {"name": "game", "scopes": ["rankings:read"], "player_id": "baker"}
    key = (await world.ok("POST", "/v1/keys", made))["key"]
    bound = await world.http.with_key(key).get(f"{XP}/rankings")
    assert bound.body["period"]["period_key"] == "2026-05-22"
    assert (bound.body["period"]["local_starts_at"], bound.body["total"]) == ("2026-05-22T00:00:00", 5)

    entry = f"{XP}/players/kiri"
    assert (await world.ok("GET", entry, timezone="Pacific/Kiritimati"))["score"] == 7
    around = await world.ok("GET", f"{entry}/around", timezone="Pacific/Kiritimati")
    assert [e["player_id"] for e in around["entries"]] == ["kiri"]
    assert (await world.ok("GET", entry))["period"]["period_key"] == "2026-05-23"
    items = (await world.ok("GET", "/v1/players/kiri/entries"))["items"]
    assert [(i["period_key"], i["score"]) for i in items] == [("2026-05-24", 7)]
    unknown = await world.http.get(f"{XP}/rankings", timezone="Mars/Base")
    assert (unknown.status, unknown.loc) == (422, ["query", "timezone"]) and "Mars/Base" in str(unknown.body)

    page = await world.ok("GET", f"{XP}/rankings", limit=1, timezone="Etc/GMT+12")
    following = await world.ok("GET", f"{XP}/rankings", limit=1, cursor=page["next_cursor"], timezone="UTC")
    assert following["period"]["period_key"] == "2026-05-22", "a cursor stays in its period"


async def test_other_boards_know_no_zone_of_the_player(world: World) -> None:
    await world.create(timeframe={"timezone": "UTC"})
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:00"))
    assert (await world.submit("kiri"))["main"] == "2026-05-23"
    page = await world.ok("GET", f"{XP}/rankings", timezone="Pacific/Kiritimati")
    assert page["period"]["period_key"] == "2026-05-23" and "local_starts_at" not in page["period"]
    assert (await world.http.get(f"{XP}/rankings", timezone="Mars")).status == 422


async def test_moderation_acts_on_the_players_own_period(world: World) -> None:
    await world.create()
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:00"))
    for player_id in ("kiri", "rome"):
        await world.submit(player_id, 9)
    for player_id, key in (("kiri", "2026-05-24"), ("rome", "2026-05-23")):
        edited = await world.ok("PATCH", f"{XP}/players/{player_id}", {"score": 4, "reason": "test"})
        assert edited["after"][0]["period_key"] == key
        removed = await world.ok("DELETE", f"{XP}/players/{player_id}")
        assert removed["removed"][0]["period_key"] == key
        restored = await world.ok("POST", f"{XP}/players/{player_id}/restore", {"reason": "test"})
        assert restored["restored"][0]["period_key"] == key
    rows = [{"player_id": "p", "score": 3}]
    imported = await world.ok("POST", f"{XP}/entries/import", {"entries": rows, "period_key": "2026-05-24"})
    assert imported["imported"] == 1
    assert await world.ranks(period="2026-05-24") == {"kiri": 4, "p": 3}


async def test_a_forced_reset_ends_the_present_date_for_everybody(world: World) -> None:
    await world.create()
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:00"))
    for player_id in ZONES:
        await world.submit(player_id, 2, submission_id=f"first-{player_id}")
    answer = await world.ok("POST", f"{XP}/periods/current/close", {})
    closed, current = answer["closed"], answer["current"]
    assert (closed["period_key"], closed["state"], closed["entries"]) == ("2026-05-23", "closed", 4)
    assert (current["period_key"], current["starts_at"]) == ("2026-05-23-2", closed["ends_at"])
    assert current["local_ends_at"] == closed["local_ends_at"] == "2026-05-24T00:00:00"
    await world.server.settle()
    taken = {player_id: (await world.submit(player_id))["main"] for player_id in ("kiri", "rome", "baker")}
    assert taken == {"kiri": "2026-05-24", "rome": "2026-05-23-2", "baker": "2026-05-22"}
    for player_id, key in (("rome", "2026-05-23"), ("kiri", "2026-05-24")):
        repeat = {"player_id": player_id, "score": 2, "submission_id": f"first-{player_id}"}
        again = await world.ok("POST", f"{XP}/scores", repeat)
        assert again.get("duplicate") is True, key
    assert await world.ranks() == {"rome": 1}
    assert set(await world.ranks(period="previous")) == {"howe", "rome", "york", "nobody"}
    kiri = {"timezone": "Pacific/Kiritimati"}
    assert await world.ranks(period="previous", **kiri) == {"rome": 1}
    page = await world.ok("GET", f"{XP}/rankings")
    assert [e["change"] for e in page["entries"]] == ["up"], "it was second before"
    await world.move_to(ms("2026-05-26"))
    keys = [p["period_key"] for p in (await world.ok("GET", f"{XP}/periods"))["items"]]
    assert sorted(keys) == [
        "2026-05-21", "2026-05-22", "2026-05-23", "2026-05-23-2", "2026-05-24", "2026-05-25", "2026-05-26",
    ]  # fmt: skip


async def test_a_timeframe_becomes_player_local_and_back(world: World) -> None:
    """The current period goes on with its entries, and nobody is thrown back to a date that is over."""
    await world.create(timeframe={"timezone": "UTC"}, windows=["all_time"])
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:30"))
    before = {player_id: await world.submit(player_id, 2, submission_id=player_id) for player_id in ZONES}
    assert {taken["main"] for taken in before.values()} == {"2026-05-23"}
    await world.ok("PATCH", XP, {"timeframe": {"timezone": "player"}})
    await world.server.settle()
    taken = {player_id: (await world.submit(player_id))["main"] for player_id in ZONES}
    assert taken == {p: "2026-05-24" if p == "kiri" else "2026-05-23" for p in ZONES}
    shown = await world.ok("GET", f"{XP}/periods/2026-05-23")
    assert (shown["local_starts_at"], shown["local_ends_at"]) == (None, "2026-05-24T00:00:00")
    assert (await world.ranks(window="all_time"))["kiri"] == 3
    assert (await world.ranks(period="2026-05-23"))["baker"] == 3
    await world.move_to(ms("2026-05-24T01:00"))
    assert (await world.submit("baker"))["main"] == "2026-05-23"
    assert (await world.submit("nobody"))["main"] == "2026-05-24"
    await world.ok("PATCH", XP, {"timeframe": {"timezone": "UTC"}})
    await world.server.settle()
    taken = {
        player_id: (await world.submit(player_id, submission_id=f"back-{player_id}"))["main"]
        for player_id in ZONES
    }
    assert set(taken.values()) == {"2026-05-24"}
    for player_id in ZONES:
        body = {"player_id": player_id, "score": 2, "submission_id": player_id}
        assert (await world.ok("POST", f"{XP}/scores", body)).get("duplicate") is True, player_id
    await world.move_to(ms("2026-05-25T00:30"))
    assert (await world.submit("kiri"))["main"] == "2026-05-25"
    for player_id in ZONES:
        body = {"player_id": player_id, "score": 1, "submission_id": f"back-{player_id}"}
        assert (await world.ok("POST", f"{XP}/scores", body)).get("duplicate") is True
    shown = await world.ok("GET", f"{XP}/periods/current")
    assert (shown["starts_at"], shown["ends_at"]) == ("2026-05-25T00:00:00.000Z", "2026-05-26T00:00:00.000Z")
    assert "local_ends_at" not in shown


async def test_another_player_local_timeframe(world: World) -> None:
    await world.create()
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:30"))
    for player_id in ZONES:
        await world.submit(player_id, 2, submission_id=player_id)
    await world.ok("PATCH", XP, {"timeframe": {"type": "monthly"}})
    await world.server.settle()
    taken = {player_id: (await world.submit(player_id))["main"] for player_id in ZONES}
    assert set(taken.values()) == {"2026-05"}
    for player_id in ZONES:
        body = {"player_id": player_id, "score": 2, "submission_id": player_id}
        assert (await world.ok("POST", f"{XP}/scores", body)).get("duplicate") is True, player_id
    assert await world.ranks() == {"howe": 3, "rome": 3, "york": 3, "nobody": 3, "kiri": 1, "baker": 1}
    await world.move_to(ms("2026-05-31T10:00"))
    assert (await world.submit("kiri"))["main"] == "2026-06"
    assert (await world.submit("baker"))["main"] == "2026-05"


@pytest.mark.parametrize("kind", ["permanent", "manual"])
async def test_it_becomes_one_period_for_all(world: World, kind: str) -> None:
    await world.create()
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:30"))
    for player_id in ZONES:
        await world.submit(player_id, 2)
    if kind == "manual":
        refused = await world.http.send("PATCH", XP, {"timeframe": {"type": kind}})
        assert refused.loc == ["body", "timeframe", "timezone"]
    timezone = "UTC" if kind == "manual" else "player"
    await world.ok("PATCH", XP, {"timeframe": {"type": kind, "timezone": timezone}})
    await world.server.settle()
    taken = {(await world.submit(player_id))["main"] for player_id in ZONES}
    assert taken == {"all_time" if kind == "permanent" else "2026-05-23"}
    assert await world.ranks() == {"howe": 3, "rome": 3, "york": 3, "nobody": 3, "kiri": 1, "baker": 1}
    shown = await world.ok("GET", f"{XP}/periods/current")
    assert shown["ends_at"] == (None if kind == "permanent" else "2026-05-24T00:00:00.000Z")
    if kind == "permanent":
        await world.ok("PATCH", XP, {"timeframe": {"type": "daily"}})
        await world.server.settle()
        assert {p: (await world.submit(p))["main"] for p in ("kiri", "baker")} == {
            "kiri": "2026-05-24-2",
            "baker": "2026-05-23",
        }


async def test_a_retained_field_changes_no_period(world: World) -> None:
    await world.create()
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:30"))
    for player_id in ZONES:
        await world.submit(player_id, 2)
    before = (await world.ok("GET", f"{XP}/periods"))["items"]
    await world.ok("PATCH", XP, {"timeframe": {"retain_days": 7}})
    await world.server.settle()
    assert (await world.ok("GET", f"{XP}/periods"))["items"] == before


async def test_a_window_is_taken_away_and_comes_back(world: World) -> None:
    await world.create(windows=["hourly"])
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:30"))
    first = {p: await world.submit(p, submission_id=p) for p in ZONES}
    await world.ok("PATCH", XP, {"windows": []})
    await world.server.settle()
    assert await world.submit("kiri") == {"main": "2026-05-24"}
    await world.ok("PATCH", XP, {"windows": ["hourly"]})
    await world.server.settle()
    for player_id, taken in first.items():
        again = await world.submit(player_id)
        assert again == {"main": taken["main"], "hourly": f"{taken['hourly']}-2"}


async def test_a_season_by_each_players_clock(world: World) -> None:
    season = {"type": "range", "starts_at": "2026-05-24T00:00:00Z", "ends_at": "2026-05-26T00:00:00Z"}
    await world.create(timeframe=season, windows=["hourly"])
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:00"))
    assert (await world.submit("kiri"))["main"] == "2026-05-24T00:00:00Z"
    early = await world.http.send("POST", f"{XP}/scores", {"player_id": "rome", "score": 1})
    assert (early.status, early.code) == (409, "period_not_open")
    await world.move_to(ms("2026-05-26T00:30"))
    over = await world.http.send("POST", f"{XP}/scores", {"player_id": "rome", "score": 1})
    assert (over.status, over.code) == (409, "period_closed")
    assert (await world.submit("york"))["hourly"] == "2026-05-25T20"
    assert set(await world.ranks(timezone="Europe/Rome")) == {"kiri", "york"}, "the last one is shown"
    await world.move_to(ms("2026-05-26T12:01"))
    assert (await world.ok("GET", f"{XP}/periods/current"))["state"] == "closed"
    extended = {"timeframe": {"ends_at": "2026-06-26T00:00:00Z"}}
    await world.ok("PATCH", XP, extended)
    await world.server.settle()
    taken = await world.submit("baker")
    assert taken == {"main": "2026-05-24T00:00:00Z", "hourly": "2026-05-26T00"}
    assert set(await world.ranks()) == {"kiri", "york", "baker"}


async def test_an_archived_board_goes_on_where_it_is(world: World) -> None:
    await world.create(windows=["hourly"])
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:30"))
    first = {p: await world.submit(p, submission_id=p) for p in ZONES}
    await world.ok("DELETE", XP)
    await world.move_to(ms("2026-05-23T10:30") + 30 * MINUTE_MS)
    await world.ok("PATCH", XP, {"status": "active"})
    await world.server.settle()
    for player_id, taken in first.items():
        assert (await world.submit(player_id, submission_id=player_id)) == taken
    await world.ok("DELETE", XP)
    await world.move_to(ms("2026-05-23T10:30") + 60 * HOUR_MS)
    await world.ok("PATCH", XP, {"status": "active"})
    await world.server.settle()
    for player_id, zone in ZONES.items():
        at_ms = world.server.now_ms()
        assert (await world.submit(player_id))["hourly"] == key_of("hourly", at_ms, zone)


async def test_rewards_and_events_tell_the_digits(world: World) -> None:
    tiers = [{"name": "first", "rank_from": 1, "rank_to": 1, "payload": {"coins": 1}}]
    await world.create(rewards={"tiers": tiers})
    await world.zones(ZONES)
    await world.move_to(ms("2026-05-23T10:30"))
    await world.submit("kiri", 3)
    await world.move_to(ms("2026-05-25T12:01"))
    shown = await world.ok("GET", f"{XP}/periods/2026-05-24/rewards")
    assert shown["period"]["local_starts_at"] == "2026-05-24T00:00:00"
    assert [item["player_id"] for item in shown["items"]] == ["kiri"]
    one = await world.ok("GET", f"{XP}/periods/2026-05-24/rewards/kiri")
    assert one["period"]["local_ends_at"] == "2026-05-25T00:00:00"
    named = await world.ok("GET", f"{XP}/periods/previous/rewards", timezone="Pacific/Kiritimati")
    assert named["period"]["period_key"] == "2026-05-25"


@long
@pytest.mark.parametrize("seed", range(rounds(2, 20)))
async def test_players_who_travel(world: World, seed: int) -> None:
    """A model of all of it: sums by window, period and player, over clock changes, moves, repeats, deaths."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    choices = [*(z for z in ZONES.values() if z), "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Chatham"]
    begins_ms = rng.choice(
        [ms("2026-10-24T20:00"), ms("2026-10-31T20:00"), ms("2026-12-30T20:00"), ms("2027-03-13")]
    )
    await world.move_to(begins_ms)
    await world.create(windows=WINDOWS, timeframe={"retain_periods": 1000})
    zones: dict[str, str] = {}
    sums: dict[tuple[str, str], dict[str, float]] = {}
    sent: list[tuple[str, dict[str, Any]]] = []
    at_ms = begins_ms
    for number in count():
        if number >= rounds(40, 150):
            break
        at_ms += rng.choice([0, 1000, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 7 * HOUR_MS])
        await world.move_to(at_ms)
        player_id = f"p{rng.randrange(5)}"
        if rng.random() < 0.3:
            zones[player_id] = rng.choice(choices)
            await world.zones({player_id: zones[player_id]})
        if sent and rng.random() < 0.2:
            player_id, body = rng.choice(sent[-8:])
            if body["at_ms"] > at_ms - 20 * HOUR_MS:
                again = {name: value for name, value in body.items() if name != "at_ms"}
                assert (await world.ok("POST", f"{XP}/scores", again)).get("duplicate") is True
            continue
        if rng.random() < 0.03:
            await world.server.cluster.crash(rng.choice(world.server.cluster.period_actors()))
            await world.server.settle()
        score = rng.randrange(1, 100)
        body = {"player_id": player_id, "score": score, "submission_id": f"s{number}"}
        then_ms = at_ms
        if rng.random() < 0.2:  # a late one, in an hour that is open
            then_ms = at_ms - rng.randrange(0, 10 * MINUTE_MS)
            body["occurred_at"] = format_instant(then_ms)
        zone = zones.get(player_id)
        keys = {w: key_of(w, then_ms, zone) for w in ("main", *WINDOWS)}
        taken = await world.submit(**body)
        late = then_ms < at_ms  # an hour that is over in the last zone is passed over
        assert {w: k for w, k in taken.items() if k or not late} == {
            w: keys[w] for w in taken if taken[w] or not late
        }
        for window, key in taken.items():
            if key:
                players = sums.setdefault((window, key), {})
                players[player_id] = players.get(player_id, 0) + score
        sent.append((player_id, {**body, "at_ms": at_ms}))
    for (window, key), players in sums.items():
        assert await world.ranks(window=window, period=key, limit=100) == players, (window, key)
    for zone in choices:
        for window in ("main", *WINDOWS):
            shown = await world.ok("GET", f"{XP}/rankings", window=window, timezone=zone)
            key = key_of(window, at_ms, zone)
            assert shown["period"]["period_key"] == key and shown["period"]["state"] == "active"
            assert {e["player_id"]: e["score"] for e in shown["entries"]} == sums.get((window, key), {})
