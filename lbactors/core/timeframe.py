"""The rule that generates periods: a pure function from an instant to the period that contains it.

Idea. Zone boundaries are wall-clock readings, and a wall clock can jump. Everything rests on one function
of the zone, the *high-water mark* of an instant: the highest reading that the local clock has shown up to
then. It never falls, so "nominal boundary N has passed" means "mark >= N", and the boundary's instant is the
first at which that holds. All rules follow: a reading that a forward jump skips counts from the first
instant after the jump, one that a backward jump repeats counts from its first showing, periods tile time,
and a period that shrinks to nothing (the skipped day of Pacific/Apia) is never the highest one passed, so
it does not appear.

Hourly periods depart from it, because in a repeated hour both showings are periods of their own. They begin
at every showing of the reset's minute and second, and at a forward jump that skips one or more such
readings (the last one skipped names the period). Where a jump is no whole number of hours, the neighbours
stretch or shrink. In Australia/Lord_Howe, whose clock falls from 02:00 to 01:30, the hour 01 lasts 90
minutes if `reset_time` is 00:00, since the reading 01:00 is shown once; if it is 00:30, the reading 01:30
is shown twice, 30 minutes apart, so `T01` lasts 30 minutes and is followed by `T01-2`.

Keys are unique within a window, since every nominal boundary opens one period. In text order they follow
the starts, except that a clock change that repeats more than one hour gives T01, T02, T01-2, T02-2: order
periods by their start, not by their key.

Limits. Readings are whole seconds; instants are milliseconds. Time is treated as [1900, 3000): a period
that reaches out of it is unbounded on that side, and instants beyond belong to the outermost period, so
nothing raises. In the zone rules no two clock changes of a zone since 1900 lie closer than four days, and the
searches here rely on one at most within a day.

Player-local periods (timezone `player`) are bounded by digits, which are instants of UTC to this module: it
computes them as for UTC. When they begin and end for whom, says `lbactors.core.schedule`.

This module reads no clock and does no I/O, apart from the zone data. It owns `Timeframe` and `Span`.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from lbactors.core.findings import did_you_mean
from lbactors.core.instants import EPOCH, HORIZON_MS, Instant, format_instant
from lbactors.core.zones import PLAYER, UTC, valid_timezone, zone_of

TimeframeType = Literal[
    "permanent", "hourly", "daily", "weekly", "monthly", "yearly", "cron", "every", "range", "manual"
]
# Of types that need more fields than the type itself, one that is complete.
NEEDS_MORE: Final = {
    "cron": '{"type": "cron", "cron": "0 6 * * 1"}',
    "every": '{"type": "every", "every_seconds": 259200}',
    "range": '{"type": "range", "starts_at": "2026-06-01T00:00:00Z", "ends_at": "2026-09-01T00:00:00Z"}',
}
SHORT_FORMS: Final = tuple(name for name in get_args(TimeframeType) if name not in NEEDS_MORE)
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

_EXAMPLE: Final = '{"type": "weekly", "timezone": "Europe/Rome"}'
_HOUR_SECONDS: Final = 3600
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_WEEKDAYS: Final[tuple[str, ...]] = get_args(Weekday)
_MAX_CRON_CHARACTERS: Final = 256
_CRON_MEMO_PERIODS: Final = 4

FLOOR_MS: Final = -2_208_988_800_000
"""1900-01-01T00:00:00Z: a period that begins here or earlier has an unbounded past."""


def _instant_key(at_ms: int) -> str:
    """The start instant as a period key: seconds, and milliseconds only where there are some."""
    text = format_instant(at_ms)
    return text if at_ms % 1000 else text[:-5] + "Z"


# The definition -----------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _reset_seconds(reset_time: str) -> int:
    """Seconds after midnight of a valid `HH:MM[:SS]`."""
    hour, minute, second = (reset_time + ":00").split(":")[:3]
    return int(hour) * 3600 + int(minute) * 60 + int(second)


_RESET_TIME_PATTERN: Final = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"


def _validated_reset_time(value: str) -> str:
    if re.fullmatch(_RESET_TIME_PATTERN, value) is None:
        raise ValueError("must be a time of day from 00:00 to 23:59:59, as HH:MM or HH:MM:SS")
    return value


def _validated_timezone(value: str) -> str:
    if value == PLAYER:
        return value
    if value.lower() == PLAYER:
        raise ValueError(f"unknown time zone {value!r}; did you mean {PLAYER!r}?")
    return valid_timezone(value)


def _validated_cron(value: str) -> str:
    fields = value.split()
    if len(fields) != 5:
        raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
    if len(value) > _MAX_CRON_CHARACTERS:
        raise ValueError(f"must have at most {_MAX_CRON_CHARACTERS} characters")
    expression = " ".join(fields)
    try:
        # What fires at all fires within 40 years (29 February on a given weekday, across a century without a
        # leap day), and cronsim gives up after 50. So for a valid expression every search, forward or back,
        # finds a firing.
        if next(CronSim(expression, datetime(2000, 1, 1)), None) is None:
            raise ValueError("must fire at some time: no day matches")
    except CronSimError as error:
        raise ValueError(f"must be a valid cron expression that fires at some time: {error}") from None
    return expression


class Timeframe(BaseModel):
    """The timeframe of a leaderboard. Field names and defaults: the native API, section 2.

    `starts_at` and `ends_at` are RFC 3339 text in input and in every dump, so that a dump validates again to
    an equal model; as attributes they are int milliseconds, UTC. The reset fields and bounds also rule the
    further windows, so they are allowed with every type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: TimeframeType = "permanent"
    timezone: Annotated[str, AfterValidator(_validated_timezone)] = Field(
        default=UTC,
        description="IANA name, such as `Europe/Rome`. Resets happen at local time in this zone, also "
        "across clock changes. `player`: at local time of each player (`timezone` of the profile, else UTC); "
        "not for type `manual`, nor for periods that may be shorter than an hour.",
        json_schema_extra={"format": "time-zone"},
    )
    reset_time: Annotated[str, AfterValidator(_validated_reset_time)] = Field(
        default="00:00",
        description="Time of day of the reset, `HH:MM` or `HH:MM:SS`.",
        json_schema_extra={"pattern": f"^{_RESET_TIME_PATTERN}$"},
    )
    reset_day: Weekday = "monday"
    reset_date: int = Field(
        default=1,
        ge=1,
        le=31,
        description="Day of the month for monthly resets, of January for yearly ones; in a shorter month, "
        "its last day.",
    )
    cron: Annotated[str, AfterValidator(_validated_cron)] | None = Field(
        default=None,
        validate_default=True,
        description="Five-field cron expression, in the time zone. Required for type `cron`, not allowed "
        "otherwise. With timezone `player` its minute is a single number.",
        json_schema_extra={"format": "cron", "maxLength": _MAX_CRON_CHARACTERS},
    )
    every_seconds: int | None = Field(
        default=None,
        ge=1,
        le=315_360_000,
        validate_default=True,
        description="Length of a period. Required for type `every`, not allowed otherwise. Counted from "
        "`starts_at`, or from 1970 without it. With timezone `player` at least 3600.",
    )
    starts_at: Instant | None = Field(
        default=None,
        validate_default=True,
        description="Start of the whole schedule. Required for type `range` (a season). With timezone "
        "`player`, here and in `ends_at`, what UTC shows at that instant counts in the zone of each player.",
    )
    ends_at: Instant | None = Field(
        default=None,
        validate_default=True,
        description="End of the whole schedule, after `starts_at`. Required for type `range` (a season). "
        "If you move it later after it has passed, the last period continues with its entries.",
    )
    late_grace_seconds: int = Field(
        default=5,
        ge=0,
        le=86_400,
        description="How long after its end a period takes submissions that occurred inside it.",
    )
    retain_periods: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="Closed periods kept in each window, whatever their age.",
    )
    retain_days: int = Field(
        default=400,
        ge=0,
        le=3650,
        description="Closed periods beyond `retain_periods` are kept until so many days after their end. A "
        "window keeps at most its last 1000 closed periods.",
    )
    late_submissions: Literal["refuse", "arrival"] = Field(
        default="refuse",
        description="What becomes of a submission that occurred in a closed period: 409 (`refuse`), or it "
        "counts for the period in which it arrived.",
    )

    # The checks across fields hang on the field that is to be put right, so that the error's loc names it.
    # They see the fields above only, and not those that were wrong in themselves.

    @field_validator("timezone")
    @classmethod
    def _has_digits(cls, value: str, info: ValidationInfo) -> str:
        if value == PLAYER and info.data.get("type") == "manual":
            raise ValueError(
                f"cannot be '{PLAYER}' for type 'manual', whose periods are begun and ended by hand"
            )
        return value

    @field_validator("cron", "every_seconds")
    @classmethod
    def _goes_with_type(cls, value: Any, info: ValidationInfo) -> Any:
        owner = "cron" if info.field_name == "cron" else "every"
        type_ = info.data.get("type")
        if type_ == owner and value is None:
            raise ValueError(f"is required for type '{owner}'")
        if type_ not in (owner, None) and value is not None:
            raise ValueError(f"is only for type '{owner}', not '{type_}'")
        # A player-local period is open for 26 hours more than it is long, so shorter ones would be too many.
        if info.data.get("timezone") == PLAYER and value is not None:
            if owner == "every" and value < _HOUR_SECONDS:
                raise ValueError(f"must be at least {_HOUR_SECONDS} with timezone '{PLAYER}'")
            if owner == "cron" and not value.split()[0].isdigit():
                raise ValueError(f"must have a single number as its minute with timezone '{PLAYER}'")
        return value

    @field_validator("starts_at", "ends_at")
    @classmethod
    def _bounds_fit(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is None and info.data.get("type") == "range":
            raise ValueError("is required for type 'range'")
        if value is not None and info.field_name == "ends_at":
            starts_at = info.data.get("starts_at")
            if starts_at is not None and value <= starts_at:
                raise ValueError("must be after starts_at")
        return value

    @property
    def is_player_local(self) -> bool:
        """Whether bounds are digits in each player's own zone. The functions of this module then take digits
        and give digits (`lbactors.core.zones`), in place of instants.
        """
        return self.timezone == PLAYER


def spelled_out(written: object) -> object:
    """A timeframe as clients write it: a string is short for an object with that type and nothing else.
    ValueError for a string that is no such type, and for what is neither string nor object.
    """
    if isinstance(written, Timeframe | dict):
        return written
    if not isinstance(written, str):
        raise ValueError(f'must be a type such as "weekly", or an object such as {_EXAMPLE}')
    if written in SHORT_FORMS:
        return {"type": written}
    meant = did_you_mean(written, get_args(TimeframeType))
    if written in NEEDS_MORE:
        raise ValueError(f"'{written}' needs more than its type: write {NEEDS_MORE[written]}")
    known = ", ".join(f"'{name}'" for name in SHORT_FORMS)
    raise ValueError(
        f"unknown type {written[:64]!r}: must be {known}, or an object such as {_EXAMPLE} "
        f"('cron', 'every' and 'range' need one){meant}"
    )


def _clock(tf: Timeframe) -> ZoneInfo:
    """The clock on which the periods are counted. That of UTC counts digits, whose clock never jumps."""
    return zone_of(UTC if tf.is_player_local else tf.timezone)


# The zone's clock ---------------------------------------------------------------------------------------
# Instants are whole seconds since the epoch, readings are naive datetimes or whole seconds of such.


def _seconds(delta: timedelta) -> int:
    return delta.days * 86_400 + delta.seconds


def _offset(zone: ZoneInfo, at: int) -> int:
    """Seconds that the local clock is ahead of UTC."""
    delta = datetime.fromtimestamp(at, zone).utcoffset()
    assert delta is not None
    return _seconds(delta)


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The first instant in (low, high] whose offset differs from that at low; one change must lie there."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _high_water_mark(zone: ZoneInfo, at: int) -> datetime:
    """The highest whole-second reading that the local clock has shown up to the instant."""
    local = datetime.fromtimestamp(at, zone)
    if not local.fold:
        return local.replace(tzinfo=None)
    # A repeated reading: the highest was shown in the last second before the clock went back.
    first = local.replace(fold=0).utcoffset()
    assert first is not None
    ahead = _seconds(first)
    reading = _seconds(local.replace(tzinfo=None) - EPOCH)
    change = _change(zone, reading - ahead, at)
    return EPOCH + timedelta(seconds=change + ahead - 1)


def _first_reaching(zone: ZoneInfo, reading: datetime) -> int:
    """The first instant at which the mark is at least the reading (inverse of `_high_water_mark`)."""
    local = reading.replace(tzinfo=zone)
    before, after = local.utcoffset(), local.replace(fold=1).utcoffset()
    assert before is not None and after is not None
    wall = _seconds(reading - EPOCH)
    if before >= after:
        return wall - _seconds(before)
    return _change(zone, wall - _seconds(after), wall - _seconds(before))  # a forward jump skips the reading


# Nominal periods ----------------------------------------------------------------------------------------


def _monthly_day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, min(day, monthrange(year, month)[1]))


