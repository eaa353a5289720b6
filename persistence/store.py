"""The storage contract: what every backend promises, and nothing about leaderboards.

A store knows three things, all of them opaque bytes under a name:

* **documents** - small records in collections (tenants, keys, definitions, period records, routes…),
  changed in atomic groups by the one process that holds the `owner` epoch;
* **journals** - for each period a gapless run of records, appended under an epoch and an expected seq. What
  a snapshot covers is deleted, unless the snapshot *keeps* it: then the journal is a log, read in pages,
  trimmed at its old end, and rewritten where something in it must be forgotten;
* **snapshots** - for each period named *parts* and a *manifest* that says which version of each part
  makes up the state at one seq.

Laws that every backend keeps (the contract suite checks them against the real thing):

1. What a call acknowledged survives kill -9 of the process, and power loss as far as the backend's own
   setting goes.
2. `take_epoch` and `take_ownership` give out rising numbers. A write under another epoch than the highest
   given out for that period or owner is refused with `Fenced` and changes nothing.
3. `append` is atomic with its checks. Repeating an append whose outcome was unknown is safe: the same record
   (epoch, seqs, body) is recognised as already there.
4. A snapshot becomes visible in one step, by `commit_snapshot`. A crash before it leaves the old snapshot and
   the whole journal after it; a crash after it leaves the new one.
5. Damage is found, named and refused (`StoreCorrupt`), never read as data.
6. An error says whether the change was refused or its outcome is unknown (`StoreUnavailable.unknown`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class StoreError(Exception):
    """Anything a store refuses or fails to do."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or cannot write (disk full, I/O error, connection lost).

    `unknown` is true if the change may have been made all the same: the caller must not assume either.
    """

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


class StoreLoading(StoreUnavailable):
    """The store still reads its data from disk, and takes nothing until it has."""


class Fenced(StoreError):
    """Another epoch than the caller's is the highest that was given out. It is not the writer and must stop.

    `highest` is above the caller's epoch if another writer took over, and below it if the store went back: it
    was emptied, replaced, or restored from an older copy.
    """

    def __init__(self, message: str, highest: int = 0) -> None:
        super().__init__(message)
        self.highest = highest


class SeqMismatch(StoreError):
    """The record does not follow the journal's last seq, and is not a repetition of it either."""


class StoreWentBack(StoreError):
    """The store holds less than it acknowledged, or is another store under the same address.

    It was emptied, replaced, or restored from an older copy. Whoever knows more must not go on as if nothing
    had been.
    """


class StoreCorrupt(StoreError):
    """Bytes read back fail their checksum, or a journal has a gap. The message names period and place."""


class StoreInUse(StoreError):
    """Another server holds this store's lock."""


class StoreTooNew(StoreError):
    """The files were written by a newer version of the format than this one knows."""


class Change(NamedTuple):
    """One document to put (`body` bytes) or to delete (`body` None)."""

    collection: str
    doc_id: str
    body: bytes | None


class Record(NamedTuple):
    """A journal record: inputs `first_seq`..`last_seq` of a period, accepted under `epoch`."""

    epoch: int
    first_seq: int
    last_seq: int
    body: bytes


class Part(NamedTuple):
    """One named part of the state that a snapshot's manifest covers."""

    name: str
    body: bytes


class Recovered(NamedTuple):
    """The first item of `recover`: the seq that the snapshot covers (0 = no snapshot, no parts)."""

    seq: int


class Examined(NamedTuple):
    """What a look at every byte of a period found; reading goes on after damage, unlike in `recover`.

    `records`: (epoch, first_seq, last_seq, size in bytes, whether its checksum is right) of each journal
    record after the snapshot, by last_seq. `damage`: what is wrong with manifest, parts or records, gaps and
    a lost end included, each in a sentence that names the place; empty if all is well. `snapshot_sound`:
    manifest and every part that it names are there and right. `kept`: number of records that the snapshot
    covers and that are kept all the same; damage among them is told, and gaps up to the snapshot's seq.
    """

    epoch: int
    snapshot_seq: int
    last_seq: int
    parts: int
    snapshot_sound: bool
    records: list[tuple[int, int, int, int, bool]]
    damage: list[str]
    kept: int = 0


