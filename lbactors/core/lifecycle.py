"""A period's life as one table, pure: its stages, what leads from one to the next, what each commit holds.

A record's `stage` is the last step that was carried out; `TRANSITIONS` has a row for each step. From top to
bottom, with what a period goes through that is no stage of its own:

    step      due                           first                          in its commit
    --------  ----------------------------  -----------------------------  ------------------------------
    made      ahead of its start, or late                                  the record at UNANNOUNCED; of a
              if it was missed                                             missed one it is `sealed`
    OPENED    at its start                                                 `period.opened`
    CLOSING   at its end                                                   `period.closing`
    CLOSED    when its grace is over, or    its actor seals it: ids go to  the record with its numbers,
              a moment after a forced end   the next one, last snapshot    `period.closed`, the promise of
                                            (a missed one needs none)      rewards
    COMPLETE  in that same commit, if       the rewards are granted, in    the record
              nothing was promised          commits of their own
    ids       when there is a period after  its actor has the new one      the record without `ids_owed`
    handed    one that was closed without   take the ids over
    on        a next one
    deleted   when it is COMPLETE, is not   its journal and snapshot are   the record goes
              retained (`Retention`), and   dropped
              owes no ids

OPENED and CLOSING are kept only if an event tells of them: where nobody listens, repeating them tells nobody
again. What comes before in time is committed before anything that has to be done first (`Work`).

The schedule asks which steps are due, the supervisor's lifecycle carries them out, and catch-up is the same
table: a period that was missed goes through the same steps, late. Beside the stages there is the *state* that
readers and writers see: `state_of`.

What was closed stays so, under the definition as it was at its end (`EndTerms`), unless a new schedule takes
the end back: then the period is `reopened`, sealed or not, and goes through the rest of the table again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, IntEnum, auto
from itertools import chain
from typing import Any, Literal, NamedTuple

from lbactors.core.definition import Definition, Rules
from lbactors.core.model import PeriodRecord
from lbactors.core.past_periods import PastPeriods

LINGER_MS = 1_000  # after the grace, until sealing: for submissions that are on their way inside the server
# Hundreds of leaderboards may end at the same instant, so each chain has its own place in this span.
SEAL_SPREAD_MS = 20_000
SEAL_SPREAD_PART = 20  # and at most this part of the period's length
KEPT_WHOLE = 12  # closed periods of a window whose records stay in memory
NO_PAST = PastPeriods()
MOST_CLOSED = 1_000  # closed periods of a window that are kept at most, whatever their age
DAY_MS = 24 * 3600 * 1000
DELETE_SPREAD_MS = 3600 * 1000  # periods of many leaderboards reach their age at one instant, too
# Submission ids are known for a day, and a period takes them until a day's grace after its end is over.
IDS_OWED_MS = 48 * 3600 * 1000

PeriodState = Literal["pending", "active", "closing", "closed"]


class Stage(IntEnum):
    """How far a period's life was carried out, events included. Stored as a plain integer."""

    UNANNOUNCED = 0
    OPENED = 1
    CLOSING = 2
    CLOSED = 3  # sealed; its rewards are still to be granted
    COMPLETE = 4


class Work(Enum):
    """What has to be done before a step's commit."""

    NONE = auto()
    SEAL = auto()  # by the period's actor, which closes it for good
    GRANT = auto()  # of rewards, chunk by chunk in commits of their own


class Step(NamedTuple):
    """A step that became due at an instant: the period is to be taken to a stage."""

    at_ms: int
    stage: Stage
    serial: int


class Retention(NamedTuple):
    """Which closed periods a window keeps: the newest `periods`, and those that ended less than `days` ago,
    but no more than MOST_CLOSED. spread: the chain's place in [0, 1) among those that share a boundary.
    """

    periods: int
    days: int
    spread: float = 0.0

    def until_ms(self, ends_at_ms: int) -> int:
        """How long a period beyond `periods` is kept, where `days` is not 0."""
        return ends_at_ms + self.days * DAY_MS + int(DELETE_SPREAD_MS * self.spread)

    def expired(
        self, closed: Iterable[tuple[int, int]], count: int, now_ms: int
    ) -> tuple[list[int], int | None]:
        """Serials of the periods that are not kept, and when the next one will not be (None: not before more
        are closed). closed: serial and end of each, oldest first; looked at as far as needed. count: how many
        there are.
        """
        serials: list[int] = []
        for serial, ends_at_ms in closed:
            beyond = count - len(serials)  # those that are left, this one included
            if beyond <= self.periods:
                break
            until_ms = self.until_ms(ends_at_ms)
            if self.days and beyond <= MOST_CLOSED and now_ms < until_ms:
                return serials, until_ms
            serials.append(serial)
        return serials, None


