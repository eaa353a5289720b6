"""Hours end while rows come in and processes die: a leaderboard's actor, its log's, the supervisor, all of
them. No row is lost between two periods or counted in both, and closed periods are exact.
"""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from lbactors.clock import Clock
from tests.support.crash.kill_orders import Orders, Step
from tests.support.crash.killer import SourcesKiller
from tests.support.crash.log_audit import check_answers, check_board, check_log, check_periods, until_live
from tests.support.crash.log_writers import (
    RULES,
    EventLedger,
    LogLedger,
    Projection,
    RowLedger,
    awarded,
    scored,
)
from tests.support.crash.readers import PASSING
from tests.support.crash.writers import DISCONNECTED, OK, Api, Item, Load, wire
from tests.support.figures import Note
from tests.support.redis_server import RedisServer, until
from tests.support.rounds import long, of
from tests.support.server_process import NO_SPARE, ROOT_KEY, MakeServer, Server

HOUR_MS = 3_600_000
OPENED_BEFORE_MS = 25_000  # by then the next hour is opened
SEALED_AFTER_MS = 28_000  # grace, linger and spread
GRACE_MS = 5_000
DAY_S = 86_400
TIMED = 0.2  # part of the rows that say when they happened
WITHIN_S = 60.0
VICTIMS = of(
    [("board",), ("log",), ("supervisor",), ("board", "log"), ("supervisor", "board"), ("everything",)] * 2,
    [("board",), ("log",), ("supervisor",), ("everything",)],
)
OF_LOGS = ("PeriodActor.tick",)
STEPS = of(
    [
        *(Step(when, "PeriodActor.tick") for when in ("before", "after")),
        *(Step(when, "Follower.read_to") for when in ("before", "after")),
        *(Step(when, "Chain.seal") for when in ("before", "after")),
        *(Step(when, "Lifecycle._log_seq") for when in ("before", "after")),
    ],
    [Step("after", "PeriodActor.tick"), Step("after", "Follower.read_to")],
)
MAY_BE_TOLD = {OK, DISCONNECTED, "period_loading", "storage_unavailable", "insufficient_balance"}


