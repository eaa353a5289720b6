"""Section 4, many submissions at once: to one leaderboard, and routed by `leaderboard_id`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api.boards import MakeBoard
from tests.support.api.client import Api

BAD_ITEMS: list[Any] = [
    {"player_id": "bad"},
    {"score": 1},
    {"player_id": "bad", "score": "1"},
    {"player_id": "bad", "score": 2**53 + 1},
    {"player_id": "bad\n", "score": 1},
    {"player_id": "bad", "score": 1, "submission_id": ""},
    {"player_id": "bad", "score": 1, "occurred_at": "now"},
    {"player_id": "bad", "score": 1, "metadata": {"x": "y" * 5000}},
    {"player_id": "bad", "score": 1, "colour": 1},
    {},
    None,
    5,
    "bad",
    [],
]


def by_index(results: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    indexed = {result["index"]: result for result in results}
    assert len(indexed) == len(results), "one result an item"
    return indexed


def test_array_and_wrapped_list(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    items = [{"player_id": f"p{i}", "score": i} for i in range(5)]
    for body in (items, {"submissions": items}):
        answer = api.ok("POST", board.scores, body)
        assert answer == {"accepted": 5, "rejected": 0, "errors": [], "results": []}
    assert board.page()["total"] == 5


def test_a_bad_item_is_rejected_alone(make_board: MakeBoard) -> None:
    board = make_board()
    items: list[Any] = []
    for number, bad in enumerate(BAD_ITEMS):
        items += [{"player_id": f"p{number}", "score": number}, bad]
    answer = board.batch(items)
    assert (answer["accepted"], answer["rejected"]) == (len(BAD_ITEMS), len(BAD_ITEMS))
    assert sorted(error["index"] for error in answer["errors"]) == list(range(1, len(items), 2))
    for error in answer["errors"]:
        assert error["code"] == "validation_failed"
        assert isinstance(error["message"], str) and error["message"]
    assert sorted(board.ranks()) == sorted(f"p{number}" for number in range(len(BAD_ITEMS)))


@pytest.mark.parametrize(
    "body",
    [
        {"submissions": 5},
        {"submissions": None},
        {"submissions": {"player_id": "p1", "score": 1}},
        {"submissions": "p1"},
    ],
)
def test_a_body_that_is_no_list_rejects_all(api: Api, make_board: MakeBoard, body: Any) -> None:
    board = make_board()
    api.fails(422, "validation_failed", "POST", board.scores, body)
    api.fails(422, "validation_failed", "POST", "/v1/scores", body)
    assert board.page()["total"] == 0


def test_full_results(make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "weekly"}, windows=["all_time"])
    board.submit_all({"old": 50, "top": 100})
    items: list[Any] = [
        {"player_id": "new", "score": 70, "subscore": 4},
        {"player_id": "bad"},
        {"player_id": "old", "score": 10},
        {"player_id": "last", "score": 60},
    ]
    results = by_index([result for result in board.batch(items, "full")["results"] if "code" not in result])
    assert set(results) == {0, 2, 3}
    fields = {
        "period_key",
        "player_id",
        "applied",
        "score",
        "subscore",
        "previous_score",
        "rank",
        "previous_rank",
        "seq",
    }
    assert all(fields <= set(result) for result in results.values())
    assert [results[index]["player_id"] for index in (0, 2, 3)] == ["new", "old", "last"]
    assert [results[index]["applied"] for index in (0, 2, 3)] == [True, False, True]
    assert [results[index]["score"] for index in (0, 2, 3)] == [70, 50, 60]
    assert (results[0]["subscore"], results[0]["previous_score"], results[2]["previous_score"]) == (
        4,
        None,
        50,
    )
    assert (results[3]["rank"], results[3]["previous_rank"]) == (3, None)
    assert [window["window"] for window in results[3]["windows"]] == ["all_time"]
    assert results[0]["seq"] <= results[3]["seq"]


def test_results_of_ranks(make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({"a": 10, "b": 20})
    answer = board.batch([{"player_id": "c", "score": 5}, {"player_id": "d", "score": 1}], "ranks")
    assert answer["results"] == [{"index": 0, "rank": 3}, {"index": 1, "rank": 4}]


def test_results_default_to_none(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    assert board.batch([{"player_id": "p1", "score": 1}], "none")["results"] == []
    assert board.batch([{"player_id": "p1", "score": 1}])["results"] == []
    items = [{"player_id": "p1", "score": 1}]
    api.fails(422, "validation_failed", "POST", board.scores, items, params={"results": "some"})


def test_items_apply_in_order(make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "latest"})
    board.batch([{"player_id": "p1", "score": score, "metadata": {"n": score}} for score in (5, 9, 2, 7)])
    entry = board.entry("p1")
    assert (entry["score"], entry["metadata"], entry["submissions"]) == (7, {"n": 7}, 4)


def test_order_in_a_batch_breaks_ties(make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all(dict.fromkeys("cabd", 5))
    assert list(board.ranks()) == list("cabd")


def test_a_batch_and_single_submissions_leave_the_same(make_board: MakeBoard) -> None:
    items: list[dict[str, Any]] = [
        {"player_id": f"p{i % 7}", "score": (i * 37) % 50, "subscore": i % 3} for i in range(40)
    ]
    boards = [make_board(ranking={"rank_style": "dense"}) for _ in range(2)]
    boards[0].batch(items)
    for item in items:
        boards[1].submit(**item)
    assert boards[0].standings() == boards[1].standings()


# Routed


def test_routed_batch(api: Api, make_board: MakeBoard) -> None:
    best, summing = make_board(), make_board(scoring={"aggregation": "sum"})
    inactive = make_board(status="inactive")
    items: list[Any] = [
        {"leaderboard_id": best.id, "player_id": "p1", "score": 5},
        {"leaderboard_id": summing.id, "player_id": "p1", "score": 5},
        {"leaderboard_id": "no-such", "player_id": "p1", "score": 5},
        {"player_id": "p1", "score": 5},
        {"leaderboard_id": inactive.id, "player_id": "p1", "score": 5},
        {"leaderboard_id": summing.id, "player_id": "p1", "score": 6},
        {"leaderboard_id": best.id, "player_id": "p1", "score": 4},
        7,
        {"leaderboard_id": best.id, "player_id": "p2", "score": "x"},
    ]
    for body in (items, {"submissions": items}):
        answer = api.ok("POST", "/v1/scores", body)
        assert (answer["accepted"], answer["rejected"], answer["results"]) == (4, 5, [])
        assert sorted((error["index"], error["code"]) for error in answer["errors"]) == [
            (2, "leaderboard_not_found"),
            (3, "validation_failed"),
            (4, "leaderboard_inactive"),
            (7, "validation_failed"),
            (8, "validation_failed"),
        ]
    assert best.standings() == [(1, "p1", 5)]
    assert summing.standings() == [(1, "p1", 22)]


def test_routed_results(api: Api, make_board: MakeBoard) -> None:
    boards = [make_board() for _ in range(3)]
    items = [
        {"leaderboard_id": board.id, "player_id": f"p{turn}", "score": 10 - turn}
        for turn in range(2)
        for board in boards
    ]
    answer = api.ok("POST", "/v1/scores", items, params={"results": "full"})
    results = by_index(answer["results"])
    assert [results[index]["player_id"] for index in range(6)] == ["p0"] * 3 + ["p1"] * 3
    assert [results[index]["rank"] for index in (3, 4, 5)] == [2, 2, 2]
    ranks = api.ok("POST", "/v1/scores", items, params={"results": "ranks"})["results"]
    assert {result["index"]: result["rank"] for result in ranks} == {0: 1, 1: 1, 2: 1, 3: 2, 4: 2, 5: 2}


def test_periods_that_are_not_open_reject_their_items(api: Api, make_board: MakeBoard) -> None:
    past = {"type": "range", "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2020-02-01T00:00:00Z"}
    future = {"type": "range", "starts_at": "2055-01-01T00:00:00Z", "ends_at": "2055-02-01T00:00:00Z"}
    over, ahead, open_now = make_board(timeframe=past), make_board(timeframe=future), make_board()
    items = [{"leaderboard_id": board.id, "player_id": "p1", "score": 1} for board in (over, ahead, open_now)]
    answer = api.ok("POST", "/v1/scores", items)
    errors = sorted((error["index"], error["code"]) for error in answer["errors"])
    assert errors == [(0, "period_closed"), (1, "period_not_open")]
    assert over.batch([{"player_id": "p1", "score": 1}])["errors"][0]["code"] == "period_closed"
    assert answer["accepted"] == 1


def test_many_small_boards_in_one_request(api: Api, make_board: MakeBoard) -> None:
    boards = [make_board() for _ in range(12)]
    items = [
        {"leaderboard_id": board.id, "player_id": f"p{i}", "score": (i * 7 + number) % 23}
        for i in range(50)
        for number, board in enumerate(boards)
    ]
    assert api.ok("POST", "/v1/scores", items)["accepted"] == len(items)
    for number, board in enumerate(boards):
        expected = sorted((-((i * 7 + number) % 23), i) for i in range(50))
        assert list(board.ranks()) == [f"p{i}" for _, i in expected]
