"""Who is not ranked in a period, whatever the score, and the entries that were removed.

Two reasons keep an entry out of the ranking. A **hidden** player's is in no order at all: `max_entries`
neither counts nor drops it. That of a player **outside** the audience stands as if it were below `min_score`,
in `Period.below`: it counts for `max_entries`, and drops out first.

A part of `lbactors.core.period.Period`, which takes the inputs and keeps entries and rankings accordingly; as
deterministic as that is.

What is **removed** is kept, the newest REMOVED_KEPT of a period, so that it can be put back as it was.

All are one part of a snapshot, `m:0`: MessagePack [[player ids hidden, until_ms of each], [player ids
removed, rows], [player ids outside]], the last only where there are any. It is small beside the entries (100
000 ids take 10 ms), so it is packed as a whole when a snapshot begins, and not at all where nobody was ever
hidden, removed or outside; a snapshot without it is one of those, or of an older version.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import msgpack

from lbactors.core.packing import pack
from lbactors.core.snapshot_parts import Bucket, Stored

REMOVED_KEPT = 1000


class Moderation:
    """`hidden`: player id -> until_ms (None: for good), for those who read a clock: nothing expires here.
    `removed`: player id -> the entry that was taken out, oldest first.
    `outside`: the players outside the audience that have an entry, hidden ones too; no values. All
    three stay the same dictionaries.
    `hidden_entries`: how many of the hidden have an entry. `changed`: since the last snapshot. `is_used`:
    whether anybody was ever hidden or outside, or anything removed.
    """

    def __init__(self) -> None:
        self.hidden: dict[str, int | None] = {}
        self.removed: dict[str, Stored] = {}
        self.outside: dict[str, None] = {}
        self.hidden_entries = 0
        self.changed = False
        self.is_used = False

    def hide(self, player_id: str, until_ms: int | None, *, has_entry: bool) -> None:
        if player_id not in self.hidden:
            self.hidden_entries += has_entry
        self.hidden[player_id] = until_ms
        self._note()

    def show(self, player_id: str, *, has_entry: bool) -> None:
        """Of one who is hidden."""
        del self.hidden[player_id]
        self.hidden_entries -= has_entry
        self._note()

    def put_outside(self, player_id: str) -> None:
        self.outside[player_id] = None
        self._note()

    def put_inside(self, player_id: str) -> None:
        """Also of one who has no entry any more."""
        self.outside.pop(player_id, None)
        self._note()

    def keep_removed(self, player_id: str, row: Stored) -> None:
        """An entry was taken out."""
        self.removed.pop(player_id, None)  # the newest are last
        self.removed[player_id] = row
        if len(self.removed) > REMOVED_KEPT:
            del self.removed[next(iter(self.removed))]
        self._note()

    def restored(self, player_id: str) -> None:
        """What was removed is an entry again."""
        del self.removed[player_id]
        self._note()

    def forget(self, player_id: str, anonymous_id: str | None) -> bool:
        """Erase a player, who has no entry any more: an anonymous entry is hidden if his was. Whether there
        was anything.
        """
        known = self.removed.pop(player_id, None) is not None
        if player_id in self.hidden:
            until_ms = self.hidden.pop(player_id)
            if anonymous_id is not None:
                self.hidden[anonymous_id] = until_ms
            known = True
        if known:
            self._note()
        return known

    def begin_anew(self) -> None:
        """All entries went, and what was removed with them. Who is hidden stays so."""
        self.hidden_entries = 0
        if self.removed or self.outside:
            self.removed.clear()
            self.outside.clear()
            self._note()

    def shown(self, bucket: Bucket) -> Bucket:
        """A bucket without the entries of hidden players."""
        gone = self.hidden.keys() & bucket.keys() if self.hidden else None
        return {p: row for p, row in bucket.items() if p not in gone} if gone else bucket

    def split(self, bucket: Bucket) -> tuple[Bucket, Bucket]:
        """A bucket's entries that may be ranked, and those of players outside; hidden ones in neither."""
        bucket = self.shown(bucket)
        there = self.outside.keys() & bucket.keys() if self.outside else None
        if not there:
            return bucket, {}
        inside = {p: row for p, row in bucket.items() if p not in there}
        return inside, {p: bucket[p] for p in there}

    def _note(self) -> None:
        self.is_used = self.changed = True

    def pack(self) -> bytes:
        """The part of a snapshot."""
        hidden = [list(self.hidden), list(self.hidden.values())]
        removed = [list(self.removed), list(self.removed.values())]
        return pack([hidden, removed, *([list(self.outside)] if self.outside else [])])

    def unpack(self, body: bytes, has_entry: Callable[[str], bool]) -> None:
        """Take what a part says; once the buckets are there."""
        hidden, removed, *outside = msgpack.unpackb(body, use_list=False)
        self.hidden.update(zip(*hidden, strict=True))
        self.removed.update(zip(*removed, strict=True))
        self.outside.update(dict.fromkeys(chain(*outside)))
        self.hidden_entries = sum(map(has_entry, self.hidden))
        self.is_used = True

    def check(self, hidden_entries: int) -> None:
        """Assert every invariant. hidden_entries: as counted anew."""
        assert self.hidden_entries == hidden_entries, "hidden entries are counted wrong"
        assert len(self.removed) <= REMOVED_KEPT
        assert self.is_used or not (self.hidden or self.removed or self.outside or self.changed)
