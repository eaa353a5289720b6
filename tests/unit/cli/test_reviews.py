"""The commands of `reviews` against the fake server."""

from __future__ import annotations

from typing import Any

import pytest

from lbactors.cli import reviews
from tests.support.command import ok, ok_json, refused, run
from tests.support.fake_api import FakeApi


def test_reviews_reach_their_routes(api: FakeApi) -> None:
    calls: dict[tuple[str, ...], tuple[str, Any]] = {
        ("list", "xp", "--player", "maya"): ("GET /v1/leaderboards/xp/held?player_id=maya&limit=100", None),
        ("approve", "xp", "h_1", "--json"): ("POST /v1/leaderboards/xp/held/h_1/approve", {}),
        ("reject", "xp", "h_1"): ("POST /v1/leaderboards/xp/held/h_1/reject", {}),
        ("reject", "xp", "h_1", "h_2", "--reason", "no"): (
            "POST /v1/leaderboards/xp/held/h_2/reject",
            {"reason": "no"},
        ),
    }
    for arguments, (path, body) in calls.items():
        ok("reviews", *arguments)
        assert (api.paths()[-1], api.requests[-1][3]) == (path, body)
    refused(2, "reviews", "approve", "xp")


def test_the_list_goes_through_all_leaderboards(api: FakeApi) -> None:
    api.add_board("laps")
    api.held = {"xp": 2, "laps": 1}
    lines = ok("reviews").splitlines()
    assert [line.split()[0] for line in lines] == ["leaderboard", "xp", "xp", "laps"]
    answer = ok_json("reviews", "--player", "maya")
    assert len(answer["items"]) == 3 and answer["complete"]
    assert "player_id=maya" in api.paths()[-1]


def test_a_list_that_was_cut_says_so(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.add_board("laps")
    api.held = {"xp": 2, "laps": 1}
    result = run("reviews", "--limit", "2")
    assert len(result.stdout.splitlines()) == 3 and "There are more" in result.stderr
    assert not ok_json("reviews", "--limit", "2")["complete"]
    monkeypatch.setattr(reviews, "LEADERBOARDS_ASKED", 1)
    assert not ok_json("reviews")["complete"]
    assert "--cursor needs LEADERBOARD" in refused(2, "reviews", "--cursor", "x")


def test_what_was_decided_before_an_error_is_shown(api: FakeApi) -> None:
    api.let_pass(1)
    api.fail(404, "held_not_found")
    result = run("reviews", "reject", "xp", "h_1", "h_2")
    assert (result.exit_code, result.stdout) == (1, "rejected: 1\n")
    assert "held_not_found" in result.stderr
