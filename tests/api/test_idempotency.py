"""Section 1, idempotency: `submission_id` and `Idempotency-Key` on scores, `Idempotency-Key` on the other
POSTs.

The law under test: a repeat changes nothing, counts as accepted and says `duplicate`; a submission that was
answered with an error left no trace, its id included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, unique
from tests.support.api.client import Api


@pytest.fixture
def summing(make_board: MakeBoard) -> Board:
    """A board on which every submission that is applied shows, with two windows."""
    return make_board(
        timeframe={"type": "weekly"}, windows=["all_time", "yearly"], scoring={"aggregation": "sum"}
    )


def is_duplicate(answer: dict[str, Any]) -> bool:
    duplicate = answer.get("duplicate", False)
    assert type(duplicate) is bool
    return duplicate


# submission_id


def test_repeat_changes_nothing(summing: Board) -> None:
    first = summing.submit("p1", 10, subscore=2, metadata={"n": 1}, submission_id="s1")
    assert not is_duplicate(first)
    before = summing.page()
    again = summing.submit("p1", 10, subscore=2, metadata={"n": 1}, submission_id="s1")
    assert is_duplicate(again)
    assert (again["player_id"], again["score"], again["subscore"], again["rank"]) == ("p1", 10, 2, 1)
    assert summing.page()["entries"] == before["entries"]


def test_repeat_shows_the_entry_as_it_is_now(summing: Board) -> None:
    summing.submit("p1", 10, submission_id="s1")
    summing.submit("p1", 5, submission_id="s2")
    summing.submit("p2", 100)
    again = summing.submit("p1", 10, submission_id="s1")
    assert (is_duplicate(again), again["score"], again["rank"]) == (True, 15, 2)


def test_repeat_with_other_content_changes_nothing(summing: Board) -> None:
    summing.submit("p1", 10, submission_id="s1")
    assert is_duplicate(summing.submit("p1", 999, submission_id="s1"))
    assert summing.standings() == [(1, "p1", 10)]


def test_an_id_that_is_known_for_another_player_is_a_conflict(summing: Board, api: Api) -> None:
    """The id of a match, say: the second player's score is not lost in silence."""
    summing.submit("p1", 10, submission_id="m-77")
    again = {"player_id": "p2", "score": 999, "submission_id": "m-77"}
    api.fails(409, "idempotency_conflict", "POST", summing.scores, again)
    answer = summing.batch([again, {"player_id": "p2", "score": 5, "submission_id": "m-77:p2"}])
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(0, "idempotency_conflict")]
    assert summing.standings() == [(1, "p1", 10), (2, "p2", 5)]


def test_repeat_changes_no_window(summing: Board) -> None:
    summing.submit("p1", 10, submission_id="s1")
    summing.submit("p1", 10, submission_id="s1")
    for window in ("main", "all_time", "yearly"):
        assert summing.standings(window=window) == [(1, "p1", 10)], window


def test_repeat_in_a_batch(summing: Board) -> None:
    items = [
        {"player_id": "p1", "score": 1, "submission_id": "a"},
        {"player_id": "p2", "score": 5, "submission_id": "b"},
        {"player_id": "p1", "score": 1, "submission_id": "a"},
        {"player_id": "p1", "score": 2},
    ]
    first = summing.batch(items, results="full")
    assert (first["accepted"], [is_duplicate(result) for result in first["results"]]) == (
        4,
        [False, False, True, False],
    )
    again = summing.batch(items[:3], results="full")
    assert (again["accepted"], [is_duplicate(result) for result in again["results"]]) == (3, [True] * 3)
    assert summing.standings() == [(1, "p2", 5), (2, "p1", 3)]


def test_single_then_batch_then_routed_batch(api: Api, summing: Board) -> None:
    item = {"player_id": "p1", "score": 7, "submission_id": "x"}
    summing.submit("p1", 7, submission_id="x")
    assert is_duplicate(summing.batch([item], results="full")["results"][0])
    routed = api.ok("POST", "/v1/scores", [item | {"leaderboard_id": summing.id}], params={"results": "full"})
    assert (routed["accepted"], is_duplicate(routed["results"][0])) == (1, True)
    assert summing.standings() == [(1, "p1", 7)]


def test_a_submission_that_was_not_applied_is_remembered_too(make_board: MakeBoard) -> None:
    board = make_board()
    board.submit("p1", 10)
    assert board.submit("p1", 3, submission_id="low")["applied"] is False
    again = board.submit("p1", 3, submission_id="low")
    assert (is_duplicate(again), again["score"]) == (True, 10)


