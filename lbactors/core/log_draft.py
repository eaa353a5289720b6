"""What rows would make of a log: judged before they are journaled, so what is journaled holds.

A draft is for one append. It sees the log as everything before left it, and the rows that it took itself; so
two deductions of one moment cannot both spend the same coins, and an id counts once. Each method gives the
input to journal with what became of the row, or a repeat without an input; a row that is refused raises, and
changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from lbactors.core import log_inputs as made
from lbactors.core.errors import ApiError
from lbactors.core.log import Account, Log, PendingRow, after, after_settling
from lbactors.core.log_inputs import AWARD, DEDUCT, KIND_NUMBERS, SET, LogInput, Settle
from lbactors.core.log_model import EventOutcome, EventRow, MetricRow, RowOutcome, transaction_id
from lbactors.core.numbers import Number, added
from lbactors.core.seen_ids import HALF_BITS, contradict, tag_of

MOST_PENDING = 100_000  # rows of a metric that wait at once
FINITE = "the sum must stay finite"

_new = tuple.__new__  # makes a named tuple without its Python constructor


class Drafted(NamedTuple):
    """A row of a metric that is to be journaled (None: a repeat), and what is told of it."""

    item: LogInput | None
    outcome: RowOutcome


class DraftedEvent(NamedTuple):
    """The same of an event."""

    item: LogInput | None
    outcome: EventOutcome


class LogDraft:
    """`items`: the inputs so far, in order."""

    def __init__(self, log: Log, now_ms: int) -> None:
        self.items: list[LogInput] = []
        self.at_ms = max(now_ms, log.last_ms)  # of all: acknowledgements never go back in time
        self._log = log
        self._first_seq = log.seq + 1
        self._accounts: dict[str, Account] = {}
        self._ids: dict[str, tuple[int, str, int]] = {}  # id -> seq, player and tag of the body
        self._pending: dict[int, PendingRow] = {}
        self._settled: set[int] = set()
        self._waiting: Counter[str] = Counter()  # by how much the count of a player's pending rows changes

    def add(self, item: LogInput) -> None:
        """An input that is no row, and concerns none of this draft."""
        self.items.append(item)

    def erase(self, player_id: str) -> None:
        """Empty a player's account. Nothing else may be in this draft."""
        self.add(made.erase(self._log.place(player_id), self.at_ms))

    def forget(self, player_id: str) -> None:
        """Let go of an account that was emptied, if no rows came since. Nothing else may be in this draft."""
        if self._log.has(player_id) and not self._log.account(player_id)[4]:
            self.add(made.forget(self._log.place(player_id), self.at_ms))

    @property
    def last_ms(self) -> int:
        """When the last input was acknowledged."""
        return self.at_ms if self.items else self._log.last_ms

    def pass_time(self, at_ms: int) -> None:
        """Have whatever follows acknowledged at this time or later."""
        self.at_ms = max(self.at_ms, at_ms)
        self.items.append(made.tick(self.at_ms))

    def _account(self, player_id: str) -> Account:
        return self._accounts.get(player_id) or self._log.account(player_id)

    def _occurred(self, occurred_at_ms: int | None, *, is_pending: bool = False) -> int | None:
        """When it happened, if that was before now. Of a pending row also if it is now: None means there that
        it happens when it is completed.
        """
        if occurred_at_ms is None or occurred_at_ms < self.at_ms:
            return occurred_at_ms
        return self.at_ms if is_pending else None

    def known_seq(self, row_id: str | None, player_id: str, body: int = 0) -> int:
        """The seq under which an id came before; 0 if it did not. ApiError idempotency_conflict if it came
        with another player or body.
        """
        if row_id is None:
            return 0
        drafted = self._ids.get(row_id)
        if drafted is not None:
            seq, other_player_id, other_body = drafted
            if contradict(tag_of(other_player_id, other_body), tag_of(player_id, body)):
                raise _conflict(row_id)
            return seq
        seen = self._log.ids.seq(row_id)
        if seen is None:
            return 0
        if self._log.ids.contradicts(row_id, tag_of(player_id, body)):
            raise _conflict(row_id)
        return seen

    # Rows of a metric -----------------------------------------------------------------------------------

    def row(self, asked: MetricRow, body: int = 0) -> Drafted:
        """body: tag of the body that made the id. ApiError insufficient_balance, validation_failed,
        idempotency_conflict, overloaded.
        """
        player_id, kind_name, state, amount, subscore, metadata, submission_id, occurred_at_ms, _ = asked
        seen = self.known_seq(submission_id, player_id, body) if submission_id is not None else 0
        old = self._accounts.get(player_id) or self._log.account(player_id)
        before: Number = old[0]
        if seen:
            return Drafted(None, RowOutcome(seen, before, old[1], True))
        kind = KIND_NUMBERS[kind_name]
        is_pending = state == "pending"
        balance = before
        delta: Number = 0
        if is_pending:
            self._require_room()
            _require_finite(old[3], _signed(kind, amount))
        else:
            balance = _balance_after(old, kind, amount, player_id)
            delta = amount if kind == AWARD else _change(before, balance, kind, amount)
        at_ms, items = self.at_ms, self.items
        seq = self._first_seq + len(items)
        occurred = None if occurred_at_ms is None else self._occurred(occurred_at_ms, is_pending=is_pending)
        item = made.row(asked, at_ms, occurred, body, delta, balance, old[5])
        new = after(old, kind, amount, balance, seq, at_ms, is_pending=is_pending)
        items.append(item)
        self._accounts[player_id] = new
        if submission_id is not None:
            self._ids[submission_id] = seq, player_id, body
        if is_pending:
            fields = player_id, kind, amount, subscore, metadata, occurred, submission_id, at_ms
            self._pending[seq] = PendingRow(*fields)
            self._waiting[player_id] += 1
        return _new(Drafted, (item, _new(RowOutcome, (seq, new[0], new[1], False))))

    def _require_room(self) -> None:
        """For a row more that is pending. ApiError."""
        if len(self._log.open.pending) + len(self._pending) - len(self._settled) >= MOST_PENDING:
            raise ApiError("overloaded", f"{MOST_PENDING} rows of this metric are pending: settle some")

    def rows(self, asked: Sequence[MetricRow], body: int = 0) -> list[RowOutcome | ApiError]:
        """`row` for each, in order."""
        found: list[RowOutcome | ApiError] = []
        for one in asked:
            try:
                found.append(self.row(one, body).outcome)
            except ApiError as error:
                found.append(error)
        return found

    def pending(self, seq: int) -> PendingRow:
        """A row that is pending. ApiError transaction_settled."""
        row = None if seq in self._settled else self._pending.get(seq) or self._log.open.pending.get(seq)
        if row is None:
            raise ApiError("transaction_settled", f"transaction '{transaction_id(seq)}' is not pending")
        return row

    def settle(
        self,
        seq: int,
        *,
        complete: bool,
        profile: bytes | None,
        row_id: str | None = None,
        body: int = 0,
        player_id: str | None = None,
    ) -> Drafted:
        """Complete or reject a pending row. row_id, body: of the request; its repeat changes nothing.
        player_id: the only one whose row it may be. ApiError transaction_settled, insufficient_balance,
        validation_failed, idempotency_conflict, forbidden.
        """
        if row_id is not None and (repeated := self._repeated(seq, row_id, body)) is not None:
            return repeated
        row = self.pending(seq)
        if player_id not in (None, row.player_id):
            raise ApiError("forbidden", f"this key may write for player '{player_id}' only")
        old = self._account(row.player_id)
        balance: Number = old[0]
        delta: Number = 0
        if complete:
            balance = _balance_after(old, row.kind, row.amount, row.player_id)
            delta = _change(old[0], balance, row.kind, row.amount)
        item = Settle(
            made.SETTLE,
            self.at_ms,
            row.player_id,
            seq,
            complete,
            row.kind,
            row.amount,
            row.subscore,
            row.metadata,
            row.occurred_at_ms,
            delta,
            balance,
            profile,
            row_id,
            body,
            old[5],
        )
        self._waiting[row.player_id] -= 1
        waiting = self._log.open.by_player[row.player_id] + self._waiting[row.player_id]
        settled_by = self._first_seq + len(self.items)
        if row_id is not None:
            self._ids[row_id] = settled_by, row.player_id, body
        new = after_settling(old, item, waiting, settled_by)
        outcome = RowOutcome(seq, new[0], new[1], False)
        self.items.append(item)
        self._accounts[row.player_id] = new
        self._settled.add(seq)
        return Drafted(item, outcome)

    def _repeated(self, seq: int, row_id: str, body: int) -> Drafted | None:
        """A request that came before; None: it did not. Whose row it was is not known here any more."""
        tag = body << HALF_BITS
        if row_id in self._ids:
            if contradict(self._ids[row_id][2] << HALF_BITS, tag):
                raise _conflict(row_id)
        elif row_id not in self._log.ids:
            return None
        elif self._log.ids.contradicts(row_id, tag):
            raise _conflict(row_id)
        return Drafted(None, RowOutcome(seq, 0, 0, True))

    # Events ---------------------------------------------------------------------------------------------

    def event(self, asked: EventRow) -> DraftedEvent:
        """ApiError idempotency_conflict."""
        seen = self.known_seq(asked.event_id, asked.player_id)
        if seen:
            return DraftedEvent(None, EventOutcome(seen, True))
        seq = self._first_seq + len(self.items)
        old = self._account(asked.player_id)
        item = made.event(asked, self.at_ms, self._occurred(asked.occurred_at_ms), old[5])
        self.items.append(item)
        self._accounts[asked.player_id] = (0, 0, 0, 0, old[4] + 1, seq, self.at_ms)
        self._ids[asked.event_id] = seq, asked.player_id, 0
        return DraftedEvent(item, EventOutcome(seq, False))

    def events(self, asked: Sequence[EventRow]) -> list[EventOutcome | ApiError]:
        """`event` for each, in order."""
        found: list[EventOutcome | ApiError] = []
        for one in asked:
            try:
                found.append(self.event(one).outcome)
            except ApiError as error:
                found.append(error)
        return found


