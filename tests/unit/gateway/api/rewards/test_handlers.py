"""Rewards over HTTP: pages in rank order under filters, single rewards, claims, and who may ask for what."""

from __future__ import annotations

from typing import Any

import pytest

from lbactors.core.model import Board
from lbactors.documents.rewards import CHUNK_WINNERS
from tests.support.gateway.fake_service import NOW_MS, PERIOD_KEY, FakeService
from tests.support.gateway.http_client import Http

DAY_MS = 86_400_000
TIERS = [
    {"name": "champion", "rank_from": 1, "rank_to": 1, "payload": {"coins": 1000}},
    {"name": "podium", "rank_from": 1, "rank_to": 3, "payload": {"coins": 100}},
    {"name": "all", "top_percent": 100, "payload": {"coins": 1}},
]
PERIODS = "/v1/leaderboards/xp/periods"
REWARDS = f"{PERIODS}/{PERIOD_KEY}/rewards"


@pytest.fixture
def board(service: FakeService) -> Board:
    return service.add_board("xp", rewards={"tiers": TIERS})


def granted(service: FakeService, board: Board, players: int, **rules: Any) -> None:
    names = [f"p{i}" for i in range(1, players + 1)]
    service.rewards.grant(board, PERIOD_KEY, {"tiers": TIERS, **rules}, names)


async def walked(http: Http, limit: int, **query: Any) -> list[dict[str, Any]]:
    """All items by cursor; `total` counts them, and no page but the last is short."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await http.get(REWARDS, limit=limit, **query, **cursor)).body
        items += page["items"]
        if page["next_cursor"] is None:
            assert page["total"] == len(items)
            return items
        assert len(page["items"]) == limit
        cursor = {"cursor": page["next_cursor"]}


# Listings -------------------------------------------------------------------------------------------------


async def test_winners_in_rank_order_with_what_they_won(
    http: Http, service: FakeService, board: Board
) -> None:
    granted(service, board, 5, grant="every")
    service.profile_of["default", "p1"] = {"display_name": "Maya"}
    page = (await http.get(REWARDS, limit=2)).body
    assert (page["state"], page["grant"], page["winners"], page["claimed"]) == ("granted", "every", 5, 0)
    assert [(t["name"], t["winners"], t["claimed"]) for t in page["tiers"]] == [
        ("champion", 1, 0),
        ("podium", 3, 0),
        ("all", 5, 0),
    ]
    assert page["period"]["period_key"] == PERIOD_KEY and page["period"]["state"] == "closed"
    assert (page["granted_at"], page["expires_at"]) == (
        "2026-11-18T12:00:00.000Z",
        "2027-02-16T12:00:00.000Z",
    )
    assert page["items"][0] == {
        "player_id": "p1",
        "display_name": "Maya",
        "rank": 1,
        "score": 1000,
        "rewards": [{"tier": t["name"], "payload": t["payload"]} for t in TIERS],
        "claimed": False,
        "claimed_at": None,
        "claim_id": None,
    }
    assert page["total"] == 5 and page["next_cursor"]


async def test_pages_and_filters_over_several_chunks(http: Http, service: FakeService, board: Board) -> None:
    count = 2 * CHUNK_WINNERS + 37
    granted(service, board, count, grant="every")
    everyone = await walked(http, 400)
    assert [item["rank"] for item in everyone] == list(range(1, count + 1))
    for number in (1, 2, 600, count):
        await http.post(f"{REWARDS}/p{number}/claim")
    assert [i["player_id"] for i in await walked(http, 3, claimed=True)] == ["p1", "p2", "p600", f"p{count}"]
    unclaimed = await walked(http, 250, claimed=False)
    assert len(unclaimed) == count - 4 and unclaimed[0]["player_id"] == "p3"
    assert [i["player_id"] for i in await walked(http, 2, tier="podium")] == ["p1", "p2", "p3"]
    assert [i["player_id"] for i in await walked(http, 1, tier="podium", claimed=False)] == ["p3"]
    assert await walked(http, 5, tier="unheard-of") == []
    one = await walked(http, 5, player_id="p600")
    assert [(i["rank"], i["claimed"]) for i in one] == [(600, True)]
    assert await walked(http, 5, player_id="p600", claimed=False) == []
    assert await walked(http, 5, player_id="p600", tier="podium") == []
    assert await walked(http, 5, player_id="nobody") == []
    page = (await http.get(REWARDS, limit=1)).body
    assert (page["claimed"], [t["claimed"] for t in page["tiers"]]) == (4, [1, 2, 4])


async def test_a_filtered_walk_has_a_limit_and_goes_on(
    http: Http, service: FakeService, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand winners two have claimed: a page looks at one chunk, and may hold nothing."""
    monkeypatch.setattr("lbactors.service.reward_reader.CHUNKS_AT_ONCE", 1)
    granted(service, board, 3 * CHUNK_WINNERS)
    for number in (7, 2 * CHUNK_WINNERS + 1):
        await http.post(f"{REWARDS}/p{number}/claim")
    pages, cursor = [], {}
    while True:
        page = (await http.get(REWARDS, limit=10, claimed=True, **cursor)).body
        pages.append([item["player_id"] for item in page["items"]])
        assert page["total"] == 2
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert pages == [["p7"], [], [f"p{2 * CHUNK_WINNERS + 1}"]]


