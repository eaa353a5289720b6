"""Who is hidden in a period and what was removed from it, with the part of a snapshot that says so.

`lbactors.core.period.Period` owns one, and changes it by inputs of its journal alone; nothing here reads a
clock, so nobody is shown again by himself.

A **hidden** player's entry stays in its bucket and takes submissions as ever, but is in neither ranking: so
it is on no page, in no total and in no rank, and `max_entries` neither counts nor drops it. Its seq is not
touched, so it comes back to the place among equals that it would have had. A player may be hidden before it
has an entry.

What is **removed** is kept, the newest REMOVED_KEPT of a period, so that it can be put back as it was.

Both are one part of a snapshot, `m:0`: MessagePack [[player ids hidden, until_ms of each], [player ids
removed, rows]]. It is small beside the entries, so it is packed as a whole when a snapshot begins, and not at
all where nobody was ever hidden or removed; a snapshot without it is one of those, or of an older version.
"""

from __future__ import annotations

import msgpack

from lbactors.core.snapshot_parts import Bucket, Stored

REMOVED_KEPT = 1000


class Moderation:
    """`hidden`: player id -> until_ms (None: for good), for those who read a clock. `removed`: player id ->
    the entry that was taken out, oldest first. Both stay the same dictionaries for good.
    """

    def __init__(self) -> None:
        self.hidden: dict[str, int | None] = {}
        self.removed: dict[str, Stored] = {}
        self.is_changed = False  # since the last snapshot
        self._is_stored = False  # ever changed: a part of it is in the last snapshot

    # Changing -------------------------------------------------------------------------------------------

    def hide(self, player_id: str, until_ms: int | None) -> None:
        self.hidden[player_id] = until_ms
        self._note()

    def show(self, player_id: str) -> None:
        """KeyError if he is not hidden."""
        del self.hidden[player_id]
        self._note()

    def keep_removed(self, player_id: str, row: Stored) -> None:
        """Keep an entry that was taken out, in place of an older one of the same player."""
        self.removed.pop(player_id, None)  # the newest are last
        self.removed[player_id] = row
        if len(self.removed) > REMOVED_KEPT:
            del self.removed[next(iter(self.removed))]
        self._note()

    def restored(self, player_id: str) -> None:
        """An entry was put back. KeyError if it was not kept."""
        del self.removed[player_id]
        self._note()

    def forget(self, player_id: str, anonymous_id: str | None) -> bool:
        """Erase a player: an anonymous entry that takes his entry's place is hidden if his was. Whether there
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

    def _note(self) -> None:
        self._is_stored = self.is_changed = True

    # Reading --------------------------------------------------------------------------------------------

    def shown(self, bucket: Bucket) -> Bucket:
        """A bucket without the entries of hidden players."""
        gone = self.hidden.keys() & bucket.keys() if self.hidden else None
        return {p: row for p, row in bucket.items() if p not in gone} if gone else bucket

    def pack(self) -> bytes | None:
        """The part of a snapshot; b"" if the last one's is good, None if there is none."""
        if not self.is_changed:
            return b"" if self._is_stored else None
        hidden = [list(self.hidden), list(self.hidden.values())]
        removed = [list(self.removed), list(self.removed.values())]
        return bytes(msgpack.packb([hidden, removed]))

    def unpack(self, body: bytes) -> None:
        """Take a part back, into an empty one."""
        hidden, removed = msgpack.unpackb(body, use_list=False)
        self.hidden.update(zip(*hidden, strict=True))
        self.removed.update(zip(*removed, strict=True))
        self._is_stored = True

    def check(self) -> None:
        """Assert every invariant; called throughout the tests."""
        assert len(self.removed) <= REMOVED_KEPT
        assert self._is_stored or not (self.hidden or self.removed or self.is_changed)
