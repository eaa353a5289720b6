"""The commands `metrics …`: rows of metrics, the balances that follow from them, and transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from lbactors.cli.connection import JSON, NUMBER, Server, examples, listing_options, talks_to_server
from lbactors.cli.groups import CommandGroup
from lbactors.cli.leaderboard_argument import metric_argument
from lbactors.tables import instant_text, print_fields

Json = dict[str, Any]
Command = Callable[..., Any]
# A negative amount is no option.
AMOUNTS = {"ignore_unknown_options": True}


@click.group(
    cls=CommandGroup,
    epilog=examples(
        "lbactors metrics",
        "lbactors metrics award coins maya 50",
        "lbactors metrics deduct coins maya 30 --submission-id order-17",
        "lbactors metrics balance coins maya",
        "lbactors metrics transactions coins --player maya",
    ),
)
def metrics() -> None:
    """Award and deduct points, and show balances.

    A metric is a log of what players earned and spent. Leaderboards with the source metric are computed from
    it, also those that are made later.
    """


def row_options(command: Command) -> Command:
    """METRIC, PLAYER, AMOUNT and the options of a row; the command gets them as the client takes them."""
    for option in (
        click.option("--occurred-at", help="When it happened (RFC 3339). Default: now."),
        click.option(
            "--submission-id",
            help="Id of this row. The same id sent again is not counted again.",
        ),
        click.option("--metadata", type=JSON, help="Your own data to keep with the row, as JSON."),
        click.option("--subscore", type=NUMBER, help="Ranks equal scores."),
        click.option("--pending", is_flag=True, help="Count it only when it is completed."),
        click.argument("score", metavar="AMOUNT", type=NUMBER),
        click.argument("player_id", metavar="PLAYER"),
        metric_argument,
    ):
        command = option(command)
    return command


def _show_row(server: Server, answer: Mapping[str, Any]) -> None:
    shown = {name: value for name, value in answer.items() if name != "behind"}
    server.show(answer, lambda: print_fields(shown))
    _tell_behind(server, answer)


def _tell_behind(server: Server, answer: Mapping[str, Any]) -> None:
    if answer["behind"] and not server.as_json:
        names = ", ".join(answer["behind"])
        click.echo(f"not taken yet by {names}; they follow by themselves", err=True)


@metrics.command(
    context_settings=AMOUNTS,
    epilog=examples(
        "lbactors metrics award coins maya 50",
        "lbactors metrics award coins maya 50 --submission-id quest-77:maya --metadata '{\"quest\": 77}'",
        "lbactors metrics award coins maya 50 --pending",
    ),
)
@row_options
@talks_to_server
def award(server: Server, metric: str, player_id: str, score: float, **fields: Any) -> None:
    """Add AMOUNT to a player's balance."""
    _show_row(server, server.client.award(metric, player_id, score, **fields))


@metrics.command(
    context_settings=AMOUNTS,
    epilog=examples("lbactors metrics deduct coins maya 30 --submission-id order-17"),
)
@row_options
@talks_to_server
def deduct(server: Server, metric: str, player_id: str, score: float, **fields: Any) -> None:
    """Take AMOUNT from a player's balance.

    Refused if the balance would fall below 0.
    """
    _show_row(server, server.client.deduct(metric, player_id, score, **fields))


@metrics.command("set", context_settings=AMOUNTS, epilog=examples("lbactors metrics set coins maya 100"))
@row_options
@talks_to_server
def set_balance(server: Server, metric: str, player_id: str, score: float, **fields: Any) -> None:
    """Set a player's balance to AMOUNT.

    What the player earned and spent stays.
    """
    _show_row(server, server.client.set_balance(metric, player_id, score, **fields))


@metrics.command("list", epilog=examples("lbactors metrics list", "lbactors metrics list --json"))
@listing_options
@talks_to_server
def list_metrics(server: Server, **params: Any) -> None:
    """List metrics."""
    columns: dict[str, Callable[[Json], Any]] = {
        "metric": lambda m: m["metric"],
        "players": lambda m: m["players"],
        "transactions": lambda m: m["transactions"],
        "last": lambda m: instant_text(m["last_at"]),
    }
    server.show_listing(server.client.list_metrics(**params), columns)


@metrics.command(epilog=examples("lbactors metrics balance coins maya"))
@metric_argument
@click.argument("player_id", metavar="PLAYER")
@talks_to_server
def balance(server: Server, metric: str, player_id: str) -> None:
    """Show a player's balance."""
    answer = server.client.balance(metric, player_id)
    server.show(answer, lambda: print_fields({**answer, "updated_at": instant_text(answer["updated_at"])}))


TRANSACTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "transaction": lambda t: t["transaction_id"],
    "player": lambda t: t["player_id"],
    "kind": lambda t: t["kind"],
    "state": lambda t: t["state"],
    "amount": lambda t: t["score"],
    "id": lambda t: t["submission_id"],
    "occurred": lambda t: instant_text(t["occurred_at"]),
    "created": lambda t: instant_text(t["created_at"]),
    "settled": lambda t: instant_text(t["settled_at"]),
}


@metrics.command(
    epilog=examples(
        "lbactors metrics transactions coins", "lbactors metrics transactions coins --player maya --limit 10"
    )
)
@metric_argument
@click.option("--player", "player_id", metavar="PLAYER", help="Only this player.")
@listing_options
@talks_to_server
def transactions(server: Server, metric: str, **params: Any) -> None:
    """List the transactions of a metric, newest first."""
    server.show_listing(server.client.transactions(metric, **params), TRANSACTIONS)


@metrics.command(epilog=examples("lbactors metrics complete coins tx-1042"))
@metric_argument
@click.argument("transaction_id", metavar="TRANSACTION")
@talks_to_server
def complete(server: Server, metric: str, transaction_id: str) -> None:
    """Complete a pending transaction: it counts from now on."""
    _show_settled(server, server.client.complete_transaction(metric, transaction_id))


@metrics.command(epilog=examples("lbactors metrics reject coins tx-1042"))
@metric_argument
@click.argument("transaction_id", metavar="TRANSACTION")
@talks_to_server
def reject(server: Server, metric: str, transaction_id: str) -> None:
    """Reject a pending transaction: it never counts."""
    _show_settled(server, server.client.reject_transaction(metric, transaction_id))


def _show_settled(server: Server, answer: Mapping[str, Any]) -> None:
    cells = {name: cell(answer) for name, cell in TRANSACTIONS.items()}
    server.show(answer, lambda: print_fields({**cells, "balance": answer["balance"]}))
    _tell_behind(server, answer)
