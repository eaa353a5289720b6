"""HTTP load on a server: what a case is, how it is run, and the table of what came out.

A board of its own is made and filled, then each case keeps its connections busy for some seconds and
counts. The board has aggregation `latest`, so that every write moves an entry, the most expensive thing a
write can do. Latencies are those of answered requests (2xx); all others, and items that a batch rejected,
are counted as errors. The generator's own CPU time for a request is measured as well, because it is taken
from the server on one machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
import orjson

from lbactors.client import ApiError, Client, Unreachable
from lbactors.demo.own_server import OwnServer
from lbactors.load.connection import ID_MARK, LoadConnection, Source, Tally
from lbactors.tables import print_table

BATCH = 1000
PAGE = 20
POOL = 20_000  # requests rendered for a case, handed out in turn
BATCH_POOL = 100
WARM_UP_S = 0.5
LAST_ANSWERS_S = 30.0
FILL_CONNECTIONS = 4


class LoadFailed(Exception):
    """The load could not be run: no board, no connection."""


class Case(NamedTuple):
    """One line of the table. target: what the project wants to reach."""

    name: str
    connections: int
    render: Callable[[Workload], list[bytes]]
    scores: int = 0  # in one request
    target: str | None = None


class Measured(NamedTuple):
    """What one case gave. Rates are per second, latencies in ms, cpu_us the generator's own for a request."""

    name: str
    connections: int
    requests_per_s: float
    scores_per_s: float
    p50_ms: float
    p99_ms: float
    errors: dict[str, int]
    target: str | None
    cpu_us: float


