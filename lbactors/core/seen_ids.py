"""The submission ids of the last day, by which a period recognises a repeat (law 3). Pure.

Ids are kept in segments of some thousand, in the order they came: a segment is what a snapshot saves and what
is forgotten, so neither costs more than what is new.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import msgpack

from lbactors.core.packing import pack

ID_SEGMENT = 4096  # ids in a segment
HOUR_MS = 3600 * 1000
SEEN_IDS_MS = 24 * HOUR_MS


class SeenIds:
    """Submission ids with the seq they came under, oldest forgotten first, in segments of `ID_SEGMENT`.

    Forgetting depends on the inputs' times alone: a segment goes when its newest id is older than a day, or
    when there are more than `limit` ids.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.by_id: dict[str, int] = {}
        self.segments: dict[int, IdSegment] = {}
        self.next_segment = 0
        self.dirty: set[int] = set()

    def add(self, submission_id: str, seq: int, now_ms: int) -> None:
        """Remember an id that is not known yet."""
        number = self.next_segment - 1
        segment = self.segments.get(number)
        if segment is None or segment.closed or len(segment.ids) >= ID_SEGMENT:
            number, segment = self._new_segment(now_ms)
        segment.newest_ms = max(segment.newest_ms, now_ms)
        segment.ids.append(submission_id)
        segment.seqs.append(seq)
        self.by_id[submission_id] = seq
        self.dirty.add(number)

    def inherit(self, ids: Iterable[str], seq: int, newest_ms: int, now_ms: int) -> None:
        """Remember the ids of another period's segment, as old as they are there."""
        fresh = [i for i in ids if i not in self.by_id]
        if not fresh:
            return
        number, segment = self._new_segment(now_ms)
        segment.newest_ms = newest_ms
        segment.closed = True
        segment.ids = fresh
        segment.seqs = array("Q", [seq] * len(fresh))
        self.by_id.update(dict.fromkeys(fresh, seq))
        self.dirty.add(number)

    def handed_on(self, to: SeenIds, oldest_ms: int) -> Iterator[tuple[int, list[str]]]:
        """What the period after is to `inherit`: (newest_ms, ids) of at most `ID_SEGMENT` ids each, which are
        no older than `oldest_ms` and not known there.

        Segments of one hour go together. Else a chain of short periods would pass on one segment for each
        period of the last day, every time; put together without regard to their age they would never go.
        """
        by_hour: dict[int, tuple[int, list[str]]] = {}
        for segment in self.segments.values():
            if segment.newest_ms < oldest_ms:
                continue
            fresh = [i for i in segment.ids if i not in to.by_id]
            newest_ms, ids = by_hour.setdefault(segment.newest_ms // HOUR_MS, (0, []))
            if ids and len(ids) + len(fresh) > ID_SEGMENT:
                yield newest_ms, ids
                newest_ms, ids = 0, []
            ids.extend(fresh)
            by_hour[segment.newest_ms // HOUR_MS] = max(newest_ms, segment.newest_ms), ids
        yield from ((newest_ms, ids) for newest_ms, ids in by_hour.values() if ids)

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
            if segment.newest_ms >= now_ms - SEEN_IDS_MS and len(self.by_id) <= self.limit:
                return
            for submission_id in segment.ids:
                del self.by_id[submission_id]
            del self.segments[number]
            self.dirty.discard(number)

    def unpack(self, number: int, body: bytes) -> None:
        """Take a saved segment back (`IdSegment.pack`), in any order; then `loaded`. ValueError."""
        if number in self.segments:
            raise ValueError(f"segment {number} of the submission ids came twice")
        newest_ms, ids, seqs, closed = msgpack.unpackb(body)
        segment = self.segments[number] = IdSegment(newest_ms)
        segment.closed = closed
        segment.ids, segment.seqs = ids, array("Q", seqs)
        self.by_id.update(zip(ids, seqs, strict=True))

    def finish_loading(self, next_segment: int) -> None:
        """All saved segments are back; the next one gets this number."""
        self.segments = dict(sorted(self.segments.items()))
        self.next_segment = next_segment

    def check(self) -> None:
        """Assert that dictionary and segments tell the same."""
        listed = {i: q for s in self.segments.values() for i, q in zip(s.ids, s.seqs, strict=True)}
        assert listed == self.by_id, "segments and dictionary differ"
        assert sum(len(s.ids) for s in self.segments.values()) == len(listed), "an id stands twice"
        assert list(self.segments) == sorted(self.segments)


class IdSegment:
    """Some thousand submission ids in the order they came; grows at its end only, and once closed no more."""

    __slots__ = ("closed", "ids", "newest_ms", "seqs")

    def __init__(self, newest_ms: int) -> None:
        self.newest_ms = newest_ms
        self.closed = False
        self.ids: list[str] = []
        self.seqs = array("Q")

    def pack(self, count: int) -> bytes:
        """The first `count` ids: the segment as it was when it had so many."""
        seqs = list(self.seqs[:count])
        return pack([self.newest_ms, self.ids[:count], seqs, self.closed])
