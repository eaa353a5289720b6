"""The commands `leaderboards` and `periods`.

The options of `create` and `update` are one table: option, place in the definition, values, help. The
values are listed here and not taken from the model, so that a help text does not cost the import of
pydantic; a test compares the two.
"""

from __future__ import annotations

import codecs
import functools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

import click
import orjson

from lbactors.cli.connection import (
    JSON,
    NUMBER,
    Refusal,
    Server,
    confirm,
    confirm_option,
    examples,
    listing_options,
    talks_to_server,
)
from lbactors.cli.groups import CommandGroup
from lbactors.cli.leaderboard_argument import leaderboard_argument
from lbactors.tables import instant_text, print_fields, print_table

Json = dict[str, Any]
Command = Callable[..., Any]

TIMEFRAMES = (
    "permanent", "hourly", "daily", "weekly", "monthly", "yearly", "cron", "every", "range", "manual"
)  # fmt: skip
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WINDOWS = ("all_time", "yearly", "monthly", "weekly", "daily", "hourly")
READ_WINDOWS = click.Choice(("main", *WINDOWS))
AGGREGATIONS = ("best", "latest", "sum", "min", "max", "count")
ORDERS = ("desc", "asc")


class _Field(NamedTuple):
    option: str
    path: tuple[str, ...]
    values: Any  # a tuple of words, or a type of click
    help: str


