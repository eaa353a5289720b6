"""A naive model of one period: what the native API (sections 2 and 4) says, in the plainest words.

A dictionary of standings, sorted whenever an order is asked for; sums by exact fractions rounded once. Slow,
and easy to compare with the API's text. It shares no code with the period that it judges.

Where the API is silent it takes the side that `lbactors.core.period` documents: entries below `min_score`,
and those of players outside the audience, are the first to drop out over `max_entries`; `first_at` is the
earliest time of all submissions, `updated_at` the latest of those that were applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

Number = int | float
EXACT = 2**53


class Options(NamedTuple):
    """A board's options; field by field those of `lbactors.core.definition.Rules`."""

    aggregation: str = "best"
    order: str = "desc"
    subscore_order: str = "desc"
    tie_breaking: str = "first"
    rank_style: str = "ordinal"
    max_entries: int | None = None
    min_score: Number | None = None


@dataclass(frozen=True)
class Standing:
    """A player's entry. `seq`: of the submission that last changed (score, subscore)."""

    score: Number
    subscore: Number
    seq: int
    submissions: int
    first_at_ms: int
    updated_at_ms: int
    metadata: bytes | None


class Told(NamedTuple):
    """What the answer to an input has to say."""

    applied: bool
    entry: Standing | None
    previous: Standing | None
    rank: int | None
    previous_rank: int | None
    seq: int
    duplicate: bool
    refused: bool
    error: str | None = None


def rounded(exact: Fraction) -> Number | None:
    """The double nearest to an exact number, as an int where it is integral and within ±2^53; None beyond."""
    try:
        nearest = float(exact)
    except OverflowError:
        return None
    return int(nearest) if nearest.is_integer() and abs(nearest) <= EXACT else nearest


