"""Section 4, windows: where one window refuses a submission, its client is told which, and can complete it.

A `manual` leaderboard without a period refuses in its main window, while its daily window takes scores.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, ahead
from tests.support.api.client import Api


@pytest.fixture
def board(make_board: MakeBoard) -> Board:
    return make_board(
        timeframe={"type": "manual"}, windows=["daily", "all_time"], scoring={"aggregation": "sum"}
    )


def begin(board: Board) -> str:
    """A period from a moment ago on; its key."""
    period = board.api.ok("POST", board.periods, {"starts_at": ahead(-5), "ends_at": ahead(3600)}, status=201)
    return str(period["period_key"])


def item(submission_id: str = "s1", score: int = 7) -> dict[str, Any]:
    return {"player_id": "p1", "score": score, "submission_id": submission_id}


def test_one_submission(api: Api, board: Board) -> None:
    for _ in range(2):
        error = api.fails(409, "period_not_open", "POST", board.scores, item())
        assert [detail["loc"] for detail in error["details"]] == [["windows", "main"]], error
        assert error["details"][0]["msg"].startswith("period_not_open"), error
    assert board.entry("p1", window="daily")["score"] == 7
    key = begin(board)
    answer = board.submit(**item())
    assert (answer["period_key"], answer["score"], answer.get("duplicate", False)) == (key, 7, False)
    assert [(w["window"], w["applied"], w["score"]) for w in answer["windows"]] == [
        ("daily", False, 7),  # it is there already
        ("all_time", False, 7),
    ]
    assert board.submit(**item())["duplicate"] is True
    for window in ("main", "daily", "all_time"):
        entry = board.entry("p1", window=window)
        assert (entry["score"], entry["submissions"]) == (7, 1), window


@pytest.mark.parametrize("results", ["full", "none"])
def test_in_a_batch(board: Board, results: str) -> None:
    items = [item("a", 1), item("b", 10)]
    answer = board.batch(items, results=results)
    assert [error["code"] for error in answer["errors"]] == ["period_not_open"] * 2, answer
    assert all("'main'" in error["message"] for error in answer["errors"]), answer
    begin(board)
    answer = board.batch([*items, item("c", 100)], results=results)
    assert (answer["accepted"], answer["errors"]) == (3, [])
    for window in ("main", "daily", "all_time"):
        entry = board.entry("p1", window=window)
        assert (entry["score"], entry["submissions"]) == (111, 3), window
