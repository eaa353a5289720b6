"""The commands `events …`: sending events from a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import click
import orjson

from lbactors.cli.bulk import (
    BYTE_ORDER_MARK,
    Lines,
    finish,
    named_by_content,
    send_lines,
    size_of,
    why_it_ended,
)
from lbactors.cli.connection import Failure, Refusal, Server, examples, talks_to_server
from lbactors.cli.groups import CommandGroup
from lbactors.client import ApiError, Unreachable

Json = dict[str, Any]
_BODY = re.compile(rb'\{\s*"events"\s*:')  # a request's; an event has no such field


@click.group(
    cls=CommandGroup,
    epilog=examples("lbactors events send events.jsonl", "zcat events.jsonl.gz | lbactors events send -"),
)
def events() -> None:
    """Send events that leaderboards count.

    Leaderboards with the source events make points of them by their rules.
    """


@events.command(
    epilog=examples(
        "lbactors events send events.jsonl",
        "lbactors events send events.json --json",
        "zcat events.jsonl.gz | lbactors events send -",
    )
)
@click.argument(
    "path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option(
    "--id-prefix",
    help="An event without an event_id gets the id PREFIX:LINE. By default the prefix is a hash of the file, "
    "so that a file sent twice within a day counts once.",
)
@talks_to_server
def send(server: Server, path: Path, id_prefix: str | None) -> None:
    """Send the events of a file.

    FILE: JSON lines, each an event as in the API, or a JSON array of them, or the body of a request,
    {"events": […]}; - is stdin. You can repeat it: events that the server knows are not counted again.
    """
    with click.open_file(str(path), "rb") as file:
        source, name = named_by_content(file)
        _send(server, source, name if id_prefix is None else id_prefix)


def _send(server: Server, source: IO[bytes], id_prefix: str) -> None:
    total_bytes = size_of(source)
    unit, lines = _items(source)
    answer: Json = {"accepted": 0, "duplicates": 0, "rejected": 0, "errors": [], "behind": []}
    client = server.bulk_client()

    def item_of(index: int, line: Json) -> Json:
        return {"event_id": f"{id_prefix}:{index + 1}", **line}

    def send_some(items: list[Json]) -> Json:
        part = client.send_events(items)
        answer["behind"] += [name for name in part["behind"] if name not in answer["behind"]]
        return {**part}

    try:
        send_lines(lines, total_bytes, "sending", item_of, send_some, answer)
    except (ApiError, Unreachable, KeyboardInterrupt) as error:
        raise Failure(
            f"{why_it_ended(server, error)} (after {answer['accepted']} accepted; repeat it to go on: "
            "nothing is counted twice)"
        ) from None

    def render() -> None:
        known = f" ({answer['duplicates']} were known)" if answer["duplicates"] else ""
        click.echo(f"accepted {answer['accepted']}{known}, rejected {answer['rejected']}")
        if answer["behind"]:
            names = ", ".join(answer["behind"])
            click.echo(f"not taken yet by {names}; they follow by themselves", err=True)

    finish(server, answer, render, unit)


def _items(source: IO[bytes]) -> tuple[str, Lines]:
    """What the file has, as texts of JSON with their numbers, and what one of them is called."""
    first = source.readline()
    begin = first.removeprefix(BYTE_ORDER_MARK).lstrip()
    is_body = _BODY.match(begin) is not None
    if not (is_body or begin.startswith(b"[")):
        return "line", _lines(first, source)
    try:
        items = orjson.loads(begin + source.read())
    except orjson.JSONDecodeError as error:
        what = "JSON object" if is_body else "JSON array"
        raise Refusal(f"the file begins with {begin[:1].decode()!r} and is no {what}: {error}") from None
    if is_body and (items.keys() != {"events"} or not isinstance(items["events"], list)):
        raise Refusal('the file begins with {"events": and is no {"events": […]}')
    found = items["events"] if is_body else items
    return "item", [(index, orjson.dumps(item)) for index, item in enumerate(found)]


def _lines(first: bytes, rest: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank."""
    if first.strip():
        yield 0, first.removeprefix(BYTE_ORDER_MARK)
    yield from ((index, line) for index, line in enumerate(rest, 1) if line.strip())
