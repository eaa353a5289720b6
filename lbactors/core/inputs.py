"""The inputs of a period as its journal keeps them: arrays that begin with their kind and their time.

A journal record's body is a `JournalBody`; its bytes are read for as long as a store lives, so nothing here
changes but by a new kind. An input is made here, and taken apart by `lbactors.core.period.Period` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgpack

from lbactors.core.definition import Rules
from lbactors.core.numbers import Number
from lbactors.core.packing import pack

#   SUBMIT     at_ms, player_id, score, subscore, metadata, submission_id, aggregation
#   REMOVE     at_ms, player_id
#   CONFIGURE  at_ms, rules
#   ERASE      at_ms, player_id, anonymous_id (None: the entry goes)
#   INHERIT    at_ms, newest_ms, [submission ids] of the period before: repeats are known across a boundary;
#              their tags (`lbactors.core.seen_ids`) where they are known
#   HIDE       at_ms, player_id, until_ms (None: for good)
#   SHOW       at_ms, player_id
#   EDIT       at_ms, player_id, score, subscore, metadata (subscore None, metadata False: as they are)
#   RESTORE    at_ms, player_id
#   TAGGED     as SUBMIT, and the tag of the request's body that made its id (`lbactors.core.seen_ids`)
#   IMPORT     at_ms, player_id, score, subscore, metadata, submissions, first_at_ms, updated_at_ms, replace
#   OCCURRED   as TAGGED (its tag may be 0), where the client said when it happened: at_ms is that time,
#              and that of the arrival in the other two
#   CLOSE      at_ms, reopened, ends_at_ms: which end of the period is final now
#   OUTSIDE    at_ms, player_id, input: that input (None: nothing else) of a player outside the audience
#   INSIDE     at_ms, player_id: who was outside belongs to the audience
#   FOLLOW     at_ms, position, read_ms; and the fields of `lbactors.core.followed.Terms` where they are new:
#              rows of the log up to there were taken, or passed over, the last acknowledged at read_ms
#   REFILL     at_ms, position, read_ms, terms: all entries go, the log is read again from there
#   AGAIN      at_ms: the next act on an entry that a refill has still to apply (also in an OUTSIDE)
SUBMIT, REMOVE, CONFIGURE, ERASE, INHERIT, HIDE, SHOW, EDIT, RESTORE, TAGGED, IMPORT, OCCURRED, CLOSE = range(
    13
)
OUTSIDE, INSIDE = 13, 14
FOLLOW, REFILL, AGAIN = 15, 16, 17
SUBMISSIONS = frozenset((SUBMIT, TAGGED, OCCURRED))

Input = Sequence[Any]

NAMELESS = frozenset((CONFIGURE, INHERIT, CLOSE, FOLLOW, REFILL, AGAIN))  # the kinds that are about no one

player_id_of = itemgetter(2)  # of every kind but those


def told_kind(item: Input) -> int:
    """The kind of an input, of what a player outside did the kind of that; of an AGAIN that, whatever it
    applies.
    """
    inner = item[3] if item[0] == OUTSIDE else None
    return int(item[0] if inner is None else inner[0])


def submit(row: Sequence[Any], at_ms: int, tag: int = 0) -> Input:
    """From the fields of a `Submission` that counts for its arrival. tag: of the body that made its id."""
    player_id, score, subscore, metadata, submission_id, _, aggregation = row
    if tag:
        return [TAGGED, at_ms, player_id, score, subscore, metadata, submission_id, aggregation, tag]
    return [SUBMIT, at_ms, player_id, score, subscore, metadata, submission_id, aggregation]


def occurred(row: Sequence[Any], at_ms: int, tag: int = 0) -> Input:
    """The same for one that happened at `at_ms`, before it arrived."""
    player_id, score, subscore, metadata, submission_id, _, aggregation = row
    return [OCCURRED, at_ms, player_id, score, subscore, metadata, submission_id, aggregation, tag]


def submit_all(rows: Iterable[Sequence[Any]], at_ms: int, tag: int = 0) -> list[Input]:
    """`submit` for many: the hottest loop before the journal."""
    if tag:
        return [submit(row, at_ms, tag) for row in rows]
    return [
        [SUBMIT, at_ms, player_id, score, subscore, metadata, submission_id, aggregation]
        for player_id, score, subscore, metadata, submission_id, _, aggregation in rows
    ]


def remove(player_id: str, at_ms: int) -> Input:
    return REMOVE, at_ms, player_id


def configure(rules: Rules, at_ms: int) -> Input:
    return CONFIGURE, at_ms, rules


def erase(player_id: str, anonymous_id: str | None, at_ms: int) -> Input:
    return ERASE, at_ms, player_id, anonymous_id


def inherit(submission_ids: Sequence[str], newest_ms: int, at_ms: int, tags: Sequence[int] = ()) -> Input:
    return (INHERIT, at_ms, newest_ms, submission_ids, *([tags] if any(tags) else []))


def hide(player_id: str, until_ms: int | None, at_ms: int) -> Input:
    return HIDE, at_ms, player_id, until_ms


def show(player_id: str, at_ms: int) -> Input:
    return SHOW, at_ms, player_id


def edit(
    player_id: str, score: Number, subscore: Number | None, metadata: bytes | bool | None, at_ms: int
) -> Input:
    return EDIT, at_ms, player_id, score, subscore, metadata


def restore(player_id: str, at_ms: int) -> Input:
    return RESTORE, at_ms, player_id


def import_entry(standing: Sequence[Any], replace: bool, at_ms: int) -> Input:
    """From the fields of an `ImportedEntry`. replace: also where the player has an entry."""
    return [IMPORT, at_ms, *standing, replace]


def close(reopened: int, ends_at_ms: int | None, at_ms: int) -> Input:
    return CLOSE, at_ms, reopened, ends_at_ms


def outside(player_id: str, at_ms: int, inner: Input | None = None) -> Input:
    """A player is outside the audience, and does what `inner` says. Whether a player is ranked whose entry
    does not exist yet must be known with what makes it, so it is journaled with that.
    """
    return [OUTSIDE, at_ms, player_id, inner]


def inside(player_id: str, at_ms: int) -> Input:
    return INSIDE, at_ms, player_id


def follow(position: int, read_ms: int, at_ms: int, terms: Sequence[Any] | None = None) -> Input:
    """Rows of the log up to `position` were taken. terms: the fields of `Terms`, where they are new."""
    return (FOLLOW, at_ms, position, read_ms, *([] if terms is None else [terms]))


def refill(position: int, read_ms: int, at_ms: int, terms: Sequence[Any]) -> Input:
    """Begin a period anew, from that place of its log on."""
    return REFILL, at_ms, position, read_ms, terms


def again(at_ms: int) -> Input:
    """Apply the next act that is pending. Whoever is outside must be known with it: then it goes into an
    `outside` of the act's player.
    """
    return AGAIN, at_ms


class JournalBody(NamedTuple):
    """What a journal record holds. `rules`: only in the first record of all. `now_ms`: the server's time.
    `inputs`: one for each seq of the record.
    """

    rules: Rules | None
    now_ms: int
    inputs: Sequence[Input]

    def pack(self) -> bytes:
        return pack(self)

    @classmethod
    def unpack(cls, body: bytes) -> JournalBody:
        """ValueError, TypeError or an error of msgpack if it is none."""
        rules, now_ms, inputs = msgpack.unpackb(body)
        return cls(None if rules is None else Rules(*rules), now_ms, inputs)
