"""Section 2: creating, reading, listing and refusing definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, unique
from tests.support.api.client import Api

EXAMPLE: dict[str, Any] = {
    "name": "Global Weekly XP",
    "description": "",
    "status": "active",
    "timeframe": {
        "type": "weekly",
        "timezone": "Europe/Rome",
        "reset_day": "monday",
        "reset_time": "00:00",
        "late_grace_seconds": 5,
        "retain_periods": 10,
        "retain_days": 30,
    },
    "windows": ["daily", "all_time"],
    "scoring": {"source": "scores", "aggregation": "best", "score_min": 0, "score_max": 1000000},
    "ranking": {
        "order": "desc",
        "subscore_order": "desc",
        "tie_breaking": "first",
        "rank_style": "ordinal",
        "max_entries": 100000,
        "min_score": 0,
    },
    "metadata": {"season": "autumn"},
}


@pytest.fixture(scope="module")
def untouched(make_board: MakeBoard) -> Iterator[Board]:
    """A permanent board whose definition no test may succeed in changing."""
    board = make_board()
    definition = board.definition()
    yield board
    assert board.definition() == definition


def contains(whole: Any, part: Any) -> bool:
    """Whether every field of `part` stands in `whole` with its value, objects compared field by field."""
    if isinstance(part, dict) and part and isinstance(whole, dict):
        return all(name in whole and contains(whole[name], value) for name, value in part.items())
    return type(whole) is type(part) and bool(whole == part)


def test_the_example_comes_back(api: Api) -> None:
    body = EXAMPLE | {"leaderboard_id": unique("xp-weekly-global")}
    made = api.ok("POST", "/v1/leaderboards", body, status=201)
    assert contains(made, body), made
    assert api.get(f"/v1/leaderboards/{body['leaderboard_id']}") == made


def test_defaults(api: Api) -> None:
    leaderboard_id = unique("bare")
    made = api.ok("POST", "/v1/leaderboards", {"leaderboard_id": leaderboard_id}, status=201)
    expected = {
        "leaderboard_id": leaderboard_id,
        "name": leaderboard_id,
        "status": "active",
        "timeframe": {"type": "permanent", "timezone": "UTC", "late_grace_seconds": 5, "retain_days": 400},
        "windows": [],
        "scoring": {"source": "scores", "aggregation": "best"},
        "ranking": {"order": "desc", "tie_breaking": "first", "rank_style": "ordinal"},
    }
    assert contains(made, expected), made
    absent = [
        ("scoring", "score_min"),
        ("scoring", "score_max"),
        ("ranking", "max_entries"),
        ("ranking", "min_score"),
    ]
    absent += [("timeframe", "starts_at"), ("timeframe", "ends_at")]
    assert [made[part].get(field) for part, field in absent] == [None] * len(absent)


def test_defaults_of_a_reset(make_board: MakeBoard) -> None:
    weekly = make_board(timeframe={"type": "weekly"}).definition()["timeframe"]
    monthly = make_board(timeframe={"type": "monthly"}).definition()["timeframe"]
    assert (weekly["reset_time"], weekly["reset_day"]) == ("00:00", "monday")
    assert (monthly["reset_time"], monthly["reset_date"]) == ("00:00", 1)


def test_a_timeframe_may_be_its_type_alone(api: Api) -> None:
    short, long = unique("short"), unique("long")
    made = api.ok("POST", "/v1/leaderboards", {"leaderboard_id": short, "timeframe": "weekly"}, status=201)
    zone = {"type": "weekly", "timezone": "Asia/Tokyo"}
    full = api.ok("POST", "/v1/leaderboards", {"leaderboard_id": long, "timeframe": zone}, status=201)
    assert made["timeframe"] == full["timeframe"] | {"timezone": "UTC"}
    patched = api.ok("PATCH", f"/v1/leaderboards/{long}", {"timeframe": "daily"})
    assert patched["timeframe"] == full["timeframe"] | {"type": "daily"}


def test_a_definition_carries_version_and_etag(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    reply = api.call("GET", board.path)
    assert type(reply.json["version"]) is int
    assert reply.headers["etag"].strip('W/"')


@pytest.mark.parametrize("leaderboard_id", ["a", "9", "A.b_c:d-e", "x" * 117])
def test_ids_that_pass(api: Api, leaderboard_id: str) -> None:
    leaderboard_id = (leaderboard_id + unique(""))[:128]
    made = api.ok("POST", "/v1/leaderboards", {"leaderboard_id": leaderboard_id}, status=201)
    assert api.get(f"/v1/leaderboards/{leaderboard_id}") == made


@pytest.mark.parametrize("leaderboard_id", ["", "-a", ".a", "a b", "a/b", "ü", "a" * 129, "a\n", 5, None])
def test_ids_that_are_refused(api: Api, leaderboard_id: Any) -> None:
    error = api.fails(
        422, "validation_failed", "POST", "/v1/leaderboards", {"leaderboard_id": leaderboard_id}
    )
    assert any("leaderboard_id" in detail["loc"] for detail in error["details"]), error


def test_an_id_is_required(api: Api) -> None:
    api.fails(422, "validation_failed", "POST", "/v1/leaderboards", {"name": "no id"})


def test_a_leaderboard_exists_once(api: Api, make_board: MakeBoard) -> None:
    api.fails(409, "leaderboard_exists", "POST", "/v1/leaderboards", {"leaderboard_id": make_board().id})


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("name", ""),
        ("name", "n" * 201),
        ("name", 5),
        ("status", "paused"),
        ("windows", ["main"]),
        ("windows", ["fortnightly"]),
        ("windows", "daily"),
        ("timeframe", "fortnightly"),
        ("timeframe", "cron"),
        ("timeframe", None),
        ("timeframe", {"type": "fortnightly"}),
        ("timeframe", {"type": "daily", "timezone": "Europe/Atlantis"}),
        ("timeframe", {"type": "daily", "timezone": "../UTC"}),
        ("timeframe", {"type": "daily", "reset_time": "24:00"}),
        ("timeframe", {"type": "daily", "reset_time": "noon"}),
        ("timeframe", {"type": "weekly", "reset_day": "someday"}),
        ("timeframe", {"type": "monthly", "reset_date": 0}),
        ("timeframe", {"type": "monthly", "reset_date": 32}),
        ("timeframe", {"type": "cron"}),
        ("timeframe", {"type": "cron", "cron": "61 * * * *"}),
        ("timeframe", {"type": "cron", "cron": "* * *"}),
        ("timeframe", {"type": "every"}),
        ("timeframe", {"type": "every", "every_seconds": 0}),
        ("timeframe", {"type": "every", "every_seconds": -5}),
        ("timeframe", {"type": "range"}),
        ("timeframe", {"type": "range", "starts_at": "2026-01-01T00:00:00Z"}),
        ("timeframe", {"type": "range", "ends_at": "2026-01-01T00:00:00Z"}),
        (
            "timeframe",
            {"type": "range", "starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"},
        ),
        ("timeframe", {"type": "daily", "starts_at": "2026-01-01T00:00:00"}),
        ("timeframe", {"type": "daily", "late_grace_seconds": -1}),
        ("timeframe", {"type": "daily", "late_grace_seconds": 86401}),
        ("timeframe", {"type": "daily", "retain_periods": -1}),
        ("timeframe", {"type": "daily", "retain_periods": 1001}),
        ("timeframe", {"type": "daily", "retain_days": -1}),
        ("timeframe", {"type": "daily", "retain_days": 3651}),
        ("scoring", {"source": "rumours"}),
        ("scoring", {"source": "metric"}),
        ("scoring", {"source": "events", "rules": []}),
        ("scoring", {"metric": "kills"}),
        ("scoring", {"filters": {"attrs.mode": {"eq": "ranked"}}}),
        ("scoring", {"aggregation": "median"}),
        ("scoring", {"score_min": "low"}),
        ("ranking", {"order": "up"}),
        ("ranking", {"subscore_order": "up"}),
        ("ranking", {"tie_breaking": "random"}),
        ("ranking", {"rank_style": "olympic"}),
        ("ranking", {"max_entries": 0}),
        ("ranking", {"max_entries": 100_000_001}),
        ("ranking", {"max_entries": 1.5}),
        ("ranking", {"min_score": "low"}),
    ],
)
def test_values_that_are_refused(api: Api, untouched: Board, part: str, value: Any) -> None:
    body = {"leaderboard_id": unique("refused"), part: value}
    error = api.fails(422, "validation_failed", "POST", "/v1/leaderboards", body)
    assert any(part in detail["loc"] for detail in error["details"]), error
    api.fails(404, "leaderboard_not_found", "GET", f"/v1/leaderboards/{body['leaderboard_id']}")
    api.fails(422, "validation_failed", "PATCH", untouched.path, {part: value})


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("name", "n" * 200),
        ("name", "Rückkehr 🎮"),
        ("status", "inactive"),
        ("windows", ["all_time", "yearly", "monthly", "weekly", "daily"]),
        ("timeframe", {"type": "daily", "reset_time": "06:30:15"}),
        ("timeframe", {"type": "monthly", "reset_date": 31}),
        ("timeframe", {"type": "daily", "late_grace_seconds": 86400, "retain_periods": 1000}),
        ("timeframe", {"type": "daily", "late_grace_seconds": 0, "retain_periods": 0, "retain_days": 0}),
        ("timeframe", {"type": "cron", "cron": "*/5 2-4 1,15 * mon"}),
        ("scoring", {"score_min": -1.5, "score_max": 1e300}),
        ("ranking", {"max_entries": 1}),
        ("ranking", {"max_entries": 100_000_000}),
        ("ranking", {"min_score": -0.5}),
    ],
)
def test_values_that_pass(make_board: MakeBoard, part: str, value: Any) -> None:
    body = {part: value} if part == "timeframe" else {"timeframe": {"type": "hourly"}, part: value}
    assert contains(make_board(**body).definition(), {part: value})


def test_times_of_a_timeframe_leave_in_utc(make_board: MakeBoard) -> None:
    frame = {"type": "range", "starts_at": "2026-01-01T01:00:00+01:00", "ends_at": "2055-01-01T00:00:00Z"}
    got = make_board(timeframe=frame).definition()["timeframe"]
    assert (got["starts_at"], got["ends_at"]) == ("2026-01-01T00:00:00.000Z", "2055-01-01T00:00:00.000Z")


@pytest.mark.parametrize("kind", ["yearly", "monthly", "weekly", "daily", "hourly"])
def test_a_window_may_not_repeat_the_main_type(api: Api, kind: str) -> None:
    body = {"leaderboard_id": unique("w"), "timeframe": {"type": kind}, "windows": ["all_time", kind]}
    api.fails(422, "validation_failed", "POST", "/v1/leaderboards", body)


MATCH = {"event_type": "match", "points_expression": "attrs.kills * 10"}
RANKED = {"attrs.mode": {"in": ["ranked"]}}


@pytest.mark.parametrize(
    "scoring",
    [
        {"source": "metric", "metric": "kills", "basis": "balance", "filters": {"metadata.x": {"eq": 1}}},
        {"source": "events", "rules": [{**MATCH, "conditions": RANKED}], "filters": RANKED, "backfill": True},
    ],
)
def test_sources_other_than_scores(api: Api, make_board: MakeBoard, scoring: dict[str, Any]) -> None:
    board = make_board(scoring=scoring)
    assert contains(board.definition()["scoring"], scoring)
    api.fails(422, "validation_failed", "PATCH", board.path, {"scoring": {"source": "scores"}})
    item = {"player_id": "p1", "score": 1}
    api.fails(409, "leaderboard_not_writable", "POST", board.scores, item)
    routed = api.ok("POST", "/v1/scores", [{"leaderboard_id": board.id, **item}])
    assert [error["code"] for error in routed["errors"]] == ["leaderboard_not_writable"]
    entries = {"entries": [item]}
    api.fails(409, "leaderboard_not_writable", "POST", f"{board.path}/entries/import", entries)
    patched = board.patch(scoring={"filters": {}})
    assert patched["scoring"] == {**board.definition()["scoring"], "filters": {}}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"filters": {"attrs.mode": {"near": 1}}}, ["filters", "attrs.mode", "near"]),
        ({"rules": [MATCH, {**MATCH, "points_expression": "9**9**9"}]}, ["rules", 1, "points_expression"]),
    ],
)
def test_the_place_of_a_wrong_rule_is_named(api: Api, change: dict[str, Any], place: list[Any]) -> None:
    scoring = {"source": "events", "rules": [MATCH], **change}
    body = {"leaderboard_id": unique("rules"), "scoring": scoring}
    error = api.fails(422, "validation_failed", "POST", "/v1/leaderboards", body)
    assert [detail["loc"] for detail in error["details"]] == [["body", "scoring", *place]]


# Listings


def test_listing_by_pages(api: Api, make_board: MakeBoard, make_tenant: Callable[[], str]) -> None:
    there = api.in_tenant(make_tenant())
    assert there.get("/v1/leaderboards") == {"items": [], "total": 0, "next_cursor": None}
    made = sorted(make_board(there).id for _ in range(7))
    for limit in (1, 3, 7, None):
        listed = [item["leaderboard_id"] for item in there.listing("/v1/leaderboards", limit=limit)]
        assert sorted(listed) == made, limit
    page = there.get("/v1/leaderboards", limit=3)
    assert (len(page["items"]), page["total"]) == (3, 7)


def test_the_default_page_has_20(api: Api, make_board: MakeBoard, make_tenant: Callable[[], str]) -> None:
    there = api.in_tenant(make_tenant())
    for _ in range(21):
        make_board(there)
    page = there.get("/v1/leaderboards")
    assert (len(page["items"]), page["total"], page["next_cursor"] is None) == (20, 21, False)


def test_items_are_definitions(api: Api, make_board: MakeBoard, make_tenant: Callable[[], str]) -> None:
    board = make_board(api.in_tenant(make_tenant()), description="as a whole")
    assert board.api.listing("/v1/leaderboards") == [board.definition()]


def test_filters(api: Api, make_board: MakeBoard, make_tenant: Callable[[], str]) -> None:
    there = api.in_tenant(make_tenant())
    gold = make_board(there, name="Gold rush")
    silver = make_board(there, name="Silver rush", status="inactive")
    bronze = make_board(there, name="Bronze")
    assert there.call("DELETE", bronze.path).status in (200, 204)

    def found(**params: Any) -> set[str]:
        return {item["leaderboard_id"] for item in there.listing("/v1/leaderboards", **params)}

    assert found(status="active") == {gold.id}
    assert found(status="inactive") == {silver.id}
    assert found(status="archived") == {bronze.id}
    assert found(search=gold.id) == {gold.id}
    assert found(search="rush", limit=1) == {gold.id, silver.id}
    assert found(search="rush", status="inactive") == {silver.id}
    assert found(search="nothing-like-it") == set()
    there.fails(422, "validation_failed", "GET", "/v1/leaderboards", params={"status": "paused"})


def test_a_foreign_cursor_is_refused(api: Api) -> None:
    api.fails(422, "validation_failed", "GET", "/v1/leaderboards", params={"cursor": "made-up"})


def test_an_unknown_leaderboard(api: Api) -> None:
    path = "/v1/leaderboards/no-such"
    requests: list[tuple[str, str, tuple[Any, ...]]] = [
        ("GET", "", ()),
        ("PATCH", "", ({"name": "x"},)),
        ("DELETE", "", ()),
        ("GET", "/periods", ()),
        ("GET", "/periods/all_time", ()),
        ("POST", "/periods", ({"starts_at": "2026-01-01T00:00:00Z"},)),
        ("POST", "/periods/current/close", ({},)),
        ("POST", "/scores", ({"player_id": "p1", "score": 1},)),
        ("GET", "/rankings", ()),
        ("GET", "/players/p1", ()),
        ("DELETE", "/players/p1", ()),
        ("GET", "/players/p1/around", ()),
        ("POST", "/rankings/lookup", ({"player_ids": ["p1"]},)),
        ("GET", "/rankings/at/1", ()),
        ("GET", "/distribution", ()),
    ]
    for method, suffix, more in requests:
        api.fails(404, "leaderboard_not_found", method, path + suffix, *more)
