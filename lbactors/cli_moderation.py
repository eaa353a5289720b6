"""The command `audit`: who did what, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lbactors.cli_connection import Server, examples, listing_options, talks_to_server
from lbactors.cli_tables import instant_text

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
