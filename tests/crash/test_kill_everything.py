"""kill -9 of a whole server under load, and of its own process alone; a restart on the same data and port."""

from __future__ import annotations

import asyncio
import random
import time

from tests.support.crash.readers import Preloaded, live_reader, settle_and_audit
from tests.support.crash.server_process import MakeServer, survivors
from tests.support.crash.writers import DISCONNECTED, OK, Api, Ledger, Load
from tests.support.figures import Note
from tests.support.rounds import long, rounds

PRELOADED = rounds(20_000, 100_000)
BUSY_S = 0.5  # so long before a kill something was acknowledged
SERVES_WITHIN_S = 40.0  # the target is 3; a busy test machine is slower
GONE_WITHIN_S = 30.0
ROOT_KEY = "lb_a-key-for-crash-tests"


@long
async def test_two_kills_under_load(make_server: MakeServer, rng: random.Random, note: Note) -> None:
    """First every process dies at once; then the server's own alone, so that its successor starts beside
    orphans.
    """
    server = make_server(ROOT_KEY)
    note(f"kill everything: first start {await server.start():.1f} s")
    async with Api(server.url, server.key) as api:
        total, best = Ledger(api, "sum", rng), Ledger(api, "best", rng)
        preloaded = Preloaded(api, rng, PRELOADED)
        await preloaded.fill()
        await total.create(windows=["daily"])
        await best.create()
        readers = [live_reader(total), live_reader(total, "daily"), live_reader(best)]
        many = preloaded.reader()
        async with readers[0], readers[1], readers[2], many:
            for kill in (server.kill_everything, server.kill_main):
                async with Load(total, best):
                    await asyncio.sleep(rng.uniform(0.5, 2.0))
                    killed_at_s = time.monotonic()  # or a little later
                    old = await kill()
                last = [e for e in total.events.all if e.how == OK and e.ended_s > killed_at_s - BUSY_S]
                assert last, "the server was not busy"
                start_s = await server.start()
                first_s = await many.events.success_after(server.ready_at_s, 60)
                for ledger, reader in zip((total, total, best), readers, strict=True):
                    await reader.events.success_after(server.ready_at_s, 60)
                    assert not ledger.refused
                serving_at_s = time.monotonic()
                unknown = len(total.unknown) + len(best.unknown)
                note(
                    f"{kill.__name__}: {len(old)} processes, {unknown} submissions unknown;"
                    f" ready after {start_s:.1f} s, {PRELOADED} entries served {first_s:.2f} s after that"
                )
                assert first_s < SERVES_WITHIN_S
                await settle_and_audit(total, "main", "daily")
                await settle_and_audit(best)
                for reader in (*readers, many):
                    reader.check()
                    told = reader.events.strange(killed_at_s, serving_at_s, DISCONNECTED, "period_loading")
                    assert not told, told[:5]
                left = await survivors(old, time.monotonic() + GONE_WITHIN_S)
                assert not left, f"alive {GONE_WITHIN_S:.0f} s after the kill: {left}"
    assert not server.root_keys(), "LBACTORS_ROOT_KEY was printed"
