"""From stored bytes to a state, in one place: activations, checks and repairs read them alike.

What is stored of a period or a log (the store knows it as opaque bytes):

* journal record: a `lbactors.core.inputs.JournalBody`;
* snapshot: the parts of `next_parts`, of which `meta` names all others with the seq they were put
  under.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple

from lbactors.core import log_inputs
from lbactors.core.inputs import ERASE, REMOVE, SUBMISSIONS, JournalBody, told_kind
from lbactors.period_actor.hosted_state import S, State, StateKind
from persistence.store import Part, Record, Recovered


class Contents(NamedTuple):
    """How many inputs of each kind a run of records holds; `others`: rules, submission ids handed
    on, places reached in a log, and the like. rows: of a log, events too.
    """

    submissions: int
    removals: int
    erasures: int
    others: int
    rows: int = 0


class Replay(Generic[S]):
    """Builds a state from what `Store.recover` gives, piece by piece and in its order.

    One thread at a time. Raises ValueError, KeyError, TypeError or another exception of decoding where the
    bytes make no state; then it is of no more use.
    """

    def __init__(self, kind: StateKind[S], seen_ids_limit: int) -> None:
        self._kind = kind
        self._loader = kind.loader(seen_ids_limit)
        self._seen_ids_limit = seen_ids_limit
        self._seq = 0
        self._state: S | None = None

    def take(self, items: Iterable[Recovered | Part | Record]) -> None:
        """The next items."""
        for item in items:
            if isinstance(item, Part):
                self._loader.add(item.name, item.body)
            elif isinstance(item, Recovered):
                self._seq = item.seq
            else:
                state = self._begun()
                if state is None:
                    first = JournalBody.unpack(item.body)
                    state = self._state = self._kind.begun(first, self._seen_ids_limit)
                apply_record(state, item)

    def _begun(self) -> S | None:
        """The state so far; None before the first record where there is no snapshot."""
        if self._state is None and self._seq:
            self._state = self._kind.loaded(self._loader.finish(self._seq))
        return self._state

    def finish(self) -> S | None:
        """The state, to be read; None if there was neither snapshot nor journal."""
        state = self._begun()
        if state is not None:
            self._kind.finish(state)
        return state


def rebuild(
    kind: StateKind[S],
    seq: int,
    parts: Iterable[tuple[str, bytes]],
    records: Sequence[Record],
    seen_ids_limit: int,
) -> S:
    """The state that a snapshot at `seq` (0: none) and the records after it make. Raises like `Replay`."""
    replay = Replay(kind, seen_ids_limit)
    replay.take([Recovered(seq)])
    replay.take(Part(name, body) for name, body in parts)
    replay.take(records)
    state = replay.finish()
    if state is None:
        raise ValueError("there is neither a snapshot nor a journal")
    return state


def apply_record(state: State, record: Record) -> None:
    """Apply the record that follows the state. ValueError, before anything is applied, if it does not follow;
    an exception of decoding.
    """
    _, now_ms, inputs = JournalBody.unpack(record.body)
    if record.first_seq != state.seq + 1 or record.last_seq != state.seq + len(inputs):
        raise ValueError(f"record {record.first_seq}..{record.last_seq} does not follow {state.seq}")
    state.apply(now_ms, inputs)


def contents(records: Iterable[Record]) -> Contents:
    """What records hold. ValueError or another exception of decoding."""
    kinds = [kind for record in records for kind in map(told_kind, JournalBody.unpack(record.body).inputs)]
    submissions = sum(kind in SUBMISSIONS for kind in kinds)
    removals, erasures = kinds.count(REMOVE), kinds.count(ERASE)
    return Contents(submissions, removals, erasures, len(kinds) - submissions - removals - erasures)


def log_contents(records: Iterable[Record]) -> Contents:
    """The same of a log's records."""
    kinds = [item[0] for record in records for item in JournalBody.unpack(record.body).inputs]
    rows = kinds.count(log_inputs.ROW) + kinds.count(log_inputs.EVENT)
    erasures = kinds.count(log_inputs.ERASE)
    return Contents(0, 0, erasures, len(kinds) - rows - erasures, rows)