def test_ids_are_unique_in_a_leaderboard_only(make_board: MakeBoard) -> None:
    for _ in range(2):
        assert not is_duplicate(make_board().submit("p1", 1, submission_id="shared"))


def test_an_error_leaves_the_id_free(api: Api, make_board: MakeBoard) -> None:
    board = make_board(scoring={"score_max": 100})
    body = {"player_id": "p1", "score": 101, "submission_id": "s"}
    api.fails(422, "validation_failed", "POST", board.scores, body)
    assert board.batch([body])["rejected"] == 1
    board.patch(status="inactive")
    api.fails(409, "leaderboard_inactive", "POST", board.scores, body | {"score": 5})
    board.patch(status="active")
    answer = board.submit("p1", 5, submission_id="s")
    assert (is_duplicate(answer), answer["applied"]) == (False, True)


def test_repeat_after_a_forced_close(summing: Board) -> None:
    summing.submit("p1", 10, submission_id="s1")
    summing.batch([{"player_id": "p2", "score": 20, "submission_id": "s2"}])
    closed = summing.force_close()["closed"]
    assert is_duplicate(summing.submit("p1", 10, submission_id="s1"))
    answer = summing.batch([{"player_id": "p2", "score": 20, "submission_id": "s2"}], results="full")
    assert is_duplicate(answer["results"][0])
    assert summing.page()["total"] == 0
    assert summing.standings(period=closed["period_key"]) == [(1, "p2", 20), (2, "p1", 10)]
    assert summing.standings(window="all_time") == [(1, "p2", 20), (2, "p1", 10)]
    assert not is_duplicate(summing.submit("p1", 1, submission_id="s3"))


def test_repeat_after_the_entry_was_deleted(api: Api, summing: Board) -> None:
    summing.submit("p1", 10, submission_id="s1")
    api.ok("DELETE", summing.player("p1"))
    assert is_duplicate(summing.submit("p1", 10, submission_id="s1"))
    assert summing.page()["total"] == 0


# Idempotency-Key on score routes


def test_header_on_a_single_score(summing: Board, api: Api) -> None:
    body = {"player_id": "p1", "score": 4}
    first = api.ok("POST", summing.scores, body, headers={"Idempotency-Key": "K"})
    again = api.ok("POST", summing.scores, body, headers={"Idempotency-Key": "K"})
    by_id = summing.submit("p1", 4, submission_id="K:0")
    assert [is_duplicate(answer) for answer in (first, again, by_id)] == [False, True, True]
    for other in ({"score": 9}, {"player_id": "p2"}):
        conflict = ("POST", summing.scores, body | other)
        api.fails(409, "idempotency_conflict", *conflict, headers={"Idempotency-Key": "K"})
    assert summing.standings() == [(1, "p1", 4)]


def test_header_on_a_batch(summing: Board, api: Api) -> None:
    items = [{"player_id": f"p{i}", "score": i + 1} for i in range(3)]
    summing.batch(items, headers={"Idempotency-Key": "B"})
    again = summing.batch(items, results="full", headers={"Idempotency-Key": "B"})
    assert (again["accepted"], [is_duplicate(result) for result in again["results"]]) == (3, [True] * 3)
    longer = [*items, {"player_id": "p3", "score": 9}]
    for other in (longer, items[:2], [{"player_id": "p0", "score": 2}]):
        conflict = ("POST", summing.scores, other)
        api.fails(409, "idempotency_conflict", *conflict, headers={"Idempotency-Key": "B"})
    assert is_duplicate(summing.submit("p2", 1, submission_id="B:2"))
    assert summing.standings() == [(1, "p2", 3), (2, "p1", 2), (3, "p0", 1)]


def test_header_beside_ids_of_their_own(summing: Board) -> None:
    """Each item goes by its id, which may come again in another body."""
    items = [{"player_id": "p1", "score": 1, "submission_id": "own"}, {"player_id": "p2", "score": 2}]
    summing.batch(items, headers={"Idempotency-Key": "M"})
    again = summing.batch([*items, {"player_id": "p3", "score": 3}], "full", headers={"Idempotency-Key": "M"})
    assert [is_duplicate(result) for result in again["results"]] == [True, True, False]
    assert is_duplicate(summing.submit("p1", 1, submission_id="own"))


def test_header_on_a_wrapped_batch(api: Api, summing: Board) -> None:
    body = {"submissions": [{"player_id": "p1", "score": 1}, {"player_id": "p1", "score": 2}]}
    for _ in range(2):
        assert api.ok("POST", summing.scores, body, headers={"Idempotency-Key": "W"})["accepted"] == 2
    assert summing.standings() == [(1, "p1", 3)]


