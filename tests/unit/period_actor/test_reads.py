"""Pages that go on from their edges, while a period is written to between them: against a model that notes
who never moved.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core import inputs
from lbactors.core.definition import Rules
from lbactors.core.period import Period
from lbactors.core.rank_keys import Standing
from lbactors.period_actor import reads
from lbactors.wire.reads import Around, Page
from tests.support.rounds import rounds

START_MS = 1_700_000_000_000
PLAYERS = 24
MOST_PAGES = 400
RANGES: list[tuple[int | None, int | None]] = [(None, None), (3, None), (None, 6), (3, 6), (4, 4)]

rule_sets = st.builds(
    Rules,
    st.just("latest"),
    st.sampled_from(["desc", "asc"]),
    st.sampled_from(["desc", "asc"]),
    st.sampled_from(["first", "last"]),
    st.sampled_from(["ordinal", "competition", "dense"]),
    st.none(),
    st.none() | st.just(2),
)


class Board:
    """A period, who writes to it, and the standing of everybody who is ranked inside a score range."""

    def __init__(self, rules: Rules, seed: int, score_range: tuple[int | None, int | None]) -> None:
        self.period = Period(rules)
        self.rng = random.Random(seed)
        self.score_min, self.score_max = score_range
        for number in range(PLAYERS):
            self.apply(self.submission(f"p{number}"))

    def apply(self, item: inputs.Input) -> None:
        self.period.apply(START_MS, [item])

    def submission(self, player_id: str) -> inputs.Input:
        score, subscore = self.rng.randrange(10), self.rng.randrange(2)
        return inputs.submit([player_id, score, subscore, None, None, None, None], START_MS)

    def write(self) -> None:
        """A few writes of any kind, mostly by the same few players."""
        for _ in range(self.rng.choice([0, 1, 1, 4])):
            player_id = f"p{self.rng.choice([self.rng.randrange(8), self.rng.randrange(PLAYERS + 10)])}"
            if self.rng.random() < 0.7:
                self.apply(self.submission(player_id))
            else:
                act: Callable[..., inputs.Input] = self.rng.choice(
                    [inputs.remove, inputs.show, inputs.restore, lambda p, at_ms: inputs.hide(p, None, at_ms)]
                )
                self.apply(act(player_id, at_ms=START_MS))

    def standings(self) -> dict[str, Standing]:
        """Of the players that a walk is to meet, in order."""
        found: dict[str, Standing] = {}
        for _, player_id in self.period.ranking.page(0, 1000):
            entry = self.period.entry(player_id)
            assert entry is not None
            low, high = self.score_min, self.score_max
            if (low is None or entry.score >= low) and (high is None or entry.score <= high):
                found[player_id] = entry[:3]
        return found

    def read(self, limit: int, **place: Any) -> reads.Found:
        asked = Page(0, limit, self.score_min, self.score_max, **place)
        return reads.answer(self.period, None, asked)

    def has_more(self, found: reads.Found) -> bool:
        """Whether rows follow a page that was just read."""
        extent = self.period.total if found.matched is None else found.matched
        return found.offset + len(found.rows) < extent


class Walk:
    """Page after page, with writes in between, as a client goes on by cursors."""

    def __init__(self, board: Board, limits: list[int]) -> None:
        self.board = board
        self.limits = limits
        self.at_rest = board.standings()
        self.met: list[str] = []

    def forward(self, found: reads.Found) -> reads.Found:
        """To the end, from a page on."""
        for _ in range(MOST_PAGES):
            has_more = self.board.has_more(found)
            self.met += self.meet(found)
            if not has_more:
                return found
            assert found.edges, "an empty page is at the end"
            found = self.board.read(self.limit(), standing=found.edges[-1])
        raise AssertionError("it runs in circles")

    def backward(self, found: reads.Found) -> None:
        """To the top, from a page on."""
        for _ in range(MOST_PAGES):
            self.met[:0] = self.meet(found)
            if not found.offset:
                return
            assert found.edges, "an empty page is at the top"
            found = self.board.read(self.limit(), standing=found.edges[0], backward=True)
        raise AssertionError("it runs in circles")

    def meet(self, found: reads.Found) -> list[str]:
        """The players of a page. Notes who moved since the one before; then lets others write."""
        self.note()
        standings = self.board.standings()
        shown = [row.player_id for row in found.rows]
        assert shown == list(standings)[found.offset : found.offset + len(shown)], "a stretch of the order"
        assert found.matched in (None, len(standings))
        assert [row.rank for row in found.rows] == [self.board.period.rank(p) for p in shown]
        self.board.write()
        return shown

    def note(self) -> None:
        now = self.board.standings()
        self.at_rest = {p: place for p, place in self.at_rest.items() if now.get(p) == place}

    def limit(self) -> int:
        return self.board.rng.choice(self.limits)

    def check(self) -> None:
        """Whoever stayed at rest was met once, in the board's order."""
        self.note()
        order = [player_id for player_id in self.board.standings() if player_id in self.at_rest]
        assert [player_id for player_id in self.met if player_id in self.at_rest] == order


