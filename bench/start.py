"""From the command to `ready`, beside Ray alone: an empty store, and one with 100 000 entries.

    python bench/start.py [--entries 100000] [--rounds 5]

A round starts, one after the other, each as a new process
  Ray alone        a Python process that imports Ray and calls `ray.init`, as the floor of each start
  empty            a server on a new directory, to its line `ready`
  after a stop     one with four weekly leaderboards, a quarter of the entries in each, stopped in good order
  after kill -9    the same, with every process of it killed while all four were in use

After `ready` the first page of each leaderboard is read and compared: exit 1 if one differs. SQLite, the
file system's cache is warm.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time

import click
from server_processes import Server  # first: it puts the source tree on the path

from lbactors.client import Client
from lbactors.tables import print_table
from tests.support.server_process import environment, survivors

KEY = "lb_start"
BOARDS = tuple(f"league-{number}" for number in range(4))
BATCH = 5000
IN_USE_S = 7.0  # a leaderboard that was used for five seconds is started again after a kill
GONE_WITHIN_S = 20.0  # the processes of the server before, which would take part of the machine
TARGET = 1.5  # times Ray alone
ALONE = 'import ray; ray.init("local", include_dashboard=False, log_to_driver=False)'
CASES = ("Ray alone", "empty", "after a stop", "after kill -9")


class StartFailed(Exception):
    """The server answered wrongly."""


def score_of(player: int) -> int:
    return player * 7919 % 1_000_003


async def fill(client: Client, entries: int) -> None:
    for board in BOARDS:
        await client.create_leaderboard({"leaderboard_id": board, "timeframe": {"type": "weekly"}})
        for first in range(0, entries // len(BOARDS), BATCH):
            players = range(first, min(first + BATCH, entries // len(BOARDS)))
            await client.submit_many(board, [{"player_id": f"p{p}", "score": score_of(p)} for p in players])


async def check(client: Client, entries: int) -> None:
    """Compare the first pages with brute force. StartFailed."""
    best = sorted((score_of(p) for p in range(entries // len(BOARDS))), reverse=True)[:20]
    for board in BOARDS:
        page = await client.rankings(board, limit=20)
        if [entry["score"] for entry in page["entries"]] != best:
            raise StartFailed(f"{board}: {page}")


async def use(client: Client, entries: int) -> None:
    """Write to all boards, so that they count as in use."""
    until_s = time.monotonic() + IN_USE_S
    while time.monotonic() < until_s:
        for board in BOARDS:
            await client.submit(board, "p0", score_of(0))
        await asyncio.sleep(0.1)


def ray_alone() -> float:
    """Seconds from the start of a process to its connection to a Ray of its own."""
    began_s = time.monotonic()
    words = [sys.executable, "-c", f"{ALONE}; print('up', flush=True); ray.shutdown()"]
    command = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
    assert command.stdout is not None
    command.stdout.readline()
    took_s = time.monotonic() - began_s
    command.wait()
    return took_s


async def rounds(entries: int, count: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {case: [] for case in CASES}
    filled = Server(KEY)
    try:
        await filled.start()
        async with Client(filled.url, KEY) as client:
            await fill(client, entries)
        for _ in range(count):
            times["Ray alone"].append(await asyncio.to_thread(ray_alone))
            empty = Server(KEY)
            try:
                times["empty"].append(await empty.start())
            finally:
                empty.close()
            async with Client(filled.url, KEY) as client:
                running = filled.processes()
                filled.terminate()
                await filled.exit_code()
                await survivors(running, time.monotonic() + GONE_WITHIN_S)
                times["after a stop"].append(await filled.start())
                await check(client, entries)
                await use(client, entries)
                killed = await filled.kill_everything()
                await survivors(killed, time.monotonic() + GONE_WITHIN_S)
                times["after kill -9"].append(await filled.start())
                await check(client, entries)
    finally:
        filled.close()
    return times


@click.command()
@click.option("--entries", type=click.IntRange(100), default=100_000, show_default=True)
@click.option("--rounds", "count", type=click.IntRange(1), default=5, show_default=True)
def main(entries: int, count: int) -> None:
    """Time starts to `ready` beside Ray alone, in one run."""
    try:
        times = asyncio.run(rounds(entries, count))
    except StartFailed as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    floor_s = statistics.median(times["Ray alone"])
    lines = []
    for case, seconds in times.items():
        median_s = statistics.median(seconds)
        row = [case, *(f"{value:.2f}" for value in (min(seconds), median_s, max(seconds)))]
        lines.append([*row, f"{median_s / floor_s:.2f}", "" if case == "Ray alone" else f"{TARGET}"])
    print_table(["start", "least s", "median s", "most s", "times Ray", "target"], lines)


if __name__ == "__main__":
    main()
