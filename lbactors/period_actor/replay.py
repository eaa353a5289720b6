"""From a period's stored bytes to its state, in one place: activations, checks and repairs read them alike.

What is stored of a period (the store knows it as opaque bytes):

* journal record: a `lbactors.core.inputs.JournalBody`;
* snapshot: the parts of `Period.next_parts`, of which `meta` names all others with the seq they were put
  under.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lbactors.core.inputs import ERASE, REMOVE, SUBMISSIONS, JournalBody, told_kind
from lbactors.core.period import Period
from lbactors.core.snapshot_parts import META, Meta, period_loader
from persistence.store import Part, Record, Recovered


class Contents(NamedTuple):
    """How many inputs of each kind a run of records holds; `others`: rules, submission ids handed
    on, places reached in a log, and the like.
    """

    submissions: int
    removals: int
    erasures: int
    others: int


class Replay:
    """Builds a period's state from what `Store.recover` gives, piece by piece and in its order.

    One thread at a time. Raises ValueError, KeyError, TypeError or another exception of decoding where the
    bytes make no state; then it is of no more use.
    """

    def __init__(self, seen_ids_limit: int) -> None:
        self._loader = period_loader(seen_ids_limit)
        self._seen_ids_limit = seen_ids_limit
        self._seq = 0
        self._period: Period | None = None

    def take(self, items: Iterable[Recovered | Part | Record]) -> None:
        """The next items."""
        for item in items:
            if isinstance(item, Part):
                self._loader.add(item.name, item.body)
            elif isinstance(item, Recovered):
                self._seq = item.seq
            else:
                period = self._begun()
                if period is None:
                    rules = JournalBody.unpack(item.body).rules
                    if rules is None:
                        raise ValueError("the first record of a period has no rules")
                    period = self._period = Period.unranked(rules, self._seen_ids_limit)
                apply_record(period, item)

    def _begun(self) -> Period | None:
        """The state so far; None before the first record of a period without a snapshot."""
        if self._period is None and self._seq:
            self._period = Period.from_parts(self._loader.finish(self._seq))
        return self._period

    def finish(self) -> Period | None:
        """The state, ranked; None if there was neither snapshot nor journal."""
        period = self._begun()
        if period is not None:
            period.rank_entries()
        return period


def rebuild(
    seq: int, parts: Iterable[tuple[str, bytes]], records: Sequence[Record], seen_ids_limit: int
) -> Period:
    """The state that a snapshot at `seq` (0: none) and the records after it make. Raises like `Replay`."""
    replay = Replay(seen_ids_limit)
    replay.take([Recovered(seq)])
    replay.take(Part(name, body) for name, body in parts)
    replay.take(records)
    period = replay.finish()
    if period is None:
        raise ValueError("there is neither a snapshot nor a journal")
    return period


def apply_record(period: Period, record: Record) -> None:
    """Apply the record that follows the state. ValueError, before anything is applied, if it does not follow;
    an exception of decoding.
    """
    _, now_ms, inputs = JournalBody.unpack(record.body)
    if record.first_seq != period.seq + 1 or record.last_seq != period.seq + len(inputs):
        raise ValueError(f"record {record.first_seq}..{record.last_seq} does not follow {period.seq}")
    period.apply(now_ms, inputs)


def contents(records: Iterable[Record]) -> Contents:
    """What records hold. ValueError or another exception of decoding."""
    kinds = [kind for record in records for kind in map(told_kind, JournalBody.unpack(record.body).inputs)]
    submissions = sum(kind in SUBMISSIONS for kind in kinds)
    removals, erasures = kinds.count(REMOVE), kinds.count(ERASE)
    return Contents(submissions, removals, erasures, len(kinds) - submissions - removals - erasures)
