"""Rewards over HTTP, on the real server: a period ends, its winners are listed and claim, once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, instant
from tests.support.api.client import Api, Transport, eventually

TIERS = [
    {"name": "champion", "rank_from": 1, "rank_to": 1, "payload": {"gems": 500, "badge": {"id": 7}}},
    {"name": "podium", "rank_from": 1, "rank_to": 3, "payload": {"gems": 100}},
    {"name": "half", "top_percent": 50, "payload": {"gems": 10}},
    {"name": "hundred", "score_threshold": 100},
]


def rewards_of(board: Board, key: str, player_id: str = "") -> str:
    return f"{board.periods}/{key}/rewards" + (f"/{player_id}" if player_id else "")


def granted(board: Board, key: str, **params: Any) -> dict[str, Any]:
    """The first page once everything is granted."""

    def probe() -> dict[str, Any] | None:
        page: dict[str, Any] = board.api.get(rewards_of(board, key), **params)
        return page if page["state"] == "granted" else None

    return eventually(probe, f"rewards of {key}")


def closed(board: Board, scores: dict[str, float]) -> str:
    """The key of a period that was closed with these scores."""
    board.submit_all(scores)
    key: str = board.force_close()["closed"]["period_key"]
    return key


def won(page: dict[str, Any]) -> list[tuple[int, str, list[str]]]:
    return [(i["rank"], i["player_id"], [r["tier"] for r in i["rewards"]]) for i in page["items"]]


def test_who_wins_what(api: Api, make_board: MakeBoard) -> None:
    board = make_board(rewards={"tiers": TIERS})
    assert board.definition()["rewards"]["windows"] == ["main"]
    key = closed(board, {f"p{n}": 110 - n * 10 for n in range(10)})
    page = granted(board, key)
    assert won(page) == [
        (1, "p0", ["champion"]),
        (2, "p1", ["podium"]),
        (3, "p2", ["podium"]),
        (4, "p3", ["half"]),
        (5, "p4", ["half"]),
    ]
    assert page["items"][0]["rewards"][0]["payload"] == TIERS[0]["payload"]
    assert [(t["name"], t["winners"]) for t in page["tiers"]] == [
        ("champion", 1), ("podium", 2), ("half", 2), ("hundred", 0),
    ]  # fmt: skip
    kept = instant(page["expires_at"]) - instant(page["granted_at"])
    assert (page["total"], page["winners"], kept.days) == (5, 5, 90)
    assert page["period"]["state"] == "closed" and page["period"]["period_key"] == key
    assert won(api.get(rewards_of(board, "previous"))) == won(page)


def test_every_tier_and_ties(api: Api, make_board: MakeBoard) -> None:
    board = make_board(
        ranking={"rank_style": "competition"}, rewards={"tiers": TIERS, "grant": "every", "retain_days": 7}
    )
    key = closed(board, {"a": 200, "b": 200, "c": 50, "d": 50, "e": 50, "f": 10})
    assert won(granted(board, key)) == [
        (1, "a", ["champion", "podium", "half", "hundred"]),
        (1, "b", ["champion", "podium", "half", "hundred"]),
        (3, "c", ["podium", "half"]),
        (3, "d", ["podium", "half"]),
        (3, "e", ["podium", "half"]),
    ]


def test_low_scores_win_on_a_rising_board(api: Api, make_board: MakeBoard) -> None:
    tiers = [{"name": "fast", "score_threshold": 60.5, "payload": {"medal": "gold"}}]
    board = make_board(ranking={"order": "asc"}, rewards={"tiers": tiers})
    key = closed(board, {"a": 60.5, "b": 60.75, "c": 59})
    assert won(granted(board, key)) == [(1, "c", ["fast"]), (2, "a", ["fast"])]


def test_windows_have_rewards_of_their_own(api: Api, make_board: MakeBoard) -> None:
    board = make_board(
        timeframe={"type": "yearly"}, windows=["daily"], rewards={"tiers": TIERS, "windows": ["daily"]}
    )
    board.submit_all({"a": 3, "b": 2})
    main = board.force_close()["closed"]["period_key"]
    daily = api.ok("POST", board.close, {}, params={"window": "daily"})["closed"]["period_key"]
    assert won(granted(board, daily, window="daily")) == [(1, "a", ["champion"]), (2, "b", ["podium"])]
    page = api.get(rewards_of(board, main))
    assert (page["state"], page["items"]) == ("none", [])
    api.fails(404, "reward_not_found", "GET", rewards_of(board, main, "a"))


def test_before_the_end_and_without_rewards(api: Api, make_board: MakeBoard) -> None:
    board = make_board(rewards={"tiers": TIERS})
    board.submit("a", 5)
    page = api.get(rewards_of(board, "current"))
    assert (page["state"], [t["name"] for t in page["tiers"]]) == ("pending", [t["name"] for t in TIERS])
    for method, path in (("GET", ""), ("POST", "/claim")):
        api.fails(409, "rewards_pending", method, rewards_of(board, "current", "a") + path)
    plain = make_board()
    plain.submit("a", 5)
    assert api.get(rewards_of(plain, "current"))["state"] == "none"
    api.fails(404, "period_not_found", "GET", rewards_of(plain, "2020-W01"))


def test_a_change_counts_from_the_next_closing_on(api: Api, make_board: MakeBoard) -> None:
    board = make_board(rewards={"tiers": TIERS[:1]})
    first = closed(board, {"a": 3, "b": 2})
    board.patch(rewards={"tiers": TIERS[1:2]})
    assert won(granted(board, first)) == [(1, "a", ["champion"])]
    second = closed(board, {"a": 3, "b": 2})
    assert won(granted(board, second)) == [(1, "a", ["podium"]), (2, "b", ["podium"])]
    board.patch(rewards=None)
    third = closed(board, {"a": 3})
    assert api.get(rewards_of(board, third))["state"] == "none"
    assert won(api.get(rewards_of(board, first))) == [(1, "a", ["champion"])]


@pytest.mark.parametrize(
    ("rules", "loc"),
    [
        ({"tiers": []}, ["rewards", "tiers"]),
        ({"tiers": [{"name": "a"}]}, ["rewards", "tiers", 0]),
        ({"tiers": [{"name": "a", "rank_from": 2, "rank_to": 1}]}, ["rewards", "tiers", 0]),
        ({"tiers": TIERS, "windows": ["weekly"]}, ["rewards"]),
        ({"tiers": TIERS, "given": "all"}, ["rewards", "given"]),
        ({"tiers": [*TIERS, TIERS[0]]}, ["rewards", "tiers"]),
    ],
)
def test_rules_that_make_no_sense(api: Api, rules: dict[str, Any], loc: list[Any]) -> None:
    body = {"leaderboard_id": "never", "rewards": rules}
    error = api.fails(422, "validation_failed", "POST", "/v1/leaderboards", body)
    assert error["details"][0]["loc"] == ["body", *loc]


# Claims


def test_a_claim_is_made_once(
    api: Api, make_board: MakeBoard, server: tuple[str, str], make_key: Callable[..., dict[str, Any]]
) -> None:
    """Twenty at once, each on a connection of its own with an id of its own: all hear of the same one."""
    board = make_board(rewards={"tiers": TIERS})
    key = closed(board, {"a": 3, "b": 2})
    granted(board, key)
    path = rewards_of(board, key, "a")
    secret = make_key("scores:write")["key"]

    def claim(number: int) -> Any:
        transport = Transport(server[0])
        answer = Api(transport, secret).ok("POST", f"{path}/claim", {"claim_id": f"tx-{number}"})
        transport.close()
        return answer

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(claim, range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["claimed"] is True and instant(answers[0]["claimed_at"])
    assert answers[0]["claim_id"] in {f"tx-{n}" for n in range(20)}
    assert api.get(path) == answers[0] == api.ok("POST", f"{path}/claim")
    page = api.get(rewards_of(board, key), claimed=False)
    assert ([i["player_id"] for i in page["items"]], page["total"], page["claimed"]) == (["b"], 1, 1)


def test_a_claim_with_an_idempotency_key(api: Api, make_board: MakeBoard) -> None:
    board = make_board(rewards={"tiers": TIERS})
    key = closed(board, {"a": 3})
    granted(board, key)
    path, headers = rewards_of(board, key, "a") + "/claim", {"Idempotency-Key": f"claim-{board.id}"}
    first = api.ok("POST", path, {"claim_id": "tx-1"}, headers=headers)
    assert api.ok("POST", path, {"claim_id": "tx-1"}, headers=headers) == first
    api.fails(409, "idempotency_conflict", "POST", path, {"claim_id": "tx-2"}, headers=headers)
    assert api.ok("POST", path, {"claim_id": "tx-2"}) == first


def test_who_may_claim(api: Api, make_board: MakeBoard, make_key: Callable[..., dict[str, Any]]) -> None:
    board = make_board(rewards={"tiers": TIERS})
    key = closed(board, {"a": 3, "b": 2, "c": 1})
    granted(board, key)

    def status(secret: str, player_id: str) -> int:
        return api.call("POST", rewards_of(board, key, player_id) + "/claim", key=secret).status

    bound = make_key("scores:write", player_id="a")["key"]
    assert (status(bound, "b"), status(bound, "a")) == (403, 200)
    assert status(make_key("rankings:read", "leaderboards:write")["key"], "c") == 403
    assert status(make_key("players:write")["key"], "c") == 200
    api.fails(404, "reward_not_found", "POST", rewards_of(board, key, "nobody") + "/claim")
    api.fails(422, "validation_failed", "POST", rewards_of(board, key, "b") + "/claim", {"claimed": True})


def test_what_a_player_won_everywhere(
    api: Api, make_board: MakeBoard, make_tenant: Callable[[], str]
) -> None:
    inside = api.in_tenant(make_tenant())
    boards = [make_board(inside, rewards={"tiers": TIERS}) for _ in range(3)]
    for board in boards:
        granted(board, closed(board, {"a/b": 3, "b": 2, "a": 1}))
    path = "/v1/players/a%2Fb/rewards"
    items = inside.listing(path, limit=2)
    assert [i["leaderboard_id"] for i in items] == [board.id for board in reversed(boards)]
    assert all(i["rewards"][0]["tier"] == "champion" and not i["claimed"] for i in items)
    first = items[0]
    claim = rewards_of(boards[2], first["period"]["period_key"], "a%2Fb") + "/claim"
    inside.ok("POST", claim)
    assert len(inside.listing(path, claimed=False)) == 2
    inside.ok("DELETE", boards[1].path, params={"purge": True})
    assert [i["leaderboard_id"] for i in inside.listing(path, claimed=False)] == [boards[0].id]
    assert api.listing(path) == []


def test_rewards_outlive_their_period(api: Api, make_board: MakeBoard) -> None:
    board = make_board(
        timeframe={"type": "permanent", "retain_periods": 1, "retain_days": 0}, rewards={"tiers": TIERS}
    )
    first = closed(board, {"a": 3})
    granted(board, first)
    closed(board, {"b": 3})
    closed(board, {"c": 3})

    def deleted() -> bool:
        return api.call("GET", f"{board.periods}/{first}").status == 404

    eventually(deleted, "the first period is deleted")
    assert won(api.get(rewards_of(board, first))) == [(1, "a", ["champion"])]
    assert api.ok("POST", rewards_of(board, first, "a") + "/claim")["claimed"] is True
