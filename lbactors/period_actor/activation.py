"""An activation: one period loaded in one process, with the right to write its journal (laws 1 to 5).

Theory of operation. An activation takes a higher epoch than any before it, loads the snapshot, replays the
journal, and serves. Submissions that arrive while an append is on its way wait and form the next one:
journal, apply, answer, in that order, one append in flight. Whatever makes the journal's end uncertain (an
append with an unknown outcome) or says that another writer exists (`Fenced`) ends the activation: it never
writes again. Its last state stays readable while a successor with a higher epoch takes over, since it shows
only what was acknowledged. A successor in the same process takes the state over too, and reads no more than
the records after it: so a store that was away is no reason to load a million entries again.

The lease. What makes an acknowledgement safe is the fence in the store, not a clock. But an activation that
has not reached the store for `lease_s` cannot know whether it is still the one, and it would only collect
requests: it refuses them at once until an append or a renewal gets through.

A store may go back: emptied, replaced, restored from an older copy. An activation that notices (its epoch is
above the highest, the journal ends before what it applied) keeps its state for readers and writes no more.

The life of an activation is this table; anything that is not in it is a bug and raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence

import msgpack
import structlog

from lbactors.clock import Clock
from lbactors.core import inputs as made
from lbactors.core.definition import Rules
from lbactors.core.errors import ApiError
from lbactors.core.ids import in_chain
from lbactors.core.inputs import Input, JournalBody
from lbactors.core.model import PeriodRecord
from lbactors.core.period import Applied, Period
from lbactors.core.seen_ids import ID_SEGMENT, SEEN_IDS_MS
from lbactors.documents.storage_errors import storage_unavailable
from lbactors.period_actor import gc_pause
from lbactors.period_actor.replay import Replay
from lbactors.wire.batching import take_batch
from persistence.store import (
    WENT_BACK,
    Fenced,
    Part,
    Record,
    Recovered,
    SeqMismatch,
    Store,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
    StoreWentBack,
)

TRANSITIONS = {
    (
        "loading",
        "deactivate",
    ): "asleep",  # hosted, not loaded before it is needed: no epoch, no state
    ("asleep", "activate"): "loading",
    ("asleep", "unload"): "gone",
    ("serving", "release"): "gone",  # nobody uses it, and a snapshot shows all of it
    ("loading", "loaded"): "serving",  # epoch taken, state complete
    ("loading", "loaded_sealed"): "sealed",  # a closed period, for reading: no epoch
    ("loading", "failed"): "gone",
    ("serving", "seal"): "draining",  # no further inputs; those that wait are finished
    ("serving", "drain"): "draining",
    ("serving", "lost"): "suspended",  # the journal's end is uncertain: readable, never written again
    ("draining", "lost"): "suspended",
    ("serving", "went_back"): "suspended",  # the store lost what it had acknowledged
    ("draining", "went_back"): "suspended",
    ("draining", "sealed"): "sealed",
    ("draining", "drained"): "gone",
    ("serving", "fenced"): "gone",  # another writer exists: answers nothing any more
    ("draining", "fenced"): "gone",
    ("suspended", "replaced"): "gone",
    ("suspended", "fenced"): "gone",
    ("sealed", "unload"): "gone",
    ("loading", "unload"): "gone",
}
READABLE = frozenset(("serving", "draining", "suspended", "sealed"))
WRITABLE = frozenset(("serving", "draining"))

APPEND_INPUTS = 4096  # inputs in one journal record at most
SNAPSHOT_PAUSES = 8.0  # while there are writers, a gentle snapshot rests so many times as long as a step took
REPLAY_BYTES = 1 << 20  # put together in one step
SNAPSHOT_ROWS = 2048  # entries serialised between two batches: a pause of about 2 ms
REPLAY_ERROR = "the stored state does not load"

log = structlog.get_logger("activation")


class _Waiting:
    """Inputs that wait for the next append, with the ranks wanted and who waits for the results."""

    __slots__ = ("done", "inputs", "settled", "want")

    def __init__(self, inputs: Sequence[Input], want: int) -> None:
        self.inputs = inputs
        self.want = want
        self.done: asyncio.Future[list[Applied]] = asyncio.get_running_loop().create_future()
        self.settled = asyncio.Event()  # apart from `done`, which a caller that gives up cancels


class Activation:
    """One period of a chain. `period` is set once loaded; `record` may be renewed by the supervisor."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chain_id: str,
        record: PeriodRecord,
        rules: Rules,
        seen_ids_limit: int,
        lease_s: float = float("inf"),
        floor_seq: int = 0,
    ) -> None:
        self.store = store
        self.clock = clock
        self.record = record
        self.rules = rules
        self.period_id = in_chain(chain_id, record.serial)
        self.seen_ids_limit = seen_ids_limit
        self.lease_s = lease_s
        self.floor_seq = floor_seq  # what a predecessor acknowledged: a journal that ends before it went back
        self.state = "loading"
        self.on_demand = False  # somebody waits for it to load
        self.heir_of = 0  # serial of the closed period whose submission ids it has taken over
        self.follows = -1  # generation of the tenant's hidden players that its state shows
        self.reason = ""  # why it is gone or suspended
        self.went_back = False  # because the store lost what it had acknowledged
        self.epoch = 0
        self.sealing = False  # draining for good, not to move
        self.period = Period(rules, seen_ids_limit)
        self.ended = asyncio.Event()  # set when it will never be written again: lost, fenced, failed
        self.last_used_ms = clock.now_ms()
        self.snapshot_at_ms = clock.now_ms()
        self.waiting_inputs = 0
        self._waiting: deque[_Waiting] = deque()
        self._in_flight: _Waiting | None = None  # the last of those whose append is on its way
        self._flusher: asyncio.Task[None] | None = None
        self._snapshot_lock = asyncio.Lock()
        self._snapshots_awaited = 0  # callers who wait for the one that is under way to end
        self._snapshot_awaited = asyncio.Event()  # set while there are any
        # The last one that this process took for the period, in attempts to take over, too; and how many
        # more it may have taken, by calls whose outcome is unknown.
        self.last_epoch, self.unsure_epochs = 0, 0
        self._sound = True  # false: the state may be half applied, nobody may take it over
        self.reached_store()

    def reached_store(self) -> None:
        """Note that the store was reached, and this is the period's one activation: the lease begins anew."""
        self._reached_at_s = time.monotonic()

    @property
    def unreached_s(self) -> float:
        """For how long the store was not reached."""
        return time.monotonic() - self._reached_at_s

    def _turn(self, event: str, error: Exception | None = None) -> None:
        self.state = TRANSITIONS[self.state, event]
        if error is not None:
            self.went_back = isinstance(error, StoreWentBack)
            self.reason = f"{WENT_BACK}: {error}" if self.went_back else str(error) or repr(error)
        if event in ("lost", "fenced", "failed", "went_back"):
            log.warning(
                "activation ended", period=self.period_id, epoch=self.epoch, why=event, reason=self.reason
            )
            self.ended.set()

    def inherit_reason(self, other: Activation) -> None:
        """Not loaded yet, for the reason that another attempt to load the period met."""
        self.reason, self.went_back = other.reason, other.went_back

    def renewed(self, highest: int) -> None:
        """What the store says is the highest epoch: this one's lease begins anew, or it is over."""
        if highest == self.epoch:
            self.reached_store()
        else:
            why = f"{self.period_id!r}: epoch {self.epoch}, and the highest given out is {highest}"
            self._fenced(Fenced(why, highest))

    def _fenced(self, error: Fenced) -> None:
        if error.highest < self.epoch:
            self._lose("went_back", StoreWentBack(str(error)))
        else:
            self._lose("fenced", error)

    def _lose(self, event: str, error: Exception) -> None:
        """Stop writing, unless something else was a reason to before."""
        if self.state in WRITABLE:
            self._turn(event, error)

    # Loading --------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Take an epoch unless the period is sealed, then snapshot and journal. StoreError (state: gone)."""
        await self._load(self)

    async def _take_epoch(self, holder: Activation) -> None:
        """holder: where it is noted that this process took it, or may have. StoreError."""
        try:
            self.epoch = await self.store.take_epoch(self.period_id)
        except StoreUnavailable as error:
            holder.unsure_epochs += error.unknown
            raise
        holder.last_epoch, holder.unsure_epochs = self.epoch, 0

    async def _load(self, holder: Activation) -> None:
        try:
            if not self.record.sealed:
                await self._take_epoch(holder)
            with gc_pause.resting():
                period = await self._replayed()
            last_seq = period.seq if period is not None else 0
            if last_seq < self.floor_seq:
                ends = f"the journal ends at seq {last_seq}, and seq {self.floor_seq} was acknowledged"
                raise StoreWentBack(f"{self.period_id!r}: {ends}")
        except StoreError as error:
            self._turn("failed", error)
            raise
        except (ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
            self._turn("failed", error)
            raise StoreCorrupt(f"{self.period_id}: {REPLAY_ERROR}: {error}") from error
        if self.state == "gone":
            return
        self.period = Period(self.rules, self.seen_ids_limit) if period is None else period
        self.last_epoch = self.epoch
        self.reached_store()
        self._turn("loaded_sealed" if self.record.sealed else "loaded")

    async def take_over(self, other: Activation) -> None:
        """Like `load`, with the state of a suspended activation of this process and the records after it.

        Fenced, and the other one is over, if an activation elsewhere began. Another StoreError (state: gone):
        the other one is as readable as before.
        """
        self.floor_seq = max(self.floor_seq, other.floor_seq, other.period.seq)
        try:
            (highest,) = await self.store.epochs([self.period_id])
            if highest < other.last_epoch:
                why = f"epoch {highest} after {other.last_epoch}"
                raise StoreWentBack(f"{self.period_id!r}: {why}")
            last_seq = await self.store.last_seq(self.period_id)
            if (
                last_seq < other.period.seq
            ):  # looked at before an epoch is taken in what may be replaced again
                why = f"the journal ends at seq {last_seq}, and had reached {other.period.seq}"
                raise StoreWentBack(f"{self.period_id!r}: {why}")
            # As far as this process can have come by itself. Where one of its own calls may have taken an
            # epoch, it may have been somebody else too: then that one is fenced, and takes the next.
            own = other.last_epoch + other.unsure_epochs
            if highest <= own:
                await self._take_epoch(other)
            if max(highest, self.epoch - 1) > own:  # somebody else began: we stood still, or were cut off
                raise Fenced(f"{self.period_id!r}: another activation took epoch {highest} or more", highest)
            if not other._sound:
                raise SeqMismatch(f"{self.period_id!r}: its state is not to be taken over")
            async with other._snapshot_turn(
                awaited=True
            ):  # one that is under way fails, since its epoch is over
                period = other.period
                async for record in self.store.records_after(self.period_id, period.seq):
                    _, now_ms, inputs = JournalBody.unpack(record.body)
                    other._sound = False  # until they are all in
                    period.apply(now_ms, inputs)
                    other._sound = True
        except SeqMismatch:
            await self._load(other)
            return
        except Fenced as error:
            self._turn("failed", error)
            other._turn("fenced", error)
            raise
        except StoreError as error:
            self._turn("failed", error)
            raise
        except (ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
            self._turn("failed", error)
            raise StoreCorrupt(f"{self.period_id}: {REPLAY_ERROR}: {error}") from error
        if self.state == "gone":
            return
        self.period = period
        self.last_epoch = self.epoch
        self.reached_store()
        self._turn("loaded")

    async def _replayed(self) -> Period | None:
        """What the store has, or None: read and put together at the same time, the latter in a thread, so
        that other periods of this process go on meanwhile.
        """
        replay = Replay(self.seen_ids_limit)
        items: list[Recovered | Part | Record] = []
        size_bytes = 0
        async for item in self.store.recover(self.period_id):
            items.append(item)
            size_bytes += 0 if isinstance(item, Recovered) else len(item.body)
            if size_bytes >= REPLAY_BYTES:
                await asyncio.to_thread(replay.take, items)
                items, size_bytes = [], 0
        await asyncio.to_thread(replay.take, items)
        return await asyncio.to_thread(replay.finish)

    # Writing --------------------------------------------------------------------------------------------

    async def submit(self, inputs: Sequence[Input], want: int) -> list[Applied]:
        """Journal, apply, answer. ApiError period_loading, period_closed or storage_unavailable."""
        return await self.enqueue(inputs, want)

    def enqueue(self, inputs: Sequence[Input], want: int) -> asyncio.Future[list[Applied]]:
        """Like `submit`, with the place in the journal's order taken on return. ApiError."""
        self.require_writable()
        self.last_used_ms = self.clock.now_ms()
        waiting = _Waiting(inputs, want)
        self._waiting.append(waiting)
        self.waiting_inputs += len(inputs)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        return waiting.done

    def require_writable(self) -> None:
        if self.state == "serving":
            if self.unreached_s > self.lease_s:
                unreached = f"the store was not reached for {self.unreached_s:.0f} s"
                raise ApiError("storage_unavailable", unreached)
            return
        if self.state == "draining" and not self.sealing:
            raise ApiError("period_loading", f"period {self.record.key} is moving")
        if self.state in ("draining", "sealed"):
            raise ApiError("period_closed", f"period {self.record.key} is closed")
        if self.state in ("loading", "asleep"):
            raise ApiError("period_loading", f"period {self.record.key} is loading")
        raise ApiError("storage_unavailable", self.reason or "the journal's end is being read again")

    def require_loaded(self) -> None:
        """ApiError unless the state may be read."""
        if self.state in READABLE:
            return
        if self.state in ("loading", "asleep"):
            raise ApiError("period_loading", f"period {self.record.key} is loading")
        if self.state == "gone" and not self.reason:  # let go of in good order
            raise ApiError("period_loading", f"period {self.record.key} was unloaded meanwhile")
        raise ApiError("storage_unavailable", f"period {self.record.key} does not load: {self.reason}")

    async def settle(self) -> None:
        """Wait until what was submitted before this call is applied or refused."""
        last = self._waiting[-1] if self._waiting else self._in_flight
        if last is not None:
            await last.settled.wait()

    async def _flush(self) -> None:
        """Append and apply whatever waits, batch after batch, until nothing does."""
        while self._waiting and self.state in WRITABLE:
            batch = take_batch(self._waiting, lambda item: len(item.inputs), APPEND_INPUTS)
            inputs: list[Input] = []
            want: list[int] = []
            for item in batch:
                inputs.extend(item.inputs)
                want.extend([item.want] * len(item.inputs))
            self.waiting_inputs -= len(inputs)
            self._in_flight = batch[-1]
            try:
                results = await self._append(inputs, want)
            except ApiError as error:
                self._fail(batch, error)
                continue
            except Exception as error:  # a bug: the state may be half applied, so it is built anew
                log.exception("apply failed", period=self.period_id)
                self._sound = False
                self._lose("lost", error)
                self._fail(batch, ApiError("storage_unavailable", "the period is being loaded again"))
                continue
            start = 0
            for item in batch:
                if not item.done.done():
                    item.done.set_result(results[start : start + len(item.inputs)])
                item.settled.set()
                start += len(item.inputs)
        self._in_flight = None
        if self._waiting:
            waiting, self._waiting = list(self._waiting), deque()
            self.waiting_inputs = 0
            self._fail(waiting, ApiError("storage_unavailable", self.reason or "the activation ended"))

    @staticmethod
    def _fail(batch: list[_Waiting], error: ApiError) -> None:
        for item in batch:
            item.settled.set()
            if not item.done.done():
                item.done.set_exception(error)

    async def _append(self, inputs: list[Input], want: list[int]) -> list[Applied]:
        now_ms = self.clock.now_ms()
        first_seq = self.period.seq + 1
        rules = self.period.rules if first_seq == 1 else None
        body = JournalBody(rules, now_ms, inputs).pack()
        record = Record(self.epoch, first_seq, first_seq + len(inputs) - 1, body)
        try:
            await self.store.append(self.period_id, record)
        except Fenced as error:
            self._fenced(error)
            raise ApiError("storage_unavailable", self.reason) from error
        except StoreWentBack as error:
            self._lose("went_back", error)
            raise ApiError("storage_unavailable", self.reason) from error
        except SeqMismatch as error:
            self._lose("lost", error)
            raise ApiError("storage_unavailable", "the journal's end is being read again") from error
        except StoreUnavailable as error:
            if error.unknown:
                self._lose("lost", error)
            raise storage_unavailable(error) from error
        if self.state not in WRITABLE:  # another activation was noticed meanwhile: that one answers
            raise ApiError("storage_unavailable", self.reason)
        self.reached_store()
        return self.period.apply(now_ms, inputs, want)

    async def configure(self, rules: Rules) -> None:
        """Journal new rules, from the next seq on."""
        self.rules = rules
        if rules != self.period.rules:
            if self.period.seq == 0 and not self._waiting and (self._flusher is None or self._flusher.done()):
                self.period = Period(rules, self.seen_ids_limit)
            else:
                await self.submit([made.configure(rules, self.clock.now_ms())], 0)

    async def inherit_ids(self, other: Activation) -> None:
        """Take over the submission ids of the period before. Repeating it changes nothing."""
        now_ms = self.clock.now_ms()
        inputs: list[Input] = []
        ids = 0
        for newest_ms, fresh in list(other.period.ids.handed_on(self.period.ids, now_ms - SEEN_IDS_MS)):
            if inputs and ids + len(fresh) > ID_SEGMENT:  # a record of the journal stays small
                await self.submit(inputs, 0)
                inputs, ids = [], 0
            inputs.append(made.inherit(fresh, newest_ms, now_ms))
            ids += len(fresh)
        if inputs:
            await self.submit(inputs, 0)
        self.heir_of = other.record.serial

    # Snapshots and ends ---------------------------------------------------------------------------------

    async def snapshot(self, gentle_inputs: int = 0) -> bool:
        """Save the present state, a few thousand entries between two batches; False if it is saved already.

        gentle_inputs: until so many inputs came since it began, or somebody wants one that is not gentle, it
        leaves most of the time to writers. StoreError: the old snapshot and the journal after it stay as they
        were.
        """
        async with self._snapshot_turn(awaited=not gentle_inputs):
            self.snapshot_at_ms = self.clock.now_ms()
            if self.state not in ("serving", "draining"):
                return False
            period = self.period
            snapshot = period.begin_snapshot()
            if snapshot is None:
                return False
            committed = False
            try:
                while parts := period.next_parts(SNAPSHOT_ROWS):
                    began_s = time.monotonic()
                    await self.store.put_parts(self.period_id, self.epoch, snapshot.seq, parts)
                    busy = self._waiting or self._in_flight is not None
                    if busy and period.seq - snapshot.seq < gentle_inputs:  # they share loop, store and disk
                        await self._snapshot_pause((time.monotonic() - began_s) * SNAPSHOT_PAUSES)
                await self.store.commit_snapshot(self.period_id, self.epoch, snapshot.seq, snapshot.manifest)
                committed = True
            except Fenced as error:
                self._fenced(error)
                raise
            finally:
                period.end_snapshot(committed)
            return True

    @contextlib.asynccontextmanager
    async def _snapshot_turn(self, *, awaited: bool) -> AsyncIterator[None]:
        """One snapshot at a time. awaited: one that is under way is gentle no more."""
        self._snapshots_awaited += awaited
        if awaited:
            self._snapshot_awaited.set()
        try:
            await self._snapshot_lock.acquire()
        finally:
            self._snapshots_awaited -= awaited
            if not self._snapshots_awaited:
                self._snapshot_awaited.clear()
        try:
            yield
        finally:
            self._snapshot_lock.release()

    async def _snapshot_pause(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._snapshot_awaited.wait()

    async def drain(self, event: str = "drain") -> None:
        """Take no more inputs, finish those that wait. `event`: drain or seal."""
        self.sealing = self.sealing or event == "seal"
        if self.state == "serving":
            self._turn(event)
        if self._flusher is not None:
            await self._flusher

    async def seal(self) -> None:
        """Close the period for good: everything in one last snapshot, an empty journal. StoreError."""
        await self.drain("seal")
        await self.snapshot()
        if self.state == "draining":
            self._turn("sealed")

    async def leave(self) -> None:
        """Save and go (a move to another process, the end of the server). StoreError."""
        await self.drain()
        await self.snapshot()
        if self.state == "draining":
            self._turn("drained")

    def discard(self) -> None:
        """Let go of a period that is only read, that sleeps, or that a successor replaced."""
        if self.state == "suspended":
            self._turn("replaced")
        elif self.state in ("sealed", "loading", "asleep"):
            self._turn("unload")

    # Asleep ---------------------------------------------------------------------------------------------

    def deactivate(self) -> None:
        """Do not load before somebody needs it."""
        self._turn("deactivate")

    def activate(self) -> None:
        """Somebody needs it: it may be loaded."""
        self.on_demand = True
        self.last_used_ms = self.clock.now_ms()
        self._turn("activate")

    @property
    def is_at_rest(self) -> bool:
        """Whether it serves, nothing waits or is on its way, and a snapshot shows all of its state."""
        busy = self._waiting or self._in_flight is not None or self._snapshot_lock.locked()
        return self.state == "serving" and not busy and self.period.seq == self.period.saved_seq

    def release(self) -> None:
        """Forget the state of an activation at rest; the next one loads it."""
        self._turn("release")

    def check(self) -> None:
        """Assert every invariant, the period's included; called throughout the tests. It holds whenever
        another task runs.
        """
        what = f"{self.period_id}: {self.state}"
        assert self.waiting_inputs == sum(len(w.inputs) for w in self._waiting), f"{what}: inputs are lost"
        working = self._flusher is not None and not self._flusher.done()
        assert working or not self._waiting, f"{what}: nobody appends what waits"
        assert self.state in READABLE or not self._waiting, f"{what}: nothing can wait for it"
        if self.state in WRITABLE:
            assert self.epoch and not self.record.sealed, f"{what}: it has no right to write"
            assert not self.ended.is_set(), f"{what}: it has lost its journal"
            assert self.period.seq >= self.floor_seq, f"{what}: it lacks what was acknowledged"
        if self.state == "asleep":
            assert not self.epoch and not self.period.seq, f"{what}: it holds a state"
        assert self.state != "suspended" or self.ended.is_set(), f"{what}: nobody replaces it"
        assert self.period.saved_seq <= self.period.seq, f"{what}: its snapshot is ahead of it"
        if self._sound:
            self.period.check()
