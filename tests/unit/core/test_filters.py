"""Filters: what holds, against a plain reading of the API's words; and that whatever is written is either
right or refused at its place.
"""

from __future__ import annotations

import math
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lbactors.core import subject as subject_module
from lbactors.core.filters import (
    FILTERS_BYTES,
    NO_FILTERS,
    OPERATORS,
    PATHS,
    VALUE_LEVELS,
    VALUES,
    Filters,
    compile_filters,
    explain,
)
from lbactors.core.subject import EVENT_ROOTS, METRIC_ROOTS, Subject
from tests.support.rounds import rounds

MISSING = object()


def holds(filters: Any, subject: Subject) -> bool:
    predicate = compile_filters(Filters.parse(filters, EVENT_ROOTS), EVENT_ROOTS)
    return predicate is None or predicate(subject)


def at_x(value: Any) -> Subject:
    return Subject(attrs=orjson.dumps({} if value is MISSING else {"x": value}))


def findings(filters: Any, roots: Any = EVENT_ROOTS) -> list[tuple[tuple[Any, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Filters.parse(filters, roots)
    return [(found["loc"], found["msg"]) for found in caught.value.errors()]


@pytest.mark.parametrize(
    ("operator", "operand", "holding", "failing"),
    [
        ("eq", 1, [1, 1.0], [2, True, "1", [1], None, MISSING]),
        ("eq", True, [True], [1, "true", False, None]),
        ("eq", False, [False], [0, None, MISSING]),
        ("eq", "a", ["a"], ["A", ["a"], "", None]),
        ("eq", [1, True], [[1.0, True]], [[1, 1], [True, 1], [1], 1]),
        ("eq", {"a": None}, [{"a": None}], [{}, {"a": 0}, {"a": None, "b": 1}]),
        ("ne", 1, [2, True, "1", [1], None, MISSING], [1, 1.0]),
        ("in", ["a", 2, False], ["a", 2.0, False, ["z", "a"], [False]], ["b", 0, [], ["z"], None, MISSING]),
        ("in", [1], [1, [1]], [True, [True], {"a": 1}]),
        ("in", [[1, 2]], [[[1, 2]]], [[1, 2], 1]),
        ("in", [], [], ["a", None, MISSING, []]),
        ("not_in", ["a"], ["b", None, MISSING, [], ["b"]], ["a", ["b", "a"]]),
        ("not_in", [], ["a", None, MISSING], []),
        ("gt", 2, [3, 2.5], [2, 1, "3", True, [3], None, MISSING]),
        ("gte", 2, [2, 2.0], [1.9, None]),
        ("lt", 0, [-1], [0, "", False, None, MISSING]),
        ("lte", "b", ["a", "b", ""], ["c", 1, None]),
        ("gt", "B", ["a"], ["A"]),
        ("exists", True, [0, "", False, [], {}], [None, MISSING]),
        ("exists", False, [None, MISSING], [0, "", False, []]),
        ("contains", "b", ["abc", ["a", "b"]], ["a", ["abc"], {"b": 1}, 5, None, MISSING]),
        ("contains", 1, [[1.0, 2]], [[True], "1", 1, ["1"]]),
        ("contains", [1], [[[1]], [[1.0]]], [[1], [[1, 2]]]),
    ],
)
def test_what_holds(operator: str, operand: Any, holding: list[Any], failing: list[Any]) -> None:
    for value in holding:
        assert holds({"attrs.x": {operator: operand}}, at_x(value)), value
    for value in failing:
        assert not holds({"attrs.x": {operator: operand}}, at_x(value)), value


def test_all_must_hold() -> None:
    subject = Subject(attrs=b'{"x":5,"mode":"ranked"}', profile=b'{"tags":["vip"],"attributes":{"level":9}}')
    right = {
        "attrs.x": {"gte": 5, "lt": 6},
        "player.tags": {"contains": "vip"},
        "attrs.mode": {"ne": "casual"},
    }
    assert holds(right, subject) and holds({}, subject)
    for path, operators in (
        ("attrs.x", {"gte": 5, "lt": 5}),
        ("player.tags", {"contains": "vi"}),
        ("player.roles", {"exists": True}),
        ("player.attributes.level", {"in": [8, 10]}),
        ("actor.metadata.x", {"eq": 1}),
    ):
        assert not holds(right | {path: operators}, subject)


def test_a_metric_has_its_rows_metadata() -> None:
    filters = Filters.parse({"metadata.season": {"eq": 4}, "player.tags": {"in": ["vip"]}}, METRIC_ROOTS)
    predicate = compile_filters(filters, METRIC_ROOTS)
    assert predicate is not None
    assert predicate(Subject(metadata=b'{"season":4}', profile=b'{"tags":["new","vip"]}'))
    assert not predicate(Subject(metadata=b'{"season":4}'))
    unknown = (
        "unknown path 'attrs.x': must be one of metadata.…, player.attributes.…, player.tags, player.roles"
    )
    assert findings({"attrs.x": {"eq": 1}}, METRIC_ROOTS) == [(("attrs.x",), unknown)]


def test_no_filters_are_no_function() -> None:
    assert compile_filters(NO_FILTERS, EVENT_ROOTS) is None and not NO_FILTERS


def test_a_profile_is_not_decoded_for_a_row_that_fails_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    class Counting:
        @staticmethod
        def loads(raw: bytes) -> Any:
            decoded.append(raw)
            return orjson.loads(raw)

    monkeypatch.setattr(subject_module, "orjson", Counting)
    filters = {"player.tags": {"contains": "vip"}, "attrs.x": {"eq": 1}}
    assert not holds(filters, Subject(attrs=b'{"x":2}', profile=b'{"tags":["vip"]}'))
    assert decoded == [b'{"x":2}']


# Why ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"attrs.mode": {"in": ["ranked", 1]}}, "attrs.mode is 'casual', and must be in ['ranked', 1]"),
        ({"attrs.mode": {"eq": True}}, "attrs.mode is 'casual', and must be true"),
        ({"attrs.mode": {"ne": "casual"}}, "attrs.mode is 'casual', and must not be 'casual'"),
        ({"attrs.kills": {"gte": 1}}, "attrs.kills is missing, and must be at least 1"),
        ({"attrs.x": {"gt": 1, "lt": 5}}, "attrs.x is 5, and must be below 5"),
        ({"attrs.x": {"exists": False}}, "attrs.x is 5, and must be missing"),
        ({"attrs.y": {"exists": True}}, "attrs.y is missing, and must be there"),
        ({"player.tags": {"contains": "vip"}}, "player.tags is ['new'], and must contain 'vip'"),
        ({"attrs.o": {"eq": {"a": [None]}}}, "attrs.o is {a: false}, and must be {a: [null]}"),
        ({"player.tags": {"contains": "vip"}, "attrs.x": {"eq": 1}}, "player.tags is ['new'], and"),
    ],
)
def test_why_filters_do_not_hold(filters: Any, why: str) -> None:
    subject = Subject(attrs=b'{"mode":"casual","x":5,"o":{"a":false}}', profile=b'{"tags":["new"]}')
    matched, text = explain(Filters.parse(filters, EVENT_ROOTS), EVENT_ROOTS, subject)
    assert not matched and text.startswith(why)


def test_why_filters_hold() -> None:
    assert explain(NO_FILTERS, EVENT_ROOTS, Subject()) == (True, "there are none")
    one = Filters.parse({"attrs.x": {"exists": False}}, EVENT_ROOTS)
    assert explain(one, EVENT_ROOTS, Subject()) == (True, "all of them hold")


def test_a_long_value_is_cut_short() -> None:
    filters = Filters.parse({"attrs.x": {"eq": 1}}, EVENT_ROOTS)
    _, why = explain(filters, EVENT_ROOTS, at_x("y" * 50_000))
    assert len(why) < 300


# What may be written --------------------------------------------------------------------------------------

VALUE = "must be a string, a number, true, false, or a list or object of them"


@pytest.mark.parametrize(
    ("filters", "loc", "message"),
    [
        ([], (), "must be an object such as"),
        (None, (), "must be an object such as"),
        (
            {"attrs.x": {"near": 3}},
            ("attrs.x", "near"),
            "unknown operator; did you mean 'ne'?",
        ),
        ({"attrs.x": {">=": 3}}, ("attrs.x", ">="), "unknown operator; did you mean 'gte'?"),
        (
            {"attrs.x": {"regex": "a"}},
            ("attrs.x", "regex"),
            "unknown operator; must be one of eq, ne, ",
        ),
        ({"attrs.x": {}}, ("attrs.x",), "must be an object with one of eq, ne, in"),
        ({"attrs.x": "ranked"}, ("attrs.x",), "must be an object with one of eq, ne, in"),
        ({"mode": {"eq": 1}}, ("mode",), "unknown path 'mode': must be one of attrs.…"),
        ({"metadata.x": {"eq": 1}}, ("metadata.x",), "unknown path"),
        ({"attrs": {"eq": 1}}, ("attrs",), "'attrs' must go on with the name of a field"),
        ({"player.tags.x": {"eq": 1}}, ("player.tags.x",), "'player.tags' is a list"),
        ({"attrs" + ".x" * 8: {"eq": 1}}, ("attrs" + ".x" * 8,), "a path must have at most 8 names"),
        ({"attrs.x": {"eq": None}}, ("attrs.x", "eq"), VALUE),
        ({"attrs.x": {"eq": math.nan}}, ("attrs.x", "eq"), VALUE),
        ({"attrs.x": {"contains": [math.inf]}}, ("attrs.x", "contains"), VALUE),
        ({"attrs.x": {"in": "ranked"}}, ("attrs.x", "in"), 'must be a list such as ["ranked"]'),
        ({"attrs.x": {"in": [1, None]}}, ("attrs.x", "in"), f"each value {VALUE}"),
        ({"attrs.x": {"in": [1] * (VALUES + 1)}}, ("attrs.x", "in"), "must have at most 1000 values"),
        ({"attrs.x": {"gt": True}}, ("attrs.x", "gt"), "must be a number or a string"),
        ({"attrs.x": {"lte": [1]}}, ("attrs.x", "lte"), "must be a number or a string"),
        ({"attrs.x": {"lt": math.inf}}, ("attrs.x", "lt"), "must be a number or a string"),
        ({"attrs.x": {"exists": 1}}, ("attrs.x", "exists"), "must be true or false"),
        ({f"attrs.x{i}": {"eq": 1} for i in range(PATHS + 1)}, (), "must have at most 32 paths"),
        ({"attrs.x": {"eq": "y" * FILTERS_BYTES}}, (), "must not exceed 16384 bytes as JSON"),
        ({"attrs.x": {"eq": 2**64}}, (), "must be a JSON object whose integers fit in 64 bits"),
        ({1: {"eq": 1}}, (), "must be a JSON object"),
        ({"attrs.x": {"eq": b"x"}}, (), "must be a JSON object"),
        ({"attrs.\ud800": {"eq": 1}}, (), "must be a JSON object"),
    ],
)
def test_what_is_refused_and_where(filters: Any, loc: tuple[str, ...], message: str) -> None:
    ((found, text),) = findings(filters)
    assert found == loc and text.startswith(message)


def test_every_place_is_named() -> None:
    wrong = {"x": {"eq": 1}, "attrs.x": {"near": 1, "exists": 2, "eq": 1}, "attrs.y": {"eq": "{braces}"}}
    assert [loc for loc, _ in findings(wrong)] == [("x",), ("attrs.x", "near"), ("attrs.x", "exists")]


def test_the_limits_can_be_reached() -> None:
    deep: Any = 1
    for _ in range(VALUE_LEVELS):
        deep = [deep]
    assert holds({"attrs.x": {"eq": deep}}, at_x(deep))
    assert not holds({"attrs.x": {"eq": deep}}, at_x([deep]))
    assert findings({"attrs.x": {"eq": [deep]}})[0][0] == ("attrs.x", "eq")
    assert holds({f"attrs.x{i}": {"ne": 1} for i in range(PATHS)}, at_x(1))
    assert holds({"attrs.x": {"in": list(range(VALUES))}}, at_x(VALUES - 1))
    size = FILTERS_BYTES - len(orjson.dumps({"attrs.x": {"eq": ""}}))
    assert holds({"attrs.x": {"eq": "y" * size}}, at_x("y" * size))


def test_values_deeper_than_any_operand_equal_nothing() -> None:
    raw = b"[" * 900 + b"1" + b"]" * 900
    subject = Subject(attrs=b'{"x":' + raw + b"}")
    assert holds({"attrs.x": {"ne": [1]}}, subject) and not holds({"attrs.x": {"in": [[1]]}}, subject)


def test_filters_are_equal_as_json_is() -> None:
    def filters(operand: Any) -> Filters:
        return Filters.parse({"attrs.x": {"eq": operand}}, EVENT_ROOTS)

    assert filters(1) == filters(1.0) and hash(filters(1)) == hash(filters(1.0))
    assert filters(1) != filters(True) and filters([0]) != filters([False]) and filters(1) != 1
    two = {"attrs.a": {"eq": 1}, "attrs.b": {"eq": [1, {"c": None}]}}
    turned = dict(reversed(two.items()))
    assert Filters.parse(two, EVENT_ROOTS) == Filters.parse(turned, EVENT_ROOTS)


# Against a plain reading ----------------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return bool(a == b)


def ordered(value: Any, operand: Any) -> bool:
    def number(x: Any) -> bool:
        return isinstance(x, int | float) and not isinstance(x, bool)

    return (number(value) and number(operand)) or (isinstance(value, str) and isinstance(operand, str))


def modelled(operator: str, operand: Any, value: Any) -> bool:
    there = value is not MISSING and value is not None
    match operator:
        case "exists":
            return there == operand
        case "ne":
            return not modelled("eq", operand, value)
        case "not_in":
            return not modelled("in", operand, value)
        case _ if not there:
            return False
        case "eq":
            return same(value, operand)
        case "in":
            items = value if isinstance(value, list) else [value]
            return any(same(item, one) for item in items for one in operand)
        case "contains":
            if isinstance(value, list):
                return any(same(item, operand) for item in value)
            return isinstance(value, str) and isinstance(operand, str) and value.find(operand) >= 0
    if not ordered(value, operand):
        return False
    return {"gt": value > operand, "gte": value >= operand, "lt": value < operand, "lte": value <= operand}[
        operator
    ]


scalars = st.one_of(
    st.sampled_from([0, 1, 2, 1.0, 0.0, -1, 1.5, True, False, "", "a", "ab", "b", "1"]), st.integers(-3, 3)
)
values = st.recursive(
    scalars | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
there = values.filter(lambda value: value is not None)
operands = {
    **dict.fromkeys(("eq", "ne", "contains"), there),
    **{name: st.lists(there, max_size=4) for name in ("in", "not_in")},
    **{
        name: scalars.filter(lambda value: not isinstance(value, bool)) for name in ("gt", "gte", "lt", "lte")
    },
    "exists": st.booleans(),
}
conditions = st.sampled_from(sorted(operands)).flatmap(lambda name: st.tuples(st.just(name), operands[name]))


def test_every_operator_is_modelled() -> None:
    assert set(operands) == set(OPERATORS)


@settings(max_examples=rounds(500, 10_000), deadline=None)
@given(conditions, values | st.just(MISSING))
def test_one_operator_says_what_the_plain_reading_says(condition: tuple[str, Any], value: Any) -> None:
    operator, operand = condition
    filters = {"attrs.x": {operator: operand}}
    expected = modelled(operator, operand, value)
    assert holds(filters, at_x(value)) == expected
    assert explain(Filters.parse(filters, EVENT_ROOTS), EVENT_ROOTS, at_x(value))[0] == expected


@settings(max_examples=rounds(200, 5000), deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["attrs.a", "attrs.b.c", "player.tags", "player.attributes.d"]),
        st.lists(conditions, min_size=1, max_size=3).map(dict),
        max_size=4,
    ),
    st.dictionaries(st.sampled_from(["a", "b"]), values | st.fixed_dictionaries({"c": values})),
    st.lists(st.sampled_from(["a", "ab", "1"]), max_size=2),
    values,
)
def test_all_together_hold_if_each_does(filters: Any, attrs: Any, tags: list[str], attribute: Any) -> None:
    profile = msgpack.packb({"tags": tags, "attributes": {"d": attribute}})
    subject = Subject(attrs=orjson.dumps(attrs), profile=profile)
    inner = attrs.get("b")
    found = {
        "attrs.a": attrs.get("a"),
        "attrs.b.c": inner.get("c") if isinstance(inner, dict) else None,
        "player.tags": tags or None,
        "player.attributes.d": attribute,
    }
    expected = all(
        modelled(operator, operand, found[path])
        for path, operators in filters.items()
        for operator, operand in operators.items()
    )
    assert holds(filters, subject) == expected
    parsed = Filters.parse(filters, EVENT_ROOTS)
    assert explain(parsed, EVENT_ROOTS, subject)[0] == expected
    assert Filters.parse(orjson.loads(orjson.dumps(parsed.written)), EVENT_ROOTS) == parsed


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=rounds(300, 10_000), deadline=None)
@given(
    st.one_of(
        anything,
        st.dictionaries(
            st.sampled_from(["attrs.x", "player.tags", "attrs", "x"]) | st.text(max_size=8),
            st.dictionaries(st.sampled_from(OPERATORS) | st.text(max_size=3), anything, max_size=3)
            | anything,
            max_size=3,
        ),
    ),
    values,
)
def test_whatever_is_written_is_right_or_refused(written: Any, value: Any) -> None:
    try:
        filters = Filters.parse(written, EVENT_ROOTS)
    except ValidationError as error:
        assert all(found["msg"] for found in error.errors())
        return
    predicate = compile_filters(filters, EVENT_ROOTS)
    assert explain(filters, EVENT_ROOTS, at_x(value))[0] == (predicate is None or predicate(at_x(value)))
