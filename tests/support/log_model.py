"""What a log must answer, by brute force: every number is computed anew from the list of all that happened.

`MetricModel` is one metric of one tenant, `EventModel` the events of one tenant. Both are told what arrived
and when, and remember every id for good; a log forgets an id after a day, which is no concern of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from lbactors.core.errors import ApiError, invalid
from lbactors.core.log_model import (
    Balance,
    EventOutcome,
    EventRow,
    LogStats,
    MetricRow,
    RowOutcome,
    RowState,
    Transaction,
    transaction_id,
)
from lbactors.core.numbers import Number, normal
from lbactors.core.seen_ids import contradict, tag_of


class Happened(NamedTuple):
    """A step in the life of a row: it was written, or it was settled and is now `state`."""

    seq: int  # of the row
    state: RowState
    at_ms: int


class Counted(NamedTuple):
    """A row that counts, at its place: leaderboards are computed from these, in this order. at_ms: the time
    that decides on periods.
    """

    row: MetricRow
    seq: int  # of the row
    at_ms: int


class MetricModel:
    """`rows`: all rows by seq, as they were asked for; `happened`: all that changed the metric, in order."""

    def __init__(self) -> None:
        self.rows: dict[int, MetricRow] = {}
        self.happened: list[Happened] = []
        self._ids: dict[str, tuple[int, int]] = {}  # submission id -> seq, tag
        self._next_seq = 1

    # What changes it --------------------------------------------------------------------------------------

    def append(self, rows: Sequence[MetricRow], at_ms: int, tag: int = 0) -> list[RowOutcome | ApiError]:
        """The verdict on each row, in order; a refused one leaves no trace."""
        return [self._append(row, at_ms, tag) for row in rows]

    def _append(self, row: MetricRow, at_ms: int, body: int) -> RowOutcome | ApiError:
        tag = tag_of(row.player_id, body)
        known = None if row.submission_id is None else self._ids.get(row.submission_id)
        if known is not None:
            seq, before = known
            if contradict(before, tag):
                return ApiError("idempotency_conflict", f"{row.submission_id!r} is another row's id")
            return self._outcome(seq, duplicate=True)
        if row.state == "completed" and (refusal := self._refusal(row)) is not None:
            return refusal
        seq = self._next_seq
        self._next_seq += 1
        self.rows[seq] = row
        self.happened.append(Happened(seq, row.state, at_ms))
        if row.submission_id is not None:
            self._ids[row.submission_id] = seq, tag
        return self._outcome(seq)

    def settle(
        self, seq: int, at_ms: int, *, complete: bool, player_id: str | None = None
    ) -> tuple[Transaction, RowOutcome]:
        """ApiError transaction_not_found, transaction_settled, insufficient_balance, forbidden (it is no row
        of `player_id`); then nothing changed.
        """
        row = self.transaction(seq)
        if player_id not in (None, row.player_id):
            raise ApiError("forbidden", f"not a row of player {player_id!r}")
        if row.state != "pending":
            raise ApiError("transaction_settled", f"transaction {transaction_id(seq)!r} is {row.state}")
        if complete and (refusal := self._refusal(self.rows[seq])) is not None:
            raise refusal
        self.happened.append(Happened(seq, "completed" if complete else "rejected", at_ms))
        return self.transaction(seq), self._outcome(seq)

    def _refusal(self, row: MetricRow) -> ApiError | None:
        """Why a row cannot count now."""
        before = self.balance(row.player_id)
        if row.kind == "deduct" and row.amount > before.balance:
            return ApiError(
                "insufficient_balance",
                f"player {row.player_id!r} has {before.balance}, which does not cover {row.amount}",
            )
        after = _with_row(before, row, 0)
        if not all(map(math.isfinite, after[:3])):
            return invalid("the balance would not be finite", "body", "score")
        return None

    def _outcome(self, seq: int, *, duplicate: bool = False) -> RowOutcome:
        account = self.balance(self.rows[seq].player_id)
        return RowOutcome(seq, account.balance, account.earned, duplicate)

    # What is read of it -----------------------------------------------------------------------------------

    def counted(self) -> list[Counted]:
        """All rows that count, at the place of their completion."""
        found = []
        for index, (seq, state, at_ms) in enumerate(self.happened):
            row = self.rows[seq]
            if state == "completed":
                was_pending = any(before.seq == seq for before in self.happened[:index])
                assert was_pending == (row.state == "pending"), "a row counts once"
                found.append(Counted(row, seq, at_ms if row.occurred_at_ms is None else row.occurred_at_ms))
        return found

    def balance(self, player_id: str) -> Balance:
        """From all rows of the player."""
        account = Balance(0, 0, 0, 0, 0, None)
        states: dict[int, RowState] = {}
        for seq, state, at_ms in self.happened:
            row = self.rows[seq]
            if row.player_id == player_id:
                states[seq] = state
                if state == "completed":
                    account = _with_row(account, row, at_ms)
        pending: Number = 0
        for seq, state in states.items():
            row = self.rows[seq]
            if state == "pending" and row.kind != "set":
                pending += row.amount if row.kind == "award" else -row.amount
        return account._replace(pending=normal(pending), transactions=len(states))

    def transaction(self, seq: int) -> Transaction:
        """ApiError transaction_not_found."""
        steps = [step for step in self.happened if step.seq == seq]
        if not steps:
            raise _not_found(seq)
        row = self.rows[seq]
        return Transaction(
            seq,
            row.player_id,
            row.kind,
            steps[-1].state,
            row.amount,
            row.subscore,
            row.submission_id,
            row.metadata,
            row.occurred_at_ms,
            steps[0].at_ms,
            steps[1].at_ms if len(steps) > 1 else None,
        )

    def transactions(
        self, player_id: str | None, before_seq: int | None, limit: int
    ) -> tuple[list[Transaction], int, int | None]:
        """Newest first; how many in all; where the next page begins."""
        all_seqs = [s for s in sorted(self.rows, reverse=True) if self._is_of(s, player_id)]
        seqs = [s for s in all_seqs if before_seq is None or s < before_seq]
        page = seqs[:limit]
        following = page[-1] if page and len(seqs) > limit else None
        return [self.transaction(seq) for seq in page], len(all_seqs), following

    def _is_of(self, seq: int, player_id: str | None) -> bool:
        return player_id in (None, self.rows[seq].player_id)

    def stats(self) -> LogStats:
        """Of all rows."""
        written = [step.at_ms for step in self.happened if step.state == self.rows[step.seq].state]
        return LogStats(
            len({row.player_id for row in self.rows.values()}),
            len(self.rows),
            max(written) if written else None,
        )


def _with_row(account: Balance, row: MetricRow, at_ms: int) -> Balance:
    """An account after a completed row."""
    amount = row.amount
    account = account._replace(updated_at_ms=at_ms)
    if row.kind == "award":
        return account._replace(balance=_sum(account.balance, amount), earned=_sum(account.earned, amount))
    if row.kind == "deduct":
        return account._replace(balance=_sum(account.balance, -amount), spent=_sum(account.spent, amount))
    return account._replace(balance=amount)


def _sum(one: Number, other: Number) -> Number:
    """As doubles add beyond ±2^53, in normal form."""
    return normal(one + other)


def _not_found(seq: int) -> ApiError:
    return ApiError("transaction_not_found", f"no transaction {transaction_id(seq)!r}")


class EventModel:
    """`events`: those that were taken, by seq, with the times of their arrival."""

    def __init__(self) -> None:
        self.events: dict[int, tuple[EventRow, int]] = {}

    def append(self, rows: Sequence[EventRow], at_ms: int) -> list[EventOutcome | ApiError]:
        """The verdict on each event, in order."""
        return [self._append(row, at_ms) for row in rows]

    def _append(self, row: EventRow, at_ms: int) -> EventOutcome | ApiError:
        for seq, (known, _) in self.events.items():
            if known.event_id == row.event_id:
                if known.player_id != row.player_id:
                    return ApiError("idempotency_conflict", f"{row.event_id!r} is another event's id")
                return EventOutcome(seq, True)
        seq = len(self.events) + 1
        self.events[seq] = row, at_ms
        return EventOutcome(seq, False)
