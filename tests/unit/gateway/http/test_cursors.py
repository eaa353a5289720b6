"""Cursors are inverted exactly, and nothing else is taken for one."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.http.cursors import RankingsCursor, listing_cursor, listing_key, rankings_cursor
from lbactors.core.definition import WINDOWS
from lbactors.core.errors import ApiError
from lbactors.core.numbers import MAX_EXACT_INTEGER
from lbactors.core.rank_keys import SEQ_MAX

words = st.text("aé😀:-0", max_size=8)
offsets = st.integers(0, MAX_EXACT_INTEGER)
numbers = st.integers(-MAX_EXACT_INTEGER, MAX_EXACT_INTEGER) | st.sampled_from([1.5e300, -0.5, 5e-324])
bounds = st.none() | numbers
standings = st.none() | st.tuples(numbers, numbers, st.integers(0, SEQ_MAX))


@settings(deadline=None)
@given(st.tuples(words, st.sampled_from(WINDOWS), words, offsets, standings, st.booleans(), bounds, bounds))
def test_rankings_cursor_inverts(fields: tuple[Any, ...]) -> None:
    cursor = RankingsCursor(*fields)
    text = cursor.encode()
    assert rankings_cursor(text) == cursor
    assert all(c.isalnum() or c in "-_" for c in text)


@settings(deadline=None)
@given(st.lists(offsets | words, min_size=1, max_size=3), st.tuples(words, st.none() | words))
def test_listing_cursor_inverts(key: list[Any], filters: tuple[Any, ...]) -> None:
    cursor = listing_cursor(tuple(key), filters)
    for kinds in (None, [type(field) for field in key]):
        assert listing_key(cursor, filters, kinds) == tuple(key)
    with pytest.raises(ApiError):
        listing_key(cursor, filters, [*map(type, key), int])


def forged(fields: Any) -> str:
    return urlsafe_b64encode(msgpack.packb(fields)).decode().rstrip("=")


good = ["s", "uid", "main", "2026-W47", 3, [50, 0, 20], False, None, None]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "ü",
        "AAAA",
        "A" * 2000,
        listing_cursor((5,), ()),
        forged("r"),
        forged(["r"]),
        forged([*good, 1]),
        forged([*good[:3], 5, *good[4:]]),
        forged([*good[:2], "decade", *good[3:]]),
        forged([*good[:4], "3", *good[5:]]),
        forged([*good[:5], [50, 0], *good[6:]]),
        forged([*good[:5], [50, 0, -1], *good[6:]]),
        forged([*good[:5], [50, 0, SEQ_MAX + 1], *good[6:]]),
        forged([*good[:5], [50, 0, True], *good[6:]]),
        forged([*good[:5], [float("inf"), 0, 20], *good[6:]]),
        forged([*good[:5], [50, None, 20], *good[6:]]),
        forged([*good[:5], [50, 2**60, 20], *good[6:]]),
        forged([*good[:5], 20, *good[6:]]),
        forged([*good[:6], 1, None, None]),
        forged([*good[:7], "0", None]),
        forged([*good[:7], float("nan"), None]),
        forged(["r", "uid", "main", "2026-W47", 20, 0, None, None]),  # as releases before made them
    ],
)
def test_bad_rankings_cursors(text: str) -> None:
    assert rankings_cursor(forged(good)).standing == (50, 0, 20)
    with pytest.raises(ApiError) as caught:
        rankings_cursor(text)
    assert caught.value.details[0]["loc"] == ["query", "cursor"]


def test_listing_cursors_are_bound_to_filters() -> None:
    text = listing_cursor((5,), ("boards", "active"))
    with pytest.raises(ApiError) as caught:
        listing_key(text, ("boards", "archived"), (int,))
    assert caught.value.details[0]["loc"] == ["query", "cursor"]
    with pytest.raises(ApiError):
        listing_key(forged(good), ("boards", "active"), (int,))
    digest = msgpack.unpackb(urlsafe_b64decode(listing_cursor((1,), ()) + "=="))[2]
    assert listing_key(forged(["l", [1], digest]), (), (int,)) == (1,)
    for key in (1, "1", None, [], [None], [1.0], [True], [2**60], [[1]]):  # a number: as releases before did
        with pytest.raises(ApiError):
            listing_key(forged(["l", key, digest]), (), None)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_no_text_crashes(data: bytes) -> None:
    for read in (rankings_cursor, lambda text: listing_key(text, (), None)):
        with pytest.raises(ApiError):
            read(urlsafe_b64encode(data).decode().rstrip("="))
