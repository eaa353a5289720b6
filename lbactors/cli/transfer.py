"""The commands `export` and `import`, and the bulk submitting that `submit --file` shares.

An export is a file of JSON lines: a header, which says what it is of, and the entries, best first. An
import puts them back as they stood, by a route of its own that changes nothing when it is repeated. Lines of
a file that are to count as *submissions* have ids: their own, or FILE:LINE, where FILE follows from the
file's bytes; so that a file that is sent twice within a day counts once, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

import click
import orjson

from lbactors.cli.bulk import (
    BYTE_ORDER_MARK,
    Lines,
    finish,
    named_by_content,
    object_in,
    progress_bar,
    send_lines,
    size_of,
    why_it_ended,
)
from lbactors.cli.connection import (
    Failure,
    Refusal,
    Server,
    examples,
    json_text,
    period_options,
    talks_to_server,
)
from lbactors.cli.leaderboard_argument import leaderboard_argument
from lbactors.client import ApiError, Unreachable
from lbactors.client.transport import new_id

Json = dict[str, Any]

FORMAT = 1  # of an export; what a later version adds to the header is passed over
MARK = "lbactors_export"  # the header's field that holds it
RULES = (("scoring", "aggregation"), ("ranking", "order"), ("ranking", "subscore_order"))
STANDING = ("player_id", "score", "subscore", "metadata", "submissions", "first_at", "updated_at")
SUBMITTED = ("player_id", "score", "subscore", "metadata", "submission_id")


# Files ----------------------------------------------------------------------------------------------------


def numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines of items with their numbers: neither blank nor a header; a byte order mark is passed over."""
    for index, line in enumerate(lines):
        text = line.removeprefix(BYTE_ORDER_MARK) if index == 0 else line
        if text.strip() and not (index == 0 and _is_header(text)):
            yield index, text


# Sending --------------------------------------------------------------------------------------------------


def submit_lines(
    server: Server,
    leaderboard_id: str,
    source: IO[bytes],
    id_prefix: str | None,
    submission_of: Callable[[Json], Json] = dict,
    *,
    backwards: bool = False,
) -> None:
    """Submit a file of JSON lines; prints what became of them.

    id_prefix: lines without an id of their own get PREFIX:LINE; None: a prefix that follows from the file's
    bytes. submission_of: from a line's object to the API's submission. backwards: the last line first.
    Rejected lines are listed (the first 20) and make the command fail with exit code 1 in the end.
    """
    counts_repeats = id_prefix is None
    if id_prefix is None:
        source, id_prefix = named_by_content(source)
    total_bytes = size_of(source)
    lines: Lines = numbered(source)
    if backwards:
        lines = reversed(list(lines))
    answer: Json = {"accepted": 0, "repeated": 0, "rejected": 0, "errors": []}
    client = server.bulk_client()

    def item_of(index: int, line: Json) -> Json:
        return {"submission_id": f"{id_prefix}:{index + 1}", **submission_of(line)}

    def send(items: list[Json]) -> Json:
        part = client.submit_many(leaderboard_id, items, results="full" if counts_repeats else "none")
        return {**part, "repeated": sum(row.get("duplicate", False) for row in part["results"])}

    try:
        send_lines(lines, total_bytes, "submitting", item_of, send, answer)
    except (ApiError, Unreachable, KeyboardInterrupt) as error:
        raise Failure(
            f"{why_it_ended(server, error)} (after {answer['accepted']} accepted; "
            f"to go on without counting twice, repeat with --id-prefix {id_prefix})"
        ) from None

    def render() -> None:
        click.echo(f"accepted {answer['accepted']}, rejected {answer['rejected']}")
        if answer["repeated"]:
            click.echo(
                f"{answer['repeated']} of them had been counted before and were not counted again; "
                "--id-prefix with another name counts the file again",
                err=True,
            )

    finish(server, answer, render)


# Exports --------------------------------------------------------------------------------------------------


class Header(NamedTuple):
    """What a file says that it is of. `period_key`, `window` None and no `rules`: it does not say."""

    name: str
    window: str | None
    period_key: str | None
    rules: Mapping[str, Any]


