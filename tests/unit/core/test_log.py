"""A log against the naive model of `log_oracle`: drafts, replays and snapshots at any moment.

The sizes at which buckets split and id segments end are shrunk, so a few players see many of both.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lbactors.core import log as log_module
from lbactors.core import log_draft as log_draft_module
from lbactors.core import seen_ids as seen_ids_module
from lbactors.core.errors import ApiError
from lbactors.core.log import Log, log_loader, log_seqs
from lbactors.core.log_draft import LogDraft
from lbactors.core.log_inputs import (
    EVENT,
    ROW,
    SETTLE,
    LogInput,
    Row,
    Settle,
    erase,
    erased,
    forget,
    previous_seq_of,
    tick,
    trim,
)
from lbactors.core.log_model import NO_BALANCE, EventRow, MetricRow
from lbactors.core.packing import pack
from lbactors.core.seen_ids import SEEN_IDS_MS
from tests.support.log_oracle import Oracle, Refused, Told
from tests.support.rounds import long, rounds

START_MS = 1_700_000_000_000
PLAYERS = [f"p{i}" for i in range(9)]
IDS = [f"id{i}" for i in range(8)]
MOST_PENDING = 6


@pytest.fixture(autouse=True, scope="module")
def _small_sizes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "BUCKET_ENTRIES", 2)
        patch.setattr(seen_ids_module, "ID_SEGMENT", 3)
        patch.setattr(log_draft_module, "MOST_PENDING", MOST_PENDING)
        yield


def shown(log: Log) -> dict[str, Any]:
    """All of a log's state that anybody can see."""
    return {
        "meta": (log.seq, log.last_ms, log.first_kept, log.stats),
        "accounts": {p: (log.account(p), repr(log.balance(p)), log.has(p)) for p in PLAYERS},
        "open": (list(log.open.pending.items()), list(log.open.settled.items())),
        "ids": log.ids.by_id,
        "segments": [(n, list(s.ids), list(s.seqs), list(s.tags)) for n, s in log.ids.segments.items()],
        "ages": {n: s.newest_ms for n, s in log.ids.segments.items()},
    }


def ages(log: Log) -> list[int]:
    """Of the segments of ids. A snapshot may show a segment as old as it was when it was written, after later
    ids came; whatever is forgotten is so only when the segment is full, and then they are the same again.
    """
    return [segment.newest_ms for segment in log.ids.segments.values()]


def assert_like(log: Log, oracle: Oracle) -> None:
    log.check()
    assert (log.seq, log.stats, log.rows) == (oracle.seq, oracle.stats(), oracle.stats().rows)
    assert len(log) == len(oracle.players())
    for player_id in PLAYERS:
        chain = oracle.chain(player_id)
        assert repr(log.balance(player_id)) == repr(oracle.balance(player_id))
        assert log.has(player_id) == bool(chain)
        assert log.newest(player_id) == (chain[-1] if chain else 0)
    opened = {seq: (row.player_id, row.kind, row.amount) for seq, row in oracle.all_open().items()}
    kinds = ("award", "deduct", "set")
    pending = log.open.pending.items()
    assert {seq: (row.player_id, kinds[row.kind], row.amount) for seq, row in pending} == opened
    assert (log.open.settled, log.first_kept) == (oracle.settled, oracle.first_kept)
    assert log.ids.by_id == {row_id: seq for row_id, (seq, *_) in oracle.ids.items()}


# Any requests, with snapshots and replays in between ------------------------------------------------------

players = st.sampled_from(PLAYERS)
amounts = st.integers(0, 9) | st.sampled_from([0.5, 2.25, 0.1, 2**53, 2**53 - 1, 1e300, 1.7e308])
signed = amounts | st.integers(-9, -1) | st.sampled_from([-0.5, -(2**53), -1.7e308])
row_ids = st.none() | st.sampled_from(IDS)
documents = st.sampled_from([None, b"{}", b'{"level":7}'])
ages_ms = st.none() | st.integers(-2, 40)
bodies = st.sampled_from([0, 0, 7, 8])


