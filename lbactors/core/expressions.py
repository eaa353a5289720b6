"""Arithmetic that a leaderboard's rules are written in: `attrs.kills * 10 + if(attrs.won, 50, 0)`.

An expression is parsed once, by a grammar, into functions that call each other; what it says can never become
Python code. It has numbers, paths (`lbactors.core.subject`), `+ - * / % ( )`, comparisons, which are 1 or 0,
and the functions of `FUNCTIONS`. There is nothing else: no names, no loops, no power, and its length is
limited, so to evaluate it takes some microseconds whatever it says.

All numbers are IEEE doubles while it is evaluated: every integer up to ±2^53 is exact, what goes beyond is
rounded as doubles are, and no number grows. What comes out is in the API's normal form
(`lbactors.core.numbers`). Where an operand is missing or no number (text, lists, true and false are none),
where a division is by zero, and where any step would not be finite, the whole expression yields nothing. Of
`if`, the branch that is not taken is not looked at.

In an expression a field's name has letters, digits and underscores and does not begin with a digit, so `a-b`
is always a subtraction. (Filters, where a path is a string of its own, take any name without a dot.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lbactors.core.findings import did_you_mean
from lbactors.core.numbers import MAX_EXACT_INTEGER, Number, normal
from lbactors.core.subject import EVENT_ROOTS, Path, Subject, parse_path, reader

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedInput

CHARACTERS: Final = 512
NODES: Final = 200  # numbers, paths, operations and function calls, all together
NESTING: Final = 32  # of parentheses, function calls and signs
ARGUMENTS: Final = 16  # of min and max

Run = Callable[[Subject], float]

_ROOTS: Final = {name: root for name, root in EVENT_ROOTS.items() if root.fields}


class ExpressionError(ValueError):
    """An expression that cannot be. The message names the place; `place`: the first character that is wrong,
    counted from 1; None: the whole.
    """

    def __init__(self, text: str, place: int | None = None) -> None:
        super().__init__(text if place is None else f"character {place}: {text}")
        self.place = place


class _Nothing(Exception):
    """No number comes out. Its text says why."""


class Expression:
    """An expression that was parsed. Two are equal if their texts are."""

    __slots__ = ("_run", "text")

    def __init__(self, text: str, run: Run) -> None:
        self.text = text
        self._run = run

    def evaluate(self, subject: Subject) -> Number | None:
        """Its value; None: nothing. Never raises."""
        try:
            return normal(self._run(subject))
        except (_Nothing, ArithmeticError):
            return None

    def explain(self, subject: Subject) -> tuple[Number | None, str]:
        """Its value, and in words what it gives or why it gives nothing."""
        try:
            value = normal(self._run(subject))
        except _Nothing as nothing:
            return None, str(nothing)
        except ArithmeticError:
            return None, "it divides by zero"
        return value, f"it gives {value}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


@lru_cache(maxsize=4096)
def compile_expression(text: str) -> Expression:
    """ExpressionError for anything but an expression."""
    if len(text) > CHARACTERS:
        raise ExpressionError(f"must have at most {CHARACTERS} characters")
    if not text.strip():
        raise ExpressionError("must have a number or a path at least")
    # Here and not above: most processes never see an expression, and to load the parser takes a while.
    from lark.exceptions import UnexpectedInput

    try:
        node = _parser().parse(text)
    except UnexpectedInput as error:
        raise _misplaced(error, text) from None
    assert isinstance(node, _Node), "every rule of the grammar makes one"
    return Expression(text, node.run)


# The grammar ----------------------------------------------------------------------------------------------

_GRAMMAR: Final = r"""
?start: comparison
?comparison: sum | sum COMPARISON sum -> binary
?sum: product | sum (PLUS | MINUS) product -> binary
?product: signed | product (STAR | SLASH | PERCENT) signed -> binary
?signed: MINUS signed -> negative | atom
?atom: NUMBER -> number
     | NAME -> path
     | NAME OPENING [comparison ("," comparison)*] ")" -> call
     | OPENING comparison ")" -> group

