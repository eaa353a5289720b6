"""What gateways and the supervisor ask of logs, and what comes back as `Reply.value`.

Operations travel in batches, one `Reply` each. Fields are only ever added at the end, with a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lbactors.core.errors import ApiError
from lbactors.core.log_model import (
    Balance,
    EventOutcome,
    LogStats,
    MatchedWindow,
    RowOutcome,
    Transaction,
)

# Kinds of `LogOp`.
ROWS, EVENTS, SETTLE = range(3)


class LogOp(NamedTuple):
    """Something to append to a log (`lbactors.core.ids.board_uid`); an `AppendedWire`.

    kind ROWS: rows are `MetricRow`s; EVENTS: `EventRow`s; SETTLE: one `SettleRow`. tag: of the body that made
    their ids (`lbactors.core.seen_ids`), or 0.
    """

    board_id: str
    kind: int
    rows: Sequence[Sequence[Any]]
    tag: int = 0


class SettleRow(NamedTuple):
    """Complete or reject a pending row. player_id: the only one whose row it may be, if not None. profile: of
    the player whose row it is. row_id, tag: of the request, by which its repeat is known.
    """

    seq: int
    complete: bool
    player_id: str | None
    profile: bytes | None
    row_id: str | None = None
    tag: int = 0


class AppendedWire(NamedTuple):
    """What became of the rows of an operation. through: the boards that have read the log up to this seq have
    taken all of them. outcomes: fields of a `RowOutcome` or `EventOutcome`, or [error].
    """

    through: int
    outcomes: Sequence[Sequence[Any]]

    @classmethod
    def of(cls, through: int, outcomes: Sequence[RowOutcome | EventOutcome | ApiError]) -> AppendedWire:
        wire = [[one.to_wire()] if isinstance(one, ApiError) else one for one in outcomes]
        return cls(through, wire)

    def rows(self) -> list[RowOutcome | ApiError]:
        """Of a metric's rows."""
        return [ApiError.from_wire(o[0]) if len(o) == 1 else RowOutcome(*o) for o in self.outcomes]

    def events(self) -> list[EventOutcome | ApiError]:
        """Of events."""
        return [ApiError.from_wire(o[0]) if len(o) == 1 else EventOutcome(*o) for o in self.outcomes]


# Reads of a log -------------------------------------------------------------------------------------------

BALANCE, STATS, TRANSACTIONS, TRANSACTION = range(4)


class LogRead(NamedTuple):
    """A read of a log. args of BALANCE: player_id; of TRANSACTIONS: `TransactionsAsked`; of TRANSACTION:
    seq; none of STATS.
    """

    board_id: str
    kind: int
    args: Sequence[Any] = ()


class TransactionsAsked(NamedTuple):
    """See `lbactors.service.logs.Logs.transactions`."""

    player_id: str | None
    before_seq: int | None
    limit: int


class TransactionsFound(NamedTuple):
    """rows: of `Transaction`s. total: how many there are in all. next_before: of the next page."""

    rows: Sequence[Sequence[Any]]
    total: int
    next_before: int | None

    def transactions(self) -> list[Transaction]:
        return [Transaction(*row) for row in self.rows]


def balance_of(value: Sequence[Any]) -> Balance:
    """The answer to BALANCE."""
    return Balance(*value)


def stats_of(value: Sequence[Any]) -> LogStats:
    """The answer to STATS."""
    return LogStats(*value)


# What the supervisor asks ---------------------------------------------------------------------------------


class Tick(NamedTuple):
    """Have every later row of a log acknowledged at `at_ms` or later; the seq that shows it."""

    chain_id: str
    at_ms: int


class TrimLog(NamedTuple):
    """Let go of rows that were acknowledged before `before_ms`, but of none after `after_seq`; the first seq
    that is kept.
    """

    chain_id: str
    before_ms: int
    up_to_seq: int


class Hold(NamedTuple):
    """Have a projection's chain read nothing more until it gets a new spec, or for so long at most; when the
    last row that it has read was acknowledged. So what is decided then concerns no row that it took.
    """

    chain_id: str
    for_ms: int


# Leaderboards that follow a log ---------------------------------------------------------------------------


class FollowOp(NamedTuple):
    """A leaderboard is to have read its log up to `through`; a `FollowedWire`, after `within_ms` at most.
    seqs: of rows of which it is to tell what they did there. through 0: it is only asked how far it is.
    """

    board_id: str
    through: int
    within_ms: int
    seqs: Sequence[int] = ()


class FollowedWire(NamedTuple):
    """is_behind: it has not read so far. matched: for each seq asked for nil, or points and the fields of a
    `MatchedWindow` for each window. status: of a `FollowPing`, where `through` was 0; nil if it sleeps.
    """

    is_behind: bool
    matched: Sequence[Sequence[Any] | None] = ()
    status: Sequence[Any] | None = None

    def windows(self, index: int) -> tuple[int | float, list[MatchedWindow]] | None:
        """Points and windows of one of the rows asked for; None if it gave none."""
        found = self.matched[index] if index < len(self.matched) else None
        if found is None:
            return None
        points, windows = found
        return points, [MatchedWindow(*row) for row in windows]
