"""Section 1: exact numbers and every limit; a refusal takes nothing, a value at the limit passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, unique
from tests.support.api.client import Api

EXACT = 2**53
BODY_MAX_BYTES = 8 * 1024 * 1024
BATCH_MAX_ITEMS = 10_000


def nested(depth: int) -> dict[str, Any]:
    """An object whose JSON is `depth` levels deep."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.fixture(scope="module")
def board(make_board: MakeBoard) -> Board:
    """A board where the last submission of a player always stands."""
    return make_board(scoring={"aggregation": "latest"})


# Numbers


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("0", 0),
        ("-0.0", 0),
        ("5", 5),
        ("5.0", 5),
        ("-17", -17),
        ("1e3", 1000),
        ("9007199254740991", EXACT - 1),
        ("9007199254740992", EXACT),
        ("-9007199254740992", -EXACT),
        ("9007199254740991.0", EXACT - 1),
        ("0.1", 0.1),
        ("-2.5", -2.5),
        ("5e-324", 5e-324),
        ("1.5e300", 1.5e300),
        ("-1.7976931348623157e308", -1.7976931348623157e308),
    ],
)
def test_numbers_are_exact_and_integers_stay_integers(
    api: Api, board: Board, literal: str, expected: float
) -> None:
    raw = f'{{"player_id": "p", "score": {literal}, "subscore": {literal}}}'.encode()
    answer = api.ok("POST", board.scores, raw=raw)
    for entry in (answer, board.entry("p"), board.page()["entries"][0]):
        for field in ("score", "subscore"):
            assert (entry[field], type(entry[field])) == (expected, type(expected)), (field, entry)


def test_neighbouring_integers_rank_apart(make_board: MakeBoard) -> None:
    board = make_board()
    board.submit_all({"a": EXACT - 2, "b": EXACT, "c": EXACT - 1, "d": -EXACT, "e": -EXACT + 1})
    expected = [
        (1, "b", EXACT),
        (2, "c", EXACT - 1),
        (3, "a", EXACT - 2),
        (4, "e", 1 - EXACT),
        (5, "d", -EXACT),
    ]
    assert board.standings() == expected


@pytest.mark.parametrize("field", ["score", "subscore"])
@pytest.mark.parametrize(
    "literal", ["9007199254740993", "-9007199254740993", "1" + "0" * 30, '"5"', "true", "[]", "{}"]
)
def test_refused_numbers(api: Api, board: Board, field: str, literal: str) -> None:
    other = "subscore" if field == "score" else "score"
    raw = f'{{"player_id": "refused", "{other}": 1, "{field}": {literal}}}'.encode()
    api.fails(422, "validation_failed", "POST", board.scores, raw=raw)
    api.fails(404, "entry_not_found", "GET", board.player("refused"))


@pytest.mark.parametrize("literal", ["1e999", "-1e999"])
def test_literals_beyond_the_doubles_are_refused(api: Api, board: Board, literal: str) -> None:
    api.refuses({400, 422}, "POST", board.scores, raw=f'{{"player_id": "huge", "score": {literal}}}'.encode())


def test_a_huge_literal_of_many_digits_is_an_answer_not_a_crash(api: Api, board: Board) -> None:
    api.refuses(
        {400, 422}, "POST", board.scores, raw=b'{"player_id": "huge", "score": ' + b"9" * 100_000 + b"}"
    )


# Ids


@pytest.mark.parametrize(
    "player_id", ["p" * 128, "ü" * 128, "🎮" * 128, "a b", "a/b", "100%", "a?b#c", "a+b&c=d", ".", "x:y@z"]
)
def test_player_ids_that_pass(make_board: MakeBoard, player_id: str) -> None:
    board = make_board()
    assert board.submit(player_id, 3, submission_id=player_id)["player_id"] == player_id
    if player_id != ".":  # a path segment "." never reaches a server
        assert board.entry(player_id)["player_id"] == player_id
    found = board.api.ok("POST", f"{board.rankings}/lookup", {"player_ids": [player_id]})
    assert [entry["player_id"] for entry in found["entries"]] == [player_id]


@pytest.mark.parametrize("field", ["player_id", "submission_id"])
@pytest.mark.parametrize(
    "value", ["", "p" * 129, "ü" * 129, "a\nb", "a\x00b", "a\x7fb", "\t", 5, None, ["p"], {}]
)
def test_ids_that_are_refused(api: Api, board: Board, field: str, value: Any) -> None:
    if field == "submission_id" and value is None:
        value = False
    body = {"player_id": "p", "score": 1, field: value}
    api.fails(422, "validation_failed", "POST", board.scores, body)
    answer = board.batch([body, {"player_id": "p", "score": 1}])
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(0, "validation_failed")]


@pytest.mark.parametrize("tenant_id", ["", "Studio", "-a", "_a", "a b", "a.b", "ü", "a" * 64, 5])
def test_tenant_ids_that_are_refused(api: Api, tenant_id: Any) -> None:
    api.fails(422, "validation_failed", "POST", "/v1/tenants", {"tenant_id": tenant_id, "name": "x"})


