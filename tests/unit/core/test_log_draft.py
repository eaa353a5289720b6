"""What a draft refuses, and that refusing leaves no trace. Whole histories: `test_log`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core import log_draft as log_draft_module
from lbactors.core.errors import ApiError
from lbactors.core.log import Log
from lbactors.core.log_draft import LogDraft
from lbactors.core.log_inputs import Row, Settle, tick, trim
from lbactors.core.log_model import EventOutcome, EventRow, MetricRow, RowOutcome
from lbactors.core.numbers import MAX_EXACT_INTEGER, added, check_number
from lbactors.core.packing import pack
from tests.support.log_oracle import plus

START_MS = 1_700_000_000_000
HUGE = 1.7e308


def row(player_id: str, amount: float = 1, **other: Any) -> MetricRow:
    fields = {"kind": "award", "state": "completed", "subscore": 0, "metadata": None, "submission_id": None}
    return MetricRow(player_id=player_id, amount=amount, **(fields | {"occurred_at_ms": None} | other))


def event(event_id: str, player_id: str = "p1", occurred_at_ms: int | None = None) -> EventRow:
    return EventRow(event_id, "match", player_id, occurred_at_ms, b"{}", None)


def write(log: Log, *asked: MetricRow) -> list[RowOutcome | ApiError]:
    draft = LogDraft(log, START_MS)
    found = draft.rows(asked)
    log.apply(START_MS, draft.items)
    log.check()
    return found


def settle(log: Log, seq: int, *, complete: bool = True) -> RowOutcome:
    draft = LogDraft(log, START_MS)
    try:
        return draft.settle(seq, complete=complete, profile=None).outcome
    finally:
        log.apply(START_MS, draft.items)
        log.check()


def codes(found: list[RowOutcome | ApiError]) -> list[str | int]:
    """The seq, or the code of the error."""
    return [one.code if isinstance(one, ApiError) else one.seq for one in found]


# Covered ----------------------------------------------------------------------------------------------------


def test_two_deductions_of_one_draft_do_not_spend_the_same_coins() -> None:
    log = Log()
    found = write(log, row("p1", 5), row("p1", 3, kind="deduct"), row("p1", 3, kind="deduct"))
    assert codes(found) == [1, 2, "insufficient_balance"]
    error = found[2]
    assert isinstance(error, ApiError) and error.status == 409
    assert error.message == "the balance of player 'p1' is 2, and 3 was to be deducted"
    assert log.balance("p1") == (2, 5, 3, 0, 2, START_MS)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["deduct", "deduct", "award", "pending", "settle", "draft"]),
            st.floats(1e-300, 1e300) | st.integers(1, 30) | st.sampled_from([0.1, 0.3, 2**53]),
        ),
        max_size=40,
    )
)
def test_no_deductions_overdraw(steps: list[tuple[str, Any]]) -> None:
    log, opened = Log(), []
    draft = LogDraft(log, START_MS)
    for what, number in steps:
        amount = check_number(number)
        try:
            if what == "draft":
                log.apply(START_MS, draft.items)
                draft = LogDraft(log, START_MS)
            elif what == "settle" and opened:
                draft.settle(opened[-1], complete=True, profile=None)
                opened.pop()
            elif what == "pending":
                opened.append(draft.row(row("p1", amount, kind="deduct", state="pending")).outcome.seq)
            elif what != "settle":
                assert draft.row(row("p1", amount, kind=what)).outcome.balance >= 0
        except ApiError as error:
            assert error.code == "insufficient_balance"
        balances = [item.balance for item in draft.items if isinstance(item, Row | Settle)]
        assert all(balance >= 0 for balance in balances)
    log.apply(START_MS, draft.items)
    balance, earned, spent, *_ = log.balance("p1")
    assert balance >= 0 and balance == pytest.approx(
        float(Fraction(earned) - Fraction(spent)), abs=earned * 1e-9
    )


def test_a_negative_award_is_not_refused_but_nothing_is_deducted_from_what_it_leaves() -> None:
    log = Log()
    assert codes(write(log, row("p1", -5), row("p1", 1, kind="deduct"))) == [1, "insufficient_balance"]
    assert log.balance("p1") == (-5, -5, 0, 0, 1, START_MS)


def test_a_pending_deduction_without_cover_stays_pending() -> None:
    log = Log()
    write(log, row("p1", 5, kind="deduct", state="pending"))
    with pytest.raises(ApiError) as refused:
        settle(log, 1)
    assert refused.value.code == "insufficient_balance"
    assert log.balance("p1") == (0, 0, 0, -5, 1, None) and log.open.pending.keys() == {1}
    write(log, row("p1", 5))
    assert settle(log, 1) == RowOutcome(1, 0, 5, False)
    assert log.balance("p1") == (0, 5, 5, 0, 2, START_MS)


# Settled once -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("complete", [True, False])
def test_a_row_is_settled_once(complete: bool) -> None:
    log = Log()
    draft = LogDraft(log, START_MS)
    seq = draft.row(row("p1", state="pending")).outcome.seq
    draft.settle(seq, complete=complete, profile=None)
    with pytest.raises(ApiError) as in_the_draft:
        draft.settle(seq, complete=not complete, profile=None)
    log.apply(START_MS, draft.items)
    with pytest.raises(ApiError) as later:
        settle(log, seq, complete=complete)
    for refused in (in_the_draft, later):
        assert (refused.value.code, refused.value.status) == ("transaction_settled", 409)
        assert refused.value.message == "transaction 'tx-1' is not pending"
    assert log.open.settled == {seq: (complete, START_MS)}
    assert log.balance("p1")[:4] == ((1, 1, 0, 0) if complete else (0, 0, 0, 0))


def test_a_row_that_was_completed_at_once_or_never_was_is_not_pending() -> None:
    log = Log()
    write(log, row("p1"))
    for seq in (0, 1, 2, 10**12):
        with pytest.raises(ApiError) as refused:
            settle(log, seq)
        assert refused.value.code == "transaction_settled"
    assert log.seq == 1


@pytest.mark.parametrize(
    ("age_ms", "occurred_at_ms"), [(None, None), (5, START_MS - 5), (0, START_MS), (-5, START_MS)]
)
def test_a_pending_row_happened_when_it_says(age_ms: int | None, occurred_at_ms: int | None) -> None:
    """None: at the moment of its completion. What is told to come happens now."""
    log = Log()
    write(log, row("p1", state="pending", occurred_at_ms=None if age_ms is None else START_MS - age_ms))
    item = LogDraft(log, START_MS + 1000).settle(1, complete=True, profile=None).item
    assert isinstance(item, Settle) and item.occurred_at_ms == occurred_at_ms


@pytest.mark.parametrize("applied", [False, True])
def test_a_repeat_of_a_settlement_is_known_by_its_id(applied: bool) -> None:
    log = Log()
    write(log, row("p1", 5, state="pending"), row("p1", 3, state="pending"))
    draft = LogDraft(log, START_MS)
    first = draft.settle(1, complete=True, profile=None, row_id="s", body=7)
    assert isinstance(first.item, Settle) and (first.item.row_id, first.item.tag) == ("s", 7)
    assert (first.item.previous_seq, first.outcome) == (2, RowOutcome(1, 5, 5, False))
    if applied:
        log.apply(START_MS, draft.items)
        log.check()
        assert (log.newest("p1"), log.ids.by_id) == (3, {"s": 3})
        draft = LogDraft(log, START_MS)
    count = len(draft.items)
    for body in (0, 7):
        item, outcome = draft.settle(1, complete=True, profile=None, row_id="s", body=body)
        assert (item, outcome) == (None, RowOutcome(1, 0, 0, True))
    for seq in (1, 2):
        with pytest.raises(ApiError) as refused:
            draft.settle(seq, complete=False, profile=None, row_id="s", body=8)
        assert (refused.value.code, refused.value.status) == ("idempotency_conflict", 409)
    with pytest.raises(ApiError) as refused:
        draft.settle(1, complete=True, profile=None, row_id="t", body=7)
    assert refused.value.code == "transaction_settled"
    assert len(draft.items) == count
    second = draft.settle(2, complete=True, profile=None, row_id="t").item
    assert isinstance(second, Settle) and second.previous_seq == 3
    assert isinstance(row_after := draft.row(row("p1")).item, Row) and row_after.previous_seq == 4


@pytest.mark.parametrize("row_id", [None, "s"])
def test_a_row_of_another_player_is_not_settled(row_id: str | None) -> None:
    log = Log()
    write(log, row("p1", 5, state="pending"))
    draft = LogDraft(log, START_MS)
    with pytest.raises(ApiError) as refused:
        draft.settle(1, complete=True, profile=None, row_id=row_id, player_id="p2")
    assert (refused.value.code, refused.value.status) == ("forbidden", 403)
    assert draft.items == []
    mine = draft.settle(1, complete=True, profile=None, row_id=row_id, player_id="p1")
    assert mine.outcome == RowOutcome(1, 5, 5, False), "the id was not used up"


# Limits -----------------------------------------------------------------------------------------------------


def test_so_many_rows_are_pending_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_draft_module, "MOST_PENDING", 3)
    log = Log()
    waiting = [row(f"p{i}", state="pending", submission_id=f"id{i}") for i in range(5)]
    found = write(log, *waiting, row("p1"))
    assert codes(found) == [1, 2, 3, "overloaded", "overloaded", 4]
    error = found[3]
    assert isinstance(error, ApiError) and (error.status, error.retry_after_s) == (429, 1)
    assert codes(write(log, waiting[0], waiting[3])) == [1, "overloaded"], "a repeat needs no room"
    draft = LogDraft(log, START_MS)
    draft.settle(2, complete=False, profile=None)
    assert codes(draft.rows(waiting[3:])) == [6, "overloaded"], "what was settled makes room at once"
    log.apply(START_MS, draft.items)
    assert len(log.open.pending) == 3 and "id4" not in log.ids


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (row("p1", HUGE), row("p1", HUGE)),
        (row("p1", -HUGE), row("p1", -HUGE)),
        (row("p1", HUGE, state="pending"), row("p1", HUGE, state="pending")),
        (
            row("p1", HUGE, kind="deduct", state="pending"),
            row("p1", HUGE, kind="deduct", state="pending"),
        ),
        (row("p1", -HUGE, state="pending"), row("p1", HUGE, kind="deduct", state="pending")),
        (row("p1", HUGE, kind="set"), row("p1", HUGE)),
    ],
)
def test_sums_that_are_not_finite_are_refused(first: MetricRow, second: MetricRow) -> None:
    for together in (True, False):
        log = Log()
        second = second._replace(submission_id="again")
        found = write(log, first, second) if together else write(log, first) + write(log, second)
        error = found[1]
        assert isinstance(error, ApiError) and (error.code, error.status) == ("validation_failed", 422)
        assert error.details == [{"loc": ["score"], "msg": "the sum must stay finite"}]
        assert (log.seq, log.stats.rows, len(log.ids)) == (1, 1, 0)
        assert codes(write(log, row("p2", submission_id="again"))) == [2], "the id is free"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (row("p1", HUGE, state="pending"), row("p1", HUGE, kind="set", state="pending")),
        (row("p1", HUGE, state="pending"), row("p1", HUGE, kind="deduct", state="pending")),
        (row("p1", HUGE, state="pending"), row("p1", HUGE)),
        (row("p1", HUGE), row("p1", HUGE, kind="set")),
        (row("p1", HUGE), row("p1", -HUGE)),
    ],
)
def test_sums_that_are_finite_are_not(first: MetricRow, second: MetricRow) -> None:
    assert codes(write(Log(), first, second)) == [1, 2]


def test_earned_and_spent_stay_finite_though_the_balance_would() -> None:
    log = Log()
    found = write(log, row("p1", HUGE), row("p1", HUGE, kind="deduct"), row("p1", HUGE))
    assert codes(found) == [1, 2, "validation_failed"]
    found = write(log, row("p1", HUGE, kind="set"), row("p1", HUGE, kind="deduct"))
    assert codes(found) == [3, "validation_failed"]
    assert log.balance("p1") == (HUGE, HUGE, HUGE, 0, 3, START_MS)


def test_a_completion_that_would_not_be_finite_leaves_the_row_pending() -> None:
    log = Log()
    write(log, row("p1", HUGE), row("p1", HUGE, state="pending"))
    with pytest.raises(ApiError) as refused:
        settle(log, 2)
    assert refused.value.code == "validation_failed" and log.open.pending.keys() == {2}
    assert settle(log, 2, complete=False) == RowOutcome(2, HUGE, HUGE, False)
    assert log.balance("p1") == (HUGE, HUGE, 0, 0, 2, START_MS)


def test_nothing_is_left_over_when_nothing_is_pending() -> None:
    """0.1 + 0.2 - 0.1 - 0.2 is not 0 in doubles."""
    log = Log()
    write(log, *(row("p1", amount, state="pending") for amount in (0.1, 0.2)))
    for seq in (1, 2):
        settle(log, seq, complete=False)
    assert log.balance("p1") == (0, 0, 0, 0, 2, None)
    write(log, *(row("p1", amount, state="pending") for amount in (HUGE, -HUGE, HUGE, 1)))
    draft = LogDraft(log, START_MS)
    for seq in (log.seq - 2, log.seq, log.seq - 3, log.seq - 1):
        draft.settle(seq, complete=False, profile=None)
    log.apply(START_MS, draft.items)
    log.check()
    assert log.balance("p1") == (0, 0, 0, 0, 6, None)


def test_balances_are_exact_up_to_2_53_and_round_as_doubles_beyond() -> None:
    log = Log()
    found = write(log, row("p1", 2**53 - 1), row("p1", 1), row("p1", 1), row("p1", 3))
    sums = [one.balance for one in found if isinstance(one, RowOutcome)]
    assert repr(sums) == repr([2**53 - 1, 2**53, 2**53, float(2**53 + 4)])
    write(log, row("p1", 4, kind="deduct"))
    assert repr(log.balance("p1").balance) == repr(2**53)


doubles = st.floats(allow_nan=False, allow_infinity=False)
numbers = (st.integers(-MAX_EXACT_INTEGER, MAX_EXACT_INTEGER) | doubles).map(check_number)


@settings(deadline=None, max_examples=300)
@given(numbers, numbers)
def test_a_sum_is_the_nearest_double_in_normal_form(one: Any, other: Any) -> None:
    total = added(one, other)
    assert repr(total) == repr(plus(one, other))
    assert total is None or repr(check_number(total)) == repr(total)


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        (HUGE, HUGE, None),
        (-HUGE, -HUGE, None),
        (1.7976931348623157e308, 2**53, 1.7976931348623157e308),
        (2**53, 1, 2**53),
        (2**53, 2, float(2**53 + 2)),
        (0.5, 0.5, 1),
        (0.5, -0.5, 0),
        (-0.25, 0, -0.25),
    ],
)
def test_sums(one: Any, other: Any, total: Any) -> None:
    assert repr(added(one, other)) == repr(total)


# Repeats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("applied", [False, True])
def test_an_id_counts_once(applied: bool) -> None:
    log = Log()
    draft = LogDraft(log, START_MS)
    first = draft.row(row("p1", 5, submission_id="a"), body=7)
    draft.row(row("p1", 2, kind="deduct"))
    if applied:
        log.apply(START_MS, draft.items)
        draft = LogDraft(log, START_MS)
    count = len(draft.items)
    for body in (0, 7):
        item, outcome = draft.row(row("p1", 99, submission_id="a"), body)
        assert (item, outcome) == (None, RowOutcome(first.outcome.seq, 3, 5, True))
    for player_id, body in (("p2", 7), ("p2", 0), ("p1", 8)):
        with pytest.raises(ApiError) as refused:
            draft.row(row(player_id, submission_id="a"), body)
        assert (refused.value.code, refused.value.status) == ("idempotency_conflict", 409)
        with pytest.raises(ApiError):
            draft.known_seq("a", player_id, body)
    assert len(draft.items) == count
    assert (draft.known_seq("a", "p1"), draft.known_seq("b", "p1"), draft.known_seq(None, "p1")) == (1, 0, 0)


def test_a_refused_row_does_not_use_up_its_id() -> None:
    log = Log()
    spend = row("p1", 5, kind="deduct", submission_id="a")
    assert codes(write(log, spend, spend, row("p1", 5), spend, spend)) == [
        "insufficient_balance",
        "insufficient_balance",
        1,
        2,
        2,
    ]


def test_a_repeat_of_a_refused_id_by_another_player_is_a_row() -> None:
    found = write(Log(), row("p1", 5, kind="deduct", submission_id="a"), row("p2", submission_id="a"))
    assert codes(found) == ["insufficient_balance", 1]


@pytest.mark.parametrize("applied", [False, True])
def test_an_event_counts_once(applied: bool) -> None:
    log = Log()
    draft = LogDraft(log, START_MS)
    assert draft.events([event("a"), event("b", "p2")]) == [EventOutcome(1, False), EventOutcome(2, False)]
    if applied:
        log.apply(START_MS, draft.items)
        draft = LogDraft(log, START_MS)
    again, conflict, new = draft.events([event("a"), event("a", "p2"), event("c")])
    assert (again, new) == (EventOutcome(1, True), EventOutcome(3, False))
    assert isinstance(conflict, ApiError) and conflict.code == "idempotency_conflict"
    assert draft.items[-1][-1] == 1, "the row before"


# Times ------------------------------------------------------------------------------------------------------


def test_acknowledgements_never_go_back_in_time() -> None:
    log = Log()
    write(log, row("p1"))
    draft = LogDraft(log, START_MS - 60_000)
    item = draft.row(row("p1", occurred_at_ms=START_MS - 1)).item
    assert isinstance(item, Row) and (item.at_ms, item.occurred_at_ms) == (START_MS, START_MS - 1)
    item = draft.row(row("p1", occurred_at_ms=START_MS)).item
    assert isinstance(item, Row) and (item.at_ms, item.occurred_at_ms) == (START_MS, None)
    log.apply(START_MS - 60_000, draft.items)
    assert (log.last_ms, log.balance("p1").updated_at_ms, log.stats.last_at_ms) == (START_MS,) * 3


def test_a_tick_moves_on_what_comes_after_it_in_the_draft_too() -> None:
    log = Log()
    write(log, row("p1"))
    draft = LogDraft(log, START_MS - 60_000)
    assert draft.last_ms == START_MS
    draft.pass_time(START_MS + 5)
    item = draft.row(row("p1", occurred_at_ms=START_MS + 4)).item
    assert isinstance(item, Row) and (item.at_ms, item.occurred_at_ms) == (START_MS + 5, START_MS + 4)
    assert draft.last_ms == START_MS + 5
    draft.pass_time(START_MS + 1)
    assert draft.items[-1] == tick(START_MS + 5), "time never goes back"
    log.apply(START_MS, draft.items)
    log.check()
    assert (log.last_ms, log.seq, log.stats.rows) == (START_MS + 5, 4, 2)


def test_an_input_that_is_no_row_takes_a_seq_in_its_place() -> None:
    log = Log()
    draft = LogDraft(log, START_MS)
    draft.add(trim(0, START_MS))
    assert (draft.last_ms, draft.row(row("p1")).outcome.seq) == (START_MS, 2)


def test_an_account_is_let_go_of_when_it_is_empty_and_has_no_new_rows() -> None:
    log = Log()
    write(log, row("p1", 5), row("p2", 5))
    for empties, expected in ((False, 0), (True, 1)):
        if empties:
            draft = LogDraft(log, START_MS)
            draft.erase("p1")
            log.apply(START_MS, draft.items)
        draft = LogDraft(log, START_MS)
        draft.forget("p1")
        draft.forget("nobody")
        assert len(draft.items) == expected
        assert b"p1" not in pack(draft.items)
    log.apply(START_MS, draft.items)
    log.check()
    assert (log.has("p1"), log.has("p2")) == (False, True)
