"""The server's claim on its store, on a real Redis: claim, renewal, what is refused at start and how.

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

from gateway.server import store_claim
from gateway.server.known_store import KnownStores
from gateway.server.store_claim import SUPERVISOR, StoreClaim, claim_store
from lbactors.tools.migration_marker import MARKER, MARKERS
from persistence import open_store
from persistence.store import Change, StoreError, StoreInUse, StoreUnavailable, StoreWentBack
from tests.support.redis_server import RedisRefused, RedisServer, until

WITHIN_S = 20.0
CLAIM = "{lbactors}:claim"
OWNERS = "{lbactors}:owners"

Claim = Callable[..., Awaitable[StoreClaim]]


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", "appendfsync everysec")
    await server.start()
    yield server
    server.close()


@pytest.fixture
async def claimed(redis: RedisServer, tmp_path: Path) -> AsyncIterator[Claim]:
    """Start like the server with a data directory of this name; closed at the end."""
    claim: list[StoreClaim] = []

    async def make(name: str = "data", *, accept_older: bool = False) -> StoreClaim:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        url = f"{redis.url}?timeout_ms=1000"
        claim.append(await claim_store(url, KnownStores(directory), accept_older=accept_older))
        return claim[-1]

    yield make
    for one in claim:
        await one.store.close()


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_claim, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(store_claim, "RENEW_EVERY_S", 0.02)


# The claim ------------------------------------------------------------------------------------------------


async def test_one_server_at_a_time(redis: RedisServer, claimed: Claim) -> None:
    first = await claimed("first")
    ours = f"server {socket.gethostname()} pid {os.getpid()}"
    assert redis.cli("GET", CLAIM) == f"{first.server_id}\n{ours}"
    with pytest.raises(StoreInUse) as refused:
        await claimed("second")
    text = str(refused.value)
    assert ours in text and re.search(r"\b1[0-5] s\b", text) and "\n" not in text
    assert redis.cli("GET", CLAIM).startswith(first.server_id), "a refused server changed the claim"
    await first.release()
    assert redis.cli("GET", CLAIM) == ""
    assert (await claimed("second")).server_id != first.server_id


async def test_a_server_that_was_killed_goes_on_at_once(redis: RedisServer, claimed: Claim) -> None:
    first = await claimed()
    await first.store.close()  # the claim runs on, as after kill -9
    again = await claimed()
    assert again.server_id == first.server_id
    assert redis.cli("GET", CLAIM).startswith(first.server_id)


async def test_the_claim_stays_while_something_may_write(redis: RedisServer, claimed: Claim) -> None:
    claim = await claimed()
    claim.is_written = True
    await claim.release()
    assert redis.cli("GET", CLAIM).startswith(claim.server_id)
    with pytest.raises(StoreInUse):
        await claimed("second")


async def test_the_claim_is_renewed(
    redis: RedisServer, claimed: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    claim = await claimed()
    async with claim.renewed():
        for _ in range(3):
            redis.cli("DEL", CLAIM)
            await until(lambda: redis.cli("GET", CLAIM).startswith(claim.server_id), "it is renewed")
            assert redis.command("PTTL", CLAIM) > 1000 * (store_claim.CLAIM_S - WITHIN_S / 2)
        assert claim.lost == ""
    assert claim._keeper is not None and claim._keeper.done()


async def test_a_claim_in_other_hands_is_noticed(
    redis: RedisServer, claimed: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    claim = await claimed()
    async with claim.renewed():
        redis.cli("SET", CLAIM, "another\nserver elsewhere pid 7", "PX", "60000")
        await until(lambda: claim.lost, "it is noticed")
        assert "server elsewhere pid 7" in claim.lost
    await claim.release()
    assert redis.cli("GET", CLAIM).startswith("another")


async def test_renewing_outlives_an_outage(
    redis: RedisServer, claimed: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    claim = await claimed()
    async with claim.renewed():
        redis.kill()
        await until(lambda: claim._away, "the outage is noticed")
        assert claim.lost == ""
        await redis.start()
        redis.cli("DEL", CLAIM)
        await until(lambda: redis.cli("GET", CLAIM).startswith(claim.server_id), "it is renewed")
        assert claim.lost == ""


# Whether it is the store that the server left -------------------------------------------------------------


async def used(claimed: Claim, epochs: int) -> None:
    """A server that ran with so many supervisors, and ended."""
    claim = await claimed()
    epoch = 0
    for _ in range(epochs):
        epoch = await claim.store.take_ownership(SUPERVISOR)
    claim.supervisor_epoch = lambda: epoch
    async with claim.renewed():
        pass
    await claim.release()


async def test_an_older_copy_is_refused(
    redis: RedisServer, claimed: Claim, capsys: pytest.CaptureFixture[str]
) -> None:
    await used(claimed, epochs=4)
    await used(claimed, epochs=1)
    redis.cli("HSET", OWNERS, SUPERVISOR, "3")
    with pytest.raises(StoreWentBack) as refused:
        await claimed()
    text = str(refused.value)
    assert text.startswith(f"store redis://127.0.0.1:{redis.port}/0 went back") and "\n" not in text
    assert "epoch 5 was seen" in text and "is at 3 now" in text and "--accept-older-store" in text
    assert redis.cli("GET", CLAIM) == "", "a refused server claimed the store"
    capsys.readouterr()
    await (await claimed(accept_older=True)).release()
    assert re.search("^caution: .* epoch 5 was seen .*; going on with", capsys.readouterr().err, re.MULTILINE)
    await (await claimed()).release()  # it was accepted once and for all
    redis.cli("HSET", OWNERS, SUPERVISOR, "2")
    with pytest.raises(StoreWentBack, match="epoch 3 was seen"):
        await claimed()


async def test_an_emptied_store_is_refused(redis: RedisServer, claimed: Claim) -> None:
    await used(claimed, epochs=2)
    before = redis.cli("HGET", "{lbactors}:store", "id")
    redis.cli("FLUSHALL")
    with pytest.raises(StoreWentBack) as refused:
        await claimed()
    text = str(refused.value)
    assert "was emptied or replaced" in text and "epoch 2" in text and before in text
    await (await claimed("another")).release()  # who knows nothing of it has no reason to refuse
    await (await claimed(accept_older=True)).release()
    await claimed()


async def test_the_epoch_is_noted_whenever_it_rises(
    redis: RedisServer, claimed: Claim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    claim = await claimed()
    file = tmp_path / "data" / "server.json"
    async with claim.renewed():
        for epoch in (1, 2, 7):
            claim.supervisor_epoch = partial(int, epoch)
            last_line = f" {epoch}\n"
            await until(lambda: last_line in file.read_text(), "it is noted")  # noqa: B023


# Other reasons --------------------------------------------------------------------------------------------


async def test_a_half_migrated_store_is_refused(redis: RedisServer, claimed: Claim) -> None:
    store = open_store(redis.url)
    await store.open()
    epoch = await store.take_ownership("migration")

    async def mark(finished_at_ms: int | None) -> None:
        body = bytes(msgpack.packb(["source", "sqlite:/elsewhere", 1_700_000_000_000, finished_at_ms]))
        await store.commit([Change(MARKERS, MARKER, body)], owner="migration", epoch=epoch)

    await mark(None)
    with pytest.raises(StoreError, match="holds an unfinished migration from sqlite:/elsewhere"):
        await claimed()
    await mark(1_700_000_001_000)
    await claimed()
    await store.close()


async def test_a_redis_that_is_away_is_refused_soon(redis: RedisServer, claimed: Claim) -> None:
    redis.kill()
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable, match=f"redis://127.0.0.1:{redis.port}/0"):
            await claimed()
    await redis.start()
    redis.pause()
    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailable, match=f"redis://127.0.0.1:{redis.port}/0"):
            await claimed()


async def test_a_redis_that_is_loading_is_waited_for(
    redis: RedisServer, claimed: Claim, capsys: pytest.CaptureFixture[str]
) -> None:
    redis.cli("EVAL", "for i = 1, 20480 do redis.call('SET', 'key' .. i, i) end", "0")
    redis.stop()
    with redis.conf_path.open("a") as conf:
        conf.write(
            "key-load-delay 100\n"
        )  # µs; it answers after each 1024 commands, so in time on a busy machine
    starting = asyncio.create_task(redis.start())

    def is_loading() -> bool:
        try:
            return bool(redis.command("PING")) and False
        except RedisRefused as error:
            return str(error).startswith("LOADING")

    await until(is_loading, "it loads")
    claim = await claimed()
    assert await claim.store.ownership(SUPERVISOR) == 0
    await starting
    told = [line for line in capsys.readouterr().err.splitlines() if "is loading its data" in line]
    assert len(told) == 1 and f"redis://127.0.0.1:{redis.port}/0" in told[0]


async def test_cautions_are_printed(
    redis: RedisServer, claimed: Claim, capsys: pytest.CaptureFixture[str]
) -> None:
    await claimed()
    assert re.search("^caution: .*appendfsync everysec", capsys.readouterr().err, re.MULTILINE)
