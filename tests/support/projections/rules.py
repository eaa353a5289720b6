"""Filters and rules of projections for tests, each beside a plain Python function that says the same.

Written from section 9 of the API alone; nothing of the server is used. A *subject* is what they look at: a
dictionary with the objects `attrs`, `actor`, `metadata` and `player`, as far as the row has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Number = int | float
Subject = Mapping[str, Any]
Document = dict[str, Any]


class Rule(NamedTuple):
    """`points`: what the expression is to yield, None for nothing."""

    event_type: str
    expression: str
    points: Callable[[Subject], Number | None]
    conditions: Document

    def document(self) -> Document:
        written: Document = {"event_type": self.event_type, "points_expression": self.expression}
        return {**written, "conditions": self.conditions} if self.conditions else written


def plain(value: float) -> Number:
    """As the API writes numbers: a whole one within ±2^53 as an integer."""
    return int(value) if float(value).is_integer() and abs(value) <= 2**53 else value


# Paths and operators --------------------------------------------------------------------------------------


def at(subject: Subject, path: str) -> Any:
    """The value at a path; None if it is missing or null."""
    value: Any = subject
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def number(subject: Subject, path: str) -> Number | None:
    value = at(subject, path)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def holds(filters: Document, subject: Subject) -> bool:
    return all(
        OPERATORS[name](at(subject, path), operand)
        for path, operators in filters.items()
        for name, operand in operators.items()
    )


def same(one: Any, other: Any) -> bool:
    """As values of JSON."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def is_in(value: Any, operands: Sequence[Any]) -> bool:
    found = value if isinstance(value, list) else [value]
    return value is not None and any(same(v, operand) for v in found for operand in operands)


def ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def judge(value: Any, operand: Any) -> bool:
        if isinstance(value, bool) or value is None:
            return False
        return isinstance(value, str) == isinstance(operand, str) and compare(value, operand)

    return judge


def contains(value: Any, operand: Any) -> bool:
    if isinstance(value, list):
        return any(same(item, operand) for item in value)
    return isinstance(value, str) and isinstance(operand, str) and operand in value


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, operand: value is not None and same(value, operand),
    "ne": lambda value, operand: value is None or not same(value, operand),
    "in": is_in,
    "not_in": lambda value, operands: not is_in(value, operands),
    "gt": ordered(lambda one, other: one > other),
    "gte": ordered(lambda one, other: one >= other),
    "lt": ordered(lambda one, other: one < other),
    "lte": ordered(lambda one, other: one <= other),
    "exists": lambda value, wanted: (value is not None) == wanted,
    "contains": contains,
}


# What the random walk draws from --------------------------------------------------------------------------

KILLS = (0, 1, 2, 3, 5, "many", None)
DEATHS = (0, 1, 2, 4)
MODES = ("ranked", "casual", "cup")
DEVICES = ("pc", "phone", "tv")
LEVELS = (1, 2, 3, 7)
TAGS, ROLES = ("vip", "bot", "new"), ("eu", "us", "asia")
SOURCES = ("quest", "shop", "duel")


def _match(subject: Subject) -> Number | None:
    kills, won = number(subject, "attrs.kills"), number(subject, "attrs.won")
    return None if kills is None or won is None else kills * 10 + (50 if won == 1 else 0)


def _ratio(subject: Subject) -> Number | None:
    kills, deaths = number(subject, "attrs.kills"), number(subject, "attrs.deaths")
    return None if kills is None or not deaths else plain(kills / deaths)


def _level(subject: Subject) -> Number | None:
    level = number(subject, "player.attributes.level")
    return None if level is None else level - 2


def _capped(subject: Subject) -> Number | None:
    kills = number(subject, "attrs.kills")
    return None if kills is None else plain(math.fmod(max(kills, 3), 4))


def _gift(subject: Subject) -> Number | None:
    value = number(subject, "attrs.value")
    return None if value is None else plain(-value)


RULES = (
    Rule("match", "attrs.kills * 10 + if(attrs.won == 1, 50, 0)", _match, {}),
    Rule("match", "5", lambda _: 5, {"attrs.mode": {"eq": "ranked"}}),
    Rule("match", "1", lambda _: 1, {"attrs.mode": {"eq": "cup"}}),
    Rule("match", "2", lambda _: 2, {"attrs.mode": {"in": ["casual", "cup"]}, "attrs.kills": {"gte": 2}}),
    Rule("match", "attrs.kills / attrs.deaths", _ratio, {"player.tags": {"contains": "vip"}}),
    Rule("match", "max(attrs.kills, 3) % 4", _capped, {"player.roles": {"not_in": ["asia"]}}),
    Rule("login", "1", lambda _: 1, {}),
    Rule("login", "player.attributes.level - 2", _level, {"actor.metadata.device": {"in": ["pc", "phone"]}}),
    Rule("gift", "-attrs.value", _gift, {}),
)

EVENT_FILTERS: tuple[Document, ...] = (
    {},
    {},
    {"player.roles": {"in": ["eu", "us"]}},
    {"attrs.mode": {"ne": "casual"}},
    {"player.attributes.level": {"gte": 2}},
    {"actor.metadata.device": {"exists": True}},
    {"player.tags": {"contains": "vip"}},
    {"player.attributes.region.name": {"contains": "south"}},
    {"attrs.kills": {"lt": 3}, "actor.metadata.device": {"not_in": ["tv"]}},
)

METRIC_FILTERS: tuple[Document, ...] = (
    {},
    {},
    {"metadata.source": {"eq": "quest"}},
    {"metadata.source": {"in": ["quest", "duel"]}},
    {"metadata.level": {"gt": 1}, "player.roles": {"contains": "eu"}},
    {"player.attributes.level": {"lte": 3}},
    {"player.tags": {"not_in": ["bot"]}},
    {"player.roles": {"exists": True}},
)
