"""What gateways and the supervisor ask of logs: what was sent is what arrives, and what old senders leave
out has its default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbactors.core.errors import ERROR_STATUS, ApiError
from lbactors.core.log_model import (
    Balance,
    EventOutcome,
    EventRow,
    LogStats,
    MatchedWindow,
    MetricRow,
    RowOutcome,
    Transaction,
)
from lbactors.core.packing import pack
from lbactors.wire.logs import (
    EVENTS,
    ROWS,
    SETTLE,
    AppendedWire,
    FollowedWire,
    FollowOp,
    Hold,
    LogOp,
    LogRead,
    SettleRow,
    Tick,
    TransactionsAsked,
    TransactionsFound,
    TrimLog,
    balance_of,
    stats_of,
)
from lbactors.wire.replies import VALUE, Reply

counts = st.integers(0, 2**53)
ints = st.integers(-(2**53), 2**53)
names = st.text(max_size=8)
numbers = ints | st.floats(allow_nan=False)
bodies = st.none() | st.binary(max_size=8)
kinds = st.sampled_from(["award", "deduct", "set"])
states = st.sampled_from(["completed", "pending", "rejected"])
errors = st.builds(
    ApiError, st.sampled_from(sorted(ERROR_STATUS)), names, st.just([]), st.none() | st.integers(0, 1000)
)
outcomes = st.builds(RowOutcome, counts, numbers, numbers, st.booleans())
events = st.builds(EventOutcome, counts, st.booleans(), st.just([]))
rows = st.builds(
    MetricRow, names, kinds, states, numbers, numbers, bodies, st.none() | names, st.none() | ints, bodies
)
transactions = st.builds(
    Transaction,
    counts,
    names,
    kinds,
    states,
    numbers,
    numbers,
    st.none() | names,
    bodies,
    st.none() | ints,
    ints,
    st.none() | ints,
)


def arrives(value: Any) -> Any:
    """What is at the other end of the wire."""
    return msgpack.unpackb(pack(value))


def shown(found: Sequence[Any]) -> list[Any]:
    """Errors compare by identity; here by what they say."""
    return [one.to_wire() if isinstance(one, ApiError) else one for one in found]


# Appending ----------------------------------------------------------------------------------------------


@given(counts, st.lists(outcomes | errors, max_size=4))
def test_a_verdict_arrives_for_each_row(through: int, told: list[RowOutcome | ApiError]) -> None:
    reply = Reply.from_wire(arrives(Reply(VALUE, AppendedWire.of(through, told))))
    arrived = AppendedWire(*reply.result())
    assert arrived.through == through
    assert shown(arrived.rows()) == shown(told)


@given(counts, st.lists(events | errors, max_size=4))
def test_a_verdict_arrives_for_each_event(through: int, told: list[EventOutcome | ApiError]) -> None:
    arrived = AppendedWire(*arrives(AppendedWire.of(through, told)))
    assert arrived.through == through
    assert shown(arrived.events()) == shown(told)


def test_a_verdict_of_events_that_says_nothing_of_matches() -> None:
    """That of an older actor."""
    (found,) = AppendedWire(7, [[7, False]]).events()
    assert found == EventOutcome(7, False, ())


@given(st.lists(rows, max_size=3), counts)
def test_rows_arrive(sent: list[MetricRow], tag: int) -> None:
    op = LogOp(*arrives(LogOp("t/coins~metric-1", ROWS, sent, tag)))
    assert (op.board_id, op.kind, op.tag) == ("t/coins~metric-1", ROWS, tag)
    assert [MetricRow(*row) for row in op.rows] == sent


def test_an_event_arrives_with_its_profile() -> None:
    sent = EventRow("e1", "match", "p1", 5, b"{}", None, b"\x80")
    (row,) = LogOp(*arrives(LogOp("t/events~events-1", EVENTS, [sent]))).rows
    assert EventRow(*row) == sent


def test_what_older_senders_leave_out_has_its_default() -> None:
    assert LogOp("b", ROWS, []).tag == 0
    assert SettleRow(3, True, None, None) == SettleRow(3, True, None, None, None, 0)
    assert LogRead("b", 1).args == ()
    assert FollowOp("b", 5, 100).seqs == ()
    assert FollowedWire(False) == FollowedWire(False, (), None)


def test_a_settlement_arrives_with_the_id_of_its_request() -> None:
    sent = SettleRow(12, False, "p1", b"\x80", "settle key", 77)
    (row,) = LogOp(*arrives(LogOp("b", SETTLE, [sent]))).rows
    assert SettleRow(*row) == sent


# Reads --------------------------------------------------------------------------------------------------


@given(st.lists(transactions, max_size=3), counts, st.none() | counts)
def test_a_page_of_transactions_arrives(sent: list[Transaction], total: int, before: int | None) -> None:
    found = TransactionsFound(*arrives(TransactionsFound(sent, total, before)))
    assert (found.transactions(), found.total, found.next_before) == (sent, total, before)


@given(st.none() | names, st.none() | counts, counts)
def test_what_is_asked_of_transactions_arrives(player_id: str | None, before: int | None, limit: int) -> None:
    asked = TransactionsAsked(player_id, before, limit)
    read = LogRead(*arrives(LogRead("b", 2, asked)))
    assert TransactionsAsked(*read.args) == asked


@given(st.builds(Balance, numbers, numbers, numbers, numbers, counts, st.none() | ints))
def test_an_account_arrives(balance: Balance) -> None:
    assert balance_of(arrives(balance)) == balance


@given(st.builds(LogStats, counts, counts, st.none() | ints))
def test_numbers_of_a_log_arrive(stats: LogStats) -> None:
    assert stats_of(arrives(stats)) == stats


@pytest.mark.parametrize("sent", [Tick("c", 5), TrimLog("c", -5, 2**62), Hold("c", 2000)])
def test_what_the_supervisor_asks_arrives(sent: Any) -> None:
    assert type(sent)(*arrives(sent)) == sent


# Following ----------------------------------------------------------------------------------------------


def test_windows_are_told_for_each_row_asked_for() -> None:
    sent = FollowedWire(
        False,
        [
            None,
            [12.5, [MatchedWindow("main", 30, 1), MatchedWindow("daily", 12.5, None)]],
            [0, []],
        ],
    )
    found = FollowedWire(*arrives(sent))
    assert not found.is_behind
    assert found.windows(0) is None, "a row that gave nothing"
    assert found.windows(1) == (
        12.5,
        [MatchedWindow("main", 30, 1), MatchedWindow("daily", 12.5, None)],
    )
    assert found.windows(2) == (0, [])


def test_a_leaderboard_that_is_behind_tells_no_windows() -> None:
    """It answers nothing of the rows, however many were asked for."""
    found = FollowedWire(*arrives(FollowedWire(True)))
    assert found.is_behind
    assert [found.windows(index) for index in range(3)] == [None, None, None]
