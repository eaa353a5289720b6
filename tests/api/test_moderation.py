"""Moderation over HTTP: hidden players, entries removed, edited and restored, the audit log, who may do what.

What it does to rankings in every case is in `tests/unit/core/test_period.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, ahead, unique
from tests.support.api.client import Api

MakeTenant = Callable[[], str]
MakeKey = Callable[..., dict[str, Any]]


@pytest.fixture
def board(make_board: MakeBoard) -> Board:
    """Two windows; ada 9, bob 5, cyd 3, with ids of this test's own."""
    made = make_board(windows=["daily"])
    made.api.ok("POST", made.scores, [{"player_id": f"{n}@{made.id}", "score": s} for n, s in SCORES.items()])
    return made


SCORES = {"ada": 9, "bob": 5, "cyd": 3}


def who(board: Board, name: str) -> str:
    return f"{name}@{board.id}"


def order(board: Board, window: str = "main") -> list[str]:
    page = board.api.ok("GET", f"{board.rankings}?window={window}")
    assert page["total"] == len(page["entries"])
    assert [entry["rank"] for entry in page["entries"]] == list(range(1, page["total"] + 1))
    return [entry["player_id"].partition("@")[0] for entry in page["entries"]]


def entry_path(board: Board, name: str) -> str:
    return f"{board.path}/players/{who(board, name)}"


def player_path(board: Board, name: str) -> str:
    return f"/v1/players/{who(board, name)}"


# Hidden players -------------------------------------------------------------------------------------------


def test_hide_and_unhide(api: Api, board: Board) -> None:
    hidden = api.ok("POST", f"{player_path(board, 'ada')}/hide", {"reason": "speed hack"})
    assert (hidden["hidden"], hidden["until"], hidden["reason"]) == (True, None, "speed hack")
    for window in ("main", "daily"):
        assert order(board, window) == ["bob", "cyd"]
    entry = api.ok("GET", entry_path(board, "ada"))
    assert (entry["rank"], entry["percentile"], entry["total"], entry["score"]) == (None, None, 2, 9)
    found = api.ok("POST", f"{board.rankings}/lookup", {"player_ids": [who(board, "ada"), who(board, "cyd")]})
    assert [e["rank"] for e in found["entries"]] == [2, None] and found["not_found"] == []
    outcome = api.ok("POST", board.scores, {"player_id": who(board, "ada"), "score": 20})
    assert (outcome["applied"], outcome["score"], outcome["rank"]) == (True, 20, None)
    listed = [h["player_id"] for h in api.listing("/v1/hidden-players")]
    assert who(board, "ada") in listed
    shown = api.ok("POST", f"{player_path(board, 'ada')}/unhide")
    assert shown["hidden"] is False
    assert order(board) == order(board, "daily") == ["ada", "bob", "cyd"]
    assert who(board, "ada") not in [h["player_id"] for h in api.listing("/v1/hidden-players")]


def test_hidden_until_of_a_profile(api: Api, board: Board) -> None:
    until = ahead(3600)
    put = api.ok("PUT", player_path(board, "ada"), {"display_name": "Ada", "hidden_until": until})
    assert order(board) == ["bob", "cyd"]
    kept = api.ok("PUT", player_path(board, "ada"), {"display_name": "Ada L."})
    assert kept["hidden_until"] == put["hidden_until"] and order(board) == ["bob", "cyd"]
    shown = api.ok("PUT", player_path(board, "ada"), {"display_name": "Ada", "hidden_until": None})
    assert shown["hidden_until"] is None and order(board) == ["ada", "bob", "cyd"]


def test_a_profile_and_the_list_of_hidden_players_say_the_same(api: Api, board: Board) -> None:
    path = player_path(board, "ada")

    def both() -> tuple[str | None, list[str | None]]:
        listed = [
            h["until"] for h in api.listing("/v1/hidden-players") if h["player_id"] == who(board, "ada")
        ]
        return api.get(path)["hidden_until"], listed

    api.ok("PUT", path, {"display_name": "Ada"})
    assert both() == (None, [])
    until = api.ok("POST", f"{path}/hide", {"until": ahead(3600), "reason": "speed hack"})["until"]
    assert both() == (until, [until])
    later = api.ok("PATCH", path, {"hidden_until": ahead(7200)})["hidden_until"]
    assert both() == (later, [later]) and later > until
    (hidden,) = [h for h in api.listing("/v1/hidden-players") if h["player_id"] == who(board, "ada")]
    assert hidden["reason"] == "speed hack" and hidden["since"] is not None
    api.ok("POST", f"{path}/hide")
    for_good, listed = both()
    assert (for_good, listed) == ("2999-12-31T23:59:59.999Z", [None])
    api.ok("PUT", path, {"display_name": "Ada L.", "hidden_until": for_good})
    assert both() == (for_good, [None]), "what was read and is written back changes nothing"
    assert api.ok("PATCH", path, {"hidden_until": None})["hidden_until"] is None
    assert both() == (None, []) and order(board) == ["ada", "bob", "cyd"]
    newest, *_ = api.listing(f"/v1/audit?player_id={who(board, 'ada')}")
    assert (newest["act"], newest["details"]["after"]) == ("player.update", None)
    assert newest["details"]["before"] == for_good and newest["details"]["fields"] == ["hidden_until"]


