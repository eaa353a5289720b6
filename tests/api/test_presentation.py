"""Section 10, presentation: how a leaderboard is named, listed and shown, to whom, and which ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, unique
from tests.support.api.client import Api, eventually

PRESENTATION: dict[str, Any] = {
    "display": {
        "columns": [{"column": "rank", "visible": True, "order": 1}, {"column": "score", "order": 2}],
        "score_label": "Points",
        "top_n": 100,
        "show_rank": True,
        "icon_url": "https://cdn.example.com/i.png",
        "color": None,
    },
    "translations": {
        "it": {"name": "Settimana", "description": "Sette giorni", "score_label": "Punti"},
        "pt-BR": {"name": "Semana"},
    },
    "display_order": 7,
    "public": True,
    "preview": True,
    "widget": {"enabled": True, "whitelisted_domains": ["game.example"], "theme": {"dark": {"n": 1.5}}},
    "external": {"vendor": [{"id": 1}, None]},
}
MakeKey = Callable[..., dict[str, Any]]
MakeTenant = Callable[[], str]


# Definitions ----------------------------------------------------------------------------------------------


def test_what_was_written_comes_back(api: Api, make_board: MakeBoard) -> None:
    board = make_board(**PRESENTATION)
    definition = board.definition()
    assert {name: definition[name] for name in PRESENTATION} == PRESENTATION
    changed = board.patch(display={"top_n": 3}, translations={"pt-BR": None}, external=None)
    assert changed["display"] == PRESENTATION["display"] | {"top_n": 3}
    assert changed["translations"] == {"it": PRESENTATION["translations"]["it"]}
    assert (changed["external"], changed["widget"]) == ({}, PRESENTATION["widget"])
    assert board.definition() == changed


def test_a_leaderboard_that_says_nothing_of_it(make_board: MakeBoard) -> None:
    definition = make_board().definition()
    empty: dict[str, Any] = {"display": {}, "translations": {}, "widget": {}, "external": {}}
    expected = {**empty, "display_order": 0, "public": True, "preview": False}
    assert {name: definition[name] for name in expected} == expected
    assert definition["ranking"] | {"top_only": None, "positive_only": False} == definition["ranking"]


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"display": {"columns": [{"column": "c"}] * 51}}, ["display", "columns"]),
        ({"display": {"columns": [{"column": 5}]}}, ["display", "columns", 0, "column"]),
        ({"translations": {"it": {"name": ""}}}, ["translations", "it", "name"]),
        ({"widget": {"whitelisted_domains": ["a"] * 51}}, ["widget", "whitelisted_domains"]),
        ({"widget": {"theme": {"a": "x" * 4096}}}, ["widget", "theme"]),
        ({"external": {"a": "x" * 16384}}, ["external"]),
        ({"display_order": "first"}, ["display_order"]),
        ({"ranking": {"top_only": 0}}, ["ranking", "top_only"]),
        ({"ranking": {"positive_only": "yes"}}, ["ranking", "positive_only"]),
    ],
)
def test_what_is_refused(api: Api, make_board: MakeBoard, fields: dict[str, Any], loc: list[Any]) -> None:
    board = make_board()
    before = board.definition()
    body = {"leaderboard_id": unique("refused"), **fields}
    for method, path, sent in (("POST", "/v1/leaderboards", body), ("PATCH", board.path, fields)):
        error = api.fails(422, "validation_failed", method, path, sent)
        assert [detail["loc"] for detail in error["details"]] == [["body", *loc]]
    assert board.definition() == before


def test_in_a_language(api: Api, make_board: MakeBoard) -> None:
    board = make_board(name="Week", description="Seven days", **PRESENTATION)
    own = board.definition()
    for lang in ("it", "it-IT", "IT"):
        reply = api.call("GET", board.path, params={"lang": lang})
        shown = reply.json
        assert (shown["name"], shown["description"]) == ("Settimana", "Sette giorni")
        assert shown["display"] == PRESENTATION["display"] | {"score_label": "Punti"}
        assert {**shown, **{n: own[n] for n in ("name", "description", "display")}} == own
        tag = {"If-None-Match": reply.headers["etag"]}
        assert api.call("GET", board.path, params={"lang": lang}, headers=tag).status == 304
        assert api.call("GET", board.path, headers=tag).status == 200
    assert api.get(board.path, lang="de") == own
    brazil = api.get(board.path, lang="pt-BR")
    assert (brazil["name"], brazil["description"]) == ("Semana", "Seven days")
    assert api.get(board.path, lang="pt")["name"] == "Week"


def test_listings(api: Api, make_board: MakeBoard, make_tenant: MakeTenant) -> None:
    there = api.in_tenant(make_tenant())
    made = [
        make_board(there, display_order=order, **({"translations": {"it": {"name": "It"}}} if order else {}))
        for order in (5, 0, -1, 0, 5)
    ]
    expected = [made[i].id for i in (2, 1, 3, 0, 4)]

    def listed(**params: Any) -> list[str]:
        return [item["leaderboard_id"] for item in there.listing("/v1/leaderboards", **params)]

    for limit in (1, 2, 100):
        assert listed(limit=limit) == expected, limit
    made[4].patch(display_order=-2)
    assert listed() == [made[4].id, *expected[:-1]]
    names = [item["name"] for item in there.listing("/v1/leaderboards", lang="it-IT")]
    assert names == ["It", "It", made[1].id, made[3].id, "It"]


# Not public -----------------------------------------------------------------------------------------------


def test_not_for_players(api: Api, make_board: MakeBoard, make_key: MakeKey) -> None:
    board = make_board(public=False)
    board.submit("me", 5)
    scopes = ("rankings:read", "leaderboards:read", "scores:write")
    bound, reader = (api.with_key(make_key(*scopes, **more)["key"]) for more in ({"player_id": "me"}, {}))
    gets = ["", "/rankings", "/periods", "/periods/current", "/players/me", "/players/me/around"]
    gets += ["/rankings/at/3", "/distribution", "/periods/current/rewards"]
    requests: list[tuple[Any, ...]] = [("GET", board.path + path) for path in gets]
    requests += [("POST", board.rankings + "/lookup", {"player_ids": ["me"]})]
    assert all(reader.call(*request).status == 200 for request in requests)
    requests += [("POST", board.scores, {"player_id": "me", "score": 9}), ("DELETE", board.player("me"))]
    for request in requests:
        bound.fails(404, "leaderboard_not_found", *request)

    def lists(there: Api) -> list[bool]:
        found = [there.listing("/v1/leaderboards", search=board.id)]
        found += [there.get("/v1/players/me/entries")["items"]]
        return [any(item["leaderboard_id"] == board.id for item in items) for items in found]

    assert (lists(bound), lists(reader)) == ([False, False], [True, True])
    answer = bound.ok("POST", "/v1/scores", [{"leaderboard_id": board.id, "player_id": "me", "score": 9}])
    assert answer["errors"][0]["code"] == "leaderboard_not_found"
    assert board.standings() == [(1, "me", 5)]
    board.patch(public=True)
    assert bound.ok("POST", board.scores, {"player_id": "me", "score": 9})["rank"] == 1
    assert lists(bound) == [True, True]


# Ranks that are shown -------------------------------------------------------------------------------------


def ranked(board: Board) -> None:
    board.submit_all({"a": 50, "b": 40, "c": 30, "d": 30, "e": 10})


def test_ranks_beyond_the_top_are_null(api: Api, make_board: MakeBoard) -> None:
    board = make_board(
        timeframe={"type": "yearly"},
        windows=["all_time"],
        ranking={"top_only": 3, "rank_style": "competition"},
        rewards={"tiers": [{"name": "all", "top_percent": 100}]},
    )
    ranked(board)
    shown = [(1, "a"), (2, "b"), (3, "c"), (3, "d"), (None, "e")]
    for window in ("main", "all_time"):
        page = board.page(window=window)
        assert [(entry["rank"], entry["player_id"]) for entry in page["entries"]] == shown
        assert [entry["change"] for entry in page["entries"]] == ["new"] * 4 + [None]
        assert page["total"] == 5
    part = board.page(offset=4)
    assert [(entry["rank"], entry["score"]) for entry in part["entries"]] == [(None, 10)]
    first = board.page(limit=3)
    last = board.page(limit=3, cursor=first["next_cursor"])
    assert [(e["rank"], e["player_id"]) for p in (first, last) for e in p["entries"]] == shown
    entry = board.entry("e")
    assert (entry["rank"], entry["percentile"], entry["change"], entry["total"]) == (None, None, None, 5)
    assert (board.entry("d")["rank"], board.entry("d")["percentile"]) == (3, 40.0)
    around = api.get(board.player("e") + "/around", limit=3)
    assert [(e["rank"], e["player_id"]) for e in around["entries"]] == shown[2:]
    assert around["prev_cursor"] is not None
    found = api.ok("POST", f"{board.rankings}/lookup", {"player_ids": ["e", "x", "b"]})
    assert [(e["position"], e["rank"], e["player_id"]) for e in found["entries"]] == [
        (1, 2, "b"),
        (2, None, "e"),
    ]
    assert [api.get(f"{board.rankings}/at/{score}")["rank"] for score in (60, 30, 20)] == [1, 3, None]
    items = [item for item in api.get("/v1/players/e/entries")["items"] if item["leaderboard_id"] == board.id]
    assert [(item["rank"], item["percentile"]) for item in items] == [(None, None)] * 2
    answer = board.submit("e", 11)
    assert (answer["rank"], answer["previous_rank"], answer["windows"][0]["rank"]) == (None, None, None)
    answer = board.submit("e", 35)
    assert (answer["rank"], answer["previous_rank"]) == (3, None)
    batch = [{"player_id": "f", "score": 1}, {"player_id": "a", "score": 51}]
    assert [result["rank"] for result in board.batch(batch, "ranks")["results"]] == [None, 1]
    removed = api.ok("DELETE", board.player("f"))["removed"]
    assert [row["rank"] for row in removed] == [None, None]


def test_a_change_of_the_top_takes_effect(make_board: MakeBoard) -> None:
    board = make_board()
    ranked(board)
    for top_only, expected in (
        (2, [1, 2, None, None, None]),
        (100, [1, 2, 3, 4, 5]),
        (None, [1, 2, 3, 4, 5]),
    ):
        board.patch(ranking={"top_only": top_only})
        assert [entry["rank"] for entry in board.page()["entries"]] == expected


def test_rewards_go_by_the_true_rank(api: Api, make_board: MakeBoard) -> None:
    tiers = [{"name": "fifth", "rank_from": 5, "rank_to": 5}]
    board = make_board(ranking={"top_only": 2}, rewards={"tiers": tiers})
    ranked(board)
    key = board.force_close()["closed"]["period_key"]
    rewards = eventually(
        lambda: api.get(f"{board.periods}/{key}/rewards")["items"] or None, "the reward is granted"
    )
    assert [(item["rank"], item["player_id"]) for item in rewards] == [(5, "e")]
    assert [entry["rank"] for entry in board.page(period=key)["entries"]] == [1, 2, None, None, None]


# Positive scores alone ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_only_scores_above_0_are_ranked(api: Api, make_board: MakeBoard, order: str) -> None:
    board = make_board(
        scoring={"aggregation": "latest"}, ranking={"positive_only": True, "order": order}, windows=["daily"]
    )
    board.submit_all({"zero": 0, "minus": -5, "least": 5e-324, "plus": 3})
    expected = ["plus", "least"] if order == "desc" else ["least", "plus"]
    for window in ("main", "daily"):
        page = board.page(window=window)
        assert ([entry["player_id"] for entry in page["entries"]], page["total"]) == (expected, 2)
    entry = board.entry("zero")
    assert (entry["rank"], entry["score"], entry["total"]) == (None, 0, 2)
    assert api.get(f"{board.rankings}/at/0")["rank"] is None
    assert api.get(f"{board.rankings}/at/1")["rank"] == 2
    assert board.submit("plus", 0)["rank"] is None
    assert board.submit("zero", 0.5)["rank"] is not None
    board.patch(ranking={"positive_only": False})
    assert board.page()["total"] == 4
    board.patch(ranking={"positive_only": True, "min_score": -10})
    assert sorted(board.ranks()) == ["least", "zero"]
    board.patch(ranking={"min_score": 0.5})
    assert sorted(board.ranks()) == ["zero"]
