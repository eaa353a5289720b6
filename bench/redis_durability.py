"""What each kind of durability costs: writes through the whole server, on SQLite and on Redis.

    python bench/redis_durability.py                   the table
    python bench/redis_durability.py --markdown        the same as `docs/guarantees.md` has it

Every setting gets a server and, but for SQLite, a Redis of its own, with nothing else on it. WAIT and WAITAOF
go to real replicas on this machine, so the network to one elsewhere comes on top. Load generator, gateway,
actor and Redis share the machine, and repeats vary more than most settings differ: take the median of some
rounds. Settings that the installed Redis does not have are left out and named.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from lbactors.client import ApiError, Unreachable  # noqa: E402
from lbactors.demo.own_server import SERVE, OwnServer, ServerFailed  # noqa: E402
from lbactors.load.load import CASES, LoadFailed, Measured, run_load  # noqa: E402
from lbactors.tables import print_table  # noqa: E402
from tests.support.redis_server import RedisServer  # noqa: E402

WRITES = [case for case in CASES if case.scores]
WITH_WAITAOF = (7, 2)


class Setting(NamedTuple):
    """One line of the table. `fsync`: of Redis, None for SQLite; `query`: of the store's URL."""

    name: str
    fsync: str | None = None
    replicas: int = 0
    query: str = ""
    needs: tuple[int, int] = (7, 0)


SETTINGS = (
    Setting("SQLite"),
    Setting("Redis, appendfsync always", "always"),
    Setting("Redis, appendfsync everysec", "everysec"),
    Setting("Redis, appendfsync no", "no"),
    Setting("Redis, everysec, WAIT 1", "everysec", 1, "?wait_replicas=1"),
    Setting("Redis, always, WAIT 1", "always", 1, "?wait_replicas=1"),
    Setting("Redis, everysec, WAITAOF 1 0", "everysec", 0, "?wait_fsync=yes", WITH_WAITAOF),
    Setting("Redis, always, WAITAOF 1 1", "always", 1, "?wait_fsync=yes&wait_replicas=1", WITH_WAITAOF),
)


def redis_version() -> tuple[int, int]:
    """Of the redis-server on the path. FileNotFoundError without one."""
    told = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = re.findall(r"v=(\d+)\.(\d+)", told)[0]
    return int(major), int(minor)


@contextlib.asynccontextmanager
async def store_of(setting: Setting) -> AsyncIterator[list[str]]:
    """Options of `lbactors serve` for a store with this setting, which lives as long as the block."""
    if setting.fsync is None:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="lbactors-redis-") as folder:
        options = [f"appendfsync {setting.fsync}"]
        servers = [RedisServer(Path(folder) / "primary", *options)]
        for number in range(setting.replicas):
            replica = RedisServer(Path(folder) / f"replica{number}", *options, replica_of=servers[0])
            servers.append(replica)
        try:
            for server in servers:
                await server.start()
            yield ["--store", f"{servers[0].url}{setting.query}"]
        finally:
            for server in servers:
                server.close()


async def measured(setting: Setting, entries: int, seconds: float) -> list[Measured]:
    def say(line: str) -> None:
        click.echo(f"{setting.name}: {line}", err=True)

    async with store_of(setting) as options, OwnServer(command=[*SERVE, *options]) as server:
        return await run_load(server.url, server.key, entries=entries, seconds=seconds, say=say, cases=WRITES)


def cells(rounds: list[Measured]) -> list[str]:
    """One case: medians of writes a second, p50 and p99; what went wrong, if anything did."""
    rate, p50_ms, p99_ms = (
        statistics.median(values)
        for values in zip(*((m.scores_per_s, m.p50_ms, m.p99_ms) for m in rounds), strict=True)
    )
    errors = {what: count for m in rounds for what, count in m.errors.items()}
    told = (
        " (errors: " + ", ".join(f"{what}×{count}" for what, count in errors.items()) + ")" if errors else ""
    )
    return [f"{rate:,.0f}{told}", f"{p50_ms:.1f} / {p99_ms:.1f}"]


@click.command()
@click.option("--entries", type=click.IntRange(100), default=100_000, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=4.0, show_default=True, help="Length of a case."
)
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True, help="Medians of so many.")
@click.option("--only", default="", help="Settings whose name contains this.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False), help="Write the figures to a file, too."
)
def main(entries: int, seconds: float, rounds: int, only: str, markdown: bool, json_path: str | None) -> None:
    """Measure single writes and batches over HTTP for each store and its settings."""
    found: dict[str, list[list[Measured]]] = {}  # setting -> rounds -> cases
    try:
        version = redis_version()
        settings = [setting for setting in SETTINGS if only.lower() in setting.name.lower()]
        for setting in settings:
            if version < setting.needs:
                needed, there = (".".join(map(str, numbers)) for numbers in (setting.needs, version))
                click.echo(f"{setting.name}: left out, it needs Redis {needed}; this is {there}", err=True)
        for _ in range(rounds):
            for setting in settings:
                if version >= setting.needs:
                    cases = asyncio.run(measured(setting, entries, seconds))
                    found.setdefault(setting.name, []).append(cases)
    except FileNotFoundError:
        raise click.ClickException("redis-server is not on the path") from None
    except (ApiError, Unreachable, LoadFailed, ServerFailed) as error:
        raise click.ClickException(str(error)) from None
    rows = []
    for name, runs in found.items():
        rows.append([name, *(cell for case in zip(*runs, strict=True) for cell in cells(list(case)))])
    columns = ["setting"]
    for case in WRITES:
        columns += [f"{case.name}, {case.connections} connections: scores/s", "p50 / p99 ms"]
    if markdown:
        lines = [columns, ["---"] * len(columns), *rows]
        click.echo("\n".join("| " + " | ".join(line) + " |" for line in lines))
    else:
        machine = f"{os.cpu_count()} cores, Redis {version[0]}.{version[1]}"
        title = f"{entries} entries, {seconds:g} s a case, median of {rounds}, {machine}"
        print_table(columns, rows, title)
    if json_path is not None:
        figures = {name: [[case._asdict() for case in run] for run in runs] for name, runs in found.items()}
        report = {"entries": entries, "seconds": seconds, "redis": version, "settings": figures}
        Path(json_path).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
