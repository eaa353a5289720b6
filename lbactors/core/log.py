"""The state of one log: accounts by player, pending rows, ids seen. The same for the same journal (law 1).

A `Log` is to a metric, or to a tenant's events, what a `Period` is to a leaderboard: the caller numbers
inputs, journals them, and only then calls `apply`. What a request makes of it, and whether it is refused, is
settled before, by `lbactors.core.log_draft`: what is journaled holds.

An account is a row of numbers: balance, earned, spent, pending, how many rows the player has, the seq of the
newest (rows point back from one to the one before), and when one was completed last. A log of events has the
same accounts, and uses but the last three.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast
from zlib import crc32

import msgpack

from lbactors.core.bucketed_state import BUCKET_ENTRIES, BucketedState
from lbactors.core.definition import Rules
from lbactors.core.log_inputs import (
    AWARD,
    DEDUCT,
    ERASE,
    ERASED,
    EVENT,
    FORGET,
    ROW,
    SETTLE,
    TICK,
    TRIM,
    AccountPlace,
    LogInput,
    Settle,
)
from lbactors.core.log_model import NO_BALANCE, Balance, LogStats
from lbactors.core.numbers import Number, added
from lbactors.core.packing import pack
from lbactors.core.seen_ids import HALF_BITS
from lbactors.core.snapshot_parts import META, Loaded, PartsLoader, Stored

OPEN = "l:0"  # the part of a snapshot that `OpenRows` is
FEW_ROWS = (0, 0, 0, 0, 0, 0, 0)

Account = tuple[Number, Number, Number, Number, int, int, int]


class PendingRow(NamedTuple):
    """A row that counts for nothing yet. kind: place in `log_model.ROW_KINDS`. at_ms: when it was
    acknowledged. It has all that is shown of it, since it may stay longer than rows are kept.
    """

    player_id: str
    kind: int
    amount: Number
    subscore: Number
    metadata: bytes | None
    occurred_at_ms: int | None
    submission_id: str | None
    at_ms: int


class OpenRows:
    """`pending`: rows that are, by seq. `settled`: what became of those that were: (is_completed, at_ms); for
    as long as the row is kept. `by_player`: how many rows of each player are pending. A part of a snapshot:
    MessagePack [[seqs, rows], [seqs, outcomes]].
    """

    def __init__(self) -> None:
        self.pending: dict[int, PendingRow] = {}
        self.settled: dict[int, tuple[bool, int]] = {}
        self.by_player: Counter[str] = Counter()
        self.is_used = self.changed = False

    def note(self) -> None:
        """Something changed."""
        self.is_used = self.changed = True

    def put(self, seq: int, row: PendingRow) -> None:
        """A row is pending from now on."""
        self.pending[seq] = row
        self.by_player[row.player_id] += 1
        self.note()

    def take(self, seq: int) -> None:
        """A row is not pending any more; nothing if it was not."""
        row = self.pending.pop(seq, None)
        if row is None:
            return
        self.by_player[row.player_id] -= 1
        if not self.by_player[row.player_id]:
            del self.by_player[row.player_id]
        self.note()

    def take_all(self, player_id: str) -> None:
        """No row of a player is pending any more. O(rows pending) if there is one."""
        if self.by_player.pop(player_id, 0):
            self.pending = {seq: row for seq, row in self.pending.items() if row.player_id != player_id}
            self.note()

    def pack(self) -> bytes:
        tables = self.pending, self.settled
        return pack([[list(table), list(table.values())] for table in tables])

    def unpack(self, body: bytes) -> None:
        """Take what a part says."""
        pending, settled = msgpack.unpackb(body, use_list=False)
        self.pending = {seq: PendingRow(*row) for seq, row in zip(*pending, strict=True)}
        self.settled = dict(zip(*settled, strict=True))
        self.by_player = Counter(row.player_id for row in self.pending.values())
        self.is_used = True


class LogMeta(NamedTuple):
    """The part `meta` of a log's snapshot. `manifest`: part name -> the seq that it was put under."""

    seq: int
    next_segment: int
    manifest: dict[str, int]
    rows: int
    last_ms: int
    last_row_ms: int
    first_kept: int

    @classmethod
    def unpack(cls, body: bytes) -> LogMeta:
        """TypeError or an error of msgpack if it is none."""
        return cls(*msgpack.unpackb(body))


