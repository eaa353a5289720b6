"""A model of the contract in a few dictionaries, and a state machine that compares a backend with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from persistence.store import (
    Change,
    Examined,
    Fenced,
    Part,
    Record,
    Recovered,
    SeqMismatch,
    Store,
    StoreCorrupt,
    StoreError,
    StoreWentBack,
)

if TYPE_CHECKING:
    from tests.support.store.backend import Backend

PERIOD_IDS = ["p", "π/☃"]
PERIODS = st.sampled_from(PERIOD_IDS)
OWNER_IDS = ["p", "q"]  # of documents; one is called like a period, with which it has nothing to do
OWNERS = st.sampled_from(OWNER_IDS)
HANDLES = st.integers(0, 1)
BODIES = st.sampled_from([b"", b"x", b"y" * 3000])
NAMES = st.sampled_from(["a", "b", "c"])
MOSTLY_0 = st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1])


@dataclass
class Period:
    """What a store must hold of a period."""

    seq: int = 0
    parts: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    staged: dict[tuple[str, int], bytes] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    covered: list[Record] = field(default_factory=list)  # repeating them may be recognised or refused
    kept: list[Record] = field(default_factory=list)  # covered, and still read in pages
    trimmed: int = 0

    @property
    def last_seq(self) -> int:
        return self.records[-1].last_seq if self.records else self.seq

    def append(self, record: Record) -> set[type[StoreError] | None]:
        """Append; the outcomes that the contract allows."""
        if record in self.records:
            return {None}
        if record in self.covered:
            return {None, SeqMismatch}
        if record.first_seq != self.last_seq + 1 or record.last_seq < record.first_seq:
            return {SeqMismatch}
        self.records.append(record)
        return {None}

    def ends(self) -> set[int]:
        """Where a snapshot or a record ends."""
        return {self.seq} | {record.last_seq for record in self.records}

    def cut(self, seq: int) -> set[type[StoreError] | None]:
        """Cut; the outcomes that the contract allows."""
        if seq not in self.ends():
            return {SeqMismatch}
        self.records = [record for record in self.records if record.last_seq <= seq]
        return {None}

    def log(self) -> list[Record]:
        """What is read in pages."""
        return [*self.kept, *self.records]

    def trim(self, seq: int) -> set[type[StoreError] | None]:
        """Trim; the outcomes that the contract allows."""
        if seq > self.seq:
            return {SeqMismatch}
        gone = [record for record in self.kept if record.last_seq <= seq]
        self.kept = self.kept[len(gone) :]
        self.trimmed = gone[-1].last_seq if gone else self.trimmed
        return {None}

    def rewrite(self, records: list[Record]) -> set[type[StoreError] | None]:
        """Rewrite; the outcomes that the contract allows."""
        there = {record[:3] for record in self.log()}
        if not all(record[:3] in there for record in records):
            return {SeqMismatch}
        new = {record.last_seq: record for record in records}
        self.kept = [new.get(record.last_seq, record) for record in self.kept]
        self.records = [new.get(record.last_seq, record) for record in self.records]
        return {None}

    def commit(self, seq: int, manifest: dict[str, int], keep_journal: bool) -> set[type[StoreError] | None]:
        """Commit a snapshot; the outcomes that the contract allows."""
        if seq not in self.ends() - {0}:
            return {SeqMismatch}
        versions = {(name, put_at): body for name, (put_at, body) in self.parts.items()} | self.staged
        if not all((name, put_at) in versions for name, put_at in manifest.items()):
            return {StoreCorrupt}
        self.parts = {name: (put_at, versions[name, put_at]) for name, put_at in manifest.items()}
        self.staged = {}
        covered = [record for record in self.records if record.last_seq <= seq]
        self.covered += covered
        self.records = self.records[len(covered) :]
        self.seq = seq
        self.kept = [*self.kept, *covered] if keep_journal else []
        self.trimmed = self.trimmed if keep_journal else seq
        return {None}


class StoreMachine(RuleBasedStateMachine):
    """Two handles on one store, two periods, two owners of documents."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.backend = backend
        self.runner = asyncio.Runner()
        self.stores = [backend.handle(), backend.handle()]
        for store in self.stores:
            self.runner.run(store.open())
        self.epochs: dict[str, int] = {}
        self.ownerships: dict[str, int] = {}
        self.periods: dict[str, Period] = {}
        self.documents: dict[str, bytes] = {}
        self.checks = 0

    def teardown(self) -> None:
        for store in self.stores:
            self.runner.run(store.close())
        self.runner.close()

    def outcome(self, call: Coroutine[Any, Any, Any]) -> type[StoreError] | None:
        try:
            self.runner.run(call)
        except StoreError as error:
            return type(error)
        return None

    def period(self, name: str) -> Period:
        return self.periods.setdefault(name, Period())

    @rule(handle=HANDLES)
    def restart(self, handle: int) -> None:
        self.runner.run(self.stores[handle].close())
        self.stores[handle] = self.backend.handle()
        self.runner.run(self.stores[handle].open())

    @rule(handle=HANDLES, name=OWNERS)
    def take_ownership(self, handle: int, name: str) -> None:
        self.ownerships[name] = self.ownerships.get(name, 0) + 1
        assert self.runner.run(self.stores[handle].take_ownership(name)) == self.ownerships[name]

    @rule(handle=HANDLES, name=PERIODS)
    def take_epoch(self, handle: int, name: str) -> None:
        self.epochs[name] = self.epochs.get(name, 0) + 1
        self.period(name).staged = {}
        assert self.runner.run(self.stores[handle].take_epoch(name)) == self.epochs[name]

    @rule(handle=HANDLES, name=PERIODS, late=MOSTLY_0, gap=MOSTLY_0, count=st.integers(1, 3), body=BODIES)
    def append(self, handle: int, name: str, late: int, gap: int, count: int, body: bytes) -> None:
        first_seq = self.period(name).last_seq + 1 + gap
        record = Record(self.epochs.get(name, 0) + late, first_seq, first_seq + count - 1, body)
        allowed: set[type[StoreError] | None] = {Fenced}
        if late == 0 and name in self.epochs:
            allowed = self.period(name).append(record)
        assert self.outcome(self.stores[handle].append(name, record)) in allowed

    @rule(handle=HANDLES, name=PERIODS, choice=st.integers(0, 100))
    def append_again(self, handle: int, name: str, choice: int) -> None:
        current = [record for record in self.period(name).records if record.epoch == self.epochs[name]]
        if current:
            record = current[choice % len(current)]
            assert self.outcome(self.stores[handle].append(name, record)) is None

    @rule(handle=HANDLES, counts=st.lists(st.tuples(PERIODS, st.integers(1, 5)), max_size=4))
    def append_many(self, handle: int, counts: list[tuple[str, int]]) -> None:
        async def together() -> list[None]:
            calls = []
            for name, count in counts:
                for _ in range(count if name in self.epochs else 0):
                    seq = self.period(name).last_seq + 1
                    record = Record(self.epochs[name], seq, seq, b"one of many")
                    assert self.period(name).append(record) == {None}
                    calls.append(self.stores[handle].append(name, record))
            return await asyncio.gather(*calls)

        self.runner.run(together())

    @rule(handle=HANDLES, late=MOSTLY_0, gap=MOSTLY_0, body=BODIES)
    def append_all(self, handle: int, late: int, gap: int, body: bytes) -> None:
        """To both periods, or to the first alone where nothing says that it is all or none (a cluster)."""
        records = {}
        for name in PERIOD_IDS:
            first_seq = self.period(name).last_seq + 1 + (gap if name == PERIOD_IDS[1] else 0)
            epoch = self.epochs.get(name, 0) + (late if name == PERIOD_IDS[0] else 0)
            records[name] = Record(epoch, first_seq, first_seq, body)
        sound = late == 0 and all(name in self.epochs for name in PERIOD_IDS)
        stages = [{name: record} for name, record in records.items()]
        if sound and self.period(PERIOD_IDS[1]).append(records[PERIOD_IDS[1]]) == {None}:
            assert self.period(PERIOD_IDS[0]).append(records[PERIOD_IDS[0]]) == {None}
        failed = self.runner.run(self.stores[handle].append_all(stages))
        assert not failed or PERIOD_IDS[1] in failed
        if failed and PERIOD_IDS[0] not in failed:
            assert self.backend.CLUSTERED, "one was appended, and the other was not"
            self.period(PERIOD_IDS[0]).append(records[PERIOD_IDS[0]])

    @rule(handle=HANDLES, name=PERIODS, late=MOSTLY_0, parts=st.dictionaries(NAMES, BODIES), ahead=MOSTLY_0)
    def put_parts(self, handle: int, name: str, late: int, parts: dict[str, bytes], ahead: int) -> None:
        seq = max(0, self.period(name).last_seq + ahead)
        sound = late == 0 and name in self.epochs
        call = self.stores[handle].put_parts(name, self.epochs.get(name, 0) + late, seq, parts)
        assert self.outcome(call) is (None if sound else Fenced)
        if sound:
            self.period(name).staged |= {(part, seq): body for part, body in parts.items()}

    @rule(
        handle=HANDLES,
        name=PERIODS,
        late=MOSTLY_0,
        wrong=MOSTLY_0,
        keep=st.sampled_from([1, 1, 0]),
        data=st.data(),
    )
    def commit_snapshot(
        self, handle: int, name: str, late: int, wrong: int, keep: int, data: st.DataObject
    ) -> None:
        period = self.period(name)
        known = sorted({(part, put_at) for part, (put_at, _) in period.parts.items()} | period.staged.keys())
        manifest = dict(data.draw(st.lists(st.sampled_from(known)))) if known else {}
        ends = [period.seq, *(record.last_seq for record in period.records)]
        seq = data.draw(st.sampled_from(ends)) + max(0, wrong)
        allowed: set[type[StoreError] | None] = {Fenced}
        if late == 0 and name in self.epochs:
            if wrong < 0 and seq > 0:
                manifest["never put"] = seq
            allowed = period.commit(seq, manifest, bool(keep))
        epoch = self.epochs.get(name, 0) + late
        call = self.stores[handle].commit_snapshot(name, epoch, seq, manifest, keep_journal=bool(keep))
        assert self.outcome(call) in allowed

    @rule(handle=HANDLES, name=PERIODS, late=MOSTLY_0, beyond=st.integers(-1, 8))
    def trim(self, handle: int, name: str, late: int, beyond: int) -> None:
        seq = self.period(name).trimmed + beyond
        allowed: set[type[StoreError] | None] = {Fenced}
        if late == 0 and name in self.epochs:
            allowed = self.period(name).trim(seq)
        assert self.outcome(self.stores[handle].trim(name, self.epochs.get(name, 0) + late, seq)) in allowed

    @rule(
        handle=HANDLES,
        name=PERIODS,
        late=MOSTLY_0,
        choices=st.lists(st.integers(0, 100), max_size=4),
        wrong=st.sampled_from(["", "", "", "epoch", "first_seq", "last_seq"]),
        body=BODIES,
    )
    def rewrite(self, handle: int, name: str, late: int, choices: list[int], wrong: str, body: bytes) -> None:
        there = self.period(name).log()
        chosen = sorted({choice % len(there) for choice in choices}) if there else []
        records = [there[choice]._replace(body=body) for choice in chosen]
        if wrong and records:
            last = records[-1]
            records[-1] = last._replace(**{wrong: getattr(last, wrong) + 1})
        allowed: set[type[StoreError] | None] = {Fenced}
        if late == 0 and name in self.epochs:
            allowed = self.period(name).rewrite(records)
        call = self.stores[handle].rewrite(name, self.epochs.get(name, 0) + late, records)
        assert self.outcome(call) in allowed

    @rule(handle=HANDLES, name=PERIODS, seq=st.integers(-1, 30), limit=st.integers(1, 20))
    def records(self, handle: int, name: str, seq: int, limit: int) -> None:
        period, store = self.period(name), self.stores[handle]
        if seq > period.last_seq:
            assert self.outcome(store.records(name, seq, limit)) is StoreWentBack
        else:
            after = [record for record in period.log() if record.last_seq > seq]
            assert self.runner.run(store.records(name, seq, limit)) == after[:limit]
        before = [record for record in period.log() if record.first_seq < seq]
        assert self.runner.run(store.records_before(name, seq, limit)) == before[::-1][:limit]

    @rule(handle=HANDLES, name=PERIODS)
    def drop(self, handle: int, name: str) -> None:
        self.runner.run(self.stores[handle].drop_periods([name]))
        self.periods.pop(name, None)
        if name in self.epochs:
            self.epochs[name] += 1

    @rule(handle=HANDLES, name=PERIODS, late=MOSTLY_0, back=st.integers(-1, 6))
    def cut(self, handle: int, name: str, late: int, back: int) -> None:
        seq = self.period(name).last_seq - back
        allowed: set[type[StoreError] | None] = {Fenced}
        if late == 0 and name in self.epochs:
            allowed = self.period(name).cut(seq)
        call = self.stores[handle].cut(name, self.epochs.get(name, 0) + late, seq)
        assert self.outcome(call) in allowed

    @rule(handle=HANDLES, name=PERIODS, back=st.integers(-2, 8))
    def records_after(self, handle: int, name: str, back: int) -> None:
        async def read() -> list[Record]:
            return [record async for record in self.stores[handle].records_after(name, seq)]

        period = self.period(name)
        seq = max(0, period.last_seq - back)
        if seq in period.ends():
            assert self.runner.run(read()) == [each for each in period.records if each.first_seq > seq]
        else:
            expected = StoreWentBack if seq > period.last_seq else SeqMismatch
            assert self.outcome(read()) is expected

    @rule(handle=HANDLES, late=MOSTLY_0, puts=st.lists(st.tuples(NAMES, st.none() | BODIES)))
    def commit(self, handle: int, late: int, puts: list[tuple[str, bytes | None]]) -> None:
        sound = late == 0 and "p" in self.ownerships
        changes = [Change("c", doc_id, body) for doc_id, body in puts]
        call = self.stores[handle].commit(changes, owner="p", epoch=self.ownerships.get("p", 0) + late)
        assert self.outcome(call) is (None if sound else Fenced)
        for doc_id, body in puts if sound else ():
            self.documents.pop(doc_id, None)
            if body is not None:
                self.documents[doc_id] = body

    @invariant()
    def handles_see_the_model(self) -> None:
        self.checks += 1
        self.runner.run(self.check(self.stores[self.checks % 2]))

    async def check(self, store: Store) -> None:
        assert await store.list_periods() == sorted(
            name for name, period in self.periods.items() if period.last_seq
        )
        assert await store.scan("c") == sorted(self.documents.items())
        assert await store.epochs(PERIOD_IDS) == [self.epochs.get(name, 0) for name in PERIOD_IDS]
        for name in OWNER_IDS:
            assert await store.ownership(name) == self.ownerships.get(name, 0)
        assert await store.strays() == []
        for name, period in self.periods.items():
            assert await store.last_seq(name) == period.last_seq
            assert await store.first_seq(name) == period.trimmed + 1
            assert await store.records(name, 0, 1000) == period.log()
            manifest = {part: put_at for part, (put_at, _) in period.parts.items()}
            assert await store.manifest(name) == manifest
            items = [item async for item in store.recover(name)]
            parts = [Part(part, body) for part, (_, body) in period.parts.items()]
            assert items[0] == Recovered(period.seq)
            assert sorted(items[1 : len(parts) + 1]) == sorted(parts)
            assert items[len(parts) + 1 :] == period.records
            lines = [(*each[:3], len(each.body), True) for each in period.records]
            assert await store.examine(name) == Examined(
                self.epochs.get(name, 0),
                period.seq,
                period.last_seq,
                len(parts),
                True,
                lines,
                [],
                len(period.kept),
            )
        last_seqs = [self.period(name).last_seq for name in PERIOD_IDS]
        assert await store.last_seqs(PERIOD_IDS) == last_seqs