async def test_a_cursor_belongs_to_its_filters(http: Http, service: FakeService, board: Board) -> None:
    granted(service, board, 5)
    cursor = (await http.get(REWARDS, limit=1)).body["next_cursor"]
    assert (await http.get(REWARDS, limit=1, cursor=cursor)).body["items"][0]["rank"] == 2
    answer = await http.get(REWARDS, limit=1, cursor=cursor, claimed=True)
    assert (answer.status, answer.loc) == (422, ["query", "cursor"])
    for query in ({"claimed": "yes"}, {"offset": 1}, {"tier": "x" * 65}, {"window": "never"}):
        assert (await http.get(REWARDS, **query)).status == 422


async def test_a_period_that_is_not_closed_says_what_can_be_won(
    http: Http, service: FakeService, board: Board
) -> None:
    service.rewards.add_period(board, PERIOD_KEY)
    page = (await http.get(f"{PERIODS}/current/rewards")).body
    assert (page["state"], page["items"], page["total"], page["granted_at"]) == ("pending", [], 0, None)
    assert [t["name"] for t in page["tiers"]] == ["champion", "podium", "all"]
    for method, path in (("GET", f"{REWARDS}/p1"), ("POST", f"{REWARDS}/p1/claim")):
        answer = await http.send(method, path)
        assert (answer.status, answer.code) == (409, "rewards_pending")
    assert (await http.get(REWARDS, player_id="p1")).body["items"] == []


async def test_periods_without_rewards(http: Http, service: FakeService, board: Board) -> None:
    service.rewards.add_period(board, PERIOD_KEY, sealed=True)
    page = (await http.get(REWARDS)).body
    assert (page["state"], page["tiers"], page["items"], page["grant"]) == ("none", [], [], None)
    answer = await http.get(f"{REWARDS}/p1")
    assert (answer.status, answer.code) == (404, "reward_not_found")
    for path in (f"{PERIODS}/2020-W01/rewards", f"{PERIODS}/2020-W01/rewards/p1"):
        assert (await http.get(path)).code == "period_not_found"
    assert (await http.get(REWARDS, window="daily")).code == "period_not_found"
    assert (await http.get("/v1/leaderboards/none/periods/x/rewards")).code == "leaderboard_not_found"
    service.add_board("plain")
    service.rewards.add_period(service.catalogue.all_boards["default", "plain"], PERIOD_KEY)
    assert (await http.get(f"/v1/leaderboards/plain/periods/{PERIOD_KEY}/rewards")).body["state"] == "none"


async def test_winners_that_are_still_being_added(http: Http, service: FakeService, board: Board) -> None:
    names = [f"p{i}" for i in range(1, 11)]
    service.rewards.grant(board, PERIOD_KEY, {"tiers": TIERS}, names, whole=False)
    page = (await http.get(REWARDS)).body
    assert (page["state"], page["winners"], page["granted_at"]) == ("granting", 10, None)
    assert (await http.post(f"{REWARDS}/p1/claim")).body["claimed"] is True
    assert (await http.get(f"{REWARDS}/p11")).code == "rewards_pending"


async def test_rewards_end(http: Http, service: FakeService, board: Board) -> None:
    granted(service, board, 5, retain_days=1)
    service.rewards.at_ms += DAY_MS - 1
    assert (await http.get(f"{REWARDS}/p1")).status == 200
    service.rewards.at_ms += 1
    assert (await http.get(f"{REWARDS}/p1")).code == "period_not_found"
    assert (await http.get("/v1/players/p1/rewards")).body["items"] == []
    service.rewards.add_period(board, PERIOD_KEY, sealed=True)
    assert (await http.get(f"{REWARDS}/p1")).code == "reward_not_found"
    assert (await http.get(REWARDS)).body["state"] == "none"