@st.composite
def metric_rows(draw: st.DrawFn) -> MetricRow:
    kind = draw(st.sampled_from(["award", "award", "deduct", "set"]))
    state = draw(st.sampled_from(["completed", "completed", "pending"]))
    amount = draw(amounts.filter(bool) if kind == "deduct" else signed)
    subscore, metadata, profile = draw(st.integers(0, 1)), draw(documents), draw(documents)
    return MetricRow(
        draw(players), kind, state, amount, subscore, metadata, draw(row_ids), draw(ages_ms), profile
    )  # an age until it is asked for


@st.composite
def events(draw: st.DrawFn) -> EventRow:
    row_id = draw(st.sampled_from([*IDS, *(f"other{i}" for i in range(20))]))
    return EventRow(row_id, "match", draw(players), draw(ages_ms), draw(documents), draw(documents), b"{}")


class Settling:
    """A request to complete or reject. which: place among the seqs that there are, or one that is not.
    player_id: the only one for whom it may be.
    """

    def __init__(self, which: int, complete: bool, row_id: str | None, body: int, player_id: str | None):
        self.which, self.complete = which, complete
        self.row_id, self.body, self.player_id = row_id, body, player_id

    def __repr__(self) -> str:
        return f"Settling{(self.which, self.complete, self.row_id, self.body, self.player_id)}"

    @property
    def request(self) -> dict[str, Any]:
        return {
            "complete": self.complete,
            "row_id": self.row_id,
            "body": self.body,
            "player_id": self.player_id,
        }


settlings = st.builds(
    Settling,
    st.integers(0, 50),
    st.booleans(),
    st.none() | st.sampled_from([*IDS, "s1", "s2", "s3"]),
    bodies,
    st.sampled_from([None, None, None, *PLAYERS]),
)
sizes = st.lists(st.integers(1, 5), max_size=3)