FIELDS = (
    _Field("--name", ("name",), str, "Display name. Default: the id."),
    _Field("--description", ("description",), str, "A description."),
    _Field(
        "--status",
        ("status",),
        ("active", "inactive", "archived"),
        "inactive and archived leaderboards take no scores.",
    ),
    _Field("--timeframe", ("timeframe", "type"), TIMEFRAMES, "The reset schedule."),
    _Field(
        "--timezone",
        ("timeframe", "timezone"),
        str,
        "Time zone of the resets, e.g. Europe/Rome; player: each player's own.",
    ),
    _Field("--reset-time", ("timeframe", "reset_time"), str, "Time of day of a reset, HH:MM[:SS]."),
    _Field("--reset-day", ("timeframe", "reset_day"), DAYS, "Day of a weekly reset."),
    _Field("--reset-date", ("timeframe", "reset_date"), click.IntRange(1, 31), "Day of a monthly reset."),
    _Field("--cron", ("timeframe", "cron"), str, "Cron expression of five fields, for --timeframe cron."),
    _Field(
        "--every",
        ("timeframe", "every_seconds"),
        click.IntRange(1),
        "Seconds between resets, for --timeframe every.",
    ),
    _Field("--starts-at", ("timeframe", "starts_at"), str, "When the schedule starts (RFC 3339)."),
    _Field("--ends-at", ("timeframe", "ends_at"), str, "When the schedule ends (RFC 3339)."),
    _Field(
        "--late-grace",
        ("timeframe", "late_grace_seconds"),
        click.IntRange(0, 86_400),
        "Seconds after its end in which a period still takes scores.",
    ),
    _Field(
        "--retain",
        ("timeframe", "retain_periods"),
        click.IntRange(0, 1000),
        "Number of closed periods to keep.",
    ),
    _Field(
        "--retain-days",
        ("timeframe", "retain_days"),
        click.IntRange(0, 3650),
        "Days to keep closed periods beyond that number.",
    ),
    _Field(
        "--late-submissions",
        ("timeframe", "late_submissions"),
        ("refuse", "arrival"),
        "Scores for a closed period: refuse them, or count them in the period they arrive in.",
    ),
    _Field(
        "--source",
        ("scoring", "source"),
        ("scores", "metric", "events"),
        "Where scores come from: submitted, or computed from a metric or events.",
    ),
    _Field("--metric", ("scoring", "metric"), str, "Name of the metric, for --source metric."),
    _Field(
        "--basis",
        ("scoring", "basis"),
        ("earned", "balance"),
        "What of a metric counts: awards, or the balance.",
    ),
    _Field("--filters", ("scoring", "filters"), JSON, "Which rows or events count: a JSON object."),
    _Field("--rules", ("scoring", "rules"), JSON, "What events are worth: a JSON array."),
    _Field(
        "--backfill/--no-backfill",
        ("scoring", "backfill"),
        bool,
        "Fill a new leaderboard with what the log already has, or not.",
    ),
    _Field(
        "--aggregation", ("scoring", "aggregation"), AGGREGATIONS, "How several scores of a player combine."
    ),
    _Field("--score-min", ("scoring", "score_min"), NUMBER, "Refuse lower scores."),
    _Field("--score-max", ("scoring", "score_max"), NUMBER, "Refuse higher scores."),
    _Field("--order", ("ranking", "order"), ORDERS, "desc: the highest score leads; asc: the lowest."),
    _Field(
        "--subscore-order",
        ("ranking", "subscore_order"),
        ORDERS,
        "The same for subscores, which rank equal scores.",
    ),
    _Field(
        "--tie-breaking",
        ("ranking", "tie_breaking"),
        ("first", "last"),
        "Who leads among equal scores: who reached the score first, or last.",
    ),
    _Field(
        "--rank-style",
        ("ranking", "rank_style"),
        ("ordinal", "competition", "dense"),
        "Ranks of equal scores: 1,2,3 (ordinal), 1,1,3 (competition) or 1,1,2 (dense).",
    ),
    _Field(
        "--max-entries",
        ("ranking", "max_entries"),
        click.IntRange(1, 100_000_000),
        "Number of entries to keep; the worst are dropped.",
    ),
    _Field(
        "--min-score",
        ("ranking", "min_score"),
        NUMBER,
        "Keep entries with a lower score, but do not rank them.",
    ),
    _Field(
        "--positive-only/--no-positive-only",
        ("ranking", "positive_only"),
        bool,
        "Rank only scores above 0; keep the others.",
    ),
    _Field(
        "--top-only",
        ("ranking", "top_only"),
        click.IntRange(1, 100_000_000),
        "Show nobody a rank beyond this one.",
    ),
    _Field(
        "--audience",
        ("audience",),
        JSON,
        "Who is ranked and who may read: a JSON object (docs/concepts.md#audience).",
    ),
    _Field(
        "--placement",
        ("placement",),
        ("auto", "dedicated"),
        "dedicated: give the leaderboard an actor of its own.",
    ),
    _Field(
        "--rewards",
        ("rewards",),
        JSON,
        "What players win when a period closes: a JSON object (docs/rewards.md).",
    ),
    _Field("--metadata", ("metadata",), JSON, "Your own data: a JSON object."),
    _Field("--display", ("display",), JSON, "Hints for whoever draws the leaderboard: a JSON object."),
    _Field(
        "--translations",
        ("translations",),
        JSON,
        'Names by language: a JSON object such as \'{"it": {"name": "Settimana"}}\'.',
    ),
    _Field(
        "--display-order",
        ("display_order",),
        int,
        "Place in listings: the lowest comes first.",
    ),
    _Field(
        "--public/--private",
        ("public",),
        bool,
        "private: keys bound to a player get 404, as if there were no such leaderboard.",
    ),
    _Field("--preview/--no-preview", ("preview",), bool, "Mark it as not yet for everybody."),
    _Field("--widget", ("widget",), JSON, "Settings of an embedded widget: a JSON object."),
    _Field("--external", ("external",), JSON, "A document of another system: a JSON object."),
)


def definition_options(command: Command) -> Command:
    """All fields of a definition as options, in their order in the API; the command gets `changes`, and the
    `windows` that were named one by one.
    """

    @functools.wraps(command)
    def collected(leaderboard_id: str | None, file: BinaryIO | None, **options: Any) -> Any:
        changes = _from_file(file) if file is not None else {}
        windows = options.pop("windows")
        if options.pop("no_windows"):
            if windows:
                raise click.UsageError("--no-windows goes with no --window")
            changes["windows"] = []
        if options.pop("no_rewards"):
            changes["rewards"] = None
        for field in FIELDS:
            value = options.pop("_".join(field.path))
            if value is not None:
                _place(changes, field, value)
        return command(leaderboard_id=leaderboard_id, changes=changes, windows=list(windows), **options)

    wrapped: Command = collected
    wrapped = click.option("--no-rewards", is_flag=True, help="Remove the rewards.")(wrapped)
    wrapped = click.option("--no-windows", is_flag=True, help="Remove all further windows.")(wrapped)
    wrapped = click.option(
        "--window", "windows", type=click.Choice(WINDOWS), multiple=True,
        help="Rank this window as well; repeat the option for more.",
    )(wrapped)  # fmt: skip
    for field in reversed(FIELDS):
        values = click.Choice(field.values) if isinstance(field.values, tuple) else field.values
        name = "_".join(field.path)
        wrapped = click.option(field.option, name, type=values, default=None, help=field.help)(wrapped)
    return click.option(
        "--file",
        type=click.File("rb"),
        help="Read the definition from a JSON file, as in the API; options override it. - is stdin.",
    )(wrapped)


