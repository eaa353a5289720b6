"""Periods over HTTP: listings, one made, one closed by hand."""

from __future__ import annotations

from lbactors.core.instants import format_instant
from tests.support.gateway.fake_service import NOW_MS, PERIOD_KEY, FakeService
from tests.support.gateway.http_client import Http

BOARDS = "/v1/leaderboards"


async def test_periods(http: Http, service: FakeService) -> None:
    service.add_board("xp", windows=["daily"])
    listing = (await http.get(f"{BOARDS}/xp/periods", window="daily")).body
    assert (listing["total"], listing["next_cursor"], listing["items"][0]["window"]) == (1, None, "daily")
    one = await http.get(f"{BOARDS}/xp/periods/{PERIOD_KEY}")
    times = {"starts_at", "ends_at", "next_starts_at"}
    assert set(one.body) == {"period_key", "window", "state", "entries", "submissions"} | times
    assert (await http.get(f"{BOARDS}/xp/periods/1999")).code == "period_not_found"
    assert (await http.get(f"{BOARDS}/xp/periods", state="open")).loc == ["query", "state"]
    made = await http.post(f"{BOARDS}/xp/periods", {"starts_at": "2026-12-01T00:00:00Z"})
    assert (made.status, made.body["starts_at"]) == (201, "2026-12-01T00:00:00.000Z")
    assert (await http.post(f"{BOARDS}/xp/periods", {"starts_at": None})).loc == ["body", "starts_at"]


async def test_a_period_from_now(http: Http, service: FakeService) -> None:
    service.add_board("xp", timeframe={"type": "manual"})
    for body in (None, {}):
        made = await http.post(f"{BOARDS}/xp/periods", body)
        assert (made.status, made.body["starts_at"]) == (201, format_instant(NOW_MS))


async def test_forced_close(http: Http, service: FakeService) -> None:
    service.add_board("xp", windows=["daily"])
    path = f"{BOARDS}/xp/periods/current/close"
    for body in (None, {}):
        assert set((await http.post(path, body)).body) == {"closed", "current"}
    assert (await http.post(path, {}, window="daily")).body["closed"]["window"] == "daily"
    assert (await http.post(path, {"window": "daily"})).loc == ["body", "window"]
    assert (await http.post(path, {}, window="hourly")).code == "period_not_found"


async def test_rebuilding(http: Http, service: FakeService) -> None:
    service.add_board("xp", windows=["daily"])
    service.add_board("rewarded")
    path = f"{BOARDS}/xp/periods/{PERIOD_KEY}/rebuild"
    for body in (None, {}, {"keep_rewards": True}):
        answer = await http.post(path, body, window="daily")
        assert (answer.status, answer.body["window"], answer.body["period_key"]) == (200, "daily", PERIOD_KEY)
    for body in ({"keep_rewards": 1}, {"keep_rewards": None}, {"keep_rewards": "yes"}):
        assert (await http.post(path, body)).loc == ["body", "keep_rewards"]
    assert (await http.post(path, {"force": True})).loc == ["body", "force"]
    assert (await http.post(path, b"[]")).loc == ["body"]
    assert (await http.post(f"{BOARDS}/xp/periods/1999/rebuild")).code == "period_not_found"
    assert (await http.post(path, {}, window="monthly")).code == "period_not_found"
    granted = f"{BOARDS}/rewarded/periods/current/rebuild"
    assert (await http.post(granted)).code == "rewards_granted"
    assert (await http.post(granted, {"keep_rewards": True})).status == 200


async def test_a_rebuilding_under_a_key_is_one(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    path, key = f"{BOARDS}/xp/periods/current/rebuild", {"Idempotency-Key": "K"}
    assert (await http.post(path, {}, key)).status == 200
    assert (await http.post(path, {"keep_rewards": True}, key)).code == "idempotency_conflict"


async def test_who_may_rebuild(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    service.add_key("reads", "leaderboards:read", "rankings:read", "scores:write")
    assert (await http.with_key("reads").post(f"{BOARDS}/xp/periods/current/rebuild")).status == 403
