"""What an audience costs: writes, and how long a change of a profile or of the audience takes.

    python bench/audience.py [--profiles 100000] [--rounds 3] [--seconds 3]

The store is filled with profiles before the server starts, half of them, and the 100 000 players of the load,
with the role `vip`. Then, on SQLite:
  writes      the same load (single writes on 16 and 64 connections, batches of 1000 on 4) to three boards in
              turn: one without an audience, one for the role `vip`, one in a tenant with 1000 test players
  changes     a board with 100 000 entries for that role: `PATCH` of a player's roles, until the answer and
              until a page shows it; `PATCH` of the audience, from everybody to a half and back
Exit 1 if a page after a change is not what it must be.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from typing import Any

import click
import uvloop
from server_processes import Server  # first: it puts the source tree on the path

from lbactors.client import Client
from lbactors.core.ids import in_tenant
from lbactors.core.packing import pack
from lbactors.documents.labels import INDEXED, LABELS, index_changes
from lbactors.documents.profiles import PROFILES
from lbactors.load.load import CASES, Workload, run_load
from lbactors.tables import print_table
from persistence import open_store
from persistence.store import Change

KEY = "lb_audience"
WRITES = [case for case in CASES if case.scores]
TEST_PLAYERS = 1000
ENTRIES = 100_000
BATCH = 5000
CHANGES = 200
VIPS: dict[str, Any] = {"audience": {"rank": {"roles": ["vip"]}}}
BOARDS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("default", {}),
    "role": ("default", VIPS),
    "test players": ("studio", {}),
}


class WrongRanking(Exception):
    """A page is not what it must be."""


def name_of(number: int) -> str:
    return f"player-{number}"


def players_of_load() -> list[str]:
    return Workload("", "", "", ENTRIES, ids=False).players


async def fill_store(url: str, profiles: int) -> None:
    """Profiles and their index, as the server writes them."""
    store = open_store(url)
    await store.open()
    epoch = await store.take_ownership("supervisor")

    profile = {"display_name": None, "avatar_url": None, "attributes": {}, "tags": ["eu"], "timezone": None}

    def changes(tenant_id: str, player_id: str, **fields: Any) -> list[Change]:
        stored = {"player_id": player_id, "updated_at": "2026-01-01T00:00:00.000Z", **profile, **fields}
        document = Change(PROFILES, in_tenant(tenant_id, player_id), pack(stored))
        return [document, *index_changes(tenant_id, player_id, None, stored)]

    roles: dict[str, list[str]] = {name_of(n): ["vip"] if n % 2 else [] for n in range(profiles)}
    roles |= {player_id: ["vip"] for player_id in players_of_load()}

    players = iter(roles.items())
    while some := list(itertools.islice(players, BATCH)):
        written = [changes("default", player_id, roles=labels) for player_id, labels in some]
        await store.commit(list(itertools.chain(*written)), owner="supervisor", epoch=epoch)
    testers = [changes("studio", name_of(n), roles=[], test=True) for n in range(TEST_PLAYERS)]
    done = Change(LABELS, INDEXED, pack(True))
    await store.commit([*itertools.chain(*testers), done], owner="supervisor", epoch=epoch)
    await store.close()


async def writes(server: Server, rounds: int, seconds: float) -> list[list[str]]:
    """A line for each case: medians of all rounds."""
    figures: dict[str, list[list[float]]] = {name: [] for name in BOARDS}
    for number in range(rounds):
        for name, (tenant_id, definition) in BOARDS.items():
            click.echo(f"writes, round {number + 1}: {name}", err=True)
            measured = await run_load(
                server.url, KEY, entries=ENTRIES, seconds=seconds, say=lambda _: None, cases=WRITES,
                definition=definition, tenant_id=tenant_id,
            )  # fmt: skip
            figures[name].append([m.scores_per_s for m in measured])
    return [
        [
            f"{case.name}, {case.connections} connections",
            *(f"{statistics.median(run[index] for run in figures[name]):,.0f}" for name in BOARDS),
        ]
        for index, case in enumerate(WRITES)
    ]


async def expect(client: Client, total: int, best: str) -> None:
    page = await client.rankings("vips", limit=1)
    if (page["total"], page["entries"][0]["player_id"]) != (total, best):
        raise WrongRanking(f"{page['total']} ranked, {page['entries'][0]} leads")


async def changes(client: Client, profiles: int) -> list[list[str]]:
    """Of profiles, then of the audience."""
    began_s = time.monotonic()
    await client.create_leaderboard({"leaderboard_id": "vips", **VIPS})
    created_s = time.monotonic() - began_s
    for first in range(0, ENTRIES, BATCH):
        items = [{"player_id": name_of(n), "score": n} for n in range(first, first + BATCH)]
        await client.submit_many("vips", items)
    members, best = min(profiles, ENTRIES) // 2, name_of(min(profiles, ENTRIES) - 1)
    outsider = name_of(min(profiles, ENTRIES) - 2)
    await expect(client, members, best)
    answered_s, shown_s = [], []
    for number in range(CHANGES):
        roles = ["vip"] if number % 2 == 0 else []
        began_s = time.monotonic()
        await client.update_player(outsider, {"roles": roles})
        answered_s.append(time.monotonic() - began_s)
        await expect(client, members + len(roles), best)
        shown_s.append(time.monotonic() - began_s)
    rows = [["a leaderboard names a role", f"{created_s * 1000:,.0f}", ""]]
    for what, times_s in (("a profile, answered", answered_s), ("a profile, shown", shown_s)):
        p50, p99 = statistics.median(times_s), statistics.quantiles(times_s, n=100)[-1]
        rows.append([what, f"{p50 * 1000:,.1f}", f"{p99 * 1000:,.1f}"])
    for roles, total, leader in (([], ENTRIES, name_of(ENTRIES - 1)), (["vip"], members, best)):
        began_s = time.monotonic()
        await client.update_leaderboard("vips", {"audience": {"rank": {"roles": roles}}})
        took_s = time.monotonic() - began_s
        await expect(client, total, leader)
        rows.append([f"the audience, to {total:,} of {ENTRIES:,}", f"{took_s * 1000:,.0f}", ""])
    return rows


async def measured(profiles: int, rounds: int, seconds: float) -> None:
    server = Server(KEY, "--spare-actors", "0")
    try:
        server.data_dir.mkdir(parents=True)
        await fill_store(f"sqlite:{server.data_dir}", profiles)
        began_s = time.monotonic()
        await server.start()
        click.echo(f"ready after {time.monotonic() - began_s:.1f} s", err=True)
        async with Client(server.url, KEY) as client:
            await client.create_tenant({"tenant_id": "studio"})
            print_table(["change of", "p50 ms", "p99 ms"], await changes(client, profiles))
        write_rows = await writes(server, rounds, seconds)
    finally:
        server.close()
    print_table(["scores/s", *BOARDS], write_rows, f"{profiles:,} profiles, median of {rounds}")


@click.command()
@click.option("--profiles", type=click.IntRange(1000), default=100_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1), default=3.0, show_default=True)
def main(profiles: int, rounds: int, seconds: float) -> None:
    """Measure writes with and without an audience, and changes of profiles."""
    try:
        uvloop.run(measured(profiles, rounds, seconds))
    except (TimeoutError, WrongRanking) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