class Workload:
    """Renders the requests of all cases for one board; seeded, so that two runs send the same."""

    def __init__(
        self,
        host: str,
        key: str,
        leaderboard_id: str,
        entries: int,
        ids: bool,
        tenant_id: str | None = None,
    ) -> None:
        self.players = [f"player-{number:07d}" for number in range(entries)]
        self._random = random.Random(20_261_118)
        self._path = f"/v1/leaderboards/{leaderboard_id}"
        tenant = "" if tenant_id is None else f"X-Tenant-Id: {tenant_id}\r\n"
        head = f"Host: {host}\r\nAuthorization: Bearer {key}\r\n{tenant}Accept: application/json\r\n"
        self._head = head.encode()
        self._id = b"Idempotency-Key: " + secrets.token_hex(6).encode() + ID_MARK + b"\r\n" if ids else b""

    def get(self, path: str) -> bytes:
        return b"GET %s HTTP/1.1\r\n%s\r\n" % ((self._path + path).encode(), self._head)

    def post(self, body: Any) -> bytes:
        content = orjson.dumps(body)
        form = (
            b"POST %s/scores HTTP/1.1\r\n%s%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        )
        return form % (
            self._path.encode(), self._head, self._id, len(content), content,
        )  # fmt: skip

    def item(self, player_id: str) -> dict[str, Any]:
        return {"player_id": player_id, "score": self._random.randrange(10_000_000)}

    def any_player(self) -> str:
        return self._random.choice(self.players)

    def writes(self) -> list[bytes]:
        return [self.post(self.item(self.any_player())) for _ in range(POOL)]

    def batches(self) -> list[bytes]:
        return [self.post([self.item(self.any_player()) for _ in range(BATCH)]) for _ in range(BATCH_POOL)]

    def top(self) -> list[bytes]:
        return [self.get(f"/rankings?limit={PAGE}")]

    def around(self) -> list[bytes]:
        return [self.get(f"/players/{self.any_player()}/around?limit={PAGE}") for _ in range(POOL)]

    def own_rank(self) -> list[bytes]:
        return [self.get(f"/players/{self.any_player()}") for _ in range(POOL)]


CASES = (
    Case("single writes", 16, Workload.writes, 1),
    Case("single writes", 64, Workload.writes, 1, target="3000 requests/s"),
    Case(f"batches of {BATCH}", 4, Workload.batches, BATCH, target="50000 scores/s"),
    Case(f"top {PAGE}", 16, Workload.top, target="4000 requests/s"),
    Case(f"around a player ({PAGE})", 16, Workload.around),
    Case("own rank", 16, Workload.own_rank),
)


async def run_load(
    url: str,
    key: str,
    *,
    entries: int,
    seconds: float,
    ids: bool = False,
    say: Callable[[str], None],
    cases: Sequence[Case] = CASES,
    definition: Mapping[str, Any] | None = None,
    tenant_id: str | None = None,
) -> list[Measured]:
    """Make a board, fill it, run the cases, `seconds` each, remove the board.

    say: gets a line of progress now and then. definition: what the board has beside id and scoring.
    tenant_id: for a platform key. Raises LoadFailed, ApiError or Unreachable.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None or parts.path.strip("/"):
        raise LoadFailed(f"the load speaks plain HTTP to http://HOST:PORT, not to {url}")
    address = (parts.hostname, parts.port or 80)
    board = f"bench-{secrets.token_hex(4)}"
    async with Client(url, key, tenant_id=tenant_id, retry_refused=False) as client:
        latest = {"leaderboard_id": board, "scoring": {"aggregation": "latest"}}
        await client.create_leaderboard({**(definition or {}), **latest})
        try:
            work = Workload(parts.netloc, key, board, entries, ids, tenant_id)
            say(f"filling {board} with {entries} entries")
            await _fill(client, board, work)
            measured = []
            unique = itertools.count(1)
            for case in cases:
                say(f"{case.name}, {case.connections} connections")
                source = Source(case.render(work), batch=case.scores > 1, unique=unique if ids else None)
                measured.append(await run_case(case, source, address, seconds))
            return measured
        finally:
            with contextlib.suppress(ApiError, Unreachable):  # the first failure is the one to report
                await client.purge_leaderboard(board)


async def _fill(client: Client, board: str, work: Workload) -> None:
    """Put every player on the board, and check that they are there."""
    starts = iter(range(0, len(work.players), BATCH))

    async def filler() -> None:
        for start in starts:
            players = work.players[start : start + BATCH]
            answer = await client.submit_many(board, [work.item(player) for player in players])
            if answer["rejected"]:
                raise LoadFailed(f"items were rejected while filling: {answer['errors'][0]}")

    await asyncio.gather(*(filler() for _ in range(FILL_CONNECTIONS)))
    total = (await client.rankings(board, limit=1))["total"]
    if total != len(work.players):
        raise LoadFailed(f"the board has {total} entries instead of {len(work.players)}")


async def run_case(case: Case, source: Source, address: tuple[str, int], seconds: float) -> Measured:
    """Keep the case's connections busy: a warm-up that is not counted, then `seconds` that are."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    stopping = False

    async def client() -> None:
        """One connection, made anew when it is lost."""
        while not stopping:
            try:
                _, connection = await loop.create_connection(lambda: LoadConnection(source, tally), *address)
            except OSError:
                if tally.counting:
                    tally.errors["refused"] += 1
                await asyncio.sleep(0.1)
                continue
            open_connections.add(connection)
            connection.send()
            await connection.ended
            open_connections.discard(connection)

    open_connections: set[LoadConnection] = set()
    clients = [asyncio.create_task(client()) for _ in range(case.connections)]
    try:
        await asyncio.sleep(WARM_UP_S)
        tally.counting = True
        started_s, cpu_started_s = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        tally.counting = False
        elapsed_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_started_s
        stopping = True
        for connection in open_connections:
            connection.stop()
        await asyncio.wait(clients, timeout=LAST_ANSWERS_S)
    finally:
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    latencies_ns = sorted(tally.latencies_ns)
    requests_per_s = len(latencies_ns) / elapsed_s
    return Measured(
        case.name,
        case.connections,
        requests_per_s,
        max(0.0, requests_per_s * case.scores - tally.errors["rejected"] / elapsed_s),
        percentile(latencies_ns, 50) / 1e6,
        percentile(latencies_ns, 99) / 1e6,
        dict(+tally.errors),
        case.target,
        cpu_s / max(1, len(latencies_ns) + sum(tally.errors.values())) * 1e6,
    )


def percentile(ordered: list[int], percent: float) -> float:
    """Nearest rank in an ascending list; NaN for an empty one."""
    if not ordered:
        return float("nan")
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def print_measured(measured: list[Measured], title: str) -> None:
    """The table: rates, latencies, errors, and the project's targets beside what was reached."""
    columns = [
        "case",
        "connections",
        "requests/s",
        "scores/s",
        "p50 ms",
        "p99 ms",
        "errors",
        "target",
        "own µs",
    ]
    rows = [
        [
            m.name,
            m.connections,
            f"{m.requests_per_s:.0f}",
            f"{m.scores_per_s:.0f}" if m.scores_per_s else "-",
            f"{m.p50_ms:.2f}",
            f"{m.p99_ms:.2f}",
            ", ".join(f"{what}×{count}" for what, count in sorted(m.errors.items())) or "0",
            m.target,
            f"{m.cpu_us:.0f}",
        ]
        for m in measured
    ]
    print_table(columns, rows, title)


def bench_main(
    url: str | None,
    key: str,
    *,
    entries: int,
    seconds: float,
    ids: bool = False,
    json_path: str | None = None,
    as_json: bool = False,
    tenant_id: str | None = None,
) -> None:
    """Run the load and print the table; url None: on a server of its own, which is removed afterwards.

    as_json: print the report instead of the table. json_path: write the report to this file as well. Raises
    LoadFailed, ServerFailed, ApiError or Unreachable.
    """

    def say(line: str) -> None:
        click.echo(line, err=True)

    async def load() -> list[Measured]:
        if url is not None:
            return await run_load(
                url, key, entries=entries, seconds=seconds, ids=ids, say=say, tenant_id=tenant_id
            )
        say("starting a server")
        async with OwnServer() as server:
            return await run_load(server.url, server.key, entries=entries, seconds=seconds, ids=ids, say=say)

    measured = _run(load())
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "entries": entries,
        "seconds": seconds,
        "ids": ids,
        "cases": [m._asdict() for m in measured],
    }
    text = orjson.dumps(report, option=orjson.OPT_INDENT_2)
    if as_json:
        click.echo(text if sys.stdout.isatty() else orjson.dumps(report))
    else:
        print_measured(measured, f"{entries} entries, {seconds:g} s a case, {os.cpu_count()} cores")
    if json_path is not None:
        Path(json_path).write_bytes(text + b"\n")


def _run(load: Coroutine[Any, Any, list[Measured]]) -> list[Measured]:
    """On uvloop where it is installed: it halves what the generator costs."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(load)
    result: list[Measured] = uvloop.run(load)
    return result
