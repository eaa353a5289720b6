"""Section 5, pages of rankings: offset, cursors both ways, score ranges, entries, ETag and 304."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, instant, unique
from tests.support.api.client import Api

SIZE = 57
PAGE_FIELDS = {"leaderboard_id", "period", "total", "as_of_seq", "entries", "next_cursor", "prev_cursor"}
ENTRY_FIELDS = {
    "rank",
    "player_id",
    "display_name",
    "score",
    "subscore",
    "metadata",
    "submissions",
    "first_at",
    "updated_at",
    "change",
}


@pytest.fixture(scope="module", params=["desc", "asc"])
def board(make_board: MakeBoard, request: pytest.FixtureRequest) -> Board:
    """p1 … p57 hold the ranks 1 … 57; the scores are 57 … 1, or 1 … 57 ascending."""
    board = make_board(ranking={"order": request.param})
    scores = {f"p{i}": SIZE + 1 - i if request.param == "desc" else i for i in range(1, SIZE + 1)}
    board.submit_all({player_id: scores[player_id] for player_id in sorted(scores)})
    return board


def players(page: dict[str, Any]) -> list[str]:
    return [entry["player_id"] for entry in page["entries"]]


def ids(first: int, last: int) -> list[str]:
    return [f"p{i}" for i in range(first, last + 1)]


def walk(board: Board, **params: Any) -> list[dict[str, Any]]:
    """All pages from the first to the last, by `next_cursor`."""
    pages = [board.page(**params)]
    while pages[-1]["next_cursor"] is not None:
        assert pages[-1]["entries"], "a cursor led to an empty page"
        pages.append(board.page(**params, cursor=pages[-1]["next_cursor"]))
        assert len(pages) <= SIZE + 1, "a cursor runs in circles"
    return pages


def test_the_fields_of_a_page(board: Board) -> None:
    page = board.page(limit=3)
    assert set(page) >= PAGE_FIELDS
    assert (page["leaderboard_id"], page["total"]) == (board.id, SIZE)
    assert set(page["period"]) >= {"period_key", "window", "state", "starts_at", "ends_at"}
    assert (page["period"]["period_key"], page["period"]["state"]) == ("all_time", "active")
    assert type(page["as_of_seq"]) is int
    for entry in page["entries"]:
        assert set(entry) >= ENTRY_FIELDS
        assert (entry["display_name"], entry["subscore"], entry["metadata"]) == (None, 0, None)
        assert (entry["submissions"], entry["change"]) == (1, "new")
        instant(entry["first_at"])
        instant(entry["updated_at"])


def test_default_page(board: Board) -> None:
    page = board.page()
    assert players(page) == ids(1, 20)
    assert [entry["rank"] for entry in page["entries"]] == list(range(1, 21))
    assert page["prev_cursor"] is None
    assert isinstance(page["next_cursor"], str)


@pytest.mark.parametrize(
    ("limit", "offset", "first", "last"),
    [
        (5, 0, 1, 5),
        (5, 10, 11, 15),
        (1, 56, 57, 57),
        (20, 50, 51, 57),
        (1000, 0, 1, 57),
        (10, 47, 48, 57),
        (None, 30, 31, 50),
    ],
)
def test_limit_and_offset(board: Board, limit: int, offset: int, first: int, last: int) -> None:
    page = board.page(limit=limit, offset=offset)
    assert players(page) == ids(first, last)
    assert [entry["rank"] for entry in page["entries"]] == list(range(first, last + 1))
    assert (page["total"], page["next_cursor"] is None) == (SIZE, last == SIZE)
    assert (page["prev_cursor"] is None) == (first == 1)


@pytest.mark.parametrize("offset", [57, 58, 100_000])
def test_offset_beyond_the_end(board: Board, offset: int) -> None:
    page = board.page(offset=offset)
    assert (page["entries"], page["total"], page["next_cursor"]) == ([], SIZE, None)


@pytest.mark.parametrize("limit", [1, 7, 19, 20, 56, 57, 58, None])
def test_walking_down(board: Board, limit: int | None) -> None:
    pages = walk(board, limit=limit)
    assert [player_id for page in pages for player_id in players(page)] == ids(1, SIZE)
    assert [len(players(page)) for page in pages[:-1]] == [limit or 20] * (len(pages) - 1)
    assert {page["total"] for page in pages} == {SIZE}


@pytest.mark.parametrize("limit", [1, 10, 19])
def test_walking_up_again(board: Board, limit: int) -> None:
    down = walk(board, limit=limit)
    up = [down[-1]]
    while up[-1]["prev_cursor"] is not None:
        up.append(board.page(limit=limit, cursor=up[-1]["prev_cursor"]))
        assert len(up) <= len(down), "a cursor runs in circles"
    assert [players(page) for page in reversed(up)] == [players(page) for page in down]


def test_walking_on_from_an_offset(board: Board) -> None:
    page = board.page(limit=10, offset=20)
    assert players(board.page(limit=10, cursor=page["next_cursor"])) == ids(31, 40)
    assert players(board.page(limit=10, cursor=page["prev_cursor"])) == ids(11, 20)


def test_a_cursor_is_bound_to_its_leaderboard(api: Api, board: Board, make_board: MakeBoard) -> None:
    other = make_board()
    other.submit_all({f"q{i}": i for i in range(50)})
    cursor = board.page(limit=5)["next_cursor"]
    api.fails(422, "validation_failed", "GET", other.rankings, params={"limit": 5, "cursor": cursor})
    for made_up in ("x", "AAAA", "....", "e30="):
        api.fails(422, "validation_failed", "GET", board.rankings, params={"cursor": made_up})


def test_a_cursor_is_bound_to_its_period(api: Api, make_board: MakeBoard) -> None:
    board = make_board(windows=["yearly"], timeframe={"type": "weekly"})
    board.submit_all({f"p{i}": i for i in range(10)})
    cursor = board.page(limit=2)["next_cursor"]
    key = board.force_close()["closed"]["period_key"]
    assert players(board.page(limit=2, period=key, cursor=cursor)) == ["p7", "p6"]
    api.fails(422, "validation_failed", "GET", board.rankings, params={"window": "yearly", "cursor": cursor})


# Pages under writes


@pytest.mark.parametrize("params", [{}, {"score_min": 100, "score_max": 399}])
@pytest.mark.parametrize("forward", [True, False])
def test_whoever_does_not_move_is_met_once(
    make_board: MakeBoard, forward: bool, params: dict[str, Any]
) -> None:
    rng = random.Random(f"{forward} {params}")
    board = make_board(scoring={"aggregation": "latest"}, ranking={"min_score": 50})
    board.submit_all({f"p{i}": i * 10 for i in range(50)} | {f"m{i}": i * 10 + 5 for i in range(50)})
    at_rest = {
        f"p{i}" for i in range(50) if params.get("score_min", 50) <= i * 10 <= params.get("score_max", 500)
    }
    page = board.page(limit=7, **params) if forward else board.page(limit=7, offset=1000, **params)
    met: list[str] = []
    for _ in range(60):
        shown = players(page)
        met = [*met, *shown] if forward else [*shown, *met]
        cursor = page["next_cursor" if forward else "prev_cursor"]
        if cursor is None:
            break
        board.submit_all({f"m{rng.randrange(60)}": rng.randrange(500) for _ in range(rng.choice([1, 5, 30]))})
        page = board.page(limit=rng.choice([1, 7, 20]), cursor=cursor)
    else:
        pytest.fail("a cursor runs in circles")
    found = [player_id for player_id in met if player_id in at_rest]
    assert found == sorted(at_rest, key=lambda player_id: -int(player_id[1:]))
    assert cursor is None and at_rest


def test_a_cursor_of_a_release_before_is_refused(api: Api, board: Board) -> None:
    old = "mKFyo3VpZKRtYWluqGFsbF90aW1lBQDAwA"
    error = api.fails(422, "validation_failed", "GET", board.rankings, params={"cursor": old})
    assert error["details"][0]["loc"] == ["query", "cursor"]


def test_around_one_who_is_not_ranked_leads_nowhere(api: Api, make_board: MakeBoard) -> None:
    board = make_board(ranking={"min_score": 10})
    board.submit_all({"a": 30, "b": 20, "low": 5, "hid": 25})
    player_id = unique("hid")
    board.submit(player_id, 40)
    api.ok("POST", f"/v1/players/{player_id}/hide", {})
    for unranked in ("low", player_id):
        page = api.get(f"{board.player(unranked)}/around")
        assert [(e["rank"], e["player_id"]) for e in page["entries"]] == [(None, unranked)]
        assert (page["next_cursor"], page["prev_cursor"]) == (None, None)


# Score ranges


def test_a_score_range(make_board: MakeBoard) -> None:
    for order in ("desc", "asc"):
        board = make_board(ranking={"order": order})
        board.submit_all({f"p{i}": i for i in range(1, 31)})
        page = board.page(score_min=10.5, score_max=15.5)
        matching = [f"p{i}" for i in range(11, 16)]
        first_rank = 11
        if order == "desc":
            matching.reverse()
            first_rank = 16
        assert players(page) == matching
        assert [entry["rank"] for entry in page["entries"]] == list(range(first_rank, first_rank + 5))
        assert (page["total"], page["matched"], page["next_cursor"]) == (30, 5, None)


def test_open_score_ranges(make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({f"p{i}": i for i in range(-5, 6)})
    above = board.page(score_min=2.5)
    assert (players(above), above["matched"], above["total"]) == (["p5", "p4", "p3"], 3, 11)
    below = board.page(score_max=-3.5)
    assert (players(below), below["matched"]) == (["p-4", "p-5"], 2)
    assert [entry["rank"] for entry in below["entries"]] == [10, 11]
    nothing = board.page(score_min=100)
    assert (nothing["entries"], nothing["matched"], nothing["total"]) == ([], 0, 11)
    inverted = board.api.call("GET", board.rankings, params={"score_min": 2, "score_max": 1})
    assert inverted.status == 422 or inverted.json["matched"] == 0


def test_walking_in_a_score_range(board: Board) -> None:
    pages = walk(board, limit=4, score_min=20.5, score_max=39.5)
    found = [entry for page in pages for entry in page["entries"]]
    assert sorted(entry["score"] for entry in found) == list(range(21, 40))
    assert [entry["rank"] for entry in found] == list(range(found[0]["rank"], found[0]["rank"] + 19))
    assert {(page["matched"], page["total"]) for page in pages} == {(19, SIZE)}
    assert [len(page["entries"]) for page in pages] == [4, 4, 4, 4, 3]


@pytest.mark.parametrize("params", [{"score_min": "low"}, {"score_max": "nan"}, {"score_min": "inf"}])
def test_ranges_that_are_refused(api: Api, board: Board, params: dict[str, Any]) -> None:
    api.fails(422, "validation_failed", "GET", board.rankings, params=params)


# Entries


def test_an_entry_counts_its_submissions(make_board: MakeBoard) -> None:
    board = make_board(scoring={"aggregation": "sum"})
    for _ in range(3):
        board.submit("p1", 2, subscore=1, metadata={"level": 7})
    (entry,) = board.page()["entries"]
    expected = {
        "rank": 1,
        "player_id": "p1",
        "score": 6,
        "subscore": 1,
        "metadata": {"level": 7},
        "submissions": 3,
    }
    assert expected.items() <= entry.items()
    assert instant(entry["first_at"]) <= instant(entry["updated_at"])


def test_one_entry(api: Api, board: Board) -> None:
    for rank in (1, 28, 57):
        entry = board.entry(f"p{rank}")
        assert set(entry) >= ENTRY_FIELDS | {"percentile", "total"}
        assert (entry["rank"], entry["total"]) == (rank, SIZE)
        assert entry["percentile"] == round((SIZE - rank) / SIZE * 100, 1)
    api.fails(404, "entry_not_found", "GET", board.player("nobody"))


def test_an_empty_board(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    page = board.page()
    assert set(page) >= PAGE_FIELDS
    assert (page["entries"], page["total"], page["next_cursor"], page["prev_cursor"]) == ([], 0, None, None)
    api.fails(404, "entry_not_found", "GET", board.player("p1"))
    api.fails(404, "entry_not_found", "GET", board.player("p1") + "/around")
    assert api.get(f"{board.rankings}/at/5")["rank"] == 1
    lookup = api.ok("POST", f"{board.rankings}/lookup", {"player_ids": ["p1"]})
    assert (lookup["entries"], lookup["not_found"]) == ([], ["p1"])
    assert api.get(f"{board.path}/distribution")["total"] == 0


# ETag


def test_etag_follows_the_state(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit("p1", 1)
    first = api.call("GET", board.rankings).headers["etag"]
    same = api.call("GET", board.rankings, headers={"If-None-Match": first})
    assert same.status == 304
    assert same.headers.get("etag", first) == first
    board.submit("p2", 2)
    changed = api.call("GET", board.rankings, headers={"If-None-Match": first})
    assert (changed.status, changed.json["total"]) == (200, 2)
    assert changed.headers["etag"] != first
    assert api.call("GET", board.rankings, headers={"If-None-Match": changed.headers["etag"]}).status == 304
    several = f'"other", {changed.headers["etag"]}'
    assert api.call("GET", board.rankings, headers={"If-None-Match": several}).status == 304


def test_etag_of_another_period_does_not_match(api: Api, make_board: MakeBoard) -> None:
    """The seq begins anew with a period; the pages differ all the same."""
    board = make_board()
    board.submit("p1", 1)
    first = api.call("GET", board.rankings).headers["etag"]
    board.force_close()
    board.submit("p2", 2)
    reply = api.call("GET", board.rankings, headers={"If-None-Match": first})
    assert reply.status == 200
    assert players(reply.json) == ["p2"]
