"""The commands of `webhooks`: where events are sent, and what became of them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from lbactors.cli.connection import (
    Refusal,
    Server,
    confirm,
    confirm_option,
    examples,
    json_line,
    listing_options,
    talks_to_server,
)
from lbactors.cli.groups import CommandGroup
from lbactors.cli.switches import add_switches
from lbactors.cli.webhook_listener import Listener, event_line
from lbactors.tables import instant_text, print_fields, text_of

Json = dict[str, Any]

EVENTS = ("period.opened", "period.closing", "period.closed", "period.reopened", "reward.granted")
STATES = ("pending", "delivered", "failed")
ANSWERED_WITHIN_S = 15.0  # an attempt takes ten seconds at most
LOOK_S = 0.2

WEBHOOK = click.argument("webhook_id", metavar="WEBHOOK")


@click.group(
    cls=CommandGroup,
    epilog=examples(
        "lbactors webhooks listen",
        "lbactors webhooks create https://game.example.com/hooks --event period.closed",
        "lbactors webhooks test wh_1f3a",
        "lbactors webhooks deliveries wh_1f3a --state failed",
    ),
)
def webhooks() -> None:
    """Send events about periods and rewards to your servers."""


def _choices(events: Sequence[str], boards: Sequence[str]) -> Json:
    """What was chosen, as fields of a webhook; `all` is null."""
    fields: Json = {}
    if events:
        fields["events"] = None if "all" in events else list(events)
    if boards:
        fields["leaderboard_ids"] = None if "all" in boards else list(boards)
    return fields


_EVENT = click.option(
    "--event",
    "events",
    type=click.Choice((*EVENTS, "all")),
    multiple=True,
    help="Send this kind of event; repeat the option for more.",
)
_BOARD = click.option(
    "--leaderboard",
    "boards",
    metavar="ID",
    multiple=True,
    help="Send events of this leaderboard, or of all; repeat the option for more.",
)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Makes SIGINT (also where a shell ignores it in the background), SIGTERM and SIGHUP the normal end."""

    def end(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)  # the clean-up is not interrupted
        raise _Ended

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    except _Ended:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Ended(BaseException):
    """A signal came."""


@webhooks.command(
    epilog=examples(
        "lbactors webhooks listen",
        "lbactors webhooks listen --event period.closed --leaderboard xp --json",
        "lbactors webhooks listen --host 0.0.0.0 --port 9000 --address http://10.0.0.7:9000",
    )
)
@_EVENT
@_BOARD
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on. Default: a free one."
)
@click.option(
    "--address", metavar="URL", help="URL at which the server reaches this command. Default: HOST and PORT."
)
@talks_to_server
def listen(
    server: Server, events: Sequence[str], boards: Sequence[str], host: str, port: int, address: str | None
) -> None:
    """Receive events here and print them, until Ctrl-C.

    Creates a webhook that leads to this command, sends a test event, prints each event as it arrives, and
    deletes the webhook at the end. For development: the server must be able to reach this machine.
    """
    with ended_by_signals():

        def show(event: Json) -> None:
            click.echo(json_line(event) if server.as_json else text_of(event_line(event)))

        try:
            listener = Listener(host, port, show)
        except OSError as error:
            raise Refusal(f"cannot listen on {host}:{port}: {error.strerror}") from None
        with listener:
            target = address or f"http://{f'[{host}]' if ':' in host else host}:{listener.port}/"
            chosen = {"url": target, "description": "lbactors webhooks listen", **_choices(events, boards)}
            made = server.client.create_webhook(chosen)
            webhook_id = made["webhook_id"]
            try:
                listener.start(made["secret"])
                click.echo(f"Listening on {target} for webhook {webhook_id}. Ctrl-C ends it.", err=True)
                server.client.test_webhook(webhook_id)
                threading.Event().wait()
            finally:
                server.client.delete_webhook(webhook_id)
                click.echo(f"Deleted {webhook_id}", err=True)


@webhooks.command("list", epilog=examples("lbactors webhooks list"))
@listing_options
@talks_to_server
def list_webhooks(server: Server, **params: Any) -> None:
    """List webhooks."""
    columns: dict[str, Callable[[Json], Any]] = {
        "webhook": lambda w: w["webhook_id"],
        "url": lambda w: w["url"],
        "events": lambda w: _or_all(w["events"]),
        "leaderboards": lambda w: _or_all(w["leaderboard_ids"]),
        "status": lambda w: w["status"],
        "why": lambda w: w["disabled_reason"],
    }
    server.show_listing(server.client.list_webhooks(**params), columns)


def _or_all(chosen: Sequence[str] | None) -> Sequence[str]:
    return "all" if chosen is None else chosen


