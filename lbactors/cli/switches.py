"""`enable` and `disable`, for what can be either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lbactors.cli.connection import Server, examples, talks_to_server

Change = Callable[[Server, str, dict[str, str]], Any]


def add_switches(group: click.Group, metavar: str, example: str, change: Change, *, noun: str) -> None:
    """Give a group the two commands. metavar: what the argument is called; noun: `a key`."""
    for verb, status in (("disable", "disabled"), ("enable", "active")):
        help_text = f"{verb.capitalize()} {noun}."

        @group.command(verb, help=help_text, epilog=examples(f"lbactors {group.name} {verb} {example}"))
        @click.argument("item_id", metavar=metavar)
        @talks_to_server
        def switch(server: Server, item_id: str, status: str = status) -> None:
            answer = change(server, item_id, {"status": status})
            server.show(answer, lambda: click.echo(f"{item_id} is now {status}"))