class LogMachine(RuleBasedStateMachine):
    """Appends, and all else that is an input; at most one snapshot under way; the parts of a store."""

    @initialize()
    def begin(self) -> None:
        self.log, self.oracle = Log(), Oracle(MOST_PENDING)
        self.now_ms = START_MS
        self.journal: list[tuple[int, list[LogInput]]] = []  # server time, inputs
        self.parts: dict[tuple[str, int], bytes] = {}
        self.saved: tuple[int, Any, dict[str, int]] | None = None  # the snapshot in force and what it shows
        self.under_way: tuple[dict[str, Any], Any] | None = None

    # Inputs ---------------------------------------------------------------------------------------------

    def apply(self, items: Sequence[LogInput]) -> None:
        self.journal.append((self.now_ms, msgpack.unpackb(pack(list(items)))))
        assert self.log.apply(self.now_ms, items) == [None] * len(items)

    def append(self, asked: Sequence[Any], body: int, batches: list[int]) -> None:
        """One draft, whose inputs are applied in batches of the given sizes."""
        draft = LogDraft(self.log, self.now_ms)
        self.oracle.begin(self.now_ms)
        assert draft.at_ms == self.oracle.at_ms
        for one in asked:
            self.ask(draft, one, body)
        assert [item[1] for item in draft.items] == [self.oracle.at_ms] * len(draft.items)
        items = list(draft.items)
        for size in batches:
            self.apply(items[:size])
            items = items[size:]
        self.apply(items)

    def ask(self, draft: LogDraft, one: Any, body: int) -> None:
        count = len(draft.items)
        told: Told | str
        found: Any
        try:
            told = self.ask_oracle(one, body)
        except Refused as refused:
            told = str(refused)
        try:
            if isinstance(one, Settling):
                found = draft.settle(self.settled_by(one), profile=b"now", **one.request)
            elif isinstance(one, EventRow):
                found = draft.event(self.dated(one))
            else:
                found = draft.row(self.dated(one), body)
        except ApiError as error:
            assert (error.code, len(draft.items)) == (told, count)
            return
        assert isinstance(told, Told), f"{told} was to come of {one}"
        item, outcome = found
        assert (outcome.seq, outcome.duplicate) == (told.seq, told.is_repeat)
        if not isinstance(one, EventRow):
            assert repr((outcome.balance, outcome.earned)) == repr((told.balance, told.earned))
        assert (item is None) == told.is_repeat and len(draft.items) == count + (item is not None)
        if item is not None:
            assert item is draft.items[-1]
            self.assert_says_all(item, one, told, body)

    def assert_says_all(self, item: Any, one: Any, told: Told, body: int) -> None:
        before = self.oracle.chain(item.player_id)[:-1]
        assert item.previous_seq == (before[-1] if before else 0)
        if isinstance(item, Row | Settle):
            assert (item.delta, item.balance) == (told.change, told.balance)
        if isinstance(item, Settle):
            row = self.oracle.lines[item.seq - 1]
            kind = ("award", "deduct", "set")[item.kind]
            assert (item.type, item.player_id, kind, item.amount) == (
                SETTLE,
                row.player_id,
                row.kind,
                row.amount,
            )
            assert (item.is_completed, item.profile) == (one.complete, b"now")
            assert (item.row_id, item.tag) == (one.row_id, one.body)
            return
        asked = self.dated(one)
        assert (item.type, item.profile) == (ROW if isinstance(item, Row) else EVENT, asked.profile)
        occurred_at_ms, at_ms = asked.occurred_at_ms, self.oracle.at_ms
        if occurred_at_ms is not None and occurred_at_ms >= at_ms:
            occurred_at_ms = at_ms if getattr(asked, "state", "") == "pending" else None
        assert item.occurred_at_ms == occurred_at_ms
        if isinstance(item, Row):
            assert (item.metadata, item.subscore, item.tag) == (asked.metadata, asked.subscore, body)

    def ask_oracle(self, one: Any, body: int) -> Told:
        if isinstance(one, Settling):
            return self.oracle.settle(self.settled_by(one), **one.request)
        return self.oracle.event(one) if isinstance(one, EventRow) else self.oracle.write(one, body)

    def settled_by(self, one: Settling) -> int:
        if not hasattr(one, "seq"):  # both are asked for the same, though the first may settle it
            opened = [*self.oracle.all_open(), *self.oracle.settled, 0, self.oracle.seq + 1, 10**6]
            one.seq = opened[one.which % len(opened)]  # type: ignore[attr-defined]
        return one.seq  # type: ignore[attr-defined, no-any-return]

    def dated(self, one: Any) -> Any:
        age_ms = one.occurred_at_ms
        return one if age_ms is None else one._replace(occurred_at_ms=self.oracle.at_ms - age_ms)

    @rule(by_ms=st.sampled_from([0, 1, 7, 1000, -5, -3000]))
    def pass_time(self, by_ms: int) -> None:
        self.now_ms += by_ms

    @rule()
    def tick(self) -> None:
        self.oracle.begin(self.now_ms)
        self.apply([tick(self.oracle.at_ms)])
        self.oracle.tick()
        assert self.log.last_ms == self.oracle.at_ms

    @rule(player_id=players)
    def erase(self, player_id: str) -> None:
        self.oracle.begin(self.now_ms)
        self.apply([erase(self.log.place(player_id), self.oracle.at_ms)])
        self.oracle.erase(player_id)

    @rule(player_id=players)
    def forget(self, player_id: str) -> None:
        """Whether it follows an erasure or not: of an account with rows it lets go never."""
        self.oracle.begin(self.now_ms)
        self.apply([forget(self.log.place(player_id), self.oracle.at_ms)])
        self.oracle.forget(player_id)

    @rule(back=st.integers(0, 20))
    def trim(self, back: int) -> None:
        self.oracle.begin(self.now_ms)
        seq = max(self.log.seq - back, 0)
        self.apply([trim(seq, self.oracle.at_ms)])
        self.oracle.trim(seq)

    # Snapshots and replays ------------------------------------------------------------------------------

    @precondition(lambda self: self.under_way is None)
    @rule()
    def begin_snapshot(self) -> None:
        snapshot = self.log.begin_snapshot()
        assert (snapshot.seq if snapshot else self.log.saved_seq) == self.log.seq
        self.under_way = (shown(self.log), snapshot) if snapshot else None

    @precondition(lambda self: self.under_way is not None)
    @rule(rows=st.integers(1, 6))
    def next_parts(self, rows: int) -> None:
        self.take_parts(rows)

    def take_parts(self, rows: int) -> bool:
        assert self.under_way is not None
        parts = self.log.next_parts(rows)
        self.parts.update({(name, self.under_way[1].seq): body for name, body in parts.items()})
        return bool(parts)

    @precondition(lambda self: self.under_way is not None)
    @rule(committed=st.booleans())
    def end_snapshot(self, committed: bool) -> None:
        assert self.under_way is not None
        while committed and self.take_parts(3):
            pass
        state, snapshot = self.under_way
        self.log.end_snapshot(committed)
        self.under_way = None
        if committed:
            self.saved = snapshot.seq, state, snapshot.manifest
            kept = set(snapshot.manifest.items())  # a store deletes the parts that no manifest names
            self.parts = {key: body for key, body in self.parts.items() if key in kept}
            self.load()

    def load(self) -> Log:
        assert self.saved is not None
        saved_seq, state, manifest = self.saved
        parts = [(name, self.parts[name, seq]) for name, seq in manifest.items()]
        assert log_seqs(dict(parts)["meta"]) == manifest
        random.Random(saved_seq).shuffle(parts)
        log = Log.load(parts, saved_seq)
        log.check()
        # A segment that grew since the snapshot began may have been saved with the age of what came then.
        found, ages = shown(log), state["ages"]
        assert found == state | {"ages": found["ages"]} and found["ages"].keys() == ages.keys()
        assert all(found["ages"][n] >= ages[n] for n in ages)
        assert log.begin_snapshot() is None, "what was just loaded is saved already"
        return log

    @precondition(lambda self: self.saved is not None)
    @rule(go_on=st.booleans())
    def recover(self, go_on: bool) -> None:
        """Snapshot and the journal after it give the live state; work may go on with the recovered one."""
        log = self.load()
        self.replay(log)
        if go_on:
            self.log, self.under_way = log, None

    @rule()
    def replay_everything(self) -> None:
        self.replay(Log())

    def replay(self, log: Log) -> None:
        seq = 0
        for now_ms, items in self.journal:
            log.apply(now_ms, items[max(log.seq - seq, 0) :])
            seq += len(items)
        log.check()
        assert shown(log) == shown(self.log) and ages(log) == ages(self.log)

    @invariant()
    def like_the_model(self) -> None:
        if hasattr(self, "log"):
            assert_like(self.log, self.oracle)

    def teardown(self) -> None:
        """The newest input of each player leads to all others, erased or not."""
        if not hasattr(self, "log"):
            return
        items = [item for _, batch in self.journal for item in batch]
        for player_id in PLAYERS:
            found, seq = [], self.log.newest(player_id)
            while seq:
                found.append(seq)
                assert items[seq - 1][2] == player_id
                assert previous_seq_of(erased(items[seq - 1])) == previous_seq_of(items[seq - 1])
                seq = previous_seq_of(items[seq - 1])
            assert found == self.oracle.chain(player_id)[::-1]


