"""Runs come out as blocks in order, however they went in, and a large board is never sorted in one step."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core import sorted_runs
from lbactors.core.ranking import Ranking
from lbactors.core.sorted_runs import SortedRuns


def filled(runs: list[list[int]]) -> SortedRuns:
    """Runs of players with these scores; the seqs follow each other."""
    gathered = Ranking("asc").runs()
    seq = 0
    for scores in runs:
        seqs = range(seq, seq + len(scores))
        gathered.add([f"p{n}" for n in seqs], scores, [0] * len(scores), seqs)
        seq += len(scores)
    return gathered


@settings(deadline=None, max_examples=200)
@given(
    runs=st.lists(st.lists(st.integers(-5, 5), max_size=12), max_size=8),
    length=st.integers(1, 9),
    piece_keys=st.integers(1, 20),
)
def test_blocks_hold_all_keys_in_order(runs: list[list[int]], length: int, piece_keys: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_runs, "PIECE_KEYS", piece_keys)
        gathered = filled(runs)
        keys = sorted(key for run in gathered._runs for key in run)
        blocks = list(gathered.blocks(length))
    assert [key for block in blocks for key in block] == keys
    assert all(len(block) == length for block in blocks[:-1])
    assert all(blocks), "no block is empty"
    scores = [score for run in runs for score in run]
    assert [gathered.slots[key & 0xFFFFFFFF] for key in keys] == [
        f"p{n}" for n in sorted(range(len(scores)), key=lambda n: (scores[n], n))
    ]


@pytest.mark.parametrize("shape", ["random", "rising", "equal", "one run"])
def test_no_piece_is_much_larger_than_the_others(shape: str) -> None:
    rng = random.Random(3)
    scores = [
        0 if shape == "equal" else n if shape == "rising" else rng.randrange(10**6) for n in range(60_000)
    ]
    run_length = 60_000 if shape == "one run" else 2048
    gathered = filled([scores[start : start + run_length] for start in range(0, 60_000, run_length)])
    pieces = [len(piece) for piece in gathered._pieces()]
    assert sum(pieces) == 60_000 and len(pieces) == 4
    assert max(pieces) < 2 * sorted_runs.PIECE_KEYS