class Log(BucketedState):
    """`rows`: of all time. `last_ms`: no later input is acknowledged before. `first_kept`: rows below this
    seq may be gone. `rules` and `closed` are those of a `Period` that has none.
    """

    rules: Rules | None = None
    closed: tuple[int, int | None] | None = None

    def __init__(self, seen_ids_limit: int = 1_000_000) -> None:
        super().__init__(seen_ids_limit)
        self.rows = 0
        self.last_ms = 0
        self.last_row_ms = 0
        self.first_kept = 1
        self.open = OpenRows()
        self._whole = {OPEN: self.open}

    # Reading --------------------------------------------------------------------------------------------

    def account(self, player_id: str) -> Account:
        """A player's numbers, zeros if he has no rows. O(1)."""
        row = self._buckets[self._bucket(player_id)].get(player_id)
        return cast("Account", row or FEW_ROWS)

    def balance(self, player_id: str) -> Balance:
        """The same as it is told."""
        balance, earned, spent, pending, rows, _, updated_at_ms = self.account(player_id)
        if not rows:
            return NO_BALANCE
        return Balance(balance, earned, spent, pending, rows, updated_at_ms or None)

    def newest(self, player_id: str) -> int:
        """Seq of a player's newest row; 0 for none."""
        return self.account(player_id)[5]

    def place(self, player_id: str) -> AccountPlace:
        """Where an account is found without naming its player, while no input of his comes."""
        return crc32(player_id.encode()), self.newest(player_id)

    def has(self, player_id: str) -> bool:
        """Whether a player has an account."""
        return player_id in self._buckets[self._bucket(player_id)]

    def newest_rows(self) -> dict[int, str]:
        """The players by the seqs of their newest inputs; made anew. O(accounts)."""
        return {
            int(row[5]): player_id for bucket in self._buckets for player_id, row in bucket.items() if row[5]
        }

    @property
    def stats(self) -> LogStats:
        return LogStats(len(self), self.rows, self.last_row_ms or None)

    # Changing -------------------------------------------------------------------------------------------

    def apply(self, now_ms: int, inputs: Sequence[LogInput], want: Sequence[int] | None = None) -> list[Any]:
        """Apply journaled inputs in order, each under the next seq. None for each: what became of them was
        settled before they were journaled.
        """
        for item in inputs:
            self.seq += 1
            kind, at_ms = item[0], item[1]
            if at_ms > self.last_ms:
                self.last_ms = at_ms
            if kind == ROW:
                self._row(now_ms, item)
            elif kind == EVENT:
                self._event(now_ms, item)
            elif kind == SETTLE:
                self._settle(now_ms, Settle(*item))
            elif kind == ERASE:
                self._erase(item[2], item[3])
            elif kind == FORGET:
                self._forget(item[2], item[3])
            elif kind == TRIM:
                self._trim(item[2])
            elif kind not in (TICK, ERASED):
                raise ValueError(f"an input of kind {kind} is unknown")
        return [None] * len(inputs)

    def _row(self, now_ms: int, item: LogInput) -> None:
        # The hottest function of a log. The input is taken apart here: a `Row` costs more than its fields.
        (
            _,
            at_ms,
            player_id,
            kind,
            is_pending,
            amount,
            subscore,
            metadata,
            submission_id,
            occurred_at_ms,
            tag,
            _,
            balance,
            _,
            _,
        ) = item
        hashed = crc32(player_id.encode())
        number = self._bucket_of(hashed)
        stored = self._buckets[number].get(player_id)
        old = cast("Account", stored or FEW_ROWS)
        new = after(old, kind, amount, balance, self.seq, at_ms, is_pending=is_pending)
        self._put(number, player_id, stored, new)
        if is_pending:
            fields = player_id, kind, amount, subscore, metadata, occurred_at_ms, submission_id, at_ms
            self.open.put(self.seq, PendingRow(*fields))
        self.rows += 1
        self.last_row_ms = at_ms
        self._know(now_ms, hashed, submission_id, tag)

    def _know(self, now_ms: int, hashed: int, row_id: str | None, tag: int) -> None:
        """An id came, which counts once. hashed: of its player."""
        if row_id is not None:
            self.ids.add(row_id, self.seq, now_ms, (hashed or 1) | tag << HALF_BITS)

    def _event(self, now_ms: int, item: LogInput) -> None:
        _, at_ms, player_id, _, event_id, *_ = item
        hashed = crc32(player_id.encode())
        number = self._bucket_of(hashed)
        stored = self._buckets[number].get(player_id)
        rows = stored[4] if stored else 0
        self._put(number, player_id, stored, (0, 0, 0, 0, rows + 1, self.seq, at_ms))
        self.rows += 1
        self.last_row_ms = at_ms
        self._know(now_ms, hashed, event_id, 0)

    def _settle(self, now_ms: int, settle: Settle) -> None:
        player_id = settle.player_id
        hashed = crc32(player_id.encode())
        self._know(now_ms, hashed, settle.row_id, settle.tag)
        self.open.take(settle.seq)
        if settle.seq >= self.first_kept:
            self.open.settled[settle.seq] = (settle.is_completed, settle.at_ms)
            self.open.note()
        number = self._bucket_of(hashed)
        stored = self._buckets[number].get(player_id)
        old = cast("Account", stored or FEW_ROWS)
        new = after_settling(old, settle, self.open.by_player[player_id], self.seq)
        self._put(number, player_id, stored, new)

    def _player_at(self, number: int, newest: int) -> str | None:
        """The player in a bucket whose newest input has a seq. O(size of the bucket)."""
        return next((player_id for player_id, row in self._buckets[number].items() if row[5] == newest), None)

    def _erase(self, hashed: int, newest: int) -> None:
        number = self._bucket_of(hashed)
        player_id = self._player_at(number, newest)
        if player_id is not None:
            stored = self._buckets[number][player_id]
            self._put(number, player_id, stored, (0, 0, 0, 0, 0, newest, 0))
            self.open.take_all(player_id)

    def _forget(self, hashed: int, newest: int) -> None:
        number = self._bucket_of(hashed)
        player_id = self._player_at(number, newest)
        if player_id is None or self._buckets[number][player_id][4]:
            return
        row = self._buckets[number].pop(player_id)
        self._touch(number, player_id, row)
        self._count -= 1

    def _trim(self, seq: int) -> None:
        self.first_kept = max(self.first_kept, seq + 1)
        kept = {at: outcome for at, outcome in self.open.settled.items() if at > seq}
        if len(kept) < len(self.open.settled):
            self.open.settled = kept
            self.open.note()

    def _put(self, number: int, player_id: str, old: Stored | None, account: Account) -> None:
        """An account in place of the one in bucket `number`, `old` (None: there is none)."""
        if self._snapshot is None:
            self._dirty.add(number)
        else:
            self._touch(number, player_id, old)
        self._buckets[number][player_id] = cast("Stored", account)
        if old is None:
            self._count += 1
            if self._count > BUCKET_ENTRIES * len(self._buckets):
                self._split_bucket()

    # Snapshots and recovery -----------------------------------------------------------------------------

    def _pack_meta(self, manifest: dict[str, int]) -> bytes:
        numbers = self.rows, self.last_ms, self.last_row_ms, self.first_kept
        return pack(LogMeta(self.seq, self.ids.next_segment, manifest, *numbers))

    @classmethod
    def from_parts(cls, found: Loaded[LogMeta]) -> Log:
        """The state that a `log_loader` put together."""
        log = cls(found.ids.limit)
        log.take_parts(found)
        _, _, _, log.rows, log.last_ms, log.last_row_ms, log.first_kept = found.meta
        if OPEN in found.whole:
            log.open.unpack(found.whole[OPEN])
        return log

    @classmethod
    def load(cls, parts: Iterable[tuple[str, bytes]], seq: int, seen_ids_limit: int = 1_000_000) -> Log:
        """The state that a snapshot's parts show. ValueError if they are not those of a snapshot at `seq`."""
        loader = log_loader(seen_ids_limit)
        for name, body in parts:
            loader.add(name, body)
        return cls.from_parts(loader.finish(seq))

    def check(self) -> None:
        """Assert every invariant; called throughout the tests."""
        self._check_buckets()
        newest = [row[5] for bucket in self._buckets for row in bucket.values()]
        assert all(0 < seq <= self.seq for seq in newest), "an account without a row"
        assert not self.open.pending.keys() & self.open.settled.keys(), "pending and settled"
        assert all(self.has(row.player_id) for row in self.open.pending.values()), "pending, of nobody"
        waiting = Counter(row.player_id for row in self.open.pending.values())
        assert waiting == self.open.by_player, "pending rows are miscounted"
        assert self.open.is_used or not (self.open.pending or self.open.settled)
        assert self.last_row_ms <= self.last_ms