def _from_file(file: BinaryIO) -> Json:
    try:
        definition = orjson.loads(file.read().removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise Refusal(f"--file: not JSON: {error}") from None
    if not isinstance(definition, dict):
        raise Refusal("--file: not a JSON object")
    return definition


def _place(changes: Json, field: _Field, value: Any) -> None:
    inner = changes
    for name in field.path[:-1]:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            raise Refusal(f"--file: {name} is not an object")
    inner[field.path[-1]] = value


lang_option = click.option("--lang", help="Show names and labels in this language, e.g. it or pt-BR.")


@click.group(
    cls=CommandGroup,
    epilog=examples(
        "lbactors leaderboards",
        "lbactors leaderboards create xp --timeframe weekly --timezone Europe/Rome --aggregation sum",
        "lbactors leaderboards update xp --max-entries 100000",
        "lbactors leaderboards archive xp",
    ),
)
def leaderboards() -> None:
    """Create, change and delete leaderboards."""


@leaderboards.command(
    "list",
    epilog=examples(
        "lbactors leaderboards list",
        "lbactors leaderboards list --status active --search weekly",
        "lbactors leaderboards list --lang it",
    ),
)
@click.option("--status", type=click.Choice(("active", "inactive", "archived")), help="Only in this state.")
@click.option("--search", help="Only with this text in the id or name.")
@click.option(
    "--sort", help="Field to sort by, as in the API; a leading - reverses it. Default: display_order."
)
@lang_option
@listing_options
@talks_to_server
def list_leaderboards(server: Server, **params: Any) -> None:
    """List leaderboards."""
    answer = server.client.list_leaderboards(**params)
    columns: dict[str, Callable[[Json], Any]] = {
        "leaderboard": lambda d: d["leaderboard_id"],
        "name": lambda d: d["name"],
        "status": lambda d: d["status"],
        "timeframe": lambda d: d["timeframe"]["type"],
        "timezone": lambda d: d["timeframe"].get("timezone"),
        "windows": lambda d: d["windows"],
        "aggregation": lambda d: d["scoring"]["aggregation"],
        "order": lambda d: d["ranking"]["order"],
    }
    server.show_listing(answer, columns)


@leaderboards.command(
    epilog=examples(
        "lbactors leaderboards create xp",
        "lbactors leaderboards create xp-weekly --timeframe weekly --timezone Europe/Rome \\",
        "    --aggregation sum --window daily --window all_time",
        "lbactors leaderboards create laps --order asc --timeframe every --every 7200",
        'lbactors leaderboards create vips --audience \'{"rank": {"roles": ["vip"]}}\'',
        "lbactors leaderboards create --file definition.json",
    )
)
@leaderboard_argument(required=False)
@definition_options
@talks_to_server
def create(server: Server, leaderboard_id: str | None, changes: Json, windows: list[str]) -> None:
    """Create a leaderboard.

    Options that you leave out take the API's defaults.
    """
    if windows:
        changes["windows"] = windows
    if leaderboard_id is not None:
        changes["leaderboard_id"] = leaderboard_id
    if "leaderboard_id" not in changes:
        raise click.UsageError("give LEADERBOARD, or a --file with leaderboard_id")
    definition = server.client.create_leaderboard(changes)
    server.show(definition, lambda: print_fields(definition))


@leaderboards.command(
    epilog=examples("lbactors leaderboards show xp", "lbactors leaderboards show xp --lang it --json")
)
@leaderboard_argument()
@lang_option
@talks_to_server
def show(server: Server, leaderboard_id: str, lang: str | None) -> None:
    """Show the definition of a leaderboard."""
    definition = server.client.leaderboard(leaderboard_id, lang=lang)
    shown = {name: value for name, value in definition.items() if name != "projection"}
    if (status := definition.get("projection")) is not None:
        shown["projection"] = progress_text(status)
    server.show(definition, lambda: print_fields(shown))


def progress_text(status: Mapping[str, Any]) -> str:
    """How far a projection is, on one line: `filling, 1200 of 5000 rows (24 %), 3 s behind`."""
    parts = [str(status["state"])]
    if status["state"] not in ("live", "asleep"):
        read, rows = status["rows_read"], status["rows"]
        share = f" ({read * 100 // rows} %)" if rows else ""
        parts.append(f"{read} of {rows} rows{share}")
    if status["behind_seconds"]:
        parts.append(f"{status['behind_seconds']:.0f} s behind")
    return ", ".join(parts)


@leaderboards.command(
    "test-rules",
    epilog=examples(
        "lbactors leaderboards test-rules wins --event event.json",
        "lbactors leaderboards test-rules wins --event "
        '\'{"event_type": "match.won", "attrs": {"kills": 7}}\'',
    ),
)
@leaderboard_argument()
@click.option(
    "--event", "written", metavar="FILE|JSON", required=True,
    help="The event as in the API: a file, - for stdin, or JSON. event_id and player_id may be left out.",
)  # fmt: skip
@talks_to_server
def test_rules(server: Server, leaderboard_id: str, written: str) -> None:
    """Show what the rules of a leaderboard make of an event.

    Nothing is written.
    """
    answer = server.client.test_rules(leaderboard_id, _event_in(written))

    def render() -> None:
        filters, rules = answer["filters"], answer["rules"]
        print_fields({"matched": answer["matched"], "points": answer["points"]})
        rows = [["filters", filters["matched"], None, filters["why"]]]
        rows += [[f"rule {rule['index']}", rule["matched"], rule["points"], rule["why"]] for rule in rules]
        print_table(["", "matched", "points", "why"], rows)

    server.show(answer, render)


def _event_in(written: str) -> Json:
    """The event that a file has, or that stands on the command line. Refusal."""
    text: bytes = written.encode()
    if not written.lstrip().startswith("{"):
        try:
            with click.open_file(written, "rb") as file:
                text = file.read().removeprefix(codecs.BOM_UTF8)
        except OSError as error:
            raise Refusal(f"--event: cannot read {written}: {error.strerror or error}") from None
    try:
        event = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refusal(f"--event: not JSON: {error}") from None
    if not isinstance(event, dict):
        raise Refusal("--event: not a JSON object")
    return event


@leaderboards.command(
    epilog=examples(
        "lbactors leaderboards rebuild xp current --yes",
        "lbactors leaderboards rebuild xp 2026-W47 --keep-rewards --yes",
    )
)
@leaderboard_argument()
@click.argument("period_key", metavar="PERIOD")
@click.option("--window", type=READ_WINDOWS, help="Default: main.")
@click.option(
    "--keep-rewards", is_flag=True,
    help="Rebuild also a closed period whose rewards were granted. They stay as they are.",
)  # fmt: skip
@confirm_option
@talks_to_server
def rebuild(
    server: Server,
    leaderboard_id: str,
    period_key: str,
    window: str | None,
    keep_rewards: bool,
    yes: bool,
) -> None:
    """Compute a period anew from the rows of its metric or events that are still kept.

    PERIOD: current, previous, or a period key. It cannot be read until that is done.
    """
    confirm(f"Compute period {period_key} of {leaderboard_id} anew?", yes)
    period = server.client.rebuild_period(
        leaderboard_id, period_key, keep_rewards=keep_rewards, window=window
    )
    server.show(period, lambda: _print_periods(period))


@leaderboards.command(
    epilog=examples(
        "lbactors leaderboards update xp --name 'Experience' --max-entries 100000",
        "lbactors leaderboards update xp --status inactive --if-version 3",
        "lbactors leaderboards update xp --window daily --remove-window hourly",
        "lbactors leaderboards update xp --private --top-only 100",
    )
)
@leaderboard_argument()
@click.option(
    "--if-version", type=click.IntRange(1), help="Change nothing unless the definition has this version."
)
@click.option(
    "--remove-window", "removed", type=click.Choice(WINDOWS), multiple=True,
    help="Stop ranking this window; repeat the option for more.",
)  # fmt: skip
@definition_options
@talks_to_server
def update(
    server: Server,
    leaderboard_id: str,
    changes: Json,
    windows: list[str],
    removed: tuple[str, ...],
    if_version: int | None,
) -> None:
    """Change a leaderboard.

    Only the fields and windows that you name change.
    """
    if windows or removed:
        # A list is replaced as a whole, and a window that is left out closes: what is there is read first.
        known = server.client.leaderboard(leaderboard_id)
        if_version = if_version or known["version"]
        before = changes["windows"] if "windows" in changes else known["windows"]
        kept = [window for window in before if window not in removed]
        changes["windows"] = [*kept, *(window for window in windows if window not in kept)]
    if not changes:
        raise click.UsageError("nothing to change")
    definition = server.client.update_leaderboard(leaderboard_id, changes, if_version=if_version)
    server.show(definition, lambda: print_fields(definition))


@leaderboards.command(epilog=examples("lbactors leaderboards archive xp"))
@leaderboard_argument()
@talks_to_server
def archive(server: Server, leaderboard_id: str) -> None:
    """Archive a leaderboard: it takes no more scores, but can still be read."""
    answer = server.client.archive_leaderboard(leaderboard_id)
    server.show(answer, lambda: click.echo(f"Archived {leaderboard_id}"))


@leaderboards.command(
    epilog=examples("lbactors leaderboards purge xp", "lbactors leaderboards purge xp --yes")
)
@leaderboard_argument()
@confirm_option
@talks_to_server
def purge(server: Server, leaderboard_id: str, yes: bool) -> None:
    """Delete a leaderboard with all its periods and entries."""
    confirm(f"Delete leaderboard {leaderboard_id} with all its periods and entries?", yes)
    answer = server.client.purge_leaderboard(leaderboard_id)
    server.show(answer, lambda: click.echo(f"Deleted {leaderboard_id}"))


@click.group(cls=CommandGroup, epilog=examples("lbactors periods xp", "lbactors periods close xp --yes"))
def periods() -> None:
    """List, open and close the periods of a leaderboard."""


PERIOD_COLUMNS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "period": lambda p: p["period_key"],
    "window": lambda p: p["window"],
    "state": lambda p: p["state"],
    "starts": lambda p: instant_text(p["starts_at"]),
    "ends": lambda p: instant_text(p["ends_at"]),
    "entries": lambda p: p["entries"],
    "submissions": lambda p: p["submissions"],
}


