"""kill -9 of whatever there is, at random moments, over and over, under load: nothing acknowledged is lost or
doubled, and nothing that was shown is taken back.

A plan is drawn from the seed: period actors, the supervisor, a further gateway, Redis, the server alone,
everything at once; some in pairs. The kills follow each other within a second or so, and less than half of
the time is it waited for that what died has come back; so things die while they start, and while Redis is
away. Every CHAPTER kills the load stops, and what is there is compared with what was promised.

LBACTORS_CRASH_KILLS: how many kills for each store (8, in the long form 22). LBACTORS_CRASH_SEED: the plan.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from itertools import pairwise

from tests.support.crash.killer import BACK_WITHIN_S, Killer, make_plan
from tests.support.crash.readers import live_reader, settle_and_audit
from tests.support.crash.writers import DISCONNECTED, OK, Api, Events, Ledger, Load
from tests.support.figures import Note
from tests.support.redis_server import RedisServer
from tests.support.rounds import long, rounds
from tests.support.server_process import ROOT_KEY, MakeServer

KILLS = int(os.environ.get("LBACTORS_CRASH_KILLS") or rounds(8, 22))
CHAPTER = 10
WEIGHTS = {"actor": 8, "supervisor": 3, "gateway": 2, "redis": 5}
WAITED_FOR = 0.4  # part of the kills that may heal before the next one
PAUSE_S = (0.02, 0.8)  # else: how long until the next one
READ_PAUSE_S = 0.02  # so that what dies has a processor to come back on
MAY_BE_TOLD = {OK, DISCONNECTED, "period_loading", "storage_unavailable"}  # reads, too: while Redis is away


@long
async def test_random_kills(
    make_server: MakeServer, storage: RedisServer | None, rng: random.Random, note: Note
) -> None:
    where = () if storage is None else ("--store", storage.url)
    # Snapshots are frequent, so that many kills fall into one; there are no spare actors, which nobody uses.
    often = ("--snapshot-seconds", "0.5", "--spare-actors", "0")
    server = make_server(ROOT_KEY, "--gateways", "2", *often, *where)
    await server.start()
    killer = Killer(server, storage, rng)
    plan = make_plan(rng, KILLS, {kind: n for kind, n in WEIGHTS.items() if kind != "redis" or storage})
    async with Api(server.url, server.key) as api:
        total, best = Ledger(api, "sum", rng), Ledger(api, "best", rng)
        await total.create(windows=["daily"])
        await best.create()
        boards = ((total, "main"), (total, "daily"), (best, "main"))
        readers = [live_reader(ledger, window, READ_PAUSE_S) for ledger, window in boards]

        async def back() -> None:
            """Every board is written and read again."""
            await killer.settled()
            for events in (total.events, best.events, *(reader.events for reader in readers)):
                await events.success_after(killer.last_s, BACK_WITHIN_S)

        began_s = time.monotonic()
        async with readers[0], readers[1], readers[2]:
            while plan:
                before = killer.killed.total()
                async with Load(total, best, patient=(1, 20), hasty=(1,)):
                    await asyncio.sleep(rng.uniform(0.3, 1.0))
                    while plan and killer.killed.total() < before + CHAPTER:
                        await killer.kill(plan.pop())
                        if rng.random() < WAITED_FOR:
                            await back()
                        else:
                            await asyncio.sleep(rng.uniform(*PAUSE_S))
                    await back()
                for ledger, *windows in ((total, "main", "daily"), (best, "main")):
                    await settle_and_audit(ledger, *windows)
                for reader in readers:
                    reader.check()
        took_s = time.monotonic() - began_s
    assert killer.killed.total() == KILLS
    for told in (total, best, *readers):
        strange = [event for event in told.events.all if event.how not in MAY_BE_TOLD]
        assert not strange, strange[:5]
    store = "sqlite" if storage is None else "redis"
    kinds = ", ".join(f"{count} {kind}" for kind, count in killer.killed.most_common())
    acknowledged = len(total.acknowledged) + len(best.acknowledged)
    pause_s = max(longest_pause_s(ledger.events) for ledger in (total, best))
    note(f"{store}: {KILLS} kills in {took_s:.0f} s ({kinds}), {acknowledged} acknowledged, each there once")
    note(f"{store}: nothing could be written for {pause_s:.1f} s at most")


def longest_pause_s(events: Events) -> float:
    """Between two successes."""
    ends_s = sorted(event.ended_s for event in events.all if event.how == OK)
    return max(after - before for before, after in pairwise(ends_s))
