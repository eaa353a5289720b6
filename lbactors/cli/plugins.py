"""The commands `plugins` and `held`: what runs inside the server beside it, and what it kept for review."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lbactors.cli.connection import Refusal, Server, examples, json_text, listing_options, talks_to_server
from lbactors.cli.groups import CommandGroup
from lbactors.cli.shared_options import json_option, wants_json
from lbactors.tables import instant_text, print_fields, print_table

Json = dict[str, Any]


@click.command(
    epilog=examples("lbactors plugins", "lbactors plugins --plugins cheats,studio.rules:Rules --json")
)
@click.option(
    "--plugins", "names", envvar="LBACTORS_PLUGINS", show_envvar=True, default="",
    help="Those that are not installed, as `serve` takes them.",
)  # fmt: skip
@json_option
def plugins(names: str) -> None:
    """List the plugins that a server started like this would load, with their hooks.

    Exit code 2 and one line on stderr if one of them cannot be used; a server would not start.
    """
    from lbactors.plugins import PluginError, Plugins

    try:
        found = Plugins.load(names).found
    except PluginError as error:
        raise Refusal(str(error)) from None
    if wants_json():
        items = [{**plugin._asdict(), "hooks": list(plugin.hooks)} for plugin in found]
        click.echo(json_text({"items": items, "total": len(items)}))
    else:
        rows = [[plugin.name, plugin.version or None, plugin.hooks, plugin.source] for plugin in found]
        print_table(["plugin", "version", "hooks", "source"], rows)


@click.group(
    cls=CommandGroup,
    epilog=examples(
        "lbactors held list xp",
        "lbactors held approve xp h_5f0c2a1b9d8e7f6a5b4c3d2e",
        "lbactors held reject xp h_5f0c2a1b9d8e7f6a5b4c3d2e --reason 'impossible on this level'",
    ),
)
def held() -> None:
    """List, approve and reject submissions that plugins held for review."""


@held.command("list", epilog=examples("lbactors held list xp", "lbactors held list xp --player maya --json"))
@click.argument("leaderboard_id", metavar="ID")
@click.option("--player", "player_id", help="Only of this player.")
@listing_options
@talks_to_server
def list_held(server: Server, leaderboard_id: str, **params: Any) -> None:
    """List what waits to be decided in leaderboard ID, oldest first."""
    columns: dict[str, Callable[[Json], Any]] = {
        "held id": lambda h: h["held_id"],
        "player": lambda h: h["player_id"],
        "score": lambda h: h["score"],
        "metadata": lambda h: h["metadata"],
        "arrived": lambda h: instant_text(h["arrived_at"]),
        "plugin": lambda h: h["plugin"],
        "reason": lambda h: h["reason"],
        "state": lambda h: h["state"],
    }
    server.show_listing(server.client.list_held(leaderboard_id, **params), columns)


@held.command(epilog=examples("lbactors held approve xp h_5f0c2a1b9d8e7f6a5b4c3d2e"))
@click.argument("leaderboard_id", metavar="ID")
@click.argument("held_ids", metavar="HELD_ID...", nargs=-1, required=True)
@talks_to_server
def approve(server: Server, leaderboard_id: str, held_ids: tuple[str, ...]) -> None:
    """Approve held submissions of leaderboard ID: they count for the time at which they came."""
    for held_id in held_ids:
        answer = server.client.approve_held(leaderboard_id, held_id)
        server.show(answer, lambda answer=answer: print_fields(answer["outcome"]))  # type: ignore[misc]


@held.command(
    epilog=examples("lbactors held reject xp h_5f0c2a1b9d8e7f6a5b4c3d2e --reason 'impossible on this level'")
)
@click.argument("leaderboard_id", metavar="ID")
@click.argument("held_ids", metavar="HELD_ID...", nargs=-1, required=True)
@click.option("--reason", help="What the sender reads if it comes again.")
@talks_to_server
def reject(server: Server, leaderboard_id: str, held_ids: tuple[str, ...], reason: str | None) -> None:
    """Reject held submissions of leaderboard ID: they will not count."""
    for held_id in held_ids:
        answer = server.client.reject_held(leaderboard_id, held_id, reason=reason)
        server.show(answer, lambda held_id=held_id: click.echo(f"rejected {held_id}"))  # type: ignore[misc]
