"""What the gateway asks of logs: to append rows, to settle pending ones, and to read them.

A row is acknowledged when it is in its log. The answer then waits, for a moment, for the leaderboards that
are computed from the log; those that have not taken it yet are named as `behind`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lbactors.core.errors import ApiError
from lbactors.core.log_model import (
    Balance,
    EventOutcome,
    EventRow,
    LogStats,
    MetricRow,
    RowOutcome,
    Transaction,
)
from lbactors.core.model import Board


class Appended(NamedTuple):
    """A verdict on each row, in order, and the ids of the leaderboards that have not taken them yet."""

    verdicts: Sequence[RowOutcome | ApiError]
    behind: Sequence[str]


class AppendedEvents(NamedTuple):
    """The same of events."""

    verdicts: Sequence[EventOutcome | ApiError]
    behind: Sequence[str]


class ProjectionStatus(NamedTuple):
    """How far a projection is. state: `live`, `behind` or `filling`. rows_read, rows: of the log, for this
    fill or catch-up. behind_seconds: how long ago the first row was acknowledged that it has not taken; 0.
    """

    state: str
    rows_read: int
    rows: int
    behind_seconds: float


class Logs:
    """One for each gateway process."""

    async def append_rows(
        self, tenant_id: str, metric: str, rows: Sequence[MetricRow], at_ms: int, tag: int = 0
    ) -> Appended:
        """Append rows that arrived at `at_ms`, in order; the metric comes into being with its first row. tag:
        of the body that made their ids (`lbactors.core.seen_ids`). ApiError: none was taken, or nobody knows.
        """

    async def settle(
        self, tenant_id: str, metric: str, seq: int, *, complete: bool, player_id: str | None
    ) -> tuple[Transaction, RowOutcome, Sequence[str]]:
        """Complete or reject a pending row; the transaction, the account after it, and who is behind.
        player_id: the only one whose row it may be. ApiError metric_not_found, transaction_not_found,
        transaction_settled, insufficient_balance.
        """

    async def metrics(self, tenant_id: str) -> list[tuple[str, LogStats]]:
        """All metrics of a tenant, by name. ApiError."""

    async def balance(self, tenant_id: str, metric: str, player_id: str) -> Balance:
        """Zeros for a player without rows. ApiError metric_not_found."""

    async def transactions(
        self, tenant_id: str, metric: str, player_id: str | None, before_seq: int | None, limit: int
    ) -> tuple[list[Transaction], int, int | None]:
        """Rows newest first, those with a lower seq than `before_seq`; how many there are in all; and the
        `before_seq` of the next page, None after the last row that is kept. ApiError metric_not_found.
        """

    async def transaction(self, tenant_id: str, metric: str, seq: int) -> Transaction:
        """ApiError metric_not_found, transaction_not_found."""

    async def append_events(
        self, tenant_id: str, rows: Sequence[EventRow], at_ms: int, *, matched: bool
    ) -> AppendedEvents:
        """Append events that arrived at `at_ms`, in order. matched: tell what leaderboards made of them."""

    async def projection(self, board: Board) -> ProjectionStatus | None:
        """None if its actor cannot tell now, or the board is no projection."""
