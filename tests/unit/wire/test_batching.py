"""What goes into one batch."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from lbactors.wire.batching import take_batch


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(0, 30))
def test_a_batch_is_the_longest_that_fits_and_never_empty(weights: list[int], limit: int) -> None:
    waiting = deque(weights)
    batch = take_batch(waiting, lambda weight: weight, limit)
    assert [*batch, *waiting] == weights and batch
    assert len(batch) == 1 or sum(batch) <= limit
    assert not waiting or sum(batch) + waiting[0] > limit
