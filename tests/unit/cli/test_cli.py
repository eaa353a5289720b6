"""The command line as a whole: wrong words, help, version, a fast start.

Its commands, each in the module of its name, run against the fake server: what they ask of it and show of the
answer, for people and as JSON, and one line and the right exit code for every kind of failure. Verified here:
that every command and option explains itself. Not verified: the drawing on a terminal, and the server.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from lbactors import cli as cli_module
from lbactors.cli import COMMANDS, TOPICS, by_topic, cli
from tests.support.command import ok, refused, run
from tests.support.fake_api import FakeApi


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


# They run until Ctrl-C and print logs and a picture, not an answer.
WITHOUT_JSON = {"lbactors serve", "lbactors demo"}


@pytest.mark.parametrize(("name", "command"), list(every_command()), ids=lambda value: str(value))
def test_every_command_has_json(name: str, command: click.Command) -> None:
    options = [option for param in command.params for option in param.opts]
    flags = [param for param in command.params if "--json" in param.opts]
    if name in WITHOUT_JSON:
        assert not flags
    else:
        assert options.count("--json") == 1
        assert isinstance(flags[0], click.Option) and flags[0].is_flag, "it takes no value anywhere"


def test_the_help_groups_every_command_by_topic() -> None:
    grouped = [name for names in by_topic().values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS)
    assert {name for names in TOPICS.values() for name in names} <= set(COMMANDS)
    text = ok("--help")
    places = [text.index(f"\n{topic}:\n") for topic in by_topic()]
    assert places == sorted(places)
    for name, place in COMMANDS.items():
        assert f"  {name} " in text and place.help in text
    assert "--url URL" in text and "LBACTORS_PROFILE" in text


def test_the_table_of_commands_is_true() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None and command.name == name
        assert command.help
    assert run().exit_code == 2  # no command: the help, as a usage error


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
