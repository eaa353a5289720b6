"""kill -9 of whatever there is while rows of a metric and events come in: every acknowledged one is in its
log once, and on every leaderboard that is computed from it once; balances are exact and never below zero.

As in `test_random_kills`, a plan is drawn from the seed. Here it names the actors of logs and those of
leaderboards, so that both die often.

LBACTORS_CRASH_KILLS: how many kills for each store (10, in the long form 32). LBACTORS_CRASH_SEED: the plan.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random

from tests.support.crash.killer import BACK_WITHIN_S, SourcesKiller, make_plan
from tests.support.crash.log_audit import balance_reader, settle_and_audit
from tests.support.crash.log_writers import (
    RULES,
    EventLedger,
    LogLedger,
    Projection,
    RowLedger,
    awarded,
    changed,
    counted,
    played,
    scored,
)
from tests.support.crash.readers import live_reader
from tests.support.crash.writers import DISCONNECTED, OK, Api, Load
from tests.support.figures import Note
from tests.support.redis_server import RedisServer
from tests.support.rounds import long, rounds
from tests.support.server_process import ROOT_KEY, MakeServer, Server

KILLS = int(os.environ.get("LBACTORS_CRASH_KILLS") or rounds(10, 32))
CHAPTER = 8
WHOLE_EVERY = 8
WEIGHTS = {"log": 5, "board": 5, "supervisor": 3, "gateway": 2, "redis": 5}
WAITED_FOR = 0.4
PAUSE_S = (0.02, 0.8)
READ_PAUSE_S = 0.05
MAY_BE_TOLD = {OK, DISCONNECTED, "period_loading", "storage_unavailable", "insufficient_balance"}
WINDOWS = ["hourly"]


class Sources:
    """A metric with three leaderboards and events with two, and who reads them."""

    def __init__(self, api: Api, rng: random.Random) -> None:
        self.rows, self.events = RowLedger(api, rng), EventLedger(api, rng)
        self.ledgers: tuple[LogLedger, ...] = (self.rows, self.events)
        self.earned = Projection(api, "earned", awarded)
        self.balance = Projection(api, "balance", changed)
        self.awards = Projection(api, "awards", counted)
        self.points = Projection(api, "points", scored)
        self.matches = Projection(api, "matches", played)
        self.rows.boards = [self.earned, self.balance, self.awards]
        self.events.boards = [self.points, self.matches]
        self.windows = {
            self.earned.board_id: ("main", *WINDOWS),
            self.balance.board_id: ("main",),
            self.awards.board_id: ("main",),
            self.points.board_id: ("main", *WINDOWS),
            self.matches.board_id: ("main",),
        }
        growing = (self.earned, self.awards, self.points, self.matches)
        self.readers = [live_reader(board, "main", READ_PAUSE_S) for board in growing]  # type: ignore[arg-type]
        self.readers.append(balance_reader(self.rows, rng, READ_PAUSE_S))

    async def create(self) -> None:
        metric = {"source": "metric", "metric": self.rows.metric, "aggregation": "sum"}
        await self.earned.create(scoring=metric, windows=WINDOWS)
        await self.balance.create(scoring={**metric, "basis": "balance"})
        await self.awards.create(scoring={**metric, "aggregation": "count"})
        events = {"source": "events", "rules": RULES}
        await self.points.create(scoring={**events, "aggregation": "sum"}, windows=WINDOWS)
        matches = [{"event_type": "match", "points_expression": "1"}]
        await self.matches.create(scoring={**events, "rules": matches, "aggregation": "count"})
        for ledger in self.ledgers:
            await ledger.fill(50, 50)

    async def settle(self, where: str) -> None:
        for ledger in self.ledgers:
            await settle_and_audit(ledger, self.windows, where)
        for reader in self.readers:
            reader.check()


@long
async def test_kills_while_logs_are_written(
    make_server: MakeServer, storage: RedisServer | None, rng: random.Random, note: Note
) -> None:
    often = ("--snapshot-seconds", "0.5", "--spare-actors", "0")
    server = make_server(ROOT_KEY, "--gateways", "2", *often, *(("--store", storage.url) if storage else ()))
    await server.start()
    killer = SourcesKiller(server, storage, rng)
    weights = {kind: weight for kind, weight in WEIGHTS.items() if kind != "redis" or storage}
    plan = make_plan(rng, KILLS, weights, WHOLE_EVERY)
    where = f"sqlite:{server.data_dir}" if storage is None else storage.url
    async with Api(server.url, server.key) as api, contextlib.AsyncExitStack() as stack:
        sources = Sources(api, rng)
        await sources.create()
        for reader in sources.readers:
            await stack.enter_async_context(reader)
        await stack.enter_async_context(killer.watching(api))

        async def back() -> None:
            await killer.settled()
            for told in (*sources.ledgers, *sources.readers):
                await told.events.success_after(killer.last_s, BACK_WITHIN_S)

        while plan:
            before = killer.killed.total()
            async with Load(*sources.ledgers, patient=(1, 20), hasty=(1,)):  # type: ignore[arg-type]
                await asyncio.sleep(rng.uniform(0.3, 1.0))
                while plan and killer.killed.total() < before + CHAPTER:
                    await killer.kill(plan.pop())
                    if rng.random() < WAITED_FOR:
                        await back()
                    else:
                        await asyncio.sleep(rng.uniform(*PAUSE_S))
                await back()
            await sources.settle(where)
    assert killer.killed.total() == KILLS
    for told in (*sources.ledgers, *sources.readers):
        strange = [event for event in told.events.all if event.how not in MAY_BE_TOLD]
        assert not strange, strange[:5]
    store = "sqlite" if storage is None else "redis"
    kinds = ", ".join(f"{count} {kind}" for kind, count in killer.killed.most_common())
    counts = f"{len(sources.rows.acknowledged)} rows and {len(sources.events.acknowledged)} events"
    refused = len(sources.rows.refused)
    note(f"{store}: {KILLS} kills ({kinds}), {counts} each on every board once, {refused} refused")


# Two gateways, one balance ---------------------------------------------------------------------------------

COINS = 20_000
CLIENTS = 16
MOST = 400
ANSWERED_WITHIN_S = 60.0


async def spend(server: Server, metric: str, number: int, rng: random.Random) -> tuple[list, list[int]]:
    """Deduct until the balance covers nothing more: (seq, amount, balance) of what was accepted, and the
    amounts of what was refused. Each client has connections of its own, and so one gateway or the other.
    """
    accepted, refused = [], []
    async with Api(server.url, server.key) as api, asyncio.timeout(ANSWERED_WITHIN_S):
        turn = 0
        while True:
            turn += 1
            amount = rng.randint(1, MOST)
            row = {"player_id": "p", "kind": "deduct", "score": amount, "submission_id": f"{number}:{turn}"}
            found = await api.ok(
                "POST",
                f"/v1/metrics/{metric}",
                [row],
                results="full",
                passing=("period_loading", "storage_unavailable", DISCONNECTED),
            )
            if found["errors"]:
                (error,) = found["errors"]
                assert error["code"] == "insufficient_balance", error
                refused.append(amount)
                if amount == 1 or len(refused) > 20:
                    return accepted, refused
                continue
            (result,) = found["results"]
            accepted.append((result["seq"], amount, None if result["duplicate"] else result["balance"]))


async def test_two_gateways_deduct_from_one_balance(
    make_server: MakeServer, storage: RedisServer | None, rng: random.Random
) -> None:
    """Also while the log's actor dies: never overdrawn, and what was accepted fits exactly, one after the
    other.
    """
    where = () if storage is None else ("--store", storage.url)
    server = make_server(ROOT_KEY, "--gateways", "2", "--spare-actors", "0", *where)
    await server.start()
    killer = SourcesKiller(server, storage, rng)
    async with Api(server.url, server.key) as api:
        ledger = RowLedger(api, rng)
        first = {"player_id": "p", "score": COINS}
        begun = await api.ok("POST", ledger.path, first, passing=("period_loading", "storage_unavailable"))
        assert begun["balance"] == COINS
        async with killer.watching(api), asyncio.TaskGroup() as group:
            clients = [
                group.create_task(spend(server, ledger.metric, number, random.Random(rng.random())))
                for number in range(CLIENTS)
            ]
            await asyncio.sleep(rng.uniform(0.05, 0.3))
            await killer.kill(("log",))
        spent = sorted(row for client in clients for row in client.result()[0])
        balance = COINS
        for seq, amount, told in spent:
            balance -= amount
            assert balance >= 0, f"overdrawn at {seq}"
            assert told in (None, balance), f"at {seq}: told {told}, not {balance}"
        found = await api.ok("GET", f"{ledger.path}/players/p", passing=("period_loading",))
        assert (found["balance"], found["spent"]) == (balance, COINS - balance), found
        assert found["transactions"] == 1 + len(spent)
        refused = [amount for client in clients for amount in client.result()[1]]
        assert min(refused) > balance, "refused, although the balance covered it"
    assert killer.killed.total() == 1
