"""Section 3, from one period to the next: forced closes, real rollovers, `previous`, `change`, `occurred_at`.

Boards with `every 2 s` watch the real clock; what must come about by itself is polled with a deadline.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, ahead, instant, now, wire
from tests.support.api.client import Api, eventually


def every(seconds: int, **frame: Any) -> dict[str, Any]:
    return {"type": "every", "every_seconds": seconds, **frame}


def next_period(board: Board, after_key: str) -> dict[str, Any]:
    """Waits until the clock has moved on from the period `after_key`."""

    def probe() -> dict[str, Any] | None:
        period = board.current()
        return period if period["period_key"] != after_key else None

    return eventually(probe, f"a period after {after_key}")


def submitted(board: Board, player_id: str, score: float) -> dict[str, Any]:
    """The period that took a submission, however long it was on its way."""
    key = board.submit(player_id, score)["period_key"]
    period: dict[str, Any] = board.api.get(f"{board.periods}/{key}")
    return period


# Forced closes


@pytest.mark.parametrize("kind", ["permanent", "yearly", "monthly", "weekly", "daily"])
def test_a_span_that_occurs_again_is_numbered(make_board: MakeBoard, kind: str) -> None:
    board = make_board(timeframe={"type": kind})
    key = board.current()["period_key"]
    for turn in (2, 3):
        board.submit(f"p{turn}", turn)
        answer = board.force_close()
        closed, current = answer["closed"], answer["current"]
        assert closed["period_key"] == (key if turn == 2 else f"{key}-2")
        assert (closed["state"], closed["entries"], closed["window"]) == ("closed", 1, "main")
        assert (current["period_key"], current["state"], current["entries"]) == (f"{key}-{turn}", "active", 0)
        assert board.current()["period_key"] == current["period_key"]
        assert board.page()["total"] == 0
    assert board.submit("p9", 1)["period_key"] == f"{key}-3"
    assert list(board.ranks(period=key)) == ["p2"]
    assert list(board.ranks(period=f"{key}-2")) == list(board.ranks(period="previous")) == ["p3"]


def test_a_forced_close_on_the_clock(make_board: MakeBoard) -> None:
    board = make_board()
    before = now() - timedelta(seconds=1)
    closed = board.force_close()["closed"]
    assert before <= instant(closed["ends_at"]) <= now() + timedelta(seconds=1)


def test_a_closed_period_never_changes(api: Api, make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "sum"}, ranking={"rank_style": "competition"})
    board.submit_all({"p1": 5, "p2": 5, "p3": 1})
    key = board.force_close()["closed"]["period_key"]
    before = board.page(period=key)
    assert [entry["rank"] for entry in before["entries"]] == [1, 1, 3]
    board.submit_all({"p3": 100, "p4": 50})
    board.submit("p1", 1)
    api.ok("DELETE", board.player("p4"))
    api.fails(404, "entry_not_found", "DELETE", board.player("p2"))
    after = board.page(period=key)
    assert (after["entries"], after["total"], after["period"]) == (
        before["entries"],
        before["total"],
        before["period"],
    )
    assert board.entry("p3", period=key)["rank"] == 3
    assert board.entry("p3")["rank"] == 1


def test_reads_of_a_closed_period(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({f"p{i}": i for i in range(10)})
    key = board.force_close()["closed"]["period_key"]
    board.submit("p3", 77)
    for period in (key, "previous"):
        assert [entry["player_id"] for entry in board.page(period=period, limit=2, offset=2)["entries"]] == [
            "p7",
            "p6",
        ]
        around = api.get(board.player("p5") + "/around", limit=3, period=period)["entries"]
        assert [entry["player_id"] for entry in around] == ["p6", "p5", "p4"]
        lookup = api.ok("POST", f"{board.rankings}/lookup", {"player_ids": ["p3"]}, params={"period": period})
        assert lookup["entries"][0]["rank"] == 7
        assert api.get(f"{board.rankings}/at/4.5", period=period)["rank"] == 6
        assert api.get(f"{board.path}/distribution", period=period)["total"] == 10
        assert board.page(period=period)["period"]["state"] == "closed"


def test_change_against_the_previous_period(make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({"a": 40, "b": 30, "c": 20, "d": 10})
    assert {entry["change"] for entry in board.page()["entries"]} == {"new"}
    board.force_close()
    board.submit_all({"b": 40, "a": 30, "c": 20, "e": 10})
    changes = {entry["player_id"]: entry["change"] for entry in board.page()["entries"]}
    assert changes == {"b": "up", "a": "down", "c": "same", "e": "new"}
    assert board.entry("b")["change"] == "up"
    board.force_close()
    board.submit_all({"d": 1})
    assert board.entry("d")["change"] == "new"
    closed = {entry["player_id"]: entry["change"] for entry in board.page(period="previous")["entries"]}
    assert closed == changes


def test_closed_periods_are_retained_up_to_a_number(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "permanent", "retain_periods": 2, "retain_days": 0})
    for turn in range(5):
        board.submit("p1", turn)
        board.force_close()

    def kept() -> bool:
        closed = api.listing(board.periods, window="main", state="closed")
        return sorted(period["period_key"] for period in closed) == ["all_time-4", "all_time-5"]

    def gone() -> bool:
        return api.call("GET", board.rankings, params={"period": "all_time"}).status == 404

    eventually(kept, "two closed periods are left")
    eventually(gone, "the actor has heard of it, too")
    api.fails(404, "period_not_found", "GET", board.rankings, params={"period": "all_time"})
    assert board.standings(period="all_time-5") == [(1, "p1", 4)]


def test_a_cursor_does_not_wander_into_the_next_period(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({f"old{i}": i for i in range(5)})
    cursor = board.page(limit=2)["next_cursor"]
    board.force_close()
    board.submit_all({f"new{i}": i for i in range(5)})
    reply = api.call("GET", board.rankings, params={"limit": 2, "cursor": cursor})
    if reply.status == 200:
        assert [entry["player_id"] for entry in reply.json["entries"]] == ["old2", "old1"]
    else:
        assert reply.status == 422


# The clock


def test_a_rollover_by_the_clock(api: Api, make_board: MakeBoard) -> None:
    board = make_board(
        timeframe=every(2, late_grace_seconds=1), windows=["all_time"], scoring={"aggregation": "sum"}
    )
    first = submitted(board, "p1", 5)
    second = next_period(board, first["period_key"])
    assert instant(second["starts_at"]) >= instant(first["ends_at"]) == instant(first["next_starts_at"])
    answer = board.submit("p2", 7)
    assert board.standings(period=first["period_key"]) == [(1, "p1", 5)]
    assert board.standings(period=answer["period_key"]) == [(1, "p2", 7)]
    assert board.standings(window="all_time") == [(1, "p2", 7), (2, "p1", 5)]
    states = {
        period["period_key"]: period["state"]
        for period in api.listing(board.periods, window="main", limit=100)
    }
    assert states[first["period_key"]] in ("closing", "closed")

    def closed() -> bool:
        return bool(api.get(f"{board.periods}/{first['period_key']}")["state"] == "closed")

    eventually(closed, "the first period is closed after its grace")


def test_writes_across_rollovers_lose_and_double_nothing(make_board: MakeBoard) -> None:
    board = make_board(
        timeframe=every(2, retain_periods=100), windows=["all_time"], scoring={"aggregation": "count"}
    )
    keys: set[str] = set()
    deadline = now() + timedelta(seconds=5)
    sent = 0
    while now() < deadline:
        keys.add(board.submit("p1")["period_key"])
        sent += 1
    assert len(keys) >= 2
    assert sum(board.entry("p1", period=key)["score"] for key in keys) == sent
    assert board.entry("p1", window="all_time")["score"] == sent


# occurred_at


def test_a_late_submission_goes_where_it_occurred(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe=every(2, late_grace_seconds=600))
    first = submitted(board, "p1", 5)
    next_period(board, first["period_key"])
    inside = wire(instant(first["starts_at"]) + timedelta(seconds=1))
    late = board.submit("p2", 9, occurred_at=inside)
    assert (late["period_key"], late["rank"]) == (first["period_key"], 1)
    assert api.get(f"{board.periods}/{first['period_key']}")["state"] == "closing"
    batch = board.batch(
        [{"player_id": "p3", "score": 7, "occurred_at": inside}, {"player_id": "p3", "score": 1}]
    )
    assert batch["accepted"] == 2
    assert board.standings(period=first["period_key"]) == [(1, "p2", 9), (2, "p3", 7), (3, "p1", 5)]
    assert "p2" not in board.ranks()


def test_a_submission_after_the_grace_is_refused(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe=every(2, late_grace_seconds=0))
    first = submitted(board, "p1", 5)
    next_period(board, first["period_key"])
    inside = wire(instant(first["starts_at"]) + timedelta(seconds=1))
    body = {"player_id": "p2", "score": 9, "occurred_at": inside}
    api.fails(409, "period_closed", "POST", board.scores, body)
    assert board.batch([body])["errors"][0]["code"] == "period_closed"
    assert board.standings(period=first["period_key"]) == [(1, "p1", 5)]


def test_occurred_at_in_the_future(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    assert board.submit("p1", 1, occurred_at=ahead(30))["applied"]
    body = {"player_id": "p2", "score": 1, "occurred_at": ahead(120)}
    api.fails(422, "validation_failed", "POST", board.scores, body)
    assert board.batch([body])["errors"][0]["code"] == "validation_failed"
    assert list(board.ranks()) == ["p1"]


def test_occurred_at_in_a_period_to_come_counts_as_now(make_board: MakeBoard) -> None:
    """A client's clock is fast, and a boundary is near."""
    board = make_board(timeframe=every(20), windows=["hourly", "all_time"], scoring={"aggregation": "latest"})
    for number in range(3):
        outcome = board.submit("p1", number, occurred_at=ahead(40))
        assert outcome["applied"] and all(window["applied"] for window in outcome["windows"])
    entry = board.entry("p1", window="all_time")
    assert (entry["score"], entry["submissions"]) == (2, 3)
    assert instant(entry["updated_at"]) <= now()
    period = board.api.get(f"{board.periods}/{outcome['period_key']}")
    assert instant(period["starts_at"]) <= instant(entry["updated_at"])


def test_latest_goes_by_the_time_of_occurrence(make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "latest"}, windows=["yearly"])
    board.submit("p1", 5, occurred_at=ahead(-10))
    older = board.submit("p1", 9, occurred_at=ahead(-20))
    assert (older["applied"], older["score"]) == (False, 5)
    entry = board.entry("p1")
    assert (entry["score"], entry["submissions"]) == (5, 2)
    assert instant(entry["updated_at"]) - instant(entry["first_at"]) >= timedelta(seconds=9)
    assert board.submit("p1", 7)["applied"], "without a time it counts for its arrival"
    assert board.entry("p1", window="yearly")["score"] == 7


def test_occurred_at_of_now_with_an_offset(make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "yearly"})
    local = datetime.fromisoformat(ahead(-1)).astimezone().isoformat()
    assert board.submit("p1", 1, occurred_at=local)["applied"]
