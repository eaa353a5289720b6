"""Thousands of small leaderboards on one machine: start, idle cost, and the first answer of a sleeping board.

    python bench/many_boards.py [--boards 5000] [--data DIRECTORY] [--idle-seconds 60]

A real server on SQLite. The boards (daily, one window, 20 players each) are made through the API, once; with
--data the stopped server's data directory is kept, and copied for the next run. Then a server is started anew

  start   seconds from the process's start to the line `ready`, and to /readyz saying that nothing is loading
  idle    CPU time of all its processes together while nobody asks anything, as a share of one core, and
          memory (PSS), by kind of process
  first   a page of a board that nobody read since the start, one after the other; the first score of other
          such boards; then the same boards once more; and so many cold boards at once
  midnight  (with --midnight) all boards roll over, most of them asleep: when the last was closed, what it
          cost, and single writes to random boards meanwhile

Every page is compared with what was written: exit 1 if one differs. The server's clock begins at the same
noon each time, so no period ends before it should.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgpack
import uvloop
from server_processes import Server, Span, looked_at, span_since, total

from lbactors.client import Client
from lbactors.core.lifecycle import Stage
from lbactors.core.model import PeriodRecord
from lbactors.load.load import percentile
from lbactors.tables import print_table
from persistence import open_store

KEY = "lb_many-boards"
NOON_MS = int(datetime(2026, 6, 17, 12, tzinfo=UTC).timestamp() * 1000)
PLAYERS = 20
MAKING = 8  # connections that make boards
SETTLE_S = 20.0  # after the start, before idle costs are measured
READY_WITHIN_S = 600.0
AT_ONCE = 100
MIDNIGHT_MS = NOON_MS + 12 * 3600 * 1000
BEFORE_MIDNIGHT_S = 140  # from here on the next periods are opened, one after the other
CLOSED_WITHIN_S = 900.0  # after midnight
WRITES_PER_S = 20


class BoardsFailed(Exception):
    """The server did not answer as it must."""


def board_id(number: int) -> str:
    return f"board-{number:05d}"


def score_of(board: int, player: int) -> int:
    return (board * 7919 + player * 104_729) % 1_000_003


def page_of(board: int) -> list[tuple[str, int]]:
    """(player, score) of a board's first page, by brute force."""
    rows = [(f"player-{player:02d}", score_of(board, player)) for player in range(PLAYERS)]
    return sorted(rows, key=lambda row: -row[1])