def test_header_on_routed_scores(api: Api, make_board: MakeBoard) -> None:
    boards = [make_board(scoring={"aggregation": "sum"}) for _ in range(2)]
    items = [{"leaderboard_id": board.id, "player_id": "p1", "score": 5} for board in boards]
    for _ in range(2):
        assert api.ok("POST", "/v1/scores", items, headers={"Idempotency-Key": "R"})["accepted"] == 2
    for index, board in enumerate(boards):
        assert board.standings() == [(1, "p1", 5)]
        assert is_duplicate(board.submit("p1", 5, submission_id=f"R:{index}"))


# Idempotency-Key on the other POSTs


def test_creating_a_leaderboard_again(api: Api) -> None:
    headers = {"Idempotency-Key": unique("create")}
    body = {"leaderboard_id": unique("idem"), "name": "One"}
    first = api.ok("POST", "/v1/leaderboards", body, status=201, headers=headers)
    assert api.ok("POST", "/v1/leaderboards", body, status=201, headers=headers) == first
    api.fails(
        409, "idempotency_conflict", "POST", "/v1/leaderboards", body | {"name": "Two"}, headers=headers
    )
    api.fails(409, "leaderboard_exists", "POST", "/v1/leaderboards", body)
    assert api.get(f"/v1/leaderboards/{body['leaderboard_id']}")["name"] == "One"


def test_creating_a_tenant_again(api: Api) -> None:
    headers = {"Idempotency-Key": unique("create")}
    body = {"tenant_id": unique("idem"), "name": "One"}
    first = api.ok("POST", "/v1/tenants", body, status=201, headers=headers)
    assert api.ok("POST", "/v1/tenants", body, status=201, headers=headers) == first
    api.fails(409, "idempotency_conflict", "POST", "/v1/tenants", body | {"name": "Two"}, headers=headers)


def test_creating_a_key_again_makes_no_second_key(api: Api, make_tenant: Callable[[], str]) -> None:
    tenant_id = make_tenant()
    headers = {"Idempotency-Key": unique("create")}
    body = {"tenant_id": tenant_id, "name": "one", "scopes": ["rankings:read"]}
    first = api.ok("POST", "/v1/keys", body, status=201, headers=headers)
    again = api.ok("POST", "/v1/keys", body, status=201, headers=headers)
    assert again["key_id"] == first["key_id"]
    assert len(api.in_tenant(tenant_id).listing("/v1/keys")) == 1
    api.fails(409, "idempotency_conflict", "POST", "/v1/keys", body | {"name": "two"}, headers=headers)


def test_closing_a_period_again_closes_one_period(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit("p1", 1)
    headers = {"Idempotency-Key": unique("close")}
    first = api.ok("POST", board.close, {}, headers=headers)
    again = api.ok("POST", board.close, {}, headers=headers)
    assert again == first
    assert board.current()["period_key"] == first["current"]["period_key"]


def test_creating_a_manual_period_again(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "manual"})
    headers = {"Idempotency-Key": unique("period")}
    body = {"period_key": "s1", "starts_at": "2026-01-01T00:00:00Z"}
    first = api.ok("POST", board.periods, body, status=201, headers=headers)
    assert api.ok("POST", board.periods, body, status=201, headers=headers) == first
    api.fails(
        409, "idempotency_conflict", "POST", board.periods, body | {"period_key": "s2"}, headers=headers
    )


def test_keys_of_two_tenants_do_not_meet(api: Api, make_tenant: Callable[[], str]) -> None:
    headers = {"Idempotency-Key": unique("shared")}
    for name in ("One", "Two"):
        there = api.in_tenant(make_tenant())
        body = {"leaderboard_id": "xp", "name": name}
        made = there.ok("POST", "/v1/leaderboards", body, status=201, headers=headers)
        assert made["name"] == name


def test_an_error_is_not_kept_from_being_mended(api: Api) -> None:
    """A refused POST did nothing: with a mended body the same key either succeeds or is a conflict."""
    headers = {"Idempotency-Key": unique("mend")}
    leaderboard_id = unique("mend")
    api.fails(
        422,
        None,
        "POST",
        "/v1/leaderboards",
        {"leaderboard_id": leaderboard_id, "windows": 5},
        headers=headers,
    )
    reply = api.call("POST", "/v1/leaderboards", {"leaderboard_id": leaderboard_id}, headers=headers)
    assert reply.status == 201 or reply.json["error"]["code"] == "idempotency_conflict"