def _header_line(definition: Mapping[str, Any], page: Mapping[str, Any], export_id: str) -> Json:
    period = page["period"]
    return {
        MARK: FORMAT,
        "export_id": export_id,
        "leaderboard_id": page["leaderboard_id"],
        **{name: definition[part].get(name) for part, name in RULES},
        "window": period["window"],
        "period_key": period["period_key"],
        "state": period["state"],
        "entries": page["total"],
        "as_of_seq": page["as_of_seq"],
        "exported_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _is_header(line: bytes) -> bool:
    try:
        return MARK in object_in(line)
    except ValueError:
        return False


def _header_of(line: bytes, name: str) -> Header | None:
    """The header in a file's first line, if it is one."""
    line = line.removeprefix(BYTE_ORDER_MARK)
    if not _is_header(line):
        return None
    found = object_in(line)
    if found[MARK] != FORMAT:
        raise Refusal(f"{name} is an export of format {found[MARK]}; this command knows format {FORMAT}")
    rules = {rule: found.get(rule) for _, rule in RULES}
    return Header(f"{found.get('leaderboard_id')!r}", found.get("window"), found.get("period_key"), rules)


@click.command(
    epilog=examples(
        "lbactors export xp > xp.jsonl",
        "lbactors export xp --period 2026-W47 -o xp-2026-W47.jsonl",
        "lbactors export xp --window daily --period previous -o xp-daily.jsonl",
    )
)
@leaderboard_argument()
@period_options
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, writable=True, allow_dash=True), default="-",
    help="File to write; it appears when it is complete. Default: stdout.",
)  # fmt: skip
@talks_to_server
def export(server: Server, leaderboard_id: str, period: str | None, window: str | None, output: str) -> None:
    """Export the ranked entries of a period as JSON lines, best first.

    The first line is a header: leaderboard, rules, window, period and time. Each other line is an entry as in
    the API, with a submission_id. A closed period is exported exactly; while a period is active, an entry
    that moves between two pages can be missed or appear twice. Export each window by itself. Entries that
    are hidden or not ranked (min_score, positive_only) are left out.

    With --json and --output, prints a summary.
    """
    client = server.client
    definition = client.leaderboard(leaderboard_id)
    pages = client.all_rankings(leaderboard_id, period=period, window=window)
    first = next(pages)  # an unknown period fails here, before a file is made
    export_id = new_id()
    written = 0
    with (
        click.open_file(output, "wb", atomic=output != "-") as file,
        progress_bar("exporting", first["total"], shown=output != "-") as advance,
    ):
        file.write(orjson.dumps(_header_line(definition, first, export_id)) + b"\n")
        for page in itertools.chain([first], pages):
            for entry in page["entries"]:
                written += 1
                file.write(orjson.dumps({**entry, "submission_id": f"{export_id}:{written}"}) + b"\n")
            advance(len(page["entries"]), written)
    if output == "-":
        return
    if server.as_json:
        shown = {name: first["period"][name] for name in ("window", "period_key", "state")}
        click.echo(json_text({"leaderboard_id": leaderboard_id, **shown, "entries": written, "file": output}))
    else:
        click.echo(f"{written} entries of {first['period']['period_key']} written to {output}", err=True)


