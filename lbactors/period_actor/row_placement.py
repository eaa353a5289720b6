"""Which open period of a projection's chain a row belongs to: a pure function of the row, the definition and
the periods' bounds. A row counts in the period in which it happened, unless that was over, with its grace,
when it was acknowledged. So it does not matter when a row is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbactors.core.inputs import Input
from lbactors.core.lifecycle import grace_of
from lbactors.core.zones import local_ms
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.log_scores import Scores, zone_in
from lbactors.wire.chain_spec import Follows


class NotOpenYet(Exception):
    """Rows belong to a period that the supervisor is about to open."""


class RowPlacement:
    """Of one chain, under what it follows."""

    def __init__(self, chain: Chain, follows: Follows) -> None:
        self._chain = chain
        self._follows = follows

    def place(
        self, scores: Scores, after: int, *, alone: Activation | None = None
    ) -> dict[Activation, list[Input]]:
        """The inputs of rows after a seq, by the open period that takes them. alone: only those of this one,
        also where a newer one covers its time, since the timeframe was another one then. NotOpenYet.
        """
        seqs, acked_ms, inputs, profiles = scores
        if not seqs:
            return {}
        whole = self._all_in_one(scores, alone)
        if whole is not None and seqs[0] > after:
            return {whole: inputs} if alone in (None, whole) else {}
        found: dict[Activation, list[Input]] = {}
        is_local = any(activation.record.is_local for activation in self._chain.open)
        for seq, acked, item, profile in zip(seqs, acked_ms, inputs, profiles, strict=True):
            if seq <= after:
                continue
            try:
                activation = self.taking(item[1], acked, zone_in(profile) if is_local else "", alone)
            except NotOpenYet:
                if alone is None:
                    raise
                continue
            if activation is not None and (alone is None or activation is alone):
                found.setdefault(activation, []).append(item)
        return found

    def _all_in_one(self, scores: Scores, first: Activation | None) -> Activation | None:
        """The period that takes all, as is possible nearly always; None if that takes a closer look."""
        if scores.has_times:
            return None
        first_ms, last_ms = scores.acked_ms[0], scores.acked_ms[-1]
        if first_ms < self._follows.from_ms or self._follows.pauses:
            return None
        found = self._at(last_ms, "", first)
        if found is None or found.record.is_local:
            return None
        return found if found.record.contains(first_ms) else None

    def taking(
        self, at_ms: int, acked_ms: int, zone: str, first: Activation | None = None
    ) -> Activation | None:
        """The open period of a row that happened at `at_ms`; None: it counts nowhere. zone: of its player,
        where periods are player-local. first: the one that is looked at before all others. NotOpenYet.
        """
        if acked_ms < self._follows.from_ms or _is_paused(self._follows.pauses, acked_ms):
            return None
        spec = self._chain.spec
        found = self._at(at_ms, zone, first)
        if found is not None:
            record = found.record
            ends_ms = record.ends_at_ms
            if ends_ms is None or acked_ms < ends_ms + grace_of(record, spec.grace_ms):
                return found
            if at_ms == acked_ms:
                return None
        elif self._chain.is_between(at_ms, zone):
            raise NotOpenYet
        if spec.late_arrival and at_ms != acked_ms and not self._was_open(at_ms, acked_ms, zone):
            return self.taking(acked_ms, acked_ms, zone, first)
        return None

    def _was_open(self, at_ms: int, acked_ms: int, zone: str) -> bool:
        """Whether a period that is closed by now took what happened at `at_ms` when it was acknowledged."""
        if any(starts <= at_ms < ends and acked_ms < over for starts, ends, over in self._follows.over):
            return True
        last, grace_ms = self._chain.last_sealed, self._chain.spec.grace_ms
        if last is None or last.ends_at_ms is None or not last.contains(at_ms, local_ms(at_ms, zone)):
            return False
        return acked_ms < last.ends_at_ms + grace_of(last, grace_ms)

    def _at(self, at_ms: int, zone: str, first: Activation | None) -> Activation | None:
        """The open period that contains an instant in a zone, the newest if there are several."""
        digits_ms = local_ms(at_ms, zone)
        if first is not None and first.record.contains(at_ms, digits_ms):
            return first
        for activation in reversed(self._chain.open):
            if activation.record.contains(at_ms, digits_ms):
                return activation
        return None


def _is_paused(pauses: Sequence[tuple[int, int | None]], at_ms: int) -> bool:
    return any(begin <= at_ms and (end is None or at_ms < end) for begin, end in pauses)
