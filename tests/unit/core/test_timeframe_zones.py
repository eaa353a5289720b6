"""Timeframes in every zone: properties of the periods, and an oracle that counts minutes.

The oracle shares nothing with the module but the zone data: it reads a local clock minute by minute around
its changes and notes where periods must begin. Order of keys, as tested here: text order, and where a clock
change repeats hours, `-2` after its first showing.
"""

import struct
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core.instants import HORIZON_MS, format_instant, parse_instant
from lbactors.core.timeframe import FLOOR_MS, Span, Timeframe, last_span, next_span, span_at, span_from

ZONES = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
WINDOWS = ["main", "all_time", "yearly", "monthly", "weekly", "daily", "hourly"]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
CRONS = [
    "0 * * * *",
    "30 2 * * *",
    "*/20 1-3 * * *",
    "15 0,2,23 * * 0",
    "0 0 31 * *",
    "59 23 L * *",
    "5 4 29 2 *",
]
DAY_MS = 86_400_000
MINUTE = timedelta(minutes=1)


def zone_file(name: str) -> Any:
    return files("tzdata").joinpath("zoneinfo", *name.split("/"))


@cache
def zone(name: str) -> ZoneInfo:
    with zone_file(name).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def reading(name: str, at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, zone(name)).replace(tzinfo=None)


@lru_cache(maxsize=4096)
def changes(name: str, year: int) -> list[int]:
    """Seconds at which the zone's offset changes in the year."""
    low = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    grid = range(low, low + 366 * 86_400, 6 * 3600)
    offsets = [datetime.fromtimestamp(at, zone(name)).utcoffset() for at in grid]
    found = []
    for (at, before), (_, after) in pairwise(zip(grid, offsets, strict=True)):
        if before != after:
            seconds = range(at, at + 6 * 3600 + 1)
            same = [datetime.fromtimestamp(s, zone(name)).utcoffset() == before for s in seconds[::60]]
            found.append(seconds[::60][same.index(False)])
    return found


def walk(tf: Timeframe, window: str, at_ms: int, steps: int) -> list[Span]:
    spans: list[Span] = []
    span = span_from(tf, window, at_ms)
    while span is not None and len(spans) < steps:
        spans.append(span)
        span = next_span(tf, window, span)
    return spans


# Properties -----------------------------------------------------------------------------------------------


@st.composite
def instants(draw: Any, name: str) -> int:
    """1970..2100, half of them within a day and a half of a change of the zone's clock."""
    year = draw(st.integers(1970, 2100))
    near = changes(name, year)
    if near and draw(st.booleans()):
        change: int = draw(st.sampled_from(near)) * 1000
        return max(0, change + int(draw(st.integers(-36 * 3_600_000, 36 * 3_600_000))))
    start = int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000
    return start + int(draw(st.integers(0, 366 * DAY_MS)))


@st.composite
def schedules(draw: Any, type_: str) -> tuple[Timeframe, int]:
    """A timeframe with any reset fields and perhaps bounds, and an instant at which to examine it."""
    name = draw(st.sampled_from(ZONES))
    at_ms = draw(instants(name))
    fields: dict[str, Any] = {"type": type_, "timezone": name}
    fields["reset_time"] = draw(
        st.sampled_from(["00:00", "02:30", "23:59:59"])
        | st.times().map(lambda t: t.strftime("%H:%M"))
        | st.times().map(lambda t: t.strftime("%H:%M:%S"))
    )
    fields["reset_day"] = draw(st.sampled_from(DAYS))
    fields["reset_date"] = draw(st.integers(1, 31))
    if type_ == "cron":
        fields["cron"] = draw(st.sampled_from(CRONS))
    if type_ == "every":
        fields["every_seconds"] = draw(st.integers(1, 100_000) | st.integers(1, 315_360_000))
    reach_ms = draw(st.sampled_from([3_600_000, 5 * DAY_MS, 2000 * DAY_MS]))
    if type_ == "range" or draw(st.booleans()):
        fields["starts_at"] = format_instant(max(0, at_ms - draw(st.integers(-reach_ms, reach_ms))))
    if type_ == "range" or draw(st.booleans()):
        low = parse_instant(fields["starts_at"]) if "starts_at" in fields else at_ms
        fields["ends_at"] = format_instant(low + draw(st.integers(1, 2 * reach_ms)))
    return Timeframe(**fields), at_ms


