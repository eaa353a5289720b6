"""The commands of leaderboards and periods: what they ask of the fake server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from lbactors.cli import boards
from lbactors.cli.admin import SCOPES
from lbactors.core.definition import SCOPES as MODEL_SCOPES
from lbactors.core.definition import Definition
from tests.support.command import ok, ok_json, refused, run
from tests.support.fake_api import FakeApi


def test_create_from_options(api: FakeApi) -> None:
    ok(
        "leaderboards", "create", "w", "--timeframe", "weekly", "--timezone", "Europe/Rome",
        "--aggregation", "sum", "--order", "asc", "--window", "daily", "--window", "all_time",
        "--score-max", "10", "--max-entries", "7", "--metadata", '{"a": 1}', "--reset-date", "3",
        "--every", "60", "--late-grace", "0",
    )  # fmt: skip
    assert api.requests[-1][3] == {
        "leaderboard_id": "w",
        "timeframe": {
            "type": "weekly",
            "timezone": "Europe/Rome",
            "reset_date": 3,
            "every_seconds": 60,
            "late_grace_seconds": 0,
        },
        "windows": ["daily", "all_time"],
        "scoring": {"aggregation": "sum", "score_max": 10},
        "ranking": {"order": "asc", "max_entries": 7},
        "metadata": {"a": 1},
    }


def test_create_from_a_file(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "definition.json"
    path.write_text(json.dumps({"leaderboard_id": "f", "ranking": {"order": "asc", "max_entries": 5}}))
    definition = ok_json("leaderboards", "create", "--file", str(path), "--order", "desc", "--name", "F")
    ranking = {"order": "desc", "max_entries": 5, "tie_breaking": "first"}
    assert definition["ranking"] == {**ranking, "subscore_order": "desc"}
    assert definition["name"] == "F"
    path.write_bytes(b'\xef\xbb\xbf{"leaderboard_id": "marked"}')
    assert ok_json("leaderboards", "create", "--file", str(path))["leaderboard_id"] == "marked"
    path.write_text("[]")
    assert refused(2, "leaderboards", "create", "--file", str(path)) == "error: --file: not a JSON object\n"
    path.write_text('{"leaderboard_id": "g", "ranking": 3}')
    assert "ranking is not an object" in refused(
        2, "leaderboards", "create", "--file", str(path), "--order", "asc"
    )


def test_options_of_presentation(api: FakeApi) -> None:
    ok(
        "leaderboards", "create", "w", "--display", '{"top_n": 3}', "--translations", '{"it": {"name": "S"}}',
        "--display-order", "-2", "--private", "--preview", "--widget", "{}", "--external", '{"a": 1}',
        "--top-only", "10", "--positive-only",
    )  # fmt: skip
    assert api.requests[-1][3] == {
        "leaderboard_id": "w",
        "ranking": {"positive_only": True, "top_only": 10},
        "display": {"top_n": 3},
        "translations": {"it": {"name": "S"}},
        "display_order": -2,
        "public": False,
        "preview": True,
        "widget": {},
        "external": {"a": 1},
    }
    ok("leaderboards", "update", "w", "--public", "--no-positive-only")
    assert api.requests[-1][3] == {"public": True, "ranking": {"positive_only": False}}
    ok("leaderboards", "update", "w", "--name", "W")
    assert api.requests[-1][3] == {"name": "W"}
    ok("leaderboards", "show", "w", "--lang", "it")
    ok("leaderboards", "list", "--lang", "pt-BR")
    assert [path.partition("?")[2] for path in api.paths()[-2:]] == ["lang=it", "lang=pt-BR&limit=100"]
    refused(2, "leaderboards", "update", "w", "--top-only", "0")
    refused(2, "leaderboards", "update", "w", "--display", "{")


def test_leaderboards_list_show_update_archive_purge(api: FakeApi) -> None:
    output = ok("leaderboards", "list")
    assert output.splitlines()[1].split() == ["xp", "xp", "active", "permanent", "UTC", "-", "best", "desc"]
    assert "scoring.aggregation best" in " ".join(ok("leaderboards", "show", "xp").split())
    assert ok_json("leaderboards", "update", "xp", "--name", "New", "--if-version", "1")["version"] == 2
    assert "version_mismatch" in refused(
        1, "leaderboards", "update", "xp", "--name", "X", "--if-version", "1"
    )
    ok("leaderboards", "update", "xp", "--no-windows")
    assert api.requests[-1][3] == {"windows": []}
    assert ok("leaderboards", "archive", "xp") == "Archived xp\n"
    assert ok("leaderboards", "purge", "xp", "--yes") == "Deleted xp\n"
    assert "leaderboard_not_found" in refused(1, "leaderboards", "show", "xp")


def test_periods(api: FakeApi) -> None:
    result = run("periods", "list", "xp", "--window", "daily", "--state", "closed")
    assert result.stdout.splitlines()[1].split()[:3] == ["2026-W47", "main", "active"]
    assert result.stderr == "more: --cursor more\n"
    assert api.paths()[-1] == "GET /v1/leaderboards/xp/periods?window=daily&state=closed&limit=100"
    lines = ok("periods", "close", "xp", "--window", "main", "--yes").splitlines()
    assert [line.split()[2] for line in lines] == ["state", "closed", "active"]
    ok("periods", "create", "xp", "--starts-at", "2026-12-01T18:00:00Z")
    assert api.requests[-1][3] == {"starts_at": "2026-12-01T18:00:00Z"}
    ok("periods", "create", "xp")
    assert api.requests[-1][3] == {}


def test_the_choices_are_those_of_the_model() -> None:
    fields: dict[str, Any] = dict(Definition.model_fields)
    for field in boards.FIELDS:
        outer, *inner = field.path
        assert outer in fields, field
        info = fields[outer]
        if inner:
            info = info.annotation.model_fields[inner[0]]
        if isinstance(field.values, tuple):
            options = [get_args(one) for one in get_args(info.annotation)]  # where it may be null
            known = next(filter(None, options), get_args(info.annotation))
            assert set(field.values) == set(known), field.option
    assert SCOPES == MODEL_SCOPES


def test_a_window_is_added_to_those_that_are_there(api: FakeApi) -> None:
    """A list is replaced as a whole, and a window that is left out closes."""
    api.add_board("many", windows=["all_time", "hourly"])
    assert ok_json("leaderboards", "update", "many", "--window", "daily")["windows"] == [
        "all_time", "hourly", "daily"
    ]  # fmt: skip
    changed = ok_json("leaderboards", "update", "many", "--remove-window", "hourly", "--window", "weekly")
    assert changed["windows"] == ["all_time", "daily", "weekly"]
    assert api.requests[-1][2]["If-Match"] == '"2"', "if nobody else changed it meanwhile"
    assert ok_json("leaderboards", "update", "many", "--no-windows")["windows"] == []
    refused(2, "leaderboards", "update", "many", "--no-windows", "--window", "daily")


def test_options_of_sources(api: FakeApi) -> None:
    ok(
        "leaderboards", "create", "m", "--source", "metric", "--metric", "coins", "--basis", "balance",
        "--filters", '{"metadata.mode": {"eq": "ranked"}}', "--no-backfill",
    )  # fmt: skip
    assert api.requests[-1][3]["scoring"] == {
        "source": "metric",
        "metric": "coins",
        "basis": "balance",
        "filters": {"metadata.mode": {"eq": "ranked"}},
        "backfill": False,
    }
    rules = [{"event_type": "won", "points_expression": "1"}]
    ok("leaderboards", "create", "e", "--source", "events", "--rules", json.dumps(rules), "--backfill")
    assert api.requests[-1][3]["scoring"] == {"source": "events", "rules": rules, "backfill": True}


def test_show_tells_how_far_a_projection_is(api: FakeApi) -> None:
    status = {"state": "filling", "rows_read": 1200, "rows": 5000, "behind_seconds": 3.2}
    for told, text in (
        (status, "projection filling, 1200 of 5000 rows (24 %), 3 s behind"),
        ({**status, "state": "live", "behind_seconds": 0}, "projection live"),
        (
            {**status, "state": "behind", "rows": 0, "rows_read": 0},
            "projection behind, 0 of 0 rows, 3 s behind",
        ),
    ):
        api.add_board("p", projection=told)
        assert text in " ".join(ok("leaderboards", "show", "p").split())
        assert ok_json("leaderboards", "show", "p")["projection"] == told
    api.add_board("plain", projection=None)
    assert "projection" not in ok("leaderboards", "show", "plain")


def test_rules_are_tried_out(api: FakeApi, tmp_path: Path) -> None:
    event = {"event_type": "won", "attrs": {"kills": 7}}
    path = tmp_path / "event.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(event).encode())
    for written, stdin in ((str(path), None), (json.dumps(event), None), ("-", json.dumps(event))):
        output = ok("leaderboards", "test-rules", "xp", "--event", written, stdin=stdin)
        assert api.requests[-1][3] == {"event": event}
    assert api.paths()[-1] == "POST /v1/leaderboards/xp/rules/test"
    assert "points 70" in " ".join(output.split()) and "it gives 70" in output
    assert ok_json("leaderboards", "test-rules", "xp", "--event", "{}")["points"] == 70
    assert "cannot read nothing.json" in refused(
        2, "leaderboards", "test-rules", "xp", "--event", "nothing.json"
    )
    assert "not JSON" in refused(2, "leaderboards", "test-rules", "xp", "--event", "{")
    path.write_text("[]")
    assert "not a JSON object" in refused(2, "leaderboards", "test-rules", "xp", "--event", str(path))


def test_rebuild(api: FakeApi) -> None:
    ok("leaderboards", "rebuild", "xp", "2026-W47", "--window", "daily", "--keep-rewards", "--yes")
    assert api.paths()[-1] == "POST /v1/leaderboards/xp/periods/2026-W47/rebuild?window=daily"
    assert api.requests[-1][3] == {"keep_rewards": True}
    ok("leaderboards", "rebuild", "xp", "current", "--yes")
    assert api.requests[-1][3] == {"keep_rewards": False}
    assert "add --yes" in refused(2, "leaderboards", "rebuild", "xp", "current")
