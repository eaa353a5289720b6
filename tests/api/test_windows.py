"""Section 4, windows: the main window decides, and a further one whose period is over is passed over.

A `manual` leaderboard without a period refuses in its main window, and nothing is taken anywhere.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, ahead
from tests.support.api.client import Api

WINDOWS = ("main", "daily", "all_time")


@pytest.fixture
def board(make_board: MakeBoard) -> Board:
    return make_board(timeframe={"type": "manual"}, windows=list(WINDOWS[1:]), scoring={"aggregation": "sum"})


def begin(board: Board, from_s: float = -5) -> str:
    """A period from then on; its key."""
    body = {"starts_at": ahead(from_s), "ends_at": ahead(3600)}
    period = board.api.ok("POST", board.periods, body, status=201)
    return str(period["period_key"])


def item(submission_id: str | None = "s1", score: int = 7) -> dict[str, Any]:
    named = {} if submission_id is None else {"submission_id": submission_id}
    return {"player_id": "p1", "score": score, **named}


def test_what_main_refuses_counts_nowhere(api: Api, board: Board) -> None:
    for refused in (item(), item(), item(None), item(None)):
        api.fails(409, "period_not_open", "POST", board.scores, refused)
    answer = board.batch([item("a"), item(None)], results="full")
    assert [error["code"] for error in answer["errors"]] == ["period_not_open"] * 2, answer
    for window in WINDOWS[1:]:
        assert board.standings(window=window) == []
    key = begin(board)
    answer = board.submit(**item())
    assert (answer["period_key"], answer["score"], answer.get("duplicate", False)) == (key, 7, False)
    assert [(w["window"], w["applied"], w["score"]) for w in answer["windows"]] == [
        ("daily", True, 7),
        ("all_time", True, 7),
    ]
    assert board.submit(**item())["duplicate"] is True
    for window in WINDOWS:
        entry = board.entry("p1", window=window)
        assert (entry["score"], entry["submissions"]) == (7, 1), window


@pytest.mark.parametrize("results", ["full", "none"])
def test_a_window_whose_period_is_over_is_passed_over(make_board: MakeBoard, results: str) -> None:
    """An offline player's score of three hours ago: it counts for all time, not in an hour that is over."""
    board = make_board(windows=["hourly"], scoring={"aggregation": "sum"})
    late = {**item(), "occurred_at": ahead(-3 * 3600)}
    passed = {"window": "hourly", "applied": False, "skipped": "period_closed"}
    assert board.submit(**late)["windows"] == [passed]
    answer = board.batch([late, {**late, "submission_id": "s2"}], results=results)
    assert (answer["accepted"], answer["errors"]) == (2, [])
    if results == "full":
        repeat, first = answer["results"]
        assert (repeat["duplicate"], repeat["score"], first["windows"]) == (True, 14, [passed])
    assert board.standings() == [(1, "p1", 14)]
    assert board.standings(window="hourly") == []


WORDS = ("applied", "duplicate", "skipped")


def words(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What each window says became of a submission."""
    outcomes = [answer, *answer["windows"]]
    return [{name: outcome[name] for name in WORDS if name in outcome} for outcome in outcomes]


def test_every_window_calls_a_repeat_by_the_same_word(api: Api, make_board: MakeBoard) -> None:
    """Also one that passed the submission over, one whose period has changed, and one that was added since;
    alone, in a batch, beside its first, and routed.
    """
    board = make_board(
        timeframe={"type": "weekly"}, windows=["hourly", "all_time"], scoring={"aggregation": "sum"}
    )
    late = {**item("late"), "occurred_at": ahead(-3 * 3600)}
    taken, passed = {"applied": True}, {"applied": False, "skipped": "period_closed"}
    repeated = {"applied": False, "duplicate": True}
    assert words(board.submit(**late)) == [taken, passed, taken]
    assert words(board.submit(**item("s1"))) == [taken] * 3
    answer = board.batch([item("s2"), item("s2"), {**late, "submission_id": "l2"}], results="full")
    assert [words(result) for result in answer["results"]] == [
        [taken] * 3,
        [repeated] * 3,
        [taken, passed, taken],
    ]
    both = [{**late, "submission_id": "l3"}] * 2
    answer = board.batch(both, results="full")
    assert [words(result) for result in answer["results"]] == [[taken, passed, taken], [repeated] * 3]
    board.patch(windows=["hourly", "all_time", "yearly"])
    board.force_close()
    for again in (late, item("late"), item("s1")):
        answer = board.submit(**again)
        assert words(answer) == [repeated] * 4, again
        assert [w["score"] for w in answer["windows"]] == [14, 35, None], "the entries as they are now"
        routed = {**again, "leaderboard_id": board.id}
        batch = api.ok("POST", "/v1/scores", [routed], params={"results": "full"})
        assert words(batch["results"][0]) == [repeated] * 4, again
    assert board.standings() == []


def test_a_sum_that_would_not_be_finite_in_any_window_is_refused(api: Api, board: Board) -> None:
    begin(board)
    board.submit("p1", 1.7e308)
    api.ok("POST", f"{board.periods}/current/close")
    begin(board, 0)
    error = api.fails(422, "validation_failed", "POST", board.scores, {"player_id": "p1", "score": 1.7e308})
    assert error["details"][0]["loc"] == ["score"]
    assert board.standings() == []
    assert board.standings(window="all_time") == [(1, "p1", 1.7e308)]
