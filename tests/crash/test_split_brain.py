"""Two activations of one period: the old one's process is stopped, a new one serves, the old one goes on.

From the first answer of the new one on the old one acknowledges nothing: not what was on its way to it when
it was stopped, nor what is sent to it afterwards by a gateway that has not heard of the new one. And it stops
by itself. One answer may come late: that which was being sent when the process was stopped, some microseconds
after it was known to be true. What it says is in the journal, and so in the new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbactors.core.errors import ApiError
from tests.support.crash.direct import DirectApi
from tests.support.crash.lone_actor import CHAIN_ID
from tests.support.crash.readers import compare
from tests.support.crash.server_process import environment
from tests.support.crash.writers import OK, Ledger, Load
from tests.support.figures import Note
from tests.support.redis_server import RedisServer, until
from tests.support.repository import REPOSITORY

ROUNDS = 3  # the two processes change roles so often
HEARD_WITHIN_S = 30.0
STOPPED_FOR_S = 1.0  # and up to half a second more:
TIMEOUT_MS = 1200  # the end of a command's time lies sometimes in it, sometimes after it
STOPS_WITHIN_S = 30.0


class LoneActor:
    """A process of `lone_actor`. `host` makes it the newest activation."""

    def __init__(self, name: str, store_url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crash.lone_actor", name, store_url],
            cwd=REPOSITORY,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.api: DirectApi

    async def hear(self) -> str:
        assert self._process.stdout is not None
        return (
            await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), HEARD_WITHIN_S)
        ).strip()

    async def host(self) -> None:
        """Take the period over; returns when it is loaded."""
        assert self._process.stdin is not None
        self._process.stdin.write("host\n")
        self._process.stdin.flush()
        told, _, endpoint = (await self.hear()).partition(" ")
        assert told == "serving", f"{told} {endpoint}"
        self.api = DirectApi(bytes.fromhex(endpoint), CHAIN_ID)

    async def stop(self) -> None:
        """Returns when no thread of it runs any more, which is later than the signal."""
        pid = self._process.pid
        os.kill(pid, signal.SIGSTOP)
        for task in list(Path(f"/proc/{pid}/task").iterdir()):
            await until(lambda stat=task / "stat": is_stopped(stat), "it stops")

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        with self._process:
            pass


def is_stopped(stat: Path) -> bool:
    """Whether a thread is, by what the kernel says of it; one that has ended is."""
    try:
        return stat.read_text().rpartition(") ")[2][0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
async def pair(storage: RedisServer | None, tmp_path: Path) -> AsyncIterator[tuple[LoneActor, LoneActor]]:
    """Two processes on one store; none hosts anything yet."""
    url = f"sqlite:{tmp_path / 'data'}" if storage is None else f"{storage.url}?timeout_ms={TIMEOUT_MS}"
    actors = LoneActor("one", url), LoneActor("two", url)
    try:
        assert [await actor.hear() for actor in actors] == ["started"] * 2
        yield actors
    finally:
        for actor in actors:
            actor.close()


async def stop_between_turns(actor: LoneActor, lock: Path, rng: random.Random) -> None:
    """Stop a process at a random moment. With SQLite, not while it has its turn to write: nobody else can
    write then, and so nobody take over.
    """

    async def stopped() -> bool:
        await asyncio.sleep(rng.uniform(0.001, 0.05))
        await actor.stop()
        if not lock.exists():
            return True
        with lock.open() as file, contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        actor.go_on()
        return False

    await until(stopped, "the process is stopped between two turns")


async def test_a_stopped_actor_goes_on(
    pair: tuple[LoneActor, LoneActor], tmp_path: Path, rng: random.Random, note: Note
) -> None:
    old, new = pair
    await old.host()
    ledgers: list[Ledger] = []
    served, stopped = [], []
    for number in range(ROUNDS):
        stale = Ledger(old.api, "sum", rng, players=50, who=f"stale-{number}")
        fresh = Ledger(old.api, "sum", rng, players=50, who=f"fresh-{number}")
        ledgers += [stale, fresh]
        async with Load(stale, patient=(), hasty=(1, 1, 1, 20)):
            await stale.events.success_after(0, HEARD_WITHIN_S)
            await asyncio.sleep(rng.uniform(0.2, 0.6))
            await stop_between_turns(old, tmp_path / "data" / "write.lock", rng)
            stopped_s = time.monotonic()
            on_their_way = [asyncio.create_task(stale.post(stale.make(5), single=False)) for _ in range(20)]
            await new.host()
            fresh.api = new.api
            async with Load(fresh, patient=(1, 20)):
                await fresh.events.success_after(0, HEARD_WITHIN_S)
                served_s = time.monotonic()
                served.append(served_s - stopped_s)
                await asyncio.sleep(stopped_s + STOPPED_FOR_S - served_s + rng.uniform(0.0, 0.5))
                old.go_on()
                went_on_s = time.monotonic()
                await asyncio.wait_for(asyncio.gather(*on_their_way), STOPS_WITHIN_S)
                await refusal_of(stale)
                stopped.append(time.monotonic() - went_on_s)
        late = [event for event in stale.events.all if event.how == OK and event.ended_s >= served_s]
        being_sent = [event for event in late if event.sent_s < stopped_s]
        assert late == being_sent[:1], f"acknowledged beside the new one: {late[:5]}"
        assert stale.acknowledged and not fresh.refused
        for ledger in ledgers:
            ledger.api = new.api
            await ledger.resend()
        compare(await new.api.standings(), *ledgers)
        for ledger in ledgers:
            await ledger.repeat()
        compare(await new.api.standings(), *ledgers)
        old, new = new, old
    note(
        f"split brain: the new one served {max(served):.2f} s after the old one stopped; "
        f"that stopped by itself {max(stopped):.2f} s after it went on"
    )


async def test_a_stopped_actor_that_nobody_writes_to(
    pair: tuple[LoneActor, LoneActor], tmp_path: Path, rng: random.Random, note: Note
) -> None:
    """It finds out alone, and shows nobody what is no longer true."""
    old, new = pair
    await old.host()
    ledger = Ledger(old.api, "sum", rng, who="first")
    await ledger.post(ledger.make(50), single=False)
    await ledger.resend()  # what a busy disk made unknown
    await stop_between_turns(old, tmp_path / "data" / "write.lock", rng)
    await new.host()
    later = Ledger(new.api, "sum", rng, who="later")
    await later.post(later.make(50), single=False)
    await later.resend()
    old.go_on()
    went_on_s = time.monotonic()

    async def refuses() -> bool:
        try:
            compare(await old.api.standings(), ledger)
        except ApiError as error:
            return error.code == "period_loading"
        return False

    await until(refuses, "it shows nothing any more", STOPS_WITHIN_S)
    note(f"split brain, idle: the old one stopped {time.monotonic() - went_on_s:.2f} s after it went on")
    compare(await new.api.standings(), ledger, later)


async def refusal_of(stale: Ledger) -> None:
    """Wait until a process says that the period is not there."""
    await until(lambda: stale.events.all[-1].how == "period_loading", "it stops", STOPS_WITHIN_S)
