"""A chain: one window's periods of one leaderboard as they live in a period actor.

A chain's periods share a process, one after the other (player-local ones overlap, and several take scores at
a time). So the next period opens without a process start, a
submission that is repeated across a boundary meets the ids of both periods, and `change` compares two
rankings in one memory.

It owns the activations (`open`: unsealed ones, in their order; `closed`: sealed ones that are loaded for
reading), says by a submission's time which period takes it, by its id which one has it, and puts a successor
in place of an activation that lost its journal. What exists and when it is sealed is the supervisor's to
decide: it comes as a `ChainSpec`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol

import structlog

from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.lifecycle import grace_of, owes_ids, rules_of, state_of
from lbactors.core.model import PeriodRecord
from lbactors.core.zones import local_ms
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.closed_periods import ClosedPeriods
from lbactors.period_actor.hidden_players import UNKNOWN, HiddenPlayers
from lbactors.period_actor.journaling import JournalWriter
from lbactors.period_actor.open_periods import OpenPeriods
from lbactors.wire.chain_spec import ChainSpec, Follows
from persistence.store import Store, StoreError

OUTSIDE = frozenset(("period_closed", "period_not_open"))  # refusals of what is in no open period

READ_WITHIN_S = 2.0  # a projection that is to be sealed reads its log so long; then it is asked again

log = structlog.get_logger("chain")


class LogFollower(Protocol):
    """Gives a projection's chain what comes of its log (`lbactors.period_actor.follower`)."""

    def become(self, follows: Follows) -> None:
        """Go by a new spec."""

    async def catch_up(self, activation: Activation) -> None:
        """Have a period that was loaded read on, for a moment."""

    async def read_to(self, activation: Activation, seq: int, within_s: float) -> None:
        """Have a period read the log up to a seq. ApiError period_loading."""

    def has_passed(self, activation: Activation, at_ms: int) -> bool:
        """Whether all rows that were acknowledged before an instant are in."""

    def is_filling(self, activation: Activation) -> bool:
        """Whether it does not show yet what it should."""

    async def note_place(self, activation: Activation) -> None:
        """Journal how far a period has read. ApiError."""

    def stop(self) -> None:
        """Let go at once."""

    def check(self) -> None:
        """Assert every invariant."""


class Limits(NamedTuple):
    """Limits of a period actor (settings)."""

    seen_ids: int
    queue_inputs: int
    lease_s: float = float("inf")


def _is_same(record: PeriodRecord | None, other: PeriodRecord) -> bool:
    """Whether a record is that of the other's period, and its end was not taken back since."""
    return record is not None and record.reopened <= other.reopened


