"""A server that was dead while three boundaries went by: three closings, in order, once, and nothing lost.

What a receiver of webhooks is told meanwhile, and one that is down itself, is in `test_webhooks`. Here: what
the periods hold, who won what, and what late and repeated submissions are answered.
"""

from __future__ import annotations

import random
from typing import Any

from lbactors.clock import Clock
from tests.support.crash.readers import Row, compare, standings_of
from tests.support.crash.server_process import ROOT_KEY, MakeServer
from tests.support.crash.told import firsts, subscribe, until_confirmed, until_told
from tests.support.crash.writers import Api, Ledger, wire
from tests.support.supervisor.outbox import Receiver

PLAYERS = 20
HOUR_MS = 3_600_000
ZONE = "Asia/Kathmandu"  # its hours begin at a quarter
TOLD_WITHIN_S = 60.0


async def test_three_boundaries_while_everything_is_dead(make_server: MakeServer, rng: random.Random) -> None:
    server = make_server(ROOT_KEY)
    server.variables["LBACTORS_CLOCK_FILE"] = str(server.folder / "clock")
    await server.start()
    clock = Clock(str(server.folder / "clock"))
    clock.move(HOUR_MS - (clock.now_ms() - HOUR_MS // 4) % HOUR_MS + HOUR_MS // 2)  # half an hour into one
    receiver = await Receiver().start()
    async with Api(server.url, server.key) as api:
        await subscribe(receiver, api)
        board = Ledger(api, "sum", rng, PLAYERS)
        await board.create(
            timeframe={"type": "hourly", "timezone": ZONE, "late_grace_seconds": 7200},
            windows=["all_time"],
            rewards={"tiers": [{"name": "podium", "rank_from": 1, "rank_to": 3}]},
        )
        await board.fill(100)
        first_key = (await api.ok("GET", f"{board.path}/rankings", limit=1))["period"]["period_key"]
        assert not board.unknown
        await until_told(receiver, board.board_id, {"period.opened": 2}, TOLD_WITHIN_S)
        await until_confirmed(api, TOLD_WITHIN_S)
    died_ms = clock.now_ms()
    await server.kill_everything()
    clock.move(3 * HOUR_MS)  # over three ends; the last two periods are in their grace
    await server.start()
    async with Api(server.url, server.key) as api:
        board.api = api
        kinds = {"period.opened": 4, "period.closing": 3, "period.closed": 1, "reward.granted": 1}
        await until_told(receiver, board.board_id, kinds, TOLD_WITHIN_S)
        periods = (await api.ok("GET", f"{board.path}/periods"))["items"][::-1]
        keys = [period["period_key"] for period in periods]
        assert keys[0] == first_key
        assert [period["state"] for period in periods] == ["closed", "closing", "closing", "active"]
        await board.repeat(len(board.acknowledged))  # repeats across all boundaries count nowhere again
        late = board.beside(api, "late")
        await check_late(late, died_ms, keys)
        clock.move(3 * HOUR_MS)
        kinds |= {"period.closed": 4, "reward.granted": 3}
        await until_told(receiver, board.board_id, kinds, TOLD_WITHIN_S)
        closed = await standings_of(board, period=first_key)
        compare(closed, board)
        for key in keys[1:3]:
            assert await standings_of(board, period=key) == [(late.players[0], 5, 1)]
        await check_rewards(api, board, keys, closed)
    check_order(receiver, board.board_id, keys)
    await receiver.stop()


async def check_late(late: Ledger, died_ms: int, keys: list[str]) -> None:
    """A submission about each of the periods: the first takes no more, the others are in their grace."""
    for hours, key in enumerate(keys[:3]):
        item = {"player_id": late.players[0], "score": 5, "submission_id": f"late-{key}"}
        item["occurred_at"] = wire(died_ms + hours * HOUR_MS)
        status, answer = await late.api.call("POST", f"{late.path}/scores", item)
        if hours == 0:
            assert (status, answer["error"]["code"]) == (409, "period_closed")
            continue
        assert (status, answer["period_key"]) == (200, key), answer
        status, again = await late.api.call("POST", f"{late.path}/scores", item)
        assert (status, again["duplicate"]) == (200, True), again


async def check_rewards(api: Api, board: Ledger, keys: list[str], closed: list[Row]) -> None:
    """Whoever won in the period before the downtime, once; and the late ones in theirs."""
    page = await api.ok("GET", f"{board.path}/periods/{keys[0]}/rewards")
    winners = [(w["rank"], w["player_id"]) for w in page["items"]]
    assert winners == [(rank, p) for rank, (p, *_) in enumerate(closed[:3], 1)]
    for key in keys[1:3]:
        page = await api.ok("GET", f"{board.path}/periods/{key}/rewards")
        assert [w["rank"] for w in page["items"]] == [1]


def check_order(receiver: Receiver, board_id: str, keys: list[str]) -> None:
    """Every boundary in the order of time, under one id each, and none twice that had been confirmed."""
    bodies = [got.body for got in firsts(receiver, board_id)]
    main: list[tuple[Any, Any]] = [
        (b["type"].removeprefix("period."), b["data"]["period"]["period_key"])
        for b in bodies
        if b["type"].startswith("period.") and b["data"]["period"]["window"] == "main"
    ]
    closings = [key for kind, key in main if kind == "closed"]
    assert closings[:4] == keys
    for key in keys:
        assert [kind for kind, k in main if k == key] == ["opened", "closing", "closed"]
    ids = receiver.event_ids
    assert len(ids) == len(set(ids))
