"""A leaderboard that is held back for longer than submission ids are remembered: it reads on from its own
place, and has every row once. Its actor stands still, and then goes on, or dies.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
from typing import Any

import pytest

from lbactors.clock import Clock
from tests.support.crash.kill_orders import Orders
from tests.support.crash.log_audit import (
    check_answers,
    check_board,
    check_log,
    check_periods,
    first_kept,
    until_live,
)
from tests.support.crash.log_writers import Projection, RowLedger, awarded
from tests.support.crash.readers import PASSING
from tests.support.crash.writers import Api
from tests.support.redis_server import RedisServer, until
from tests.support.rounds import long, of
from tests.support.server_process import NO_SPARE, ROOT_KEY, MakeServer, Server

HOUR_MS = 3_600_000
TURNS, TURN_MS = 4, 8 * HOUR_MS  # longer than a day, for which ids are known
ROWS, AT_ONCE = 80, 40
IDS = 100  # remembered at most
GRACE_S = 5
WITHIN_S = 60.0
DAY_S = 86_400
FOLLOWER, LOGS = "lbactors.period_actor.follower", "lbactors.supervisor.logs"
SLOW = f"{FOLLOWER}:FILL_INPUTS=1 {FOLLOWER}:FAR_ROWS={AT_ONCE // 2} {FOLLOWER}:FILL_PAUSES=50"
TRIMS = f"{LOGS}:FIRST_TRIM_S=1 {LOGS}:TRIM_EVERY_S=1"


async def actor_of(server: Server, api: Api, name: str) -> int:
    """The process that hosts a leaderboard or a metric's log."""

    async def pid() -> int:
        for actor in (await api.status())["actors"]:
            names = [board["leaderboard_id"] for board in actor["leaderboards"]]
            names += [log["metric"] for log in actor["logs"]]
            if name in names:
                return actor["pid"] if actor["pid"] in server.actors() else 0
        return 0

    found: int = await until(pid, f"the actor of {name}", WITHIN_S)
    return found


async def stop_between_turns(server: Server, pid: int) -> None:
    """SIGSTOP, but with SQLite not while the process has its turn to write: nobody else could then."""

    def stopped() -> bool:
        os.kill(pid, signal.SIGSTOP)
        lock = server.data_dir / "write.lock"
        if not lock.exists():
            return True
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.kill(pid, signal.SIGCONT)
                return False
        return True

    await until(stopped, "the process is stopped between two turns")


async def site(server: Server, **variables: str) -> Clock:
    """Start a server with a clock, half an hour into an hour; what is not used stays where it is."""
    server.variables |= {
        "LBACTORS_CLOCK_FILE": str(server.folder / "clock"),
        "LBACTORS_IDLE_UNLOAD_SECONDS": str(7 * DAY_S),
        "LBACTORS_SEEN_IDS_LIMIT": str(IDS),
        "LBACTORS_BEHIND_WAIT_SECONDS": "0.5",  # so long is waited for the one that is held back
        **variables,
    }
    await server.start()
    clock = Clock(str(server.folder / "clock"))
    clock.move(HOUR_MS - clock.now_ms() % HOUR_MS + HOUR_MS // 2)
    return clock


async def two_boards(ledger: RowLedger, **frame: Any) -> tuple[Projection, Projection]:
    """Of rows that are there: one that will be held back, and one that will not."""
    await ledger.fill(ROWS, AT_ONCE)
    boards = Projection(ledger.api, "held", awarded), Projection(ledger.api, "free", awarded)
    scoring = {"source": "metric", "metric": ledger.metric, "aggregation": "sum"}
    for board in boards:
        await board.create(scoring=scoring, **frame)
        ledger.boards.append(board)
    await until_live(*boards)
    return boards


async def hold_back(
    server: Server,
    clock: Clock,
    ledger: RowLedger,
    boards: tuple[Projection, Projection],
    whole: str,
    how: str,
) -> None:
    """Let the first board's actor stand still for longer than a day, in which rows come in, and the other
    board takes them; then it goes on, or dies. whole: the window that has all rows.
    """
    api = ledger.api
    held, free = boards
    pid = await actor_of(server, api, held.board_id)
    others = [await actor_of(server, api, name) for name in (ledger.metric, free.board_id)]
    assert pid not in others, "it has no actor of its own"
    await stop_between_turns(server, pid)
    for _ in range(TURNS):
        ledger.behind.clear()
        await ledger.fill(ROWS, AT_ONCE)
        assert held.board_id in ledger.behind
        await until_live(free)
        await check_board(free, ledger, whole)
        clock.move(TURN_MS)
    if how == "goes on":
        os.kill(pid, signal.SIGCONT)
    else:
        server.kill_one(pid)


@long
@pytest.mark.parametrize("storage", of(["sqlite", "redis"], ["sqlite"]), indirect=True)
async def test_a_leaderboard_is_held_back(
    make_server: MakeServer, storage: RedisServer | None, rng: random.Random
) -> None:
    where = () if storage is None else ("--store", storage.url)
    server = make_server(ROOT_KEY, *NO_SPARE, *where)
    clock = await site(server)
    url = f"sqlite:{server.data_dir}" if storage is None else storage.url
    async with Api(server.url, server.key) as api:
        ledger = RowLedger(api, rng)
        frame = {"type": "hourly", "late_grace_seconds": GRACE_S, "retain_periods": 1000}
        boards = await two_boards(ledger, timeframe=frame, windows=["all_time"])
        for how in ("goes on", "dies"):
            await hold_back(server, clock, ledger, boards, "all_time", how)
            await ledger.fill(ROWS, AT_ONCE)
            assert not ledger.unknown
            await until_live(*boards)
            found = await check_log(ledger, url)
            for board in boards:
                await check_board(board, ledger, "all_time")
                await until(lambda board=board: is_closed_up(board, clock), "periods close", WITHIN_S)
                assert await check_periods(board, ledger, found, GRACE_S * 1000) >= TURNS
        check_answers(ledger)


async def test_rows_are_kept_for_a_leaderboard_that_is_held_back(
    make_server: MakeServer, rng: random.Random
) -> None:
    """For longer than rows are kept that all have read; and while it reads them, slowly."""
    server = make_server(ROOT_KEY, *NO_SPARE)
    Orders(server, f"{SLOW} {TRIMS}")
    clock = await site(server, LBACTORS_METRIC_RETAIN_DAYS="1")
    url = f"sqlite:{server.data_dir}"
    async with Api(server.url, server.key) as api:
        ledger = RowLedger(api, rng)
        boards = await two_boards(ledger)
        for how in ("goes on", "dies"):
            await hold_back(server, clock, ledger, boards, "main", how)
            await until_live(*boards)
            for board in boards:
                await check_board(board, ledger, "main")
        before = len(ledger.acknowledged) - ROWS

        async def is_trimmed() -> bool:
            return await first_kept(ledger, url) > before // 2

        await until(is_trimmed, "old rows go at last", WITHIN_S)
        for board in boards:
            await check_board(board, ledger, "main")


async def is_closed_up(board: Projection, clock: Clock) -> bool:
    """Whether all periods that are over are closed, and there is one of now."""
    listed = await board.api.ok("GET", f"{board.path}/periods", limit=1000, passing=PASSING)
    states = [period["state"] for period in listed["items"] if period["state"] != "pending"]
    return states[:1] == ["active"] and set(states[1:]) <= {"closed"}
