"""The command `audit`, and what moderators do to players and entries: part of the command `players`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from lbactors.cli.admin import players
from lbactors.cli.connection import JSON, NUMBER, Server, examples, listing_options, talks_to_server
from lbactors.tables import instant_text, print_table

Json = dict[str, Any]


@click.command(
    epilog=examples(
        "lbactors audit",
        "lbactors audit --act leaderboard --since 2026-11-01T00:00:00Z",
        "lbactors audit --player maya --json",
    )
)
@click.option("--act", help="Only these acts: leaderboard.update, or leaderboard for all of that kind.")
@click.option("--target", help="Only with this target: the id of a leaderboard, key, player…")
@click.option("--player", "player_id", help="Only what concerns this player.")
@click.option("--since", help="Only from this instant on (RFC 3339).")
@click.option("--until", help="Only before this instant.")
@listing_options
@talks_to_server
def audit(server: Server, **params: Any) -> None:
    """Show the audit log, newest first."""
    columns: dict[str, Callable[[Json], Any]] = {
        "at": lambda r: instant_text(r["at"]),
        "act": lambda r: r["act"],
        "target": lambda r: r["target"],
        "player": lambda r: r["player_id"],
        "by": lambda r: r["key_name"] or r["key_id"],
        "reason": lambda r: r["reason"],
        "details": lambda r: ", ".join(f"{name}: {value}" for name, value in r["details"].items()),
    }
    server.show_listing(server.client.audit(**params), columns)


# Players --------------------------------------------------------------------------------------------------

window_option = click.option("--window", help="Only in this window; all if not given.")
ENTRY_TITLES = ["window", "period", "rank", "score", "subscore"]


def _entries(title: str, entries: Sequence[Mapping[str, Any]]) -> None:
    names = ["window", "period_key", "rank", "score", "subscore"]
    print_table(ENTRY_TITLES, [[entry.get(name) for name in names] for entry in entries], title)


@players.command(
    epilog=examples(
        "lbactors players hide maya --reason 'speed hack'",
        "lbactors players hide maya --until 2027-01-01T00:00:00Z",
    )
)
@click.argument("player_id", metavar="PLAYER")
@click.option("--until", help="When PLAYER is shown again (RFC 3339); never if not given.")
@click.option("--reason", help="Why, for the audit log.")
@talks_to_server
def hide(server: Server, player_id: str, **fields: str | None) -> None:
    """Take PLAYER out of all rankings; entries are kept."""
    answer = server.client.hide_player(player_id, **fields)
    until = answer.get("until")
    end = "for good" if until is None else f"until {until}"
    server.show(answer, lambda: click.echo(f"{player_id} is hidden {end}"))


@players.command(epilog=examples("lbactors players unhide maya --reason 'appeal granted'"))
@click.argument("player_id", metavar="PLAYER")
@click.option("--reason", help="Why, for the audit log.")
@talks_to_server
def unhide(server: Server, player_id: str, reason: str | None) -> None:
    """Show PLAYER in rankings again."""
    answer = server.client.unhide_player(player_id, reason=reason)
    server.show(answer, lambda: click.echo(f"{player_id} is shown"))


@players.command(epilog=examples("lbactors players hidden"))
@listing_options
@talks_to_server
def hidden(server: Server, **params: Any) -> None:
    """List hidden players."""
    columns: dict[str, Callable[[Json], Any]] = {
        "player": lambda h: h["player_id"],
        "until": lambda h: "for good" if h["until"] is None else instant_text(h["until"]),
        "since": lambda h: instant_text(h["since"]),
        "reason": lambda h: h["reason"],
    }
    server.show_listing(server.client.hidden_players(**params), columns)


@players.command(epilog=examples("lbactors players remove xp maya --reason cheat"))
@click.argument("leaderboard_id", metavar="ID")
@click.argument("player_id", metavar="PLAYER")
@window_option
@click.option("--reason", help="Why, for the audit log.")
@talks_to_server
def remove(server: Server, leaderboard_id: str, player_id: str, **params: str | None) -> None:
    """Take PLAYER's entry out of the current periods of leaderboard ID."""
    answer = server.client.delete_entry(leaderboard_id, player_id, **params)
    server.show(answer, lambda: _entries(f"removed: {player_id}", answer["removed"]))


@players.command(epilog=examples("lbactors players restore xp maya"))
@click.argument("leaderboard_id", metavar="ID")
@click.argument("player_id", metavar="PLAYER")
@window_option
@click.option("--reason", help="Why, for the audit log.")
@talks_to_server
def restore(server: Server, leaderboard_id: str, player_id: str, **params: str | None) -> None:
    """Put back the entry of PLAYER that was removed last."""
    answer = server.client.restore_entry(leaderboard_id, player_id, **params)
    server.show(answer, lambda: _entries(f"restored: {player_id}", answer["restored"]))


@players.command(epilog=examples("lbactors players edit xp maya 4200 --reason 'broken event'"))
@click.argument("leaderboard_id", metavar="ID")
@click.argument("player_id", metavar="PLAYER")
@click.argument("score", type=NUMBER)
@click.option("--subscore", type=NUMBER, help="As it is if not given.")
@click.option("--metadata", type=JSON, help="An object as JSON; as it is if not given.")
@click.option("--reason", required=True, help="Why, for the audit log.")
@window_option
@talks_to_server
def edit(
    server: Server, leaderboard_id: str, player_id: str, reason: str, window: str | None, **fields: Any
) -> None:
    """Set the SCORE of PLAYER in the current periods of leaderboard ID."""
    changes = {name: value for name, value in fields.items() if value is not None}
    answer = server.client.edit_entry(leaderboard_id, player_id, changes, reason=reason, window=window)
    server.show(answer, lambda: _entries(f"edited: {player_id}", answer["after"]))