class Transition(NamedTuple):
    """A row of the table: how a period comes to the stage `to`.

    planned_from: the stage from which on it is known that it will come. due_ms: its instant by the record,
    the grace and the chain's place in [0, 1) among those that share a boundary; None if it never comes.
    work: what is done first (`work_of`). event, shows: what listeners are told in its commit, and the state
    that they are shown. is_kept: the record is in the commit also if nobody listens. promises: so is the
    promise of rewards; without one the period is COMPLETE at once (`reached`).
    """

    to: Stage
    planned_from: Stage
    due_ms: Callable[[PeriodRecord, int, float], int | None]
    work: Work
    event: str | None
    shows: PeriodState
    is_kept: bool
    promises: bool


# Instants -------------------------------------------------------------------------------------------------


class EndTerms(NamedTuple):
    """What the definition said of a period at its end, kept in its record where it was changed since then.

    rules: the fields of `Rules`. rewards: of the definition, as JSON; None for none.
    """

    grace_ms: int
    rules: Sequence[Any]
    rewards: Any = None

    @classmethod
    def of(cls, definition: Definition) -> EndTerms:
        rewards = definition.rewards
        grace_ms = definition.timeframe.late_grace_seconds * 1000
        shown = None if rewards is None else rewards.model_dump(mode="json")
        return cls(grace_ms, list(Rules.of(definition)), shown)


def end_terms_of(record: PeriodRecord) -> EndTerms | None:
    """None: the definition as it is now holds."""
    if record.end_terms is None:
        return None
    fields: Sequence[Any] = record.end_terms
    return EndTerms(*fields)


def grace_of(record: PeriodRecord, grace_ms: int) -> int:
    """How long a period takes late submissions: not at all if it was closed by force."""
    if record.forced:
        return 0
    terms = end_terms_of(record)
    return grace_ms if terms is None else terms.grace_ms


def rules_of(record: PeriodRecord, rules: Rules) -> Rules:
    """The rules of a period, given those of the definition as it is now."""
    terms = end_terms_of(record)
    return rules if terms is None else Rules(*terms.rules)


def _start_ms(record: PeriodRecord, grace_ms: int, spread: float) -> int | None:
    starts_ms, ends_ms = record.starts_at_ms, record.ends_at_ms
    if starts_ms is not None and ends_ms is not None and ends_ms < starts_ms:
        return None  # taken away before it began
    opened_ms = record.opened_at_ms if starts_ms is None else starts_ms
    # The leaderboard may have been made in the middle of it; then several player-local ones begin at once.
    if record.serial == 1 or record.is_local:
        opened_ms = max(opened_ms, record.opened_at_ms)
    return opened_ms if ends_ms is None else min(opened_ms, ends_ms)


def _end_ms(record: PeriodRecord, grace_ms: int, spread: float) -> int | None:
    return record.ends_at_ms


def _seal_ms(record: PeriodRecord, grace_ms: int, spread: float) -> int | None:
    """By force at once; by schedule after the grace, each chain at its own place."""
    if record.ends_at_ms is None:
        return None
    if record.forced:
        return record.ends_at_ms + LINGER_MS
    length_ms = record.ends_at_ms - (record.starts_at_ms or 0)
    spread_ms = int(min(SEAL_SPREAD_MS, length_ms / SEAL_SPREAD_PART) * spread)
    return record.ends_at_ms + grace_of(record, grace_ms) + LINGER_MS + spread_ms


# Order ----------------------------------------------------------------------------------------------------


def last_of(records: Iterable[PeriodRecord]) -> PeriodRecord | None:
    """The last period of a chain (`PeriodRecord.order`); None without any."""
    return max(records, key=lambda record: record.order, default=None)


def record_before(records: Iterable[PeriodRecord], record: PeriodRecord) -> PeriodRecord | None:
    """The period before one, as far as there is one."""
    return last_of(r for r in records if r.order < record.order)


def record_after(records: Iterable[PeriodRecord], record: PeriodRecord) -> PeriodRecord | None:
    """The period that follows one, as far as there is one."""
    return min((r for r in records if r.order > record.order), key=lambda r: r.order, default=None)


# The table ------------------------------------------------------------------------------------------------

