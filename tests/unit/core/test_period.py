"""A period against the naive model of `oracle`, with snapshots and replays at any moment.

The sizes at which buckets split and id segments end are shrunk, so a dozen players see many of both.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lbactors.core import period as period_module
from lbactors.core import period_moderation as moderating_module
from lbactors.core import seen_ids as seen_ids_module
from lbactors.core.definition import LEAST_POSITIVE, Rules
from lbactors.core.inputs import (
    AGAIN,
    CONFIGURE,
    EDIT,
    ERASE,
    FOLLOW,
    HIDE,
    IMPORT,
    INHERIT,
    INSIDE,
    OCCURRED,
    OUTSIDE,
    REFILL,
    REMOVE,
    RESTORE,
    SHOW,
    SUBMISSIONS,
    SUBMIT,
    TAGGED,
    told_kind,
)
from lbactors.core.numbers import check_number
from lbactors.core.period import FULL, NO_RANK, RANK, Applied, Period
from lbactors.core.seen_ids import SEEN_IDS_MS, SeenIds
from lbactors.core.snapshot_parts import period_loader
from tests.support.period_oracle import Options, Oracle, Told
from tests.support.rounds import long, rounds

START_MS = 1_700_000_000_000
AGGREGATIONS = ("best", "latest", "sum", "min", "max", "count")
PLAYERS = [f"p{i}" for i in range(10)]
SCORES: list[int | float] = [0, 1, 2, 3, -1, 2.5, 1.5e300, 1.7e308, -1.7e308]
IDS = [f"id{i}" for i in range(12)]
ORDERS, TIES, STYLES = ("desc", "asc"), ("first", "last"), ("ordinal", "competition", "dense")
TAG = {SUBMIT: [], TAGGED: [7], OCCURRED: [0]}  # what follows the fields of a submission
REMOVED_KEPT = 3
PLAIN: list[Any] = [None, None, None]  # no metadata, no id, the board's aggregation


@pytest.fixture(autouse=True, scope="module")
def _small_sizes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(period_module, "BUCKET_ENTRIES", 2)
        patch.setattr(seen_ids_module, "ID_SEGMENT", 3)
        patch.setattr(moderating_module, "REMOVED_KEPT", REMOVED_KEPT)
        yield


def rules_of(options: Options) -> Rules:
    return Rules(*options)  # type: ignore[arg-type]


def shown(period: Period) -> dict[str, Any]:
    """All of a period's state that anybody can see."""
    ranked = period.ranking.page(0, len(period))
    below = [player_id for _, player_id in period.below.page(0, len(period))]
    hidden = [p for p in period.hidden if period.entry(p) is not None]
    entries = {p: period.entry(p) for p in [*(p for _, p in ranked), *below, *hidden]}
    assert len(entries) == len(period) and None not in entries.values()
    return {
        "meta": (period.rules, period.seq, period.submissions),
        "order": (ranked, below),
        "entries": entries,
        "moderation": (dict(period.hidden), list(period.removed.items()), list(period.outside)),
        "ids": dict(period.ids.by_id),
        "segments": [(n, list(s.ids), list(s.seqs)) for n, s in period.ids.segments.items()],
        "distribution": period.ranking.distribution(3),
        "closed": period.closed,
        "followed": period.followed.pack(),
    }


def tell(oracle: Oracle, item: list[Any]) -> Told:
    """Give the model the same input."""
    told = told_of(oracle, item)
    if item[0] in (REMOVE, EDIT, RESTORE) and told.applied and oracle.follows:
        oracle.acts.append(item)
    return told


