"""The commands `rewards` and `claim`: what players won when a period closed, and who took it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from lbactors.cli.boards import READ_WINDOWS
from lbactors.cli.connection import Server, examples, listing_options, talks_to_server
from lbactors.tables import instant_text, print_fields

Json = dict[str, Any]


def _won(item: Json) -> str:
    return ", ".join(share["tier"] for share in item["rewards"])


CLAIMED: dict[str, Callable[[Json], Any]] = {
    "won": _won,
    "claimed": lambda r: instant_text(r["claimed_at"]) if r["claimed"] else "no",
}
OF_PERIOD: dict[str, Callable[[Json], Any]] = {
    "rank": lambda r: r["rank"],
    "player": lambda r: r["player_id"],
    "name": lambda r: r["display_name"],
    "score": lambda r: r["score"],
    **CLAIMED,
}
OF_PLAYER: dict[str, Callable[[Json], Any]] = {
    "leaderboard": lambda r: r["leaderboard_id"],
    "window": lambda r: r["period"]["window"],
    "period": lambda r: r["period"]["period_key"],
    "rank": lambda r: r["rank"],
    **CLAIMED,
    "until": lambda r: instant_text(r["expires_at"]),
}


@click.command(
    epilog=examples(
        "lbactors rewards xp previous",
        "lbactors rewards xp 2026-W47 --tier champion --json",
        "lbactors rewards xp 2026-W47 --unclaimed",
        "lbactors rewards --player maya --unclaimed",
    )
)
@click.argument("leaderboard_id", metavar="[ID]", required=False)
@click.argument("period_key", metavar="[PERIOD]", required=False)
@click.option("--player", "player_id", help="Only this player; without ID and PERIOD: on all leaderboards.")
@click.option("--window", type=READ_WINDOWS, help="main if not given.")
@click.option("--tier", help="Only winners of this tier.")
@click.option("--claimed/--unclaimed", default=None, help="Only what was, or was not, claimed.")
@listing_options
@talks_to_server
def rewards(
    server: Server, leaderboard_id: str | None, period_key: str | None, player_id: str | None, **params: Any
) -> None:
    """Show what players of leaderboard ID won in PERIOD (a key, or previous), best rank first."""
    if leaderboard_id is None:
        if player_id is None:
            raise click.UsageError("ID and PERIOD, or --player")
        if (params.pop("window"), params.pop("tier")) != (None, None):
            raise click.UsageError("--window and --tier go with ID and PERIOD")
        server.show_listing(server.client.player_rewards(player_id, **params), OF_PLAYER)
        return
    if period_key is None:
        raise click.UsageError("PERIOD is missing, such as previous or 2026-W47")
    answer = server.client.rewards(leaderboard_id, period_key, player_id=player_id, **params)
    if answer["state"] != "granted" and not server.as_json:
        click.echo(f"{leaderboard_id}, {answer['period']['period_key']}: {answer['state']}", err=True)
    server.show_listing(answer, OF_PERIOD)


@click.command(
    epilog=examples("lbactors claim xp 2026-W47 maya", "lbactors claim xp previous maya --claim-id tx-9")
)
@click.argument("leaderboard_id", metavar="ID")
@click.argument("period_key", metavar="PERIOD")
@click.argument("player_id", metavar="PLAYER")
@click.option("--claim-id", help="Your own word for this claim; the answer shows that of the first one.")
@click.option("--window", type=READ_WINDOWS, help="main if not given.")
@talks_to_server
def claim(
    server: Server, leaderboard_id: str, period_key: str, player_id: str, **options: str | None
) -> None:
    """Note that PLAYER took what it won in PERIOD of leaderboard ID; a repeat changes nothing."""
    answer = server.client.claim_reward(leaderboard_id, period_key, player_id, **options)
    server.show(answer, lambda: print_fields({name: cell(answer) for name, cell in _CLAIM.items()}))


_CLAIM: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "player": lambda r: r["player_id"],
    "rank": lambda r: r["rank"],
    "won": lambda r: {share["tier"]: share["payload"] for share in r["rewards"]},
    "claimed": lambda r: instant_text(r["claimed_at"]),
    "claim_id": lambda r: r["claim_id"],
}
