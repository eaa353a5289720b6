"""A schedule that is extended after its end goes on with its last period and its entries.

Whether that was sealed or not, in every window, archived or not; with its submission ids, an event, and the
rewards that were granted, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.instants import format_instant
from lbactors.core.lifecycle import Stage
from lbactors.documents.webhooks import BODY
from lbactors.service.reward_reader import RewardReader
from persistence.store import StoreUnavailable
from tests.support.supervisor.local_supervisor import NOON_MS, LocalServer

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
END_MS = NOON_MS + HOUR_MS
KEY = "2026-11-18T12:00:00Z"
LATER = {"ends_at": format_instant(END_MS + 10 * DAY_MS)}
TIERS = [{"name": "first", "rank_from": 1, "rank_to": 1, "payload": {"coins": 1}}]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        yield server


async def create(server: LocalServer, **fields: Any) -> None:
    ends = {"starts_at": format_instant(NOON_MS), "ends_at": format_instant(END_MS)}
    definition = {
        "leaderboard_id": "xp",
        "timeframe": {"type": "range", **ends, **fields.pop("timeframe", {})},
        "scoring": {"aggregation": "sum"},
        **fields,
    }
    await server.command("create_leaderboard", definition=definition)


async def patch(server: LocalServer, **fields: Any) -> None:
    await server.command("patch_leaderboard", leaderboard_id="xp", patch=fields, if_match=None)


def chain_of(server: LocalServer, window: str = "main") -> Any:
    board = server.supervisor.state.boards["default/xp"]
    return server.supervisor.state.chains[board.chain_id(window)]


def records(server: LocalServer, window: str = "main") -> list[tuple[str, int]]:
    return [(r.key, r.serial) for r in chain_of(server, window).records]


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while True:
            if true():
                return
            await asyncio.sleep(0.01)


async def closed(server: LocalServer, *windows: str) -> None:
    for window in windows or ("main",):
        chain = chain_of(server, window)
        await until(
            lambda chain=chain: (
                all(r.stage == Stage.COMPLETE for r in chain.records) and not chain.lock.locked()
            )
        )


async def submit(server: LocalServer, submission_id: str, score: int, window: str = "main") -> bool:
    """One of the player p; whether it was a duplicate."""
    item = ["p", score, 0, None, submission_id, None, None]
    async with asyncio.timeout(20):
        while True:
            now_ms = server.clock.now_ms()
            (row,) = await server._op("xp", window, "write", now_ms, 2, [item], [window])
            if row[0] is None:
                return bool(row[1][0][-1])
            if (error := ApiError.from_wire(row[0])).code != "period_loading":
                raise error
            await asyncio.sleep(0.01)


async def state(server: LocalServer, window: str = "main") -> str:
    view, *_ = await server.read("xp", "stats", [], window=window)
    return str(view[3])


async def probed(server: LocalServer) -> None:
    """Every actor has been asked who it is, and told what it lacks."""
    for name in list(server.actors.by_name):
        await server.supervisor.hosting.probe(name, join=True)


async def told(server: LocalServer, window: str = "main") -> list[tuple[str, dict[str, Any]]]:
    """Type and period of every event of a window, in order; none under the id of another."""
    rows = await server.supervisor.state.store.scan("deliveries", prefix=f"{BODY}/")
    events = [orjson.loads(msgpack.unpackb(body)) for _, body in sorted(rows)]
    assert len({event["id"] for event in events}) == len(events)
    of_window = [e for e in events if e["data"]["period"]["window"] == window]
    return [(e["type"], e["data"]["period"]) for e in of_window]


AFTER_MS = {
    "at once": 100,
    "in its grace": 3_000,
    "unsealed": 5_500,
    "sealed": 60_000,
    "days later": 3 * DAY_MS,
}


@pytest.mark.parametrize("after", AFTER_MS)
@pytest.mark.parametrize("restart", [False, True])
async def test_a_season_goes_on(tmp_path: Path, after: str, restart: bool) -> None:
    server = LocalServer(tmp_path / "data")
    windows = ("main", "all_time")
    async with server:
        await server.command("create_webhook", webhook={"url": "http://127.0.0.1:9/"})
        await create(server, windows=["all_time"])
        for window in windows:
            assert not await submit(server, "m1", 5, window)
        server.clock.move(END_MS + AFTER_MS[after] - server.clock.now_ms())
        if AFTER_MS[after] >= 60_000:
            await closed(server, *windows)
        for window in windows:
            assert await server.page("xp", window=window) == [(1, "p", 5)]
        await patch(server, timeframe=LATER)
        if not restart:
            await go_on(server, windows, after)
    if restart:
        async with server:
            await go_on(server, windows, after)


async def go_on(server: LocalServer, windows: tuple[str, ...], after: str) -> None:
    for window in windows:
        assert await state(server, window) == "active"
        assert after == "days later" or await submit(server, "m1", 5, window), "ids are known for a day"
        assert not await submit(server, "m2", 2, window)
        assert await server.page("xp", window=window) == [(1, "p", 7)]
        assert len(records(server, window)) == 1
    server.clock.move(END_MS + 10 * DAY_MS + 60_000 - server.clock.now_ms())
    await closed(server, *windows)
    for window in windows:
        key = KEY if window == "main" else "all_time"
        assert await state(server, window) == "closed" and records(server, window) == [(key, 1)]
        assert await server.page("xp", window=window) == [(1, "p", 7)]
        events = await told(server, window)
        kinds = [kind.removeprefix("period.") for kind, _ in events]
        ended = kinds[: kinds.index("reopened")]
        assert ended == ["opened", "closing", "closed"][: 3 if AFTER_MS[after] >= 60_000 else 2]
        assert kinds[len(ended) :] == ["reopened", "closing", "closed"]
        reopened = events[len(ended)][1]
        assert (reopened["state"], reopened["ends_at"]) == ("active", LATER["ends_at"])


async def test_it_may_be_extended_again_and_again(server: LocalServer) -> None:
    await create(server)
    for number in range(4):
        assert not await submit(server, f"m{number}", 1)
        server.clock.move(HOUR_MS + (30_000 if number % 2 else 500))
        if number % 2:
            await closed(server)
        assert await state(server) in ("closed", "closing")
        ends_at = format_instant(server.clock.now_ms() + HOUR_MS)
        await patch(server, timeframe={"ends_at": ends_at})
        for actor in server.actors.by_name.values():
            if number == 2:
                await actor.kill()
        assert await server.page("xp") == [(1, "p", number + 1)] and await state(server) == "active"
    assert chain_of(server).records[0].reopened == 4


@pytest.mark.parametrize("order", ["extended while archived", "active first", "at once"])
async def test_an_archived_season_that_is_made_active_again_goes_on(server: LocalServer, order: str) -> None:
    await create(server, windows=["all_time"])
    await submit(server, "m1", 5)
    await submit(server, "m1", 5, "all_time")
    await patch(server, status="archived")
    server.clock.move(2 * HOUR_MS)
    await closed(server, "main", "all_time")
    if order == "at once":
        await patch(server, status="active", timeframe=LATER)
    elif order == "active first":
        await patch(server, status="active")
        await patch(server, timeframe=LATER)
    else:
        await patch(server, timeframe=LATER)
        server.clock.move(HOUR_MS)
        await patch(server, status="active")
    for window, key in (("main", KEY), ("all_time", "all_time")):
        assert await submit(server, "m1", 5, window)
        assert not await submit(server, "m2", 2, window)
        assert await server.page("xp", window=window) == [(1, "p", 7)] and records(server, window) == [
            (key, 1)
        ]


async def test_an_archived_board_without_an_end_goes_on(server: LocalServer) -> None:
    await create(server, timeframe={"type": "permanent", "ends_at": None}, windows=["daily"])
    await submit(server, "m1", 5)
    await submit(server, "m1", 5, "daily")
    await patch(server, status="archived")
    server.clock.move(2 * DAY_MS)
    await closed(server, "daily")
    await patch(server, status="active")
    assert await server.page("xp") == [(1, "p", 5)] and records(server) == [("all_time", 1)]
    await until(
        lambda: [key for key, _ in records(server, "daily")] == ["2026-11-18", "2026-11-19", "2026-11-20"]
    )


async def test_a_day_that_was_cut_short_goes_on_that_day_alone(server: LocalServer) -> None:
    await create(server, timeframe={"type": "daily"}, windows=["yearly"])
    await submit(server, "m1", 5)
    await submit(server, "m1", 5, "yearly")
    server.clock.move(2 * HOUR_MS)
    await closed(server, "main", "yearly")
    until_ms = END_MS + 3 * HOUR_MS
    await patch(server, timeframe={"ends_at": format_instant(until_ms)})
    assert await server.page("xp") == [(1, "p", 5)] and await state(server) == "active"
    server.clock.move(2 * DAY_MS)
    await closed(server, "main", "yearly")
    await patch(server, timeframe={"ends_at": None})
    await until(lambda: [key for key, _ in records(server)] == ["2026-11-18", "2026-11-19", "2026-11-20"])
    assert await server.page("xp") == [] and await server.page("xp", "2026-11-18") == [(1, "p", 5)]
    assert await server.page("xp", window="yearly") == [(1, "p", 5)] and records(server, "yearly") == [
        ("2026", 1)
    ]


async def test_another_season_does_not_go_on_with_the_last_one(server: LocalServer) -> None:
    await create(server)
    await submit(server, "m1", 5)
    server.clock.move(HOUR_MS + 5_500)  # over, and not sealed
    before = await server.page("xp"), await state(server)
    starts_ms = END_MS + DAY_MS
    frame = {"starts_at": format_instant(starts_ms), "ends_at": format_instant(starts_ms + HOUR_MS)}
    await patch(server, timeframe=frame)
    await until(lambda: len(records(server)) == 2)
    assert (await server.page("xp", KEY), await state(server)) == (before[0], "pending")
    assert await server.page("xp") == []
    server.clock.move(DAY_MS)
    assert not await submit(server, "m2", 3)
    assert await server.page("xp") == [(1, "p", 3)] and await server.page("xp", KEY) == before[0]


async def test_an_end_that_was_forced_is_not_taken_back(server: LocalServer) -> None:
    await create(server, windows=["all_time"])
    await submit(server, "m1", 5, "all_time")
    await server.command("close_period", leaderboard_id="xp", window="all_time")
    server.clock.move(2 * HOUR_MS)
    await closed(server, "main", "all_time")
    await patch(server, timeframe=LATER)
    assert records(server, "all_time") == [("all_time", 1), ("all_time-2", 2)]
    assert await server.page("xp", window="all_time") == []


async def test_a_window_that_was_taken_away_starts_empty(server: LocalServer) -> None:
    await create(server, windows=["all_time"])
    await submit(server, "m1", 5, "all_time")
    server.clock.move(2 * HOUR_MS)
    await closed(server, "main", "all_time")
    await patch(server, windows=[])
    await patch(server, windows=["all_time"], timeframe=LATER)
    assert await server.page("xp", window="all_time") == []


async def test_entries_do_not_go_on_under_another_order(server: LocalServer) -> None:
    await create(server)
    await submit(server, "m1", 5)
    server.clock.move(2 * HOUR_MS)
    await closed(server)
    for together in (True, False):
        changed: dict[str, Any] = {"ranking": {"order": "asc"}}
        if not together:
            await patch(server, **changed)
            changed = {}
        with pytest.raises(ApiError) as refused:
            await patch(server, timeframe=LATER, **changed)
        assert refused.value.code == "validation_failed"
        assert await state(server) == "closed" and await server.page("xp") == [(1, "p", 5)]
    await patch(server, timeframe=LATER, ranking={"order": "desc"})
    assert await state(server) == "active" and await server.page("xp") == [(1, "p", 5)]


# Rewards --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retained_days", [1, 90])
async def test_what_was_granted_stays_and_is_not_granted_twice(
    server: LocalServer, retained_days: int
) -> None:
    tiers = [*TIERS, {"name": "others", "rank_from": 2, "rank_to": 3, "payload": {"coins": 2}}]
    await server.command("create_webhook", webhook={"url": "http://127.0.0.1:9/"})
    await create(server, rewards={"tiers": tiers, "retain_days": retained_days})
    for player, score in (("a", 30), ("b", 20)):
        await server.submit("xp", player, score)
    server.clock.move(2 * HOUR_MS)
    await closed(server)
    await server.command(
        "claim_reward", leaderboard_id="xp", window="main", serial=1, player_id="a", claim={}
    )
    await patch(server, timeframe=LATER)
    reader = RewardReader(server.supervisor.state.store, server.clock.now_ms)
    board = server.supervisor.state.boards["default/xp"]
    found = await reader.find(board, "main", KEY)
    assert (found.state, found.period["state"]) == ("granted", "active")
    assert found.period["ends_at"] == LATER["ends_at"]
    server.clock.move(5 * DAY_MS)
    await server.supervisor.reward_retention.sweep()
    await server.submit("xp", "c", 100)
    await server.submit("xp", "d", 25)
    await patch(server, rewards={"tiers": TIERS, "retain_days": retained_days})
    server.clock.move(6 * DAY_MS)
    await closed(server)
    assert [player for _, player, _ in await server.page("xp")] == ["c", "a", "d", "b"]
    found = await reader.find(board, "main", KEY)
    summary = await reader.summary(found)
    page = await reader.page(found, 0, 10, None, None, summary)
    won = [(i["player_id"], i["rank"], [r["tier"] for r in i["rewards"]], i["claimed"]) for i in page.items]
    assert won == [
        ("a", 1, ["first"], True),
        ("b", 2, ["others"], False),
        ("c", 1, ["first"], False),
        ("d", 3, ["others"], False),
    ]
    assert (summary["winners"], [t["winners"] for t in summary["tiers"]]) == (4, [2, 2])
    granted = [kind for kind, _ in await told(server) if kind == "reward.granted"]
    assert len(granted) == 2


async def test_rewards_that_have_ended_are_not_granted_again(server: LocalServer) -> None:
    """Nobody knows any more who had won."""
    await server.command("create_webhook", webhook={"url": "http://127.0.0.1:9/"})
    await create(server, rewards={"tiers": TIERS, "retain_days": 1})
    await submit(server, "a", 5)
    server.clock.move(2 * HOUR_MS)
    await closed(server)
    server.clock.move(2 * DAY_MS)
    await server.supervisor.reward_retention.sweep()
    await patch(server, timeframe=LATER)
    assert await submit(server, "b", 1) is False
    server.clock.move(9 * DAY_MS)
    await closed(server)
    assert [kind for kind, _ in await told(server)].count("reward.granted") == 1


# Deaths -----------------------------------------------------------------------------------------------------


async def test_a_repeat_is_answered_once_the_actor_has_heard(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor died between the commit and telling it: the repeat changes nothing more."""
    await create(server)
    await submit(server, "m1", 5)
    server.clock.move(HOUR_MS + 60_000)
    await closed(server)

    async def died(*_: Any, **__: Any) -> None:
        raise RuntimeError("the process ended here")

    with monkeypatch.context() as patched:
        patched.setattr(server.supervisor.hosting, "host", died)
        with pytest.raises(Exception, match="the process ended here"):
            await patch(server, timeframe=LATER)
    await server.actor.start()  # as the watch of every gateway does
    await patch(server, timeframe=LATER)
    assert not await submit(server, "m2", 2)
    assert await server.page("xp") == [(1, "p", 7)]


