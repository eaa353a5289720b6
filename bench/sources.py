"""What metrics and events cost: rows through a log into leaderboards, beside plain scores.

    python bench/sources.py                        SQLite, and Redis if redis-server is there
    python bench/sources.py --only sqlite --rounds 3

Batches go to these places by turns, in one run, because rates on one machine differ from hour to hour by more
than what is compared:

  floor      an aiohttp handler that parses the body and keeps it with one fsync (`floor_server.py`)
  plain      1000 scores to a leaderboard (`sum`)
  log        1000 rows of a metric that no leaderboard looks at
  1, 10      the same with so many leaderboards (`sum`) that do
  rule       100 events, and a leaderboard with one rule, which matches
  20 rules   100 events, and a leaderboard with 20 rules, of which 2 match

Answers wait for the leaderboards as they do for any client. `behind`: how long after the last answer the
leaderboards had taken everything.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
import uvloop

# Its siblings first: it puts the project on the path.
from redis_durability import SETTINGS, Setting, redis_version
from windows import say, servers_of

from lbactors.client import ApiError, Client, Unreachable
from lbactors.demo.own_server import OwnServer, ServerFailed
from lbactors.load.connection import Source
from lbactors.load.load import Case, LoadFailed, Measured, Workload, run_case
from lbactors.tables import print_table

STORES = SETTINGS[:2]  # SQLite, Redis with an fsync for each append
ROWS, EVENTS = 1000, 100
CONNECTIONS = 4
POOL = 100
CAUGHT_UP_WITHIN_S = 120.0
SUM = {"aggregation": "sum"}


class SourceWorkload(Workload):
    """Renders requests to the routes of metrics and events, too."""

    def __init__(
        self, host: str, key: str, board: str, entries: int, path: str, numbers: Iterator[int]
    ) -> None:
        super().__init__(host, key, board, entries, ids=False)
        self._path, self._numbers = path, numbers

    def post(self, body: Any) -> bytes:
        return super().post(body).replace(b"/scores HTTP/1.1", b" HTTP/1.1", 1)

    def rows(self) -> list[bytes]:
        return [self.post([self.item(self.any_player()) for _ in range(ROWS)]) for _ in range(POOL)]

    def events(self) -> list[bytes]:
        """Twenty times as many as of rows: an event with a known id would be a repeat."""
        return [self.post({"events": [self._event() for _ in range(EVENTS)]}) for _ in range(POOL * 20)]

    def _event(self) -> dict[str, Any]:
        attrs = {"mode": "ranked", "kills": self._random.randrange(20), "won": self._random.randrange(2)}
        return {
            "event_id": f"e-{next(self._numbers)}",
            "event_type": "match",
            "player_id": self.any_player(),
            "attrs": {**attrs, "map": f"map-{self._random.randrange(8)}", "seconds": 613.5},
            "actor": {"metadata": {"platform": "pc"}},
        }


def rules(count: int) -> list[dict[str, Any]]:
    """So many rules for one type of event, of which two match at most (one, if there is one)."""
    mine: list[dict[str, Any]] = [
        {"event_type": "match", "points_expression": "attrs.kills * 10 + if(attrs.won == 1, 50, 0)"},
        {
            "event_type": "match",
            "conditions": {"attrs.mode": {"eq": "ranked"}},
            "points_expression": "max(attrs.kills, 1)",
        },
    ]
    others: list[dict[str, Any]] = [
        {
            "event_type": "match",
            "conditions": {"attrs.mode": {"eq": f"mode-{number}"}},
            "points_expression": "attrs.kills + 1",
        }
        for number in range(count)
    ]
    return [*mine, *others][:count]


def _metric_board(metric: str) -> dict[str, Any]:
    return {"scoring": {**SUM, "source": "metric", "metric": metric}}


def _event_board(count: int) -> dict[str, Any]:
    return {"scoring": {**SUM, "source": "events", "rules": rules(count)}}


class Found(NamedTuple):
    """A measured case; how long the leaderboards needed after it."""

    measured: Measured
    behind_s: float


PLACES = ("floor", "plain", "log", "1 board", "10 boards", "1 rule", "20 rules")


async def measured_place(
    name: str, floor: OwnServer, server: OwnServer, entries: int, seconds: float
) -> Found:
    """One case on a server. What it made is removed."""
    own = floor if name == "floor" else server
    parts = urlsplit(own.url)
    assert parts.hostname is not None and parts.port is not None
    metric = f"m{secrets.token_hex(4)}"
    numbers = itertools.count(secrets.randbits(40))
    boards: list[dict[str, Any]] = []
    if name == "plain":
        boards = [{"scoring": SUM}]
    elif name.endswith(("board", "boards")):
        boards = [_metric_board(metric)] * int(name.split()[0])
    elif name.endswith(("rule", "rules")):
        boards = [_event_board(int(name.split()[0]))]
    is_events = name.endswith(("rule", "rules"))
    async with Client(server.url, server.key, retry_refused=False) as client:
        ids = [f"{metric}-{number}" for number in range(len(boards))]
        for board_id, board in zip(ids, boards, strict=True):
            await client.create_leaderboard({"leaderboard_id": board_id, **board})
        try:
            host, target = parts.netloc, ids[0] if ids else "floor"
            if name in ("floor", "plain"):
                requests = Workload(host, own.key, target, entries, ids=False).batches()
            else:
                path = "/v1/events" if is_events else f"/v1/metrics/{metric}"
                work = SourceWorkload(host, own.key, target, entries, path, numbers)
                requests = work.events() if is_events else work.rows()
            case = Case(name, CONNECTIONS, Workload.batches, EVENTS if is_events else ROWS)
            source = Source(requests, batch=True)
            measured = await run_case(case, source, (parts.hostname, parts.port), seconds)
            return Found(measured, await _caught_up(client, ids if name not in ("floor", "plain") else []))
        finally:
            for board_id in ids:
                await client.purge_leaderboard(board_id)


async def _caught_up(client: Client, board_ids: list[str]) -> float:
    """Wait until leaderboards have taken everything; how long that was. LoadFailed."""
    began_s = time.monotonic()
    for board_id in board_ids:
        while True:
            found = (await client.leaderboard(board_id))["projection"]
            if found is not None and found["state"] == "live":
                break
            if time.monotonic() - began_s > CAUGHT_UP_WITHIN_S:
                raise LoadFailed(f"{board_id} is still {found}")
            await asyncio.sleep(0.05)
    return time.monotonic() - began_s


async def measured(setting: Setting, entries: int, seconds: float, rounds: int) -> dict[str, list[Found]]:
    """All rounds on one store."""
    figures: dict[str, list[Found]] = {name: [] for name in PLACES}
    async with servers_of(setting) as (floor, server):
        for number in range(1, rounds + 1):
            for name in PLACES:
                say(f"{setting.name}, round {number}: {name}")
                figures[name].append(await measured_place(name, floor, server, entries, seconds))
    return figures


COLUMNS = ["store", "place", "items/s", "of plain", "of the floor", "p50 ms", "p99 ms", "behind s", "errors"]


def rows_of(store: str, figures: dict[str, list[Found]]) -> list[list[str]]:
    """A line for each place: medians of all rounds."""
    rates = {
        name: statistics.median(f.measured.scores_per_s for f in found) for name, found in figures.items()
    }
    rows = []
    for name, found in figures.items():
        errors: dict[str, int] = {}
        for one in found:
            for what, count in one.measured.errors.items():
                errors[what] = errors.get(what, 0) + count
        rows.append(
            [
                store,
                name,
                f"{rates[name]:,.0f}",
                f"{rates[name] / rates['plain']:.2f}",
                f"{rates[name] / rates['floor']:.2f}",
                f"{statistics.median(f.measured.p50_ms for f in found):.0f}",
                f"{statistics.median(f.measured.p99_ms for f in found):.0f}",
                f"{statistics.median(f.behind_s for f in found):.1f}",
                ", ".join(f"{what}×{count}" for what, count in sorted(errors.items())) or "0",
            ]
        )
    return rows


@click.command()
@click.option("--entries", type=click.IntRange(100), default=100_000, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=4.0, show_default=True, help="Length of a case."
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Medians of so many.")
@click.option("--only", default="", help="Stores whose name contains this.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False), help="Write the figures to a file, too."
)
def main(entries: int, seconds: float, rounds: int, only: str, json_path: str | None) -> None:
    """Measure rows of metrics and events into leaderboards, beside plain scores."""
    stores = [setting for setting in STORES if only.lower() in setting.name.lower()]
    try:
        redis_version()
    except FileNotFoundError:
        stores = [setting for setting in stores if setting.fsync is None]
        say("Redis: left out, redis-server is not on the path")
    found: dict[str, dict[str, list[Found]]] = {}
    try:
        for setting in stores:
            found[setting.name] = uvloop.run(measured(setting, entries, seconds, rounds))
    except (ApiError, Unreachable, LoadFailed, ServerFailed) as error:
        raise click.ClickException(str(error)) from None
    rows = [row for name, figures in found.items() for row in rows_of(name, figures)]
    print_table(
        COLUMNS, rows, f"{entries} players, {seconds:g} s a case, median of {rounds}, {os.cpu_count()} cores"
    )
    if json_path is not None:
        told = {
            name: {
                place: [{**f.measured._asdict(), "behind_s": f.behind_s} for f in runs]
                for place, runs in figures.items()
            }
            for name, figures in found.items()
        }
        Path(json_path).write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
