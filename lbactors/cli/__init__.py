"""The command `lbactors`: its table of commands, and nothing that takes time to import.

`lbactors --help` must answer at once, so this module knows each command by module, name and one line of
help, and imports a command's module only when it runs or shows its own help. Neither Ray nor aiohttp nor
pydantic is imported before that.

Exit codes: 0 success; 1 the server said no, did not answer, part of the work failed, or a store is damaged; 2
the command line or a setting is wrong, or a server or a tool cannot start.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import tomllib
from pathlib import Path
from typing import NamedTuple

import click


class _Place(NamedTuple):
    module: str
    attribute: str
    help: str


COMMANDS: dict[str, _Place] = {
    "serve": _Place("lbactors.cli.serve", "serve", "Run the server."),
    "demo": _Place("lbactors.cli.serve", "demo", "Run a server with a simulated game and watch it."),
    "top": _Place("lbactors.cli.scores", "top", "Show a ranking, or the neighbours of a player."),
    "submit": _Place("lbactors.cli.scores", "submit", "Submit one score, or a file of scores."),
    "export": _Place("lbactors.cli.transfer", "export", "Write all entries of a period as JSON lines."),
    "import": _Place("lbactors.cli.transfer", "import_", "Submit the entries of an export."),
    "leaderboards": _Place("lbactors.cli.boards", "leaderboards", "List, create and change leaderboards."),
    "periods": _Place("lbactors.cli.boards", "periods", "List, open and close periods."),
    "rewards": _Place("lbactors.cli.rewards", "rewards", "Show what players won when a period closed."),
    "claim": _Place("lbactors.cli.rewards", "claim", "Note that a player took what it won."),
    "players": _Place("lbactors.cli.moderation", "players", "Show, rename, hide and erase players."),
    "webhooks": _Place("lbactors.cli.webhooks", "webhooks", "Have events sent to your servers."),
    "keys": _Place("lbactors.cli.admin", "keys", "List, create, disable and delete API keys."),
    "tenants": _Place("lbactors.cli.admin", "tenants", "List, create, disable and delete tenants."),
    "audit": _Place("lbactors.cli.moderation", "audit", "Show who did what, and when."),
    "held": _Place("lbactors.cli.plugins", "held", "List, approve and reject held submissions."),
    "plugins": _Place("lbactors.cli.plugins", "plugins", "List plugins and their hooks."),
    "status": _Place("lbactors.cli.admin", "status", "Show health, actors, periods, load and memory."),
    "backup": _Place("lbactors.cli.backup", "backup", "Back up a store while the server runs."),
    "restore": _Place("lbactors.cli.backup", "restore", "Restore a backup."),
    "verify": _Place("lbactors.cli.store", "verify", "Check a store from end to end."),
    "migrate": _Place("lbactors.cli.store", "migrate", "Copy a store into another one."),
    "repair": _Place("lbactors.cli.store", "repair", "Cut damaged journal ends off."),
    "bench": _Place("lbactors.cli.serve", "bench", "Measure a running server over HTTP."),
}

EPILOG = """\b
Examples:
  lbactors demo
  lbactors serve --data-dir ./lbactors-data
  lbactors leaderboards create xp --timeframe weekly --timezone Europe/Rome
  lbactors submit xp maya 5100
  lbactors top xp --watch

Commands that talk to a server take --url and --key, or LBACTORS_URL and LBACTORS_KEY.
"""


class CommandTable(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command: click.Command = getattr(importlib.import_module(place.module), place.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in COMMANDS.items()])


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
    """Leaderboard server: every period is a Ray actor, every acknowledged score is journaled."""


def main() -> None:
    """Entry point of the installed command; leaves with the exit codes above."""
    cli(prog_name="lbactors")
