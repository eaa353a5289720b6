"""What kept history costs a server: daily leaderboards with hundreds of closed periods each.

    python bench/history.py [--boards 5000] [--days 400] [--idle-seconds 20]

The documents are written straight into a SQLite store: a leaderboard, its home, one open period, and a record
for each closed day. Then a real server is started on it

  start   seconds to the line `ready`; CPU time and memory (PSS) by kind of process, and again after a while
          without requests
  look    what the supervisor does for one leaderboard when a step is due: its plan, and the specification
          that its actor is sent; mean of a thousand, in this process
  list    a page of a leaderboard's closed periods over HTTP
  ends    (with --midnight) all days end at once: how long until all are closed and the next are open, and
          what that cost; nobody played, so no period needs its actor

Exit 1 if a leaderboard has not as many periods as were written.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import msgpack
import uvloop
from many_boards import (
    KEY,
    MIDNIGHT_MS,
    NOON_MS,
    BoardsFailed,
    board_id,
    server_of,
    set_clock,
    show_processes,
    stopped,
    until_ready,
)
from server_processes import looked_at, span_since, total

from lbactors.client import Client
from lbactors.core.definition import Definition
from lbactors.core.ids import in_chain, in_tenant
from lbactors.core.lifecycle import Stage, restored
from lbactors.core.model import Board, PeriodRecord
from lbactors.core.packing import pack
from lbactors.documents.entities import pack_board
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.state import OWNER
from persistence import open_store
from persistence.store import Change

DAY_MS = 24 * 3600 * 1000
CHANGES = 20_000  # of one commit
PER_HOME = 300
LOOKS = 1000
PAGES = 200
BEFORE_MIDNIGHT_S = 140  # from here on the next periods are opened
CLOSED_WITHIN_S = 600.0


def board_of(number: int) -> Board:
    definition = Definition.model_validate({"leaderboard_id": board_id(number), "timeframe": "daily"})
    return Board("default", f"{number:08x}", definition, 1, NOON_MS, NOON_MS)


def records_of(days: int) -> list[PeriodRecord]:
    """Closed days and the open one. Nobody ever played, so there are no data behind them."""
    found = []
    for serial in range(1, days + 2):
        begins_ms = NOON_MS - NOON_MS % DAY_MS - (days + 1 - serial) * DAY_MS
        key = f"{datetime.fromtimestamp(begins_ms / 1000, UTC):%Y-%m-%d}"
        closed = serial <= days
        stage = Stage.COMPLETE if closed else Stage.OPENED
        record = PeriodRecord(serial, key, begins_ms, begins_ms + DAY_MS, closed, 0, 0, begins_ms)
        found.append(record._replace(stage=int(stage)))
    return found


async def write(folder: Path, boards: int, days: int) -> None:
    """A server's first documents, then ours."""
    server = server_of(folder)
    try:
        await server.start()
        await stopped(server)
    finally:
        server.close()
    store = open_store(f"sqlite:{folder / 'data'}")
    await store.open()
    bodies = [(record.key, pack(record.to_wire())) for record in records_of(days)]
    changes: list[Change] = []
    epoch = await store.take_ownership(OWNER)
    for number in range(boards):
        board = board_of(number)
        home = f"period-{number // PER_HOME + 1}".encode()
        changes.append(Change("leaderboards", in_tenant("default", board.leaderboard_id), pack_board(board)))
        changes.append(Change("homes", board.board_uid, home))
        chain_id = board.chain_id("main")
        changes += [Change("periods", in_chain(chain_id, key), body) for key, body in bodies]
        if len(changes) >= CHANGES:
            await store.commit(changes, owner=OWNER, epoch=epoch)
            changes = []
    await store.commit(changes, owner=OWNER, epoch=epoch)
    await store.close()


def show_looks(days: int) -> None:
    """What a due step costs, whatever it is."""
    chain = ChainState(board_of(1), "main", {})
    chain.records = [restored(msgpack.unpackb(pack(record.to_wire()))) for record in records_of(days)]
    chain.next_serial = days + 2
    chain.let_pass()
    took_us = []
    for work in (lambda: chain.plan(NOON_MS), lambda: pack(chain.spec().to_wire())):
        began_s = time.perf_counter()
        for _ in range(LOOKS):
            work()
        took_us.append((time.perf_counter() - began_s) / LOOKS * 1e6)
    size = len(pack(chain.spec().to_wire()))
    click.echo(f"look: plan {took_us[0]:.0f} µs, specification {took_us[1]:.0f} µs and {size} B")


