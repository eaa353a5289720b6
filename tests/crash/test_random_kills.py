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
import contextlib
import os
import random
import time
from collections import Counter
from itertools import pairwise

from tests.support.crash.readers import live_reader, settle_and_audit
from tests.support.crash.server_process import ROOT_KEY, MakeServer, Server, survivors
from tests.support.crash.writers import DISCONNECTED, OK, Api, Events, Ledger, Load
from tests.support.figures import Note
from tests.support.redis_server import RedisServer, until
from tests.support.rounds import long, rounds

KILLS = int(os.environ.get("LBACTORS_CRASH_KILLS") or rounds(8, 22))
CHAPTER = 10
WHOLE_EVERY = 20  # one kill in so many takes the server; a start costs seconds
WEIGHTS = {"actor": 8, "supervisor": 3, "gateway": 2, "redis": 5}
PAIRED = 0.25  # part of the kills that take a second victim with them
WAITED_FOR = 0.4  # part of the kills that may heal before the next one
PAUSE_S = (0.02, 0.8)  # else: how long until the next one
READ_PAUSE_S = 0.02  # so that what dies has a processor to come back on
REDIS_AWAY_S = (0.0, 1.0)
BACK_WITHIN_S = 40.0
GONE_WITHIN_S = 30.0
MAY_BE_TOLD = {OK, DISCONNECTED, "period_loading", "storage_unavailable"}  # reads, too: while Redis is away


def make_plan(rng: random.Random, kills: int, kinds: list[str]) -> list[tuple[str, ...]]:
    """What to kill, in order: each kind at least once, sometimes two at once. `kills` victims in all."""
    whole = max(kills // WHOLE_EVERY, 1)
    single = [*kinds, *rng.choices(kinds, [WEIGHTS[k] for k in kinds], k=kills - whole - len(kinds))]
    rng.shuffle(single)
    plan: list[tuple[str, ...]] = []
    while single:
        count = 2 if len(single) > 1 and rng.random() < PAIRED else 1
        victims, single = single[:count], single[count:]
        if victims[0] == victims[-1] != "actor":  # of the others there is one each
            plan += [(kind,) for kind in victims]
        else:
            plan.append(tuple(victims))
    kind = rng.randrange(2)
    for number in range(whole):
        plan.insert(rng.randrange(len(plan)), (("everything", "server")[(kind + number) % 2],))
    return plan


class Killer:
    """Carries a plan out; what does not come back by itself (the server, Redis) it starts again."""

    def __init__(self, server: Server, redis: RedisServer | None, rng: random.Random) -> None:
        self.server = server
        self.redis = redis
        self.killed: Counter[str] = Counter()
        self.last_s = 0.0  # when the last victim died
        self._rng = rng
        self._redis_back: asyncio.Task[None] | None = None

    async def kill(self, victims: tuple[str, ...]) -> None:
        """At once; what is just being started is waited for."""
        if victims[0] in ("everything", "server"):
            await self._kill_server(victims[0])
        else:
            if "redis" in victims:
                await self.settled()
            await until(lambda: self._are_there(victims), f"processes: {victims}", BACK_WITHIN_S)
            for kind, count in Counter(victims).items():
                if kind == "redis":
                    self._kill_redis(self._rng.uniform(*REDIS_AWAY_S))
                    continue
                hit: set[int] = set()  # a killed process is found for a moment longer
                for number in range(count):
                    await until(
                        lambda kind=kind, hit=hit: self._hit(kind, hit), f"{kind} {number}", BACK_WITHIN_S
                    )
            self.last_s = time.monotonic()
        self.killed.update(victims)

    def _are_there(self, victims: tuple[str, ...]) -> bool:
        return all(len(self._pids(kind)) >= count for kind, count in Counter(victims).items())

    def _hit(self, kind: str, hit: set[int]) -> bool:
        """Kill another one of a kind; false if there is none, or the one looked up was just dying."""
        pids = [pid for pid in self._pids(kind) if pid not in hit]
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            hit.add(pid := self._rng.choice(pids))
            self.server.kill_one(pid)
            return True
        return False

    def _pids(self, kind: str) -> list[int]:
        return {
            "actor": self.server.actors,
            "supervisor": self.server.supervisors,
            "gateway": self.server.further_gateways,
            "redis": lambda: [0],
        }[kind]()

    async def _kill_server(self, kind: str) -> None:
        """All its processes together with Redis; or its own alone, so that its successor meets orphans."""
        if kind == "server":
            gateways = [p for p in self.server.processes() if p.pid in self.server.further_gateways()]
            await self.server.kill_main()
            left = await survivors(gateways, time.monotonic() + GONE_WITHIN_S)  # they hold the port
            assert not left, f"the server is gone, but not {left}"
        else:
            await self.settled()
            if self.redis is not None:
                self._kill_redis(0)
            await self.server.kill_everything()
        self.last_s = time.monotonic()
        await self.settled()
        await self.server.start()

    def _kill_redis(self, away_s: float) -> None:
        assert self.redis is not None
        self.redis.kill()
        self._redis_back = asyncio.create_task(self._start_redis(away_s))

    async def _start_redis(self, away_s: float) -> None:
        assert self.redis is not None
        await asyncio.sleep(away_s)
        await self.redis.start()

    async def settled(self) -> None:
        """Wait until Redis is there."""
        if self._redis_back is not None:
            await self._redis_back


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
    plan = make_plan(rng, KILLS, [kind for kind in WEIGHTS if kind != "redis" or storage])
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