def told_of(oracle: Oracle, item: list[Any]) -> Told:
    if item[0] in SUBMISSIONS:
        return oracle.submit(*item[1:8], occurred=item[0] == OCCURRED)
    if item[0] == CONFIGURE:
        return oracle.configure(Options(*item[2]))
    if item[0] == INHERIT:
        return oracle.inherit(item[3])
    if item[0] == OUTSIDE:
        inner = item[3]
        return oracle.put_outside(item[2], None if inner is None else lambda: tell(oracle, inner))
    if item[0] == INSIDE:
        return oracle.put_inside(item[2])
    if item[0] == HIDE:
        return oracle.hide(*item[2:])
    if item[0] == SHOW:
        return oracle.show(item[2])
    if item[0] == EDIT:
        return oracle.edit(*item[1:])
    if item[0] == RESTORE:
        return oracle.restore(item[2])
    if item[0] == FOLLOW:
        return oracle.follow()
    if item[0] == REFILL:
        return oracle.refill()
    if item[0] == AGAIN:
        return oracle.again(lambda act: told_of(oracle, act))
    if item[0] == IMPORT:
        return oracle.import_entry(*item[2:])
    return oracle.erase(item[2], item[3]) if item[0] == ERASE else oracle.remove(item[2])


def assert_same_answer(result: Applied, told: Told, kind: int, want: int) -> None:
    assert (result.applied, result.seq, result.duplicate) == (told.applied, told.seq, told.duplicate)
    if kind in SUBMISSIONS:
        assert (result.error is not None) == told.refused
    else:
        assert result.error == told.error
    for found, expected in ((result.entry, told.entry), (result.previous, told.previous)):
        fields = None if expected is None else tuple(vars(expected).values())
        assert (None if found is None else tuple(found)) == fields
    if kind in SUBMISSIONS and told.duplicate:
        assert (result.rank, result.previous_rank) == ((told.rank, told.rank) if want else (None, None))
    elif kind in SUBMISSIONS:
        assert result.rank == (told.rank if want else None)
        assert result.previous_rank == (told.previous_rank if want == FULL else None)
    elif kind == REMOVE:
        assert result.previous_rank == told.previous_rank
    elif kind in (EDIT, RESTORE):
        assert (result.rank, result.previous_rank) == (told.rank, told.previous_rank)


def assert_same_standings(period: Period, oracle: Oracle) -> None:
    period.check()
    ranks = oracle.ranks()
    assert period.ranking.page(0, 1000) == [(rank, player_id) for player_id, rank in ranks.items()]
    assert [p for _, p in period.below.page(0, 1000)] == oracle.order(ranked=False)
    assert (period.total, len(period)) == (len(ranks), len(oracle.standings))
    assert (period.seq, period.submissions) == (oracle.seq, oracle.submissions)
    assert (period.hidden, period.outside.keys()) == (oracle.hidden, oracle.outside)
    assert {p: tuple(vars(s).values()) for p, s in oracle.removed.items()} == period.removed
    assert list(oracle.removed) == list(period.removed)
    assert [list(act.input) for act in period.followed.acts] == oracle.acts
    assert [list(act.input) for act in period.followed.pending] == oracle.pending
    for player_id in [*oracle.standings, *PLAYERS]:
        standing = oracle.standings.get(player_id)
        entry = period.entry(player_id)
        assert entry is None or entry.first_at_ms <= entry.updated_at_ms
        assert (entry and tuple(entry)) == (standing and tuple(vars(standing).values()))
        assert period.rank(player_id) == ranks.get(player_id)


def submission(rng: random.Random, at_ms: int) -> list[Any]:
    score = rng.choice(SCORES if rng.random() < 0.3 else SCORES[:6])
    submission_id = rng.choice(IDS) if rng.random() < 0.3 else None
    how = rng.choice(AGGREGATIONS) if rng.random() < 0.1 else None
    metadata = rng.choice([None, b"{}"])
    kind, at_ms = rng.choice([(SUBMIT, at_ms), (OCCURRED, at_ms - rng.randrange(20))])
    item = [kind, at_ms, rng.choice(PLAYERS), score, rng.randrange(2), metadata, submission_id, how]
    return [*item, *TAG[kind]]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_every_combination_of_options(aggregation: str, style: str) -> None:
    for combination in product(ORDERS, ORDERS, TIES, [style], (None, 4), (None, 1)):
        options = Options(aggregation, *combination)
        rng = random.Random(str(options))  # the parameters are the seed
        period, oracle = Period(rules_of(options)), Oracle(options)
        for step in range(40):
            item, want = submission(rng, START_MS + step), rng.choice((NO_RANK, RANK, FULL))
            (result,) = period.apply(START_MS + step, [item], [want])
            assert_same_answer(result, tell(oracle, item), SUBMIT, want)
            if step % 8 == 7:
                assert_same_standings(period, oracle)


