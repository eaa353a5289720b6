"""What is deleted is deleted at last, whatever fails or dies on the way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.core.model import PeriodRecord
from lbactors.documents.entities import COLLECTIONS
from lbactors.wire.actors import ActorGone
from persistence.store import StoreUnavailable
from tests.support.supervisor.local_supervisor import WHO, LocalServer

HOUR_MS = 3_600_000
LOOK_S = 0.02
PERIOD_DELETED = r"'periods', doc_id='[^']*', body=None"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - the store has no event for it
            await asyncio.sleep(LOOK_S)


async def create(
    server: LocalServer, leaderboard_id: str, tenant: str = "default", rewards: Any = None, **frame: Any
) -> None:
    frame["type"] = "hourly"
    definition = {"leaderboard_id": leaderboard_id, "timeframe": frame, "rewards": rewards}
    await server.command("create_leaderboard", tenant, definition=definition)


def fail_once(
    monkeypatch: pytest.MonkeyPatch, server: LocalServer, method: str, when: str, about: str = ""
) -> asyncio.Event:
    """The next call of a store's method whose arguments match raises, before or after it did its work."""
    store, failed, to_come = server.supervisor.state.store, asyncio.Event(), [True]
    really = getattr(store, method)

    async def call(*args: Any, **more: Any) -> Any:
        if not to_come or re.search(about, repr(args)) is None:
            return await really(*args, **more)
        to_come.clear()
        if when == "after":
            await really(*args, **more)
        failed.set()
        raise StoreUnavailable("away for a moment", unknown=when == "after")

    monkeypatch.setattr(store, method, call)
    return failed


def fail_always(monkeypatch: pytest.MonkeyPatch, server: LocalServer, method: str, about: str) -> None:
    """As `fail_once`, before the work, again and again."""
    store = server.supervisor.state.store
    really = getattr(store, method)

    async def call(*args: Any, **more: Any) -> Any:
        if re.search(about, repr(args)) is not None:
            raise StoreUnavailable("away")
        return await really(*args, **more)

    monkeypatch.setattr(store, method, call)


async def left_of(server: LocalServer, *boards: str) -> list[str]:
    """What the store has of leaderboards; hidden in no collection, and in no journal."""
    await server.actor.start()
    store = server.supervisor.state.store
    found = [f"journal {period_id}" for period_id in await store.list_periods()]
    for name in COLLECTIONS:
        if name not in ("audit", "idempotency"):
            found += [f"{name} {doc_id}" for doc_id, _ in await store.scan(name)]
    return [f for f in found if any(f"/{board}~" in f or f.endswith(f"/{board}") for board in boards)]


async def until_nothing_is_left_of(server: LocalServer, *boards: str) -> None:
    async def gone() -> bool:
        return not await left_of(server, *boards)

    await until(gone)


async def records(server: LocalServer) -> dict[int, PeriodRecord]:
    """As they are stored, by serial."""
    rows = await server.supervisor.state.store.scan("periods")
    return {(r := PeriodRecord(*msgpack.unpackb(body))).serial: r for _, body in rows}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "about"), [("drop_periods", "/1"), ("commit", PERIOD_DELETED)])
async def test_a_period_whose_deletion_failed_is_deleted_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, about: str, when: str
) -> None:
    async with LocalServer(tmp_path / "data") as server:
        await create(server, "xp", retain_periods=1, retain_days=0)
        await server.submit("xp", "maya", 5)
        failed = fail_once(monkeypatch, server, method, when, about)

        async def sealed(serial: int) -> bool:
            await server.actor.start()  # as a gateway does that follows it
            stored = await records(server)
            return serial not in stored or stored[serial].sealed

        async def gone() -> bool:
            await server.actor.start()
            journals = await server.supervisor.state.store.list_periods()
            return 1 not in await records(server) and not any(j.endswith("/1") for j in journals)

        for serial in (1, 2):
            server.clock.move(HOUR_MS + 60_000)
            await until(lambda serial=serial: sealed(serial))
            if serial == 1:
                await server.submit("xp", "maya", 5)
        await asyncio.wait_for(failed.wait(), 30)
        await until(gone)
        (chain,) = server.supervisor.state.chains.values()
        async with chain.lock:  # whoever deleted it has done
            assert [r.serial for r in chain.records if r.sealed] == [2]
        assert await server.page("xp", "previous") == [(1, "maya", 5)]