class Chain:
    """See the module's docstring. `gone` is called when another activation was found to have taken over."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        limits: Limits,
        spec: ChainSpec,
        gone: Callable[[str], None],
        hidden: HiddenPlayers | None = None,
        writer: JournalWriter | None = None,
        follower: Callable[[Chain, Follows], LogFollower] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.limits = limits
        self.spec = spec
        self.hidden = hidden if hidden is not None else HiddenPlayers(clock)
        self.writer = writer if writer is not None else JournalWriter(store, clock)  # the leaderboard's
        self.open = OpenPeriods(self._new, self._bring_up_to_date, lambda: gone(spec.chain_id))
        self.closed = ClosedPeriods(store, spec.chain_id, self._new)
        self._new_follower = follower
        self.follower: LogFollower | None = None  # of a projection
        self.work = 0  # submissions and reads so far
        self.is_leaving = False  # on its way to another actor
        # Windows of one leaderboard are made final together: see `Leaderboard.close_over`, which sets these.
        self.closing = asyncio.Lock()
        self.close_together: Callable[[], Awaitable[None]] = self._close_over
        self._unheard: PeriodRecord | None = None  # sealed here; the supervisor does not say so yet

    @property
    def last_sealed(self) -> PeriodRecord | None:
        """The last sealed period, also if the supervisor has not said so yet."""
        return self._unheard or self.spec.previous

    # What it is -----------------------------------------------------------------------------------------

    async def become(self, spec: ChainSpec) -> None:
        """Take a new spec: host what it adds, let go of what it leaves out, journal changed rules and who is
        outside a changed audience. ApiError.
        """
        changes_audience = spec.audience != self.spec.audience
        if changes_audience:
            with contextlib.suppress(ApiError):  # the store is away: as soon as it is back
                await self.close_together()  # what is over stands by the audience that was
        self.spec = spec
        if self.follower is None and spec.follows is not None and self._new_follower is not None:
            self.follower = self._new_follower(self, spec.follows)
        wanted = {r.serial: r for r in spec.records}
        if self._unheard is not None and not _is_same(wanted.get(self._unheard.serial), self._unheard):
            self._unheard = None
        for activation in list(self.open):
            record = wanted.pop(activation.record.serial, None)
            if record is not None:
                activation.record = record
            elif activation.state != "draining":
                self.open.forget(activation)
        self.open.sort()
        awake = spec.awake if not len(self.open) else self.open.is_awake
        for record in wanted.values():
            closed = self.closed.get(record.serial)
            if closed is not None and not _is_same(record, closed.record):  # it was reopened
                self.closed.forget(record.serial)
            if record.serial not in self.closed:
                self.open.add(record, awake=awake)
        self.closed.forget_older(spec.oldest_serial)
        known = {a.record.serial for a in self.open} | set(self.closed)
        if self.open.is_awake and spec.previous is not None and spec.previous.serial not in known:
            self.closed.begin(spec.previous)
        for activation in list(self.open):
            activation.rules = rules_of(activation.record, spec.rules)
            if changes_audience:
                activation.follows = UNKNOWN
        if self.follower is not None and spec.follows is not None:
            self.follower.become(spec.follows)
        await self.follow_rules()
        if changes_audience:
            await self.follow_hidden()

    def is_behind(self, activation: Activation) -> bool:
        """Whether an open period that serves does not stand by the rules of the definition yet."""
        return (
            activation.state == "serving"
            and activation.takes_more
            and activation.period.rules != activation.rules
        )

    async def follow_rules(self) -> None:
        """Journal changed rules in the open periods that are loaded; one that fails keeps no other from it,
        and is tried again. ApiError: the first failure.
        """
        failed: list[ApiError] = []
        for activation in list(self.open):
            if self.is_behind(activation):
                try:
                    await activation.configure(activation.rules)
                except ApiError as error:
                    if activation.takes_more:  # else it was made final meanwhile, and keeps its own
                        failed.append(error)
        if failed:
            raise failed[0]

    async def wait_loaded(self) -> None:
        """Wait until every open period that is awake serves, or cannot."""
        await self.open.wait_loaded()

    def _new(self, record: PeriodRecord) -> Activation:
        spec = self.spec
        floor_seq = record.last_seq if record.sealed else spec.floors.get(record.serial, 0)
        limits = self.limits
        return Activation(
            self.store,
            self.clock,
            spec.chain_id,
            record,
            rules_of(record, spec.rules),
            limits.seen_ids,
            limits.lease_s,
            floor_seq,
            self.writer,
        )

    async def _bring_up_to_date(self, activation: Activation) -> None:
        """Journal rules that were changed, and players that were hidden, before this activation could be
        told. ApiError.
        """
        while activation.state == "serving" and not activation.is_final:
            rules = rules_of(activation.record, self.spec.rules)
            if activation.period.rules == rules:
                break
            await activation.configure(rules)
        await self._inherit(activation)
        await self.follow_hidden_in(activation)
        if self.follower is not None:
            await self.follower.catch_up(activation)

    async def follow_hidden(self) -> None:
        """Leave players out and rank them again in the open periods that are loaded, as the tenant's lists
        say. ApiError.
        """
        for activation in list(self.open):
            await self.follow_hidden_in(activation)

    async def follow_hidden_in(self, activation: Activation) -> None:
        """The same in one of them. ApiError."""
        await self.hidden.follow(activation, self.spec.audience, self._over_since_ms(activation))

    # Submission ids that are handed on late ----------------------------------------------------------------

    def _owing(self) -> PeriodRecord | None:
        """The closed period whose submission ids the first open one must have: as the supervisor says, or
        because it was sealed here and the supervisor has not heard of it.
        """
        owed = self.spec.owing
        if self._unheard is not None or owed is None:
            return self._unheard
        return owed if owes_ids(owed, self.clock.now_ms()) else None

    def _awaits_ids(self, activation: Activation) -> bool:
        """Whether it could take a repeat of what the period before it took for something new."""
        owed = self._owing()
        if owed is None or activation.heir_of == owed.serial or activation is not self._after(owed.serial):
            return False
        source = self.closed.get(owed.serial)
        return source is None or source.state != "sealed" or len(source.period.ids) > 0

    def _after(self, serial: int) -> Activation | None:
        """The open period to which one hands its ids on: the first one after it, or where player-local ones
        overlap, one before it that still takes scores.
        """
        following = next((a for a in self.open if a.record.serial > serial), None)
        if following is not None:
            return following
        now_ms = self.clock.now_ms()
        before = (a for a in reversed(self.open) if a.record.serial < serial)
        return next((a for a in before if state_of(a.record, now_ms, 0) == "active"), None)

    async def _inherit(self, activation: Activation) -> None:
        """Journal the ids that it awaits. ApiError."""
        owed = self._owing()
        if owed is None or not self._awaits_ids(activation):
            return
        try:
            source = await self.closed.ensure_loaded(owed)
        except ApiError:
            if not self.closed.is_lost(owed.serial):
                raise
            # Refusing all scores would be worse than counting what is repeated again.
            log.error("submission ids are lost", chain=self.spec.chain_id, period=owed.key)
            activation.heir_of = owed.serial
            return
        await activation.inherit_ids(source)

    async def hand_on_ids(self) -> None:
        """Have the first open period take over what a closed one owes it. ApiError."""
        owed = self._owing()
        heir = None if owed is None else self._after(owed.serial)
        if heir is not None:
            await self._inherit(await self.open.ensure_awake(heir.record.serial))

    # Asleep and awake -----------------------------------------------------------------------------------

    def _begun(self) -> list[Activation]:
        """Open periods that submissions may belong to: all but those opened ahead."""
        now_ms = self.clock.now_ms()
        return [a for a in self.open if a.record.starts_at_ms is None or a.record.starts_at_ms <= now_ms]

    @property
    def is_waking(self) -> bool:
        """Whether submissions must wait for a period that sleeps or was just woken."""
        return any(self.open.is_waking(a) for a in self._begun())

    def is_between(self, at_ms: int, zone: str = "") -> bool:
        """Whether the period of an instant should have begun in a zone and is not open yet: the supervisor is
        late.
        """
        if not self.spec.more or self._at(at_ms, zone) is not None:
            return False
        last = self.open[-1].record if len(self.open) else self.last_sealed
        return last is not None and last.is_behind(at_ms, local_ms(at_ms, zone))

    async def wake(self) -> bool:
        """Wake the periods that submissions may belong to; whether they serve within a moment."""
        try:
            await asyncio.gather(*(self.open.ensure_awake(a.record.serial) for a in self._begun()))
        except ApiError:
            return False
        return True

    async def rest(self, older_than_ms: int) -> None:
        """Let go of what nobody used since then: open periods go to sleep, closed ones are unloaded (the one
        before the current stays for `change` as long as that is awake).
        """
        await self.open.sleep_idle(older_than_ms)
        keep = self.spec.previous.serial if self.spec.previous is not None and self.open.is_awake else 0
        self.closed.forget_idle(older_than_ms, keep)

    # Over -----------------------------------------------------------------------------------------------

    def is_over(self, activation: Activation) -> bool:
        """Whether a period takes nothing more by the clock."""
        return state_of(activation.record, self.clock.now_ms(), self.spec.grace_ms) == "closed"

    def _over_since_ms(self, activation: Activation) -> int | None:
        """When end and grace of a period passed; None if they have not."""
        ends_ms = activation.record.ends_at_ms
        if ends_ms is None or not self.is_over(activation):
            return None
        return ends_ms + grace_of(activation.record, self.spec.grace_ms)

    def is_to_close(self, activation: Activation) -> bool:
        """Whether it must be made final before anybody is shown it as closed. That of a projection is closing
        until it has all rows that may count in it.
        """
        if not self.is_over(activation) or activation.is_final:
            return False
        over_ms = self._over_since_ms(activation)
        return self.follower is None or over_ms is None or self.follower.has_passed(activation, over_ms)

    async def _close_over(self) -> None:
        """Make the periods that are over final. ApiError."""
        async with self.closing:
            await self.make_over_final()

    async def make_over_final(self) -> None:
        """Make the periods that are over final, with the rules and the hidden players that are their last.
        Under `closing`. Repeating it is harmless. ApiError: those are not final, and are shown as closing.
        """
        unused = {a.record.serial for a in self.open if a.state == "asleep" and not a.floor_seq}
        for serial in [a.record.serial for a in self.open if self.is_to_close(a)]:
            if serial in unused:
                continue  # it has nothing that could change
            activation = await self.open.ensure_awake(serial, to_write=True)
            if self.is_to_close(activation):
                await self._make_final(activation)

    async def _make_final(self, activation: Activation) -> None:
        await self._bring_up_to_date(activation)
        await activation.close()

    # Times ----------------------------------------------------------------------------------------------

    def _at(self, at_ms: int, zone: str) -> Activation | None:
        """The open period that contains an instant in a zone, the newest if there are several."""
        digits_ms = local_ms(at_ms, zone)
        for activation in reversed(self.open):
            if activation.record.contains(at_ms, digits_ms):
                return activation
        return None

    def taking(self, occurred_at_ms: int | None, arrived_at_ms: int, zone: str = "") -> Activation:
        """The period that takes a submission: the one it happened in, if that is known (and lies before its
        arrival), else the one it arrived in. zone: of the player, where periods are player-local; empty
        stands for UTC. ApiError: OUTSIDE if there is none, else why it cannot be taken now.
        """
        found = self._taking(occurred_at_ms, arrived_at_ms, zone)
        if not found.takes_more:
            raise ApiError("period_closed", f"window {self.spec.window} takes no more scores")
        if self._awaits_ids(found) or (found.record.is_local and any(map(self._awaits_ids, self.open))):
            raise ApiError("period_loading", "the ids of the period before are being taken over")
        found.require_writable()
        return found

    def _taking(self, occurred_at_ms: int | None, arrived_at_ms: int, zone: str) -> Activation:
        if occurred_at_ms is not None:
            found = self._at(occurred_at_ms, zone)
            state = "closed" if found is None else state_of(found.record, arrived_at_ms, self.spec.grace_ms)
            if found is not None and state in ("active", "closing") and found.takes_more:
                return found
            if self.spec.late_arrival:
                return self._taking(None, arrived_at_ms, zone)
            if self.is_between(occurred_at_ms, zone):
                raise ApiError("period_loading", "the next period is being opened")
            raise ApiError("period_closed", "occurred_at lies in a period that takes no more scores")
        found = self._at(arrived_at_ms, zone)
        if found is None or not found.takes_more or found.state in ("draining", "sealed"):  # long on its way
            now_ms = self.clock.now_ms()
            found = self._at(now_ms, zone) or found
            if found is None:
                raise self._not_open(now_ms, zone)
        return found

    def _not_open(self, now_ms: int, zone: str) -> ApiError:
        if any(a.record.is_ahead(now_ms, local_ms(now_ms, zone)) for a in self.open):
            return ApiError("period_not_open", f"window {self.spec.window} has not begun")
        if self.spec.more:
            return ApiError("period_loading", "the next period is being opened")
        if not (self.open or self.closed or self.spec.previous):
            return ApiError("period_not_open", f"window {self.spec.window} has no period yet")
        return ApiError("period_closed", f"window {self.spec.window} takes no more scores")

    def current(self, now_ms: int, zone: str = "") -> Activation | PeriodRecord:
        """The active period, of player-local ones that of a zone; else the pending one; else the last."""
        found = self._at(now_ms, zone)
        if found is not None:
            return found
        digits_ms = local_ms(now_ms, zone)
        for activation in self.open:
            if activation.record.is_ahead(now_ms, digits_ms):
                return activation
        if self.open:
            return self.open[-1]
        last = self.last_sealed
        if last is None:
            raise ApiError("period_not_found", f"window {self.spec.window} has no period yet")
        return last

    # Repeats --------------------------------------------------------------------------------------------

    def knows_none(self, submission_ids: Collection[str]) -> bool:
        """Whether it is certain that no period has any of these ids, own ones or handed on."""
        return all(a.period.ids.knows_none(submission_ids) for a in self.open) and not self._unread()

    def knowing(self, submission_id: str) -> Activation | None:
        """The period that has an id, its own one or handed on by those before: an open one, or where none
        has begun the last one (after `load_last`). ApiError period_loading if that cannot be told now.
        """
        for activation in reversed(self.open):
            if submission_id in activation.period.ids:
                return activation
        for activation in self._unread():
            raise ApiError("period_loading", f"period {activation.record.key} is loading")
        record = self._last_closed()
        if record is None:
            return None
        last = self.closed.get(record.serial)
        if last is None:
            raise ApiError("period_loading", f"period {record.key} is loading")
        last.require_loaded()
        return last if submission_id in last.period.ids else None

    async def load_last(self) -> None:
        """Load the last period if no other can know what was taken before. ApiError."""
        record = self._last_closed()
        if record is not None:
            await self.closed.ensure_loaded(record)

    def _last_closed(self) -> PeriodRecord | None:
        """The closed period whose ids no open one has: none has begun since."""
        record = self._owing() or self.last_sealed
        if self._begun() or record is None or self.closed.is_lost(record.serial):
            return None
        return record

    def _unread(self) -> list[Activation]:
        """Open periods that may have taken something, and whose ids are not in memory."""
        now_ms = self.clock.now_ms()
        return [
            a
            for a in self.open
            if a.state in ("loading", "asleep") and now_ms >= (a.record.starts_at_ms or 0)
        ]

    # Ends -----------------------------------------------------------------------------------------------

    async def seal(self, serial: int, end: Sequence[Any] | None = None, log_seq: int = 0) -> PeriodRecord:
        """Close a period: ids handed on, last snapshot written. Repeating it is harmless. end: the one that
        is meant (`Activation.end`; None: whichever). log_seq: of a projection, up to which it must have read
        its log. StoreError, ApiError period_loading if there is another end, or it has not read so far.
        """
        if serial in self.closed:  # and the supervisor did not hear of it: there may be a successor by now
            await self.hand_on_ids()
            return self._sealed_record(await self.closed.ensure_loaded(self.closed[serial].record))
        activation = await self.open.ensure_awake(serial, to_write=True)
        activation.require_loaded()
        asked = activation.end if end is None else tuple(end)
        self._require_end(activation, asked)
        await self._inherit(activation)
        if self.follower is not None and not activation.is_final:
            await self.follower.read_to(activation, log_seq, READ_WITHIN_S)
        await activation.settle()
        if activation.period.seq:
            with contextlib.suppress(ApiError):  # another window may not be able to: this one tells by itself
                await self.close_together()
            async with self.closing:
                await self._make_final(activation)  # who is hidden is in no final standings
        self._require_end(activation, asked)
        following = self._after(serial)
        if following is not None and len(activation.period.ids):
            (await self.open.ensure_awake(following.record.serial)).require_writable()
        await activation.drain("seal")
        try:
            if following is not None and len(activation.period.ids):
                await (await self.open.ensure_awake(following.record.serial)).inherit_ids(activation)
            await activation.seal()
        except BaseException as error:
            activation.give_up_seal(error)
            raise
        if activation.state != "sealed":
            raise StoreError(f"{activation.period_id}: {activation.state} while being sealed")
        self.open.remove(activation)
        if activation.end != asked:  # it was reopened meanwhile
            activation.discard()
            self.open.add(activation.record, awake=True)
            self._require_end(activation, asked)
        activation.record = self._sealed_record(activation)
        self.closed.take(activation)
        self._unheard = activation.record
        activation.last_used_ms = self.clock.now_ms()
        return activation.record

    @staticmethod
    def _require_end(activation: Activation, end: tuple[Any, ...]) -> None:
        if activation.end != end:
            raise ApiError("period_loading", f"period {activation.record.key} was reopened")

    def _sealed_record(self, activation: Activation) -> PeriodRecord:
        period = activation.period
        owed = len(period.ids) > 0 and self._after(activation.record.serial) is None
        return activation.record._replace(
            sealed=True,
            entries=period.total,
            submissions=period.submissions,
            last_seq=period.seq,
            ids_owed=owed,
        )

    async def confirm(self) -> bool:
        """Ask the store whether every open period is still the one activation of its kind; false if one is
        known not to be, and if the store cannot be asked.
        """
        serving = [a for a in self.open if a.state == "serving"]
        try:
            highest = await self.store.epochs([a.period_id for a in serving])
        except StoreError:
            return False
        for activation, epoch in zip(serving, highest, strict=True):
            activation.renewed(epoch)
        return not any(a.state in ("gone", "suspended") for a in [*serving, *self.open])

    async def leave(self) -> None:
        """Save everything and let go. StoreError: it is all in the journal too."""
        serving = [a for a in self.open if a.state == "serving"]
        await asyncio.gather(*(a.snapshot() for a in serving))  # most of it while they still serve
        self.is_leaving = True
        await asyncio.gather(*(a.leave() for a in self.open if a.state == "serving"))
        self.stop()

    def stop(self) -> None:
        """Let go at once; what is journaled is safe."""
        if self.follower is not None:
            self.follower.stop()
        self.open.stop()
        self.closed.stop()

    def check(self) -> None:
        """Assert every invariant of the chain and its periods; called throughout the tests. It holds whenever
        another task runs.
        """
        self.open.check()
        self.closed.check()
        if self.follower is not None:
            self.follower.check()
        if self.open.is_stopped:
            return
        chain_id, open_serials = self.spec.chain_id, {a.record.serial for a in self.open}
        assert not open_serials & set(self.closed), f"{chain_id}: open and closed at once"
        for activation in (*self.open, *self.closed.values()):
            assert activation.period_id == f"{chain_id}/{activation.record.serial}", activation.period_id
        wanted = {r.serial for r in self.spec.records}
        unheard = set() if self._unheard is None else {self._unheard.serial}
        assert self._unheard is None or self._unheard.sealed
        missing = wanted - open_serials - set(self.closed) - unheard
        assert not missing, f"{chain_id}: periods {missing} are not hosted"
        draining = {a.record.serial for a in self.open if a.state == "draining"}
        stray = open_serials - wanted - draining
        assert not stray, f"{chain_id}: nobody wants periods {stray}"
