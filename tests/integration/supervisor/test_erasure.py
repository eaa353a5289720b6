"""Erasure: a player who left traces wherever there can be any, and whose id no byte holds afterwards.

The supervisor and its actors are real (`local_supervisor`), the store is SQLite. What is not verified: Redis,
whose files are its operator's (docs/erasure.md), and logs.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.instants import format_instant
from lbactors.documents.audit import Wanted, search
from lbactors.documents.reviews import Review
from persistence.data_dir import DATABASE_NAME
from tests.support.redis_server import MakeRedis, until
from tests.support.supervisor.local_supervisor import WHO, LocalServer

GONE = "gone-soon-4711"
HOUR_MS = 3_600_000
REWARDS = {"tiers": [{"name": "all", "rank_from": 1, "rank_to": 3, "payload": {"gems": 5}}]}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data", held_limit=10) as server:
        yield server


def traces(server: LocalServer) -> list[str]:
    """Files of the data directory that name the player, with what stands before and after the name."""
    found = []
    for path in sorted(server.folder.iterdir()):
        data = path.read_bytes()
        start = data.find(GONE.encode())
        while start >= 0:
            found.append(f"{path.name}: {data[max(start - 60, 0) : start + 40]!r}")
            start = data.find(GONE.encode(), start + 1)
    return found


async def collections_with_the_name(server: LocalServer) -> set[str]:
    from lbactors.documents.entities import COLLECTIONS

    store = server.supervisor.state.store
    return {
        name
        for name in COLLECTIONS
        for doc_id, body in await store.scan(name)
        if GONE in doc_id or GONE.encode() in body
    }


PROFILE = {"display_name": "Soon", "roles": ["vip"], "tags": ["a/b"], "test": True}


async def leave_traces(server: LocalServer) -> None:
    """In open, sleeping and closed periods, and in every collection that can name a player."""
    command = server.command
    await command("create_webhook", webhook={"url": "http://127.0.0.1:9/hook"})
    for name in ("played", "asleep", "moderated"):
        await command("create_leaderboard", definition={"leaderboard_id": name, "windows": []})
    few = {"leaderboard_id": "few", "audience": {"rank": {"players": [GONE]}, "view": {"players": [GONE]}}}
    await command("create_leaderboard", definition=few)
    seasons = {"leaderboard_id": "seasons", "timeframe": {"type": "daily"}, "rewards": REWARDS}
    await command("create_leaderboard", definition=seasons)
    server.clock.move(HOUR_MS)
    for name in ("played", "asleep", "seasons", "moderated"):
        for player_id, score in ((GONE, 9), ("stays", 5)):
            await server.submit(name, player_id, score)
    await command("close_period", leaderboard_id="seasons", window="main")
    async with asyncio.timeout(20):
        while True:  # the supervisor grants beside
            if await server.supervisor.state.store.scan("claims"):
                break
            await asyncio.sleep(0.02)
    entry = {"player_id": GONE, "window": None}
    edit = {"score": 7, "reason": f"{GONE} cheated"}
    await command("edit_entry", leaderboard_id="moderated", **entry, edit=edit)
    await command("remove_entry", leaderboard_id="moderated", **entry, reason="cheat")
    until = format_instant(server.clock.now_ms() + HOUR_MS)
    await command("put_player", player_id=GONE, profile={**PROFILE, "hidden_until": until})
    await command("hide_player", player_id=GONE, hide={"reason": "cheat"})
    key = {"name": f"phone of {GONE}", "scopes": ["scores:write"], "player_id": GONE}
    await server.command_as(WHO, "create_key", idempotency=["K", "digest"], key=key)
    uid = server.supervisor.state.boards["default/played"].uid
    held = Review("h_1", GONE, 3, 0, None, "id", None, None, server.clock.now_ms(), "plugin", "odd", "k_1")
    await command("hold", items=[["default", "played", uid, list(held)]])
    await server.command("claim_reward", **await claim_of(server))
    for actor in server.actors.by_name.values():  # one that nobody used sleeps
        for chain_id, chain in actor.actor.chains.items():
            if "/asleep~" in chain_id:
                await chain.rest(server.clock.now_ms() + 1)
                assert not chain.open.is_awake


async def claim_of(server: LocalServer) -> dict[str, Any]:
    """What a gateway asks for in the player's name."""
    board = server.supervisor.state.boards["default/seasons"]
    (record,) = [r for r in server.supervisor.state.chains[board.chain_id("main")].records if r.sealed]
    return {
        "leaderboard_id": "seasons",
        "window": "main",
        "serial": record.serial,
        "player_id": GONE,
        "claim": {},
    }


