"""The sorted ranking of one period: who stands where, and what lies around.

Idea: an ordered index of integer keys. A key carries all that the order depends on (`lbactors.core.rank_keys`
says how), so the index compares plain integers; ascending key means best first. The lowest bits of a key are
its slot, an index into the list of player ids: it leads from a key back to its player. Slots of removed
players are reused.

The other way, from a player to his key, needs no table: whoever asks names the player's *standing* (score,
subscore, seq), which the period has in its entries, and which is the key but for the slot. No two players
share a seq, so a standing has one place in the index.

Owns the order, the ranks and the exact sum of the scores. Does not own entries, windows, min_score or
max_entries: the period decides who is ranked and asks `worst()` whom to drop. No I/O, no clock.

Departs from the usual sorted set (skip list and dictionary) in that the order is a list of sorted blocks,
which are close in memory, that there is no dictionary, and that ties are broken by seq, not by name.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import islice
from math import isfinite
from typing import Any, Literal, TypedDict

from sortedcontainers import SortedList

from lbactors.core.numbers import MAX_EXACT_INTEGER, Number, normal
from lbactors.core.rank_keys import (
    LOWER_63,
    POSITIVE_PREFIX,
    PREFIX_SHIFT,
    SCORE_SHIFT,
    SEQ_MAX,
    SIGN,
    SLOT_BITS,
    SLOT_MASK,
    Standing,
    sum_of_two,
)
from lbactors.core.sorted_runs import SortedRuns

Order = Literal["desc", "asc"]
TieBreaking = Literal["first", "last"]
RankStyle = Literal["ordinal", "competition", "dense"]
Row = tuple[int, str]  # (rank, player_id)

BLOCK_LENGTH = 1000  # a block holds half to twice as many keys; measured at 100 k and 1 M entries
LOADED_ROWS = 4096  # sorted at once by `load`: about 5 ms

_POSITIVE = POSITIVE_PREFIX << PREFIX_SHIFT

_pack_doubles = struct.Struct(">dd").pack
_unpack_signed = struct.Struct(">qq").unpack
_pack_signed = struct.Struct(">q").pack
_unpack_double = struct.Struct(">d").unpack


class Quantiles(TypedDict):
    """By nearest rank: the score at place ceil(p/100 * total), counted from the lowest score up."""

    p50: Number | None
    p90: Number | None
    p99: Number | None


# Scores in [from, to); in the last bucket in [from, to].
Bucket = TypedDict("Bucket", {"from": Number, "to": Number, "count": int})


class Distribution(TypedDict):
    """How the scores of a board are spread; on an empty board every number but `total` is None."""

    total: int
    min: Number | None
    max: Number | None
    mean: Number | None
    quantiles: Quantiles
    buckets: list[Bucket]


class Ranking:
    """The entries of one period in total order: score, then subscore, then seq.

    n is the number of entries. An O(log n) step bisects the index; a change also moves half a block.

    * change: `upsert`, `remove` O(log n) · `load`, `take` (fill an empty ranking) O(n log n)
    * a player's standing: `rank`, `offset`, `offset_after`, `has` O(log n)
    * a stretch: `page`, `around` O(log n + rows) · `score_range` O(log n) · `best`, `worst`, `len` O(1)
    * a score: `rank_of` O(log n) · `better` O(1) · `distribution` O(buckets * log n)
    * `check` asserts every invariant, O(n log n)

    Scores and subscores are finite floats or ints within ±2**53 (larger ints count as the nearest double).
    The style 'dense' keeps the distinct (score, subscore) in a second index, and alone pays for it.
    """

    def __init__(
        self,
        order: Order = "desc",
        subscore_order: Order = "desc",
        tie_breaking: TieBreaking = "first",
        rank_style: RankStyle = "ordinal",
        *,
        block_length: int = BLOCK_LENGTH,
    ) -> None:
        """`block_length` (4 or more) affects speed alone; tests shrink it to split blocks early."""
        self.order = order
        self.subscore_order = subscore_order
        self.tie_breaking = tie_breaking
        self.rank_style = rank_style
        self._score_sign = -1.0 if order == "desc" else 1.0
        self._subscore_sign = -1.0 if subscore_order == "desc" else 1.0
        self._seq_flip = 0 if tie_breaking == "first" else SEQ_MAX
        self._slots: list[str] = []
        self._free_slots: list[int] = []
        self._block_length = block_length
        self._index = SortedList()
        self._index._reset(block_length)
        # Dense ranks count groups of equals: their prefixes in order, and the entries in each.
        self._groups = SortedList() if rank_style == "dense" else None
        self._group_sizes: dict[int, int] = {}
        if self._groups is not None:
            self._groups._reset(block_length)
        # The sum of all scores is exactly _sum / 2**_sum_shift: a double is an integer over a power of two,
        # so the largest such power serves them all. It is 2**0 as long as every score is integral.
        self._sum = 0
        self._sum_shift = 0

    def upsert(
        self, player_id: str, score: Number, subscore: Number, seq: int, old: Standing | None = None
    ) -> None:
        """Put a player at this standing; `old` is the one that he has in this ranking, if any. O(log n).

        `seq` (0..2**48-1) is that of the submission that last changed (score, subscore); no two players share
        one. Raises ValueError if score or subscore is not finite or seq out of range, KeyError if nobody has
        the old standing; either changes nothing.
        """
        if not (isfinite(score) and isfinite(subscore) and 0 <= seq <= SEQ_MAX):
            raise _no_standing(score, subscore, seq)
        key = self._key(score, subscore, seq)
        if old is None:
            old_score: Number = 0
            old_key = None
            if self._free_slots:
                slot = self._free_slots.pop()
                self._slots[slot] = player_id
            else:
                slot = len(self._slots)
                self._slots.append(player_id)
        else:
            old_score = old[0]
            old_key = self._key(old_score, old[1], old[2])
            if key == old_key:
                return
            slot = self._take_out(old_key)
        self._index.add(key + slot)
        if type(score) is int and type(old_score) is int and -MAX_EXACT_INTEGER <= score <= MAX_EXACT_INTEGER:
            self._sum += score - old_score << self._sum_shift
        else:
            self._add_to_sum(score)
            self._add_to_sum(-old_score)
        if self._groups is not None:
            self._regroup(old_key, key)

    def remove(self, standing: Standing) -> None:
        """Take the player with this standing out. O(log n). KeyError, and no change, if nobody has it."""
        key = self._key(*standing[:3])
        slot = self._take_out(key)
        self._slots[slot] = ""
        self._free_slots.append(slot)
        self._add_to_sum(-standing[0])
        if not self._index:
            self._sum_shift = 0
        if self._groups is not None:
            self._regroup(key, None)

    def runs(self) -> SortedRuns:
        """What gathers entries in this ranking's order, for `take`."""
        return SortedRuns(
            falling=self.order == "desc",
            subscores_falling=self.subscore_order == "desc",
            last_leads=self.tie_breaking == "last",
        )

    def take(self, runs: SortedRuns) -> None:
        """Fill an empty ranking with what was gathered, which is used up. O(n log n), in short steps.

        Raises ValueError if the ranking is not empty.
        """
        if self._index:
            raise ValueError("only an empty ranking can be loaded")
        blocks = list(runs.blocks(self._block_length))
        self._slots, self._free_slots = runs.slots, []
        self._sum, self._sum_shift = runs.sum, runs.sum_shift
        _fill(self._index, blocks)
        if self._groups is not None:
            sizes = Counter[int]()
            for block in blocks:
                sizes.update([key >> PREFIX_SHIFT for key in block])
            self._group_sizes = sizes
            prefixes = iter(sizes)  # in the order in which they were met: ascending
            groups = iter(lambda: list(islice(prefixes, self._block_length)), [])
            _fill(self._groups, list(groups))

    def load(self, rows: Iterable[tuple[str, Number, Number, int]]) -> None:
        """Fill an empty ranking from (player_id, score, subscore, seq) in any order. O(n log n).

        Raises ValueError, and stays empty, if a player comes twice or a row is one that `upsert` refuses;
        also if the ranking is not empty.
        """
        runs = self.runs()
        rows = iter(rows)
        while some := list(islice(rows, LOADED_ROWS)):
            for _, score, subscore, seq in some:
                if not (isfinite(score) and isfinite(subscore) and 0 <= seq <= SEQ_MAX):
                    raise _no_standing(score, subscore, seq)
            player_ids, scores, subscores, seqs = zip(*some, strict=True)
            runs.add(player_ids, [*map(normal, scores)], subscores, seqs)
        if len(set(runs.slots)) != len(runs.slots):
            raise ValueError("a player comes twice")
        self.take(runs)

    def __len__(self) -> int:
        return len(self._index)

    def has(self, player_id: str, standing: Standing) -> bool:
        """Whether this player is ranked at this standing. O(log n)."""
        key = self._key(*standing[:3])
        found = next(self._index.irange(key, key + SLOT_MASK), None)
        return found is not None and self._slots[found & SLOT_MASK] == player_id

    def rank(self, standing: Standing) -> int:
        """The 1-based rank, in the board's rank style, of the player with this standing. O(log n)."""
        return self._rank_at(self._key(standing[0], standing[1], standing[2]))

    def offset(self, standing: Standing) -> int:
        """The 0-based place in the total order of the player with this standing; if nobody has it, of the
        first one after it. O(log n).
        """
        return int(self._index.bisect_left(self._key(*standing[:3])))

    def offset_after(self, standing: Standing) -> int:
        """The 0-based place of the first player after this standing, whoever has that. O(log n)."""
        return int(self._index.bisect_right(self._key(*standing[:3]) + SLOT_MASK))

    def page(self, offset: int, limit: int) -> list[Row]:
        """Up to `limit` rows (rank, player_id), best first, from a 0-based offset on. O(log n + limit).

        Empty beyond the end. Raises ValueError if offset or limit is negative.
        """
        if offset < 0 or limit < 0:
            raise ValueError(f"offset {offset} and limit {limit} must not be negative")
        slots = self._slots
        keys = list(self._index.islice(offset, offset + limit))
        if self.rank_style == "ordinal" or not keys:
            return [(place, slots[key & SLOT_MASK]) for place, key in enumerate(keys, offset + 1)]
        # Only the first row's equals may have begun before the page.
        rank, prefix = self._rank_at(keys[0]), keys[0] >> PREFIX_SHIFT
        dense = self.rank_style == "dense"
        rows: list[Row] = []
        for place, key in enumerate(keys, offset + 1):
            if key >> PREFIX_SHIFT != prefix:
                prefix = key >> PREFIX_SHIFT
                rank = rank + 1 if dense else place
            rows.append((rank, slots[key & SLOT_MASK]))
        return rows

    def around(self, standing: Standing, limit: int, fill: bool = True) -> tuple[int, list[Row]]:
        """The player with this standing among his neighbours: (offset of the first row, rows).

        `limit` rows in all, the player included; an odd one is symmetric, an even one has one more below
        (worse). At an edge `fill` shifts the page so that it stays full; without it the page is cut.
        O(log n + limit). Raises ValueError if limit is less than 1.
        """
        if limit < 1:
            raise ValueError(f"limit {limit} must be at least 1")
        place = self.offset(standing)
        start = place - (limit - 1) // 2
        end = start + limit
        if fill:
            start = max(0, min(start, len(self._index) - limit))
            end = start + limit
        start = max(0, start)
        return start, self.page(start, end - start)

    def score_range(
        self, score_min: Number | None = None, score_max: Number | None = None
    ) -> tuple[int, int]:
        """Offsets [start, end) of the entries with score_min <= score <= score_max; None is open. O(log n).

        start == end where there are none. Infinities are open ends too.
        """
        first, last = (score_max, score_min) if self.order == "desc" else (score_min, score_max)
        start = 0 if first is None else self._offset_of_score(first, beyond=False)
        end = len(self._index) if last is None else self._offset_of_score(last, beyond=True)
        return start, max(start, end)

    def best(self) -> str | None:
        """The player at offset 0, None on an empty board. O(1)."""
        return self._slots[self._index[0] & SLOT_MASK] if self._index else None

    def worst(self) -> str | None:
        """The player at the last offset, None on an empty board. O(1)."""
        return self._slots[self._index[-1] & SLOT_MASK] if self._index else None

    def rank_of(self, score: Number, subscore: Number = 0) -> int:
        """The rank that a player who is not ranked yet would take with this result now. O(log n).

        Ordinal: after his equals for tie_breaking 'first', before them for 'last'.
        """
        prefix = self._prefix(score, subscore)
        if self.rank_style == "ordinal" and self.tie_breaking == "first":
            prefix += 1
        return self._rank_at(prefix << PREFIX_SHIFT)

    def better(self, score: Number, subscore: Number, other_score: Number, other_subscore: Number) -> int:
        """1 if the first result is better by the board's orders, -1 if it is worse, 0 if they are equal."""
        if score != other_score:
            return 1 if (score > other_score) == (self.order == "desc") else -1
        if subscore != other_subscore:
            return 1 if (subscore > other_subscore) == (self.subscore_order == "desc") else -1
        return 0

    def distribution(self, buckets: int = 20) -> Distribution:
        """How the scores are spread, by bisection alone. O(buckets * log n).

        The buckets are equally wide over [min, max] and count every entry once. They are fewer than asked for
        where min and max are so close that bounds fall together: one, if all scores are equal. Numbers are in
        normal form; the mean is exact and rounded once. Raises ValueError if buckets is less than 1.
        """
        if buckets < 1:
            raise ValueError(f"buckets {buckets} must be at least 1")
        total = len(self._index)
        if not total:
            nothing: Quantiles = {"p50": None, "p90": None, "p99": None}
            return {"total": 0, "min": None, "max": None, "mean": None, "quantiles": nothing, "buckets": []}
        p50, p90, p99 = (self._ascending((p * total + 99) // 100) for p in (50, 90, 99))
        low, high = self._ascending(1), self._ascending(total)
        edges = _edges(low, high, buckets)
        below = [self._count_below(edge) for edge in edges[:-1]] + [total]
        return {
            "total": total,
            "min": low,
            "max": high,
            "mean": normal(self._sum / (total << self._sum_shift)),  # integers divide with one rounding
            "quantiles": {"p50": p50, "p90": p90, "p99": p99},
            "buckets": [
                {"from": edges[i], "to": edges[i + 1], "count": below[i + 1] - below[i]}
                for i in range(len(edges) - 1)
            ],
        }

    def check(self) -> None:
        """Assert every invariant; called throughout the tests. O(n log n)."""
        self._index._check()
        keys = list(self._index)
        assert keys == sorted(set(keys)), "keys are not strictly ascending"
        assert not keys or (keys[0] >= 0 and keys[-1] >> 208 == 0), "a key is out of range"
        taken = [key & SLOT_MASK for key in keys]
        assert sorted(taken + self._free_slots) == list(range(len(self._slots))), (
            "a slot is lost or used twice"
        )
        assert not any(self._slots[slot] for slot in self._free_slots), "a removed player is still named"
        named = [self._slots[slot] for slot in taken]
        assert len(set(named)) == len(named), "a player is ranked twice"
        exact_sum = sum((Fraction(self._score_of(key)) for key in keys), Fraction(0))
        assert exact_sum * 2**self._sum_shift == self._sum, "the sum has drifted"
        assert keys or not self._sum_shift, "an empty board still counts in fractions"
        sizes = Counter(key >> PREFIX_SHIFT for key in keys) if self._groups is not None else {}
        assert self._group_sizes == sizes, "group sizes differ from the index"
        if self._groups is not None:
            self._groups._check()
            assert list(self._groups) == sorted(sizes), "groups differ from the index"

    def _key(self, score: Number, subscore: Number, seq: int) -> int:
        """The key of a standing, with slot 0."""
        # The hot path: `_prefix` is written out here to spare its call. Adding 0.0 turns -0.0 into 0.0.
        score_bits, subscore_bits = _unpack_signed(
            _pack_doubles(self._score_sign * score + 0.0, self._subscore_sign * subscore + 0.0)
        )
        if score_bits < 0:
            score_bits ^= LOWER_63
        if subscore_bits < 0:
            subscore_bits ^= LOWER_63
        key = (score_bits << SCORE_SHIFT) + (subscore_bits << PREFIX_SHIFT) + _POSITIVE
        return int(key + ((seq ^ self._seq_flip) << SLOT_BITS))

    def _take_out(self, key: int) -> int:
        """Take a standing's key out of the index; its slot. KeyError if it is not there."""
        index = self._index
        block_number = bisect_left(index._maxes, key)
        if block_number < len(index._maxes):
            block = index._lists[block_number]
            place = bisect_left(block, key)
            slot = block[place] - key
            if slot <= SLOT_MASK:
                index._delete(block_number, place)
                return int(slot)
        raise KeyError(f"nobody has the standing of key {key:#x}")

    def _prefix(self, score: Number, subscore: Number) -> int:
        """The 128 bits of a key above the seq."""
        # Adding 0.0 turns -0.0 into 0.0.
        score_bits, subscore_bits = _unpack_signed(
            _pack_doubles(self._score_sign * score + 0.0, self._subscore_sign * subscore + 0.0)
        )
        if score_bits < 0:
            score_bits ^= LOWER_63
        if subscore_bits < 0:
            subscore_bits ^= LOWER_63
        return int((score_bits << 64) + subscore_bits + POSITIVE_PREFIX)

    def _score_of(self, key: int) -> Number:
        """The score in a key, in normal form."""
        bits = (key >> SCORE_SHIFT) - SIGN
        if bits < 0:
            bits ^= LOWER_63
        return normal(self._score_sign * _unpack_double(_pack_signed(bits))[0])

    def _rank_at(self, key: int) -> int:
        """The rank of a key, or of a prefix shifted back."""
        if self._groups is not None:
            return int(self._groups.bisect_left(key >> PREFIX_SHIFT)) + 1
        if self.rank_style == "competition":
            key = key >> PREFIX_SHIFT << PREFIX_SHIFT
        return int(self._index.bisect_left(key)) + 1

    def _offset_of_score(self, score: Number, *, beyond: bool) -> int:
        """Where the entries with this score begin in the order, or with `beyond` where they have ended."""
        return int(self._index.bisect_left(((self._prefix(score, 0) >> 64) + beyond) << SCORE_SHIFT))

    def _ascending(self, place: int) -> Number:
        """The score at a 1-based place counted from the lowest score up, whatever the board's order."""
        return self._score_of(self._index[place - 1 if self.order == "asc" else -place])

    def _count_below(self, score: Number) -> int:
        if self.order == "asc":
            return self._offset_of_score(score, beyond=False)
        return len(self._index) - self._offset_of_score(score, beyond=True)

    def _add_to_sum(self, score: Number) -> None:
        units, denominator = float(score).as_integer_ratio()
        shift = denominator.bit_length() - 1
        self._sum, self._sum_shift = sum_of_two(self._sum, self._sum_shift, units, shift)

    def _regroup(self, old_key: int | None, new_key: int | None) -> None:
        """Style 'dense': move an entry between groups of equals; an emptied group goes, a new one comes."""
        old_prefix = None if old_key is None else old_key >> PREFIX_SHIFT
        new_prefix = None if new_key is None else new_key >> PREFIX_SHIFT
        if old_prefix == new_prefix or self._groups is None:
            return
        sizes = self._group_sizes
        if old_prefix is not None:
            sizes[old_prefix] -= 1
            if not sizes[old_prefix]:
                del sizes[old_prefix]
                self._groups.remove(old_prefix)
        if new_prefix is not None:
            sizes[new_prefix] = size = sizes.get(new_prefix, 0) + 1
            if size == 1:
                self._groups.add(new_prefix)


def _no_standing(score: Number, subscore: Number, seq: int) -> ValueError:
    return ValueError(f"no standing: score {score!r}, subscore {subscore!r}, seq {seq!r}")


def _fill(index: Any, blocks: list[list[int]]) -> None:
    """Make sorted blocks the content of an empty sorted list, as its `update` would, but without a sort."""
    index._lists.extend(blocks)
    index._maxes.extend(block[-1] for block in blocks)
    index._len = sum(map(len, blocks))
    del index._index[:]


def _edges(low: Number, high: Number, buckets: int) -> list[Number]:
    """The bounds of equally wide buckets over [low, high], strictly ascending; [low, low] if they are equal.

    Each is the exact low + (high - low) * i / buckets, rounded once: over a common power of two all are
    integers, nothing overflows (high - low may exceed every double), rounding keeps the order. Bounds that
    round to the same double become one.
    """
    low_units, low_denominator = low.as_integer_ratio()
    high_units, high_denominator = high.as_integer_ratio()
    denominator = max(low_denominator, high_denominator)
    low_units *= denominator // low_denominator
    high_units *= denominator // high_denominator
    exact = (low_units * (buckets - i) + high_units * i for i in range(buckets + 1))
    edges = list(dict.fromkeys(normal(units / (denominator * buckets)) for units in exact))
    return edges if len(edges) > 1 else edges * 2
