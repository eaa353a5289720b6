"""Periods counted out on a calendar: which spans a timeframe has, found without any code of the service.

A zone's clock is a list of pieces in which it runs evenly. A nominal boundary (the midnight of a day, a
firing of a cron rule) lies at the first instant at which the local clock shows it or more, so it is enough to
look through the pieces; nothing is searched backwards or derived from a rule about clock changes. Everything
is worked out once, for the stretch of time that a simulation may look at.

Zone data comes from the tzdata package, as for the service; nothing else is shared with it.
"""

from __future__ import annotations

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

LOW, HIGH = datetime(2010, 12, 1), datetime(2013, 2, 1)  # what is counted out
HOUR_S, DAY_S, DAY = 3600, 86_400, timedelta(days=1)
EPOCH = datetime(1970, 1, 1)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

# Cron expressions that the simulation uses: on which days, and at which minutes of such a day.
CRON: dict[str, tuple[Callable[[datetime], bool], list[int]]] = {
    "30 0 * * *": (lambda day: True, [30]),
    "*/20 1-3 * * 0": (lambda day: day.weekday() == 6, list(range(60, 240, 20))),
    "0 0 31 * *": (lambda day: day.day == 31, [0]),
}


class Span(NamedTuple):
    """One period [start, end) in ms since the epoch; None: unbounded."""

    key: str
    starts_at_ms: int | None
    ends_at_ms: int | None

    def contains(self, at_ms: int) -> bool:
        begun = self.starts_at_ms is None or self.starts_at_ms <= at_ms
        return begun and (self.ends_at_ms is None or at_ms < self.ends_at_ms)


class Piece(NamedTuple):
    """From one change of a zone's clock to the next, in seconds since the epoch; it is `ahead_s` of UTC."""

    starts_s: int
    ends_s: int
    ahead_s: int


def seconds(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp())


def ms(text: str) -> int:
    """An instant in UTC, such as 2011-12-30T10:00."""
    return seconds(datetime.fromisoformat(text)) * 1000


def told(at_ms: int | None) -> str:
    """An instant for people."""
    return "-" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


@cache
def pieces(zone: str) -> list[Piece]:
    """A zone's clock; changes (no two on one day) are looked for by days, hours, and then seconds."""
    with files("tzdata").joinpath("zoneinfo", *zone.split("/")).open("rb") as data:
        rules = ZoneInfo.from_file(data, key=zone)

    def ahead(at_s: int) -> int:
        offset = datetime.fromtimestamp(at_s, rules).utcoffset()
        assert offset is not None
        return int(offset.total_seconds())

    found: list[Piece] = []
    begins_s = low_s = seconds(LOW)
    for day_s in range(low_s, seconds(HIGH), DAY_S):
        before = ahead(day_s)
        if ahead(day_s + DAY_S) == before:
            continue
        hour_s = next(s for s in range(day_s, day_s + DAY_S, HOUR_S) if ahead(s + HOUR_S) != before)
        change_s = next(s for s in range(hour_s + 1, hour_s + HOUR_S + 1) if ahead(s) != before)
        found.append(Piece(begins_s, change_s, before))
        begins_s = change_s
    return [*found, Piece(begins_s, seconds(HIGH), ahead(begins_s))]


def clock_changes_ms(zone: str) -> list[int]:
    return [piece.ends_s * 1000 for piece in pieces(zone)[:-1]]


def first_showing_ms(zone: str, reading: datetime) -> int | None:
    """When the zone's clock first showed this or more; None if that lies outside of what is counted out."""
    wall_s = seconds(reading)
    for piece in pieces(zone):
        at_s = max(piece.starts_s, wall_s - piece.ahead_s)
        if at_s < piece.ends_s:
            return None if at_s == seconds(LOW) else at_s * 1000
    return None


# Boundaries: (instant, key of the period that it opens) -----------------------------------------------------

Boundary = tuple[int, str]


def days() -> Iterable[datetime]:
    at = LOW
    while at < HIGH:
        yield at
        at += DAY


def nominal_days(kind: str, frame: dict[str, Any]) -> Iterable[tuple[datetime, str]]:
    """Days with which a period begins, and its key."""
    for day in days():
        if kind == "daily":
            yield day, f"{day:%Y-%m-%d}"
        elif kind == "weekly" and WEEKDAYS[day.weekday()] == frame.get("reset_day", "monday"):
            year, week, _ = day.isocalendar()
            yield day, f"{year}-W{week:02}"
        elif day.day == min(frame.get("reset_date", 1), monthrange(day.year, day.month)[1]):
            if kind == "monthly":
                yield day, f"{day:%Y-%m}"
            elif kind == "yearly" and day.month == 1:
                yield day, f"{day.year}"


