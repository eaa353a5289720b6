"""What moderators do to a period: hide and show players, edit, remove and restore entries.

Part of `lbactors.core.period.Period`, and as deterministic: every act is an input of the journal.

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

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import msgpack

from lbactors.core.snapshot_parts import MODERATION as MODERATION
from lbactors.core.snapshot_parts import Applied, Bucket, Entry, Stored

REMOVED_KEPT = 1000


class Moderating:
    """`hidden`: player id -> until_ms (None: for good), for those who read a clock: nothing expires here.
    `removed`: player id -> the entry that was taken out, oldest first.
    """

    seq: int

    def __init__(self) -> None:
        self.hidden: dict[str, int | None] = {}
        self.removed: dict[str, Stored] = {}
        self._hidden_entries = 0  # entries of hidden players
        self._moderation_changed = False  # since the last snapshot
        self._moderated = False  # ever: a part of that name is in the last snapshot

    # What a period has ----------------------------------------------------------------------------------

    @abstractmethod
    def entry(self, player_id: str) -> Entry | None: ...

    @abstractmethod
    def rank(self, player_id: str) -> int | None: ...

    @abstractmethod
    def _put(self, player_id: str, row: Stored) -> None: ...

    @abstractmethod
    def _overwrite(self, player_id: str, row: Stored, old: Stored) -> None: ...

    @abstractmethod
    def _place(self, player_id: str, row: Stored, old: Stored | None) -> None: ...

    @abstractmethod
    def _side(self, row: Stored) -> Any: ...

    @abstractmethod
    def _evict_over_limit(self) -> str | None: ...

    # Inputs ---------------------------------------------------------------------------------------------

    def _hide(self, player_id: str, until_ms: int | None) -> Applied:
        old = self.entry(player_id)
        if player_id not in self.hidden and old is not None:
            row = cast("Stored", tuple(old))
            self._side(row).remove(row)
            self._hidden_entries += 1
        self.hidden[player_id] = until_ms
        self._note()
        return Applied(True, old, old, None, None, self.seq, False, None)

    def _show(self, player_id: str) -> Applied:
        if player_id not in self.hidden:
            old = self.entry(player_id)
            return Applied(False, old, old, None, None, self.seq, False, None)
        del self.hidden[player_id]
        self._note()
        old = self.entry(player_id)
        if old is not None:
            self._hidden_entries -= 1
            self._place(player_id, cast("Stored", tuple(old)), None)
            self._evict_over_limit()
        return Applied(True, self.entry(player_id), old, None, None, self.seq, False, None)

    def _edit(self, item: Sequence[Any], want: int) -> Applied:
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
            at_ms,
            old.metadata if metadata is False else metadata,
        )
        self._overwrite(player_id, row, cast("Stored", tuple(old)))
        rank = self.rank(player_id) if want else None
        return Applied(True, Entry(*row), old, rank, previous_rank, self.seq, False, None)

    def _restore(self, player_id: str, want: int) -> Applied:
        """Put back what was removed last, as it was."""
        old = self.entry(player_id)
        if old is not None:
            return Applied(False, old, old, None, None, self.seq, False, "entry_exists")
        row = self.removed.get(player_id)
        if row is None:
            return Applied(False, None, None, None, None, self.seq, False, "entry_not_found")
        self._put(player_id, row)
        if self._evict_over_limit() == player_id:  # better ones came: it stays what could be put back
            return Applied(False, None, None, None, None, self.seq, False, None)
        del self.removed[player_id]
        self._note()
        rank = self.rank(player_id) if want else None
        return Applied(True, Entry(*row), None, rank, None, self.seq, False, None)

    def _keep_removed(self, player_id: str, row: tuple[Any, ...]) -> None:
        self.removed.pop(player_id, None)  # the newest are last
        self.removed[player_id] = cast("Stored", row)
        if len(self.removed) > REMOVED_KEPT:
            del self.removed[next(iter(self.removed))]
        self._note()

    def _forget(self, player_id: str, anonymous_id: str | None) -> bool:
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

    def mentions(self, player_id: str) -> bool:
        """Whether anything but submission ids and the journal names a player."""
        return self.entry(player_id) is not None or player_id in self.hidden or player_id in self.removed

    # Rankings and snapshots -----------------------------------------------------------------------------

    def _shown(self, bucket: Bucket) -> Bucket:
        """A bucket without the entries of hidden players."""
        gone = self.hidden.keys() & bucket.keys() if self.hidden else None
        return {p: row for p, row in bucket.items() if p not in gone} if gone else bucket

    def _note(self) -> None:
        self._moderated = self._moderation_changed = True

    def _pack_moderation(self) -> bytes | None:
        """The part of a snapshot; b"" if the last one's is good, None if there is none."""
        if not self._moderation_changed:
            return b"" if self._moderated else None
        hidden = [list(self.hidden), list(self.hidden.values())]
        removed = [list(self.removed), list(self.removed.values())]
        return bytes(msgpack.packb([hidden, removed]))

    def _unpack_moderation(self, body: bytes) -> None:
        """Once the buckets are there."""
        hidden, removed = msgpack.unpackb(body, use_list=False)
        self.hidden = dict(zip(*hidden, strict=True))
        self.removed = dict(zip(*removed, strict=True))
        self._hidden_entries = sum(self.entry(player_id) is not None for player_id in self.hidden)
        self._moderated = True

    def _check_moderation(self) -> None:
        entries = sum(self.entry(player_id) is not None for player_id in self.hidden)
        assert self._hidden_entries == entries, "hidden entries are counted wrong"
        assert len(self.removed) <= REMOVED_KEPT
        assert self._moderated or not (self.hidden or self.removed or self._moderation_changed)
