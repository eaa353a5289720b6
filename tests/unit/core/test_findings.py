"""What pydantic finds, in the API's words: a first guess that fails is told what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from lbactors.core.definition import Definition
from lbactors.core.errors import ApiError
from lbactors.core.findings import did_you_mean
from lbactors.supervisor.command_plan import parse


def refused(**fields: Any) -> dict[str, str]:
    """The messages of a refused definition, by path."""
    with pytest.raises(ApiError) as caught:
        parse(Definition, {"leaderboard_id": "xp", **fields})
    assert caught.value.code == "validation_failed"
    return {".".join(map(str, d["loc"])): d["msg"] for d in caught.value.details}


# What a beginner writes, where the finding stands, and what its message must name.
GUESSES: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"windows": "daily"}, "windows", ['["daily", "all_time"]']),
    ({"windows": ["week"]}, "windows.0", ["'hourly'", "did you mean 'weekly'?"]),
    ({"windows": ["permanent"]}, "windows.0", ["did you mean 'all_time'?"]),
    ({"scoring": "sum"}, "scoring", ['{"aggregation": "sum"}']),
    ({"scoring": {"aggregation": "highest"}}, "scoring.aggregation", ["'count'", "did you mean 'best'?"]),
    ({"ranking": "asc"}, "ranking", ['{"order": "asc"}']),
    ({"ranking": {"order": "descending"}}, "ranking.order", ["'desc' or 'asc'", "did you mean 'desc'?"]),
    ({"timeframe": {"type": "week"}}, "timeframe.type", ["'range'", "did you mean 'weekly'?"]),
    (
        {"timeframe": {"type": "weekly", "reset_day": "Mon"}},
        "timeframe.reset_day",
        ["'sunday'", "did you mean 'monday'?"],
    ),
    ({"order": "desc"}, "order", ["unknown field", '{"ranking": {"order": …}}']),
    ({"timezone": "UTC"}, "timezone", ["unknown field", "`timeframe`"]),
    ({"id": "xp"}, "id", ["unknown field", "did you mean 'leaderboard_id'?"]),
    ({"colour": "red"}, "colour", ["unknown field", "leaderboard_id, name, description"]),
    (
        {"timeframe": {"type": "weekly", "tz": "UTC"}},
        "timeframe.tz",
        ["unknown field", "timezone, reset_time"],
    ),
    ({"leaderboard_id": "a b"}, "leaderboard_id", ["1 to 128 letters (A-Z, a-z), digits"]),
    ({"leaderboard_id": 5}, "leaderboard_id", ["must be a string"]),
    ({"rewards": []}, "rewards", ["must be an object"]),
    ({"rewards": {"tiers": {}}}, "rewards.tiers", ["must be a list"]),
    ({"rewards": {"tiers": []}}, "rewards.tiers", ["must have more items: at least 1"]),
    ({"name": "n" * 201}, "name", ["must have at most 200 characters"]),
    ({"timeframe": {"retain_periods": -1}}, "timeframe.retain_periods", ["must be at least 0"]),
    ({"timeframe": {"retain_periods": "10"}}, "timeframe.retain_periods", ["must be an integer"]),
]


@pytest.mark.parametrize(("fields", "loc", "named"), GUESSES, ids=lambda value: str(value)[:40])
def test_a_wrong_guess_is_told_what_to_write(fields: dict[str, Any], loc: str, named: list[str]) -> None:
    found = refused(**fields)
    assert list(found) == [f"body.{loc}"]
    message = found[f"body.{loc}"]
    assert all(words in message for words in named), message
    assert not any(word in message for word in ("Input", "tuple", "Tuple", "dictionary", "Extra")), message


def test_a_list_is_not_called_short_for_its_wrong_items() -> None:
    assert set(refused(rewards={"tiers": [{"rank": 1}]})) == {
        "body.rewards.tiers.0.name",
        "body.rewards.tiers.0.rank",
    }


@pytest.mark.parametrize("written", ["", "x", "zzz", "day" * 100, 5, None])
def test_no_suggestion_where_nothing_is_near(written: object) -> None:
    assert did_you_mean(written, ("weekly", "all_time")) == ""


@pytest.mark.parametrize("written", ["ALL TIME", "all-time", "alltime", "forever"])
def test_other_spellings_lead_to_the_word(written: str) -> None:
    assert did_you_mean(written, ("weekly", "all_time")) == "; did you mean 'all_time'?"
