"""The table of a period's life: whatever path leads through it, by schedule, by force or late."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbactors.core.definition import Definition, Rules
from lbactors.core.lifecycle import (
    DAY_MS,
    DELETE_SPREAD_MS,
    IDS_OWED_MS,
    LINGER_MS,
    SEAL_SPREAD_MS,
    TRANSITIONS,
    EndTerms,
    Retention,
    Stage,
    Step,
    Work,
    check_record,
    closed_by_force,
    end_terms_of,
    is_complete,
    is_missed,
    kept_terms,
    owing_ids,
    reached,
    reopened,
    restored,
    rules_of,
    stage_under,
    state_of,
    steps_ahead,
    steps_by_force,
    surplus,
    work_of,
)
from lbactors.core.model import PeriodRecord

HOUR_MS = 3_600_000
FAR_MS = 10_000 * HOUR_MS  # everything is over by then

graces_ms = st.sampled_from([0, 1, 5_000, HOUR_MS])
spreads = st.sampled_from([0.0, 0.5, 0.999])
instants_ms = st.integers(0, 100 * HOUR_MS)


@st.composite
def made(draw: st.DrawFn, ends: bool | None = None) -> PeriodRecord:
    """A period as it is made: ahead of its start, in its middle, or late. ends: whether it has an end."""
    starts_at_ms = draw(st.none() | instants_ms)
    begins_ms = starts_at_ms or 0
    length_ms = draw(st.integers(1, 50 * HOUR_MS))
    has_end = draw(st.booleans()) if ends is None else ends
    opened_at_ms = draw(instants_ms)
    serial = draw(st.integers(1, 3))
    ends_at_ms = begins_ms + length_ms if has_end else None
    return PeriodRecord(serial, f"p{serial}", starts_at_ms, ends_at_ms, False, 0, 0, opened_at_ms)


class Life:
    """A record that is taken through the table as the supervisor does it, and what that left behind."""

    def __init__(self, record: PeriodRecord, grace_ms: int, spread: float, *, promises: bool = False) -> None:
        self.record = record._replace(sealed=is_missed(record, grace_ms))
        self.grace_ms = grace_ms
        self.spread = spread
        self.promises = promises  # it has rewards, and somebody to win them
        self.stages: list[int] = [self.record.stage]
        self.steps: list[Step] = []
        self.work: list[Work] = []
        self.events: list[str] = []
        self.commits: list[set[str]] = []

    def run(self, now_ms: int) -> None:
        """Carry out what is due until nothing is. Before it was made nobody can look at it."""
        now_ms = max(now_ms, self.record.opened_at_ms)
        while steps := [s for s in steps_ahead(self.record, self.grace_ms, self.spread) if s.at_ms <= now_ms]:
            assert len(self.stages) < 10, "no end"
            self.carry_out(sorted(steps, key=lambda s: (s.at_ms, s.stage)))

    def carry_out(self, steps: list[Step]) -> None:
        for step in steps:
            row = TRANSITIONS[step.stage]
            work = work_of(row, self.record)
            if work is Work.SEAL:
                self.record = self.record._replace(sealed=True, entries=3, submissions=4, last_seq=4)
            promised = row.promises and self.promises and self.record.entries > 0
            self.record = self.record._replace(stage=reached(row, promised=promised))
            self.stages.append(self.record.stage)
            self.steps.append(step)
            self.work.append(work)
            self.events += [row.event] if row.event else []
            self.commits.append(
                {"record"} | ({row.event} if row.event else set()) | ({"promise"} if promised else set())
            )


lives = st.builds(Life, made(), graces_ms, spreads, promises=st.booleans())
ending_lives = st.builds(Life, made(ends=True), graces_ms, spreads, promises=st.booleans())


def assert_in_order(life: Life) -> None:
    assert all(one < other for one, other in pairwise(life.stages)), "no stage is left or reached twice"
    instants = [step.at_ms for step in life.steps]
    assert instants == sorted(instants), "the order of stages is the order of time"
    assert life.events == [e for e in EVENTS if e in life.events], "each told once, in order"


EVENTS = ["period.opened", "period.closing", "period.closed"]


# Paths through the table ----------------------------------------------------------------------------------


@given(ending_lives, st.lists(instants_ms, max_size=6))
def test_every_stage_is_reached_once_and_in_order(life: Life, looks_ms: list[int]) -> None:
    missed = life.record.sealed
    for now_ms in [*sorted(looks_ms), FAR_MS]:
        life.run(now_ms)
        assert_in_order(life)
    assert life.stages[-1] == Stage.COMPLETE and is_complete(life.record)
    assert life.events == EVENTS
    granted = life.promises and not missed
    assert life.stages[:4] == [0, 1, 2, Stage.CLOSED if granted else Stage.COMPLETE]
    assert life.work.count(Work.SEAL) == (not missed), "nobody is asked to seal what nobody can have used"
    assert life.work.count(Work.GRANT) == granted
    assert steps_ahead(life.record, life.grace_ms, life.spread) == []


@given(made(), graces_ms, spreads, st.booleans(), st.lists(instants_ms, max_size=6))
def test_late_or_in_time_the_steps_are_the_same(
    record: PeriodRecord, grace_ms: int, spread: float, promises: bool, looks_ms: list[int]
) -> None:
    late = Life(record, grace_ms, spread, promises=promises)
    late.run(FAR_MS)
    in_time = Life(record, grace_ms, spread, promises=promises)
    for now_ms in [*sorted(looks_ms), FAR_MS]:
        in_time.run(now_ms)
    assert (in_time.steps, in_time.stages) == (late.steps, late.stages)
    assert (in_time.work, in_time.commits) == (late.work, late.commits)


@given(made(ends=False), graces_ms, spreads)
def test_a_period_without_end_is_opened_and_no_more(
    record: PeriodRecord, grace_ms: int, spread: float
) -> None:
    life = Life(record, grace_ms, spread)
    life.run(FAR_MS)
    assert life.stages == [Stage.UNANNOUNCED, Stage.OPENED] and not life.record.sealed


def test_what_each_commit_holds() -> None:
    def life(promises: bool) -> Life:
        one = Life(PeriodRecord(1, "one", 0, HOUR_MS, False, 0, 0, 0), 5_000, 0.0, promises=promises)
        one.run(FAR_MS)
        return one

    opened, closing = {"record", "period.opened"}, {"record", "period.closing"}
    assert life(False).commits == [opened, closing, {"record", "period.closed"}]
    assert life(True).commits == [opened, closing, {"record", "period.closed", "promise"}, {"record"}]
    assert life(True).work == [Work.NONE, Work.NONE, Work.SEAL, Work.GRANT]
    kept = {stage for stage, row in TRANSITIONS.items() if row.is_kept}
    assert kept == {Stage.CLOSED, Stage.COMPLETE}, "the others are in the store only if somebody is told"
    assert list(TRANSITIONS) == list(Stage)[1:] and all(row.to == to for to, row in TRANSITIONS.items())


# By force -------------------------------------------------------------------------------------------------


@given(lives, instants_ms, st.booleans())
def test_a_forced_close_takes_the_rest_of_the_way_at_once(life: Life, now_ms: int, at_once: bool) -> None:
    life.run(now_ms)
    record = life.record
    begun = now_ms >= record.opened_at_ms and now_ms > (record.starts_at_ms or 0)
    if not begun or state_of(record, now_ms, life.grace_ms) != "active":
        return
    life.record = closed_by_force(record, now_ms)
    assert state_of(life.record, now_ms, life.grace_ms) == "closed", "it takes nothing late"
    assert not is_missed(life.record, life.grace_ms)
    if at_once:
        life.carry_out(steps_by_force(life.record, now_ms))
        assert life.record.sealed and life.record.stage >= Stage.CLOSED
        assert steps_by_force(life.record, now_ms) == [], "done again, it does nothing"
    else:  # the supervisor died: the schedule goes on with it
        life.run(now_ms + LINGER_MS - 1)
        assert not life.record.sealed
        life.run(now_ms + LINGER_MS)
    assert_in_order(life)
    life.run(FAR_MS)
    assert_in_order(life)
    assert life.stages[-1] == Stage.COMPLETE and life.work.count(Work.SEAL) == 1


@given(made(), graces_ms, spreads, instants_ms)
def test_a_period_that_is_taken_away_before_it_began_is_never_opened(
    record: PeriodRecord, grace_ms: int, spread: float, now_ms: int
) -> None:
    if state_of(record, now_ms, grace_ms) != "pending" or now_ms < record.opened_at_ms:
        return
    life = Life(closed_by_force(record, now_ms), grace_ms, spread)
    life.run(FAR_MS)
    assert_in_order(life)
    assert life.events == ["period.closing", "period.closed"] and is_complete(life.record)


def test_a_first_period_without_end_is_opened_at_its_start() -> None:
    life = Life(PeriodRecord(1, "one", HOUR_MS, None, False, 0, 0, 0), 0, 0.0)
    life.run(HOUR_MS - 1)
    assert life.steps == [], "nobody is told of it while it is pending"
    life.run(HOUR_MS)
    assert life.steps == [(HOUR_MS, Stage.OPENED, 1)]


@given(lives, instants_ms, made())
def test_new_bounds_tell_again_what_is_ahead_again(life: Life, now_ms: int, bounds: PeriodRecord) -> None:
    life.run(now_ms)
    if life.record.sealed:
        return
    record = life.record._replace(starts_at_ms=bounds.starts_at_ms, ends_at_ms=bounds.ends_at_ms)
    stage = stage_under(record, life.record.stage, now_ms)
    assert stage <= life.record.stage
    ahead = {
        step.stage for step in steps_ahead(record._replace(stage=stage), life.grace_ms) if step.at_ms > now_ms
    }
    assert stage < min(ahead, default=Stage.COMPLETE)
    expected = {"pending": Stage.UNANNOUNCED, "active": Stage.OPENED}
    assert stage <= expected.get(state_of(record, now_ms, life.grace_ms), Stage.CLOSING)


# Stages and states ----------------------------------------------------------------------------------------

STAGES_OF = {
    "pending": {Stage.UNANNOUNCED},
    "active": {Stage.OPENED},
    "closing": {Stage.CLOSING},
    "closed": {Stage.CLOSING, Stage.CLOSED, Stage.COMPLETE},  # the moment's wait, and the chain's own place
}


@given(lives, st.lists(instants_ms, min_size=1, max_size=8))
def test_stage_and_state_agree_once_what_is_due_is_done(life: Life, looks_ms: list[int]) -> None:
    for look_ms in sorted(looks_ms):
        now_ms = max(look_ms, life.record.opened_at_ms)  # before that there is no record
        life.run(now_ms)
        state = state_of(life.record, now_ms, life.grace_ms)
        assert life.record.stage in STAGES_OF[state]
        if life.steps:
            row = TRANSITIONS[life.steps[-1].stage]
            assert (row.shows, state) in ((state, state), ("closing", "closed"))
        waits_ms = LINGER_MS + SEAL_SPREAD_MS
        if state_of(life.record, now_ms - waits_ms, life.grace_ms) == "closed":
            assert life.record.sealed and life.record.stage >= Stage.CLOSED


@given(made(), graces_ms, st.booleans(), st.lists(instants_ms, min_size=2, max_size=8))
def test_states_follow_one_another(
    record: PeriodRecord, grace_ms: int, forced: bool, looks_ms: list[int]
) -> None:
    record = record._replace(forced=forced)
    order = ["pending", "active", "closing", "closed"]
    states = [order.index(state_of(record, ms, grace_ms)) for ms in sorted(looks_ms)]
    assert states == sorted(states)
    assert not (forced and order.index("closing") in states)
    for now_ms in looks_ms:
        holds = state_of(record, now_ms, grace_ms) == "active"
        assert holds == record.contains(now_ms)


@given(made(ends=True), graces_ms, spreads)
def test_a_missed_period_was_closed_before_it_was_made(
    record: PeriodRecord, grace_ms: int, spread: float
) -> None:
    missed = is_missed(record, grace_ms)
    assert not is_missed(record._replace(forced=True), grace_ms)
    assert not is_missed(record._replace(ends_at_ms=None), grace_ms)
    assert record.ends_at_ms is not None
    assert missed == (state_of(record, record.opened_at_ms - LINGER_MS, grace_ms) == "closed")


# Ends that are final, and ends that are taken back ----------------------------------------------------------

BEST = Definition.model_validate({"leaderboard_id": "xp"})
REWARDED = {"tiers": [{"name": "all", "top_percent": 100}]}


@given(made(), graces_ms, instants_ms)
def test_closed_is_shown_of_what_is_final_alone(record: PeriodRecord, grace_ms: int, now_ms: int) -> None:
    by_clock = state_of(record, now_ms, grace_ms)
    shown = state_of(record, now_ms, grace_ms, is_final=False)
    assert shown == ("closing" if by_clock == "closed" else by_clock)
    sealed = record._replace(sealed=True)
    assert state_of(sealed, now_ms, grace_ms, is_final=False) == "closed", "whatever the definition says now"


@given(lives, instants_ms, graces_ms)
def test_what_is_closed_keeps_the_definition_that_it_had(life: Life, now_ms: int, later_ms: int) -> None:
    def defined(grace_ms: int, **ranking: Any) -> Definition:
        frame = {**BEST.timeframe.model_dump(mode="json"), "late_grace_seconds": grace_ms // 1000}
        fields = {**BEST.model_dump(mode="json"), "timeframe": frame, "ranking": ranking, "rewards": REWARDED}
        return Definition.model_validate(fields)

    before, after = defined(life.grace_ms // 1000 * 1000), defined(later_ms // 1000 * 1000, min_score=5)
    grace_ms = before.timeframe.late_grace_seconds * 1000
    kept = kept_terms(life.record, before, after, now_ms)
    closed = state_of(life.record, now_ms, grace_ms) == "closed"
    if not closed or life.record.sealed:
        assert kept == life.record
        return
    assert end_terms_of(kept) == EndTerms.of(before)
    assert rules_of(kept, Rules.of(after)) == Rules.of(before)
    assert state_of(kept, now_ms, later_ms) == "closed"
    assert steps_ahead(kept, later_ms) == steps_ahead(kept, grace_ms)
    assert kept_terms(kept, after, before, now_ms) is kept, "the first change counts"


def test_a_sealed_period_keeps_the_rules_that_its_entries_stand_by() -> None:
    sealed = PeriodRecord(1, "one", 0, HOUR_MS, True, 3, 4, 0, 4, False, Stage.COMPLETE)
    fields = BEST.model_dump(mode="json")
    lower = Definition.model_validate({**fields, "ranking": {"min_score": 5}})
    other = Definition.model_validate({**fields, "ranking": {"order": "asc"}})
    assert kept_terms(sealed, BEST, lower, 2 * HOUR_MS) is sealed
    assert rules_of(kept_terms(sealed, BEST, other, 2 * HOUR_MS), Rules.of(other)) == Rules.of(BEST)


@given(ending_lives, instants_ms, graces_ms)
def test_a_period_that_is_reopened_is_closed_again(life: Life, now_ms: int, more_ms: int) -> None:
    life.run(now_ms)
    record = life.record
    assert record.ends_at_ms is not None
    if now_ms < record.ends_at_ms or record.forced:
        return
    bounds = record._replace(
        key="other", sealed=False, ends_at_ms=now_ms + 1 + more_ms, stage=0, forced=False
    )
    bounds = bounds._replace(entries=0, submissions=0, last_seq=0)
    again = reopened(record, bounds, now_ms)
    check_record(again)
    assert (again.serial, again.key, again.reopened, again.sealed) == (record.serial, "other", 1, False)
    assert again.stage <= Stage.OPENED and state_of(again, now_ms, life.grace_ms) in ("pending", "active")
    told = len(life.events)
    life.record = again
    life.stages = [again.stage]
    life.run(FAR_MS)
    assert is_complete(life.record)
    assert [e for e in life.events[told:] if e != "period.opened"] == ["period.closing", "period.closed"]


# The record -----------------------------------------------------------------------------------------------


def test_a_record_is_stored_as_before() -> None:
    record = PeriodRecord(2, "two", 0, HOUR_MS, True, 3, 4, 5, 6, False, Stage.CLOSED)
    stored = msgpack.packb(record.to_wire())
    before = [2, "two", 0, HOUR_MS, True, 3, 4, 5, 6, False, 3, False]
    assert stored == msgpack.packb(before)
    assert restored(msgpack.unpackb(stored)) == record
    again = record._replace(reopened=1, end_terms=[5, ["best"], None])
    assert restored(msgpack.unpackb(msgpack.packb(again.to_wire()))) == again
    assert [int(stage) for stage in Stage] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("sealed", "stage"), [(True, Stage.COMPLETE), (False, Stage.UNANNOUNCED)])
def test_what_an_older_version_had_closed_is_complete(sealed: bool, stage: Stage) -> None:
    assert restored([1, "one", 0, HOUR_MS, sealed, 3, 4, 5, 6, False]).stage == stage
    newer = restored([1, "one", 0, HOUR_MS, sealed, 3, 4, 5, 6, False, Stage.UNANNOUNCED])
    assert newer.stage == Stage.UNANNOUNCED, "a missed one, whose steps are to come"


class Kept(NamedTuple):
    """A closed period of a drawn chain."""

    complete: bool
    last_seq: int
    ids_owed: bool


@example([Kept(True, 1, True)], True, 0, 2 * IDS_OWED_MS)
@given(
    st.lists(st.builds(Kept, st.booleans(), st.integers(0, 2), st.booleans()), min_size=1, max_size=6),
    st.booleans(),
    st.integers(0, 4),
    st.integers(0, 100) | st.just(2 * IDS_OWED_MS),
)
def test_what_is_deleted(closed: list[Kept], has_open: bool, retain: int, now_ms: int) -> None:
    """Only the oldest complete ones, never the last of the chain, none that owes ids, none too many."""
    records = [
        PeriodRecord(
            serial,
            f"p{serial}",
            serial,
            serial + 1,
            True,
            0,
            0,
            0,
            kept.last_seq,
            False,
            Stage.COMPLETE if kept.complete else Stage.CLOSED,
            kept.ids_owed and kept.last_seq > 0,
        )
        for serial, kept in enumerate(closed, start=1)
    ]
    if has_open:
        records.append(PeriodRecord(9, "open", 9, None, False, 0, 0, 0))
    deleted, _ = surplus(records, [], Retention(retain, 0), now_ms)
    complete = [r.serial for r in records if r.stage == Stage.COMPLETE]
    assert set(deleted) <= set(complete) and deleted == sorted(deleted)
    assert records[-1].serial not in deleted
    assert len(complete) - len(deleted) >= min(retain, len(complete))
    used = [r for r in records if r.last_seq]
    owes = bool(used) and used[-1].ids_owed
    assert owing_ids(records) == (used[-1] if owes else None)
    remembered = owes and now_ms < (used[-1].ends_at_ms or 0) + IDS_OWED_MS
    spared = {used[-1].serial} if remembered else set()
    assert not spared & set(deleted)
    expected = [s for s in complete[: max(len(complete) - retain, 0)] if s != records[-1].serial]
    assert set(expected) - spared == set(deleted)


def test_what_is_closed_in_this_plan_counts_already_and_goes_at_the_next() -> None:
    def record(serial: int, stage: Stage, **fields: Any) -> PeriodRecord:
        sealed = stage >= Stage.CLOSED
        return PeriodRecord(serial, f"p{serial}", serial, serial + 1, sealed, 0, 0, 0, stage=stage, **fields)

    records = [record(1, Stage.COMPLETE), record(2, Stage.CLOSING), record(3, Stage.OPENED)]

    def deleted(stage: Stage, retain: int) -> list[int]:
        return surplus(records, [Step(5, stage, 2)], Retention(retain, 0), 5)[0]

    assert deleted(Stage.CLOSED, 1) == [1]
    assert deleted(Stage.CLOSED, 0) == [1], "not what is only being closed"
    assert deleted(Stage.CLOSING, 1) == []


@given(
    st.integers(0, 30).map(lambda n: [(serial, serial * DAY_MS) for serial in range(1, n + 1)]),
    st.integers(0, 10),
    st.integers(0, 20),
    st.integers(0, 60 * DAY_MS),
)
def test_what_is_kept_by_number_and_by_age(
    closed: list[tuple[int, int]], periods: int, days: int, now_ms: int
) -> None:
    """Against the rule, word by word; and the next instant is the first at which more go."""

    def gone(at_ms: int) -> list[int]:
        older = closed[: max(len(closed) - periods, 0)]
        return [serial for serial, ends_ms in older if at_ms >= ends_ms + days * DAY_MS or not days]

    serials, due_ms = Retention(periods, days).expired(closed, len(closed), now_ms)
    assert serials == gone(now_ms)
    if due_ms is None:
        assert gone(2**62) == serials
    else:
        assert now_ms < due_ms and gone(due_ms - 1) == serials and len(gone(due_ms)) == len(serials) + 1


def test_no_more_than_a_thousand_are_kept_whatever_their_age() -> None:
    closed = [(serial, serial) for serial in range(1, 1004)]
    serials, due_ms = Retention(10, 400).expired(closed, len(closed), 2000)
    assert serials == [1, 2, 3] and due_ms == 4 + 400 * DAY_MS


def test_what_reaches_its_age_at_one_instant_goes_at_many() -> None:
    untils = [Retention(10, 1, spread).until_ms(5) - 5 - DAY_MS for spread in (0.0, 0.5, 0.999)]
    assert untils == [0, DELETE_SPREAD_MS // 2, int(DELETE_SPREAD_MS * 0.999)]
