"""The commands of `reviews`: decisions on submissions that a plugin held for review."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from lbactors.cli.connection import Server, examples, listing_options, talks_to_server
from lbactors.cli.groups import CommandGroup
from lbactors.cli.leaderboard_argument import leaderboard_argument
from lbactors.client import SyncClient
from lbactors.tables import instant_text, print_table

Json = dict[str, Any]

LEADERBOARDS_ASKED = 1000  # at most, for a list of all of them
PAGE = 1000

COLUMNS: dict[str, Callable[[Json], Any]] = {
    "leaderboard": lambda h: h["leaderboard_id"],
    "held id": lambda h: h["held_id"],
    "player": lambda h: h["player_id"],
    "score": lambda h: h["score"],
    "metadata": lambda h: h["metadata"],
    "arrived": lambda h: instant_text(h["arrived_at"]),
    "plugin": lambda h: h["plugin"],
    "reason": lambda h: h["reason"],
    "state": lambda h: h["state"],
}


@click.group(
    cls=CommandGroup,
    epilog=examples(
        "lbactors reviews",
        "lbactors reviews xp",
        "lbactors reviews approve xp h_5f0c2a1b9d8e7f6a5b4c3d2e",
        "lbactors reviews reject xp h_5f0c2a1b9d8e7f6a5b4c3d2e --reason 'impossible on this level'",
    ),
)
def reviews() -> None:
    """Decide on submissions held for review."""


@reviews.command(
    "list", epilog=examples("lbactors reviews list", "lbactors reviews list xp --player maya --json")
)
@leaderboard_argument(required=False)
@click.option("--player", "player_id", metavar="PLAYER", help="Only submissions of this player.")
@listing_options
@talks_to_server
def list_reviews(server: Server, leaderboard_id: str | None, **params: Any) -> None:
    """List the submissions that wait for a decision, oldest first.

    Without LEADERBOARD: those of all leaderboards, one after the other.
    """
    if leaderboard_id is not None:
        server.show_listing(server.client.list_held(leaderboard_id, **params), COLUMNS)
        return
    if params.pop("cursor") is not None:
        raise click.UsageError("--cursor needs LEADERBOARD")
    answer = _held_anywhere(server.client, **params)
    server.show_listing(answer, COLUMNS)
    if not answer["complete"] and not server.as_json:
        click.echo("There are more: name a leaderboard, or raise --limit.", err=True)


def _held_anywhere(client: SyncClient, *, limit: int, player_id: str | None) -> Json:
    """`{"items", "complete"}`: up to `limit`, of up to LEADERBOARDS_ASKED leaderboards."""
    boards = client.list_leaderboards(limit=LEADERBOARDS_ASKED)
    items: list[Mapping[str, Any]] = []
    complete = boards["next_cursor"] is None
    for board in boards["items"]:
        if len(items) == limit:
            complete = False
            break
        page = client.list_held(board["leaderboard_id"], limit=limit - len(items), player_id=player_id)
        items += page["items"]
        complete = complete and page["next_cursor"] is None
    return {"items": items, "complete": complete}


def _decide(
    server: Server,
    held_ids: Sequence[str],
    decide: Callable[[str], Mapping[str, Any]],
    render: Callable[[list[Mapping[str, Any]]], None],
) -> None:
    """Decide one after the other; what was decided is shown even if a later one fails."""
    done: list[Mapping[str, Any]] = []
    try:
        for held_id in held_ids:
            done.append(decide(held_id))  # noqa: PERF401 (an error must leave what came before it)
    finally:
        if done:
            server.show({"items": done}, lambda: render(done))


HELD_IDS = click.argument("held_ids", metavar="HELD_ID...", nargs=-1, required=True)


@reviews.command(epilog=examples("lbactors reviews approve xp h_5f0c2a1b9d8e7f6a5b4c3d2e"))
@leaderboard_argument()
@HELD_IDS
@talks_to_server
def approve(server: Server, leaderboard_id: str, held_ids: tuple[str, ...]) -> None:
    """Count held submissions of a leaderboard, as of the time they arrived."""

    def render(done: list[Mapping[str, Any]]) -> None:
        outcomes = [answer["outcome"] for answer in done]
        columns = ("player_id", "period_key", "score", "rank")
        rows = [[outcome.get(name) for name in columns] for outcome in outcomes]
        print_table(["player", "period", "score", "rank"], rows, f"approved: {len(done)}")

    _decide(server, held_ids, lambda held_id: server.client.approve_held(leaderboard_id, held_id), render)


@reviews.command(
    epilog=examples(
        "lbactors reviews reject xp h_5f0c2a1b9d8e7f6a5b4c3d2e --reason 'impossible on this level'"
    )
)
@leaderboard_argument()
@HELD_IDS
@click.option("--reason", help="What the sender is told if the same submission arrives again.")
@talks_to_server
def reject(server: Server, leaderboard_id: str, held_ids: tuple[str, ...], reason: str | None) -> None:
    """Discard held submissions of a leaderboard."""

    def render(done: list[Mapping[str, Any]]) -> None:
        click.echo(f"rejected: {len(done)}")

    _decide(
        server, held_ids,
        lambda held_id: server.client.reject_held(leaderboard_id, held_id, reason=reason), render,
    )  # fmt: skip