_UNANNOUNCED, _OPENED, _CLOSING, _CLOSED, _COMPLETE = Stage

# fmt: off
TRANSITIONS = {row.to: row for row in (
    #          to         planned_from  due_ms     work        event             shows      kept   promises
    Transition(_OPENED,   _UNANNOUNCED, _start_ms, Work.NONE,  "period.opened",  "active",  False, False),
    Transition(_CLOSING,  _UNANNOUNCED, _end_ms,   Work.NONE,  "period.closing", "closing", False, False),
    Transition(_CLOSED,   _UNANNOUNCED, _seal_ms,  Work.SEAL,  "period.closed",  "closed",  True,  True),
    Transition(_COMPLETE, _CLOSED,      _seal_ms,  Work.GRANT, None,             "closed",  True,  False),
)}
# fmt: on
_AHEAD = tuple(
    tuple(row for row in TRANSITIONS.values() if row.planned_from <= stage < row.to) for stage in Stage
)


_STAGES = frozenset(Stage)


def steps_ahead(record: PeriodRecord, grace_ms: int, spread: float = 0.0) -> list[Step]:
    """All that is still to come in a period's life, as far as the schedule knows it, stage by stage."""
    steps = []
    for row in _AHEAD[record.stage]:
        at_ms = row.due_ms(record, grace_ms, spread)
        if at_ms is not None:
            steps.append(Step(at_ms, row.to, record.serial))
    return steps


def steps_by_force(record: PeriodRecord, now_ms: int) -> list[Step]:
    """What is to be done at once for a period that was closed by force, without the moment's wait."""
    return [Step(now_ms, row.to, record.serial) for row in _AHEAD[record.stage] if row.to <= _CLOSED]


def work_of(row: Transition, record: PeriodRecord) -> Work:
    """What has to be done first for this period: one that is sealed already, as a missed one is from the
    beginning, needs no actor to be closed.
    """
    return Work.NONE if row.work is Work.SEAL and record.sealed else row.work


def reached(row: Transition, *, promised: bool) -> Stage:
    """The stage that a step's commit leads to. promised: the commit holds a promise of rewards."""
    return Stage.COMPLETE if row.promises and not promised else row.to


# What changes a record ------------------------------------------------------------------------------------


def restored(row: Sequence[Any]) -> PeriodRecord:
    """A record as it is stored. Version 0.1 kept no stage: what it had closed is complete."""
    record = PeriodRecord(*row)
    if len(row) <= PeriodRecord._fields.index("stage") and record.sealed:
        return record._replace(stage=Stage.COMPLETE)
    return record


def is_missed(record: PeriodRecord, grace_ms: int) -> bool:
    """Whether a period was over, with its grace, before it could be opened: nobody can have used it."""
    if record.ends_at_ms is None or record.forced:
        return False
    return record.ends_at_ms + grace_ms + LINGER_MS <= record.opened_at_ms


def closed_by_force(record: PeriodRecord, now_ms: int) -> PeriodRecord:
    """A period that ends now, and takes nothing late."""
    return record._replace(ends_at_ms=now_ms, forced=True)


def ended(record: PeriodRecord, at_ms: int) -> PeriodRecord:
    """A player-local period under a timeframe that does not have it: it ends at an instant for everybody."""
    return record._replace(ends_at_ms=at_ms, local_starts_at_ms=None, local_ends_at_ms=None)


def kept_terms(record: PeriodRecord, before: Definition, after: Definition, now_ms: int) -> PeriodRecord:
    """A period whose leaderboard gets another definition: if it is closed, the one before still holds. A
    sealed one needs to know only by which rules it would go on, if it were reopened.
    """
    terms = EndTerms.of(before)
    if record.end_terms is not None or state_of(record, now_ms, terms.grace_ms) != "closed":
        return record
    new = EndTerms.of(after)
    changed = Rules.of(after).reorders(Rules.of(before)) if record.sealed else new != terms
    return record._replace(end_terms=terms) if changed else record


def reopened(record: PeriodRecord, bounds: PeriodRecord, now_ms: int) -> PeriodRecord:
    """A period that was over and goes on, under the key and the bounds of another record. What is known of a
    sealed one is forgotten: its actor has it.
    """
    return bounds._replace(
        serial=record.serial,
        opened_at_ms=record.opened_at_ms,
        stage=stage_under(bounds, record.stage, now_ms),
        reopened=record.reopened + 1,
        rewarded=record.rewarded,
    )


