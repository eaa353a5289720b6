"""Runs the command line in this process, as tests want it: with an exit code, and stdout and stderr apart."""

from __future__ import annotations

import json
import re
from typing import Any

import click
from click.testing import CliRunner, Result

from lbactors.cli import cli
from tests.support.repository import REPOSITORY


def json_fields(command: str) -> set[str]:
    """The fields of a command's JSON, as docs/cli.md has them."""
    text = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| `{re.escape(command)}` \| (.*) \|$", text, re.MULTILINE)
    assert found is not None, command
    return set(re.findall(r"`(\w+)`", found[1]))


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), input=stdin, prog_name="lbactors")


def ok(*arguments: str, stdin: str | None = None) -> str:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def ok_json(*arguments: str, stdin: str | None = None) -> Any:
    return json.loads(ok(*arguments, "--json", stdin=stdin))


def refused(code: int, *arguments: str, stdin: str | None = None) -> str:
    """stderr of a command that must fail with this exit code, and print nothing on stdout."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    return str(result.stderr)


def understood(words: list[str]) -> click.Context:
    """Parses a command line as far as its last command, and runs nothing."""
    context = cli.make_context("lbactors", list(words))
    while isinstance(group := context.command, click.Group):
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    return context
