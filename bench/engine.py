"""The ranking in this process beside a sorted set in Redis, on the same data: one table.

    python bench/engine.py [--entries 100000 --entries 1000000] [--operations 200000] [--seed 1] [--json FILE]

What is compared: the two engines, as each is reached from Python. Ours is called directly. Redis is a
private server on a free loopback port, without persistence, and gets pipelines of 100 commands through
redis-py. Its figures include the protocol and the client's own work, which outweighs the server's; so the
processor time of the server process alone stands beside them. Ours include neither network nor journal: this
is no comparison of services.

Players and scores are uniformly random, the worst case for the caches of both. Rounds of the two alternate
and the median round counts, so that other load on the machine falls on both. Scores are distinct: equal ones
would be ordered by seq here and by name there. So both must agree on every rank, and a thousand random ones
are compared at the end (exit 1 if one differs).

Our ranking finds a player by his standing (score, subscore, seq), which a period has in its entries; a
dictionary of standings stands in for those here, and its look-ups and changes are timed too.

Bytes per entry, after the updates. Here: the sizes of all objects that the ranking and that dictionary hold,
with the strings of the ids, as Redis keeps copies of its own; each rounded up to the 16 bytes that CPython
allocates in. There: the growth of `used_memory`.

Without `redis-server` on the PATH there is nothing to compare with: one line, exit 2.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lbactors.core.ranking import Ranking

PIPELINE_LENGTH = 100
PAGE_LENGTH = 20
ROUNDS = 20
CHECKED_RANKS = 1000
START_TIMEOUT_S = 10.0
ZSET = "board"

Update = tuple[str, int, int]  # player_id, score, seq
Standing = tuple[int, int, int]  # score, subscore, seq


@contextmanager
def private_redis() -> Iterator[redis.Redis]:
    """A client of a fresh redis-server without persistence, which ends with the context."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            folder,
        ]
        server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        client = redis.Redis(port=port, decode_responses=True)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    if server.poll() is not None or time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
            yield client
        finally:
            client.close()
            server.terminate()
            server.wait()


def pipelined(client: redis.Redis, commands: list[tuple[Any, ...]]) -> list[Any]:
    """The answers to the commands, sent in pipelines of 100."""
    answers: list[Any] = []
    pipeline: Any = client.pipeline(transaction=False)
    for start in range(0, len(commands), PIPELINE_LENGTH):
        for command in commands[start : start + PIPELINE_LENGTH]:
            pipeline.execute_command(*command)
        answers += pipeline.execute()
    return answers


def server_cpu_us(client: redis.Redis) -> float:
    """The processor time that the server process has used so far."""
    cpu = client.info("cpu")
    return (float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])) * 1e6


def us_per_op(action: Callable[[], object], operations: int) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) / operations * 1e6


