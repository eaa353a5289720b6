"""Redis away, full, emptied, or replaced by an older copy of itself, under a living server and its load.

Away: writes are refused at once and say when to come again, reads go on from memory, /readyz says why, nobody
is restarted and nobody grows; when Redis is back, so are the writes. Gone back: the server knows better than
the store, and says so instead of going on with less.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any, Self

import psutil

from tests.support.crash.readers import entries_of, live_reader, settle_and_audit
from tests.support.crash.refusal import refusal
from tests.support.crash.writers import OK, Api, Event, Ledger, Load
from tests.support.figures import Note
from tests.support.redis_server import RedisServer, until
from tests.support.rounds import long, rounds
from tests.support.server_process import ROOT_KEY, MakeServer, Server

AWAY_S = float(os.environ.get("LBACTORS_CRASH_OUTAGE_SECONDS") or rounds(5, 12))
SILENT_S = 7.0  # longer than a command to Redis may take
# The one append that is on its way waits for its timeout; whatever comes later is refused at once.
REFUSED_WITHIN_S = 9.0
BACK_WITHIN_S = 10.0  # the target is 2; a busy test machine is slower
WRITTEN_WITHIN_S = 30.0
READY_WITHIN_S = 30.0
GROWTH_BYTES = 40 << 20
RECOGNISED_FOR_S = 2.0
LOST = "emptied"  # what every refusal says of a store that went back, whichever way


class Watch:
    """A server's processes and what /readyz says, looked at all the time inside `async with`."""

    def __init__(self, server: Server, api: Api) -> None:
        self._server = server
        self._api = api
        self.began = self._bytes()
        self.most = dict(self.began)
        self._told: list[tuple[int, Any]] = []  # status and body of /readyz
        self._task: asyncio.Task[None] | None = None

    def _bytes(self) -> dict[int, int]:
        """Resident bytes of the processes that serve, by id."""
        server = self._server
        pids = [server.pid, *server.further_gateways(), *server.supervisors(), *server.actors()]
        return {pid: psutil.Process(pid).memory_info().rss for pid in pids}

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        if self._task.done():
            self._task.result()  # what it died of: it looked at nothing since
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            status, body = await self._api.call("GET", "/readyz")
            self._told.append((status, body))
            self.most = {pid: max(size, self.most.get(pid, 0)) for pid, size in self._bytes().items()}
            await asyncio.sleep(0.2)

    async def until_ready(self, status: int, why: str = "") -> Any:
        """Wait until /readyz answers so, and says this; its body."""
        self._told.clear()

        def says_so() -> bool:
            return bool(self._told) and self._told[-1][0] == status and why in str(self._told[-1][1])

        await until(says_so, f"/readyz {status} {why}", READY_WITHIN_S)
        return self._told[-1][1]

    def check(self) -> int:
        """Fail if a process was started anew or grew; the most that one grew, in bytes."""
        assert self.most.keys() == self.began.keys(), "processes were started anew"
        growth = max(self.most[pid] - size for pid, size in self.began.items())
        assert growth < GROWTH_BYTES, {pid: (size, self.most[pid]) for pid, size in self.began.items()}
        return growth


class Boards:
    """Two boards of a server with their readers."""

    def __init__(self, api: Api, rng: random.Random) -> None:
        self.total, self.best = Ledger(api, "sum", rng), Ledger(api, "best", rng)
        self.all = (self.total, self.best)
        self.readers = [live_reader(self.total), live_reader(self.total, "daily"), live_reader(self.best)]

    async def create(self) -> None:
        """Both are there and have scores afterwards."""
        await self.total.create(windows=["daily"])
        await self.best.create()
        for ledger in self.all:
            await ledger.fill(50)

    def load(self) -> Load:
        return Load(self.total, self.best, patient=(1, 20), hasty=(1,))

    def writes(self) -> list[Event]:
        """All so far."""
        return [*self.total.events.all, *self.best.events.all]

    async def written(self, instant_s: float, *ledgers: Ledger) -> float:
        """Seconds from an instant to the first success, or to that of the last of some boards."""
        waits = [ledger.events.success_after(instant_s, WRITTEN_WITHIN_S) for ledger in ledgers or self.all]
        took_s = await asyncio.gather(*waits)
        return max(took_s) if ledgers else min(took_s)

    def check_reads(self) -> None:
        """Fail if a single read failed since the last call, or was wrong."""
        for reader in self.readers:
            reader.check()
            assert not (told := reader.events.strange(0, 0)), told[:5]

    async def settle(self) -> None:
        await settle_and_audit(self.total, "main", "daily")
        await settle_and_audit(self.best)