class MetricMachine(LogMachine):
    """A log of a metric."""

    @rule(
        asked=st.lists(metric_rows() | metric_rows() | settlings, min_size=1, max_size=8),
        body=bodies,
        batches=sizes,
    )
    def write(self, asked: list[Any], body: int, batches: list[int]) -> None:
        self.append(asked, body, batches)

    @precondition(lambda self: self.oracle.all_open())
    @rule(asked=settlings, again=st.booleans())
    def settle(self, asked: Settling, again: bool) -> None:
        self.append([asked, asked] if again else [asked], 0, [])


class EventMachine(LogMachine):
    """A log of events."""

    @rule(asked=st.lists(events(), min_size=1, max_size=8), batches=sizes)
    def write(self, asked: list[EventRow], batches: list[int]) -> None:
        self.append(asked, 0, batches)


TestMetricMachine = long(MetricMachine.TestCase)
TestMetricMachine.settings = settings(max_examples=rounds(40, 300), stateful_step_count=40, deadline=None)
TestEventMachine = long(EventMachine.TestCase)
TestEventMachine.settings = settings(max_examples=rounds(15, 100), stateful_step_count=40, deadline=None)


# Single inputs --------------------------------------------------------------------------------------------


def row(player_id: str, amount: float = 1, **other: Any) -> MetricRow:
    fields = {"kind": "award", "state": "completed", "subscore": 0, "metadata": None, "submission_id": None}
    return MetricRow(player_id=player_id, amount=amount, **(fields | {"occurred_at_ms": None} | other))