def bytes_held(ranking: Ranking, standings: dict[str, Standing]) -> int:
    """The memory of all objects that both hold, in bytes, each counted once. Rank style ordinal."""
    index = ranking._index
    containers = [
        standings,
        ranking._slots,
        ranking._free_slots,
        index._maxes,
        index._index,
        index._lists,
    ]
    numbers = (number for score, _, seq in standings.values() for number in (score, seq))  # subscores: one 0
    objects = [containers, index._lists, index, index._index, standings, standings.values(), numbers]
    return sum(-(-sys.getsizeof(item) // 16) * 16 for group in objects for item in group)


class Comparison:
    """Both engines with the same entries, and the updates to come."""

    def __init__(self, client: redis.Redis, entries: int, operations: int, rnd: random.Random) -> None:
        self.client = client
        self.entries = entries
        self.round_length = max(1, operations // ROUNDS)
        self.page_round_length = max(1, operations // ROUNDS // 10)
        self.rnd = rnd
        self.players = [f"player-{number:08d}" for number in range(entries)]
        self.scores = iter(rnd.sample(range(10**9), entries + ROUNDS * self.round_length))
        self.seqs = iter(range(entries + ROUNDS * self.round_length))
        self.ranking = Ranking()
        self.standings: dict[str, Standing] = {}

    def fill(self) -> None:
        rows = [(player_id, next(self.scores), 0, next(self.seqs)) for player_id in self.players]
        self.rnd.shuffle(rows)
        self.ranking.load(rows)
        self.standings = {player_id: (score, subscore, seq) for player_id, score, subscore, seq in rows}
        self.client.flushall()
        self.redis_bytes_empty = int(self.client.info("memory")["used_memory"])
        pipelined(self.client, [("ZADD", ZSET, score, player_id) for player_id, score, _, _ in rows])

    def some_players(self, count: int) -> list[str]:
        return self.rnd.choices(self.players, k=count)

    def update_round(self) -> tuple[float, float]:
        length = self.round_length
        updates: list[Update] = [(p, next(self.scores), next(self.seqs)) for p in self.some_players(length)]

        def ours() -> None:
            upsert, standings = self.ranking.upsert, self.standings
            for player_id, score, seq in updates:
                upsert(player_id, score, 0, seq, standings[player_id])
                standings[player_id] = (score, 0, seq)

        commands = [("ZADD", ZSET, score, player_id) for player_id, score, _ in updates]
        return us_per_op(ours, length), us_per_op(lambda: pipelined(self.client, commands), length)

    def rank_round(self) -> tuple[float, float]:
        asked = self.some_players(self.round_length)

        def ours() -> None:
            rank, standings = self.ranking.rank, self.standings
            for player_id in asked:
                rank(standings[player_id])

        commands = [("ZREVRANK", ZSET, player_id) for player_id in asked]
        return us_per_op(ours, len(asked)), us_per_op(lambda: pipelined(self.client, commands), len(asked))

    def page_round(self) -> tuple[float, float]:
        count = self.page_round_length

        def ours() -> None:
            page = self.ranking.page
            for _ in range(count):
                page(0, PAGE_LENGTH)

        commands = [("ZREVRANGE", ZSET, 0, PAGE_LENGTH - 1)] * count
        return us_per_op(ours, count), us_per_op(lambda: pipelined(self.client, commands), count)

    def measure(self) -> list[dict[str, Any]]:
        """One row an operation; the updates come first, so that the reads see a board in use."""
        rows: list[dict[str, Any]] = []
        page = f"top-{PAGE_LENGTH} page"
        operations = {"update": self.update_round, "rank": self.rank_round, page: self.page_round}
        lengths = {"update": self.round_length, "rank": self.round_length, page: self.page_round_length}
        for operation, one_round in operations.items():
            cpu_before_us = server_cpu_us(self.client)
            rounds = [one_round() for _ in range(ROUNDS)]
            cpu_us = server_cpu_us(self.client) - cpu_before_us
            row: dict[str, Any] = {"entries": self.entries, "operation": operation}
            for engine, times in zip(("ranking", "redis"), zip(*rounds, strict=True), strict=True):
                median_us = statistics.median(times)
                row[engine] = {"us_per_op": round(median_us, 2), "ops_per_s": round(1e6 / median_us)}
            row["redis"]["server_cpu_us_per_op"] = round(cpu_us / (ROUNDS * lengths[operation]), 2)
            rows.append(row)
        redis_bytes = int(self.client.info("memory")["used_memory"]) - self.redis_bytes_empty
        held = {"ranking": bytes_held(self.ranking, self.standings), "redis": redis_bytes}
        per_entry = {engine: {"bytes_per_entry": round(size / self.entries)} for engine, size in held.items()}
        rows.append({"entries": self.entries, "operation": "memory", **per_entry})
        return rows

    def disagreements(self) -> list[str]:
        """The players, of a thousand random ones, whose rank differs between the engines."""
        asked = self.some_players(CHECKED_RANKS)
        offsets = pipelined(self.client, [("ZREVRANK", ZSET, player_id) for player_id in asked])
        return [
            p
            for p, offset in zip(asked, offsets, strict=True)
            if self.ranking.rank(self.standings[p]) - 1 != offset
        ]


def print_table(rows: list[dict[str, Any]], redis_version: str, agreed: int) -> None:
    table = Table(
        title=f"Ranking in process, Redis {redis_version} in pipelines of {PIPELINE_LENGTH}",
        caption=f"median of {ROUNDS} alternating rounds; {agreed} random ranks agree",
    )
    table.add_column("entries", justify="right")
    table.add_column("operation")
    columns = {
        "ranking\nµs/op": ("ranking", "us_per_op"),
        "Redis\nµs/op": ("redis", "us_per_op"),
        "Redis server\nCPU µs/op": ("redis", "server_cpu_us_per_op"),
        "ranking\nops/s": ("ranking", "ops_per_s"),
        "Redis\nops/s": ("redis", "ops_per_s"),
        "ranking\nB/entry": ("ranking", "bytes_per_entry"),
        "Redis\nB/entry": ("redis", "bytes_per_entry"),
    }
    for heading in columns:
        table.add_column(heading, justify="right")
    for row in rows:
        figures = [row[engine].get(measure) for engine, measure in columns.values()]
        cells = ["" if figure is None else f"{figure:,}" for figure in figures]
        table.add_row(
            f"{row['entries']:,}", row["operation"], *cells, end_section=row["operation"] == "memory"
        )
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the ranking with a sorted set in Redis.")
    parser.add_argument("--entries", type=int, action="append", help="board size; may be given several times")
    parser.add_argument("--operations", type=int, default=200_000, help="updates and ranks per board size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    sizes: list[int] = options.entries or [100_000, 1_000_000]
    if min(sizes) < 1 or options.operations < 1:
        parser.error("--entries and --operations must be positive")
    if shutil.which("redis-server") is None:
        print("redis-server is not on the PATH: nothing to compare with", file=sys.stderr)
        return 2
    rows: list[dict[str, Any]] = []
    with private_redis() as client:
        redis_version = str(client.info("server")["redis_version"])
        for entries in sizes:
            comparison = Comparison(client, entries, options.operations, random.Random(options.seed))
            comparison.fill()
            rows += comparison.measure()
            differing = comparison.disagreements()
            if differing:
                print(
                    f"{len(differing)} ranks differ at {entries} entries, first {differing[0]}",
                    file=sys.stderr,
                )
                return 1
    print_table(rows, redis_version, CHECKED_RANKS * len(sizes))
    if options.json:
        figures = {
            "seed": options.seed,
            "operations": options.operations,
            "python": platform.python_version(),
            "redis": redis_version,
            "agreeing_ranks": CHECKED_RANKS * len(sizes),
            "rows": rows,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