def test_a_hiding_that_is_refused(api: Api, board: Board) -> None:
    path = f"{player_path(board, 'ada')}/hide"
    for body in ({"until": ahead(-60)}, {"until": "soon"}, {"untill": None}, {"reason": "x" * 501}):
        api.fails(422, "validation_failed", "POST", path, body)
    assert order(board) == ["ada", "bob", "cyd"]


# Entries --------------------------------------------------------------------------------------------------


def test_remove_and_restore(api: Api, board: Board) -> None:
    before = api.ok("GET", entry_path(board, "bob"))
    removed = api.ok("DELETE", f"{entry_path(board, 'bob')}?reason=cheat")["removed"]
    assert [(e["window"], e["rank"], e["score"]) for e in removed] == [("main", 2, 5), ("daily", 2, 5)]
    assert order(board) == ["ada", "cyd"]
    restored = api.ok("POST", f"{entry_path(board, 'bob')}/restore", {"reason": "mistake"})["restored"]
    assert [(e["window"], e["rank"]) for e in restored] == [("main", 2), ("daily", 2)]
    after = api.ok("GET", entry_path(board, "bob"))
    assert {**after, "as_of_seq": 0} == {**before, "as_of_seq": 0}
    api.fails(409, "entry_exists", "POST", f"{entry_path(board, 'bob')}/restore")
    api.fails(404, "entry_not_found", "POST", f"{entry_path(board, 'eve')}/restore")


def test_edit(api: Api, board: Board) -> None:
    edit = {"score": 4, "metadata": {"checked": True}, "reason": "broken event"}
    answer = api.ok("PATCH", f"{entry_path(board, 'ada')}?window=main", edit)
    (before,), (after,) = answer["before"], answer["after"]
    assert (before["rank"], before["score"], before["metadata"]) == (1, 9, None)
    assert (after["rank"], after["score"], after["metadata"]) == (2, 4, {"checked": True})
    assert order(board) == ["bob", "ada", "cyd"] and order(board, "daily") == ["ada", "bob", "cyd"]
    both = api.ok("PATCH", entry_path(board, "ada"), {"score": 1, "subscore": 2, "reason": "again"})
    assert [(e["window"], e["score"], e["subscore"]) for e in both["after"]] == [
        ("main", 1, 2),
        ("daily", 1, 2),
    ]
    assert order(board) == ["bob", "cyd", "ada"]
    api.fails(404, "entry_not_found", "PATCH", entry_path(board, "eve"), edit)
    for body in ({"score": 1}, {"reason": "r"}, {"score": "1", "reason": "r"}, {**edit, "rank": 1}):
        api.fails(422, "validation_failed", "PATCH", entry_path(board, "ada"), body)


# The audit log --------------------------------------------------------------------------------------------


def test_the_log_says_who_and_why(api: Api, board: Board, make_key: MakeKey) -> None:
    key = make_key("leaderboards:write", "scores:write")
    moderator = api.with_key(key["key"])
    moderator.ok("PATCH", f"{entry_path(board, 'ada')}?window=main", {"score": 4, "reason": "bug"})
    moderator.ok("DELETE", f"{entry_path(board, 'ada')}?reason=cheat")
    log = api.listing(f"/v1/audit?target={board.id}")
    assert [record["act"] for record in log] == ["entry.remove", "entry.edit", "leaderboard.create"]
    removed, edited, _ = log
    for record in (removed, edited):
        assert (record["key_id"], record["key_name"]) == (key["key_id"], key["name"])
        assert (record["player_id"], record["details"]["outcome"]) == (who(board, "ada"), "done")
        assert record["request_id"]
    assert (edited["reason"], removed["reason"]) == ("bug", "cheat")
    assert [e["score"] for e in edited["details"]["before"]] == [9]
    assert [e["score"] for e in edited["details"]["after"]] == [4]
    assert api.listing(f"/v1/audit?act=entry.edit&player_id={who(board, 'ada')}") == [edited]
    assert api.listing(f"/v1/audit?target={board.id}&until={edited['at']}") == log[2:]
    assert api.listing(f"/v1/audit?target={board.id}&since={ahead(3600)}") == []
    first = api.ok("GET", f"/v1/audit?target={board.id}&limit=2")
    assert (first["total"], first["items"]) == (3, log[:2])
    rest = api.ok("GET", f"/v1/audit?target={board.id}&limit=2&cursor={first['next_cursor']}")
    assert (rest["items"], rest["next_cursor"]) == (log[2:], None)


def test_a_tenants_log_is_its_own(api: Api, make_tenant: MakeTenant, make_key: MakeKey) -> None:
    tenant_id = make_tenant()
    own = api.with_key(make_key("leaderboards:write", tenant_id=tenant_id)["key"])
    name = unique("b")
    own.ok("POST", "/v1/leaderboards", {"leaderboard_id": name}, status=201)
    assert [record["act"] for record in own.listing("/v1/audit")] == ["leaderboard.create", "key.create"]
    assert api.listing(f"/v1/audit?target={name}") == []