class Store(Protocol):
    """One open store. All methods are coroutines of one event loop; none blocks it."""

    def expect(self, identity: str) -> None:
        """Before `open`: refuse, with StoreWentBack, any store but the one with this identity ("": any)."""

    async def open(self) -> None:
        """Connect; make the format on an empty store. StoreTooNew, StoreUnavailable, StoreWentBack."""

    async def close(self) -> None:
        """Finish what was queued, then let go. Idempotent."""

    async def identity(self) -> str:
        """An id made with the store when it was empty, which stays: a store under the same address with
        another one is another store.
        """

    async def cautions(self) -> list[str]:
        """What an operator should know about how this store keeps data (nothing on disk, say); sentences."""

    async def claim(self, holder: str, description: str, lease_s: float) -> None:
        """Say that one server uses the store, for `lease_s` from now; repeated to go on. StoreInUse, with the
        other's description, while another holder's claim runs. `holder`: an id that survives restarts.
        """

    async def disclaim(self, holder: str) -> None:
        """Let go of the claim, if it is this holder's."""

    async def ping(self) -> None:
        """Raise StoreUnavailable unless the store can take a write now (used by readiness)."""

    # Documents ------------------------------------------------------------------------------------------

    async def commit(self, changes: Sequence[Change], *, owner: str, epoch: int) -> None:
        """Make all changes or none, if `epoch` is still the highest given out for `owner`. Fenced."""

    async def get(self, collection: str, doc_ids: Sequence[str]) -> list[bytes | None]:
        """The documents' bodies, in the order asked for; None where there is none."""

    async def scan(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 0
    ) -> list[tuple[str, bytes]]:
        """Documents whose id starts with `prefix` and sorts after `after` (code points), in id order.

        At most `limit` of them (0 = all).
        """

    async def take_ownership(self, owner: str) -> int:
        """The next epoch (1, 2, …) of an owner of documents: fences every earlier one."""

    async def ownership(self, owner: str) -> int:
        """The highest epoch given out to an owner of documents; 0 for none."""

    # Journals -------------------------------------------------------------------------------------------

    async def take_epoch(self, period_id: str) -> int:
        """The next epoch (1, 2, …) of a period: fences every earlier one.

        Epochs of a dropped period go on rising, for a week at least: longer than any writer of it lives.
        """

    async def epochs(self, period_ids: Sequence[str]) -> list[int]:
        """The highest epoch given out for each period, in the order asked for; 0 for none."""

    async def append(self, period_id: str, record: Record) -> None:
        """Append if `record.epoch` is the highest given out and `first_seq` is the journal's last seq + 1.

        Returns once durable. Appends of one event-loop turn may share one commit; those of one period are
        made in the order of the calls. A repetition of any record that no snapshot covers yet returns like
        the first. Fenced (checked before the seqs), SeqMismatch, StoreUnavailable (`unknown` says whether it
        may have happened). A call that is cancelled may happen all the same.
        """

    async def append_all(self, stages: Sequence[Mapping[str, Record]]) -> dict[str, StoreError]:
        """Append one record to each of several journals; period -> why its record is not durable, {} if all
        are. A period stands in one stage.

        A store that keeps all journals in one place (SQLite, one Redis) appends all or none, in one step;
        beside a record that is refused the others are StoreUnavailable, nothing of them was done. In a Redis
        Cluster each journal is appended to by itself, and a stage is begun when the one before is durable.
        Else as `append`.
        """

    async def put_parts(self, period_id: str, epoch: int, seq: int, parts: Mapping[str, bytes]) -> None:
        """Write parts of the snapshot that will cover `seq`; invisible until `commit_snapshot`. Fenced.

        Of a part put twice under one seq the later version counts, but a snapshot in force keeps the version
        that it was committed with. Parts not committed need not outlive their epoch.
        """

    async def commit_snapshot(
        self,
        period_id: str,
        epoch: int,
        seq: int,
        manifest: Mapping[str, int],
        *,
        keep_journal: bool = False,
    ) -> None:
        """Make `manifest` (part name -> the seq it was put under) the snapshot at `seq`, in one step.

        Every part that it names must be there (else StoreCorrupt, nothing changes): put under this epoch, or
        named by the manifest before. `seq` is that of the snapshot before, or a later one that ends a record
        of the journal (else SeqMismatch). Afterwards the journal up to `seq` and the parts that this manifest
        does not name are deleted, here or at the next call. Fenced. Repeating it is safe.

        keep_journal: what the journal has at that moment stays, until `trim`; the parts go as ever.
        `recover`, `records_after` and `cut` go by the snapshot all the same, as if nothing was kept.
        """

    async def manifest(self, period_id: str) -> dict[str, int]:
        """The manifest of the snapshot in force, as it was committed; {} without one. StoreCorrupt."""

    def recover(self, period_id: str) -> AsyncIterator[Recovered | Part | Record]:
        """Snapshot and journal of a period: one `Recovered`, its parts (any order), then records after its
        seq in order. A period never written gives `Recovered(0)` alone. StoreCorrupt on a bad checksum, a
        gap, a missing part. Does not load everything at once.
        """

    def records_after(self, period_id: str, seq: int) -> AsyncIterator[Record]:
        """The journal's records after a seq, for someone who has the state at that seq already.

        StoreWentBack if journal and snapshot end before it; SeqMismatch if a snapshot covers more, so that
        records after it are gone, or if no record ends there; StoreCorrupt as in `recover`.
        """

    async def records(self, period_id: str, after_seq: int, limit: int) -> list[Record]:
        """A page of the journal: at most `limit` (>= 1) records that end after a seq, in order, those that a
        snapshot covers and keeps included; [] if there is none.

        At most about `paging.PAGE_BYTES` of bodies, but one record at least. The first one may begin after
        `after_seq` + 1: what was between is trimmed. Beyond the journal's last seq: StoreWentBack.
        StoreCorrupt for damage, a gap, or an end that is missing, once what is sound before it was given: at
        the call that would begin with it. Needs no epoch, and sees one moment of the journal, whatever is
        done to it meanwhile.
        """

    async def records_before(self, period_id: str, before_seq: int, limit: int) -> list[Record]:
        """A page of the journal backwards: at most `limit` (>= 1) records that begin before a seq, newest
        first; [] if there is none. Sizes and StoreCorrupt as in `records`.
        """

    async def first_seq(self, period_id: str) -> int:
        """The first seq that the journal still has; its last one + 1 if it has none."""

    async def trim(self, period_id: str, epoch: int, seq: int) -> None:
        """Let the kept records go that end at `seq` or before. Fenced; SeqMismatch, and nothing changes,
        beyond what the snapshot in force covers.

        Nobody reads them any more when it returns, and what they took up is freed little by little: no
        append waits long. Repeating it is safe.
        """

    async def rewrite(self, period_id: str, epoch: int, records: Sequence[Record]) -> None:
        """Replace the bodies of records that the journal has, covered or not: those with the same epoch,
        first and last seq (`epoch`: the writer's). Fenced; SeqMismatch if there is no such record.

        All or none of them. Repeating it is safe. With `scrub` after it the old bodies leave nothing behind,
        as far as the backend can. A call is one step of the store, in which no append is made: give it some
        hundred records at most.
        """

    async def examine(self, period_id: str) -> Examined:
        """Read everything of a period and say what is wrong with it. StoreUnavailable."""

    async def cut(self, period_id: str, epoch: int, seq: int) -> None:
        """Take the journal's records that end after `seq` away, sound or not (repair). Fenced.

        SeqMismatch if `seq` is before the snapshot's, or inside a record. Afterwards `last_seq` is `seq`.
        """

    async def drop_periods(self, period_ids: Sequence[str]) -> None:
        """Delete journals and snapshots; the epochs stay, and rise by one (fences a writer that goes on).

        Periods without an epoch are passed over.
        """

    async def list_periods(self) -> list[str]:
        """Every period id that has a journal or a snapshot, sorted."""

    async def last_seq(self, period_id: str) -> int:
        """The last seq that snapshot or journal hold (0 for none)."""

    async def last_seqs(self, period_ids: Sequence[str]) -> list[int]:
        """`last_seq` of each period, in the order asked for."""

    async def scrub(self) -> bool:
        """See to it that what was deleted or replaced so far leaves no bytes behind, as far as this backend
        can; True if it has done all that it can, False if something is in the way for now: ask again.
        """

    async def strays(self) -> list[str]:
        """What takes up room and belongs to no period, document or owner that the store knows, each in a
        sentence that names the place. Garbage that is still to be collected is none.
        """


