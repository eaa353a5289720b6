"""What should happen next to a chain of periods, and where it should live: pure functions (laws 6, 7, 9).

The supervisor observes, asks these functions, persists what they say, and acts. Each answer is idempotent:
asked again before it was carried out, the plan is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lbactors.model import PeriodRecord
from lbactors.timeframe import Span, Timeframe, last_span, span_from

LEAD_MS = 30_000  # a period is opened this long before it begins (or half the length of the one before)
LINGER_MS = 1_000  # after the grace, until sealing: for submissions that are on their way inside the server
_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d{2})?")
CATCH_UP_SPANS = 20_000  # missed periods that are looked at one by one; beyond, the schedule is entered anew


class Plan(NamedTuple):
    """Steps for one chain, in this order: records to add, serials to seal, serials to delete for good.

    `due_ms`: when the chain needs to be looked at again (None: not before it is changed).
    """

    add: list[PeriodRecord]
    seal: list[int]
    delete: list[int]
    due_ms: int | None


def plan_chain(
    timeframe: Timeframe,
    window: str,
    records: Sequence[PeriodRecord],
    next_serial: int,
    now_ms: int,
    *,
    goes_on: bool,
) -> Plan:
    """Records to open, seal and delete now.

    records: all that are kept, in order of serial. goes_on: new periods are wanted (the leaderboard is not
    archived and the window not taken away).
    """
    add = _to_add(timeframe, window, records, next_serial, now_ms) if goes_on else []
    grace_ms = timeframe.late_grace_seconds * 1000
    everything = [*records, *add]
    seal = [r.serial for r in everything if not r.sealed and _seal_at(r, grace_ms) <= now_ms]
    closed = [r.serial for r in everything if r.sealed or r.serial in seal]
    # A period that is being sealed must be so before it can go: it is deleted at the next look.
    surplus = closed[: max(len(closed) - timeframe.retain_periods, 0)]
    if everything and surplus and surplus[-1] == everything[-1].serial:
        surplus.pop()  # the last one of a schedule stays: its standings are `current`
    sealed = {r.serial for r in everything if r.sealed}
    delete = [s for s in surplus if s in sealed]
    open_records = [r for r in everything if not r.sealed and r.serial not in seal]
    return Plan(add, seal, delete, _due_ms(timeframe, window, open_records, grace_ms, now_ms, goes_on))


def _seal_at(record: PeriodRecord, grace_ms: int) -> float:
    if record.ends_at_ms is None:
        return float("inf")
    return record.ends_at_ms + (0 if record.forced else grace_ms) + LINGER_MS


def _lead_ms(record: PeriodRecord) -> int:
    if record.starts_at_ms is None or record.ends_at_ms is None:
        return LEAD_MS
    return min(LEAD_MS, (record.ends_at_ms - record.starts_at_ms) // 2)


def _to_add(
    timeframe: Timeframe, window: str, records: Sequence[PeriodRecord], next_serial: int, now_ms: int
) -> list[PeriodRecord]:
    """The periods that should exist by now and do not; missed ones are born sealed and empty."""
    if not records:
        span = span_from(timeframe, window, now_ms) or last_span(timeframe, window)
        if span is None:
            return []
        return [new_record(span, next_serial, now_ms, [], None)]
    last = records[-1]
    grace_ms = timeframe.late_grace_seconds * 1000
    spans: list[tuple[Span, int]] = []
    ends_at_ms, lead_ms = last.ends_at_ms, _lead_ms(last)
    while ends_at_ms is not None and now_ms >= ends_at_ms - lead_ms:
        if len(spans) >= CATCH_UP_SPANS:
            ends_at_ms = now_ms
        span = span_from(timeframe, window, ends_at_ms)
        if span is None:
            break
        spans.append((span, ends_at_ms))
        starts_at_ms = max(span.starts_at_ms or ends_at_ms, ends_at_ms)
        ends_at_ms = span.ends_at_ms
        if ends_at_ms is not None:
            lead_ms = min(LEAD_MS, (ends_at_ms - starts_at_ms) // 2)
    added: list[PeriodRecord] = []
    keys = [r.key for r in records]
    keep = max(timeframe.retain_periods, 1) + 2
    next_serial += max(len(spans) - keep, 0)
    for span, begins_ms in spans[-keep:]:
        record = new_record(span, next_serial, now_ms, keys, begins_ms)
        record = record._replace(sealed=_seal_at(record, grace_ms) <= now_ms)
        added.append(record)
        keys.append(record.key)
        next_serial += 1
    return added


def _due_ms(
    timeframe: Timeframe,
    window: str,
    open_records: Sequence[PeriodRecord],
    grace_ms: int,
    now_ms: int,
    goes_on: bool,
) -> int | None:
    due = [_seal_at(r, grace_ms) for r in open_records if r.ends_at_ms is not None]
    if goes_on and open_records:
        last = open_records[-1]
        if last.ends_at_ms is not None and span_from(timeframe, window, last.ends_at_ms) is not None:
            due.append(last.ends_at_ms - _lead_ms(last))
    return int(min(due)) if due else None


def new_record(
    span: Span, serial: int, now_ms: int, keys: Iterable[str], begins_ms: int | None
) -> PeriodRecord:
    """A period for a span, from `begins_ms` on if that is later, under a key that is not taken."""
    starts_at_ms = span.starts_at_ms
    if begins_ms is not None and (starts_at_ms is None or starts_at_ms < begins_ms):
        starts_at_ms = begins_ms
    key = unique_key(span.key, keys)
    return PeriodRecord(serial, key, starts_at_ms, span.ends_at_ms, False, 0, 0, now_ms)


def unique_key(key: str, keys: Iterable[str]) -> str:
    """`key`, or `key-2`, `key-3`…: one above the highest number that it has among `keys`."""
    taken = set(keys)
    highest = 0
    for other in taken:
        if other == key:
            highest = max(highest, 1)
        elif other.startswith(f"{key}-") and other[len(key) + 1 :].isdigit():
            digits = other[len(key) + 1 :]
            date = len(digits) == 2 and _YEAR_OR_MONTH.fullmatch(key)
            if len(digits) < 6 and not digits.startswith("0") and not date:  # 2026-12 does not repeat 2026
                highest = max(highest, int(digits))
    if highest == 0:
        return key
    number = highest + 1
    while f"{key}-{number}" in taken:
        number += 1
    return f"{key}-{number}"


def goes_on_after(timeframe: Timeframe, window: str, records: Sequence[PeriodRecord]) -> bool:
    """Whether the schedule has a period after the last record."""
    if not records or records[-1].ends_at_ms is None:
        return False
    return span_from(timeframe, window, records[-1].ends_at_ms) is not None


def place(loads: Mapping[str, int], budget: int) -> str | None:
    """The actor for a new chain, or None if a further actor should be started for it.

    loads: chains by actor name. An idle actor first; a new one while the budget lasts; then the least loaded.
    """
    idle = sorted(name for name, load in loads.items() if load == 0)
    if idle:
        return idle[0]
    if len(loads) < budget:
        return None
    return min(loads, key=lambda name: (loads[name], name))
