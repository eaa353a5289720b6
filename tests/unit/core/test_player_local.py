"""Player-local periods: whoever plays wherever is in the period of the own date.

The model is the calendar: the key of the period that must contain a player is made from what a clock in the
player's zone shows, by the standard library. `Plans` carries out what the schedule plans, over months, in the
steps of the supervisor.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lbactors.core import schedule
from lbactors.core.lifecycle import Stage, check_record, ended, last_of, record_after, record_before, state_of
from lbactors.core.model import PeriodRecord
from lbactors.core.schedule import extended_span, has_next_period, new_record, next_starts_ms, plan_chain
from lbactors.core.timeframe import Timeframe
from lbactors.core.zones import EARLIEST_MS, LATEST_MS, local_ms, zone_of
from tests.support.rounds import rounds

ZONES = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
NOTABLE = [
    "UTC",
    "Pacific/Kiritimati",  # UTC+14
    "Etc/GMT+12",
    "Pacific/Apia",  # skipped 2011-12-30
    "Pacific/Chatham",  # UTC+12:45, +13:45
    "Australia/Lord_Howe",  # its clock changes by half an hour
    "America/Sao_Paulo",  # it changed at midnight
    "America/New_York",
    "Europe/Rome",
    "Asia/Kathmandu",
]
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
GRACE_MS = 5_000
# Around these, clocks change: in Rome, New York, Lord Howe, São Paulo and Apia, and years end.
CHANGES = ["2026-03-28", "2026-11-01", "2026-04-04", "2018-11-03", "2011-12-29", "2026-12-30", "2028-02-28"]


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def frame(kind: str = "daily", **fields: Any) -> Timeframe:
    return Timeframe.model_validate({"type": kind, "timezone": "player", **fields})


def shown(at_ms: int, zone: str) -> datetime:
    """What a clock in the zone shows, by the standard library."""
    return datetime.fromtimestamp(at_ms / 1000, zone_of(zone)).replace(tzinfo=None)


KEYS: dict[str, Callable[[datetime], str]] = {
    "hourly": lambda local: f"{local:%Y-%m-%dT%H}",
    "daily": lambda local: f"{local:%Y-%m-%d}",
    "weekly": lambda local: "{}-W{:02}".format(*local.isocalendar()),
    "monthly": lambda local: f"{local:%Y-%m}",
    "yearly": lambda local: f"{local:%Y}",
}


class Plans:
    """One chain under the planner."""

    def __init__(self, timeframe: Timeframe, now_ms: int, window: str = "main") -> None:
        self.timeframe, self.window = timeframe, window
        self.records: list[PeriodRecord] = []
        self.ever: dict[int, PeriodRecord] = {}
        self.next_serial = 1
        self.due_ms: int | None = None
        self.run(now_ms)

    def put(self, *records: PeriodRecord) -> None:
        for record in records:
            check_record(record)
            self.ever[record.serial] = record
            self.records = [r for r in self.records if r.serial != record.serial] + [record]
            self.records.sort(key=lambda r: r.serial)
            self.next_serial = max(self.next_serial, record.serial + 1)

    def run(self, now_ms: int) -> None:
        for _ in range(50):
            plan = plan_chain(
                self.timeframe, self.window, self.records, self.next_serial, now_ms, wanted=True
            )
            if not (plan.add or plan.steps or plan.delete):
                self.due_ms = plan.due_ms
                assert plan.due_ms is None or plan.due_ms > now_ms
                return
            self.put(*plan.add)
            for step in plan.steps:
                before = self.ever[step.serial]
                assert step.stage == before.stage + 1, "stage by stage"
                stage = Stage.COMPLETE if step.stage == Stage.CLOSED else step.stage
                self.put(before._replace(stage=stage, sealed=before.sealed or stage == Stage.COMPLETE))
            self.records = [r for r in self.records if r.serial not in plan.delete]
        raise AssertionError("no end of planning")

    def run_to(self, at_ms: int) -> None:
        """All that is due until an instant, each at its time."""
        while self.due_ms is not None and self.due_ms < at_ms:
            self.run(self.due_ms)
        self.run(at_ms)

    def holding(self, at_ms: int, zone: str) -> PeriodRecord:
        """The one period that a player in a zone is in."""
        digits_ms = local_ms(at_ms, zone)
        found = [r for r in self.records if r.contains(at_ms, digits_ms)]
        assert len(found) == 1, f"{shown(at_ms, zone)} in {zone} is in {[r.key for r in found]}"
        return found[0]


instants = st.builds(
    lambda day, minutes, ms_: ms(day) + minutes * 60_000 + ms_,
    st.sampled_from(CHANGES),
    st.integers(0, 5 * 24 * 60),
    st.sampled_from([0, 1, 59_999, 30_000]),
)
zones = st.sampled_from(NOTABLE) | st.sampled_from(ZONES)


@given(
    st.sampled_from(sorted(KEYS)), instants, st.lists(st.tuples(st.integers(0, 40 * 60), zones), max_size=12)
)
@settings(max_examples=rounds(60, 2000), deadline=None)
def test_whoever_plays_is_in_the_period_of_the_own_date(
    kind: str, begins_ms: int, plays: list[tuple[int, str]]
) -> None:
    plans = Plans(frame(kind), begins_ms)
    at_ms = begins_ms
    for minutes, zone in plays:  # a player's zone may change from one to the next
        at_ms += minutes * 60_000
        plans.run_to(at_ms)
        for place in (zone, *NOTABLE):
            record = plans.holding(at_ms, place)
            assert record.key == KEYS[kind](shown(at_ms, place))
            assert state_of(record, at_ms, GRACE_MS) == "active"
        states = {r.key: state_of(r, at_ms, GRACE_MS) for r in plans.records if not r.sealed}
        for key, state in states.items():
            zones_in = [z for z in NOTABLE if plans.holding(at_ms, z).key == key]
            assert state == "active" or not zones_in


@pytest.mark.parametrize("kind", sorted(KEYS))
@pytest.mark.parametrize("fields", [{}, {"reset_time": "05:30", "reset_day": "friday", "reset_date": 31}])
def test_every_local_date_is_covered_once(kind: str, fields: dict[str, Any]) -> None:
    rng = random.Random(f"{kind} {fields}")
    begins_ms = ms("2027-12-30T07:13")
    plans = Plans(frame(kind, **fields), begins_ms)
    length = {"hourly": HOUR_MS, "daily": DAY_MS, "weekly": 7 * DAY_MS}.get(kind, 40 * DAY_MS)
    at_ms = begins_ms
    for _ in range(rounds(30, 300)):
        at_ms += rng.randrange(length)  # late, at times, by several periods
        plans.run(at_ms)
    records = sorted(plans.ever.values(), key=lambda r: r.serial)
    for one, next_one in pairwise(records):
        assert one.local_ends_at_ms == next_one.local_starts_at_ms, f"{one} {next_one}"
        assert next_one.serial == one.serial + 1 and one.order < next_one.order
        assert record_after(records, one) == next_one and record_before(records, next_one) == one
    for record in records:
        assert record.local_starts_at_ms is not None and record.local_ends_at_ms is not None
        assert record.starts_at_ms == record.local_starts_at_ms - EARLIEST_MS
        assert record.ends_at_ms == record.local_ends_at_ms + LATEST_MS
    assert len({r.key for r in records}) == len(records)
    starts = [r.local_starts_at_ms or 0 for r in records]
    for zone in NOTABLE:  # of the time in which it was looked at
        digits_ms = local_ms(rng.randrange(begins_ms, at_ms), zone)
        assert records[bisect_right(starts, digits_ms) - 1].contains(digits_ms + LATEST_MS - 1, digits_ms)


def test_a_day_of_the_world() -> None:
    """The example of the API: a day is open for 50 hours."""
    plans = Plans(frame(), ms("2026-05-22T06:00"))
    assert [r.key for r in plans.records] == ["2026-05-21", "2026-05-22"], "in UTC-12 it is still the 21st"
    for at, keys in [
        ("2026-05-23T09:59:59", ["2026-05-22", "2026-05-23"]),
        ("2026-05-23T10:00:00", ["2026-05-22", "2026-05-23", "2026-05-24"]),
        ("2026-05-23T11:59:59", ["2026-05-22", "2026-05-23", "2026-05-24"]),
        ("2026-05-23T12:00:00", ["2026-05-23", "2026-05-24"]),
        ("2026-05-25T11:59:59", ["2026-05-24", "2026-05-25", "2026-05-26"]),
        ("2026-05-25T12:00:00", ["2026-05-25", "2026-05-26"]),
    ]:
        plans.run_to(ms(at))
        active = [r.key for r in plans.records if state_of(r, ms(at), GRACE_MS) == "active"]
        assert active == keys, at
    day = next(r for r in plans.ever.values() if r.key == "2026-05-24")
    assert (day.starts_at_ms, day.ends_at_ms) == (ms("2026-05-23T10:00"), ms("2026-05-25T12:00"))
    assert state_of(day, ms("2026-05-23T09:59:59"), GRACE_MS) == "pending"
    assert state_of(day, ms("2026-05-25T12:00:04"), GRACE_MS) == "closing"
    assert state_of(day, ms("2026-05-25T12:00:05"), GRACE_MS) == "closed"


def test_hours_are_open_side_by_side() -> None:
    at_ms = ms("2026-05-22T06:30")
    plans = Plans(frame("hourly"), at_ms)
    assert len([r for r in plans.records if state_of(r, at_ms, GRACE_MS) == "active"]) == 27
    assert plans.holding(at_ms, "Pacific/Kiritimati").key == "2026-05-22T20"
    assert plans.holding(at_ms, "Etc/GMT+12").key == "2026-05-21T18"


def test_a_repeated_hour_is_one() -> None:
    """Unlike in a zone of the board, where both showings are periods of their own."""
    plans = Plans(frame("hourly"), ms("2026-10-24T22:00"))
    found = []
    for minute in range(0, 240, 30):
        at_ms = ms("2026-10-24T23:30") + minute * 60_000
        plans.run_to(at_ms)
        found.append(plans.holding(at_ms, "Europe/Rome").key[-2:])
    assert found == ["01", "02", "02", "02", "02", "03", "03", "04"]


def test_a_season_begins_and_ends_for_each_by_the_own_clock() -> None:
    season = frame("range", starts_at="2026-06-01T00:00:00Z", ends_at="2026-09-01T00:00:00Z")
    plans = Plans(season, ms("2026-05-20"))
    (record,) = plans.records
    assert (record.starts_at_ms, record.ends_at_ms) == (ms("2026-05-31T10:00"), ms("2026-09-01T12:00"))
    at_ms = ms("2026-05-31T10:00")
    assert record.contains(at_ms, local_ms(at_ms, "Pacific/Kiritimati"))
    assert not record.contains(at_ms) and record.is_ahead(at_ms) and not record.is_behind(at_ms)
    at_ms = ms("2026-09-01T11:59")
    assert record.contains(at_ms, local_ms(at_ms, "Etc/GMT+12")) and record.is_behind(at_ms)
    plans.run_to(ms("2026-10-01"))
    assert plans.ever[1].sealed and plans.due_ms is None
    assert not has_next_period(season, "main", plans.records)


def test_windows_share_the_bounds_of_a_season() -> None:
    season = frame("range", starts_at="2026-06-01T00:00:00Z", ends_at="2026-06-03T12:00:00Z")
    plans = Plans(season, ms("2026-06-01T12:00"), "daily")
    plans.run_to(ms("2026-07-01"))
    days = [(r.key, r.local_ends_at_ms) for r in plans.ever.values()]
    assert days == [
        ("2026-06-01", ms("2026-06-02")),
        ("2026-06-02", ms("2026-06-03")),
        ("2026-06-03", ms("2026-06-03T12:00")),
    ]
    (whole,) = Plans(season, ms("2026-06-01T12:00"), "all_time").records
    assert whole.is_local and whole.local_ends_at_ms == ms("2026-06-03T12:00")
    (endless,) = Plans(frame(), ms("2026-06-01T12:00"), "all_time").records
    assert not endless.is_local and endless.ends_at_ms is None


@pytest.mark.parametrize(
    "fields, keys",
    [
        ({"type": "cron", "cron": "30 6 * * 1"}, ["2026-05-11T06:30:00Z", "2026-05-18T06:30:00Z"]),
        ({"type": "every", "every_seconds": 259_200}, ["2026-05-16T00:00:00Z", "2026-05-19T00:00:00Z"]),
    ],
)
def test_other_schedules_count_digits(fields: dict[str, Any], keys: list[str]) -> None:
    boundary_ms = ms(keys[1][:-1])
    timeframe = Timeframe.model_validate({"timezone": "player", **fields})
    plans = Plans(timeframe, boundary_ms - 20 * HOUR_MS)
    plans.run_to(boundary_ms - 60_000)
    assert plans.holding(boundary_ms - 60_000, "UTC").key == keys[0]
    assert plans.holding(boundary_ms - 60_000, "Europe/Rome").key == keys[1]


@pytest.mark.parametrize(
    "fields, where, why",
    [
        ({"type": "manual"}, "timezone", "by hand"),
        ({"type": "every", "every_seconds": 3599}, "every_seconds", "at least 3600"),
        ({"type": "cron", "cron": "*/10 * * * *"}, "cron", "single number as its minute"),
        ({"type": "cron", "cron": "0,30 * * * *"}, "cron", "single number as its minute"),
        ({"type": "daily", "timezone": "Player"}, "timezone", "did you mean 'player'"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], where: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        Timeframe.model_validate({"timezone": "player", **fields})
    assert [error["loc"] for error in caught.value.errors()] == [(where,)]


def test_it_is_dumped_as_it_was_written() -> None:
    timeframe = frame("range", starts_at="2026-06-01T00:00:00Z", ends_at="2026-09-01T00:00:00Z")
    assert Timeframe.model_validate(timeframe.model_dump(mode="json")) == timeframe
    assert timeframe.is_player_local and not Timeframe(type="daily").is_player_local


# Ends by hand, and other timeframes ------------------------------------------------------------------------


def test_after_a_forced_close_the_order_is_by_dates() -> None:
    now_ms = ms("2026-05-22T11:00")
    plans = Plans(frame(), now_ms)
    yesterday, today, tomorrow = plans.records
    closed = today._replace(ends_at_ms=now_ms, forced=True)
    span = schedule.span_for(plans.timeframe, "main", today)
    assert span is not None
    again = new_record(
        plans.timeframe, span, plans.next_serial, now_ms, [r.key for r in plans.records], now_ms
    )
    plans.put(closed, again)
    assert (again.key, again.starts_at_ms, again.ends_at_ms) == ("2026-05-22-2", now_ms, today.ends_at_ms)
    assert plans.holding(now_ms, "UTC") == again
    assert plans.holding(now_ms, "Etc/GMT+12") == yesterday
    assert plans.holding(now_ms, "Pacific/Kiritimati") == tomorrow
    by_order = sorted(plans.records, key=lambda r: r.order)
    assert by_order == [yesterday, closed, again, tomorrow]
    plans.run_to(now_ms + 3 * DAY_MS)
    days = sorted((r for r in plans.ever.values() if not r.forced), key=lambda r: r.order)
    assert [r.key[-4:] for r in days] == ["5-21", "22-2", "5-23", "5-24", "5-25", "5-26"]


@given(
    st.sampled_from(["daily", "hourly", "weekly"]), st.integers(0, 3 * 24 * 60), st.integers(0, 5 * 24 * 60)
)
@settings(max_examples=rounds(40, 1000), deadline=None)
def test_after_a_cut_everybody_is_in_a_period_again(kind: str, cut_min: int, later_min: int) -> None:
    """As when a window was taken away: all ended at an instant, and at a later one the schedule goes on."""
    plans = Plans(frame(kind), ms("2026-05-20"))
    cut_ms = ms("2026-05-20") + cut_min * 60_000
    plans.run_to(cut_ms)
    for record in plans.records:
        if state_of(record, cut_ms, 0) == "active":
            plans.put(
                record._replace(ends_at_ms=cut_ms, forced=True) if kind == "daily" else ended(record, cut_ms)
            )
    plans.records = [r for r in plans.records if (r.starts_at_ms or 0) <= cut_ms]
    now_ms = cut_ms + later_min * 60_000
    plans.run(now_ms)
    for zone in NOTABLE:
        record = plans.holding(now_ms, zone)
        assert record.key.removesuffix("-2") == KEYS[kind](shown(now_ms, zone))
        assert record.starts_at_ms is not None and record.starts_at_ms >= cut_ms


def test_a_schedule_that_is_moved_later_goes_on_with_its_last_period() -> None:
    before = frame("daily", ends_at="2026-05-22T18:00:00Z")
    plans = Plans(before, ms("2026-05-22T06:00"))
    over_ms = ms("2026-05-23T06:00")
    plans.run_to(over_ms + 60_000)
    last = last_of(plans.records)
    assert last is not None and last.ends_at_ms == over_ms and last.sealed
    after = frame("daily", ends_at="2026-06-22T18:00:00Z")
    span = extended_span(after, "main", last, over_ms + 60_000)
    assert span is not None and span.key == last.key, "in UTC-12 it is still that day"
    assert extended_span(after, "main", last, over_ms + 7 * HOUR_MS) is None, "it is nowhere any more"


def test_what_follows_is_known_ahead() -> None:
    plans = Plans(frame("weekly"), ms("2026-05-20"))
    last = last_of(plans.records)
    assert last is not None and last.local_ends_at_ms == ms("2026-05-25")
    assert next_starts_ms(plans.timeframe, "main", last) == ms("2026-05-24T10:00") == last.next_starts_at_ms
    assert has_next_period(plans.timeframe, "main", plans.records)
    assert plans.due_ms is not None and plans.due_ms < ms("2026-05-24T10:00")