WENT_BACK = "the store lost what it had acknowledged (emptied, replaced or restored from an older copy)"


PAGE_DOCUMENTS = 500  # at most some MB: documents have limits of a few KB


async def scan_pages(
    store: Store, collection: str, *, prefix: str = "", after: str = "", page: int = PAGE_DOCUMENTS
) -> AsyncIterator[list[tuple[str, bytes]]]:
    """What `Store.scan` finds, at most `page` documents at a time; no page is empty. StoreError."""
    while rows := await store.scan(collection, prefix=prefix, after=after, limit=page):
        yield rows
        if len(rows) < page:
            return
        after = rows[-1][0]


def not_tried(error: StoreError) -> StoreError:
    """For what was not done, since something that belongs to it failed."""
    return StoreUnavailable(f"not done, since another record could not be appended: {error}")


STORE_ANSWERS_WITHIN_S = 1.5  # a healthy store takes milliseconds; whoever asks for readiness wants an answer


async def trouble_of(store: Store) -> str:
    """Why a store cannot take a write now; empty if it can."""
    try:
        async with asyncio.timeout(STORE_ANSWERS_WITHIN_S):
            await store.ping()
    except StoreError as error:
        return str(error)
    except TimeoutError:
        return f"no answer for {STORE_ANSWERS_WITHIN_S:g} s"
    return ""