async def test_a_store_that_is_away(http: Http, service: FakeService, board: Board) -> None:
    granted(service, board, 5)
    service.rewards.store.away = True
    for path in (REWARDS, f"{REWARDS}/p1", "/v1/players/p1/rewards"):
        assert (await http.get(path)).code == "storage_unavailable"


# Claims ---------------------------------------------------------------------------------------------------


async def test_a_claim_is_answered_the_same_for_ever(http: Http, service: FakeService, board: Board) -> None:
    granted(service, board, 5)
    first = await http.post(f"{REWARDS}/p2/claim", {"claim_id": "tx-1"})
    assert first.status == 200 and first.body["claimed"] is True
    assert (first.body["claim_id"], first.body["claimed_at"]) == ("tx-1", "2026-11-18T12:00:00.000Z")
    assert first.body["rewards"] == [{"tier": "podium", "payload": {"coins": 100}}]
    service.rewards.at_ms = NOW_MS + 60_000
    for body in ({"claim_id": "tx-2"}, {}, None):
        assert (await http.post(f"{REWARDS}/p2/claim", body)).body == first.body
    assert (await http.get(f"{REWARDS}/p2")).body == first.body
    assert (await http.get(f"{PERIODS}/current/rewards/p2")).body == first.body


@pytest.mark.parametrize("body", [{"claim_id": ""}, {"claim_id": 3}, {"claim_id": "x" * 129}, {"x": 1}, []])
async def test_bad_claims(http: Http, service: FakeService, board: Board, body: Any) -> None:
    granted(service, board, 5)
    assert (await http.post(f"{REWARDS}/p2/claim", body)).status == 422
    assert (await http.get(f"{REWARDS}/p2")).body["claimed"] is False


async def test_who_may_claim(http: Http, service: FakeService, board: Board) -> None:
    granted(service, board, 5)
    service.add_key("server", "scores:write")
    service.add_key("profiles", "players:write")
    service.add_key("reader", "rankings:read")
    service.add_key("own", "scores:write", player_id="p1")
    service.add_key("elsewhere", "scores:write", tenant_id="studio-z")

    async def status(key: str, player_id: str) -> int:
        return (await http.with_key(key).post(f"{REWARDS}/{player_id}/claim")).status

    assert [await status(key, "p1") for key in ("reader", "elsewhere")] == [403, 404]
    assert (await status("own", "p2"), await status("own", "p1")) == (403, 200)
    assert (await status("server", "p2"), await status("profiles", "p3")) == (200, 200)
    assert (await http.with_key("server").get(REWARDS)).status == 403


# A player -------------------------------------------------------------------------------------------------


async def test_everything_that_a_player_won(http: Http, service: FakeService, board: Board) -> None:
    other = service.add_board("deaths")
    granted(service, board, 3)
    service.rewards.at_ms += 1000
    service.rewards.grant(other, "2026-W46", {"tiers": TIERS}, ["x", "p2", "p2/x"])
    service.rewards.grant(other, "2026-W48", {"tiers": TIERS}, ["p2"], serial=2)
    path = "/v1/players/p2/rewards"
    page = (await http.get(path)).body
    assert [(i["leaderboard_id"], i["period"]["period_key"], i["rank"]) for i in page["items"]] == [
        ("deaths", "2026-W48", 1),
        ("deaths", "2026-W46", 2),
        ("xp", PERIOD_KEY, 2),
    ]
    assert page["total"] == 3
    await http.post("/v1/leaderboards/deaths/periods/2026-W46/rewards/p2/claim")
    unclaimed = (await http.get(path, claimed=False, limit=1)).body
    assert (unclaimed["total"], unclaimed["items"][0]["period"]["period_key"]) == (2, "2026-W48")
    rest = (await http.get(path, claimed=False, limit=1, cursor=unclaimed["next_cursor"])).body
    assert [i["leaderboard_id"] for i in rest["items"]] == ["xp"] and rest["next_cursor"] is None
    assert (await http.get(path, claimed=True)).body["total"] == 1
    escaped = (await http.get("/v1/players/p2%2Fx/rewards")).body
    assert [i["player_id"] for i in escaped["items"]] == ["p2/x"]
    assert (await http.get("/v1/players/nobody/rewards")).body["items"] == []
    del service.catalogue.all_boards["default", "deaths"]
    assert (await http.get(path)).body["total"] == 1
