"""Starts and ends as the command line promises them: refusals, the root key, SIGTERM under load."""

from __future__ import annotations

import asyncio
import random
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.data_dir import DATABASE_NAME
from persistence.sqlite.store import SqliteStore
from persistence.store import Record
from tests.support.crash.readers import live_reader, settle_and_audit
from tests.support.crash.refusal import refusal
from tests.support.crash.writers import DISCONNECTED, OK, Api, Ledger, Load
from tests.support.figures import Note
from tests.support.free_ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.repository import REPOSITORY
from tests.support.server_process import (
    ROOT_KEY,
    MakeServer,
    Server,
    command_line,
    survivors,
)

LEFT_AFTER_EXIT_S = 20.0
FOUND_WITHIN_S = 20.0
CLAIM, OWNERS = "{lbactors}:claim", "{lbactors}:owners"
ON_THE_WIRE_S = 0.05  # a request sent so shortly before SIGTERM may not have been read yet, later if busy


@pytest.fixture
def candidate(make_server: MakeServer) -> Server:
    """A server that a test gives a reason not to start."""
    return make_server(None)


def test_a_port_in_use(candidate: Server) -> None:
    with socket.create_server(("127.0.0.1", candidate.port)):
        assert str(candidate.port) in refusal(candidate)
    assert not candidate.data_dir.exists()


async def test_a_data_directory_in_use(candidate: Server, server: Server, api: Api) -> None:
    await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": "unharmed"})
    candidate.data_dir = server.data_dir
    line = await asyncio.to_thread(refusal, candidate)
    assert str(server.data_dir) in line and str(server.pid) in line
    answer = await api.ok("POST", "/v1/leaderboards/unharmed/scores", {"player_id": "p", "score": 1})
    assert answer["rank"] == 1


