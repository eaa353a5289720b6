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
from lbactors.cli.groups import CommandGroup
from lbactors.cli.switches import add_switches
from lbactors.tables import instant_text, print_fields, print_table

Json = dict[str, Any]

SCOPES = (
    "scores:write", "rankings:read", "leaderboards:read", "leaderboards:write", "players:write", "keys:write",
    "platform",
)  # fmt: skip


@click.group(
    cls=CommandGroup,
    epilog=examples(
        "lbactors players list --tag beta",
        "lbactors players show maya",
        "lbactors players rename maya 'Maya the Great'",
        "lbactors players erase maya",
    ),
)
def players() -> None:
    """Look up, rename, hide and erase players, and correct their entries."""


@players.command(
    "show", epilog=examples("lbactors players show maya", "lbactors players show maya --window daily")
)
@click.argument("player_id", metavar="PLAYER")
@period_options
@talks_to_server
def show_player(server: Server, player_id: str, **params: Any) -> None:
    """Show the entries of PLAYER on all leaderboards."""
    answer = server.client.player_entries(player_id, **params)

    def render() -> None:
        names = ["leaderboard_id", "window", "period_key", "rank", "score", "percentile", "total"]
        titles = ["leaderboard", "window", "period", "rank", "score", "percentile", "total"]
        print_table(titles, [[entry.get(name) for name in names] for entry in answer["items"]], player_id)

    server.show(answer, render)


@players.command(
    "list",
    epilog=examples(
        "lbactors players list",
        "lbactors players list --search maya",
        "lbactors players list --role vip --tag beta --json",
    ),
)
@click.option("--search", help="Only with this text in the id, the display name or the external id.")
@click.option("--tag", help="Only with this tag.")
@click.option("--role", help="Only with this role.")
@listing_options
@talks_to_server
def list_players(server: Server, **params: Any) -> None:
    """List players that have a profile."""
    columns: dict[str, Callable[[Json], Any]] = {
        "player": lambda p: p["player_id"],
        "name": lambda p: p["display_name"],
        "roles": lambda p: p["roles"],
        "tags": lambda p: p["tags"],
        "time zone": lambda p: p["timezone"],
        "test": lambda p: "yes" if p["test"] else None,
        "external id": lambda p: p["external_id"],
        "hidden until": lambda p: instant_text(p["hidden_until"]),
    }
    server.show_listing(server.client.list_players(**params), columns)


@players.command(epilog=examples("lbactors players rename maya 'Maya the Great'"))
@click.argument("player_id", metavar="PLAYER")
@click.argument("display_name", metavar="NAME")
@talks_to_server
def rename(server: Server, player_id: str, display_name: str) -> None:
    """Set the display name of PLAYER."""
    answer = server.client.update_player(player_id, {"display_name": display_name})
    server.show(answer, lambda: click.echo(f"{player_id} is now called {display_name}"))


@players.command(epilog=examples("lbactors players erase maya", "lbactors players erase maya --yes"))
@click.argument("player_id", metavar="PLAYER")
@confirm_option
@talks_to_server
def erase(server: Server, player_id: str, yes: bool) -> None:
    """Erase a player.

    The profile, entries and rewards of PLAYER are deleted for good; docs/erasure.md says what remains.
    """
    confirm(f"Erase {player_id} and all their entries?", yes)
    answer = server.client.erase_player(player_id)
    server.show(answer, lambda: click.echo(f"Erased {player_id}"))


@click.group(
    cls=CommandGroup,
    epilog=examples("lbactors keys", "lbactors keys create game-server --scope scores:write"),
)
def keys() -> None:
    """Manage API keys."""


@keys.command("list", epilog=examples("lbactors keys list", "lbactors keys list --tenant studio-a"))
@listing_options
@talks_to_server
def list_keys(server: Server, **params: Any) -> None:
    """List API keys. The keys themselves cannot be shown again."""
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
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="What the key may do; repeat the option for more.",
)
@click.option("--expires-at", help="When the key stops working (RFC 3339). Default: never.")
@click.option(
    "--player",
    "player_id",
    metavar="PLAYER",
    help="Let the key write the scores of this player only.",
)
@talks_to_server
def create_key(server: Server, name: str, scopes: Sequence[str], **fields: str | None) -> None:
    """Create an API key and show it once."""
    given = {field: value for field, value in fields.items() if value is not None}
    answer = server.client.create_key({"name": name, "scopes": list(scopes), **given})

    def render() -> None:
        print_fields(answer)
        click.echo("Save the key now: it cannot be shown again.", err=True)

    server.show(answer, render)


add_switches(
    keys, "KEY_ID", "key_1f3a", lambda server, *change: server.client.update_key(*change), noun="a key"
)


@keys.command("delete", epilog=examples("lbactors keys delete key_1f3a --yes"))
@click.argument("key_id", metavar="KEY_ID")
@confirm_option
@talks_to_server
def delete_key(server: Server, key_id: str, yes: bool) -> None:
    """Delete a key for good."""
    confirm(f"Delete key {key_id} for good?", yes)
    answer = server.client.delete_key(key_id)
    server.show(answer, lambda: click.echo(f"Deleted {key_id}"))


@click.group(
    cls=CommandGroup,
    epilog=examples("lbactors tenants", "lbactors tenants create studio-a --name 'Studio A'"),
)
def tenants() -> None:
    """Manage tenants, which share the server but no data; needs a platform key."""


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
@click.option("--name", help="Display name. Default: the id.")
@talks_to_server
def create_tenant(server: Server, tenant_id: str, name: str | None) -> None:
    """Create a tenant."""
    answer = server.client.create_tenant({"tenant_id": tenant_id, "name": name or tenant_id})
    server.show(answer, lambda: print_fields(answer))


add_switches(
    tenants,
    "TENANT",
    "studio-a",
    lambda server, *change: server.client.update_tenant(*change),
    noun="a tenant",
)


@tenants.command("delete", epilog=examples("lbactors tenants delete studio-a --yes"))
@click.argument("tenant_id", metavar="TENANT")
@confirm_option
@talks_to_server
def delete_tenant(server: Server, tenant_id: str, yes: bool) -> None:
    """Delete a tenant and everything in it."""
    confirm(f"Delete tenant {tenant_id} and everything in it?", yes)
    answer = server.client.delete_tenant(tenant_id)
    server.show(answer, lambda: click.echo(f"Deleted {tenant_id}"))
