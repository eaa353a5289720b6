"""Export and import, against the fake server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import ok, refused, run
from tests.support.fake_api import FakeApi


def test_export_and_import(scores: FakeApi, tmp_path: Path) -> None:
    scores.add_board("copy")
    exported = ok("export", "xp")
    assert [json.loads(line)["player_id"] for line in exported.splitlines()] == ["p4", "p3", "p2", "p1", "p0"]
    path = tmp_path / "xp.jsonl"
    result = run("export", "xp", "-o", str(path))
    assert result.stdout == "" and result.stderr == f"5 entries of 2026-W47 written to {path}\n"
    assert path.read_text() == exported
    assert ok("import", "copy", str(path)) == "accepted 5, rejected 0\n"
    assert scores.standings("copy") == scores.standings("xp")


def test_a_failed_export_leaves_no_file(api: FakeApi, tmp_path: Path) -> None:
    refused(1, "export", "nope", "-o", str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tie_breaking", ["first", "last"])
@pytest.mark.parametrize("aggregation", ["best", "latest", "sum", "count"])
def test_an_import_keeps_order_and_values(api: FakeApi, aggregation: str, tie_breaking: str) -> None:
    for name in ("from", "to"):
        api.add_board(name, scoring={"aggregation": aggregation}, ranking={"tie_breaking": tie_breaking})
    for player, score in (("a", 2), ("b", 2), ("c", 9), ("b", 2), ("d", 2), ("a", 2)):
        ok("submit", "from", player, str(score))
    ok("import", "to", "-", stdin=ok("export", "from"))
    assert api.standings("to") == api.standings("from")


def test_an_exact_import_replaces(scores: FakeApi) -> None:
    exported = ok("export", "xp")
    ok("submit", "xp", "p0", "999")
    ok("import", "xp", "-", stdin=exported)
    assert scores.standings("xp")[0] == ("p0", 999)
    ok("import", "xp", "-", "--exact", stdin=exported)
    assert scores.standings("xp")[0] == ("p4", 400)


def test_an_import_names_lines_that_are_no_entries(api: FakeApi) -> None:
    result = run("import", "xp", "-", stdin='{"player_id": "a"}\n{"player_id": "b", "score": 1}\n')
    assert result.exit_code == 1 and result.stderr.startswith("line 1: malformed_body: not an entry")
    assert api.standings("xp") == [("b", 1)]
