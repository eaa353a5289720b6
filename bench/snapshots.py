"""Writes while snapshots are made: what a round costs those who write meanwhile, on SQLite and on Redis.

    python bench/snapshots.py [--entries 1000000] [--seconds 5] [--turns 6] [--store redis]

One process does what a period actor does: an activation with its journal, under writes that arrive at a fixed
rate whether the ones before are done or not. A latency runs from the moment in which a write was due, so
whatever stands still, the event loop included, is in it. Single writes ask for ranks, batches do not.

Turns alternate: without snapshots, then with one round after the other (the players are random, so each round
writes nearly every bucket: the whole period). That is more than a server does: it makes a round a minute, or
one for 200 000 inputs.

Stores are private: SQLite in a temporary folder, a `redis-server` with appendonly and appendfsync always.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
import uvloop
from large_period import STORES, Writes, activation_of, private_folder, private_store

from lbactors.core.period import FULL, NO_RANK
from lbactors.period_actor.activation import Activation
from lbactors.tables import print_table
from persistence import open_store

COLLECTOR_THRESHOLDS = (50_000, 20, 1000)  # as in a period actor
SINGLES_PER_S = 200
BATCHES_PER_S = 5
BATCH_LENGTH = 1000
SETTLE_S = 1.0  # between two turns; what is written then is not counted


class Turns(NamedTuple):
    """Latencies in ms of single writes and of batches, of all turns of one kind."""

    singles_ms: list[float]
    batches_ms: list[float]


class Load:
    """Writes at a fixed rate, into the lists of the turn that runs when they are due."""

    def __init__(self, activation: Activation, writes: Writes) -> None:
        self.activation = activation
        self.writes = writes
        self.turn: Turns | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def run(self, per_s: int, length: int) -> None:
        """Single writes (length 1) or batches, until cancelled."""
        due_s = time.perf_counter()
        while True:
            due_s += 1 / per_s
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            task = asyncio.create_task(self._write(due_s, length))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _write(self, due_s: float, length: int) -> None:
        turn = self.turn
        inputs = self.writes.random(length, self.activation.clock.now_ms())
        await self.activation.submit(inputs, FULL if length == 1 else NO_RANK)
        if turn is not None:
            found = turn.singles_ms if length == 1 else turn.batches_ms
            found.append((time.perf_counter() - due_s) * 1e3)

    async def finish(self) -> None:
        await asyncio.gather(*self._open)


async def measured(kind: str, entries: int, seconds: float, turns: int, seed: int) -> dict[str, Any]:
    """Both kinds of turns on one store, and the rounds that were made: `without`, `with`, `rounds_s`."""
    with private_folder() as folder:
        async with private_store(kind, folder) as url:
            store = open_store(url)
            await store.open()
            activation = activation_of(store)
            await activation.load()
            click.echo(f"{kind}: writing {entries:,} entries", err=True)
            writes = Writes(entries, seed)
            await writes.fill(activation)
            await activation.snapshot(gentle_inputs=200_000)
            load = Load(activation, writes)
            loads = [
                asyncio.create_task(load.run(SINGLES_PER_S, 1)),
                asyncio.create_task(load.run(BATCHES_PER_S, BATCH_LENGTH)),
            ]
            without, during = Turns([], []), Turns([], [])
            rounds_s: list[float] = []
            for number in range(2 * turns):
                load.turn = None
                await asyncio.sleep(SETTLE_S)
                ends_at_s = time.perf_counter() + seconds
                if number % 2 == 0:
                    load.turn = without
                    await asyncio.sleep(seconds)
                    continue
                load.turn = during
                while (began_s := time.perf_counter()) < ends_at_s:
                    if await activation.snapshot(gentle_inputs=200_000):
                        rounds_s.append(time.perf_counter() - began_s)
                    else:
                        await asyncio.sleep(1 / SINGLES_PER_S)  # nothing was written since the last one
            for task in loads:
                task.cancel()
            await load.finish()
            differences = writes.expected().differences(activation)
            await store.close()
    if differences:
        raise click.ClickException(f"{kind}: {len(differences)} differences: {'; '.join(differences[:3])}")
    return {"store": kind, "without": without._asdict(), "with": during._asdict(), "rounds_s": rounds_s}


def quantile(values: list[float], share: float) -> float:
    """By nearest rank."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def rows_of(found: dict[str, Any]) -> list[list[str]]:
    rows = []
    writes = {f"single, {SINGLES_PER_S}/s": "singles_ms", f"{BATCH_LENGTH}, {BATCHES_PER_S}/s": "batches_ms"}
    for what, name in writes.items():
        calm, busy = found["without"][name], found["with"][name]
        figures = [quantile(values, share) for share in (0.5, 0.99) for values in (calm, busy)]
        figures += [figures[3] - figures[2], max(calm), max(busy)]
        rows.append([found["store"], what, f"{len(calm)}, {len(busy)}", *(f"{ms:.1f}" for ms in figures)])
    return rows


@click.command()
@click.option("--entries", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Length of a turn."
)
@click.option("--turns", type=click.IntRange(1), default=6, show_default=True, help="Turns of each kind.")
@click.option("--store", "stores", type=click.Choice(STORES), multiple=True, default=STORES)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False), help="Write the latencies to a file, too."
)
def main(
    entries: int, seconds: float, turns: int, stores: tuple[str, ...], seed: int, json_path: str | None
) -> None:
    """Measure writes on a large period with and without snapshot rounds."""
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    cases: list[dict[str, Any]] = []
    for kind in stores:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            cases.append(runner.run(measured(kind, entries, seconds, turns, seed)))
    columns = ["store", "writes", "measured", "p50 ms", "p50 ms in a round", "p99 ms", "p99 ms in a round"]
    columns += ["difference ms", "longest ms", "longest ms in a round"]
    told = ", ".join(
        f"{case['store']} {len(case['rounds_s'])} rounds of {quantile(case['rounds_s'], 0.5):.1f} s"
        for case in cases
    )
    print_table(columns, [row for case in cases for row in rows_of(case)], f"{entries:,} entries; {told}")
    if json_path is not None:
        Path(json_path).write_text(json.dumps({"entries": entries, "cases": cases}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
