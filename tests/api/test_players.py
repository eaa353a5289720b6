"""Sections 5 and 3, one player: entries across boards, deleting an entry, profiles, erasure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, unique
from tests.support.api.client import Api, eventually

# Entries across leaderboards


def entries(api: Api, player_id: str, **params: Any) -> list[dict[str, Any]]:
    answer = api.get(f"/v1/players/{player_id}/entries", **params)
    assert set(answer) >= {"player_id", "items"}
    assert answer["player_id"] == player_id
    items: list[dict[str, Any]] = answer["items"]
    return items


def test_entries_across_boards(api: Api, make_board: MakeBoard) -> None:
    player_id = unique("p")
    first, second, without = make_board(), make_board(ranking={"order": "asc"}), make_board()
    for board in (first, second, without):
        board.submit_all({"a": 10, "b": 20, "c": 30})
    first.submit(player_id, 25, subscore=1, metadata={"m": 1})
    second.submit(player_id, 25)
    items = {item["leaderboard_id"]: item for item in entries(api, player_id, window="main")}
    assert set(items) == {first.id, second.id}
    for board, rank, percentile in ((first, 2, 50.0), (second, 3, 25.0)):
        item = items[board.id]
        assert (item["window"], item["period_key"], item["total"]) == ("main", "all_time", 4)
        assert (item["rank"], item["score"], item["percentile"]) == (rank, 25, percentile)
    assert (items[first.id]["subscore"], items[first.id]["metadata"]) == (1, {"m": 1})


def test_entries_in_a_window(api: Api, make_board: MakeBoard) -> None:
    player_id = unique("p")
    board = make_board(timeframe={"type": "weekly"}, windows=["all_time"])
    board.submit(player_id, 5)
    board.force_close()
    (item,) = entries(api, player_id, window="all_time")
    assert (item["leaderboard_id"], item["window"], item["period_key"]) == (board.id, "all_time", "all_time")
    assert entries(api, player_id, window="main") == []
    (before,) = entries(api, player_id, window="main", period="previous")
    assert (before["leaderboard_id"], before["score"], before["window"]) == (board.id, 5, "main")


# Deleting an entry


def test_deleting_an_entry(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "weekly"}, windows=["all_time", "yearly"])
    board.submit_all({"a": 30, "b": 20, "c": 10})
    removed = api.ok("DELETE", board.player("b"))["removed"]
    assert sorted(entry["window"] for entry in removed) == ["all_time", "main", "yearly"]
    for entry in removed:
        assert (entry["player_id"], entry["score"]) == ("b", 20)
        assert entry["period_key"] == board.current(entry["window"])["period_key"]
        assert board.ranks(window=entry["window"]) == {"a": 1, "c": 2}
    api.fails(404, "entry_not_found", "GET", board.player("b"))
    api.fails(404, "entry_not_found", "DELETE", board.player("b"))
    answer = board.submit("b", 5)
    assert (answer["applied"], answer["previous_score"], answer["rank"]) == (True, None, 3)


def test_deleting_an_entry_of_one_window(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "weekly"}, windows=["all_time"])
    board.submit_all({"a": 30, "b": 20})
    removed = api.ok("DELETE", board.player("a"), params={"window": "all_time"})["removed"]
    assert [(entry["window"], entry["period_key"]) for entry in removed] == [("all_time", "all_time")]
    assert (board.ranks(window="all_time"), board.ranks()) == ({"b": 1}, {"a": 1, "b": 2})
    api.fails(404, "entry_not_found", "DELETE", board.player("a"), params={"window": "all_time"})
    removed = api.ok("DELETE", board.player("a"))["removed"]
    assert [entry["window"] for entry in removed] == ["main"]
    api.fails(404, "entry_not_found", "DELETE", board.player("nobody"))


def test_deleting_an_entry_moves_the_seq(api: Api, make_board: MakeBoard) -> None:
    """Else `If-None-Match` would go on hiding that somebody left."""
    board = make_board()
    board.submit_all({"a": 30, "b": 20})
    before = api.call("GET", board.rankings)
    api.ok("DELETE", board.player("a"))
    after = api.call("GET", board.rankings, headers={"If-None-Match": before.headers["etag"]})
    assert (after.status, after.json["total"]) == (200, 1)
    assert after.json["as_of_seq"] > before.json["as_of_seq"]


# Profiles


def put(api: Api, player_id: str, **profile: Any) -> None:
    assert api.call("PUT", f"/v1/players/{player_id}", profile).status in (200, 201, 204)


def eventually_shown(board: Board, player_id: str, name: str | None) -> None:
    """A profile may take a moment to reach the boards."""

    def shown() -> bool:
        names = {entry["player_id"]: entry["display_name"] for entry in board.page()["entries"]}
        return bool(names[player_id] == name and board.entry(player_id)["display_name"] == name)

    eventually(shown, f"{player_id} is shown as {name!r}")


def test_the_name_of_a_profile_is_shown(api: Api, make_board: MakeBoard) -> None:
    player_id, board = unique("p"), make_board()
    board.submit(player_id, 5)
    board.submit("other", 4)
    eventually_shown(board, player_id, None)
    put(api, player_id, display_name="Maya")
    eventually_shown(board, player_id, "Maya")
    eventually_shown(board, "other", None)
    put(api, player_id, display_name="Maya 漢 🎮")
    eventually_shown(board, player_id, "Maya 漢 🎮")
    around = api.get(board.player(player_id) + "/around")["entries"]
    lookup = api.ok("POST", f"{board.rankings}/lookup", {"player_ids": [player_id]})["entries"]
    assert [around[0]["display_name"], lookup[0]["display_name"]] == ["Maya 漢 🎮"] * 2


def test_a_profile_before_the_first_score(api: Api, make_board: MakeBoard) -> None:
    player_id, board = unique("p"), make_board()
    put(api, player_id, display_name="Early")
    board.submit(player_id, 5)
    eventually_shown(board, player_id, "Early")


def test_all_fields_of_a_profile_are_taken(api: Api) -> None:
    put(
        api,
        unique("p"),
        display_name="Maya",
        avatar_url="https://example.com/a.png",
        attributes={"country": "IT", "level": 7},
        roles=["moderator"],
        tags=["beta", "eu"],
        hidden_until="2020-01-01T00:00:00Z",
    )


@pytest.mark.parametrize(
    "profile",
    [{"display_name": 5}, {"attributes": "x"}, {"roles": "x"}, {"tags": 5}, {"hidden_until": "later"}],
)
def test_profiles_that_are_refused(api: Api, profile: dict[str, Any]) -> None:
    api.fails(422, "validation_failed", "PUT", f"/v1/players/{unique('p')}", profile)


@pytest.mark.parametrize("player_id", ["p" * 129, "a%0Ab"])
def test_player_ids_of_profiles_that_are_refused(api: Api, player_id: str) -> None:
    api.fails(422, "validation_failed", "PUT", f"/v1/players/{player_id}", {"display_name": "x"})


MAYA = {
    "display_name": "Maya",
    "avatar_url": "https://example.com/a.png",
    "attributes": {"country": "IT", "guild": {"name": "owls", "rank": 3}},
    "roles": ["moderator"],
    "tags": ["beta"],
}


def own_fields(profile: dict[str, Any]) -> dict[str, Any]:
    return {name: profile[name] for name in MAYA}


def test_a_patch_changes_what_it_names(api: Api, make_board: MakeBoard) -> None:
    player_id, board = unique("p"), make_board()
    path = f"/v1/players/{player_id}"
    board.submit(player_id, 5)
    api.ok("PUT", path, MAYA)
    renamed = api.ok("PATCH", path, {"display_name": "Maya the Great"})
    assert own_fields(renamed) == {**MAYA, "display_name": "Maya the Great"}
    assert api.get(path) == renamed
    eventually_shown(board, player_id, "Maya the Great")
    change = {
        "attributes": {"country": None, "guild": {"rank": 4}, "level": 7},
        "tags": ["eu"],
        "roles": None,
    }
    merged = api.ok("PATCH", path, change)
    assert own_fields(merged) == {
        **MAYA,
        "display_name": "Maya the Great",
        "attributes": {"guild": {"name": "owls", "rank": 4}, "level": 7},
        "roles": [],
        "tags": ["eu"],
    }
    assert api.ok("PATCH", path, {"attributes": None, "avatar_url": None})["attributes"] == {}


def test_a_patch_makes_a_profile(api: Api) -> None:
    """Players are there without one, as soon as they have a score."""
    path = f"/v1/players/{unique('p')}"
    made = api.ok("PATCH", path, {"display_name": "Maya"})
    assert (made["display_name"], made["attributes"], made["tags"]) == ("Maya", {}, [])
    assert api.get(path) == made


@pytest.mark.parametrize(
    "patch",
    [
        {"nickname": "x"},
        {"nickname": None},
        {"display_name": ""},
        {"attributes": 5},
        {"attributes": {"more": "x" * 4096}},
        {"tags": "x"},
        {"hidden_until": "later"},
    ],
)
def test_a_patch_that_is_refused_changes_nothing(api: Api, patch: dict[str, Any]) -> None:
    path = f"/v1/players/{unique('p')}"
    before = api.ok("PUT", path, MAYA)
    api.fails(422, "validation_failed", "PATCH", path, {"display_name": "x", **patch})
    assert api.get(path) == before


def test_profiles_change_under_if_match(api: Api) -> None:
    path = f"/v1/players/{unique('p')}"
    api.fails(412, "version_mismatch", "PATCH", path, {"display_name": "x"}, headers={"If-Match": "*"})
    first = api.call("PUT", path, MAYA)
    read = api.call("GET", path)
    tag = read.headers["etag"]
    assert first.headers["etag"] == tag == f'"{read.json["version"]}"'
    assert api.call("GET", path, headers={"If-None-Match": tag}).status == 304
    second = api.call("PATCH", path, {"tags": ["eu"]}, headers={"If-Match": tag})
    assert second.status == 200 and second.headers["etag"] != tag
    for method, body in (("PATCH", {"tags": []}), ("PUT", {"display_name": "Mine"})):
        api.fails(412, "version_mismatch", method, path, body, headers={"If-Match": tag})
    assert api.get(path) == second.json
    many = {"If-Match": f"{tag}, {second.headers['etag']}"}
    assert api.call("PUT", path, {"display_name": "Mine"}, headers=many).status == 200
    assert api.call("PATCH", path, {"tags": ["x"]}, headers={"If-Match": "*"}).status == 200


def test_a_hiding_changes_the_tag_of_a_profile(api: Api) -> None:
    path = f"/v1/players/{unique('p')}"
    tag = api.call("PUT", path, MAYA).headers["etag"]
    api.ok("POST", f"{path}/hide")
    assert api.call("GET", path, headers={"If-None-Match": tag}).status == 200
    api.fails(412, "version_mismatch", "PATCH", path, {"tags": []}, headers={"If-Match": tag})


# Erasure


def erase(api: Api, player_id: str) -> None:
    assert api.call("DELETE", f"/v1/players/{player_id}").status in (200, 202, 204)


def test_erasure_takes_entries_and_profile(api: Api, make_board: MakeBoard) -> None:
    player_id = unique("p")
    boards = [make_board(timeframe={"type": "weekly"}, windows=["all_time"]) for _ in range(2)]
    put(api, player_id, display_name="Gone Soon")
    for board in boards:
        board.submit_all({"a": 30, player_id: 20, "c": 10})
    eventually_shown(boards[0], player_id, "Gone Soon")
    erase(api, player_id)

    def gone() -> bool:
        return all(
            player_id not in board.ranks(window=window) for board in boards for window in ("main", "all_time")
        )

    eventually(gone, "the entries are gone")
    for board in boards:
        assert board.ranks() == board.ranks(window="all_time") == {"a": 1, "c": 2}
        api.fails(404, "entry_not_found", "GET", board.player(player_id))
    answer = boards[0].submit(player_id, 5)
    assert (answer["previous_score"], answer["rank"]) == (None, 3)
    eventually_shown(boards[0], player_id, None)


def test_erasure_leaves_an_anonymous_entry_in_closed_periods(api: Api, make_board: MakeBoard) -> None:
    player_id, board = unique("p"), make_board()
    put(api, player_id, display_name="Secret Name")
    board.batch(
        [
            {"player_id": "a", "score": 30},
            {"player_id": player_id, "score": 20, "metadata": {"mail": "secret@example.com"}},
            {"player_id": "c", "score": 10},
        ]
    )
    key = board.force_close()["closed"]["period_key"]
    erase(api, player_id)

    def anonymous() -> bool:
        page = str(board.page(period=key))
        return not any(trace in page for trace in (player_id, "Secret Name", "secret@example.com"))

    eventually(anonymous, "no trace of the player is left")
    page = board.page(period=key)
    assert page["total"] == 3
    assert [(entry["rank"], entry["score"]) for entry in page["entries"]] == [(1, 30), (2, 20), (3, 10)]
    assert (page["entries"][0]["player_id"], page["entries"][2]["player_id"]) == ("a", "c")
    api.fails(404, "entry_not_found", "GET", board.player(player_id), params={"period": key})


def test_erasure_stays_in_its_tenant(api: Api, make_board: MakeBoard, make_tenant: Callable[[], str]) -> None:
    boards = [make_board(api.in_tenant(make_tenant())) for _ in range(2)]
    for board in boards:
        board.submit("p1", 1)
    erase(boards[0].api, "p1")
    eventually(lambda: boards[0].page()["total"] == 0, "the entry is gone")
    assert boards[1].standings() == [(1, "p1", 1)]
