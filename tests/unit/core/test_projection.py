"""What rows are worth on a leaderboard, why, and which changes of its definition compute it anew."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core.definition import Definition
from lbactors.core.projection import Projection, rebuilds
from lbactors.core.subject import Subject
from tests.support.calls import calls
from tests.support.rounds import rounds


def definition(timeframe: Any = "weekly", **scoring: Any) -> Definition:
    return Definition.model_validate({"leaderboard_id": "xp", "timeframe": timeframe, "scoring": scoring})


def of_events(*rules: tuple[Any, ...], **scoring: Any) -> Projection:
    """Rules as event type, expression and conditions."""
    names = ("event_type", "points_expression", "conditions")
    written = [dict(zip(names, rule, strict=False)) for rule in rules]
    return Projection.of(definition(source="events", rules=written, **scoring).scoring)


def event(_profile: Any = None, **attrs: Any) -> Subject:
    return Subject(attrs=orjson.dumps(attrs), profile=None if _profile is None else orjson.dumps(_profile))


def test_the_rules_that_match_add_up() -> None:
    projection = of_events(
        ("match", "attrs.kills * 10"),
        ("match", "50", {"attrs.won": {"eq": True}}),
        ("match", "attrs.assists"),
        ("quest", "1000"),
    )
    assert projection.event_types == {"match", "quest"}
    assert projection.points("match", event(kills=7, won=True)) == 120
    assert projection.points("match", event(kills=7, won=1)) == 70
    assert projection.points("match", event(assists=2.5)) == 2.5
    assert projection.points("match", event()) is None
    assert projection.points("quest", event(kills=7)) == 1000
    assert projection.points("login", event(kills=7)) is None


def test_filters_hold_for_all_rules() -> None:
    filters = {"attrs.mode": {"in": ["ranked"]}, "player.attributes.country": {"eq": "IT"}}
    projection = of_events(("match", "1"), filters=filters)
    italian = {"attributes": {"country": "IT"}}
    assert projection.points("match", event(italian, mode="ranked")) == 1
    assert projection.points("match", event(italian, mode="casual")) is None
    assert projection.points("match", event(None, mode="ranked")) is None


def test_zero_points_are_points() -> None:
    found = of_events(("match", "attrs.x - attrs.x")).points("match", event(x=1))
    assert found == 0 and type(found) is int


@pytest.mark.parametrize(("x", "expected"), [(-1, None), (0, 0), (10, 10), (10.5, None)])
def test_an_event_outside_the_bounds_of_scores_is_passed_over(x: float, expected: float | None) -> None:
    projection = of_events(("match", "attrs.x"), score_min=0, score_max=10)
    assert projection.points("match", event(x=x)) == expected


def test_the_sum_and_not_each_rule_is_held_against_the_bounds() -> None:
    projection = of_events(("match", "6"), ("match", "6"), ("match", "-3"), score_max=10)
    assert projection.points("match", event()) == 9


def test_a_sum_that_is_not_finite_is_passed_over() -> None:
    projection = of_events(("match", "attrs.x"), ("match", "attrs.x"))
    assert projection.points("match", event(x=1e308)) is None
    explained = projection.explain("match", event(x=1e308))
    assert explained["filters"] == {"matched": False, "why": "the sum of the points is too large"}


def test_integers_are_exact_up_to_2_53_and_doubles_beyond() -> None:
    projection = of_events(("match", "attrs.x"), ("match", "1"), ("match", "1"))
    found = projection.points("match", event(x=2**53 - 2))
    assert found == 2**53 and type(found) is int
    found = projection.points("match", event(x=2**53))
    assert found == 2.0**53 + 2 and type(found) is float


def test_a_metrics_rows_are_taken_if_the_filters_hold() -> None:
    scoring = definition(source="metric", metric="coins", filters={"metadata.shop": {"ne": "test"}}).scoring
    projection = Projection.of(scoring)
    assert projection.takes(Subject(metadata=b'{"shop":"main"}')) and projection.takes(Subject())
    assert not projection.takes(Subject(metadata=b'{"shop":"test"}'))
    assert projection.event_types == frozenset()
    unfiltered = Projection.of(definition(source="metric", metric="coins", score_min=1, score_max=5).scoring)
    assert unfiltered.takes(Subject())
    assert [unfiltered.allows(score) for score in (0, 1, 5, 5.5)] == [False, True, True, False]


def test_a_projection_is_compiled_once() -> None:
    first, second = (definition(source="events", rules=[RULE]).scoring for _ in range(2))
    assert first is not second and Projection.of(first) is Projection.of(second)


def test_scores_are_no_projection() -> None:
    with pytest.raises(KeyError):
        Projection.of(definition().scoring)


# Why ------------------------------------------------------------------------------------------------------


def test_an_event_is_explained() -> None:
    projection = of_events(
        ("match", "attrs.kills * 10"),
        ("match", "50", {"attrs.won": {"eq": True}}),
        ("match", "attrs.assists"),
        ("match", "1 / attrs.zero"),
        ("quest", "1000"),
        filters={"attrs.mode": {"in": ["ranked"]}},
    )
    rules = [
        {"index": 0, "matched": True, "points": 70, "why": "it gives 70"},
        {"index": 1, "matched": False, "points": None, "why": "attrs.won is false, and must be true"},
        {"index": 2, "matched": False, "points": None, "why": "attrs.assists is missing"},
        {"index": 3, "matched": False, "points": None, "why": "it divides by zero"},
        {"index": 4, "matched": False, "points": None, "why": "event_type is 'match', and must be 'quest'"},
    ]
    assert projection.explain("match", event(mode="ranked", kills=7, won=False, zero=0)) == {
        "matched": True,
        "points": 70,
        "filters": {"matched": True, "why": "all of them hold"},
        "rules": rules,
    }
    assert projection.explain("match", event(mode="casual", kills=7, won=False, zero=0)) == {
        "matched": False,
        "points": None,
        "filters": {"matched": False, "why": "attrs.mode is 'casual', and must be in ['ranked']"},
        "rules": rules,
    }


def test_bounds_that_are_in_the_way_are_named() -> None:
    projection = of_events(("match", "attrs.x"), score_min=0, score_max=10)
    for x, why in (
        (11, "the points are 11, and score_max is 10"),
        (-1, "the points are -1, and score_min is 0"),
    ):
        assert projection.explain("match", event(x=x)) == {
            "matched": False,
            "points": None,
            "filters": {"matched": False, "why": why},
            "rules": [{"index": 0, "matched": True, "points": x, "why": f"it gives {x}"}],
        }


numbers = st.none() | st.integers(-20, 20) | st.floats(-1e3, 1e3) | st.just(1e308) | st.booleans() | st.text()


@settings(max_examples=rounds(200, 5000), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.booleans()), min_size=1, max_size=8),
    st.fixed_dictionaries(dict.fromkeys("xyz", numbers)),
    st.sampled_from("abc"),
    st.tuples(st.none() | st.integers(-10, 0), st.none() | st.integers(0, 50)),
)
def test_points_are_what_a_plain_reading_says_and_explained_so(
    rules: list[tuple[str, str, bool]],
    attrs: dict[str, Any],
    event_type: str,
    bounds: tuple[int | None, int | None],
) -> None:
    expected: float | None = None
    for kind, field, conditional in rules:
        value = attrs[field]
        if kind != event_type or (conditional and attrs["z"] is None):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            expected = value if expected is None else expected + value
    lowest, highest = bounds
    if expected is not None and (
        not math.isfinite(expected)
        or (lowest is not None and expected < lowest)
        or (highest is not None and expected > highest)
    ):
        expected = None
    written = [
        (kind, f"attrs.{field}", {"attrs.z": {"exists": True}} if conditional else {})
        for kind, field, conditional in rules
    ]
    projection = of_events(*written, score_min=lowest, score_max=highest)
    subject = event(**attrs)
    assert projection.points(event_type, subject) == expected
    explained = projection.explain(event_type, subject)
    assert (explained["matched"], explained["points"]) == (expected is not None, expected)


MODES = ["a", "b", "1", 1, 1.0, 0, 2.5, True, False]
asked = st.one_of(
    st.just({}),
    st.sampled_from(MODES).map(lambda mode: {"eq": mode}),
    st.sampled_from(MODES).map(lambda mode: {"ne": mode}),
    st.lists(st.sampled_from(MODES), max_size=3).map(lambda modes: {"in": modes}),
    st.tuples(st.sampled_from(MODES), st.lists(st.sampled_from(MODES), max_size=3)).map(
        lambda both: {"eq": both[0], "in": both[1]}
    ),
)


@settings(max_examples=rounds(200, 5000), deadline=None)
@given(
    st.lists(st.tuples(asked, st.sampled_from(["attrs.mode", "attrs.map"])), min_size=1, max_size=12),
    st.sampled_from([None, {}, [], ["a"], [1, "b"], *MODES]),
)
def test_rules_that_are_told_apart_by_one_field_are_all_found(rules: Any, mode: Any) -> None:
    """`explain` looks at each rule by itself."""
    written = [("match", str(2**i), {path: how} if how else {}) for i, (how, path) in enumerate(rules)]
    projection = of_events(*written)
    subject = event(mode=mode, map="b")
    each = projection.explain("match", subject)["rules"]
    expected = sum(rule["points"] for rule in each if rule["matched"])
    assert projection.points("match", subject) == (expected or None)


def test_an_event_costs_what_its_few_rules_cost() -> None:
    """In calls, the same on any machine: of 20 rules for its type, 2 ask for its mode."""
    conditions = [{"attrs.mode": {"eq": "ranked" if i < 2 else f"mode {i}"}} for i in range(20)]
    projection = of_events(*(("match", "attrs.kills * 10", one) for one in conditions))
    alone = of_events(*(("match", "attrs.kills * 10", one) for one in conditions[:2]))
    subject = event(mode="ranked", kills=7)
    assert projection.points("match", subject) == alone.points("match", subject) == 140
    several, two = (calls(lambda p=p: p.points("match", subject)) for p in (projection, alone))  # type: ignore[misc]
    assert several <= two + 3


# Changes --------------------------------------------------------------------------------------------------

RULE = {"event_type": "match", "points_expression": "1"}
METRIC = {"source": "metric", "metric": "coins", "aggregation": "sum"}
EVENTS = {"source": "events", "rules": [RULE]}


@pytest.mark.parametrize(
    ("scoring", "change", "expected"),
    [
        (METRIC, {}, False),
        (METRIC, {"metric": "gems"}, True),
        (METRIC, {"basis": "balance"}, True),
        (METRIC, {"basis": "earned"}, False),
        (METRIC, {"aggregation": "best"}, True),
        (METRIC, {"filters": {"metadata.x": {"eq": 1}}}, True),
        (METRIC, {"score_max": 9}, True),
        (METRIC, {"backfill": False}, True),
        (METRIC, {"backfill": True}, False),
        (EVENTS, {}, False),
        (EVENTS, {"rules": [RULE | {"points_expression": "2"}]}, True),
        (EVENTS, {"rules": [RULE, RULE]}, True),
        (EVENTS, {"rules": [RULE | {"conditions": {}}]}, False),
        (EVENTS, {"rules": [RULE | {"conditions": {"attrs.x": {"eq": 1}}}]}, True),
        (EVENTS, {"filters": {"attrs.x": {"eq": 1}}}, True),
        (EVENTS, {"timeframe": "daily"}, True),
        (EVENTS, {"timeframe": {"type": "weekly", "timezone": "Europe/Rome"}}, True),
        (EVENTS, {"timeframe": {"type": "weekly", "late_grace_seconds": 60}}, True),
        (EVENTS, {"timeframe": {"type": "weekly", "retain_periods": 3, "retain_days": 1}}, False),
        ({}, {"timeframe": "daily"}, False),
    ],
)
def test_which_changes_compute_open_periods_anew(scoring: Any, change: Any, expected: bool) -> None:
    before, after = definition(**scoring), definition(**{**scoring, **change})
    assert rebuilds(before, after) is expected
    assert rebuilds(after, before) is expected
    renamed = after.model_copy(update={"name": "Other", "display_order": 3})
    assert rebuilds(after, renamed) is False


def test_true_is_another_operand_than_one() -> None:
    one, true = (definition(**EVENTS, filters={"attrs.x": {"eq": operand}}) for operand in (1, True))
    assert rebuilds(one, true) and one != true