def _balance_after(old: Account, kind: int, amount: Number, player_id: str) -> Number:
    """ApiError."""
    balance, earned, spent, *_ = old
    if kind == SET:
        _require_finite(amount, -balance)  # the change, which leaderboards may count
        return amount
    if kind == DEDUCT:
        left = added(balance, -amount)
        if left is None or left < 0:
            raise ApiError(
                "insufficient_balance",
                f"the balance of player '{player_id}' is {balance}, and {amount} was to be deducted",
            )
        _require_finite(spent, amount)
        return left
    total = added(balance, amount)
    if total is None or added(earned, amount) is None:
        raise _not_finite()
    return total


def _change(before: Number, balance: Number, kind: int, amount: Number) -> Number:
    """By how much the balance changed. Exactly the amount, where that is what was added or taken: a
    difference of doubles may round.
    """
    if kind == SET:
        change = added(balance, -before)
        return 0 if change is None else change
    return _signed(kind, amount)


def _signed(kind: int, amount: Number) -> Number:
    """What a row adds to a sum."""
    if kind == AWARD:
        return amount
    return -amount if kind == DEDUCT else 0


def _require_finite(one: Number, other: Number) -> Number:
    total = added(one, other)
    if total is None:
        raise _not_finite()
    return total


def _not_finite() -> ApiError:
    return ApiError("validation_failed", f"score: {FINITE}", [{"loc": ["score"], "msg": FINITE}])


def _conflict(row_id: str) -> ApiError:
    return ApiError("idempotency_conflict", f"id '{row_id}' is known for another player or another body")


__all__ = ["FINITE", "MOST_PENDING", "Drafted", "DraftedEvent", "LogDraft"]
