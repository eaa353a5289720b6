"""Old closed periods in a few bytes each: what went in comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbactors.core.lifecycle import Stage
from lbactors.core.model import PeriodRecord
from lbactors.core.past_periods import PastPeriods

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
    later = PeriodRecord(2, "b", 5, 6, True, 0, 0, 0, stage=Stage.COMPLETE)
    past.add([later])
    with pytest.raises(AssertionError):
        past.add([later._replace(serial=1)])