def check_period(tf: Timeframe, window: str, span: Span) -> None:
    """A period is not empty, lies within the bounds and contains its instants and no others."""
    start, end = span.starts_at_ms, span.ends_at_ms
    low, high = tf.starts_at, tf.ends_at
    if end is not None:
        assert start is None or start < end
        assert high is None or end <= high
        assert span_at(tf, window, end - 1) == span
        assert span_at(tf, window, end) == next_span(tf, window, span) != span
    else:
        assert high is None
        assert span_at(tf, window, HORIZON_MS) == span
    if start is not None:
        assert low is None or low <= start
        assert span_at(tf, window, start) == span
        before = span_at(tf, window, start - 1)
        if start == low:
            assert before is None
        else:
            assert before is not None and before.ends_at_ms == start
            assert next_span(tf, window, before) == span
    else:
        assert low is None


def check_keys(keys: list[str]) -> None:
    """Keys are unique, in text order, and a second showing of an hour comes after the first."""
    assert len(set(keys)) == len(keys)
    first = [key for key in keys if len(key) != len("2026-10-25T02-2")]
    second = [key for key in keys if len(key) == len("2026-10-25T02-2")]
    assert first == sorted(first) and second == sorted(second)
    for key in second:
        assert key.endswith("-2")
        if key[:-2] in keys:
            assert keys.index(key[:-2]) < keys.index(key)
        else:
            assert all(key[:-2] < other for other in first)


def check_chain(tf: Timeframe, window: str, at_ms: int, steps: int) -> None:
    spans = walk(tf, window, at_ms, steps)
    low, high = tf.starts_at, tf.ends_at
    now = span_at(tf, window, at_ms)
    if (low is None or low <= at_ms) and (high is None or at_ms < high):
        assert now is not None and spans[0] == now
        assert now.starts_at_ms is None or now.starts_at_ms <= at_ms
        assert now.ends_at_ms is None or at_ms < now.ends_at_ms
    else:
        assert now is None
        assert (spans[0].starts_at_ms == low) if low is not None and at_ms < low else not spans
    for span in spans:
        check_period(tf, window, span)
    for span, following in pairwise(spans):
        assert span.ends_at_ms == following.starts_at_ms
    check_keys([span.key for span in spans])
    last = last_span(tf, window)
    if high is None:
        assert last is None
    else:
        assert last is not None and last.ends_at_ms == high
        check_period(tf, window, last)
    if 0 < len(spans) < steps:
        assert spans[-1].ends_at_ms == high


@pytest.mark.parametrize(
    "type_", ["permanent", "hourly", "daily", "weekly", "monthly", "yearly", "cron", "every", "range"]
)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_periods_tile_time(type_: str, data: st.DataObject) -> None:
    tf, at_ms = data.draw(schedules(type_))
    check_chain(tf, "main", at_ms, 30)


@pytest.mark.parametrize("window", WINDOWS[1:])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_windows_tile_time(window: str, data: st.DataObject) -> None:
    tf, at_ms = data.draw(
        schedules(data.draw(st.sampled_from(["permanent", "manual", "cron", "every", "range"])))
    )
    check_chain(tf, window, at_ms, 12)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_bounds_only_cut(data: st.DataObject) -> None:
    """A bounded schedule has the periods of the unbounded one, less what lies outside."""
    type_ = data.draw(
        st.sampled_from(["permanent", "hourly", "daily", "weekly", "monthly", "yearly", "cron"])
    )
    tf, at_ms = data.draw(schedules(type_))
    window = data.draw(st.sampled_from(WINDOWS))
    cut = span_at(tf, window, at_ms)
    whole = span_at(tf.model_copy(update={"starts_at": None, "ends_at": None}), window, at_ms)
    assert whole is not None
    if cut is not None:
        starts = [bound for bound in (tf.starts_at, whole.starts_at_ms) if bound is not None]
        ends = [bound for bound in (tf.ends_at, whole.ends_at_ms) if bound is not None]
        assert (cut.starts_at_ms, cut.ends_at_ms) == (max(starts, default=None), min(ends, default=None))
        assert cut.key == whole.key or (type_, window, cut.starts_at_ms) == ("cron", "main", tf.starts_at)