def write(log: Log, *asked: MetricRow, now_ms: int = START_MS) -> list[LogInput]:
    draft = LogDraft(log, now_ms)
    assert all(not isinstance(found, ApiError) for found in draft.rows(asked))
    log.apply(now_ms, draft.items)
    return draft.items


def test_an_empty_log_knows_nobody() -> None:
    log = Log()
    log.check()
    assert (log.balance("p1"), log.newest("p1"), log.has("p1")) == (NO_BALANCE, 0, False)
    assert (log.stats.players, log.stats.rows, log.stats.last_at_ms) == (0, 0, None)
    assert log.begin_snapshot() is None


def test_an_input_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind 8 is unknown"):
        Log().apply(START_MS, [(8, START_MS)])


def test_what_stands_in_place_of_an_erased_row_takes_its_seq_and_no_more() -> None:
    log = Log()
    gone = erased(tick(START_MS)), erased(tick(START_MS + 1))
    log.apply(START_MS, [*gone, erase(log.place("p1"), START_MS + 2), forget(log.place("p1"), START_MS + 2)])
    log.check()
    assert (log.seq, log.last_ms, log.stats.rows, log.has("p1")) == (4, START_MS + 2, 0, False)


def test_an_erased_account_leads_to_its_rows_until_it_is_let_go_of() -> None:
    log = Log()
    write(log, row("p1", 5), row("p1", 3, state="pending"), row("p2", 7))
    log.apply(START_MS, [erase(log.place("p1"), START_MS)])
    log.check()
    assert (log.has("p1"), log.newest("p1"), log.balance("p1")) == (True, 2, NO_BALANCE)
    assert log.open.pending == {}
    log.apply(START_MS, [erase(log.place("p1"), START_MS)])
    assert log.newest("p1") == 2, "an erasure is repeated"
    log.apply(START_MS, [forget(log.place("p1"), START_MS)])
    log.check()
    assert (log.has("p1"), log.newest("p1"), log.stats.players) == (False, 0, 1)
    assert log.balance("p2").balance == 7
    log.apply(START_MS, [forget(log.place("p1"), START_MS), forget(log.place("p2"), START_MS)])
    log.check()
    assert (log.has("p1"), log.balance("p2").balance) == (False, 7)


def test_rows_after_an_erasure_count_anew_and_keep_the_account() -> None:
    log = Log()
    write(log, row("p1", 5, submission_id="a"))
    log.apply(START_MS, [erase(log.place("p1"), START_MS)])
    (item,) = write(log, row("p1", 2))
    assert isinstance(item, Row) and (item.delta, item.balance, item.previous_seq) == (2, 2, 1)
    log.apply(START_MS, [forget(log.place("p1"), START_MS)])
    log.check()
    assert (log.balance("p1"), log.newest("p1")) == ((2, 2, 0, 0, 1, START_MS), 3)