# Any inputs, with snapshots and replays in between --------------------------------------------------------

players = st.sampled_from(PLAYERS)
scores = st.sampled_from(SCORES)
limits = st.none() | st.integers(1, 8)
floors = st.none() | st.sampled_from([0, LEAST_POSITIVE, 1, 2.5])
option_sets = st.builds(
    Options, *map(st.sampled_from, (AGGREGATIONS, ORDERS, ORDERS, TIES, STYLES)), limits, floors
)
documents = st.sampled_from([None, b"{}", b'{"level":7}'])
hows = st.none() | st.none() | st.sampled_from(AGGREGATIONS)
submissions = st.tuples(players, scores, st.integers(0, 1), documents, st.none() | st.sampled_from(IDS), hows)
wants = st.sampled_from((NO_RANK, RANK, FULL))
ages_ms = st.integers(0, 40)
terms_sets = st.none() | st.sampled_from(
    [
        [1, "metric:xp", 0, START_MS + 90, []],
        [1, "metric:xp", 0, None, [[START_MS, START_MS + 9], [START_MS + 20, None]]],
        [2, "events", 1, None, []],
    ]
)


class PeriodMachine(RuleBasedStateMachine):
    """Inputs in batches; at most one snapshot under way; the parts that a store would hold."""

    @initialize(options=option_sets)
    def begin(self, options: Options) -> None:
        self.first_options = options
        self.period, self.oracle = Period(rules_of(options)), Oracle(options, REMOVED_KEPT)
        self.now_ms = START_MS
        self.journal: list[tuple[int, int, list[Any]]] = []  # first seq, server time, inputs
        self.parts: dict[tuple[str, int], bytes] = {}
        self.saved: tuple[int, Any, dict[str, int]] | None = None  # the snapshot in force and what it shows
        self.under_way: tuple[dict[str, Any], Any] | None = None
        self.anonymous = 0

    def apply(self, inputs: list[Any], want: list[int]) -> None:
        self.journal.append((self.period.seq + 1, self.now_ms, inputs))
        results = self.period.apply(self.now_ms, inputs, want)
        for item, result, wanted in zip(inputs, results, want, strict=True):
            assert_same_answer(result, tell(self.oracle, item), told_kind(item), wanted)

    @rule(
        batch=st.lists(
            st.tuples(st.sampled_from(list(TAG)), ages_ms, submissions, wants),
            min_size=1,
            max_size=6,
        ),
        outside=st.sets(players, max_size=5),
    )
    def submit(self, batch: list[Any], outside: set[str]) -> None:
        self.now_ms += 7
        items = [[kind, self.now_ms - age_ms, *item, *TAG[kind]] for kind, age_ms, item, _ in batch]
        marked = [[OUTSIDE, i[1], i[2], i] if i[2] in outside else i for i in items]
        self.apply(marked, [want for *_, want in batch])

    @rule(player_id=players)
    def put_outside(self, player_id: str) -> None:
        self.apply([[OUTSIDE, self.now_ms, player_id, None]], [FULL])

    @rule(player_id=players)
    def put_inside(self, player_id: str) -> None:
        self.apply([[INSIDE, self.now_ms, player_id]], [FULL])

    @rule(player_id=players, erase=st.booleans(), named=st.booleans())
    def take_out(self, player_id: str, erase: bool, named: bool) -> None:
        self.anonymous += 1
        name = f"anonymous-{self.anonymous}" if named else None
        item = [ERASE, self.now_ms, player_id, name] if erase else [REMOVE, self.now_ms, player_id]
        self.apply([item], [FULL])

    @rule(player_id=players, until_ms=st.sampled_from([None, START_MS + 5, START_MS + 9]))
    def hide(self, player_id: str, until_ms: int | None) -> None:
        self.apply([[HIDE, self.now_ms, player_id, until_ms]], [FULL])

    @rule(player_id=players)
    def show(self, player_id: str) -> None:
        self.apply([[SHOW, self.now_ms, player_id]], [FULL])

    @rule(
        player_id=players,
        score=scores,
        subscore=st.none() | st.integers(0, 1),
        metadata=documents | st.just(False),
    )
    def edit(self, player_id: str, score: Any, subscore: Any, metadata: Any) -> None:
        self.now_ms += 3
        self.apply([[EDIT, self.now_ms, player_id, score, subscore, metadata]], [FULL])

    @rule(player_id=players, outside=st.booleans())
    def restore(self, player_id: str, outside: bool) -> None:
        self.apply([self.marked([RESTORE, self.now_ms, player_id], outside)], [FULL])

    @staticmethod
    def marked(item: list[Any], outside: bool) -> list[Any]:
        return [OUTSIDE, item[1], item[2], item] if outside else item

    @rule(
        player_id=players,
        score=scores,
        subscore=st.integers(0, 1),
        metadata=documents,
        submissions=st.integers(1, 3),
        replace=st.booleans(),
        outside=st.booleans(),
    )
    def import_entry(
        self,
        player_id: str,
        score: Any,
        subscore: int,
        metadata: Any,
        submissions: int,
        replace: bool,
        outside: bool,
    ) -> None:
        standing = [player_id, score, subscore, metadata, submissions, START_MS - 9, START_MS - 5]
        item = self.marked([IMPORT, self.now_ms, *standing, replace], outside)
        self.apply([item], [FULL])
        self.apply([item], [FULL])

    @rule(limit=limits, floor=floors, style=st.sampled_from(STYLES))
    def configure(self, limit: int | None, floor: float | None, style: Any) -> None:
        rules = self.period.rules._replace(max_entries=limit, min_score=floor, rank_style=style)
        self.apply([[CONFIGURE, self.now_ms, list(rules)]], [NO_RANK])

    @precondition(lambda self: not len(self.period))
    @rule(options=option_sets)
    def reorder(self, options: Options) -> None:
        self.apply([[CONFIGURE, self.now_ms, list(options)]], [NO_RANK])

    @rule(ids=st.lists(st.sampled_from([*IDS, "old0", "old1"]), unique=True, max_size=5))
    def inherit(self, ids: list[str]) -> None:
        self.apply([[INHERIT, self.now_ms, self.now_ms - 1000, ids]], [NO_RANK])

    @rule(position=st.integers(0, 20), terms=terms_sets)
    def follow(self, position: int, terms: Any) -> None:
        known = self.period.followed.terms
        told = [] if known is not None and terms is None else [terms or [1, "metric:xp", 0, None, []]]
        self.apply([[FOLLOW, self.now_ms, position, self.now_ms, *told]], [NO_RANK])

    @precondition(lambda self: self.under_way is None and self.period.followed.is_used)
    @rule(position=st.integers(0, 9))
    def refill(self, position: int) -> None:
        terms = [2, "metric:xp", 0, None, []]
        self.apply([[REFILL, self.now_ms, position, self.now_ms - 5, terms]], [NO_RANK])

    @precondition(lambda self: self.period.followed.pending)
    @rule(outside=st.booleans())
    def again(self, outside: bool) -> None:
        item = [AGAIN, self.now_ms]
        player_id = self.period.followed.pending[0].player_id
        self.apply([[OUTSIDE, self.now_ms, player_id, item] if outside else item], [FULL])

    @precondition(lambda self: self.under_way is None)
    @rule()
    def begin_snapshot(self) -> None:
        snapshot = self.period.begin_snapshot()
        assert (snapshot.seq if snapshot else self.period.saved_seq) == self.period.seq
        self.under_way = (shown(self.period), snapshot) if snapshot else None

    @precondition(lambda self: self.under_way is not None)
    @rule(rows=st.integers(1, 6))
    def next_parts(self, rows: int) -> None:
        self.take_parts(rows)

    def take_parts(self, rows: int) -> bool:
        assert self.under_way is not None
        parts = self.period.next_parts(rows)
        self.parts.update({(name, self.under_way[1].seq): body for name, body in parts.items()})
        return bool(parts)

    @precondition(lambda self: self.under_way is not None)
    @rule(committed=st.booleans())
    def end_snapshot(self, committed: bool) -> None:
        assert self.under_way is not None
        while committed and self.take_parts(3):
            pass
        state, snapshot = self.under_way
        self.period.end_snapshot(committed)
        self.under_way = None
        if committed:
            self.saved = snapshot.seq, state, snapshot.manifest
            kept = set(snapshot.manifest.items())  # a store deletes the parts that no manifest names
            self.parts = {key: body for key, body in self.parts.items() if key in kept}
            self.load()

    def loaded(self) -> Period:
        """What the snapshot's parts show, not ranked yet."""
        assert self.saved is not None
        saved_seq, _, manifest = self.saved
        parts = [(name, self.parts[name, seq]) for name, seq in manifest.items()]
        random.Random(saved_seq).shuffle(parts)
        loader = period_loader()
        for part in parts:
            loader.add(*part)
        return Period.from_parts(loader.finish(saved_seq))

    def load(self) -> Period:
        period = self.loaded()
        period.rank_entries()
        period.check()
        assert self.saved is not None and shown(period) == self.saved[1]
        assert period.begin_snapshot() is None, "what was just loaded is saved already"
        return period

    @precondition(lambda self: self.saved is not None)
    @rule(ranked=st.booleans(), go_on=st.booleans())
    def recover(self, ranked: bool, go_on: bool) -> None:
        """Snapshot and the journal after it give the live state; work may go on with the recovered one."""
        period = self.load() if ranked else self.loaded()
        self.replay(period)
        if go_on:
            self.period, self.under_way = period, None

    @rule(ranked=st.booleans())
    def replay_everything(self, ranked: bool) -> None:
        rules = rules_of(self.first_options)
        self.replay(Period(rules) if ranked else Period.unranked(rules))

    def replay(self, period: Period) -> None:
        for first_seq, now_ms, inputs in self.journal:
            if first_seq > period.seq:
                period.apply(now_ms, inputs)
        period.rank_entries()
        period.check()
        assert shown(period) == shown(self.period)

    @invariant()
    def like_the_model(self) -> None:
        if hasattr(self, "period"):
            assert_same_standings(self.period, self.oracle)
            assert self.period.ids.by_id == self.oracle.seen


