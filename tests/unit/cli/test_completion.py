"""Completion: each shell's script, what is offered where, and silence where the server does not answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from lbactors.cli import cli
from lbactors.cli.completion import PROGRAM, SHELLS, VARIABLE
from tests.support.command import ok, ok_json, refused
from tests.support.fake_api import FakeApi


def offered(*words: str) -> list[str]:
    """What is offered for the last of these words."""
    *complete, incomplete = words
    shell = ShellComplete(cli, {}, PROGRAM, VARIABLE)
    return [item.value for item in shell.get_completions(complete, incomplete)]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_script(shell: str) -> None:
    script = ok("completion", shell)
    assert f"{VARIABLE}={shell}_complete" in script
    assert ok_json("completion", shell) == {"shell": shell, "script": script.removesuffix("\n")}


def test_an_unknown_shell_is_refused() -> None:
    assert "'bash', 'zsh', 'fish'" in refused(2, "completion", "cmd")


def test_commands_and_options_are_offered() -> None:
    assert offered("le") == ["leaderboards"]
    assert {"list", "create", "update"} <= set(offered("leaderboards", ""))
    assert "--watch" in offered("top", "xp", "--w")
    assert offered("leaderboards", "create", "--timeframe", "w") == ["weekly"]


def test_ids_of_leaderboards_are_offered(api: FakeApi) -> None:
    api.add_board("xp-weekly")
    api.add_board("laps")
    assert offered("top", "xp") == ["xp", "xp-weekly"]
    assert api.paths()[-1] == "GET /v1/leaderboards?limit=100&search=xp"
    assert offered("leaderboards", "update", "") == ["xp", "xp-weekly", "laps"]
    assert offered("--tenant", "studio-a", "top", "x") == ["xp", "xp-weekly"]
    assert api.requests[-1][2]["X-Tenant-Id"] == "studio-a"


def test_names_of_metrics_are_offered(api: FakeApi) -> None:
    assert offered("metrics", "award", "co") == ["coins"]
    assert offered("metrics", "balance", "x") == []
    assert api.paths()[-1] == "GET /v1/metrics?limit=1000"


def test_without_an_answer_nothing_is_offered(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert offered("--url", "http://127.0.0.1:1", "top", "x") == []
    assert offered("--url", "nonsense", "top", "x") == []
    assert offered("--key", "lb_wrong", "top", "x") == []
    (tmp_path / "profiles.toml").write_text("damaged")
    monkeypatch.setenv("LBACTORS_CONFIG", str(tmp_path / "profiles.toml"))
    assert offered("top", "x") == []
    assert capfd.readouterr() == ("", "")


def test_completing_a_command_imports_none() -> None:
    program = (
        "import sys; from lbactors.cli import cli; from click.shell_completion import ShellComplete\n"
        "shell = ShellComplete(cli, {}, 'lbactors', '_LBACTORS_COMPLETE')\n"
        "assert [item.value for item in shell.get_completions([], 'web')] == ['webhooks']\n"
        "print(sorted(set(sys.modules) & {'aiohttp', 'rich', 'lbactors.cli.webhooks'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_with_the_script(api: FakeApi, tmp_path: Path) -> None:
    program = tmp_path / "lbactors"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m lbactors "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(lbactors completion bash)"\n'
        "COMP_WORDS=(lbactors top x) COMP_CWORD=2\n"
        '_lbactors_completion lbactors x top; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "xp\n", done.stderr
