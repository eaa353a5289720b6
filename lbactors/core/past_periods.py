"""Closed periods for which nothing is left to be done but their deletion, in a few bytes each.

A supervisor has thousands of windows, and each keeps hundreds of such periods: as records they would take ten
times the memory (0.36 kB each), and every look at a window would go through all of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from typing import NamedTuple

from lbactors.core.model import PeriodRecord

_NO_BEGINNING = -(2**63)


class PastPeriod(NamedTuple):
    """What is known of one without its document."""

    serial: int
    key: str
    starts_at_ms: int | None
    ends_at_ms: int


class PastPeriods:
    """In order of serial. Keys have no newline."""

    __slots__ = ("_ends", "_keys", "_serials", "_starts")

    def __init__(self) -> None:
        self._serials = array("q")
        self._starts = array("q")
        self._ends = array("q")
        self._keys = ""  # each with a newline after it

    def __len__(self) -> int:
        return len(self._serials)

    def __iter__(self) -> Iterator[PastPeriod]:
        for serial, key, starts_ms, ends_ms in zip(
            self._serials, self.keys(), self._starts, self._ends, strict=True
        ):
            yield PastPeriod(serial, key, None if starts_ms == _NO_BEGINNING else starts_ms, ends_ms)

    def keys(self) -> list[str]:
        return self._keys.split("\n")[:-1]

    def ends(self) -> Iterator[tuple[int, int]]:
        """Serial and end of each."""
        return zip(self._serials, self._ends, strict=True)

    def after(self, record: PeriodRecord) -> PastPeriod | None:
        """The one that follows a period; None for one that is younger than all."""
        if record.ends_at_ms is None or not self or record.serial > self._serials[-1]:
            return None
        place = record.ends_at_ms, record.serial
        later = (period for period in self if (period.ends_at_ms, period.serial) > place)
        return min(later, key=lambda period: (period.ends_at_ms, period.serial), default=None)

    def add(self, records: Collection[PeriodRecord]) -> None:
        """Records that are not here yet; each has an end. As a rule they follow those that are."""
        if records and self and min(record.serial for record in records) < self._serials[-1]:
            self._insert(records)  # of a period that was computed anew
            return
        for record in records:
            assert record.ends_at_ms is not None and not (self and record.serial <= self._serials[-1])
            self._serials.append(record.serial)
            self._starts.append(_NO_BEGINNING if record.starts_at_ms is None else record.starts_at_ms)
            self._ends.append(record.ends_at_ms)
        self._keys += "".join(f"{record.key}\n" for record in records)

    def _insert(self, records: Collection[PeriodRecord]) -> None:
        new = [PastPeriod(r.serial, r.key, r.starts_at_ms, r.ends_at_ms or 0) for r in records]
        self._become(sorted([*self, *new]))

    def _become(self, periods: list[PastPeriod]) -> None:
        self._serials = array("q", [period.serial for period in periods])
        self._ends = array("q", [period.ends_at_ms for period in periods])
        starts = [p.starts_at_ms if p.starts_at_ms is not None else _NO_BEGINNING for p in periods]
        self._starts = array("q", starts)
        self._keys = "".join(f"{period.key}\n" for period in periods)

    def remove(self, serials: Collection[int]) -> list[PastPeriod]:
        """Take out those of these serials."""
        periods = list(self)
        gone = [period for period in periods if period.serial in serials]
        if gone:
            self._become([period for period in periods if period.serial not in serials])
        return gone