def _print_periods(*shown: Mapping[str, Any]) -> None:
    print_table(list(PERIOD_COLUMNS), [[cell(p) for cell in PERIOD_COLUMNS.values()] for p in shown])


@periods.command(
    "list",
    epilog=examples("lbactors periods list xp", "lbactors periods list xp --window daily --state closed"),
)
@leaderboard_argument()
@click.option("--window", type=READ_WINDOWS, help="Default: main.")
@click.option(
    "--state", type=click.Choice(("pending", "active", "closing", "closed")), help="Only in this state."
)
@listing_options
@talks_to_server
def list_periods(server: Server, leaderboard_id: str, **params: Any) -> None:
    """List the periods of a leaderboard, newest first."""
    server.show_listing(server.client.list_periods(leaderboard_id, **params), PERIOD_COLUMNS)


@periods.command(
    "create",
    epilog=examples(
        "lbactors periods create cup",
        "lbactors periods create cup --starts-at 2026-12-01T18:00:00Z --ends-at 2026-12-01T22:00:00Z",
    ),
)
@leaderboard_argument()
@click.option("--starts-at", help="When it starts (RFC 3339). Default: now.")
@click.option("--ends-at", help="When it ends (RFC 3339). Default: when you close it.")
@click.option("--period-key", help="Key of the period. Default: its start in UTC.")
@talks_to_server
def create_period(server: Server, leaderboard_id: str, **fields: str | None) -> None:
    """Open a period of a leaderboard with the timeframe manual."""
    given = {name: value for name, value in fields.items() if value is not None}
    period = server.client.create_period(leaderboard_id, given)
    server.show(period, lambda: _print_periods(period))


@periods.command("close", epilog=examples("lbactors periods close xp", "lbactors periods close xp --yes"))
@leaderboard_argument()
@click.option("--window", type=READ_WINDOWS, help="Default: main.")
@confirm_option
@talks_to_server
def close_period(server: Server, leaderboard_id: str, window: str | None, yes: bool) -> None:
    """End the current period of a leaderboard now and start the next one."""
    confirm(f"End the current period of {leaderboard_id} now?", yes)
    answer = server.client.close_period(leaderboard_id, window=window)
    shown = [period for period in (answer["closed"], answer["current"]) if period is not None]
    server.show(answer, lambda: _print_periods(*shown))
