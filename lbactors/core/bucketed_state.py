"""What states kept by player have in common: buckets, the ids seen, and snapshots that never stop the
world (law 4).

`begin_snapshot` freezes nothing and copies nothing: it notes which buckets changed since the last snapshot. A
row that changes before its bucket's turn is kept as it was, so every part of one snapshot shows the same seq.
That departs from "each bucket with the seq that it covers": one input may change several players' rows
(`max_entries` evicts), so a state whose buckets differ in seq could not be replayed. (Keeping the bucket
instead of the row let the first large batch of a round wait 0.1 s at a million entries, for the copies of all
buckets at once.)

Buckets grow one at a time by linear hashing: at `n` buckets, hash h lives in h mod 2^k, or in h mod 2^(k-1)
if that bucket is not split yet; so growth never rehashes everything at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from zlib import crc32

from lbactors.core.seen_ids import SeenIds
from lbactors.core.snapshot_parts import META, Bucket, Loaded, Snapshot, Stored, pack_bucket

BUCKET_ENTRIES = 2048  # mean rows of a bucket before another is split off: about 1 ms to serialise


class WholePart(Protocol):
    """Something small beside the rows, which a snapshot has as one part. is_used: whether there ever was
    anything. changed: since the last snapshot.
    """

    is_used: bool
    changed: bool

    def pack(self) -> bytes:
        """The part's body."""


