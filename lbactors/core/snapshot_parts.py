"""A period's state in parts: how a bucket of entries is written, and how parts become a state again.

The parts of a snapshot
    meta   MessagePack [rules, seq, submissions, next id segment, manifest, closed]; manifest: part name ->
           seq that it was put under; closed: [reopened, ends_at_ms], only of a period that was closed
    e:N    bucket N of the entries: MessagePack [1, player ids, scores, subscores, seqs, submissions,
           first_at_ms, updated_at_ms, metadata], columns of one length
    i:N    segment N of the submission ids (`lbactors.core.seen_ids`)
    m:0    who is hidden or outside, what was removed (`lbactors.core.period_moderation`); only where there is
           any
    f:0    how far the log was read, and the acts on entries (`lbactors.core.followed`); only of a projection

Columns instead of rows, because a column is unpacked and turned into entries or keys by a few calls that run
in C. Version 0.1.0 wrote a bucket as rows, [[player id, score, …, metadata], …]; they are read too.

`PartsLoader` takes parts as they are read, in any order, so that reading and loading overlap and no part is
kept. Its steps are short, about 2 ms a part of 2048 entries, for it runs in a thread beside other periods.
`Standings` ranks what was loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import compress
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgpack

from lbactors.core.definition import Rules
from lbactors.core.numbers import Number
from lbactors.core.packing import pack
from lbactors.core.rank_keys import Standing
from lbactors.core.ranking import Ranking
from lbactors.core.seen_ids import IdSegment, SeenIds

META = "meta"
MODERATION = "m:0"
FOLLOWED = "f:0"
IN_COLUMNS = 1  # first item of a bucket's body that is written in columns
COLUMNS = 8

# score, subscore, seq, submissions, first_at_ms, updated_at_ms, metadata: the fields of `period.Entry`, in a
# plain tuple, which is made in half the time and which the garbage collector need not look at
Stored = tuple[Number, Number, int, int, int, int, bytes | None]
Bucket = dict[str, Stored]
Columns = tuple[Sequence[Any], ...]  # player ids and the fields of `Stored`; none at all for an empty bucket


def columns_of(bucket: Bucket) -> Columns:
    """A bucket's entries as columns."""
    return (tuple(bucket), *zip(*bucket.values(), strict=True)) if bucket else ()


def bucket_of(columns: Columns) -> Bucket:
    """The same the other way round."""
    if not columns:
        return {}
    player_ids, *fields = columns
    return dict(zip(player_ids, zip(*fields, strict=True), strict=True))


def pack_bucket(bucket: Bucket) -> bytes:
    """The body of a bucket's part. 2048 entries take about 0.5 ms."""
    return pack([IN_COLUMNS, *columns_of(bucket)])


def unpack_columns(body: bytes) -> Columns:
    """The columns of a bucket's part, in either encoding. ValueError or TypeError if it is none."""
    items = msgpack.unpackb(body, use_list=False)
    columns: Columns
    if items and items[0] == IN_COLUMNS:
        columns = items[1:]
    else:
        columns = tuple(zip(*items, strict=True))
    if len(columns) not in (0, COLUMNS):
        raise ValueError(f"a bucket has {COLUMNS} columns, not {len(columns)}")
    return columns


class Standings:
    """The two rankings of a period under its rules: of the entries that are ranked, and of those below
    `min_score` or outside the audience. Empty; or filled by `add` for each bucket, then `finish`.
    """

    def __init__(self, rules: Rules) -> None:
        order = (rules.order, rules.subscore_order, rules.tie_breaking)
        self.ranking = Ranking(*order, rules.rank_style)
        self.below = Ranking(*order, "ordinal")
        self._floor = rules.min_score
        self._ranked_runs, self._below_runs = self.ranking.runs(), self.below.runs()

    def add(self, bucket: Bucket) -> None:
        """Sort a bucket's entries."""
        standing = columns_of(bucket)[:4]  # player ids, scores, subscores, seqs
        if self._floor is None or not standing:
            self._ranked_runs.add(*standing)
            return
        ranked = [score >= self._floor for score in standing[1]]
        below = [not there for there in ranked]
        self._ranked_runs.add(*(list(compress(column, ranked)) for column in standing))
        self._below_runs.add(*(list(compress(column, below)) for column in standing))

    def add_outside(self, bucket: Bucket) -> None:
        """Sort entries of players outside the audience."""
        self._below_runs.add(*columns_of(bucket)[:4])

    def finish(self) -> None:
        """Fill both rankings."""
        self.ranking.take(self._ranked_runs)
        self.below.take(self._below_runs)


class Unranked:
    """Stands for both rankings of a period while its journal is replayed: keeps nothing, knows no ranks.

    Whatever else a `Ranking` is asked for raises AttributeError: better than a wrong answer.
    """

    def __init__(self, rules: Rules) -> None:
        self.better = Standings(rules).ranking.better

    def upsert(
        self, player_id: str, score: Number, subscore: Number, seq: int, old: Standing | None = None
    ) -> None:
        """Nothing: the entry is ranked with all others."""

    def remove(self, standing: Standing) -> None:
        """Nothing, either."""


