"""What commands and gaps do to a chain of periods, on a whole server: keys, and ids that are handed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors.core.instants import format_instant
from lbactors.core.lifecycle import KEPT_WHOLE, Stage
from tests.support.supervisor.local_supervisor import LocalServer

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        yield server


async def create(server: LocalServer, kind: str, **fields: Any) -> None:
    timeframe = {"type": kind, "timezone": "UTC", **fields.pop("timeframe", {})}
    definition = {"leaderboard_id": "xp", "timeframe": timeframe, **fields}
    await server.command("create_leaderboard", definition=definition)


async def patch(server: LocalServer, **fields: Any) -> None:
    await server.command("patch_leaderboard", leaderboard_id="xp", patch=fields, if_match=None)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while True:
            if true():
                return
            await asyncio.sleep(0.01)


def chain_of(server: LocalServer) -> Any:
    (chain,) = server.supervisor.state.chains.values()
    return chain


# Keys ---------------------------------------------------------------------------------------------------


async def test_a_time_zone_that_changes_in_the_grace_leaves_the_period_before_alone(tmp_path: Path) -> None:
    """At 00:01 in London it is yesterday in New York: the current period's new key is that of the closing."""
    tiers = [{"name": "first", "rank_from": 1, "rank_to": 1, "payload": {"gems": 1}}]
    server = LocalServer(tmp_path / "data")
    async with server:
        await create(server, "daily", timeframe={"late_grace_seconds": 3600}, rewards={"tiers": tiers})
        await server.submit("xp", "yesterday", 5)
        server.clock.move(12 * HOUR_MS - MINUTE_MS // 3)
        await until(lambda: len(chain_of(server).records) == 2)
        server.clock.move(MINUTE_MS)
        await server.submit("xp", "today", 7)
        await patch(server, timeframe={"timezone": "America/New_York"})
        keys = [(r.serial, r.key) for r in chain_of(server).records]
        assert keys == [(1, "2026-11-18"), (2, "2026-11-18-2")]
        stored = [
            msgpack.unpackb(body)[:2] for _, body in await server.supervisor.state.store.scan("periods")
        ]
        assert sorted(map(tuple, stored)) == keys
    async with server:
        server.clock.move(2 * HOUR_MS)
        await until(lambda: chain_of(server).records[0].stage == Stage.COMPLETE)
        assert await server.page("xp", "2026-11-18") == [(1, "yesterday", 5)]
        assert await server.page("xp") == [(1, "today", 7)]
        granted = [i + repr(body) for i, body in await server.supervisor.state.store.scan("rewards")]
        assert any("yesterday" in text for text in granted)


# Submission ids -----------------------------------------------------------------------------------------


async def repeats(server: LocalServer, submission_id: str = "match-1") -> bool:
    """Send a submission; whether it was answered as a duplicate."""
    item = ["p", 5, 0, None, submission_id, None, None]
    async with asyncio.timeout(20):
        while True:
            now_ms = server.clock.now_ms()
            (row,) = await server._op("xp", "main", "write", now_ms, 2, [item], ["main"])
            if row[0] is None:
                return bool(row[1][0][-1])
            await asyncio.sleep(0.01)


async def make_period(server: LocalServer, length_ms: int = HOUR_MS) -> None:
    now_ms = server.clock.now_ms()
    period = {"starts_at": format_instant(now_ms), "ends_at": format_instant(now_ms + length_ms)}
    await server.command("create_period", leaderboard_id="xp", period=period)


async def closed(server: LocalServer, serial: int) -> None:
    await until(
        lambda: all(r.stage == Stage.COMPLETE for r in chain_of(server).records if r.serial <= serial)
    )
    await until(lambda: not chain_of(server).lock.locked())  # its actor has heard of it


async def handed_on(server: LocalServer) -> None:
    """The supervisor has had the ids taken over, and noted it."""
    await until(lambda: not any(r.ids_owed for r in chain_of(server).records))


@pytest.mark.parametrize("retained", [0, 10])
async def test_a_manual_period_that_is_made_later_knows_what_the_one_before_took(
    tmp_path: Path, retained: int
) -> None:
    server = LocalServer(tmp_path / "data")
    async with server:
        await create(server, "manual", timeframe={"retain_periods": retained, "retain_days": 0})
        await make_period(server)
        assert not await repeats(server)
        server.clock.move(HOUR_MS + MINUTE_MS)
        await closed(server, 1)
    async with server:  # what is owed is durable
        await make_period(server)
        assert await repeats(server)
        await handed_on(server)
        await until(lambda: len(chain_of(server).records) == (2 if retained else 1))
        server.clock.move(MINUTE_MS)
        assert not await repeats(server, "match-2")
    async with server:  # and so is what was taken over
        assert await repeats(server) and await repeats(server, "match-2")
        assert await server.page("xp") == [(1, "p", 5)]
        server.clock.move(HOUR_MS)
        await closed(server, 2)
        server.clock.move(21 * HOUR_MS)
        await make_period(server)
        assert await repeats(server), "from the period before the one before"
        server.clock.move(3 * HOUR_MS)
        await closed(server, 3)
        await make_period(server)
        assert not await repeats(server), "after more than a day"


async def test_periods_that_nobody_used_hand_on_what_they_never_took(tmp_path: Path) -> None:
    """The chain is dormant meanwhile: the period in between is closed without an actor."""
    server = LocalServer(tmp_path / "data", idle_unload_seconds=0.1)
    async with server:
        await create(server, "manual")
        await make_period(server, MINUTE_MS)
        assert not await repeats(server)
        server.clock.move(2 * MINUTE_MS)
        await closed(server, 1)
    async with server:
        server.supervisor.lifecycle.hand_on_ids = _nothing  # type: ignore[method-assign]
        await make_period(server, MINUTE_MS)
        server.clock.move(2 * MINUTE_MS)
        await closed(server, 2)
        assert not server.actors.by_name, "without an actor"
    async with server:
        await make_period(server)
        assert await repeats(server)


async def _nothing(_: Any) -> bool:
    """In place of the step that has ids taken over: it comes too late."""
    return False


async def test_a_leaderboard_that_was_archived_over_a_boundary_knows_repeats(server: LocalServer) -> None:
    await create(server, "hourly", timeframe={"retain_periods": 2, "retain_days": 0})
    assert not await repeats(server)
    await patch(server, status="archived")
    server.clock.move(HOUR_MS + MINUTE_MS)
    await closed(server, 1)
    server.clock.move(5 * HOUR_MS)
    await patch(server, status="active")
    assert await repeats(server)
    await handed_on(server)
    await until(lambda: [r.serial for r in chain_of(server).records] == [5, 6, 7])
    server.clock.move(HOUR_MS)
    await closed(server, 7)
    assert await repeats(server), "the next ones have it, too"


async def test_old_periods_are_kept_by_their_age_over_restarts_and_go_when_it_is_over(
    tmp_path: Path,
) -> None:
    """Of those beyond the newest dozen the supervisor knows little, and the store everything."""
    async with LocalServer(tmp_path / "data") as server:
        # At a quarter past, so that no move ends in the seconds in which a period waits for its sealing.
        server.clock.move(HOUR_MS + 15 * MINUTE_MS - server.clock.now_ms() % HOUR_MS)
        await create(server, "hourly", timeframe={"retain_periods": 2, "retain_days": 2})
        server.clock.move(40 * HOUR_MS + HOUR_MS // 2)
        await closed(server, 40)
        await until(lambda: len(chain_of(server).past) == 40 - KEPT_WHOLE)
        chain_of(server).check()
        now_ms = server.clock.now_ms()
        stored = await server.supervisor.state.store.scan("periods")
        assert len(stored) == 41 == len(chain_of(server).names)
        await server.command("close_period", leaderboard_id="xp", window="main")
    again = LocalServer(tmp_path / "data")
    again.clock.move(now_ms - again.clock.now_ms())
    async with again as server:
        chain = chain_of(server)
        await until(lambda: len(chain.names) == 42)
        assert len(chain.past) >= 40 - KEPT_WHOLE and len(set(chain.keys)) == 42
        chain.check()
        server.clock.move(9 * HOUR_MS + HOUR_MS // 2)
        await until(lambda: chain.names[0][0] > 1)
        server.clock.move(HOUR_MS)
        await until(lambda: chain.names[0][0] >= 2)
        await patch(server, timeframe={"retain_days": 0})
        await until(lambda: len(chain.names) == 3)
        chain.check()
        assert len(await server.supervisor.state.store.scan("periods")) == 3 and not chain.past


async def test_a_gap_in_the_schedule_loses_no_ids(server: LocalServer) -> None:
    now_ms = server.clock.now_ms()

    def frame(begins_ms: int) -> dict[str, Any]:
        starts_at, ends_at = (format_instant(now_ms + begins_ms + ms) for ms in (0, HOUR_MS))
        return {"type": "range", "starts_at": starts_at, "ends_at": ends_at}

    await create(server, "range", timeframe=frame(0))
    assert not await repeats(server)
    server.clock.move(HOUR_MS + MINUTE_MS)
    await closed(server, 1)
    assert await repeats(server), "after the end"
    await patch(server, timeframe=frame(3 * HOUR_MS))
    assert await repeats(server), "before the next one begins"
    server.clock.move(2 * HOUR_MS)
    assert await repeats(server)
    assert await server.page("xp") == []


# What the supervisor remembers --------------------------------------------------------------------------


async def test_how_far_periods_are_is_forgotten_when_they_are_closed(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.supervisor.rebalancing.PING_S", 0.01)
    await create(server, "every", timeframe={"every_seconds": 3600, "late_grace_seconds": 0})
    for serial in range(1, 4):
        await until(lambda serial=serial: chain_of(server).records[-1].serial >= serial)
        await server.submit("xp", "p", serial)
        await until(lambda serial=serial: serial in chain_of(server).floors)  # a ping told
        server.clock.move(HOUR_MS + MINUTE_MS)
        await closed(server, serial)
    still_open = {r.serial for r in chain_of(server).records if not r.sealed}
    assert set(chain_of(server).floors) <= still_open
