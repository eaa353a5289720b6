"""An activation: one period or log loaded in one process, with the right to write its journal (laws 1 to 5).

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
from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, cast

import msgpack
import structlog

from lbactors.clock import Clock
from lbactors.core import inputs as made
from lbactors.core.definition import Rules
from lbactors.core.errors import ApiError
from lbactors.core.ids import in_chain, window_of_chain
from lbactors.core.inputs import Input, JournalBody
from lbactors.core.model import PeriodRecord
from lbactors.core.period import Applied
from lbactors.core.seen_ids import ID_SEGMENT, SEEN_IDS_MS
from lbactors.documents.storage_errors import storage_unavailable
from lbactors.period_actor import gc_pause
from lbactors.period_actor.hosted_state import PERIODS, S, StateKind
from lbactors.period_actor.journaling import Append, Inputs, JournalWriter
from lbactors.period_actor.replay import Replay
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

SNAPSHOT_PAUSES = 8.0  # while there are writers, a gentle snapshot rests so many times as long as a step took
REPLAY_BYTES = 1 << 20  # put together in one step
SNAPSHOT_ROWS = 2048  # entries serialised between two batches: a pause of about 2 ms
REPLAY_ERROR = "the stored state does not load"

log = structlog.get_logger("activation")


class _Close(Inputs):
    """The mark that a period is final. What is placed behind it, in the same append too, is refused."""

    def __init__(self, activation: Activation[Any]) -> None:
        self._activation, self._end = activation, activation.end
        super().__init__(activation, [made.close(*self._end, activation.clock.now_ms())], 0)

    def place(self, append: Append) -> None:
        super().place(append)
        self._activation.closing = self._end

    def answer(self, append: Append) -> None:
        self._activation.closing = None
        super().answer(append)

    def refuse(self, error: Exception) -> None:
        self._activation.closing = None
        super().refuse(error)


class Activation(Generic[S]):
    """One period of a chain. `period` is its state, set once loaded; `record` may be renewed by the
    supervisor. kind: of its state.
    """

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
        writer: JournalWriter | None = None,
        kind: StateKind[S] = cast("StateKind[S]", PERIODS),  # noqa: B008 - it has no state
    ) -> None:
        self.kind = kind
        self.store = store
        self.clock = clock
        self.record = record
        self.rules = rules
        self.period_id = in_chain(chain_id, record.serial)
        self.is_main = window_of_chain(chain_id) == "main"
        self.writer = writer if writer is not None else JournalWriter(store, clock)
        self.seen_ids_limit = seen_ids_limit
        self.lease_s = lease_s
        self.floor_seq = floor_seq  # what a predecessor acknowledged: a journal that ends before it went back
        self.state = "loading"
        self.on_demand = False  # somebody waits for it to load
        self.before_serial: int | None = None  # of the period before it, once the store was asked; 0: none
        self.heir_of = 0  # serial of the closed period whose submission ids it has taken over
        self.follows = -1  # generation of the tenant's hidden players and roles that its state shows
        self.reason = ""  # why it is gone or suspended
        self.went_back = False  # because the store lost what it had acknowledged
        self.epoch = 0
        self.sealing = False  # draining for good, not to move
        self.closing: tuple[int, int | None] | None = None  # the end that an append on its way makes final
        self.period: S = kind.empty(rules, seen_ids_limit)
        self.ended = asyncio.Event()  # set when it will never be written again: lost, fenced, failed
        self.last_used_ms = clock.now_ms()
        self.snapshot_at_ms = clock.now_ms()
        self.unsettled = 0  # inputs whose append is on its way
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

    def inherit_reason(self, other: Activation[S]) -> None:
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

    async def _take_epoch(self, holder: Activation[S]) -> None:
        """holder: where it is noted that this process took it, or may have. StoreError."""
        try:
            self.epoch = await self.store.take_epoch(self.period_id)
        except StoreUnavailable as error:
            holder.unsure_epochs += error.unknown
            raise
        holder.last_epoch, holder.unsure_epochs = self.epoch, 0

    async def _load(self, holder: Activation[S]) -> None:
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
        self.period = self.kind.empty(self.rules, self.seen_ids_limit) if period is None else period
        self.last_epoch = self.epoch
        self.reached_store()
        self._turn("loaded_sealed" if self.record.sealed else "loaded")

    async def take_over(self, other: Activation[S]) -> None:
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
            # Looked at before an epoch is taken in what may be replaced again.
            if last_seq < other.period.seq:
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
            # A snapshot that is under way fails, since its epoch is over.
            async with other._snapshot_turn(awaited=True):
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

    async def _replayed(self) -> S | None:
        """What the store has, or None: read and put together at the same time, the latter in a thread, so
        that other periods of this process go on meanwhile.
        """
        replay = Replay(self.kind, self.seen_ids_limit)
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

    async def submit(self, inputs: Sequence[Input], want: int, *, final_too: bool = False) -> list[Applied]:
        """Journal, apply, answer. ApiError period_loading, period_closed or storage_unavailable.

        final_too: also in a period that is final: for what moves nobody there.
        """
        return await self.enqueue(inputs, want, final_too=final_too)

    def enqueue(
        self, inputs: Sequence[Input], want: int, *, final_too: bool = False
    ) -> asyncio.Future[list[Applied]]:
        """Like `submit`, with the place in the journal's order taken on return. ApiError."""
        self.require_writable()
        if not final_too and not self.takes_more:
            raise ApiError("period_closed", f"period {self.record.key} is closed")
        self.used()
        waiting = Inputs(self, inputs, want, final_too=final_too)
        self.writer.put(waiting)
        return waiting.done

    def used(self) -> None:
        """Somebody needs it now."""
        self.last_used_ms = self.clock.now_ms()

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
        await self.writer.settle()

    # What the writer asks (`lbactors.period_actor.journaling`) --------------------------------------------

    def require_writer(self, *, final_too: bool = True) -> None:
        """ApiError if the right to write was lost while inputs waited, or what is final was made so."""
        if self.state not in WRITABLE:
            raise ApiError("storage_unavailable", self.reason or "the activation ended")
        if not final_too and not self.takes_more:
            raise ApiError("period_closed", f"period {self.record.key} is closed")

    def next_record(self, now_ms: int, inputs: Sequence[Input], packed: bytes | None) -> Record:
        first_seq = self.period.seq + 1
        if packed is None or first_seq == 1:
            packed = JournalBody(self.period.rules if first_seq == 1 else None, now_ms, inputs).pack()
        return Record(self.epoch, first_seq, first_seq + len(inputs) - 1, packed)

    def not_appended(self, error: StoreError) -> ApiError:
        if isinstance(error, Fenced):
            self._fenced(error)
            return ApiError("storage_unavailable", self.reason)
        if isinstance(error, StoreWentBack):
            self._lose("went_back", error)
            return ApiError("storage_unavailable", self.reason)
        if isinstance(error, SeqMismatch):
            self._lose("lost", error)
            return ApiError("storage_unavailable", "the journal's end is being read again")
        if not isinstance(error, StoreUnavailable) or error.unknown:
            self._lose("lost", error)
        return storage_unavailable(error)

    def appended_alone(self) -> None:
        self._lose("lost", StoreUnavailable("another journal of the same append was not written"))

    def apply(self, now_ms: int, inputs: Sequence[Input], want: Sequence[int]) -> list[Applied]:
        self.require_writer()  # else another activation was noticed meanwhile: that one answers
        self.reached_store()
        try:
            return self.period.apply(now_ms, inputs, want)
        except Exception as error:  # a bug: the state may be half applied, so it is built anew
            log.exception("apply failed", period=self.period_id)
            self._sound = False
            self._lose("lost", error)
            raise ApiError("storage_unavailable", "the period is being loaded again") from error

    @property
    def end(self) -> tuple[int, int | None]:
        """Which end of the period is the present one: how often it was taken back, and its instant."""
        return self.record.reopened, self.record.ends_at_ms

    @property
    def is_final(self) -> bool:
        """Whether its journal says that it is closed: it takes nothing more, and may be shown so. An end that
        is taken back is another end.
        """
        return self.record.sealed or self.period.closed == self.end

    @property
    def takes_more(self) -> bool:
        """Whether anything may still change in it: neither is it final, nor is that on its way."""
        return not self.is_final and self.closing != self.end

    async def close(self) -> None:
        """Make it final: behind what waits, nothing follows. Repeating it is harmless. ApiError."""
        if self.is_final:
            return
        self.require_writable()
        closing = _Close(self)
        self.writer.put(closing)
        await closing.done

    async def configure(self, rules: Rules) -> None:
        """Journal new rules, from the next seq on; a period that is final keeps its own."""
        self.rules = rules
        if rules != self.period.rules and not self.is_final:
            if self.period.seq == 0 and not self.unsettled:
                self.period = self.kind.empty(rules, self.seen_ids_limit)
            else:
                await self.submit([made.configure(rules, self.clock.now_ms())], 0)

    async def refill(self, item: Input) -> None:
        """Have a period begin anew, when no snapshot is under way that still shows its entries. ApiError."""
        async with self._snapshot_turn(awaited=True):
            await self.submit([item], 0)

    async def inherit_ids(self, other: Activation) -> None:
        """Take over the submission ids of the period before. Repeating it changes nothing."""
        now_ms = self.clock.now_ms()
        inputs: list[Input] = []
        ids = 0
        for handed in list(other.period.ids.handed_on(self.period.ids, now_ms - SEEN_IDS_MS)):
            if inputs and ids + len(handed.ids) > ID_SEGMENT:  # a record of the journal stays small
                await self.submit(inputs, 0, final_too=True)
                inputs, ids = [], 0
            inputs.append(made.inherit(handed.ids, handed.newest_ms, now_ms, handed.tags))
            ids += len(handed.ids)
        if inputs:
            await self.submit(inputs, 0, final_too=True)
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
                    # They share loop, store and disk.
                    if self.unsettled and period.seq - snapshot.seq < gentle_inputs:
                        await self._snapshot_pause((time.monotonic() - began_s) * SNAPSHOT_PAUSES)
                await self.store.commit_snapshot(
                    self.period_id,
                    self.epoch,
                    snapshot.seq,
                    snapshot.manifest,
                    keep_journal=self.kind.keeps_journal,
                )
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
        """Finish what waits and take nothing more. `event`: drain or seal."""
        self.sealing = self.sealing or event == "seal"
        await self.settle()  # what came before is taken here
        if self.state == "serving":
            self._turn(event)
        await self.settle()

    async def seal(self) -> None:
        """Close the period for good: everything in one last snapshot, an empty journal. StoreError."""
        await self.drain("seal")
        await self.snapshot()
        if self.state == "draining":
            self._turn("sealed")

    def give_up_seal(self, error: BaseException) -> None:
        """Its last snapshot was not written, or its ids not handed on: a successor goes on with its journal,
        and is sealed when that is asked for again, or goes on if it is reopened.
        """
        if self.state == "draining":
            self._lose("lost", error if isinstance(error, Exception) else StoreUnavailable(repr(error)))

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
        busy = self.unsettled or self._snapshot_lock.locked()
        return self.state == "serving" and not busy and self.period.seq == self.period.saved_seq

    def release(self) -> None:
        """Forget the state of an activation at rest; the next one loads it."""
        self._turn("release")

    def check(self) -> None:
        """Assert every invariant, the period's included; called throughout the tests. It holds whenever
        another task runs.
        """
        what = f"{self.period_id}: {self.state}"
        self.writer.check()
        assert self.unsettled >= 0, f"{what}: more was settled than placed"
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
