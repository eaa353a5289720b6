"""The Redis backend when processes die, stop and come back, on either side of the connection."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from persistence.redis import lane
from persistence.redis.store import RedisStore
from persistence.store import Change, Record, StoreUnavailable
from tests.support.redis_server import RedisServer, until
from tests.support.store.child import body_of, check_child_records
from tests.support.store.contract import journal, recovered, refusal
from tests.support.store.processes import Child
from tests.support.store.redis_backend import opened, unavailable, with_options

TIMEOUT_MS = 1500  # long enough for what must succeed on a busy machine


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture
async def server(_server: RedisServer) -> AsyncIterator[RedisServer]:
    """A server that syncs every write. Tests may leave it killed or paused."""
    if not _server.runs:
        await _server.start()
    yield _server
    print(_server.tail())  # shown if the test failed
    if _server.runs:
        _server.resume()


@pytest.fixture
async def store(server: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[RedisStore]:
    prefix = request.node.name.removeprefix("test_")[:60]
    async with opened(server.url, prefix=prefix, timeout_ms=TIMEOUT_MS) as store:
        yield store


async def answers(store: RedisStore) -> bool:
    return await refusal(store.ping()) is None


# Killed -------------------------------------------------------------------------------------------------


async def test_nothing_acknowledged_is_lost_at_kill_of_a_writer(shared_redis: RedisServer) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    url = with_options(shared_redis.url, prefix="killed-writers")
    acknowledged = dict.fromkeys(["p", "q"], 0)
    for round_number in range(1, 4):
        with Child("append", url, "p") as first, Child("append", url, "q") as second:
            children = {"p": first, "q": second}
            for child in children.values():
                assert child.line() == ["epoch", str(round_number)]
            for _ in range(chance.randrange(50, 400)):
                name = chance.choice("pq")
                acknowledged[name] = int(children[name].line()[1])
            for child in children.values():
                child.kill()
            for name, child in children.items():
                # What was said before the kill; the last line may be cut.
                acknowledged[name] = max([acknowledged[name], *(int(line[1]) for line in child.lines()[:-1])])
        async with opened(url) as store:
            for name, acked in acknowledged.items():
                last_seq = check_child_records(*await recovered(store, name))
                assert acked <= last_seq == await store.last_seq(name)
                assert (await store.examine(name)).damage == []
    assert min(acknowledged.values()) > 10


async def test_a_successor_fences_another_process(shared_redis: RedisServer) -> None:
    url = with_options(shared_redis.url, prefix="successor")
    async with opened(url) as store:
        with Child("append", url, "p") as child:
            assert child.line() == ["epoch", "1"]
            for _ in range(60):
                assert child.line()[0] == "ack"
            epoch = await store.take_epoch("p")
            last_seq = await store.last_seq("p")
            lines = child.lines()
        assert (epoch, lines[-1]) == (2, ["fenced"])
        assert all(int(line[1]) <= last_seq for line in lines[:-1]), (
            "nothing was acknowledged after the fence"
        )
        await store.append("p", Record(epoch, last_seq + 1, last_seq + 1, body_of(last_seq + 1)))
        assert check_child_records(*await recovered(store, "p")) == last_seq + 1


async def test_nothing_acknowledged_is_lost_at_kill_of_redis(server: RedisServer) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    async with opened(server.url, prefix="killed-redis", timeout_ms=20_000) as store:
        await write_while_redis_is_killed(server, store, random.Random(seed))


async def write_while_redis_is_killed(server: RedisServer, store: RedisStore, chance: random.Random) -> None:
    epoch = await store.take_epoch("p")
    last = 0
    unknown = 0
    for _ in range(4):
        records = [Record(epoch, seq, seq, body_of(seq)) for seq in range(last + 1, last + 4001)]
        calls = [asyncio.ensure_future(store.append("p", record)) for record in records]
        await asyncio.wait(calls[: chance.randrange(1, 2000)])
        server.kill()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await server.start()
        await until(lambda: answers(store), "the same store object works again")
        errors = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
        assert outcomes == [None] * (len(records) - len(errors)) + errors
        assert errors and errors[0].unknown, "some were on their way"
        _, _, there = await recovered(store, "p")
        at = {record.last_seq: record for record in there}
        for record, outcome in zip(records, outcomes, strict=True):
            if outcome is None:
                assert at[record.last_seq] == record, "acknowledged"
            elif isinstance(outcome, StoreUnavailable) and not outcome.unknown:
                assert record.last_seq not in at, "said to be refused"
        assert sorted(at) == list(range(1, len(at) + 1)), "gapless"
        unknown += sum(error.unknown for error in errors)
        await asyncio.gather(*(store.append("p", record) for record in records))  # some are there already
        last += len(records)
        assert await store.last_seq("p") == last
    print(unknown, "outcomes were unknown")
    assert (await store.examine("p")).damage == []


async def test_documents_and_snapshots_survive_a_kill_of_redis(
    server: RedisServer, store: RedisStore
) -> None:
    epoch, records = await journal(store, "p", 10)
    owner = await store.take_ownership("supervisor")
    await store.put_parts("p", epoch, 7, {"a": b"A", "b": b"B"})
    await store.commit_snapshot("p", epoch, 7, {"a": 7, "b": 7})
    await store.commit([Change("c", "1", b"one")], owner="supervisor", epoch=owner)
    server.kill()
    await server.start()
    await until(lambda: answers(store), "the same store object works again")
    assert await recovered(store, "p") == (7, {"a": b"A", "b": b"B"}, records[7:])
    assert await store.get("c", ["1"]) == [b"one"]
    assert [await store.take_epoch("p"), await store.take_ownership("supervisor")] == [epoch + 1, owner + 1]


# Paused, stopped, cut off ---------------------------------------------------------------------------------


async def test_paused_redis_means_unknown_and_goes_on_afterwards(
    server: RedisServer, store: RedisStore
) -> None:
    epoch, records = await journal(store, "p", 2)
    server.pause()
    began_s = time.monotonic()
    lost = Record(epoch, 3, 3, b"sent to a server that does not answer")
    error = await unavailable(store.append("p", lost))
    assert error.unknown and server.url.partition("//")[2].partition("/")[0] in str(error)
    assert time.monotonic() - began_s < 3 * TIMEOUT_MS / 1000
    for call in (store.ping(), store.last_seq("p"), store.get("c", ["1"])):
        await unavailable(call)
    late = await unavailable(store.append("p", Record(epoch, 4, 4, b"could not even be sent")))
    assert not late.unknown
    server.resume()
    await until(lambda: answers(store), "the same store object works again")
    await store.append("p", lost)
    await store.append("p", lost)
    assert await recovered(store, "p") == (0, {}, [*records, lost])


async def test_stopped_redis_means_refused_and_goes_on_afterwards(
    server: RedisServer, store: RedisStore
) -> None:
    epoch, records = await journal(store, "p", 2)
    server.kill()
    await unavailable(store.append("p", Record(epoch, 3, 3, b"x")))  # may have been on its way
    for _ in range(3):
        began_s = time.monotonic()
        error = await unavailable(store.append("p", Record(epoch, 3, 3, b"x")))
        assert not error.unknown and "Connect" in str(error)
        assert time.monotonic() - began_s < TIMEOUT_MS / 1000, "no reason to wait"
    for call in (store.ping(), store.last_seq("p"), store.get("c", ["1"]), store.take_epoch("p")):
        assert not (await unavailable(call)).unknown
    assert await refusal(anext(aiter(store.recover("p")))) is StoreUnavailable
    another = RedisStore(with_options(server.url, timeout_ms=TIMEOUT_MS))
    assert "Connect" in str(await unavailable(another.open()))
    await server.start()
    await store.append("p", Record(epoch, 3, 3, b"x"))
    assert await recovered(store, "p") == (0, {}, [*records, Record(epoch, 3, 3, b"x")])
    await another.open()
    await another.close()


async def test_the_queue_has_limits(
    server: RedisServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "QUEUE_COMMANDS", 4)
    monkeypatch.setattr(lane, "QUEUE_BYTES", 1000)
    epoch = await store.take_epoch("p")
    server.pause()
    sizes = [(1, 300), (2, 300), (3, 500), (3, 10), (4, 10), (5, 10)]
    appends = [store.append("p", Record(epoch, seq, seq, bytes(size))) for seq, size in sizes]
    tasks = [asyncio.ensure_future(append) for append in appends]
    done, _ = await asyncio.wait(tasks, timeout=0.1)
    assert done == {tasks[2], tasks[5]}, "too many bytes, too many commands: told before any timeout"
    assert [(await unavailable(task)).unknown for task in (tasks[2], tasks[5])] == [False, False]
    server.resume()
    await asyncio.gather(*(task for task in tasks if task not in done))
    assert await store.last_seq("p") == 4
    await store.append("p", Record(epoch, 5, 5, bytes(5000)))
    assert await store.last_seq("p") == 5, "whatever its size, one command fits"


async def test_idle_connections_that_were_cut_are_no_failure(server: RedisServer, store: RedisStore) -> None:
    epoch, records = await journal(store, "p", 2)
    for seq in range(3, 6):
        server.command("CLIENT", "KILL", "TYPE", "normal")
        for _ in range(3):
            await asyncio.sleep(0)  # the event loop hears of it
        records.append(Record(epoch, seq, seq, b"x"))
        await store.append("p", records[-1])
        assert await store.last_seq("p") == seq
    server.command("SCRIPT", "FLUSH")
    await until(lambda: answers(store), "it answers")
    records.append(Record(epoch, 6, 6, b"x"))
    if await refusal(store.append("p", records[-1])) is not None:
        await store.append("p", records[-1])
    assert await recovered(store, "p") == (0, {}, records)


async def test_a_cancelled_append_happens_and_stops_nothing(server: RedisServer, store: RedisStore) -> None:
    epoch = await store.take_epoch("p")
    server.pause()
    task = asyncio.ensure_future(store.append("p", Record(epoch, 1, 1, b"x")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    server.resume()
    await store.append("p", Record(epoch, 2, 2, b"x"))
    assert task.cancelled() and await store.last_seq("p") == 2


async def test_a_close_while_redis_is_away_ends_in_time(server: RedisServer) -> None:
    store = RedisStore(with_options(server.url, prefix="closing", timeout_ms=TIMEOUT_MS))
    await store.open()
    epoch = await store.take_epoch("p")
    server.pause()
    append = asyncio.ensure_future(store.append("p", Record(epoch, 1, 1, b"x")))
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await store.close()
    assert (await unavailable(append)).unknown
    server.resume()


async def test_groups_share_one_sync(server: RedisServer, store: RedisStore) -> None:
    epoch = await store.take_epoch("p")
    before = int(server.info("stats")["total_reads_processed"])
    await asyncio.gather(*(store.append("p", Record(epoch, seq, seq, b"x")) for seq in range(1, 501)))
    reads = int(server.info("stats")["total_reads_processed"]) - before
    assert reads < 100, "500 appends of one turn are sent together, so that Redis syncs once for many"
    assert await store.last_seq("p") == 500
