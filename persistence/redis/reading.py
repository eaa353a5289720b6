"""Reading what the Redis backend keeps: replay, examination, and the check of everything on the way.

Redis has no view that stays the same over several commands. What can change under a reader are the snapshot
(its parts and the records that it covers go when a newer one is committed), the journal's end (it grows) and
its beginning (it is trimmed). So a reader that misses something looks at the head again: if the snapshot is
another one by now, the answer is "read again" (StoreUnavailable); only if it is the same is the period
damaged.

A page of the journal is read by one script, together with the head's numbers: what it shows is one moment, so
within a page a gap is a gap. `Store.records` is that alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgpack

from persistence.paging import PAGE_BYTES, Found
from persistence.redis.keys import CRC_BYTES, PERIOD_KEYS, Keys, opened, text
from persistence.store import (
    Examined,
    Part,
    Record,
    Recovered,
    SeqMismatch,
    StoreCorrupt,
    StoreUnavailable,
    StoreWentBack,
)

PARTS_AT_ONCE = 8  # in one reply; about 1 MB of a full period
RECORDS_AT_ONCE = 256

AFTER, BEFORE = "A", "B"  # the ways of the script `records`

Run = Callable[..., Awaitable[Any]]
Entry = tuple[str, int, int]  # part name, seq it was put under, version


def document(value: bytes, collection: str, doc_id: str) -> bytes:
    """A document's body. StoreCorrupt."""
    body = opened(value, collection, doc_id)
    if body is None:
        raise StoreCorrupt(f"document {collection!r} {doc_id!r}: checksum differs")
    return body


def manifest(value: bytes | None, period_id: str, seq: int) -> list[Entry]:
    """Entries of a snapshot's manifest. StoreCorrupt."""
    if value is None and seq == 0:
        return []
    body = opened(value or b"", period_id, seq)
    if body is None:
        raise StoreCorrupt(f"period {period_id!r}: snapshot at seq {seq}: checksum differs")
    return [(name, at, version) for name, at, version in msgpack.unpackb(body)]


class Head(NamedTuple):
    """The numbers of a period, and its manifest as it is stored."""

    epoch: int
    last_seq: int
    snapshot_seq: int
    manifest: bytes | None


class Page(NamedTuple):
    """A page of a journal, and the numbers of the head at that moment. floor: trimmed up to there."""

    last_seq: int
    floor: int
    found: list[Found]


def page_of(reply: Sequence[Any], period_id: str) -> Page:
    """What the script `records` answered."""
    last, snapshot, floor, rows = reply
    found = []
    for row in rows:
        if isinstance(row, bytes):  # of the overlay
            last_seq, _, rest = row.partition(b":")
            epoch, _, rest = rest.partition(b":")
            first_seq, _, value = rest.partition(b":")
        else:
            entry_id, fields = row
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            last_seq = entry_id.partition(b"-")[0]
            epoch, first_seq = values.get(b"e", b""), values.get(b"f", b"")
            value = values.get(b"b", b"")
        epoch_number, first, end = (int(n) if n.isdigit() else 0 for n in (epoch, first_seq, last_seq))
        sound = opened(value, period_id, epoch_number, first, end) is not None
        found.append(Found(Record(epoch_number, first, end, value[CRC_BYTES:]), sound))
    return Page(max(int(last), int(snapshot)), int(floor), found)


