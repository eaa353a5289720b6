"""Query parameters are read strictly."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.http.parameters import (
    boolean,
    check_target,
    choice,
    integer,
    number,
    parse_number,
    read_query,
    text,
)
from lbactors.core.errors import ApiError

DECLARED = {
    p.name: p
    for p in (
        integer("limit", "", 1, 1000, 20),
        boolean("fill", "", True),
        choice("window", "", ("main", "daily"), "main"),
        number("score_min", ""),
        text("search", "", max_length=5),
    )
}
DEFAULTS = {name: p.default for name, p in DECLARED.items()}


def read(raw: str) -> dict[str, Any]:
    return dict(read_query(raw, DECLARED, DEFAULTS))


def test_absent_parameters_have_their_defaults() -> None:
    assert read("") == {"limit": 20, "fill": True, "window": "main", "score_min": None, "search": None}
    assert read("&") == read("")


def test_empty_parameters_count_as_absent() -> None:
    assert read("limit=&fill=&window=&score_min=&search=") == read("")
    assert read("limit&fill&window") == read("")
    assert read("limit=7&limit=") == read("limit=&limit=7") == read("limit=7")
    with pytest.raises(ApiError) as caught:
        read("Limit=")  # a misspelt name is one, with or without a value
    assert caught.value.details[0]["loc"] == ["query", "Limit"]


def test_values() -> None:
    found = read("limit=7&fill=false&window=daily&score_min=-1.50&search=a%20b")
    assert found == {"limit": 7, "fill": False, "window": "daily", "score_min": -1.5, "search": "a b"}
    assert read("search=a+b")["search"] == "a b"
    assert read("se%61rch=x")["search"] == "x"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1.0", "limit"),
        ("limit=+1", "limit"),
        ("limit=01", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("limit=1&limit=1", "limit"),
        ("fill=1", "fill"),
        ("fill=True", "fill"),
        ("window=weekly", "window"),
        ("score_min=NaN", "score_min"),
        ("search=abcdef", "search"),
        ("other=1", "other"),
        ("Limit=1", "Limit"),
        ("=1", ""),
    ],
)
def test_refusals_name_the_parameter(raw: str, name: str) -> None:
    with pytest.raises(ApiError) as caught:
        read(raw)
    assert caught.value.code == "validation_failed"
    assert caught.value.details[0]["loc"] == ["query", name]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("9007199254740992", 2**53),
        ("-9007199254740992", -(2**53)),
        ("1.0", 1),
        ("1e3", 1000),
        ("1.5e300", 1.5e300),
        ("0.1", 0.1),
    ],
)
def test_numbers(written: str, value: float) -> None:
    found = parse_number(written)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "x",
        "NaN",
        "Infinity",
        "1e400",
        "9007199254740993",
        "1" * 40,
        ".5",
        "5.",
        "+1",
        "01",
        "1_0",
        "0x1",
        " 1",
    ],
)
def test_no_numbers(written: str) -> None:
    with pytest.raises(ValueError):
        parse_number(written)


@pytest.mark.parametrize("target", ["/a%", "/a%2", "/a%zz", "/%ff", "/%C3%28", "/?q=%E4", "/%ED%A0%80"])
def test_bad_percent_encoding(target: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_target(target)
    assert caught.value.status == 400


def test_good_percent_encoding() -> None:
    check_target("/a%2Fb/%F0%9F%98%80?x=%25")
