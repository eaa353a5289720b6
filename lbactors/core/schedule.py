"""Which periods a chain should have by now, and which steps of them are due: pure functions (laws 6, 7, 9).

The supervisor observes, asks these functions, persists what they say, and acts. Each answer is idempotent:
asked again before it was carried out, the plan is the same. What a period's steps are is in
`lbactors.core.lifecycle`.

Of a player-local timeframe the spans are digits (`lbactors.core.zones`), and this is where they become
periods: one is there from the instant at which the first zone reaches its start to the one at which the last
zone passes its end. So consecutive periods overlap by 26 hours, and several are open at any time. The rest
follows from two instants of each point in digits, `_opens_ms` and `_closes_ms`, which for other timeframes
are the point itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lbactors.core.lifecycle import NO_PAST, Retention, Step, is_missed, last_of, steps_ahead, surplus
from lbactors.core.model import PeriodRecord
from lbactors.core.past_periods import PastPeriods
from lbactors.core.timeframe import Span, Timeframe, last_span, next_span, span_at, span_from
from lbactors.core.zones import EARLIEST_MS, LATEST_MS

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
    past: PastPeriods = NO_PAST,
    follows: bool = False,
) -> Plan:
    """What is to be opened, announced, sealed and deleted now.

    past, records: all that are kept, in order of serial. wanted: new periods are (the leaderboard is not
    archived and the window not taken away). spread: the chain's place, in [0, 1), among those that share a
    boundary. follows: it is a projection's, and its log may have gone on while nobody opened periods.
    """
    lead_ms = LEAD_MS + int(LEAD_SPREAD_MS * spread)
    add = _to_add(timeframe, window, records, next_serial, now_ms, lead_ms, past) if wanted else []
    if follows:
        add = [record._replace(sealed=False) for record in add]
    grace_ms = timeframe.late_grace_seconds * 1000
    everything = [*records, *add]
    agenda = [step for record in everything for step in steps_ahead(record, grace_ms, spread)]
    agenda.sort(key=lambda step: (step.at_ms, step.serial, step.stage))
    steps = [step for step in agenda if step.at_ms <= now_ms][:STEPS_AT_ONCE]
    retention = Retention(timeframe.retain_periods, timeframe.retain_days, spread)
    delete, delete_ms = surplus(everything, steps, retention, now_ms, past)
    due = [step.at_ms for step in agenda if step.at_ms > now_ms]
    if delete_ms is not None:
        due.append(delete_ms)
    last = last_of(everything) if wanted else None
    if last is not None:
        at, next_ms = _goes_on_at(timeframe, last), _next_due_ms(timeframe, last, lead_ms)
        if at is not None and next_ms is not None and span_from(timeframe, window, at) is not None:
            due.append(next_ms)
    return Plan(add, steps, delete, min(due) if due else None)


# Digits and instants --------------------------------------------------------------------------------------


def _opens_ms(timeframe: Timeframe, point: int) -> int:
    """The instant at which the first zone reaches a point of the schedule."""
    return point - EARLIEST_MS if timeframe.is_player_local else point


def _closes_ms(timeframe: Timeframe, point: int) -> int:
    """The instant at which the last zone passes a point of the schedule."""
    return point + LATEST_MS if timeframe.is_player_local else point


def _last_shown(timeframe: Timeframe, at_ms: int) -> int:
    """The point of the schedule that the last zone has reached at an instant (inverse of `_closes_ms`)."""
    return at_ms - LATEST_MS if timeframe.is_player_local else at_ms


def _overlaps(timeframe: Timeframe, last: PeriodRecord) -> bool:
    """Whether the period after a chain's last one begins before that is over."""
    return timeframe.is_player_local and last.is_local and not last.forced


def _goes_on_at(timeframe: Timeframe, last: PeriodRecord) -> int | None:
    """The point at which the schedule goes on after a chain's last period: where that ends, or what a zone
    shows at least when it has ended, if it was cut off or counted instants. None: it has no end.
    """
    if _overlaps(timeframe, last):
        return last.local_ends_at_ms
    return None if last.ends_at_ms is None else _last_shown(timeframe, last.ends_at_ms)


def _next_due_ms(timeframe: Timeframe, last: PeriodRecord, lead_ms: int) -> int | None:
    """When the period after a chain's last one is to be opened; None: never."""
    if not _overlaps(timeframe, last):
        return None if last.ends_at_ms is None else last.ends_at_ms - _lead_ms(last, lead_ms)
    at = last.local_ends_at_ms
    return None if at is None else _opens_ms(timeframe, at) - _lead_ms(last, lead_ms)


def span_for(timeframe: Timeframe, window: str, record: PeriodRecord) -> Span | None:
    """The span that the schedule has now where a player-local period lies."""
    if record.local_starts_at_ms is not None:
        return span_at(timeframe, window, record.local_starts_at_ms)
    return (
        None if record.local_ends_at_ms is None else span_at(timeframe, window, record.local_ends_at_ms - 1)
    )