def test_clock_changes_are_days_apart() -> None:
    """The searches rely on it. Read from the compiled zone files: an update of tzdata is checked too."""
    for name in ZONES:
        data = zone_file(name).read_bytes()
        isut, isstd, leap, times, types, chars = struct.unpack(">6l", data[20:44])
        # A block with 32-bit times comes first; the one with 64-bit times follows it.
        at = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isut
        times, types = struct.unpack(">2l", data[at + 32 : at + 40])
        at += 44
        instants = struct.unpack(f">{times}q", data[at : at + 8 * times])
        at += 8 * times
        indexes, infos = data[at : at + times], data[at + times : at + times + 6 * types]
        offsets = [offset for offset, _, _ in struct.iter_unpack(">lBB", infos)]
        steps = pairwise(zip(instants, indexes, strict=True))
        real = [instant for (_, before), (instant, after) in steps if offsets[before] != offsets[after]]
        recent = [instant for instant in real if instant * 1000 >= FLOOR_MS - DAY_MS]
        assert all(after - before > 2 * 86_400 for before, after in pairwise(recent)), name


# The oracle -----------------------------------------------------------------------------------------------

Due = Callable[[datetime], bool]


def last_day(day: datetime) -> bool:
    return (day + timedelta(days=1)).month != day.month


def due(fields: dict[str, Any]) -> Due:
    """Whether a nominal period of the calendar types begins at a reading (whole minutes)."""
    type_, hour, minute = fields["type"], *map(int, fields["reset_time"].split(":"))
    date, day = fields["reset_date"], fields["reset_day"]
    rules: dict[str, Due] = {
        "daily": lambda r: True,
        "weekly": lambda r: DAYS[r.weekday()] == day,
        "monthly": lambda r: r.day == date or (r.day < date and last_day(r)),
        "yearly": lambda r: r.month == 1 and r.day == date,
    }
    return lambda r: r.minute == minute and r.hour == hour and rules[type_](r)


CRON_DUE: dict[str, Due] = {
    "0 * * * *": lambda r: r.minute == 0,
    "30 2 * * *": lambda r: (r.hour, r.minute) == (2, 30),
    "*/20 1-3 * * *": lambda r: r.minute % 20 == 0 and 1 <= r.hour <= 3,
    "15 0,2,23 * * 0": lambda r: r.minute == 15 and r.hour in (0, 2, 23) and r.weekday() == 6,
    "0 0 31 * *": lambda r: (r.day, r.hour, r.minute) == (31, 0, 0),
    "59 23 L * *": lambda r: last_day(r) and (r.hour, r.minute) == (23, 59),
    "5 4 29 2 *": lambda r: (r.month, r.day, r.hour, r.minute) == (2, 29, 4, 5),
}


@lru_cache(maxsize=64)
def readings(name: str, middle_s: int) -> list[tuple[int, datetime]]:
    """The local clock at every minute from three days before to two days after."""
    first = middle_s // 60 * 60
    return [(at, reading(name, at)) for at in range(first - 3 * 86_400, first + 2 * 86_400, 60)]


def boundaries(name: str, middle_s: int, begins: Due) -> list[tuple[int, datetime]]:
    """(instant, nominal reading) of periods, by the rule: first showing, or first instant after a gap."""
    found = []
    (_, high), *later = readings(name, middle_s)
    for at, now in later:
        nominal = None
        while high < now:
            high += MINUTE
            nominal = high if begins(high) else nominal
        if nominal is not None:
            found.append((at, nominal))
    return found


def hourly_boundaries(name: str, middle_s: int, minute: int) -> list[tuple[int, str]]:
    """(instant, key) of hourly periods: every showing of the minute, and the end of a gap over it."""
    found = []
    shown: dict[str, int] = {}
    for (_, before), (at, now) in pairwise(readings(name, middle_s)):
        steps = max(
            1, (now - before) // MINUTE
        )  # more than one over a gap; a step back shows one minute again
        passed = [r for r in (now - MINUTE * n for n in range(steps)) if r.minute == minute]
        if passed:
            key = passed[0].strftime("%Y-%m-%dT%H")
            shown[key] = shown.get(key, 0) + 1
            found.append((at, key if shown[key] == 1 else f"{key}-{shown[key]}"))
    return found


KEY_FORMATS = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}


