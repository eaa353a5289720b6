"""Bodies in and out: what is read, what is refused, and with which code."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.http import codec
from lbactors.core.errors import ApiError


def refused(code: str, body: bytes, media_type: str = codec.JSON, depth: int = 32) -> ApiError:
    with pytest.raises(ApiError) as caught:
        codec.parse(body, media_type, depth)
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1] x",
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b'"\\ud800"',
        b'"\\udc00 alone"',
        b'"\xff"',
        b'{"a":1,}',
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf\xef\xbb\xbf[1]",
        b"[\xef\xbb\xbf1]",
        b"\xff\xfe[\x001\x00]\x00",
        b"'a'",
        b"[" * 5000,
        b"1" * 5000,
    ],
)
def test_malformed_json(body: bytes) -> None:
    refused("malformed_body", body)


def test_a_byte_order_mark_is_skipped() -> None:
    assert codec.parse(b"\xef\xbb\xbf[1]", codec.JSON, 32) == [1]
    refused("malformed_body", b"\xef\xbb\xbf\x91\x01", codec.MSGPACK)


def test_json_integers_keep_their_digits() -> None:
    assert codec.parse(b"[123456789012345678901234567890]", codec.JSON, 32) == [
        123456789012345678901234567890
    ]
    assert codec.parse(b"[5, 5.0, 1e400]", codec.JSON, 32) == [5, 5.0, float("inf")]


def nested(depth: int, inner: Any = 1) -> Any:
    value = inner
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("dumps", [orjson.dumps, msgpack.packb])
@pytest.mark.parametrize("padding", [0, 60])
def test_depth_is_counted_exactly(dumps: Any, padding: int) -> None:
    media_type = codec.JSON if dumps is orjson.dumps else codec.MSGPACK
    for depth in (1, 31, 32):
        value = [nested(depth - 1), *([{}] * padding)]
        assert codec.parse(dumps(value), media_type, 32) == value
    for depth in (33, 60, 150):
        refused("malformed_body", dumps([nested(depth - 1), *([{}] * padding)]), media_type)


def test_brackets_in_strings_are_no_depth() -> None:
    value = {"a": "[" * 100 + "{" * 100}
    assert codec.parse(orjson.dumps(value), codec.JSON, 32) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        msgpack.packb({"a": b"binary"}),
        msgpack.packb({1: "a"}),
        msgpack.packb({b"a": "a"}),
        msgpack.packb([msgpack.ExtType(7, b"x")]),
        msgpack.packb([msgpack.Timestamp(1)]),
        msgpack.packb([1]) + b"\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xa1\xff",
        b"\xc1",
        b"\x91" * 3000 + b"\x01",
        msgpack.packb(nested(31, b"deep")),
    ],
)
def test_malformed_msgpack(body: bytes) -> None:
    refused("malformed_body", body, codec.MSGPACK)


words = st.text("aé😀\x00", max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=40)
@given(values)
def test_msgpack_inverts(value: Any) -> None:
    assert codec.parse(codec.encode(value, packed=True), codec.MSGPACK, 32) == value


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=40), st.sampled_from([codec.JSON, codec.MSGPACK]))
def test_no_bytes_crash_the_parser(body: bytes, media_type: str) -> None:
    try:
        codec.parse(body, media_type, 8)
    except ApiError as error:
        assert error.code == "malformed_body"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, codec.JSON),
        ("application/json", codec.JSON),
        ("Application/JSON; charset=UTF-8", codec.JSON),
        ('application/json;charset="utf-8"', codec.JSON),
        ("application/msgpack", codec.MSGPACK),
    ],
)
def test_content_types(content_type: str | None, expected: str) -> None:
    assert codec.body_format(content_type) == expected


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "",
        "application/json; charset=latin-1",
        "application/x-www-form-urlencoded",
        "json",
        "*/*",
    ],
)
def test_other_content_types(content_type: str) -> None:
    with pytest.raises(ApiError) as caught:
        codec.body_format(content_type)
    assert caught.value.code == "unsupported_media_type"


@pytest.mark.parametrize(
    ("accept", "packed"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("application/msgpack", True),
        ("APPLICATION/MSGPACK", True),
        ("application/json, application/msgpack", True),
        ("application/json, application/msgpack;q=0.5", False),
        ("application/json;q=0.4, application/msgpack;q=0.5", True),
        ("application/msgpack;q=0", False),
        ("application/msgpack;q=nonsense", False),
        ("text/html, application/x-msgpack", False),
    ],
)
def test_accept(accept: str | None, packed: bool) -> None:
    assert codec.wants_msgpack(accept) is packed


def test_gzip() -> None:
    assert codec.inflate(gzip.compress(b"[1]"), "gzip", 10) == b"[1]"
    assert codec.inflate(b"[1]", "identity", 10) == b"[1]"


@pytest.mark.parametrize(
    ("body", "coding", "code"),
    [
        (gzip.compress(b"0" * 10_000_000), "gzip", "body_too_large"),
        (b"[1]", "gzip", "malformed_body"),
        (gzip.compress(b"[1]")[:-3], "gzip", "malformed_body"),
        (gzip.compress(b"[1]") + b"x", "gzip", "malformed_body"),
        (gzip.compress(b"[1]") * 2, "gzip", "malformed_body"),
        (b"[1]", "br", "unsupported_media_type"),
        (b"[1]", "gzip, gzip", "unsupported_media_type"),
    ],
    # gzip writes the second into its header, and pytest would write it into the tests' names: two processes
    # that collect them at two sides of a second would not agree on what there is to run.
    ids=("a bomb", "no gzip", "cut", "more behind", "two members", "another coding", "two codings"),
)
def test_bad_gzip(body: bytes, coding: str, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        codec.inflate(body, coding, 1000)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("value", "loc"),
    [
        ({"a": [1, float("inf")]}, ["m", "a", 1]),
        ({"a": float("nan")}, ["m", "a"]),
        ({"a": {"b": 2**64}}, ["m", "a", "b"]),
        ({"a": -(2**63) - 1}, ["m", "a"]),
    ],
)
def test_objects_that_cannot_be_stored(value: dict[str, Any], loc: list[Any]) -> None:
    with pytest.raises(ApiError) as caught:
        codec.encode_object(value, "m")
    assert caught.value.code == "validation_failed"
    assert caught.value.details[0]["loc"] == loc


def test_objects_that_can_be_stored() -> None:
    value = {"a": None, "b": [2**64 - 1, -(2**63), 1.5e300, True, "null"]}
    assert json.loads(codec.encode_object(value, "m")) == value