@pytest.mark.parametrize("is_sealed", [False, True], ids=["unsealed", "sealed"])
@pytest.mark.parametrize("durable", [False, True], ids=["lost", "durable"])
async def test_a_death_at_any_commit_leaves_the_season_over_or_going_on(
    server: LocalServer, durable: bool, is_sealed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.command("create_webhook", webhook={"url": "http://127.0.0.1:9/"})
    await create(server, rewards={"tiers": TIERS}, windows=["all_time"])
    for window in ("main", "all_time"):
        await submit(server, "m1", 5, window)
    server.clock.move(HOUR_MS + (60_000 if is_sealed else 100))
    if is_sealed:
        await closed(server, "main", "all_time")
    store = server.supervisor.state.store
    really, cut = store.commit, 0

    async def commit(changes: Any, **owner: Any) -> None:
        nonlocal cut
        if cut or not any(c.collection == "leaderboards" for c in changes):
            return await really(changes, **owner)
        cut += 1
        if durable:
            await really(changes, **owner)
        raise StoreUnavailable("cut", unknown=True)

    monkeypatch.setattr(store, "commit", commit)
    with pytest.raises(ApiError):
        await patch(server, timeframe=LATER)
    assert cut == 1
    await server.actor.start()  # as the watch of every gateway does
    await probed(server)
    assert await state(server) == ("active" if durable else "closed" if is_sealed else "closing")
    assert await server.page("xp") == [(1, "p", 5)]
    await patch(server, timeframe=LATER)
    for actor in server.actors.by_name.values():
        await actor.kill()
    await probed(server)
    for window in ("main", "all_time"):
        assert await submit(server, "m1", 5, window)
        assert not await submit(server, "m2", 2, window)
        assert await server.page("xp", window=window) == [(1, "p", 7)] and len(records(server, window)) == 1
        kinds = [kind for kind, _ in await told(server, window)]
        assert kinds.count("period.reopened") == 1
