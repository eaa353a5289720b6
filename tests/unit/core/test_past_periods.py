"""Old closed periods in a few bytes each: what went in comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbactors.core.lifecycle import Stage
from lbactors.core.model import PeriodRecord
from lbactors.core.past_periods import PastPeriod, PastPeriods

records = st.lists(
    st.tuples(st.text("0123456789-WT:Zé", min_size=1), st.none() | st.integers(-(10**13), 10**14)),
    max_size=30,
).map(
    lambda rows: [
        PeriodRecord(serial, key, starts_ms, (starts_ms or 0) + 5, True, 0, 0, 0, stage=Stage.COMPLETE)
        for serial, (key, starts_ms) in enumerate(rows, start=1)
    ]
)


@given(records, st.sets(st.integers(0, 31)))
def test_what_went_in_comes_out(made: list[PeriodRecord], serials: set[int]) -> None:
    past = PastPeriods()
    past.add(made[: len(made) // 2])
    past.add(made[len(made) // 2 :])
    rows = [(r.serial, r.key, r.starts_at_ms, r.ends_at_ms) for r in made]
    assert [tuple(p) for p in past] == rows and len(past) == len(rows)
    assert list(past.ends()) == [(serial, ends_ms) for serial, _, _, ends_ms in rows]
    gone = past.remove(serials)
    assert [tuple(p) for p in gone] == [row for row in rows if row[0] in serials]
    assert [tuple(p) for p in past] == [row for row in rows if row[0] not in serials]
    assert past.keys() == [p.key for p in past]


def test_periods_come_in_order() -> None:
    past = PastPeriods()
    first, second, third = (
        PeriodRecord(n, key, n, n + 1, True, 0, 0, 0, stage=Stage.COMPLETE) for n, key in enumerate("abc", 1)
    )
    past.add([third])
    past.add([first])  # it was computed anew
    past.add([second])
    assert [(p.serial, p.key) for p in past] == [(1, "a"), (2, "b"), (3, "c")]
    with pytest.raises(AssertionError):
        past.add([third])


def test_the_period_that_follows_an_old_one() -> None:
    """Of one that is computed anew, and not among them meanwhile."""
    past = PastPeriods()
    ends = {1: 10, 2: 40, 3: 20, 4: 30}  # a second part of a player-local date has a higher serial
    records = {s: PeriodRecord(s, f"k{s}", end - 10, end, True, 0, 0, 0) for s, end in ends.items()}
    past.add([record for serial, record in records.items() if serial != 1])
    following = [past.after(records[serial]) for serial in (1, 3, 4, 2)]
    assert [None if found is None else found.serial for found in following] == [3, 4, 2, None]
    assert following[0] == PastPeriod(3, "k3", 10, 20)
    assert past.after(PeriodRecord(9, "k9", 0, 15, False, 0, 0, 0)) is None, "what is younger has records"
    assert past.after(records[1]._replace(ends_at_ms=None)) is None
    assert PastPeriods().after(records[1]) is None
