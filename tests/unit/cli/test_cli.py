"""The command line against the fake server: output, exit codes, help.

Verified: what each command asks of the server and shows of the answer, for people and as JSON; one line and
the right exit code for every kind of failure; that every command and option explains itself. Not
verified: the drawing on a terminal, and the server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from lbactors import cli as cli_module
from lbactors import tables
from lbactors.cli import COMMANDS, boards, cli
from lbactors.cli.admin import SCOPES
from lbactors.core.definition import SCOPES as MODEL_SCOPES
from lbactors.core.definition import Definition
from tests.support.command import ok, ok_json, refused, run
from tests.support.fake_api import KEY, FakeApi

# Scores ---------------------------------------------------------------------------------------------------


def test_top_shows_a_plain_table_where_there_is_no_terminal(scores: FakeApi) -> None:
    lines = ok("top", "xp", "--limit", "3").splitlines()
    assert lines[0].startswith("xp: 2026-W47 (main), active, ends in ") and lines[0].endswith(", 5 entries")
    assert lines[1].split() == ["rank", "player", "score", "change", "submissions", "updated"]
    assert [line.split()[:3] for line in lines[2:]] == [
        ["1", "p4", "400"],
        ["2", "p3", "300"],
        ["3", "p2", "200"],
    ]
    assert scores.paths() == ["GET /v1/leaderboards/xp/rankings?limit=3"]


def test_top_around_a_player(scores: FakeApi) -> None:
    output = ok("top", "xp", "--around", "p2", "--limit", "3", "--window", "daily", "--period", "previous")
    assert [line.split()[1] for line in output.splitlines()[2:]] == ["p3", "p2", "p1"]
    assert scores.paths() == [
        "GET /v1/leaderboards/xp/players/p2/around?limit=3&period=previous&window=daily"
    ]


def test_json_is_the_api_s_answer(scores: FakeApi) -> None:
    page = ok_json("top", "xp", "--limit", "2")
    assert set(page) >= {
        "leaderboard_id",
        "period",
        "total",
        "as_of_seq",
        "entries",
        "next_cursor",
        "prev_cursor",
    }
    assert [entry["score"] for entry in page["entries"]] == [400, 300]


def test_watch_shows_changes_alone(scores: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks three times, with a new score before the third; the fourth look fails and ends it."""
    looks = 0

    def sleep(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            assert run("submit", "xp", "p0", "999").exit_code == 0
        if looks == 3:
            scores.fail(404, "leaderboard_not_found")

    monkeypatch.setattr("lbactors.cli.scores.time.sleep", sleep)
    result = run("top", "xp", "--watch", "--json", "--limit", "1")
    assert result.exit_code == 1 and result.stderr.startswith("error: leaderboard_not_found")
    assert [json.loads(line)["entries"][0]["score"] for line in result.stdout.splitlines()] == [400, 999]
    looks = -10

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lbactors.cli.scores.time.sleep", interrupt)
    assert " p0 " in ok("top", "xp", "--watch", "--limit", "1")  # Ctrl-C is a way to end it, no failure


def test_names_cannot_write_to_the_terminal(api: FakeApi) -> None:
    ok("submit", "xp", "\x1b[31mred\x07", "1")
    output = ok("top", "xp")
    assert "?[31mred?" in output and "\x1b" not in output and "\x07" not in output


def test_submit_one(api: FakeApi) -> None:
    assert ok("submit", "xp", "maya", "5100").splitlines() == [
        "maya",
        "window  period    score  rank  was  outcome",
        "main    2026-W47   5100     1    -  applied",
    ]
    answer = ok_json("submit", "xp", "maya", "10")
    assert (answer["applied"], answer["score"], answer["previous_score"]) == (False, 5100, 5100)
    assert "kept the old entry" in ok("submit", "xp", "maya", "10")
    ok("submit", "xp", "noor", "1", "--submission-id", "m1")
    assert "repeated" in ok("submit", "xp", "noor", "1", "--submission-id", "m1")


@pytest.mark.parametrize(
    ("text", "number"), [("-5", -5), ("9007199254740992", 2**53), ("0.5", 0.5), ("1e3", 1000.0), ("+7", 7)]
)
def test_scores_keep_their_value(api: FakeApi, text: str, number: float) -> None:
    ok("submit", "xp", "maya", text)
    sent = api.requests[-1][3]["score"]
    assert sent == number and type(sent) is type(number)


def test_submit_sends_what_it_is_given(api: FakeApi) -> None:
    ok(
        "submit", "xp", "maya", "1", "--subscore", "3", "--metadata", '{"level": 7}', "--submission-id", "m1",
        "--occurred-at", "2026-11-18T12:00:00Z", "--aggregation", "latest",
    )  # fmt: skip
    assert api.requests[-1][3] == {
        "player_id": "maya",
        "score": 1,
        "subscore": 3,
        "metadata": {"level": 7},
        "submission_id": "m1",
        "occurred_at": "2026-11-18T12:00:00Z",
        "aggregation": "latest",
    }


def test_submit_a_file(api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    items = [{"player_id": f"p{i}", "score": i} for i in range(2500)]
    items[1200] = {"player_id": "x", "score": "many"}  # type: ignore[dict-item]
    lines = [json.dumps(item) for item in items]
    lines[2100] = "{broken"
    lines[2101] = "  "
    path.write_text("\n".join(lines))
    result = run("submit", "xp", "--file", str(path))
    assert result.exit_code == 1
    assert result.stdout == "accepted 2497, rejected 2\n"
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["line 1201", "line 2101"]
    bodies = [body["submissions"] for method, _, _, body in api.requests if method == "POST"]
    assert [len(items) for items in bodies] == [1000, 1000, 498]
    ids = [item["submission_id"] for items in bodies for item in items]
    assert len(set(ids)) == len(ids) and ids[-1].endswith(":2500")


def test_a_file_s_answer_as_json(api: FakeApi) -> None:
    result = run("submit", "xp", "--file", "-", "--json", stdin='{"player_id": "a", "score": 1}\n[1]\n')
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["accepted"], answer["rejected"], answer["results"]) == (1, 1, [])
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(1, "malformed_body")]


