"""What further windows cost: writes through the whole server to boards with one window and with three.

    python bench/windows.py                        SQLite, and Redis if redis-server is there
    python bench/windows.py --only sqlite --rounds 3

The same load (single writes on 16 and 64 connections, batches of 1000 on 4) goes to three places by turns, in
one run, because rates on one machine differ from hour to hour by more than a window costs:

  floor    an aiohttp handler that parses the body and keeps it with one fsync, and nothing else
           (`floor_server.py`)
  one      a weekly board
  three    the same with `windows: ["daily", "all_time"]`

Each store has one server for all rounds; each measurement has a board of its own. `three/one`: how many times
as much a write to three windows costs as one to one window (the rate of `one` divided by that of `three`);
`floor/one`: how many times as fast the floor is.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import uvloop

# Its siblings first: it puts the project on the path.
from redis_durability import SETTINGS, WRITES, Setting, redis_version, store_of

from lbactors.client import ApiError, Unreachable
from lbactors.demo.own_server import SERVE, OwnServer, ServerFailed
from lbactors.load.connection import Source
from lbactors.load.load import LoadFailed, Measured, Workload, run_case, run_load
from lbactors.tables import print_table

STORES = SETTINGS[:3]  # SQLite, Redis with an fsync for each append, Redis with one a second
WEEKLY: dict[str, Any] = {"timeframe": {"type": "weekly"}}
BOARDS = {"one": WEEKLY, "three": {**WEEKLY, "windows": ["daily", "all_time"]}}
FLOOR = (sys.executable, str(Path(__file__).resolve().parent / "floor_server.py"))

Figures = dict[str, list[list[Measured]]]  # floor, one, three -> rounds -> cases


def say(line: str) -> None:
    click.echo(line, err=True)


async def measured_floor(server: OwnServer, entries: int, seconds: float) -> list[Measured]:
    """The same requests to the bare handler."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None and parts.port is not None
    work = Workload(parts.netloc, server.key, "floor", entries, ids=False)
    return [
        await run_case(
            case, Source(case.render(work), batch=case.scores > 1), (parts.hostname, parts.port), seconds
        )
        for case in WRITES
    ]


@contextlib.asynccontextmanager
async def servers_of(setting: Setting) -> AsyncIterator[tuple[OwnServer, OwnServer]]:
    """The floor's server, and a server on a store with this setting."""
    async with (
        store_of(setting) as options,
        OwnServer(command=FLOOR) as floor,
        OwnServer(command=[*SERVE, *options]) as server,
    ):
        yield floor, server


async def measured(setting: Setting, entries: int, seconds: float, rounds: int) -> Figures:
    """All rounds on one store."""
    figures: Figures = {"floor": [], "one": [], "three": []}
    async with servers_of(setting) as (floor, server):
        for number in range(1, rounds + 1):
            say(f"{setting.name}, round {number}: floor")
            figures["floor"].append(await measured_floor(floor, entries, seconds))
            for name, definition in BOARDS.items():
                say(f"{setting.name}, round {number}: {name}")
                cases = await run_load(
                    server.url,
                    server.key,
                    entries=entries,
                    seconds=seconds,
                    say=lambda _: None,
                    cases=WRITES,
                    definition=definition,
                )
                figures[name].append(cases)
    return figures


def rows_of(name: str, figures: Figures) -> list[list[str]]:
    """A line for each case: medians of all rounds."""
    rows = []
    for number, case in enumerate(WRITES):
        found = {place: [cases[number] for cases in runs] for place, runs in figures.items()}
        rates = {
            place: statistics.median(m.requests_per_s * case.scores for m in runs)
            for place, runs in found.items()
        }
        errors = sum(sum(m.errors.values()) for runs in found.values() for m in runs)
        rows.append(
            [
                name,
                f"{case.name}, {case.connections} connections",
                *(f"{rates[place]:,.0f}" for place in found),
                *(f"{statistics.median(m.p50_ms for m in found[place]):.1f}" for place in found),
                f"{rates['one'] / rates['three']:.2f}" if rates["three"] else "-",
                f"{rates['floor'] / rates['one']:.1f}" if rates["one"] else "-",
                str(errors),
            ]
        )
    return rows


COLUMNS = [
    "store",
    "scores/s",
    "floor",
    "one",
    "three",
    "p50 ms: floor",
    "one",
    "three",
    "three/one",
    "floor/one",
    "errors",
]


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
    """Measure writes to one window and to three, beside the floor."""
    stores = [setting for setting in STORES if only.lower() in setting.name.lower()]
    try:
        redis_version()
    except FileNotFoundError:
        stores = [setting for setting in stores if setting.fsync is None]
        say("Redis: left out, redis-server is not on the path")
    found: dict[str, Figures] = {}
    try:
        for setting in stores:
            found[setting.name] = uvloop.run(measured(setting, entries, seconds, rounds))
    except (ApiError, Unreachable, LoadFailed, ServerFailed) as error:
        raise click.ClickException(str(error)) from None
    rows = [row for name, figures in found.items() for row in rows_of(name, figures)]
    title = f"{entries} entries, {seconds:g} s a case, median of {rounds}, {os.cpu_count()} cores"
    print_table(COLUMNS, rows, title)
    if json_path is not None:
        told = {
            name: {place: [[m._asdict() for m in run] for run in runs] for place, runs in figures.items()}
            for name, figures in found.items()
        }
        report = {"entries": entries, "seconds": seconds, "rounds": rounds, "stores": told}
        Path(json_path).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