TestPeriodMachine = long(PeriodMachine.TestCase)
TestPeriodMachine.settings = settings(max_examples=rounds(30, 240), stateful_step_count=40, deadline=None)


# Snapshots ------------------------------------------------------------------------------------------------


def submit_all(period: Period, name: str, count: int) -> None:
    items = [[SUBMIT, START_MS, f"{name}{i}", i, 0, None, f"id-{name}{i}", None] for i in range(count)]
    period.apply(START_MS, items)


def test_buckets_that_split_under_a_snapshot() -> None:
    period = Period(rules_of(Options()))
    submit_all(period, "early", 60)
    before = shown(period)
    snapshot = period.begin_snapshot()
    assert snapshot is not None and len([n for n in snapshot.manifest if n.startswith("e:")]) == 30
    parts = period.next_parts(10)
    submit_all(period, "late", 300)  # each bucket splits again
    while more := period.next_parts(10):
        assert not set(parts) & set(more), "a part is written once"
        parts |= more
    period.end_snapshot(True)
    assert set(parts) == set(snapshot.manifest)
    assert shown(Period.load(parts.items(), snapshot.seq)) == before
    period.check()


def test_a_snapshot_writes_only_what_changed() -> None:
    period = Period(rules_of(Options()))
    submit_all(period, "p", 100)
    assert period.begin_snapshot() is not None
    parts: dict[str, bytes] = {}
    while more := period.next_parts(1):
        assert sum(name[0] == "e" for name in more) <= 1
        parts |= more
    period.end_snapshot(True)
    period.apply(START_MS, [[SUBMIT, START_MS, "p7", 1000, 0, *PLAIN]])
    second = period.begin_snapshot()
    written = period.next_parts(1000)
    assert second is not None and period.next_parts(1000) == {}
    period.end_snapshot(True)
    (bucket,) = set(written) - {"meta"}
    assert {n for n, seq in second.manifest.items() if seq == second.seq} == {"meta", bucket}
    assert shown(Period.load((parts | written).items(), second.seq)) == shown(period)
    with pytest.raises(ValueError, match=f"seq {second.seq}"):
        Period.load(parts.items(), second.seq)


