"""Help and hints name the command line as the user starts it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lbactors.cli.program import VARIABLE, pasteable, program


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  lbactors top xp | head", "  ./run top xp | head"),
        ("Usage: lbactors --help", "Usage: ./run --help"),
        ("LBACTORS_PORT=9000 lbactors serve", "LBACTORS_PORT=9000 ./run serve"),
        ("/etc/lbactors is a folder", "/etc/lbactors is a folder"),
        ("./lbactors-data", "./lbactors-data"),
        ("pip install 'lbactors[server]'", "pip install 'lbactors[server]'"),
    ],
)
def test_command_lines_in_a_text(text: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "./run")
    assert pasteable(text) == shown
    monkeypatch.delenv(VARIABLE)
    assert program() == "lbactors" and pasteable(text) == text


def test_help_in_a_source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "./run")
    command = [sys.executable, "-m", "lbactors", "top", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("Usage: ./run top ") and "./run top xp --watch" in said
    assert " lbactors " not in said
