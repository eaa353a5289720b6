"""The ranking against a model that sorts a plain list, in every combination of options.

Few distinct scores make ties common; tiny blocks make the index split and merge with few entries. `check()`
runs after each change. What this does not cover: speed and memory (see the engine benchmark).
"""

from __future__ import annotations

import itertools
import math
import random
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lbactors.core.numbers import normal
from lbactors.core.ranking import SEQ_MAX, Number, Ranking
from tests.support.rounds import rounds

COMBINATIONS = list(
    itertools.product(
        ("desc", "asc"), ("desc", "asc"), ("first", "last"), ("ordinal", "competition", "dense")
    )
)
Options = tuple[str, str, str, str]

# Few, so that they repeat: both zeros, equal ints and floats, the exact limit, the ends of the doubles.
FEW_SCORES: tuple[Number, ...] = (
    *(0, 0.0, -0.0, 1, 1.0, 2, 3, -1, -7, 0.5, -0.5, 5e-324, -5e-324),
    *(2**53, -(2**53), 2.0**53 + 2, 1.5e300, -1.5e300, 1.5e308, -1.5e308),
)
FEW_SUBSCORES: tuple[Number, ...] = (0, -0.0, 1, 2.5, -3, 1.5e300)
PLAYERS = [f"p{i}" for i in range(20)]

scores = st.sampled_from(FEW_SCORES)
subscores = st.sampled_from(FEW_SUBSCORES)
players = st.sampled_from(PLAYERS)
finite = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


