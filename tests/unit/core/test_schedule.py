"""The planner: what it opens, seals and deletes, when, and that nothing is skipped or done twice.

`Timeline` carries plans out as the supervisor does and keeps what was ever opened; the clock is an argument.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core import schedule
from lbactors.core.lifecycle import (
    KEPT_WHOLE,
    LINGER_MS,
    NO_PAST,
    SEAL_SPREAD_MS,
    Stage,
    Step,
    owing_ids,
    past_of,
    state_of,
)
from lbactors.core.model import PeriodRecord
from lbactors.core.past_periods import PastPeriods
from lbactors.core.schedule import (
    LEAD_MS,
    LEAD_SPREAD_MS,
    Plan,
    TakenKeys,
    extended_span,
    has_next_period,
    new_record,
    plan_chain,
    unique_key,
)
from lbactors.core.timeframe import Span, Timeframe, span_at
from tests.support.rounds import is_long, long, rounds

SECOND_MS, HOUR_MS, DAY_MS = 1000, 3_600_000, 86_400_000
GRACE_MS = 5 * SECOND_MS


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def frame(**fields: Any) -> Timeframe:
    return Timeframe.model_validate(fields)


class Timeline:
    """One chain under the planner. `ever`: every record that was opened, as it was last."""

    def __init__(self, timeframe: Timeframe, window: str = "main", now_ms: int = 0) -> None:
        self.timeframe = timeframe
        self.window = window
        self.records: list[PeriodRecord] = []
        self.ever: dict[int, PeriodRecord] = {}
        self.next_serial = 1
        self.told: list[Step] = []
        self.wanted = True
        self.due_ms: int | None = None
        self.run(now_ms)

    def plan(self, now_ms: int) -> Plan:
        return plan_chain(
            self.timeframe, self.window, self.records, self.next_serial, now_ms, wanted=self.wanted
        )

    def carry_out(self, plan: Plan) -> None:
        self.put(*plan.add)
        for step in plan.steps:
            before = self.ever[step.serial]
            assert step.stage == before.stage + 1, "stage by stage"
            self.put(before._replace(stage=step.stage, sealed=before.sealed or step.stage == Stage.CLOSED))
            self.told.append(step)
        assert all(self.ever[serial].stage == Stage.COMPLETE for serial in plan.delete)
        assert not set(plan.delete) & {step.serial for step in plan.steps}
        self.records = [r for r in self.records if r.serial not in plan.delete]

    def put(self, *records: PeriodRecord) -> None:
        for record in records:
            self.ever[record.serial] = record
            self.records = sorted([r for r in self.records if r.serial != record.serial] + [record])
            self.next_serial = max(self.next_serial, record.serial + 1)

    def run(self, now_ms: int) -> list[Plan]:
        """Plan and carry out until nothing is left to do, as the supervisor's `advance`."""
        plans: list[Plan] = []
        while True:
            plan = self.plan(now_ms)
            if not (plan.add or plan.steps or plan.delete):
                self.due_ms = plan.due_ms
                return plans
            assert plan == self.plan(now_ms), "asked again before it was carried out, the plan is the same"
            plans.append(plan)
            assert len(plans) < 20, f"no end of planning: {plans[-2:]}"
            self.carry_out(plan)

    def force_close(self, now_ms: int) -> None:
        """A forced close, as the command makes it: the current record ends now, the span goes on anew."""
        current = self.holding(now_ms)
        for ahead in [r.serial for r in self.records if r.serial > current.serial]:
            del self.ever[ahead]
        self.records = [r for r in self.records if r.serial <= current.serial]
        self.put(current._replace(ends_at_ms=now_ms, forced=True))
        span = span_at(self.timeframe, self.window, now_ms)
        assert span is not None
        keys = [r.key for r in self.records]
        self.put(new_record(self.timeframe, span, self.next_serial, now_ms, keys, now_ms))

    def holding(self, at_ms: int) -> PeriodRecord:
        """The one record that contains an instant."""
        found = [
            r
            for r in self.records
            if (r.starts_at_ms is None or r.starts_at_ms <= at_ms)
            and (r.ends_at_ms is None or at_ms < r.ends_at_ms)
        ]
        assert len(found) == 1, f"{at_ms} is in {[r.key for r in found]}"
        return found[0]

    def open_keys(self) -> list[str]:
        return [r.key for r in self.records if not r.sealed]

    def assert_tiles_time(self) -> None:
        """Each record begins where the one before ends; no two have one key at the same time."""
        records = [self.ever[serial] for serial in sorted(self.ever)]
        for one, following in pairwise(records):
            assert one.ends_at_ms == following.starts_at_ms, f"{one} is not followed by {following}"
        assert len({r.key for r in self.records}) == len(self.records)