def saved(period: Period) -> tuple[dict[str, int], dict[str, bytes]]:
    """A whole snapshot: manifest and the parts that were written."""
    snapshot = period.begin_snapshot()
    assert snapshot is not None
    parts: dict[str, bytes] = {}
    while more := period.next_parts(1000):
        parts |= more
    period.end_snapshot(True)
    return snapshot.manifest, parts


def test_moderation_is_a_part_of_its_own_only_where_there_was_any() -> None:
    """So a snapshot of a period without it is what older versions wrote, and those load."""
    period = Period(rules_of(Options()))
    submit_all(period, "p", 4)
    manifest, parts = saved(period)
    assert {name.partition(":")[0] for name in manifest} == {"meta", "e", "i"}
    period.apply(START_MS, [[HIDE, START_MS, "p1", None], [REMOVE, START_MS, "p2"]])
    first_manifest, first = saved(period)
    period.apply(START_MS, [[SUBMIT, START_MS, "p3", 1000, 0, *PLAIN]])
    second_manifest, second = saved(period)
    assert "m:0" in first and "m:0" not in second, "written when it changed"
    assert second_manifest["m:0"] == first_manifest["m:0"]
    loaded = Period.load((parts | first | second).items(), period.seq)
    assert shown(loaded) == shown(period) and loaded.hidden == {"p1": None}
    assert list(loaded.removed) == ["p2"]
    loaded.apply(START_MS, [[SHOW, START_MS, "p1"], [RESTORE, START_MS, "p2"]])
    assert loaded.total == 4
    loaded.check()


