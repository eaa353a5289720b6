"""The server's hold on its store, on a real Redis: claim, renewal, what is refused at start and how.

Each test has a Redis of its own, so that it may be emptied, killed, and claimed by strangers.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import msgpack
import pytest
from redis_server import RedisRefused, RedisServer, until

from gateway import held_store
from gateway.held_store import SUPERVISOR, HeldStore, hold_store
from gateway.known_store import KnownStores
from lbactors.tools.migration_marker import MARKER, MARKERS
from persistence import open_store
from persistence.store import Change, StoreError, StoreInUse, StoreUnavailable, StoreWentBack

WITHIN_S = 20.0
CLAIM = "{lbactors}:claim"
OWNERS = "{lbactors}:owners"

Hold = Callable[..., Awaitable[HeldStore]]


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", "appendfsync everysec")
    await server.start()
    yield server
    server.close()


@pytest.fixture
async def hold(redis: RedisServer, tmp_path: Path) -> AsyncIterator[Hold]:
    """Start like the server with a data directory of this name; closed at the end."""
    held: list[HeldStore] = []

    async def make(name: str = "data", *, accept_older: bool = False) -> HeldStore:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        url = f"{redis.url}?timeout_ms=1000"
        held.append(await hold_store(url, KnownStores(directory), accept_older=accept_older))
        return held[-1]

    yield make
    for one in held:
        await one.store.close()


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_store, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(held_store, "RENEW_EVERY_S", 0.02)


# The claim ------------------------------------------------------------------------------------------------


async def test_one_server_at_a_time(redis: RedisServer, hold: Hold) -> None:
    first = await hold("first")
    ours = f"server {socket.gethostname()} pid {os.getpid()}"
    assert redis.cli("GET", CLAIM) == f"{first.server_id}\n{ours}"
    with pytest.raises(StoreInUse) as refused:
        await hold("second")
    text = str(refused.value)
    assert ours in text and re.search(r"\b1[0-5] s\b", text) and "\n" not in text
    assert redis.cli("GET", CLAIM).startswith(first.server_id), "a refused server changed the claim"
    await first.let_go()
    assert redis.cli("GET", CLAIM) == ""
    assert (await hold("second")).server_id != first.server_id


async def test_a_server_that_was_killed_goes_on_at_once(redis: RedisServer, hold: Hold) -> None:
    first = await hold()
    await first.store.close()  # the claim runs on, as after kill -9
    again = await hold()
    assert again.server_id == first.server_id
    assert redis.cli("GET", CLAIM).startswith(first.server_id)


async def test_the_claim_stays_while_something_may_write(redis: RedisServer, hold: Hold) -> None:
    held = await hold()
    held.is_written = True
    await held.let_go()
    assert redis.cli("GET", CLAIM).startswith(held.server_id)
    with pytest.raises(StoreInUse):
        await hold("second")


async def test_the_claim_is_renewed(redis: RedisServer, hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    held = await hold()
    async with held.kept():
        for _ in range(3):
            redis.cli("DEL", CLAIM)
            await until(lambda: redis.cli("GET", CLAIM).startswith(held.server_id), "it is renewed")
            assert redis.command("PTTL", CLAIM) > 1000 * (held_store.CLAIM_S - WITHIN_S / 2)
        assert held.lost == ""
    assert held._keeper is not None and held._keeper.done()


async def test_a_claim_in_other_hands_is_noticed(
    redis: RedisServer, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    held = await hold()
    async with held.kept():
        redis.cli("SET", CLAIM, "another\nserver elsewhere pid 7", "PX", "60000")
        await until(lambda: held.lost, "it is noticed")
        assert "server elsewhere pid 7" in held.lost
    await held.let_go()
    assert redis.cli("GET", CLAIM).startswith("another")


async def test_renewing_outlives_an_outage(
    redis: RedisServer, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    held = await hold()
    async with held.kept():
        redis.kill()
        await until(lambda: held._away, "the outage is noticed")
        assert held.lost == ""
        await redis.start()
        redis.cli("DEL", CLAIM)
        await until(lambda: redis.cli("GET", CLAIM).startswith(held.server_id), "it is renewed")
        assert held.lost == ""


# Whether it is the store that the server left -------------------------------------------------------------


async def used(hold: Hold, epochs: int) -> None:
    """A server that ran with so many supervisors, and ended."""
    held = await hold()
    epoch = 0
    for _ in range(epochs):
        epoch = await held.store.take_ownership(SUPERVISOR)
    held.supervisor_epoch = lambda: epoch
    async with held.kept():
        pass
    await held.let_go()


async def test_an_older_copy_is_refused(
    redis: RedisServer, hold: Hold, capsys: pytest.CaptureFixture[str]
) -> None:
    await used(hold, epochs=4)
    await used(hold, epochs=1)
    redis.cli("HSET", OWNERS, SUPERVISOR, "3")
    with pytest.raises(StoreWentBack) as refused:
        await hold()
    text = str(refused.value)
    assert text.startswith(f"store redis://127.0.0.1:{redis.port}/0 went back") and "\n" not in text
    assert "epoch 5 was seen" in text and "is at 3 now" in text and "--accept-older-store" in text
    assert redis.cli("GET", CLAIM) == "", "a refused server claimed the store"
    capsys.readouterr()
    await (await hold(accept_older=True)).let_go()
    assert re.search("^caution: .* epoch 5 was seen .*; going on with", capsys.readouterr().err, re.MULTILINE)
    await (await hold()).let_go()  # it was accepted once and for all
    redis.cli("HSET", OWNERS, SUPERVISOR, "2")
    with pytest.raises(StoreWentBack, match="epoch 3 was seen"):
        await hold()


async def test_an_emptied_store_is_refused(redis: RedisServer, hold: Hold) -> None:
    await used(hold, epochs=2)
    before = redis.cli("HGET", "{lbactors}:store", "id")
    redis.cli("FLUSHALL")
    with pytest.raises(StoreWentBack) as refused:
        await hold()
    text = str(refused.value)
    assert "was emptied or replaced" in text and "epoch 2" in text and before in text
    await (await hold("another")).let_go()  # who knows nothing of it has no reason to refuse
    await (await hold(accept_older=True)).let_go()
    await hold()


async def test_the_epoch_is_noted_whenever_it_rises(
    redis: RedisServer, hold: Hold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    held = await hold()
    file = tmp_path / "data" / "server.json"
    async with held.kept():
        for epoch in (1, 2, 7):
            held.supervisor_epoch = partial(int, epoch)
            last_line = f" {epoch}\n"
            await until(lambda: last_line in file.read_text(), "it is noted")  # noqa: B023


# Other reasons --------------------------------------------------------------------------------------------


async def test_a_half_migrated_store_is_refused(redis: RedisServer, hold: Hold) -> None:
    store = open_store(redis.url)
    await store.open()
    epoch = await store.take_ownership("migration")

    async def mark(finished_at_ms: int | None) -> None:
        body = bytes(msgpack.packb(["source", "sqlite:/elsewhere", 1_700_000_000_000, finished_at_ms]))
        await store.commit([Change(MARKERS, MARKER, body)], owner="migration", epoch=epoch)

    await mark(None)
    with pytest.raises(StoreError, match="holds an unfinished migration from sqlite:/elsewhere"):
        await hold()
    await mark(1_700_000_001_000)
    await hold()
    await store.close()


async def test_a_redis_that_is_away_is_refused_soon(redis: RedisServer, hold: Hold) -> None:
    redis.kill()
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable, match=f"redis://127.0.0.1:{redis.port}/0"):
            await hold()
    await redis.start()
    redis.pause()
    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailable, match=f"redis://127.0.0.1:{redis.port}/0"):
            await hold()


async def test_a_redis_that_is_loading_is_waited_for(
    redis: RedisServer, hold: Hold, capsys: pytest.CaptureFixture[str]
) -> None:
    redis.cli("EVAL", "for i = 1, 10240 do redis.call('SET', 'key' .. i, i) end", "0")
    redis.stop()
    with redis.conf_path.open("a") as conf:
        conf.write("key-load-delay 250\n")  # µs; it answers after each 1024 commands
    starting = asyncio.create_task(redis.start())

    def is_loading() -> bool:
        try:
            return bool(redis.command("PING")) and False
        except RedisRefused as error:
            return str(error).startswith("LOADING")

    await until(is_loading, "it loads")
    held = await hold()
    assert await held.store.ownership(SUPERVISOR) == 0
    await starting
    told = [line for line in capsys.readouterr().err.splitlines() if "is loading its data" in line]
    assert len(told) == 1 and f"redis://127.0.0.1:{redis.port}/0" in told[0]


async def test_cautions_are_printed(
    redis: RedisServer, hold: Hold, capsys: pytest.CaptureFixture[str]
) -> None:
    await hold()
    assert re.search("^caution: .*appendfsync everysec", capsys.readouterr().err, re.MULTILINE)
