"""The submission ids of the last day, by which a period recognises a repeat (law 3). Pure.

With each id goes a *tag* of what it came with: 32 bits of the player, and above them 32 bits of the
request's body where an `Idempotency-Key` made the id. What comes under a known id with another player or
another body is no repeat, but another submission that must not be lost in silence. A half that is 0 is not
known: the id was stored before there were tags, or is a submission's own.

Ids are kept in segments of some thousand, in the order they came: a segment is what a snapshot saves and what
is forgotten, so neither costs more than what is new.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import msgpack

from lbactors.core.packing import pack

ID_SEGMENT = 4096  # ids in a segment
HOUR_MS = 3600 * 1000
SEEN_IDS_MS = 24 * HOUR_MS


HALF_BITS = 32
HALF_MASK = (1 << HALF_BITS) - 1
TAG_BITS = 2 * HALF_BITS
TAG_MASK = (1 << TAG_BITS) - 1


def body_tag(body: bytes) -> int:
    """What tells apart requests under one `Idempotency-Key`; never 0."""
    return crc32(body) or 1


def tag_of(player_id: str, body: int = 0) -> int:
    """The tag of an id. body: `body_tag` of the request that made it, or 0."""
    return (crc32(player_id.encode()) or 1) | body << HALF_BITS


def contradict(one: int, other: int) -> bool:
    """Whether two tags of one id tell of different players, or of different bodies."""
    players = one & HALF_MASK, other & HALF_MASK
    bodies = one >> HALF_BITS, other >> HALF_BITS
    return any(0 not in pair and pair[0] != pair[1] for pair in (players, bodies))


class HandedOn(NamedTuple):
    """Ids of one period that the next one is to know, as old as `newest_ms`, with their tags."""

    newest_ms: int
    ids: list[str]
    tags: list[int]


class SeenIds:
    """Submission ids with the seq they came under, oldest forgotten first, in segments of `ID_SEGMENT`.

    Forgetting depends on the inputs' times alone: a segment goes when its newest id is older than a day, or
    when there are more than `limit` ids.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._known: dict[str, int] = {}  # id -> seq and tag in one number: a second one would cost 40 bytes
        self.segments: dict[int, IdSegment] = {}
        self.next_segment = 0
        self.dirty: set[int] = set()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, submission_id: object) -> bool:
        return submission_id in self._known

    def seq(self, submission_id: str) -> int | None:
        """The seq under which an id came; None if it is not known."""
        known = self._known.get(submission_id)
        return None if known is None else known >> TAG_BITS

    def contradicts(self, submission_id: str, tag: int) -> bool:
        """Whether a known id came with another player or body."""
        return contradict(self._known.get(submission_id, 0) & TAG_MASK, tag)

    def knows_none(self, submission_ids: Iterable[str]) -> bool:
        """Whether all of the ids are new."""
        return self._known.keys().isdisjoint(submission_ids)

    @property
    def by_id(self) -> dict[str, int]:
        """Every id with its seq; made anew."""
        return {submission_id: known >> TAG_BITS for submission_id, known in self._known.items()}

    def add(self, submission_id: str, seq: int, now_ms: int, tag: int = 0) -> None:
        """Remember an id that is not known yet."""
        number = self.next_segment - 1
        segment = self.segments.get(number)
        if segment is None or segment.closed or len(segment.ids) >= ID_SEGMENT:
            number, segment = self._new_segment(now_ms)
        if now_ms > segment.newest_ms:
            segment.newest_ms = now_ms
        segment.ids.append(submission_id)
        segment.seqs.append(seq)
        segment.tags.append(tag)
        self._known[submission_id] = seq << TAG_BITS | tag
        self.dirty.add(number)

    def inherit(
        self, ids: Sequence[str], seq: int, newest_ms: int, now_ms: int, tags: Sequence[int] = ()
    ) -> None:
        """Remember the ids of another period's segment, as old as they are there. tags: of each, or none."""
        fresh = {i: tag for i, tag in zip(ids, tags or [0] * len(ids), strict=True) if i not in self._known}
        if not fresh:
            return
        number, segment = self._new_segment(now_ms)
        segment.newest_ms = newest_ms
        segment.closed = True
        segment.ids = list(fresh)
        segment.seqs = array("Q", [seq] * len(fresh))
        segment.tags = array("Q", fresh.values())
        self._known.update((i, seq << TAG_BITS | tag) for i, tag in fresh.items())
        self.dirty.add(number)

    def clear(self) -> None:
        """Know none any more. No snapshot may be under way."""
        self._known.clear()
        self.segments.clear()
        self.dirty.clear()

    def handed_on(self, to: SeenIds, oldest_ms: int) -> Iterator[HandedOn]:
        """What the period after is to `inherit`: at most `ID_SEGMENT` ids each, which are no older than
        `oldest_ms` and not known there.

        Segments of one hour go together. Else a chain of short periods would pass on one segment for each
        period of the last day, every time; put together without regard to their age they would never go.
        """
        by_hour: dict[int, HandedOn] = {}
        for segment in self.segments.values():
            if segment.newest_ms < oldest_ms:
                continue
            fresh = [(i, tag) for i, tag in zip(segment.ids, segment.tags, strict=True) if i not in to]
            hour = segment.newest_ms // HOUR_MS
            gathered = by_hour.get(hour, HandedOn(0, [], []))
            if gathered.ids and len(gathered.ids) + len(fresh) > ID_SEGMENT:
                yield gathered
                gathered = HandedOn(0, [], [])
            gathered.ids.extend(i for i, _ in fresh)
            gathered.tags.extend(tag for _, tag in fresh)
            by_hour[hour] = gathered._replace(newest_ms=max(gathered.newest_ms, segment.newest_ms))
        yield from (gathered for gathered in by_hour.values() if gathered.ids)

    def _new_segment(self, now_ms: int) -> tuple[int, IdSegment]:
        self._forget(now_ms)
        number = self.next_segment
        self.next_segment += 1
        segment = self.segments[number] = IdSegment(now_ms)
        self.dirty.add(number)
        return number, segment

    def _forget(self, now_ms: int) -> None:
        while self.segments:
            number = min(self.segments, key=lambda n: self.segments[n].newest_ms)
            segment = self.segments[number]
            if segment.newest_ms >= now_ms - SEEN_IDS_MS and len(self._known) <= self.limit:
                return
            for submission_id in segment.ids:
                del self._known[submission_id]
            del self.segments[number]
            self.dirty.discard(number)

    def unpack(self, number: int, body: bytes) -> None:
        """Take a saved segment back (`IdSegment.pack`), in any order; then `loaded`. ValueError."""
        if number in self.segments:
            raise ValueError(f"segment {number} of the submission ids came twice")
        newest_ms, ids, seqs, closed, *later = msgpack.unpackb(body)
        tags = later[0] if later else [0] * len(ids)
        segment = self.segments[number] = IdSegment(newest_ms)
        segment.closed = closed
        segment.ids, segment.seqs, segment.tags = ids, array("Q", seqs), array("Q", tags)
        self._known.update((i, q << TAG_BITS | tag) for i, q, tag in zip(ids, seqs, tags, strict=True))

    def finish_loading(self, next_segment: int) -> None:
        """All saved segments are back; the next one gets this number."""
        self.segments = dict(sorted(self.segments.items()))
        self.next_segment = next_segment

    def check(self) -> None:
        """Assert that dictionary and segments tell the same."""
        listed = {
            i: q << TAG_BITS | tag
            for s in self.segments.values()
            for i, q, tag in zip(s.ids, s.seqs, s.tags, strict=True)
        }
        assert listed == self._known, "segments and dictionary differ"
        assert sum(len(s.ids) for s in self.segments.values()) == len(listed), "an id stands twice"
        assert list(self.segments) == sorted(self.segments)


class IdSegment:
    """Some thousand submission ids in the order they came; grows at its end only, and once closed no more."""

    __slots__ = ("closed", "ids", "newest_ms", "seqs", "tags")

    def __init__(self, newest_ms: int) -> None:
        self.newest_ms = newest_ms
        self.closed = False
        self.ids: list[str] = []
        self.seqs = array("Q")
        self.tags = array("Q")

    def pack(self, count: int) -> bytes:
        """The first `count` ids: the segment as it was when it had so many."""
        seqs, tags = list(self.seqs[:count]), list(self.tags[:count])
        return pack([self.newest_ms, self.ids[:count], seqs, self.closed, tags])
