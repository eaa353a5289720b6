"""From activation to correct answers: how long a large period takes to come back, from SQLite and from Redis.

    python bench/recovery.py [--entries 1000000] [--journal 0 --journal 50000] [--store redis] [--rounds 3]

The period has a submission id for every entry. It is saved as a snapshot; then `journal` further writes of
random players go to the journal alone. Each round is a new process, as after a crash: it opens the store and
loads an activation, as a period actor does, with the same event loop and collector settings.

What is timed, from the moment in which the activation begins
  epoch, read   the epoch is taken, and the last byte of snapshot and journal is read
  rebuild       what is left to do then
  total         the first answer (the rank of a player) is there
  pause         the longest time for which the process's event loop, and so its other periods, stood still

Stores are private: SQLite in a temporary folder, a `redis-server` with appendonly and appendfsync always.
Every round compares total, first page and a thousand ranks with brute force: exit 1 if one differs.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import click
import uvloop
from large_period import (
    STORES,
    Expected,
    Writes,
    activation_of,
    player_id_of,
    private_folder,
    private_store,
)

from lbactors.core.period import NO_RANK
from lbactors.tables import print_table
from persistence import open_store
from persistence.store import Part, Record, Recovered, Store

COLLECTOR_THRESHOLDS = (50_000, 20, 1000)  # as in a period actor
JOURNAL_BATCH = 1000
BEAT_S = 0.001


class Recovery(NamedTuple):
    """One round. Times in s; memory in MB of the process, with the interpreter's own 40 or so."""

    read_s: float
    rebuild_s: float
    total_s: float
    pause_s: float
    resident_mb: float
    peak_mb: float
    differences: list[str]


class WatchedStore:
    """A store that notes when the last byte of a recovery was read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read_at_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def recover(self, period_id: str) -> AsyncIterator[Recovered | Part | Record]:
        async for item in self._store.recover(period_id):
            yield item
        self.read_at_s = time.perf_counter()


async def fill(url: str, entries: int, journal: int, seed: int) -> Expected:
    """Write the period: a snapshot of all entries, then `journal` writes after it."""
    store = open_store(url)
    await store.open()
    try:
        activation = activation_of(store)
        await activation.load()
        writes = Writes(entries, seed)
        await writes.fill(activation)
        await activation.snapshot()
        for start in range(0, journal, JOURNAL_BATCH):
            inputs = writes.random(min(JOURNAL_BATCH, journal - start), activation.clock.now_ms())
            await activation.submit(inputs, NO_RANK)
        return writes.expected()
    finally:
        await store.close()


async def recover(url: str, expected: Expected) -> Recovery:
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    store = open_store(url)
    await store.open()
    watched = WatchedStore(store)
    longest_s = 0.0

    async def beat() -> None:
        nonlocal longest_s
        last_s = time.perf_counter()
        while True:
            await asyncio.sleep(BEAT_S)
            now_s = time.perf_counter()
            longest_s = max(longest_s, now_s - last_s - BEAT_S)
            last_s = now_s

    try:
        heart = asyncio.create_task(beat())
        await asyncio.sleep(0)
        began_s = time.perf_counter()
        activation = activation_of(watched)  # type: ignore[arg-type]
        await activation.load()
        rank = activation.period.rank(player_id_of(0))
        answered_s = time.perf_counter()
        heart.cancel()
        resident_mb = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        differences = expected.differences(activation)
        if rank is None:
            differences.append("the first player is not ranked")
    finally:
        await store.close()
    read_s, total_s = watched.read_at_s - began_s, answered_s - began_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return Recovery(read_s, total_s - read_s, total_s, longest_s, resident_mb, peak_mb, differences)


def in_new_process(work: Callable[..., Any], *args: Any) -> Any:
    """The result of a coroutine function, run in a fresh interpreter."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        return processes.submit(run, work, args).result()


def run(work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work(*args))


async def measured(kind: str, entries: int, journal: int, rounds: int, seed: int) -> list[Recovery]:
    with private_folder() as folder:
        async with private_store(kind, folder) as url:
            click.echo(f"{kind}: writing {entries:,} entries and {journal:,} inputs after them", err=True)
            expected = await asyncio.to_thread(in_new_process, fill, url, entries, journal, seed)
            return [await asyncio.to_thread(in_new_process, recover, url, expected) for _ in range(rounds)]


@click.command()
@click.option("--entries", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option(
    "--journal",
    type=click.IntRange(0),
    multiple=True,
    default=(0, 50_000),
    show_default=True,
    help="Inputs after the snapshot; may be given several times.",
)
@click.option("--store", "stores", type=click.Choice(STORES), multiple=True, default=STORES)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Medians of so many.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False), help="Write the figures to a file, too."
)
def main(
    entries: int,
    journal: tuple[int, ...],
    stores: tuple[str, ...],
    rounds: int,
    seed: int,
    json_path: str | None,
) -> None:
    """Measure how long a large period takes to come back."""
    rows: list[list[str]] = []
    figures: list[dict[str, Any]] = []
    for kind in stores:
        for after in journal:
            found = asyncio.run(measured(kind, entries, after, rounds, seed))
            for each in found:
                if each.differences:
                    first = "; ".join(each.differences[:3])
                    raise click.ClickException(f"{kind}: {len(each.differences)} differences: {first}")
            columns = list(zip(*(each[:6] for each in found), strict=True))
            read_s, rebuild_s, total_s, _, resident_mb, peak_mb = map(statistics.median, columns)
            rows.append(
                [
                    *(kind, f"{after:,}", f"{read_s:.2f}", f"{rebuild_s:.2f}", f"{total_s:.2f}"),
                    *(f"{max(columns[2]):.2f}", f"{max(columns[3]) * 1e3:.0f}"),
                    *(f"{resident_mb:.0f}", f"{peak_mb:.0f}"),
                ]
            )
            figures.append({"store": kind, "journal": after, "rounds": [each._asdict() for each in found]})
    columns_shown = ["store", "journaled inputs", "epoch, read s", "rebuild s", "total s", "longest total s"]
    columns_shown += ["longest pause ms", "resident MB", "peak MB"]
    print_table(
        columns_shown, rows, f"{entries:,} entries, median of {rounds}; all answers as by brute force"
    )
    if json_path is not None:
        Path(json_path).write_text(json.dumps({"entries": entries, "cases": figures}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