# Numbers --------------------------------------------------------------------------------------------------

doubles = st.floats(allow_nan=False, allow_infinity=False)
numbers = (st.integers(-(2**53), 2**53) | doubles).map(check_number)


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=12))
def test_sums_are_exact_up_to_2_53_and_round_as_doubles_beyond(summands: list[int | float]) -> None:
    options = Options("sum")
    period, oracle = Period(rules_of(options)), Oracle(options)
    for summand in summands:
        item = [SUBMIT, START_MS, "p1", summand, 0, *PLAIN]
        (result,) = period.apply(START_MS, [item], [FULL])
        assert_same_answer(result, tell(oracle, item), SUBMIT, FULL)
    period.check()


@pytest.mark.parametrize("how", ["sum", "count"])
@pytest.mark.parametrize("first", [2**53, -(2**53), 0.5, -1e-300, 1.5e300])
def test_a_stored_score_is_in_the_form_in_which_it_is_answered(how: str, first: float) -> None:
    """An int where integral and within ±2^53, else a double: nothing else survives JSON and back."""
    period = Period(rules_of(Options("latest")))
    for score, rule_ in ((first, "latest"), (1, how)):
        period.apply(START_MS, [[SUBMIT, START_MS, "p1", score, 0, None, None, rule_]])
    entry = period.entry("p1")
    assert entry is not None and entry.score == first + 1.0
    assert (
        repr(entry.score)
        == repr(period.ranking.distribution(1)["max"])
        == repr(check_number(float(entry.score)))
    )


