"""Submissions on their way to a period actor, and what became of them.

A call carries thousands of them, so they stay the rows that they came as, in the order of `Submission`'s
fields; what reads or makes such rows stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from lbactors.core.errors import ApiError
from lbactors.core.model import Outcome, Submission
from lbactors.core.period import NO_RANK
from lbactors.core.snapshot_parts import Applied

SUBMIT, KNOWN = "submit", "known"
SubmissionRow = Sequence[Any]  # a `Submission`, as a list once it has travelled

submission_id_of = itemgetter(Submission._fields.index("submission_id"))
occurred_at_ms_of = itemgetter(Submission._fields.index("occurred_at_ms"))


class WriteOp(NamedTuple):
    """An operation on a chain. SUBMIT: `items` are submissions that arrived at `at_ms`, want: the ranks that
    are asked for (`lbactors.core.period`). KNOWN: `items` are submission ids, and those that the chain knows
    come back.
    """

    chain_id: str
    kind: str
    at_ms: int
    want: int
    items: Sequence[Any]


class WriteCall(NamedTuple):
    """Operations of one call; all times by the gateway's clock, `sent_ms` its now."""

    sent_ms: int
    ops: Sequence[WriteOp]

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> WriteCall:
        sent_ms, ops = wire
        return cls(sent_ms, [WriteOp(*op) for op in ops])


class Submitted:
    """What became of the submissions of one operation. `rows`, as they travel: where no ranks were wanted,
    [index, error] of each that was refused; else for each the fields of `Outcome` but the window and the
    player, or [error].
    """

    __slots__ = ("_want", "rows")

    def __init__(self, rows: Sequence[Any], want: int) -> None:
        self.rows = rows
        self._want = want

    @staticmethod
    def to_wire(results: Sequence[tuple[str, Applied] | ApiError], want: int) -> list[Any]:
        """The rows of results in the order of the submissions."""
        if want == NO_RANK:  # only what went wrong travels
            return [[i, r.to_wire()] for i, r in enumerate(results) if isinstance(r, ApiError)]
        rows: list[Any] = []
        for result in results:
            if isinstance(result, ApiError):
                rows.append([result.to_wire()])
                continue
            key, done = result
            entry, old = done.entry, done.previous
            rows.append(
                [
                    key,
                    done.applied,
                    None if entry is None else entry.score,
                    None if entry is None else entry.subscore,
                    None if old is None else old.score,
                    done.rank,
                    done.previous_rank,
                    done.seq,
                    done.duplicate,
                ]
            )
        return rows

    @property
    def says_nothing(self) -> bool:
        """Whether there is nothing to tell: all were taken, and nothing else was asked."""
        return not self.rows and self._want == NO_RANK

    def refusals(self) -> dict[int, ApiError]:
        """Those that were refused, by index."""
        if self._want == NO_RANK:
            return {index: ApiError.from_wire(wire) for index, wire in self.rows}
        return {index: ApiError.from_wire(row[0]) for index, row in enumerate(self.rows) if len(row) == 1}

    def outcome(self, index: int, window: str, player_id: str) -> Outcome:
        """Of one that was taken; ranks must have been wanted."""
        key, *rest = self.rows[index]
        return Outcome(window, key, player_id, *rest)
