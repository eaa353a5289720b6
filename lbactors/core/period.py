"""The state of one period: inputs in, outcomes out, the same for the same journal (law 1).

Idea: a `Period` is a deterministic state machine. The caller numbers inputs, journals them, and only then
calls `apply`; replaying the journal gives the same state. Nothing here reads a clock, draws a random number
or does I/O.

What it owns
* **entries**, a dictionary of immutable tuples split by player hash into buckets;
* two `Ranking`s: `ranking` of the ranked entries, `below` of those under `min_score` and of players outside
  the audience;
* `SeenIds`, the submission ids of the last day, by which a repeat is recognised (law 3);
* `closed`, the end after which its standings were shown as final, if they were: who writes here lets nothing
  change them any more, after a restart either;
* `moderation`: who is hidden and what was removed. A hidden player's entry stays in its bucket and takes
  submissions as ever, but is in neither ranking: so it is on no page, in no total and in no rank, and
  `max_entries` neither counts nor drops it. Its seq is not touched, so it comes back to the place among
  equals that it would have had. A player may be hidden before it has an entry. Who is outside the audience is
  part of it, too: every input that may make the entry of such a player says so (`inputs.OUTSIDE`), and who is
  outside has an entry;
* `followed`: of a projection, how far its log was read, and the acts on entries that have their place in it
  (`lbactors.core.followed`). Such a period may begin anew, and be filled from its log again.

How it is split into buckets and saved beside writers is in `lbactors.core.bucketed_state`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast
from zlib import crc32

from lbactors.core.bucketed_state import BUCKET_ENTRIES, BucketedState
from lbactors.core.definition import Rules
from lbactors.core.followed import Followed, Terms
from lbactors.core.inputs import (
    AGAIN,
    CLOSE,
    CONFIGURE,
    EDIT,
    ERASE,
    FOLLOW,
    HIDE,
    IMPORT,
    INSIDE,
    OCCURRED,
    OUTSIDE,
    REFILL,
    REMOVE,
    RESTORE,
    SHOW,
    SUBMIT,
    TAGGED,
    Input,
)
from lbactors.core.numbers import MAX_EXACT_INTEGER, normal
from lbactors.core.period_moderation import Moderation
from lbactors.core.ranking import Ranking
from lbactors.core.ranking import Row as RankedRow
from lbactors.core.seen_ids import HALF_BITS
from lbactors.core.snapshot_parts import (
    FOLLOWED,
    MODERATION,
    Loaded,
    Meta,
    Standings,
    Stored,
    Unranked,
    period_loader,
)
from lbactors.core.snapshot_parts import Applied as Applied
from lbactors.core.snapshot_parts import Entry as Entry
from lbactors.core.snapshot_parts import Snapshot as Snapshot

_new = tuple.__new__

# What `apply` should find out about ranks, by input: not at all, afterwards, before and afterwards.
NO_RANK, RANK, FULL = range(3)


class Period(BucketedState):
    """One period. `submissions` counts those that were accepted. Its length is that of all entries kept,
    ranked or not.
    """

    def __init__(self, rules: Rules, seen_ids_limit: int = 1_000_000) -> None:
        super().__init__(seen_ids_limit)
        self.rules = rules
        self.submissions = 0
        self.closed: tuple[int, int | None] | None = None  # (reopened, ends_at_ms) of its record
        self.moderation = Moderation()
        self.followed = Followed()
        self._whole = {MODERATION: self.moderation, FOLLOWED: self.followed}
        self.hidden, self.removed = self.moderation.hidden, self.moderation.removed
        self.outside = self.moderation.outside
        self._rank_with(Standings(rules))

    # Reading --------------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """Ranked entries."""
        return len(self.ranking)

    def entry(self, player_id: str) -> Entry | None:
        """The player's entry, ranked or not. O(1)."""
        row = self._buckets[self._bucket(player_id)].get(player_id)
        return None if row is None else _new(Entry, row)

    def rank(self, player_id: str) -> int | None:
        """The player's rank in the rules' rank style; None if not ranked. O(log n)."""
        if self.is_left_out(player_id):
            return None
        return self._rank_of(self._buckets[self._bucket(player_id)].get(player_id))

    def offset(self, player_id: str) -> int | None:
        """The player's 0-based place in the total order; None if not ranked. O(log n)."""
        row = self._ranked(player_id)
        return None if row is None else self.ranking.offset(row)

    def around(self, player_id: str, limit: int, fill: bool = True) -> tuple[int, list[RankedRow]] | None:
        """The player among his neighbours, see `Ranking.around`; None if not ranked."""
        row = self._ranked(player_id)
        return None if row is None else self.ranking.around(row, limit, fill)

    def _ranked(self, player_id: str) -> Stored | None:
        row = self._buckets[self._bucket(player_id)].get(player_id)
        if row is None or player_id in self.hidden or self._side(player_id, row) is self.below:
            return None
        return row

    def _rank_of(self, row: Stored | None) -> int | None:
        """The rank of a stored entry of a player who may be ranked; None if it is not."""
        floor = self.rules.min_score
        return None if row is None or (floor is not None and row[0] < floor) else self.ranking.rank(row)

    def is_left_out(self, player_id: str) -> bool:
        """Whether a player is not ranked, whatever the score: hidden, or outside the audience."""
        return player_id in self.hidden or player_id in self.outside

    def players(self) -> Iterator[list[str]]:
        """Everybody who has an entry all the time, some thousands at a time; entries may come and go between
        the lists.
        """
        number = 0
        while number < len(self._buckets):  # a bucket that is split off comes last
            yield list(self._buckets[number])
            number += 1

    def mentions(self, player_id: str) -> bool:
        """Whether anything but submission ids and the journal names a player."""
        named = self.entry(player_id) is not None or player_id in self.hidden or player_id in self.removed
        return named or self.followed.mentions(player_id)

    # Changing -------------------------------------------------------------------------------------------

    def apply(self, now_ms: int, inputs: Sequence[Input], want: Sequence[int] | None = None) -> list[Applied]:
        """Apply journaled inputs in order, each under the next seq; `now_ms` is the server time journaled.

        want: NO_RANK | RANK | FULL for each input; None in a replay (no ranks, same state).
        """
        results = []
        for position, item in enumerate(inputs):
            self.seq += 1
            kind = item[0]
            wanted = want[position] if want else NO_RANK
            if kind == SUBMIT:
                results.append(self._submit(now_ms, item, wanted))
            elif kind in (TAGGED, OCCURRED):
                results.append(self._submit(now_ms, item[:-1], wanted, item[-1]))
            elif kind in (REMOVE, EDIT, RESTORE):
                results.append(self._act(item, wanted))
            elif kind == CONFIGURE:
                results.append(self._configure(item))
            elif kind == ERASE:
                results.append(self._erase(item))
            elif kind == HIDE:
                results.append(self._hide(item))
            elif kind == SHOW:
                results.append(self._show(item))
            elif kind == IMPORT:
                results.append(self._import(item))
            elif kind == CLOSE:
                results.append(self._close(item))
            elif kind == OUTSIDE:
                results.append(self._outside(now_ms, item, wanted))
            elif kind == INSIDE:
                results.append(self._inside(item))
            elif kind == FOLLOW:
                results.append(self._follow(item))
            elif kind == REFILL:
                results.append(self._refill(item))
            elif kind == AGAIN:
                results.append(self._again(item, wanted))
            else:
                results.append(self._inherit(now_ms, item))
        return results

    def _submit(self, now_ms: int, item: Input, want: int, body: int = 0) -> Applied:
        # The hottest function of a period actor. `_new` makes a named tuple without its Python constructor.
        kind, at_ms, player_id, score, subscore, metadata, submission_id, aggregation = item
        hashed = crc32(player_id.encode())
        number = hashed & self._wide  # `_bucket`, written out
        if number >= len(self._buckets):
            number &= self._narrow
        bucket = self._buckets[number]
        stored = bucket.get(player_id)
        old = None if stored is None else _new(Entry, stored)
        seq = self.seq
        hidden = self.hidden and player_id in self.hidden
        if hidden or (self.outside and player_id in self.outside):
            want = NO_RANK
        if submission_id is not None:
            seen = self.ids.seq(submission_id)
            if seen is not None:
                rank = self._rank_of(stored) if want else None
                return Applied(False, old, old, rank, rank, seen, True, None)
        rule = aggregation or self.rules.aggregation
        if kind == OCCURRED and rule == "latest" and stored is not None and at_ms < stored[5]:
            changes = False  # it happened before what the entry shows
        else:
            changes, score, error = self._aggregate(rule, old, score, subscore)
            if error is not None:
                return Applied(False, old, old, None, None, seq, False, error)
        previous_rank = self._rank_of(stored) if want == FULL else None
        if submission_id is not None:
            self.ids.add(submission_id, seq, now_ms, (hashed or 1) | body << HALF_BITS)
        self.submissions += 1
        if self._snapshot is not None:
            self._touch(number, player_id, stored)
        else:
            self._dirty.add(number)
        row: Stored
        if stored is None:
            row = bucket[player_id] = (score, subscore, seq, 1, at_ms, at_ms, metadata)
            self._count += 1
            if hidden:
                self.moderation.hidden_entries += 1
            else:
                self._place(player_id, row, None)
            if self._evict_over_limit() == player_id:
                return Applied(False, None, None, None, None, seq, False, None)
            if self._count > BUCKET_ENTRIES * len(self._buckets):
                self._split_bucket()
        else:
            old_score, old_subscore, old_seq, count, first_at_ms, updated_at_ms, old_metadata = stored
            if at_ms < first_at_ms:  # it happened before, and arrives later
                first_at_ms = at_ms
            if not changes:
                row = (old_score, old_subscore, old_seq, count + 1, first_at_ms, updated_at_ms, old_metadata)
            else:
                if at_ms > updated_at_ms:
                    updated_at_ms = at_ms
                if score != old_score or subscore != old_subscore:
                    row = (score, subscore, seq, count + 1, first_at_ms, updated_at_ms, metadata)
                    if not hidden:
                        self._place(player_id, row, stored)
                else:  # the same standing: it was reached when it was first reached
                    row = (score, subscore, old_seq, count + 1, first_at_ms, updated_at_ms, metadata)
            bucket[player_id] = row
        rank = self._rank_of(row) if want else None
        return _new(Applied, (changes, _new(Entry, row), old, rank, previous_rank, seq, False, None))

    def _aggregate(
        self, aggregation: str, old: Entry | None, score: Any, subscore: Any
    ) -> tuple[bool, Any, str | None]:
        """Whether the entry changes, its new score, and why not if the submission must be refused."""
        if aggregation == "count":
            score = 1
        if old is None:
            return True, score, None
        if aggregation == "best":
            better = self.ranking.better(score, subscore, old.score, old.subscore) > 0
            return better, (score if better else old.score), None
        if aggregation in ("sum", "count"):
            total = old.score + score
            if type(total) is int and -MAX_EXACT_INTEGER <= total <= MAX_EXACT_INTEGER:
                return True, total, None
            total = float(total)
            if total - total != 0.0:
                return False, old.score, "the sum must stay finite"
            return True, normal(total), None
        if aggregation == "latest":
            return True, score, None
        changes = score < old.score if aggregation == "min" else score > old.score
        return changes, (score if changes else old.score), None

    def preview(
        self, aggregation: str | None, old: Entry | None, score: Any, subscore: Any
    ) -> tuple[Entry, str | None]:
        """The score that an entry (None: no entry) would have after a submission, and why that would be
        refused. Nothing changes. Only score and subscore of the result mean anything.
        """
        rule = aggregation or self.rules.aggregation
        changes, score, error = self._aggregate(rule, old, score, subscore)
        if old is not None and not changes:
            return old, error
        return Entry(score, subscore, 0, 0, 0, 0, None), error

    def _remove(self, item: Input, want: int) -> Applied:
        _, _, player_id = item
        old = self.entry(player_id)
        rank = self.rank(player_id) if want else None
        if old is not None:
            self._discard(player_id)
            self.moderation.keep_removed(player_id, cast("Stored", tuple(old)))
        return Applied(old is not None, None, old, None, rank, self.seq, False, None)

    def _erase(self, item: Input) -> Applied:
        """Forget a player: the entry goes, or stays under a name that says nothing, without metadata."""
        _, _, player_id, anonymous_id = item
        old = self.entry(player_id)
        was_outside = player_id in self.outside
        if old is not None:
            self._discard(player_id)
        stays = anonymous_id if old is not None else None
        known = self.moderation.forget(player_id, stays)
        known |= self.followed.forget(player_id, stays)
        if old is not None and anonymous_id is not None:
            if was_outside:
                self.moderation.put_outside(anonymous_id)
            self._put(anonymous_id, (*old[:-1], None))
        return Applied(old is not None or known, None, old, None, None, self.seq, False, None)

    def _configure(self, item: Input) -> Applied:
        """Take new rules. A new order only arrives while there are no entries (the definition's rule)."""
        _, _, fields = item
        rules = Rules(*fields)
        rerank = rules[1:5] != self.rules[1:5] or rules.min_score != self.rules.min_score
        self.rules = rules
        if not self._is_ranked:
            self._unrank()
        elif rerank:
            self.rank_entries()
        self._evict_over_limit()
        return Applied(True, None, None, None, None, self.seq, False, None)

    def _inherit(self, now_ms: int, item: Input) -> Applied:
        _, _, newest_ms, submission_ids, *tags = item
        self.ids.inherit(submission_ids, self.seq, newest_ms, now_ms, *tags)
        return Applied(True, None, None, None, None, self.seq, False, None)

    def _close(self, item: Input) -> Applied:
        _, _, reopened, ends_at_ms = item
        self.closed = (reopened, ends_at_ms)
        return Applied(True, None, None, None, None, self.seq, False, None)

    # What moderators do ---------------------------------------------------------------------------------

    def _act(self, item: Input, want: int) -> Applied:
        """Change an entry, and keep what was done if the entries come of a log."""
        result = self._change(item, want)
        if result.applied:
            self.followed.keep(item)
        return result

    def _change(self, item: Input, want: int) -> Applied:
        kind = item[0]
        if kind == REMOVE:
            return self._remove(item, want)
        return self._edit(item, want) if kind == EDIT else self._restore(item, want)

    def _hide(self, item: Input) -> Applied:
        _, _, player_id, until_ms = item
        old = self.entry(player_id)
        if player_id not in self.hidden and old is not None:
            row = cast("Stored", tuple(old))
            self._side(player_id, row).remove(row)
        self.moderation.hide(player_id, until_ms, has_entry=old is not None)
        return Applied(True, old, old, None, None, self.seq, False, None)

    def _show(self, item: Input) -> Applied:
        _, _, player_id = item
        old = self.entry(player_id)
        if player_id not in self.hidden:
            return Applied(False, old, old, None, None, self.seq, False, None)
        self.moderation.show(player_id, has_entry=old is not None)
        if old is not None:
            self._place(player_id, cast("Stored", tuple(old)), None)
            self._evict_over_limit()
        return Applied(True, self.entry(player_id), old, None, None, self.seq, False, None)

    def _outside(self, now_ms: int, item: Input, want: int) -> Applied:
        """Put a player outside, and apply what he does there. Without an entry he is not outside either."""
        _, _, player_id, inner = item
        if player_id not in self.outside:
            self._cross(player_id, outside=True)
        if inner is not None:
            self.seq -= 1
            (result,) = self.apply(now_ms, [inner], [want])
        else:
            old = self.entry(player_id)
            result = Applied(old is not None, old, old, None, None, self.seq, False, None)
        if self.entry(player_id) is None:
            self.moderation.put_inside(player_id)
        return result

    def _inside(self, item: Input) -> Applied:
        _, _, player_id = item
        old = self.entry(player_id)
        applied = player_id in self.outside
        if applied:
            self._cross(player_id, outside=False)
        return Applied(applied, old, old, None, None, self.seq, False, None)

    def _cross(self, player_id: str, *, outside: bool) -> None:
        """Move a player to the other side of the audience, and the entry with him."""
        row = self._buckets[self._bucket(player_id)].get(player_id)
        stands = row is not None and player_id not in self.hidden
        if stands:
            self._side(player_id, cast("Stored", row)).remove(cast("Stored", row))
        if outside:
            self.moderation.put_outside(player_id)
        else:
            self.moderation.put_inside(player_id)
        if stands:
            self._place(player_id, cast("Stored", row), None)

    def _edit(self, item: Input, want: int) -> Applied:
        """Set an entry, whatever the aggregation; it stands there since this input."""
        _, at_ms, player_id, score, subscore, metadata = item
        old = self.entry(player_id)
        if old is None:
            return Applied(False, None, None, None, None, self.seq, False, "entry_not_found")
        previous_rank = self.rank(player_id) if want else None
        row: Stored = (
            score,
            old.subscore if subscore is None else subscore,
            self.seq,
            old.submissions,
            old.first_at_ms,
            max(old.updated_at_ms, at_ms),
            old.metadata if metadata is False else metadata,
        )
        self._overwrite(player_id, row, cast("Stored", tuple(old)))
        rank = self.rank(player_id) if want else None
        return Applied(True, Entry(*row), old, rank, previous_rank, self.seq, False, None)

    def _restore(self, item: Input, want: int) -> Applied:
        """Put back what was removed last, as it was."""
        _, _, player_id = item
        old = self.entry(player_id)
        if old is not None:
            return Applied(False, old, old, None, None, self.seq, False, "entry_exists")
        row = self.removed.get(player_id)
        if row is None:
            return Applied(False, None, None, None, None, self.seq, False, "entry_not_found")
        self._put(player_id, row)
        if self._evict_over_limit() == player_id:  # better ones came: it stays what could be put back
            return Applied(False, None, None, None, None, self.seq, False, None)
        self.moderation.restored(player_id)
        rank = self.rank(player_id) if want else None
        return Applied(True, Entry(*row), None, rank, None, self.seq, False, None)

    def _import(self, item: Input) -> Applied:
        """Put an entry where the player has none, as it is told, or in place of his if that is wanted.

        So an import that is repeated changes nothing, however late: no id has to be remembered for it. Who
        was taken out by a moderator is not brought back by the way.
        """
        _, _, player_id, score, subscore, metadata, submissions, first_at_ms, updated_at_ms, replace = item
        old = self.entry(player_id)
        seq = self.seq
        if old is not None:
            told = (score, subscore, old.seq, submissions, first_at_ms, updated_at_ms, metadata)
            if told == tuple(old):
                return Applied(False, old, old, None, None, seq, False, None)
        if not replace and (old is not None or player_id in self.removed):
            error = "entry_removed" if old is None else "entry_exists"
            return Applied(False, old, old, None, None, seq, False, error)
        row: Stored = (score, subscore, seq, submissions, first_at_ms, updated_at_ms, metadata)
        if old is not None:
            self._overwrite(player_id, row, cast("Stored", tuple(old)))
            self.submissions += submissions - old.submissions
            return Applied(True, Entry(*row), old, None, None, seq, False, None)
        self._put(player_id, row)
        if self._evict_over_limit() == player_id:
            return Applied(False, None, None, None, None, seq, False, None)
        self.submissions += submissions
        if self._count > BUCKET_ENTRIES * len(self._buckets):
            self._split_bucket()
        return Applied(True, Entry(*row), None, None, None, seq, False, None)

    # Following a log ------------------------------------------------------------------------------------

    def _follow(self, item: Input) -> Applied:
        _, _, position, read_ms, *terms = item
        self.followed.follow(position, read_ms, *map(Terms.of, terms))
        return Applied(True, None, None, None, None, self.seq, False, None)

    def _refill(self, item: Input) -> Applied:
        """Let go of all that came of the log. Who is hidden stays so, and the rules stay."""
        _, _, position, read_ms, terms = item
        self._clear_buckets()
        self.ids.clear()
        self.submissions = 0
        self.closed = None
        self.moderation.begin_anew()
        if self._is_ranked:
            self._rank_with(Standings(self.rules))
        self.followed.refill(position, read_ms, Terms.of(terms))
        return Applied(True, None, None, None, None, self.seq, False, None)

    def _again(self, item: Input, want: int) -> Applied:
        """Change an entry as it was changed before the refill. It stays an act whether or not it still
        applies: a later refill may have the entry.
        """
        if not self.followed.pending:
            return Applied(False, None, None, None, None, self.seq, False, None)
        result = self._change(self.followed.pending[0].input, want)
        self.followed.done_again()
        return result

    # Entries and their places ---------------------------------------------------------------------------

    def _place(self, player_id: str, row: Stored, old: Stored | None) -> None:
        """Move the entry from where `old` stood to where `row` does: in the ranking, or in `below`."""
        if self.rules.min_score is None and not self.outside:
            self.ranking.upsert(player_id, row[0], row[1], row[2], old)
            return
        there = self._side(player_id, row)
        if old is not None and (other := self._side(player_id, old)) is not there:
            other.remove(old)
            old = None
        there.upsert(player_id, row[0], row[1], row[2], old)

    def _side(self, player_id: str, row: Stored) -> Ranking:
        """The ranking that an entry belongs to."""
        floor = self.rules.min_score
        if self.outside and player_id in self.outside:
            return self.below
        return self.ranking if floor is None or row[0] >= floor else self.below

    def _discard(self, player_id: str) -> None:
        number = self._bucket(player_id)
        row = self._buckets[number].pop(player_id)
        self._touch(number, player_id, row)
        self._count -= 1
        if player_id in self.hidden:
            self.moderation.hidden_entries -= 1
        else:
            self._side(player_id, row).remove(row)
        if self.outside and player_id in self.outside:
            self.moderation.put_inside(player_id)

    def _put(self, player_id: str, row: Stored) -> None:
        """An entry of a player who has none, in its place unless he is hidden."""
        number = self._bucket(player_id)
        self._touch(number, player_id, self._buckets[number].get(player_id))
        self._buckets[number][player_id] = row
        self._count += 1
        if player_id in self.hidden:
            self.moderation.hidden_entries += 1
        else:
            self._place(player_id, row, None)

    def _overwrite(self, player_id: str, row: Stored, old: Stored) -> None:
        """Another entry in place of the one that a player has."""
        number = self._bucket(player_id)
        self._touch(number, player_id, old)
        self._buckets[number][player_id] = row
        if player_id not in self.hidden:
            self._place(player_id, row, old)

    def _evict_over_limit(self) -> str | None:
        """Drop the worst entries beyond `max_entries` (unranked ones first, hidden ones never, nor do they
        count); the last one dropped.
        """
        limit = self.rules.max_entries
        worst = None
        while limit is not None and self._count - self.moderation.hidden_entries > limit:
            if not self._is_ranked:
                self.rank_entries()
            worst = self.below.worst() if len(self.below) else self.ranking.worst()
            assert worst is not None
            self._discard(worst)
        return worst

    def rank_entries(self) -> None:
        """Sort all entries anew: the end of a recovery. O(n log n), in short steps."""
        standings = Standings(self.rules)
        for bucket in self._buckets:
            inside, outside = self.moderation.split(bucket)
            standings.add(inside)
            if outside:
                standings.add_outside(outside)
        standings.finish()
        self._rank_with(standings)

    def _rank_with(self, standings: Standings) -> None:
        self.ranking, self.below = standings.ranking, standings.below
        self._is_ranked = True

    def _unrank(self) -> None:
        self.ranking = self.below = cast(Ranking, Unranked(self.rules))
        self._is_ranked = False

    def _pack_meta(self, manifest: dict[str, int]) -> bytes:
        return Meta(
            self.rules, self.seq, self.submissions, self.ids.next_segment, manifest, self.closed
        ).pack()

    # Recovery -------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, parts: Iterable[tuple[str, bytes]], seq: int, seen_ids_limit: int = 1_000_000) -> Period:
        """The state that a snapshot's parts show. ValueError if they are not those of a snapshot at `seq`."""
        loader = period_loader(seen_ids_limit)
        for name, body in parts:
            loader.add(name, body)
        period = cls.from_parts(loader.finish(seq))
        period.rank_entries()
        return period

    @classmethod
    def from_parts(cls, found: Loaded[Meta]) -> Period:
        """The state that a `period_loader` put together, not ranked yet: `apply` what the journal holds after
        it, then `rank_entries`. Nothing can be read before.
        """
        meta = found.meta
        period = cls.unranked(meta.rules, found.ids.limit)
        period.take_parts(found)
        period.submissions, period.closed = meta.submissions, meta.closed
        if MODERATION in found.whole:
            period.moderation.unpack(
                found.whole[MODERATION], lambda player_id: period.entry(player_id) is not None
            )
        if FOLLOWED in found.whole:
            period.followed.unpack(found.whole[FOLLOWED])
        return period

    @classmethod
    def unranked(cls, rules: Rules, seen_ids_limit: int = 1_000_000) -> Period:
        """An empty period for the replay of a whole journal, to be ended with `rank_entries`.

        Replay costs a quarter of what it costs where every input is ranked at once. Only `max_entries` needs
        the order to know whom to drop: the first input that exceeds it ranks the entries.
        """
        period = cls(rules, seen_ids_limit)
        period._unrank()
        return period

    def check(self) -> None:
        """Assert every invariant; called throughout the tests."""
        self.ranking.check()
        self.below.check()
        self._check_buckets()
        self.followed.check()
        assert self._count == len(self.ranking) + len(self.below) + self.moderation.hidden_entries
        self.moderation.check(sum(self.entry(player_id) is not None for player_id in self.hidden))
        for bucket in self._buckets:
            for player_id, row in bucket.items():
                ranked = self._side(player_id, row).has(player_id, row)
                assert ranked != (player_id in self.hidden), f"{player_id} is not ranked where he stands"
        assert all(self.entry(player_id) is not None for player_id in self.outside), (
            "outside without an entry"
        )
        limit = self.rules.max_entries
        assert limit is None or self._count - self.moderation.hidden_entries <= limit
