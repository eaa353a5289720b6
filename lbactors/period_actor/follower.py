"""A chain of a projection follows its log: rows come out of the log, and go as inputs into its open periods.

Theory of operation. The log is read from the store, and every period journals how far it has taken rows
together with what came of them (`lbactors.core.followed`). So nothing needs to be sent twice, and nothing is
lost: whoever loads a period reads on where its journal ends. A row that gives nothing is not journaled; the
place moves on in memory, and is journaled now and then (`keep_up`).

Which rows count in a period is a pure function of the rows, the definition and the period's bounds: a row
belongs to the period in which it happened, unless that was over when it was acknowledged. Nothing depends on
when it is read. Where a period took rows under terms that do not hold any more, it begins anew.

Two ways lead to the same state. *Live*: one reader for all open periods that have read the log as far as it
has; they are its members. *Filling*: a task of its own for a period that has not, since it was just loaded,
begins anew or could not write for a while; it ends as a member. A fill rests as long as it works, so that
what goes on beside it stays fast.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from lbactors.core import inputs as made
from lbactors.core.errors import ApiError
from lbactors.core.followed import Terms, must_refill
from lbactors.core.inputs import Input
from lbactors.core.period import NO_RANK
from lbactors.core.projection import Projection
from lbactors.core.scoring import Scoring
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.feed import Feed
from lbactors.period_actor.journaling import APPEND_INPUTS
from lbactors.period_actor.log_reader import LogPage, LogReader
from lbactors.period_actor.log_scores import Scores, event_of, points_of, scores_of, zone_in
from lbactors.period_actor.row_placement import NotOpenYet, RowPlacement
from lbactors.wire.chain_spec import Follows
from lbactors.wire.ping import FollowPing
from persistence.store import StoreError

RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)  # pauses after what failed; the last one repeats
CAUGHT_UP_WITHIN_S = 1.0  # whoever wakes a period waits so long for the rows that it has not read
NOTED_ROWS = 20_000  # rows that gave nothing, after which the place is journaled
NOTED_AFTER_S = 30.0
FAR_ROWS = 2000  # a fill that has more before it is not waited for
FILL_WAITED_S = 0.5  # nor is one that has lasted so long
NEAR_ROWS = 50  # a fill ends so near the end of the log, unless rows come in faster than it reads them
FILL_INPUTS = 1000  # of a fill in one append: a pause of some ms for what goes on beside it
FILL_PAUSES = 1.5  # a fill rests so many times as long as a step took

log = structlog.get_logger("follower")


class _Anew(Exception):
    """What a fill goes by has changed."""


class Follower:
    """Of one chain. readers: the process's reader of a log, by its id."""

    def __init__(self, chain: Chain, follows: Follows, readers: Callable[[str], LogReader]) -> None:
        self.chain = chain
        self._readers = readers
        self._members: set[Activation] = set()
        self._fills: dict[Activation, asyncio.Task[None]] = {}
        self._fill_places: dict[Activation, int] = {}
        self._fill_since_s: dict[Activation, float] = {}
        self._filling_since_ms = 0  # for as long as there are fills
        self._noted_s: dict[Activation, float] = {}
        self._live: int | None = None  # members have read so far, or what they read last is on its way
        self._live_ms = 0
        self._settled = 0  # members have taken everything up to here
        self._wanted = 0  # the log is known to go so far
        self._behind_since_ms: int | None = None
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Event()  # set, and replaced, whenever something moved on
        self._held_until_s = 0.0
        self._is_stopped = False
        self._take(follows)

    def _take(self, follows: Follows) -> None:
        self.follows = follows
        self.scoring = Scoring.model_validate(follows.scoring)
        self.projection = Projection.of(self.scoring)
        self.reader = self._readers(follows.log_id)
        self._placement = RowPlacement(self.chain, follows)

    # What holds now -------------------------------------------------------------------------------------

    def become(self, follows: Follows) -> None:
        """The chain has a new spec: go by it."""
        self._held_until_s = 0.0
        if follows != self.follows:
            if follows.log_id != self.follows.log_id:
                self._live, self._settled, self._wanted = None, 0, 0
                self._members.clear()
            self._take(follows)
        for activation in list(self.chain.open):
            self._judge(activation)
        self._notify()

    def hold(self, for_ms: int) -> int:
        """See `lbactors.wire.logs.Hold`."""
        self._held_until_s = time.monotonic() + for_ms / 1000
        return self._live_ms

    def terms_of(self, activation: Activation) -> Terms:
        """Under which rows are judged in a period now."""
        record, follows = activation.record, self.follows
        terms = follows.generation, follows.log_id, record.reopened, record.ends_at_ms, follows.pauses
        return Terms(*terms)

    def _is_stale(self, activation: Activation) -> bool:
        """Whether a period took rows under terms that do not hold any more."""
        grace_ms = self.chain.spec.grace_ms
        terms = self.terms_of(activation)
        return must_refill(activation.period.followed, activation.record, terms, grace_ms)

    def is_filling(self, activation: Activation) -> bool:
        """Whether an open period does not show yet what it should. One that was made final shows it for good,
        whatever changed before the supervisor heard of it.
        """
        if activation.record.sealed or activation.is_final:
            return False
        followed = activation.period.followed
        return followed.terms is None or followed.is_filling or self._is_stale(activation)

    def _judge(self, activation: Activation) -> None:
        """See to it that an open period reads on, if it is loaded and takes anything."""
        if activation.state != "serving" or activation.is_final or self._is_stopped:
            self._members.discard(activation)
            return
        if activation in self._members and not self._is_stale(activation):
            return
        self._members.discard(activation)
        if activation not in self._fills:
            if not self._fills:
                self._filling_since_ms = self.chain.clock.now_ms()
            self._fill_since_s[activation] = time.monotonic()
            task = self._fills[activation] = asyncio.create_task(self._fill(activation))
            task.add_done_callback(lambda _: self._filled(activation))

    def _filled(self, activation: Activation) -> None:
        self._fills.pop(activation, None)
        self._fill_places.pop(activation, None)
        self._fill_since_s.pop(activation, None)
        self._notify()

    def _notify(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _wait(self, pause_s: float | None = None) -> None:
        """Wait for anything to move on, or for so long."""
        news = self._news
        try:
            async with asyncio.timeout(pause_s):
                await news.wait()
        except TimeoutError:
            return

    def stop(self) -> None:
        """Let go at once; what is journaled is safe."""
        self._is_stopped = True
        for task in (*self._fills.values(), *([self._reading] if self._reading is not None else [])):
            task.cancel()
        self._members.clear()
        self._notify()

    def _scores(self, page: LogPage) -> Scores:
        projection, scoring = self.projection, self.scoring
        return self.reader.made_of(page, projection, lambda: scores_of(page, projection, scoring))

    # Live -----------------------------------------------------------------------------------------------

    def told(self, seq: int) -> None:
        """The log goes so far."""
        if seq > self._wanted:
            self._wanted = seq
            if self._behind_since_ms is None:
                self._behind_since_ms = self.chain.clock.now_ms()
        self._read_on()

    def _read_on(self) -> None:
        idle = self._reading is None or self._reading.done()
        if idle and self._members and self._live is not None and self._live < self._wanted:
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Read and take whatever there is, page after page, for the members."""
        attempt = 0
        while not self._is_stopped and self._members and self._live is not None:
            reader, place, wanted = self.reader, self._live, self._wanted
            try:
                pages = await reader.after(place, wanted)
                if reader is not self.reader or place != self._live:  # it was begun anew
                    continue
                if not pages:
                    if self._wanted > wanted:  # told meanwhile of rows that came too late for this read
                        continue
                    break
                if (held_s := self._held_until_s - time.monotonic()) > 0:
                    await self._wait(held_s)
                    continue
                await self._take_pages(pages)
            except NotOpenYet:
                await self._wait(RETRY_S[-1])
            except StoreError as error:
                log.warning("log not read", chain=self.chain.spec.chain_id, error=str(error))
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
                continue
            except Exception:  # a bug: others wait behind it for a while, and not for ever
                log.exception("log not read", chain=self.chain.spec.chain_id)
                await asyncio.sleep(RETRY_S[-1])
            attempt = 0
        if self._live is not None and self._settled >= self._wanted:
            self._behind_since_ms = None

    async def _take_pages(self, pages: Sequence[LogPage]) -> None:
        """Give members what comes of some pages. NotOpenYet: nothing was taken."""
        assert self._live is not None
        taken: dict[Activation, list[Input]] = {}
        count, through, read_ms = 0, self._live, self._live_ms
        for page in pages:
            try:
                placed = self._placement.place(self._scores(page), through)
            except NotOpenYet:
                if not count and through == self._live:
                    raise
                break
            for activation, inputs in placed.items():
                before = taken.get(activation)
                taken[activation] = inputs if before is None else [*before, *inputs]
                count += len(inputs)
            through, read_ms = page.last_seq, page.last_ms
            if count >= APPEND_INPUTS:
                break
        reader = self.reader
        # From here to the queue nothing else runs: who becomes a member later reads on from `through`.
        self._live, self._live_ms = through, read_ms
        for activation in list(self._members):
            self._judge(activation)
        feeds = {}
        for activation, inputs in taken.items():
            if activation in self._members:
                feed = self._fed(activation, inputs, through, read_ms, self.terms_of(activation))
                feeds[activation] = feed
            elif activation.state == "asleep":
                self.chain.open.wake(activation)
        failed = await asyncio.gather(*(feed.done for feed in feeds.values()), return_exceptions=True)
        for activation, error in zip(feeds, failed, strict=True):
            if error is not None:
                log.debug("not taken", period=activation.period_id, error=str(error))
                self._members.discard(activation)
                self._judge(activation)
        if reader is not self.reader:  # another log is followed since
            return
        self._settled = through
        if self._behind_since_ms is not None:  # what was not taken yet came after what was
            self._behind_since_ms = max(self._behind_since_ms, read_ms)
        self._notify()

    # Filling --------------------------------------------------------------------------------------------

    async def _fill(self, activation: Activation) -> None:
        """Have a period read on until it is a member, or takes nothing more."""
        attempt = 0
        while activation in self.chain.open and activation.state == "serving" and not activation.is_final:
            try:
                if self._live is None:
                    await self._begin()
                await self._fill_once(activation)
                return
            except _Anew:
                attempt = 0
            except (ApiError, StoreError) as error:
                log.debug("fill", period=activation.period_id, error=str(error))
                await self._wait(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
            except Exception:  # a bug: tried again, not too often
                log.exception("fill failed", period=activation.period_id)
                await asyncio.sleep(RETRY_S[-1])

    async def _begin(self) -> None:
        """Where the log ends now is where members are. StoreError."""
        reader = self.reader
        last_seq = await reader.last_seq()
        page = await reader.at(last_seq) if last_seq else None
        if reader is self.reader and self._live is None:
            self._live = self._settled = last_seq
            self._live_ms = page.last_ms if page is not None else 0
            self._wanted = max(self._wanted, last_seq)

    async def _fill_once(self, activation: Activation) -> None:
        """ApiError, StoreError; _Anew: the terms have changed."""
        await activation.settle()  # what is on its way may have come from here
        reader, terms = self.reader, self.terms_of(activation)

        def require_same() -> None:
            if self._live is None or reader is not self.reader or self.terms_of(activation) != terms:
                raise _Anew

        position = await self._beginning(activation, terms)
        self._fill_places[activation] = position
        self._notify()  # whoever waits for it sees now whether that takes long
        noted = position
        is_first, before = True, (self._live or 0) - position  # rows that a round has to read
        read_ms = activation.period.followed.read_ms
        while True:
            require_same()
            assert self._live is not None
            self._fill_places[activation] = position
            if position >= self._live and not self._members:
                grown = await reader.last_seq() - position
                require_same()
                if not self._members and NEAR_ROWS < grown <= before / 2:
                    # Members would take them one record at a time, and answers would wait for that.
                    is_first, before = False, grown
                    self._live = None
                    await self._begin()
                    continue
                if position < self._live:  # another period has joined meanwhile, and reads on
                    continue
            followed = activation.period.followed
            if position >= self._live:
                if followed.pending:
                    await self._again(activation)
                elif followed.terms != terms or followed.is_filling:
                    await self._feed(activation, [], position, read_ms, terms, begins=True)
                elif self._live == position:
                    self._join(activation)
                    return
                else:  # members are not so far yet; without any, look where the log ends now
                    self.told(position)
                    await self._wait(RETRY_S[0])
                    self._live = self._live if self._members else None
                continue
            began_s = time.monotonic()
            found = await reader.after(position, self._live)
            require_same()
            pages = [page for page in found if page.last_seq <= self._live]
            if not pages:  # up to there nothing is kept
                position = self._live
                continue
            far_behind = self._live - position > FAR_ROWS
            inputs: list[Input] = []
            if followed.is_due(pages[0].first_seq, pages[0].first_ms):
                await self._again(activation)
                continue
            for page in pages:
                if page is not pages[0] and followed.is_due(page.first_seq, page.first_ms):
                    break
                inputs += self._placement.place(self._scores(page), position, alone=activation).get(
                    activation, ()
                )
                position, read_ms = page.last_seq, page.last_ms
                if len(inputs) >= FILL_INPUTS:
                    break
            if inputs or position - noted >= NOTED_ROWS:
                await self._feed(activation, inputs, position, read_ms, terms)
                noted = position
            if far_behind and is_first:
                await asyncio.sleep((time.monotonic() - began_s) * FILL_PAUSES)

    async def _beginning(self, activation: Activation, terms: Terms) -> int:
        """Where a period reads on; one that must begin anew does. So does a new one that has rows to read:
        its journal then says from the start under which terms they are judged. ApiError, StoreError.
        """
        followed = activation.period.followed
        is_new = followed.terms is None
        is_wrong = self._is_stale(activation) or await self._is_beyond(followed.position)
        if not is_new and not is_wrong:
            return followed.position
        position = await self._first_place(activation)
        if is_new and not followed.position and position >= (self._live or 0):
            return position
        await activation.refill(made.refill(position, 0, activation.clock.now_ms(), terms))
        log.info("period is filled from its log", period=activation.period_id, position=position)
        return position

    async def _is_beyond(self, position: int) -> bool:
        """Whether the log ends before a place up to which it was read: its end was lost, and other rows come
        under the same seqs. StoreError.
        """
        if self._live is None or position <= self._live:
            return False
        return await self.reader.last_seq() < position

    async def _first_place(self, activation: Activation) -> int:
        """A place before which no row can be a period's: what was acknowledged before it began happened
        before, too. Not beyond that of members, who take it along from there. StoreError.
        """
        starts_ms = max(activation.record.starts_at_ms or 0, self.follows.from_ms)
        return await self.reader.seek(starts_ms, self._live) if starts_ms else 0

    async def _again(self, activation: Activation) -> None:
        """Do again what a moderator did there."""
        act = activation.period.followed.pending[0]
        item = made.again(activation.clock.now_ms())
        chain = self.chain
        if chain.hidden.members.leave_out(chain.spec.audience, act.player_id):
            item = made.outside(act.player_id, activation.clock.now_ms(), item)
        await activation.submit([item], NO_RANK)

    async def _feed(
        self,
        activation: Activation,
        inputs: Sequence[Input],
        position: int,
        read_ms: int,
        terms: Terms,
        *,
        begins: bool = False,
    ) -> None:
        activation.require_writable()
        await self._fed(activation, inputs, position, read_ms, terms, begins=begins).done

    def _fed(
        self,
        activation: Activation,
        inputs: Sequence[Input],
        position: int,
        read_ms: int,
        terms: Terms,
        *,
        begins: bool = False,
    ) -> Feed:
        """Inputs that are put in the queue of the journal."""
        feed = Feed(self.chain, activation, inputs, position, read_ms, terms, self.terms_of, begins=begins)
        self.chain.writer.put(feed)
        return feed

    def _join(self, activation: Activation) -> None:
        self._members.add(activation)
        self._noted_s[activation] = time.monotonic()
        self._notify()
        self._read_on()

    # Waiting for it -------------------------------------------------------------------------------------

    def _lagging(self) -> Iterable[Activation]:
        """Open periods that are loaded, or being loaded, and have not read as far as members have."""
        now_ms = self.chain.clock.now_ms()
        for activation in self.chain.open:
            if activation.state == "asleep" or activation in self._members or activation.is_final:
                continue
            if (activation.record.starts_at_ms or 0) <= now_ms:
                yield activation

    async def through(self, seq: int, within_s: float) -> bool:
        """Whether all of the log up to a seq was taken, within so long. A long fill is not waited for."""
        self.told(seq)
        deadline_s = time.monotonic() + within_s
        while not self._is_stopped:
            if not self._takes_anything():
                return True
            lagging = list(self._lagging())
            if not lagging and self._live is not None and self._settled >= seq:
                return True
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or any(self._is_far(activation) for activation in lagging):
                return False
            await self._wait(left_s)
        return False

    def _takes_anything(self) -> bool:
        """Whether rows of now can count in any period, open or about to be."""
        now_ms = self.chain.clock.now_ms()
        begun = any((a.record.starts_at_ms or 0) <= now_ms and not a.is_final for a in self.chain.open)
        return begun or self.chain.is_between(now_ms)

    def _is_far(self, activation: Activation) -> bool:
        """Whether a fill takes so long that nobody waits for its end."""
        if time.monotonic() - self._fill_since_s.get(activation, math.inf) > FILL_WAITED_S:
            return True
        place = self._fill_places.get(activation)
        return place is not None and self._live is not None and self._live - place > FAR_ROWS

    async def catch_up(self, activation: Activation) -> None:
        """A period was loaded: have it read what it has not, and wait for that, for a moment."""
        try:
            self.told(await self.reader.last_seq())
        except StoreError:
            return
        self._judge(activation)
        deadline_s = time.monotonic() + CAUGHT_UP_WITHIN_S
        while activation.state == "serving" and not activation.is_final and not self._is_stopped:
            caught_up = activation in self._members and self._settled >= self._wanted
            left_s = deadline_s - time.monotonic()
            if caught_up or left_s <= 0 or self._is_far(activation):
                return
            await self._wait(left_s)

    async def read_to(self, activation: Activation, seq: int, within_s: float) -> None:
        """Have a period read the log up to a seq. ApiError period_loading if that takes longer."""
        self.told(seq)
        self._judge(activation)
        deadline_s = time.monotonic() + within_s
        while not self.has_read(activation, seq):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or self._is_stopped:
                raise ApiError("period_loading", "the leaderboard has not read its log so far yet")
            await self._wait(left_s)

    def has_read(self, activation: Activation, seq: int) -> bool:
        """Whether a period has taken all of its rows up to a seq."""
        return activation in self._members and self._settled >= seq and not self.is_filling(activation)

    def has_passed(self, activation: Activation, at_ms: int) -> bool:
        """Whether a period has taken all of its rows that were acknowledged before an instant."""
        is_quiet = self._settled == self._live and self._live_ms >= at_ms
        return activation in self._members and is_quiet and not self.is_filling(activation)

    async def note_place(self, activation: Activation) -> None:
        """Journal how far a period has read. ApiError."""
        if activation not in self._members or self.is_filling(activation):
            raise ApiError("period_loading", f"period {activation.record.key} is being filled from its log")
        if activation.period.followed.position < self._settled:
            terms = self.terms_of(activation)
            await self._feed(activation, [], self._settled, self._live_ms, terms)

    async def keep_up(self, last_seq: int) -> None:
        """Now and then: the log goes so far; journal the place where rows gave nothing."""
        self.told(last_seq)
        for activation in list(self.chain.open):
            self._judge(activation)
        now_s = time.monotonic()
        for activation in list(self._members):
            lag = self._settled - activation.period.followed.position
            if self._settled != self._live or not lag:
                continue
            if lag >= NOTED_ROWS or now_s - self._noted_s.get(activation, 0.0) >= NOTED_AFTER_S:
                self._noted_s[activation] = now_s
                try:
                    await self.note_place(activation)
                except ApiError as error:
                    log.debug("place not journaled", period=activation.period_id, error=str(error))
        self._noted_s = {a: at_s for a, at_s in self._noted_s.items() if a in self._members}

    @property
    def is_awake(self) -> bool:
        """Whether any period is loaded that reads on."""
        return bool(self._members or self._fills)

    @property
    def status(self) -> FollowPing:
        live = self._live or 0
        rows = max(self._wanted, live)
        if all(activation.is_final for activation in self.chain.open):  # nothing counts any more, or not yet
            return FollowPing("live", rows, rows, 0)
        behind_ms = 0
        if self._behind_since_ms is not None and self._settled < self._wanted:
            behind_ms = max(self.chain.clock.now_ms() - self._behind_since_ms, 0)
        lagging = list(self._lagging())
        if lagging and self._fills:
            behind_ms = max(self.chain.clock.now_ms() - self._filling_since_ms, behind_ms)
        is_filling = any(a.state == "serving" and self.is_filling(a) for a in self.chain.open)
        if is_filling or lagging or self._settled < self._wanted:
            # Not more than every period has read: the log lets go of old rows up to there.
            read = min([self._settled, *map(self._place_of, lagging)])
            return FollowPing("filling" if is_filling else "behind", read, rows, behind_ms)
        return FollowPing("live", rows, rows, 0)

    def _place_of(self, activation: Activation) -> int:
        """How far a period that is no member has read."""
        read = activation.period.followed.position if activation.state == "serving" else 0
        return max(read, self._fill_places.get(activation, 0))

    async def matched(self, seq: int) -> tuple[object, Activation | None, str] | None:
        """What an event is worth here, the open period that took it, and its player; None if it gave nothing.
        StoreError.
        """
        page = await self.reader.at(seq)
        if page is None:
            return None
        event = event_of(page.item(seq))
        points = None if event is None else points_of(event, self.projection)
        if event is None or points is None:
            return None
        at_ms = event.at_ms if event.occurred_at_ms is None else event.occurred_at_ms
        try:
            found = self._placement.taking(at_ms, event.at_ms, zone_in(event.profile))
        except NotOpenYet:
            found = None
        return points, found, event.player_id

    def check(self) -> None:
        """Assert every invariant; called throughout the tests."""
        assert self._live is None or self._settled <= self._live, "taken, and not read"
        assert not self._members & self._fills.keys() or all(
            task.done() for a, task in self._fills.items() if a in self._members
        ), "a member is being filled"
