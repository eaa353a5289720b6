"""Many entries on their way into an empty ranking: run after run comes in, sorted blocks go out.

Idea: what is loaded comes in parts of some thousand entries. Each part becomes a *run*: its keys, sorted
while they are still in the processor's cache. At the end the runs are cut at the same *pivots*; the pieces
between two pivots are merged; what was sorted once is not sorted again (list.sort finds the runs in a list).

Departs from one sort of everything, which is as fast, in that no single step is long: other threads get the
interpreter's lock between steps of some milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from lbactors.core.numbers import Number
from lbactors.core.rank_keys import exact_sum, keys_of, sum_of_two

PIECE_KEYS = 16_384  # keys merged in one step: about 5 ms
SAMPLES_A_PIECE = 64  # pivots are quantiles of a sample; with so many no piece is twice the mean


class SortedRuns:
    """Entries gathered for one ranking. `add` in parts, then `Ranking.take`.

    falling, subscores_falling, last_leads: the ranking's order, see `rank_keys.keys_of`.
    """

    def __init__(self, *, falling: bool, subscores_falling: bool, last_leads: bool) -> None:
        self._falling = falling
        self._subscores_falling = subscores_falling
        self._last_leads = last_leads
        self.slots: list[str] = []  # player ids; a key's slot is an index into it
        self.sum = self.sum_shift = 0  # of all scores, exactly: sum / 2**sum_shift
        self._runs: list[list[int]] = []

    def add(
        self,
        player_ids: Sequence[str] = (),
        scores: Sequence[Number] = (),
        subscores: Sequence[Number] = (),
        seqs: Sequence[int] = (),
    ) -> None:
        """Take some thousand entries, given as columns of one length.

        Numbers must be finite, ints within ±2**53, seqs in range: those of entries that were ranked before.
        """
        if not player_ids:
            return
        keys = keys_of(
            scores,
            subscores,
            seqs,
            len(self.slots),
            falling=self._falling,
            subscores_falling=self._subscores_falling,
            last_leads=self._last_leads,
        )
        self.slots += player_ids
        self.sum, self.sum_shift = sum_of_two(self.sum, self.sum_shift, *exact_sum(scores))
        keys.sort()
        self._runs.append(keys)

    def blocks(self, length: int) -> Iterator[list[int]]:
        """All keys in order, in lists of `length` (the last may be shorter). Call it once."""
        rest: list[int] = []
        for piece in self._pieces():
            piece[:0] = rest
            whole = len(piece) - len(piece) % length
            for start in range(0, whole, length):
                yield piece[start : start + length]
            rest = piece[whole:]
        if rest:
            yield rest

    def _pieces(self) -> Iterator[list[int]]:
        """All keys in order, cut into pieces of about `PIECE_KEYS`."""
        runs, self._runs = self._runs, []
        pieces = -(-len(self.slots) // PIECE_KEYS)
        step = max(1, PIECE_KEYS // SAMPLES_A_PIECE)
        sample = sorted(key for run in runs for key in run[::step])
        pivots = [sample[len(sample) * number // pieces] for number in range(1, pieces)]
        # From the end, so that what a piece took can be cut off and given back.
        cuts = [[*(len(run) - bisect_left(run, pivot) for pivot in pivots), 0] for run in runs]
        for run in runs:
            run.reverse()
        for number in range(pieces):
            piece: list[int] = []
            for run, cut in zip(runs, cuts, strict=True):
                piece += run[cut[number] :]
                del run[cut[number] :]
            piece.sort()
            # Made anew, keys that are compared together lie together in memory, which a bisection of a large
            # index feels: 2 µs of the 10 of an update.
            yield [key + 0 for key in piece]