class Reader:
    """Commands about one period. keys: head, journal, parts, staged parts, overlay. script: runs a script."""

    def __init__(self, keys: Sequence[bytes], run: Run, script: Run) -> None:
        self._head, self._journal, self._parts, _, self._overlay = keys
        self._run = run
        self._script = script

    async def head(self) -> Head:
        epoch, last, snapshot, body = await self._run("HMGET", self._head, "e", "l", "s", "m")
        return Head(int(epoch or 0), int(last or 0), int(snapshot or 0), body)

    async def parts(self, entries: Sequence[Entry]) -> list[bytes | None]:
        versions = [version for _, _, version in entries]
        return list(await self._run("HMGET", self._parts, *versions)) if versions else []

    async def records(self, period_id: str, after: int) -> Page:
        """The next records after a seq.

        Where nothing is overlaid, as in every period that is no log, they are read without a script, which
        takes three times as long. The order matters: what left the stream before it was read is in the
        overlay afterwards, and what was trimmed before is below the floor.
        """
        raw, overlays, (last, snapshot, trimmed) = await asyncio.gather(
            self._run("XRANGE", self._journal, f"({after}-0", "+", "COUNT", RECORDS_AT_ONCE),
            self._run("EXISTS", self._overlay),
            self._run("HMGET", self._head, "l", "s", "t"),
        )
        page = page_of((last or 0, snapshot or 0, trimmed or snapshot or 0, raw), period_id)
        found = [each for each in page.found if each.record.last_seq > page.floor]
        if overlays or (raw and not found):
            reply = await self._script("records", after, AFTER, RECORDS_AT_ONCE, PAGE_BYTES)
            return page_of(reply, period_id)
        return page._replace(found=found)

    async def ends_at(self, period_id: str, seq: int) -> bool:
        """Whether a journal record ends at a seq."""
        page = page_of(await self._script("records", seq, BEFORE, 1, 1), period_id)
        return any(each.record.last_seq == seq for each in page.found)


async def _ahead(steps: Sequence[Callable[[], Awaitable[Any]]]) -> AsyncGenerator[Any, None]:
    """Results of steps in order, each begun while the one before is being used."""
    coming: asyncio.Future[Any] | None = None
    try:
        for number in range(len(steps)):
            current = coming or asyncio.ensure_future(steps[number]())
            coming = asyncio.ensure_future(steps[number + 1]()) if number + 1 < len(steps) else None
            yield await current
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)  # a cancellation of the caller still counts


async def replay(reader: Reader, period_id: str) -> AsyncIterator[Recovered | Part | Record]:
    """See `Store.recover`."""
    head = await reader.head()
    entries = manifest(head.manifest, period_id, head.snapshot_seq)
    yield Recovered(head.snapshot_seq)
    chunks = [entries[i : i + PARTS_AT_ONCE] for i in range(0, len(entries), PARTS_AT_ONCE)]
    steps = [lambda chunk=chunk: reader.parts(chunk) for chunk in chunks]
    async with contextlib.aclosing(_ahead(steps)) as values:
        for chunk in chunks:
            for (name, put_at, _), value in zip(chunk, await anext(values), strict=True):
                place = f"period {period_id!r}: part {name!r} of seq {put_at}"
                body = None if value is None else opened(value, period_id, name, put_at)
                if body is None:
                    await _still(reader, head, period_id)
                    raise StoreCorrupt(f"{place}{' is missing' if value is None else ': checksum differs'}")
                yield Part(name, body)
    async for record in _records(reader, head, period_id, head.snapshot_seq):
        yield record


async def _still(reader: Reader, head: Head, period_id: str) -> None:
    """StoreUnavailable if the snapshot is not the one any more that reading began with."""
    now = await reader.head()
    if (now.snapshot_seq, now.manifest) != (head.snapshot_seq, head.manifest):
        raise StoreUnavailable(
            f"period {period_id!r}: a newer snapshot was made while it was read; read again"
        )


async def _records(reader: Reader, head: Head, period_id: str, seq: int) -> AsyncIterator[Record]:
    """Records after a seq, checked: none damaged, none missing, none lost at the end."""
    while True:
        page = await reader.records(period_id, seq)
        for each in page.found:
            record = each.record
            place = f"period {period_id!r}: {each.place}"
            if not each.sound or record.first_seq != seq + 1:
                await _still(reader, head, period_id)
                raise StoreCorrupt(
                    f"{place} comes after seq {seq}: a gap" if each.sound else f"{place}: checksum differs"
                )
            seq = record.last_seq
            yield record
        if not page.found or seq >= page.last_seq:
            break
    if seq < head.last_seq:
        await _still(reader, head, period_id)
        raise StoreCorrupt(
            f"period {period_id!r}: the journal ends at seq {seq}, not at {head.last_seq}: a gap"
        )