# Purging --------------------------------------------------------------------------------------------------

REWARDS = {"tiers": [{"name": "first", "rank_from": 1, "rank_to": 1, "payload": {}}]}
MARK_TAKEN_AWAY = r"'purged', doc_id='[^']*', body=None"
PURGE = "purge_leaderboard"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "about"), [("drop_periods", ""), ("commit", MARK_TAKEN_AWAY)])
async def test_a_purge_is_finished_when_the_store_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, about: str, when: str
) -> None:
    monkeypatch.setattr("lbactors.supervisor.purging.AGAIN_S", LOOK_S)
    async with LocalServer(tmp_path / "data") as server:
        await create(server, "xp")
        await create(server, "kept")
        await server.submit("xp", "maya", 5)
        await server.submit("kept", "maya", 5)
        failed = fail_once(monkeypatch, server, method, when, about)
        await server.command(PURGE, leaderboard_id="xp")
        await asyncio.wait_for(failed.wait(), 30)
        await until_nothing_is_left_of(server, "xp")
        assert await server.page("kept") == [(1, "maya", 5)]
        await create(server, "xp")
        await server.submit("xp", "noor", 1)
        assert await server.page("xp") == [(1, "noor", 1)]


@pytest.mark.parametrize(("method", "about"), [("drop_periods", ""), ("commit", MARK_TAKEN_AWAY)])
async def test_a_purge_that_died_is_finished_after_the_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, about: str
) -> None:
    async with LocalServer(tmp_path / "data") as server:
        await create(server, "xp")
        await server.submit("xp", "maya", 5)
        fail_always(monkeypatch, server, method, about)
        await server.command(PURGE, leaderboard_id="xp")
        assert any(found.startswith("purged ") for found in await left_of(server, "xp"))
    async with LocalServer(tmp_path / "data") as server:
        await until_nothing_is_left_of(server, "xp")


