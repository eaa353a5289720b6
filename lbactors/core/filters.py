"""Which rows count on a leaderboard: `{"attrs.mode": {"in": ["ranked"]}, "attrs.players": {"gte": 2}}`.

A filter has a value at a path (`lbactors.core.subject`) and operators with their operands; all of them must
hold. Values compare as in JSON: 1 is 1.0, true is not 1, a list equals a list with equal items. What is
missing, or null, equals nothing, is ordered before and after nothing, and is in no list; so `ne` and `not_in`
hold for it.

    eq, ne                the value is the operand; is not
    in, not_in            it is one of the operands; of a list, one item is. None is
    gt, gte, lt, lte      order between two numbers or two strings (by code point), else false
    exists                the value is there (true), is missing (false)
    contains              a list has the operand as an item; a string has it as a part

`Filters` is what a client wrote, found right. `compile_filters` makes a function of it; `explain` says in
words which operator does not hold.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from lbactors.core.findings import did_you_mean
from lbactors.core.numbers import Number
from lbactors.core.subject import Reader, Root, Subject, parse_path, reader

PATHS: Final = 32  # in one object of filters
VALUES: Final = 1000  # in one list of `in` or `not_in`
FILTERS_BYTES: Final = 16_384  # of all of them, as compact JSON
VALUE_LEVELS: Final = 16  # lists and objects within each other, in an operand
_SHOWN_CHARACTERS: Final = 200

Test = Callable[[Any], bool]
Predicate = Callable[[Subject], bool]


def identity(value: Any, levels: int = VALUE_LEVELS + 4) -> Any:
    """Something hashable that two JSON values share if they are equal. What has more levels than an operand
    can have is equal to nothing.
    """
    kind = type(value)
    if kind is str or kind is int or kind is float:
        return value
    if kind is bool:
        return bool, value
    if value is None:
        return (None,)
    if levels > 0 and kind in (list, tuple):
        return list, tuple(identity(item, levels - 1) for item in value)
    if levels > 0 and kind is dict:
        return dict, frozenset((name, identity(item, levels - 1)) for name, item in value.items())
    return object()


class Filters:
    """Filters as they were written, which are right. Equal if every operand is, as JSON compares."""

    __slots__ = ("_identity", "written")

    def __init__(self, written: Mapping[str, Mapping[str, Any]]) -> None:
        """From what `parse` took."""
        self.written = {path: dict(operators) for path, operators in written.items()}
        self._identity = identity(self.written)

    @classmethod
    def parse(cls, value: object, roots: Mapping[str, Root]) -> Filters:
        """Filters whose paths begin with one of the roots. ValidationError that names each place.

        Within a validator of pydantic, what it names stands after the field's own place.
        """
        if isinstance(value, Filters):
            value = value.written
        found = [
            InitErrorDetails(
                type=PydanticCustomError("filter", "{text}", {"text": text}), loc=loc, input=None
            )
            for loc, text in _findings(value, roots)
        ]
        if found:
            raise ValidationError.from_exception_data("filters", found)
        assert isinstance(value, dict), "anything else was found wrong"
        return cls(value)

    def __bool__(self) -> bool:
        return bool(self.written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filters) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"Filters({self.written!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """For fields whose own validator calls `parse`: it knows the roots."""
        written = core_schema.plain_serializer_function_ser_schema(operator.attrgetter("written"))
        return core_schema.is_instance_schema(cls, serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "object", "maxProperties": PATHS}


NO_FILTERS: Final = Filters({})


# What may be written --------------------------------------------------------------------------------------

_LISTS: Final = ("in", "not_in")
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
OPERATORS: Final = ("eq", "ne", *_LISTS, *_ORDERS, "exists", "contains")

Finding = tuple[tuple[str | int, ...], str]


def _findings(value: object, roots: Mapping[str, Root]) -> Iterator[Finding]:
    """What is wrong, each with its place; nothing for filters that are right."""
    if not isinstance(value, dict):
        yield (), 'must be an object such as {"attrs.mode": {"eq": "ranked"}}'
        return
    if len(value) > PATHS:
        yield (), f"must have at most {PATHS} paths"
        return
    try:
        size = len(orjson.dumps(value))
    except (TypeError, ValueError):
        yield (), "must be a JSON object whose integers fit in 64 bits"
        return
    if size > FILTERS_BYTES:
        yield (), f"must not exceed {FILTERS_BYTES} bytes as JSON"
        return
    for path, operators in value.items():
        try:
            parse_path(path, roots)
        except ValueError as error:
            yield (path,), str(error)
            continue
        if not isinstance(operators, dict) or not operators:
            yield (path,), f'must be an object with one of {", ".join(OPERATORS)}, such as {{"eq": "ranked"}}'
            continue
        for name, operand in operators.items():
            text = _wrong_operand(name, operand)
            if text is not None:
                yield (path, name), text


def _wrong_operand(name: str, operand: Any) -> str | None:
    if name not in OPERATORS:
        if name in _WORDS:
            return f"unknown operator; did you mean '{_WORDS[name]}'?"
        return f"unknown operator{did_you_mean(name, OPERATORS) or _OPERATORS_IN_WORDS}"
    if name == "exists":
        return None if isinstance(operand, bool) else "must be true or false"
    if name in _ORDERS:
        ordered = isinstance(operand, str) or (_is_number(operand) and _is_value(operand))
        return None if ordered else "must be a number or a string"
    if name not in _LISTS:
        return None if _is_value(operand) else _VALUE
    if not isinstance(operand, list):
        return 'must be a list such as ["ranked"]'
    if len(operand) > VALUES:
        return f"must have at most {VALUES} values"
    return None if all(map(_is_value, operand)) else f"each value {_VALUE}"


_OPERATORS_IN_WORDS: Final = f"; must be one of {', '.join(OPERATORS)}"
_WORDS: Final = {  # of other systems
    "=": "eq",
    "==": "eq",
    "equals": "eq",
    "!=": "ne",
    "neq": "ne",
    "nin": "not_in",
    ">": "gt",
    ">=": "gte",
    "ge": "gte",
    "<": "lt",
    "<=": "lte",
    "le": "lte",
    "has": "contains",
}
_VALUE: Final = (
    "must be a string, a number, true, false, or a list or object of them, of at most "
    f"{VALUE_LEVELS} levels; whether there is a value, says `exists`"
)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_value(value: Any, levels: int = VALUE_LEVELS, *, inner: bool = False) -> bool:
    """Whether an operand is JSON; null only within others."""
    if isinstance(value, float):
        return value - value == 0.0
    if isinstance(value, list):
        return levels > 0 and all(_is_value(item, levels - 1, inner=True) for item in value)
    if isinstance(value, dict):
        return levels > 0 and all(_is_value(item, levels - 1, inner=True) for item in value.values())
    return inner or value is not None


# What holds -----------------------------------------------------------------------------------------------


class _Condition(NamedTuple):
    """What one path must hold. `costly`: to look at it, more than the row itself is decoded."""

    path: str
    read: Reader
    tests: tuple[tuple[str, Any, Test], ...]  # operator, operand, what it says of a value
    costly: bool


def compile_filters(filters: Filters, roots: Mapping[str, Root]) -> Predicate | None:
    """A function that says whether all of them hold for a subject. None: there are none. It never raises."""
    conditions = sorted(_conditions(filters, roots), key=operator.attrgetter("costly"))
    predicates = [_predicate(condition.read, *test) for condition in conditions for test in condition.tests]
    if not predicates:
        return None
    if len(predicates) == 1:
        return predicates[0]
    first, *others = predicates
    rest = tuple(others)

    def all_hold(subject: Subject) -> bool:
        if not first(subject):
            return False
        for holds in rest:  # noqa: SIM110 - faster than all() with a generator
            if not holds(subject):
                return False
        return True

    return all_hold


def demands(filters: Filters) -> dict[str, frozenset[str | Number]]:
    """By path: where the value is a string or a number, it must be one of these, or the filters do not hold.

    Paths that have no such operator are left out. Of a value of another type this says nothing.
    """
    found: dict[str, frozenset[str | Number]] = {}
    for path, operators in filters.written.items():
        lists = [[operators["eq"]]] if "eq" in operators else []
        lists += [operators["in"]] if "in" in operators else []
        for operands in lists:
            values = frozenset(v for v in operands if isinstance(v, str) or _is_number(v))
            found[path] = found.get(path, values) & values
    return found


def explain(filters: Filters, roots: Mapping[str, Root], subject: Subject) -> tuple[bool, str]:
    """Whether all of them hold, and in words the first that does not, in the order of writing."""
    if not filters:
        return True, "there are none"
    for path, read, tests, _ in _conditions(filters, roots):
        value = read(subject)
        for name, operand, test in tests:
            if not test(value):
                return False, f"{path} is {_shown(value)}, and {_must(name, operand)}"
    return True, "all of them hold"


def _conditions(filters: Filters, roots: Mapping[str, Root]) -> list[_Condition]:
    found = []
    for text, operators in filters.written.items():
        path = parse_path(text, roots)
        tests = tuple((name, operand, _test(name, operand)) for name, operand in operators.items())
        found.append(_Condition(text, reader(path), tests, text.startswith("player.")))
    return found


def _predicate(read: Reader, name: str, operand: Any, test: Test) -> Predicate:
    if name == "eq" and isinstance(operand, str):  # the commonest, one call less
        return lambda subject: read(subject) == operand
    return lambda subject: test(read(subject))


def _test(name: str, operand: Any) -> Test:
    """What an operator says of a value; None: it is missing."""
    if name == "exists":
        return (lambda value: value is not None) if operand else (lambda value: value is None)
    if name in _ORDERS:
        return _ordered(_ORDERS[name], operand)
    if name == "contains":
        return _contains(operand)
    is_one = _is_one_of(operand) if name in _LISTS else _equals(operand)
    return is_one if name in ("eq", "in") else lambda value: not is_one(value)


def _equals(operand: Any) -> Test:
    if isinstance(operand, str):
        return lambda value: value == operand
    if isinstance(operand, bool):
        return lambda value: value is operand
    if _is_number(operand):
        return lambda value: value == operand and type(value) is not bool
    wanted, kind = identity(operand), type(operand)
    return lambda value: type(value) is kind and identity(value) == wanted


def _is_one_of(operands: list[Any]) -> Test:
    wanted = frozenset(map(identity, operands))

    def is_one(value: Any) -> bool:
        kind = type(value)
        if kind is str or kind is int or kind is float:
            return value in wanted
        if kind is list:
            return any(identity(item) in wanted for item in value)
        return value is not None and identity(value) in wanted

    return is_one


def _ordered(compare: Callable[[Any, Any], bool], operand: str | Number) -> Test:
    if isinstance(operand, str):
        return lambda value: type(value) is str and compare(value, operand)

    def holds(value: Any) -> bool:
        kind = type(value)
        return (kind is int or kind is float) and compare(value, operand)

    return holds


def _contains(operand: Any) -> Test:
    equals = _equals(operand)

    def holds(value: Any) -> bool:
        if type(value) is list:
            return any(map(equals, value))
        return type(value) is str and isinstance(operand, str) and operand in value

    return holds


# In words -------------------------------------------------------------------------------------------------

_MUST: Final = {
    "eq": "must be {}",
    "ne": "must not be {}",
    "in": "must be in {}",
    "not_in": "must not be in {}",
    "gt": "must be above {}",
    "gte": "must be at least {}",
    "lt": "must be below {}",
    "lte": "must be at most {}",
    "contains": "must contain {}",
}


def _must(name: str, operand: Any) -> str:
    if name == "exists":
        return "must be there" if operand else "must be missing"
    return _MUST[name].format(_shown(operand))


def _shown(value: Any) -> str:
    """A value for people, cut short if it is long."""
    text = "missing" if value is None else _text(value, VALUE_LEVELS)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _text(value: Any, levels: int) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if levels == 0:
        return "…"
    if isinstance(value, list):
        return f"[{', '.join(_text(item, levels - 1) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_text(item, levels - 1)}' for name, item in value.items())}}}"
    return str(value)