def test_who_may(api: Api, board: Board, make_key: MakeKey) -> None:
    player = who(board, "ada")
    scores = api.with_key(make_key("scores:write")["key"])
    bound = api.with_key(make_key("scores:write", "players:write", player_id=player)["key"])
    edit = {"score": 1, "reason": "r"}
    for key in (scores, bound):
        key.fails(403, "forbidden", "PATCH", entry_path(board, "ada"), edit)
        key.fails(403, "forbidden", "POST", f"{entry_path(board, 'ada')}/restore")
        key.fails(403, "forbidden", "POST", f"{player_path(board, 'ada')}/hide")
        key.fails(403, "forbidden", "POST", f"{player_path(board, 'ada')}/unhide")
        key.fails(403, "forbidden", "GET", "/v1/audit")
    scores.ok("DELETE", entry_path(board, "bob"))
    bound.ok("DELETE", entry_path(board, "ada"))
    bound.fails(403, "forbidden", "DELETE", entry_path(board, "cyd"))


def test_a_player_cannot_unhide_itself(api: Api, board: Board, make_key: MakeKey) -> None:
    player = who(board, "ada")
    bound = api.with_key(make_key("players:write", player_id=player)["key"])
    bound.fails(403, "forbidden", "GET", "/v1/hidden-players")
    api.ok("PUT", player_path(board, "ada"), {"hidden_until": ahead(3600)})
    bound.fails(403, "forbidden", "PUT", player_path(board, "ada"), {"hidden_until": ahead(60)})
    kept = bound.ok("PUT", player_path(board, "ada"), {"display_name": "Ada"})
    assert kept["hidden_until"] is not None and order(board) == ["bob", "cyd"]
    for method in ("PUT", "PATCH"):
        bound.fails(403, "forbidden", method, player_path(board, "ada"), {"hidden_until": None})
    written_back = {"display_name": "Ada L.", "hidden_until": kept["hidden_until"]}
    assert bound.ok("PATCH", player_path(board, "ada"), written_back)["display_name"] == "Ada L."
    bound.fails(403, "forbidden", "PATCH", player_path(board, "bob"), {"display_name": "Bob"})
    assert order(board) == ["bob", "cyd"]


# Erasure --------------------------------------------------------------------------------------------------


def test_an_erased_player_leaves_no_name(api: Api, board: Board) -> None:
    api.ok("POST", f"{player_path(board, 'ada')}/hide", {"reason": "cheat"})
    api.ok("DELETE", entry_path(board, "ada"))
    api.ok("POST", board.scores, {"player_id": who(board, "ada"), "score": 20})
    api.ok("POST", f"{board.path}/periods/current/close?window=main")
    erased = api.ok("DELETE", player_path(board, "ada"))
    assert erased["erased_entries"] == 2, "one in the closed period, one in the window that goes on"
    assert who(board, "ada") not in [h["player_id"] for h in api.listing("/v1/hidden-players")]
    log = api.listing(f"/v1/audit?target={board.id}")
    assert all(who(board, "ada") not in repr(record) for record in log)
    assert api.listing(f"/v1/audit?player_id={who(board, 'ada')}") == []
    api.fails(404, "player_not_found", "DELETE", player_path(board, "ada"))
    api.fails(404, "entry_not_found", "POST", f"{entry_path(board, 'ada')}/restore?window=daily")


# Imports --------------------------------------------------------------------------------------------------


def test_an_import_puts_back_what_was_there(api: Api, make_board: MakeBoard) -> None:
    scoring = {"scoring": {"aggregation": "sum"}}
    old, new = make_board(windows=["daily"], **scoring), make_board(windows=["daily"], **scoring)
    for player_id, score in (("ada", 5), ("bob", 7), ("cyd", 7), ("ada", 2), ("bob", 0)):
        old.submit(player_id, score, metadata={"turn": score})
    fields = ("player_id", "score", "subscore", "metadata", "submissions", "first_at", "updated_at")
    entries = [{name: entry[name] for name in fields} for entry in old.page()["entries"]]
    told = {"entries": entries, "period_key": "all_time"}
    first = api.ok("POST", f"{new.path}/entries/import", told)
    assert (first["imported"], first["rejected"], first["period_key"]) == (3, 0, "all_time")
    again = api.ok("POST", f"{new.path}/entries/import", told)
    assert (again["imported"], again["unchanged"], again["rejected"]) == (0, 3, 0)
    assert [{**e, "change": None} for e in new.page()["entries"]] == [
        {**e, "change": None} for e in old.page()["entries"]
    ]
    assert new.page(window="daily")["entries"] == [], "each window is imported by itself"
    new.submit("ada", 1)
    kept = api.ok("POST", f"{new.path}/entries/import", told)
    assert [error["code"] for error in kept["errors"]] == ["entry_exists"]
    assert new.entry("ada")["score"] == 8 and new.entry("ada")["submissions"] == 3
    api.fails(409, "period_closed", "POST", f"{new.path}/entries/import", {**told, "period_key": "2026-W01"})
