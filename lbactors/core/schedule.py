"""Which periods a chain should have by now, and which steps of them are due: pure functions (laws 6, 7, 9).

The supervisor observes, asks these functions, persists what they say, and acts. Each answer is idempotent:
asked again before it was carried out, the plan is the same. What a period's steps are is in
`lbactors.core.lifecycle`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lbactors.core.lifecycle import Retention, Step, is_missed, steps_ahead, surplus
from lbactors.core.model import PeriodRecord
from lbactors.core.timeframe import Span, Timeframe, last_span, span_from

LEAD_MS = 30_000  # a period is opened this long before it begins (or half the length of the one before)
# Hundreds of leaderboards may roll over at the same instant, so each chain has its own place in this span
# (`spread`): the work before a boundary, and after it (`lifecycle.SEAL_SPREAD_MS`), comes at a bounded rate.
LEAD_SPREAD_MS = 120_000
_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d{2})?")
CATCH_UP_SPANS = 20_000  # missed periods that are looked at one by one; beyond, the schedule is entered anew
MISSED_PERIODS = 1_000  # missed periods that are opened and closed one by one; older ones never existed
STEPS_AT_ONCE = 300  # of one plan; the next look goes on


class Plan(NamedTuple):
    """What is to be done for one chain, in this order: records to add, steps, serials to delete for good.

    `due_ms`: when the chain needs to be looked at again (None: not before it is changed).
    """

    add: list[PeriodRecord]
    steps: list[Step]
    delete: list[int]
    due_ms: int | None


def plan_chain(
    timeframe: Timeframe,
    window: str,
    records: Sequence[PeriodRecord],
    next_serial: int,
    now_ms: int,
    *,
    wanted: bool,
    spread: float = 0.0,
) -> Plan:
    """What is to be opened, announced, sealed and deleted now.

    records: all that are kept, in order of serial. wanted: new periods are (the leaderboard is not
    archived and the window not taken away). spread: the chain's place, in [0, 1), among those that share a
    boundary.
    """
    lead_ms = LEAD_MS + int(LEAD_SPREAD_MS * spread)
    add = _to_add(timeframe, window, records, next_serial, now_ms, lead_ms) if wanted else []
    grace_ms = timeframe.late_grace_seconds * 1000
    everything = [*records, *add]
    agenda = [step for record in everything for step in steps_ahead(record, grace_ms, spread)]
    agenda.sort(key=lambda step: (step.at_ms, step.serial, step.stage))
    steps = [step for step in agenda if step.at_ms <= now_ms][:STEPS_AT_ONCE]
    retention = Retention(timeframe.retain_periods, timeframe.retain_days, spread)
    delete, delete_ms = surplus(everything, steps, retention, now_ms)
    due = [step.at_ms for step in agenda if step.at_ms > now_ms]
    if delete_ms is not None:
        due.append(delete_ms)
    if wanted and everything:
        last = everything[-1]
        if last.ends_at_ms is not None and span_from(timeframe, window, last.ends_at_ms) is not None:
            due.append(last.ends_at_ms - _lead_ms(last, lead_ms))
    return Plan(add, steps, delete, min(due) if due else None)


def _lead_ms(record: PeriodRecord, lead_ms: int) -> int:
    if record.starts_at_ms is None or record.ends_at_ms is None:
        return lead_ms
    return min(lead_ms, (record.ends_at_ms - record.starts_at_ms) // 2)


def _to_add(
    timeframe: Timeframe,
    window: str,
    records: Sequence[PeriodRecord],
    next_serial: int,
    now_ms: int,
    most_lead_ms: int,
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
    ends_at_ms, lead_ms = last.ends_at_ms, _lead_ms(last, most_lead_ms)
    while ends_at_ms is not None and now_ms >= ends_at_ms - lead_ms:
        if len(spans) >= CATCH_UP_SPANS:
            ends_at_ms = now_ms
        span = span_from(timeframe, window, ends_at_ms)
        if span is None:
            break
        starts_at_ms = max(span.starts_at_ms or ends_at_ms, ends_at_ms)
        # The rest of the last period's own span, gone by while the schedule had ended, is no period.
        is_rest = not spans and not last.forced and (span.starts_at_ms or 0) < ends_at_ms
        if not is_rest or span.ends_at_ms is None or span.ends_at_ms > now_ms:
            spans.append((span, ends_at_ms))
        ends_at_ms = span.ends_at_ms
        if ends_at_ms is not None:
            lead_ms = min(most_lead_ms, (ends_at_ms - starts_at_ms) // 2)
    added: list[PeriodRecord] = []
    keys = TakenKeys(r.key for r in records)
    next_serial += max(len(spans) - MISSED_PERIODS, 0)
    for span, begins_ms in spans[-MISSED_PERIODS:]:
        record = new_record(span, next_serial, now_ms, keys, begins_ms)
        added.append(record._replace(sealed=is_missed(record, grace_ms)))
        keys.add(record.key)
        next_serial += 1
    return added


def extended_span(timeframe: Timeframe, window: str, record: PeriodRecord, now_ms: int) -> Span | None:
    """The span with which a period that is over goes on under a new timeframe: the present one, if it begins
    before the period's end. None if there is none, and where the period was closed by force.
    """
    span = span_from(timeframe, window, now_ms)
    if span is None or record.forced or record.ends_at_ms is None:
        return None
    return span if span.starts_at_ms is None or span.starts_at_ms < record.ends_at_ms else None


def new_record(
    span: Span, serial: int, now_ms: int, keys: Iterable[str] | TakenKeys, begins_ms: int | None
) -> PeriodRecord:
    """A period for a span, from `begins_ms` on if that is later, under a key that is not taken."""
    starts_at_ms = span.starts_at_ms
    if begins_ms is not None and (starts_at_ms is None or starts_at_ms < begins_ms):
        starts_at_ms = begins_ms
    key = keys.unique(span.key) if isinstance(keys, TakenKeys) else unique_key(span.key, keys)
    return PeriodRecord(serial, key, starts_at_ms, span.ends_at_ms, False, 0, 0, now_ms)


class TakenKeys:
    """Keys of a chain, for many new ones after each other: `unique` looks through all of them only where it
    must, since the key, or the key with a number behind it, is among them.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._taken: set[str] = set()
        self._numbered: set[str] = set()  # keys that occur with something behind a hyphen
        for key in keys:
            self.add(key)

    def add(self, key: str) -> None:
        self._taken.add(key)
        self._numbered.add(key.rpartition("-")[0])

    def unique(self, key: str) -> str:
        """See `unique_key`."""
        if key in self._taken or key in self._numbered:
            return unique_key(key, self._taken)
        return key


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


def has_next_period(timeframe: Timeframe, window: str, records: Sequence[PeriodRecord]) -> bool:
    """Whether the schedule has a period after the last record."""
    if not records or records[-1].ends_at_ms is None:
        return False
    return span_from(timeframe, window, records[-1].ends_at_ms) is not None