# Times ----------------------------------------------------------------------------------------------------


def entry_after(aggregation: str, *items: tuple[int, int, int]) -> Any:
    """The entry of p1 after submissions: kind, seconds after the start, score."""
    period = Period(rules_of(Options(aggregation)))
    period.apply(START_MS, [[k, START_MS + s * 1000, "p1", n, 0, *PLAIN, *TAG[k]] for k, s, n in items])
    return period.entry("p1")


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_first_time_is_the_earliest_and_the_update_the_latest(aggregation: str) -> None:
    entry = entry_after(aggregation, (SUBMIT, 60, 5), (OCCURRED, 20, 5), (OCCURRED, 40, 5))
    assert (entry.first_at_ms, entry.updated_at_ms) == (START_MS + 20_000, START_MS + 60_000)
    assert entry.submissions == 3


def test_what_a_rule_keeps_out_is_no_update_but_may_be_the_first() -> None:
    entry = entry_after("best", (SUBMIT, 60, 5), (OCCURRED, 20, 4), (SUBMIT, 90, 4))
    assert (entry.first_at_ms, entry.updated_at_ms) == (START_MS + 20_000, START_MS + 60_000)


def test_an_edit_is_an_update_though_the_clock_was_set_back() -> None:
    period = Period(rules_of(Options("latest")))
    edit = [EDIT, START_MS - 9, "p1", 6, None, None]
    period.apply(START_MS, [[SUBMIT, START_MS, "p1", 5, 0, *PLAIN], edit])
    entry = period.entry("p1")
    assert entry is not None and (entry.score, entry.updated_at_ms) == (6, START_MS)


@pytest.mark.parametrize(
    ("items", "score"),
    [
        ([(SUBMIT, 60, 5), (OCCURRED, 20, 7)], 5),  # an older one that arrives later
        ([(OCCURRED, 30, 5), (OCCURRED, 20, 7), (OCCURRED, 40, 6), (OCCURRED, 35, 8)], 6),
        ([(OCCURRED, 30, 5), (OCCURRED, 30, 7)], 7),  # equal: by arrival
        ([(SUBMIT, 60, 5), (SUBMIT, 59, 7)], 7),  # absent: by arrival, whatever the gateways' clocks say
        ([(OCCURRED, 60, 5), (SUBMIT, 59, 7)], 7),
    ],
)
def test_latest_goes_by_the_time_of_occurrence(items: list[tuple[int, int, int]], score: int) -> None:
    assert entry_after("latest", *items).score == score


def test_an_older_one_is_accepted_and_not_applied() -> None:
    period = Period(rules_of(Options("latest")))
    period.apply(START_MS, [[SUBMIT, START_MS, "p1", 5, 0, b"{}", None, None]])
    (late,) = period.apply(START_MS, [[OCCURRED, START_MS - 1, "p1", 9, 1, None, "a", None, 0]], [FULL])
    assert (late.applied, late.error, late.rank, late.previous_rank) == (False, None, 1, 1)
    assert late.entry is not None and late.entry[:2] == (5, 0) and late.entry.metadata == b"{}"
    assert (late.entry.submissions, period.submissions, period.ids.by_id) == (2, 2, {"a": 2})


# Submission ids -------------------------------------------------------------------------------------------


def test_ids_are_known_for_a_day_and_forgotten_after_it() -> None:
    ids = SeenIds(limit=1000)
    for number in range(6):
        ids.add(f"old{number}", number + 1, START_MS)
    for name in ("12a", "12b", "24a", "24b"):
        ids.add(f"at{name}", 10, START_MS + int(name[:2]) * 3_600_000)
        assert {f"old{n}" for n in range(6)} <= set(ids.by_id), "a day has not passed"
    for number in range(4):
        ids.add(f"new{number}", 20 + number, START_MS + SEEN_IDS_MS + 1)
    assert set(ids.by_id) == {"at12a", "at12b", "at24a", "at24b", "new0", "new1", "new2", "new3"}
    ids.check()