@click.command(
    "import",
    epilog=examples(
        "lbactors import xp xp.jsonl",
        "lbactors import xp-copy xp.jsonl --replace",
        "lbactors import xp scores.jsonl --add",
        "lbactors export xp | lbactors import xp --url http://127.0.0.1:8081 -",
    ),
)
@leaderboard_argument()
@click.argument(
    "path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option("--window", help="Window to import into. Default: the exported one.")
@click.option(
    "--replace",
    is_flag=True,
    help="Replace the entries that players already have, and restore removed ones.",
)
@click.option(
    "--force", is_flag=True,
    help="Import even if the leaderboard has another aggregation or order, the period differs, or the file "
    "has no header.",
)  # fmt: skip
@click.option(
    "--add",
    is_flag=True,
    help="Submit the scores instead: they combine with what players have, in all windows.",
)
@click.option(
    "--id-prefix",
    help="With --add: use the submission ids PREFIX:LINE. By default they are those in the file, or a hash "
    "of the file and the line, so that a file sent twice within a day counts once.",
)
@talks_to_server
def import_(
    server: Server,
    leaderboard_id: str,
    path: Path,
    window: str | None,
    replace: bool,
    force: bool,
    add: bool,
    id_prefix: str | None,
) -> None:
    """Import the entries of an export into the current period of a leaderboard.

    FILE: an export; - is stdin. Score, subscore, metadata, number of submissions, times and the order of ties
    are kept. A player who already has an entry keeps it, unless you add --replace. You can repeat an import:
    it continues where it stopped and changes nothing twice. Import each further window from its own export.
    """
    if add and (replace or force or window is not None):
        raise click.UsageError("--add cannot be combined with --replace, --force or --window")
    if id_prefix is not None and not add:
        raise click.UsageError("--id-prefix needs --add")
    definition = server.client.leaderboard(leaderboard_id)
    scoring = definition["scoring"]
    if scoring["source"] != "scores":
        origin = f"metric {scoring['metric']!r}" if scoring["source"] == "metric" else "events"
        raise Refusal(
            f"leaderboard {leaderboard_id!r} is computed from {origin}, and takes no scores of its own"
        )
    with click.open_file(str(path), "rb") as source:
        if add:
            _add(server, definition, source, id_prefix)
            return
        total_bytes = size_of(source)
        first = source.readline()
        name = "stdin" if str(path) == "-" else path.name
        header = _header_of(first, name)
        if header is None and not force:
            raise Refusal(
                f"{name} has no header, so it is no export: --add submits its scores, --force imports its "
                "lines as entries"
            )
        header = header or Header(name, None, None, {})
        window = window or header.window or "main"
        period_key = server.client.period(leaderboard_id, "current", window=window)["period_key"]
        if not force:
            _check_same(header, definition, period_key)
        lines = itertools.chain([first], source)
        _put_back(server, definition, lines, total_bytes, window, period_key, replace)


def _check_same(header: Header, definition: Mapping[str, Any], period_key: str) -> None:
    """Refusal if entries would mean something else than where they come from."""
    here = {name: definition[part].get(name) for part, name in RULES}
    differing = [
        f"{name} {told} instead of {here[name]}" for name, told in header.rules.items() if told != here[name]
    ]
    if header.period_key != period_key:
        differing.append(f"period {header.period_key} instead of {period_key}")
    if differing:
        own = definition["leaderboard_id"]
        raise Refusal(
            f"nothing was imported: the file is an export of {header.name}, which differs from {own!r}: "
            f"{', '.join(differing)}; --force imports it anyway"
        )


def _put_back(
    server: Server,
    definition: Mapping[str, Any],
    source: Iterable[bytes],
    total_bytes: int | None,
    window: str,
    period_key: str,
    replace: bool,
) -> None:
    lines: Lines = numbered(source)
    if definition["ranking"]["tie_breaking"] == "last":
        lines = reversed(list(lines))  # the later of two equals leads, so the leader must come last
    answer: Json = {"imported": 0, "unchanged": 0, "dropped": 0, "rejected": 0, "errors": []}
    client = server.bulk_client()
    leaderboard_id = definition["leaderboard_id"]

    def send(items: list[Json]) -> Mapping[str, Any]:
        return client.import_entries(
            leaderboard_id, items, window=window, period_key=period_key, replace=replace
        )

    try:
        send_lines(lines, total_bytes, "importing", lambda _, line: _entry(line, STANDING), send, answer)
    except (ApiError, Unreachable, KeyboardInterrupt) as error:
        raise Failure(
            f"{why_it_ended(server, error)} (after {answer['imported']} imported; repeat it to go on)"
        ) from None
    parts = [f"imported {answer['imported']}"]
    parts += [f"{name} {answer[name]}" for name in ("unchanged", "dropped") if answer[name]]
    parts.append(f"rejected {answer['rejected']}")
    finish(server, answer, lambda: click.echo(", ".join(parts)))


def _entry(line: Json, fields: tuple[str, ...]) -> Json:
    """Of a line those fields that it has. ValueError if it is no entry."""
    if "player_id" not in line or "score" not in line:
        raise ValueError("not an entry: player_id and score are needed")
    return {name: line[name] for name in fields if line.get(name) is not None}


def _add(server: Server, definition: Mapping[str, Any], source: IO[bytes], id_prefix: str | None) -> None:
    """Submit the scores of a file. An entry of a board that counts adds its count."""
    counting = definition["scoring"]["aggregation"] == "count"

    def submission_of(line: Json) -> Json:
        item = _entry(line, SUBMITTED)
        if id_prefix is not None:
            item.pop("submission_id", None)
        return {**item, "aggregation": "sum"} if counting else item

    backwards = definition["ranking"]["tie_breaking"] == "last"
    submit_lines(server, definition["leaderboard_id"], source, id_prefix, submission_of, backwards=backwards)