def test_tenant_ids_that_pass(api: Api) -> None:
    for tenant_id in (unique("a_b"), unique("0"), unique("t").ljust(63, "x")):
        made = api.ok("POST", "/v1/tenants", {"tenant_id": tenant_id, "name": "x"}, status=201)
        assert made["tenant_id"] == tenant_id


# Metadata and depth


def test_metadata_of_4_kib(api: Api, board: Board) -> None:
    fitting = {"x": "y" * 4050}
    assert board.submit("p", 1, metadata=fitting)["applied"]
    assert board.entry("p")["metadata"] == fitting
    too_large = {"player_id": "large", "score": 1, "metadata": {"x": "y" * 4100}}
    api.fails(422, "validation_failed", "POST", board.scores, too_large)
    bytes_not_characters = {"player_id": "large", "score": 1, "metadata": {"x": "漢" * 1500}}
    api.fails(422, "validation_failed", "POST", board.scores, bytes_not_characters)
    answer = board.batch([too_large, {"player_id": "p", "score": 2}])
    assert (answer["accepted"], answer["errors"][0]["index"]) == (1, 0)


def test_metadata_of_a_definition_is_limited_too(api: Api) -> None:
    body = {"leaderboard_id": unique("meta"), "metadata": {"x": "y" * 5000}}
    api.fails(422, "validation_failed", "POST", "/v1/leaderboards", body)
    api.ok("POST", "/v1/leaderboards", body | {"metadata": {"x": "y" * 3000}}, status=201)


def test_depth(api: Api, board: Board) -> None:
    fitting = nested(29)
    board.submit("deep", 1, metadata=fitting)
    assert board.entry("deep")["metadata"] == fitting
    api.refuses({400, 422}, "POST", board.scores, {"player_id": "deeper", "score": 1, "metadata": nested(33)})
    api.fails(404, "entry_not_found", "GET", board.player("deeper"))


@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["arrays", "objects"])
def test_a_bottomless_body_is_an_answer_not_a_crash(api: Api, board: Board, opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    api.refuses({400, 422}, "POST", board.scores, raw=opening * 100_000 + b"1" + closing * 100_000)


# Bodies and batches


def test_body_of_8_mib(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    item = b'[{"player_id": "fits", "score": 1}'
    fitting = item + b" " * (BODY_MAX_BYTES - len(item) - 1) + b"]"
    assert api.ok("POST", board.scores, raw=fitting)["accepted"] == 1
    over = item + b" " * (BODY_MAX_BYTES - len(item)) + b"]"
    api.fails(413, "body_too_large", "POST", board.scores, raw=over.replace(b"fits", b"over"))
    api.fails(413, "body_too_large", "POST", "/v1/leaderboards", raw=over + over)
    assert list(board.ranks()) == ["fits"]


def test_10_000_items(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    items = [{"player_id": f"p{i}", "score": i} for i in range(BATCH_MAX_ITEMS + 1)]
    for body in (items, {"submissions": items}):
        api.fails(422, "validation_failed", "POST", board.scores, body)
    routed = [item | {"leaderboard_id": board.id} for item in items]
    api.fails(422, "validation_failed", "POST", "/v1/scores", routed)
    assert board.page()["total"] == 0
    answer = board.batch(items[:BATCH_MAX_ITEMS])
    assert (answer["accepted"], answer["errors"]) == (BATCH_MAX_ITEMS, [])
    page = board.page(limit=1)
    assert (page["total"], page["entries"][0]["player_id"]) == (BATCH_MAX_ITEMS, "p9999")


def test_lookup_of_1000(api: Api, make_board: MakeBoard) -> None:
    board = make_board()
    board.submit("p7", 1)
    path = f"{board.rankings}/lookup"
    found = api.ok("POST", path, {"player_ids": [f"p{i}" for i in range(1000)]})
    assert (len(found["entries"]), len(found["not_found"])) == (1, 999)
    api.fails(422, "validation_failed", "POST", path, {"player_ids": [f"p{i}" for i in range(1001)]})


@pytest.mark.parametrize(
    "params", [{"limit": 1001}, {"limit": -1}, {"limit": "x"}, {"offset": -1}, {"offset": "x"}]
)
def test_page_sizes_that_are_refused(api: Api, board: Board, params: dict[str, Any]) -> None:
    api.fails(422, "validation_failed", "GET", board.rankings, params=params)


@pytest.mark.parametrize("path", ["/v1/leaderboards", "{board}/periods"])
def test_listing_sizes_that_are_refused(api: Api, board: Board, path: str) -> None:
    path = path.replace("{board}", board.path)
    for limit in (1001, -1, "x"):
        api.fails(422, "validation_failed", "GET", path, params={"limit": limit})
    api.ok("GET", path, params={"limit": 1000})


def test_metadata_comes_back_as_it_was(board: Board) -> None:
    metadata: dict[str, Any] = {
        "n": None,
        "b": [True, False],
        "i": 7,
        "f": 0.5,
        "s": "ü",
        "o": {"k": []},
        "": 0,
    }
    board.submit("meta", 1, metadata=metadata)
    got = board.entry("meta")["metadata"]
    assert json.dumps(got, sort_keys=True) == json.dumps(metadata, sort_keys=True)