def next_starts_ms(timeframe: Timeframe, window: str, record: PeriodRecord) -> int | None:
    """When the period after a chain's last one begins; None if the schedule ends with it."""
    at = _goes_on_at(timeframe, record)
    following = None if at is None else next_span(timeframe, window, Span(record.key, None, at))
    if following is None or following.starts_at_ms is None:
        return None
    return _opens_ms(timeframe, following.starts_at_ms)


# Periods to come ------------------------------------------------------------------------------------------


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
    past: PastPeriods,
) -> list[PeriodRecord]:
    """The periods that should exist by now and do not; missed ones are born sealed and empty."""
    spans: list[tuple[Span, int | None]] = []  # each with the instant before which it cannot begin
    at: int | None
    last = last_of(records)
    if last is None:
        span = span_from(timeframe, window, _last_shown(timeframe, now_ms)) or last_span(timeframe, window)
        if span is None:
            return []
        if not timeframe.is_player_local:
            return [new_record(timeframe, span, next_serial, now_ms, [], None)]
        spans.append((span, None))
        at, due_ms, begins_ms, is_cut = span.ends_at_ms, now_ms, None, True
        if at is not None:
            due_ms = _opens_ms(timeframe, at) - min(most_lead_ms, (at - (span.starts_at_ms or 0)) // 2)
    else:
        at, due_ms = _goes_on_at(timeframe, last), _next_due_ms(timeframe, last, most_lead_ms) or 0
        begins_ms = None if _overlaps(timeframe, last) else last.ends_at_ms
        is_cut = last.forced
    while at is not None and now_ms >= due_ms:
        if len(spans) >= CATCH_UP_SPANS:
            at = _last_shown(timeframe, now_ms)
        span = span_from(timeframe, window, at)
        if span is None:
            break
        starts_at = max(span.starts_at_ms or at, at)
        # The rest of the last period's own span, gone by while the schedule had ended, is no period.
        is_rest = not spans and not is_cut and (span.starts_at_ms or 0) < at
        if not is_rest or span.ends_at_ms is None or _closes_ms(timeframe, span.ends_at_ms) > now_ms:
            spans.append((span, begins_ms if timeframe.is_player_local else at))
        at = span.ends_at_ms
        if at is not None:
            due_ms = _opens_ms(timeframe, at) - min(most_lead_ms, (at - starts_at) // 2)
    added: list[PeriodRecord] = []
    if not spans:
        return added
    grace_ms = timeframe.late_grace_seconds * 1000
    keys = TakenKeys([*past.keys(), *(r.key for r in records)])
    next_serial += max(len(spans) - MISSED_PERIODS, 0)
    for span, begins in spans[-MISSED_PERIODS:]:
        record = new_record(timeframe, span, next_serial, now_ms, keys, begins)
        added.append(record._replace(sealed=is_missed(record, grace_ms)))
        keys.add(record.key)
        next_serial += 1
    return added


def extended_span(timeframe: Timeframe, window: str, record: PeriodRecord, now_ms: int) -> Span | None:
    """The span with which a period that is over goes on under a new timeframe: the present one, if it begins
    before the period's end. None if there is none, and where the period was closed by force.
    """
    span = span_from(timeframe, window, _last_shown(timeframe, now_ms))
    if span is None or record.forced or record.ends_at_ms is None:
        return None
    starts_at = span.starts_at_ms
    if starts_at is None:
        return span
    if timeframe.is_player_local and record.local_ends_at_ms is not None:
        return span if starts_at < record.local_ends_at_ms else None
    return span if _opens_ms(timeframe, starts_at) < record.ends_at_ms else None


def new_record(
    timeframe: Timeframe,
    span: Span,
    serial: int,
    now_ms: int,
    keys: Iterable[str] | TakenKeys,
    begins_ms: int | None,
) -> PeriodRecord:
    """A period for a span, from `begins_ms` on if that is later, under a key that is not taken."""
    _, starts_at, ends_at = span
    starts_at_ms = None if starts_at is None else _opens_ms(timeframe, starts_at)
    ends_at_ms = None if ends_at is None else _closes_ms(timeframe, ends_at)
    if begins_ms is not None and (starts_at_ms is None or starts_at_ms < begins_ms):
        starts_at_ms = begins_ms
    key = keys.unique(span.key) if isinstance(keys, TakenKeys) else unique_key(span.key, keys)
    record = PeriodRecord(serial, key, starts_at_ms, ends_at_ms, False, 0, 0, now_ms)
    if timeframe.is_player_local:
        record = record._replace(local_starts_at_ms=starts_at, local_ends_at_ms=ends_at)
    return record


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
    last = last_of(records)
    at = None if last is None else _goes_on_at(timeframe, last)
    return at is not None and span_from(timeframe, window, at) is not None
