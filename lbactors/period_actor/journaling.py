"""The one writer of all journals of a leaderboard in this process: what waits is journaled together.

Submissions to a leaderboard, and whatever else changes its periods, wait in one queue. While an append is on
its way nothing else happens to these periods; what arrives meanwhile forms the next one: *place* (which
period of each window takes what; nothing is refused after that), *append* (one record for each journal, all
in one step as far as the store can), *apply*, *answer*. So whoever places an input sees a state in which
everything before it is applied, and either all windows have a submission or none has.

Where the store keeps journals in several places (a Redis Cluster) a death between two appends leaves the
submission in some of them. The main window's journal is the last one: what it has, all others have, and a
repeat of what it does not have completes the others.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Protocol

import structlog

from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.inputs import Input
from lbactors.core.snapshot_parts import Applied
from lbactors.wire.batching import take_batch
from persistence.store import Record, Store, StoreError

APPEND_INPUTS = 4096  # inputs in one journal record, as a rule: what was sent at once stays together

WEIGHT = attrgetter("weight")

log = structlog.get_logger("activation")


class Journal(Protocol):
    """One that is written here: an activation's."""

    period_id: str
    is_main: bool  # of the main window, which decides
    unsettled: int  # inputs that are placed and not applied or refused yet

    def require_writer(self, *, final_too: bool) -> None:
        """ApiError if the right to write was lost, or (unless `final_too`) if nothing may change any more."""

    def next_record(self, now_ms: int, inputs: Sequence[Input], packed: bytes | None) -> Record:
        """The journal's next record. packed: its body, if another journal of this append has the same one."""

    def not_appended(self, error: StoreError) -> ApiError:
        """A record of it was refused, or its outcome is unknown: what whoever waits is to be told."""

    def appended_alone(self) -> None:
        """A record of it is durable, and must not be answered as such: others of the same append are not."""

    def apply(self, now_ms: int, inputs: Sequence[Input], want: Sequence[int]) -> list[Applied]:
        """Apply what was appended. ApiError if the right to write was lost meanwhile."""


class Part:
    """What an append carries for one journal. After it: `results` of the inputs, or an `error`."""

    __slots__ = ("_chunks", "count", "error", "journal", "results", "want")

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.count = 0
        self.want: list[int] = []
        self.results: list[Applied] = []
        self.error: ApiError | None = None
        self._chunks: list[Sequence[Input]] = []

    def add(self, inputs: Sequence[Input], want: int) -> int:
        start = self.count
        self._chunks.append(inputs)
        self.want.extend([want] * len(inputs))
        self.count += len(inputs)
        self.journal.unsettled += len(inputs)
        return start

    @property
    def chunks(self) -> tuple[int, ...]:
        """The same for two parts with the same inputs."""
        return tuple(map(id, self._chunks))

    def inputs(self) -> Sequence[Input]:
        if len(self._chunks) == 1:
            return self._chunks[0]
        return [one for chunk in self._chunks for one in chunk]


class Append:
    """One append: parts by journal. `taken`: submission id -> what became of what came under it here.
    `drafts`: what a journal's state will be, where what is placed depends on what was placed before.
    """

    def __init__(self) -> None:
        self.parts: dict[Journal, Part] = {}
        self.taken: dict[str, Any] = {}
        self.drafts: dict[Journal, Any] = {}

    def add(self, journal: Journal, inputs: Sequence[Input], want: int) -> int:
        """Have inputs journaled; the place of their first result in the journal's part."""
        part = self.parts.get(journal)
        if part is None:
            part = self.parts[journal] = Part(journal)
        return part.add(inputs, want)

    def results(self, journal: Journal, start: int, count: int) -> list[Applied]:
        """Of inputs that were added there. ApiError."""
        part = self.parts[journal]
        if part.error is not None:
            raise part.error
        return part.results[start : start + count]


class Waiting(ABC):
    """Something that waits for its place in an append. `weight`: its inputs to one journal. `alone`: its
    outcome depends on all that was applied before, so it shares an append with nothing.
    """

    def __init__(self, weight: int, *, alone: bool = False) -> None:
        self.weight = weight
        self.alone = alone
        self.settled = asyncio.Event()

    async def prepare(self) -> None:  # noqa: B027 - most have nothing to fetch
        """Fetch what `place` must know. Raises nothing."""

    @abstractmethod
    def place(self, append: Append) -> None:
        """Add inputs to the append. ApiError, with none added, if it cannot be."""

    @abstractmethod
    def answer(self, append: Append) -> None:
        """It was placed, and the append is over."""

    @abstractmethod
    def refuse(self, error: Exception) -> None:
        """It was not placed; nothing was taken."""