def test_a_snapshot_that_is_under_way_shows_an_account_of_before_its_erasure() -> None:
    log = Log()
    write(log, row("p1", 5), row("p2", 5))
    seq, before = log.seq, shown(log)
    assert log.begin_snapshot() is not None
    log.apply(START_MS, [erase(log.place("p1"), START_MS), forget(log.place("p1"), START_MS)])
    parts: dict[str, bytes] = {}
    while more := log.next_parts(1):
        parts |= more
    log.end_snapshot(True)
    assert shown(Log.load(parts.items(), seq)) == before
    again = Log.load((parts | saved(log)).items(), log.seq)
    again.check()
    assert (again.has("p1"), shown(again)) == (False, shown(log))


def test_ids_are_forgotten_after_a_day_in_a_replay_too() -> None:
    log, journal = Log(), []
    for day in range(4):
        for number in range(4):
            now_ms = START_MS + day * (SEEN_IDS_MS + 1)
            items = write(log, row("p1", submission_id=f"{day}.{number}"), now_ms=now_ms)
            journal.append((now_ms, items))
    assert "0.0" not in log.ids and "3.0" in log.ids
    again = Log()
    for now_ms, items in journal:
        again.apply(now_ms, items)
    assert shown(again) == shown(log) and ages(again) == ages(log)


def test_the_limit_of_ids_stays_after_a_snapshot() -> None:
    log = Log(seen_ids_limit=5)
    write(log, *(row("p1", submission_id=f"id{i}") for i in range(20)))
    again = Log.load(saved(log).items(), log.seq, 5)
    for each in (log, again):
        write(each, *(row("p1", submission_id=f"more{i}") for i in range(20)))
        assert len(each.ids) <= 8
    assert shown(log) == shown(again)


# Snapshots ------------------------------------------------------------------------------------------------


def saved(log: Log) -> dict[str, bytes]:
    """What a snapshot of it writes."""
    assert log.begin_snapshot() is not None
    parts: dict[str, bytes] = {}
    while more := log.next_parts(1):
        assert not set(parts) & set(more), "a part is written once"
        parts |= more
    log.end_snapshot(True)
    return parts


def test_pending_rows_are_a_part_only_where_there_were_any_and_only_when_they_changed() -> None:
    log = Log()
    write(log, row("p1"))
    first = saved(log)
    assert set(first) == {"meta", "e:0"}
    write(log, row("p1", state="pending", metadata=b"{}"))
    second = saved(log)
    assert set(second) == {"meta", "e:0", "l:0"}
    write(log, row("p1"))
    third = saved(log)
    assert set(third) == {"meta", "e:0"}
    again = Log.load((first | second | third).items(), log.seq)
    assert shown(again) == shown(log) and again.open.pending.keys() == {2}


def test_what_a_snapshot_that_was_given_up_had_taken_is_in_the_next() -> None:
    log = Log()
    write(log, *(row(p, submission_id=f"id-{p}") for p in PLAYERS), row("p1", state="pending"))
    first = saved(log)
    write(log, row("p1", 5, submission_id="more"), row("p2", state="pending"))
    assert log.begin_snapshot() is not None
    while log.next_parts(1):
        write(log, row("p3"))
    log.end_snapshot(False)
    assert log.saved_seq == len(PLAYERS) + 1
    again = Log.load((first | saved(log)).items(), log.seq)
    again.check()
    assert shown(again) == shown(log)


def test_buckets_that_split_under_a_snapshot() -> None:
    log = Log()
    write(log, *(row(f"early{i}", i) for i in range(60)))
    before, seq = {f"early{i}": log.account(f"early{i}") for i in range(60)}, log.seq
    snapshot = log.begin_snapshot()
    parts = log.next_parts(10)
    write(log, *(row(f"{name}{i}", i) for name in ("early", "late") for i in range(200)))
    while more := log.next_parts(10):
        parts |= more
    log.end_snapshot(True)
    assert snapshot is not None and set(parts) == set(snapshot.manifest)
    again = Log.load(parts.items(), seq)
    again.check()
    assert len(again) == 60 and {p: again.account(p) for p in before} == before
    log.check()


