"""`--json` of the commands whose object is their own: its fields are those that docs/cli.md lists.

Those of `verify` and `migrate` are held against it in `tests/integration/tools/`, that of `bench` in
`tests/unit/load/`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import json_fields, ok, ok_json, run
from tests.support.fake_api import KEY, FakeApi

LINES = '{"player_id": "a", "score": 1}\n'


def test_commands_of_scores(api: FakeApi, tmp_path: Path) -> None:
    sent = ok_json("submit", "xp", "--file", "-", stdin=LINES)
    assert set(sent) == json_fields("submit --file")
    exported = ok_json("export", "xp", "-o", str(tmp_path / "xp.jsonl"))
    assert set(exported) == json_fields("export -o") and exported["entries"] == 1
    assert ok("export", "xp", "--json").count("\n") == 2  # the export itself: a header and an entry
    assert set(ok_json("import", "xp", str(tmp_path / "xp.jsonl"))) == json_fields("import")
    assert set(ok_json("import", "xp", "-", "--add", stdin=LINES)) == json_fields("import --add")


def test_commands_of_the_server(api: FakeApi) -> None:
    assert set(ok_json("status")) == json_fields("status")
    assert set(ok_json("reviews")) == json_fields("reviews list")
    for verb in ("approve", "reject"):
        assert set(ok_json("reviews", verb, "xp", "h_1")) == json_fields(f"reviews {verb}")


def test_commands_without_a_server(tmp_path: Path) -> None:
    assert set(ok_json("plugins")) == json_fields("plugins")
    assert set(ok_json("completion", "zsh")) == json_fields("completion")


def test_commands_of_profiles(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBACTORS_CONFIG", str(tmp_path / "profiles.toml"))
    assert set(ok_json("login", "--key", KEY)) == json_fields("login")
    assert set(ok_json("profiles")) == json_fields("profiles list")
    assert set(ok_json("profiles", "use", "default")) == json_fields("profiles use")
    assert set(ok_json("logout")) == json_fields("logout")


def test_an_error_is_a_line_all_the_same(api: FakeApi) -> None:
    result = run("top", "nope", "--json")
    assert (result.exit_code, result.stdout) == (1, "") and result.stderr.startswith("error: ")
    with pytest.raises(json.JSONDecodeError):
        json.loads(result.stderr)
