"""Timeframes: tables of known instants, the schedule's edges, validation, dumps.

What must hold in every zone at any time is in `test_timeframe_zones.py`.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lbactors.core.instants import HORIZON_MS, format_instant, parse_instant
from lbactors.core.timeframe import FLOOR_MS, Span, Timeframe, last_span, next_span, span_at, span_from
from tests.support.rounds import rounds

DAY_MS = 86_400_000


def frame(**fields: Any) -> Timeframe:
    return Timeframe.model_validate(fields)


def walk(tf: Timeframe, window: str, at_ms: int, steps: int) -> list[Span]:
    spans: list[Span] = []
    span = span_from(tf, window, at_ms)
    while span is not None and len(spans) < steps:
        spans.append(span)
        span = next_span(tf, window, span)
    return spans


# Known instants -------------------------------------------------------------------------------------------

# A line of fields, then consecutive periods, each as key and start (UTC). `_` stands for a space.
KNOWN = """
daily timezone=Europe/Rome reset_time=02:30
    2026-03-28 2026-03-28T01:30Z  2026-03-29 2026-03-29T01:00Z  2026-03-30 2026-03-30T00:30Z
daily timezone=Europe/Rome reset_time=02:30
    2026-10-24 2026-10-24T00:30Z  2026-10-25 2026-10-25T00:30Z  2026-10-26 2026-10-26T01:30Z
hourly timezone=Europe/Rome
    2026-03-29T01 2026-03-29T00:00Z  2026-03-29T03 2026-03-29T01:00Z  2026-03-29T04 2026-03-29T02:00Z
hourly timezone=Europe/Rome
    2026-10-25T01 2026-10-24T23:00Z  2026-10-25T02 2026-10-25T00:00Z  2026-10-25T02-2 2026-10-25T01:00Z
    2026-10-25T03 2026-10-25T02:00Z
hourly timezone=Europe/Rome reset_time=07:30
    2026-03-29T00 2026-03-28T23:30Z  2026-03-29T01 2026-03-29T00:30Z  2026-03-29T02 2026-03-29T01:00Z
    2026-03-29T03 2026-03-29T01:30Z
hourly timezone=Europe/Rome reset_time=07:30
    2026-10-25T01 2026-10-24T23:30Z  2026-10-25T02 2026-10-25T00:30Z  2026-10-25T02-2 2026-10-25T01:30Z
    2026-10-25T03 2026-10-25T02:30Z
# A change of half an hour: 02:00 to 01:30 at 2026-04-04T15:00Z, 02:00 to 02:30 at 2026-10-03T15:30Z.
hourly timezone=Australia/Lord_Howe
    2026-04-05T00 2026-04-04T13:00Z  2026-04-05T01 2026-04-04T14:00Z  2026-04-05T02 2026-04-04T15:30Z
hourly timezone=Australia/Lord_Howe reset_time=00:30
    2026-04-05T00 2026-04-04T13:30Z  2026-04-05T01 2026-04-04T14:30Z  2026-04-05T01-2 2026-04-04T15:00Z
    2026-04-05T02 2026-04-04T16:00Z
hourly timezone=Australia/Lord_Howe
    2026-10-04T01 2026-10-03T14:30Z  2026-10-04T02 2026-10-03T15:30Z  2026-10-04T03 2026-10-03T16:00Z
# Changes at midnight: 2018-02-18 begins after 23:00 came twice, 2018-11-04 begins at 01:00.
daily timezone=America/Sao_Paulo
    2018-02-17 2018-02-17T02:00Z  2018-02-18 2018-02-18T03:00Z  2018-02-19 2018-02-19T03:00Z
daily timezone=America/Sao_Paulo reset_time=23:30
    2018-02-16 2018-02-17T01:30Z  2018-02-17 2018-02-18T01:30Z  2018-02-18 2018-02-19T02:30Z
daily timezone=America/Sao_Paulo
    2018-11-03 2018-11-03T03:00Z  2018-11-04 2018-11-04T03:00Z  2018-11-05 2018-11-05T02:00Z
# There was no 2011-12-30.
daily timezone=Pacific/Apia
    2011-12-28 2011-12-28T10:00Z  2011-12-29 2011-12-29T10:00Z  2011-12-31 2011-12-30T10:00Z
