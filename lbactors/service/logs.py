"""What the gateway asks of logs: to append rows, to settle pending ones, and to read them.

A row is acknowledged when it is in its log. The answer then waits, for a moment, for the leaderboards that
are computed from the log; those that have not taken it yet are named as `behind`. They read the log from the
store, so all that they are told is how far it goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog

from lbactors.core.errors import ApiError
from lbactors.core.log_model import (
    Balance,
    EventOutcome,
    EventRow,
    LogStats,
    Matched,
    MetricRow,
    RowOutcome,
    Transaction,
    transaction_id,
)
from lbactors.core.model import Board
from lbactors.core.seen_ids import body_tag
from lbactors.core.shown_ranks import shown_rank
from lbactors.service.catalogue import Catalogue
from lbactors.service.profiles import Profiles
from lbactors.service.router import Router
from lbactors.service.supervisor_client import SupervisorClient
from lbactors.wire.commands import Idempotency, OpenLog
from lbactors.wire.logs import (
    BALANCE,
    EVENTS,
    ROWS,
    SETTLE,
    STATS,
    TRANSACTION,
    TRANSACTIONS,
    FollowedWire,
    FollowOp,
    LogOp,
    LogRead,
    SettleRow,
    TransactionsAsked,
    TransactionsFound,
    balance_of,
    stats_of,
)
from lbactors.wire.single_flight import SingleFlight

STATUS_WITHIN_S = 2.0
BEHIND_WAIT_MS = 50  # for a leaderboard that is known to be behind
LATE_S = 0.5  # beyond its time, an actor that does not answer is not waited for
LATE_KEPT = 10_000  # leaderboards that are known to be behind

log = structlog.get_logger("service")


class Appended(NamedTuple):
    """A verdict on each row, in order, and the ids of the leaderboards that have not taken them yet."""

    verdicts: Sequence[RowOutcome | ApiError]
    behind: Sequence[str]


class AppendedEvents(NamedTuple):
    """The same of events."""

    verdicts: Sequence[EventOutcome | ApiError]
    behind: Sequence[str]


class Settled(NamedTuple):
    """A row that was pending, as it is now; the account after it; who is behind."""

    transaction: Transaction
    outcome: RowOutcome
    behind: Sequence[str]


class ProjectionStatus(NamedTuple):
    """How far a projection is. state: `live`, `behind`, `filling`, or `asleep`: nobody uses it, it reads on
    when it is woken. rows_read of rows: seqs of the log. behind_seconds: for how long rows have waited.
    """

    state: str
    rows_read: int
    rows: int
    behind_seconds: float


class Logs:
    """One for each gateway process. wait_ms: how long an answer waits for leaderboards."""

    def __init__(
        self,
        router: Router,
        catalogue: Catalogue,
        supervisor: SupervisorClient,
        profiles: Profiles,
        wait_ms: Callable[[], int],
    ) -> None:
        self._router = router
        self._catalogue = catalogue
        self._supervisor = supervisor
        self._profiles = profiles
        self._wait_ms = wait_ms
        self._opening: SingleFlight[str] = SingleFlight()
        self._late: set[str] = set()  # leaderboards that were behind when last looked at

    # Logs -----------------------------------------------------------------------------------------------

    async def _opened(self, tenant_id: str, metric: str | None) -> str:
        """The log to append to, made if there is none. ApiError."""
        found = self._catalogue.log(tenant_id, metric)
        if found is not None:
            return found.board_uid

        async def ask() -> str:
            answer = await self._supervisor.command(OpenLog(metric), tenant_id)
            return str(answer.body["board_id"])

        return await self._opening.of(f"{tenant_id}/{metric or ''}", ask)

    def _log(self, tenant_id: str, metric: str) -> str:
        """The log of a metric that there is. ApiError metric_not_found."""
        found = self._catalogue.log(tenant_id, metric)
        if found is None:
            raise ApiError("metric_not_found", f"no metric '{metric}'")
        return found.board_uid

    # Rows of metrics ------------------------------------------------------------------------------------

    async def append_rows(
        self, tenant_id: str, metric: str, rows: Sequence[MetricRow], at_ms: int, tag: int = 0
    ) -> Appended:
        """Append rows that arrived at `at_ms`, in order; the metric comes into being with its first row. tag:
        of the body that made their ids (`lbactors.core.seen_ids`). ApiError: none was taken, or nobody knows.
        """
        if not rows:
            return Appended([], [])
        facts = await self._profiles.facts(tenant_id, list({row.player_id for row in rows}))
        if facts:
            rows = [row._replace(profile=facts.get(row.player_id)) for row in rows]
        board_id = await self._opened(tenant_id, metric)
        appended = await self._router.append(LogOp(board_id, ROWS, rows, tag))
        verdicts = appended.rows()
        behind: Sequence[str] = ()
        if any(isinstance(verdict, RowOutcome) for verdict in verdicts):
            behind = await self._behind(self._catalogue.followers(tenant_id, metric), appended.through)
        return Appended(verdicts, behind)

    async def settle(
        self,
        tenant_id: str,
        metric: str,
        seq: int,
        *,
        complete: bool,
        player_id: str | None,
        idempotency: Idempotency | None = None,
    ) -> Settled:
        """Complete or reject a pending row. player_id: the only one whose row it may be. idempotency: of the
        request; one that settled the row is answered again, as row and account are now. ApiError
        metric_not_found, transaction_not_found, transaction_settled, insufficient_balance, forbidden,
        idempotency_conflict.
        """
        board_id = self._log(tenant_id, metric)
        before = await self.transaction(tenant_id, metric, seq)
        facts = await self._profiles.facts(tenant_id, [before.player_id])
        asked = SettleRow(seq, complete, player_id, facts.get(before.player_id), *_row_id(idempotency))
        appended = await self._router.append(LogOp(board_id, SETTLE, [asked]))
        (outcome,) = appended.rows()
        if isinstance(outcome, ApiError):
            raise outcome
        if outcome.duplicate:
            account = await self.balance(tenant_id, metric, before.player_id)
            outcome = outcome._replace(balance=account.balance, earned=account.earned)
        behind = await self._behind(self._catalogue.followers(tenant_id, metric), appended.through)
        try:
            now = await self.transaction(tenant_id, metric, seq)
        except ApiError as error:
            if error.code != "transaction_not_found":
                raise
            # It waited for longer than rows are kept; when it was settled nobody remembers.
            now = before._replace(state="completed" if complete else "rejected")
        return Settled(now, outcome, behind)

    async def metrics(self, tenant_id: str) -> list[tuple[str, LogStats]]:
        """All metrics of a tenant, by name. ApiError."""
        logs = self._catalogue.metrics(tenant_id)
        found = await asyncio.gather(*(self._read(log.board_uid, STATS) for _, log in logs))
        return [(name, stats_of(value)) for (name, _), value in zip(logs, found, strict=True)]

    async def _read(self, board_id: str, kind: int, *args: Any) -> Any:
        return await self._router.read_log(LogRead(board_id, kind, args))

    async def balance(self, tenant_id: str, metric: str, player_id: str) -> Balance:
        """Zeros for a player without rows. ApiError metric_not_found."""
        return balance_of(await self._read(self._log(tenant_id, metric), BALANCE, player_id))

    async def transactions(
        self, tenant_id: str, metric: str, player_id: str | None, before_seq: int | None, limit: int
    ) -> tuple[list[Transaction], int, int | None]:
        """Rows newest first, those with a lower seq than `before_seq`; how many there are in all; and the
        `before_seq` of the next page, None after the last row that is kept. ApiError metric_not_found.
        """
        asked = TransactionsAsked(player_id, before_seq, limit)
        found = await self._read(self._log(tenant_id, metric), TRANSACTIONS, *asked)
        page = TransactionsFound(*found)
        return page.transactions(), page.total, page.next_before

    async def transaction(self, tenant_id: str, metric: str, seq: int) -> Transaction:
        """ApiError metric_not_found, transaction_not_found."""
        if seq < 1:
            raise ApiError("transaction_not_found", f"no transaction '{transaction_id(seq)}'")
        return Transaction(*await self._read(self._log(tenant_id, metric), TRANSACTION, seq))

    # Events ---------------------------------------------------------------------------------------------

    async def append_events(
        self, tenant_id: str, rows: Sequence[EventRow], at_ms: int, *, matched: bool
    ) -> AppendedEvents:
        """Append events that arrived at `at_ms`, in order. matched: tell what leaderboards made of them."""
        if not rows:
            return AppendedEvents([], [])
        facts = await self._profiles.facts(tenant_id, list({row.player_id for row in rows}))
        if facts:
            rows = [row._replace(profile=facts.get(row.player_id)) for row in rows]
        appended = await self._router.append(LogOp(await self._opened(tenant_id, None), EVENTS, rows))
        verdicts = appended.events()
        taken = [(row, v) for row, v in zip(rows, verdicts, strict=True) if isinstance(v, EventOutcome)]
        boards = self._catalogue.event_followers(tenant_id, {row.event_type for row, _ in taken})
        seqs = [outcome.seq for _, outcome in taken if not outcome.duplicate] if matched else []
        followed = await self._followed(boards, appended.through, seqs)
        behind = [board.leaderboard_id for board, found in followed if found.is_behind]
        if matched:
            verdicts = _with_matches(verdicts, seqs, followed)
        return AppendedEvents(verdicts, behind)

    # Leaderboards that follow ---------------------------------------------------------------------------

    async def _behind(self, boards: Sequence[Board], through: int) -> list[str]:
        return [b.leaderboard_id for b, found in await self._followed(boards, through, ()) if found.is_behind]

    async def _followed(
        self, boards: Sequence[Board], through: int, seqs: Sequence[int]
    ) -> list[tuple[Board, FollowedWire]]:
        """Have leaderboards read their log up to a seq, as far as they can within a moment; one that was
        behind already is hardly waited for, so that it does not delay every answer.
        """
        wait_ms = self._wait_ms()

        async def one(board: Board) -> tuple[Board, FollowedWire]:
            was_behind = board.board_uid in self._late
            within_ms = min(wait_ms, BEHIND_WAIT_MS) if was_behind else wait_ms
            late_s = BEHIND_WAIT_MS / 1000 if was_behind else LATE_S  # an answer takes its way, too
            found = await followed(board, within_ms, within_ms / 1000 + late_s)
            if found.is_behind:
                if len(self._late) >= LATE_KEPT:
                    self._late.clear()  # most are gone by now; the others are waited for once
                self._late.add(board.board_uid)
            else:
                self._late.discard(board.board_uid)
            return board, found

        async def followed(board: Board, within_ms: int, timeout_s: float) -> FollowedWire:
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._router.follow(FollowOp(board.board_uid, through, within_ms, seqs))
            except (ApiError, TimeoutError) as error:
                if isinstance(error, ApiError) and error.code == "period_not_open":
                    return FollowedWire(False)  # it has no period that could take anything
                log.debug("leaderboard is behind", leaderboard=board.leaderboard_id, error=str(error))
            except Exception:  # a bug: the rows are in the log all the same
                log.exception("leaderboard does not follow", leaderboard=board.leaderboard_id)
            return FollowedWire(True)

        return list(await asyncio.gather(*map(one, boards)))

    async def projection(self, board: Board) -> ProjectionStatus | None:
        """None if its actor cannot tell now, or the board is no projection."""
        if not board.definition.scoring.is_projection:
            return None
        try:
            async with asyncio.timeout(STATUS_WITHIN_S):
                found = await self._router.follow(FollowOp(board.board_uid, 0, 0))
        except (ApiError, TimeoutError) as error:
            log.debug("no status", leaderboard=board.leaderboard_id, error=str(error))
            return None
        except RuntimeError:  # a bug of its actor: what the definition is can be told all the same
            log.exception("no status", leaderboard=board.leaderboard_id)
            return None
        if found.status is None:
            return ProjectionStatus("asleep", 0, 0, 0.0)
        state, rows_read, rows, behind_ms = found.status
        return ProjectionStatus(state, rows_read, rows, behind_ms / 1000)


def _row_id(idempotency: Idempotency | None) -> tuple[str | None, int]:
    """The id of a request in a log, and the tag of its body. No row has such an id: it has a space."""
    if idempotency is None:
        return None, 0
    return f"settle {idempotency.key}", body_tag(idempotency.digest.encode())


def _with_matches(
    verdicts: Sequence[EventOutcome | ApiError],
    seqs: Sequence[int],
    followed: Sequence[tuple[Board, FollowedWire]],
) -> list[EventOutcome | ApiError]:
    """Outcomes with what leaderboards made of each event; ranks are those that are shown."""
    by_seq: dict[int, list[Matched]] = {}
    for board, found in followed:
        for index, seq in enumerate(seqs):
            taken = found.windows(index)
            if taken is not None:
                points, windows = taken
                top_only = board.definition.ranking.top_only
                windows = [w._replace(rank=shown_rank(w.rank, top_only)) for w in windows]
                by_seq.setdefault(seq, []).append(Matched(board.leaderboard_id, points, windows))
    return [
        v if isinstance(v, ApiError) or v.duplicate else v._replace(matched=by_seq.get(v.seq, ()))
        for v in verdicts
    ]