def a_snapshot() -> tuple[dict[str, bytes], int]:
    log = Log()
    write(log, *(row(p, submission_id=f"id-{p}") for p in PLAYERS), row("p1", state="pending"))
    draft = LogDraft(log, START_MS)
    draft.settle(log.seq, complete=False, profile=None)
    draft.row(row("p2", state="pending"))
    log.apply(START_MS, draft.items)
    return saved(log), log.seq


@pytest.mark.parametrize("kind", ["meta", "e:1", "i:1", "l:0"])
def test_parts_that_are_missing_are_refused(kind: str) -> None:
    parts, seq = a_snapshot()
    Log.load(parts.items(), seq).check()
    del parts[kind]
    with pytest.raises(ValueError, match=r"meta|at seq"):
        Log.load(parts.items(), seq)


@pytest.mark.parametrize("name", ["x:0", "m:0", "l:1", "e:99", "i:99"])
def test_parts_that_are_too_many_are_refused(name: str) -> None:
    parts, seq = a_snapshot()
    body = parts["i:0"] if name[0] == "i" else pack([1])
    with pytest.raises(ValueError, match=r"unknown|at seq|twice"):
        Log.load([*parts.items(), (name, body)], seq)


def test_parts_of_another_snapshot_are_refused() -> None:
    parts, seq = a_snapshot()
    with pytest.raises(ValueError, match="at seq"):
        Log.load(parts.items(), seq + 1)
    with pytest.raises(ValueError, match="twice"):
        Log.load([*parts.items(), ("i:0", parts["i:0"])], seq)


NO_PARTS: list[Any] = [7, None, [], [1], [[1, 2], [3]], {"a": 1}, [1, ["a"], [5]], "text"]


@pytest.mark.parametrize("body", NO_PARTS)
@pytest.mark.parametrize("name", ["meta", "l:0"])
def test_a_part_that_is_none_is_refused(name: str, body: Any) -> None:
    parts, seq = a_snapshot()
    with pytest.raises((ValueError, TypeError)):
        Log.load((parts | {name: pack(body)}).items(), seq)


@pytest.mark.parametrize("name", ["meta", "e:0", "i:0", "l:0"])
@settings(deadline=None, max_examples=50)
@given(cut=st.integers(0, 2**20))
def test_a_part_that_was_cut_off_is_refused(name: str, cut: int) -> None:
    parts, seq = a_snapshot()
    body = parts[name]
    with pytest.raises((ValueError, TypeError, msgpack.UnpackException)):
        Log.load((parts | {name: body[: cut % len(body)]}).items(), seq)


def test_the_pending_rows_of_a_part_are_whole() -> None:
    parts, seq = a_snapshot()
    (seqs, rows), settled = msgpack.unpackb(parts["l:0"])
    for wrong in ([[*seqs, 99], rows], [seqs, [each[:-1] for each in rows]], [seqs, [[*rows[0], 1]]]):
        with pytest.raises((ValueError, TypeError)):
            Log.load((parts | {"l:0": pack([wrong, settled])}).items(), seq)


def test_meta_names_the_parts() -> None:
    parts, _ = a_snapshot()
    assert log_seqs(parts["meta"]).keys() == parts.keys()
    seq, segment, _, *numbers = msgpack.unpackb(parts["meta"])
    for manifest in ({}, {"e:0": 1}, ["meta"], None):
        with pytest.raises(ValueError, match="names no parts"):
            log_seqs(pack([seq, segment, manifest, *numbers]))


def test_a_loader_takes_parts_in_any_order() -> None:
    parts, seq = a_snapshot()
    loader = log_loader(1000)
    for name in sorted(parts, reverse=True):
        loader.add(name, parts[name])
    log = Log.from_parts(loader.finish(seq))
    log.check()
    assert shown(log) == shown(Log.load(parts.items(), seq))
