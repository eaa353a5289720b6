"""Section 2, ranking rules: ties, subscores, rank styles, `max_entries`, `min_score`."""

from __future__ import annotations

import pytest

from tests.support.api.boards import Board, MakeBoard
from tests.support.api.client import Api

# Ties


@pytest.mark.parametrize(
    ("tie_breaking", "expected"), [("first", ["a", "b", "c"]), ("last", ["c", "b", "a"])]
)
@pytest.mark.parametrize("order", ["desc", "asc"])
def test_ties(make_board: MakeBoard, tie_breaking: str, expected: list[str], order: str) -> None:
    board = make_board(ranking={"order": order, "tie_breaking": tie_breaking})
    for player_id in "abc":
        board.submit(player_id, 5)
    assert list(board.ranks()) == expected
    board.submit("b", 5)  # not applied: who reached it when does not change
    assert list(board.ranks()) == expected


@pytest.mark.parametrize(("tie_breaking", "expected"), [("first", ["b", "a"]), ("last", ["a", "b"])])
def test_reaching_a_score_later_counts_from_then(
    make_board: MakeBoard, tie_breaking: str, expected: list[str]
) -> None:
    board = make_board(ranking={"tie_breaking": tie_breaking})
    board.submit("a", 3)
    board.submit("b", 5)
    board.submit("a", 5)
    assert list(board.ranks()) == expected


@pytest.mark.parametrize("tie_breaking", ["first", "last"])
def test_only_a_change_of_score_or_subscore_counts(make_board: MakeBoard, tie_breaking: str) -> None:
    """New metadata, or zero added, is applied but leaves the moment of reaching where it was."""
    unmoved = {"first": ["a", "b"], "last": ["b", "a"]}[tie_breaking]
    latest = make_board(scoring={"aggregation": "latest"}, ranking={"tie_breaking": tie_breaking})
    summing = make_board(scoring={"aggregation": "sum"}, ranking={"tie_breaking": tie_breaking})
    for board in (latest, summing):
        for player_id in "ab":
            board.submit(player_id, 5)
    latest.submit("a", 5, metadata={"new": True})
    summing.submit("a", 0, metadata={"new": True})
    for board in (latest, summing):
        assert list(board.ranks()) == unmoved
        assert board.entry("a")["metadata"] == {"new": True}
    latest.batch([{"player_id": "a", "score": 6}, {"player_id": "a", "score": 5}])
    summing.batch([{"player_id": "a", "score": 1}, {"player_id": "a", "score": -1}])
    moved = list(reversed(unmoved))
    for board in (latest, summing):
        assert list(board.ranks()) == moved


def test_the_subscore_comes_before_the_tie(make_board: MakeBoard) -> None:
    for subscore_order, expected in (("desc", ["c", "b", "a"]), ("asc", ["a", "b", "c"])):
        for order in ("desc", "asc"):
            board = make_board(ranking={"order": order, "subscore_order": subscore_order})
            for player_id, subscore in (("b", 2), ("a", -1), ("c", 2.5)):
                board.submit(player_id, 10, subscore=subscore)
            assert list(board.ranks()) == expected


def test_the_score_comes_before_the_subscore(make_board: MakeBoard) -> None:
    for order, expected in (("desc", ["b", "a"]), ("asc", ["a", "b"])):
        board = make_board(ranking={"order": order})
        board.submit("a", 1, subscore=9)
        board.submit("b", 2, subscore=-9)
        assert list(board.ranks()) == expected


# Rank styles

STYLES = {
    "ordinal": [1, 2, 3, 4, 5, 6, 7],
    "competition": [1, 2, 2, 4, 5, 5, 5],
    "dense": [1, 2, 2, 3, 4, 4, 4],
}


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("rank_style", STYLES)
def test_rank_style(make_board: MakeBoard, rank_style: str, order: str) -> None:
    """Equal means the same score and subscore: d shares the score of b and c alone."""
    board = make_board(ranking={"rank_style": rank_style, "order": order})
    sign = 1 if order == "desc" else -1
    rows = [("a", 9, 0), ("b", 7, 2), ("c", 7, 2), ("d", 7, 1), ("e", 5, 0), ("f", 5, 0), ("g", 5, 0)]
    for player_id, score, subscore in rows:
        board.submit(player_id, sign * score, subscore=subscore)
    expected = STYLES[rank_style]
    page = board.page()["entries"]
    assert [entry["player_id"] for entry in page] == list("abcdefg")
    assert [entry["rank"] for entry in page] == expected
    assert [board.entry(player_id)["rank"] for player_id in "abcdefg"] == expected
    answer = board.submit("h", sign * 7, subscore=1)
    assert answer["rank"] == {"ordinal": 5, "competition": 4, "dense": 3}[rank_style]
    around = board.api.get(board.player("f") + "/around", limit=3)["entries"]
    assert [entry["player_id"] for entry in around] == ["e", "f", "g"]
    assert [entry["rank"] for entry in around] == {
        "ordinal": [6, 7, 8],
        "competition": [6] * 3,
        "dense": [4] * 3,
    }[rank_style]
    second = board.page(limit=2, offset=2)["entries"]
    assert [entry["rank"] for entry in second] == expected[2:4]


# max_entries


