"""What is deleted is deleted at last, whatever fails or dies on the way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from local_supervisor import LocalServer

from lbactors.model import PeriodRecord
from persistence.store import StoreUnavailable

HOUR_MS = 3_600_000
LOOK_S = 0.02
PERIOD_DELETED = r"'periods', doc_id='[^']*', body=None"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - the store has no event for it
            await asyncio.sleep(LOOK_S)


async def create(server: LocalServer, leaderboard_id: str, tenant: str = "default", **frame: Any) -> None:
    definition = {"leaderboard_id": leaderboard_id, "timeframe": {"type": "hourly", **frame}}
    await server.command("create_leaderboard", tenant, definition=definition)


def fail_once(
    monkeypatch: pytest.MonkeyPatch, server: LocalServer, method: str, when: str, about: str = ""
) -> asyncio.Event:
    """The next call of a store's method whose arguments match raises, before or after it did its work."""
    store, failed = server.supervisor.store, asyncio.Event()
    really = getattr(store, method)

    async def call(*args: Any, **more: Any) -> Any:
        if failed.is_set() or re.search(about, repr(args)) is None:
            return await really(*args, **more)
        failed.set()
        if when == "after":
            await really(*args, **more)
        raise StoreUnavailable("away for a moment", unknown=when == "after")

    monkeypatch.setattr(store, method, call)
    return failed


async def records(server: LocalServer) -> dict[int, PeriodRecord]:
    """As they are stored, by serial."""
    rows = await server.supervisor.store.scan("periods")
    return {(r := PeriodRecord(*msgpack.unpackb(body))).serial: r for _, body in rows}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "about"), [("drop_periods", "/1"), ("commit", PERIOD_DELETED)])
async def test_a_period_whose_deletion_failed_is_deleted_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, about: str, when: str
) -> None:
    async with LocalServer(tmp_path / "data") as server:
        supervisor = server.supervisor
        await create(server, "xp", retain_periods=1)
        await server.submit("xp", "maya", 5)
        failed = fail_once(monkeypatch, server, method, when, about)

        async def sealed(serial: int) -> bool:
            await supervisor.start()  # as a gateway does that follows it
            stored = await records(server)
            return serial not in stored or stored[serial].sealed

        async def gone() -> bool:
            await supervisor.start()
            journals = await supervisor.store.list_periods()
            return 1 not in await records(server) and not any(j.endswith("/1") for j in journals)

        for serial in (1, 2):
            server.clock.move(HOUR_MS + 60_000)
            await until(lambda serial=serial: sealed(serial))
            await server.submit("xp", "maya", 5)
        await asyncio.wait_for(failed.wait(), 30)
        await until(gone)
        (chain,) = supervisor.chains.values()
        assert [r.serial for r in chain.records if r.sealed] == [2]
        assert await server.page("xp", "previous") == [(1, "maya", 5)]