def compare(fields: dict[str, Any], middle_s: int) -> None:
    """Module and oracle agree on every period that begins in the four days around the instant."""
    tf = Timeframe(**fields)
    name, type_ = fields["timezone"], fields["type"]
    if type_ == "hourly":
        expected = hourly_boundaries(name, middle_s, int(fields["reset_time"][3:]))
    elif type_ == "cron":
        found = boundaries(name, middle_s, CRON_DUE[fields["cron"]])
        expected = [(at, format_instant(at * 1000)[:-5] + "Z") for at, _ in found]
    else:
        expected = [(at, r.strftime(KEY_FORMATS[type_])) for at, r in boundaries(name, middle_s, due(fields))]
    low, high = middle_s - 2 * 86_400, middle_s + 2 * 86_400
    actual = []
    span = span_at(tf, "main", low * 1000)
    while span is not None and span.starts_at_ms is not None and span.starts_at_ms < high * 1000:
        actual.append((span.starts_at_ms // 1000, span.key))
        span = next_span(tf, "main", span)
    # The oracle cannot know the first one if it began before the readings do.
    begun = [pair for pair in expected if pair[0] <= low][-1:] or actual[:1]
    assert actual == begun + [pair for pair in expected if low < pair[0] < high]
    starts = [at for at, _ in actual]
    for at in (*range(low, high, 7201), *range(middle_s - 10_000, middle_s + 30_000, 601)):
        between = span_at(tf, "main", at * 1000)
        assert between is not None and between.key == actual[bisect_right(starts, at) - 1][1]


NOTABLE = [
    ("Europe/Rome", "2026-03-29T01:00Z"),
    ("Europe/Rome", "2026-10-25T01:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00Z"),
    ("Africa/Casablanca", "2025-02-23T02:00Z"),
    ("Africa/Casablanca", "2025-04-06T02:00Z"),
    ("America/St_Johns", "1988-04-03T03:31Z"),  # one minute past midnight, by two hours
    ("America/St_Johns", "1988-10-30T01:31Z"),
    ("Antarctica/Casey", "2010-03-04T15:00Z"),  # back by three hours
    ("Antarctica/Casey", "2020-10-03T16:01Z"),  # forward by three hours at 00:01
    ("Antarctica/Vostok", "1994-01-31T17:00Z"),  # back by seven hours
    ("Pacific/Apia", "2011-12-30T10:00Z"),  # forward by a day
    ("Pacific/Kwajalein", "1993-08-21T12:00Z"),
    ("Asia/Pyongyang", "2015-08-14T15:00Z"),  # back by half an hour at midnight
    ("Asia/Kathmandu", "1985-12-31T18:30Z"),  # forward by a quarter of an hour
    ("America/Caracas", "2007-12-09T07:00Z"),
    ("Europe/Dublin", "2026-10-25T01:00Z"),  # its summer time is the standard time
    ("UTC", "2028-02-29T00:00Z"),
    ("UTC", "2027-01-31T00:00Z"),
]


@pytest.mark.parametrize(("name", "instant"), NOTABLE)
def test_oracle_agrees_at_notable_changes(name: str, instant: str) -> None:
    middle_s = int(datetime.fromisoformat(instant).timestamp())
    here = reading(name, middle_s)
    if name != "UTC":
        assert reading(name, middle_s - 60) + MINUTE != here, "no change of the clock here"
    base = {"timezone": name, "reset_day": DAYS[here.weekday()], "reset_date": here.day}
    for reset_time in ("00:00", "00:01", "01:45", "02:30", "23:30"):
        for type_ in ("hourly", "daily", "weekly", "monthly"):
            compare(base | {"type": type_, "reset_time": reset_time}, middle_s)
    compare(base | {"type": "yearly", "reset_time": "00:01"}, middle_s)
    for cron in CRONS:
        compare({"timezone": name, "type": "cron", "cron": cron}, middle_s)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_oracle_agrees_in_any_zone(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(ZONES))
    near = changes(name, data.draw(st.integers(1973, 2099)))  # since then all changes fall on whole minutes
    middle_s = data.draw(st.sampled_from(near) if near else st.integers(3 * 365 * 86_400, 4_102_444_800))
    middle_s -= middle_s % 60
    fields: dict[str, Any] = {
        "timezone": name,
        "type": data.draw(st.sampled_from(["hourly", *KEY_FORMATS, "cron"])),
    }
    if fields["type"] == "cron":
        fields["cron"] = data.draw(st.sampled_from(CRONS))
    else:
        day = reading(name, middle_s) + timedelta(days=data.draw(st.integers(-1, 1)))
        fields |= {"reset_day": DAYS[day.weekday()], "reset_date": day.day}
        fields["reset_time"] = data.draw(st.times()).strftime("%H:%M")
    compare(fields, middle_s)
