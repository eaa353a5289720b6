"""A leaderboard in a period actor: the chains of all its windows, and the one writer of their journals.

It is placed whole (law 9), so a submission is one operation from the gateway to here, and one append.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lbactors.clock import Clock
from lbactors.core.errors import ApiError
from lbactors.core.numbers import may_overflow
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.journaling import JournalWriter
from lbactors.period_actor.submitting import Submissions
from lbactors.wire.replies import NOT_HERE, VALUE, NotTaken, Reply
from lbactors.wire.writes import SubmissionRow, Submitted, Verdict, WriteOp, aggregation_of, score_of
from persistence.store import Store


class Leaderboard:
    """`chains`: by window. queue_limit: submissions that may wait."""

    def __init__(self, store: Store, clock: Clock, queue_limit: int) -> None:
        self.chains: dict[str, Chain] = {}
        self.writer = JournalWriter(store, clock)
        self._queue_limit = queue_limit
        self._closing = asyncio.Lock()

    def add(self, chain: Chain) -> None:
        self.chains[chain.spec.window] = chain
        chain.closing, chain.close_together = self._closing, self.close_over

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
            verdicts = await self.submit(chains, op.items, at_ms, op.want, op.tag, op.zones)
        except NotTaken as error:
            return Reply(error.reply_status)
        return Reply(VALUE, Submitted.to_wire(verdicts, op.want))

    def require_room(self, count: int) -> None:
        """ApiError overloaded if so many more submissions may not wait."""
        if self.writer.weight + count > self._queue_limit and self.writer.weight:
            raise ApiError("overloaded", "too many submissions wait for this leaderboard")

    async def submit(
        self,
        chains: Sequence[Chain],
        items: Sequence[SubmissionRow],
        at_ms: int,
        want: int,
        tag: int = 0,
        zones: Sequence[str] = (),
    ) -> list[Verdict]:
        """Take submissions in order into the windows of these chains, main first. zones: see `WriteOp`.
        ApiError; NotTaken.
        """
        self.require_room(len(items))
        chains[0].work += len(items)
        sums = _may_overflow(items, chains[0].spec.rules.aggregation)
        submissions = Submissions(chains, items, at_ms, want, tag, zones, alone=sums)
        self.writer.put(submissions)
        return await submissions.done

    async def close_over(self) -> None:
        """Make the periods that are over final, of all windows together: so windows that end at the same
        instant agree on who was hidden then, whichever of them is read or sealed first. ApiError: the first.
        """
        failed: list[ApiError] = []
        async with self._closing:
            for chain in list(self.chains.values()):
                try:
                    await chain.make_over_final()
                except ApiError as error:
                    failed.append(error)
        if failed:
            raise failed[0]

    @property
    def has_to_close(self) -> bool:
        """Whether a period of any window is over, and not final yet."""
        return any(c.is_to_close(a) for c in self.chains.values() for a in c.open)

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


def _may_overflow(items: Sequence[SubmissionRow], aggregation: str) -> bool:
    """Whether any submission is so large that its sum may be infinite."""
    if aggregation != "sum" and not any(map(aggregation_of, items)):
        return False
    return any(
        may_overflow(score_of(item)) and (aggregation_of(item) or aggregation) == "sum" for item in items
    )
