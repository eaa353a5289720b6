"""kill -9 of the supervisor's process: it is not on the path of a score, and its successor misses nothing."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.support.crash.readers import entries_of, live_reader, settle_and_audit
from tests.support.crash.server_process import Server
from tests.support.crash.writers import OK, Api, Ledger, Load, unique
from tests.support.figures import Note

BACK_WITHIN_S = 60.0
EVERY_S = 2
PERIODS_AFTERWARDS = 2


async def create_board_at_last(api: Api) -> None:
    """Create a board, asked for again until it is there, and write to it."""
    board_id = unique("after")
    async with asyncio.timeout(BACK_WITHIN_S):
        while True:
            status, answer = await api.call("POST", "/v1/leaderboards", {"leaderboard_id": board_id})
            if status == 201 or (status, answer["error"]["code"]) == (409, "leaderboard_exists"):
                break
            assert answer["error"]["code"] == "storage_unavailable", answer
    body = {"player_id": "p", "score": 7}
    assert (await api.ok("POST", f"/v1/leaderboards/{board_id}/scores", body))["rank"] == 1


async def periods_of(ledger: Ledger) -> list[dict[str, Any]]:
    """Every period so far, oldest first."""
    items: list[dict[str, Any]] = (await ledger.api.ok("GET", f"{ledger.path}/periods", limit=1000))["items"]
    return items[::-1]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_kill_the_supervisor(server: Server, api: Api, rng: random.Random, note: Note) -> None:
    total, best, rolling = (Ledger(api, kind, rng) for kind in ("sum", "best", "sum"))
    await total.create(windows=["daily"])
    await best.create()
    await rolling.create(
        timeframe={"type": "every", "every_seconds": EVERY_S, "retain_periods": 1000, "late_grace_seconds": 0}
    )
    for ledger in (total, best):
        await ledger.fill(50)
    readers = [live_reader(total), live_reader(total, "daily"), live_reader(best)]
    async with readers[0], readers[1], readers[2], Load(total, best), Load(rolling, patient=(1, 50)):
        await asyncio.sleep(rng.uniform(0.5, 0.5 + EVERY_S))
        victim = await api.supervisor_pid()
        killed_at_s = time.monotonic()
        server.kill_one(victim)
        await create_board_at_last(api)
        back_at_s = time.monotonic()
        assert await api.supervisor_pid() != victim
        caught_up_at_s = back_at_s + await rolling.events.success_after(back_at_s, BACK_WITHIN_S) + EVERY_S
        await rolling.events.success_after(caught_up_at_s, 30)
        await asyncio.sleep(PERIODS_AFTERWARDS * EVERY_S)  # what is looked at is how this time goes by
    successes = [e.ended_s for e in rolling.events.all if e.how == OK and e.ended_s >= killed_at_s]
    pause_s = max(after - before for before, after in pairwise([killed_at_s, *successes]))
    note(
        f"supervisor killed: a leaderboard created after {back_at_s - killed_at_s:.2f} s;"
        f" the {EVERY_S} s board took nothing for {pause_s:.2f} s"
    )
    for ledger in (total, best):
        assert not (told := ledger.events.strange(0, 0)), f"writes while the supervisor was away: {told[:5]}"
        assert not ledger.unknown
    for reader in readers:
        reader.check()
        assert not (told := reader.events.strange(0, 0)), f"reads while the supervisor was away: {told[:5]}"
    await settle_and_audit(total, "main", "daily")
    await settle_and_audit(best)
    await check_rolled_over(rolling)
    refused = [e for e in rolling.events.all if e.how != OK and e.sent_s >= killed_at_s]
    assert {e.how for e in refused} <= {"period_loading"}, refused[:5]
    late = [e for e in refused if e.sent_s >= caught_up_at_s]
    assert not late, f"an open period refused scores with the supervisor back: {late[:5]}"


async def check_rolled_over(ledger: Ledger) -> None:
    """Periods were opened up to now and tile; what was acknowledged is in one of them each, once."""
    await ledger.resend()
    await check_tiled(ledger)
    await ledger.repeat()
    await check_tiled(ledger)


async def check_tiled(ledger: Ledger) -> None:
    """See `check_rolled_over`."""
    async with asyncio.timeout(BACK_WITHIN_S):
        while True:  # the next one is opened a second before it begins, if nothing holds the supervisor up
            periods = await periods_of(ledger)
            ahead = instant(periods[-1]["ends_at"]) - datetime.now(UTC)
            if ahead > timedelta(0):
                break
    assert ahead <= timedelta(seconds=2 * EVERY_S), periods[-1]
    for period, following in pairwise(periods):
        assert period["ends_at"] == following["starts_at"], (period, following)
        length = instant(period["ends_at"]) - instant(period["starts_at"])
        assert length == timedelta(seconds=EVERY_S), period
    scores: dict[str, int] = {}
    counts: dict[str, int] = {}
    for period in periods:
        for entry in await entries_of(ledger, period=period["period_key"]):
            player_id = entry["player_id"]
            scores[player_id] = scores.get(player_id, 0) + entry["score"]
            counts[player_id] = counts.get(player_id, 0) + entry["submissions"]
    wrong = {
        player_id: ((scores.get(player_id), counts.get(player_id, 0)), states)
        for player_id, states in ledger.possible().items()
        if (scores.get(player_id), counts.get(player_id, 0)) not in states
    }
    assert not wrong, f"{len(wrong)} players wrong over {len(periods)} periods: {list(wrong.items())[:5]}"
