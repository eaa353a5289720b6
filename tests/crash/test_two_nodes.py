"""Two Ray nodes on one Redis: the node of a period actor dies, or stops and goes on, and the period lives on.

The server is on the first node, with the supervisor; boards are made until one has its actor on the second.
Besides the gateway, which follows the routes, a stale one writes straight to the old actor all the time: from
the first write that the new actor takes on, the old one acknowledges nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import NamedTuple

import psutil

from lbactors.core.ids import chain_id
from tests.support.crash.direct import DirectApi
from tests.support.crash.nodes import HEARD_WITHIN_S, Nodes
from tests.support.crash.readers import Reader, compare, live_reader, standings_of
from tests.support.crash.writers import DISCONNECTED, OK, Api, Ledger, Load
from tests.support.figures import Note
from tests.support.redis_server import RedisServer, until
from tests.support.server_process import ROOT_KEY, MakeServer

BOARDS = 16  # made at most until one is on the second node: the chance that none is, 1 in 65 000
BACK_WITHIN_S = 45.0  # Ray takes 2 to 3 s to notice; a busy test machine is slower
BACK_AT_LAST_S = 60.0


class Home(NamedTuple):
    """Where a board's chain lives."""

    chain_id: str
    actor: str
    process: psutil.Process


class Boards(NamedTuple):
    """A board as the gateway writes it, as a stale one does, its reader, and where Redis has its epoch."""

    ledger: Ledger
    stale: Ledger
    reader: Reader
    period: str


async def home_of(api: Api, ledger: Ledger) -> Home:
    await ledger.post(ledger.make(20), single=False)
    status = await api.status()
    for actor in status["actors"]:
        for board in actor["leaderboards"]:
            if board["leaderboard_id"] == ledger.board_id:
                main = chain_id(board["tenant_id"], ledger.board_id, board["uid"], "main")
                return Home(main, actor["name"], psutil.Process(actor["pid"]))
    raise AssertionError(f"{ledger.board_id} is nowhere: {status}")


async def board_on(api: Api, node: psutil.Process, rng: random.Random) -> tuple[Ledger, Home]:
    """A new board whose actor is a process of this node: Ray puts them anywhere."""
    for _ in range(BOARDS):
        ledger = Ledger(api, "sum", rng, players=100)
        await ledger.create()
        home = await home_of(api, ledger)
        if home.process.ppid() == node.pid:
            return ledger, home
    raise AssertionError(f"none of {BOARDS} boards is on node {node.pid}")


async def lose(node: psutil.Process, how: str) -> list[psutil.Process]:
    """Kill a node's raylet, so that the actor there is an orphan that goes on, as beyond a broken network; or
    stop all processes of the node. Which they are.
    """
    processes = [node, *node.children(recursive=True)]
    if how == "killed":
        node.kill()
    else:
        for process in processes:
            process.suspend()
    return processes


async def test_a_node_is_lost(
    make_server: MakeServer, redis: RedisServer, nodes: Nodes, rng: random.Random, note: Note
) -> None:
    address = await nodes.hear("head")
    server = make_server(ROOT_KEY, "--store", redis.url, "--ray-address", address, "--spare-actors", "0")
    server.variables["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray is found at 127.0.0.1
    await server.start()
    async with Api(server.url, server.key) as api:
        calm = Ledger(api, "best", rng)  # on the first node: there is no other yet
        await calm.create()
        await calm.post(calm.make(50), single=False)
        bystander = live_reader(calm)
        async with bystander, Load(calm, patient=(1,)):
            for how in ("killed", "stopped"):
                node = await nodes.add()
                ledger, home = await board_on(api, node, rng)
                endpoint = await nodes.ask(f"endpoint {home.actor}", "endpoint")
                stale = ledger.beside(DirectApi(bytes.fromhex(endpoint), home.chain_id), "stale")
                reader = live_reader(ledger)
                boards = Boards(ledger, stale, reader, f"{{lbactors:p:{home.chain_id}/1}}h")
                async with reader:
                    await lose_and_recover(node, how, boards, redis, rng, note)
                reader.check()
                stale.api = api
                for each in (ledger, stale):
                    await each.resend()
                compare(await standings_of(ledger), ledger, stale)
                for each in (ledger, stale):
                    await each.repeat()
                compare(await standings_of(ledger), ledger, stale)
    bystander.check()
    assert not (told := bystander.events.strange(0, 0)), told[:5]
    assert not (told := calm.events.strange(0, 0)), told[:5]


async def lose_and_recover(
    node: psutil.Process,
    how: str,
    boards: Boards,
    redis: RedisServer,
    rng: random.Random,
    note: Note,
) -> None:
    """Under load; the old actor may go on until another one has the epoch, and no longer."""
    ledger, stale, reader, period = boards

    def epoch() -> int:
        return int(redis.command("HGET", period, "e"))

    async with Load(ledger, patient=(1, 20), hasty=(1,)), Load(stale, patient=(), hasty=(1, 1, 20)):
        await stale.events.success_after(0, HEARD_WITHIN_S)  # it has reached the actor
        await asyncio.sleep(rng.uniform(0.3, 1.0))
        before = epoch()
        processes = await lose(node, how)
        lost_s = time.monotonic()
        await until(lambda: epoch() > before, "another activation", BACK_AT_LAST_S)
        taken_s = time.monotonic()
        # What is acknowledged through the routes from here on is the new one's.
        written_s = taken_s + await ledger.events.success_after(taken_s, BACK_AT_LAST_S)
        read_s = taken_s + await reader.events.success_after(taken_s, BACK_AT_LAST_S)
        await asyncio.sleep(rng.uniform(0.3, 1.0))
        went_on_s = time.monotonic()
        if how == "stopped":
            for process in processes:
                process.resume()
        await until(lambda: over(stale, went_on_s), "the end of the old one", BACK_AT_LAST_S)
    waits = [f"{what} {at_s - lost_s:.1f} s" for what, at_s in (("write", written_s), ("read", read_s))]
    note(f"node {how}: another activation after {taken_s - lost_s:.1f} s, {', '.join(waits)}")
    late = [event for event in stale.events.all if event.how == OK and event.ended_s >= written_s]
    assert not late, f"acknowledged beside the new one: {late[:5]}"
    assert max(written_s, read_s) - lost_s < BACK_WITHIN_S


def over(stale: Ledger, since_s: float) -> bool:
    """Whether the old actor, asked since then, said that the period is not there, or is not there itself."""
    return any(e.how in ("period_loading", DISCONNECTED) and e.sent_s >= since_s for e in stale.events.all)
