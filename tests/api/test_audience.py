"""Section 10: who is ranked, who may read, and the listing of players."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.api.boards import MakeBoard, unique
from tests.support.api.client import Api, eventually

MakeKey = Callable[..., dict[str, Any]]


def put(api: Api, player_id: str, **profile: Any) -> None:
    api.ok("PUT", f"/v1/players/{player_id}", profile)


# Listing players ------------------------------------------------------------------------------------------


def test_players_are_listed_by_search_tag_and_role(api: Api) -> None:
    tag, role, name = unique("tag"), unique("role"), unique("Name")
    ids = sorted(unique("p") for _ in range(5))
    for player_id in ids:
        put(api, player_id, display_name=f"{name} {player_id}", tags=[tag], roles=[role, "a/b"])
    put(api, ids[0], display_name=f"{name} {ids[0]}", tags=[tag])
    listed = api.listing("/v1/players", tag=tag, limit=2)
    assert [profile["player_id"] for profile in listed] == ids
    assert listed[1] == api.get(f"/v1/players/{ids[1]}")
    assert [p["player_id"] for p in api.listing("/v1/players", role=role, limit=3)] == ids[1:]
    assert [p["player_id"] for p in api.listing("/v1/players", search=name.upper(), limit=2)] == ids
    assert api.get("/v1/players", search=name, tag=tag, role=role)["total"] == 4
    assert api.get("/v1/players", tag=role) == {"items": [], "total": 0, "next_cursor": None}
    api.fails(422, "validation_failed", "GET", "/v1/players", params={"tag": "x" * 65})


# Who may read ---------------------------------------------------------------------------------------------


def test_reads_of_players_outside_the_audience_are_refused(
    api: Api, make_board: MakeBoard, make_key: MakeKey
) -> None:
    viewer, role = unique("v"), unique("role")
    board = make_board(audience={"view": {"roles": [role]}})
    board.submit_all({"a": 3, viewer: 2})
    bound = api.with_key(make_key("rankings:read", player_id=viewer)["key"])
    reads: list[tuple[str, str, Any]] = [
        ("GET", board.rankings, None),
        ("GET", board.player("a"), None),
        ("GET", board.player(viewer) + "/around", None),
        ("GET", f"{board.rankings}/at/1", None),
        ("GET", f"{board.path}/distribution", None),
        ("POST", f"{board.rankings}/lookup", {"player_ids": ["a"]}),
    ]

    def statuses() -> set[int]:
        asked = [bound.call(method, path, *([body] if body else [])) for method, path, body in reads]
        asked += [
            api.call(method, path, *([body] if body else []), headers={"X-Player-Id": viewer})
            for method, path, body in reads
        ]
        return {reply.status for reply in asked}

    def boards_of_a() -> set[str]:
        return {item["leaderboard_id"] for item in bound.get(f"/v1/players/{viewer}/entries")["items"]}

    eventually(lambda: statuses() == {403}, "every read is refused")
    assert boards_of_a() == set()
    put(api, viewer, roles=[role])
    eventually(lambda: statuses() == {200}, "every read is answered")
    assert boards_of_a() == {board.id}
    api.ok("PATCH", board.path, {"audience": {"view": {"roles": [], "players": ["a"]}}})
    eventually(lambda: statuses() == {403}, "the audience has changed")
    assert api.get(board.rankings)["total"] == 2


# Who is ranked --------------------------------------------------------------------------------------------


def test_only_the_audience_is_ranked(api: Api, make_board: MakeBoard) -> None:
    role, tag = unique("role"), unique("tag")
    vip, beta, friend, other = (unique(name) for name in ("vip", "beta", "friend", "other"))
    put(api, vip, roles=[role])
    put(api, beta, tags=[tag])
    board = make_board(
        windows=["daily"], audience={"rank": {"players": [friend], "roles": [role], "tags": [tag]}}
    )
    board.batch([{"player_id": p, "score": n} for n, p in enumerate((vip, beta, friend, other), 1)])
    ranked = {friend: 1, beta: 2, vip: 3}
    assert board.ranks() == board.ranks(window="daily") == ranked
    entry = board.entry(other)
    assert (entry["rank"], entry["score"], entry["total"], entry["percentile"]) == (None, 4, 3, None)
    single = board.submit(other, 9)
    assert (single["applied"], single["score"], single["rank"], single["previous_rank"]) == (
        True,
        9,
        None,
        None,
    )
    assert api.get(f"{board.rankings}/at/10")["rank"] == 1
    assert api.get(f"{board.path}/distribution")["max"] == 3
    around = api.get(board.player(other) + "/around")
    assert [(e["player_id"], e["rank"]) for e in around["entries"]] == [(other, None)]
    looked = api.ok("POST", f"{board.rankings}/lookup", {"player_ids": [other, vip]})["entries"]
    assert [(e["player_id"], e["rank"]) for e in looked] == [(vip, 3), (other, None)]


def test_changes_take_effect_before_they_are_answered(api: Api, make_board: MakeBoard) -> None:
    role, player_id = unique("role"), unique("p")
    board = make_board(timeframe={"type": "weekly"}, audience={"rank": {"roles": [role]}})
    board.submit_all({player_id: 5, "other": 9})
    assert board.ranks() == {}
    put(api, player_id, roles=[role])
    assert board.ranks() == {player_id: 1}
    api.ok("PATCH", f"/v1/players/{player_id}", {"roles": None})
    assert board.ranks() == {}
    board.patch(audience={"rank": {"players": ["other"]}})
    assert board.ranks() == {"other": 1}
    closed = board.force_close()["closed"]
    board.patch(audience={"rank": {"players": [], "roles": []}})
    assert board.ranks(period=closed["period_key"]) == {"other": 1}
    assert closed["entries"] == 1
    definition = board.definition()
    assert definition["audience"]["rank"] == {"players": [], "roles": [], "tags": []}


def test_test_players(api: Api, make_board: MakeBoard) -> None:
    tester = unique("tester")
    put(api, tester, test=True)
    plain, lab = make_board(), make_board(audience={"include_test_players": True})
    for board in (plain, lab):
        board.submit_all({tester: 5, "a": 3})
    assert (plain.ranks(), lab.ranks()) == ({"a": 1}, {tester: 1, "a": 2})
    put(api, tester)
    assert plain.ranks() == {tester: 1, "a": 2}


def test_audiences_that_are_refused(api: Api, make_board: MakeBoard) -> None:
    board = make_board(audience={"rank": {"roles": ["vip"]}})
    for audience, loc in (
        ({"rank": {"roles": [""]}}, ["body", "audience", "rank", "roles", 0]),
        ({"rank": {"clans": []}}, ["body", "audience", "rank", "clans"]),
        ({"view": {"players": ["p"] * 5001}}, ["body", "audience", "view", "players"]),
        ({"include_test_players": None}, ["body", "audience", "include_test_players"]),
        (None, ["body", "audience"]),
    ):
        error = api.fails(422, "validation_failed", "PATCH", board.path, {"audience": audience})
        assert error["details"][0]["loc"] == loc
    assert board.definition()["audience"]["rank"]["roles"] == ["vip"]