def _print_webhook(webhook: Mapping[str, Any]) -> None:
    chosen: Json = {name: _or_all(webhook[name]) for name in ("events", "leaderboard_ids") if name in webhook}
    print_fields({**webhook, **chosen})


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
@click.option("--description", help="A description.")
@talks_to_server
def create_webhook(
    server: Server, target: str, events: Sequence[str], boards: Sequence[str], description: str | None
) -> None:
    """Create a webhook and show its signing secret once.

    TARGET: URL to send events to. By default every event of every leaderboard is sent.
    """
    fields = {"url": target, **_choices(events, boards)}
    if description is not None:
        fields["description"] = description
    _show_secret(server, server.client.create_webhook(fields))


def _show_secret(server: Server, answer: Mapping[str, Any]) -> None:
    def render() -> None:
        _print_webhook(answer)
        click.echo("Save the secret now: it cannot be shown again.", err=True)

    server.show(answer, render)


@webhooks.command("show", epilog=examples("lbactors webhooks show wh_1f3a"))
@WEBHOOK
@talks_to_server
def show_webhook(server: Server, webhook_id: str) -> None:
    """Show a webhook."""
    answer = server.client.webhook(webhook_id)
    server.show(answer, lambda: _print_webhook(answer))


@webhooks.command(
    "update",
    epilog=examples(
        "lbactors webhooks update wh_1f3a --to https://new.example.com/hooks",
        "lbactors webhooks update wh_1f3a --event all --leaderboard xp",
    ),
)
@WEBHOOK
@click.option("--to", "target", metavar="TARGET", help="URL to send events to.")
@_EVENT
@_BOARD
@click.option("--description", help="A description.")
@talks_to_server
def update_webhook(
    server: Server,
    webhook_id: str,
    target: str | None,
    events: Sequence[str],
    boards: Sequence[str],
    description: str | None,
) -> None:
    """Change a webhook.

    Only what you name changes. Events and leaderboards replace the previous choice.
    """
    fields = _choices(events, boards)
    fields |= {n: v for n, v in (("url", target), ("description", description)) if v is not None}
    if not fields:
        raise click.UsageError("nothing to change")
    answer = server.client.update_webhook(webhook_id, fields)
    server.show(answer, lambda: _print_webhook(answer))


add_switches(
    webhooks,
    "WEBHOOK",
    "wh_1f3a",
    lambda server, *change: server.client.update_webhook(*change),
    noun="a webhook",
)


@webhooks.command("delete", epilog=examples("lbactors webhooks delete wh_1f3a --yes"))
@WEBHOOK
@confirm_option
@talks_to_server
def delete_webhook(server: Server, webhook_id: str, yes: bool) -> None:
    """Delete a webhook and its deliveries."""
    confirm(f"Delete webhook {webhook_id} and its deliveries?", yes)
    answer = server.client.delete_webhook(webhook_id)
    server.show(answer, lambda: click.echo(f"Deleted {webhook_id}"))


@webhooks.command(
    epilog=examples("lbactors webhooks rotate wh_1f3a", "lbactors webhooks rotate wh_1f3a --previous 0")
)
@WEBHOOK
@click.option(
    "--previous", "previous_s", type=click.IntRange(0, 7 * 86_400), metavar="SECONDS",
    help="How long the old secret signs as well. Default: a day.",
)  # fmt: skip
@talks_to_server
def rotate(server: Server, webhook_id: str, previous_s: int | None) -> None:
    """Give a webhook a new signing secret and show it once."""
    answer = server.client.rotate_webhook_secret(webhook_id, previous_valid_seconds=previous_s)
    _show_secret(server, answer)


@webhooks.command(epilog=examples("lbactors webhooks test wh_1f3a"))
@WEBHOOK
@talks_to_server
def test(server: Server, webhook_id: str) -> None:
    """Send a test event to a webhook and show the answer.

    Exit code 1 unless the receiver confirmed the event.
    """
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
@click.option("--state", type=click.Choice(STATES), help="Only deliveries in this state.")
@listing_options
@talks_to_server
def deliveries(server: Server, webhook_id: str, delivery_id: str | None, **params: Any) -> None:
    """List the deliveries of a webhook, newest first.

    DELIVERY: show this one, with its body.
    """
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
@click.option("--failed", is_flag=True, help="Send all failed deliveries again, oldest first.")
@talks_to_server
def replay(server: Server, webhook_id: str, delivery_id: str | None, failed: bool) -> None:
    """Send a delivery again, with the same event id."""
    if failed == (delivery_id is not None):
        raise click.UsageError("give DELIVERY or --failed")
    if delivery_id is not None:
        answer = server.client.replay_delivery(webhook_id, delivery_id)
        server.show(answer, lambda: click.echo(f"Sending {delivery_id} again"))
        return
    many = server.client.replay_failed_deliveries(webhook_id)
    rest = f"; {many['remaining']} more remain, because too many are pending" if many["remaining"] else ""
    server.show(many, lambda: click.echo(f"Sending {many['replayed']} again{rest}"))


def _answer(delivery: Json) -> str | None:
    """The last answer in a few words."""
    last = delivery["last_answer"]
    return None if last is None else last["error"] or (f"HTTP {last['status']}" if last["status"] else "done")
