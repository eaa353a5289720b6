"""The commands `players`, `keys` and `tenants`: people and access."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from lbactors.cli.connection import (
    Server,
    confirm,
    confirm_option,
    examples,
    listing_options,
    period_options,
    talks_to_server,
)
from lbactors.cli.switches import add_switches
from lbactors.tables import instant_text, print_fields, print_table

Json = dict[str, Any]

SCOPES = (
    "scores:write", "rankings:read", "leaderboards:read", "leaderboards:write", "players:write", "keys:write",
    "platform",
)  # fmt: skip


@click.group(
    epilog=examples(
        "lbactors players show maya",
        "lbactors players rename maya 'Maya the Great'",
        "lbactors players erase maya",
    )
)
def players() -> None:
    """Show, rename, hide and erase players; change their entries."""


@players.command(
    "show", epilog=examples("lbactors players show maya", "lbactors players show maya --window daily")
)
@click.argument("player_id", metavar="PLAYER")
@period_options
@talks_to_server
def show_player(server: Server, player_id: str, **params: Any) -> None:
    """Show the entries of PLAYER in all leaderboards."""
    answer = server.client.player_entries(player_id, **params)

    def render() -> None:
        names = ["leaderboard_id", "window", "period_key", "rank", "score", "percentile", "total"]
        titles = ["leaderboard", "window", "period", "rank", "score", "percentile", "total"]
        print_table(titles, [[entry.get(name) for name in names] for entry in answer["items"]], player_id)

    server.show(answer, render)


@players.command(epilog=examples("lbactors players rename maya 'Maya the Great'"))
@click.argument("player_id", metavar="PLAYER")
@click.argument("display_name", metavar="NAME")
@talks_to_server
def rename(server: Server, player_id: str, display_name: str) -> None:
    """Show PLAYER as NAME in rankings."""
    answer = server.client.update_player(player_id, {"display_name": display_name})
    server.show(answer, lambda: click.echo(f"{player_id} is shown as {display_name}"))


@players.command(epilog=examples("lbactors players erase maya", "lbactors players erase maya --yes"))
@click.argument("player_id", metavar="PLAYER")
@confirm_option
@talks_to_server
def erase(server: Server, player_id: str, yes: bool) -> None:
    """Erase PLAYER: profile, entries and all traces."""
    confirm(f"Erase {player_id} with all entries?", yes)
    answer = server.client.erase_player(player_id)
    server.show(answer, lambda: click.echo(f"erased {player_id}"))


@click.group(epilog=examples("lbactors keys list", "lbactors keys create game-server --scope scores:write"))
def keys() -> None:
    """List, create, disable and delete API keys."""


@keys.command("list", epilog=examples("lbactors keys list", "lbactors keys list --tenant studio-a"))
@listing_options
@talks_to_server
def list_keys(server: Server, **params: Any) -> None:
    """List keys; the keys themselves are never shown again."""
    columns: dict[str, Callable[[Json], Any]] = {
        "key id": lambda k: k["key_id"],
        "name": lambda k: k["name"],
        "tenant": lambda k: k.get("tenant_id"),
        "status": lambda k: k["status"],
        "scopes": lambda k: k["scopes"],
        "player": lambda k: k.get("player_id"),
        "expires": lambda k: instant_text(k.get("expires_at")),
    }
    server.show_listing(server.client.list_keys(**params), columns)


@keys.command(
    "create",
    epilog=examples(
        "lbactors keys create game-server --scope scores:write --scope rankings:read",
        "lbactors keys create web --scope rankings:read --expires-at 2027-01-01T00:00:00Z",
        "lbactors keys create maya-phone --scope scores:write --player maya",
    ),
)
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, help="May be repeated."
)
@click.option("--expires-at", help="RFC 3339; never if not given.")
@click.option("--player", "player_id", help="Only this player's scores may be written with it.")
@talks_to_server
def create_key(server: Server, name: str, scopes: Sequence[str], **fields: str | None) -> None:
    """Create a key and show it, this once."""
    given = {field: value for field, value in fields.items() if value is not None}
    answer = server.client.create_key({"name": name, "scopes": list(scopes), **given})

    def render() -> None:
        print_fields(answer)
        click.echo("Keep the key now: only its hash is stored.", err=True)

    server.show(answer, render)


add_switches(
    keys, "KEY_ID", "key_1f3a", lambda server, *change: server.client.update_key(*change), noun="key"
)


@keys.command("delete", epilog=examples("lbactors keys delete key_1f3a --yes"))
@click.argument("key_id", metavar="KEY_ID")
@confirm_option
@talks_to_server
def delete_key(server: Server, key_id: str, yes: bool) -> None:
    """Delete key KEY_ID for good."""
    confirm(f"Delete key {key_id} for good?", yes)
    answer = server.client.delete_key(key_id)
    server.show(answer, lambda: click.echo(f"deleted {key_id}"))


@click.group(epilog=examples("lbactors tenants list", "lbactors tenants create studio-a --name 'Studio A'"))
def tenants() -> None:
    """List, create, disable and delete tenants; needs a platform key."""


@tenants.command("list", epilog=examples("lbactors tenants list"))
@listing_options
@talks_to_server
def list_tenants(server: Server, **params: Any) -> None:
    """List tenants."""
    columns: dict[str, Callable[[Json], Any]] = {
        "tenant": lambda t: t["tenant_id"],
        "name": lambda t: t["name"],
        "status": lambda t: t["status"],
        "created": lambda t: instant_text(t.get("created_at")),
    }
    server.show_listing(server.client.list_tenants(**params), columns)


@tenants.command(
    "create",
    epilog=examples("lbactors tenants create studio-a", "lbactors tenants create studio-a --name 'Studio A'"),
)
@click.argument("tenant_id", metavar="TENANT")
@click.option("--name", help="Name for people; the id if not given.")
@talks_to_server
def create_tenant(server: Server, tenant_id: str, name: str | None) -> None:
    """Create TENANT."""
    answer = server.client.create_tenant({"tenant_id": tenant_id, "name": name or tenant_id})
    server.show(answer, lambda: print_fields(answer))


add_switches(tenants, "TENANT", "studio-a", lambda server, *change: server.client.update_tenant(*change))


@tenants.command("delete", epilog=examples("lbactors tenants delete studio-a --yes"))
@click.argument("tenant_id", metavar="TENANT")
@confirm_option
@talks_to_server
def delete_tenant(server: Server, tenant_id: str, yes: bool) -> None:
    """Delete TENANT with all it owns."""
    confirm(f"Delete tenant {tenant_id} with all it owns?", yes)
    answer = server.client.delete_tenant(tenant_id)
    server.show(answer, lambda: click.echo(f"deleted {tenant_id}"))
