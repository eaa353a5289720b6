"""The commands of `webhooks`: where events are sent, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from lbactors.cli.connection import (
    Server,
    confirm,
    confirm_option,
    examples,
    listing_options,
    talks_to_server,
)
from lbactors.cli.groups import CommandGroup
from lbactors.cli.switches import add_switches
from lbactors.tables import instant_text, print_fields

Json = dict[str, Any]

EVENTS = ("period.opened", "period.closing", "period.closed", "period.reopened", "reward.granted")
STATES = ("pending", "delivered", "failed")
ANSWERED_WITHIN_S = 15.0  # an attempt takes ten seconds at most
LOOK_S = 0.2

WEBHOOK = click.argument("webhook_id", metavar="WEBHOOK")


@click.group(
    cls=CommandGroup,
    epilog=examples(
        "lbactors webhooks create https://game.example.com/hooks --event period.closed",
        "lbactors webhooks test wh_1f3a",
        "lbactors webhooks deliveries wh_1f3a --state failed",
    ),
)
def webhooks() -> None:
    """List, create and test webhooks, and send events again."""


@webhooks.command("list", epilog=examples("lbactors webhooks list"))
@listing_options
@talks_to_server
def list_webhooks(server: Server, **params: Any) -> None:
    """List webhooks."""
    columns: dict[str, Callable[[Json], Any]] = {
        "webhook": lambda w: w["webhook_id"],
        "url": lambda w: w["url"],
        "events": lambda w: "all" if w["events"] is None else w["events"],
        "leaderboards": lambda w: "all" if w["leaderboard_ids"] is None else w["leaderboard_ids"],
        "status": lambda w: w["status"],
        "why": lambda w: w["disabled_reason"],
    }
    server.show_listing(server.client.list_webhooks(**params), columns)


def _choices(events: Sequence[str], boards: Sequence[str]) -> Json:
    """What was chosen, as fields of a webhook; `all` is null."""
    fields: Json = {}
    if events:
        fields["events"] = None if "all" in events else list(events)
    if boards:
        fields["leaderboard_ids"] = None if "all" in boards else list(boards)
    return fields


_EVENT = click.option(
    "--event", "events", type=click.Choice((*EVENTS, "all")), multiple=True, help="May be repeated."
)
_BOARD = click.option(
    "--leaderboard", "boards", metavar="ID", multiple=True, help="Only of this one; may be repeated; all."
)


@webhooks.command(
    "create",
    epilog=examples(
        "lbactors webhooks create https://game.example.com/hooks",
        "lbactors webhooks create http://10.0.0.7:9000/hook --event period.closed --leaderboard xp",
    ),
)
@click.argument("target", metavar="TARGET")
@_EVENT
@_BOARD
@click.option("--description", help="A sentence about it.")
@talks_to_server
def create_webhook(
    server: Server, target: str, events: Sequence[str], boards: Sequence[str], description: str | None
) -> None:
    """Have events sent to the URL TARGET, and show the secret that signs them."""
    fields = {"url": target, **_choices(events, boards)}
    if description is not None:
        fields["description"] = description
    _show_secret(server, server.client.create_webhook(fields))


def _show_secret(server: Server, answer: Json) -> None:
    def render() -> None:
        print_fields(answer)
        click.echo("Give the secret to the receiver now: it is not shown again.", err=True)

    server.show(answer, render)


@webhooks.command("show", epilog=examples("lbactors webhooks show wh_1f3a"))
@WEBHOOK
@talks_to_server
def show_webhook(server: Server, webhook_id: str) -> None:
    """Show WEBHOOK."""
    answer = server.client.webhook(webhook_id)
    server.show(answer, lambda: print_fields(answer))


@webhooks.command(
    "update",
    epilog=examples(
        "lbactors webhooks update wh_1f3a --to https://new.example.com/hooks",
        "lbactors webhooks update wh_1f3a --event all --leaderboard xp",
    ),
)
@WEBHOOK
@click.option("--to", "target", metavar="TARGET", help="URL that events are sent to.")
@_EVENT
@_BOARD
@click.option("--description", help="A sentence about it.")
@talks_to_server
def update_webhook(
    server: Server,
    webhook_id: str,
    target: str | None,
    events: Sequence[str],
    boards: Sequence[str],
    description: str | None,
) -> None:
    """Change WEBHOOK; what is not given stays. Events and leaderboards replace those chosen before."""
    fields = _choices(events, boards)
    fields |= {n: v for n, v in (("url", target), ("description", description)) if v is not None}
    if not fields:
        raise click.UsageError("nothing to change")
    answer = server.client.update_webhook(webhook_id, fields)
    server.show(answer, lambda: print_fields(answer))


add_switches(webhooks, "WEBHOOK", "wh_1f3a", lambda server, *change: server.client.update_webhook(*change))


@webhooks.command("delete", epilog=examples("lbactors webhooks delete wh_1f3a --yes"))
@WEBHOOK
@confirm_option
@talks_to_server
def delete_webhook(server: Server, webhook_id: str, yes: bool) -> None:
    """Delete WEBHOOK with its deliveries."""
    confirm(f"Delete webhook {webhook_id} with its deliveries?", yes)
    answer = server.client.delete_webhook(webhook_id)
    server.show(answer, lambda: click.echo(f"deleted {webhook_id}"))


@webhooks.command(
    epilog=examples("lbactors webhooks rotate wh_1f3a", "lbactors webhooks rotate wh_1f3a --previous 0")
)
@WEBHOOK
@click.option(
    "--previous", "previous_s", type=click.IntRange(0, 7 * 86_400), metavar="SECONDS",
    help="How long the secret before signs too; a day if not given.",
)  # fmt: skip
@talks_to_server
def rotate(server: Server, webhook_id: str, previous_s: int | None) -> None:
    """Give WEBHOOK a new secret, and show it."""
    answer = server.client.rotate_webhook_secret(webhook_id, previous_valid_seconds=previous_s)
    _show_secret(server, answer)


@webhooks.command(epilog=examples("lbactors webhooks test wh_1f3a"))
@WEBHOOK
@talks_to_server
def test(server: Server, webhook_id: str) -> None:
    """Send a test event to WEBHOOK and show the answer; exit code 1 if it was not confirmed."""
    found = server.client.test_webhook(webhook_id)
    until_s = time.monotonic() + ANSWERED_WITHIN_S
    while found["last_answer"] is None and time.monotonic() < until_s:
        time.sleep(LOOK_S)
        found = server.client.delivery(webhook_id, found["delivery_id"])
    server.show(found, lambda: print_fields(found))
    if found["state"] != "delivered":
        raise click.exceptions.Exit(1)


@webhooks.command(
    epilog=examples(
        "lbactors webhooks deliveries wh_1f3a",
        "lbactors webhooks deliveries wh_1f3a --state failed",
        "lbactors webhooks deliveries wh_1f3a dlv_00000100000001 --json",
    )
)
@WEBHOOK
@click.argument("delivery_id", metavar="[DELIVERY]", required=False)
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@listing_options
@talks_to_server
def deliveries(server: Server, webhook_id: str, delivery_id: str | None, **params: Any) -> None:
    """List deliveries of WEBHOOK, newest first; with DELIVERY, show that one with its body."""
    if delivery_id is not None:
        answer = server.client.delivery(webhook_id, delivery_id)
        server.show(answer, lambda: print_fields(answer))
        return
    columns: dict[str, Callable[[Json], Any]] = {
        "delivery": lambda d: d["delivery_id"],
        "type": lambda d: d["type"],
        "leaderboard": lambda d: d["leaderboard_id"],
        "occurred": lambda d: instant_text(d["occurred_at"]),
        "state": lambda d: d["state"],
        "attempts": lambda d: d["attempts"],
        "answer": _answer,
        "next": lambda d: instant_text(d["next_attempt_at"]),
    }
    server.show_listing(server.client.list_deliveries(webhook_id, **params), columns)


@webhooks.command(
    epilog=examples(
        "lbactors webhooks replay wh_1f3a dlv_00000100000001", "lbactors webhooks replay wh_1f3a --failed"
    )
)
@WEBHOOK
@click.argument("delivery_id", metavar="[DELIVERY]", required=False)
@click.option("--failed", is_flag=True, help="All failed ones, in their order.")
@talks_to_server
def replay(server: Server, webhook_id: str, delivery_id: str | None, failed: bool) -> None:
    """Send DELIVERY of WEBHOOK again, under the event id that it had."""
    if failed == (delivery_id is not None):
        raise click.UsageError("DELIVERY or --failed")
    if delivery_id is not None:
        answer = server.client.replay_delivery(webhook_id, delivery_id)
        server.show(answer, lambda: click.echo(f"{delivery_id} is sent again"))
        return
    many = server.client.replay_failed_deliveries(webhook_id)
    rest = f", {many['remaining']} remain (too many are pending)" if many["remaining"] else ""
    server.show(many, lambda: click.echo(f"{many['replayed']} are sent again{rest}"))


def _answer(delivery: Json) -> str | None:
    """The last answer in a few words."""
    last = delivery["last_answer"]
    return None if last is None else last["error"] or (f"HTTP {last['status']}" if last["status"] else "done")
