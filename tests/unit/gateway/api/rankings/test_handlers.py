"""Reads: pages and cursors, entries, look-ups, ETags, display names; and taking an entry out."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgpack
import pytest

from lbactors.core.model import Board
from tests.support.gateway.fake_service import PERIOD_KEY, FakeService
from tests.support.gateway.http_client import MSGPACK, Http

BOARD = "/v1/leaderboards/xp"
PAGE = f"{BOARD}/rankings"


@pytest.fixture
def board(service: FakeService) -> Board:
    board = service.add_board("xp", windows=["daily"])
    service.add_scores(board, {f"p{i}": 100 - i for i in range(25)})
    return board


def ids(answer: Any) -> list[str]:
    return [entry["player_id"] for entry in answer.body["entries"]]


async def test_page(http: Http, service: FakeService, board: Board) -> None:
    await http.send("PUT", "/v1/players/p0", {"display_name": "Maya"})
    rows = service.rows["default", "xp"]
    rows["p0"] = rows["p0"]._replace(metadata=b'{"level":7}')
    body = (await http.get(PAGE, limit=2)).body
    assert set(body) == {
        "leaderboard_id",
        "period",
        "total",
        "as_of_seq",
        "entries",
        "next_cursor",
        "prev_cursor",
    }
    assert body["period"] == {
        "period_key": PERIOD_KEY,
        "window": "main",
        "state": "active",
        "starts_at": "2026-11-18T11:59:59.000Z",
        "ends_at": None,
    }
    assert (body["total"], body["as_of_seq"]) == (25, 25)
    assert body["entries"][0] == {
        "rank": 1,
        "player_id": "p0",
        "display_name": "Maya",
        "score": 100,
        "subscore": 0,
        "metadata": {"level": 7},
        "submissions": 1,
        "first_at": "2026-11-18T12:00:00.000Z",
        "updated_at": "2026-11-18T12:00:00.000Z",
        "change": "new",
    }
    assert body["entries"][1]["display_name"] is None
    packed = await http.get(PAGE, {"Accept": MSGPACK}, limit=2)
    assert packed.body == body and packed.media_type == MSGPACK
    assert packed.raw == msgpack.packb(packed.body)


async def test_default_limit_and_offset(http: Http, board: Board) -> None:
    assert len(ids(await http.get(PAGE))) == 20
    assert ids(await http.get(PAGE, offset=24)) == ["p24"]
    beyond = await http.get(PAGE, offset=1000)
    assert (ids(beyond), beyond.body["next_cursor"]) == ([], None)
    back = await http.get(PAGE, cursor=beyond.body["prev_cursor"])
    assert ids(back) == [f"p{i}" for i in range(5, 25)]


@pytest.mark.parametrize("limit", [1, 4, 7, 25, 26])
async def test_cursors_walk_there_and_back(http: Http, board: Board, limit: int) -> None:
    answer = await http.get(PAGE, limit=limit)
    forward = [ids(answer)]
    while answer.body["next_cursor"]:
        answer = await http.get(PAGE, limit=limit, cursor=answer.body["next_cursor"])
        forward.append(ids(answer))
    assert list(chain.from_iterable(forward)) == [f"p{i}" for i in range(25)]
    backward = [ids(answer)]
    while answer.body["prev_cursor"]:
        answer = await http.get(PAGE, limit=limit, cursor=answer.body["prev_cursor"])
        backward.insert(0, ids(answer))
    assert backward == forward


async def test_a_short_previous_page_does_not_overlap(http: Http, board: Board) -> None:
    answer = await http.get(PAGE, offset=3, limit=5)
    answer = await http.get(PAGE, limit=5, cursor=answer.body["prev_cursor"])
    assert (ids(answer), answer.body["prev_cursor"]) == (["p0", "p1", "p2"], None)


async def test_cursors_go_on_after_a_standing(http: Http, service: FakeService, board: Board) -> None:
    first = await http.get(PAGE, limit=5)
    service.add_scores(board, {"new": 1000, "p4": 1})  # one comes in before, and the page's last one leaves
    second = await http.get(PAGE, limit=5, cursor=first.body["next_cursor"])
    assert ids(second) == [f"p{i}" for i in range(5, 10)]
    assert second.body["entries"][0]["rank"] == 6
    back = await http.get(PAGE, limit=20, cursor=second.body["prev_cursor"])
    assert (ids(back), back.body["prev_cursor"]) == (["new", "p0", "p1", "p2", "p3"], None)
    again = await http.get(PAGE, limit=1, cursor=back.body["next_cursor"])
    assert ids(again) == ["p5"]


async def test_a_cursor_whose_rows_are_gone_leads_on_from_the_edge(
    http: Http, service: FakeService, board: Board
) -> None:
    cursors = (
        (await http.get(PAGE, limit=5, offset=20)).body["prev_cursor"],
        (await http.get(PAGE, limit=20)).body["next_cursor"],
    )
    rows = service.rows["default", "xp"]
    for number in range(20, 25):
        del rows[f"p{number}"]
    after = await http.get(PAGE, limit=5, cursor=cursors[1])
    assert (ids(after), after.body["next_cursor"]) == ([], None)
    assert ids(await http.get(PAGE, limit=2, cursor=after.body["prev_cursor"])) == ["p18", "p19"]
    for number in range(20):
        del rows[f"p{number}"]
    service.add_scores(board, {"late": 1})
    before = await http.get(PAGE, limit=5, cursor=cursors[0])
    assert (ids(before), before.body["prev_cursor"]) == ([], None)
    assert ids(await http.get(PAGE, limit=2, cursor=before.body["next_cursor"])) == ["late"]


async def test_a_cursor_stays_in_its_period_though_another_has_its_key(
    http: Http, service: FakeService, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = (await http.get(PAGE, limit=5)).body["next_cursor"]
    view = service._view
    monkeypatch.setattr(service, "_view", lambda *args: view(*args)._replace(serial=2))
    assert (await http.get(PAGE, cursor=cursor)).code == "period_not_found"


async def test_score_range(http: Http, board: Board) -> None:
    answer = await http.get(PAGE, score_min=80, score_max=90, limit=4)
    assert (answer.body["matched"], answer.body["total"]) == (11, 25)
    assert ids(answer) == ["p10", "p11", "p12", "p13"]
    assert answer.body["entries"][0]["rank"] == 11
    found = ids(answer)
    while answer.body["next_cursor"]:
        answer = await http.get(PAGE, limit=4, cursor=answer.body["next_cursor"])
        assert answer.body["matched"] == 11
        found += ids(answer)
    assert found == [f"p{i}" for i in range(10, 21)]
    assert (await http.get(PAGE, score_min=2, score_max=1)).loc == ["query", "score_min"]


async def test_cursors_contradict(http: Http, service: FakeService, board: Board) -> None:
    service.add_scores(service.add_board("other"), {"a": 1, "b": 2})
    cursor = (await http.get(PAGE, limit=5)).body["next_cursor"]
    for agreeing in (
        {},
        {"period": "current"},
        {"period": "previous"},
        {"period": PERIOD_KEY},
        {"window": "main"},
    ):
        assert ids(await http.get(PAGE, cursor=cursor, limit=1, **agreeing)) == ["p5"]
    for query in ({"period": "2026-W46"}, {"window": "daily"}, {"score_min": 3}):
        answer = await http.get(PAGE, cursor=cursor, **query)
        assert (answer.status, answer.loc) == (422, ["query", "cursor"]), query
    assert (await http.get(PAGE, cursor=cursor, offset=1)).loc == ["query", "offset"]
    assert (await http.get(PAGE, cursor="x")).loc == ["query", "cursor"]
    assert (await http.get("/v1/leaderboards/other/rankings", cursor=cursor)).loc == ["query", "cursor"]


async def test_a_cursor_of_a_purged_leaderboard(http: Http, service: FakeService, board: Board) -> None:
    cursor = (await http.get(PAGE, limit=5)).body["next_cursor"]
    service.add_board("xp")
    assert (await http.get(PAGE, cursor=cursor)).loc == ["query", "cursor"]


async def test_windows_and_periods(http: Http, board: Board) -> None:
    assert (await http.get(PAGE, window="daily")).body["period"]["window"] == "daily"
    assert (await http.get(PAGE, period=PERIOD_KEY)).status == 200
    assert (await http.get(PAGE, period="1999")).code == "period_not_found"
    assert (await http.get(PAGE, window="hourly")).code == "period_not_found"
    assert (await http.get(PAGE, window="decade")).loc == ["query", "window"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "limit=x", "score_min=NaN"])
async def test_bad_queries(http: Http, board: Board, query: str) -> None:
    answer = await http.get(f"{PAGE}?{query}")
    assert (answer.status, answer.loc) == (422, ["query", query.partition("=")[0]])


# ETags ----------------------------------------------------------------------------------------------------


async def test_etag_follows_what_is_shown(http: Http, service: FakeService, board: Board) -> None:
    first = await http.get(PAGE)
    tag = first.headers["ETag"]
    assert (await http.get(PAGE)).headers["ETag"] == tag
    for header in (tag, f"W/{tag}", "*", f'"other", W/{tag}'):
        answer = await http.get(PAGE, {"If-None-Match": header})
        assert (answer.status, answer.raw, answer.headers["ETag"]) == (304, b"", tag)
    assert (await http.get(PAGE, {"If-None-Match": '"other"'})).status == 200
    assert (await http.get(PAGE, {"Accept": MSGPACK})).headers["ETag"] != tag
    await http.send("PUT", "/v1/players/p3", {"display_name": "Kim"})
    renamed = (await http.get(PAGE)).headers["ETag"]
    assert renamed != tag
    service.add_scores(board, {"p3": 1000})
    assert (await http.get(PAGE)).headers["ETag"] != renamed


@pytest.mark.parametrize(
    "path",
    [
        "/players/p3",
        "/players/p3/around",
        "/rankings/at/50",
        "/distribution",
        "/periods",
        f"/periods/{PERIOD_KEY}",
        "",
    ],
)
async def test_every_read_has_an_etag(http: Http, board: Board, path: str) -> None:
    tag = (await http.get(BOARD + path)).headers["ETag"]
    assert (await http.get(BOARD + path, {"If-None-Match": tag})).status == 304


async def test_shared_readings_are_rendered_once(
    http: Http, service: FakeService, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = await service.page(board, "main", "current", 0, 5)

    async def page(*args: Any) -> Any:
        return reading

    service.page = page  # type: ignore[method-assign]
    rendered = []
    from gateway.api.rankings import handlers as rankings

    render = rankings.render
    monkeypatch.setattr(rankings, "render", lambda *args: rendered.append(1) or render(*args))
    first = await http.get(PAGE, limit=5)
    assert (await http.get(PAGE, limit=5)).raw == first.raw
    assert len(rendered) == 1
    assert (await http.get(PAGE, {"Accept": MSGPACK}, limit=5)).body == first.body
    await http.send("PUT", "/v1/players/p3", {"display_name": "Kim"})
    assert (await http.get(PAGE, limit=5)).body["entries"][3]["display_name"] == "Kim"
    assert len(rendered) == 3


# Single facts ---------------------------------------------------------------------------------------------


async def test_entry(http: Http, board: Board) -> None:
    body = (await http.get(f"{BOARD}/players/p4")).body
    assert (body["rank"], body["total"], body["percentile"], body["player_id"]) == (5, 25, 80.0, "p4")
    assert body["period"]["period_key"] == PERIOD_KEY and body["leaderboard_id"] == "xp"
    assert (await http.get(f"{BOARD}/players/nobody")).code == "entry_not_found"


async def test_unranked_entry(http: Http, service: FakeService, board: Board) -> None:
    entry = service.entry

    async def unranked(*args: Any) -> Any:
        reading = await entry(*args)
        return reading._replace(rows=[reading.rows[0]._replace(rank=None)])

    service.entry = unranked  # type: ignore[method-assign]
    body = (await http.get(f"{BOARD}/players/p4")).body
    assert body["rank"] is None and body["percentile"] is None


async def test_around(http: Http, board: Board) -> None:
    answer = await http.get(f"{BOARD}/players/p10/around", limit=5)
    assert ids(answer) == ["p8", "p9", "p10", "p11", "p12"]
    following = await http.get(PAGE, cursor=answer.body["next_cursor"], limit=2)
    assert ids(following) == ["p13", "p14"]
    preceding = await http.get(PAGE, cursor=answer.body["prev_cursor"], limit=2)
    assert ids(preceding) == ["p6", "p7"]
    assert len(ids(await http.get(f"{BOARD}/players/p10/around"))) == 11
    assert (await http.get(f"{BOARD}/players/p10/around", fill="yes")).loc == ["query", "fill"]


async def test_around_one_who_is_not_ranked(http: Http, service: FakeService, board: Board) -> None:
    entry = service.entry

    async def unranked(board: Board, window: str, period: str, player_id: str, *_: Any) -> Any:
        reading = await entry(board, window, period, player_id)
        return reading._replace(rows=[reading.rows[0]._replace(rank=None)], offset=0, edges=())

    service.around = unranked  # type: ignore[method-assign]
    body = (await http.get(f"{BOARD}/players/p4/around")).body
    assert [(e["rank"], e["player_id"]) for e in body["entries"]] == [(None, "p4")]
    assert (body["next_cursor"], body["prev_cursor"]) == (None, None)


async def test_lookup(http: Http, board: Board) -> None:
    answer = await http.post(f"{PAGE}/lookup", {"player_ids": ["p9", "x", "p2", "p9"]})
    assert [(e["position"], e["player_id"], e["rank"]) for e in answer.body["entries"]] == [
        (1, "p2", 3),
        (2, "p9", 10),
    ]
    assert answer.body["not_found"] == ["x"]
    assert (await http.post(f"{PAGE}/lookup", {"player_ids": []})).body["entries"] == []


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ([], ["body"]),
        ({}, ["body", "player_ids"]),
        ({"player_ids": "p1"}, ["body", "player_ids"]),
        ({"player_ids": ["a"] * 6}, ["body", "player_ids"]),
        ({"player_ids": ["a", 5]}, ["body", "player_ids", 1]),
        ({"player_ids": [""]}, ["body", "player_ids", 0]),
        ({"player_ids": [], "x": 1}, ["body", "x"]),
    ],
)
async def test_bad_lookups(http: Http, board: Board, body: Any, loc: list[Any]) -> None:
    answer = await http.post(f"{PAGE}/lookup", body)
    assert (answer.status, answer.loc) == (422, loc)


async def test_rank_at(http: Http, board: Board) -> None:
    body = (await http.get(f"{PAGE}/at/98", subscore=1)).body
    assert set(body) == {"rank", "total", "period"} and (body["rank"], body["total"]) == (3, 25)
    assert (await http.get(f"{PAGE}/at/-1.5e3")).body["rank"] == 26
    for bad in ("NaN", "x", "9007199254740993", "1e999"):
        assert (await http.get(f"{PAGE}/at/{bad}")).loc == ["path", "score"]


async def test_distribution(http: Http, board: Board) -> None:
    body = (await http.get(f"{BOARD}/distribution", buckets=5)).body
    assert set(body) == {"total", "min", "max", "mean", "quantiles", "buckets", "period"}
    assert (await http.get(f"{BOARD}/distribution", buckets=0)).loc == ["query", "buckets"]


async def test_player_entries(http: Http, service: FakeService, board: Board) -> None:
    service.add_scores(service.add_board("kills"), {"p0": 3})
    body = (await http.get("/v1/players/p0/entries")).body
    assert body["player_id"] == "p0"
    found = [
        (i["leaderboard_id"], i["window"], i["period_key"], i["rank"], i["total"]) for i in body["items"]
    ]
    assert found == [
        ("kills", "main", PERIOD_KEY, 1, 1),
        ("xp", "main", PERIOD_KEY, 1, 25),
        ("xp", "daily", PERIOD_KEY, 1, 25),
    ]
    assert (await http.get("/v1/players/nobody/entries")).body["items"] == []


# Who may read ---------------------------------------------------------------------------------------------

VIEWED = {
    "leaderboard_id": "vips",
    "audience": {"view": {"players": ["friend"], "roles": ["vip"], "tags": ["beta"]}},
}


async def test_only_viewers_read(http: Http, service: FakeService) -> None:
    assert (await http.post("/v1/leaderboards", VIEWED)).status == 201
    assert (await http.post("/v1/leaderboards/vips/scores", {"player_id": "p1", "score": 5})).status == 200
    await http.send("PUT", "/v1/players/role", {"roles": ["vip"]})
    await http.send("PUT", "/v1/players/tag", {"tags": ["beta"]})
    await http.send("PUT", "/v1/players/wrong", {"roles": ["beta"], "tags": ["vip"]})
    board = "/v1/leaderboards/vips"
    reads = [
        f"{board}/rankings",
        f"{board}/players/p1",
        f"{board}/players/p1/around",
        f"{board}/rankings/at/3",
        f"{board}/distribution",
    ]
    lookup = {"player_ids": ["p1"]}
    for player_id, status in (("friend", 200), ("role", 200), ("tag", 200), ("wrong", 403), ("nobody", 403)):
        service.add_key(f"of-{player_id}", "rankings:read", player_id=player_id)
        bound = http.with_key(f"of-{player_id}")
        named = {"X-Player-Id": player_id}
        for path in reads:
            assert (await bound.get(path)).status == status, (player_id, path)
            assert (await http.send("GET", path, headers=named)).status == status, (player_id, path)
        assert (await bound.post(f"{board}/rankings/lookup", lookup)).status == status
        assert (await http.send("POST", f"{board}/rankings/lookup", lookup, named)).status == status
        for caller, headers in ((bound, {}), (http, named)):
            shown = await caller.send("GET", "/v1/players/p1/entries", headers=headers)
            boards = [item["leaderboard_id"] for item in shown.body["items"]]
            assert boards == (["vips"] if status == 200 else []), player_id
    assert all([(await http.get(path)).status == 200 for path in reads])  # nobody asks for a player
    service.add_key("both", "rankings:read", player_id="friend")
    both = await http.with_key("both").send("GET", reads[0], headers={"X-Player-Id": "nobody"})
    assert (both.status, both.code) == (403, "forbidden")
    refused = await http.send("GET", reads[0], headers={"X-Player-Id": "x" * 129})
    assert (refused.status, refused.loc) == (422, ["header", "X-Player-Id"])
