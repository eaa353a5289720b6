"""The one writer of a leaderboard's journals: order, what shares an append, failures, and that nobody waits
for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.inputs import Input, hide
from lbactors.core.snapshot_parts import Applied
from lbactors.period_actor.journaling import APPEND_INPUTS, Append, Inputs, JournalWriter, Waiting
from persistence.store import Fenced, Record, StoreError, StoreUnavailable, not_tried


class Journal:
    """Counts what is applied; refuses as told."""

    def __init__(self, period_id: str, is_main: bool = False) -> None:
        self.period_id = period_id
        self.is_main = is_main
        self.unsettled = 0
        self.applied: list[Input] = []
        self.lost = ""
        self.bug = False

    def require_writer(self, *, final_too: bool) -> None:
        if self.lost:
            raise ApiError("storage_unavailable", self.lost)

    def next_record(self, now_ms: int, inputs: Sequence[Input], packed: bytes | None) -> Record:
        first_seq = len(self.applied) + 1
        return Record(1, first_seq, first_seq + len(inputs) - 1, packed or repr(inputs).encode())

    def not_appended(self, error: StoreError) -> ApiError:
        if isinstance(error, Fenced) or getattr(error, "unknown", False):
            self.lost = str(error)
        return ApiError("storage_unavailable", str(error))

    def appended_alone(self) -> None:
        self.lost = "appended alone"

    def apply(self, now_ms: int, inputs: Sequence[Input], want: Sequence[int]) -> list[Applied]:
        if self.bug:
            raise RuntimeError("a bug")
        self.require_writer(final_too=True)
        self.applied += inputs
        return [Applied(True, None, None, None, None, i, False, None) for i, _ in enumerate(inputs)]


class Store:
    """Keeps every append; a gate holds them, `fails` says what becomes of the next one."""

    def __init__(self) -> None:
        self.appends: list[list[set[str]]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.fails: dict[str, StoreError] = {}

    async def append(self, period_id: str, record: Record) -> None:
        failed = await self.append_all([{period_id: record}])
        if failed:
            raise failed[period_id]

    async def append_all(self, stages: Sequence[Mapping[str, Record]]) -> dict[str, StoreError]:
        self.appends.append([set(stage) for stage in stages])
        await self.open.wait()
        fails, self.fails = self.fails, {}
        return fails


class Both(Waiting):
    """One input for each of several journals."""

    def __init__(self, *journals: Journal) -> None:
        super().__init__(1)
        self.journals = journals
        self.outcome = ""

    def place(self, append: Append) -> None:
        for journal in self.journals:
            journal.require_writer(final_too=False)
        for journal in self.journals:
            append.add(journal, [hide("p", None, 0)], 0)

    def answer(self, append: Append) -> None:
        try:
            for journal in self.journals:
                append.results(journal, 0, 1)
        except ApiError as error:
            self.refuse(error)
        else:
            self.outcome = "taken"

    def refuse(self, error: Exception) -> None:
        self.outcome = str(error)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def writer(store: Store) -> JournalWriter:
    return JournalWriter(store, Clock())  # type: ignore[arg-type]


def inputs(journal: Journal, count: int = 1) -> Inputs:
    return Inputs(journal, [hide("p", None, 0)] * count, 0)


async def test_what_waits_for_an_append_forms_the_next_one_in_order(
    store: Store, writer: JournalWriter
) -> None:
    main, daily = Journal("main", is_main=True), Journal("daily")
    store.open.clear()
    first = inputs(main)
    writer.put(first)
    await asyncio.sleep(0)
    later: list[Waiting] = [Both(daily, main), inputs(daily, 2), Both(daily, main)]
    for item in later:
        writer.put(item)
    assert writer.weight == 4 and not main.applied
    store.open.set()
    await writer.settle()
    assert store.appends == [[{"main"}], [{"daily"}, {"main"}]], "the main window's journal is the last stage"
    assert (len(main.applied), len(daily.applied)) == (3, 4)
    assert writer.weight == 0 and main.unsettled == daily.unsettled == 0
    writer.check()


async def test_an_append_has_a_size_and_who_must_be_alone_is(store: Store, writer: JournalWriter) -> None:
    journal = Journal("p")
    alone = inputs(journal)
    alone.alone = True
    for item in (inputs(journal, APPEND_INPUTS), inputs(journal), alone, inputs(journal), inputs(journal)):
        writer.put(item)
    await writer.settle()
    assert len(store.appends) == 4
    assert len(journal.applied) == APPEND_INPUTS + 4


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (StoreUnavailable("full"), ("", "")),
        (StoreUnavailable("away", unknown=True), ("away", "")),
        (Fenced("another one", 7), ("another one", "")),
    ],
)
async def test_what_one_journal_refuses_counts_in_none(
    store: Store, writer: JournalWriter, error: StoreError, lost: tuple[str, str]
) -> None:
    main, daily = Journal("main", is_main=True), Journal("daily")
    store.fails = {"daily": error, "main": not_tried(error)}
    both = Both(daily, main)
    writer.put(both)
    await writer.settle()
    assert both.outcome == str(error) and not main.applied and not daily.applied
    assert (daily.lost, main.lost) == lost
    again = Both(daily, main)
    writer.put(again)
    await writer.settle()
    assert again.outcome == ("taken" if not any(lost) else daily.lost)


async def test_a_journal_that_was_appended_to_alone_is_read_again(
    store: Store, writer: JournalWriter
) -> None:
    """In a cluster: what is durable in the one must not be answered, and the other one decides."""
    main, daily = Journal("main", is_main=True), Journal("daily")
    store.fails = {"main": StoreUnavailable("the node is away")}
    both = Both(daily, main)
    writer.put(both)
    await writer.settle()
    assert both.outcome == "the node is away"
    assert daily.lost == "appended alone" and not daily.applied and not main.lost


async def test_nobody_waits_for_ever_behind_a_bug(store: Store, writer: JournalWriter) -> None:
    broken, sound = Journal("broken"), Journal("sound")
    broken.bug = True
    waiting = [inputs(broken), inputs(sound)]
    for item in waiting:
        writer.put(item)
    await writer.settle()
    for item in waiting:
        with pytest.raises(ApiError, match="a bug"):
            await item.done
    assert broken.unsettled == sound.unsettled == 0
    broken.bug = False
    more = inputs(broken)
    writer.put(more)
    assert len(await more.done) == 1


async def test_who_lost_the_right_to_write_meanwhile_is_told_so(store: Store, writer: JournalWriter) -> None:
    """While it waited, and while the append was on its way: others of the same append are answered."""
    gone, there = Journal("gone"), Journal("there")
    store.open.clear()
    waiting: list[Any] = [inputs(gone), inputs(there)]
    for item in waiting:
        writer.put(item)
    await asyncio.sleep(0)
    late = inputs(gone)
    writer.put(late)
    gone.lost = "another activation"
    store.open.set()
    await writer.settle()
    for item in (waiting[0], late):
        with pytest.raises(ApiError, match="another activation"):
            await item.done
    assert len(await waiting[1].done) == 1