daily timezone=Pacific/Apia reset_time=12:00
    2011-12-29 2011-12-29T22:00Z  2011-12-30 2011-12-30T10:00Z  2011-12-31 2011-12-30T22:00Z
hourly timezone=Pacific/Apia
    2011-12-29T23 2011-12-30T09:00Z  2011-12-31T00 2011-12-30T10:00Z  2011-12-31T01 2011-12-30T11:00Z
# Winter time during Ramadan: 03:00 to 02:00 at 2025-02-23T02:00Z, 02:00 to 03:00 at 2025-04-06T02:00Z.
daily timezone=Africa/Casablanca reset_time=02:30
    2025-02-22 2025-02-22T01:30Z  2025-02-23 2025-02-23T01:30Z  2025-02-24 2025-02-24T02:30Z
daily timezone=Africa/Casablanca reset_time=02:30
    2025-04-05 2025-04-05T02:30Z  2025-04-06 2025-04-06T02:00Z  2025-04-07 2025-04-07T01:30Z
daily timezone=Asia/Kolkata
    2026-05-24 2026-05-23T18:30Z  2026-05-25 2026-05-24T18:30Z
hourly timezone=Asia/Kolkata
    2026-05-24T00 2026-05-23T18:30Z  2026-05-24T01 2026-05-23T19:30Z
# ISO years: 2026 has 53 weeks; a week that begins on a Sunday carries the number of that Sunday.
weekly
    2026-W52 2026-12-21T00:00Z  2026-W53 2026-12-28T00:00Z  2027-W01 2027-01-04T00:00Z
weekly reset_day=sunday
    2026-W52 2026-12-27T00:00Z  2026-W53 2027-01-03T00:00Z  2027-W01 2027-01-10T00:00Z
weekly
    2024-W52 2024-12-23T00:00Z  2025-W01 2024-12-30T00:00Z  2025-W02 2025-01-06T00:00Z
monthly reset_date=31
    2024-01 2024-01-31T00:00Z  2024-02 2024-02-29T00:00Z  2024-03 2024-03-31T00:00Z  2024-04 2024-04-30T00:00Z
monthly reset_date=30
    2025-01 2025-01-30T00:00Z  2025-02 2025-02-28T00:00Z  2025-03 2025-03-30T00:00Z
monthly timezone=Europe/Rome
    2026-03 2026-02-28T23:00Z  2026-04 2026-03-31T22:00Z
yearly reset_date=15 reset_time=06:00:30
    2025 2025-01-15T06:00:30Z  2026 2026-01-15T06:00:30Z
# Cron in local time. In the gap 02:00 and 02:30 fall on 03:00; the second 02:30 fires nothing.
cron timezone=Europe/Rome cron=*/30_*_*_*_*
    2026-03-29T00:30:00Z 2026-03-29T00:30Z  2026-03-29T01:00:00Z 2026-03-29T01:00Z
    2026-03-29T01:30:00Z 2026-03-29T01:30Z
cron timezone=Europe/Rome cron=*/30_*_*_*_*
    2026-10-25T00:00:00Z 2026-10-25T00:00Z  2026-10-25T00:30:00Z 2026-10-25T00:30Z
    2026-10-25T02:00:00Z 2026-10-25T02:00Z
cron cron=0_0_29_2_*
    2096-02-29T00:00:00Z 2096-02-29T00:00Z  2104-02-29T00:00:00Z 2104-02-29T00:00Z
cron cron=0_12_*_*_* starts_at=2026-05-24T10:00:00.25Z ends_at=2026-05-25T13:00:00Z
    2026-05-24T10:00:00.250Z 2026-05-24T10:00:00.250Z  2026-05-24T12:00:00Z 2026-05-24T12:00Z
    2026-05-25T12:00:00Z 2026-05-25T12:00Z
every every_seconds=90 starts_at=2026-05-24T13:00:00.250Z
    2026-05-24T13:00:00.250Z 2026-05-24T13:00:00.250Z  2026-05-24T13:01:30.250Z 2026-05-24T13:01:30.250Z
