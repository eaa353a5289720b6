"""Section 4, one submission: the answer, every aggregation in every order, bounds, windows, the override.

The tables hold (submission, expected) rows: what is submitted for the one player, and whether it is applied
and what score, subscore and metadata stand afterwards.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api.boards import MakeBoard
from tests.support.api.client import Api

# (score, subscore, metadata) -> (applied, score, subscore, metadata); None: the field is not sent
Row = tuple[tuple[float | None, float | None, Any], tuple[bool, float, float, Any]]

A, B, C = {"m": "a"}, {"m": "b"}, {"m": "c"}

TABLES: dict[str, tuple[str, dict[str, str], list[Row]]] = {
    "best desc": (
        "best",
        {"order": "desc", "subscore_order": "desc"},
        [
            ((10, None, A), (True, 10, 0, A)),
            ((9, 99, B), (False, 10, 0, A)),
            ((10, 0, B), (False, 10, 0, A)),
            ((10, -1, B), (False, 10, 0, A)),
            ((10, 2, B), (True, 10, 2, B)),
            ((10.5, None, None), (True, 10.5, 0, None)),
            ((-3, 5, C), (False, 10.5, 0, None)),
        ],
    ),
    "best desc, subscore asc": (
        "best",
        {"order": "desc", "subscore_order": "asc"},
        [
            ((10, 5, A), (True, 10, 5, A)),
            ((10, 6, B), (False, 10, 5, A)),
            ((10, 4, B), (True, 10, 4, B)),
            ((10, None, C), (True, 10, 0, C)),
            ((11, 9, None), (True, 11, 9, None)),
        ],
    ),
    "best asc": (
        "best",
        {"order": "asc", "subscore_order": "desc"},
        [
            ((10, 1, A), (True, 10, 1, A)),
            ((11, 9, B), (False, 10, 1, A)),
            ((10, 2, B), (True, 10, 2, B)),
            ((-4, None, C), (True, -4, 0, C)),
            ((-4, None, A), (False, -4, 0, C)),
        ],
    ),
    "best asc, subscore asc": (
        "best",
        {"order": "asc", "subscore_order": "asc"},
        [((7, 3, A), (True, 7, 3, A)), ((7, 4, B), (False, 7, 3, A)), ((7, 2, B), (True, 7, 2, B))],
    ),
    **{
        f"latest {order}": (
            "latest",
            {"order": order},
            [
                ((10, 3, A), (True, 10, 3, A)),
                ((5, None, B), (True, 5, 0, B)),
                ((20, -1, None), (True, 20, -1, None)),
                ((-2.5, None, C), (True, -2.5, 0, C)),
            ],
        )
        for order in ("desc", "asc")
    },
    **{
        f"sum {order}": (
            "sum",
            {"order": order},
            [
                ((10, 3, A), (True, 10, 3, A)),
                ((5, 1, B), (True, 15, 1, B)),
                ((-20, None, None), (True, -5, 0, None)),
                ((0.5, None, C), (True, -4.5, 0, C)),
                ((4.5, 2, C), (True, 0, 2, C)),
            ],
        )
        for order in ("desc", "asc")
    },
    **{
        f"count {order}": (
            "count",
            {"order": order},
            [
                ((None, None, A), (True, 1, 0, A)),
                ((None, 7, None), (True, 2, 7, None)),
                ((None, None, B), (True, 3, 0, B)),
            ],
        )
        for order in ("desc", "asc")
    },
    **{
        f"min {order}": (
            "min",
            {"order": order},
            [
                ((10, 3, A), (True, 10, 3, A)),
                ((11, 9, B), (False, 10, 3, A)),
                ((10, 9, B), (False, 10, 3, A)),
                ((4, 1, B), (True, 4, 1, B)),
                ((-4, None, C), (True, -4, 0, C)),
            ],
        )
        for order in ("desc", "asc")
    },
    **{
        f"max {order}": (
            "max",
            {"order": order},
            [
                ((10, 3, A), (True, 10, 3, A)),
                ((9, 9, B), (False, 10, 3, A)),
                ((10, 9, B), (False, 10, 3, A)),
                ((11, 1, B), (True, 11, 1, B)),
                ((12, None, None), (True, 12, 0, None)),
            ],
        )
        for order in ("desc", "asc")
    },
}


@pytest.mark.parametrize("name", TABLES)
def test_aggregation(make_board: MakeBoard, name: str) -> None:
    aggregation, ranking, rows = TABLES[name]
    board = make_board(scoring={"aggregation": aggregation}, ranking=ranking)
    previous = None
    for number, ((score, subscore, metadata), (applied, *standing)) in enumerate(rows):
        fields = {"subscore": subscore, "metadata": metadata}
        answer = board.submit(
            "p1", score, **{field: value for field, value in fields.items() if value is not None}
        )
        where = f"{name}, row {number}: {answer}"
        assert answer["applied"] is applied, where
        assert [answer["score"], answer["subscore"]] == standing[:2], where
        assert answer["previous_score"] == previous, where
        entry = board.entry("p1")
        assert [entry["score"], entry["subscore"], entry["metadata"]] == standing, where
        previous = standing[0]


def test_first_answer(make_board: MakeBoard) -> None:
    answer = make_board().submit("p1", 5100, subscore=3)
    seq = answer["seq"]
    assert type(seq) is int
    expected = {
        "period_key": "all_time",
        "player_id": "p1",
        "applied": True,
        "score": 5100,
        "subscore": 3,
        "previous_score": None,
        "rank": 1,
        "previous_rank": None,
        "seq": seq,
    }
    assert expected.items() <= answer.items()


def test_ranks_before_and_after(make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({"a": 100, "b": 90, "c": 80, "d": 70})
    answer = board.submit("d", 95)
    assert (answer["previous_rank"], answer["rank"], answer["previous_score"]) == (4, 2, 70)
    kept = board.submit("d", 1)
    assert (kept["applied"], kept["previous_rank"], kept["rank"], kept["score"]) == (False, 2, 2, 95)
    new = board.submit("e", 50)
    assert (new["previous_rank"], new["rank"], new["previous_score"]) == (None, 5, None)


def test_seq_rises_and_reads_follow(make_board: MakeBoard) -> None:
    board = make_board()
    last = 0
    for score in (1, 2, 3):
        seq = board.submit("p1", score)["seq"]
        assert seq > last
        last = seq
        assert board.page()["as_of_seq"] >= seq


@pytest.mark.parametrize(
    "body",
    [
        {"score": 1},
        {"player_id": "p1"},
        {"player_id": "p1", "score": None},
        {"player_id": "p1", "score": 1, "subscore": "x"},
        {"player_id": "p1", "score": 1, "aggregation": "median"},
        {"player_id": "p1", "score": 1, "leaderboard": "x"},
        {},
    ],
)
def test_submissions_that_are_refused(api: Api, make_board: MakeBoard, body: dict[str, Any]) -> None:
    board = make_board()
    api.fails(422, "validation_failed", "POST", board.scores, body)
    assert board.page()["total"] == 0


def test_null_is_absent(make_board: MakeBoard) -> None:
    board = make_board()
    board.submit("p1", 1, metadata=None)
    assert board.entry("p1")["metadata"] is None


def test_score_bounds_are_inclusive(api: Api, make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "latest", "score_min": -5, "score_max": 10.5})
    for score in (-5, 10.5, 0):
        assert board.submit("p1", score)["score"] == score
    for score in (-5.001, -6, 10.51, 1e300):
        error = api.fails(422, "validation_failed", "POST", board.scores, {"player_id": "p1", "score": score})
        assert any("score" in detail["loc"] for detail in error["details"]), error
    assert board.entry("p1")["score"] == 0


def test_score_bounds_hold_for_the_submission_not_the_sum(make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "sum", "score_max": 10})
    board.submit("p1", 10)
    assert board.submit("p1", 10)["score"] == 20


# Sums


def test_a_sum_that_is_not_finite_is_refused(api: Api, make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "sum"})
    board.submit("p1", 1.5e308)
    body = {"player_id": "p1", "score": 1.5e308}
    api.fails(422, "validation_failed", "POST", board.scores, body)
    answer = board.batch([body, {"player_id": "p2", "score": 1}])
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(0, "validation_failed")]
    assert board.standings() == [(1, "p1", 1.5e308), (2, "p2", 1)]
    assert board.submit("p1", -1.5e308)["score"] == 0


def test_sums_are_sums_of_doubles(make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "sum"})
    board.submit("p1", 0.1)
    assert board.submit("p1", 0.2)["score"] == 0.1 + 0.2
    board.submit("p2", 2**53 - 1)
    answer = board.submit("p2", 1)
    assert (answer["score"], type(answer["score"])) == (2**53, int)
    assert board.submit("p2", 1)["score"] == 2.0**53
    assert board.submit("p2", 2)["score"] == 2.0**53 + 2


# Windows and the override


def test_windows_beside_the_answer(make_board: MakeBoard) -> None:
    board = make_board(
        timeframe={"type": "weekly"}, windows=["all_time", "yearly"], scoring={"aggregation": "sum"}
    )
    board.submit_all({"p2": 5})
    answer = board.submit("p1", 7, subscore=1)
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
    assert fields <= set(answer)
    assert sorted(window["window"] for window in answer["windows"]) == ["all_time", "yearly"]
    for window in answer["windows"]:
        assert fields <= set(window)
        assert (window["applied"], window["score"], window["subscore"], window["rank"]) == (True, 7, 1, 1)
        assert window["period_key"] == board.current(window["window"])["period_key"]
        assert board.standings(window=window["window"]) == [(1, "p1", 7), (2, "p2", 5)]


@pytest.mark.parametrize("aggregation", ["best", "latest", "sum", "min", "max", "count"])
def test_override_of_the_aggregation(make_board: MakeBoard, aggregation: str) -> None:
    board = make_board()
    board.submit("p1", 10)
    answer = board.submit("p1", 4, aggregation=aggregation)
    expected = {"best": 10, "latest": 4, "sum": 14, "min": 4, "max": 10, "count": 11}[aggregation]
    assert (answer["score"], answer["applied"]) == (expected, expected != 10)
    assert board.definition()["scoring"]["aggregation"] == "best"
    assert board.submit("p1", 3)["score"] == expected
