"""Kills what a plan says in a server under load: actors, the supervisor, gateways, Redis, everything."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from tests.support.crash.writers import DISCONNECTED, Api
from tests.support.redis_server import RedisServer, until
from tests.support.server_process import Server, survivors

WHOLE_EVERY = 20  # one kill in so many takes the server; a start costs seconds
PAIRED = 0.25  # part of the kills that take a second victim with them
REDIS_AWAY_S = (0.0, 1.0)
BACK_WITHIN_S = 40.0
GONE_WITHIN_S = 30.0
LOOK_S = 0.3


def make_plan(
    rng: random.Random, kills: int, weights: Mapping[str, int], whole_every: int = WHOLE_EVERY
) -> list[tuple[str, ...]]:
    """What to kill, in order: each kind at least once and as often as it weighs, sometimes two at once.
    `kills` victims in all.
    """
    kinds = [*weights]
    whole = max(kills // whole_every, 1)
    single = [*kinds, *rng.choices(kinds, [*weights.values()], k=kills - whole - len(kinds))]
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
        return all(len(self.pids(kind)) >= count for kind, count in Counter(victims).items())

    def _hit(self, kind: str, hit: set[int]) -> bool:
        """Kill another one of a kind; false if there is none, or the one looked up was just dying."""
        pids = [pid for pid in self.pids(kind) if pid not in hit]
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            hit.add(pid := self._rng.choice(pids))
            self.server.kill_one(pid)
            return True
        return False

    def pids(self, kind: str) -> list[int]:
        """Processes of a kind that could be killed now."""
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


class SourcesKiller(Killer):
    """Knows which actors host logs, and which leaderboards: inside `async with watching(api)`."""

    _hosts: tuple[tuple[int, bool], ...] = ()  # process, whether it has a log

    def pids(self, kind: str) -> list[int]:
        if kind not in ("log", "board"):
            return super().pids(kind)
        there = set(self.server.actors())
        return sorted({pid for pid, is_log in self._hosts if pid in there and is_log == (kind == "log")})

    @contextlib.asynccontextmanager
    async def watching(self, api: Api) -> AsyncIterator[None]:
        last: dict[str, Any] = {}
        last_s = time.monotonic()

        async def watch() -> None:
            nonlocal last, last_s
            while True:
                status = await api.ok("GET", "/v1/status", passing=("storage_unavailable", DISCONNECTED))
                last, last_s = status, time.monotonic()
                self._hosts = tuple(
                    (actor["pid"], what == "logs")
                    for actor in status["actors"]
                    for what in ("logs", "leaderboards")
                    if actor[what] and not actor["dormant"]
                )
                await asyncio.sleep(LOOK_S)

        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            if task.done():
                task.result()  # what it died of
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # Shown if the test failed.
            print(f"status of {time.monotonic() - last_s:.1f} s ago: supervisor {last.get('supervisor')}")
            for actor in last.get("actors", ()):
                names = [board["leaderboard_id"] for board in actor["leaderboards"]]
                print(f"  {actor['name']}: process {actor['pid']}, {names}, logs {actor['logs']}")
            print(f"  processes: {self.server.actors()}, {self.server.supervisors()}")
