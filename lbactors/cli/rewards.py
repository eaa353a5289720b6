"""The commands `rewards` and `claim`: what players won when a period closed, and who took it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from lbactors.cli.boards import READ_WINDOWS
from lbactors.cli.connection import Server, examples, listing_options, talks_to_server
from lbactors.cli.leaderboard_argument import leaderboard_argument
from lbactors.client.types import RewardPage
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
        "lbactors rewards xp previous --wait 30",
        "lbactors rewards xp 2026-W47 --unclaimed",
        "lbactors rewards --player maya --unclaimed",
    )
)
@leaderboard_argument(required=False)
@click.argument("period_key", metavar="[PERIOD]", required=False)
@click.option(
    "--player",
    "player_id",
    metavar="PLAYER",
    help="Only this player; without LEADERBOARD and PERIOD, on all leaderboards.",
)
@click.option("--window", type=READ_WINDOWS, help="Default: main.")
@click.option("--tier", help="Only winners of this tier.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 3600), metavar="SECONDS",
    help="Wait up to this long until all rewards are granted; exit code 1 if they are not.",
)  # fmt: skip
@click.option("--claimed/--unclaimed", default=None, help="Only rewards that were claimed, or were not.")
@listing_options
@talks_to_server
def rewards(
    server: Server,
    leaderboard_id: str | None,
    period_key: str | None,
    player_id: str | None,
    wait_s: float | None,
    **params: Any,
) -> None:
    """Show what players won in a closed period, best rank first.

    PERIOD: a period key, or previous.
    """
    if leaderboard_id is None:
        if player_id is None:
            raise click.UsageError("give LEADERBOARD and PERIOD, or --player")
        if (params.pop("window"), params.pop("tier"), wait_s) != (None, None, None):
            raise click.UsageError("--window, --tier and --wait need LEADERBOARD and PERIOD")
        server.show_listing(server.client.player_rewards(player_id, **params), OF_PLAYER)
        return
    if period_key is None:
        raise click.UsageError("give PERIOD too, such as previous or 2026-W47")

    def read() -> RewardPage:
        return server.client.rewards(leaderboard_id, period_key, player_id=player_id, **params)

    answer = read()
    until_s = time.monotonic() + (wait_s or 0)
    while answer["state"] in UNFINISHED and time.monotonic() < until_s:
        time.sleep(LOOK_S)
        answer = read()
    if not server.as_json and answer["state"] != "granted":
        click.echo(STATES[answer["state"]].format(leaderboard_id, answer["period"]["period_key"]), err=True)
    if server.as_json or answer["items"] or answer["state"] == "granted":
        server.show_listing(answer, OF_PERIOD)
    if wait_s is not None and answer["state"] in UNFINISHED:
        raise click.exceptions.Exit(1)


LOOK_S = 0.5
UNFINISHED = ("pending", "granting")
STATES = {
    "pending": "{0}: period {1} has not closed yet; rewards are granted when it closes.",
    "granting": "{0}: rewards of period {1} are being granted; try again in a moment, or add --wait 30.",
    "none": "{0}: there were no rewards when period {1} closed.",
}


@click.command(
    epilog=examples("lbactors claim xp 2026-W47 maya", "lbactors claim xp previous maya --claim-id tx-9")
)
@leaderboard_argument()
@click.argument("period_key", metavar="PERIOD")
@click.argument("player_id", metavar="PLAYER")
@click.option("--claim-id", help="Your id of this claim. The answer shows the id of the first claim.")
@click.option("--window", type=READ_WINDOWS, help="Default: main.")
@talks_to_server
def claim(
    server: Server, leaderboard_id: str, period_key: str, player_id: str, **options: str | None
) -> None:
    """Record that PLAYER has received the rewards of a period.

    A second claim changes nothing.
    """
    answer = server.client.claim_reward(leaderboard_id, period_key, player_id, **options)
    server.show(answer, lambda: print_fields({name: cell(answer) for name, cell in _CLAIM.items()}))


_CLAIM: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "player": lambda r: r["player_id"],
    "rank": lambda r: r["rank"],
    "won": lambda r: {share["tier"]: share["payload"] for share in r["rewards"]},
    "claimed": lambda r: instant_text(r["claimed_at"]),
    "claim_id": lambda r: r["claim_id"],
}
