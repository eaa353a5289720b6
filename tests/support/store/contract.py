"""The contract suite: every law of `persistence.store`, checked on a real backend.

A backend's test module subclasses `StoreContract` and has a fixture `new_backend` that makes `Backend`s, each
an empty store of its own. Two handles on one backend stand for two processes; what one of them sees while the
other is in the middle of a snapshot is what a crash there would leave. Not checked here: what a real kill -9
leaves (see the backend's own tests), and power loss.

Here: documents, epochs, journals, snapshots, periods. Damage and repair are in `contract_repair`; whose store
it is, and which, in `contract_use`; journals that are kept in `contract_log`.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from persistence.store import (
    Change,
    Fenced,
    Record,
    Recovered,
    SeqMismatch,
    Store,
    StoreCorrupt,
    StoreUnavailable,
    scan_pages,
)
from tests.support.rounds import long, rounds
from tests.support.store.backend import Backend, journal, recovered, refusal
from tests.support.store.contract_log import LogContract
from tests.support.store.contract_repair import RepairContract
from tests.support.store.contract_use import UseContract
from tests.support.store.model import StoreMachine

__all__ = ["Backend", "StoreContract", "journal", "recovered", "refusal"]

ODD_IDS = [
    "",
    "a",
    "a b",
    "A",
    "ß",
    "z",
    "é",
    "日本",
    "\u0000",
    "a\u0000b",
    "\uffff",
    "💡",
    "a/b",
    "%_*",
    "'\"\\",
]


class StoreContract(UseContract, RepairContract, LogContract):
    """The laws; subclasses bring the fixture `new_backend`."""

    # Opening and closing ----------------------------------------------------------------------------------

    async def test_closed_store_refuses_everything(self, backend: Backend) -> None:
        store = backend.handle()
        assert await refusal(store.ping()) is StoreUnavailable
        await store.open()
        await store.ping()
        epoch = await store.take_epoch("p")
        last_write = asyncio.ensure_future(store.append("p", Record(epoch, 1, 1, b"x")))
        await asyncio.sleep(0)
        await store.close()
        assert await refusal(last_write) is None, "what was queued is finished"
        await store.close()
        calls: list[Awaitable[object]] = [store.ping(), store.get("c", ["1"]), store.last_seq("p")]
        calls += [store.take_epoch("p"), store.take_ownership("owner"), store.ownership("owner")]
        calls += [store.epochs(["p"]), store.identity(), store.examine("p"), store.strays()]
        calls += [store.cut("p", epoch, 0), anext(aiter(store.recover("p")))]
        calls += [anext(aiter(store.records_after("p", 0))), store.records("p", 0, 1)]
        calls += [store.records_before("p", 2, 1), store.first_seq("p"), store.last_seqs(["p"])]
        calls += [store.trim("p", epoch, 0), store.rewrite("p", epoch, []), store.manifest("p")]
        assert [await refusal(call) for call in calls] == [StoreUnavailable] * len(calls)
        again = backend.handle()
        await again.open()
        assert await again.last_seq("p") == 1
        await again.close()

    # Documents ----------------------------------------------------------------------------------------------

    async def test_documents(self, store: Store, other: Store) -> None:
        epoch = await store.take_ownership("owner")
        puts = [Change("c", "1", b"one"), Change("c", "2", b""), Change("d", "1", b"other collection")]
        await store.commit(puts, owner="owner", epoch=epoch)
        for view in (store, other):
            assert await view.get("c", ["2", "1", "3", "1"]) == [b"", b"one", None, b"one"]
            assert await view.get("d", ["1"]) == [b"other collection"]
            assert await view.get("e", []) == []
        changes = [
            Change("c", "1", None),
            Change("c", "2", b"two"),
            Change("c", "2", b"too"),
            Change("c", "9", None),
        ]
        await store.commit(changes, owner="owner", epoch=epoch)
        assert await other.scan("c") == [("2", b"too")], "in the order given; deleting nothing is no error"
        await store.commit([], owner="owner", epoch=epoch)

    async def test_commit_is_fenced_and_changes_nothing(self, store: Store, other: Store) -> None:
        old = await store.take_ownership("owner")
        await store.commit([Change("c", "1", b"old")], owner="owner", epoch=old)
        new = await other.take_ownership("owner")
        for epoch in (old, new + 1, 0):
            changes = [Change("c", "1", b"new"), Change("c", "2", b"new")]
            with pytest.raises(Fenced, match="owner"):
                await store.commit(changes, owner="owner", epoch=epoch)
        with pytest.raises(Fenced, match="nobody"):
            await store.commit([], owner="nobody", epoch=1)
        assert await store.scan("c") == [("1", b"old")]
        await other.commit([Change("c", "1", b"new")], owner="owner", epoch=new)
        assert await store.scan("c") == [("1", b"new")]

    async def test_a_failed_commit_makes_none_of_its_changes(self, store: Store) -> None:
        epoch = await store.take_ownership("owner")
        wrong = [Change("c", "1", b"x"), Change("c", "2", "no bytes")]  # type: ignore[arg-type]
        good = store.commit([Change("c", "3", b"x")], owner="owner", epoch=epoch)
        bad = store.commit(wrong, owner="owner", epoch=epoch)
        assert [await refusal(good), await refusal(bad) is None] == [None, False]
        assert await store.scan("c") == [("3", b"x")]

    async def test_scan(self, store: Store) -> None:
        epoch = await store.take_ownership("owner")
        ids = [*ODD_IDS, *(f"k{number:03}" for number in range(300)), "k", "k\U0010ffff", "k\U0010ffffx", "l"]
        changes = [Change("c", doc_id, doc_id.encode()) for doc_id in reversed(ids)]
        await store.commit(changes, owner="owner", epoch=epoch)
        ids = sorted(ids)
        assert await store.get("c", ids) == [doc_id.encode() for doc_id in ids]
        assert [doc_id for doc_id, _ in await store.scan("c")] == ids
        for prefix in ("", "k", "k1", "k\U0010ffff", "a", "nothing", "日"):
            for after in ("", "a", "k", "k05", "k150", "k299", "l", "\U0010ffff"):
                for limit in (0, 1, 7):
                    expected = [i for i in ids if i.startswith(prefix) and (not after or i > after)]
                    found = await store.scan("c", prefix=prefix, after=after, limit=limit)
                    assert [doc_id for doc_id, _ in found] == expected[: limit or None], (
                        prefix,
                        after,
                        limit,
                    )
                    assert all(body == doc_id.encode() for doc_id, body in found)

    @pytest.mark.parametrize("page", [1, 3, 6, 7])
    async def test_scan_in_pages(self, store: Store, page: int) -> None:
        epoch = await store.take_ownership("owner")
        ids = [f"k{number}" for number in range(6)]
        await store.commit([Change("c", i, b"") for i in [*ids, "a"]], owner="owner", epoch=epoch)
        for after, expected in (("", ids), ("k0", ids[1:]), ("k5", [])):
            pages = [rows async for rows in scan_pages(store, "c", prefix="k", after=after, page=page)]
            assert [doc_id for rows in pages for doc_id, _ in rows] == expected
            assert all(0 < len(rows) <= page for rows in pages)

    async def test_damaged_document(self, store: Store, backend: Backend) -> None:
        epoch = await store.take_ownership("owner")
        changes = [Change("c", doc_id, b"body of " + doc_id.encode()) for doc_id in ("1", "2", "3")]
        await store.commit(changes, owner="owner", epoch=epoch)
        await backend.damage_document("c", "2")
        with pytest.raises(StoreCorrupt, match="'2'"):
            await store.get("c", ["1", "2"])
        with pytest.raises(StoreCorrupt, match="'2'"):
            await store.scan("c")
        assert await store.get("c", ["1", "3"]) == [b"body of 1", b"body of 3"]
        await store.commit([Change("c", "2", b"mended")], owner="owner", epoch=epoch)
        assert await store.get("c", ["2"]) == [b"mended"]

    # Epochs -------------------------------------------------------------------------------------------------

    async def test_epochs_rise_for_ever(self, store: Store, other: Store, backend: Backend) -> None:
        assert [await view.take_epoch("p") for view in (store, other, store)] == [1, 2, 3]
        assert await other.take_epoch("q") == 1
        taken = await asyncio.gather(*(view.take_epoch("p") for view in (store, other) for _ in range(20)))
        assert sorted(taken) == list(range(4, 44))
        await store.drop_periods(["p"])
        assert await other.take_epoch("p") == 45
        third = backend.handle()
        await third.open()
        assert await third.take_epoch("p") == 46
        await third.close()

    # Journals -----------------------------------------------------------------------------------------------

    async def test_append_is_gapless(self, store: Store, other: Store) -> None:
        epoch = await store.take_epoch("p")
        await store.append("p", Record(epoch, 1, 3, b"a"))
        refused = [(1, 3), (2, 3), (3, 3), (3, 4), (5, 5), (4, 3), (0, 0), (4, 2), (-1, 0), (0, 4)]
        for first_seq, last_seq in refused:
            with pytest.raises(SeqMismatch, match="'p'"):
                await store.append("p", Record(epoch, first_seq, last_seq, b"b"))
        await other.append("p", Record(epoch, 4, 4, b""))
        assert await store.last_seq("p") == await other.last_seq("p") == 4
        records = [Record(epoch, 1, 3, b"a"), Record(epoch, 4, 4, b"")]
        assert await recovered(store, "p") == await recovered(other, "p") == (0, {}, records)

    async def test_append_can_be_repeated(self, store: Store, other: Store) -> None:
        _, records = await journal(store, "p", 3)
        for record in (records[2], records[0], *records):
            await other.append("p", record)
        for near in (records[1]._replace(body=b"other"), records[1]._replace(first_seq=1)):
            with pytest.raises(SeqMismatch):
                await store.append("p", near)
        assert (await recovered(store, "p"))[2] == records
        successor = await other.take_epoch("p")
        assert await refusal(store.append("p", records[2])) is Fenced, "the fence comes first"
        assert await refusal(other.append("p", records[2]._replace(epoch=successor))) is SeqMismatch

    async def test_append_is_fenced(self, store: Store, other: Store) -> None:
        assert await refusal(store.append("p", Record(1, 1, 1, b"x"))) is Fenced, "no epoch was given out"
        old, records = await journal(store, "p", 2)
        new = await other.take_epoch("p")
        for epoch in (old, new + 1, 0, -1):
            with pytest.raises(Fenced, match="'p'"):
                await store.append("p", Record(epoch, 3, 3, b"x"))
        await other.append("p", Record(new, 3, 3, b"y"))
        assert (await recovered(store, "p"))[2] == [*records, Record(new, 3, 3, b"y")]

    async def test_refusals_do_not_spoil_their_neighbours(self, store: Store) -> None:
        good, _ = await journal(store, "good", 1)
        old, _ = await journal(store, "fenced", 1)
        await store.take_epoch("fenced")
        gap, _ = await journal(store, "gap", 1)
        calls = []
        for seq in range(2, 12):
            calls.append(store.append("good", Record(good, seq, seq, b"x")))
            calls.append(store.append("fenced", Record(old, seq, seq, b"x")))
            calls.append(store.append("gap", Record(gap, seq + 1, seq + 1, b"x")))
            calls.append(store.put_parts("fenced", old, 1, {"a": b"x"}))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), Fenced, SeqMismatch, Fenced] * 10
        assert [await store.last_seq(name) for name in ("good", "fenced", "gap")] == [11, 1, 1]

    async def test_append_all_appends_all_or_none(self, store: Store, other: Store) -> None:
        epochs = {name: await store.take_epoch(name) for name in ("a", "b", "c")}

        def stages(seq: int, body: bytes = b"x", **change: Record) -> list[dict[str, Record]]:
            records = {name: Record(epoch, seq, seq, body) for name, epoch in epochs.items()} | change
            return [{name: records[name] for name in ("b", "c")}, {"a": records["a"]}]

        assert await store.append_all(stages(1)) == {}
        assert await other.append_all(stages(1)) == {}, "a repeat"
        assert await store.append_all([{"b": Record(epochs["b"], 2, 2, b"y")}]) == {}
        assert await store.append_all([{}, {"a": Record(epochs["a"], 2, 2, b"y")}]) == {}
        failed = await store.append_all(stages(2, b"y", c=Record(epochs["c"], 3, 3, b"y")))
        assert {name: type(error) for name, error in failed.items() if name != "b"} == {
            "c": SeqMismatch,
            "a": StoreUnavailable,
        }
        assert failed["a"].unknown is False  # type: ignore[attr-defined]
        assert await other.append_all(stages(2, b"y")) == {}, "two repeats and one that is new"
        assert [await other.last_seq(name) for name in "abc"] == [2, 2, 2]
        await other.take_epoch("b")
        failed = await store.append_all(stages(3))
        assert type(failed["b"]) is Fenced and type(failed["a"]) is StoreUnavailable
        assert await store.last_seq("a") == 2, "the last stage was not begun"
        assert (await recovered(store, "a"))[2][-1] == Record(epochs["a"], 2, 2, b"y")
        assert await store.append_all([]) == {}

    async def test_many_periods_at_once(self, store: Store, other: Store) -> None:
        async def write(view: Store, period_id: str) -> list[Record]:
            epoch = await view.take_epoch(period_id)
            records = [Record(epoch, 2 * n - 1, 2 * n, f"{period_id} {n}".encode()) for n in range(1, 21)]
            for record in records[:10]:
                await view.append(period_id, record)
            await asyncio.gather(*(view.append(period_id, record) for record in records[10:]))
            return records

        names = [f"periode/{number}/💡" for number in range(16)]
        views = [(store, other)[number % 2] for number in range(16)]
        written = await asyncio.gather(*map(write, views, names))
        assert await other.list_periods() == sorted(names)
        for name, records in zip(names, written, strict=True):
            assert await recovered(store, name) == (0, {}, records)
            assert await other.last_seq(name) == 40

    async def test_odd_names(self, store: Store, other: Store) -> None:
        for name in ODD_IDS:
            await journal(store, name, 1)
            await store.put_parts(name, 1, 1, {part: (name + part).encode() for part in ODD_IDS})
            await store.commit_snapshot(name, 1, 1, dict.fromkeys(ODD_IDS, 1))
        assert await other.list_periods() == sorted(ODD_IDS)
        for name in ODD_IDS:
            assert await recovered(other, name) == (1, {part: (name + part).encode() for part in ODD_IDS}, [])

    async def test_big_bodies(self, store: Store, other: Store) -> None:
        body = bytes(range(256)) * (8 << 12)
        assert len(body) == 8 << 20
        epoch = await store.take_epoch("p")
        owner = await store.take_ownership("owner")
        await store.append("p", Record(epoch, 1, 1, b"small"))
        await store.put_parts("p", epoch, 1, {"big": body})
        await store.commit_snapshot("p", epoch, 1, {"big": 1})
        await store.append("p", Record(epoch, 2, 2, body))
        await store.commit([Change("c", "big", body)], owner="owner", epoch=owner)
        seq, parts, records = await recovered(other, "p")
        assert (seq, len(records)) == (1, 1)
        found = [parts["big"], records[0].body, *(await other.get("c", ["big"]))]
        assert [zlib.crc32(each or b"") for each in found] == [zlib.crc32(body)] * 3

    async def test_long_journal(self, store: Store, other: Store) -> None:
        epoch = await store.take_epoch("p")
        records = [Record(epoch, seq, seq, bytes(2000)) for seq in range(1, 1501)]
        await asyncio.gather(*(store.append("p", record) for record in records))
        assert await recovered(other, "p") == (0, {}, records)
        await store.put_parts("p", epoch, 1400, {f"part {n}": bytes(n) for n in range(600)})
        await store.commit_snapshot("p", epoch, 1400, {f"part {n}": 1400 for n in range(600)})
        assert await recovered(other, "p") == (
            1400,
            {f"part {n}": bytes(n) for n in range(600)},
            records[1400:],
        )
        assert await other.last_seq("p") == 1500

    # Snapshots ----------------------------------------------------------------------------------------------

    async def test_snapshot_at_every_crash_point(self, store: Store, other: Store, backend: Backend) -> None:
        epoch, records = await journal(store, "p", 6)
        await store.put_parts("p", epoch, 2, {"a": b"a2", "b": b"b2"})
        assert await recovered(other, "p") == (0, {}, records), "crash before the first commit"
        await store.put_parts("p", epoch, 2, {"c": b"c2"})
        await store.commit_snapshot("p", epoch, 2, {"a": 2, "b": 2, "c": 2})
        first = (2, {"a": b"a2", "b": b"b2", "c": b"c2"}, records[2:])
        assert await recovered(other, "p") == first, "crash after it"
        assert await other.last_seq("p") == 6

        await store.put_parts("p", epoch, 4, {"a": b"a4"})
        assert await recovered(other, "p") == first, "crash in the second round"
        await store.put_parts("p", epoch, 5, {"c": b"c5", "d": b"d5"})
        assert await recovered(other, "p") == first
        await store.commit_snapshot("p", epoch, 4, {"a": 4, "b": 2, "d": 5})
        second = (4, {"a": b"a4", "b": b"b2", "d": b"d5"}, records[4:])
        assert await recovered(other, "p") == second, "parts from before and from after its seq, one left out"

        await store.commit_snapshot("p", epoch, 4, {"a": 4, "b": 2, "d": 5})
        assert await recovered(other, "p") == second, "a repetition"
        assert await backend.stored("p") == ({("a", 4), ("b", 2), ("d", 5)}, [5, 6]), "the rest is collected"
        await store.put_parts("p", epoch, 6, {"e": b"e6"})
        await store.commit_snapshot("p", epoch, 6, {"e": 6})
        assert await recovered(other, "p") == (6, {"e": b"e6"}, [])
        assert [await other.last_seq("p"), await other.list_periods()] == [6, ["p"]]
        assert await refusal(store.append("p", Record(epoch, 1, 1, b"x"))) is SeqMismatch
        await store.append("p", Record(epoch, 7, 7, b"x"))
        assert await recovered(other, "p") == (6, {"e": b"e6"}, [Record(epoch, 7, 7, b"x")])

    async def test_part_put_again_stays_invisible(self, store: Store, other: Store) -> None:
        epoch, _ = await journal(store, "p", 1)
        await store.put_parts("p", epoch, 1, {"a": b"first", "b": b"b"})
        await store.put_parts("p", epoch, 1, {"a": b"second"})
        await store.commit_snapshot("p", epoch, 1, {"a": 1, "b": 1})
        assert (await recovered(other, "p"))[1] == {"a": b"second", "b": b"b"}
        epoch = await other.take_epoch("p")
        await other.put_parts("p", epoch, 1, {"a": b"third"})
        assert (await recovered(store, "p"))[1] == {"a": b"second", "b": b"b"}
        await other.commit_snapshot("p", epoch, 1, {"a": 1, "b": 1})
        assert (await recovered(store, "p"))[1] == {"a": b"third", "b": b"b"}

    async def test_parts_of_an_earlier_epoch_are_not_committed(self, store: Store, other: Store) -> None:
        """However many they are: of a round that its writer did not finish nothing may come to light."""
        epoch, records = await journal(store, "p", 3)
        await store.put_parts("p", epoch, 1, {"kept": b"kept"})
        await store.commit_snapshot("p", epoch, 1, {"kept": 1})
        names = [f"part {number}" for number in range(1000)]
        await store.put_parts("p", epoch, 3, dict.fromkeys(names, b"body"))
        epoch = await other.take_epoch("p")
        for name in names[::-333]:
            assert await refusal(other.commit_snapshot("p", epoch, 3, {name: 3})) is StoreCorrupt
        assert await recovered(store, "p") == (1, {"kept": b"kept"}, records[1:])
        await other.put_parts("p", epoch, 3, {names[0]: b"new"})
        await other.commit_snapshot("p", epoch, 3, {"kept": 1, names[0]: 3})
        assert await recovered(store, "p") == (3, {"kept": b"kept", names[0]: b"new"}, [])

    async def test_snapshot_refusals_change_nothing(self, store: Store, other: Store) -> None:
        epoch = await store.take_epoch("p")
        for first_seq in (1, 3, 5):
            await store.append("p", Record(epoch, first_seq, first_seq + 1, b"x"))
        await store.put_parts("p", epoch, 4, {"a": b"a4"})
        await store.commit_snapshot("p", epoch, 4, {"a": 4})
        await store.put_parts("p", epoch, 6, {"a": b"a6"})
        before = await recovered(other, "p")
        for missing in ({"a": 5}, {"a": 6, "b": 6}):
            with pytest.raises(StoreCorrupt, match="'p'"):
                await store.commit_snapshot("p", epoch, 6, missing)
        for seq in (0, 2, 3, 5, 7, -1):
            with pytest.raises(SeqMismatch, match="'p'"):
                await store.commit_snapshot("p", epoch, seq, {"a": 6})
        new = await other.take_epoch("p")
        for old in (epoch, new + 1, 0):
            assert await refusal(store.put_parts("p", old, 6, {"a": b"evil"})) is Fenced
            assert await refusal(store.commit_snapshot("p", old, 6, {"a": 4})) is Fenced
        assert await refusal(store.put_parts("never", 1, 1, {})) is Fenced
        assert await recovered(other, "p") == before == (4, {"a": b"a4"}, [Record(epoch, 5, 6, b"x")])

    # Periods ------------------------------------------------------------------------------------------------

    async def test_drop_periods(self, store: Store, other: Store, backend: Backend) -> None:
        epochs = {}
        for name in ("p", "q", "r"):
            epochs[name], _ = await journal(store, name, 3)
            await store.put_parts(name, epochs[name], 3, {"a": b"a"})
        await store.commit_snapshot("q", epochs["q"], 3, {"a": 3})
        await store.take_epoch("only an epoch")
        assert await other.list_periods() == ["p", "q", "r"]
        await other.drop_periods(["p", "q", "never", "only an epoch"])
        await other.drop_periods([])
        assert await store.list_periods() == ["r"]
        for name in ("p", "q"):
            assert await recovered(store, name) == (0, {}, [])
            assert await store.last_seq(name) == 0
            assert await backend.stored(name) == (set(), [])
            assert await refusal(store.append(name, Record(epochs[name], 4, 4, b"x"))) is Fenced
            assert await refusal(store.append(name, Record(epochs[name], 1, 1, b"x"))) is Fenced
            epoch, records = await journal(store, name, 2)
            assert epoch == epochs[name] + 2
            assert await refusal(store.commit_snapshot(name, epoch, 2, {"a": 3})) is StoreCorrupt
            assert await recovered(other, name) == (0, {}, records)
        assert (await recovered(store, "r"))[2][2].last_seq == 3

    async def test_never_written(self, store: Store) -> None:
        assert await recovered(store, "p") == (0, {}, [])
        assert await store.list_periods() == []
        assert await store.last_seq("p") == 0
        await store.take_epoch("p")
        assert await recovered(store, "p") == (0, {}, [])
        assert await store.list_periods() == []

    async def test_recover_may_be_left_early(self, store: Store) -> None:
        epoch, records = await journal(store, "p", 1000)
        stream = store.recover("p")
        assert [await anext(stream), await anext(stream)] == [Recovered(0), records[0]]
        await store.append("p", Record(epoch, 1001, 1001, b"x"))
        streams = [store.recover("p") for _ in range(40)]
        for early in streams:
            await anext(early)
            await early.aclose()  # type: ignore[attr-defined]
        assert len([item async for item in stream]) >= 999
        assert len((await recovered(store, "p"))[2]) == 1001

    # Everything together ------------------------------------------------------------------------------------

    @long
    def test_against_the_model(self, new_backend: Callable[[], Backend]) -> None:
        checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
        often = settings(
            max_examples=rounds(6, 40), stateful_step_count=30, deadline=None, suppress_health_check=checks
        )
        machine: Any = lambda: StoreMachine(new_backend())  # noqa: E731 - typed as a class, called like one
        run_state_machine_as_test(machine, settings=often)