# Opening, sealing, keeping --------------------------------------------------------------------------------


@pytest.mark.parametrize(("length_s", "lead_ms"), [(86_400, LEAD_MS), (10, 5_000), (1, 500)])
def test_the_next_period_is_opened_ahead(length_s: int, lead_ms: int) -> None:
    line = Timeline(frame(type="every", every_seconds=length_s), now_ms=at("2026-11-18T00:00:00"))
    (first,) = line.records
    assert first.ends_at_ms is not None and first.serial == 1 and not first.sealed
    assert line.due_ms == first.ends_at_ms - lead_ms
    assert line.run(line.due_ms - 1) == []
    (plan,) = line.run(line.due_ms)
    assert line.due_ms == first.ends_at_ms, "then it will be closing, and the next one opened"
    assert [(r.serial, r.starts_at_ms, r.sealed) for r in plan.add] == [(2, first.ends_at_ms, False)]
    assert state_of(plan.add[0], first.ends_at_ms - 1, GRACE_MS) == "pending"
    assert not plan.steps and not plan.delete


@pytest.mark.parametrize("grace_s", [0, 5, 86_400])
def test_a_period_is_sealed_once_its_grace_is_over(grace_s: int) -> None:
    line = Timeline(frame(type="daily", late_grace_seconds=grace_s), now_ms=at("2026-11-18T12:00:00"))
    end_ms = at("2026-11-19")
    seal_ms = end_ms + grace_s * SECOND_MS + LINGER_MS
    line.run(end_ms)
    assert line.open_keys() == ["2026-11-18", "2026-11-19"]
    line.run(seal_ms - 1)
    assert not line.ever[1].sealed
    plans = line.run(seal_ms)
    assert [step for p in plans for step in p.steps] == [
        (seal_ms, Stage.CLOSED, 1),
        (seal_ms, Stage.COMPLETE, 1),
    ]
    assert state_of(line.ever[1], seal_ms, grace_s * SECOND_MS) == "closed"


@pytest.mark.parametrize("retain", [0, 1, 3])
def test_as_many_closed_periods_are_kept_as_asked_for(retain: int) -> None:
    line = Timeline(
        frame(type="daily", retain_periods=retain, retain_days=0), now_ms=at("2026-11-01T12:00:00")
    )
    for day in range(1, 9):
        line.run(at("2026-11-01T12:00:00") + day * DAY_MS)
        assert [r.serial for r in line.records] == list(range(max(day + 1 - retain, 1), day + 2))
        assert [r.sealed for r in line.records] == [True] * min(day, retain) + [False]
    line.timeframe = frame(type="daily", retain_periods=0, retain_days=0)
    line.run(at("2026-11-09T12:00:00"))
    assert line.open_keys() == [r.key for r in line.records] == ["2026-11-09"]


def test_what_is_kept_by_age_goes_when_it_is_due_and_nothing_is_looked_at_before() -> None:
    timeframe = frame(type="daily", retain_periods=2, retain_days=5)
    line = Timeline(timeframe, now_ms=at("2026-11-01T12:00:00"))
    for day in range(1, 12):
        line.run(at("2026-11-01T12:00:00") + day * DAY_MS)
    assert [r.key for r in line.records if r.sealed] == [f"2026-11-{day:02d}" for day in range(7, 12)]
    line.timeframe = frame(type="daily", retain_periods=2, retain_days=5, ends_at="2026-11-13T00:00:00Z")
    line.run(at("2026-11-13T00:01:00"))
    seen = []
    while line.due_ms is not None:
        before = len(line.records)
        line.run(line.due_ms)
        seen.append(before - len(line.records))
    assert seen == [1] * len(seen) and seen, "one at each look, and no look in vain"
    assert [r.key for r in line.records] == ["2026-11-11", "2026-11-12"]