@settings(deadline=None)
@given(limit=st.integers(1, 20), count=st.integers(0, 80))
def test_the_oldest_ids_go_when_there_are_too_many(limit: int, count: int) -> None:
    ids = SeenIds(limit)
    for number in range(count):
        ids.add(f"id{number}", number + 1, START_MS)
        ids.check()
        assert len(ids.by_id) <= limit + 3, "a segment may be begun over the limit, no more"
    known = sorted(ids.by_id.values())
    assert known == list(range(count - len(known) + 1, count + 1)) and len(known) >= min(count, limit - 3)


def test_inherited_ids_are_as_old_as_they_were() -> None:
    period = Period(rules_of(Options("sum")))
    late_ms = START_MS + SEEN_IDS_MS - 1000
    period.apply(late_ms, [[INHERIT, late_ms, START_MS, ["a", "b", "c", "d"]]])
    repeat = [SUBMIT, late_ms, "p1", 5, 0, None, "c", None]
    (result,) = period.apply(late_ms, [repeat], [FULL])
    assert (result.applied, result.duplicate, result.entry, period.submissions) == (False, True, None, 0)
    period.apply(late_ms + 1, [[INHERIT, late_ms, START_MS, ["b", "c"]]])
    assert period.ids.by_id == {"a": 1, "b": 1, "c": 1, "d": 1}, "inheriting again changes nothing"
    for number in range(8):
        period.apply(late_ms + 2000, [[SUBMIT, late_ms, "p1", 1, 0, None, f"new{number}", None]])
    assert set(period.ids.by_id) == {f"new{n}" for n in range(8)}


def test_inheriting_over_the_limit_forgets_the_oldest_ids() -> None:
    """The ids of the period before are older than all of its successor's, whenever they are handed on."""
    ids = SeenIds(limit=10)
    ids.add("own0", 1, START_MS + 1000)
    ids.add("own1", 2, START_MS + 1001)
    for turn in range(4):
        ids.inherit([f"before{turn}.{i}" for i in range(4)], 3 + turn, START_MS + turn, START_MS + 9000)
        ids.check()
        assert {"own0", "own1"} <= set(ids.by_id), "the newest ids were forgotten"
        assert len(ids.by_id) <= 10 + 4


def test_a_chain_of_short_periods_does_not_pass_on_a_segment_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Periods of a minute over two days: what is handed on stays small, and is what the last day brought."""
    monkeypatch.setattr(seen_ids_module, "ID_SEGMENT", 1000)
    minute_ms, before = 60_000, SeenIds(limit=100_000)
    for number in range(2 * 24 * 60):
        now_ms = START_MS + number * minute_ms
        before.add(f"id{number}", 1, now_ms)
        after = SeenIds(limit=100_000)
        handed = list(before.handed_on(after, now_ms - SEEN_IDS_MS))
        for newest_ms, submission_ids, tags in handed:
            after.inherit(submission_ids, 1, newest_ms, now_ms, tags)
        assert len(handed) <= 26 and not list(after.handed_on(after, now_ms - SEEN_IDS_MS))
        last_day = {f"id{n}" for n in range(max(number - 24 * 60, 0), number + 1)}
        assert last_day <= after.by_id.keys() and len(after.by_id) <= 25 * 60 + 1
        after.check()
        before = after


def test_ids_are_handed_on_in_pieces() -> None:
    before, after = SeenIds(limit=100_000), SeenIds(limit=100_000)
    for number in range(20):
        before.add(f"id{number}", number, START_MS + number)
    after.add("id7", 1, START_MS)
    handed = list(before.handed_on(after, START_MS))
    assert sum(len(each.ids) for each in handed) == len(before.by_id) - 1
    assert max(len(each.ids) for each in handed) <= seen_ids_module.ID_SEGMENT
