"""Scores on their way to period actors, and what becomes of them.

An actor makes thousands of inputs from one call, so what travels stays a row (a list) until somebody looks
at it; which place holds what stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from lbactors.core.errors import ApiError
from lbactors.core.model import Outcome, Submission
from lbactors.core.period import NO_RANK
from lbactors.core.snapshot_parts import Applied

SubmissionRow = Sequence[Any]  # a `Submission`, as a list once it has travelled

player_id_of = itemgetter(Submission._fields.index("player_id"))
score_of = itemgetter(Submission._fields.index("score"))
submission_id_of = itemgetter(Submission._fields.index("submission_id"))
occurred_at_ms_of = itemgetter(Submission._fields.index("occurred_at_ms"))
aggregation_of = itemgetter(Submission._fields.index("aggregation"))

# What one window says to a submission: the key of the period that has it, and the result; or the code of why
# it was passed over, or DUPLICATE of a repeat that no period of the window can show anything of now.
DUPLICATE = "duplicate"
TakenBy = tuple[str, Applied] | str
# What a leaderboard says: why it was refused; what each window says, in their order; or nothing more than
# that it was taken, where nothing more was asked.
Verdict = ApiError | list[TakenBy] | None


class WriteOp(NamedTuple):
    """Submissions to a leaderboard (`lbactors.core.ids.board_uid`) that arrived at `at_ms`. want: the ranks
    that are asked for (`lbactors.core.period`). windows: that they feed, main first. tag: of the body that
    made all their ids (`lbactors.core.seen_ids`), or 0. zones: of each item's player, where the periods are
    player-local; else none.
    """

    board_id: str
    at_ms: int
    want: int
    items: Sequence[SubmissionRow]
    windows: Sequence[str]
    tag: int = 0
    zones: Sequence[str] = ()

    def to_wire(self) -> Sequence[Any]:
        """As it travels. The last field is there only where it says something."""
        return self if self.zones else self[:-1]


class WriteCall(NamedTuple):
    """Operations of one call; all times by the gateway's clock, `sent_ms` its now."""

    sent_ms: int
    ops: Sequence[WriteOp]

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> WriteCall:
        sent_ms, ops = wire
        return cls(sent_ms, [WriteOp(*op) for op in ops])

    def to_wire(self) -> Sequence[Any]:
        return self.sent_ms, [op.to_wire() for op in self.ops]


class Submitted:
    """What became of the submissions of one operation. `rows`, as they travel: where no ranks were wanted,
    [index, error] of each that was refused; else for each [error], or [None, a row for each window]: the
    fields of `Outcome` but the window and the player, or [why it was passed over, or DUPLICATE].
    """

    __slots__ = ("_want", "rows")

    def __init__(self, rows: Sequence[Any], want: int) -> None:
        self.rows = rows
        self._want = want

    @staticmethod
    def to_wire(verdicts: Sequence[Verdict], want: int) -> list[Any]:
        """The rows of verdicts in the order of the submissions."""
        if want == NO_RANK:  # only what went wrong travels
            return [[i, v.to_wire()] for i, v in enumerate(verdicts) if isinstance(v, ApiError)]
        rows: list[Any] = []
        for verdict in verdicts:
            if isinstance(verdict, ApiError):
                rows.append([verdict.to_wire()])
            else:
                rows.append([None, [_row(taken) for taken in verdict or ()]])
        return rows

    @property
    def says_nothing(self) -> bool:
        """Whether there is nothing to tell: all were taken, and nothing else was asked."""
        return not self.rows and self._want == NO_RANK

    def answers(
        self, submissions: Sequence[Submission], windows: Sequence[str]
    ) -> list[list[Outcome] | ApiError]:
        """For each its outcomes, one a window, or why it was refused. Without ranks the lists are empty."""
        found: list[list[Outcome] | ApiError] = []
        if self._want == NO_RANK:
            refused = {index: ApiError.from_wire(wire) for index, wire in self.rows}
            nothing: list[Outcome] = []
            return [refused.get(index, nothing) for index in range(len(submissions))]
        for submission, (error, *rest) in zip(submissions, self.rows, strict=True):
            if error is not None:
                found.append(ApiError.from_wire(error))
                continue
            named = zip(windows, rest[0], strict=True)
            found.append([_outcome(window, submission.player_id, row) for window, row in named])
        return found


def _row(taken: TakenBy) -> list[Any]:
    if isinstance(taken, str):
        return [taken]
    key, done = taken
    entry, old = done.entry, done.previous
    return [
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


def _outcome(window: str, player_id: str, row: Sequence[Any]) -> Outcome:
    key, *rest = row
    if rest:
        return Outcome(window, key, player_id, *rest)
    if key == DUPLICATE:
        return Outcome.unseen_repeat(window, player_id)
    return Outcome.passed_over(window, player_id, key)
