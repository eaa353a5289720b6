"""What is appended to a log: judged by its one writer on the log as everything before left it, and journaled,
applied, answered. So two deductions at once cannot overdraw, and an id counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from lbactors.core import log_inputs as made
from lbactors.core.errors import ApiError
from lbactors.core.log_draft import LogDraft
from lbactors.core.log_model import EventOutcome, EventRow, MetricRow, RowOutcome
from lbactors.core.period import NO_RANK
from lbactors.period_actor.journaling import Append, Journal, Waiting
from lbactors.period_actor.leaderboard import Leaderboard
from lbactors.period_actor.log_chain import LogChain
from lbactors.period_actor.log_reads import transaction
from lbactors.wire.logs import EVENTS, ROWS, SETTLE, AppendedWire, LogOp, SettleRow
from lbactors.wire.replies import VALUE, NotTaken, Reply

Outcome = RowOutcome | EventOutcome
Outcomes = Sequence[Outcome | ApiError]


class Drafting(Waiting):
    """Inputs for a log that depend on what it is by then. draft: adds them and tells what became of them.

    `done`: that, and the log's seq then; ApiError, NotTaken: nothing was taken, or nobody knows.
    """

    def __init__(
        self, chain: LogChain, weight: int, draft: Callable[[LogDraft], Outcomes], *, alone: bool = False
    ) -> None:
        super().__init__(weight, alone=alone)
        self.done: asyncio.Future[tuple[Outcomes, int]] = asyncio.get_running_loop().create_future()
        self._chain = chain
        self._draft = draft
        self._outcomes: Outcomes = ()
        self._journal: Journal | None = None
        self._through = 0

    def place(self, append: Append) -> None:
        activation, draft = self._chain.draft(append)
        before = len(draft.items)
        self._outcomes = self._draft(draft)
        self._through = activation.period.seq + len(draft.items)
        if len(draft.items) > before:
            append.add(activation, draft.items[before:], NO_RANK)
        if activation in append.parts:  # a repeat of what is in this very append is one if that went well
            self._journal = activation

    def answer(self, append: Append) -> None:
        if self.done.done():
            return
        try:
            if self._journal is not None:
                append.results(self._journal, 0, 0)
        except ApiError as error:
            self.done.set_exception(error)
        else:
            self.done.set_result((self._outcomes, self._through))

    def refuse(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


async def append(board: Leaderboard, chain: LogChain, op: LogOp) -> Reply:
    """Append rows to a log. ApiError: none of them was taken, or nobody knows."""
    board.require_room(len(op.rows))
    chain.work += len(op.rows)
    drafting = Drafting(chain, len(op.rows), _draft_of(op))
    board.writer.put(drafting)
    try:
        outcomes, through = await drafting.done
    except NotTaken as error:
        return Reply(error.reply_status)
    if op.kind == SETTLE and isinstance(outcomes[0], ApiError):
        outcomes = [await _why_not_settled(chain, outcomes[0], SettleRow(*op.rows[0]))]
    return Reply(VALUE, AppendedWire.of(through, outcomes))


async def _why_not_settled(chain: LogChain, error: ApiError, asked: SettleRow) -> ApiError:
    """Of a row that is not pending: it may never have been there, or be another player's."""
    if error.code != "transaction_settled":
        return error
    try:
        row = await transaction(chain, asked.seq)
    except ApiError as why:
        return why
    if asked.player_id not in (None, row.player_id):
        return ApiError("forbidden", f"this key may write for player '{asked.player_id}' only")
    return error


def _draft_of(op: LogOp) -> Callable[[LogDraft], Outcomes]:
    if op.kind == ROWS:
        rows = [MetricRow(*row) for row in op.rows]

        def draft_rows(draft: LogDraft) -> Outcomes:
            if op.tag:
                _require_same_body(draft, rows, op.tag)
            return draft.rows(rows, op.tag)

        return draft_rows
    if op.kind == EVENTS:
        events = [EventRow(*row) for row in op.rows]
        return lambda draft: draft.events(events)
    (asked,) = (SettleRow(*row) for row in op.rows)
    return lambda draft: [_settled(draft, asked)]


def _require_same_body(draft: LogDraft, rows: Sequence[MetricRow], tag: int) -> None:
    """ApiError, for all: ids that are all one request's, and one of them came with another body."""
    for row in rows:
        try:
            draft.known_seq(row.submission_id, row.player_id, tag)
        except ApiError as error:
            raise ApiError(error.code, "this Idempotency-Key came before with another body") from error


def _settled(draft: LogDraft, asked: SettleRow) -> Outcome | ApiError:
    try:
        seq, complete, player_id, profile, row_id, tag = asked
        settled = draft.settle(
            seq, complete=complete, profile=profile, row_id=row_id, body=tag, player_id=player_id
        )
        return settled.outcome
    except ApiError as error:
        return error


async def _input(
    board: Leaderboard, chain: LogChain, make: Callable[[LogDraft], Any], *, alone: bool = False
) -> int:
    """Append an input that is no row, if `make` adds one; the log's seq after it. alone: what is drafted
    beside it would not know of it. ApiError.
    """

    def draft(found: LogDraft) -> Outcomes:
        make(found)
        return ()

    await chain.awake()
    drafting = Drafting(chain, 1, draft, alone=alone)
    board.writer.put(drafting)
    _, through = await drafting.done
    return through


async def tick(board: Leaderboard, chain: LogChain, at_ms: int) -> int:
    """See `lbactors.wire.logs.Tick`. ApiError."""

    def make(draft: LogDraft) -> None:
        if draft.last_ms < at_ms:
            draft.pass_time(at_ms)

    return await _input(board, chain, make)


async def erase_account(board: Leaderboard, chain: LogChain, player_id: str) -> int:
    """Empty a player's account; the log's seq after it. ApiError."""
    return await _input(board, chain, lambda draft: draft.erase(player_id), alone=True)


async def forget_account(board: Leaderboard, chain: LogChain, player_id: str) -> int:
    """Let go of an account that was emptied, unless it has new rows. ApiError."""
    return await _input(board, chain, lambda draft: draft.forget(player_id), alone=True)


async def note_trimmed(board: Leaderboard, chain: LogChain, seq: int) -> int:
    """Note that rows up to a seq are not kept any more. ApiError."""
    return await _input(board, chain, lambda draft: draft.add(made.trim(seq, draft.at_ms)))