@pytest.mark.parametrize("days", [0, 30, 400])
def test_a_plan_is_the_same_with_old_periods_in_the_past(days: int) -> None:
    line = Timeline(frame(type="daily", retain_periods=20, retain_days=400), now_ms=at("2026-01-01T12:00:00"))
    now_ms = at("2026-01-01T12:00:00")
    for _ in range(60):
        now_ms += DAY_MS
        line.run(now_ms)
    past, count = PastPeriods(), past_of(line.records)
    past.add(line.records[:count])
    assert count == 60 - KEPT_WHOLE
    timeframe = frame(type="daily", retain_periods=20, retain_days=days)
    for at_ms in (now_ms, now_ms + DAY_MS, now_ms + 40 * DAY_MS, now_ms + 500 * DAY_MS):
        whole, short = (
            plan_chain(timeframe, "main", records, line.next_serial, at_ms, wanted=True, past=before)
            for records, before in ((line.records, NO_PAST), (line.records[count:], past))
        )
        assert whole == short
    assert whole.delete, "the last one is late enough for all"


def test_a_period_that_owes_ids_stays_a_record() -> None:
    closed = [
        PeriodRecord(n, f"p{n}", n, n + 1, True, 1, 1, 0, 1, stage=Stage.COMPLETE, ids_owed=n == 3)
        for n in range(1, 31)
    ]
    assert past_of(closed) == 2
    assert past_of(closed[3:]) == 27 - KEPT_WHOLE and past_of(closed[:12]) == 0


# What was missed ------------------------------------------------------------------------------------------


def test_a_closed_period_stays_until_its_submission_ids_are_handed_on() -> None:
    manual = frame(type="manual", retain_periods=0, retain_days=0)
    first = PeriodRecord(1, "one", 0, HOUR_MS, True, 3, 4, 0, last_seq=4, stage=Stage.COMPLETE)
    unused = PeriodRecord(2, "two", HOUR_MS, 2 * HOUR_MS, True, 0, 0, 0, stage=Stage.COMPLETE)
    third = PeriodRecord(3, "three", 3 * HOUR_MS, 4 * HOUR_MS, False, 0, 0, 0)

    def deleted(now_ms: int, *records: PeriodRecord) -> list[int]:
        return plan_chain(manual, "main", records, 4, now_ms, wanted=True).delete

    owed = first._replace(ids_owed=True)
    assert owing_ids([owed, unused, third]) == owed
    assert deleted(3 * HOUR_MS, owed, unused, third) == [2]
    assert deleted(3 * HOUR_MS, first, unused, third) == [1, 2] and owing_ids([first, unused, third]) is None
    assert deleted(HOUR_MS + 2 * DAY_MS, owed, unused, third) == [1, 2], "nobody remembers them any more"
    used = unused._replace(last_seq=1)
    assert owing_ids([owed, used, third]) is None, "it took them over when it woke"


@pytest.mark.parametrize(("retain", "missed"), [(10, 0), (10, 1), (10, 5), (3, 400), (0, 50)])
def test_what_was_missed_is_caught_up_in_order_and_once(retain: int, missed: int) -> None:
    start_ms = at("2026-11-18T12:30:00")
    line = Timeline(frame(type="hourly", retain_periods=retain, retain_days=0), now_ms=start_ms)
    now_ms = start_ms + (missed + 1) * HOUR_MS
    add = line.plan(now_ms).add
    assert len(add) == missed + 1
    assert [r.serial for r in add] == list(range(missed + 3 - len(add), missed + 3))
    assert [r.starts_at_ms for r in add] == [
        at("2026-11-18T12:00:00") + (r.serial - 1) * HOUR_MS for r in add
    ], "in order, under the serials that they would have had"
    assert [r.sealed for r in add] == [True] * (len(add) - 1) + [False]
    line.run(now_ms)
    kept = [r.serial for r in line.records]
    assert (
        kept == list(range(missed + 3 - len(kept), missed + 3)) and len(kept) == min(missed + 1, retain) + 1
    )
    assert line.run(now_ms) == []