@settings(deadline=None, max_examples=rounds(150, 1500))
@given(
    rule_sets,
    st.integers(0, 10_000),
    st.sampled_from(RANGES),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
)
def test_whoever_does_not_move_is_met_once(
    rules: Rules, seed: int, score_range: tuple[int | None, int | None], limits: list[int]
) -> None:
    board = Board(rules, seed, score_range)
    down = Walk(board, limits)
    last = down.forward(board.read(down.limit()))
    down.check()
    up = Walk(board, limits)
    up.backward(board.read(up.limit(), backward=True))
    up.check()
    if last.edges:  # and back from where the way down ended
        back = Walk(board, limits)
        place = board.period.ranking.offset(last.edges[0])
        back.at_rest = {p: at for p, at in back.at_rest.items() if board.period.ranking.offset(at) < place}
        back.backward(board.read(back.limit(), standing=last.edges[0], backward=True))
        back.check()


@pytest.mark.parametrize("score_range", RANGES)
def test_pages_tile_the_order_while_nobody_writes(score_range: tuple[int | None, int | None]) -> None:
    board = Board(Rules("latest", "desc", "desc", "first", "ordinal", None, None), 1, score_range)
    everybody = list(board.standings())
    for limit in (1, 5, len(everybody), 1000):
        found, met = board.read(limit), []
        while found.rows and len(met) <= PLAYERS:
            assert found.edges is not None
            met += [row.player_id for row in found.rows]
            found = board.read(limit, standing=found.edges[-1])
        assert met == everybody
        assert found.offset == len(everybody), "the empty page stands at the end"
        found, met = board.read(limit, backward=True), []
        while found.rows and len(met) <= PLAYERS:
            assert found.edges is not None
            met = [row.player_id for row in found.rows] + met
            found = board.read(limit, standing=found.edges[0], backward=True)
        assert (met, found.offset) == (everybody, 0)


@pytest.mark.parametrize("hidden", [False, True])
def test_who_is_not_ranked_has_no_neighbours_and_no_edges(hidden: bool) -> None:
    period = Period(Rules("best", "desc", "desc", "first", "ordinal", None, 10))
    for player_id, score in (("a", 30), ("b", 20), ("low", 5), ("hid", 25)):
        period.apply(START_MS, [inputs.submit([player_id, score, 0, None, None, None, None], START_MS)])
    period.apply(START_MS, [inputs.hide("hid", None, START_MS)])
    found = reads.answer(period, None, Around("hid" if hidden else "low", 5, True))
    assert [(row.rank, row.player_id) for row in found.rows] == [(None, "hid" if hidden else "low")]
    assert found.edges == ()
    ranked = reads.answer(period, None, Around("a", 5, True))
    assert [row.player_id for row in ranked.rows] == ["a", "b"]
    assert ranked.edges == [(30, 0, 1), (20, 0, 2)]
