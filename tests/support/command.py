"""Runs the command line in this process, as tests want it: with an exit code, and stdout and stderr apart."""

from __future__ import annotations

import json
from typing import Any

import click
from click.testing import CliRunner, Result

from lbactors.cli import cli


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), input=stdin, prog_name="lbactors")


def ok(*arguments: str, stdin: str | None = None) -> str:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def ok_json(*arguments: str) -> Any:
    return json.loads(ok(*arguments, "--json"))


def refused(code: int, *arguments: str, stdin: str | None = None) -> str:
    """stderr of a command that must fail with this exit code, and print nothing on stdout."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    return str(result.stderr)


def understood(words: list[str]) -> click.Context:
    """Parses a command line as far as its last command, and runs nothing."""
    command: click.Command = cli
    context = click.Context(command, info_name="lbactors")
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"no command {words[0]}"
        command, words = found, words[1:]
        context = click.Context(command, info_name=command.name, parent=context)
    return command.make_context(command.name, list(words))
