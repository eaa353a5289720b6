"""Export and import, against the fake server."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from lbactors.cli import bulk
from tests.support.command import ok, refused, run
from tests.support.fake_api import FakeApi


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def standings(api: FakeApi, leaderboard_id: str) -> list[dict[str, Any]]:
    """Every field of the entries, best first, but when they came."""
    _, *entries = objects(ok("export", leaderboard_id))
    for entry in entries:
        del entry["submission_id"]
    return entries


def test_an_export_says_what_it_is_of(scores: FakeApi, tmp_path: Path) -> None:
    header, *entries = objects(ok("export", "xp"))
    told = {name: header[name] for name in ("lbactors_export", "leaderboard_id", "aggregation", "order")}
    assert told == {"lbactors_export": 1, "leaderboard_id": "xp", "aggregation": "best", "order": "desc"}
    assert (header["window"], header["period_key"], header["entries"]) == ("main", "2026-W47", 5)
    assert header["exported_at"].endswith("Z")
    assert [entry["player_id"] for entry in entries] == ["p4", "p3", "p2", "p1", "p0"]
    assert [e["submission_id"] for e in entries] == [f"{header['export_id']}:{n}" for n in range(1, 6)]
    path = tmp_path / "xp.jsonl"
    result = run("export", "xp", "-o", str(path))
    assert result.stdout == "" and result.stderr == f"5 entries of 2026-W47 written to {path}\n"
    assert len(objects(path.read_text())) == 6


def test_a_failed_export_leaves_no_file(api: FakeApi, tmp_path: Path) -> None:
    refused(1, "export", "nope", "-o", str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tie_breaking", ["first", "last"])
@pytest.mark.parametrize("aggregation", ["best", "latest", "sum", "count"])
def test_an_import_puts_back_what_was_there(api: FakeApi, aggregation: str, tie_breaking: str) -> None:
    for name in ("from", "to"):
        api.add_board(name, scoring={"aggregation": aggregation}, ranking={"tie_breaking": tie_breaking})
    for player, score in (("a", 2), ("b", 2), ("c", 9), ("b", 2), ("d", 2), ("a", 2)):
        ok("submit", "from", player, str(score))
    exported = ok("export", "from")
    assert ok("import", "to", "-", stdin=exported) == "imported 4, rejected 0\n"
    assert standings(api, "to") == standings(api, "from")
    assert ok("import", "to", "-", stdin=exported) == "imported 0, unchanged 4, rejected 0\n"
    assert ok("import", "from", "-", stdin=exported) == "imported 0, unchanged 4, rejected 0\n"
    assert standings(api, "to") == standings(api, "from")


def test_who_has_an_entry_keeps_it(scores: FakeApi) -> None:
    exported = ok("export", "xp")
    ok("submit", "xp", "p0", "999")
    result = run("import", "xp", "-", stdin=exported)
    assert (result.exit_code, result.stdout) == (1, "imported 0, unchanged 4, rejected 1\n")
    assert result.stderr == "line 6: entry_exists: another entry\n"
    assert scores.standings("xp")[0] == ("p0", 999)
    assert ok("import", "xp", "-", "--replace", stdin=exported) == "imported 1, unchanged 4, rejected 0\n"
    assert scores.standings("xp")[0] == ("p4", 400)


@pytest.mark.parametrize(
    ("definition", "differs"),
    [
        ({"scoring": {"aggregation": "sum"}}, "aggregation best instead of sum"),
        ({"ranking": {"order": "asc"}}, "order desc instead of asc"),
        ({"ranking": {"subscore_order": "asc"}}, "subscore_order desc instead of asc"),
    ],
)
def test_a_board_with_other_rules_is_refused(scores: FakeApi, definition: Any, differs: str) -> None:
    scores.add_board("other", **definition)
    exported = ok("export", "xp")
    message = refused(2, "import", "other", "-", stdin=exported)
    assert differs in message and "nothing was imported" in message and "--force" in message
    assert scores.standings("other") == []
    ok("import", "other", "-", "--force", stdin=exported)
    assert len(scores.standings("other")) == 5


@pytest.mark.parametrize(
    ("scoring", "origin"),
    [({"source": "metric", "metric": "coins"}, "metric 'coins'"), ({"source": "events"}, "events")],
)
@pytest.mark.parametrize("options", [(), ("--force",), ("--add",)])
def test_a_board_that_is_computed_from_a_log_is_refused(
    scores: FakeApi, scoring: Any, origin: str, options: tuple[str, ...]
) -> None:
    scores.add_board("computed", scoring=scoring)
    message = refused(2, "import", "computed", "-", *options, stdin=ok("export", "xp"))
    assert f"leaderboard 'computed' is computed from {origin}, and takes no scores of its own" in message


def test_another_period_is_refused(scores: FakeApi) -> None:
    scores.add_board("copy")
    exported = ok("export", "xp").replace("2026-W47", "2026-W46")
    message = refused(2, "import", "copy", "-", stdin=exported)
    assert "period 2026-W46 instead of 2026-W47" in message
    ok("import", "copy", "-", "--force", stdin=exported)
    assert len(scores.standings("copy")) == 5


def test_the_window_of_an_export_is_the_one_imported_into(scores: FakeApi) -> None:
    scores.add_board("copy")
    exported = ok("export", "xp").replace('"window":"main"', '"window":"daily"')
    ok("import", "copy", "-", stdin=exported)
    assert scores.paths()[-1].endswith("/entries/import?window=daily")
    ok("import", "copy", "-", "--window", "all_time", stdin=exported)
    assert scores.paths()[-1].endswith("/entries/import?window=all_time")


def test_an_export_of_a_later_format_is_refused(scores: FakeApi) -> None:
    exported = ok("export", "xp").replace('"lbactors_export":1', '"lbactors_export":2')
    assert "format 2" in refused(2, "import", "xp", "-", stdin=exported)


def test_a_file_without_a_header_is_taken_only_where_it_is_said(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text('{"player_id": "a", "score": 5, "submissions": 3, "rank": 1}\n')
    message = refused(2, "import", "xp", str(path))
    assert (
        message.startswith("error: old.jsonl has no header") and "--add" in message and "--force" in message
    )
    assert api.standings("xp") == []
    ok("import", "xp", str(path), "--force")
    assert standings(api, "xp")[0]["submissions"] == 3


def test_scores_are_added_once(api: FakeApi, tmp_path: Path) -> None:
    api.add_board("total", scoring={"aggregation": "sum"})
    path = tmp_path / "old.jsonl"
    path.write_text('{"player_id": "a", "score": 5}\n{"player_id": "b", "score": 1}\n' * 2)
    assert ok("import", "total", str(path), "--add") == "accepted 4, rejected 0\n"
    assert api.standings("total") == [("a", 10), ("b", 2)], "equal lines are two submissions"
    again = run("import", "total", str(path), "--add")
    assert (again.exit_code, again.stdout) == (0, "accepted 4, rejected 0\n")
    assert again.stderr.startswith("4 of them had been counted before")
    assert api.standings("total") == [("a", 10), ("b", 2)]
    ok("import", "total", str(path), "--add", "--id-prefix", "second")
    assert api.standings("total") == [("a", 20), ("b", 4)]


@pytest.mark.parametrize("aggregation", ["sum", "count"])
def test_an_export_is_added_to_what_players_have(api: FakeApi, aggregation: str) -> None:
    api.add_board("total", scoring={"aggregation": aggregation})
    for player in ("a", "a", "b"):
        ok("submit", "total", player, "1")
    exported = ok("export", "total")
    ok("import", "total", "-", "--add", stdin=exported)
    assert api.standings("total") == [("a", 4), ("b", 2)]
    ok("import", "total", "-", "--add", stdin=exported)
    assert api.standings("total") == [("a", 4), ("b", 2)], "an export that is added again"
    ok("import", "total", "-", "--add", "--id-prefix", "more", stdin=exported)
    assert api.standings("total") == [("a", 6), ("b", 3)]


def test_a_file_that_is_submitted_again_counts_once(api: FakeApi, tmp_path: Path) -> None:
    api.add_board("total", scoring={"aggregation": "sum"})
    path = tmp_path / "scores.jsonl"
    path.write_text('{"player_id": "a", "score": 5}\n')
    other = tmp_path / "other.jsonl"
    other.write_text('{"player_id": "a", "score": 5}\n{"player_id": "b", "score": 1}\n')
    for _ in range(2):
        ok("submit", "total", "--file", str(path))
        ok("submit", "total", "--file", "-", stdin=path.read_text())
    assert api.standings("total") == [("a", 5)]
    ok("submit", "total", "--file", str(other))
    assert api.standings("total") == [("a", 10), ("b", 1)], "another file, though it begins alike"


def test_a_pipe_is_named_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "SPOOLED_BYTES", 10)
    text = b'{"player_id": "a", "score": 5}\n' * 3
    (tmp_path / "file").write_bytes(text)
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: os.fdopen(writing, "wb").write(text))
    writer.start()
    with (tmp_path / "file").open("rb") as file, os.fdopen(reading, "rb") as pipe:
        kept, name = bulk.named_by_content(pipe)
        same, same_name = bulk.named_by_content(file)
        assert name == same_name and kept.read() == same.read() == text
    writer.join()


def test_a_byte_order_mark_costs_nothing(scores: FakeApi, tmp_path: Path) -> None:
    scores.add_board("copy")
    exported = tmp_path / "xp.jsonl"
    exported.write_text("\ufeff" + ok("export", "xp"))
    assert ok("import", "copy", str(exported)) == "imported 5, rejected 0\n"
    exported.write_text('\ufeff{"player_id": "a", "score": 5}\n')
    assert ok("submit", "copy", "--file", str(exported)) == "accepted 1, rejected 0\n"


def test_an_import_that_broke_off_is_repeated(scores: FakeApi) -> None:
    scores.add_board("copy")
    exported = ok("export", "xp")
    scores.let_pass(3)  # the definition, the period, and the check that a server is there
    scores.fail(403, "forbidden")
    message = refused(1, "import", "copy", "-", stdin=exported)
    assert "forbidden" in message and "after 0 imported; repeat it to go on" in message
    assert ok("import", "copy", "-", stdin=exported) == "imported 5, rejected 0\n"


def test_an_import_names_lines_that_are_no_entries(scores: FakeApi) -> None:
    scores.add_board("copy")
    lines = ok("export", "xp").splitlines()
    lines[1:] = ['{"player_id": "a"}', "", "{broken", lines[1]]
    result = run("import", "copy", "-", stdin="\n".join(lines))
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "line 2: malformed_body: not an entry: player_id and score are needed",
        "line 4: malformed_body: not a JSON object",
    ]
    assert scores.standings("copy") == [("p4", 400)]


@pytest.mark.parametrize(
    "options", [("--add", "--replace"), ("--add", "--window", "main"), ("--id-prefix", "x")]
)
def test_options_that_do_not_go_together(api: FakeApi, options: tuple[str, ...]) -> None:
    refused(2, "import", "xp", "-", *options, stdin="")
    assert api.paths() == []
