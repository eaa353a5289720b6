"""Logs for the gateway's tests: the models of `tests.support.log_model`, and what a test sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbactors.core.errors import ApiError
from lbactors.core.log_model import Balance, EventRow, LogStats, Matched, MetricRow, RowOutcome, Transaction
from lbactors.core.model import Board
from lbactors.service.logs import Appended, AppendedEvents, Logs, ProjectionStatus
from lbactors.wire.commands import Idempotency
from tests.support.log_model import EventModel, MetricModel


class FakeLogs(Logs):
    """`behind`: who every write names. `fail`: raised by every call. `verdict`: on every row instead of the
    model's. `matched`: what every new event matches. `projections`: by leaderboard id. `taken`: what arrived:
    the rows of each call, with the tag of their body.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.models: dict[tuple[str, str], MetricModel] = {}
        self.event_models: dict[str, EventModel] = {}
        self.behind: list[str] = []
        self.fail: ApiError | Exception | None = None
        self.verdict: ApiError | None = None
        self.matched: list[Matched] = []
        self.projections: dict[str, ProjectionStatus] = {}
        self.taken: list[tuple[Sequence[MetricRow] | Sequence[EventRow], int]] = []
        self._settled_by: dict[str, tuple[str, int]] = {}  # key -> digest, seq

    def _metric(self, tenant_id: str, metric: str) -> MetricModel:
        if self.fail is not None:
            raise self.fail
        found = self.models.get((tenant_id, metric))
        if found is None:
            raise ApiError("metric_not_found", f"no metric {metric!r}")
        return found

    async def append_rows(
        self, tenant_id: str, metric: str, rows: Sequence[MetricRow], at_ms: int, tag: int = 0
    ) -> Appended:
        if self.fail is not None:
            raise self.fail
        self.taken.append((rows, tag))
        if self.verdict is not None:
            return Appended([self.verdict] * len(rows), [])
        model = self.models.setdefault((tenant_id, metric), MetricModel())
        return Appended(model.append(rows, at_ms, tag), self.behind)

    async def settle(
        self,
        tenant_id: str,
        metric: str,
        seq: int,
        *,
        complete: bool,
        player_id: str | None,
        idempotency: Idempotency | None = None,
    ) -> tuple[Transaction, RowOutcome, Sequence[str]]:
        model = self._metric(tenant_id, metric)
        known = None if idempotency is None else self._settled_by.get(idempotency.key)
        if idempotency is not None and known is not None:
            if known[0] != idempotency.digest:
                raise ApiError("idempotency_conflict", "another request before")
            transaction = model.transaction(seq)
            account = model.balance(transaction.player_id)
            return transaction, RowOutcome(seq, account.balance, account.earned, True), self.behind
        settled = model.settle(seq, self._now_ms(), complete=complete, player_id=player_id)
        if idempotency is not None:
            self._settled_by[idempotency.key] = idempotency.digest, seq
        return *settled, self.behind

    async def metrics(self, tenant_id: str) -> list[tuple[str, LogStats]]:
        if self.fail is not None:
            raise self.fail
        return [(name, m.stats()) for (tenant, name), m in sorted(self.models.items()) if tenant == tenant_id]

    async def balance(self, tenant_id: str, metric: str, player_id: str) -> Balance:
        return self._metric(tenant_id, metric).balance(player_id)

    async def transactions(
        self, tenant_id: str, metric: str, player_id: str | None, before_seq: int | None, limit: int
    ) -> tuple[list[Transaction], int, int | None]:
        return self._metric(tenant_id, metric).transactions(player_id, before_seq, limit)

    async def transaction(self, tenant_id: str, metric: str, seq: int) -> Transaction:
        return self._metric(tenant_id, metric).transaction(seq)

    async def append_events(
        self, tenant_id: str, rows: Sequence[EventRow], at_ms: int, *, matched: bool
    ) -> AppendedEvents:
        if self.fail is not None:
            raise self.fail
        self.taken.append((rows, 0))
        if self.verdict is not None:
            return AppendedEvents([self.verdict] * len(rows), [])
        verdicts = self.event_models.setdefault(tenant_id, EventModel()).append(rows, at_ms)
        if not matched:
            return AppendedEvents(verdicts, self.behind)
        told = [
            v if isinstance(v, ApiError) or v.duplicate else v._replace(matched=self.matched)
            for v in verdicts
        ]
        return AppendedEvents(told, self.behind)

    async def projection(self, board: Board) -> ProjectionStatus | None:
        return self.projections.get(board.leaderboard_id)