async def test_an_actor_that_is_away_is_waited_for_and_the_others_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it hosts it may still write to."""
    monkeypatch.setattr("lbactors.supervisor.purging.AGAIN_S", LOOK_S)
    async with LocalServer(tmp_path / "data", actors_per_core=8) as server:
        boards = ("xp", "coins", "stars")
        for board in boards:
            await server.command("create_leaderboard", definition={"leaderboard_id": board})
            await server.submit(board, "maya", 5)
        away, *others = server.actors.by_name.values()
        really, asked = away.call, asyncio.Event()

        async def call(method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
            if method != "release":
                return await really(method, *payload, timeout_s=timeout_s)
            asked.set()
            raise ActorGone("away")

        monkeypatch.setattr(away, "call", call)
        for board in boards:
            await server.command(PURGE, leaderboard_id=board)
        assert asked.is_set() and away.actor.chains
        assert others and not any(other.actor.chains for other in others)
        assert not any(actor.chains for actor in server.supervisor.hosting.actors.values())
        for board in boards:
            assert {found.split()[0] for found in await left_of(server, board)} <= {"purged", "rewards"}
        monkeypatch.setattr(away, "call", really)
        for board in boards:
            await until_nothing_is_left_of(server, board)
        assert not away.actor.chains


async def test_a_closing_under_way_writes_nothing_of_a_purged_leaderboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LocalServer(tmp_path / "data") as server:
        await create(server, "xp", rewards=REWARDS)
        await server.submit("xp", "maya", 5)
        (actor,) = server.actors.by_name.values()
        really, sealed, go_on = actor.call, asyncio.Event(), asyncio.Event()

        async def call(method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
            reply = await really(method, *payload, timeout_s=timeout_s)
            if method == "seal":
                sealed.set()
                await go_on.wait()
            return reply

        monkeypatch.setattr(actor, "call", call)
        server.clock.move(HOUR_MS + 60_000)
        await asyncio.wait_for(sealed.wait(), 30)
        (chain,) = server.supervisor.state.chains.values()
        await server.command(PURGE, leaderboard_id="xp")
        go_on.set()
        async with chain.lock:
            pass
        await until_nothing_is_left_of(server, "xp")
        assert not actor.actor.chains


async def test_a_deleted_tenant_takes_all_its_leaderboards_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.supervisor.purging.AGAIN_S", LOOK_S)
    async with LocalServer(tmp_path / "data") as server:
        await server.command("create_tenant", tenant={"tenant_id": "acme"})
        for board in ("one", "two"):
            await create(server, board, "acme")
        failed = fail_once(monkeypatch, server, "drop_periods", "before")
        await server.command("delete_tenant", tenant_id="acme")
        assert failed.is_set() and not server.supervisor.state.boards and not server.supervisor.state.chains
        await until_nothing_is_left_of(server, "one", "two")


async def test_an_erasure_waits_for_what_a_purge_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LocalServer(tmp_path / "data") as server:
        await create(server, "xp")
        await create(server, "kept")
        await server.submit("xp", "maya", 5)
        await server.submit("kept", "maya", 5)
        with monkeypatch.context() as patch:
            fail_always(patch, server, "drop_periods", "/xp~")
            await server.command(PURGE, leaderboard_id="xp")
            with pytest.raises(ApiError) as refused:
                await server.command("erase_player", player_id="maya")
            assert refused.value.code == "storage_unavailable"
        await server.command("erase_player", player_id="maya")
        assert not any(found.startswith("journal") for found in await left_of(server, "xp"))


# Remembered answers ---------------------------------------------------------------------------------------

DAY_MS = 24 * HOUR_MS


async def put(server: LocalServer, player_id: str, key: str, tenant: str = "default") -> dict[str, Any]:
    return await server.command_as(
        WHO, "put_player", tenant, idempotency=[key, "digest"], player_id=player_id, profile={}
    )


async def test_remembered_answers_are_all_forgotten_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are younger, and also those of a tenant that sends no commands any more."""
    monkeypatch.setattr("lbactors.supervisor.commands.runner.FORGET_AT_ONCE", 10)
    async with LocalServer(tmp_path / "data", log_level="error") as server:
        await server.command("create_tenant", tenant={"tenant_id": "quiet"})
        for number in range(3):
            await put(server, "maya", f"quiet-{number}", "quiet")
        for number in range(200):
            server.clock.move(DAY_MS // 50)
            await put(server, "maya", f"{number}")
        remembered = await server.supervisor.state.store.scan("idempotency")
        ages = [server.clock.now_ms() - msgpack.unpackb(body)[0] for _, body in remembered]
        assert sum(age < DAY_MS for age in ages) == 50
        looks = 1 + 50 // 10  # of ten each, until all were looked at
        assert sum(age >= DAY_MS for age in ages) <= 2 * looks
        assert not any(doc_id.startswith("quiet/") for doc_id, _ in remembered)


async def test_a_key_that_is_used_again_after_a_day_is_remembered_again(tmp_path: Path) -> None:
    async with LocalServer(tmp_path / "data") as server:
        for _ in range(2):
            server.clock.move(2 * DAY_MS)
            first = await put(server, "maya", "key")
            server.clock.move(1000)
            await server.command("put_player", player_id="maya", profile={"display_name": "Maya"})
            assert await put(server, "maya", "key") == first
            await server.command("put_player", player_id="maya", profile={"display_name": "Noor"})
