"""`ranking.top_only`: ranks that readers do not see.

A period knows the rank of every entry, and rewards go by it. Here is what becomes of an answer on its way to
a reader: a rank beyond the limit is null, and so is the comparison with the period before, which would tell
where it moves. top_only None: all ranks are shown.
"""

from __future__ import annotations

from lbactors.core.model import Outcome, Reading, Row


def shown_rank(rank: int | None, top_only: int | None) -> int | None:
    """The rank, or None where it is not shown."""
    return rank if rank is None or top_only is None or rank <= top_only else None


def shown_row(row: Row, top_only: int | None) -> Row:
    """An entry with its rank as it is shown."""
    return row if shown_rank(row.rank, top_only) == row.rank else row._replace(rank=None, change=None)


def shown_reading(reading: Reading, top_only: int | None) -> Reading:
    """An answer of entries, each with its rank as it is shown."""
    if top_only is None:
        return reading
    return reading._replace(rows=[shown_row(row, top_only) for row in reading.rows])


def shown_outcome(outcome: Outcome, top_only: int | None) -> Outcome:
    """What became of a submission, with the ranks before and after as they are shown."""
    rank = shown_rank(outcome.rank, top_only)
    return outcome._replace(rank=rank, previous_rank=shown_rank(outcome.previous_rank, top_only))
