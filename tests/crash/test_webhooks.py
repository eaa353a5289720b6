"""Webhooks over downtime and deaths, on a whole server: every event of every boundary, in order.

Verified: after hours in which the server was dead, and minutes in which the receiver was, each missed period
is told of as opened, closing and closed, in the order of time, and nothing comes twice that was confirmed;
with the supervisor killed again and again, an event may come twice, but none is lost or out of order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from standardwebhooks import Webhook

from lbactors.clock import Clock
from tests.support.crash.server_process import ROOT_KEY, MakeServer, Server
from tests.support.crash.told import firsts, until_told
from tests.support.crash.writers import Api, unique
from tests.support.figures import Note
from tests.support.rounds import long, rounds
from tests.support.supervisor.outbox import Receiver

HOUR_MS = 3_600_000
DOWN_HOURS = 3
KILLS = rounds(1, 3)
WITHIN_S = 60.0
STEPS = ["period.opened", "period.closing", "period.closed"]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = await Receiver().start()
    yield receiver
    await receiver.stop()


def told(receiver: Receiver, board: str) -> list[tuple[str, str]]:
    """(period, type) of a board's events, as they came for the first time."""
    came = [got.body for got in firsts(receiver, board)]
    return [(body["data"]["period"]["period_key"], body["type"]) for body in came]


def closings(receiver: Receiver, board: str) -> int:
    return [kind for _, kind in told(receiver, board)].count(STEPS[-1])


async def pending(api: Api) -> int:
    number: int = (await api.status())["events"]["pending"]
    return number


async def until_receivers_are_down(api: Api) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            if (await api.status())["events"]["receivers_down"]:
                return
            await asyncio.sleep(0.1)


async def until_all_confirmed(api: Api, clock: Clock) -> None:
    """Wait until nothing is pending, with time going on faster than it does."""
    async with asyncio.timeout(WITHIN_S):
        while await pending(api):
            clock.move(5_000)
            await asyncio.sleep(0.1)


async def test_downtime_over_three_boundaries_and_a_receiver_that_is_down(
    make_server: MakeServer, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    server = make_server(ROOT_KEY)
    clock_file = server.folder / "clock"
    server.variables["LBACTORS_CLOCK_FILE"] = str(clock_file)
    await server.start()
    clock = Clock(str(clock_file))
    clock.move(HOUR_MS - clock.now_ms() % HOUR_MS + HOUR_MS // 2)  # half past an hour
    async with Api(server.url, server.key) as api:
        webhook = await api.ok("POST", "/v1/webhooks", {"url": receiver.url})
        boards = [unique("hourly") for _ in range(2)]
        for board in boards:
            timeframe = {"type": "hourly", "late_grace_seconds": 1}
            await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": board, "timeframe": timeframe})
            await api.ok("POST", f"/v1/leaderboards/{board}/scores", {"player_id": "p1", "score": 7})
            # It comes a moment after the board was made; until then nothing is pending.
            await until_told(receiver, board, {"period.opened": 1}, WITHIN_S)
        await until_all_confirmed(api, clock)
    await server.kill_everything()
    await receiver.stop()
    before = len(receiver.got)
    clock.move(DOWN_HOURS * HOUR_MS)
    await server.start()
    async with Api(server.url, server.key) as api:
        await until_receivers_are_down(api)
        await receiver.start()
        clock.move(120_000)  # minutes: the next attempt is due long since
        for board in boards:
            await until_told(receiver, board, {STEPS[-1]: DOWN_HOURS}, WITHIN_S)
            found = told(receiver, board)
            keys = list(dict.fromkeys(key for key, _ in found))
            assert len(keys) == DOWN_HOURS + 1 and keys == sorted(keys)
            for key in keys[:-1]:
                assert [kind for k, kind in found if k == key] == STEPS
            ends = [(key, kind) for key, kind in found if kind == STEPS[-1]]
            assert ends == [(key, STEPS[-1]) for key in keys[:-1]]
        await until_all_confirmed(api, clock)
    ids = receiver.event_ids
    assert len(ids) == len(set(ids)) > before  # none twice: every confirmation was noted down
    first = next(g for g in receiver.got if g.body["type"] == STEPS[-1])
    assert [e["player_id"] for e in first.body["data"]["standings"]] == ["p1"] and first.body["data"][
        "total"
    ] == 1
    key = webhook["secret"]
    assert all(_signed(key, got.headers, got.raw) for got in receiver.got)


def _signed(secret: str, headers: dict[str, str], raw: bytes) -> bool:
    """By the timestamp that came: the server's clock is hours ahead of the library's."""
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    return (
        Webhook(secret).sign(headers["webhook-id"], at, raw.decode()) in headers["webhook-signature"].split()
    )


@long
async def test_kill_the_supervisor_while_it_delivers(
    server: Server, api: Api, receiver: Receiver, rng: random.Random, note: Note
) -> None:
    tenant: dict[str, Any] = {"url": receiver.url}
    boards = [unique("told") for _ in range(6)]
    webhook = await api.ok("POST", "/v1/webhooks", {**tenant, "leaderboard_ids": boards})
    timeframe = {"type": "every", "every_seconds": 2, "late_grace_seconds": 0, "retain_periods": 100}
    for board in boards:
        await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": board, "timeframe": timeframe})
    for _ in range(KILLS):
        await receiver.until(len(receiver.got) + rng.randrange(1, 12))
        server.kill_one(await api.supervisor_pid())
    after = {board: len(told(receiver, board)) for board in boards}
    for board in boards:
        await until_told(receiver, board, {STEPS[-1]: closings(receiver, board) + 2}, WITHIN_S)
        found = told(receiver, board)
        assert len(found) > after[board]
        keys = list(dict.fromkeys(key for key, kind in found if kind == STEPS[-1]))
        every = [int(key.replace("T", ":").replace("Z", "").split(":")[-1]) for key in keys]
        assert all((later - earlier) % 60 == 2 for earlier, later in pairwise(every)), keys  # none is missing
        for key in keys[1:]:
            assert [kind for k, kind in found if k == key] == STEPS, (board, key, found)
    await api.ok("PATCH", f"/v1/webhooks/{webhook['webhook_id']}", {"status": "disabled"})
    ids = receiver.event_ids
    twice = len(ids) - len(set(ids))
    assert twice <= KILLS * len(boards)  # at most what was under way, one of each leaderboard
    note(f"events while the supervisor was killed {KILLS} times: {len(set(ids))}, {twice} came twice")
    for board in boards:
        await api.ok("DELETE", f"/v1/leaderboards/{board}", purge="true")
