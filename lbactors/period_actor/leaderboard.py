"""A leaderboard in a period actor: the chains of all its windows, and the one writer of their journals.

It is placed whole (law 9), so a submission is one operation from the gateway to here, and one append.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.numbers import may_overflow
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.journaling import JournalWriter
from lbactors.period_actor.submitting import NotTaken, Submissions
from lbactors.wire.replies import NOT_HERE, VALUE, Reply
from lbactors.wire.writes import SubmissionRow, Submitted, Verdict, WriteOp, aggregation_of, score_of
from persistence.store import Store


class Leaderboard:
    """`chains`: by window. queue_limit: submissions that may wait."""

    def __init__(self, store: Store, clock: Clock, queue_limit: int) -> None:
        self.chains: dict[str, Chain] = {}
        self.writer = JournalWriter(store, clock)
        self._queue_limit = queue_limit

    def add(self, chain: Chain) -> None:
        self.chains[chain.spec.window] = chain

    def remove(self, chain: Chain) -> None:
        """Let go of a chain; one that took its place stays."""
        if self.chains.get(chain.spec.window) is chain:
            del self.chains[chain.spec.window]

    async def write(self, op: WriteOp, at_ms: int) -> Reply:
        """An operation, which arrived at `at_ms` by the clock here. ApiError: nothing was taken."""
        chains = [self.chains[window] for window in op.windows if window in self.chains]
        if len(chains) < len(op.windows):
            return Reply(NOT_HERE)  # gateways wait a moment for it
        try:
            verdicts = await self.submit(chains, op.items, at_ms, op.want, op.tag)
        except NotTaken as error:
            return Reply(error.reply_status)
        return Reply(VALUE, Submitted.to_wire(verdicts, op.want))

    async def submit(
        self, chains: Sequence[Chain], items: Sequence[SubmissionRow], at_ms: int, want: int, tag: int = 0
    ) -> list[Verdict]:
        """Take submissions in order into the windows of these chains, main first. ApiError; NotTaken."""
        if self.writer.weight + len(items) > self._queue_limit and self.writer.weight:
            raise ApiError("overloaded", "too many submissions wait for this leaderboard")
        chains[0].work += len(items)
        pieces = [
            Submissions(chains, piece, at_ms, want, tag, alone=alone)
            for alone, piece in _pieces(items, chains[0].spec.rules.aggregation)
        ]
        for piece in pieces:
            self.writer.put(piece)
        if len(pieces) == 1:
            return await pieces[0].done
        found = await asyncio.gather(*(piece.done for piece in pieces), return_exceptions=True)
        return _joined(pieces, found)

    async def wake(self) -> bool:
        """Wake the periods that submissions may belong to; whether they serve within a moment."""
        return all(await asyncio.gather(*(chain.wake() for chain in self.chains.values())))

    @property
    def is_leaving(self) -> bool:
        """Whether any part of it is on its way to another actor, or all of it has left."""
        return not self.chains or any(chain.is_leaving for chain in self.chains.values())

    async def confirm(self) -> bool:
        """Ask the store whether this is still the one activation; false if it is not, or nobody can tell."""
        confirmed = await asyncio.gather(*(chain.confirm() for chain in self.chains.values()))
        return bool(confirmed) and all(confirmed)


def _pieces(items: Sequence[SubmissionRow], aggregation: str) -> list[tuple[bool, Sequence[SubmissionRow]]]:
    """Submissions, cut so that each whose sum may overflow is alone: whether it does, all before decide."""
    if aggregation != "sum" and not any(map(aggregation_of, items)):
        return [(False, items)]
    alone = [
        may_overflow(score_of(item)) and (aggregation_of(item) or aggregation) == "sum" for item in items
    ]
    if not any(alone):
        return [(False, items)]
    pieces: list[tuple[bool, Sequence[SubmissionRow]]] = []
    for is_alone, run in groupby(zip(alone, items, strict=True), key=lambda pair: pair[0]):
        rows = [item for _, item in run]
        pieces += [(True, [row]) for row in rows] if is_alone else [(False, rows)]
    return pieces


def _joined(pieces: Sequence[Submissions], found: Sequence[list[Verdict] | BaseException]) -> list[Verdict]:
    """The verdicts of all pieces. Where some were taken, the others are refused one by one."""
    if all(isinstance(one, NotTaken) for one in found):
        raise NotTaken(NOT_HERE)
    verdicts: list[Verdict] = []
    for piece, one in zip(pieces, found, strict=True):
        if isinstance(one, ApiError):
            verdicts += [one] * piece.weight
        elif isinstance(one, BaseException):
            raise one
        else:
            verdicts += one
    return verdicts
