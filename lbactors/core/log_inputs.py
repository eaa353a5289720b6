"""The inputs of a log as its journal keeps them: arrays that begin with their kind and the time at which they
were acknowledged, which never falls from one to the next.

A journal record's body is a `core.inputs.JournalBody`, as in a period, without rules. The records *are* the
log: leaderboards read them, whoever asks for transactions does, and a rebuild years later will. So nothing
here changes but by a new kind, and a row says all that a reader needs: what it did to the balance, and the
player's profile at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from lbactors.core.log_model import ROW_KINDS, EventRow, MetricRow, RowKind
from lbactors.core.numbers import Number

#   ROW      at_ms, player_id, kind, is_pending, amount, subscore, metadata, submission_id, occurred_at_ms,
#            tag, delta, balance, profile, previous_seq
#            kind: place in ROW_KINDS. tag: of the body that made the id (`core.seen_ids`), or 0. delta: how
#            the row changed the balance; balance: what it was after it. previous_seq: of the player's row
#            before, 0 for none
#   SETTLE   at_ms, player_id, seq, is_completed, kind, amount, subscore, metadata, occurred_at_ms, delta,
#            balance, profile, row_id, tag, previous_seq: the pending row `seq` counts from here on, or
#            never will. row_id: of the request, by which a repeat is known
#   EVENT    at_ms, player_id, event_type, event_id, occurred_at_ms, attrs, actor_metadata, profile,
#            previous_seq
#   TICK     at_ms: every row after it is acknowledged at that time or later
#   ERASE    at_ms, hashed, newest: the account whose newest input that is is empty; it still leads to the
#            rows that are to go. hashed: crc32 of its player's id, by which it is found; nothing here names
#            him, so these inputs can stay
#   FORGET   at_ms, hashed, newest: the rows are gone, and so is the account, unless there are new ones
#   ERASED   at_ms, previous_seq: stands in place of an input of a player who was erased since
#   TRIM     at_ms, seq: rows up to `seq` are not kept any more
ROW, SETTLE, EVENT, TICK, ERASE, FORGET, ERASED, TRIM = range(8)

LogInput = Sequence[Any]
AccountPlace = tuple[int, int]  # hashed, newest: see ERASE

at_ms_of = itemgetter(1)  # of every kind
AWARD, DEDUCT, SET = range(len(ROW_KINDS))
KIND_NUMBERS: dict[RowKind, int] = {kind: number for number, kind in enumerate(ROW_KINDS)}


class Row(NamedTuple):
    """A ROW, taken apart."""

    type: int
    at_ms: int
    player_id: str
    kind: int
    is_pending: bool
    amount: Number
    subscore: Number
    metadata: bytes | None
    submission_id: str | None
    occurred_at_ms: int | None
    tag: int
    delta: Number
    balance: Number
    profile: bytes | None
    previous_seq: int


class Settle(NamedTuple):
    """A SETTLE, taken apart."""

    type: int
    at_ms: int
    player_id: str
    seq: int
    is_completed: bool
    kind: int
    amount: Number
    subscore: Number
    metadata: bytes | None
    occurred_at_ms: int | None
    delta: Number
    balance: Number
    profile: bytes | None
    row_id: str | None
    tag: int
    previous_seq: int


class Event(NamedTuple):
    """An EVENT, taken apart."""

    type: int
    at_ms: int
    player_id: str
    event_type: str
    event_id: str
    occurred_at_ms: int | None
    attrs: bytes | None
    actor_metadata: bytes | None
    profile: bytes | None
    previous_seq: int


def row(
    asked: MetricRow,
    at_ms: int,
    occurred_at_ms: int | None,
    tag: int,
    delta: Number,
    balance: Number,
    previous_seq: int,
) -> Row:
    """`occurred_at_ms`: None if that is not before `at_ms`; of a pending row, if none was given."""
    player_id, kind, state, amount, subscore, metadata, submission_id, _, profile = asked
    number = KIND_NUMBERS[kind]
    fields = (
        ROW,
        at_ms,
        player_id,
        number,
        state == "pending",
        amount,
        subscore,
        metadata,
        submission_id,
        occurred_at_ms,
        tag,
        delta,
        balance,
        profile,
        previous_seq,
    )
    return tuple.__new__(Row, fields)  # without the Python constructor, which costs twice as much


def event(asked: EventRow, at_ms: int, occurred_at_ms: int | None, previous_seq: int) -> Event:
    """`occurred_at_ms`: None if that is not before `at_ms`."""
    event_id, event_type, player_id, _, attrs, actor_metadata, profile = asked
    return Event(
        EVENT,
        at_ms,
        player_id,
        event_type,
        event_id,
        occurred_at_ms,
        attrs,
        actor_metadata,
        profile,
        previous_seq,
    )


def tick(at_ms: int) -> LogInput:
    return TICK, at_ms


def erase(place: AccountPlace, at_ms: int) -> LogInput:
    return ERASE, at_ms, *place


def forget(place: AccountPlace, at_ms: int) -> LogInput:
    return FORGET, at_ms, *place


def erased(item: LogInput) -> LogInput:
    """What stands in place of an input that is to be forgotten."""
    return ERASED, item[1], previous_seq_of(item)


def trim(seq: int, at_ms: int) -> LogInput:
    return TRIM, at_ms, seq


OF_PLAYERS = frozenset((ROW, SETTLE, EVENT))  # they name a player, and point to his input before them


def names(item: LogInput, player_id: str) -> bool:
    """Whether an input is of a player."""
    return item[0] in OF_PLAYERS and item[2] == player_id


def previous_seq_of(item: LogInput) -> int:
    """The seq to which an input points back; 0 for none."""
    return int(item[-1]) if item[0] in OF_PLAYERS or item[0] == ERASED else 0