def test_a_missed_period_of_a_projection_is_open() -> None:
    """Its log may have rows for it: it is closed when it has read them, after those before it."""
    timeframe, start_ms = frame(type="hourly", retain_periods=2), at("2026-11-18T12:30:00")
    first = plan_chain(timeframe, "main", [], 1, start_ms, wanted=True, follows=True).add
    now_ms = start_ms + 5 * HOUR_MS
    plans = [
        plan_chain(timeframe, "main", first, 2, now_ms, wanted=True, follows=follows)
        for follows in (False, True)
    ]
    scores, projection = (plan.add for plan in plans)
    assert [r.sealed for r in scores] == [True] * 4 + [False]
    assert projection == [r._replace(sealed=False) for r in scores], "under the same keys and serials"
    closed = [step.serial for step in plans[1].steps if step.stage == Stage.CLOSED]
    assert closed == [1, 2, 3, 4, 5] and not plans[1].delete, "nothing goes before it was filled"


def test_a_missed_period_still_in_its_grace_is_open() -> None:
    line = Timeline(frame(type="hourly", late_grace_seconds=3600), now_ms=at("2026-11-18T12:30:00"))
    line.run(at("2026-11-18T15:30:00"))
    assert line.open_keys() == ["2026-11-18T14", "2026-11-18T15"]


@pytest.mark.parametrize("part_ms", [0, 200, 499, 500, 700, 999])
def test_a_gap_too_long_to_walk_through_is_skipped(monkeypatch: pytest.MonkeyPatch, part_ms: int) -> None:
    """Beyond CATCH_UP_SPANS the schedule is entered anew, in whatever part of a period the server starts."""
    start_ms = at("2026-11-18T12:00:00")
    line = Timeline(frame(type="every", every_seconds=1, retain_periods=2, retain_days=0), now_ms=start_ms)
    monkeypatch.setattr(schedule, "CATCH_UP_SPANS", 20)
    now_ms = start_ms + 1000 * SECOND_MS + part_ms
    line.run(now_ms)
    assert line.holding(now_ms)[3:5] == (start_ms + 1001 * SECOND_MS, False)
    line.run(now_ms + 2500)
    assert not line.holding(now_ms + 2500).sealed


# Forced closes --------------------------------------------------------------------------------------------


def test_a_forced_close_takes_nothing_late_and_goes_on_under_a_new_key() -> None:
    line = Timeline(frame(type="daily"), now_ms=at("2026-11-18T12:00:00"))
    for turn in range(3):
        now_ms = at(f"2026-11-18T13:0{turn}:00")
        line.force_close(now_ms)
        assert state_of(line.ever[turn + 1], now_ms, GRACE_MS) == "closed", "no grace"
        line.run(now_ms + LINGER_MS - 1)
        assert not line.ever[turn + 1].sealed
        line.run(now_ms + LINGER_MS)
        assert line.ever[turn + 1].sealed
    assert [r.key for r in line.records] == ["2026-11-18", *(f"2026-11-18-{n}" for n in (2, 3, 4))]
    line.run(at("2026-11-19T00:00:06"))
    assert line.open_keys() == ["2026-11-19"]
    line.assert_tiles_time()


def test_a_key_is_not_used_again_when_its_first_bearer_is_gone() -> None:
    line = Timeline(frame(type="permanent", retain_periods=2, retain_days=0), now_ms=at("2026-11-18"))
    keys = []
    for hour in range(1, 8):
        line.force_close(at("2026-11-18") + hour * HOUR_MS)
        line.run(at("2026-11-18") + hour * HOUR_MS + LINGER_MS)
        keys.append(line.records[-1].key)
    assert keys == [f"all_time-{n}" for n in range(2, 9)]
    line.assert_tiles_time()


