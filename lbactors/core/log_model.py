"""Rows of logs and what is told of them: the plain tuples that cross every boundary of the service.

A *log* is what a tenant's game wrote, in order: rows of one metric, or all events. Leaderboards that are
projections are computed from it. Times are ms since the epoch; `metadata`, `attrs` and the like are JSON as
bytes, or None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from lbactors.core.numbers import Number

RowKind = Literal["award", "deduct", "set"]
RowState = Literal["completed", "pending", "rejected"]
ROW_KINDS: tuple[RowKind, ...] = ("award", "deduct", "set")


class MetricRow(NamedTuple):
    """A requested row of a metric, validated. `amount` of a deduction is above 0."""

    player_id: str
    kind: RowKind
    state: RowState  # completed | pending
    amount: Number
    subscore: Number
    metadata: bytes | None
    submission_id: str | None
    occurred_at_ms: int | None
    profile: bytes | None = None  # of the player at this moment: `lbactors.core.subject`


class EventRow(NamedTuple):
    """A requested event, validated."""

    event_id: str
    event_type: str
    player_id: str
    occurred_at_ms: int | None
    attrs: bytes | None
    actor_metadata: bytes | None
    profile: bytes | None = None


class RowOutcome(NamedTuple):
    """What became of a row of a metric. balance, earned: of the player after it; of a repeat, as they are."""

    seq: int
    balance: Number
    earned: Number
    duplicate: bool


class Balance(NamedTuple):
    """A player's account in a metric. earned, spent: sums of completed awards and deductions. pending: what
    pending awards would add, less what pending deductions would take. transactions: all rows, whatever
    became of them. updated_at_ms: of the last row that was completed; None before the first.
    """

    balance: Number
    earned: Number
    spent: Number
    pending: Number
    transactions: int
    updated_at_ms: int | None


NO_BALANCE = Balance(0, 0, 0, 0, 0, None)


class Transaction(NamedTuple):
    """A row of a metric as the log has it. settled_at_ms: when a pending one was completed or rejected."""

    seq: int
    player_id: str
    kind: RowKind
    state: RowState
    amount: Number
    subscore: Number
    submission_id: str | None
    metadata: bytes | None
    occurred_at_ms: int | None
    created_at_ms: int
    settled_at_ms: int | None


class LogStats(NamedTuple):
    """rows: all there ever were. last_at_ms: of the last one; None before the first."""

    players: int
    rows: int
    last_at_ms: int | None


class MatchedWindow(NamedTuple):
    """Where a window has the player after an event. rank: None if he is not ranked."""

    window: str
    score: Number
    rank: int | None


class Matched(NamedTuple):
    """A leaderboard to which an event gave points."""

    leaderboard_id: str
    points: Number
    windows: Sequence[MatchedWindow]


class EventOutcome(NamedTuple):
    """What became of an event. matched: only where it was asked for."""

    seq: int
    duplicate: bool
    matched: Sequence[Matched] = ()


PREFIX = "tx-"


def transaction_id(seq: int) -> str:
    """The name of a row of a metric; unique in it."""
    return f"{PREFIX}{seq}"


def seq_of(transaction_id: str) -> int | None:
    """Inverts `transaction_id`; None if no row can have that name."""
    digits = transaction_id.removeprefix(PREFIX)
    if not transaction_id.startswith(PREFIX) or not digits.isascii() or not digits.isdigit():
        return None
    return int(digits) if len(digits) <= 18 and digits[0] != "0" else None
