"""Which period takes a row: by when it happened, and whether the period was over when it was acknowledged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lbactors.core.inputs import OCCURRED, SUBMIT
from lbactors.core.model import PeriodRecord
from lbactors.period_actor.log_scores import Scores
from lbactors.period_actor.row_placement import NotOpenYet, RowPlacement
from lbactors.wire.chain_spec import Follows

HOUR_MS = 3_600_000
GRACE_MS = 5000


class Open:
    """An open period, as far as placing needs it."""

    def __init__(self, record: PeriodRecord) -> None:
        self.record = record


def period(serial: int, starts_ms: int, ends_ms: int | None, **more: Any) -> Any:
    return Open(PeriodRecord(serial, f"p{serial}", starts_ms, ends_ms, False, 0, 0, 0, **more))


class Chain:
    """Two hours, the second of which goes on, unless others are given."""

    def __init__(self, *periods: Any, late_arrival: bool = False, sealed: PeriodRecord | None = None) -> None:
        self.open = list(periods or (period(1, 0, HOUR_MS), period(2, HOUR_MS, 2 * HOUR_MS)))
        self.last_sealed = sealed
        self.spec = SimpleNamespace(grace_ms=GRACE_MS, late_arrival=late_arrival)

    def is_between(self, at_ms: int, zone: str = "") -> bool:
        return at_ms >= (self.open[-1].record.ends_at_ms or float("inf"))


def placement(chain: Chain, **follows: Any) -> RowPlacement:
    fields: dict[str, Any] = {"from_ms": 0, "pauses": (), **follows}
    return RowPlacement(cast("Any", chain), Follows("log", {}, generation=1, **fields))


def taken(chain: Chain, at_ms: int, acked_ms: int, **follows: Any) -> int | None:
    """Serial of the period that takes a row."""
    found = placement(chain, **follows).taking(at_ms, acked_ms, "")
    return None if found is None else found.record.serial


def scores(*rows: tuple[int, int, int | None]) -> Scores:
    """Of rows: seq, acknowledged, occurred."""
    inputs = [
        [SUBMIT, acked, "p", 1, 0, None, None, None]
        if occurred is None
        else [OCCURRED, occurred, "p", 1, 0, None, None, None, 0]
        for _, acked, occurred in rows
    ]
    return Scores([seq for seq, *_ in rows], [acked for _, acked, _ in rows], inputs, [None] * len(rows))


@pytest.mark.parametrize(
    ("at_ms", "acked_ms", "serial"),
    [
        (10, 10, 1),
        (HOUR_MS - 1, HOUR_MS - 1, 1),
        (HOUR_MS, HOUR_MS, 2),
        (10, HOUR_MS + GRACE_MS - 1, 1),  # late, within the grace
        (10, HOUR_MS + GRACE_MS, None),
    ],
)
def test_a_row_counts_when_it_happened_unless_that_was_over(
    at_ms: int, acked_ms: int, serial: int | None
) -> None:
    assert taken(Chain(), at_ms, acked_ms) == serial


def test_late_rows_count_when_they_arrive_where_that_is_wanted() -> None:
    assert taken(Chain(late_arrival=True), 10, HOUR_MS + GRACE_MS) == 2
    late = Chain(period(2, HOUR_MS, None), late_arrival=True, sealed=period(1, 0, HOUR_MS).record)
    assert taken(late, 10, HOUR_MS + GRACE_MS) == 2
    assert taken(late, 10, HOUR_MS + 1) is None, "the closed one took it"


def test_a_forced_end_has_no_grace() -> None:
    chain = Chain(period(1, 0, 100, forced=True), period(2, 100, None))
    assert (taken(chain, 99, 99), taken(chain, 99, 100), taken(chain, 100, 100)) == (1, None, 2)


def test_rows_of_a_period_that_is_to_be_opened_wait() -> None:
    with pytest.raises(NotOpenYet):
        taken(Chain(), 2 * HOUR_MS, 2 * HOUR_MS)
    rows = scores((1, 2 * HOUR_MS - 1, None), (2, 2 * HOUR_MS, None))
    chain = Chain()
    with pytest.raises(NotOpenYet):
        placement(chain).place(rows, 0)
    found = placement(chain).place(rows, 0, alone=chain.open[1])
    assert [len(inputs) for inputs in found.values()] == [1], "a fill of another period does not"


def test_what_came_before_or_in_a_pause_counts_nowhere() -> None:
    assert taken(Chain(), 10, 10, from_ms=11) is None
    pauses = ((5, 10), (20, None))
    assert [taken(Chain(), ms, ms, pauses=pauses) for ms in (4, 5, 9, 10, 19, 20, HOUR_MS)] == [
        1, None, None, 1, 1, None, None,
    ]  # fmt: skip


def test_rows_are_placed_from_a_seq_on() -> None:
    chain = Chain()
    rows = scores((4, 10, None), (5, 11, None), (7, HOUR_MS, None), (8, HOUR_MS, 12))
    found = placement(chain).place(rows, 4)
    assert {a.record.serial: [item[1] for item in inputs] for a, inputs in found.items()} == {
        1: [11, 12],
        2: [HOUR_MS],
    }
    together = placement(chain).place(scores((1, 10, None), (2, 11, None)), 0)
    assert [a.record.serial for a in together] == [1]


def test_an_old_period_is_filled_where_a_newer_one_covers_its_time() -> None:
    """An hour is computed anew after the timeframe became daily: the day has the hour's rows, too."""
    hour, day = period(3, HOUR_MS, 2 * HOUR_MS), period(4, 0, 24 * HOUR_MS)
    chain = Chain(hour, day)
    rows = scores((1, HOUR_MS + 1, None), (2, HOUR_MS + 2, None))
    assert [a.record.serial for a in placement(chain).place(rows, 0)] == [4], "live ones are the day's"
    assert [len(i) for i in placement(chain).place(rows, 0, alone=hour).values()] == [2]
    assert [len(i) for i in placement(chain).place(rows, 0, alone=day).values()] == [2]