def stage_under(record: PeriodRecord, stage: int, now_ms: int) -> int:
    """The stage of a period that was at `stage` and was given the bounds of `record`: what is ahead again
    will be told again. The one way back in the table.
    """
    if record.ends_at_ms is None or now_ms < record.ends_at_ms:
        stage = min(stage, Stage.OPENED)
    if record.starts_at_ms is not None and now_ms < record.starts_at_ms:
        stage = Stage.UNANNOUNCED
    return stage


def is_complete(record: PeriodRecord) -> bool:
    """Whether nothing is left to be done for a period but its deletion."""
    return record.sealed and record.stage >= Stage.COMPLETE


def owing_ids(records: Sequence[PeriodRecord]) -> PeriodRecord | None:
    """The closed period whose submission ids none after it has: the last that anybody used, if there was
    nothing to hand them on to when it was closed (a manual leaderboard, an archived one).
    """
    last = last_of([r for r in records if r.sealed and r.last_seq])
    return last if last is not None and last.ids_owed else None


def owes_ids(record: PeriodRecord, now_ms: int) -> bool:
    """Whether a period that is made now may be sent a repeat of what this one took."""
    return record.ids_owed and (record.ends_at_ms is None or now_ms < record.ends_at_ms + IDS_OWED_MS)


def surplus(
    records: Sequence[PeriodRecord],
    steps: Sequence[Step],
    retention: Retention,
    now_ms: int,
    past: PastPeriods = NO_PAST,
) -> tuple[list[int], int | None]:
    """Serials of the closed periods that are to be deleted, and when more will be by their age.

    past, records: together all of a chain, by serial. steps: those that are carried out before the deletion.
    """
    complete = [(r.serial, r.ends_at_ms or 0) for r in records if is_complete(r)]
    # A period that is being closed must be so before it can go: it is deleted at the next look.
    closing = {step.serial for step in steps if step.stage >= Stage.CLOSED}
    count = len(past) + len(complete) + len(closing)
    delete, due_ms = retention.expired(chain(past.ends(), complete), count, now_ms)
    last = last_of(records)
    if last is not None and last.serial in delete:
        delete.remove(last.serial)  # the last one of a schedule stays: its standings are `current`
    owing = owing_ids(records)
    if owing is not None and owes_ids(owing, now_ms):
        delete = [serial for serial in delete if serial != owing.serial]
    return delete, due_ms


def past_of(records: Sequence[PeriodRecord]) -> int:
    """How many of a chain's records, from the oldest on, need to be known as `PastPeriods` only."""
    complete = sum(map(is_complete, records))
    past = 0
    while past < complete - KEPT_WHOLE and is_complete(records[past]) and not records[past].ids_owed:
        past += 1
    return past


def check_record(record: PeriodRecord) -> None:
    """Assert what holds of every record at any time; called throughout the tests."""
    what = repr(record)
    assert record.serial >= 1 and record.stage in _STAGES and record.reopened >= 0, what
    assert record.end_terms is None or record.ends_at_ms is not None, f"it has no end: {what}"
    assert record.stage < Stage.CLOSED or record.sealed, f"closed and not sealed: {what}"
    assert record.stage < Stage.CLOSING or record.ends_at_ms is not None, f"it has no end: {what}"
    assert record.ends_at_ms is not None or not (record.forced or record.sealed), f"it has no end: {what}"
    if not record.sealed:
        numbers = (record.entries, record.submissions, record.last_seq)
        assert numbers == (0, 0, 0) and not record.ids_owed, f"told before it was sealed: {what}"
    assert record.last_seq or not record.ids_owed, f"it owes ids that it never took: {what}"


# What readers and writers see -----------------------------------------------------------------------------


def state_of(record: PeriodRecord, now_ms: int, grace_ms: int, *, is_final: bool = True) -> PeriodState:
    """The state of a period at an instant: before its start `pending`, then `active`, after its end `closing`
    while it takes late submissions, then `closed`. Whoever reads, writes or edits asks this function; what it
    says does not wait for the stage, which follows when the step is carried out.

    is_final: whether nothing in the period can change any more. Who shows a period says so, since `closed`
    must not be shown before: until then it is `closing`, whatever the clock says. A sealed one is final.
    """
    if record.sealed:
        return "closed"
    if record.starts_at_ms is not None and now_ms < record.starts_at_ms:
        return "pending"
    if record.ends_at_ms is None or now_ms < record.ends_at_ms:
        return "active"
    if now_ms < record.ends_at_ms + grace_of(record, grace_ms) or not is_final:
        return "closing"
    return "closed"