class Inputs(Waiting):
    """Inputs for one journal. `done`: their results, or why they were refused. final_too: they move nobody,
    so a period that is final takes them.
    """

    def __init__(
        self, journal: Journal, inputs: Sequence[Input], want: int, *, final_too: bool = False
    ) -> None:
        super().__init__(len(inputs))
        self._final_too = final_too
        self.done: asyncio.Future[list[Applied]] = asyncio.get_running_loop().create_future()
        self._journal = journal
        self._inputs = inputs
        self._want = want
        self._start = 0

    def place(self, append: Append) -> None:
        self._journal.require_writer(final_too=self._final_too)
        self._start = append.add(self._journal, self._inputs, self._want)

    def answer(self, append: Append) -> None:
        try:
            results = append.results(self._journal, self._start, len(self._inputs))
        except ApiError as error:
            self.refuse(error)
            return
        if not self.done.done():
            self.done.set_result(results)

    def refuse(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class JournalWriter:
    """See the module's docstring. One for each leaderboard in an actor."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: deque[Waiting] = deque()
        self._writing: list[Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self.weight = 0  # of all that waits

    def put(self, item: Waiting) -> None:
        """Queue; what is put earlier is journaled earlier."""
        self._waiting.append(item)
        self.weight += item.weight
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def settle(self) -> None:
        """Wait until what was put before this call is applied or refused."""
        last = self._waiting[-1] if self._waiting else self._writing[-1] if self._writing else None
        if last is not None:
            await last.settled.wait()

    def check(self) -> None:
        """Assert every invariant; called throughout the tests. It holds whenever another task runs."""
        working = self._task is not None and not self._task.done()
        assert working or not (self._waiting or self._writing), "nobody appends what waits"
        assert self.weight == sum(map(WEIGHT, self._waiting)), "inputs are lost"

    async def _run(self) -> None:
        """Append and apply whatever waits, batch after batch, until nothing does."""
        while self._waiting:
            self._writing = self._next()
            self.weight -= sum(map(WEIGHT, self._writing))
            try:
                await self._write(self._writing)
            except Exception as error:  # a bug: nobody is to wait for ever
                log.exception("append failed")
                for item in self._writing:
                    item.refuse(ApiError("storage_unavailable", f"the append failed: {error!r}"))
            for item in self._writing:
                item.settled.set()
            self._writing = []

    def _next(self) -> list[Waiting]:
        if self._waiting[0].alone:
            return [self._waiting.popleft()]
        together: deque[Waiting] = deque()
        while self._waiting and not self._waiting[0].alone and len(together) < APPEND_INPUTS:
            together.append(self._waiting.popleft())
        batch = take_batch(together, WEIGHT, APPEND_INPUTS)
        self._waiting.extendleft(reversed(together))
        return batch

    async def _write(self, batch: Sequence[Waiting]) -> None:
        for item in batch:
            await item.prepare()
        # From here to the append nothing else runs: what was placed is what is appended.
        append = Append()
        placed = []
        try:
            for item in batch:
                try:
                    item.place(append)
                except ApiError as error:
                    item.refuse(error)
                else:
                    placed.append(item)
            if append.parts:
                await self._append(append)
        finally:
            for part in append.parts.values():
                part.journal.unsettled -= part.count
        for item in placed:
            item.answer(append)

    async def _append(self, append: Append) -> None:
        """Make every part's inputs durable and apply them, or note in each part why not."""
        now_ms = self._clock.now_ms()
        packed: dict[tuple[int, ...], bytes] = {}
        records: dict[str, Record] = {}
        inputs = {journal: part.inputs() for journal, part in append.parts.items()}
        for journal, part in append.parts.items():
            record = journal.next_record(now_ms, inputs[journal], packed.get(part.chunks))
            records[journal.period_id] = record
            if record.first_seq > 1:  # the first record of all says more
                packed.setdefault(part.chunks, record.body)
        failed = await self._durable(append, records)
        if failed:
            self._fail(append, failed)
            return
        for journal, part in append.parts.items():
            try:
                part.results = journal.apply(now_ms, inputs[journal], part.want)
            except ApiError as error:
                part.error = error

    async def _durable(self, append: Append, records: dict[str, Record]) -> dict[str, StoreError]:
        """Append records; period -> why one is not durable."""
        if len(records) == 1:
            ((period_id, record),) = records.items()
            try:
                await self._store.append(period_id, record)
            except StoreError as error:
                return {period_id: error}
            return {}
        stages: list[dict[str, Record]] = [{}, {}]
        for journal in append.parts:
            stages[journal.is_main][journal.period_id] = records[journal.period_id]
        return await self._store.append_all([stage for stage in stages if stage])

    @staticmethod
    def _fail(append: Append, failed: dict[str, StoreError]) -> None:
        """Nothing of the append counts. What is durable all the same is read again by a successor."""
        told: list[ApiError] = []
        for journal in append.parts:
            if journal.period_id in failed:
                told.append(journal.not_appended(failed[journal.period_id]))
            else:
                journal.appended_alone()
        for part in append.parts.values():
            part.error = told[0]


__all__ = ["APPEND_INPUTS", "Append", "Inputs", "Journal", "JournalWriter", "Waiting"]
