"""A projection's period: what it keeps of its log, when it must begin anew, and that this makes it the same.

The machine below keeps a log of its own, feeds a period from it and lets moderators act; then the period
begins anew and is fed again, with snapshots, replays and further refills in between.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lbactors.core import followed as followed_module
from lbactors.core import inputs
from lbactors.core import period as period_module
from lbactors.core.definition import LEAST_POSITIVE, Rules
from lbactors.core.followed import Act, Followed, Terms, must_refill
from lbactors.core.inputs import Input, JournalBody
from lbactors.core.model import PeriodRecord
from lbactors.core.period import FULL, NO_RANK, Applied, Period
from tests.support.rounds import long, rounds

START_MS = 1_700_000_000_000
LOG = "metric:xp"
PLAYERS = [f"p{i}" for i in range(6)]
SCORES: list[int | float] = [0, 1, 2, 3, -1, 2.5, 1.7e308]
AGGREGATIONS = ("best", "latest", "sum", "min", "max", "count")
RULES = Rules("sum", "desc", "desc", "first", "ordinal", None, None)


@pytest.fixture(autouse=True, scope="module")
def _small_sizes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(period_module, "BUCKET_ENTRIES", 2)
        yield


# A refill gives the same standings ------------------------------------------------------------------------


class Row(NamedTuple):
    """A row of the log. player_id None: it was erased."""

    seq: int
    at_ms: int
    player_id: str | None
    score: int | float
    subscore: int
    metadata: bytes | None
    occurred_at_ms: int | None

    def input(self) -> Input:
        fields = [self.player_id, self.score, self.subscore, self.metadata, None, None, None]
        if self.occurred_at_ms is None:
            return inputs.submit(fields, self.at_ms)
        return inputs.occurred(fields, self.occurred_at_ms)


def standings(period: Period) -> dict[str, Any]:
    """What a refill brings back: everything but seqs. Who was erased cannot be restored after it either, but
    for the acts that stay under another name.
    """
    ranked, below = period.ranking.page(0, 1000), [p for _, p in period.below.page(0, 1000)]
    entries = {p: period.entry(p) for names in period.players() for p in names}
    removed = [(p, row[:2], row[3:]) for p, row in period.removed.items() if p in PLAYERS]
    return {
        "order": (ranked, below),
        "entries": {p: e and (e[:2], e[3:]) for p, e in sorted(entries.items())},
        "hidden": period.hidden.copy(),
        "outside": set(period.outside),
        "removed": removed,
        "acts": [*period.followed.acts, *period.followed.pending],
    }


def shown(period: Period) -> dict[str, Any]:
    """The whole state."""
    return {
        "meta": (period.rules, period.seq, period.submissions, period.closed, period.ids.by_id),
        "standings": standings(period),
        "entries": {p: period.entry(p) for names in period.players() for p in names},
        "removed": list(period.removed.items()),
        "followed": period.followed.pack(),
    }


players = st.sampled_from(PLAYERS)
scores = st.sampled_from(SCORES)
documents = st.sampled_from([None, b"{}", b'{"level":7}'])
rows_of_a_batch = st.tuples(players, scores, st.integers(0, 1), documents, st.none() | st.integers(0, 20))


class ProjectionMachine(RuleBasedStateMachine):
    """`is_limited`: the board drops entries, so it has no hidden players and the like: whom it drops depends
    on who was hidden then.
    """

    @initialize(
        aggregation=st.sampled_from(AGGREGATIONS),
        options=st.tuples(*map(st.sampled_from, (("desc", "asc"), ("desc", "asc"), ("first", "last")))),
        style=st.sampled_from(("ordinal", "competition", "dense")),
        limit=st.none() | st.none() | st.integers(1, 4),
        floor=st.none() | st.sampled_from([LEAST_POSITIVE, 1]),
    )
    def begin(self, aggregation: Any, options: Any, style: Any, limit: int | None, floor: Any) -> None:
        self.rules = Rules(aggregation, *options, style, limit, floor)
        self.is_limited = limit is not None
        self.period = Period(self.rules)
        self.now_ms = START_MS
        self.log: list[Row] = []
        self.members_out: set[str] = set()  # who is outside the audience, with an entry or without
        self.terms = Terms(1, LOG, 0, None)
        self.journal: list[tuple[int, bytes]] = []  # first seq, body
        self.parts: dict[tuple[str, int], bytes] = {}
        self.saved: tuple[int, dict[str, int]] | None = None
        self.under_way: Any = None
        self.expected: dict[str, Any] | None = None  # of the refill that is under way
        self.anonymous = 0
        self.apply([inputs.follow(0, 0, self.now_ms, self.terms)])

    def apply(self, items: list[Input], want: int = NO_RANK) -> list[Applied]:
        self.journal.append((self.period.seq + 1, JournalBody(None, self.now_ms, items).pack()))
        return self.period.apply(self.now_ms, items, [want] * len(items))

    def marked(self, player_id: str, item: Input) -> Input:
        return inputs.outside(player_id, self.now_ms, item) if player_id in self.members_out else item

    def take(self, rows: list[Row]) -> None:
        """Feed rows, and say so."""
        items = [self.marked(r.player_id, r.input()) for r in rows if r.player_id is not None]
        self.apply([*items, inputs.follow(rows[-1].seq, rows[-1].at_ms, self.now_ms)])

    is_live = precondition(lambda self: self.expected is None)
    is_live_and_free = precondition(lambda self: self.expected is None and not self.is_limited)

    @is_live
    @rule(batch=st.lists(rows_of_a_batch, min_size=1, max_size=5))
    def feed(self, batch: list[Any]) -> None:
        self.now_ms += 7
        rows = [
            Row(len(self.log) + n, self.now_ms, *fields, None if age is None else self.now_ms - age)
            for n, (*fields, age) in enumerate(batch, 1)
        ]
        self.log += rows
        self.take(rows)

    @is_live
    @rule(
        what=st.sampled_from(("remove", "edit", "restore")), player_id=players, score=scores, data=st.data()
    )
    def moderate(self, what: str, player_id: str, score: Any, data: st.DataObject) -> None:
        self.now_ms += 3
        if what == "edit":
            subscore = data.draw(st.none() | st.integers(0, 1))
            item = inputs.edit(player_id, score, subscore, data.draw(documents | st.just(False)), self.now_ms)
        else:
            item = getattr(inputs, what)(player_id, self.now_ms)
        kept = len(self.period.followed.acts)
        (result,) = self.apply([self.marked(player_id, item)], FULL)
        acts = self.period.followed.acts
        if result.applied:
            assert acts[kept:] == [Act(LOG, len(self.log), self.now_ms, tuple(item))]
        assert len(acts) == kept + result.applied

    @is_live_and_free
    @rule(player_id=players, named=st.booleans())
    def erase(self, player_id: str, named: bool) -> None:
        """The log follows: where the entry stays, its rows stay under the other name."""
        self.anonymous += 1
        name = f"erased-{self.anonymous}"
        stays = named and self.period.entry(player_id) is not None
        if stays and player_id in self.period.outside:
            self.members_out.add(name)
        mentioned = self.period.mentions(player_id)
        (result,) = self.apply([inputs.erase(player_id, name if named else None, self.now_ms)])
        assert result.applied == mentioned and not self.period.mentions(player_id)
        self.log = [
            row
            if row.player_id != player_id
            else row._replace(player_id=name if stays else None, metadata=None)
            for row in self.log
        ]
        assert stays or not self.period.mentions(name)

    @is_live_and_free
    @rule(player_id=players, until_ms=st.sampled_from([None, START_MS + 5]), away=st.booleans())
    def hide(self, player_id: str, until_ms: int | None, away: bool) -> None:
        hide, show = inputs.hide(player_id, until_ms, self.now_ms), inputs.show(player_id, self.now_ms)
        self.apply([hide if away else show])

    @is_live_and_free
    @rule(player_id=players, out=st.booleans())
    def move(self, player_id: str, out: bool) -> None:
        """A profile changes: who has an entry is moved in every loaded period."""
        (self.members_out.add if out else self.members_out.discard)(player_id)
        if self.period.entry(player_id) is not None:
            self.apply([(inputs.outside if out else inputs.inside)(player_id, self.now_ms)])

    # Refills --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.under_way is None)
    @rule()
    def begin_refill(self) -> None:
        """Also while one is under way."""
        if self.expected is None:
            self.expected = standings(self.period)
        acts = [*self.period.followed.acts, *self.period.followed.pending]
        self.terms = self.terms._replace(generation=self.terms.generation + 1)
        self.apply([inputs.refill(0, 0, self.now_ms, self.terms)])
        followed = self.period.followed
        assert len(self.period) == self.period.submissions == self.period.moderation.hidden_entries == 0
        assert (followed.pending, followed.acts, followed.position) == (acts, [], 0)

    @precondition(lambda self: self.expected is not None)
    @rule(size=st.integers(1, 6))
    def go_on(self, size: int) -> None:
        followed = self.period.followed
        rows: list[Row] = []
        for row in self.log[followed.position :][:size]:
            if followed.is_due(row.seq, row.at_ms):
                break
            rows.append(row)
        if rows:
            self.take(rows)
        elif followed.pending:
            self.again()
        if not followed.pending and followed.position == len(self.log):
            assert standings(self.period) == self.expected
            self.expected = None

    def again(self) -> None:
        self.now_ms += 1
        player_id = self.period.followed.pending[0].player_id
        (result,) = self.apply([self.marked(player_id, inputs.again(self.now_ms))], FULL)
        assert result.applied, "what was applied at this place is applied again"

    # Snapshots ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.under_way is None)
    @rule()
    def begin_snapshot(self) -> None:
        snapshot = self.period.begin_snapshot()
        self.under_way = snapshot and (snapshot, shown(self.period))

    @precondition(lambda self: self.under_way is not None)
    @rule(committed=st.booleans())
    def end_snapshot(self, committed: bool) -> None:
        snapshot, state = self.under_way
        while parts := self.period.next_parts(3):
            self.parts |= {(name, snapshot.seq): body for name, body in parts.items()}
        self.period.end_snapshot(committed)
        self.under_way = None
        if committed:
            self.saved = snapshot.seq, snapshot.manifest
            self.parts = {key: self.parts[key] for key in snapshot.manifest.items()}
            assert shown(Period.load(*self.stored())) == state

    def stored(self) -> tuple[list[tuple[str, bytes]], int]:
        assert self.saved is not None
        seq, manifest = self.saved
        return [(name, self.parts[name, at]) for name, at in manifest.items()], seq

    @rule(whole=st.booleans(), ranked=st.booleans(), go_on=st.booleans())
    def recover(self, whole: bool, ranked: bool, go_on: bool) -> None:
        """From the snapshot or the whole journal, ranked at once or at the end."""
        if whole or self.saved is None:
            period = Period(self.rules) if ranked else Period.unranked(self.rules)
        elif ranked:
            period = Period.load(*self.stored())
        else:
            period = Period.load(*self.stored())
            period._unrank()
        for first_seq, body in self.journal:
            if first_seq > period.seq:
                _, now_ms, items = JournalBody.unpack(body)
                period.apply(now_ms, items)
        period.rank_entries()
        period.check()
        assert shown(period) == shown(self.period)
        if go_on and not whole and self.saved is not None:
            self.period, self.under_way = period, None

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "period"):
            self.period.check()

    def teardown(self) -> None:
        if not hasattr(self, "period"):
            return
        if self.under_way is not None:
            self.end_snapshot(False)
        if self.expected is None:
            self.begin_refill()
        while self.expected is not None:
            self.go_on(5)


TestProjectionMachine = long(ProjectionMachine.TestCase)
TestProjectionMachine.settings = settings(max_examples=rounds(60, 500), stateful_step_count=40, deadline=None)


def test_ties_after_a_refill_go_by_the_order_in_which_rows_are_fed() -> None:
    period = Period(RULES)
    period.apply(START_MS, [inputs.follow(0, 0, START_MS, Terms(1, LOG, 0, None))])
    a, b = (Row(n, START_MS, f"p{n}", 5, 0, None, None).input() for n in (1, 2))
    period.apply(START_MS, [a, b, inputs.close(0, 9, START_MS)])
    assert period.ranking.page(0, 9) == [(1, "p1"), (2, "p2")] and period.closed == (0, 9)
    period.apply(START_MS, [inputs.refill(0, 0, START_MS, Terms(2, LOG, 0, None)), b, a])
    assert period.ranking.page(0, 9) == [(1, "p2"), (2, "p1")] and period.closed is None


def test_a_refill_forgets_the_submission_ids() -> None:
    period = Period(RULES)
    with_id = inputs.submit(["p1", 5, 0, None, "id", None, None], START_MS)
    parts: dict[str, bytes] = {}
    for items in ([with_id], [inputs.refill(0, 0, START_MS, Terms(2, LOG, 0, None))], [with_id]):
        period.apply(START_MS, items)
        snapshot = period.begin_snapshot()
        assert snapshot is not None
        parts = {
            name: body for name, body in (parts | period.next_parts(100)).items() if name in snapshot.manifest
        }
        period.end_snapshot(committed=True)
        loaded = Period.load(parts.items(), period.seq)
        loaded.check()
        assert loaded.ids.by_id == period.ids.by_id
    assert period.ids.by_id == {"id": 3} and period.submissions == 1


def test_only_a_projection_has_the_part() -> None:
    """So that older versions read the snapshots of all others."""
    period = Period(RULES)
    names = []
    row = Row(1, START_MS, "p1", 5, 0, None, None).input()
    for items in ([row, inputs.edit("p1", 6, None, False, 3)], [inputs.follow(1, 5, 9)], [row], [row]):
        period.apply(START_MS, items)
        assert period.begin_snapshot() is not None
        names.append("f:0" in period.next_parts(1000))
        period.end_snapshot(committed=True)
    assert names == [False, True, False, False], "written when it changed"
    assert not period.followed.acts


# What is kept ---------------------------------------------------------------------------------------------


def following(position: int = 0, read_ms: int = 0, terms: Terms = Terms(1, LOG, 0, None)) -> Followed:  # noqa: B008
    followed = Followed()
    followed.follow(position, read_ms, terms)
    return followed


def test_a_position_goes_back_only_under_another_reading() -> None:
    followed = following(7, 70)
    followed.follow(5, 50)
    assert (followed.position, followed.read_ms) == (7, 70)
    followed.follow(6, 60, Terms(1, LOG, 0, 900))
    assert (followed.position, followed.read_ms, followed.terms) == (7, 70, Terms(1, LOG, 0, 900))
    followed.follow(2, 20, Terms(1, "events", 0, 900))
    assert (followed.position, followed.read_ms) == (2, 20)
    followed.check()


def test_the_oldest_acts_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_module, "ACTS_KEPT", 4)
    followed = following()
    for at_ms in range(6):
        followed.keep(inputs.remove("p1", at_ms))
        followed.check()
    assert [act.at_ms for act in followed.acts] == [2, 3, 4, 5]
    followed.refill(0, 0, Terms(2, LOG, 0, None))
    followed.keep(inputs.remove("p1", 6))
    followed.keep(inputs.remove("p1", 7))
    followed.check()
    assert [[act.at_ms for act in acts] for acts in (followed.acts, followed.pending)] == [[7], [3, 4, 5]]


def test_a_refill_of_a_refill_does_all_acts_again_in_their_order() -> None:
    followed = following()
    for at_ms in range(3):
        followed.keep(inputs.remove("p1", at_ms))
    followed.refill(0, 0, Terms(2, LOG, 0, None))
    followed.done_again()
    followed.keep(inputs.remove("p1", 9))
    assert [[act.at_ms for act in acts] for acts in (followed.acts, followed.pending)] == [[0, 9], [1, 2]]
    followed.refill(0, 0, Terms(3, LOG, 0, None))
    assert [act.at_ms for act in followed.pending] == [0, 9, 1, 2] and not followed.acts
    followed.check()


def test_acts_of_another_log_are_due_by_their_time() -> None:
    followed = following(40)
    followed.keep(inputs.remove("p1", START_MS))
    followed.refill(0, 0, Terms(2, LOG, 0, None))
    assert [followed.is_due(seq, START_MS + 5) for seq in (40, 41)] == [False, True]
    followed.refill(0, 0, Terms(3, "events", 0, None))
    assert [followed.is_due(1, START_MS + ms) for ms in (-1, 0)] == [False, True]
    assert not Followed().is_due(1, START_MS)


def test_an_erased_player_is_in_no_act() -> None:
    followed = following()
    followed.keep(inputs.edit("p1", 5, 1, b'"p1"', 3))
    followed.refill(0, 0, Terms(2, LOG, 0, None))
    followed.keep(inputs.edit("p1", 6, None, False, 4))
    followed.keep(inputs.remove("p2", 5))
    followed.changed = False
    assert not followed.forget("p3", None) and not followed.changed
    assert followed.forget("p1", "erased-1") and followed.changed
    assert [act.input[2:] for act in followed.pending] == [("erased-1", 5, 1, None)]
    assert [act.input[2:] for act in followed.acts] == [("erased-1", 6, None, False), ("p2",)]
    assert b"p1" not in followed.pack()
    assert followed.forget("erased-1", None) and followed.forget("p2", "erased-2")
    assert [act.input for act in followed.acts] == [(inputs.REMOVE, 5, "erased-2")] and not followed.pending
    followed.check()


def test_the_part_is_read_as_it_is_written() -> None:
    followed = following(7, 70, Terms(1, LOG, 2, 900, ((3, 4), (5, None))))
    followed.keep(inputs.restore("p1", 3))
    followed.refill(1, 10, Terms(2, LOG, 2, None, ((3, 4),)))
    followed.keep(inputs.edit("p1", 5, None, b"{}", 4))
    body = followed.pack()
    assert msgpack.unpackb(body) == [
        [2, LOG, 2, None, [[3, 4]]],
        1,
        10,
        [[LOG, 1, 4, [inputs.EDIT, 4, "p1", 5, None, b"{}"]]],
        [[LOG, 7, 3, [inputs.RESTORE, 3, "p1"]]],
        True,
    ]
    loaded = Followed()
    loaded.unpack(body)
    assert loaded.pack() == body and loaded.is_used and not loaded.changed
    assert (loaded.terms, loaded.acts, loaded.pending) == (followed.terms, followed.acts, followed.pending)
    for fields in ([], [[1, 2], 0, 0, [], [], False], [None, 0, 0, [[1]], [], False]):
        damaged = msgpack.packb(fields)
        with pytest.raises((ValueError, TypeError)):
            Followed().unpack(damaged)


def test_what_an_again_without_pending_acts_does() -> None:
    period = Period(RULES)
    (result,) = period.apply(START_MS, [inputs.again(START_MS)], [FULL])
    assert result == Applied(False, None, None, None, None, 1, False, None)
    assert not period.followed.is_used


def test_an_act_that_does_not_apply_any_more_is_kept_for_a_later_refill() -> None:
    period = Period(RULES)
    row = Row(1, START_MS, "p1", 5, 0, None, None).input()
    first, *others = (Terms(n, LOG, 0, None) for n in range(1, 4))
    period.apply(START_MS, [inputs.follow(0, 0, START_MS, first), row, inputs.edit("p1", 9, None, False, 3)])
    period.apply(START_MS, [inputs.refill(0, 0, START_MS, others[0])])
    (result,) = period.apply(START_MS, [inputs.again(START_MS)], [FULL])
    assert (result.applied, result.error) == (False, "entry_not_found")
    period.apply(START_MS, [inputs.refill(0, 0, START_MS, others[1]), row, inputs.again(START_MS)])
    entry = period.entry("p1")
    assert entry is not None and entry.score == 9 and not period.followed.pending
    period.check()


def test_an_again_says_who_is_outside_now() -> None:
    period = Period(RULES)
    row = Row(1, START_MS, "p1", 5, 0, None, None).input()
    acts = [inputs.outside("p1", START_MS, act("p1", START_MS)) for act in (inputs.remove, inputs.restore)]
    period.apply(START_MS, [inputs.follow(0, 0, START_MS, Terms(1, LOG, 0, None)), row, *acts])
    assert set(period.outside) == {"p1"}
    again = inputs.again(START_MS)
    for generation, restore in enumerate((again, inputs.outside("p1", START_MS, again)), 2):
        period.apply(START_MS, [inputs.refill(0, 0, START_MS, Terms(generation, LOG, 0, None)), row, again])
        assert len(period) == 0 and list(period.removed) == ["p1"]
        (result,) = period.apply(START_MS, [restore], [FULL])
        assert result.applied and period.is_left_out("p1") == (restore is not again)
        assert result.rank == (1 if restore is again else None)
        period.check()


# When it must begin anew ----------------------------------------------------------------------------------

RECORD = PeriodRecord(1, "all", None, None, False, 0, 0, 0)
TERMS = Terms(1, LOG, 0, None)


def judged(before: Terms, now: Terms, read_ms: int, record: PeriodRecord = RECORD, grace_ms: int = 0) -> bool:
    return must_refill(following(1, read_ms, before), record, now, grace_ms)


def test_what_was_never_fed_is_not_refilled() -> None:
    assert not must_refill(Followed(), RECORD, TERMS, 0)
    assert not judged(TERMS, TERMS, 100)


@pytest.mark.parametrize("other", [{"generation": 2}, {"log_id": "events"}, {"reopened": 1}])
def test_another_reading(other: dict[str, Any]) -> None:
    assert judged(TERMS, TERMS._replace(**other), 0)
    sealed = RECORD._replace(ends_at_ms=9, sealed=True)
    assert not judged(TERMS, TERMS._replace(**other), 0, sealed), "only where that is asked for"


@pytest.mark.parametrize(("before", "now"), [(100, 200), (200, 100), (None, 100), (100, None)])
def test_another_end(before: int | None, now: int | None) -> None:
    terms = TERMS._replace(ends_at_ms=before), TERMS._replace(ends_at_ms=now)
    assert not judged(*terms, 99)
    assert judged(*terms, 100) and judged(*terms, 300)


@pytest.mark.parametrize(
    ("before", "now", "first_ms"),
    [
        ((), ((10, 20),), 10),  # rows were taken that came in a pause
        ((), ((10, None),), 10),
        (((10, 20),), (), 10),  # rows were left out
        (((10, None),), ((10, 20),), 20),  # it ended: rows after it were left out, if any was read
        (((10, 20),), ((10, 30),), 20),
        (((10, 20), (30, None)), ((10, 20), (30, 40), (50, None)), 40),
        (((10, 20),), ((15, 20),), 10),
        (((10, 20), (30, 40)), ((10, 20), (30, 40)), None),
        (((10, 20), (20, 30)), ((10, 30),), None),  # the same instants
    ],
)
def test_other_pauses(before: Any, now: Any, first_ms: int | None) -> None:
    terms = TERMS._replace(pauses=before), TERMS._replace(pauses=now)
    found = [read_ms for read_ms in range(60) if judged(*terms, read_ms)]
    assert found == ([] if first_ms is None else list(range(first_ms, 60)))


def test_pauses_against_a_look_at_every_instant() -> None:
    rng = random.Random(5)

    def some() -> tuple[tuple[int, int | None], ...]:
        bounds: list[int | None] = [*sorted(rng.sample(range(30), 2 * rng.randrange(4)))]
        if bounds and rng.random() < 0.4:
            bounds[-1] = None
        return tuple((bounds[i] or 0, bounds[i + 1]) for i in range(0, len(bounds), 2))

    def held(pauses: tuple[tuple[int, int | None], ...], ms: int) -> bool:
        return any(begin <= ms < (60 if end is None else end) for begin, end in pauses)

    for _ in range(500):
        one, read_ms = some(), rng.randrange(40)
        other = one[: rng.randrange(4)] if rng.random() < 0.3 else some()
        differs = any(held(one, ms) != held(other, ms) for ms in range(read_ms + 1))
        assert judged(TERMS._replace(pauses=one), TERMS._replace(pauses=other), read_ms) == differs, (
            one,
            other,
        )


def test_a_pause_beyond_the_period_changes_nothing() -> None:
    record = RECORD._replace(starts_at_ms=100, ends_at_ms=200)
    before = TERMS._replace(ends_at_ms=200)

    def with_pause(from_ms: int, to_ms: int | None, *, forced: bool = False) -> bool:
        now = before._replace(pauses=((from_ms, to_ms),))
        return judged(before, now, 1000, record._replace(forced=forced), grace_ms=50)

    assert not with_pause(10, 100) and with_pause(10, 101)
    assert with_pause(249, None) and not with_pause(250, None)
    assert with_pause(199, None, forced=True) and not with_pause(200, None, forced=True)