@pytest.mark.parametrize(
    ("key", "taken", "expected"),
    [
        ("all_time", [], "all_time"),
        ("all_time", ["all_time"], "all_time-2"),
        ("all_time", ["all_time-4", "all_time-3"], "all_time-5"),
        ("2026-10-25T02", ["2026-10-25T02-2"], "2026-10-25T02-3"),
        ("2026-10-25T02-2", ["2026-10-25T02", "2026-10-25T02-2"], "2026-10-25T02-2-2"),
        ("2026-11", ["2026-W47", "2026-11-18T13"], "2026-11"),
        # A board that becomes monthly or yearly keeps its closed days and months.
        ("2026-05", ["2026-05-24", "2026-05"], "2026-05-2"),
        ("2026", ["2026-11", "2026-12"], "2026"),
        ("2026-05", ["2026-05-08", "2026-05-09"], "2026-05"),
        ("2026-05", ["2026-05-23", "2026-05-24"], "2026-05"),
    ],
)
def test_keys(key: str, taken: list[str], expected: str) -> None:
    assert unique_key(key, taken) == TakenKeys(taken).unique(key) == expected


# Schedules with an end, and without periods of their own --------------------------------------------------


def season(**fields: Any) -> Timeframe:
    return frame(type="range", starts_at="2026-12-01T00:00:00Z", ends_at="2026-12-08T00:00:00Z", **fields)


def test_a_season() -> None:
    line = Timeline(season(), now_ms=at("2026-11-18"))
    (record,) = line.records
    assert record[:5] == (1, "2026-12-01T00:00:00Z", at("2026-12-01"), at("2026-12-08"), False)
    assert state_of(record, at("2026-11-18"), GRACE_MS) == "pending"
    assert not has_next_period(line.timeframe, "main", line.records)
    for due in (
        "2026-12-01T00:00:00",
        "2026-12-08T00:00:00",
        "2026-12-08T00:00:06",
    ):  # opened, closing, closed
        assert line.due_ms == at(due)
        line.run(at(due))
    assert line.ever[1].sealed and len(line.records) == 1 and line.due_ms is None
    assert line.run(at("2027-12-08")) == []


@pytest.mark.parametrize("retain", [0, 1, 10])
def test_a_season_that_is_over_already_comes_to_rest(retain: int) -> None:
    line = Timeline(season(retain_periods=retain, retain_days=0), now_ms=at("2027-01-01"))
    assert all(r.sealed for r in line.records) and line.next_serial <= 3
    assert line.run(at("2027-01-02")) == []


def test_a_schedule_with_an_end_keeps_its_last_period() -> None:
    fields = {
        "starts_at": "2026-12-01T00:00:00Z",
        "ends_at": "2026-12-01T03:30:00Z",
        "retain_periods": 1,
        "retain_days": 0,
    }
    line = Timeline(frame(type="hourly", **fields), now_ms=at("2026-11-30"))
    while line.due_ms is not None:
        line.run(line.due_ms)
    assert [r.starts_at_ms for r in line.ever.values()] == [at(f"2026-12-01T0{h}:00:00") for h in range(4)]
    assert [(r.key, r.ends_at_ms) for r in line.records] == [("2026-12-01T03", at("2026-12-01T03:30:00"))]
    line.assert_tiles_time()


