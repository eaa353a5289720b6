"""The commands `export` and `import`, and the bulk submitting that `submit --file` shares.

Bulk work goes in batches of 1000, one after the other, so the order of the file is the order of the
submissions. Every line has a submission id, its own or `PREFIX:LINE`; so a run that broke off is repeated
with the same prefix and counts nothing twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lbactors.cli.connection import Failure, Server, examples, period_options, talks_to_server
from lbactors.client import ApiError, Unreachable
from lbactors.client.transport import new_id

Json = dict[str, Any]

BATCH_LINES = 1000
SHOWN_ERRORS = 20


def submit_lines(
    server: Server,
    leaderboard_id: str,
    lines: Iterable[tuple[int, bytes]],
    id_prefix: str | None,
    submission_of: Callable[[Json], Json],
    total_bytes: int | None,
) -> None:
    """Submit JSON lines, with a progress bar; prints what became of them.

    lines: (0-based number, text) each. submission_of: from a line's object to the API's submission.
    total_bytes: size of the input if known. Rejected lines are listed (the first 20) and make the command
    fail with exit code 1 in the end.
    """
    prefix = id_prefix or new_id()
    answer: Json = {"accepted": 0, "rejected": 0, "errors": [], "results": []}
    client = server.bulk_client()
    try:
        with progress_bar("submitting", total_bytes) as advance:
            rest = iter(lines)
            while batch := list(itertools.islice(rest, BATCH_LINES)):
                sent: list[tuple[int, Json]] = []
                for index, line in batch:
                    if not line.strip():
                        continue
                    try:
                        item = submission_of(_object(line))
                        sent.append((index, {"submission_id": f"{prefix}:{index + 1}", **item}))
                    except ValueError as error:
                        answer["rejected"] += 1
                        answer["errors"].append(_error(index, "malformed_body", str(error)))
                if sent:
                    part = client.submit_many(leaderboard_id, [item for _, item in sent])
                    answer["accepted"] += part["accepted"]
                    answer["rejected"] += part["rejected"]
                    answer["errors"] += [{**e, "index": sent[e["index"]][0]} for e in part["errors"]]
                advance(sum(len(line) for _, line in batch), answer["accepted"])
    except (ApiError, Unreachable, KeyboardInterrupt) as error:
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        raise Failure(
            f"{why} (after {answer['accepted']} accepted; "
            f"to go on without counting twice, repeat with --id-prefix {prefix})"
        ) from None
    server.show(answer, lambda: click.echo(f"accepted {answer['accepted']}, rejected {answer['rejected']}"))
    if answer["rejected"]:
        if not server.as_json:
            _print_errors(answer["errors"])
        raise click.exceptions.Exit(1)


def _object(line: bytes) -> Json:
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError:
        item = None
    if not isinstance(item, dict):
        raise ValueError("not a JSON object")
    return item


def _error(index: int, code: str, message: str) -> Json:
    return {"index": index, "code": code, "message": message}


def _print_errors(errors: list[Json]) -> None:
    for error in errors[:SHOWN_ERRORS]:
        click.echo(f"line {error['index'] + 1}: {error['code']}: {error['message']}", err=True)
    if len(errors) > SHOWN_ERRORS:
        click.echo(f"and {len(errors) - SHOWN_ERRORS} more", err=True)


@click.command(
    epilog=examples(
        "lbactors export xp > xp.jsonl",
        "lbactors export xp --period 2026-W47 -o xp-2026-W47.jsonl",
        "lbactors export xp --window daily --period previous | wc -l",
    )
)
@click.argument("leaderboard_id", metavar="ID")
@period_options
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, writable=True, allow_dash=True), default="-",
    help="File to write; it appears when it is complete. Stdout if not given.",
)  # fmt: skip
@talks_to_server
def export(server: Server, leaderboard_id: str, period: str | None, window: str | None, output: str) -> None:
    """Write all ranked entries of a period of leaderboard ID as JSON lines, best first.

    The lines are entries as the API gives them, with or without --json. A closed period is exported
    exactly; while a period goes on, entries that move between two pages may be missed or met twice.
    """
    client = server.client
    pages = client.all_rankings(leaderboard_id, period=period, window=window)
    first = next(pages)  # an unknown leaderboard fails here, before a file is made
    written = 0
    with (
        click.open_file(output, "wb", atomic=output != "-") as file,
        progress_bar("exporting", first["total"], shown=output != "-") as advance,
    ):
        for page in itertools.chain([first], pages):
            file.write(b"".join(orjson.dumps(entry) + b"\n" for entry in page["entries"]))
            written += len(page["entries"])
            advance(len(page["entries"]), written)
    if output != "-":
        click.echo(f"{written} entries of {first['period']['period_key']} written to {output}", err=True)


@click.command(
    "import",
    epilog=examples(
        "lbactors import xp xp.jsonl",
        "lbactors import xp-copy xp.jsonl --exact",
        "lbactors export xp | lbactors import xp --url http://127.0.0.1:8081 -",
    ),
)
@click.argument("leaderboard_id", metavar="ID")
@click.argument("source", metavar="FILE", type=click.File("rb"))
@click.option(
    "--exact", is_flag=True,
    help="Replace what players have by the file's entries, whatever the board's aggregation; "
    "needs a key with leaderboards:write.",
)  # fmt: skip
@click.option(
    "--id-prefix", help="Name of this import; repeating one that broke off with the same name is safe."
)
@talks_to_server
def import_(server: Server, leaderboard_id: str, source: Any, exact: bool, id_prefix: str | None) -> None:
    """Submit the entries of an export to the current period of leaderboard ID; - reads stdin.

    Score, subscore and metadata are taken over; times and numbers of submissions begin anew. Boards that
    count are always imported as with --exact. Ties keep their order.
    """
    definition = server.client.leaderboard(leaderboard_id)
    aggregation = "latest" if exact or definition["scoring"]["aggregation"] == "count" else None
    size = source.seek(0, 2) if source.seekable() else None
    if size is not None:
        source.seek(0)
    lines: Iterable[tuple[int, bytes]] = enumerate(source)
    if definition["ranking"]["tie_breaking"] == "last":
        lines = reversed(list(lines))  # the later of two equals leads, so the leader must come last

    def submission_of(entry: Json) -> Json:
        if "player_id" not in entry or "score" not in entry:
            raise ValueError("not an entry: player_id and score are needed")
        names = ("player_id", "score", "subscore", "metadata", "submission_id")
        item = {name: entry[name] for name in names if entry.get(name) is not None}
        return item if aggregation is None else {**item, "aggregation": aggregation}

    submit_lines(server, leaderboard_id, lines, id_prefix, submission_of, size)


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
