"""The commands `top` and `submit`: a look at a ranking, and scores by hand or from a file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lbactors.cli.connection import JSON, NUMBER, Server, examples, json_text, period_options, talks_to_server
from lbactors.cli.leaderboard_argument import leaderboard_argument
from lbactors.cli.transfer import submit_lines
from lbactors.tables import drawn_table, instant_text, print_table, text_of, until_text

Json = dict[str, Any]
Page = Mapping[str, Any]


@click.command(
    epilog=examples(
        "lbactors top xp",
        "lbactors top xp previous --limit 100",
        "lbactors top xp --window daily --around maya",
        "lbactors top xp --watch",
        "lbactors top xp --json | jq '.entries[].player_id'",
    )
)
@leaderboard_argument()
@click.argument("period_argument", metavar="[PERIOD]", required=False)
@period_options
@click.option("--limit", type=click.IntRange(1, 1000), help="Number of entries to show. Default: 10.")
@click.option("--offset", type=click.IntRange(0), help="Number of entries to skip at the top.")
@click.option("--around", metavar="PLAYER", help="Show this player and their neighbours instead of the top.")
@click.option(
    "--timezone", metavar="ZONE", help="Whose current period, on a leaderboard with time zone `player`."
)
@click.option("--watch", is_flag=True, help="Keep showing changes until Ctrl-C.")
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True,
    help="Seconds between two reads with --watch.",
)  # fmt: skip
@talks_to_server
def top(
    server: Server,
    leaderboard_id: str,
    period_argument: str | None,
    period: str | None,
    window: str | None,
    limit: int | None,
    offset: int | None,
    around: str | None,
    timezone: str | None,
    watch: bool,
    interval: float,
) -> None:
    """Show the ranking of a leaderboard, or a player and their neighbours.

    PERIOD: current (the default), previous, or a period key such as 2026-W47.
    """
    if None not in (period, period_argument):
        raise click.UsageError("give the period once")
    period = period_argument if period is None else period
    if around is not None and offset is not None:
        raise click.UsageError("--offset does not go with --around")

    def read() -> Page:
        page: Page
        if around is not None:
            page = server.client.around(
                leaderboard_id, around, limit=limit or 11, period=period, window=window, timezone=timezone
            )
        else:
            page = server.client.rankings(
                leaderboard_id,
                limit=limit or 10,
                offset=offset,
                period=period,
                window=window,
                timezone=timezone,
            )
        return page

    if watch:
        _watch(server, read, interval)
        return
    page = read()
    server.show(page, lambda: print_table(*ranking_table(page)))


def ranking_table(page: Page) -> tuple[list[str], list[list[Any]], str]:
    """Columns, rows and title of a page. A column that would say nothing (no subscores, no names) is left
    out.
    """
    entries = page["entries"]
    columns: dict[str, Callable[[Json], Any]] = {
        "rank": lambda e: e["rank"],
        "player": lambda e: e["player_id"],
    }
    if any(entry.get("display_name") for entry in entries):
        columns["name"] = lambda e: e.get("display_name")
    columns["score"] = lambda e: e["score"]
    if any(entry.get("subscore") for entry in entries):
        columns["subscore"] = lambda e: e["subscore"]
    columns["change"] = lambda e: e.get("change")
    columns["submissions"] = lambda e: e.get("submissions")
    columns["updated"] = lambda e: instant_text(e.get("updated_at"))
    rows = [[cell(entry) for cell in columns.values()] for entry in entries]
    return list(columns), rows, page_title(page)


def page_title(page: Page) -> str:
    """`xp: 2026-W47 (main), active, ends in 2 d 3 h, 1250 entries`."""
    period = page["period"]
    parts = [f"{page['leaderboard_id']}: {period['period_key']} ({period['window']})", period["state"]]
    if period["state"] == "active" and period["ends_at"] is not None:
        parts.append(f"ends in {until_text(period['ends_at'])}")
    parts.append(f"{page['total']} entries" if page["total"] != 1 else "1 entry")
    return ", ".join(parts)


def _watch(server: Server, read: Callable[[], Page], interval_s: float) -> None:
    """Show the ranking whenever it differs from the last look; Ctrl-C ends it and is no failure."""
    console = Console()
    shown: Page | None = None
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        live = None
        if console.is_terminal and not server.as_json:
            live = stack.enter_context(Live(console=console, auto_refresh=False))
        while True:
            page = read()
            if live is not None:  # always: the time left in the title runs
                columns, rows, title = ranking_table(page)
                cells = [[text_of(value) for value in row] for row in rows]
                clock = Text(time.strftime("%H:%M:%S"), style="dim")
                live.update(Group(drawn_table(columns, cells, title), clock), refresh=True)
            elif page != shown and server.as_json:
                click.echo(json_text(page))
            elif page != shown:
                print_table(*ranking_table(page))
                click.echo()
            shown = page
            sys.stdout.flush()
            time.sleep(interval_s)


@click.command(
    # A score may be negative: `-5` is no option.
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        "lbactors submit xp maya 5100",
        "lbactors submit xp maya 5100 --subscore 3 --metadata '{\"level\": 7}'",
        "lbactors submit xp maya 5100 --submission-id match-77:maya",
        "lbactors submit xp --file scores.jsonl",
        "zcat scores.jsonl.gz | lbactors submit xp --file -",
    ),
)
@leaderboard_argument()
@click.argument("player_id", metavar="[PLAYER]", required=False)
@click.argument("score", metavar="[SCORE]", type=NUMBER, required=False)
@click.option("--subscore", type=NUMBER, help="Ranks equal scores.")
@click.option("--metadata", type=JSON, help="Your own data to keep with the entry, as JSON.")
@click.option("--submission-id", help="Id of this submission. The same id sent again is not counted again.")
@click.option("--occurred-at", help="When it happened (RFC 3339). Default: now.")
@click.option(
    "--aggregation",
    help="Combine by this rule instead (best, latest, sum, min, max, count); needs leaderboards:write.",
)
@click.option(
    "--file", "path", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Submit a file of JSON lines, each an object as in the API. - is stdin.",
)  # fmt: skip
@click.option(
    "--id-prefix",
    help="With --file: a line without a submission_id gets the id PREFIX:LINE. By default the prefix is a "
    "hash of the file, so that a file sent twice within a day counts once.",
)
@talks_to_server
def submit(
    server: Server,
    leaderboard_id: str,
    player_id: str | None,
    score: float | None,
    path: Path | None,
    id_prefix: str | None,
    **fields: Any,
) -> None:
    """Submit a score, or a file of scores, to a leaderboard.

    SCORE can be left out where the leaderboard counts submissions.
    """
    if path is not None:
        if player_id is not None or any(value is not None for value in fields.values()):
            raise click.UsageError("--file does not go with PLAYER, SCORE or their options")
        with click.open_file(str(path), "rb") as source:
            submit_lines(server, leaderboard_id, source, id_prefix)
        return
    if player_id is None:
        raise click.UsageError("give PLAYER and SCORE, or --file")
    if id_prefix is not None:
        raise click.UsageError("--id-prefix needs --file")
    answer = server.client.submit(leaderboard_id, player_id, score, **fields)
    server.show(answer, lambda: _print_outcomes(answer))


def _outcome_text(outcome: Mapping[str, Any]) -> str:
    if outcome.get("held"):
        return f"held for review: {outcome['held_id']}"
    if outcome.get("skipped"):
        return f"passed over: {outcome['skipped']}"
    if outcome.get("duplicate"):
        return "repeated"
    return "applied" if outcome["applied"] else "kept the old entry"


def _print_outcomes(answer: Mapping[str, Any]) -> None:
    """One line for the main window and one for each further window."""
    outcomes: Sequence[Mapping[str, Any]] = [{"window": "main", **answer}, *answer.get("windows", [])]
    rows = [
        [
            o["window"],
            o.get("period_key"),
            o.get("score"),
            o.get("rank"),
            o.get("previous_rank"),
            _outcome_text(o),
        ]
        for o in outcomes
    ]
    print_table(["window", "period", "score", "rank", "was", "outcome"], rows, answer["player_id"])