def set_clock(folder: Path, now_ms: int) -> Path:
    """Make it this instant for every process of the server whose clock lies in a folder."""
    clock = folder / "clock"
    with clock.open("r+b" if clock.exists() else "wb") as file:  # in place: it is mapped
        file.write(struct.pack("<q", now_ms - time.time_ns() // 1_000_000))
    return clock


def server_of(folder: Path) -> Server:
    """A server whose data and clock lie in a folder; its clock begins at noon."""
    clock = set_clock(folder, NOON_MS)
    server = Server(KEY, "--clock-file", str(clock), "--log-level", "warning")
    server.data_dir = folder / "data"
    return server


async def stopped(server: Server) -> None:
    server.terminate()
    code = await server.exit_code()
    if code:
        raise BoardsFailed(f"the server ended with {code}; {server.tail()}")


async def make(folder: Path, boards: int) -> float:
    """Make the boards and fill them; the seconds that it took."""
    server = server_of(folder)
    try:
        await server.start()
        began_s = time.monotonic()
        numbers = iter(range(boards))
        async with Client(server.url, KEY) as client:

            async def maker() -> None:
                for number in numbers:
                    definition = {"leaderboard_id": board_id(number), "timeframe": {"type": "daily"}}
                    await client.create_leaderboard(definition)
                    items = [
                        {"player_id": f"player-{p:02d}", "score": score_of(number, p)} for p in range(PLAYERS)
                    ]
                    answer = await client.submit_many(board_id(number), items)
                    if answer["accepted"] != PLAYERS:
                        raise BoardsFailed(f"{board_id(number)}: {answer}")
                    if number and number % 500 == 0:
                        click.echo(f"{number} boards, {time.monotonic() - began_s:.0f} s", err=True)

            await asyncio.gather(*(maker() for _ in range(MAKING)))
        took_s = time.monotonic() - began_s
        await stopped(server)
        return took_s
    finally:
        server.close()


async def until_ready(client: Client, began_s: float) -> float:
    """Seconds from `began_s` until /readyz says that nothing is loading."""
    while time.monotonic() < began_s + READY_WITHIN_S:
        if (await client.ready()).get("ready"):
            return time.monotonic() - began_s
        await asyncio.sleep(0.2)
    raise BoardsFailed(f"not ready within {READY_WITHIN_S:.0f} s: {await client.ready()}")


async def timed(work: Callable[[int], Awaitable[None]], boards: list[int], at_once: int = 1) -> list[int]:
    """How long each call took, ascending, in ns."""
    took_ns = []
    queue = iter(boards)

    async def caller() -> None:
        for board in queue:
            began_ns = time.perf_counter_ns()
            await work(board)
            took_ns.append(time.perf_counter_ns() - began_ns)

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return sorted(took_ns)


async def first_answers(client: Client, boards: int, calls: int, seed: int) -> dict[str, list[int]]:
    """Latencies in ns, ascending, by case."""
    rng = random.Random(seed)
    chosen = rng.sample(range(boards), min(boards, 2 * calls + 2 * AT_ONCE))
    half = (len(chosen) - 2 * min(AT_ONCE, len(chosen) // 4)) // 2
    read, written, rest = chosen[:half], chosen[half : 2 * half], chosen[2 * half :]
    read_at_once, written_at_once = rest[: len(rest) // 2], rest[len(rest) // 2 :]

    async def page(board: int) -> None:
        answer = await client.rankings(board_id(board), limit=PLAYERS)
        found = [(entry["player_id"], entry["score"]) for entry in answer["entries"]]
        if answer["total"] != PLAYERS or found != page_of(board):
            raise BoardsFailed(f"{board_id(board)}: the page differs from what was written: {answer}")

    async def write(board: int) -> None:
        answer = await client.submit(board_id(board), "player-new", 5)
        if not answer["applied"]:
            raise BoardsFailed(f"{board_id(board)}: a new player's score was not applied: {answer}")

    async def write_again(board: int) -> None:
        await client.submit(board_id(board), "player-new", 6)

    return {
        "first page": await timed(page, read),
        "the same boards' pages again": await timed(page, read),
        "first score": await timed(write, written),
        "the same boards' scores again": await timed(write_again, written),
        f"first page, {len(read_at_once)} boards at once": await timed(page, read_at_once, AT_ONCE),
        f"first score, {len(written_at_once)} boards at once": await timed(write, written_at_once, AT_ONCE),
    }


async def midnight(
    server: Server, client: Client, folder: Path, boards: int, seed: int
) -> tuple[dict[str, Any], list[int]]:
    """All boards roll over: when the last was closed, and what it cost; latencies of writes meanwhile."""
    rng = random.Random(seed)
    store = open_store(f"sqlite:{server.data_dir}")
    await store.open()
    took_ns: list[int] = []
    before = await asyncio.to_thread(looked_at, server)
    set_clock(folder, MIDNIGHT_MS - BEFORE_MIDNIGHT_S * 1000)
    midnight_s = time.monotonic() + BEFORE_MIDNIGHT_S
    last_day = f"{datetime.fromtimestamp(NOON_MS / 1000, UTC):%Y-%m-%d}"
    closed, closed_after_s = 0, {}

    async def writer() -> None:
        while True:
            began_ns = time.perf_counter_ns()
            board = board_id(rng.randrange(boards))
            await client.submit(board, f"late-{len(took_ns)}", 7, submission_id=f"late-{len(took_ns)}")
            took_ns.append(time.perf_counter_ns() - began_ns)
            await asyncio.sleep(1 / WRITES_PER_S)

    writing = asyncio.create_task(writer())
    try:
        while closed < boards and time.monotonic() < midnight_s + CLOSED_WITHIN_S and not writing.done():
            await asyncio.sleep(2.0)
            found = [(i, msgpack.unpackb(body)) for i, body in await store.scan("periods")]
            last = [PeriodRecord(*body) for i, body in found if i.rpartition("/")[2] == last_day]
            closed = sum(record.stage == Stage.COMPLETE for record in last)
            for share in (1, 50, 100):
                if closed >= boards * share / 100:
                    closed_after_s.setdefault(share, round(time.monotonic() - midnight_s))
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await store.close()
    if closed < boards:
        raise BoardsFailed(f"{closed} of {boards} periods closed; {writing}; {server.tail()}")
    used = await asyncio.to_thread(span_since, server, before)
    return {"closed_after_s": closed_after_s, "cpu_s": {k: v.cpu_s for k, v in used.items()}}, sorted(took_ns)


async def measured(
    folder: Path, boards: int, idle_s: float, calls: int, seed: int, with_midnight: bool
) -> dict[str, Any]:
    server = server_of(folder)
    try:
        began_s = time.monotonic()
        line_s = await server.start()
        async with Client(server.url, KEY) as client:
            ready_s = await until_ready(client, began_s)
            click.echo(f"ready after {line_s:.1f} s, nothing loading after {ready_s:.1f} s", err=True)
            started = await asyncio.to_thread(span_since, server, {})
            await asyncio.sleep(SETTLE_S)
            before = await asyncio.to_thread(looked_at, server)
            looked_s = time.monotonic()
            await asyncio.sleep(idle_s)
            idle = await asyncio.to_thread(span_since, server, before)
            looked_s = time.monotonic() - looked_s
            show_processes(started, idle, looked_s, boards)
            answers = await first_answers(client, boards, calls, seed)
            after = await asyncio.to_thread(span_since, server, before)
            ends: dict[str, Any] = {}
            if with_midnight:
                ends, answers["any score around midnight"] = await midnight(
                    server, client, folder, boards, seed
                )
        await stopped(server)
    finally:
        server.close()
    rows = [
        [case, str(len(ns)), *(f"{percentile(ns, p) / 1e6:.1f}" for p in (50, 99, 100))]
        for case, ns in answers.items()
    ]
    columns = ["case", "boards", "p50 ms", "p99 ms", "max ms"]
    print_table(columns, rows, "one connection, unless said otherwise")
    if ends:
        shares = ", ".join(f"{share} % {after_s} s" for share, after_s in ends["closed_after_s"].items())
        click.echo(f"closed after midnight: {shares}; CPU time: {sum(ends['cpu_s'].values()):.0f} s")
    return {
        "midnight": ends,
        "ready_line_s": line_s,
        "nothing_loading_s": ready_s,
        "start": {kind: span._asdict() for kind, span in started.items()},
        "idle_s": looked_s,
        "idle": {kind: span._asdict() for kind, span in idle.items()},
        "after": {kind: span._asdict() for kind, span in after.items()},
        "answers_ms": {case: [ns / 1e6 for ns in found] for case, found in answers.items()},
    }


def show_processes(started: dict[str, Span], idle: dict[str, Span], seconds: float, boards: int) -> None:
    everything = {**idle, "all": total(idle)}
    rows = [
        [
            kind,
            str(span.processes),
            f"{(total(started) if kind == 'all' else started.get(kind, span)).cpu_s:.1f}",
            f"{span.cpu_s / seconds * 100:.1f}",
            f"{span.pss_mb:.0f}",
        ]
        for kind, span in everything.items()
    ]
    columns = ["processes", "number", "CPU s of the start", "idle % of a core", "PSS MB"]
    print_table(columns, rows, f"{boards} boards, {seconds:.0f} s without requests")


async def run(
    boards: int, data: Path | None, idle_s: float, calls: int, seed: int, with_midnight: bool
) -> dict[str, Any]:
    folder = Path(f"/tmp/lbm-{time.time_ns():x}")  # short: sockets of the server's processes lie below
    folder.mkdir()
    try:
        if data is None or not data.exists():
            took_s = await make(folder, boards)
            click.echo(f"made {boards} boards in {took_s:.0f} s", err=True)
            if data is not None:
                await asyncio.to_thread(shutil.copytree, folder / "data", data)
        else:
            await asyncio.to_thread(shutil.copytree, data, folder / "data")
        return await measured(folder, boards, idle_s, calls, seed, with_midnight)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@click.command()
@click.option("--boards", type=click.IntRange(20), default=5000, show_default=True)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory of so many boards, made if it does not exist; it is copied, not used.",
)
@click.option("--idle-seconds", "idle_s", type=click.FloatRange(1), default=60.0, show_default=True)
@click.option(
    "--calls", type=click.IntRange(1), default=200, show_default=True, help="Cold boards in a case."
)
@click.option("--midnight", "with_midnight", is_flag=True, help="All boards roll over, too: some minutes.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False), help="Write the figures to a file, too."
)
def main(
    boards: int,
    data: Path | None,
    idle_s: float,
    calls: int,
    with_midnight: bool,
    seed: int,
    json_path: str | None,
) -> None:
    """Measure start, idle cost and first answers of a server with many small leaderboards."""
    try:
        figures = uvloop.run(run(boards, data, idle_s, calls, seed, with_midnight))
    except BoardsFailed as error:
        raise click.ClickException(str(error)) from error
    if json_path is not None:
        Path(json_path).write_text(json.dumps({"boards": boards, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