def test_a_run_that_broke_off_is_repeated_safely(api: FakeApi) -> None:
    api.add_board("total", scoring={"aggregation": "sum"})
    lines = '{"player_id": "a", "score": 1}\n' * 1500
    api.let_pass(2)  # the check that a server is there, and the first batch
    api.fail(403, "forbidden")
    message = refused(1, "submit", "total", "--file", "-", stdin=lines)
    assert "forbidden" in message and "after 1000 accepted" in message
    prefix = message.rstrip(")\n").split()[-1]
    ok("submit", "total", "--file", "-", "--id-prefix", prefix, stdin=lines)
    assert api.standings("total") == [("a", 1500)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("submit", "xp"),
        ("submit", "xp", "maya", "many"),
        ("submit", "xp", "maya", "nan"),
        ("submit", "xp", "maya", "1e999"),
        ("submit", "xp", "maya", "1", "--metadata", "{"),
        ("submit", "xp", "maya", "1", "--nonsense"),
        ("submit", "xp", "maya", "1", "--id-prefix", "x"),
        ("submit", "xp", "maya", "--file", "-"),
        ("submit", "xp", "--file", "/nonexistent/file"),
        ("top",),
        ("top", "xp", "--limit", "0"),
        ("top", "xp", "--around", "p", "--offset", "1"),
        ("leaderboards", "create"),
        ("leaderboards", "create", "x", "--order", "up"),
        ("leaderboards", "update", "xp"),
        ("keys", "create", "k"),
        ("leaderboards", "purge", "xp"),
        ("players", "erase", "maya"),
        ("periods", "close", "xp"),
        ("keys", "delete", "k_1"),
        ("tenants", "delete", "t"),
        ("top", "xp", "--url", "127.0.0.1:80"),
        ("nonsense",),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(api: FakeApi, arguments: tuple[str, ...]) -> None:
    assert refused(2, *arguments)
    assert api.requests == []


# Failures -------------------------------------------------------------------------------------------------


def test_an_error_of_the_server_is_one_line(api: FakeApi) -> None:
    assert refused(1, "top", "nope") == "error: leaderboard_not_found: no leaderboard 'nope'\n"
    assert refused(1, "top", "nope", "--json") == "error: leaderboard_not_found: no leaderboard 'nope'\n"
    assert refused(1, "top", "xp", "--key", "lb_wrong") == "error: unauthenticated: no such key\n"


def test_a_refused_connection_is_one_line(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    for command in (("top", "xp"), ("submit", "xp", "--file", "-"), ("status",), ("export", "xp")):
        assert refused(1, *command, "--url", url, stdin="") == (
            f"error: cannot connect to {url}: connection refused\n"
        )


def test_options_beat_the_environment(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBACTORS_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LBACTORS_KEY", "lb_wrong")
    ok("top", "xp", "--url", api.url, "--key", KEY, "--tenant", "studio-a")
    assert api.requests[-1][2]["X-Tenant-Id"] == "studio-a"


# Export and import ----------------------------------------------------------------------------------------


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


# Leaderboards, periods, players, access ---------------------------------------------------------------------


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
    assert definition["ranking"] == {"order": "desc", "max_entries": 5, "tie_breaking": "first"}
    assert definition["name"] == "F"
    path.write_text("[]")
    assert refused(2, "leaderboards", "create", "--file", str(path)) == "error: --file: not a JSON object\n"
    path.write_text('{"leaderboard_id": "g", "ranking": 3}')
    assert "ranking is not an object" in refused(
        2, "leaderboards", "create", "--file", str(path), "--order", "asc"
    )


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
    assert ok("leaderboards", "archive", "xp") == "archived xp\n"
    assert ok("leaderboards", "purge", "xp", "--yes") == "purged xp\n"
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


def test_players_keys_tenants_reach_their_routes(api: FakeApi) -> None:
    calls: dict[tuple[str, ...], tuple[str, Any]] = {
        ("players", "show", "maya"): ("GET /v1/players/maya/entries", None),
        ("players", "rename", "maya", "M"): ("PUT /v1/players/maya", {"display_name": "M"}),
        ("players", "erase", "maya", "--yes"): ("DELETE /v1/players/maya", None),
        ("keys", "list"): ("GET /v1/keys?limit=100", None),
        ("keys", "create", "k", "--scope", "scores:write", "--scope", "rankings:read", "--player", "maya"): (
            "POST /v1/keys",
            {"name": "k", "scopes": ["scores:write", "rankings:read"], "player_id": "maya"},
        ),
        ("keys", "disable", "k_1"): ("PATCH /v1/keys/k_1", {"status": "disabled"}),
        ("keys", "enable", "k_1"): ("PATCH /v1/keys/k_1", {"status": "active"}),
        ("keys", "delete", "k_1", "--yes"): ("DELETE /v1/keys/k_1", None),
        ("tenants", "list"): ("GET /v1/tenants?limit=100", None),
        ("tenants", "create", "a"): ("POST /v1/tenants", {"tenant_id": "a", "name": "a"}),
        ("tenants", "disable", "a"): ("PATCH /v1/tenants/a", {"status": "disabled"}),
        ("tenants", "enable", "a"): ("PATCH /v1/tenants/a", {"status": "active"}),
        ("tenants", "delete", "a", "--yes"): ("DELETE /v1/tenants/a", None),
    }
    for arguments, (path, body) in calls.items():
        ok(*arguments)
        assert (api.paths()[-1], api.requests[-1][3]) == (path, body)
    assert "lb_new" in ok("keys", "create", "k", "--scope", "platform")


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
        ok(*arguments)
        assert (api.paths()[-1], api.requests[-1][3]) == (path, body)
    refused(2, "players", "edit", "xp", "maya", "42")


def test_held_submissions_reach_their_routes(api: FakeApi) -> None:
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
        ok("held", *arguments)
        assert (api.paths()[-1], api.requests[-1][3]) == (path, body)
    refused(2, "held", "approve", "xp")


def test_status(api: FakeApi) -> None:
    output = ok("status")
    assert "ready.ready yes" in " ".join(output.split())
    assert "supervisor.state.epoch 4" in " ".join(output.split())
    table = [" ".join(line.split()) for line in output.splitlines()[-2:]]
    assert table[0] == "period-1 7 64.0 MiB 1 min 40 s 2 1 1 34 2 5.2 500 20 yes"
    assert table[1] == "period-2 - - - - - 0 0 0 - - - -"
    lines = [" ".join(line.split()) for line in ok("status", "--periods").splitlines()[-2:]]
    assert lines == [
        "period-1 default/xp~1/main a serving 30 2 90",
        "period-1 default/xp~1/main b loading 4 0 0",
    ]
    assert set(ok_json("status")) == {"health", "ready", "status"}
    assert ok_json("status", "--key", "lb_wrong")["status"] is None
    api.ready = False
    result = run("status")
    assert result.exit_code == 1 and "disk full" in result.stdout


# Help, version, start-up ------------------------------------------------------------------------------------


def every_command() -> Iterator[tuple[str, click.Command]]:
    def below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for sub in command.list_commands(context):
                found = command.get_command(context, sub)
                assert found is not None
                yield from below(f"{name} {sub}", found)

    return below("lbactors", cli)


@pytest.mark.parametrize(("name", "command"), list(every_command()), ids=lambda value: str(value))
def test_every_command_explains_itself(name: str, command: click.Command) -> None:
    context = click.Context(command, info_name=name)
    text = command.get_help(context)
    assert "Examples:" in text and name in text.partition("Examples:")[2]
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"
        else:
            assert (parameter.metavar or parameter.name or "?").strip("[]").upper() in text


def test_the_table_of_commands_is_true() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None and command.name == name
        assert command.help
    assert run().exit_code == 2  # no command: the help, as a usage error


def test_the_choices_are_those_of_the_model() -> None:
    fields: dict[str, Any] = dict(Definition.model_fields)
    for field in boards.FIELDS:
        outer, *inner = field.path
        assert outer in fields, field
        info = fields[outer]
        if inner:
            info = info.annotation.model_fields[inner[0]]
        if isinstance(field.values, tuple):
            assert set(field.values) == set(get_args(info.annotation)), field.option
    assert SCOPES == MODEL_SCOPES


def test_help_is_fast_because_nothing_heavy_is_imported() -> None:
    heavy = "{'ray', 'aiohttp', 'pydantic', 'pydantic_settings', 'msgpack', 'rich'}"
    program = (
        "import sys; from click.testing import CliRunner; from lbactors.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0\n"
        f"print(sorted(set(sys.modules) & {heavy}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version() -> None:
    assert ok("--version") == f"lbactors {cli_module.version()}\n"
    done = subprocess.run([sys.executable, "-m", "lbactors", "--version"], capture_output=True, text=True)
    assert done.stdout == f"lbactors {cli_module.version()}\n"


# Texts ------------------------------------------------------------------------------------------------------


def test_texts() -> None:
    assert tables.duration_text(0) == "0 s"
    assert tables.duration_text(72) == "1 min 12 s"
    assert tables.duration_text(2 * 86_400 + 3 * 3600 + 59) == "2 d 3 h"
    assert tables.duration_text(3600) == "1 h 0 min"
    assert tables.bytes_text(1023) == "1023 B"
    assert tables.bytes_text(61.25 * 2**20) == "61.2 MiB"
    assert tables.bytes_text(3 * 2**30) == "3.0 GiB"
    assert tables.instant_text("2026-11-18T12:00:00.000Z") == "2026-11-18 12:00:00Z"
    assert tables.text_of({"a": [1, None], "b": True}) == "a=1, -, b=yes"
