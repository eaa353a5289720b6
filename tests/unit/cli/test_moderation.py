"""The commands of moderation, against the fake server."""

from __future__ import annotations

from typing import Any

from tests.support.command import ok, refused
from tests.support.fake_api import FakeApi


def test_moderation_reaches_its_routes(api: FakeApi) -> None:
    entry = "/v1/leaderboards/xp/players/maya"
    until = "2027-01-01T00:00:00Z"
    calls: dict[tuple[str, ...], tuple[str, Any]] = {
        ("players", "hide", "maya"): ("POST /v1/players/maya/hide", {}),
        ("players", "hide", "maya", "--until", until, "--reason", "hack"): (
            "POST /v1/players/maya/hide",
            {"until": until, "reason": "hack"},
        ),
        ("players", "unhide", "maya"): ("POST /v1/players/maya/unhide", {}),
        ("players", "hidden"): ("GET /v1/hidden-players?limit=100", None),
        ("players", "remove", "xp", "maya", "--reason", "hack"): (f"DELETE {entry}?reason=hack", None),
        ("players", "restore", "xp", "maya", "--window", "daily"): (f"POST {entry}/restore?window=daily", {}),
        ("players", "edit", "xp", "maya", "42", "--metadata", '{"a":1}', "--reason", "bug"): (
            f"PATCH {entry}",
            {"score": 42, "metadata": {"a": 1}, "reason": "bug"},
        ),
        ("audit", "--act", "key", "--player", "maya"): (
            "GET /v1/audit?act=key&player_id=maya&limit=100",
            None,
        ),
    }
    for arguments, (path, body) in calls.items():
        before = len(api.paths())
        ok(*arguments)
        assert (api.paths()[before], api.requests[before][3]) == (path, body)
    refused(2, "players", "edit", "xp", "maya", "42")


def test_the_audit_log_is_written_for_people(api: FakeApi) -> None:
    entry = {"window": "main", "period_key": "2026-W47", "rank": 2, "score": 4000, "subscore": 0}
    details = {
        "window": None, "fields": ["score"], "outcome": "done", "before": [entry],
        "after": [{**entry, "rank": 1, "score": 4100}, {**entry, "window": "daily"}],
    }  # fmt: skip
    api.audit = [details, {"before": None, "after": "for good"}, {"fields": []}]
    cells = [line.split("  ")[-1].strip() for line in ok("audit").splitlines()[1:]]
    assert cells == [
        "fields: score; outcome: done; before: main 4000 (rank 2); "
        "after: main 4100 (rank 1), daily 4000 (rank 2)",
        "after: for good",
        "-",
    ]
