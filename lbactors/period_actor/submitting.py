"""Submissions to a leaderboard on their way into the journals of its windows.

The main window decides: what it refuses is taken nowhere. A further window whose period is over or not open
is passed over, and the answer says so; anything else that keeps a window from taking a submission (it loads,
a sum would not be finite there) refuses it everywhere. What the main window knows already is a repeat and
changes nothing; what it does not know goes to every window that does not know it either, so a repeat
completes what a death between two appends left. Every window calls a repeat by the same word, whatever it
made of the submission when that came first: passed over, or added since.

All of that is settled in `place`, on a state in which everything before is applied, before anything is
journaled (`lbactors.period_actor.journaling`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

from lbactors.core import inputs as made
from lbactors.core.audience import RankAudience
from lbactors.core.errors import ApiError
from lbactors.core.period import NO_RANK, Applied, Entry
from lbactors.core.seen_ids import contradict, tag_of
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.chain import OUTSIDE, Chain
from lbactors.period_actor.journaling import Append, Waiting
from lbactors.wire.replies import ASLEEP, NOT_HERE, NotTaken
from lbactors.wire.writes import (
    DUPLICATE,
    SubmissionRow,
    TakenBy,
    Verdict,
    occurred_at_ms_of,
    player_id_of,
    submission_id_of,
)

LOADED_WITHIN_S = 1.0  # the last period, where only that can know a repeat


class _Placed(NamedTuple):
    """What one window makes of a submission (or of all): journaled as the result at `start` of an
    activation's part; known there (`repeats`, and `is_pending` if it is in this very append); or passed over,
    and why (DUPLICATE: a repeat, of which no period can show anything now).
    """

    chain: Chain
    activation: Activation | None = None
    start: int = 0
    repeats: Activation | None = None
    skipped: str = ""
    is_pending: bool = False


class _Taken(NamedTuple):
    """What came under a submission id in this append."""

    tag: int
    windows: list[_Placed]


class Submissions(Waiting):
    """Those of one call. chains: of the windows that it feeds, main first. items: `Submission`s as they
    travel, which arrived at `at_ms`. tag: of the body that made all their ids, or 0 (`core.seen_ids`). zones:
    of their players, where periods are player-local; else none.

    `done`: a verdict on each, in order; NotTaken.
    """

    def __init__(
        self,
        chains: Sequence[Chain],
        items: Sequence[SubmissionRow],
        at_ms: int,
        want: int,
        tag: int = 0,
        zones: Sequence[str] = (),
        *,
        alone: bool = False,
    ) -> None:
        super().__init__(len(items), alone=alone)
        self.done: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()
        self._chains = chains
        self._items = items
        self._at_ms = at_ms
        self._want = want
        self._tag = tag
        self._zones = zones
        self._distinct_zones = set(zones) or {""}
        self._sums: dict[tuple[Activation, str], Entry] = {}  # of players, after what is placed before
        self._unknown: dict[Chain, ApiError] = {}  # why the last period of a chain could not be asked
        self._whole: list[_Placed] = []  # where all items went, if they went the same way
        self._each: list[ApiError | list[_Placed]] = []  # else where each of them did
        # Inputs, the audience by which they were marked last, and what was made of them.
        self._marked: tuple[Sequence[made.Input], RankAudience, Sequence[made.Input]] | None = None

    async def prepare(self) -> None:
        """Have the last periods loaded, where only they can know a repeat."""
        if any(map(submission_id_of, self._items)):
            for chain in self._chains:
                try:
                    async with asyncio.timeout(LOADED_WITHIN_S):  # everything else waits behind it
                        await chain.load_last()
                except TimeoutError:
                    self._unknown[chain] = ApiError("period_loading", "the last period is being loaded")
                except ApiError as error:
                    self._unknown[chain] = error

    # Placing ----------------------------------------------------------------------------------------------

    def place(self, append: Append) -> None:
        for chain in self._chains:
            late = any(chain.is_between(self._at_ms, zone) for zone in self._distinct_zones)
            if chain.is_leaving or chain.open.is_stopped or late:
                raise NotTaken(NOT_HERE)  # gateways wait a moment for it
            if chain.is_waking:
                raise NotTaken(ASLEEP)
        if not self._place_all(append):
            self._require_same_body(append)
            for item, zone in zip(self._items, self._zones or repeat(""), strict=False):
                try:
                    self._each.append(self._place_one(append, item, zone))
                except ApiError as error:
                    self._each.append(error)

    def _place_all(self, append: Append) -> bool:
        """Place everything at once, as is possible nearly always: nothing says when it occurred, no id was
        seen before, and all players have the same date. Whether it was. ApiError: all are refused.
        """
        if self.alone or any(ms is not None for ms in map(occurred_at_ms_of, self._items)):
            return False
        ids = [i for i in map(submission_id_of, self._items) if i is not None]
        fresh = set(ids)
        if len(fresh) != len(ids) or not append.taken.keys().isdisjoint(fresh):
            return False
        windows = []
        for chain in self._chains:
            try:
                targets = {chain.taking(None, self._at_ms, zone) for zone in self._distinct_zones}
            except ApiError as error:
                if len(self._distinct_zones) > 1:
                    return False  # it holds for some of them
                if error.code not in OUTSIDE or chain is self._chains[0]:
                    if error.code in OUTSIDE and ids:
                        return False  # some may be repeats
                    raise
                windows.append(_Placed(chain, skipped=error.code))
                continue
            if len(targets) > 1 or (ids and not chain.knows_none(fresh)):
                return False
            windows.append(_Placed(chain, targets.pop()))
        inputs = made.submit_all(self._items, self._at_ms, self._tag)
        self._whole = [self._added(append, window, inputs) for window in windows]
        for item in self._items if ids else ():
            submission_id = submission_id_of(item)
            if submission_id is not None:
                append.taken[submission_id] = _Taken(self._tag_of(item), self._whole)
        return True

    def _require_same_body(self, append: Append) -> None:
        """ApiError, for all: ids that are all one request's, and one of them came with another body."""
        for item in self._items if self._tag else ():
            submission_id = submission_id_of(item)
            if submission_id is None:
                continue
            taken: _Taken | None = append.taken.get(submission_id)
            known = self._chains[0].knowing(submission_id)
            tag = self._tag_of(item)
            if taken is not None and contradict(taken.tag, tag):
                raise _conflict(submission_id, whole=True)
            if known is not None and known.period.ids.contradicts(submission_id, tag):
                raise _conflict(submission_id, whole=True)

    def _place_one(self, append: Append, item: SubmissionRow, zone: str) -> list[_Placed]:
        """Place one submission in every window that takes it. ApiError: it is refused."""
        submission_id, occurred_at_ms = submission_id_of(item), occurred_at_ms_of(item)
        if occurred_at_ms is not None and occurred_at_ms >= self._at_ms:
            occurred_at_ms = None  # by a clock that is fast: it counts as now
        tag = self._tag_of(item)
        main, *further = self._chains
        if submission_id is not None:
            taken: _Taken | None = append.taken.get(submission_id)
            if taken is not None:
                if contradict(taken.tag, tag):
                    raise _conflict(submission_id)
                return self._repeated(taken, submission_id, zone)
            known = self._knowing(main, submission_id)
            if known is not None:
                if known.period.ids.contradicts(submission_id, tag):
                    raise _conflict(submission_id)
                others = [self._shown(chain, submission_id, tag, zone) for chain in further]
                return [_Placed(main, repeats=known), *others]
        windows = [_Placed(main, main.taking(occurred_at_ms, self._at_ms, zone))]
        windows += [self._found(chain, submission_id, occurred_at_ms, tag, zone) for chain in further]
        if self.alone:
            self._require_finite(item, windows)
        if occurred_at_ms is None:
            inputs = [made.submit(item, self._at_ms, self._tag)]
        else:
            inputs = [made.occurred(item, occurred_at_ms, self._tag)]
        placed = [self._added(append, window, inputs) for window in windows]
        if submission_id is not None:
            append.taken[submission_id] = _Taken(tag, placed)
        return placed

    def _require_finite(self, item: SubmissionRow, windows: Sequence[_Placed]) -> None:
        """ApiError if the sum would not be finite in one of these windows, after what is placed before."""
        player_id, score, subscore, _, _, _, aggregation = item
        after: dict[tuple[Activation, str], Entry] = {}
        for chain, activation, *_ in windows:
            if activation is None:
                continue
            place = activation, player_id
            old = self._sums.get(place) or activation.period.entry(player_id)
            after[place], error = activation.period.preview(aggregation, old, score, subscore)
            if error is not None:
                raise _overflow(chain.spec.window)
        self._sums |= after

    def _tag_of(self, item: SubmissionRow) -> int:
        return tag_of(player_id_of(item), self._tag)

    def _knowing(self, chain: Chain, submission_id: str) -> Activation | None:
        """The period of a chain that knows an id. ApiError if it cannot be told now."""
        if chain in self._unknown:
            raise self._unknown[chain]
        return chain.knowing(submission_id)

    def _repeated(self, taken: _Taken, submission_id: str, zone: str) -> list[_Placed]:
        """The same submission again in one append, perhaps from a gateway that knows other windows."""
        there = {window.chain: window for window in taken.windows if not window.skipped}
        return [
            self._repeat(there[chain])
            if chain in there
            else self._shown(chain, submission_id, taken.tag, zone)
            for chain in self._chains
        ]

    def _shown(self, chain: Chain, submission_id: str, tag: int, zone: str) -> _Placed:
        """What a further window shows of a submission that the main one knows: the entry in the period that
        has it, else in the present one. Nothing changes there.
        """
        try:
            found = self._found(chain, submission_id, None, tag, zone)
        except ApiError:  # its period cannot be asked now: the repeat is one all the same
            return _Placed(chain, skipped=DUPLICATE)
        if found.skipped:
            return _Placed(chain, skipped=DUPLICATE)
        return _Placed(chain, repeats=found.activation or found.repeats)

    def _found(
        self, chain: Chain, submission_id: str | None, occurred_at_ms: int | None, tag: int, zone: str
    ) -> _Placed:
        """What a further window does with a submission. ApiError: it is refused everywhere."""
        known = None if submission_id is None else self._knowing(chain, submission_id)
        if known is not None and submission_id is not None:
            if known.period.ids.contradicts(submission_id, tag):
                raise _conflict(submission_id)
            return _Placed(chain, repeats=known)
        try:
            return _Placed(chain, chain.taking(occurred_at_ms, self._at_ms, zone))
        except ApiError as error:
            if error.code not in OUTSIDE:
                raise
            return _Placed(chain, skipped=error.code)

    def _added(self, append: Append, window: _Placed, inputs: Sequence[made.Input]) -> _Placed:
        chain, activation, *_ = window
        if activation is None:
            return window
        activation.used()
        inputs = self._marked_for(chain, inputs)
        hiding = chain.hidden.ahead_of(activation, map(made.player_id_of, inputs))
        if hiding:
            append.add(activation, hiding, NO_RANK)
        return _Placed(chain, activation, append.add(activation, inputs, self._want))

    def _marked_for(self, chain: Chain, inputs: Sequence[made.Input]) -> Sequence[made.Input]:
        """Inputs as a window journals them: those of players outside its audience are marked. Windows share
        what is marked alike, as it is packed once for all of them then.
        """
        if not chain.hidden.members.may_leave_out(chain.spec.audience):
            return inputs
        if self._marked is None or self._marked[0] is not inputs or self._marked[1] != chain.spec.audience:
            marked = chain.hidden.marked(chain.spec.audience, inputs)
            self._marked = inputs, chain.spec.audience, marked
        return self._marked[2]

    @staticmethod
    def _repeat(window: _Placed) -> _Placed:
        """The same submission a second time in one append."""
        if window.activation is None:
            return window
        return _Placed(window.chain, repeats=window.activation, is_pending=True)

    # Answering --------------------------------------------------------------------------------------------

    def answer(self, append: Append) -> None:
        if self.done.done():
            return
        try:
            verdicts = self._verdicts_of_all(append) if self._whole else self._verdicts(append)
        except ApiError as error:  # nothing of it counts, or nobody knows
            verdicts = [error] * len(self._items)
        self.done.set_result(verdicts)

    def _verdicts_of_all(self, append: Append) -> list[Verdict]:
        count = len(self._items)
        columns: list[Sequence[TakenBy]] = []
        for _, activation, start, _, skipped, _ in self._whole:
            if activation is None:
                columns.append([skipped] * count)
                continue
            results = append.results(activation, start, count)
            if self._want != NO_RANK:
                key = activation.record.key
                columns.append([(key, result) for result in results])
        if self._want == NO_RANK:
            return [None] * count
        return [list(windows) for windows in zip(*columns, strict=True)]

    def _verdicts(self, append: Append) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for item, placed in zip(self._items, self._each, strict=True):
            if isinstance(placed, ApiError):
                verdicts.append(placed)
                continue
            try:
                windows = [self._taken_by(append, item, window) for window in placed]
            except ApiError as error:
                verdicts.append(error)
            else:
                verdicts.append(None if self._want == NO_RANK else windows)
        return verdicts

    def _taken_by(self, append: Append, item: SubmissionRow, window: _Placed) -> TakenBy:
        _, activation, start, repeats, skipped, is_pending = window
        if skipped:
            return skipped
        if activation is not None:
            (result,) = append.results(activation, start, 1)
            return activation.record.key, result
        assert repeats is not None
        if is_pending:
            append.results(repeats, 0, 0)  # it is a repeat only if the append went well
        player_id, submission_id = player_id_of(item), submission_id_of(item)
        period = repeats.period
        entry = period.entry(player_id)
        rank = period.rank(player_id) if self._want != NO_RANK else None
        seq = period.ids.seq(submission_id) or 0
        return repeats.record.key, Applied(False, entry, entry, rank, rank, seq, True, None)

    def refuse(self, error: Exception) -> None:
        if self.done.done():
            return
        if isinstance(error, ApiError) and not isinstance(error, NotTaken):
            self.done.set_result([error] * len(self._items))
        else:
            self.done.set_exception(error)


def _conflict(submission_id: str, *, whole: bool = False) -> ApiError:
    """whole: of all ids of a request, which its `Idempotency-Key` made."""
    message = f"submission_id '{submission_id}' is known for another player or another body"
    if whole:
        message = "this Idempotency-Key came before with another body"
    return ApiError("idempotency_conflict", message)


def _overflow(window: str) -> ApiError:
    why = "the sum must stay finite"
    where = "" if window == "main" else f" (window '{window}')"
    return ApiError("validation_failed", f"score: {why}{where}", [{"loc": ["score"], "msg": why}])