async def trouble(boards: Boards, watch: Watch, redis: RedisServer, how: str, note: Note) -> None:
    """One outage under load."""
    async with boards.load():
        await boards.written(time.monotonic(), *boards.all)
        began_s = time.monotonic()
        if how == "killed":
            redis.kill()
            away_s = AWAY_S
        elif how == "stopped":
            redis.pause()
            away_s = SILENT_S
        else:
            redis.command("CONFIG", "SET", "maxmemory", 1)
            away_s = SILENT_S / 2
        # Each gateway's answer may be two seconds old: one may still tell of the outage before.
        reason = await watch.until_ready(503, "storage_unavailable")
        unready_s = time.monotonic() - began_s
        assert any("storage" in detail["loc"] for detail in reason["error"]["details"]), reason
        await asyncio.sleep(began_s + away_s - time.monotonic())
        ended_s = time.monotonic()
        if how == "killed":
            await redis.start()
        elif how == "stopped":
            redis.resume()
        else:
            redis.command("CONFIG", "SET", "maxmemory", 0)
        back_s = time.monotonic()
        first_s = await boards.written(back_s)
        every_s = await boards.written(back_s, *boards.all)
        await watch.until_ready(200)
        ready_s = time.monotonic() - back_s
    during = [event for event in boards.writes() if began_s <= event.sent_s and event.ended_s < ended_s]
    refused = [event for event in during if event.how != OK]
    longest_s = max(event.ended_s - event.sent_s for event in boards.writes() if event.ended_s >= began_s)
    growth = watch.check()
    note(f"redis {how} for {away_s:.0f} s: {len(refused)} writes refused, the longest took {longest_s:.2f} s")
    note(f"  not ready after {unready_s:.1f} s; a process grew by {growth >> 20} MiB at most")
    note(
        f"  after its return: first write {first_s:.2f} s, every board {every_s:.2f} s, ready {ready_s:.1f} s"
    )
    assert {event.how for event in refused} == {"storage_unavailable"}, refused[:5]
    assert not [event for event in during if event.how == OK and event.sent_s > began_s + 0.5]
    assert longest_s < REFUSED_WITHIN_S
    assert first_s < BACK_WITHIN_S
    boards.check_reads()


@long
async def test_redis_is_away_and_full(
    make_server: MakeServer, redis: RedisServer, rng: random.Random, note: Note
) -> None:
    server = make_server(ROOT_KEY, "--store", redis.url, "--gateways", "2", "--spare-actors", "0")
    await server.start()
    async with Api(server.url, server.key) as api:
        boards = Boards(api, rng)
        await boards.create()
        first, second, third = boards.readers
        async with first, second, third, Watch(server, api) as watch:
            for how in ("killed", "stopped", "full"):
                await watch.until_ready(200)
                await trouble(boards, watch, redis, how, note)
                await boards.settle()


class Copies:
    """Copies of what a Redis has on disk, taken and put back while it is down for a moment."""

    def __init__(self, redis: RedisServer, folder: Path) -> None:
        self._redis = redis
        self._data = redis.folder / "appendonlydir"
        self._folder = folder

    async def take(self, name: str) -> None:
        self._redis.kill()
        shutil.copytree(self._data, self._folder / name)
        await self._redis.start()

    async def put_back(self, name: str) -> None:
        self._redis.kill()
        shutil.rmtree(self._data)
        shutil.copytree(self._folder / name, self._data)
        await self._redis.start()


async def recognised(boards: Boards, watch: Watch) -> None:
    """Under load on a store that went back: not one write is taken, each refusal says why, reads go on."""
    went_back_s = time.monotonic()
    async with boards.load():
        await watch.until_ready(503, LOST)
        await asyncio.sleep(RECOGNISED_FOR_S)
        for ledger in boards.all:
            status, body = await ledger.api.call(
                "POST", f"{ledger.path}/scores", {"player_id": "x", "score": 1}
            )
            assert (status, body["error"]["code"]) == (503, "storage_unavailable"), body
            assert LOST in body["error"]["message"], body
    taken = [event for event in boards.writes() if event.how == OK and event.sent_s >= went_back_s]
    assert not taken, f"acknowledged on a store that went back: {taken[:5]}"
    boards.check_reads()


async def test_redis_went_back(
    make_server: MakeServer, redis: RedisServer, rng: random.Random, tmp_path: Path
) -> None:
    """An older copy of its data under a living server; then the right ones again; then none at all."""
    server = make_server(ROOT_KEY, "--store", redis.url, "--spare-actors", "0")
    await server.start()
    copies = Copies(redis, tmp_path)
    async with Api(server.url, server.key) as api:
        boards = Boards(api, rng)
        await boards.create()
        async with boards.load():
            await boards.written(time.monotonic(), *boards.all)
            await copies.take("older")
            await boards.written(time.monotonic(), *boards.all)
        first, second, third = boards.readers
        async with first, second, third, Watch(server, api) as watch:
            await watch.until_ready(200)
            await copies.take("right")
            await copies.put_back("older")
            await recognised(boards, watch)
            await copies.put_back("right")
            await watch.until_ready(200)
            await boards.settle()

            before = [await entries_of(ledger) for ledger in boards.all]
            redis.command("FLUSHALL")
            await recognised(boards, watch)
            assert [await entries_of(ledger) for ledger in boards.all] == before
            status, body = await api.call("POST", "/v1/leaderboards", {"leaderboard_id": "on-nothing"})
            assert (status, body["error"]["code"]) == (503, "storage_unavailable"), body
            watch.check()
            boards.check_reads()
    await server.kill_everything()
    line = await asyncio.to_thread(refusal, server)
    assert "emptied or replaced" in line and "--accept-older-store" in line