async def test_no_process_imports_from_the_directory_of_the_start(candidate: Server, tmp_path: Path) -> None:
    """Where another version's source may lie, or what anybody left there."""
    for name in ("lbactors", "gateway", "persistence", "msgpack"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the directory of the start')")
    candidate.cwd = tmp_path
    candidate.variables["PYTHONPATH"] = str(
        REPOSITORY
    )  # pytest-xdist's ends with an empty path: the directory
    await candidate.start()
    async with Api(candidate.url, candidate.key) as api:
        await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": "xp"})
        answer = await api.ok("POST", "/v1/leaderboards/xp/scores", {"player_id": "p", "score": 1})
    assert answer["rank"] == 1


def _newer(data_dir: Path) -> None:
    asyncio.run(_make_store(data_dir))
    with sqlite3.connect(data_dir / DATABASE_NAME) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


async def _make_store(data_dir: Path) -> None:
    store = SqliteStore(data_dir)
    await store.open()
    await store.close()


def _damaged(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / DATABASE_NAME).write_bytes(b"no database" * 1000)


def _of_another(data_dir: Path) -> None:
    data_dir.mkdir()
    with sqlite3.connect(data_dir / DATABASE_NAME) as database:
        database.execute("CREATE TABLE something (x)")
    database.close()


def _read_only(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o555)


def _file(data_dir: Path) -> None:
    data_dir.write_text("a file")


@pytest.fixture(
    params=[(_newer, "99"), (_damaged, ""), (_of_another, ""), (_read_only, ""), (_file, "")],
    ids=lambda case: case[0].__name__.strip("_"),
)
def spoiled(request: pytest.FixtureRequest, candidate: Server) -> Iterator[tuple[Server, str]]:
    """A server whose data directory is no good, and a word that the refusal must contain."""
    spoil, word = request.param
    spoil(candidate.data_dir)
    yield candidate, word
    if candidate.data_dir.is_dir():
        candidate.data_dir.chmod(0o755)


def test_a_data_directory_that_is_no_good(spoiled: tuple[Server, str]) -> None:
    server, word = spoiled
    before = sorted(p.name for p in server.data_dir.iterdir()) if server.data_dir.is_dir() else []
    line = refusal(server)
    assert str(server.data_dir) in line and word in line
    if server.data_dir.is_dir():
        added = {p.name for p in server.data_dir.iterdir()} - set(before)
        assert added <= {"server.lock", "write.lock"}, added


def test_a_redis_that_is_away(make_server: MakeServer) -> None:
    port = free_port()
    line = refusal(make_server(None, "--store", f"redis://user:secret@127.0.0.1:{port}/0?timeout_ms=2000"))
    assert f"redis://127.0.0.1:{port}/0" in line and "secret" not in line


async def refused_on(redis: RedisServer, make_server: MakeServer, data_dir: Path | None = None) -> str:
    """The refusal of a server on this Redis: one with a data directory of its own, or with this one."""
    server = make_server(None, "--store", redis.url)
    server.data_dir = data_dir or server.data_dir
    return await asyncio.to_thread(refusal, server)


async def test_a_server_and_its_redis(make_server: MakeServer, redis: RedisServer, note: Note) -> None:
    """One at a time; killed and started again at once; ended by another one's claim; never on less than
    there was.
    """
    server = make_server(ROOT_KEY, "--store", redis.url)
    await server.start()
    assert f"server {socket.gethostname()} pid {server.pid}" in await refused_on(redis, make_server)
    async with Api(server.url, server.key) as api:
        await api.ok("POST", "/v1/leaderboards", {"leaderboard_id": "kept"})
        await api.ok("POST", "/v1/leaderboards/kept/scores", {"player_id": "p", "score": 5})

        await server.kill_everything()
        assert redis.command("PTTL", CLAIM) > 0
        took_s = await server.start()
        note(f"Redis: start with the claim of a killed server, {took_s:.1f} s")
        assert (await api.ok("GET", "/v1/leaderboards/kept/players/p"))["score"] == 5

    old = await asyncio.to_thread(server.processes)
    redis.cli("SET", CLAIM, "another\nserver elsewhere pid 7", "PX", "60000")
    assert await server.exit_code() == 1, server.tail()
    assert not await survivors(old, time.monotonic() + LEFT_AFTER_EXIT_S)
    assert "server elsewhere pid 7" in server.tail()
    line = await refused_on(redis, make_server, server.data_dir)
    assert "server elsewhere pid 7" in line and redis.cli("GET", CLAIM).startswith("another")
    redis.cli("DEL", CLAIM)

    copy = redis.command("DUMP", OWNERS)
    redis.cli("HSET", OWNERS, "supervisor", "1")
    line = await refused_on(redis, make_server, server.data_dir)
    assert "went back" in line and "--accept-older-store" in line
    redis.command("RESTORE", OWNERS, 0, copy, "REPLACE")

    redis.cli("FLUSHALL")
    line = await refused_on(redis, make_server, server.data_dir)
    assert "emptied or replaced" in line and "--accept-older-store" in line
    empty = make_server(ROOT_KEY, "--store", redis.url, "--accept-older-store")
    empty.data_dir = server.data_dir
    await empty.start()
    assert "caution: store redis://" in empty.tail() and "emptied or replaced" in empty.tail()
    async with Api(empty.url, empty.key) as api:
        assert (await api.ok("GET", "/v1/leaderboards"))["total"] == 0
    empty.terminate()
    assert await empty.exit_code() == 0
    assert redis.cli("GET", CLAIM) == "", "the next server would have to wait"


async def test_further_gateways_find_the_store(make_server: MakeServer, redis: RedisServer) -> None:
    """The URL reaches them with its options, by the environment."""
    prefix = "games.eu"
    server = make_server(
        ROOT_KEY, "--store", f"{redis.url}?prefix={prefix}&timeout_ms=3000", "--gateways", "2"
    )
    await server.start()
    (gateway,) = await asyncio.to_thread(server.further_gateways)
    seen: set[int] = set()
    async with asyncio.timeout(FOUND_WITHIN_S):
        while seen != {server.pid, gateway}:  # a connection is taken by either
            async with Api(server.url, server.key) as api:
                status = await api.status()
                assert status["storage"] == "ok"
                seen.add(status["gateway"]["pid"])
    assert {key.split("}")[0] for key in redis.cli("KEYS", "*").split()} <= {f"{{{prefix}", f"{{{prefix}:p:"}


async def records_left(data_dir: Path) -> int:
    """Journal records that no snapshot covers."""
    store = SqliteStore(data_dir)
    await store.open()
    try:
        items = [item for name in await store.list_periods() async for item in store.recover(name)]
    finally:
        await store.close()
    return sum(isinstance(item, Record) for item in items)


async def test_sigterm_under_load_and_the_root_key(
    make_server: MakeServer, rng: random.Random, note: Note
) -> None:
    """What was answered is there after the next start; the key that the first start made, and it alone
    printed, still works.
    """
    server = make_server(None)
    first_s = await server.start()
    assert len(server.root_keys()) == 1 and server.key.startswith("lb_")
    async with Api(server.url, server.key) as api:
        total, best = Ledger(api, "sum", rng), Ledger(api, "best", rng)
        await total.create(windows=["daily"])
        await best.create()
        readers = [live_reader(total), live_reader(best)]
        async with readers[0], readers[1]:
            async with Load(total, best):
                await asyncio.sleep(rng.uniform(0.5, 2.0))
                old = await asyncio.to_thread(server.processes)
                asked_at_s = time.monotonic()
                server.terminate()
                code = await server.exit_code()
            stop_s = time.monotonic() - asked_at_s
            assert code == 0, server.tail()
            left = await survivors(old, time.monotonic() + LEFT_AFTER_EXIT_S)
            assert not left, left
            records = await records_left(server.data_dir)
            note(f"SIGTERM under load: exit after {stop_s:.2f} s, {records} journal records left")
            assert not records, "not everything was snapshotted"
            second_s = await server.start()
            note(f"SIGTERM: first start {first_s:.1f} s, second {second_s:.1f} s")
            for reader in readers:
                await reader.events.success_after(server.ready_at_s, 30)
            again_at_s = time.monotonic()
        assert not server.root_keys()
        for reader in readers:
            reader.check()
            told = reader.events.strange(asked_at_s, again_at_s, DISCONNECTED, "period_loading")
            assert not told, told[:5]
        for ledger in (total, best):
            told = ledger.events.strange(asked_at_s, again_at_s, DISCONNECTED, "period_loading")
            assert not told, told[:5]
            lost = [e for e in ledger.events.all if e.how == DISCONNECTED]
            answered = [e for e in ledger.events.all if e.how == OK and e.ended_s < asked_at_s]
            slowest_s = max(e.ended_s - e.sent_s for e in answered[-100:])
            unanswered = [e for e in lost if e.sent_s < asked_at_s - max(ON_THE_WIRE_S, 2 * slowest_s)]
            assert not unanswered, f"open requests that got no answer: {unanswered[:5]}"
        await settle_and_audit(total, "main", "daily")
        await settle_and_audit(best)


async def test_of_ray_runs_only_what_is_needed(server: Server) -> None:
    processes = await asyncio.to_thread(server.processes)
    lines = [" ".join(command_line(process.pid)) for process in processes]
    assert any("gcs_server" in line for line in lines), lines
    needless = ("log_monitor.py", "autoscaler/_private/monitor.py", "dashboard/dashboard.py")
    assert not [line for line in lines for name in needless if name in line]
