"""The Redis backend: who may connect and how, what lies beside the store, what messages show."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.redis.store import RedisStore
from persistence.store import Change, Record, StoreError, StoreInUse, StoreUnavailable
from tests.support.free_ports import free_redis_port
from tests.support.redis_server import RedisServer, TlsFiles, until
from tests.support.store.contract import journal, recovered, refusal
from tests.support.store.redis_backend import opened, unavailable, with_options

PASSWORD = "s3cr3t/word:of@redis"
ENCODED = "s3cr3t%2Fword%3Aof%40redis"
TIMEOUT_MS = 1000


async def works(url: str) -> None:
    """Open, write, read."""
    async with opened(url, timeout_ms=TIMEOUT_MS) as store:
        _, records = await journal(store, "p", 3)
        assert (await recovered(store, "p"))[2][-3:] == records
        assert await store.examine("p")
        await store.ping()
        await store.cautions()
        await store.drop_periods(["p"])
        assert await store.strays() == []


async def refused(url: str) -> str:
    """What is said about a URL that does not lead to a store."""
    store = RedisStore(with_options(url, timeout_ms=TIMEOUT_MS))
    with pytest.raises(StoreError) as raised:
        await store.open()
    shown = "".join(traceback.format_exception(raised.value)) + repr(store)
    for secret in (PASSWORD, ENCODED, "wrong-word"):
        assert secret not in shown
    assert "\n" not in str(raised.value)
    return str(raised.value)


# TLS ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return TlsFiles(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory, tls: TlsFiles) -> Iterator[RedisServer]:
    """A server that speaks TLS and wants a password."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), tls=tls, password=PASSWORD)
    asyncio.run(server.start())
    yield server
    server.close()


async def test_tls(tls_server: RedisServer, tls: TlsFiles) -> None:
    await works(f"rediss://:{ENCODED}@127.0.0.1:{tls_server.port}/0?ca={tls.ca}")
    await works(f"rediss://:{ENCODED}@localhost:{tls_server.port}/1?ca={tls.ca}")
    await works(f"rediss://default:{ENCODED}@127.0.0.1:{tls_server.port}/2?verify=no")


async def test_tls_that_cannot_be_trusted(tls_server: RedisServer, tmp_path: Path) -> None:
    url = f"rediss://:{ENCODED}@127.0.0.1:{tls_server.port}/0"
    other = TlsFiles(tmp_path)
    assert "certificate verify failed" in await refused(f"{url}?ca={other.ca}")
    assert "certificate verify failed" in await refused(url)
    assert str(tmp_path / "nothing.pem") in await refused(f"{url}?ca={tmp_path / 'nothing.pem'}")
    plain = f"redis://:{ENCODED}@127.0.0.1:{tls_server.port}/0"
    assert f"127.0.0.1:{tls_server.port}" in await refused(plain)


async def test_tls_to_another_name(tls_server: RedisServer, tls: TlsFiles) -> None:
    url = f"rediss://:{ENCODED}@127.0.0.2:{tls_server.port}/0?ca={tls.ca}"
    tls_server.command("CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2")
    assert "certificate" in await refused(url)
    await works(f"{url}&verify=no")


async def test_tls_with_a_certificate_of_the_client(tls_server: RedisServer, tls: TlsFiles) -> None:
    url = f"rediss://:{ENCODED}@127.0.0.1:{tls_server.port}/3?ca={tls.ca}"
    tls_server.command("CONFIG", "SET", "tls-auth-clients", "yes")
    try:
        await refused(url)
        await works(f"{url}&cert={tls.client_cert}&key={tls.client_key}")
    finally:
        tls_server.command("CONFIG", "SET", "tls-auth-clients", "no")


async def test_no_tls_where_tls_is_wanted(shared_redis: RedisServer, tls: TlsFiles) -> None:
    url = f"rediss://127.0.0.1:{shared_redis.port}/0?ca={tls.ca}"
    assert f"127.0.0.1:{shared_redis.port}" in await refused(url)


# Passwords ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server with a password, and users who may do more and less."""
    users = (
        f"user boards on >{PASSWORD} ~{{lbactors* +@all -@dangerous +info",
        f"user reader on >{PASSWORD} ~* +@read +@connection +info",
        f"user stranger on >{PASSWORD} ~other:* +@all",
    )
    server = RedisServer(tmp_path_factory.mktemp("redis"), *users, password=PASSWORD)
    asyncio.run(server.start())
    yield server
    server.close()


async def test_passwords(guarded: RedisServer) -> None:
    where = f"127.0.0.1:{guarded.port}"
    await works(guarded.url)
    await works(f"redis://default:{ENCODED}@{where}/0")
    await works(f"redis://boards:{ENCODED}@{where}/0")


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ("", "Authentication required"),
        (":wrong-word@", "WRONGPASS|invalid username-password"),
        ("boards:wrong-word@", "WRONGPASS|invalid username-password"),
        (f"nobody:{ENCODED}@", "WRONGPASS|invalid username-password"),
        (f"reader:{ENCODED}@", "permissions"),
        (f"stranger:{ENCODED}@", "permissions"),
    ],
)
async def test_logins_that_are_refused(guarded: RedisServer, login: str, said: str) -> None:
    text = await refused(f"redis://{login}127.0.0.1:{guarded.port}/0")
    assert f"127.0.0.1:{guarded.port}" in text
    assert any(word in text for word in said.split("|")), text