COMPARISON: "<=" | ">=" | "==" | "!=" | "<" | ">"
OPENING: "("
PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
PERCENT: "%"
NUMBER: /[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?/
NAME: /[^\W\d]\w*(\.[^\W\d]\w*)*/
%ignore /[ \t\r\n]+/
"""


class _Node(NamedTuple):
    """A part of an expression. `size`: its nodes. `nesting`: levels in it."""

    run: Run
    size: int
    nesting: int


class _Builder:
    """What the parser calls as it recognises each rule of the grammar, the innermost first."""

    def number(self, children: list[Token]) -> _Node:
        (token,) = children
        value = float(token)
        if math.isinf(value):
            raise ExpressionError("the number is too large", _place(token))
        return _Node(lambda _: value, 1, 0)

    def path(self, children: list[Token]) -> _Node:
        (token,) = children
        if token in EVENT_ROOTS and token not in _ROOTS:
            raise ExpressionError(f"'{token}' is a list, and never a number", _place(token))
        try:
            path = parse_path(str(token), _ROOTS)
        except ValueError as error:
            meant = f"; {token}(…) is a function" if token in FUNCTIONS else ""
            raise ExpressionError(f"{error}{meant}", _place(token)) from None
        return _Node(_operand(path), 1, 0)

    def group(self, children: list[Any]) -> _Node:
        opening, inner = children
        return _checked(inner.run, [inner], 0, _place(opening))

    def negative(self, children: list[Any]) -> _Node:
        sign, inner = children
        run = inner.run
        return _checked(lambda subject: -run(subject), [inner], 1, _place(sign))

    def binary(self, children: list[Any]) -> _Node:
        left, operator, right = children
        run = _OPERATIONS[str(operator)](left.run, right.run)
        size = _sized([left, right], 1)
        return _Node(run, size, max(left.nesting, right.nesting))

    def call(self, children: list[Any]) -> _Node:
        name, _, *arguments = children
        arguments = [argument for argument in arguments if argument is not None]
        function = FUNCTIONS.get(str(name))
        if function is None:
            meant = did_you_mean(str(name), FUNCTIONS) or f"; there are {', '.join(FUNCTIONS)}"
            raise ExpressionError(f"unknown function '{name}'{meant}", _place(name))
        if not function.least <= len(arguments) <= function.most:
            text = f"{name} takes {function.arguments}, not {len(arguments)}"
            raise ExpressionError(text, _place(name))
        return _checked(function.make([a.run for a in arguments]), arguments, 1, _place(name))


def _checked(run: Run, inner: list[_Node], own: int, place: int) -> _Node:
    """A node one level above others, if it keeps the limits."""
    nesting = 1 + max(node.nesting for node in inner)
    if nesting > NESTING:
        raise ExpressionError(f"must not be nested more than {NESTING} levels deep", place)
    return _Node(run, _sized(inner, own), nesting)


def _sized(inner: list[_Node], own: int) -> int:
    """The size of nodes with their own above them. ExpressionError beyond the limit."""
    size = own + sum(node.size for node in inner)
    if size > NODES:
        raise ExpressionError(f"must have at most {NODES} numbers, paths and operations")
    return size


def _place(token: Token) -> int:
    return (token.start_pos or 0) + 1


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", lexer="basic", transformer=_Builder())


_HINTS: Final = {
    "=": ": `==` compares",
    "!": ": `!=` compares",
    ".": ": a digit or a name must stand on both sides of a dot",
}


def _misplaced(error: UnexpectedInput, text: str) -> ExpressionError:
    """In words, what stands where it cannot."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    if isinstance(error, UnexpectedCharacters):
        place = error.pos_in_stream or 0
        character = text[place]
        hint = _HINTS.get(character, "")
        return ExpressionError(f"{character!r} means nothing here{hint}", place + 1)
    assert isinstance(error, UnexpectedToken), "what else the parser finds"
    wanted = error.accepts or error.expected
    if "NUMBER" in wanted:
        must = "a number, a path, a function or '(' must"
    else:
        must = "an operator, ',' or ')' must"
    if error.token.type == "$END":
        must = must.removesuffix(" must") if "NUMBER" in wanted else "')'"
        return ExpressionError(f"the expression ends too early: {must} is missing", len(text) + 1)
    if error.token.type == "COMPARISON" and "NUMBER" not in wanted:
        return ExpressionError("a comparison of a comparison needs ( )", _place(error.token))
    return ExpressionError(f"'{error.token}' cannot stand here; {must}", _place(error.token))


# What is evaluated ----------------------------------------------------------------------------------------


def _operand(path: Path) -> Run:
    read = reader(path)
    missing = f"{path.text} is missing"
    no_number = f"{path.text} is no number"

    def run(subject: Subject) -> float:
        value = read(subject)
        kind = type(value)
        if kind is int:
            return float(value)
        if kind is float and value - value == 0.0:
            return value  # type: ignore[no-any-return]
        raise _Nothing(missing if value is None else no_number)

    return run


_NOT_FINITE: Final = "a step of it is too large"


def _add(left: Run, right: Run) -> Run:
    def run(subject: Subject) -> float:
        found = left(subject) + right(subject)
        if found - found:  # not 0 for infinities alone; no operand is NaN
            raise _Nothing(_NOT_FINITE)
        return found

    return run


def _subtract(left: Run, right: Run) -> Run:
    def run(subject: Subject) -> float:
        found = left(subject) - right(subject)
        if found - found:
            raise _Nothing(_NOT_FINITE)
        return found

    return run


def _multiply(left: Run, right: Run) -> Run:
    def run(subject: Subject) -> float:
        found = left(subject) * right(subject)
        if found - found:
            raise _Nothing(_NOT_FINITE)
        return found

    return run


def _divide(left: Run, right: Run) -> Run:
    def run(subject: Subject) -> float:
        found = left(subject) / right(subject)
        if found - found:
            raise _Nothing(_NOT_FINITE)
        return found

    return run


_OPERATIONS: Final[Mapping[str, Callable[[Run, Run], Run]]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": lambda left, right: lambda subject: left(subject) % right(subject),
    "<": lambda left, right: lambda subject: 1.0 if left(subject) < right(subject) else 0.0,
    "<=": lambda left, right: lambda subject: 1.0 if left(subject) <= right(subject) else 0.0,
    ">": lambda left, right: lambda subject: 1.0 if left(subject) > right(subject) else 0.0,
    ">=": lambda left, right: lambda subject: 1.0 if left(subject) >= right(subject) else 0.0,
    "==": lambda left, right: lambda subject: 1.0 if left(subject) == right(subject) else 0.0,
    "!=": lambda left, right: lambda subject: 1.0 if left(subject) != right(subject) else 0.0,
}


def _rounded(number: float) -> float:
    """To the nearest integer, halves away from zero."""
    if abs(number) >= MAX_EXACT_INTEGER:
        return number
    whole = math.trunc(number)
    if abs(number - whole) >= 0.5:  # exact, where number + 0.5 would round
        whole += 1 if number > 0 else -1
    return float(whole)


def _of_one(function: Callable[[float], float]) -> Callable[[list[Run]], Run]:
    def make(arguments: list[Run]) -> Run:
        (argument,) = arguments
        return lambda subject: float(function(argument(subject)))

    return make


def _branch(arguments: list[Run]) -> Run:
    condition, then, otherwise = arguments
    return lambda subject: then(subject) if condition(subject) else otherwise(subject)


class Function(NamedTuple):
    """A function of the language: how many arguments it takes, and what evaluates it."""

    least: int
    most: int
    make: Callable[[list[Run]], Run]

    @property
    def arguments(self) -> str:
        if self.least < self.most:
            return f"{self.least} to {self.most} arguments"
        return "1 argument" if self.most == 1 else f"{self.most} arguments"


FUNCTIONS: Final[Mapping[str, Function]] = {
    "min": Function(1, ARGUMENTS, lambda arguments: lambda subject: min([a(subject) for a in arguments])),
    "max": Function(1, ARGUMENTS, lambda arguments: lambda subject: max([a(subject) for a in arguments])),
    "abs": Function(1, 1, _of_one(abs)),
    "round": Function(1, 1, _of_one(_rounded)),
    "floor": Function(1, 1, _of_one(math.floor)),
    "ceil": Function(1, 1, _of_one(math.ceil)),
    "if": Function(3, 3, _branch),
}
