"""Pages of a journal, checked: what `Store.records` and `Store.records_before` promise, for every backend.

A backend finds the rows and says what the journal should hold: all from after `floor` (the seq up to which it
is trimmed) to `last`. Here each record is held against its checksum and its neighbour. Damage behind sound
records is not told with them but by the next call, which begins at it; so what a reader gets does not depend
on how large its pages are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from persistence.store import Record, StoreCorrupt, StoreWentBack

PAGE_BYTES = 4 << 20  # of bodies together, in one page; the record that passes it is the last one


class Found(NamedTuple):
    """A journal record as it was read; `sound`: fields and checksum are right."""

    record: Record
    sound: bool

    @property
    def place(self) -> str:
        return f"record {self.record.first_seq}..{self.record.last_seq}"


def page_after(period_id: str, after_seq: int, floor: int, last: int, found: Iterable[Found]) -> list[Record]:
    """The sound records with which a page begins, in order. StoreWentBack, StoreCorrupt.

    found: the records that end after both `after_seq` and `floor`, in order, as many as are wanted. They are
    taken one by one, and none after the page is full.
    """
    if after_seq > last:
        raise StoreWentBack(
            f"period {period_id!r}: the journal ends at seq {last}, but had reached {after_seq}"
        )
    seq = max(after_seq, floor)
    page: list[Record] = []
    size_bytes = 0
    for each in found:
        record = each.record
        place = f"period {period_id!r}: {each.place}"
        follows = record.first_seq == seq + 1 or (not page and record.first_seq <= seq)
        if not (each.sound and follows):
            if page:
                return page
            raise StoreCorrupt(
                f"{place} comes after seq {seq}: a gap" if each.sound else f"{place}: checksum differs"
            )
        page.append(record)
        seq = record.last_seq
        size_bytes += len(record.body)
        if size_bytes >= PAGE_BYTES:
            break
    if not page and seq < last:
        raise StoreCorrupt(f"period {period_id!r}: the journal ends at seq {seq}, not at {last}: a gap")
    return page


def page_before(
    period_id: str, before_seq: int, floor: int, last: int, found: Iterable[Found]
) -> list[Record]:
    """The sound records with which a page begins, newest first. StoreCorrupt.

    found: the records after `floor`, newest first, from the one that holds `before_seq` - 1 on (the last one,
    if none does), taken as in `page_after`.
    """
    seq = min(before_seq - 1, last)  # what the next record should hold
    if seq <= floor:
        return []
    page: list[Record] = []
    size_bytes = 0
    for each in found:
        record = each.record
        place = f"period {period_id!r}: {each.place}"
        follows = record.last_seq == seq or (not page and record.first_seq <= seq < record.last_seq)
        if not (each.sound and follows):
            if page:
                return page
            raise StoreCorrupt(
                f"{place} comes before seq {seq + 1}: a gap" if each.sound else f"{place}: checksum differs"
            )
        page.append(record)
        seq = record.first_seq - 1
        size_bytes += len(record.body)
        if size_bytes >= PAGE_BYTES:
            break
    if not page:
        raise StoreCorrupt(f"period {period_id!r}: the journal lacks seq {seq}: a gap")
    return page