async def test_a_password_that_is_changed(guarded: RedisServer) -> None:
    async with opened(f"redis://boards:{ENCODED}@127.0.0.1:{guarded.port}/0", prefix="lbactors-c") as store:
        epoch, _ = await journal(store, "p", 2)
        guarded.command("ACL", "SETUSER", "boards", "resetpass", ">another")
        try:
            guarded.command("CLIENT", "KILL", "USER", "boards")
            for _ in range(3):
                error = await unavailable(store.append("p", Record(epoch, 3, 3, b"x")))
                assert PASSWORD not in "".join(traceback.format_exception(error))
        finally:
            guarded.command("ACL", "SETUSER", "boards", "resetpass", f">{PASSWORD}")
        await store.append("p", Record(epoch, 3, 3, b"x"))
        assert await store.last_seq("p") == 3


async def test_messages_show_no_passwords(tmp_path: Path) -> None:
    nobody = free_redis_port()
    login = f"user:{ENCODED}@127.0.0.1:{nobody}"
    for url in (
        f"redis://{login}/0",
        f"rediss://{login}/0",
        f"redis+cluster://{login}/",
        f"redis+sentinel://{login}/board/0?sentinel_user=u&sentinel_password={ENCODED}",
    ):
        assert f"127.0.0.1:{nobody}" in await refused(url)
    for url in (
        f"redis://user:{ENCODED}@host:port/0",
        f"redis://{login}/first",
        f"redis://{login}/0?sentinel_password={ENCODED}&tls=yes",
        f"redis://user:{PASSWORD}@127.0.0.1/0",
        f"redis+sentinel://{login}/?sentinel_password={ENCODED}",
        f"redis+cluster://{login}/3",
        f"redis://{login}/0?ca={tmp_path}",
    ):
        with pytest.raises(StoreError) as raised:
            RedisStore(url)
        shown = "".join(traceback.format_exception(raised.value))
        assert PASSWORD not in shown and ENCODED not in shown and "s3cr3t" not in shown, shown


def test_settings_show_no_passwords() -> None:
    url = f"redis+sentinel://user:{ENCODED}@host/board?sentinel_user=u&sentinel_password=wrong-word"
    store = RedisStore(url)
    assert store.options.password == PASSWORD and store.options.sentinel_password == "wrong-word"
    for shown in (repr(store), repr(store.options), str(store.options), repr([store.options])):
        assert PASSWORD not in shown and ENCODED not in shown and "wrong-word" not in shown


# Neighbours ---------------------------------------------------------------------------------------------


async def test_prefixes_and_databases_do_not_see_each_other(shared_redis: RedisServer) -> None:
    base = f"redis://127.0.0.1:{shared_redis.port}"
    urls = [f"{base}/{place}" for place in ("5?prefix=a", "5?prefix=ab", "5?prefix=a.p", "6?prefix=a", "6")]
    shared_redis.command("SET", "a", "of another program", db=5)
    stores = [RedisStore(url) for url in urls]
    await asyncio.gather(*(store.open() for store in stores))
    try:
        for number, store in enumerate(stores, 1):
            epoch, _ = await journal(store, "p", number)
            assert epoch == 1
            await store.put_parts("p", epoch, number, {"a": b"%d" % number})
            await store.commit_snapshot("p", epoch, number, {"a": number})
            owner = await store.take_ownership("owner")
            await store.commit([Change("c", "1", b"%d" % number)], owner="owner", epoch=owner)
            await store.claim(f"holder {number}", "a test", 60)
        for number, store in enumerate(stores, 1):
            assert await recovered(store, "p") == (number, {"a": b"%d" % number}, [])
            assert await store.get("c", ["1"]) == [b"%d" % number]
            assert (await store.list_periods(), await store.strays()) == (["p"], [])
            with pytest.raises(StoreInUse):
                await store.claim("someone else", "a test", 60)
        assert len({await store.identity() for store in stores}) == len(stores)
        await stores[0].drop_periods(["p"])
        assert [await store.last_seq("p") for store in stores] == [0, 2, 3, 4, 5]
        assert shared_redis.command("GET", "a", db=5) == b"of another program"
    finally:
        await asyncio.gather(*(store.close() for store in stores))


async def test_a_database_that_is_not_there(shared_redis: RedisServer) -> None:
    assert "DB index is out of range" in await refused(f"redis://127.0.0.1:{shared_redis.port}/4711")


async def test_a_claim_ends_by_itself(shared_redis: RedisServer) -> None:
    async with opened(shared_redis.url, prefix="claims") as store:
        await store.claim("holder", "the first server, pid 1", 1.0)
        with pytest.raises(StoreInUse, match="the first server, pid 1"):
            await store.claim("other", "the second server", 60)

        async def taken_over() -> bool:
            return await refusal(store.claim("other", "the second server", 60)) is None

        await until(taken_over, "the claim ends")
        assert await refusal(store.claim("holder", "the first server, pid 1", 60)) is StoreInUse


async def test_not_a_redis_server_at_all() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        store = RedisStore(f"redis://127.0.0.1:{port}/0?timeout_ms={TIMEOUT_MS}")
        with pytest.raises(StoreError, match=f"127.0.0.1:{port}"):
            await store.open()
        assert await refusal(store.ping()) is StoreUnavailable
