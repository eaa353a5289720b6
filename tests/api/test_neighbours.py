"""Section 5, reads beside the page: around a player, lookup, rank at a score, distribution."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard
from tests.support.api.client import Api

SIZE = 20


@pytest.fixture(scope="module")
def board(make_board: MakeBoard) -> Board:
    """p1 … p20 hold the ranks 1 … 20 with the scores 200, 190 … 10."""
    board = make_board()
    board.submit_all({f"p{i}": 10 * (SIZE + 1 - i) for i in range(1, SIZE + 1)})
    return board


# Around


@pytest.mark.parametrize(
    ("rank", "limit", "first", "last"),
    [
        (10, 5, 8, 12),
        (10, 1, 10, 10),
        (10, 2, 10, 11),
        (10, 4, 9, 12),
        (10, 6, 8, 13),
        (10, None, 5, 15),
        (1, 5, 1, 5),
        (2, 5, 1, 5),
        (1, 4, 1, 4),
        (20, 5, 16, 20),
        (19, 5, 16, 20),
        (19, 4, 17, 20),
        (20, 2, 19, 20),
        (20, 1, 20, 20),
        (1, None, 1, 11),
        (16, None, 10, 20),
        (10, 20, 1, 20),
        (3, 100, 1, 20),
        (20, 1000, 1, 20),
    ],
)
def test_around_stays_full(
    api: Api, board: Board, rank: int, limit: int | None, first: int, last: int
) -> None:
    for fill in (None, True):
        page = api.get(board.player(f"p{rank}") + "/around", limit=limit, fill=fill)
        assert [entry["rank"] for entry in page["entries"]] == list(range(first, last + 1))
        assert [entry["player_id"] for entry in page["entries"]] == [f"p{i}" for i in range(first, last + 1)]
        assert page["total"] == SIZE


@pytest.mark.parametrize(
    ("rank", "limit", "first", "last"),
    [
        (10, 5, 8, 12),
        (10, 4, 9, 12),
        (1, 5, 1, 3),
        (1, 4, 1, 3),
        (2, 5, 1, 4),
        (20, 5, 18, 20),
        (20, 4, 19, 20),
        (19, 4, 18, 20),
    ],
)
def test_around_without_fill(api: Api, board: Board, rank: int, limit: int, first: int, last: int) -> None:
    page = api.get(board.player(f"p{rank}") + "/around", limit=limit, fill=False)
    assert [entry["rank"] for entry in page["entries"]] == list(range(first, last + 1))


def test_around_nobody(api: Api, board: Board) -> None:
    api.fails(404, "entry_not_found", "GET", board.player("nobody") + "/around")


@pytest.mark.parametrize("params", [{"limit": -1}, {"limit": 1001}, {"limit": "x"}, {"fill": "perhaps"}])
def test_around_with_values_that_are_refused(api: Api, board: Board, params: dict[str, Any]) -> None:
    api.fails(422, "validation_failed", "GET", board.player("p1") + "/around", params=params)


# Lookup


def test_lookup(api: Api, board: Board) -> None:
    asked = ["p9", "nobody", "p2", "p20", "p9", "no-one", "p2"]
    found = api.ok("POST", f"{board.rankings}/lookup", {"player_ids": asked})
    rows = [
        (entry["position"], entry["rank"], entry["player_id"], entry["score"]) for entry in found["entries"]
    ]
    assert rows == [(1, 2, "p2", 190), (2, 9, "p9", 120), (3, 20, "p20", 10)]
    assert sorted(found["not_found"]) == ["no-one", "nobody"]


@pytest.mark.parametrize(
    "body", [{}, {"player_ids": "p1"}, {"player_ids": [5]}, {"player_ids": None}, {"ids": ["p1"]}]
)
def test_lookups_that_are_refused(api: Api, board: Board, body: dict[str, Any]) -> None:
    api.fails(422, "validation_failed", "POST", f"{board.rankings}/lookup", body)


# The rank at a score


@pytest.mark.parametrize(
    ("score", "rank"),
    [("201", 1), ("200", 2), ("195", 2), ("100.5", 11), ("10", 21), ("-3", 21), ("1e3", 1), ("1.5e300", 1)],
)
def test_rank_at_a_score(api: Api, board: Board, score: str, rank: int) -> None:
    answer = api.get(f"{board.rankings}/at/{score}")
    assert {"rank", "total", "period"} <= set(answer)
    assert (answer["rank"], answer["total"], answer["period"]["period_key"]) == (rank, SIZE, "all_time")


@pytest.mark.parametrize(
    ("ranking", "ranks"),
    [
        ({}, [1, 3, 5, 6]),
        ({"tie_breaking": "last"}, [1, 1, 3, 5]),
        ({"rank_style": "competition"}, [1, 1, 3, 5]),
        ({"rank_style": "dense"}, [1, 1, 2, 3]),
        ({"order": "asc"}, [6, 6, 4, 2]),
        ({"order": "asc", "tie_breaking": "last"}, [6, 4, 2, 1]),
        ({"order": "asc", "rank_style": "competition"}, [6, 4, 2, 1]),
        ({"order": "asc", "rank_style": "dense"}, [4, 3, 2, 1]),
    ],
)
def test_rank_at_an_equal_score(make_board: MakeBoard, ranking: dict[str, str], ranks: list[int]) -> None:
    """Scores 30, 30, 20, 20, 10; asked for are 40, 30, 20 and 10, and a real submission agrees."""
    board = make_board(ranking=ranking)
    board.submit_all({"a": 30, "b": 30, "c": 20, "d": 20, "e": 10})
    assert [board.api.get(f"{board.rankings}/at/{score}")["rank"] for score in (40, 30, 20, 10)] == ranks
    assert board.submit("new", 20)["rank"] == ranks[2]


def test_rank_at_a_subscore(make_board: MakeBoard) -> None:
    for subscore_order, ranks in (("desc", {9: 1, 5: 2, 3: 2, 0: 3}), ("asc", {9: 3, 5: 3, 3: 2, 0: 1})):
        board = make_board(ranking={"subscore_order": subscore_order})
        board.submit("a", 10, subscore=5)
        board.submit("b", 10, subscore=1)
        path = f"{board.rankings}/at/10"
        assert {subscore: board.api.get(path, subscore=subscore)["rank"] for subscore in ranks} == ranks
        assert board.api.get(path)["rank"] == ranks[0]


@pytest.mark.parametrize("score", ["abc", "nan", "inf", "-Infinity", "9007199254740993"])
def test_scores_in_the_path_that_are_refused(api: Api, board: Board, score: str) -> None:
    api.fails(422, "validation_failed", "GET", f"{board.rankings}/at/{score}")


# Distribution


def test_distribution(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({f"p{i}": (i * 37) % 101 for i in range(1, 101)})  # 1 … 100, each once
    spread = api.get(f"{board.path}/distribution")
    assert set(spread) >= {"total", "min", "max", "mean", "quantiles", "buckets", "period"}
    assert (spread["total"], spread["min"], spread["max"]) == (100, 1, 100)
    assert abs(spread["mean"] - 50.5) < 1e-9
    assert set(spread["quantiles"]) >= {"p50", "p90", "p99"}
    for name, share in (("p50", 50), ("p90", 90), ("p99", 99)):
        assert share <= spread["quantiles"][name] <= share + 1
    assert len(spread["buckets"]) == 20
    assert_covering(spread, list(range(1, 101)))
    assert spread["period"]["period_key"] == "all_time"


def assert_covering(spread: dict[str, Any], scores: list[int]) -> None:
    """The buckets touch one another, cover all scores and count each once."""
    buckets = spread["buckets"]
    assert all(set(bucket) >= {"from", "to", "count"} for bucket in buckets)
    assert sum(bucket["count"] for bucket in buckets) == len(scores)
    assert buckets[0]["from"] <= min(scores) and buckets[-1]["to"] >= max(scores)
    for left, right in itertools.pairwise(buckets):
        assert left["from"] < left["to"] == right["from"]
    for bucket in buckets:
        strictly_inside = sum(bucket["from"] < score < bucket["to"] for score in scores)
        inside = sum(bucket["from"] <= score <= bucket["to"] for score in scores)
        assert strictly_inside <= bucket["count"] <= inside


@pytest.mark.parametrize("buckets", [1, 2, 7])
def test_numbers_of_buckets(api: Api, board: Board, buckets: int) -> None:
    spread = api.get(f"{board.path}/distribution", buckets=buckets)
    assert len(spread["buckets"]) == buckets
    assert_covering(spread, [10 * i for i in range(1, SIZE + 1)])


def test_distribution_of_equal_scores(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({f"p{i}": 7 for i in range(5)})
    spread = api.get(f"{board.path}/distribution")
    assert (spread["total"], spread["min"], spread["max"], spread["mean"]) == (5, 7, 7, 7)
    assert {spread["quantiles"][name] for name in ("p50", "p90", "p99")} == {7}
    assert sum(bucket["count"] for bucket in spread["buckets"]) == 5


def test_the_distribution_counts_ranked_entries(api: Api, make_board: MakeBoard) -> None:
    board = make_board(ranking={"min_score": 10, "order": "asc"})
    board.submit_all({"a": 5, "b": 10, "c": 30})
    spread = api.get(f"{board.path}/distribution")
    assert (spread["total"], spread["min"], spread["max"], spread["mean"]) == (2, 10, 30, 20)


@pytest.mark.parametrize("buckets", [-1, 0, "x"])
def test_numbers_of_buckets_that_are_refused(api: Api, board: Board, buckets: Any) -> None:
    api.fails(422, "validation_failed", "GET", f"{board.path}/distribution", params={"buckets": buckets})