class BucketedState:
    """`seq` is that of the last input applied, `saved_seq` that of the last committed snapshot."""

    def __init__(self, seen_ids_limit: int) -> None:
        self.seq = 0
        self.saved_seq = 0
        self.ids = SeenIds(seen_ids_limit)
        self._buckets: list[Bucket] = [{}]
        self._count = 0
        self._dirty: set[int] = {0}
        self._wide = self._narrow = 0  # masks of linear hashing for the current number of buckets
        self._manifest: dict[str, int] = {}
        self._snapshot: Snapshot | None = None
        self._whole: Mapping[str, WholePart] = {}  # by the name of the part

    def __len__(self) -> int:
        """Rows kept."""
        return self._count

    def _pack_meta(self, manifest: dict[str, int]) -> bytes:
        """The part `meta` of a snapshot of the state as it is now."""
        raise NotImplementedError

    # Buckets --------------------------------------------------------------------------------------------

    def _bucket(self, player_id: str) -> int:
        hashed = crc32(player_id.encode())
        number = hashed & self._wide  # `_bucket_of`, written out: every read comes through here
        return number if number < len(self._buckets) else hashed & self._narrow

    def _bucket_of(self, hashed: int) -> int:
        number = hashed & self._wide
        return number if number < len(self._buckets) else hashed & self._narrow

    def _set_masks(self) -> None:
        self._wide = (1 << (len(self._buckets) - 1).bit_length()) - 1
        self._narrow = self._wide >> 1

    def _touch(self, number: int, player_id: str, row: Stored | None) -> None:
        """A row of a bucket changes, comes (`row` None) or goes: keep `row`, as it was, for a snapshot
        that has not written the bucket yet; note the bucket as changed.
        """
        snapshot = self._snapshot
        if snapshot is not None and number in snapshot.waiting:
            snapshot.before.setdefault(number, {}).setdefault(player_id, row)
        self._dirty.add(number)

    def _split_bucket(self) -> None:
        """Add one bucket and move to it what now belongs there, all out of one other bucket."""
        new = len(self._buckets)
        source = new - (1 << (new.bit_length() - 1))
        self._buckets.append({})
        self._set_masks()
        self._dirty.update((source, new))
        bucket = self._buckets[source]
        for player_id in [p for p in bucket if self._bucket(p) == new]:
            row = self._buckets[new][player_id] = bucket.pop(player_id)
            self._touch(source, player_id, row)

    def _clear_buckets(self) -> None:
        """Let go of all rows. No snapshot may be under way."""
        assert self._snapshot is None, "a snapshot still shows the rows"
        self._buckets = [{}]
        self._count = 0
        self._dirty = {0}
        self._set_masks()

    # Snapshots ------------------------------------------------------------------------------------------

    def begin_snapshot(self) -> Snapshot | None:
        """Start a snapshot of the state as it is now; None if the last one shows it already."""
        assert self._snapshot is None, "one snapshot at a time"
        if self.seq == self.saved_seq:
            return None
        seq = self.seq
        manifest = {META: seq}
        for number in range(len(self._buckets)):
            name = f"e:{number}"
            manifest[name] = seq if number in self._dirty else self._manifest[name]
        for number in self.ids.segments:
            name = f"i:{number}"
            manifest[name] = seq if number in self.ids.dirty else self._manifest[name]
        for name, part in self._whole.items():
            if part.is_used:
                manifest[name] = seq if part.changed else self._manifest[name]
        snapshot = Snapshot(seq, manifest, set(self._dirty), self._pack_meta(manifest))
        snapshot.segments = [
            (n, self.ids.segments[n], len(self.ids.segments[n].ids)) for n in sorted(self.ids.dirty)
        ]
        for name, part in self._whole.items():
            if part.changed:
                snapshot.whole[name], part.changed = part.pack(), False
        self._dirty.clear()
        self.ids.dirty.clear()
        self._snapshot = snapshot
        return snapshot

    def next_parts(self, rows: int) -> dict[str, bytes]:
        """Serialise further parts, at least one and about `rows` rows or ids; {} when all are taken."""
        snapshot = self._snapshot
        assert snapshot is not None
        parts: dict[str, bytes] = {}
        enough = min(rows, BUCKET_ENTRIES) // 2  # so little left is no room for another part
        if snapshot.meta is not None:
            parts[META], snapshot.meta = snapshot.meta, None
        parts |= snapshot.whole
        snapshot.whole = {}
        while snapshot.segments and rows > enough:
            number, segment, count = snapshot.segments.pop()
            parts[f"i:{number}"] = segment.pack(count)
            rows -= max(count, 1)
        while snapshot.waiting and rows > enough:
            number = snapshot.waiting.pop()
            bucket = self._buckets[number]
            if before := snapshot.before.pop(number, None):
                bucket = {p: row for p, row in {**bucket, **before}.items() if row is not None}
            rows -= max(len(bucket), 1)
            parts[f"e:{number}"] = pack_bucket(bucket)
        return parts

    def end_snapshot(self, committed: bool) -> None:
        """Note that the snapshot is durable, or give it up: what it would have saved is unsaved again."""
        snapshot, self._snapshot = self._snapshot, None
        assert snapshot is not None
        if committed:
            self._manifest = snapshot.manifest
            self.saved_seq = snapshot.seq
            return
        for name, seq in snapshot.manifest.items():
            if seq == snapshot.seq and name != META:
                kind, number = name.split(":")
                if kind == "e":
                    self._dirty.add(int(number))
                elif name in self._whole:
                    self._whole[name].changed = True
                elif int(number) in self.ids.segments:
                    self.ids.dirty.add(int(number))

    def take_parts(self, found: Loaded[Any]) -> None:
        """Take buckets, ids and manifest of a snapshot that was loaded."""
        self.seq = self.saved_seq = found.meta.seq
        self.ids = found.ids
        self._buckets = found.buckets
        self._set_masks()
        self._dirty.clear()
        self._count = sum(map(len, found.buckets))
        self._manifest = found.meta.manifest

    def _check_buckets(self) -> None:
        """Assert every invariant of what is kept here."""
        self.ids.check()
        assert self._count == sum(map(len, self._buckets))
        for number, bucket in enumerate(self._buckets):
            for player_id in bucket:
                assert self._bucket(player_id) == number, f"{player_id} in the wrong bucket"
