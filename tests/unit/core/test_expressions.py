"""Expressions: what they give, against exact fractions that are rounded to a double after each step; and that
no text whatever makes more of them than a number, nothing, or one kind of error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core.expressions import (
    ARGUMENTS,
    CHARACTERS,
    FUNCTIONS,
    NESTING,
    NODES,
    Expression,
    ExpressionError,
    compile_expression,
)
from lbactors.core.subject import Subject
from tests.support.calls import calls
from tests.support.rounds import rounds

ATTRS = {
    "kills": 7,
    "ratio": 0.5,
    "zero": 0,
    "down": -3,
    "big": 2**63,
    "huge": 1.7e308,
    "won": True,
    "mode": "ranked",
    "items": [1],
    "gone": None,
    "weapon": {"power": 12},
}
SUBJECT = Subject(
    attrs=orjson.dumps(ATTRS),
    actor_metadata=b'{"level":3}',
    profile=b'{"attributes":{"boost":1.5},"tags":["vip"],"roles":[]}',
)


def value(text: str, subject: Subject = SUBJECT) -> int | float | None:
    return compile_expression(text).evaluate(subject)


def refusal(text: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("100 / 10 / 2", 5),
        ("2 * 7 % 5", 4),
        ("-2 * -3", 6),
        ("--2", 2),
        ("1 - -1", 2),
        ("7 % 3", 1),
        ("-7 % 3", 2),
        ("7 % -3", -2),
        ("-7 % -3", -1),
        ("7.5 % 2", 1.5),
        ("1 / 4", 0.25),
        ("1 < 2", 1),
        ("2 <= 1", 0),
        ("2 > 1 + 1", 0),
        ("2 >= 1 + 1", 1),
        ("0.5 + 0.5 == 1", 1),
        ("1 != 1", 0),
        ("(1 < 2) + (2 < 3)", 2),
        ("round(2.5)", 3),
        ("round(-2.5)", -3),
        ("round(2.4)", 2),
        ("round(-0.4)", 0),
        ("round(0.49999999999999994)", 0),
        ("round(4503599627370497.5)", 4503599627370498),
        ("floor(-0.5)", -1),
        ("ceil(-0.5)", 0),
        ("ceil(1.2)", 2),
        ("abs(-3)", 3),
        ("min(3, 1, 2)", 1),
        ("max(3)", 3),
        ("max(" + ",".join(map(str, range(ARGUMENTS))) + ")", ARGUMENTS - 1),
        ("if(1, 2, 3)", 2),
        ("if(0, 2, 3)", 3),
        ("if(-0.5, 2, 3)", 2),
        ("1e3", 1000),
        ("1.5E-1", 0.15),
        ("attrs.kills*10 + if(attrs.zero, 50, 5)", 75),
        ("attrs.kills-1", 6),
        ("attrs.weapon.power", 12),
        ("actor.metadata.level + player.attributes.boost", 4.5),
        ("\t1\n+\r 1 ", 2),
        # Integers are exact up to 2^53, and doubles beyond.
        ("9007199254740991 + 1", 2**53),
        ("9007199254740992 + 1", 2**53),
        ("94906267 * 94906267", 94906267.0 * 94906267.0),
        ("attrs.big * attrs.big * attrs.big", float(2**63) ** 3),
        # What is not looked at cannot hurt.
        ("if(1, 2, attrs.unknown)", 2),
        ("if(attrs.zero, 1 / attrs.zero, 8)", 8),
    ],
)
def test_what_an_expression_gives(text: str, expected: float) -> None:
    found = value(text)
    assert found == expected
    assert isinstance(found, int) == (float(expected).is_integer() and abs(expected) <= 2**53)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("attrs.unknown + 1", "attrs.unknown is missing"),
        ("attrs.gone", "attrs.gone is missing"),
        ("attrs.weapon.power.more", "attrs.weapon.power.more is missing"),
        ("attrs.won + 1", "attrs.won is no number"),
        ("attrs.mode", "attrs.mode is no number"),
        ("attrs.items", "attrs.items is no number"),
        ("attrs.weapon", "attrs.weapon is no number"),
        ("player.attributes.none", "player.attributes.none is missing"),
        ("1 / attrs.zero", "it divides by zero"),
        ("1 % 0", "it divides by zero"),
        ("0 / 0", "it divides by zero"),
        ("attrs.huge * 2", "a step of it is too large"),
        ("-attrs.huge - attrs.huge", "a step of it is too large"),
        ("attrs.huge + attrs.huge", "a step of it is too large"),
        ("attrs.huge / 0.1", "a step of it is too large"),
        ("attrs.huge * 2 > 1", "a step of it is too large"),
        ("if(attrs.unknown, 1, 2)", "attrs.unknown is missing"),
        ("min(1, attrs.unknown)", "attrs.unknown is missing"),
        ("attrs.__class__", "attrs.__class__ is missing"),
    ],
)
def test_what_yields_nothing_and_why(text: str, why: str) -> None:
    assert value(text) is None
    assert compile_expression(text).explain(SUBJECT) == (None, why)


def test_numbers_of_a_profile_that_are_not_finite_are_no_numbers() -> None:
    for number in (math.nan, math.inf, -math.inf):
        subject = Subject(profile=msgpack.packb({"attributes": {"x": number}}))
        assert value("player.attributes.x > 1", subject) is None


ROOTS = "attrs.…, actor.metadata.…, player.attributes.…"
DOT = "'.' means nothing here: a digit or a name must stand on both sides of a dot"
KNOWN = "there are min, max, abs, round, floor, ceil, if"
OPERAND = "a number, a path, a function or '('"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a number or a path at least"),
        (" \n", "must have a number or a path at least"),
        ("1 +", f"character 4: the expression ends too early: {OPERAND} is missing"),
        ("(1", "character 3: the expression ends too early: ')' is missing"),
        ("1)", "character 2: ')' cannot stand here; an operator, ',' or ')' must"),
        ("1 2", "character 3: '2' cannot stand here; an operator, ',' or ')' must"),
        ("9**9**9", f"character 3: '*' cannot stand here; {OPERAND} must"),
        ("+1", f"character 1: '+' cannot stand here; {OPERAND} must"),
        ("attrs.x = 2", "character 9: '=' means nothing here: `==` compares"),
        ("1 < 2 < 3", "character 7: a comparison of a comparison needs ( )"),
        ("__class__", f"character 1: unknown path '__class__': must be one of {ROOTS}"),
        ("1 + x.y", f"character 5: unknown path 'x.y': must be one of {ROOTS}"),
        ("().__class__", f"character 2: ')' cannot stand here; {OPERAND} must"),
        ("attrs['x']", "character 6: '[' means nothing here"),
        ("attrs", "character 1: 'attrs' must go on with the name of a field: attrs.…"),
        ("1 + player.tags", "character 5: 'player.tags' is a list, and never a number"),
        ("metadata.x", f"character 1: unknown path 'metadata.x': must be one of {ROOTS}"),
        (
            "attrs.1",
            "character 6: '.' means nothing here: a digit or a name must stand on both sides of a dot",
        ),
        (".5", "character 1: '.' means nothing here: a digit or a name must stand on both sides of a dot"),
        ("rund(1)", "character 1: unknown function 'rund'; did you mean 'round'?"),
        (
            "1 + __import__(1)",
            f"character 5: unknown function '__import__'; {KNOWN}",
        ),
        ("attrs.x(1)", f"character 1: unknown function 'attrs.x'; {KNOWN}"),
        ("min()", "character 1: min takes 1 to 16 arguments, not 0"),
        ("1 + if(1, 2)", "character 5: if takes 3 arguments, not 2"),
        ("abs(1, 2)", "character 1: abs takes 1 argument, not 2"),
        ("max(" + ",".join("1" * 17) + ")", "character 1: max takes 1 to 16 arguments, not 17"),
        ("1e999", "character 1: the number is too large"),
        ("9" * 400, "character 1: the number is too large"),
        ("attrs" + ".x" * 8, "character 1: a path must have at most 8 names with dots between them"),
        ("attrs." + "x" * 128, "character 1: a path must have at most 128 characters"),
        ("1+" * 5000 + "1", f"must have at most {CHARACTERS} characters"),
    ],
)
def test_what_is_no_expression(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


def test_the_place_of_an_error_is_told_apart() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("12 + $")
    assert caught.value.place == 6


def test_the_limits_can_be_reached() -> None:
    assert value("1" + "+1" * 99) == 100  # 199 nodes
    assert f"at most {NODES} numbers" in refusal("1" + "+1" * 100)
    assert value("(" * NESTING + "1" + ")" * NESTING) == 1
    for opening, closing in (("(", ")"), ("abs(", ")"), ("-", "")):
        deeper = opening * (NESTING + 1) + "1" + closing * (NESTING + 1)
        assert "must not be nested more than 32 levels deep" in refusal(deeper)
    assert value("1" + " " * (CHARACTERS - 1)) == 1
    assert "at most 512" in refusal("1" + " " * CHARACTERS)


def test_an_expression_is_compiled_once() -> None:
    assert compile_expression("attrs.x + 1") is compile_expression("attrs.x + 1")
    assert compile_expression("attrs.x + 1") == Expression("attrs.x + 1", lambda _: 0.0)


# Against exact fractions ----------------------------------------------------------------------------------

Tree = tuple[Any, ...]
PATHS = [f"attrs.{name}" for name in ATTRS] + ["attrs.unknown", "actor.metadata.level"]
NUMBERS = {
    **{f"attrs.{name}": n for name, n in ATTRS.items() if type(n) in (int, float)},
    "actor.metadata.level": 3,
}


class NoNumber(Exception):
    pass


def rounded(exact: Fraction) -> Fraction:
    try:
        return Fraction(float(exact))
    except OverflowError:
        raise NoNumber from None


def half_away(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2)) if x >= 0 else -math.floor(-x + Fraction(1, 2))


BINARY: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: a - b * math.floor(a / b),
    "<": lambda a, b: Fraction(a < b),
    "<=": lambda a, b: Fraction(a <= b),
    ">": lambda a, b: Fraction(a > b),
    ">=": lambda a, b: Fraction(a >= b),
    "==": lambda a, b: Fraction(a == b),
    "!=": lambda a, b: Fraction(a != b),
}
CALLS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "round": half_away,
    "floor": math.floor,
    "ceil": math.ceil,
}


def modelled(tree: Tree) -> Fraction:
    kind, *parts = tree
    if kind == "number":
        return Fraction(float(parts[0]))
    if kind == "path":
        if parts[0] not in NUMBERS:
            raise NoNumber
        return Fraction(float(NUMBERS[parts[0]]))
    if kind == "negative":
        return -modelled(parts[0])
    if kind == "if":
        return modelled(parts[1] if modelled(parts[0]) else parts[2])
    if kind in CALLS:
        arguments = list(map(modelled, parts))
        return rounded(Fraction(CALLS[kind](arguments if kind in ("min", "max") else arguments[0])))
    left, right = map(modelled, parts)
    if kind in "/%" and right == 0:
        raise NoNumber
    return rounded(BINARY[kind](left, right))


def written(tree: Tree) -> str:
    kind, *parts = tree
    if kind in ("number", "path"):
        return str(parts[0])
    if kind == "negative":
        return f"-{written(parts[0])}"
    if kind in FUNCTIONS:
        return f"{kind}({', '.join(map(written, parts))})"
    return f"({written(parts[0])} {kind} {written(parts[1])})"


literals = st.one_of(
    st.integers(0, 20), st.floats(0, 1e308), st.integers(0, 2**60), st.sampled_from([0.1, 2.5, 0.5, 1e16])
).map(str)
leaves = st.one_of(st.tuples(st.just("number"), literals), st.tuples(st.just("path"), st.sampled_from(PATHS)))


def grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    several = st.lists(inner, min_size=1, max_size=4)
    return st.one_of(
        st.tuples(st.sampled_from(sorted(BINARY)), inner, inner),
        st.tuples(st.just("negative"), inner),
        st.tuples(st.just("if"), inner, inner, inner),
        st.tuples(st.sampled_from(["abs", "round", "floor", "ceil"]), inner),
        st.builds(lambda name, parts: (name, *parts), st.sampled_from(["min", "max"]), several),
    )


trees = st.recursive(leaves, grown, max_leaves=12)


@settings(max_examples=rounds(300, 5000), deadline=None)
@given(trees)
def test_an_expression_gives_what_exact_arithmetic_gives(tree: Tree) -> None:
    text = written(tree)
    if len(text) > CHARACTERS:
        return
    try:
        expected: float | None = float(modelled(tree))
    except NoNumber:
        expected = None
    assert value(text) == expected


@settings(max_examples=rounds(200, 3000), deadline=None)
@given(st.lists(st.tuples(st.sampled_from("+-*/%"), st.integers(1, 9)), max_size=12), st.integers(0, 9))
def test_what_binds_closer(rest: list[tuple[str, int]], first: int) -> None:
    """Without parentheses: the same as with those that one would set."""
    text = str(first) + "".join(f" {operator} {number}" for operator, number in rest)
    tree: Tree = ("number", first)
    terms: list[tuple[str, Tree]] = []
    sign = "+"
    for operator, number in rest:
        if operator in "+-":
            terms.append((sign, tree))
            sign, tree = operator, ("number", number)
        else:
            tree = (operator, tree, ("number", number))
    total: Tree = ("number", 0)
    for operator, term in [*terms, (sign, tree)]:
        total = (operator, total, term)
    assert value(text) == float(modelled(total))


# Whatever is written --------------------------------------------------------------------------------------

WORDS = [
    *"()+-*/%<>=!,.",
    "<=",
    "==",
    "1",
    "2.5",
    "1e3",
    "attrs.kills",
    "attrs",
    "if",
    "min",
    "round",
    " ",
    "**",
]
WORDS += ["attrs.unknown", "attrs.zero", "player.tags", "__class__", "lambda", "attrs.huge"]


def judged(text: str) -> None:
    try:
        expression = compile_expression(text)
    except ExpressionError as error:
        assert str(error) and (error.place is None or 1 <= error.place <= len(text) + 1)
        return
    for subject in (SUBJECT, Subject()):
        found = expression.evaluate(subject)
        assert found is None or (type(found) in (int, float) and math.isfinite(found))
        assert expression.explain(subject)[0] == found


@settings(max_examples=rounds(300, 10_000), deadline=None)
@given(st.one_of(st.text(max_size=600), st.lists(st.sampled_from(WORDS), max_size=200).map("".join)))
def test_any_text_is_an_expression_or_the_one_error(text: str) -> None:
    judged(text)


@settings(max_examples=rounds(200, 5000), deadline=None)
@given(trees, st.data())
def test_an_expression_with_a_typing_error_is_judged_too(tree: Tree, data: st.DataObject) -> None:
    text = written(tree)
    at = data.draw(st.integers(0, len(text)))
    judged(text[:at] + data.draw(st.sampled_from(WORDS)) + text[at + data.draw(st.integers(0, 3)) :])


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "(" * CHARACTERS,
        "-" * CHARACTERS,
        "if(" * 170,
        "1" + "+1" * 255,
        "9" * CHARACTERS,
        "*".join(["9e99"] * 100),
        "((((" + "9" * 100 + ")*9)*9)*9)",
        "if(1," * 30 + "1" + ",2)" * 30,
        "a." * 256,
        "x" * 10_240,
        "(" * 10_240,
    ],
)
def test_whatever_it_says_it_is_done_in_so_many_steps(text: str) -> None:
    judged("1")  # the parser is made
    assert calls(lambda: judged(text)) < 100_000


def test_evaluation_takes_a_few_calls_for_each_node() -> None:
    for text in ("1" + "+1" * 99, "*".join(["attrs.kills"] * 40), "if(attrs.kills, 1, 2)" + "+1" * 90):
        expression = compile_expression(text)
        assert calls(lambda e=expression: e.evaluate(SUBJECT)) < 8 * NODES  # type: ignore[misc]