async def show_pages(client: Client, boards: int, days: int) -> None:
    took_ms = []
    for number in range(PAGES):
        began_s = time.perf_counter()
        path = f"/v1/leaderboards/{board_id(number * 7919 % boards)}/periods"
        answer = await client.transport.json("GET", path, params={"limit": 100})
        took_ms.append((time.perf_counter() - began_s) * 1000)
        if answer["total"] != days + 1:
            raise BoardsFailed(f"{path}: {answer['total']} periods")
    took_ms.sort()
    click.echo(f"list: 100 periods p50 {took_ms[PAGES // 2]:.1f} ms, max {took_ms[-1]:.1f} ms")


async def show_midnight(server: object, folder: Path, boards: int, days: int) -> None:
    store = open_store(f"sqlite:{folder / 'data'}")
    await store.open()
    before = await asyncio.to_thread(looked_at, server)  # type: ignore[arg-type]
    set_clock(folder, MIDNIGHT_MS - BEFORE_MIDNIGHT_S * 1000)
    midnight_s = time.monotonic() + BEFORE_MIDNIGHT_S
    last = records_of(days)[-1].key
    documents = [in_chain(board_of(number).chain_id("main"), last) for number in range(boards)]
    try:
        while time.monotonic() < midnight_s + CLOSED_WITHIN_S:
            await asyncio.sleep(1.0)
            bodies = [body for body in await store.get("periods", documents) if body is not None]
            if all(PeriodRecord(*msgpack.unpackb(body)).stage == Stage.COMPLETE for body in bodies):
                break
        else:
            raise BoardsFailed("not all closed in time")
    finally:
        await store.close()
    used = await asyncio.to_thread(span_since, server, before)  # type: ignore[arg-type]
    after_s = time.monotonic() - midnight_s
    supervisor_s = used["supervisor"].cpu_s
    click.echo(
        f"ends: all closed {after_s:.0f} s after midnight; CPU {total(used).cpu_s:.0f} s, of that the "
        f"supervisor {supervisor_s:.0f} s"
    )


async def run(boards: int, days: int, idle_s: float, with_midnight: bool) -> None:
    folder = Path(f"/tmp/lbh-{time.time_ns():x}")  # short: sockets of the server's processes lie below
    folder.mkdir()
    show_looks(days)
    try:
        began_s = time.monotonic()
        await write(folder, boards, days)
        size_mb = sum(f.stat().st_size for f in (folder / "data").rglob("*") if f.is_file()) / 1e6
        click.echo(
            f"wrote {boards} x {days} in {time.monotonic() - began_s:.0f} s, {size_mb:.0f} MB", err=True
        )
        server = server_of(folder)
        try:
            began_s = time.monotonic()
            line_s = await server.start()
            async with Client(server.url, KEY) as client:
                ready_s = await until_ready(client, began_s)
                click.echo(f"start: `ready` after {line_s:.1f} s, nothing loading after {ready_s:.1f} s")
                started = await asyncio.to_thread(span_since, server, {})
                before = await asyncio.to_thread(looked_at, server)
                await asyncio.sleep(idle_s)
                idle = await asyncio.to_thread(span_since, server, before)
                show_processes(started, idle, idle_s, boards)
                await show_pages(client, boards, days)
                if with_midnight:
                    await show_midnight(server, folder, boards, days)
            await stopped(server)
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@click.command()
@click.option("--boards", type=click.IntRange(1), default=5000, show_default=True)
@click.option("--days", type=click.IntRange(1, 1000), default=400, show_default=True)
@click.option("--idle-seconds", "idle_s", type=click.FloatRange(1), default=20.0, show_default=True)
@click.option("--midnight", "with_midnight", is_flag=True, help="Let all days end: three minutes more.")
def main(boards: int, days: int, idle_s: float, with_midnight: bool) -> None:
    """Measure what many closed periods cost a server."""
    try:
        uvloop.run(run(boards, days, idle_s, with_midnight))
    except BoardsFailed as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
