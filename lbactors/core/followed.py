"""How far a projection's period has read its log, under which terms, and what moderators did at which place
of it. A part of `lbactors.core.period.Period`, which takes the inputs; as deterministic as that is.

A *projection* is a leaderboard that is computed from a log. Its period journals the place up to which it has
taken rows (`inputs.FOLLOW`) together with the inputs that came of them, so a row that is sent again is known
by its place, however late. Where rows were judged by what does not hold any more (`must_refill`) the period
begins anew (`inputs.REFILL`): its entries go, the rows are read again, and what moderators did to entries is
done again (`inputs.AGAIN`), each act at its place among the rows.

An **act** is an input that removes, edits or restores an entry, without the `inputs.OUTSIDE` around it: that
told who was outside then. An `OUTSIDE` around the `AGAIN` tells who is now. Only what was applied is kept,
and of a period the newest ACTS_KEPT: to a refill it is as if older ones had not been done.

An act that is made during a refill belongs where the refill is, before those that are still pending.

All is one part of a snapshot, `f:0`: MessagePack [terms, position, read_ms, acts, acts pending, is_filling],
fields as in `Followed`. It is packed as a whole when a snapshot begins (10 000 acts take about 5 ms), and not
at all where no log is followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgpack

from lbactors.core.inputs import EDIT, REMOVE, RESTORE, Input, player_id_of
from lbactors.core.lifecycle import grace_of
from lbactors.core.model import PeriodRecord
from lbactors.core.packing import pack

ACTS = frozenset((REMOVE, EDIT, RESTORE))
ACTS_KEPT = 10_000

Pause = tuple[int, int | None]  # [from, to) in ms; None: it goes on


class Terms(NamedTuple):
    """Under which rows are judged. generation: of what the leaderboard says about rows. reopened, ends_at_ms:
    of the period's record. pauses: when the leaderboard took no rows, by their acknowledgement; they do not
    overlap.
    """

    generation: int
    log_id: str
    reopened: int
    ends_at_ms: int | None
    pauses: tuple[Pause, ...] = ()

    @classmethod
    def of(cls, fields: Sequence[Any]) -> Terms:
        """From the fields as they are stored. ValueError or TypeError if they are none."""
        generation, log_id, reopened, ends_at_ms, pauses = fields
        return cls(
            generation, log_id, reopened, ends_at_ms, tuple((from_ms, to_ms) for from_ms, to_ms in pauses)
        )

    @property
    def reading(self) -> tuple[int, str, int]:
        """Where one differs, nothing that was read before counts."""
        return self.generation, self.log_id, self.reopened


class Act(NamedTuple):
    """What a moderator did to an entry, when the period had taken the rows of a log up to `position`.
    at_ms: the input's.
    """

    log_id: str
    position: int
    at_ms: int
    input: Input

    @property
    def player_id(self) -> str:
        return str(player_id_of(self.input))


class Followed:
    """terms: None before the first FOLLOW, and where no log is followed. position: seq in the log of the last
    row that was taken, or passed over. read_ms: when that was acknowledged, and no earlier than those before.
    acts: in the order in which they were applied. pending: those after them that a refill has still to apply.
    is_filling: it began anew, and lacks rows still: the terms that come next say that it has all.
    is_used, changed: as of any `WholePart`.
    """

    def __init__(self) -> None:
        self.terms: Terms | None = None
        self.position = 0
        self.read_ms = 0
        self.acts: list[Act] = []
        self.pending: list[Act] = []
        self.is_filling = False
        self.is_used = False
        self.changed = False

    def follow(self, position: int, read_ms: int, terms: Terms | None = None) -> None:
        """Rows up to there were taken. Back goes only another reading: of an older place nothing is new."""
        if terms is not None:
            if self.terms is None or terms.reading != self.terms.reading:
                self.position = self.read_ms = 0
            self.terms, self.is_filling = terms, False
        self.position = max(self.position, position)
        self.read_ms = max(self.read_ms, read_ms)
        self._note()

    def refill(self, position: int, read_ms: int, terms: Terms) -> None:
        """Begin anew at a place: all acts are to be applied again, in the order in which they were."""
        self.acts, self.pending = [], self.acts + self.pending
        self.terms, self.position, self.read_ms = terms, position, read_ms
        self.is_filling = True
        self._note()

    def is_due(self, seq: int, acknowledged_ms: int) -> bool:
        """Whether the next act that is pending comes before a row of the log. By their places where the act
        was made under this log, else by their times.
        """
        if not self.pending:
            return False
        act = self.pending[0]
        if self.terms is not None and act.log_id == self.terms.log_id:
            return act.position < seq
        return act.at_ms <= acknowledged_ms

    def keep(self, act: Input) -> None:
        """An act was applied; of a period that follows no log it is not kept."""
        if self.terms is None:
            return
        # Plain tuples, whether it was made or read.
        self.acts.append(Act(self.terms.log_id, self.position, act[1], tuple(act)))
        if len(self.acts) + len(self.pending) > ACTS_KEPT:
            del (self.acts if len(self.acts) > 1 else self.pending)[0]
        self._note()

    def done_again(self) -> None:
        """The first act that is pending was applied, or could not be."""
        self.acts.append(self.pending.pop(0))
        self._note()

    def mentions(self, player_id: str) -> bool:
        """Whether an act names a player. O(acts)."""
        return any(act.player_id == player_id for act in (*self.acts, *self.pending))

    def forget(self, player_id: str, anonymous_id: str | None) -> bool:
        """Erase a player: acts go, or stay under another name without metadata. Whether there were any."""
        if not self.mentions(player_id):
            return False
        self.acts = list(_without(self.acts, player_id, anonymous_id))
        self.pending = list(_without(self.pending, player_id, anonymous_id))
        self._note()
        return True

    def _note(self) -> None:
        self.is_used = self.changed = True

    def pack(self) -> bytes:
        """The part of a snapshot."""
        return pack([self.terms, self.position, self.read_ms, self.acts, self.pending, self.is_filling])

    def unpack(self, body: bytes) -> None:
        """Take what a part says. ValueError, TypeError or an error of msgpack if it is none."""
        terms, self.position, self.read_ms, acts, pending, self.is_filling = msgpack.unpackb(
            body, use_list=False
        )
        self.terms = None if terms is None else Terms.of(terms)
        self.acts, self.pending = [Act(*act) for act in acts], [Act(*act) for act in pending]
        self.is_used = True

    def check(self) -> None:
        """Assert every invariant."""
        acts = [*self.acts, *self.pending]
        assert len(acts) <= ACTS_KEPT, "too many acts are kept"
        assert all(act.input[0] in ACTS and act.input[1] == act.at_ms for act in acts), "no acts"
        assert self.terms is not None or not acts, "acts are kept, and no log is followed"
        assert self.is_used or (self.terms, self.position, self.changed) == (None, 0, False)


def _without(acts: Iterable[Act], player_id: str, anonymous_id: str | None) -> Iterable[Act]:
    for act in acts:
        if act.player_id != player_id:
            yield act
        elif anonymous_id is not None:
            kind, at_ms, _, *fields = act.input
            if kind == EDIT:
                score, subscore, metadata = fields
                fields = [score, subscore, False if metadata is False else None]
            yield act._replace(input=(kind, at_ms, anonymous_id, *fields))


def must_refill(followed: Followed, record: PeriodRecord, terms_now: Terms, grace_ms: int) -> bool:
    """Whether rows that an open period has read would be judged otherwise under its terms as they are now,
    so that it has to begin anew. A sealed one never has to: that is done only where it is asked for.

    grace_ms: of the definition as it is now.
    """
    terms = followed.terms
    if terms is None or record.sealed:
        return False
    if terms.reading != terms_now.reading:
        return True
    if terms.ends_at_ms != terms_now.ends_at_ms:
        # What was acknowledged before both ends happened before both.
        ends_ms = [ms for ms in (terms.ends_at_ms, terms_now.ends_at_ms) if ms is not None]
        if followed.read_ms >= min(ends_ms):
            return True
    # Rows that were acknowledged before its start, or when its grace was over, are none of its in any case.
    until_ms = followed.read_ms
    if record.ends_at_ms is not None:
        until_ms = min(until_ms, record.ends_at_ms + grace_of(record, grace_ms) - 1)
    return _differ(terms.pauses, terms_now.pauses, record.starts_at_ms or 0, until_ms)


def _differ(before: Iterable[Pause], now: Iterable[Pause], from_ms: int, until_ms: int) -> bool:
    """Whether at an instant in [from_ms, until_ms] there is a pause in only one of two lists."""
    gone, new = set(before) - set(now), set(now) - set(before)
    # Whether one holds changes at its bounds alone.
    bounds = {from_ms, *(ms for pause in gone | new for ms in pause if ms is not None)}
    return any(_holds(gone, ms) != _holds(new, ms) for ms in bounds if from_ms <= ms <= until_ms)


def _holds(pauses: Iterable[Pause], at_ms: int) -> bool:
    return any(from_ms <= at_ms and (to_ms is None or at_ms < to_ms) for from_ms, to_ms in pauses)
