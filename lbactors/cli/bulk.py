"""Bulk work from a file of lines: in batches of 1000, one after the other, in the order of the file, with a
progress bar; what was rejected is listed in the end.
"""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lbactors.cli.connection import Server, explained
from lbactors.client import ApiError, Unreachable

Json = dict[str, Any]
Lines = Iterable[tuple[int, bytes]]  # 0-based number and text of each

BATCH_LINES = 1000
SHOWN_ERRORS = 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
CHUNK_BYTES = 2**20
SPOOLED_BYTES = 2**26  # of a pipe that are kept in memory until its end is seen; the rest on disk


def named_by_content(source: IO[bytes]) -> tuple[IO[bytes], str]:
    """The input from its beginning, and a name that follows from its bytes."""
    digest = hashlib.blake2b(digest_size=12)
    kept = None
    if not source.seekable():
        kept = tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES)  # noqa: SIM115 (it is returned)
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
        if kept is not None:
            kept.write(chunk)
    source = source if kept is None else kept
    source.seek(0)
    return source, digest.hexdigest()


def size_of(source: IO[bytes]) -> int | None:
    """What is left to be read, in bytes, if that is known."""
    if not source.seekable():
        return None
    here = source.tell()
    size = source.seek(0, 2) - here
    source.seek(here)
    return size


def object_in(line: bytes) -> Json:
    """ValueError if it is none."""
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError:
        item = None
    if not isinstance(item, dict):
        raise ValueError("not a JSON object")
    return item


def send_lines(
    lines: Lines,
    total_bytes: int | None,
    label: str,
    item_of: Callable[[int, Json], Json],
    send: Callable[[list[Json]], Mapping[str, Any]],
    answer: Json,
) -> None:
    """Send what the lines hold, in batches, with a progress bar; adds up the answers in `answer`.

    item_of: from a line's number and object to what is sent; ValueError: it is rejected.
    """
    counts = [name for name, value in answer.items() if isinstance(value, int)]
    with progress_bar(label, total_bytes) as advance:
        rest = iter(lines)
        while batch := list(itertools.islice(rest, BATCH_LINES)):
            sent: list[tuple[int, Json]] = []
            for index, line in batch:
                try:
                    sent.append((index, item_of(index, object_in(line))))
                except ValueError as error:
                    answer["rejected"] += 1
                    answer["errors"].append({"index": index, "code": "malformed_body", "message": str(error)})
            if sent:
                part = send([item for _, item in sent])
                for name in counts:
                    answer[name] += part[name]
                answer["errors"] += [{**e, "index": sent[e["index"]][0]} for e in part["errors"]]
            advance(sum(len(line) for _, line in batch), answer[counts[0]])


def why_it_ended(server: Server, error: ApiError | Unreachable | KeyboardInterrupt) -> str:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else explained(error, server.target)


def finish(server: Server, answer: Json, render: Callable[[], None], unit: str = "line") -> None:
    """Show an answer, list what was rejected, and fail if anything was. unit: what an index counts."""
    answer["errors"].sort(key=lambda error: error["index"])
    server.show(answer, render)
    if answer["rejected"]:
        if not server.as_json:
            _print_errors(answer["errors"], unit)
        raise click.exceptions.Exit(1)


def _print_errors(errors: list[Json], unit: str) -> None:
    for error in errors[:SHOWN_ERRORS]:
        click.echo(f"{unit} {error['index'] + 1}: {error['code']}: {error['message']}", err=True)
    if len(errors) > SHOWN_ERRORS:
        click.echo(f"and {len(errors) - SHOWN_ERRORS} more", err=True)


@contextmanager
def progress_bar(label: str, total: int | None, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr where that is a terminal. Yields `advance(by, count)`.

    total, by: in the same unit, bytes or entries; total None: unknown. count: the number shown beside the
    bar.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    hidden = not (shown and console.is_terminal)
    with Progress(*columns, console=console, disable=hidden, transient=True) as bar:
        task = bar.add_task(label, total=total, count=0)

        def advance(by: int, count: int) -> None:
            bar.update(task, advance=by, count=count)

        yield advance
