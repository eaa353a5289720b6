"""Where scores come from: what each source needs and refuses, and that whatever is taken comes back."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from lbactors.core.definition import Definition
from lbactors.core.errors import invalid_from
from lbactors.core.scoring import Scoring, ScoringRule

RULE = {"event_type": "match", "points_expression": "attrs.kills * 10"}
CONDITIONS = {"attrs.mode": {"in": ["ranked"]}}


def scoring(**fields: Any) -> Scoring:
    return Definition.model_validate({"leaderboard_id": "xp", "scoring": fields}).scoring


def refused(**fields: Any) -> tuple[str, str]:
    """Path within `scoring`, and words, of the only finding."""
    with pytest.raises(ValidationError) as caught:
        scoring(**fields)
    (found,) = invalid_from(caught.value, model=Definition).details
    assert found["loc"][0] == "scoring"
    return ".".join(map(str, found["loc"][1:])), found["msg"]


def dumped(found: Scoring) -> dict[str, Any]:
    return found.model_dump(mode="json")


def test_without_a_source_scores_are_submitted() -> None:
    assert dumped(scoring()) == {
        "source": "scores",
        "aggregation": "best",
        "score_min": None,
        "score_max": None,
    }
    assert not scoring().is_projection


def test_a_definition_that_was_stored_before_there_were_logs_is_read() -> None:
    stored = {"source": "scores", "aggregation": "sum", "score_min": 0, "score_max": None}
    assert dumped(scoring(**stored)) == stored
    assert scoring(**stored) == scoring(aggregation="sum", score_min=0)


def test_what_a_metric_is_without_more() -> None:
    found = scoring(source="metric", metric="coins", aggregation="sum")
    assert found.is_projection
    assert dumped(found) == {
        "source": "metric",
        "aggregation": "sum",
        "score_min": None,
        "score_max": None,
        "metric": "coins",
        "basis": "earned",
        "filters": {},
        "backfill": True,
    }


def test_what_events_are_without_more() -> None:
    found = scoring(source="events", rules=[RULE])
    assert found.is_projection
    assert dumped(found) == {
        "source": "events",
        "aggregation": "best",
        "score_min": None,
        "score_max": None,
        "filters": {},
        "rules": [{**RULE, "conditions": {}}],
        "backfill": False,
    }


BY_SOURCE: dict[str, dict[str, list[Any]]] = {
    "scores": {},
    "metric": {
        "metric": ["coins", "a:b.c-d_E9"],
        "basis": [None, "earned", "balance"],
        "filters": [{}, {"metadata.season": {"eq": 4}, "player.tags": {"contains": "vip"}}],
        "backfill": [None, True, False],
    },
    "events": {
        "filters": [{}, CONDITIONS | {"actor.metadata.x": {"exists": True}, "player.roles": {"ne": 1}}],
        "rules": [[RULE], [RULE | {"conditions": CONDITIONS}, {**RULE, "points_expression": "1"}]],
        "backfill": [None, True, False],
    },
}


@pytest.mark.parametrize("source", BY_SOURCE)
def test_every_combination_is_read_back_equal(source: str) -> None:
    choices = BY_SOURCE[source]
    for values in product(["best", "sum"], [None, 1.5], *choices.values()):
        fields = dict(zip(("aggregation", "score_min", *choices), values, strict=True))
        made = Definition.model_validate({"leaderboard_id": "xp", "scoring": {"source": source, **fields}})
        stored = made.model_dump(mode="json")
        assert Definition.model_validate(stored) == made
        assert Definition.model_validate(stored).scoring == made.scoring
        assert hash(Definition.model_validate(stored).scoring) == hash(made.scoring)
        assert Definition.model_validate(stored).model_dump(mode="json") == stored
        asked = {name: value for name, value in fields.items() if value is not None}
        assert {name: stored["scoring"][name] for name in asked} == {
            **asked,
            **(
                {"rules": [{"conditions": {}, **rule} for rule in asked["rules"]]} if "rules" in asked else {}
            ),
        }


@pytest.mark.parametrize(
    ("fields", "loc", "message"),
    [
        ({"source": "kafka"}, "source", "must be 'scores', 'metric' or 'events'"),
        ({"source": "metric"}, "metric", "is required for source 'metric'"),
        ({"source": "metric", "metric": None}, "metric", "is required for source 'metric'"),
        ({"source": "metric", "metric": "a b"}, "metric", "must be 1 to 128 letters"),
        ({"source": "metric", "metric": "x", "basis": "spent"}, "basis", "must be 'earned' or 'balance'"),
        (
            {"source": "metric", "metric": "x", "rules": [RULE]},
            "rules",
            "is only for source 'events', not 'metric'",
        ),
        ({"source": "events"}, "rules", "is required for source 'events'"),
        ({"source": "events", "rules": None}, "rules", "is required for source 'events'"),
        ({"source": "events", "rules": []}, "rules", "must have more items: at least 1"),
        ({"source": "events", "rules": [RULE] * 101}, "rules", "must have at most 100 items"),
        ({"source": "events", "rules": RULE}, "rules", "must be a list"),
        (
            {"source": "events", "rules": [RULE], "metric": "x"},
            "metric",
            "is only for source 'metric', not 'events'",
        ),
        ({"source": "events", "rules": [RULE], "basis": "earned"}, "basis", "is only for source 'metric'"),
        ({"metric": "x"}, "metric", "is only for source 'metric', not 'scores'"),
        ({"basis": "earned"}, "basis", "is only for source 'metric', not 'scores'"),
        ({"rules": [RULE]}, "rules", "is only for source 'events', not 'scores'"),
        ({"backfill": False}, "backfill", "is only for sources 'metric' and 'events', not 'scores'"),
        (
            {"filters": {"attrs.x": {"eq": 1}}},
            "filters",
            "is only for sources 'metric' and 'events', not 'scores'",
        ),
        ({"source": "events", "rules": [RULE], "backfill": "yes"}, "backfill", "must be true or false"),
        ({"source": "events", "rules": [RULE], "filters": []}, "filters", "must be an object such as"),
        ({"source": "events", "rules": [RULE], "filters": None}, "filters", "must be an object such as"),
        (
            {"source": "events", "rules": [RULE], "filters": {"attrs.mode": {"near": 1}}},
            "filters.attrs.mode.near",
            "unknown operator; did you mean 'ne'?",
        ),
        (
            {"source": "events", "rules": [RULE], "filters": {"metadata.x": {"eq": 1}}},
            "filters.metadata.x",
            "unknown path 'metadata.x': must be one of attrs.…",
        ),
        (
            {"source": "metric", "metric": "x", "filters": {"attrs.x": {"eq": 1}}},
            "filters.attrs.x",
            "unknown path 'attrs.x': must be one of metadata.…",
        ),
        (
            {"source": "events", "rules": [RULE | {"conditions": {"attrs.x": {"gt": None}}}]},
            "rules.0.conditions.attrs.x.gt",
            "must be a number or a string",
        ),
        (
            {"source": "events", "rules": [RULE, RULE | {"points_expression": "attrs.x +* 2"}]},
            "rules.1.points_expression",
            "character 10: '*' cannot stand here",
        ),
        (
            {"source": "events", "rules": [RULE | {"points_expression": "9**9**9"}]},
            "rules.0.points_expression",
            "character 3: '*' cannot stand here",
        ),
        (
            {"source": "events", "rules": [RULE | {"points_expression": "1" * 513}]},
            "rules.0.points_expression",
            "must have at most 512 characters",
        ),
        ({"source": "events", "rules": [RULE | {"event_type": ""}]}, "rules.0.event_type", "is too short"),
        ({"source": "events", "rules": [RULE | {"event_type": "a\n"}]}, "rules.0.event_type", "must be text"),
        (
            {"source": "events", "rules": [RULE | {"event_type": "x" * 129}]},
            "rules.0.event_type",
            "must have at",
        ),
        ({"source": "events", "rules": [RULE | {"points": 3}]}, "rules.0.points", "unknown field"),
        ({"source": "events", "rules": ["match"]}, "rules.0", "must be an object"),
        ({"score_min": 2, "score_max": 1}, "", "score_min must not exceed score_max"),
    ],
)
def test_what_is_refused_and_where(fields: dict[str, Any], loc: str, message: str) -> None:
    found, text = refused(**fields)
    assert found == loc and text.startswith(message), (found, text)


def test_a_rule_of_a_wrong_source_is_named_beside_what_is_missing() -> None:
    with pytest.raises(ValidationError) as caught:
        scoring(source="metric", rules=[RULE])
    found = {error["loc"][-1]: error["msg"] for error in invalid_from(caught.value).details}
    assert found == {
        "metric": "is required for source 'metric'",
        "rules": "is only for source 'events', not 'metric'",
    }


def test_scorings_differ_where_json_does() -> None:
    def judged(operand: Any) -> Scoring:
        return scoring(source="events", rules=[RULE | {"conditions": {"attrs.x": {"eq": operand}}}])

    assert judged(1) == judged(1.0) != judged(True)
    assert ScoringRule(**RULE) == ScoringRule(**RULE, conditions={})  # type: ignore[arg-type]