def test_a_schedule_that_is_extended_goes_on_with_its_last_period() -> None:
    """Where that is the present one under the new timeframe too; nothing is made of time that nobody had."""
    day_ms, noon_ms = at("2026-11-18T00:00:00"), at("2026-11-18T12:00:00")
    cut = PeriodRecord(1, "2026-11-18", day_ms, noon_ms, True, 3, 4, day_ms, 4, stage=Stage.COMPLETE)
    daily = frame(type="daily")
    assert extended_span(daily, "main", cut, noon_ms + HOUR_MS) == Span("2026-11-18", day_ms, day_ms + DAY_MS)
    assert extended_span(daily, "main", cut._replace(forced=True), noon_ms + HOUR_MS) is None
    assert extended_span(daily, "main", cut, day_ms + DAY_MS) is None, "it is another day"
    ended = frame(type="daily", ends_at="2026-11-18T12:00:00Z")
    assert extended_span(ended, "main", cut, noon_ms + HOUR_MS) is None
    another = frame(type="daily", starts_at="2026-11-19T00:00:00Z")
    assert extended_span(another, "main", cut, noon_ms + HOUR_MS) is None
    assert extended_span(daily, "all_time", cut, day_ms + 9 * DAY_MS) == Span("all_time", None, None)

    def made(record: PeriodRecord) -> list[tuple[str, int | None, bool]]:
        add = plan_chain(daily, "main", [record], 2, day_ms + 2 * DAY_MS + HOUR_MS, wanted=True).add
        return [(r.key, r.starts_at_ms, r.sealed) for r in add]

    days = [(f"2026-11-{18 + n}", day_ms + n * DAY_MS, n < 2) for n in (1, 2)]
    assert made(cut) == days
    assert made(cut._replace(forced=True)) == [("2026-11-18-2", noon_ms, True), *days], "that was a reset"


def test_a_manual_board_opens_nothing_by_itself_but_seals() -> None:
    line = Timeline(frame(type="manual"), now_ms=at("2026-11-18"))
    assert line.records == [] and line.due_ms is None
    line.put(new_record(line.timeframe, Span("cup", at("2026-11-19"), at("2026-11-20")), 1, 0, [], None))
    assert line.run(at("2026-11-18")) == [] and line.due_ms == at("2026-11-19")
    line.run(at("2026-11-20T00:00:06"))
    assert line.ever[1].sealed and line.due_ms is None
    line.put(new_record(line.timeframe, Span("open-ended", at("2026-11-21"), None), 2, 0, ["cup"], None))
    line.run(at("2036-11-21"))
    opened = Step(at("2036-11-21") - 10 * 365 * DAY_MS - 3 * DAY_MS, Stage.OPENED, 2)
    assert line.told[-1] == opened
    assert line.due_ms is None


def test_an_archived_board_lets_its_period_run_out() -> None:
    line = Timeline(frame(type="daily", retain_days=0), now_ms=at("2026-11-18T12:00:00"))
    line.wanted = False
    assert line.plan(at("2026-11-18T12:00:00")).due_ms == at("2026-11-19")
    line.run(at("2026-12-24T12:00:00"))
    assert [(r.key, r.sealed) for r in line.records] == [("2026-11-18", True)] and line.due_ms is None
    line.wanted = True  # active again: the schedule goes on, and the time between is not forgotten
    line.run(at("2026-12-24T12:00:00"))
    line.holding(at("2026-12-24T12:00:00"))
    assert [r.key for r in line.records] == [f"2026-12-{day}" for day in range(14, 25)]
    assert len(line.ever) == 12 + 24 + 1


# A year ---------------------------------------------------------------------------------------------------

ZONES = [
    "UTC",
    "Europe/Rome",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Santiago",
]
KINDS = ["daily", "weekly", "monthly", "yearly", "cron"]


YEARS = [*product(ZONES, KINDS), ("Europe/Rome", "hourly"), ("Australia/Lord_Howe", "hourly")]