class Entry(NamedTuple):
    """A player's standing. `seq` is that of the submission that last changed (score, subscore).

    first_at_ms: the earliest time of all submissions; updated_at_ms: the latest of those that were applied,
    and of edits. So the first never exceeds the second, in whatever order they arrive.
    """

    score: int | float
    subscore: int | float
    seq: int
    submissions: int
    first_at_ms: int
    updated_at_ms: int
    metadata: bytes | None


class Applied(NamedTuple):
    """What an input did. `error`: why a submission was refused (a 422), or the code of the
    error that a moderator is told; else None.
    """

    applied: bool
    entry: Entry | None
    previous: Entry | None
    rank: int | None
    previous_rank: int | None
    seq: int
    duplicate: bool
    error: str | None


class Snapshot:
    """A snapshot under way: take `next_parts` until it is empty, then the manifest may be committed.

    `seq`: the state that it shows. `manifest`: part name -> seq of the snapshot that wrote the part.
    """

    def __init__(self, seq: int, manifest: dict[str, int], buckets: set[int], meta: bytes) -> None:
        self.seq = seq
        self.manifest = manifest
        self.meta: bytes | None = meta
        self.waiting = buckets  # bucket numbers still to be written
        # Entries of those buckets that changed before their turn, as they were; None: there was none.
        self.before: dict[int, dict[str, Stored | None]] = {}
        self.segments: list[tuple[int, IdSegment, int]] = []  # number, segment, ids in it at the beginning
        self.whole: dict[str, bytes] = {}  # parts that were packed at the beginning


class Meta(NamedTuple):
    """The part `meta`. `manifest`: part name -> the seq that it was put under. `closed`: see `Period`."""

    rules: Rules
    seq: int
    submissions: int
    next_segment: int
    manifest: dict[str, int]
    closed: tuple[int, int | None] | None = None

    def pack(self) -> bytes:
        return pack(self if self.closed is not None else self[:-1])

    @classmethod
    def unpack(cls, body: bytes) -> Meta:
        """ValueError, TypeError or an error of msgpack if it is none."""
        rules, seq, submissions, next_segment, manifest, *rest = msgpack.unpackb(body)
        closed = None
        if rest:
            (reopened, ends_at_ms), *_ = rest
            closed = (reopened, ends_at_ms)
        return cls(Rules(*rules), seq, submissions, next_segment, manifest, closed)


class AnyMeta(Protocol):
    """What the part `meta` of any state says at least."""

    @property
    def seq(self) -> int:
        """Of the snapshot."""

    @property
    def next_segment(self) -> int:
        """Number of the next segment of ids."""

    @property
    def manifest(self) -> dict[str, int]:
        """Part name -> the seq that it was put under."""


M = TypeVar("M", bound=AnyMeta)


class Loaded(NamedTuple, Generic[M]):
    """What the parts of a snapshot show. whole: parts that are kept as they are, by name."""

    meta: M
    buckets: list[Bucket]
    ids: SeenIds
    whole: dict[str, bytes]


class PartsLoader(Generic[M]):
    """Puts the parts of one snapshot together. One thread at a time; after an error it is of no more use.

    meta: unpacks the part `meta`. whole: names of parts that are kept as they are.
    """

    def __init__(self, seen_ids_limit: int, meta: Callable[[bytes], M], whole: Collection[str]) -> None:
        self._ids = SeenIds(seen_ids_limit)
        self._buckets: dict[int, Bucket] = {}
        self._unpack_meta = meta
        self._meta: M | None = None
        self._names = whole
        self._whole: dict[str, bytes] = {}

    def add(self, name: str, body: bytes) -> None:
        """Unpack one part. ValueError, KeyError, TypeError or an error of msgpack if it is none."""
        if name == META:
            self._meta = self._unpack_meta(body)
            return
        if name in self._names:
            self._whole[name] = body
            return
        kind, _, number = name.partition(":")
        if kind == "e":
            self._buckets[int(number)] = bucket_of(unpack_columns(body))
        elif kind == "i":
            self._ids.unpack(int(number), body)
        else:
            raise ValueError(f"a part named {name!r} is unknown")

    def finish(self, seq: int) -> Loaded[M]:
        """The state at `seq`. ValueError if the parts are not those of a snapshot at `seq`."""
        meta = self._meta
        if meta is None:
            raise ValueError(f"the part {META!r} is missing")
        found = {META, *(f"e:{n}" for n in self._buckets), *(f"i:{n}" for n in self._ids.segments)}
        found |= self._whole.keys()
        if meta.seq != seq or set(meta.manifest) != found:
            raise ValueError(f"the parts found are not those of the snapshot at seq {seq}")
        buckets = [self._buckets[number] for number in range(len(self._buckets))]
        self._ids.finish_loading(meta.next_segment)
        return Loaded(meta, buckets, self._ids, self._whole)


def period_loader(seen_ids_limit: int = 1_000_000) -> PartsLoader[Meta]:
    """Puts the parts of a period's snapshot together."""
    return PartsLoader(seen_ids_limit, Meta.unpack, (MODERATION, FOLLOWED))