async def test_no_byte_names_an_erased_player(server: LocalServer) -> None:
    await leave_traces(server)
    named = await collections_with_the_name(server)
    expected = {
        "leaderboards",
        "profiles",
        "labels",
        "test_players",
        "hidden",
        "audit",
        "deliveries",
        "rewards",
        "claims",
        "held",
        "idempotency",
        "keys",
    }
    assert named == expected
    assert traces(server)
    answer = await server.command("erase_player", player_id=GONE)
    assert answer == {"player_id": GONE, "erased_entries": 3}
    assert await collections_with_the_name(server) == set()
    assert traces(server) == []


async def test_redis_has_forgotten_after_a_rewrite(tmp_path: Path, make_redis: MakeRedis) -> None:
    """The append-only file holds what was deleted until it is rewritten, as docs/erasure.md says."""
    redis = make_redis("appendonly yes", "appendfsync everysec", "aof-use-rdb-preamble no", 'save ""')
    await redis.start()
    async with LocalServer(tmp_path / "data", held_limit=10, store_url=redis.url) as server:
        await leave_traces(server)
        assert await collections_with_the_name(server)
        await server.command("erase_player", player_id=GONE)
        assert await collections_with_the_name(server) == set()
        assert named_in_files(redis.folder)
        redis.command("BGREWRITEAOF")
        await until(lambda: not named_in_files(redis.folder), "the append-only file is rewritten")


def named_in_files(folder: Path) -> list[str]:
    found = []
    for path in folder.rglob("*.aof"):
        with contextlib.suppress(FileNotFoundError):  # replaced just now
            if GONE.encode() in path.read_bytes():
                found.append(path.name)
    return found


async def test_what_stays_has_an_anonymous_name(server: LocalServer) -> None:
    await leave_traces(server)
    await server.command("erase_player", player_id=GONE)
    closed = await server.page("seasons", "previous")
    assert [(rank, score) for rank, _, score in closed] == [(1, 9), (2, 5)]
    anonymous_id = closed[0][1]
    assert anonymous_id.startswith("erased-")
    assert [p for _, p, _ in await server.page("played")] == ["stays"]
    records, _, _ = await search(
        server.supervisor.state.store, "default", Wanted(player_id=anonymous_id), 0, 100
    )
    acts = {record["act"] for record in records}
    assert {"player.erase", "player.hide", "entry.edit", "entry.remove", "player.update"} <= acts
    (edited,) = [r for r in records if r["act"] == "entry.edit"]
    assert edited["reason"] == f"{anonymous_id} cheated"
    with pytest.raises(ApiError, match="no player"):
        await server.command("erase_player", player_id=GONE)


async def test_who_plays_again_begins_anew(server: LocalServer) -> None:
    await leave_traces(server)
    await server.command("erase_player", player_id=GONE)
    row = await server.submit("played", GONE, 1)
    assert row[5] == 2, "nobody knows that he was hidden"
    with pytest.raises(ApiError) as refused:
        restore = {"leaderboard_id": "moderated", "player_id": GONE, "window": None, "restore": {}}
        await server.command("restore_entry", **restore)
    assert refused.value.code == "entry_not_found"


async def test_a_reading_in_the_way_puts_the_last_step_off(server: LocalServer) -> None:
    """The log cannot be emptied while somebody reads from it: it is, as soon as he has done."""
    await leave_traces(server)
    store = server.supervisor.state.store
    with contextlib.closing(sqlite3.connect(server.folder / DATABASE_NAME, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM documents").fetchall()
        await server.command("erase_player", player_id=GONE)
        assert not await store.scrub()
        assert traces(server) and await collections_with_the_name(server) == set()
    async with asyncio.timeout(20):
        while True:  # the supervisor does so beside
            if not traces(server):
                break
            await asyncio.sleep(0.02)


async def test_other_commands_go_on_beside_it(server: LocalServer) -> None:
    """It takes as long as there are leaderboards; nobody else waits for that."""
    await leave_traces(server)
    board = server.supervisor.state.boards["default/played"]
    chain = server.supervisor.state.chains[board.chain_id("main")]
    async with chain.lock:  # it stands before this one
        erasing = asyncio.create_task(server.command("erase_player", player_id=GONE))
        async with asyncio.timeout(20):
            await server.command("create_leaderboard", definition={"leaderboard_id": "beside"})
        assert not erasing.done()
    assert (await erasing)["erased_entries"] == 3
    assert traces(server) == []