def _daily(tf: Timeframe, day: datetime) -> tuple[str, datetime, datetime]:
    return day.date().isoformat(), day, day + _DAY


def _weekly(tf: Timeframe, day: datetime) -> tuple[str, datetime, datetime]:
    first = day - timedelta(days=(day.weekday() - _WEEKDAYS.index(tf.reset_day)) % 7)
    year, week, _ = first.isocalendar()
    return f"{year:04d}-W{week:02d}", first, first + timedelta(days=7)


def _monthly(tf: Timeframe, day: datetime) -> tuple[str, datetime, datetime]:
    months = day.year * 12 + day.month - 1
    first = _monthly_day(day.year, day.month, tf.reset_date)
    if day < first:
        months -= 1
        first = _monthly_day(months // 12, months % 12 + 1, tf.reset_date)
    after = _monthly_day((months + 1) // 12, (months + 1) % 12 + 1, tf.reset_date)
    return f"{first.year:04d}-{first.month:02d}", first, after


def _yearly(tf: Timeframe, day: datetime) -> tuple[str, datetime, datetime]:
    year = day.year if (day.month, day.day) >= (1, tf.reset_date) else day.year - 1
    return f"{year:04d}", datetime(year, 1, tf.reset_date), datetime(year + 1, 1, tf.reset_date)


_CALENDAR: Final[dict[str, Callable[[Timeframe, datetime], tuple[str, datetime, datetime]]]] = {
    "daily": _daily,
    "weekly": _weekly,
    "monthly": _monthly,
    "yearly": _yearly,
}
"""From a day (as its midnight) to the key, first day and following first day of the nominal period."""


def _calendar_period(tf: Timeframe, kind: str, at: int) -> tuple[str, int, int]:
    zone = _clock(tf)
    reset = timedelta(seconds=_reset_seconds(tf.reset_time))
    shifted = _high_water_mark(zone, at) - reset  # on this clock days begin at midnight
    key, first, after = _CALENDAR[kind](tf, shifted.replace(hour=0, minute=0, second=0))
    return key, _first_reaching(zone, first + reset), _first_reaching(zone, after + reset)


def _hour_start(zone: ZoneInfo, phase: int, at: int) -> tuple[int, int]:
    """Start of the hourly period that contains the instant, and the reading (in seconds) that opens it."""
    while True:
        offset = _offset(zone, at)
        reading = (at + offset - phase) // _HOUR_SECONDS * _HOUR_SECONDS + phase
        start = reading - offset
        if _offset(zone, start) == offset:
            return start, reading
        change = _change(zone, start, at)
        if change + _offset(zone, change - 1) <= reading:  # the clock jumped forward over the reading
            return change, reading
        at = change - 1  # the period began before the change


def _hour_end(zone: ZoneInfo, phase: int, at: int) -> int:
    """The first hourly boundary after the instant."""
    while True:
        offset = _offset(zone, at)
        reading = ((at + offset - phase) // _HOUR_SECONDS + 1) * _HOUR_SECONDS + phase
        end = reading - offset
        if _offset(zone, end) == offset:
            return end
        change = _change(zone, at, end)
        landing = change + _offset(zone, change)
        if landing > reading or (landing - phase) % _HOUR_SECONDS == 0:
            return change
        at = change  # the clock went back to within the hour


def _hourly_period(tf: Timeframe, at: int) -> tuple[str, int, int]:
    zone = _clock(tf)
    phase = _reset_seconds(tf.reset_time) % _HOUR_SECONDS
    start, reading = _hour_start(zone, phase, at)
    key = (EPOCH + timedelta(seconds=reading)).isoformat()[:13]
    if datetime.fromtimestamp(start, zone).fold:
        key += "-2"
    return key, start, _hour_end(zone, phase, at)


@lru_cache(maxsize=8192)
def _cron_memo(expression: str, timezone: str) -> list[tuple[tuple[int, int], ...]]:
    """One slot with the last few periods found: a search is dear, and rollover checks repeat the same one."""
    return [()]


def _cron_period(tf: Timeframe, at: int) -> tuple[int, int]:
    assert tf.cron is not None
    memo = _cron_memo(tf.cron, tf.timezone)
    recent = memo[0]
    for start, end in recent:
        if start <= at < end:
            return start, end
    zone = _clock(tf)
    mark = _high_water_mark(zone, at)
    # cronsim excludes the instant it starts from, in both directions.
    first = next(CronSim(tf.cron, mark + _SECOND, reverse=True))
    after = next(CronSim(tf.cron, mark))
    found = _first_reaching(zone, first), _first_reaching(zone, after)
    memo[0] = (found, *recent[: _CRON_MEMO_PERIODS - 1])
    return found


# Spans --------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """One period [starts_at_ms, ends_at_ms) of a window; None is unbounded on that side."""

    key: str
    starts_at_ms: int | None
    ends_at_ms: int | None


def _kind(tf: Timeframe, window: str) -> str:
    if window == "main":
        return tf.type
    if window == "all_time":
        return "permanent"
    if window == "hourly" or window in _CALENDAR:
        return window
    raise ValueError(f"unknown window {window!r}")


def _nominal(tf: Timeframe, kind: str, at_ms: int) -> tuple[str | None, int | None, int | None]:
    """Key, start and end before clipping; no key where it is made from the clipped start."""
    if kind == "permanent":
        return "all_time", None, None
    if kind == "range":
        return None, tf.starts_at, tf.ends_at
    if kind == "every":
        assert tf.every_seconds is not None
        length_ms = tf.every_seconds * 1000
        anchor_ms = tf.starts_at or 0
        start_ms = at_ms - (at_ms - anchor_ms) % length_ms
        return None, start_ms, start_ms + length_ms
    if kind == "cron":
        start, end = _cron_period(tf, at_ms // 1000)
        return None, start * 1000, end * 1000
    if kind == "hourly":
        key, start, end = _hourly_period(tf, at_ms // 1000)
    else:
        key, start, end = _calendar_period(tf, kind, at_ms // 1000)
    return key, start * 1000, end * 1000


def span_at(tf: Timeframe, window: str, at_ms: int) -> Span | None:
    """The period of the window that contains the instant.

    None outside the schedule's bounds, and always for the main window of type `manual`. The first period
    begins at `starts_at` and the last one ends at `ends_at`; a cut calendar period keeps the key of the whole
    one, while the key of a `cron` period is always its real start. ValueError for an unknown window.
    """
    kind = _kind(tf, window)
    starts_at, ends_at = tf.starts_at, tf.ends_at
    if (starts_at is not None and at_ms < starts_at) or (ends_at is not None and at_ms >= ends_at):
        return None
    if kind == "manual":
        return None
    key, start_ms, end_ms = _nominal(tf, kind, min(max(at_ms, FLOOR_MS), HORIZON_MS - 1))
    if starts_at is not None and (start_ms is None or start_ms < starts_at):
        start_ms = starts_at
    if key is None:
        assert start_ms is not None
        key = _instant_key(start_ms)
    if start_ms is not None and start_ms <= FLOOR_MS:
        start_ms = None
    if end_ms is not None and end_ms >= HORIZON_MS:
        end_ms = None
    if ends_at is not None and (end_ms is None or end_ms > ends_at):
        end_ms = ends_at
    return Span(key, start_ms, end_ms)


def span_from(tf: Timeframe, window: str, at_ms: int) -> Span | None:
    """The period that contains the instant; before `starts_at` the first one, after `ends_at` None."""
    if tf.starts_at is not None and at_ms < tf.starts_at:
        at_ms = tf.starts_at
    return span_at(tf, window, at_ms)


def next_span(tf: Timeframe, window: str, span: Span) -> Span | None:
    """The period that follows; None where the span is unbounded or the schedule ends with it.

    For a span that is not of this schedule (its timeframe was changed): the one that contains the span's end.
    """
    return None if span.ends_at_ms is None else span_from(tf, window, span.ends_at_ms)


def last_span(tf: Timeframe, window: str) -> Span | None:
    """The last period of a schedule that has an `ends_at`; None for one that goes on, and for `manual`."""
    return None if tf.ends_at is None else span_at(tf, window, tf.ends_at - 1)
