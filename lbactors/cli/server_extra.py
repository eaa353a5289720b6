"""What a command of the server answers where only the client is installed: one line that names the fix.

The base install has the client and the commands that talk to a server; what runs or opens a store needs the
packages of the extra `server` (docs/decisions/0017-small-base-install.md).
"""

from __future__ import annotations

import importlib.util

import click

# Commands that run a server or open a store. The others talk to a server and run without the extra.
NEED_SERVER = frozenset({"serve", "demo", "plugins", "backup", "restore", "verify", "migrate", "repair"})
# Import names of the packages of the extra, but for those that the server can do without.
PACKAGES = (
    "ray",
    "pydantic",
    "pydantic_settings",
    "msgpack",
    "redis",
    "sortedcontainers",
    "cachetools",
    "cronsim",
    "lark",
    "prometheus_client",
    "structlog",
    "pluggy",
)
NAMED = 3  # of the missing packages, in the message
INSTALL = "pip install '.[server]' in the source tree, or 'lbactors[server]' from a package index"


def missing_packages() -> list[str]:
    """Those that are not installed; none of them is imported to find out."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def refusing_command(name: str, missing: list[str]) -> click.Command:
    """Stands in for a command of the server: whatever its arguments, one line on stderr and exit code 2."""

    def refuse(arguments: tuple[str, ...]) -> None:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        without = f"not installed: {', '.join(missing[:NAMED])}{more}"
        click.echo(f"error: `lbactors {name}` needs the server ({without}): {INSTALL}", err=True)
        click.get_current_context().exit(2)

    return click.Command(
        name,
        callback=refuse,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        add_help_option=False,
        context_settings={"ignore_unknown_options": True},
    )
