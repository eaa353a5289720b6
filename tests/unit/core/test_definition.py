"""A definition as clients write it: the short form of a timeframe, and patches."""

from __future__ import annotations

from typing import Any

import pytest

from lbactors.core.definition import Definition
from lbactors.core.errors import ApiError
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
