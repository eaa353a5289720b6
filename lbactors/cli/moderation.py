"""The command `audit`, and the commands of `players` that moderators use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from lbactors.cli.admin import players
from lbactors.cli.connection import JSON, NUMBER, Server, examples, listing_options, talks_to_server
from lbactors.cli.leaderboard_argument import leaderboard_argument
from lbactors.client import ApiError
from lbactors.tables import instant_text, print_table, text_of

Json = dict[str, Any]


@click.command(
    epilog=examples(
        "lbactors audit",
        "lbactors audit --act leaderboard --since 2026-11-01T00:00:00Z",
        "lbactors audit --player maya --json",
    )
)
@click.option(
    "--act", help="Only this act, such as leaderboard.update, or a whole kind, such as leaderboard."
)
@click.option("--target", help="Only acts on this id: a leaderboard, key, player…")
@click.option("--player", "player_id", metavar="PLAYER", help="Only acts that concern this player.")
@click.option("--since", help="Only from this time on (RFC 3339).")
@click.option("--until", help="Only before this time (RFC 3339).")
@listing_options
@talks_to_server
def audit(server: Server, **params: Any) -> None:
    """Show who changed what, and when, newest first."""
    columns: dict[str, Callable[[Json], Any]] = {
        "at": lambda r: instant_text(r["at"]),
        "act": lambda r: r["act"],
        "target": lambda r: r["target"],
        "player": lambda r: r["player_id"],
        "by": lambda r: r["key_name"] or r["key_id"],
        "reason": lambda r: r["reason"],
        "details": lambda r: _details_text(r["details"]),
    }
    server.show_listing(server.client.audit(**params), columns)


def _details_text(details: Json) -> str:
    """`fields: score; before: main 4000 (rank 2); after: main 4100 (rank 1)`; what is empty is left out."""
    parts = []
    for name, value in details.items():
        if value is None or value == [] or value == {}:
            continue
        if isinstance(value, list) and all(isinstance(item, dict) and "window" in item for item in value):
            parts.append(f"{name}: {', '.join(map(_entry_text, value))}")
        else:
            parts.append(f"{name}: {text_of(value)}")
    return "; ".join(parts)


def _entry_text(entry: Json) -> str:
    return f"{entry['window']} {text_of(entry.get('score'))} (rank {text_of(entry.get('rank'))})"


# Players --------------------------------------------------------------------------------------------------

window_option = click.option("--window", help="Only in this window. Default: in all of them.")
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
@click.option("--until", help="When the player appears again (RFC 3339). Default: never.")
@click.option("--reason", help="Reason to record in the audit log.")
@talks_to_server
def hide(server: Server, player_id: str, **fields: str | None) -> None:
    """Hide a player from all rankings (a shadow ban).

    PLAYER keeps the entries; `lbactors players unhide` shows them again.
    """
    answer = server.client.hide_player(player_id, **fields)
    until = answer.get("until")
    end = "" if until is None else f" until {instant_text(until)}"
    server.show(answer, lambda: click.echo(f"{player_id} is now hidden{end}"))
    # Players need no profile, so a mistyped id is hidden as well.
    with contextlib.suppress(ApiError):
        if not server.client.player_entries(player_id)["items"]:
            click.echo(f"Note: {player_id} has no entry on any leaderboard now.", err=True)


@players.command(epilog=examples("lbactors players unhide maya --reason 'appeal granted'"))
@click.argument("player_id", metavar="PLAYER")
@click.option("--reason", help="Reason to record in the audit log.")
@talks_to_server
def unhide(server: Server, player_id: str, reason: str | None) -> None:
    """Show a hidden player in rankings again."""
    answer = server.client.unhide_player(player_id, reason=reason)
    server.show(answer, lambda: click.echo(f"{player_id} is shown again"))


@players.command(epilog=examples("lbactors players hidden"))
@listing_options
@talks_to_server
def hidden(server: Server, **params: Any) -> None:
    """List the players that are hidden from rankings."""
    columns: dict[str, Callable[[Json], Any]] = {
        "player": lambda h: h["player_id"],
        "until": lambda h: "for good" if h["until"] is None else instant_text(h["until"]),
        "since": lambda h: instant_text(h["since"]),
        "reason": lambda h: h["reason"],
    }
    server.show_listing(server.client.hidden_players(**params), columns)


@players.command(epilog=examples("lbactors players remove xp maya --reason cheat"))
@leaderboard_argument()
@click.argument("player_id", metavar="PLAYER")
@window_option
@click.option("--reason", help="Reason to record in the audit log.")
@talks_to_server
def remove(server: Server, leaderboard_id: str, player_id: str, **params: str | None) -> None:
    """Remove the entry of PLAYER from the current periods of a leaderboard."""
    answer = server.client.delete_entry(leaderboard_id, player_id, **params)
    server.show(answer, lambda: _entries(f"removed: {player_id}", answer["removed"]))


@players.command(epilog=examples("lbactors players restore xp maya"))
@leaderboard_argument()
@click.argument("player_id", metavar="PLAYER")
@window_option
@click.option("--reason", help="Reason to record in the audit log.")
@talks_to_server
def restore(server: Server, leaderboard_id: str, player_id: str, **params: str | None) -> None:
    """Restore the entry of PLAYER that was removed last."""
    answer = server.client.restore_entry(leaderboard_id, player_id, **params)
    server.show(answer, lambda: _entries(f"restored: {player_id}", answer["restored"]))


@players.command(epilog=examples("lbactors players edit xp maya 4200 --reason 'broken event'"))
@leaderboard_argument()
@click.argument("player_id", metavar="PLAYER")
@click.argument("score", type=NUMBER)
@click.option("--subscore", type=NUMBER, help="New subscore. Default: unchanged.")
@click.option("--metadata", type=JSON, help="New metadata, a JSON object. Default: unchanged.")
@click.option("--reason", required=True, help="Reason to record in the audit log.")
@window_option
@talks_to_server
def edit(
    server: Server, leaderboard_id: str, player_id: str, reason: str, window: str | None, **fields: Any
) -> None:
    """Set the score of PLAYER in the current periods of a leaderboard."""
    changes = {name: value for name, value in fields.items() if value is not None}
    answer = server.client.edit_entry(leaderboard_id, player_id, changes, reason=reason, window=window)
    server.show(answer, lambda: _entries(f"edited: {player_id}", answer["after"]))
