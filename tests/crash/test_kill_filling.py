"""Leaderboards that are made after their rows, and are filled from the log while processes die: nothing is
shown before it is all there, and then it is exact.

The fill is slowed down, so that deaths come in the middle of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Any

import pytest

from tests.support.crash.kill_orders import Orders
from tests.support.crash.log_audit import check_answers, check_board, settle_and_audit, until_live
from tests.support.crash.log_writers import (
    RULES,
    EventLedger,
    LogLedger,
    Projection,
    RowLedger,
    awarded,
    changed,
    scored,
)
from tests.support.crash.readers import Reader, live_reader
from tests.support.crash.writers import DISCONNECTED, OK, Api, Item, Load
from tests.support.figures import Note
from tests.support.redis_server import RedisServer, until
from tests.support.rounds import long, of, rounds
from tests.support.server_process import NO_SPARE, ROOT_KEY, MakeServer, Server

ROWS, EVENTS, AT_ONCE = 20_000, 10_000, 100
PLAYERS = 200
KILLS = rounds(3, 6)
FOLLOWER = "lbactors.period_actor.follower"
SLOW = f"{FOLLOWER}:NOTED_ROWS=500 {FOLLOWER}:FAR_ROWS=500 {FOLLOWER}:FILL_PAUSES=20 {FOLLOWER}:FILL_INPUTS="
WITHIN_S = 60.0
PASSING = ("period_loading", "storage_unavailable", DISCONNECTED)
LOOK_S = 0.05
MAY_BE_TOLD = {OK, "period_loading", "storage_unavailable", "insufficient_balance"}


class Progress:
    """What a leaderboard says of itself, looked at all the time inside `async with`."""

    def __init__(self, board: Projection) -> None:
        self.board = board
        self.told: list[dict[str, Any]] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Progress:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        if self._task.done():
            self._task.result()  # what it died of
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            found = await self.board.status()
            if found is not None:
                self.told.append(found)
            await asyncio.sleep(LOOK_S)

    async def goes_on(self) -> None:
        """Wait until the fill has come further than it is now, and is not over."""
        self.told.clear()

        def further() -> bool:
            filling = [told for told in self.told if told["state"] == "filling"]
            assert not any(told["state"] == "live" for told in self.told), "it was filled before the kill"
            return bool(filling) and filling[-1]["rows_read"] > filling[0]["rows_read"]

        await until(further, "the fill goes on", WITHIN_S)

    @property
    def states(self) -> list[str]:
        """In order, without repetitions."""
        found = [told["state"] for told in self.told]
        return [state for state, before in zip(found, ["", *found], strict=False) if state != before]


async def kill_actor_of(server: Server, api: Api, board: Projection) -> None:
    """The process that hosts a leaderboard, waited for if it is just being started."""

    async def pid() -> int:
        status = await api.status()
        for actor in status["actors"]:
            if any(b["leaderboard_id"] == board.board_id for b in actor["leaderboards"]):
                return actor["pid"] if actor["pid"] in server.actors() else 0
        return 0

    server.kill_one(await until(pid, f"the actor of {board.board_id}", WITHIN_S))


async def kill_supervisor(server: Server) -> None:
    (pid,) = await until(server.supervisors, "the supervisor", WITHIN_S)
    server.kill_one(pid)


def full_at_once(board: Projection, ledger: LogLedger) -> Reader:
    """A reader to whom a leaderboard must show at least what is in its log by now, or nothing."""
    board.floor = {player_id: score for player_id, score, _ in board.expected(ledger.rows())}
    return live_reader(board, "main", LOOK_S)  # type: ignore[arg-type]


@long
@pytest.mark.parametrize("storage", of(["sqlite", "redis"], ["sqlite"]), indirect=True)
async def test_deaths_while_a_leaderboard_is_filled(
    make_server: MakeServer, storage: RedisServer | None, rng: random.Random, note: Note
) -> None:
    server = make_server(ROOT_KEY, *NO_SPARE, *(("--store", storage.url) if storage else ()))
    Orders(server, f"{SLOW}400")
    await server.start()
    where = f"sqlite:{server.data_dir}" if storage is None else storage.url
    async with Api(server.url, server.key) as api:
        ledger = RowLedger(api, rng, PLAYERS)
        await ledger.fill(ROWS, AT_ONCE)
        board, balance = Projection(api, "late", awarded), Projection(api, "balance", changed)
        reader = full_at_once(board, ledger)
        metric = {"source": "metric", "metric": ledger.metric, "aggregation": "sum"}
        began_s = time.monotonic()
        await board.create(scoring=metric, windows=["hourly"])
        ledger.boards.append(board)
        async with Load(ledger, patient=(5,)), reader, Progress(board) as progress:  # type: ignore[arg-type]
            for number in range(KILLS):
                await progress.goes_on()
                if number % 3 == 1:
                    await kill_supervisor(server)
                await kill_actor_of(server, api, board)
            progress.told.clear()
            await until(lambda: "live" in progress.states, "it is filled", WITHIN_S)
            before = progress.states[: progress.states.index("live")]
            assert before and set(before) <= {"filling", "behind"}, progress.states
            await reader.events.success_after(time.monotonic(), WITHIN_S)
        note(f"filled in {time.monotonic() - began_s:.1f} s over {KILLS} deaths of its actor")
        reader.check()
        await balance.create(scoring={**metric, "basis": "balance"})
        ledger.boards.append(balance)
        windows = {board.board_id: ("main", "hourly"), balance.board_id: ("main",)}
        await settle_and_audit(ledger, windows, where)
    for told in (ledger, reader):
        strange = [event for event in told.events.all if event.how not in MAY_BE_TOLD]
        assert not strange, strange[:5]


def doubled(item: Item) -> int | None:
    """What an event is worth by OTHER_RULES."""
    return int(item["attrs"]["points"]) * 2 if item["event_type"] == "chat" else None


OTHER_RULES = [{"event_type": "chat", "points_expression": "attrs.points * 2"}]


async def patch(board: Projection, worth: Any, rules: list[dict[str, Any]]) -> None:
    """Change the rules, asked for again while nobody is there to do it."""
    board.worth = worth
    await board.api.ok("PATCH", board.path, {"scoring": {"rules": rules}}, passing=PASSING)


CHANGES = (
    ((doubled, OTHER_RULES, False),),
    ((doubled, OTHER_RULES, True), (scored, RULES, True)),
)


async def test_rules_are_changed_while_a_leaderboard_is_filled(
    make_server: MakeServer, rng: random.Random
) -> None:
    """Once; and twice, and its actor dies each time. Whatever is shown goes by the rules that hold."""
    server = make_server(ROOT_KEY, *NO_SPARE)
    Orders(server, f"{SLOW}100")
    await server.start()
    async with Api(server.url, server.key) as api:
        ledger = EventLedger(api, rng, PLAYERS)
        await ledger.fill(EVENTS, AT_ONCE)
        assert len(ledger.acknowledged) == EVENTS
        for changes in CHANGES:
            board = Projection(api, "points", scored)
            scoring = {"source": "events", "aggregation": "sum", "backfill": True, "rules": RULES}
            await board.create(scoring=scoring, windows=["hourly"])
            ledger.boards.append(board)
            async with Progress(board) as progress:
                for worth, rules, dies in changes:
                    await progress.goes_on()
                    await patch(board, worth, rules)
                    if dies:
                        with contextlib.suppress(ProcessLookupError):
                            await kill_actor_of(server, api, board)
                # The first that is shown at all.
                await api.ok("GET", f"{board.path}/rankings", limit=1, passing=PASSING)
                await check_board(board, ledger, "main")
            await until_live(board)
            await check_board(board, ledger, "main", "hourly")
        await ledger.fill(AT_ONCE, AT_ONCE)
        for board in ledger.boards:
            await until_live(board)
            await check_board(board, ledger, "main", "hourly")
        check_answers(ledger)
