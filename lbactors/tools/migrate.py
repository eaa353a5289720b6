"""A store copied into another one, of the same or another kind, by the storage contract alone.

Periods first, documents last, and around both a marker in the target: a server refuses to start while it says
that the copy is unfinished. Whatever ends a migration, kill -9 included, the same command goes on: a period
that is there already and equal is recognised by comparing, one that was half copied is dropped and copied
anew, and of the documents the differences are written. At the end everything is read again from the target
and compared.

How a snapshot gets in. The contract takes a snapshot only at a seq that the journal ends at, so one empty
record 1..S stands in for the inputs that the snapshot covers, until the commit of the snapshot trims it. Each
part is put under the seq that it has in the source's manifest: the next snapshot of a period writes the parts
that changed and names the others by those seqs.

How a log gets in. Its journal is kept, from seq F on. The empty record stands in for 1..F-1, the kept records
follow it, and when the snapshot is committed and keeps them, it is trimmed.

The journal's records get the target's epoch, and ownership begins anew: epochs fence the writers of one
store. The source is never changed. Memory: the parts and records on their way, some MB for each period under
way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import NamedTuple

import msgpack

from lbactors.core.ids import chain_of
from lbactors.core.instants import format_instant
from lbactors.core.model import PeriodRecord
from lbactors.core.packing import pack
from lbactors.documents.entities import COLLECTIONS
from lbactors.tools.migration_marker import MARKER, MARKERS, Marker, read_marker, unfinished_migration
from lbactors.tools.progress import Progress
from lbactors.tools.stored_documents import read_document, sound_documents
from lbactors.tools.stored_periods import named_by
from persistence.store import Change, Part, Record, Recovered, Store, StoreCorrupt

OWNER = "migration"
PERIODS_AT_ONCE = 4
PARTS_BYTES = 2 << 20  # written in one call
PARTS = 64
APPENDS_BYTES = 4 << 20  # on their way at once, of one period
APPENDS = 256
PAGE_RECORDS = 1000  # kept ones, read at once
CHANGES_BYTES = 1 << 20  # documents in one commit
CHANGES = 500


class MigrationRefused(Exception):
    """The migration cannot begin: the target is not empty, or one of the stores is not what it must be."""


class MigrationFailed(Exception):
    """The migration did not end well. What is in the target is marked as unfinished."""


class Migrated(NamedTuple):
    """What was copied. `periods`: stored ones, and those that only a document names, as `verify` counts.

    `equal_before`: periods that were there already; `finished_before`: all of it was.
    """

    periods: int
    equal_before: int
    documents: int
    size_bytes: int
    finished_before: bool = False


class Digest:
    """A fingerprint of a period's stored state, the same whatever the order of its parts and the epochs.

    first_seq: of the journal. Add the records that are kept before the others.
    """

    def __init__(self, first_seq: int) -> None:
        self.size_bytes = 0
        self._first_seq = first_seq
        self._seq = 0
        self._parts: dict[str, bytes] = {}
        self._records = hashlib.sha256()

    def add(self, item: Recovered | Part | Record) -> None:
        if isinstance(item, Recovered):
            self._seq = item.seq
            return
        self.size_bytes += len(item.body)
        if isinstance(item, Part):
            self._parts[item.name] = hashlib.sha256(item.body).digest()
        else:
            self._records.update(b"%d %d %d\n" % (item.first_seq, item.last_seq, len(item.body)))
            self._records.update(item.body)

    def value(self) -> bytes:
        parts = [[name, self._parts[name]] for name in sorted(self._parts)]
        fields = [self._first_seq, self._seq, parts, self._records.digest()]
        return hashlib.sha256(msgpack.packb(fields)).digest()


async def digest_of(store: Store, period_id: str) -> bytes:
    """The digest of a period as it stands. StoreCorrupt, StoreUnavailable."""
    first_seq = await store.first_seq(period_id)
    digest = Digest(first_seq)
    async with aclosing(store.recover(period_id)) as items:  # type: ignore[type-var]
        async for item in items:
            if isinstance(item, Recovered):
                async for record in kept_records(store, period_id, first_seq, item.seq):
                    digest.add(record)
            digest.add(item)
    return digest.value()


async def kept_records(store: Store, period_id: str, first_seq: int, seq: int) -> AsyncIterator[Record]:
    """The records from a seq on that the snapshot at `seq` covers. StoreCorrupt, StoreUnavailable."""
    read = first_seq - 1
    while read < seq:
        for record in await store.records(period_id, read, PAGE_RECORDS):
            read = record.last_seq
            if read <= seq:
                yield record


class Migration:
    """One run from an open store to another. `run` may be called once.

    address: the source's URL as it may be shown. now_ms: the time that the marker tells.
    """

    def __init__(
        self, source: Store, target: Store, *, address: str, now_ms: Callable[[], int], progress: Progress
    ) -> None:
        self._source = source
        self._target = target
        self._address = address
        self._now_ms = now_ms
        self._progress = progress
        self._ownership = 0
        self._digests: dict[str, bytes] = {}
        self._equal = 0
        self._size_bytes = 0
        self._named: set[str] = set()  # periods that the source's documents name

    async def run(self) -> Migrated:
        """Copy, compare, mark as finished. MigrationRefused, MigrationFailed, StoreError."""
        marker = await self._begin()
        if marker.finished_at_ms is not None:
            return await self._confirm(marker)
        self._ownership = await self._target.take_ownership(OWNER)
        await self._mark(marker)
        period_ids = await self._source.list_periods()
        await self._drop_others(period_ids)
        await self._copy_periods(period_ids)
        documents = 0
        for number, collection in enumerate(COLLECTIONS):
            self._progress(f"documents: {collection}", number, len(COLLECTIONS))
            documents += await self._copy_documents(collection)
        await self._compare(period_ids)
        await self._mark(marker._replace(finished_at_ms=self._now_ms()))
        return Migrated(self._count(period_ids), self._equal, documents, self._size_bytes)

    # Before and after -----------------------------------------------------------------------------------

    async def _begin(self) -> Marker:
        """The marker to go on with, which is new on an empty target. MigrationRefused."""
        identity = await self._source.identity()
        if identity == await self._target.identity():
            raise MigrationRefused("source and target are the same store")
        unfinished = await unfinished_migration(self._source)
        if unfinished is not None:
            raise MigrationRefused(f"the source {unfinished}")
        marker = await read_marker(self._target)
        if marker is not None:
            if marker.source == identity:
                return marker
            state = "an unfinished" if marker.finished_at_ms is None else "what came by a"
            raise MigrationRefused(
                f"the target holds {state} migration from another store ({marker.address}); give an empty one"
            )
        held = [name for name in COLLECTIONS if await self._target.scan(name, limit=1)]
        if held or await self._target.list_periods():
            what = ", ".join(held) or "periods"
            raise MigrationRefused(f"the target is not empty (it holds {what}); give an empty one")
        return Marker(identity, self._address, self._now_ms(), None)

    async def _mark(self, marker: Marker) -> None:
        change = Change(MARKERS, MARKER, pack(marker))
        await self._target.commit([change], owner=OWNER, epoch=self._ownership)

    async def _confirm(self, marker: Marker) -> Migrated:
        """The target was finished before: look whether it is still the same. Changes nothing."""
        period_ids = await self._source.list_periods()
        documents = 0
        try:
            if await self._target.list_periods() != period_ids:
                raise MigrationFailed("other periods")
            for number, period_id in enumerate(period_ids):
                self._progress(f"comparing {period_id}", number, len(period_ids))
                self._digests[period_id] = await digest_of(self._source, period_id)
                await self._compare_period(period_id)
            documents = await self._compare_documents()
        except MigrationFailed as error:
            at = format_instant(marker.finished_at_ms or 0)
            raise MigrationRefused(
                f"the target's migration from this source was finished at {at}, and they differ since "
                f"({error}); nothing was changed"
            ) from None
        count = self._count(period_ids)
        return Migrated(count, count, documents, 0, finished_before=True)

    def _count(self, period_ids: list[str]) -> int:
        return len(self._named.union(period_ids))

    def _note(self, collection: str, doc_id: str, body: bytes | None) -> None:
        """Remember which period a document of the source names, if it is sound."""
        if collection != "periods" or body is None:
            return
        with contextlib.suppress(ValueError):  # `verify` says what is wrong with it
            record = read_document(collection, doc_id, body)
            if isinstance(record, PeriodRecord):
                self._named.add(named_by(chain_of(doc_id), record))

    # Periods --------------------------------------------------------------------------------------------

    async def _drop_others(self, period_ids: list[str]) -> None:
        """Periods of an earlier run that the source does not have any more."""
        others = sorted(set(await self._target.list_periods()) - set(period_ids))
        if others:
            await self._target.drop_periods(others)

    async def _copy_periods(self, period_ids: list[str]) -> None:
        done = 0
        waiting = iter(period_ids)

        async def work() -> None:
            nonlocal done
            for period_id in waiting:
                self._progress(period_id, done, len(period_ids))
                await self._bring(period_id)
                done += 1

        workers = [asyncio.create_task(work()) for _ in range(PERIODS_AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        self._progress("", done, len(period_ids))

    async def _bring(self, period_id: str) -> None:
        """Have a period in the target as it is in the source, and remember its digest."""
        there = await self._target.last_seq(period_id)
        if there and there == await self._source.last_seq(period_id):
            digest = await digest_of(self._source, period_id)
            try:
                equal = digest == await digest_of(self._target, period_id)
            except StoreCorrupt:  # copied anew; if the medium is bad, the comparison at the end will tell
                equal = False
            if equal:
                self._digests[period_id] = digest
                self._equal += 1
                return
        if there:
            await self._target.drop_periods([period_id])
        copied = await self._copy(period_id)
        self._digests[period_id] = copied.value()
        self._size_bytes += copied.size_bytes

    async def _copy(self, period_id: str) -> Digest:
        """Write a period that the target does not have. The digest of what was read."""
        seqs = await self._source.manifest(period_id)
        first_seq = await self._source.first_seq(period_id)
        epoch = await self._target.take_epoch(period_id)
        digest = Digest(first_seq)
        parts = _Parts(self._target, period_id, epoch, seqs, first_seq)
        appends = _Appends(self._target, period_id)
        seq = 0
        try:
            async with aclosing(self._source.recover(period_id)) as items:  # type: ignore[type-var]
                async for item in items:
                    digest.add(item)
                    if isinstance(item, Recovered):
                        seq = item.seq
                        if first_seq > 1:  # stands in for what is gone, until the snapshot is there
                            await self._target.append(period_id, Record(epoch, 1, first_seq - 1, b""))
                        async for record in kept_records(self._source, period_id, first_seq, seq):
                            digest.add(record)
                            await appends.add(record._replace(epoch=epoch))
                        await appends.finish()
                    elif isinstance(item, Part):
                        await parts.add(item)
                    else:
                        await parts.commit(seq)
                        await appends.add(item._replace(epoch=epoch))
            await parts.commit(seq)
            await appends.finish()
        finally:
            appends.cancel()
        return digest

    # Documents ------------------------------------------------------------------------------------------

    async def _copy_documents(self, collection: str) -> int:
        """Write what differs; how many documents the source has."""
        count, size_bytes = 0, 0
        changes: list[Change] = []
        async for doc_id, body, other in _pairs(self._source, self._target, collection):
            count += body is not None
            self._note(collection, doc_id, body)
            if body == other:
                continue
            changes.append(Change(collection, doc_id, body))
            size_bytes += len(body or b"")
            self._size_bytes += len(body or b"")
            if len(changes) >= CHANGES or size_bytes >= CHANGES_BYTES:
                await self._target.commit(changes, owner=OWNER, epoch=self._ownership)
                changes, size_bytes = [], 0
        if changes:
            await self._target.commit(changes, owner=OWNER, epoch=self._ownership)
        return count

    # Comparing ------------------------------------------------------------------------------------------

    async def _compare(self, period_ids: list[str]) -> None:
        """Read everything again from the target. MigrationFailed if it is not what was in the source."""
        if await self._target.list_periods() != await self._source.list_periods():
            raise MigrationFailed("source and target do not have the same periods")
        for number, period_id in enumerate(period_ids):
            self._progress(f"comparing {period_id}", number, len(period_ids))
            await self._compare_period(period_id)
        await self._compare_documents()
        self._progress("", len(period_ids), len(period_ids))

    async def _compare_period(self, period_id: str) -> None:
        if await digest_of(self._target, period_id) != self._digests[period_id]:
            raise MigrationFailed(f"period {period_id} differs")

    async def _compare_documents(self) -> int:
        count = 0
        for collection in COLLECTIONS:
            async for doc_id, body, other in _pairs(self._source, self._target, collection):
                count += 1
                self._note(collection, doc_id, body)
                if body != other:
                    raise MigrationFailed(f"document {collection} {doc_id} differs")
        return count


class _Parts:
    """Parts on their way into one snapshot: written a few at a time, then committed, once."""

    def __init__(
        self, target: Store, period_id: str, epoch: int, seqs: dict[str, int], first_seq: int
    ) -> None:
        self._target = target
        self._period_id = period_id
        self._epoch = epoch
        self._seqs = seqs
        self._first_seq = first_seq  # of the journal in the source
        self._waiting: dict[int, dict[str, bytes]] = {}  # by the seq that they are put under
        self._manifest: dict[str, int] = {}
        self._committed = False
        self._count = self._size_bytes = 0

    async def add(self, part: Part) -> None:
        seq = self._seqs.get(part.name)
        if seq is None:
            raise StoreCorrupt(f"period {self._period_id!r}: part {part.name!r} is not in the manifest")
        self._manifest[part.name] = seq
        self._waiting.setdefault(seq, {})[part.name] = part.body
        self._count += 1
        self._size_bytes += len(part.body)
        if self._count >= PARTS or self._size_bytes >= PARTS_BYTES:
            await self._write()

    async def _write(self) -> None:
        for seq, parts in self._waiting.items():
            await self._target.put_parts(self._period_id, self._epoch, seq, parts)
        self._waiting = {}
        self._count = self._size_bytes = 0

    async def commit(self, seq: int) -> None:
        """Make the parts the snapshot at `seq`, unless that was done or there is none."""
        if seq and not self._committed:
            self._committed = True
            await self._write()
            keeps = self._first_seq <= seq
            await self._target.commit_snapshot(
                self._period_id, self._epoch, seq, self._manifest, keep_journal=keeps
            )
            if keeps:
                await self._target.trim(self._period_id, self._epoch, self._first_seq - 1)


class _Appends:
    """Appends of one period that are on their way, so that many share a commit of the store."""

    def __init__(self, target: Store, period_id: str) -> None:
        self._target = target
        self._period_id = period_id
        self._tasks: deque[tuple[asyncio.Task[None], int]] = deque()
        self._size_bytes = 0

    async def add(self, record: Record) -> None:
        while self._tasks and (
            len(self._tasks) >= APPENDS or self._size_bytes + len(record.body) > APPENDS_BYTES
        ):
            await self._settle()
        task = asyncio.ensure_future(self._target.append(self._period_id, record))
        self._tasks.append((task, len(record.body)))
        self._size_bytes += len(record.body)

    async def _settle(self) -> None:
        task, size_bytes = self._tasks[0]
        await task
        self._tasks.popleft()
        self._size_bytes -= size_bytes

    async def finish(self) -> None:
        while self._tasks:
            await self._settle()

    def cancel(self) -> None:
        """Let go of those that nobody will wait for."""
        for task, _ in self._tasks:
            task.cancel()
            task.add_done_callback(_retrieve)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Look at how a task ended, so that nobody complains that no one did."""
    if not task.cancelled():
        task.exception()


async def _pairs(
    source: Store, target: Store, collection: str
) -> AsyncIterator[tuple[str, bytes | None, bytes | None]]:
    """Each id that either store has, with its documents' bodies there and here (None: there is none)."""
    async with (
        aclosing(sound_documents(source, collection)) as ours,  # type: ignore[type-var]
        aclosing(sound_documents(target, collection)) as theirs,  # type: ignore[type-var]
    ):
        one = await anext(ours, None)
        other = await anext(theirs, None)
        while one is not None or other is not None:
            if other is None or (one is not None and one[0] < other[0]):
                assert one is not None
                yield one[0], one[1], None
                one = await anext(ours, None)
            elif one is None or other[0] < one[0]:
                yield other[0], None, other[1]
                other = await anext(theirs, None)
            else:
                yield one[0], one[1], other[1]
                one, other = await anext(ours, None), await anext(theirs, None)
