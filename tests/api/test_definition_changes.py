"""Section 2: PATCH with versions, what may change while entries stand, status, archive and purge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api.boards import MakeBoard, unique
from tests.support.api.client import Api

# PATCH and versions


def test_patch_changes_the_fields_it_names(make_board: MakeBoard) -> None:
    board = make_board(name="Old", description="old", timeframe={"type": "daily"}, metadata={"a": 1})
    before = board.definition()
    patched = board.patch(name="New", metadata={"b": 2})
    assert patched == board.definition()
    assert (patched["name"], patched["description"], patched["metadata"]) == ("New", "old", {"b": 2})
    assert patched["timeframe"] == before["timeframe"]
    assert patched["version"] > before["version"]


def test_patch_of_a_part_leaves_its_other_fields(make_board: MakeBoard) -> None:
    board = make_board(ranking={"order": "asc", "rank_style": "dense"}, scoring={"score_max": 10})
    patched = board.patch(ranking={"min_score": 1}, scoring={"score_min": 0})
    assert (patched["ranking"]["order"], patched["ranking"]["rank_style"]) == ("asc", "dense")
    assert (patched["ranking"]["min_score"], patched["scoring"]["score_min"]) == (1, 0)
    assert patched["scoring"]["score_max"] == 10


def test_the_id_is_immutable(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    api.fails(422, "validation_failed", "PATCH", board.path, {"leaderboard_id": unique("other")})
    assert board.definition()["leaderboard_id"] == board.id


def test_if_match(api: Api, make_board: MakeBoard) -> None:
    board = make_board(name="One")
    first = api.call("GET", board.path).headers["etag"]
    reply = api.call("PATCH", board.path, {"name": "Two"}, headers={"If-Match": first})
    assert (reply.status, reply.json["name"]) == (200, "Two")
    second = api.call("GET", board.path).headers["etag"]
    assert second != first
    for stale in (first, '"never-given"'):
        api.fails(
            412, "version_mismatch", "PATCH", board.path, {"name": "Three"}, headers={"If-Match": stale}
        )
    assert board.definition()["name"] == "Two"
    assert api.call("PATCH", board.path, {"name": "Three"}, headers={"If-Match": second}).status == 200
    assert board.patch(name="Four")["name"] == "Four"


def test_etag_of_an_answer_serves_the_next_patch(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    etag = api.call("GET", board.path).headers["etag"]
    for name in ("One", "Two", "Three"):
        reply = api.call("PATCH", board.path, {"name": name}, headers={"If-Match": etag})
        assert reply.status == 200, reply.json
        etag = reply.headers["etag"]


# Rules that hold entries in place


@pytest.mark.parametrize(
    "change",
    [
        {"ranking": {"order": "asc"}},
        {"ranking": {"subscore_order": "asc"}},
        {"ranking": {"tie_breaking": "last"}},
        {"scoring": {"aggregation": "sum"}},
    ],
)
def test_order_aggregation_and_ties_stand_while_there_are_entries(
    api: Api, make_board: MakeBoard, change: dict[str, Any]
) -> None:
    part, fields = next(iter(change.items()))
    empty = make_board()
    assert fields.items() <= empty.patch(**change)[part].items()
    held = make_board(ranking={"subscore_order": "desc"})
    held.submit_all({"p1": 1, "p2": 2})
    before = held.definition()
    error = api.fails(422, "validation_failed", "PATCH", held.path, change)
    assert error["message"]
    assert held.definition() == before
    assert held.ranks() == {"p2": 1, "p1": 2}


def test_a_changed_order_orders(make_board: MakeBoard) -> None:
    board = make_board()
    board.patch(ranking={"order": "asc"})
    board.submit_all({"p1": 1, "p2": 2, "p3": 3})
    board.submit("p3", 0)
    assert board.standings() == [(1, "p3", 0), (2, "p1", 1), (3, "p2", 2)]


def test_score_bounds_take_effect(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit("p1", 500)
    board.patch(scoring={"score_max": 100})
    api.fails(422, "validation_failed", "POST", board.scores, {"player_id": "p2", "score": 101})
    board.submit("p2", 100)
    assert board.standings() == [(1, "p1", 500), (2, "p2", 100)]
    board.patch(scoring={"score_max": None})
    board.submit("p2", 501)
    assert board.ranks() == {"p2": 1, "p1": 2}


def test_rank_style_takes_effect(make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({"p1": 5, "p2": 5, "p3": 1})
    assert board.ranks() == {"p1": 1, "p2": 2, "p3": 3}
    board.patch(ranking={"rank_style": "dense"})
    assert board.ranks() == {"p1": 1, "p2": 1, "p3": 2}


def test_a_change_of_timeframe_takes_effect_at_once(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({"p1": 1, "p2": 2})
    assert board.current()["period_key"] == "all_time"
    board.patch(timeframe={"type": "yearly"})
    period = board.current()
    assert (period["period_key"], period["starts_at"], period["ends_at"]) == board.year()
    assert period["state"] == "active"
    assert board.standings() == [(1, "p2", 2), (2, "p1", 1)]
    answer = board.submit("p3", 3)
    assert (answer["period_key"], answer["rank"]) == (period["period_key"], 1)
    assert board.submit("p1", 9)["previous_score"] == 1
    stored = api.get(f"{board.periods}/{period['period_key']}")
    assert (stored["period_key"], stored["entries"]) == (period["period_key"], 3)


def test_a_change_of_timeframe_can_end_the_current_period(api: Api, make_board: MakeBoard) -> None:
    board = make_board(
        timeframe={"type": "range", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2055-01-01T00:00:00Z"}
    )
    board.submit("p1", 1)
    frame = {"type": "range", "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2020-02-01T00:00:00Z"}
    board.patch(timeframe=frame)
    page = board.page()
    assert (page["period"]["period_key"], page["period"]["state"]) == ("2020-01-01T00:00:00Z", "closed")
    assert [entry["player_id"] for entry in page["entries"]] == ["p1"]
    api.fails(409, "period_closed", "POST", board.scores, {"player_id": "p2", "score": 1})


def test_what_is_closed_stays_as_it_was(api: Api, make_board: MakeBoard) -> None:
    board = make_board(
        timeframe={"type": "range", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2055-01-01T00:00:00Z"}
    )
    board.submit_all({"p1": 30, "p2": 20, "p3": 20})
    frame = {"type": "range", "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2020-02-01T00:00:00Z"}
    board.patch(timeframe=frame)
    before = board.page()
    assert before["period"]["state"] == "closed"
    board.patch(ranking={"min_score": 25, "max_entries": 1, "rank_style": "dense"})
    board.patch(timeframe={"late_grace_seconds": 86400})
    api.fails(409, "period_closed", "DELETE", board.player("p1"))
    api.fails(409, "period_closed", "PATCH", board.player("p1"), {"score": 1, "reason": "cheats"})
    after = board.page()
    assert (after["entries"], after["period"]["state"]) == (before["entries"], "closed")


def test_a_schedule_that_is_extended_after_its_end_goes_on(api: Api, make_board: MakeBoard) -> None:
    frame = {"type": "range", "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2055-01-01T00:00:00Z"}
    board = make_board(timeframe=frame, windows=["all_time"], scoring={"aggregation": "sum"})
    board.submit("p1", 5, submission_id="s1")
    for year in ("2056", "2057"):
        board.patch(timeframe={"ends_at": "2020-02-01T00:00:00Z"})
        api.fails(409, "period_closed", "POST", board.scores, {"player_id": "p1", "score": 1})
        board.patch(timeframe={"ends_at": f"{year}-01-01T00:00:00Z"})
        assert board.submit("p1", 5, submission_id="s1")["duplicate"]
        for window in ("main", "all_time"):
            period = board.current(window)
            assert (period["state"], period["ends_at"]) == ("active", f"{year}-01-01T00:00:00.000Z")
            assert board.standings(window=window) == [(1, "p1", 5)]
            assert len(api.listing(board.periods, window=window)) == 1
    answer = board.submit("p1", 2, submission_id="s2")
    assert [answer["score"], *(w["score"] for w in answer["windows"])] == [7, 7]


def test_a_window_that_is_added_starts_empty(make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "daily"})
    board.submit("p1", 5)
    assert board.patch(windows=["all_time"])["windows"] == ["all_time"]
    assert board.page(window="all_time")["total"] == 0
    answer = board.submit("p2", 3)
    assert [window["window"] for window in answer["windows"]] == ["all_time"]
    assert board.standings(window="all_time") == [(1, "p2", 3)]
    assert board.standings() == [(1, "p1", 5), (2, "p2", 3)]


def test_a_window_that_is_taken_away_takes_no_more(api: Api, make_board: MakeBoard) -> None:
    board = make_board(timeframe={"type": "daily"}, windows=["all_time", "yearly"])
    board.submit("p1", 5)
    assert board.patch(windows=["yearly"])["windows"] == ["yearly"]
    answer = board.submit("p2", 3)
    assert [window["window"] for window in answer["windows"]] == ["yearly"]
    reply = api.call("GET", board.periods, params={"window": "all_time"})
    if reply.status == 200:
        assert all(period["state"] in ("closing", "closed") for period in reply.json["items"])


# Status, archive, purge


def test_inactive_refuses_writes_and_serves_reads(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit("p1", 5)
    assert board.patch(status="inactive")["status"] == "inactive"
    item = {"player_id": "p1", "score": 9}
    api.fails(409, "leaderboard_inactive", "POST", board.scores, item)
    routed = api.ok("POST", "/v1/scores", [item | {"leaderboard_id": board.id}])
    assert [error["code"] for error in routed["errors"]] == ["leaderboard_inactive"]
    assert board.standings() == [(1, "p1", 5)]
    assert board.entry("p1")["score"] == 5
    board.patch(status="active")
    assert board.submit("p1", 9)["rank"] == 1


def test_archive_keeps_reads_and_stops_writes(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit("p1", 5)
    assert api.call("DELETE", board.path).status in (200, 204)
    assert board.definition()["status"] == "archived"
    api.fails(409, "leaderboard_inactive", "POST", board.scores, {"player_id": "p1", "score": 9})
    assert board.standings() == [(1, "p1", 5)]
    assert board.entry("p1")["rank"] == 1
    api.fails(409, "leaderboard_exists", "POST", "/v1/leaderboards", {"leaderboard_id": board.id})


def test_purge_removes_everything(api: Api, make_board: MakeBoard) -> None:
    board = make_board(windows=["daily"], scoring={"aggregation": "sum"})
    board.submit("p1", 5, submission_id="s1")
    board.force_close()
    board.submit("p1", 5, submission_id="s2")
    assert api.call("DELETE", board.path, params={"purge": True}).status in (200, 204)
    for path in (board.path, board.rankings, board.player("p1"), board.periods):
        api.fails(404, "leaderboard_not_found", "GET", path)
    api.fails(404, "leaderboard_not_found", "POST", board.scores, {"player_id": "p1", "score": 1})
    made = make_board(leaderboard_id=board.id, scoring={"aggregation": "sum"})
    assert made.page()["total"] == 0
    assert [period["period_key"] for period in api.listing(made.periods, window="main")] == ["all_time"]
    answer = made.submit("p1", 2, submission_id="s1")
    assert (answer["score"], answer.get("duplicate", False)) == (2, False)


def test_an_archived_leaderboard_can_be_purged(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    assert api.call("DELETE", board.path).status in (200, 204)
    assert api.call("DELETE", board.path, params={"purge": True}).status in (200, 204)
    api.fails(404, "leaderboard_not_found", "GET", board.path)
    api.fails(404, "leaderboard_not_found", "DELETE", board.path)
