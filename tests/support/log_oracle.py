"""The naive model of a log: a list of what was written, and sums of exact fractions over all of it each time.

Nothing of it is shared with `lbactors.core.log` and `log_draft` but the shapes of requests and outcomes.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from lbactors.core.log_model import Balance, EventRow, LogStats, MetricRow

Number = int | float

SIGNS = {"award": 1, "deduct": -1, "set": 0}


def plus(one: Number, other: Number) -> Number | None:
    """The double nearest to a sum, as an int where it is a whole number within ±2^53; None beyond all."""
    try:
        total = float(Fraction(one) + Fraction(other))
    except OverflowError:
        return None
    return int(total) if total.is_integer() and abs(total) <= 2**53 else total


class Refused(Exception):
    """The message is the error's code."""


class Told(NamedTuple):
    """What a request is told. change: of the balance, None of a repeat."""

    seq: int
    balance: Number
    earned: Number
    is_repeat: bool
    change: Number | None


class Line(NamedTuple):
    """One input. what: row | settle | event | erase | forget | other. about: of a settlement, the pending
    row.
    """

    seq: int
    at_ms: int
    what: str
    player_id: str = ""
    kind: str = ""
    state: str = ""
    amount: Number = 0
    about: int = 0


class Oracle:
    """`lines`: everything since the beginning, one for each seq."""

    def __init__(self, most_pending: int = 10**9) -> None:
        self.most_pending = most_pending
        self.lines: list[Line] = []
        self.ids: dict[str, tuple[int, str, int]] = {}
        self.first_kept = 1
        self.settled: dict[int, tuple[bool, int]] = {}
        self.at_ms = 0

    @property
    def seq(self) -> int:
        return len(self.lines)

    # What all lines together say ------------------------------------------------------------------------

    def lines_of(self, player_id: str) -> list[Line]:
        """Since the player was erased last."""
        lines = [line for line in self.lines if line.player_id == player_id]
        erasures = [i for i, line in enumerate(lines) if line.what == "erase"]
        return lines[erasures[-1] + 1 :] if erasures else lines

    def rows_of(self, player_id: str) -> list[int]:
        """Seqs of a player's rows or events, oldest first."""
        return [line.seq for line in self.lines_of(player_id) if line.what in ("row", "event")]

    def chain(self, player_id: str) -> list[int]:
        """Seqs of all inputs to which a player's account leads, oldest first; also of those from before an
        erasure, until the account is let go of.
        """
        found: list[int] = []
        rows = 0
        for line in self.lines:
            if line.player_id != player_id:
                continue
            if line.what in ("row", "event", "settle"):
                found.append(line.seq)
                rows += line.what != "settle"
            elif line.what == "erase":
                rows = 0
            elif not rows:
                found = []
        return found

    def players(self) -> set[str]:
        """Those who have an account, an empty one or not."""
        return {line.player_id for line in self.lines if self.chain(line.player_id)}

    def open_rows(self, player_id: str) -> dict[int, Line]:
        """A player's rows that are still pending."""
        lines = self.lines_of(player_id)
        settled = {line.about for line in lines if line.what == "settle"}
        return {line.seq: line for line in lines if line.state == "pending" and line.seq not in settled}

    def all_open(self) -> dict[int, Line]:
        everyone = [self.open_rows(player_id) for player_id in self.players()]
        return {seq: line for rows in everyone for seq, line in rows.items()}

    def balance(self, player_id: str) -> Balance:
        balance: Number = 0
        sums: dict[str, Number] = {"award": 0, "deduct": 0, "set": 0}
        updated_at_ms = None
        for line in self.lines_of(player_id):
            if line.state != "completed":
                continue
            if line.kind == "set":
                balance = line.amount
            else:
                balance = self.finite(balance, SIGNS[line.kind] * line.amount)
                sums[line.kind] = self.finite(sums[line.kind], line.amount)
            updated_at_ms = line.at_ms
        rows = len(self.rows_of(player_id))
        if not rows:
            return Balance(0, 0, 0, 0, 0, None)
        pending = self.pending_sum(player_id)
        return Balance(balance, sums["award"], sums["deduct"], pending, rows, updated_at_ms)

    def pending_sum(self, player_id: str) -> Number:
        """Added and taken away in the order in which it came: 0 whenever nothing is left."""
        total: Number = 0
        left: set[int] = set()
        for line in self.lines_of(player_id):
            if line.state == "pending":
                left.add(line.seq)
                total = self.finite(total, SIGNS[line.kind] * line.amount)
            elif line.what == "settle":
                left.discard(line.about)
                less = plus(total, -SIGNS[line.kind] * line.amount)
                total = 0 if not left else total if less is None else less
        return total

    @staticmethod
    def finite(one: Number, other: Number) -> Number:
        total = plus(one, other)
        assert total is not None, "it was to be refused"
        return total

    def stats(self) -> LogStats:
        rows = [line for line in self.lines if line.what in ("row", "event")]
        return LogStats(len(self.players()), len(rows), rows[-1].at_ms if rows else None)

    # Requests -------------------------------------------------------------------------------------------

    def begin(self, now_ms: int) -> None:
        """Whatever comes is acknowledged now, or when something was before if that is later."""
        self.at_ms = max([now_ms, *(line.at_ms for line in self.lines[-1:])])

    def known(self, row_id: str | None, player_id: str, body: int) -> int | None:
        if row_id is None or row_id not in self.ids:
            return None
        seq, other_player, other_body = self.ids[row_id]
        if other_player != player_id or (body and other_body and body != other_body):
            raise Refused("idempotency_conflict")
        return seq

    def write(self, asked: MetricRow, body: int) -> Told:
        """Refused."""
        before = self.balance(asked.player_id)
        seen = self.known(asked.submission_id, asked.player_id, body)
        if seen is not None:
            return Told(seen, before.balance, before.earned, True, None)
        if asked.state == "pending":
            if len(self.all_open()) >= self.most_pending:
                raise Refused("overloaded")
            if plus(before.pending, SIGNS[asked.kind] * asked.amount) is None:
                raise Refused("validation_failed")
        else:
            self.judge(before, asked.kind, asked.amount)
        seq = self.append("row", asked.player_id, asked.kind, asked.state, asked.amount)
        if asked.submission_id is not None:
            self.ids[asked.submission_id] = seq, asked.player_id, body
        return self.told(seq, before, asked.player_id, asked.kind, asked.amount, asked.state)

    @staticmethod
    def judge(before: Balance, kind: str, amount: Number) -> None:
        """Refused, if a row that counts now cannot be."""
        if kind == "set":
            return
        after = plus(before.balance, SIGNS[kind] * amount)
        if kind == "deduct" and Fraction(before.balance) < Fraction(amount):
            raise Refused("insufficient_balance")
        if after is None or plus(before.earned if kind == "award" else before.spent, amount) is None:
            raise Refused("validation_failed")

    def told(self, seq: int, before: Balance, player_id: str, kind: str, amount: Number, state: str) -> Told:
        after = self.balance(player_id)
        change: Number = SIGNS[kind] * amount if state == "completed" else 0
        if kind == "set" and state == "completed":
            change = plus(after.balance, -before.balance) or 0
        return Told(seq, after.balance, after.earned, False, change)

    def settle(
        self,
        seq: int,
        *,
        complete: bool,
        row_id: str | None = None,
        body: int = 0,
        player_id: str | None = None,
    ) -> Told:
        """Refused."""
        if row_id in self.ids:
            other_body = self.ids[row_id][2]
            if body and other_body and body != other_body:
                raise Refused("idempotency_conflict")
            return Told(seq, 0, 0, True, None)
        row = self.all_open().get(seq)
        if row is None:
            raise Refused("transaction_settled")
        if player_id not in (None, row.player_id):
            raise Refused("forbidden")
        before = self.balance(row.player_id)
        if complete:
            self.judge(before, row.kind, row.amount)
        state = "completed" if complete else "rejected"
        settled_by = self.append("settle", row.player_id, row.kind, state, row.amount, seq)
        if row_id is not None:
            self.ids[row_id] = settled_by, row.player_id, body
        if seq >= self.first_kept:
            self.settled[seq] = (complete, self.at_ms)
        return self.told(seq, before, row.player_id, row.kind, row.amount, state)

    def event(self, asked: EventRow) -> Told:
        """Refused."""
        seen = self.known(asked.event_id, asked.player_id, 0)
        if seen is not None:
            return Told(seen, 0, 0, True, None)
        seq = self.append("event", asked.player_id, state="completed")
        self.ids[asked.event_id] = seq, asked.player_id, 0
        return Told(seq, 0, 0, False, 0)

    def erase(self, player_id: str) -> None:
        self.append("erase", player_id)

    def forget(self, player_id: str) -> None:
        self.append("forget", player_id)

    def trim(self, seq: int) -> None:
        self.append("other")
        self.first_kept = max(self.first_kept, seq + 1)
        self.settled = {at: outcome for at, outcome in self.settled.items() if at >= self.first_kept}

    def tick(self) -> None:
        self.append("other")

    def append(
        self,
        what: str,
        player_id: str = "",
        kind: str = "",
        state: str = "",
        amount: Number = 0,
        about: int = 0,
    ) -> int:
        seq = len(self.lines) + 1
        # An event is completed, and adds nothing.
        line = Line(seq, self.at_ms, what, player_id, kind or "award", state, amount, about)
        self.lines.append(line)
        return seq