every every_seconds=604800
    2026-05-21T00:00:00Z 2026-05-21T00:00Z  2026-05-28T00:00:00Z 2026-05-28T00:00Z
permanent starts_at=2026-06-01T00:00:00Z
    all_time 2026-06-01T00:00Z
# The first and the last period of a bounded schedule are cut and keep their names.
monthly starts_at=2026-01-15T00:00:00Z ends_at=2026-03-15T00:00:00Z
    2026-01 2026-01-15T00:00Z  2026-02 2026-02-01T00:00Z  2026-03 2026-03-01T00:00Z
"""


def known() -> list[tuple[dict[str, Any], list[tuple[str, int]]]]:
    cases: list[tuple[dict[str, Any], list[tuple[str, int]]]] = []
    for line in KNOWN.strip().splitlines():
        if line.startswith(" "):
            words = line.split()
            starts = [int(datetime.fromisoformat(word).timestamp() * 1000) for word in words[1::2]]
            cases[-1][1].extend(zip(words[::2], starts, strict=True))
        elif not line.startswith("#"):
            type_, *pairs = line.split()
            fields: dict[str, Any] = {"type": type_}
            for name, value in (pair.split("=") for pair in pairs):
                number = name in ("reset_date", "every_seconds")
                fields[name] = int(value) if number else value.replace("_", " ") if name == "cron" else value
            cases.append((fields, []))
    return cases


@pytest.mark.parametrize(("fields", "expected"), known())
def test_known_instants(fields: dict[str, Any], expected: list[tuple[str, int]]) -> None:
    tf = Timeframe(**fields)
    spans = walk(tf, "main", expected[0][1], len(expected))
    assert [(span.key, span.starts_at_ms) for span in spans] == expected
    for span, (_, end_ms) in zip(spans, expected[1:], strict=False):
        assert span.ends_at_ms == end_ms
        assert span_at(tf, "main", end_ms - 1) == span


def test_a_repeated_reading_does_not_reopen_a_period() -> None:
    tf = frame(timezone="Europe/Rome", type="daily", reset_time="02:30")
    starts_at_ms = parse_instant("2026-10-25T02:30:00+02:00")
    for second_showing in ("2026-10-25T02:00:00+01:00", "2026-10-25T02:29:59.999+01:00"):
        span = span_at(tf, "main", parse_instant(second_showing))
        assert span == Span("2026-10-25", starts_at_ms, starts_at_ms + 25 * 3_600_000)


def test_a_season_and_its_windows() -> None:
    starts, ends = "2026-06-01T12:00:00Z", "2026-06-03T12:00:00Z"
    tf = frame(type="range", starts_at=starts, ends_at=ends)
    low, high = parse_instant(starts), parse_instant(ends)
    season = Span("2026-06-01T12:00:00Z", low, high)
    assert span_at(tf, "main", low - 1) is None
    assert (
        span_from(tf, "main", low - 1) == span_at(tf, "main", low) == span_at(tf, "main", high - 1) == season
    )
    assert span_at(tf, "main", high) is span_from(tf, "main", high) is next_span(tf, "main", season) is None
    assert last_span(tf, "main") == season
    assert walk(tf, "all_time", 0, 9) == [Span("all_time", low, high)]
    assert [span.key for span in walk(tf, "daily", 0, 9)] == ["2026-06-01", "2026-06-02", "2026-06-03"]
    assert last_span(tf, "daily") == Span("2026-06-03", high - DAY_MS // 2, high)


def test_manual_has_windows_but_no_schedule() -> None:
    tf = frame(type="manual", ends_at="2026-06-03T12:00:00Z")
    assert span_at(tf, "main", 0) is span_from(tf, "main", 0) is last_span(tf, "main") is None
    assert span_at(tf, "yearly", DAY_MS) == Span("1970", 0, 365 * DAY_MS)


def test_unknown_window() -> None:
    with pytest.raises(ValueError, match="unknown window 'permanent'"):
        span_at(frame(starts_at="2026-06-03T12:00:00Z"), "permanent", 0)


@pytest.mark.parametrize(
    ("window", "key", "first_key"),
    [
        ("all_time", "all_time", "all_time"),
        ("yearly", "2999", "1900"),
        ("monthly", "2999-12", "1900-01"),
        ("daily", "2999-12-31", "1900-01-01"),
        ("hourly", "2999-12-31T23", "1900-01-01T00"),
    ],
)
def test_time_ends_at_the_horizon_without_an_error(window: str, key: str, first_key: str) -> None:
    tf = Timeframe()
    for at_ms in (HORIZON_MS - 1, HORIZON_MS, 10**15, 10**20):
        span = span_at(tf, window, at_ms)
        assert span is not None and (span.key, span.ends_at_ms) == (key, None)
        assert next_span(tf, window, span) is None
    for at_ms in (FLOOR_MS, FLOOR_MS - 1, -(10**15), -(10**20)):
        span = span_at(tf, window, at_ms)
        assert span is not None and (span.key, span.starts_at_ms) == (first_key, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "cron", "cron": "0 0 * 2 MON#5"},
        {"type": "every", "every_seconds": 315_360_000},
        {"type": "weekly"},
    ],
)
@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_no_type_raises_beyond_the_horizon(fields: dict[str, Any], timezone: str) -> None:
    tf = frame(timezone=timezone, **fields)
    for at_ms in (HORIZON_MS - 1, HORIZON_MS, 10**20):
        span = span_at(tf, "main", at_ms)
        assert span is not None and span.starts_at_ms is not None and span.ends_at_ms is None
        assert span.starts_at_ms < HORIZON_MS
        assert span_at(tf, "main", span.starts_at_ms) == span
    span = span_at(tf, "main", -(10**20))
    assert span is not None and span.starts_at_ms is None and span.ends_at_ms is not None


# The definition -----------------------------------------------------------------------------------------

SEASON = {"starts_at": "2026-06-01T00:00:00Z", "ends_at": "2026-09-01T00:00:00Z"}

# The field that is wrong, the others, and values that it must not have.
BAD: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("type", {}, ["Daily", "", "season", 1, None]),
    (
        "timezone",
        {},
        ["", "Mars/Base", "../etc/passwd", "/etc/localtime", "localtime", "Europe", "Europe/", "posixrules"],
    ),
    (
        "timezone",
        {},
        ["europe/rome", "EUROPE/ROME", "utc", "right/Europe/Rome", "Europe/Rome\0", "x" * 9999, None, 1],
    ),
    (
        "reset_time",
        {},
        ["", "0:00", "24:00", "00:60", "00:00:60", "00:00:00.5", "00:00Z", "٠٠:٠٠", "00:00\n", 0, None],
    ),
    ("reset_day", {}, ["Monday", "mon", 0, None]),
    ("reset_date", {}, [0, 32, -1, "5", 5.0, True, None]),
    (
        "cron",
        {"type": "cron"},
        [None, "", "* * * *", "0 * * * * *", "@daily", "60 * * * *", "a b c d e", "* * * * 8", 5],
    ),
    (
        "cron",
        {"type": "cron"},
        ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 LW * */7", "*/0 * * * *", "5-1 * * * *"],
    ),
    ("cron", {"type": "cron"}, ["0 0 * * " + "1," * 200 + "1", "9" * 5000 + " * * * *", "٣ * * * *"]),
    ("cron", {"type": "daily"}, ["0 0 * * *"]),
    ("cron", {}, ["0 0 * * *"]),
    ("every_seconds", {"type": "every"}, [None, 0, -1, 315_360_001, "60", 60.0, True]),
    ("every_seconds", {"type": "weekly"}, [60]),
    ("starts_at", {}, ["2026-06-01", "2026-06-01T00:00:00", "now", "", 1_780_272_000_000, 0, True, [], {}]),
    ("starts_at", {}, [datetime(2026, 6, 1, tzinfo=UTC), "1969-12-31T23:59:59.999Z", "3000-01-01T00:00:00Z"]),
    ("starts_at", {"type": "range", "ends_at": SEASON["ends_at"]}, [None]),
    (
        "ends_at",
        {"type": "range", "starts_at": SEASON["starts_at"]},
        [None, SEASON["starts_at"], "2026-05-01T00:00:00Z"],
    ),
    ("ends_at", {"starts_at": SEASON["starts_at"]}, ["2026-06-01T01:00:00+01:00", "2026-06-01", 7]),
    ("late_grace_seconds", {}, [-1, 86_401, "5", 5.0, True, None]),
    ("retain_periods", {}, [-1, 1001, "10", 1.5, False, None]),
    ("retain_days", {}, [-1, 3651, "10", 1.5, False, None]),
    ("colour", {}, [1]),
]


@pytest.mark.parametrize(
    ("field", "others", "value"),
    [(field, others, value) for field, others, values in BAD for value in values],
)
def test_bad_values_are_named(field: str, others: dict[str, Any], value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Timeframe(**others, **{field: value})
    assert {error["loc"] for error in caught.value.errors()} == {(field,)}


@pytest.mark.parametrize(
    ("type_", "needed"), [("cron", {"cron"}), ("every", {"every_seconds"}), ("range", set(SEASON))]
)
def test_what_a_type_needs(type_: str, needed: set[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        frame(type=type_)
    assert {error["loc"] for error in caught.value.errors()} == {(field,) for field in needed}
    assert {error["msg"] for error in caught.value.errors()} == {
        f"Value error, is required for type '{type_}'"
    }


def test_a_zone_in_other_letters_is_suggested() -> None:
    with pytest.raises(ValidationError, match="did you mean 'Europe/Rome'"):
        Timeframe(timezone="europe/rome")


def test_defaults() -> None:
    assert Timeframe().model_dump() == {
        "type": "permanent",
        "timezone": "UTC",
        "reset_time": "00:00",
        "reset_day": "monday",
        "reset_date": 1,
        "cron": None,
        "every_seconds": None,
        "starts_at": None,
        "ends_at": None,
        "late_grace_seconds": 5,
        "retain_periods": 10,
        "retain_days": 400,
        "late_submissions": "refuse",
    }
    with pytest.raises(ValidationError):
        Timeframe().type = "daily"


INSTANTS = st.integers(0, HORIZON_MS - 1).map(format_instant)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "timezone": st.sampled_from(["UTC", "Europe/Rome", "Asia/Kolkata"]),
        "reset_time": st.times().map(lambda t: t.strftime("%H:%M:%S")),
        "reset_date": st.integers(1, 31),
        "starts_at": INSTANTS,
        "late_grace_seconds": st.integers(0, 86_400),
        "retain_periods": st.integers(0, 1000),
        "retain_days": st.integers(0, 3650),
    },
)


@given(
    fields=FIELDS,
    special=st.sampled_from(["permanent", "hourly", "daily", "weekly", "monthly", "yearly", "manual"]).map(
        lambda type_: {"type": type_}
    )
    | st.integers(1, 315_360_000).map(lambda length: {"type": "every", "every_seconds": length})
    | st.just({"type": "cron", "cron": " 0  0 * * MON "})
    | st.lists(st.integers(0, HORIZON_MS - 1), min_size=2, max_size=2, unique=True).map(
        lambda pair: dict(zip(("type", *SEASON), ("range", *map(format_instant, sorted(pair))), strict=True))
    ),
)
@settings(max_examples=rounds(50, 500), deadline=None)
def test_a_dump_validates_to_an_equal_model(fields: dict[str, Any], special: dict[str, Any]) -> None:
    tf = Timeframe(**fields | special)
    assert Timeframe.model_validate(tf.model_dump(mode="json")) == tf
    assert Timeframe.model_validate(tf.model_dump()) == tf
    assert Timeframe.model_validate_json(tf.model_dump_json()) == tf


def test_spaces_in_a_cron_are_made_even() -> None:
    assert frame(type="cron", cron=" 0  0 * * MON\t").cron == "0 0 * * MON"


def test_bounds_are_dumped_in_utc() -> None:
    tf = frame(type="range", starts_at="2026-11-18T13:00:00+01:00", ends_at="2026-11-18t12:00:00.0019z")
    assert (tf.starts_at, tf.ends_at) == (1_795_003_200_000, 1_795_003_200_001)
    dump = tf.model_dump(mode="json")
    assert (dump["starts_at"], dump["ends_at"]) == ("2026-11-18T12:00:00.000Z", "2026-11-18T12:00:00.001Z")
