"""The contract's laws of logs: journals that are kept, read in pages, trimmed, rewritten."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from persistence.paging import PAGE_BYTES
from persistence.store import (
    Examined,
    Fenced,
    Record,
    SeqMismatch,
    Store,
    StoreCorrupt,
    StoreWentBack,
)
from tests.support.store.backend import Backend, OnBackend, journal, recovered, refusal


async def log(store: Store, count: int, covered: int, *, trimmed: int = 0) -> tuple[int, list[Record]]:
    """The log `p` of `count` records of one seq each, `covered` by a snapshot; the epoch, what it holds."""
    epoch, records = await journal(store, "p", count)
    await store.put_parts("p", epoch, covered, {"a": b"a"})
    await store.commit_snapshot("p", epoch, covered, {"a": covered}, keep_journal=True)
    await store.trim("p", epoch, trimmed)
    return epoch, records[trimmed:]


async def pages(store: Store, after_seq: int = 0, limit: int = 7) -> AsyncIterator[Record]:
    """All records after a seq, page by page."""
    while page := await store.records("p", after_seq, limit):
        for record in page:
            yield record
        after_seq = page[-1].last_seq


class LogContract(OnBackend):
    """A part of `StoreContract`."""

    async def test_what_is_kept_is_read_and_not_recovered(
        self, store: Store, other: Store, backend: Backend
    ) -> None:
        epoch, records = await log(store, 5, 3)
        assert await recovered(other, "p") == (3, {"a": b"a"}, records[3:])
        assert await other.records("p", 0, 100) == records
        assert (await other.first_seq("p"), await other.last_seq("p")) == (1, 5)
        await store.put_parts("p", epoch, 5, {"b": b"b"})
        await store.commit_snapshot("p", epoch, 5, {"a": 3, "b": 5}, keep_journal=True)
        assert await recovered(other, "p") == (5, {"a": b"a", "b": b"b"}, [])
        assert await other.manifest("p") == {"a": 3, "b": 5}
        assert [record async for record in other.records_after("p", 5)] == []
        assert await refusal(anext(aiter(other.records_after("p", 4)))) is SeqMismatch
        assert await refusal(store.cut("p", epoch, 4)) is SeqMismatch
        assert await refusal(store.append("p", Record(epoch, 5, 5, b"other"))) is SeqMismatch
        assert await other.records("p", 0, 100) == records
        assert await other.examine("p") == Examined(epoch, 5, 5, 2, True, [], [], 5)
        assert await backend.stored("p") == ({("a", 3), ("b", 5)}, [1, 2, 3, 4, 5])
        await store.commit_snapshot("p", epoch, 5, {"b": 5}, keep_journal=True)
        assert await backend.stored("p") == ({("b", 5)}, [1, 2, 3, 4, 5])

    async def test_a_snapshot_that_keeps_nothing_ends_the_keeping(
        self, store: Store, other: Store, backend: Backend
    ) -> None:
        epoch, records = await log(store, 5, 3)
        await store.commit_snapshot("p", epoch, 4, {}, keep_journal=False)
        assert await other.records("p", 0, 100) == records[4:]
        assert await other.first_seq("p") == 5
        await store.commit_snapshot("p", epoch, 5, {}, keep_journal=True)
        assert await other.records("p", 4, 100) == records[4:] == await other.records("p", 0, 100)
        assert (await backend.stored("p"))[1] == [5]
        assert (await other.examine("p"))[-2:] == ([], 1)

    async def test_pages(self, store: Store, other: Store) -> None:
        epoch = await store.take_epoch("p")
        records = [Record(epoch, 3 * n + 1, 3 * n + 3, b"record %d" % n) for n in range(40)]
        await asyncio.gather(*(store.append("p", record) for record in records))
        await store.commit_snapshot("p", epoch, 60, {}, keep_journal=True)
        for after_seq, start in {-3: 0, 0: 0, 1: 0, 2: 0, 3: 1, 59: 19, 60: 20, 119: 39, 120: 40}.items():
            for limit in (1, 2, 16, 17, 33, 1000):
                assert await other.records("p", after_seq, limit) == records[start : start + limit]
        for before_seq, end in {
            -1: 0,
            1: 0,
            2: 1,
            4: 1,
            5: 2,
            61: 20,
            62: 21,
            120: 40,
            121: 40,
            999: 40,
        }.items():
            for limit in (1, 16, 17, 1000):
                expected = records[:end][::-1][:limit]
                assert await other.records_before("p", before_seq, limit) == expected, (before_seq, limit)
        assert await refusal(other.records("p", 121, 1)) is StoreWentBack
        for limit in (1, 39):
            assert [record async for record in pages(other, 0, limit)] == records
        for name in ("never", "only an epoch"):
            assert await other.records(name, 0, 5) == await other.records_before(name, 5, 5) == []
            assert await refusal(other.records(name, 1, 5)) is StoreWentBack
            assert await other.first_seq(name) == 1
            await store.take_epoch("only an epoch")

    async def test_pages_are_of_bounded_size(self, store: Store, other: Store) -> None:
        epoch = await store.take_epoch("p")
        body = bytes(PAGE_BYTES // 3)
        records = [Record(epoch, seq, seq, body) for seq in range(1, 8)]
        records.append(Record(epoch, 8, 8, bytes(PAGE_BYTES + 10)))
        records.append(Record(epoch, 9, 9, b"small"))
        for record in records:
            await store.append("p", record)
        for after_seq in range(9):
            page = await other.records("p", after_seq, 100)
            assert page == records[after_seq : after_seq + len(page)]
            assert page and sum(len(record.body) for record in page[:-1]) < PAGE_BYTES
        assert len(await other.records("p", 0, 100)) in (3, 4)
        assert await other.records_before("p", 9, 100) == [records[7]]
        assert len(await other.records_before("p", 8, 100)) in (3, 4)

    async def test_last_seqs(self, store: Store, other: Store) -> None:
        await log(store, 5, 5, trimmed=5)
        names = [f"many {number}" for number in range(700)]
        for name in names[::70]:
            await journal(store, name, 3)
        assert await other.last_seqs([]) == []
        assert await other.last_seqs(["p", "never", "p"]) == [5, 0, 5]
        assert await other.last_seqs(names) == [3 if n % 70 == 0 else 0 for n in range(700)]

    # Trimming -----------------------------------------------------------------------------------------------

    async def test_trim(self, store: Store, other: Store, backend: Backend) -> None:
        epoch = await store.take_epoch("p")
        records = [Record(epoch, 2 * n + 1, 2 * n + 2, b"%d" % n) for n in range(6)]
        for record in records:
            await store.append("p", record)
        await store.trim("p", epoch, 0)
        for seq in (1, 2, 12, 13):
            assert await refusal(store.trim("p", epoch, seq)) is SeqMismatch, "no snapshot covers it"
        await store.put_parts("p", epoch, 8, {"a": b"a"})
        await store.commit_snapshot("p", epoch, 8, {"a": 8}, keep_journal=True)
        for seq, left in {-1: 0, 0: 0, 1: 0, 2: 1, 5: 2, 3: 2, 8: 4}.items():
            for _ in range(2):
                await store.trim("p", epoch, seq)
                assert await other.records("p", 0, 100) == records[left:]
                assert await other.first_seq("p") == 2 * left + 1
                assert await other.records_before("p", 100, 100) == records[left:][::-1]
        assert await refusal(store.trim("p", epoch, 9)) is SeqMismatch
        assert await recovered(other, "p") == (8, {"a": b"a"}, records[4:])
        await store.commit_snapshot("p", epoch, 12, {"a": 8}, keep_journal=True)
        await store.trim("p", epoch, 12)
        assert await other.records("p", 0, 100) == await other.records("p", 12, 100) == []
        assert await other.records_before("p", 100, 100) == []
        assert (await other.first_seq("p"), await other.last_seq("p")) == (13, 12)
        assert await refusal(other.records("p", 13, 1)) is StoreWentBack
        assert await other.examine("p") == Examined(epoch, 12, 12, 1, True, [], [], 0)
        await store.commit_snapshot("p", epoch, 12, {"a": 8}, keep_journal=True)
        assert await backend.stored("p") == ({("a", 8)}, [])
        new = Record(epoch, 13, 20, b"new")
        await store.append("p", new)
        assert await other.records("p", 0, 100) == [new]

    async def test_trim_and_rewrite_are_fenced(self, store: Store, other: Store) -> None:
        old, records = await log(store, 5, 3)
        new = await other.take_epoch("p")
        for epoch in (old, new + 1, 0):
            assert await refusal(store.trim("p", epoch, 2)) is Fenced
            assert await refusal(store.trim("p", epoch, 99)) is Fenced
            assert await refusal(store.rewrite("p", epoch, [records[0]._replace(body=b"x")])) is Fenced
            assert await refusal(store.commit_snapshot("p", epoch, 5, {}, keep_journal=True)) is Fenced
        assert await refusal(store.trim("never", 1, 0)) is Fenced
        assert await other.records("p", 0, 100) == records

    async def test_a_large_trim(self, store: Store, other: Store, backend: Backend) -> None:
        epoch, records = await log(store, 4000, 3900)
        appends = [store.append("p", Record(epoch, seq, seq, b"x")) for seq in range(4001, 4051)]
        await asyncio.gather(store.trim("p", epoch, 3700), *appends)
        assert (await other.records("p", 0, 1000))[:300] == records[3700:]
        assert await other.first_seq("p") == 3701
        async with asyncio.timeout(60):
            while (await backend.stored("p"))[1] != list(range(3701, 4051)):
                await store.ping()
        await store.trim("p", epoch, 3900)
        assert (await other.examine("p")).kept == 0

    async def test_dropped_logs_are_gone(self, store: Store, other: Store, backend: Backend) -> None:
        epoch, records = await log(store, 5, 3, trimmed=1)
        await store.rewrite("p", epoch, [records[0]._replace(body=b"new")])
        await store.drop_periods(["p"])
        assert await other.records("p", 0, 10) == []
        assert (await other.first_seq("p"), await other.last_seqs(["p"])) == (1, [0])
        assert await store.strays() == []
        assert await backend.stored("p") == (set(), [])
        epoch, records = await journal(store, "p", 3)
        await store.commit_snapshot("p", epoch, 2, {})
        assert await other.records("p", 0, 10) == records[2:], "it is no log any more"

    # Rewriting ----------------------------------------------------------------------------------------------

    async def test_rewrite(self, store: Store, other: Store, backend: Backend) -> None:
        old, records = await log(store, 300, 200, trimmed=10)
        epoch = await store.take_epoch("p")
        new = {seq: Record(old, seq, seq, b"rewritten %d" % seq) for seq in (11, 12, 150, 200, 201, 300)}
        for _ in range(2):
            await store.rewrite("p", epoch, list(new.values()))
            expected = [new.get(record.last_seq, record) for record in records]
            assert [record async for record in pages(other)] == expected
            assert await other.records_before("p", 1000, 1000) == expected[::-1]
            assert (await recovered(other, "p"))[2] == expected[190:]
            assert [record async for record in other.records_after("p", 250)] == expected[240:]
            found = await other.examine("p")
            assert (found.damage, found.kept, len(found.records)) == ([], 190, 100)
        again = new[150]._replace(body=b"")
        await store.rewrite("p", epoch, [again])
        assert await other.records("p", 149, 1) == [again] == await other.records_before("p", 151, 1)
        # It is a journal like any other.
        await store.append("p", Record(epoch, 301, 301, b"next"))
        await store.append("p", Record(epoch, 301, 301, b"next"))
        await store.trim("p", epoch, 150)
        assert (await other.records("p", 0, 1))[0].first_seq == 151
        assert (await backend.stored("p"))[1][:1] == [151] or not backend.KNOWS_ITS_END
        await store.commit_snapshot("p", epoch, 201, {}, keep_journal=True)
        await store.cut("p", epoch, 250)
        assert [record async for record in pages(other)] == [*expected[140:240]]
        await store.commit_snapshot("p", epoch, 250, {}, keep_journal=False)
        assert await other.records("p", 0, 10) == []
        assert (await other.examine("p")).damage == [] == await other.strays()

    async def test_what_is_rewritten_ends_a_snapshot(self, store: Store, other: Store) -> None:
        epoch, records = await journal(store, "p", 5)
        last = records[2]._replace(body=b"new")
        await store.rewrite("p", epoch, [last])
        await store.append("p", last)
        assert await refusal(store.append("p", records[2])) is SeqMismatch, "another body"
        assert await store.append_all([{"p": last}]) == {}
        assert [record async for record in other.records_after("p", 3)] == records[3:]
        await store.commit_snapshot("p", epoch, 3, {}, keep_journal=True)
        await store.rewrite("p", epoch, [records[4]._replace(body=b"new")])
        await store.cut("p", epoch, 5)
        await store.cut("p", epoch, 4)
        assert await other.records("p", 0, 10) == [*records[:2], last, records[3]]
        assert await other.last_seq("p") == 4

    async def test_rewriting_all_or_none(self, store: Store, other: Store) -> None:
        epoch, records = await log(store, 5, 4, trimmed=1)
        good = records[0]._replace(body=b"new")
        for wrong in (
            Record(epoch, 1, 1, b"trimmed"),
            Record(epoch, 6, 6, b"never written"),
            Record(epoch, 0, 0, b"x"),
            records[1]._replace(epoch=epoch + 1),
            records[1]._replace(first_seq=2),
            Record(epoch, 3, 4, b"two in one"),
        ):
            assert await refusal(store.rewrite("p", epoch, [good, wrong])) is SeqMismatch
            assert await other.records("p", 0, 10) == records
        await store.rewrite("p", epoch, [])
        big = [record._replace(body=bytes(200_000)) for record in records]
        await store.rewrite("p", epoch, big)
        assert await other.records("p", 0, 10) == big

    # Damage -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("rewritten", [False, True], ids=["as it was", "rewritten"])
    @pytest.mark.parametrize(
        ("kind", "place"),
        [("damaged", r"record 4\.\.4"), ("lost", r"5\.\.5.*gap"), ("lost first", r"4\.\.4.*gap")],
        ids=["damaged", "lost", "lost first"],
    )
    async def test_damage_in_what_is_kept(
        self, store: Store, other: Store, backend: Backend, kind: str, place: str, rewritten: bool
    ) -> None:
        epoch, records = await log(store, 9, 7, trimmed=2)
        if rewritten:
            await store.rewrite("p", epoch, records)
        if kind == "damaged":
            await backend.damage_record("p", 4)
        else:
            await backend.lose_record("p", 4 if kind == "lost" else 3)
        bad = 3 if kind == "lost first" else 4
        for limit in (1, 100):
            found: list[Record] = []
            with pytest.raises(StoreCorrupt, match=f"'p'.*{place}"):
                async for record in pages(other, 0, limit):
                    found.append(record)  # noqa: PERF401 - a comprehension would lose them
            assert found == records[: bad - 3], "what is sound before it is read"
        assert await other.records("p", bad, 100) == records[bad - 2 :], "damage before it is of no concern"
        backwards = await other.records_before("p", 100, 100)
        assert backwards == records[bad - 2 :][::-1]
        assert await refusal(other.records_before("p", bad + 1, 100)) is StoreCorrupt
        examined = await other.examine("p")
        assert len(examined.damage) == 1 and re.search(f"'p'.*{place}", examined.damage[0])
        assert (examined.kept, len(examined.records)) == (5 if kind == "damaged" else 4, 2)
        assert await recovered(other, "p") == (7, {"a": b"a"}, records[5:]), "nothing is recovered from it"
        await store.trim("p", epoch, bad)
        assert await other.records("p", 0, 100) == records[bad - 2 :]
        assert (await other.examine("p")).damage == []

    async def test_an_end_that_is_lost(self, store: Store, other: Store, backend: Backend) -> None:
        await log(store, 5, 5, trimmed=2)
        for lost in (5, 4, 3):
            await backend.lose_record("p", lost)
            if lost > 3:
                assert [record.last_seq for record in await other.records("p", 0, 9)] == list(range(3, lost))
            with pytest.raises(StoreCorrupt, match=r"ends at seq \d, not at 5"):
                await other.records("p", lost - 1, 1)
            with pytest.raises(StoreCorrupt, match="'p'"):
                await other.records_before("p", 6, 1)
            examined = await other.examine("p")
            assert len(examined.damage) == 1 and "not at 5" in examined.damage[0]
        assert await other.records("p", 5, 1) == []

    # Readers beside the writer ------------------------------------------------------------------------------

    async def test_readers_beside_the_writer(self, store: Store, other: Store) -> None:
        """Whatever the writer does meanwhile, readers see a journal without a gap or damage."""
        epoch, done = await store.take_epoch("p"), asyncio.Event()
        bodies: dict[int, set[bytes]] = {}

        async def write() -> None:
            for start in range(1, 601, 6):
                records = [
                    Record(epoch, seq, seq + 1, b"%d" % seq * 200) for seq in range(start, start + 6, 2)
                ]
                bodies.update({record.last_seq: {record.body, b"rewritten"} for record in records})
                await asyncio.gather(*(store.append("p", record) for record in records))
                await store.put_parts("p", epoch, start + 5, {"a": b"a"})
                await store.commit_snapshot("p", epoch, start + 5, {"a": start + 5}, keep_journal=True)
                if start > 60:
                    old = Record(epoch, start - 30, start - 29, b"rewritten")
                    await store.rewrite("p", epoch, [old])
                    await store.trim("p", epoch, start - 50)
            done.set()

        def check(page: list[Record], what: str) -> None:
            for one, next_one in pairwise(page):
                assert next_one.first_seq == one.last_seq + 1, what
            assert all(record.body in bodies[record.last_seq] for record in page)

        async def follow() -> int:
            seq = turns = 0
            while not (done.is_set() and seq == 600):
                page = await other.records("p", seq, 5)
                check(page, "forwards")
                if page:
                    assert page[0].first_seq == seq + 1 or page[0].first_seq > 10
                    seq = page[-1].last_seq
                turns += 1
            return turns

        async def look_at_all() -> None:
            while not done.is_set():
                check(await other.records("p", 0, 1000), "all")
                check((await other.records_before("p", 10_000, 1000))[::-1], "backwards")
                assert (await other.first_seq("p")) <= (await other.last_seq("p")) + 1

        async with asyncio.timeout(120):
            _, turns, _ = await asyncio.gather(write(), follow(), look_at_all())
        assert turns > 20
        assert (await other.examine("p")).damage == []