async def records_after(reader: Reader, period_id: str, seq: int) -> AsyncIterator[Record]:
    """See `Store.records_after`."""
    head = await reader.head()
    last_seq = max(head.last_seq, head.snapshot_seq)
    if last_seq < seq:
        raise StoreWentBack(
            f"period {period_id!r}: the journal ends at seq {last_seq}, but had reached {seq}"
        )
    if seq < head.snapshot_seq:
        raise SeqMismatch(f"period {period_id!r}: a snapshot covers seq {head.snapshot_seq}, after {seq}")
    if seq != head.snapshot_seq and not await reader.ends_at(period_id, seq):
        raise SeqMismatch(f"period {period_id!r}: no record ends at seq {seq}")
    async for record in _records(reader, head, period_id, seq):
        yield record


async def examine(reader: Reader, period_id: str) -> Examined:
    """See `Store.examine`."""
    head = await reader.head()
    damage: list[str] = []
    place = f"period {period_id!r}"
    try:
        entries = manifest(head.manifest, period_id, head.snapshot_seq)
    except StoreCorrupt as error:
        entries = []
        damage.append(str(error))
    for start in range(0, len(entries), PARTS_AT_ONCE):
        chunk = entries[start : start + PARTS_AT_ONCE]
        for (name, put_at, _), value in zip(chunk, await reader.parts(chunk), strict=True):
            if value is None:
                damage.append(f"{place}: part {name!r} of seq {put_at} is missing")
            elif opened(value, period_id, name, put_at) is None:
                damage.append(f"{place}: part {name!r} of seq {put_at}: checksum differs")
    snapshot_sound = not damage
    records: list[tuple[int, int, int, int, bool]] = []
    kept = read = seq = 0
    while True:
        page = await reader.records(period_id, read)
        seq = max(seq, page.floor)  # what is trimmed meanwhile is not missing
        for each in page.found:
            record = each.record
            read = record.last_seq
            if read <= head.snapshot_seq:
                kept += 1
            else:
                size_bytes = len(record.body)
                records.append((record.epoch, record.first_seq, record.last_seq, size_bytes, each.sound))
            if not each.sound:
                damage.append(f"{place}: {each.place}: checksum differs")
            elif record.first_seq != seq + 1:
                damage.append(f"{place}: {each.place} comes after seq {seq}: a gap")
            seq = record.last_seq
        if not page.found or read >= page.last_seq:
            break
    if seq < head.last_seq:
        damage.append(f"{place}: the journal ends at seq {seq}, not at {head.last_seq}: a gap")
    last_seq = max(head.last_seq, head.snapshot_seq)
    parts = len(entries)
    return Examined(head.epoch, head.snapshot_seq, last_seq, parts, snapshot_sound, records, damage, kept)


async def stray(key: bytes, keys: Keys, tags: set[bytes], run: Run) -> str | None:
    """What is wrong with a key under the prefix, or None. tags: how the keys of known periods begin."""
    shown = key.decode(errors="replace")
    if key in (keys.store, keys.claim, keys.probe, keys.owners, keys.periods):
        return None
    for prefix, other, there in (
        (keys.documents_prefix, keys.index_prefix, "HLEN"),
        (keys.index_prefix, keys.documents_prefix, "ZCARD"),
    ):
        if key.startswith(prefix):
            twin = other + key[len(prefix) :]
            counts = [await run(there, key), await run("ZCARD" if there == "HLEN" else "HLEN", twin)]
            return (
                None if counts[0] == counts[1] else f"key {shown}: its index has another number of documents"
            )
    tag, kind = key[:-1], text(key[-1:])
    if kind not in PERIOD_KEYS or not tag.endswith(b"}"):
        return f"key {shown}: not one of this store's"
    if tag in tags:
        return None
    if kind == "h" and set(await run("HKEYS", key)) == {b"e"}:
        return None  # the remembered epoch of a dropped period
    return f"key {shown}: its period is not in {keys.periods.decode()}"