def log_loader(seen_ids_limit: int) -> PartsLoader[LogMeta]:
    """Puts the parts of a log's snapshot together."""
    return PartsLoader(seen_ids_limit, LogMeta.unpack, (OPEN,))


def log_seqs(meta: bytes) -> dict[str, int]:
    """Part name -> the seq it was put under, as the part `meta` of a log's snapshot says. ValueError."""
    manifest = LogMeta.unpack(meta).manifest
    if not isinstance(manifest, dict) or META not in manifest:
        raise ValueError(f"the part {META!r} names no parts")
    return manifest


# What a row does to an account; also asked before it is journaled ------------------------------------------


def after(
    old: Account, kind: int, amount: Number, balance: Number, seq: int, at_ms: int, *, is_pending: bool
) -> Account:
    """An account after a new row. balance: after it. Sums that would not be finite stay as they were: a row
    that makes one was refused.
    """
    unchanged, earned, spent, pending, rows, _, updated_at_ms = old
    if is_pending:
        return unchanged, earned, spent, shifted(pending, kind, amount), rows + 1, seq, updated_at_ms
    if kind == AWARD:
        earned = _kept(earned, amount)
    elif kind == DEDUCT:
        spent = _kept(spent, amount)
    return balance, earned, spent, pending, rows + 1, seq, at_ms


def after_settling(old: Account, settle: Settle, waiting: int, seq: int) -> Account:
    """An account after a pending row was completed or rejected by the input `seq`. waiting: how many others
    are pending.
    """
    balance, earned, spent, pending, rows, _, updated_at_ms = old
    # Doubles that are added and taken away again may leave a remainder: not where nothing is left.
    pending = shifted(pending, settle.kind, -settle.amount) if waiting else 0
    if settle.is_completed:
        balance, updated_at_ms = settle.balance, settle.at_ms
        if settle.kind == AWARD:
            earned = _kept(earned, settle.amount)
        elif settle.kind == DEDUCT:
            spent = _kept(spent, settle.amount)
    return balance, earned, spent, pending, rows, seq, updated_at_ms


def shifted(pending: Number, kind: int, amount: Number) -> Number:
    """The sum of what is pending, after a row more."""
    if kind == AWARD:
        return _kept(pending, amount)
    return _kept(pending, -amount) if kind == DEDUCT else pending


def _kept(number: Number, amount: Number) -> Number:
    total = added(number, amount)
    return number if total is None else total
