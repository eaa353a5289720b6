"""What a row of a log is worth on a leaderboard: pure functions of the definition, the row and its player.

A projection computes the same from the same rows whenever it reads them, so a leaderboard that is filled
later, or anew, stands as if it had been there all the time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from lbactors.core.definition import Definition
from lbactors.core.expressions import Expression, compile_expression
from lbactors.core.filters import Filters, Predicate, compile_filters, demands, explain
from lbactors.core.numbers import Number, normal
from lbactors.core.scoring import ROOTS, Scoring
from lbactors.core.subject import EVENT_ROOTS, Subject, parse_path, reader
from lbactors.core.timeframe import Timeframe


class _Rule(NamedTuple):
    """A rule, compiled. `holds` None: it has no conditions. `place`: its index in the definition."""

    place: int
    event_type: str
    conditions: Filters
    holds: Predicate | None
    expression: Expression


# What is asked of a subject for one rule: whether its conditions hold, and what it yields.
_Step = tuple[Predicate | None, Callable[[Subject], Number | None]]
_INDEXED_FROM: Final = 4  # rules that ask for values of the same path
_INDEXED_VALUES: Final = 1000


def _chooser(rules: Sequence[_Rule]) -> Callable[[Subject], Sequence[_Step]]:
    """Of rules for the same type of event, a function that gives those which may match a subject, in their
    order.

    Rules often tell events apart by one field (`{"attrs.mode": {"eq": "ranked"}}`, and so on for each mode).
    The field that most of them ask for is looked up once, and leads to the few that ask for its value.
    """
    steps = tuple((rule.holds, rule.expression.evaluate) for rule in rules)
    demanded = [demands(rule.conditions) for rule in rules]
    ((path, count),) = Counter(path for paths in demanded for path in paths).most_common(1) or [("", 0)]
    wanted = [paths.get(path) for paths in demanded]  # None: any value
    values = frozenset[str | Number]().union(*(found for found in wanted if found is not None))
    if count < _INDEXED_FROM or len(values) > _INDEXED_VALUES:
        return lambda _: steps
    pairs = list(zip(steps, wanted, strict=True))
    by_value = {
        value: tuple(step for step, found in pairs if found is None or value in found) for value in values
    }
    others = tuple(step for step, found in pairs if found is None)
    read = reader(parse_path(path, EVENT_ROOTS))

    def chosen(subject: Subject) -> Sequence[_Step]:
        value = read(subject)
        kind = type(value)
        if kind is str or kind is int or kind is float:
            return by_value.get(value, others)
        return steps

    return chosen


class Projection:
    """A leaderboard's filters and rules, compiled. `of` makes one, once for equal scorings."""

    __slots__ = ("_choosers", "_filters", "_highest", "_holds", "_lowest", "_roots", "_rules", "event_types")

    def __init__(self, scoring: Scoring) -> None:
        self._roots = ROOTS[scoring.source]
        self._filters = scoring.filters
        self._holds = compile_filters(scoring.filters, self._roots)
        self._lowest, self._highest = scoring.score_min, scoring.score_max
        self._rules = [
            _Rule(
                index,
                rule.event_type,
                rule.conditions,
                compile_filters(rule.conditions, EVENT_ROOTS),
                compile_expression(rule.points_expression),
            )
            for index, rule in enumerate(scoring.rules or ())
        ]
        by_type: dict[str, list[_Rule]] = {}
        for rule in self._rules:
            by_type.setdefault(rule.event_type, []).append(rule)
        self._choosers = {event_type: _chooser(rules) for event_type, rules in by_type.items()}
        self.event_types = frozenset(by_type)
        """The types of the events that may be worth something; empty for a metric."""

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(scoring: Scoring) -> Projection:
        """scoring: of a leaderboard whose source is a log; KeyError for another."""
        return Projection(scoring)

    def takes(self, subject: Subject) -> bool:
        """Whether the filters hold for a metric's row. `allows` says whether its amount may count."""
        return self._holds is None or self._holds(subject)

    def allows(self, score: Number) -> bool:
        """Whether a score lies within `score_min` and `score_max`."""
        return not (
            (self._lowest is not None and score < self._lowest)
            or (self._highest is not None and score > self._highest)
        )

    def points(self, event_type: str, subject: Subject) -> Number | None:
        """What an event is worth: the sum of the rules that match. None: it is no submission, as a filter
        does not hold, no rule yields anything, or the sum is not finite or outside the bounds of scores.
        """
        choose = self._choosers.get(event_type)
        if choose is None or not (self._holds is None or self._holds(subject)):
            return None
        total: Number | None = None
        for holds, evaluate in choose(subject):
            if holds is None or holds(subject):
                found = evaluate(subject)
                if found is not None:
                    total = found if total is None else total + found
        return None if total is None else self._counted(total)

    def _counted(self, total: Number) -> Number | None:
        """A sum in the API's normal form; None if it does not count."""
        total = normal(total)
        if total - total != 0 or not self.allows(total):
            return None
        return total

    def explain(self, event_type: str, subject: Subject) -> dict[str, Any]:
        """`points`, with the reasons: `{"matched", "points", "filters": {"matched", "why"}, "rules":
        [{"index", "matched", "points", "why"}]}`, a rule for each of the definition, in its order. A rule's
        points are what it yields by itself, whether or not the filters hold. Where only the bounds of scores
        are in the way, the filters' reason says so.
        """
        filters_hold, filters_why = explain(self._filters, self._roots, subject)
        rules = [self._explained(rule, event_type, subject) for rule in self._rules]
        points = self.points(event_type, subject)
        matched = [rule["points"] for rule in rules if rule["matched"]]
        if filters_hold and points is None and matched:
            filters_hold, filters_why = False, self._passed_over(normal(sum(matched)))
        return {
            "matched": points is not None,
            "points": points,
            "filters": {"matched": filters_hold, "why": filters_why},
            "rules": rules,
        }

    def _passed_over(self, total: Number) -> str:
        """Why a sum of points does not count."""
        if self._lowest is not None and total < self._lowest:
            return f"the points are {total}, and score_min is {self._lowest}"
        if self._highest is not None and total > self._highest:
            return f"the points are {total}, and score_max is {self._highest}"
        return "the sum of the points is too large"

    def _explained(self, rule: _Rule, event_type: str, subject: Subject) -> dict[str, Any]:
        points: Number | None = None
        if event_type != rule.event_type:
            why = f"event_type is '{event_type}', and must be '{rule.event_type}'"
        else:
            holds, why = explain(rule.conditions, EVENT_ROOTS, subject)
            if holds:
                points, why = rule.expression.explain(subject)
        return {"index": rule.place, "matched": points is not None, "points": points, "why": why}


def rebuilds(before: Definition, after: Definition) -> bool:
    """Whether a projection's open periods must be computed anew when its definition changes so."""
    if not after.scoring.is_projection:
        return False
    old, new = before.scoring, after.scoring
    return (
        _schedule(before.timeframe) != _schedule(after.timeframe)
        or old.metric != new.metric
        or old.basis != new.basis
        or old.aggregation != new.aggregation  # of a balance, it says what a row's score is
        or old.filters != new.filters
        or old.rules != new.rules
        or old.backfill != new.backfill
        or (old.score_min, old.score_max) != (new.score_min, new.score_max)
    )


def _schedule(timeframe: Timeframe) -> Timeframe:
    """What of a timeframe says which rows a period has: how long closed ones are kept, says nothing of it."""
    return timeframe.model_copy(update={"retain_periods": 0, "retain_days": 0})
