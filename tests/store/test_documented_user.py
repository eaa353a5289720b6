"""The Redis user that `docs/redis.md` describes may do what the store needs, and nothing is denied to it.

Every method of the store is called. Verified by Redis's own log of denied commands, those inside scripts
included.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from persistence.redis.store import RedisStore
from persistence.store import Change, Record, StoreError
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "redis.md"
IN_A_CLUSTER = ["cluster|slots", "command"]


def documented() -> tuple[str, str]:
    """The user's line, and the commands that the page adds for a cluster."""
    text = PAGE.read_text(encoding="utf-8")
    (line,) = re.findall(r"^user lbactors .*$", text, re.MULTILINE)
    more = " ".join(f"+{command}" for command in IN_A_CLUSTER)
    assert " ".join(text.split()).count(more) == 1
    return line, more


async def everything(url: str) -> None:
    """Every method of the contract, to the end of a period's life."""
    store = RedisStore(url)
    await store.open()
    try:
        assert await store.cautions(), "CONFIG GET says nothing"
        await store.claim("us", "a test", 5)
        await store.ping()
        assert await store.identity()
        owner = await store.take_ownership("supervisor")
        assert owner == await store.ownership("supervisor")
        await store.commit(
            [Change("keys", "a", b"1"), Change("keys", "b", b"2")], owner="supervisor", epoch=owner
        )
        await store.commit([Change("keys", "b", None)], owner="supervisor", epoch=owner)
        assert await store.get("keys", ["a", "b"]) == [b"1", None]
        assert await store.scan("keys") == [("a", b"1")]
        for period_id in ("p", "q", "r"):
            epoch = await store.take_epoch(period_id)
            assert await store.epochs([period_id]) == [epoch]
            for seq in range(1, 5):
                await store.append(period_id, Record(epoch, seq, seq, b"x"))
            await store.put_parts(period_id, epoch, 2, {"old": b"2", "new": b"2"})
            await store.commit_snapshot(period_id, epoch, 2, {"old": 2, "new": 2})
            await store.put_parts(period_id, epoch, 3, {"new": b"3"})
            await store.commit_snapshot(period_id, epoch, 3, {"old": 2, "new": 3})
            assert [item async for item in store.recover(period_id)][-1] == Record(epoch, 4, 4, b"x")
            assert [record.last_seq async for record in store.records_after(period_id, 3)] == [4]
            assert not (await store.examine(period_id)).damage
            await store.cut(period_id, epoch, 3)
            assert await store.last_seq(period_id) == 3
        await keep_a_log(store)
        await store.drop_periods(["q"])
        assert await store.list_periods() == ["p", "r"]
        assert await store.strays() == []
        await store.scrub()
        await store.disclaim("us")
    finally:
        await store.close()


async def keep_a_log(store: RedisStore) -> None:
    epoch = await store.take_epoch("log")
    for seq in range(1, 7):
        await store.append("log", Record(epoch, seq, seq, b"x"))
    await store.commit_snapshot("log", epoch, 5, {}, keep_journal=True)
    assert await store.manifest("log") == {}
    await store.rewrite("log", epoch, [Record(epoch, 4, 4, b"y")])
    await store.trim("log", epoch, 3)
    assert [record.last_seq for record in await store.records("log", 0, 10)] == [4, 5, 6]
    assert [record.last_seq for record in await store.records_before("log", 6, 10)] == [5, 4]
    assert (await store.first_seq("log"), await store.last_seqs(["log"])) == (4, [6])
    await store.cut("log", epoch, 5)
    await store.drop_periods(["log"])


def denied(server: RedisServer) -> list[str]:
    """What was denied: command or key, in the order of the log's fields."""
    return [entry[entry.index(b"object") + 1].decode() for entry in server.command("ACL", "LOG")]


@pytest.mark.parametrize("prefix", ["lbactors", "games"])
async def test_on_one_server(tmp_path: Path, prefix: str) -> None:
    line, _ = documented()
    user = line.replace("~{lbactors", f"~{{{prefix}")
    server = RedisServer(tmp_path, user, "appendfsync everysec")
    await server.start()
    try:
        await everything(f"redis://lbactors:secret@127.0.0.1:{server.port}/1?prefix={prefix}")
        assert denied(server) == []
    finally:
        server.close()


async def test_in_a_cluster(tmp_path: Path) -> None:
    line, more = documented()
    cluster = RedisCluster(tmp_path, 3, f"{line} {more}", "appendfsync everysec")
    await cluster.start()
    try:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
        await everything(f"redis+cluster://lbactors:secret@{hosts}")
        assert [denied(node) for node in cluster.nodes] == [[], [], []]
    finally:
        cluster.close()


async def test_the_log_of_denials_is_one(tmp_path: Path) -> None:
    """Without one of the commands the same is found."""
    line, _ = documented()
    server = RedisServer(tmp_path, line.replace(" +xadd", ""), "appendfsync everysec")
    await server.start()
    try:
        with pytest.raises(StoreError):
            await everything(f"redis://lbactors:secret@127.0.0.1:{server.port}")
        assert "xadd" in denied(server)
    finally:
        server.close()