class Kept:
    """A ranking with its players' standings, which a period keeps in its entries: asked by player id."""

    def __init__(self, ranking: Ranking) -> None:
        self.ranking = ranking
        self.standings: dict[str, tuple[Number, Number, int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ranking, name)

    def __len__(self) -> int:
        return len(self.ranking)

    def upsert(self, player_id: str, score: Number, subscore: Number, seq: int) -> None:
        self.ranking.upsert(player_id, score, subscore, seq, self.standings.get(player_id))
        self.standings[player_id] = (score, subscore, seq)

    def remove(self, player_id: str) -> bool:
        standing = self.standings.pop(player_id, None)
        if standing is not None:
            self.ranking.remove(standing)
        return standing is not None

    def load(self, rows: Iterable[tuple[str, Number, Number, int]]) -> None:
        rows = list(rows)
        self.ranking.load(rows)
        self.standings = {player_id: tuple(standing) for player_id, *standing in rows}  # type: ignore[misc]

    def rank(self, player_id: str) -> int:
        return self.ranking.rank(self.standings[player_id])

    def around(self, player_id: str, limit: int, fill: bool = True) -> Any:
        return self.ranking.around(self.standings[player_id], limit, fill)


def ranking_with(options: Options, block_length: int = 4) -> Kept:
    return Kept(Ranking(*options, block_length=block_length))  # type: ignore[arg-type]


class Board:
    """The model: a dictionary, sorted anew for each question."""

    def __init__(self, options: Options) -> None:
        self.order, self.subscore_order, self.tie_breaking, self.rank_style = options
        self.entries: dict[str, tuple[Number, Number, int]] = {}

    def result_key(self, score: Number, subscore: Number) -> tuple[Number, Number]:
        """Less is better."""
        return (
            -score if self.order == "desc" else score,
            -subscore if self.subscore_order == "desc" else subscore,
        )

    def sorted_players(self) -> list[str]:
        def full_key(player_id: str) -> tuple[tuple[Number, Number], int]:
            score, subscore, seq = self.entries[player_id]
            return self.result_key(score, subscore), seq if self.tie_breaking == "first" else -seq

        return sorted(self.entries, key=full_key)

    def rows(self) -> list[tuple[int, str]]:
        in_order = self.sorted_players()
        results = [self.result_key(*self.entries[player_id][:2]) for player_id in in_order]
        if self.rank_style == "ordinal":
            ranks = list(range(1, len(results) + 1))
        elif self.rank_style == "competition":
            ranks = [1 + sum(other < result for other in results) for result in results]
        else:
            ranks = [1 + len({other for other in results if other < result}) for result in results]
        return list(zip(ranks, in_order, strict=True))

    def distribution(self, buckets: int) -> dict[str, Any]:
        ascending = sorted(score for score, _, _ in self.entries.values())
        total = len(ascending)
        if not total:
            quantiles: dict[str, Number | None] = {"p50": None, "p90": None, "p99": None}
            empty: dict[str, Any] = {"total": 0, "min": None, "max": None, "mean": None, "buckets": []}
            return empty | {"quantiles": quantiles}
        low, high = Fraction(ascending[0]), Fraction(ascending[-1])
        edges = sorted({float(low + (high - low) * i / buckets) for i in range(buckets + 1)})
        spans = list(itertools.pairwise(edges)) or [(edges[0], edges[0])]
        return {
            "total": total,
            "min": ascending[0],
            "max": ascending[-1],
            "mean": float(sum(map(Fraction, ascending), Fraction(0)) / total),
            "quantiles": {f"p{p}": ascending[math.ceil(Fraction(p, 100) * total) - 1] for p in (50, 90, 99)},
            "buckets": [
                {
                    "from": start,
                    "to": end,
                    "count": sum(start <= s < end or s == end == edges[-1] for s in ascending),
                }
                for start, end in spans
            ],
        }


def assert_same(ranking: Kept, board: Board) -> None:
    """Every question about players and pages has the model's answer; rank inverts page."""
    ranking.check()
    rows = board.rows()
    assert len(ranking) == len(rows)
    assert ranking.page(0, len(rows) + 1) == rows
    for offset, (rank, player_id) in enumerate(rows):
        standing = (*board.entries[player_id], "what else an entry has")
        assert ranking.has(player_id, standing)
        assert ranking.ranking.rank(standing) == rank
        assert (ranking.offset(standing), ranking.offset_after(standing)) == (offset, offset + 1)
        assert ranking.page(offset, 1) == [(rank, player_id)]
    assert ranking.best() == (rows[0][1] if rows else None)
    assert ranking.worst() == (rows[-1][1] if rows else None)


def assert_normal_form(value: Any) -> None:
    """No number in an answer is a float that should be an int, or -0.0."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            assert_normal_form(item)
    elif isinstance(value, float):
        assert not value.is_integer() or abs(value) > 2**53


class AgainstModel(RuleBasedStateMachine):
    options: Options  # set by a subclass for each combination

    def __init__(self) -> None:
        super().__init__()
        self.ranking = ranking_with(self.options)
        self.board = Board(self.options)
        self.seq = 0

    @rule(player_id=players, score=scores, subscore=subscores)
    def upsert(self, player_id: str, score: Number, subscore: Number) -> None:
        # Unique but not rising: the ranking owes its order to the seqs, not to the sequence of the calls.
        self.seq += 1
        self.put(player_id, score, subscore, self.seq * 7919 % 2**20)

    def put(self, player_id: str, score: Number, subscore: Number, seq: int) -> None:
        self.ranking.upsert(player_id, score, subscore, seq)
        self.board.entries[player_id] = (score, subscore, seq)

    @rule(player_id=players, score=st.sampled_from((1, 2)))
    def upsert_common(self, player_id: str, score: Number) -> None:
        self.upsert(player_id, score, 0)

    @precondition(lambda self: self.board.entries)
    @rule(data=st.data())
    def upsert_the_same(self, data: st.DataObject) -> None:
        player_id = data.draw(st.sampled_from(sorted(self.board.entries)))
        self.ranking.upsert(player_id, *self.board.entries[player_id])

    @rule(player_id=players)
    def remove(self, player_id: str) -> None:
        assert self.ranking.remove(player_id) == (player_id in self.board.entries)
        standing = self.board.entries.pop(player_id, None)
        if standing is not None:
            assert not self.ranking.has(player_id, standing)
            self.refuses_the_standing(player_id, standing)

    @rule(player_id=players, score=scores, subscore=subscores)
    def refuse(self, player_id: str, score: Number, subscore: Number) -> None:
        self.refuses_the_standing(player_id, (score, subscore, 2**21))

    def refuses_the_standing(self, player_id: str, standing: tuple[Number, Number, int]) -> None:
        """A standing that nobody has changes nothing."""
        with pytest.raises(KeyError):
            self.ranking.ranking.remove(standing)
        with pytest.raises(KeyError):
            self.ranking.ranking.upsert(player_id, 1, 1, 2**22, standing)

    @rule(shuffler=st.randoms(use_true_random=False))
    def load_anew(self, shuffler: random.Random) -> None:
        rows = [(player_id, *entry) for player_id, entry in self.board.entries.items()]
        shuffler.shuffle(rows)
        self.ranking = ranking_with(self.options)
        self.ranking.load(rows)

    @rule(offset=st.integers(0, 22), limit=st.integers(0, 22))
    def page(self, offset: int, limit: int) -> None:
        assert self.ranking.page(offset, limit) == self.board.rows()[offset : offset + limit]

    @precondition(lambda self: self.board.entries)
    @rule(data=st.data(), limit=st.integers(1, 22))
    def around(self, data: st.DataObject, limit: int) -> None:
        rows = self.board.rows()
        place = data.draw(st.integers(0, len(rows) - 1))
        above, below = (limit - 1) // 2, limit // 2
        cut_start, cut_end = max(0, place - above), min(len(rows), place + below + 1)
        cut = self.ranking.around(rows[place][1], limit, fill=False)
        assert cut == (cut_start, rows[cut_start:cut_end])
        # Filled: of all full stretches with the player in them, the one nearest to the symmetric one.
        length = min(limit, len(rows))
        start = min(range(len(rows) - length + 1), key=lambda first: abs(first - (place - above)))
        assert self.ranking.around(rows[place][1], limit) == (start, rows[start : start + length])

    @rule(low=st.none() | scores, high=st.none() | scores)
    def score_range(self, low: Number | None, high: Number | None) -> None:
        start, end = self.ranking.score_range(low, high)
        assert 0 <= start <= end <= len(self.board.entries)
        expected = [
            player_id
            for player_id in self.board.sorted_players()
            if (low is None or self.board.entries[player_id][0] >= low)
            and (high is None or self.board.entries[player_id][0] <= high)
        ]
        assert [player_id for _, player_id in self.ranking.page(start, end - start)] == expected

    @rule(score=scores, subscore=subscores)
    def rank_of(self, score: Number, subscore: Number) -> None:
        foretold = self.ranking.rank_of(score, subscore)
        if not subscore:
            assert self.ranking.rank_of(score) == foretold
        self.put("newcomer", score, subscore, 2**20)
        assert self.ranking.rank("newcomer") == foretold
        assert_same(self.ranking, self.board)
        self.remove("newcomer")

    @rule(buckets=st.integers(1, 25))
    def distribution(self, buckets: int) -> None:
        answer = self.ranking.distribution(buckets)
        assert answer == self.board.distribution(buckets)
        assert_normal_form(answer)

    @invariant()
    def same(self) -> None:
        assert_same(self.ranking, self.board)


@pytest.mark.parametrize("options", COMBINATIONS, ids="-".join)
def test_against_model(options: Options) -> None:
    run_state_machine_as_test(
        type("AgainstModel", (AgainstModel,), {"options": options}),
        settings=settings(max_examples=rounds(4, 24), stateful_step_count=25, deadline=None),
    )


@pytest.mark.parametrize("block_length", [4, 16])
@pytest.mark.parametrize("options", COMBINATIONS, ids="-".join)
def test_stress_with_tiny_blocks(options: Options, block_length: int) -> None:
    seed = f"{options} {block_length}"
    rnd = random.Random(seed)
    ranking, board = ranking_with(options, block_length), Board(options)
    for seq in range(320):
        player_id = f"p{rnd.randrange(120)}"
        # The board grows, shrinks to nothing and grows again.
        if rnd.random() < (0.1 if seq // 80 != 1 else 0.9):
            assert ranking.remove(player_id) == (board.entries.pop(player_id, None) is not None), seed
        else:
            entry = (rnd.randrange(-5, 6) / rnd.choice((1, 2, 3)), rnd.randrange(2), seq)
            ranking.upsert(player_id, *entry)
            board.entries[player_id] = entry
        if seq % 20 == 0:
            ranking.check()
            assert [p for _, p in ranking.page(0, 200)] == board.sorted_players(), seed
    assert_same(ranking, board)
    assert ranking.distribution(7) == board.distribution(7), seed
    for player_id in list(board.entries):
        assert ranking.remove(player_id), seed
        ranking.check()
    assert len(ranking) == 0


@pytest.mark.parametrize("order", ["desc", "asc"])
@settings(deadline=None)
@given(st.lists(st.tuples(finite, finite), max_size=30))
@example([(0.0, 0), (-0.0, 0), (5e-324, 0), (-5e-324, 0), (sys.float_info.max, 0), (-sys.float_info.max, 0)])
def test_any_double_keeps_its_place_and_value(order: str, results: list[tuple[Number, Number]]) -> None:
    options = (order, "desc", "first", "ordinal")
    ranking, board = ranking_with(options), Board(options)
    for seq, (score, subscore) in enumerate(results):
        ranking.upsert(f"p{seq}", score, subscore, seq)
        board.entries[f"p{seq}"] = (score, subscore, seq)
    assert_same(ranking, board)
    for score, _, _ in board.entries.values():  # what a key says of its score, in a distribution
        start, end = ranking.score_range(score, score)
        assert {board.entries[player_id][0] for _, player_id in ranking.page(start, end - start)} == {score}
    spread = ranking.distribution(1)
    assert_normal_form(spread)
    if results:
        assert spread["max"] == max(score for score, _ in results)
        assert spread["min"] == min(score for score, _ in results)


@settings(deadline=None)
@given(st.lists(finite, max_size=40), st.integers(1, 60), st.sampled_from(["desc", "asc"]))
@example([-1.5e308, 1.5e308, 0, 1], 3, "desc")
@example([-sys.float_info.max, sys.float_info.max], 1000, "desc")
@example([1, math.nextafter(1, 2)], 20, "asc")
@example([5e-324, -5e-324, 0.0], 20, "desc")
@example([0.1, 0.1, 0.1], 4, "asc")
@example([0.1 * i for i in range(40)], 39, "desc")
def test_distribution_counts_every_entry_once(drawn: list[Number], buckets: int, order: str) -> None:
    options = (order, "desc", "first", "competition")
    ranking, board = ranking_with(options), Board(options)
    for seq, score in enumerate(drawn):
        ranking.upsert(f"p{seq}", score, 0, seq)
        board.entries[f"p{seq}"] = (score, 0, seq)
    answer = ranking.distribution(buckets)
    assert answer == board.distribution(buckets)
    assert_normal_form(answer)
    assert sum(bucket["count"] for bucket in answer["buckets"]) == answer["total"] == len(drawn)
    assert all(left["to"] == right["from"] for left, right in itertools.pairwise(answer["buckets"]))
    if drawn:
        assert answer["buckets"][0]["from"] == min(drawn)
        assert answer["buckets"][-1]["to"] == max(drawn)


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_distribution_of_known_boards(order: str) -> None:
    ranking = ranking_with((order, "desc", "first", "ordinal"))
    nothing: dict[str, Any] = {"total": 0, "min": None, "max": None, "mean": None, "buckets": []}
    assert ranking.distribution(3) == nothing | {"quantiles": {"p50": None, "p90": None, "p99": None}}
    ranking.upsert("only", 7.5, 0, 0)
    assert ranking.distribution(20)["buckets"] == [{"from": 7.5, "to": 7.5, "count": 1}]
    ranking.remove("only")
    for score in range(101):
        ranking.upsert(f"p{score}", score, 0, score)
    answer = ranking.distribution(4)
    assert (answer["min"], answer["max"], answer["mean"]) == (0, 100, 50)
    assert answer["quantiles"] == {"p50": 50, "p90": 90, "p99": 99}
    assert [(bucket["from"], bucket["count"]) for bucket in answer["buckets"]] == [
        (0, 25),
        (25, 25),
        (50, 25),
        (75, 26),
    ]


def test_mean_does_not_drift() -> None:
    ranking = Kept(Ranking())
    ranking.upsert("anchor", 0.1, 0, 0)
    for seq in range(1, 2000):
        ranking.upsert("wanderer", (1e16, 1 / 3, 5e-324, -1.5e300, 7)[seq % 5], 0, seq)
    assert ranking.remove("wanderer")
    assert ranking.distribution(1)["mean"] == 0.1
    # An integer beyond the exact ones counts as the nearest double, in the key and in the sum.
    ranking.upsert("large", 2**60 + 1, 0, 2000)
    ranking.check()
    loaded = Ranking()
    loaded.load([("large", 2**60 + 1, 0, 1)])
    loaded.check()


def test_normal() -> None:
    for number in (5, 5.0, 0.0, -0.0, 2**53, 2.0**53, -(2.0**53)):
        assert (normal(number), type(normal(number))) == (number, int)
    for number in (0.5, 2.0**53 + 2, 2**60, 1.5e300, -1e-300):
        assert (normal(number), type(normal(number))) == (number, float)


@pytest.mark.parametrize("options", COMBINATIONS[::3], ids="-".join)
@settings(deadline=None, max_examples=rounds(12, 100))
@given(first=st.tuples(scores, subscores), second=st.tuples(scores, subscores))
def test_better_agrees_with_the_order(
    options: Options, first: tuple[Number, Number], second: tuple[Number, Number]
) -> None:
    ranking = ranking_with((*options[:3], "dense"))
    ranking.upsert("first", *first, 1)
    ranking.upsert("second", *second, 2)
    rank, other_rank = ranking.rank("first"), ranking.rank("second")
    assert rank is not None and other_rank is not None
    assert ranking.better(*first, *second) == other_rank - rank
    assert ranking.better(*second, *first) == rank - other_rank


def test_rank_styles_of_a_known_board() -> None:
    answers = {}
    for style in ("ordinal", "competition", "dense"):
        ranking = ranking_with(("desc", "desc", "first", style))
        ranking.load([("a", 9, 0, 3), ("b", 9, 0, 1), ("c", 9, 1, 4), ("d", 5, 0, 2)])
        answers[style] = ranking.page(0, 10)
    assert answers == {
        "ordinal": [(1, "c"), (2, "b"), (3, "a"), (4, "d")],
        "competition": [(1, "c"), (2, "b"), (2, "a"), (4, "d")],
        "dense": [(1, "c"), (2, "b"), (2, "a"), (3, "d")],
    }


def test_worked_example_of_the_module() -> None:
    ranking = Kept(Ranking())
    ranking.upsert("slot 0", 1, 0, 1)
    ranking.upsert("slot 1", 1, 0, 2)
    ranking.upsert("example", 5100, 3, 7)
    assert ranking._index[0] == 0x_3F4C13FFFFFFFFFF_3FF7FFFFFFFFFFFF_000000000007_00000002
    ranking.upsert("example", 5101, 3, 7)
    assert ranking._index[0] >> 176 == 0x3F4C12FF


@pytest.mark.parametrize("tie_breaking", ["first", "last"])
def test_seq_at_its_limits(tie_breaking: str) -> None:
    ranking = ranking_with(("desc", "desc", tie_breaking, "ordinal"))
    ranking.load([("newest", 1, 0, SEQ_MAX), ("oldest", 1, 0, 0), ("between", 1, 0, 2**32)])
    ranking.check()
    in_order = [player_id for _, player_id in ranking.page(0, 3)]
    assert in_order == ["oldest", "between", "newest"][:: 1 if tie_breaking == "first" else -1]


def test_slots_are_reused() -> None:
    ranking = Kept(Ranking(block_length=4))
    for seq in range(500):
        ranking.upsert(f"p{seq}", seq % 7, 0, seq)
        if seq >= 10:
            assert ranking.remove(f"p{seq - 10}")
        ranking.check()
    assert len(ranking) == 10
    assert len(ranking._slots) == 11


@pytest.mark.parametrize(
    ("score", "subscore", "seq"),
    [
        (math.nan, 0, 1),
        (math.inf, 0, 1),
        (-math.inf, 0, 1),
        (1, math.nan, 1),
        (1, -math.inf, 1),
        (1, 0, -1),
        (1, 0, SEQ_MAX + 1),
    ],
)
def test_refused_rows_change_nothing(score: Number, subscore: Number, seq: int) -> None:
    options = ("desc", "desc", "first", "dense")
    ranking, board = ranking_with(options), Board(options)
    with pytest.raises(ValueError, match="no standing"):
        ranking.load([("a", 1, 0, 1), ("b", score, subscore, seq)])
    assert_same(ranking, board)
    ranking.load([("a", 1, 0, 1)])
    board.entries["a"] = (1, 0, 1)
    for player_id in ("a", "b"):
        with pytest.raises(ValueError, match="no standing"):
            ranking.upsert(player_id, score, subscore, seq)
        assert_same(ranking, board)


def test_load_refuses_a_second_row_and_a_filled_ranking() -> None:
    ranking = Kept(Ranking())
    with pytest.raises(ValueError, match="twice"):
        ranking.load([("a", 1, 0, 1), ("a", 2, 0, 2)])
    assert len(ranking) == 0
    ranking.check()
    ranking.load(iter([("a", 1, 0, 1)]))
    with pytest.raises(ValueError, match="empty"):
        ranking.load([("b", 2, 0, 2)])
    assert ranking.page(0, 5) == [(1, "a")]


def test_bad_stretches_are_refused() -> None:
    ranking = Kept(Ranking())
    ranking.upsert("a", 1, 0, 1)
    calls: list[Callable[[], object]] = [
        lambda: ranking.page(-1, 5),
        lambda: ranking.page(0, -1),
        lambda: ranking.around("a", 0),
        lambda: ranking.distribution(0),
    ]
    for call in calls:
        with pytest.raises(ValueError):
            call()
    assert ranking.score_range(-math.inf, math.inf) == (0, 1)
    assert ranking.score_range(2, 1) == (0, 0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: r._index.remove(r._index[0]), "slot"),
        (lambda r: r._slots.__setitem__(0, r._slots[1]), "ranked twice"),
        (lambda r: r._free_slots.append(1), "slot"),
        (lambda r: setattr(r, "_sum", r._sum + 1), "drifted"),
        (lambda r: r._group_sizes.clear(), "group sizes"),
        (lambda r: r._groups.clear(), "groups differ"),
        (lambda r: r._index.add(r._index[0]), "ascending"),
    ],
)
def test_check_sees_damage(damage: Callable[[Any], object], message: str) -> None:
    ranking = ranking_with(("desc", "desc", "first", "dense"))
    ranking.load([("a", 1, 0, 1), ("b", 2.5, 0, 2), ("c", 3, 0, 3), ("d", 3, 0, 4)])
    ranking.check()
    damage(ranking.ranking)
    with pytest.raises(AssertionError, match=message):
        ranking.check()


def test_a_large_board_loads_and_answers() -> None:
    rnd = random.Random(5)
    rows = [(f"p{i}", rnd.randrange(1000), 0, i) for i in range(20_000)]
    loaded, grown = Ranking(), Ranking()
    loaded.load(rows)
    for row in rows:
        grown.upsert(*row)
    loaded.check()
    grown.check()
    assert loaded.page(0, len(rows)) == grown.page(0, len(rows))
    assert loaded.distribution(10) == grown.distribution(10)