class Oracle:
    """One period. Every method is the next input, and takes the next seq."""

    def __init__(self, options: Options, kept: int = 1000) -> None:
        self.options = options
        self.kept = kept  # removed entries that can be restored
        self.seq = 0
        self.submissions = 0
        self.standings: dict[str, Standing] = {}
        self.seen: dict[str, int] = {}
        self.hidden: dict[str, int | None] = {}
        self.removed: dict[str, Standing] = {}  # oldest first
        self.outside: set[str] = set()  # of those with an entry: not in the audience
        self.follows = False  # a log
        self.acts: list[list[Any]] = []  # inputs that changed entries since it does
        self.pending: list[list[Any]] = []  # those that a refill has still to apply

    # What readers see -----------------------------------------------------------------------------------

    def order(self, *, ranked: bool) -> list[str]:
        """Players best first: those that are ranked, or those below `min_score` and outside the audience;
        hidden ones nowhere.
        """
        floor = self.options.min_score
        shown = {p: s for p, s in self.standings.items() if p not in self.hidden}
        players = [
            p
            for p, s in shown.items()
            if ranked == (p not in self.outside and (floor is None or s.score >= floor))
        ]
        return sorted(players, key=self._place)

    def ranks(self) -> dict[str, int]:
        """The rank of every ranked player, in order."""
        ranks: dict[str, int] = {}
        equals: list[tuple[Number, Number]] = []  # (score, subscore) of those before, best first
        for place, player_id in enumerate(self.order(ranked=True), 1):
            standing = self.standings[player_id]
            mine = (standing.score, standing.subscore)
            if self.options.rank_style == "dense":
                ranks[player_id] = len(set(equals) | {mine})
            elif self.options.rank_style == "competition" and mine in equals:
                ranks[player_id] = equals.index(mine) + 1
            else:
                ranks[player_id] = place
            equals.append(mine)
        return ranks

    def _place(self, player_id: str) -> tuple[Number, Number, int]:
        standing, options = self.standings[player_id], self.options
        return (
            -standing.score if options.order == "desc" else standing.score,
            -standing.subscore if options.subscore_order == "desc" else standing.subscore,
            standing.seq if options.tie_breaking == "first" else -standing.seq,
        )

    # Inputs ---------------------------------------------------------------------------------------------

    def submit(
        self,
        at_ms: int,
        player_id: str,
        score: Number | None,
        subscore: Number,
        metadata: bytes | None,
        submission_id: str | None,
        aggregation: str | None,
        *,
        occurred: bool = False,
    ) -> Told:
        """occurred: `at_ms` is when it is said to have happened, else when it arrived."""
        self.seq += 1
        old = self.standings.get(player_id)
        rank = self.ranks().get(player_id)
        if submission_id is not None and submission_id in self.seen:
            return Told(False, old, old, rank, rank, self.seen[submission_id], True, False)
        rule = aggregation or self.options.aggregation
        new = self._aggregated(rule, old, score, subscore)
        if rule == "latest" and old is not None and occurred and at_ms < old.updated_at_ms:
            new = "kept"
        if new == "refused":
            return Told(False, old, old, None, None, self.seq, False, True)
        if submission_id is not None:
            self.seen[submission_id] = self.seq
        self.submissions += 1
        if old is None:
            assert isinstance(new, tuple)
            self.standings[player_id] = Standing(*new, self.seq, 1, at_ms, at_ms, metadata)
            if player_id in self._drop_worst():
                return Told(False, None, None, None, None, self.seq, False, False)
        elif isinstance(new, tuple):
            moved = new != (old.score, old.subscore)
            seq = self.seq if moved else old.seq
            count = old.submissions + 1
            first_ms, updated_ms = min(old.first_at_ms, at_ms), max(old.updated_at_ms, at_ms)
            self.standings[player_id] = Standing(*new, seq, count, first_ms, updated_ms, metadata)
        else:
            first_ms = min(old.first_at_ms, at_ms)
            self.standings[player_id] = replace(old, submissions=old.submissions + 1, first_at_ms=first_ms)
        now = self.standings[player_id]
        applied = isinstance(new, tuple)
        return Told(applied, now, old, self.ranks().get(player_id), rank, self.seq, False, False)

    def _aggregated(
        self, aggregation: str, old: Standing | None, score: Number | None, subscore: Number
    ) -> tuple[Number, Number] | str:
        """The new (score, subscore); 'kept' where the rule keeps the old ones, 'refused' for a 422."""
        if aggregation == "count":
            total = rounded(Fraction(old.score if old else 0) + 1)
            assert total is not None
            return total, subscore
        assert score is not None
        if old is None or aggregation == "latest":
            return score, subscore
        if aggregation == "sum":
            total = rounded(Fraction(old.score) + Fraction(score))
            return "refused" if total is None else (total, subscore)
        if aggregation == "min":
            return (score, subscore) if score < old.score else "kept"
        if aggregation == "max":
            return (score, subscore) if score > old.score else "kept"
        up = 1 if self.options.order == "desc" else -1
        up_sub = 1 if self.options.subscore_order == "desc" else -1
        better = (up * score, up_sub * subscore) > (up * old.score, up_sub * old.subscore)
        return (score, subscore) if better else "kept"

    def put_outside(self, player_id: str, act: Callable[[], Told] | None) -> Told:
        """A player is outside, and does something there; None: nothing, which takes a seq."""
        self.outside.add(player_id)
        if act is None:
            self.seq += 1
            old = self.standings.get(player_id)
            told = Told(old is not None, old, old, None, None, self.seq, False, False)
        else:
            told = act()
        if player_id not in self.standings:
            self.outside.discard(player_id)
        return told

    def put_inside(self, player_id: str) -> Told:
        self.seq += 1
        old = self.standings.get(player_id)
        applied = player_id in self.outside
        self.outside.discard(player_id)
        return Told(applied, old, old, None, None, self.seq, False, False)

    def remove(self, player_id: str) -> Told:
        self.seq += 1
        rank = self.ranks().get(player_id)
        old = self.standings.pop(player_id, None)
        self.outside.discard(player_id)
        if old is not None:
            self.removed.pop(player_id, None)
            self.removed = dict(list({**self.removed, player_id: old}.items())[-self.kept :])
        return Told(old is not None, None, old, None, rank, self.seq, False, False)

    def hide(self, player_id: str, until_ms: int | None) -> Told:
        self.seq += 1
        self.hidden[player_id] = until_ms
        old = self.standings.get(player_id)
        return Told(True, old, old, None, None, self.seq, False, False)

    def show(self, player_id: str) -> Told:
        self.seq += 1
        old = self.standings.get(player_id)
        if player_id not in self.hidden:
            return Told(False, old, old, None, None, self.seq, False, False)
        del self.hidden[player_id]
        self._drop_worst()
        return Told(True, self.standings.get(player_id), old, None, None, self.seq, False, False)

    def edit(
        self,
        at_ms: int,
        player_id: str,
        score: Number,
        subscore: Number | None,
        metadata: bytes | bool | None,
    ) -> Told:
        self.seq += 1
        old, rank = self.standings.get(player_id), self.ranks().get(player_id)
        if old is None:
            return Told(False, None, None, None, None, self.seq, False, False, "entry_not_found")
        new = replace(
            old,
            score=score,
            subscore=old.subscore if subscore is None else subscore,
            seq=self.seq,
            updated_at_ms=max(old.updated_at_ms, at_ms),
            metadata=old.metadata if metadata is False else metadata,  # type: ignore[arg-type]
        )
        self.standings[player_id] = new
        return Told(True, new, old, self.ranks().get(player_id), rank, self.seq, False, False)

    def restore(self, player_id: str) -> Told:
        self.seq += 1
        old = self.standings.get(player_id)
        if old is not None:
            return Told(False, old, old, None, None, self.seq, False, False, "entry_exists")
        if player_id not in self.removed:
            return Told(False, None, None, None, None, self.seq, False, False, "entry_not_found")
        back = self.standings[player_id] = self.removed[player_id]
        if player_id in self._drop_worst():
            return Told(False, None, None, None, None, self.seq, False, False)
        del self.removed[player_id]
        return Told(True, back, None, self.ranks().get(player_id), None, self.seq, False, False)

    def import_entry(
        self,
        player_id: str,
        score: Number,
        subscore: Number,
        metadata: bytes | None,
        submissions: int,
        first_at_ms: int,
        updated_at_ms: int,
        instead: bool,
    ) -> Told:
        self.seq += 1
        old = self.standings.get(player_id)
        new = Standing(score, subscore, self.seq, submissions, first_at_ms, updated_at_ms, metadata)
        if old is not None and new == replace(old, seq=self.seq):
            return Told(False, old, old, None, None, self.seq, False, False)
        if not instead and (old is not None or player_id in self.removed):
            error = "entry_removed" if old is None else "entry_exists"
            return Told(False, old, old, None, None, self.seq, False, False, error)
        self.standings[player_id] = new
        if player_id in self._drop_worst():
            return Told(False, None, None, None, None, self.seq, False, False)
        self.submissions += submissions - (0 if old is None else old.submissions)
        return Told(True, new, old, None, None, self.seq, False, False)

    def erase(self, player_id: str, anonymous_id: str | None) -> Told:
        self.seq += 1
        old = self.standings.pop(player_id, None)
        known = old is not None or player_id in self.hidden or player_id in self.removed
        known = known or player_id in [act[2] for act in self.acts + self.pending]
        stays = anonymous_id if old is not None else None
        self.acts = self._renamed(self.acts, player_id, stays)
        self.pending = self._renamed(self.pending, player_id, stays)
        self.removed.pop(player_id, None)
        if old is not None and anonymous_id is not None:
            self.standings[anonymous_id] = replace(old, metadata=None)
            if player_id in self.hidden:
                self.hidden[anonymous_id] = self.hidden[player_id]
            if player_id in self.outside:
                self.outside.add(anonymous_id)
        self.outside.discard(player_id)
        self.hidden.pop(player_id, None)
        return Told(known, None, old, None, None, self.seq, False, False)

    @staticmethod
    def _renamed(acts: list[list[Any]], player_id: str, anonymous_id: str | None) -> list[list[Any]]:
        renamed = []
        for act in acts:
            if act[2] != player_id:
                renamed.append(act)
            elif anonymous_id is not None:
                metadata = [m if m is False else None for m in act[5:]]
                renamed.append([*act[:2], anonymous_id, *act[3:5], *metadata])
        return renamed

    def follow(self) -> Told:
        self.seq += 1
        self.follows = True
        return Told(True, None, None, None, None, self.seq, False, False)

    def refill(self) -> Told:
        """Everything but rules, hidden players and acts is as at the beginning."""
        self.submissions = 0
        self.standings, self.seen, self.removed, self.outside = {}, {}, {}, set()
        self.acts, self.pending = [], self.acts + self.pending
        return self.follow()

    def again(self, act: Callable[[list[Any]], Told]) -> Told:
        """Apply the next act, by `act`."""
        if not self.pending:
            self.seq += 1
            return Told(False, None, None, None, None, self.seq, False, False)
        self.acts.append(self.pending.pop(0))
        return act(self.acts[-1])

    def configure(self, options: Options) -> Told:
        self.seq += 1
        self.options = options
        self._drop_worst()
        return Told(True, None, None, None, None, self.seq, False, False)

    def inherit(self, submission_ids: Iterable[str]) -> Told:
        self.seq += 1
        for submission_id in submission_ids:
            self.seen.setdefault(submission_id, self.seq)
        return Told(True, None, None, None, None, self.seq, False, False)

    def _drop_worst(self) -> set[str]:
        limit = self.options.max_entries
        if limit is None:
            return set()
        dropped = set((self.order(ranked=True) + self.order(ranked=False))[limit:])
        for player_id in dropped:
            del self.standings[player_id]
        self.outside -= dropped
        return dropped
