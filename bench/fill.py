"""A leaderboard is made after a million rows: how long until it has them all, and what others feel of it.

    python bench/fill.py [--rows 1000000] [--store redis]

A metric with so many rows of 100 000 players, and a leaderboard that follows it. Then 500 rows a second come
in, one a request, each due at its time whether those before are answered or not: first for some seconds
without a fill, then from the moment in which a second leaderboard is made until it has caught up. Latencies
run from the due time. At the end every entry of both leaderboards is compared with the sums of what was sent.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import orjson
import uvloop
from paced_load import PacedLoad, Request

# Its siblings first: it puts the project on the path.
from redis_durability import SETTINGS
from windows import say, servers_of

from lbactors.client import ApiError, Client, Unreachable
from lbactors.demo.own_server import OwnServer, ServerFailed
from lbactors.load.load import LoadFailed, percentile
from lbactors.tables import print_table

STORES = {"sqlite": SETTINGS[0], "redis": SETTINGS[1]}
PLAYERS = 100_000
BATCH = 1000
ROWS_PER_S = 500
CONNECTIONS = 32
FILLED_WITHIN_S = 600.0
METRIC = "xp"
SUM = {"aggregation": "sum", "source": "metric", "metric": METRIC}


class Game:
    """Sends rows, and knows what every player must have."""

    def __init__(self, server: OwnServer, client: Client) -> None:
        self.client = client
        self.sums: Counter[str] = Counter()
        self._random = random.Random(20_261_201)
        parts = urlsplit(server.url)
        assert parts.hostname is not None and parts.port is not None
        self._address = (parts.hostname, parts.port)
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {server.key}\r\n".encode()

    def row(self) -> dict[str, Any]:
        return {
            "player_id": f"player-{self._random.randrange(PLAYERS):06d}",
            "score": self._random.randrange(1, 100),
        }

    async def load(self, rows: int) -> float:
        """Fill the metric; rows a second."""
        batches = iter(range(rows // BATCH))
        began_s = time.perf_counter()

        async def sender() -> None:
            for _ in batches:
                items = [self.row() for _ in range(BATCH)]
                answer = await self.client.write_rows(METRIC, items)
                if answer["rejected"]:
                    raise LoadFailed(f"rows were rejected: {answer['errors'][0]}")
                for item in items:
                    self.sums[item["player_id"]] += item["score"]

        await asyncio.gather(*(sender() for _ in range(4)))
        return rows / (time.perf_counter() - began_s)

    async def paced(self, until: asyncio.Event) -> list[float]:
        """Latencies in ms of rows at a fixed rate, until then. LoadFailed if one was not taken."""
        load = PacedLoad(self._address, CONNECTIONS)
        await load.run(self._requests(until))
        for answer in load.answers:
            if answer.status != 200:
                raise LoadFailed(f"a row was answered with {answer.status}: {answer.body.decode()}")
            self.sums[answer.request.tag["player_id"]] += answer.request.tag["score"]
        return sorted(answer.latency_ms for answer in load.answers)

    def _requests(self, until: asyncio.Event) -> Iterator[Request]:
        started_s = time.perf_counter() + 0.1
        for number in itertools.count():
            if until.is_set():
                return
            row = self.row()
            body = orjson.dumps({**row, "submission_id": secrets.token_hex(8)})
            head = b"POST /v1/metrics/%s HTTP/1.1\r\n%sContent-Type: application/json\r\n" % (
                METRIC.encode(), self._head,
            )  # fmt: skip
            content = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
            yield Request(started_s + number / ROWS_PER_S, content, row)

    async def differences(self, board: str) -> int:
        """How many entries of a leaderboard are not what they must be."""
        found: dict[str, float] = {}
        async for page in self.client.all_rankings(board):
            found |= {entry["player_id"]: entry["score"] for entry in page["entries"]}
        wrong: int = sum(found.get(player) != score for player, score in self.sums.items())
        return wrong + len(found.keys() - self.sums.keys())


async def filled(client: Client, board: str) -> float:
    """Wait until a leaderboard has everything; how long that was. LoadFailed."""
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < FILLED_WITHIN_S:
        found = (await client.leaderboard(board))["projection"]
        if found is not None and found["state"] == "live":
            return time.perf_counter() - began_s
        await asyncio.sleep(0.1)
    raise LoadFailed(f"{board} is not filled")


async def measured(store: str, rows: int, seconds: float) -> dict[str, Any]:
    async with servers_of(STORES[store]) as (_, server), Client(server.url, server.key) as client:
        game = Game(server, client)
        await client.create_leaderboard({"leaderboard_id": "live", "scoring": SUM})
        say(f"{rows} rows")
        loaded_per_s = await game.load(rows)
        await filled(client, "live")
        say(f"{ROWS_PER_S} rows a second")
        enough = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, enough.set)
        without = await game.paced(enough)
        say("and a leaderboard that is filled")
        done = asyncio.Event()
        pacing = asyncio.create_task(game.paced(done))
        await client.create_leaderboard({"leaderboard_id": "late", "scoring": SUM})
        fill_s = await filled(client, "late")
        done.set()
        beside = await pacing
        await filled(client, "live")
        await filled(client, "late")
        say("comparing")
        differences = {board: await game.differences(board) for board in ("live", "late")}
        return {
            "store": store,
            "loaded_per_s": loaded_per_s,
            "fill_s": fill_s,
            "p50_ms": [percentile_of(without, 50), percentile_of(beside, 50)],
            "p99_ms": [percentile_of(without, 99), percentile_of(beside, 99)],
            "differences": differences,
        }


def percentile_of(ordered: list[float], percent: float) -> float:
    return percentile([int(ms * 1e6) for ms in ordered], percent) / 1e6


@click.command()
@click.option("--rows", type=click.IntRange(BATCH), default=1_000_000, show_default=True)
@click.option("--seconds", type=click.FloatRange(1), default=10.0, show_default=True, help="Without a fill.")
@click.option("--store", type=click.Choice(list(STORES)), default="sqlite", show_default=True)
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False), help="Write the figures to a file, too."
)
def main(rows: int, seconds: float, store: str, json_path: str | None) -> None:
    """Measure how a leaderboard is filled from a log beside live rows."""
    try:
        found = uvloop.run(measured(store, rows, seconds))
    except (ApiError, Unreachable, LoadFailed, ServerFailed) as error:
        raise click.ClickException(str(error)) from None
    without, beside = found["p99_ms"]
    row = [
        found["store"],
        f"{found['loaded_per_s']:,.0f}",
        f"{found['fill_s']:.1f}",
        f"{found['p50_ms'][0]:.1f} / {found['p50_ms'][1]:.1f}",
        f"{without:.1f} / {beside:.1f}",
        f"{beside / without:.1f}",
        ", ".join(f"{board} {count}" for board, count in found["differences"].items()),
    ]
    columns = ["store", "loaded rows/s", "fill s", "p50 ms", "p99 ms", "times", "differences"]
    print_table(columns, [row], f"{rows} rows, then {ROWS_PER_S} a second, {os.cpu_count()} cores")
    if json_path is not None:
        Path(json_path).write_text(json.dumps(found, indent=2) + "\n")
    if any(found["differences"].values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
