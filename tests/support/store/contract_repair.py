"""The contract's laws of damage: found, named, refused, cut away; of strays; and of records after a seq."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest

from persistence.store import (
    Change,
    Examined,
    Fenced,
    Record,
    Recovered,
    SeqMismatch,
    Store,
    StoreCorrupt,
    StoreWentBack,
)
from tests.support.store.backend import Backend, OnBackend, journal, recovered, refusal

Hurt = Callable[[Backend], Awaitable[None]]

NOTHING = Examined(0, 0, 0, 0, True, [], [])

# What is hurt in `snapshot_and_journal`, and how the place is named.
HURTS: dict[str, tuple[Hurt, str]] = {
    "record": (lambda backend: backend.damage_record("p", 4), r"record 4\.\.4"),
    "lost record": (lambda backend: backend.lose_record("p", 4), r"5\.\.5.*gap"),
    "lost first record": (lambda backend: backend.lose_record("p", 3), r"4\.\.4.*gap"),
    "part": (lambda backend: backend.damage_part("p", "b"), "part 'b'"),
    "lost part": (lambda backend: backend.lose_part("p", "b"), "part 'b'"),
    "manifest": (lambda backend: backend.damage_manifest("p"), "snapshot"),
}


async def snapshot_and_journal(store: Store, period_id: str) -> int:
    """A snapshot of two parts at seq 2, then records 3, 4 and 5 of one seq each; the epoch."""
    epoch, _ = await journal(store, period_id, 5)
    await store.put_parts(period_id, epoch, 2, {"a": b"part a", "b": b"part b"})
    await store.commit_snapshot(period_id, epoch, 2, {"a": 2, "b": 2})
    return epoch


async def after(store: Store, period_id: str, seq: int) -> list[Record]:
    """All that `records_after` gives."""
    return [record async for record in store.records_after(period_id, seq)]


async def varied(store: Store) -> tuple[int, list[Record]]:
    """A journal whose records end at 3, 4 and 9; the epoch, the records."""
    epoch = await store.take_epoch("p")
    records = [Record(epoch, 1, 3, b"a"), Record(epoch, 4, 4, b""), Record(epoch, 5, 9, b"ccc")]
    for record in records:
        await store.append("p", record)
    return epoch, records


def listed(*records: Record) -> list[tuple[int, int, int, int, bool]]:
    """Records as `examine` lists sound ones."""
    return [(each.epoch, each.first_seq, each.last_seq, len(each.body), True) for each in records]


class RepairContract(OnBackend):
    """A part of `StoreContract`."""

    # Records after a seq ------------------------------------------------------------------------------------

    async def test_records_after(self, store: Store, other: Store) -> None:
        epoch, records = await varied(store)
        for seq, start in {0: 0, 3: 1, 4: 2, 9: 3}.items():
            assert await after(other, "p", seq) == records[start:]
        for seq in (1, 2, 5, 8, -1):
            with pytest.raises(SeqMismatch, match="'p'"):
                await after(other, "p", seq)
        for seq in (10, 1000):
            with pytest.raises(StoreWentBack, match=f"'p'.* 9.* {seq}"):
                await after(other, "p", seq)
        await store.append("p", Record(epoch, 10, 10, b"d"))
        assert await after(other, "p", 9) == [Record(epoch, 10, 10, b"d")]

    async def test_records_after_a_snapshot(self, store: Store, other: Store) -> None:
        epoch, records = await varied(store)
        await store.commit_snapshot("p", epoch, 4, {})
        assert [await after(other, "p", seq) for seq in (4, 9)] == [records[2:], []]
        for seq in (0, 1, 3, 7):
            assert await refusal(after(other, "p", seq)) is SeqMismatch, "before it, or inside a record"
        await store.commit_snapshot("p", epoch, 9, {})
        assert await after(other, "p", 9) == []
        assert await refusal(after(other, "p", 4)) is SeqMismatch
        assert await refusal(after(other, "p", 10)) is StoreWentBack
        await store.append("p", Record(epoch, 10, 12, b"d"))
        assert await after(other, "p", 9) == [Record(epoch, 10, 12, b"d")]
        assert await after(other, "p", 12) == []

    async def test_records_that_are_still_there_are_covered_all_the_same(self, store: Store) -> None:
        epoch, records = await journal(store, "p", 3000)
        await store.commit_snapshot("p", epoch, 2999, {})
        for seq in (2998, 2000, 1):
            assert await refusal(after(store, "p", seq)) is SeqMismatch
            assert await refusal(store.cut("p", epoch, seq)) is SeqMismatch
        assert await after(store, "p", 2999) == records[2999:]

    async def test_records_after_of_nothing(self, store: Store) -> None:
        await varied(store)
        await store.drop_periods(["p"])
        await store.take_epoch("only an epoch")
        for name in ("never", "only an epoch", "p"):
            assert await after(store, name, 0) == []
            assert await refusal(after(store, name, 1)) is StoreWentBack

    async def test_many_records_after(self, store: Store, other: Store) -> None:
        epoch, records = await journal(store, "p", 1500)
        assert await after(other, "p", 700) == records[700:]
        stream = other.records_after("p", 10)
        assert await anext(stream) == records[10]
        await stream.aclose()  # type: ignore[attr-defined]
        await store.append("p", Record(epoch, 1501, 1501, b"x"))
        assert [record.last_seq for record in await after(other, "p", 1499)] == [1500, 1501]

    async def test_damage_among_records_after(self, store: Store, backend: Backend) -> None:
        _, records = await journal(store, "p", 8)
        await backend.damage_record("p", 4)
        await backend.lose_record("p", 6)
        for seq, place in {0: r"record 4\.\.4", 3: r"record 4\.\.4", 5: r"7\.\.7.*gap"}.items():
            with pytest.raises(StoreCorrupt, match=f"'p'.*{place}"):
                await after(store, "p", seq)
        assert await after(store, "p", 7) == records[7:], "damage before it is of no concern"

    @pytest.mark.parametrize("place", [1, 2, 256, 257, 258, 513, 600])
    async def test_all_before_damage_is_read(self, store: Store, backend: Backend, place: int) -> None:
        _, records = await journal(store, "p", 600)
        await backend.damage_record("p", place)
        for items, first in ((store.recover("p"), [Recovered(0)]), (store.records_after("p", 0), [])):
            found: list[object] = []
            with pytest.raises(StoreCorrupt, match=rf"record {place}\.\.{place}"):
                async for item in items:
                    found.append(item)  # noqa: PERF401 - a comprehension would lose them
            assert found == [*first, *records[: place - 1]]

    # Damage -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", HURTS)
    async def test_damage_is_named(self, store: Store, backend: Backend, kind: str) -> None:
        hurt, place = HURTS[kind]
        for name in ("p", "sound"):
            await snapshot_and_journal(store, name)
        await recovered(store, "p")
        await hurt(backend)
        with pytest.raises(StoreCorrupt, match=f"'p'.*{place}"):
            await recovered(store, "p")
        assert len((await recovered(store, "sound"))[2]) == 3

    async def test_a_lost_end(self, store: Store, backend: Backend) -> None:
        await snapshot_and_journal(store, "p")
        await backend.lose_record("p", 5)
        examined = await store.examine("p")
        assert [last_seq for _, _, last_seq, _, _ in examined.records] == [3, 4]
        if not backend.KNOWS_ITS_END:
            assert (examined.last_seq, examined.damage) == (4, [])
            assert await refusal(after(store, "p", 5)) is StoreWentBack
            return
        assert examined.snapshot_sound and len(examined.damage) == 1 and "5" in examined.damage[0]
        for call in (recovered(store, "p"), after(store, "p", 3)):
            assert await refusal(call) is StoreCorrupt
        epoch = await store.take_epoch("p")
        await store.cut("p", epoch, 4)
        assert [record.last_seq for record in (await recovered(store, "p"))[2]] == [3, 4]
        assert (await store.examine("p")).damage == []

    # Examination --------------------------------------------------------------------------------------------

    async def test_examine(self, store: Store, other: Store) -> None:
        assert await store.examine("p") == NOTHING
        epoch, records = await varied(store)
        assert await other.examine("p") == Examined(epoch, 0, 9, 0, True, listed(*records), [])
        await store.put_parts("p", epoch, 4, {"a": b"a", "b": b"b", "c": b"not named"})
        await store.commit_snapshot("p", epoch, 4, {"a": 4, "b": 4})
        await store.put_parts("p", epoch, 9, {"a": b"not committed"})
        assert await other.examine("p") == Examined(epoch, 4, 9, 2, True, listed(records[2]), [])
        epoch = await other.take_epoch("p")
        assert await store.examine("p") == Examined(epoch, 4, 9, 2, True, listed(records[2]), [])
        await store.commit_snapshot("p", epoch, 9, {})
        assert await store.examine("p") == Examined(epoch, 9, 9, 0, True, [], [])
        await store.drop_periods(["p"])
        assert await other.examine("p") == NOTHING._replace(epoch=epoch + 1)

    @pytest.mark.parametrize("kind", HURTS)
    async def test_examine_goes_on_after_damage(self, store: Store, backend: Backend, kind: str) -> None:
        hurt, place = HURTS[kind]
        for name in ("p", "sound"):
            await snapshot_and_journal(store, name)
        sound = await store.examine("p")
        assert sound.damage == [] and sound.parts == 2 and len(sound.records) == 3
        await hurt(backend)
        found = await store.examine("p")
        assert len(found.damage) == 1 and re.search(f"'p'.*{place}", found.damage[0])
        assert found.snapshot_sound is (kind not in ("part", "lost part", "manifest"))
        assert (found.epoch, found.snapshot_seq, found.last_seq) == (1, 2, 5)
        gone = {"lost record": 4, "lost first record": 3}.get(kind)
        assert [record[1:3] for record in found.records] == [(n, n) for n in (3, 4, 5) if n != gone]
        assert [record[2] for record in found.records if not record[4]] == ([4] if kind == "record" else [])
        assert await store.examine("sound") == sound

    async def test_examine_tells_what_a_damaged_record_is(self, store: Store, backend: Backend) -> None:
        """Epoch, seqs and size too: an operator is told what a cut would drop."""
        epoch, records = await varied(store)
        await backend.damage_record("p", 9)
        found = await store.examine("p")
        damaged = (epoch, 5, 9, len(records[2].body), False)
        assert found.records == [*listed(*records[:2]), damaged]
        assert len(found.damage) == 1 and re.search(r"period 'p'.*record 5\.\.9", found.damage[0])

    async def test_examine_finds_everything(self, store: Store, backend: Backend) -> None:
        epoch, _ = await journal(store, "p", 1200)
        names = [f"part {number}" for number in range(40)]
        await store.put_parts("p", epoch, 100, dict.fromkeys(names, b"body"))
        await store.commit_snapshot("p", epoch, 100, dict.fromkeys(names, 100))
        await backend.damage_part("p", "part 3")
        await backend.lose_part("p", "part 30")
        for last_seq in (101, 700, 1200):
            await backend.damage_record("p", last_seq)
        for last_seq in (103, 1000):
            await backend.lose_record("p", last_seq)
        found = await store.examine("p")
        places = ["part 'part 3'", "part 'part 30'", r"101\.\.101", r"104\.\.104.*gap", r"700\.\.700"]
        places += [r"1001\.\.1001.*gap", r"1200\.\.1200"]
        assert len(found.damage) == len(places), found.damage
        for place in places:
            assert len([sentence for sentence in found.damage if re.search(place, sentence)]) == 1, place
        assert (found.last_seq, len(found.records), found.snapshot_sound) == (1200, 1098, False)
        assert [record[2] for record in found.records if not record[4]] == [101, 700, 1200]

    # Cutting ------------------------------------------------------------------------------------------------

    async def test_cut_a_torn_tail(self, store: Store, other: Store, backend: Backend) -> None:
        await snapshot_and_journal(store, "p")
        before = await recovered(store, "p")
        await backend.damage_record("p", 5)
        assert await refusal(recovered(store, "p")) is StoreCorrupt
        epoch = await store.take_epoch("p")
        await store.cut("p", epoch, 4)
        assert await recovered(other, "p") == (2, before[1], before[2][:2])
        assert await store.last_seq("p") == await other.last_seq("p") == 4
        assert (await other.examine("p")).damage == []
        assert await refusal(after(other, "p", 5)) is StoreWentBack, "who knows more must be told"
        assert await refusal(store.append("p", Record(epoch, 6, 6, b"x"))) is SeqMismatch
        again = Record(epoch, 5, 7, b"another fifth")
        await store.append("p", again)
        assert await recovered(other, "p") == (2, before[1], [*before[2][:2], again])
        await store.put_parts("p", epoch, 7, {"a": b"a7"})
        await store.commit_snapshot("p", epoch, 7, {"a": 7, "b": 2})
        assert await recovered(other, "p") == (7, {"a": b"a7", "b": b"part b"}, [])

    @pytest.mark.parametrize(
        ("kind", "seq"), [("record", 3), ("lost record", 3), ("lost first record", 2)], ids=str
    )
    async def test_cut_before_damage(self, store: Store, backend: Backend, kind: str, seq: int) -> None:
        await snapshot_and_journal(store, "p")
        before = await recovered(store, "p")
        await HURTS[kind][0](backend)
        epoch = await store.take_epoch("p")
        await store.cut("p", epoch, seq)
        assert await recovered(store, "p") == (2, before[1], before[2][: seq - 2])
        records = [Record(epoch, n, n, b"new") for n in range(seq + 1, seq + 4)]
        for record in records:
            await store.append("p", record)
        assert await after(store, "p", seq) == records
        assert (await store.examine("p")).damage == []

    async def test_cut_what_lies_behind_damage(self, store: Store, backend: Backend) -> None:
        """A cut takes away what it is told to, and judges nothing that stays."""
        await snapshot_and_journal(store, "p")
        await backend.damage_record("p", 3)
        epoch = await store.take_epoch("p")
        await store.cut("p", epoch, 4)
        found = await store.examine("p")
        assert ([record[2] for record in found.records], len(found.damage)) == ([3, 4], 1)
        await store.cut("p", epoch, 2)
        assert (await recovered(store, "p"))[2] == []

    async def test_cut_everything(self, store: Store, other: Store) -> None:
        epoch, records = await varied(store)
        await store.cut("p", epoch, 0)
        assert await recovered(other, "p") == (0, {}, [])
        assert (await other.last_seq("p"), await other.list_periods()) == (0, [])
        assert await other.examine("p") == NOTHING._replace(epoch=epoch)
        assert await refusal(after(other, "p", 9)) is StoreWentBack
        await store.append("p", records[0])
        assert await recovered(other, "p") == (0, {}, records[:1])
        assert await other.list_periods() == ["p"]

    async def test_cut_to_the_snapshot(self, store: Store, other: Store, backend: Backend) -> None:
        epoch = await snapshot_and_journal(store, "p")
        await store.cut("p", epoch, 2)
        parts = {"a": b"part a", "b": b"part b"}
        assert await recovered(other, "p") == (2, parts, [])
        assert (await other.last_seq("p"), (await backend.stored("p"))[1]) == (2, [])
        await store.append("p", Record(epoch, 3, 3, b"new"))
        assert await recovered(other, "p") == (2, parts, [Record(epoch, 3, 3, b"new")])

    async def test_cut_nothing(self, store: Store, other: Store) -> None:
        epoch, records = await varied(store)
        for view in (store, other):
            await view.cut("p", epoch, 9)
        assert await recovered(other, "p") == (0, {}, records)
        await store.append("p", Record(epoch, 10, 10, b"d"))
        await store.commit_snapshot("p", epoch, 10, {})
        await store.cut("p", epoch, 10)
        assert await recovered(other, "p") == (10, {}, [])
        epoch = await store.take_epoch("only an epoch")
        await store.cut("only an epoch", epoch, 0)
        assert await store.list_periods() == ["p"]

    async def test_cut_can_be_repeated(self, store: Store, other: Store) -> None:
        epoch, records = await varied(store)
        for seq, kept in ((4, 2), (3, 1), (0, 0)):
            for view in (store, other, store):
                await view.cut("p", epoch, seq)
                assert await recovered(other, "p") == (0, {}, records[:kept])
                assert await store.last_seq("p") == await other.last_seq("p") == seq

    async def test_cut_where_a_record_was_lost(self, store: Store, other: Store, backend: Backend) -> None:
        epoch, records = await varied(store)
        await backend.lose_record("p", 4)
        assert await refusal(store.cut("p", epoch, 4)) is SeqMismatch, "no record ends there any more"
        assert (await other.examine("p")).records == listed(records[0], records[2])
        await backend.lose_record("p", 9)
        await store.cut("p", epoch, 3)
        assert await recovered(other, "p") == (0, {}, records[:1])
        await other.append("p", records[1])
        assert await recovered(store, "p") == (0, {}, records[:2])

    async def test_cut_is_fenced(self, store: Store, other: Store) -> None:
        old, records = await varied(store)
        new = await other.take_epoch("p")
        for epoch in (old, new + 1, 0, -1):
            with pytest.raises(Fenced, match="'p'"):
                await store.cut("p", epoch, 4)
        assert await refusal(store.cut("p", old, 2)) is Fenced, "the fence comes first"
        assert await refusal(store.cut("never", 1, 0)) is Fenced
        assert await recovered(store, "p") == (0, {}, records)
        await other.cut("p", new, 4)
        assert await recovered(store, "p") == (0, {}, records[:2])

    async def test_cut_refusals_change_nothing(self, store: Store, other: Store) -> None:
        epoch, records = await varied(store)
        for seq in (1, 2, 5, 8, 10, 1000, -1):
            with pytest.raises(SeqMismatch, match="'p'"):
                await store.cut("p", epoch, seq)
        await store.commit_snapshot("p", epoch, 4, {})
        for seq in (0, 3, 5, 8, 10):
            assert await refusal(store.cut("p", epoch, seq)) is SeqMismatch
        assert await recovered(other, "p") == (4, {}, records[2:])

    async def test_cut_a_long_journal(self, store: Store, other: Store) -> None:
        epoch, records = await journal(store, "p", 2500)
        neighbour = await journal(store, "q", 3)
        await store.cut("p", epoch, 1700)
        assert await recovered(other, "p") == (0, {}, records[:1700])
        await store.append("p", records[1700])
        assert await after(other, "p", 1699) == records[1699:1701]
        assert (await recovered(other, "q"))[2] == neighbour[1]

    # Strays -------------------------------------------------------------------------------------------------

    async def test_ordinary_use_leaves_no_strays(self, store: Store, other: Store, backend: Backend) -> None:
        assert await store.strays() == []
        owner = await store.take_ownership("owner")
        changes = [Change(name, doc_id, b"x") for name in ("c", "d") for doc_id in ("1", "2", "3")]
        await store.commit(changes, owner="owner", epoch=owner)
        await store.commit([Change("d", doc_id, None) for doc_id in "123"], owner="owner", epoch=owner)
        for name in ("p", "q", "%{}", ""):
            epoch = await snapshot_and_journal(store, name)
            await store.put_parts(name, epoch, 5, {"a": b"put and not committed"})
            await store.claim("holder", "a server", 60)
        await journal(store, "long", 1500)
        assert await other.strays() == []
        await store.take_epoch("p")
        await store.take_epoch("only an epoch")
        await store.drop_periods(["q", "%{}", "long"])
        await store.ping()
        assert await other.strays() == []
        await backend.damage_manifest("p")
        await backend.damage_record("p", 4)
        assert await store.strays() == [], "damaged, and still the period's"
        await store.drop_periods(await store.list_periods())
        assert await other.strays() == []

    async def test_strays_are_named(self, store: Store, other: Store, backend: Backend) -> None:
        for name in ("p", "dropped"):
            await snapshot_and_journal(store, name)
        await store.drop_periods(["dropped"])
        place = await backend.leave_stray()
        for view in (store, other):
            (sentence,) = await view.strays()
            assert place in sentence
        assert await store.list_periods() == ["p"]
        assert (await store.examine("p")).damage == []