class Timed:
    """Rows of which some say that they happened a few seconds ago."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock, self._rng = clock, rng

    def __call__(self, body: Item) -> Item:
        if self._rng.random() >= TIMED:
            return body
        return {**body, "occurred_at": wire(self._clock.now_ms() - self._rng.randrange(2 * GRACE_MS))}


class TimedRows(RowLedger):
    def __init__(self, api: Api, rng: random.Random, timed: Timed) -> None:
        super().__init__(api, rng)
        self._timed = timed

    def body(self) -> Item:
        return self._timed(super().body())


class TimedEvents(EventLedger):
    def __init__(self, api: Api, rng: random.Random, timed: Timed) -> None:
        super().__init__(api, rng)
        self._timed = timed

    def body(self) -> Item:
        return self._timed(super().body())


async def until_opened(board: Projection, at_ms: int) -> None:
    """Wait for the period that begins at an instant."""

    async def is_opened() -> bool:
        listed = await board.api.ok("GET", f"{board.path}/periods", limit=5, passing=PASSING)
        return any(period["starts_at"] == wire(at_ms) for period in listed["items"])

    await until(is_opened, "the next hour is opened", WITHIN_S)


async def until_closed(board: Projection, at_ms: int) -> None:
    """Wait until the period that ends at an instant is closed."""

    async def is_closed() -> bool:
        listed = await board.api.ok("GET", f"{board.path}/periods", limit=5, passing=PASSING)
        return any((p["ends_at"], p["state"]) == (wire(at_ms), "closed") for p in listed["items"])

    await until(is_closed, f"the hour up to {wire(at_ms)} is closed", WITHIN_S)


class Hours:
    """A server's clock, a metric and events, and for each of them a leaderboard whose periods are hours."""

    def __init__(self, server: Server, api: Api, rng: random.Random) -> None:
        self.clock = Clock(str(server.folder / "clock"))
        timed = Timed(self.clock, rng)
        self.rows, self.events = TimedRows(api, rng, timed), TimedEvents(api, rng, timed)
        earned, points = Projection(api, "earned", awarded), Projection(api, "points", scored)
        self.ledgers: list[tuple[LogLedger, Projection]] = [(self.rows, earned), (self.events, points)]

    async def create(self) -> None:
        self.clock.move(HOUR_MS - self.clock.now_ms() % HOUR_MS + HOUR_MS // 2)
        frame = {"type": "hourly", "late_grace_seconds": GRACE_MS // 1000, "retain_periods": 1000}
        sources = {"source": "metric", "metric": self.rows.metric}, {"source": "events", "rules": RULES}
        for (ledger, board), source in zip(self.ledgers, sources, strict=True):
            scoring = {**source, "aggregation": "sum"}
            await board.create(scoring=scoring, timeframe=frame, windows=["all_time"])
            ledger.boards.append(board)

    def load(self) -> Load:
        return Load(self.rows, self.events, patient=(1, 10), hasty=(1,))  # type: ignore[arg-type]

    def ends_ms(self) -> int:
        """Of the hour that it is."""
        return self.clock.now_ms() // HOUR_MS * HOUR_MS + HOUR_MS

    def go_to(self, at_ms: int) -> None:
        """Move the clock, but not back."""
        self.clock.move(max(at_ms - self.clock.now_ms(), 0))

    async def opened(self, at_ms: int) -> None:
        """Wait until the hour that begins then is open on every board."""
        for _, board in self.ledgers:
            await until_opened(board, at_ms)

    async def written(self, instant_s: float) -> None:
        """Wait for a success after that, in every log."""
        for ledger, _ in self.ledgers:
            await ledger.events.success_after(instant_s, WITHIN_S)

    async def closed(self, at_ms: int) -> None:
        """Wait until the hour that ends then is closed on every board."""
        for _, board in self.ledgers:
            await until_closed(board, at_ms)

    async def check(self, url: str, hours: int) -> str:
        """Fail unless every row is where it belongs, once. hours: so many have rows, or more. A note."""
        counts = []
        for ledger, board in self.ledgers:
            await ledger.resend()
            await until_live(board)
            found = await check_log(ledger, url)
            await check_board(board, ledger, "all_time")
            used = await check_periods(board, ledger, found, GRACE_MS)
            assert used >= hours
            check_answers(ledger)
            strange = [event for event in ledger.events.all if event.how not in MAY_BE_TOLD]
            assert not strange, strange[:5]
            counts.append(str(len(found)))
        return f"{' and '.join(counts)} rows over {hours} hours"


def hourly_server(make_server: MakeServer, *options: str) -> Server:
    """With a clock that tests move; to be started."""
    server = make_server(ROOT_KEY, *NO_SPARE, *options)
    server.variables |= {
        "LBACTORS_CLOCK_FILE": str(server.folder / "clock"),
        "LBACTORS_IDLE_UNLOAD_SECONDS": str(7 * DAY_S),
        "LBACTORS_SNAPSHOT_SECONDS": "1",
    }
    return server


@long
@pytest.mark.parametrize("storage", of(["sqlite", "redis"], ["sqlite"]), indirect=True)
async def test_deaths_when_hours_end(
    make_server: MakeServer, storage: RedisServer | None, rng: random.Random, note: Note
) -> None:
    where = () if storage is None else ("--store", storage.url)
    server = hourly_server(make_server, *where)
    await server.start()
    killer = SourcesKiller(server, storage, rng)
    async with Api(server.url, server.key) as api:
        hours = Hours(server, api, rng)
        await hours.create()
        async with killer.watching(api), hours.load():
            for turn, victims in enumerate(VICTIMS):
                ends_ms = hours.ends_ms()
                if turn % 3 != 2:  # else the next hour is not opened in time
                    hours.go_to(ends_ms - OPENED_BEFORE_MS)
                    await hours.opened(ends_ms)
                hours.go_to(ends_ms - rng.randrange(1000))
                await asyncio.sleep(rng.uniform(0.0, 1.0))
                await killer.kill(victims)
                await hours.written(killer.last_s)
                hours.go_to(ends_ms + SEALED_AFTER_MS)
                await asyncio.sleep(rng.uniform(0.0, 1.0))
                await killer.kill(victims)
                await hours.closed(ends_ms)
                await hours.written(killer.last_s)
                hours.clock.move(HOUR_MS // 2)
        url = f"sqlite:{server.data_dir}" if storage is None else storage.url
        told = await hours.check(url, len(VICTIMS) + 1)
    note(f"{told}, {killer.killed.total()} processes killed at their ends")


@long
async def test_a_death_at_a_step_of_an_hours_end(
    make_server: MakeServer, rng: random.Random, note: Note
) -> None:
    """The log notes how far it went, the board reads up to there, and is sealed."""
    server = hourly_server(make_server)
    orders = Orders(server)
    await server.start()
    async with Api(server.url, server.key) as api:
        hours = Hours(server, api, rng)
        await hours.create()
        async with hours.load():
            for step in STEPS:
                ends_ms = hours.ends_ms()
                hours.go_to(ends_ms - OPENED_BEFORE_MS)
                await hours.opened(ends_ms)
                board = hours.ledgers[0][1]
                orders.give(step, hours.rows.metric if step.call in OF_LOGS else board.board_id)
                hours.go_to(ends_ms + SEALED_AFTER_MS)
                await orders.carried_out(WITHIN_S)
                died_s = time.monotonic()
                await hours.closed(ends_ms)
                await hours.written(died_s)
                hours.clock.move(HOUR_MS // 2)
        note(await hours.check(f"sqlite:{server.data_dir}", len(STEPS) + 1))
