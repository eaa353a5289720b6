"""The command `lbactors`: its table of commands, and nothing that takes time to import.

`lbactors --help` must answer at once, so this module knows each command by module, name and one line of
help, and imports a command's module only when it runs or shows its own help. Neither Ray nor aiohttp nor
pydantic is imported before that.

Exit codes: 0 success; 1 the server refused or did not answer, part of the work failed, or a store is damaged;
2 the command line, a setting or the file of profiles is wrong, or a server or a tool cannot start.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import tomllib
from pathlib import Path
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from lbactors.cli.groups import CommandGroup
from lbactors.cli.program import Formatter, program
from lbactors.cli.server_extra import NEED_SERVER, missing_packages, refusing_command


class _Place(NamedTuple):
    module: str
    attribute: str
    help: str


COMMANDS: dict[str, _Place] = {
    "demo": _Place("lbactors.cli.serve", "demo", "Run a server with a simulated game and watch it."),
    "serve": _Place("lbactors.cli.serve", "serve", "Run the server."),
    "login": _Place("lbactors.cli.login", "login", "Save a server and its API key."),
    "logout": _Place("lbactors.cli.login", "logout", "Delete a saved server and key."),
    "profiles": _Place("lbactors.cli.login", "profiles", "List saved servers and choose the default."),
    "completion": _Place(
        "lbactors.cli.completion", "completion", "Print a completion script for your shell."
    ),
    "top": _Place("lbactors.cli.scores", "top", "Show a ranking, or a player and their neighbours."),
    "submit": _Place("lbactors.cli.scores", "submit", "Submit a score, or a file of scores."),
    "metrics": _Place("lbactors.cli.metrics", "metrics", "Award and deduct points, and show balances."),
    "events": _Place("lbactors.cli.events", "events", "Send events that leaderboards count."),
    "export": _Place("lbactors.cli.transfer", "export", "Export the entries of a period as JSON lines."),
    "import": _Place("lbactors.cli.transfer", "import_", "Import the entries of an export."),
    "leaderboards": _Place("lbactors.cli.boards", "leaderboards", "Create, change and delete leaderboards."),
    "periods": _Place("lbactors.cli.boards", "periods", "List, open and close periods."),
    "rewards": _Place("lbactors.cli.rewards", "rewards", "Show what players won in a closed period."),
    "claim": _Place("lbactors.cli.rewards", "claim", "Record that a player has received rewards."),
    "players": _Place("lbactors.cli.moderation", "players", "Look up, rename, hide and erase players."),
    "reviews": _Place("lbactors.cli.reviews", "reviews", "Decide on submissions held for review."),
    "keys": _Place("lbactors.cli.admin", "keys", "Manage API keys."),
    "tenants": _Place("lbactors.cli.admin", "tenants", "Manage tenants."),
    "audit": _Place("lbactors.cli.moderation", "audit", "Show who changed what, and when."),
    "webhooks": _Place("lbactors.cli.webhooks", "webhooks", "Send events about periods and rewards."),
    "status": _Place("lbactors.cli.status", "status", "Show health, memory, load and leaderboards."),
    "plugins": _Place("lbactors.cli.plugins", "plugins", "List plugins and their hooks."),
    "backup": _Place("lbactors.cli.backup", "backup", "Back up the SQLite store."),
    "restore": _Place("lbactors.cli.backup", "restore", "Restore a backup."),
    "verify": _Place("lbactors.cli.store", "verify", "Check a store from end to end."),
    "migrate": _Place("lbactors.cli.store", "migrate", "Copy a store to another one."),
    "repair": _Place("lbactors.cli.store", "repair", "Cut off damaged journal ends."),
    "bench": _Place("lbactors.cli.serve", "bench", "Measure a running server over HTTP."),
}

# How the help groups them; a command that is in none belongs to OTHERS.
TOPICS = {
    "Start": ("demo", "serve", "login", "logout", "profiles", "completion"),
    "Scores and rankings": ("top", "submit", "metrics", "events", "export", "import"),
    "Leaderboards": ("leaderboards", "periods", "rewards", "claim"),
    "Players": ("players", "reviews"),
    "Access": ("keys", "tenants", "audit"),
    "Webhooks": ("webhooks",),
}
OTHERS = "Operations"

EPILOG = """\b
Examples:
  lbactors demo
  lbactors serve --data-dir ./lbactors-data
  lbactors leaderboards create xp --timeframe weekly --timezone Europe/Rome
  lbactors submit xp maya 5100
  lbactors top xp --watch

The server, the key and the tenant come from options, then from LBACTORS_URL, LBACTORS_KEY and
LBACTORS_TENANT, then from the profile that `lbactors login` saved, then from the defaults.
"""


class CommandTable(CommandGroup):
    """A group whose commands are imported when they are needed."""

    shows_options = True

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in by_topic().values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        if cmd_name in NEED_SERVER and (missing := missing_packages()):
            return refusing_command(cmd_name, missing)
        command: click.Command = getattr(importlib.import_module(place.module), place.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for topic, names in by_topic().items():
            with formatter.section(topic):
                formatter.write_dl([(name.ljust(width), COMMANDS[name].help) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names from the table: completing one imports no command."""
        found = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name].help) for name in found]
        return items + click.Command.shell_complete(self, ctx, incomplete)


def by_topic() -> dict[str, list[str]]:
    """The names of all commands in the order of the help."""
    placed = {topic: [name for name in names if name in COMMANDS] for topic, names in TOPICS.items()}
    known = {name for names in placed.values() for name in names}
    return {**placed, OTHERS: [name for name in COMMANDS if name not in known]}


def version() -> str:
    """The installed version; in a source tree that is not installed, the one it declares."""
    try:
        return importlib.metadata.version("lbactors")
    except importlib.metadata.PackageNotFoundError:
        declared = Path(__file__).parent.parent / "pyproject.toml"
        return str(tomllib.loads(declared.read_text())["project"]["version"])


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"lbactors {version()}")
        ctx.exit()


@click.group(cls=CommandTable, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def cli() -> None:
    """Run a leaderboard server, or work with one that runs."""


def main() -> None:
    """Entry point of the installed command; leaves with the exit codes above."""
    click.Context.formatter_class = Formatter
    cli(prog_name=program())