def reset_of(frame: dict[str, Any]) -> timedelta:
    hours, minutes = map(int, frame.get("reset_time", "00:00").split(":"))
    return timedelta(hours=hours, minutes=minutes)


def shown(zone: str, nominal: Iterable[tuple[datetime, str]]) -> list[Boundary]:
    """Nominal boundaries at their instants; of several at one instant (a skipped day) the last one counts."""
    at: dict[int, str] = {}
    for reading, key in nominal:
        instant_ms = first_showing_ms(zone, reading)
        if instant_ms is not None:
            at[instant_ms] = key
    return sorted(at.items())


def hours(zone: str, frame: dict[str, Any]) -> list[Boundary]:
    """Every showing of the reset's minute, repeated ones too, and jumps that skip it."""
    phase_s = int(reset_of(frame).total_seconds()) % HOUR_S
    found: dict[int, str] = {}
    highest_s, before = seconds(LOW), None
    for piece in pieces(zone):
        landing_s = piece.starts_s + piece.ahead_s
        if before is not None and before.ends_s + before.ahead_s < landing_s:
            skipped = [s for s in range(before.ends_s + before.ahead_s, landing_s) if s % HOUR_S == phase_s]
            if skipped:
                found[piece.starts_s * 1000] = f"{EPOCH + timedelta(seconds=skipped[-1]):%Y-%m-%dT%H}"
        first_s = landing_s + (phase_s - landing_s) % HOUR_S
        for reading_s in range(first_s, piece.ends_s + piece.ahead_s, HOUR_S):
            again = "-2" if reading_s < highest_s else ""
            key = f"{EPOCH + timedelta(seconds=reading_s):%Y-%m-%dT%H}{again}"
            found[(reading_s - piece.ahead_s) * 1000] = key
        highest_s, before = max(highest_s, piece.ends_s + piece.ahead_s), piece
    return sorted(found.items())


def instant_key(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def firings(zone: str, expression: str) -> list[Boundary]:
    due, minutes = CRON[expression]
    at = shown(zone, ((day + timedelta(minutes=n), "") for day in days() if due(day) for n in minutes))
    return [(at_ms, instant_key(at_ms)) for at_ms, _ in at]


def lengths(frame: dict[str, Any]) -> list[Boundary]:
    length_ms = frame["every_seconds"] * 1000
    first_ms = ms(frame["starts_at"].rstrip("Z")) if "starts_at" in frame else 0
    low_ms, high_ms = seconds(LOW) * 1000, seconds(HIGH) * 1000
    first_ms += max((low_ms - first_ms) // length_ms, 0) * length_ms
    return [(at, instant_key(at)) for at in range(first_ms, high_ms, length_ms)]


# Spans ------------------------------------------------------------------------------------------------------


def boundaries(kind: str, frame: dict[str, Any]) -> list[Boundary]:
    zone = frame.get("timezone", "UTC")
    if kind == "hourly":
        return hours(zone, frame)
    if kind == "cron":
        return firings(zone, frame["cron"])
    if kind == "every":
        return lengths(frame)
    reset = reset_of(frame)
    return shown(zone, ((day + reset, key) for day, key in nominal_days(kind, frame)))


def spans(frame: dict[str, Any], window: str) -> list[Span]:
    """Every period of a window that the stretch of time has, from one boundary to the next, within the
    schedule's own bounds. A manual schedule has none of its own.
    """
    kind = frame["type"] if window == "main" else window
    starts_ms = ms(frame["starts_at"].rstrip("Z")) if "starts_at" in frame else None
    ends_ms = ms(frame["ends_at"].rstrip("Z")) if "ends_at" in frame else None
    if kind == "manual":
        return []
    if kind in ("permanent", "all_time"):
        return [Span("all_time", starts_ms, ends_ms)]
    if kind == "range":
        assert starts_ms is not None
        return [Span(instant_key(starts_ms), starts_ms, ends_ms)]
    found = []
    for (low_ms, key), (high_ms, _) in pairwise(boundaries(kind, frame)):
        if (starts_ms is not None and high_ms <= starts_ms) or (ends_ms is not None and low_ms >= ends_ms):
            continue
        begin_ms = low_ms if starts_ms is None else max(low_ms, starts_ms)
        end_ms = high_ms if ends_ms is None else min(high_ms, ends_ms)
        found.append(Span(instant_key(begin_ms) if kind == "cron" else key, begin_ms, end_ms))
    return found


def containing(found: list[Span], at_ms: int) -> int | None:
    """Index of the span that contains an instant."""
    index = bisect_right([span.starts_at_ms or 0 for span in found], at_ms) - 1
    return index if index >= 0 and found[index].contains(at_ms) else None
