"""Columns of keys against the keys that a ranking makes one by one, and sums against fractions."""

from __future__ import annotations

import sys
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbactors.core.rank_keys import SEQ_MAX, SLOT_MASK, Number, exact_sum, keys_of
from lbactors.core.ranking import Ranking

doubles = st.floats(allow_nan=False, allow_infinity=False)
numbers = doubles | st.integers(-(2**53), 2**53)
EDGES: list[Number] = [0, -0.0, 0.0, 5e-324, -5e-324, 1, -1, 2**53, -(2**53), 1.5e308, -sys.float_info.max]


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("subscore_order", ["desc", "asc"])
@pytest.mark.parametrize("tie_breaking", ["first", "last"])
@settings(deadline=None, max_examples=60)
@given(
    results=st.lists(st.tuples(numbers, st.sampled_from(EDGES) | numbers), min_size=1, max_size=12),
    seqs=st.lists(st.sampled_from([0, 1, 7, 2**32, SEQ_MAX]), min_size=12, max_size=12),
    same_subscore=st.booleans(),
)
@example([(edge, edge) for edge in EDGES], [SEQ_MAX] * 12, False)
@example([(edge, -0.0) for edge in EDGES], list(range(12)), True)
def test_a_column_of_keys_is_what_upsert_makes(
    order: str,
    subscore_order: str,
    tie_breaking: str,
    results: list[tuple[Number, Number]],
    seqs: list[int],
    same_subscore: bool,
) -> None:
    if same_subscore:
        results = [(score, results[0][1]) for score, _ in results]
    ranking = Ranking(order, subscore_order, tie_breaking)  # type: ignore[arg-type]
    for place, (score, subscore) in enumerate(results):
        ranking.upsert(f"p{place}", score, subscore, seqs[place])
    scores, subscores = zip(*results, strict=True)
    keys = keys_of(
        scores,
        subscores,
        seqs[: len(results)],
        0,
        falling=order == "desc",
        subscores_falling=subscore_order == "desc",
        last_leads=tie_breaking == "last",
    )
    assert keys == sorted(ranking._index, key=lambda key: key & SLOT_MASK)


@settings(deadline=None)
@given(st.lists(numbers, max_size=20))
@example([5e-324, 1.7e308])  # no power of two makes both of them exact integers below the largest double
@example([5e-324, -5e-324, 2.5e-310])
@example([0.0, -0.0])
@example([0.1] * 10 + [2**53])
def test_sums_are_exact(summands: list[Number]) -> None:
    units, shift = exact_sum(summands)
    assert Fraction(units, 2**shift) == sum(map(Fraction, summands), Fraction(0))
