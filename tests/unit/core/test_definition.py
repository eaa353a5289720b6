"""A definition as clients write it: the short form of a timeframe, patches, and which scores are ranked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbactors.core.definition import LEAST_POSITIVE, Definition, Rules
from lbactors.core.errors import ApiError
from lbactors.core.numbers import MAX_EXACT_INTEGER, normal
from lbactors.core.timeframe import NEEDS_MORE, SHORT_FORMS, Timeframe
from lbactors.supervisor.command_plan import parse
from lbactors.supervisor.commands.leaderboards import merged


def definition(**fields: Any) -> Definition:
    return parse(Definition, {"leaderboard_id": "xp", **fields})


def message(timeframe: Any, before: Definition | None = None) -> str:
    """Of a timeframe that is refused, in a new definition and in a patch alike."""
    found = []
    for attempt in (
        lambda: definition(timeframe=timeframe),
        lambda: merged(before or definition(), {"timeframe": timeframe}),
    ):
        with pytest.raises(ApiError) as caught:
            attempt()
        assert [d["loc"] for d in caught.value.details] == [["body", "timeframe"]]
        found.append(caught.value.message)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("type_", SHORT_FORMS)
def test_a_string_is_short_for_its_type(type_: str) -> None:
    made = definition(timeframe=type_)
    assert made == definition(timeframe={"type": type_})
    assert made.model_dump(mode="json")["timeframe"]["type"] == type_


@pytest.mark.parametrize("type_", sorted(NEEDS_MORE))
def test_types_that_need_more_are_shown_as_an_object(type_: str) -> None:
    assert message(type_) == f"body.timeframe: '{type_}' needs more than its type: write {NEEDS_MORE[type_]}"
    shown = Timeframe.model_validate_json(NEEDS_MORE[type_])
    assert shown.type == type_  # what is shown can be pasted


@pytest.mark.parametrize(("written", "meant"), [("Weekly", "weekly"), ("week", "weekly"), ("day", "daily")])
def test_another_string_is_shown_the_right_forms(written: str, meant: str) -> None:
    said = message(written)
    assert all(f"'{name}'" in said for name in (*SHORT_FORMS, *NEEDS_MORE))
    assert '{"type": "weekly", "timezone": "Europe/Rome"}' in said
    assert said.endswith(f"did you mean '{meant}'?")


@pytest.mark.parametrize("written", [None, 7, True, ["weekly"]])
def test_what_is_no_timeframe_is_shown_both_forms(written: Any) -> None:
    assert '"weekly"' in message(written) and '{"type": "weekly"' in message(written)


def test_a_patch_with_a_string_is_one_with_that_type() -> None:
    before = definition(
        timeframe={
            "type": "every",
            "every_seconds": 60,
            "timezone": "Europe/Rome",
            "starts_at": "2026-01-01T00:00:00Z",
            "retain_periods": 3,
        }
    )
    after = merged(before, {"timeframe": "daily"})
    assert after == merged(before, {"timeframe": {"type": "daily"}})
    kept = after.timeframe
    assert (kept.type, kept.every_seconds, kept.timezone, kept.retain_periods) == (
        "daily",
        None,
        "Europe/Rome",
        3,
    )
    assert kept.starts_at == before.timeframe.starts_at
    assert merged(after, {"timeframe": "daily"}) == after


# Which scores are ranked ----------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(normal),
    st.integers(-MAX_EXACT_INTEGER, MAX_EXACT_INTEGER),
    st.sampled_from([0, -0.0, LEAST_POSITIVE, -LEAST_POSITIVE, 1, -1]),
)


@given(score=NUMBERS, min_score=st.none() | NUMBERS, positive_only=st.booleans())
@example(score=0, min_score=None, positive_only=True)
@example(score=LEAST_POSITIVE, min_score=None, positive_only=True)
@example(score=LEAST_POSITIVE, min_score=0, positive_only=True)
@example(score=-0.0, min_score=-1, positive_only=True)
def test_the_lowest_score_that_is_ranked(score: float, min_score: float | None, positive_only: bool) -> None:
    rules = Rules.of(definition(ranking={"min_score": min_score, "positive_only": positive_only}))
    ranked = (min_score is None or score >= min_score) and (not positive_only or score > 0)
    assert (rules.min_score is None or score >= rules.min_score) == ranked


def test_the_rules_of_a_period_have_the_form_that_they_always_had() -> None:
    """Journals and snapshots of older releases hold these fields, and theirs read ours."""
    made = definition(ranking={"min_score": 3, "top_only": 10})
    assert list(Rules.of(made)) == ["best", "desc", "desc", "first", "ordinal", None, 3]


# Projections ----------------------------------------------------------------------------------------------

RULE = {"event_type": "match", "points_expression": "1", "conditions": {}}
EVENTS = definition(scoring={"source": "events", "rules": [RULE], "filters": {"attrs.x": {"eq": 1, "lt": 9}}})
METRIC = definition(scoring={"source": "metric", "metric": "coins", "basis": "balance"})


@pytest.mark.parametrize("source", ["scores", "metric", "events", "rumours", None])
@pytest.mark.parametrize("before", [EVENTS, METRIC, definition()])
def test_the_source_cannot_change(before: Definition, source: Any) -> None:
    if source == before.scoring.source:
        assert merged(before, {"scoring": {"source": source}}) == before
        return
    with pytest.raises(ApiError) as caught:
        merged(before, {"scoring": {"source": source, "metric": "coins"}})
    assert caught.value.details == [{"loc": ["body", "scoring", "source"], "msg": "cannot change"}]


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        (EVENTS, {"filters": {"attrs.y": {"eq": 2}}}, {"filters": {"attrs.y": {"eq": 2}}}),
        (EVENTS, {"filters": {}}, {"filters": {}}),
        (
            EVENTS,
            {"rules": [RULE | {"points_expression": "2"}]},
            {"rules": [RULE | {"points_expression": "2"}]},
        ),
        (EVENTS, {"backfill": True}, {"backfill": True}),
        (EVENTS, {"backfill": None}, {"backfill": False}),
        (EVENTS, {"aggregation": "sum"}, {"aggregation": "sum"}),
        (METRIC, {"metric": "gems"}, {"metric": "gems"}),
        (METRIC, {"basis": "earned"}, {"basis": "earned"}),
        (METRIC, {"basis": None}, {"basis": "earned"}),
        (METRIC, {"filters": {"metadata.x": {"ne": 1}}}, {"filters": {"metadata.x": {"ne": 1}}}),
        (METRIC, {"backfill": False}, {"backfill": False}),
    ],
)
def test_a_patch_replaces_each_field_as_a_whole(before: Definition, change: Any, after: Any) -> None:
    written = before.model_dump(mode="json")
    changed = merged(before, {"scoring": change})
    assert changed.model_dump(mode="json") == {**written, "scoring": {**written["scoring"], **after}}
    assert merged(changed, {"scoring": change}) == changed


@pytest.mark.parametrize(
    ("before", "change", "place"),
    [
        (EVENTS, {"rules": []}, "rules"),
        (EVENTS, {"rules": None}, "rules"),
        (EVENTS, {"metric": "coins"}, "metric"),
        (EVENTS, {"filters": {"attrs.x": {"near": 1}}}, "filters.attrs.x.near"),
        (METRIC, {"rules": [RULE]}, "rules"),
        (METRIC, {"metric": None}, "metric"),
        (definition(), {"filters": {"attrs.x": {"eq": 1}}}, "filters"),
        (definition(), {"backfill": True}, "backfill"),
    ],
)
def test_a_patch_that_does_not_go_with_the_source_is_refused(
    before: Definition, change: Any, place: str
) -> None:
    with pytest.raises(ApiError) as caught:
        merged(before, {"scoring": change})
    (found,) = caught.value.details
    assert (caught.value.status, ".".join(found["loc"])) == (422, f"body.scoring.{place}")