def fill(board: Board, order: str) -> None:
    """Three entries a, b, c from best to worst, with the scores 30, 20, 10 or their negatives."""
    sign = 1 if order == "desc" else -1
    board.submit_all({"b": sign * 20, "c": sign * 10, "a": sign * 30})


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_the_worst_drops_out(api: Api, make_board: MakeBoard, order: str) -> None:
    board = make_board(ranking={"max_entries": 3, "order": order})
    sign = 1 if order == "desc" else -1
    fill(board, order)
    outside = board.submit("d", sign * 5)
    assert (outside["applied"], outside["rank"]) == (False, None)
    api.fails(404, "entry_not_found", "GET", board.player("d"))
    inside = board.submit("e", sign * 25)
    assert (inside["applied"], inside["rank"]) == (True, 2)
    assert board.ranks() == {"a": 1, "e": 2, "b": 3}
    assert board.page()["total"] == 3
    api.fails(404, "entry_not_found", "GET", board.player("c"))
    back = board.submit("c", sign * 40)
    assert (back["applied"], back["rank"], back["previous_rank"], back["previous_score"]) == (
        True,
        1,
        None,
        None,
    )
    assert board.ranks() == {"c": 1, "a": 2, "e": 3}


@pytest.mark.parametrize(("tie_breaking", "stays"), [("first", "old"), ("last", "new")])
def test_ties_at_the_edge(make_board: MakeBoard, tie_breaking: str, stays: str) -> None:
    board = make_board(ranking={"max_entries": 1, "tie_breaking": tie_breaking})
    board.submit("old", 5)
    answer = board.submit("new", 5)
    assert (answer["applied"], answer["rank"]) == ((True, 1) if stays == "new" else (False, None))
    assert list(board.ranks()) == [stays]


def test_an_entry_that_worsens_stays(make_board: MakeBoard) -> None:
    """It is among the entries kept, and nobody pushes it out."""
    board = make_board(scoring={"aggregation": "latest"}, ranking={"max_entries": 3})
    fill(board, "desc")
    answer = board.submit("a", 1)
    assert (answer["applied"], answer["rank"], answer["previous_rank"]) == (True, 3, 1)
    assert board.ranks() == {"b": 1, "c": 2, "a": 3}
    assert board.submit("d", 2)["rank"] == 3
    assert board.ranks() == {"b": 1, "c": 2, "d": 3}


def test_who_dropped_out_of_a_sum_starts_anew(make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "sum"}, ranking={"max_entries": 1})
    board.submit("a", 10)
    board.submit("b", 11)
    answer = board.submit("a", 12)
    assert (answer["score"], answer["previous_score"], answer["rank"]) == (12, None, 1)


def test_the_bound_holds_within_a_batch(make_board: MakeBoard) -> None:
    board = make_board(ranking={"max_entries": 10})
    board.batch([{"player_id": f"p{i}", "score": (i * 37) % 100} for i in range(100)])
    page = board.page()
    assert page["total"] == 10
    assert [entry["score"] for entry in page["entries"]] == list(range(99, 89, -1))


# min_score


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_below_min_score(make_board: MakeBoard, order: str) -> None:
    board = make_board(scoring={"aggregation": "latest"}, ranking={"min_score": 10, "order": order})
    board.submit_all({"high": 20, "edge": 10, "low": 9.5})
    expected = ["high", "edge"] if order == "desc" else ["edge", "high"]
    page = board.page()
    assert ([entry["player_id"] for entry in page["entries"]], page["total"]) == (expected, 2)
    entry = board.entry("low")
    assert (entry["rank"], entry["score"], entry["total"]) == (None, 9.5, 2)
    answer = board.submit("lower", 3)
    assert (answer["applied"], answer["rank"], answer["score"]) == (True, None, 3)
    assert [entry["rank"] for entry in board.page()["entries"]] == [1, 2]


def test_crossing_min_score(make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "sum"}, ranking={"min_score": 10})
    board.submit_all({"a": 15})
    assert board.submit("b", 9)["rank"] is None
    answer = board.submit("b", 1)
    assert (answer["rank"], answer["previous_rank"], answer["previous_score"]) == (2, None, 9)
    answer = board.submit("a", -14)
    assert (answer["rank"], answer["previous_rank"], answer["score"]) == (None, 1, 1)
    assert board.standings() == [(1, "b", 10)]


def test_a_changed_min_score_takes_effect(make_board: MakeBoard) -> None:
    board = make_board(ranking={"min_score": 10})
    board.submit_all({"a": 15, "b": 5})
    assert board.ranks() == {"a": 1}
    board.patch(ranking={"min_score": 0})
    assert board.ranks() == {"a": 1, "b": 2}
    board.patch(ranking={"min_score": 16})
    assert board.page()["total"] == 0
    board.patch(ranking={"min_score": None})
    assert board.ranks() == {"a": 1, "b": 2}


def test_a_new_score_below_min_score_would_take_no_rank(make_board: MakeBoard) -> None:
    board = make_board(ranking={"min_score": 10})
    board.submit_all({"a": 15})
    assert board.api.get(f"{board.rankings}/at/9")["rank"] is None
    assert board.api.get(f"{board.rankings}/at/10")["rank"] == 2
