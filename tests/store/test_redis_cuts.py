"""The Redis backend on connections cut at every place of an exchange: what is said is what happened."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Iterator

import pytest

from persistence.redis.store import RedisStore
from persistence.store import Change, Fenced, Record, StoreUnavailable
from tests.support.redis_server import RedisServer
from tests.support.store.contract import journal, recovered, refusal
from tests.support.store.redis_backend import opened, with_options
from tests.support.store.wire import Wire

APPENDS = 4  # under way at a time
CUTS_OF_REQUESTS = 24  # spread over all bytes of an exchange; replies are cut after each byte

_numbers = itertools.count()


@pytest.fixture
def direct_url(shared_redis: RedisServer) -> str:
    return with_options(shared_redis.url, prefix=f"cuts{next(_numbers)}", timeout_ms=2000)


@pytest.fixture
async def wire(shared_redis: RedisServer) -> AsyncIterator[Wire]:
    async with Wire(shared_redis.port) as wire:
        yield wire


@pytest.fixture
async def direct(direct_url: str) -> AsyncIterator[RedisStore]:
    """The same store on a sound connection."""
    async with opened(direct_url) as direct:
        yield direct


@pytest.fixture
async def store(
    direct_url: str, direct: RedisStore, shared_redis: RedisServer, wire: Wire
) -> AsyncIterator[RedisStore]:
    async with opened(direct_url.replace(f":{shared_redis.port}/", f":{wire.port}/")) as store:
        yield store


async def cuts_of(wire: Wire, *exchange: Awaitable[object]) -> Iterator[dict[str, int]]:
    """Carry out an exchange, uncut; then the places where another one like it can be cut."""
    before = dict(wire.carried)
    for call in exchange:
        await call
    requests, replies = (wire.carried[way] - before[way] for way in ("requests", "replies"))
    assert requests > 100 and 5 <= replies < 400
    every = [*range(1, requests, max(requests // CUTS_OF_REQUESTS, 1)), requests]
    ways = [{"requests": count} for count in every] + [{"replies": count} for count in range(1, replies + 1)]
    return iter(ways)


async def test_appends_at_every_cut(store: RedisStore, direct: RedisStore, wire: Wire) -> None:
    epoch, _ = await journal(store, "p", 1)
    last = 1 + APPENDS
    one_turn = asyncio.gather(
        *(store.append("p", Record(epoch, seq, seq, b"record %3d" % seq)) for seq in range(2, last + 1))
    )
    cuts = unknown = 0
    for cut in await cuts_of(wire, one_turn):
        await store.ping()  # on a connection that is there
        seqs = range(last + 1, last + APPENDS + 1)
        records = [Record(epoch, seq, seq, b"record %3d" % seq) for seq in seqs]
        wire.cut_after(**cut)
        outcomes = await asyncio.gather(*(store.append("p", r) for r in records), return_exceptions=True)
        wire.cut_after()
        cuts += 1
        assert wire.cuts == cuts, cut
        there = [record async for record in direct.records_after("p", last)]
        assert there == records[: len(there)], "gapless, in order"
        for record, outcome in zip(records, outcomes, strict=True):
            if outcome is None:
                assert record in there, cut
            else:
                assert isinstance(outcome, StoreUnavailable)
                assert outcome.unknown or record not in there, cut
                unknown += outcome.unknown
        await asyncio.gather(*(store.append("p", record) for record in records))
        assert [record async for record in direct.records_after("p", last)] == records
        last += APPENDS
    assert cuts > 40 and unknown > cuts
    assert (await direct.examine("p")).damage == []


async def test_cuts_while_connecting_change_nothing(
    store: RedisStore, direct: RedisStore, wire: Wire
) -> None:
    epoch, records = await journal(store, "p", 3)
    record = Record(epoch, 4, 4, b"x")

    async def lose_connections() -> None:
        wire.cut_after(replies=1)
        assert await refusal(store.ping()) is StoreUnavailable

    await lose_connections()
    cuts = 0
    for cut in await cuts_of(wire, store.ping()):
        await lose_connections()
        wire.cut_after(**cut)
        outcome = await refusal(store.append("p", record))
        wire.cut_after()
        if outcome is None:
            break  # connecting, with less after it than a ping, is done
        cuts += 1
        (again,) = await asyncio.gather(store.append("p", record), return_exceptions=True)
        assert outcome is StoreUnavailable and again is None
    assert cuts > 10
    assert await recovered(direct, "p") == (0, {}, [*records, record])


async def test_snapshots_at_every_cut(store: RedisStore, direct: RedisStore, wire: Wire) -> None:
    epoch, records = await journal(store, "p", 11)

    async def snapshot(seq: int) -> None:
        parts = {"a": b"a%3d" % seq, "b": b"b%3d" % seq}
        await store.put_parts("p", epoch, seq, parts)
        await store.commit_snapshot("p", epoch, seq, dict.fromkeys(parts, seq))

    def found(seq: int) -> tuple[int, dict[str, bytes], list[Record]]:
        return seq, {"a": b"a%3d" % seq, "b": b"b%3d" % seq}, records[seq:]

    await snapshot(10)
    seq, kept, done = 11, 0, 0
    for cut in await cuts_of(wire, snapshot(11)):
        seq += 1
        records.append(Record(epoch, seq, seq, b"x"))
        await store.append("p", records[-1])
        await refusal(store.put_parts("p", epoch, 1, {}))  # on a connection that is there
        wire.cut_after(**cut)
        outcome = await refusal(snapshot(seq))
        wire.cut_after()
        old, new, now = found(seq - 1), found(seq), await recovered(direct, "p")
        assert outcome in (None, StoreUnavailable) and now in ([new] if outcome is None else [old, new]), cut
        kept, done = kept + (now == old), done + (now == new)
        await snapshot(seq)
        assert await recovered(direct, "p") == new
    assert min(kept, done) > 9, "cut before and after it was done"
    assert (await direct.examine("p")).damage == [] == await direct.strays()


async def test_owners_and_documents_at_every_cut(store: RedisStore, direct: RedisStore, wire: Wire) -> None:
    highest = await store.take_ownership("owner")
    for cut in await cuts_of(wire, store.take_ownership("owner")):
        highest = await direct.ownership("owner")
        await store.ping()
        wire.cut_after(**cut)
        (taken,) = await asyncio.gather(store.take_ownership("owner"), return_exceptions=True)
        wire.cut_after()
        now = await direct.ownership("owner")
        assert now in (highest, highest + 1)
        assert taken == highest + 1 == now or isinstance(taken, StoreUnavailable), "given out once"
    highest = await store.take_ownership("owner")

    def changes(number: int) -> list[Change]:
        return [Change("c", "1", b"%3d" % number), Change("d", f"{number:03}", b"x")]

    number = 0
    for cut in await cuts_of(wire, store.commit(changes(0), owner="owner", epoch=highest)):
        number += 1
        await store.ping()
        wire.cut_after(**cut)
        outcome = await refusal(store.commit(changes(number), owner="owner", epoch=highest))
        wire.cut_after()
        there = [await direct.get("c", ["1"]), await direct.get("d", [f"{number:03}"])]
        new, old = [[b"%3d" % number], [b"x"]], [[b"%3d" % (number - 1)], [None]]
        assert outcome in (None, StoreUnavailable) and there in ([new] if outcome is None else [old, new]), (
            cut
        )
        await store.commit(changes(number), owner="owner", epoch=highest)
        assert await direct.get("c", ["1"]) == [b"%3d" % number]
    assert number > 20 and await refusal(store.commit([], owner="owner", epoch=highest - 1)) is Fenced
