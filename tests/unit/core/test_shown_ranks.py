"""Ranks beyond `top_only` are not shown."""

from __future__ import annotations

import pytest

from lbactors.core.model import Outcome, PeriodView, Reading, Row
from lbactors.core.shown_ranks import shown_outcome, shown_rank, shown_reading, shown_row

VIEW = PeriodView(1, "all_time", "main", "active", None, None, None, 3, 3)


def row(rank: int | None, change: str | None = "up") -> Row:
    return Row(rank, f"p{rank}", 5, 0, None, 1, 0, 0, change)


@pytest.mark.parametrize(
    ("rank", "top_only", "shown"),
    [(1, None, 1), (10**8, None, 10**8), (3, 3, 3), (4, 3, None), (None, 3, None), (None, None, None)],
)
def test_a_rank(rank: int | None, top_only: int | None, shown: int | None) -> None:
    assert shown_rank(rank, top_only) == shown


def test_an_entry_says_nothing_of_a_rank_that_is_not_shown() -> None:
    assert shown_row(row(3), 3) == row(3)
    assert shown_row(row(4), 3) == row(4)._replace(rank=None, change=None)
    assert shown_row(row(None, "new"), 3) == row(None, "new")


def test_all_entries_of_an_answer_stay() -> None:
    rows = [row(1), row(1), row(3), row(4)]
    reading = Reading(VIEW, 4, 9, rows, 0, edges=((5, 0, 1), (5, 0, 2)))
    assert shown_reading(reading, None) is reading
    shown = shown_reading(reading, 2)
    assert [r.rank for r in shown.rows] == [1, 1, None, None]
    assert [r.player_id for r in shown.rows] == [r.player_id for r in rows]
    assert shown._replace(rows=rows) == reading
    assert reading.rows is rows and rows[3].rank == 4


def test_an_outcome_has_two_ranks() -> None:
    outcome = Outcome("main", "all_time", "p", True, 5, 0, 4, 3, 12, 7, False)
    assert shown_outcome(outcome, 3) == outcome._replace(previous_rank=None)
    assert shown_outcome(outcome, 2) == outcome._replace(rank=None, previous_rank=None)
    assert shown_outcome(outcome, None) == outcome