@long
@pytest.mark.parametrize(("zone", "kind"), YEARS)
def test_a_year_is_covered_without_gap_or_overlap(zone: str, kind: str) -> None:
    """The clock stops at every due time; now and then the server is down for up to 36 hours."""
    rng = random.Random(zone + kind)
    cron = {"cron": "30 2 * * 1,4"} if kind == "cron" else {}
    timeframe = frame(type=kind, timezone=zone, reset_time="02:30", retain_periods=40, retain_days=0, **cron)
    now_ms, end_ms = at("2026-01-01T05:00:00"), at("2027-01-01T05:00:00")
    if kind == "hourly" and not is_long():  # the weeks in which both of its zones change their clocks
        now_ms, end_ms = at("2026-03-20T05:00:00"), at("2026-04-12T05:00:00")
    line = Timeline(timeframe, now_ms=now_ms)
    while now_ms < end_ms:
        assert line.due_ms is not None and line.due_ms > now_ms
        now_ms = line.due_ms
        if rng.random() < 0.02:
            now_ms += rng.randrange(36 * HOUR_MS)
        line.run(now_ms)
        holding = line.holding(now_ms)
        assert not holding.sealed and holding in line.records
    line.assert_tiles_time()
    for record in line.ever.values():
        assert record.starts_at_ms is not None
        span = span_at(timeframe, "main", record.starts_at_ms)
        assert span == (record.key, record.starts_at_ms, record.ends_at_ms)


@settings(max_examples=rounds(25, 250), deadline=None)
@given(
    every_s=st.sampled_from([1, 7, 60, 3600]),
    grace_s=st.sampled_from([0, 5, 90]),
    steps=st.lists(st.tuples(st.integers(1, 200_000), st.booleans()), min_size=1, max_size=25),
)
def test_however_the_clock_moves(every_s: int, grace_s: int, steps: list[tuple[int, bool]]) -> None:
    now_ms = at("2026-11-18T12:00:00")
    timeframe = frame(
        type="every", every_seconds=every_s, late_grace_seconds=grace_s, retain_periods=1000, retain_days=0
    )
    line = Timeline(timeframe, now_ms=now_ms)
    for step_ms, forced in steps:
        now_ms += step_ms
        line.run(now_ms)
        if forced and line.holding(now_ms).starts_at_ms != now_ms:
            line.force_close(now_ms)
            line.run(now_ms)
        assert not line.holding(now_ms).sealed
        for record in line.records:
            grace_ms = 0 if record.forced else grace_s * SECOND_MS
            assert record.ends_at_ms is not None
            assert record.sealed == (record.ends_at_ms + grace_ms + LINGER_MS <= now_ms)
    line.assert_tiles_time()


def test_a_window_beside_the_main_timeframe() -> None:
    line = Timeline(season(), "daily", now_ms=at("2026-11-18"))
    assert [(r.key, r.starts_at_ms) for r in line.records] == [("2026-12-01", at("2026-12-01"))]
    line.run(at("2026-12-05T12:00:00"))
    assert line.open_keys() == ["2026-12-05"] and len(line.records) == 5
    whole = Timeline(season(), "all_time", now_ms=at("2026-12-05")).records[0]
    assert whole[1:4] == ("all_time", at("2026-12-01"), at("2026-12-08"))


# Many at one boundary -------------------------------------------------------------------------------------


def test_leaderboards_that_share_a_boundary_have_their_work_spread() -> None:
    timeframe, now_ms, end_ms = frame(type="daily"), at("2026-11-18T12:00:00"), at("2026-11-19")
    record = new_record(
        timeframe, Span("2026-11-18", at("2026-11-18"), end_ms), 1, now_ms, [], None
    )._replace(stage=Stage.OPENED)
    first, last = (
        plan_chain(timeframe, "main", [record], 2, now_ms, wanted=True, spread=s) for s in (0.0, 0.999)
    )
    assert first.due_ms == end_ms - LEAD_MS and last.due_ms is not None
    assert end_ms - LEAD_MS - LEAD_SPREAD_MS <= last.due_ms < end_ms - LEAD_MS - LEAD_SPREAD_MS * 0.99
    closing = record._replace(stage=Stage.CLOSING)
    seals = [
        plan_chain(timeframe, "main", [closing], 2, end_ms, wanted=False, spread=s).due_ms
        for s in (0.0, 0.999)
    ]
    assert seals[0] == end_ms + GRACE_MS + LINGER_MS
    assert seals[0] + SEAL_SPREAD_MS * 0.99 < seals[1] <= seals[0] + SEAL_SPREAD_MS
