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
