"""The rules of rewards: what a definition may say, and who wins, against a count by brute force."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lbactors.core import reward_rules
from lbactors.core.definition import Definition
from lbactors.core.errors import invalid_from
from lbactors.core.reward_rules import PAYLOAD_BYTES, Awarding, Place, RewardRules, most_rank
from tests.support.repository import REPOSITORY

Standing = tuple[int, float]


def definition(rules: Any, **fields: Any) -> Definition:
    return Definition.model_validate({"leaderboard_id": "xp", "rewards": rules, **fields})


def refused(rules: Any, **fields: Any) -> tuple[list[Any], str]:
    """Path and words of the first finding."""
    with pytest.raises(ValidationError) as caught:
        definition(rules, **fields)
    found = invalid_from(caught.value).details[0]
    return found["loc"], found["msg"]


def tier(name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"name": name, **fields}


# What may be written --------------------------------------------------------------------------------------


def test_a_definition_with_rewards_is_stored_and_read_as_written() -> None:
    tiers = [
        tier("champion", rank_from=1, rank_to=1, payload={"coins": 1000, "badge": {"id": 7}}),
        tier("top", top_percent=10),
        tier("good", score_threshold=2**53),
    ]
    made = definition({"tiers": tiers, "windows": ["main", "daily"], "grant": "every"}, windows=["daily"])
    assert made.rewards is not None
    assert (made.rewards.grant, made.rewards.retain_days) == ("every", 90)
    assert Definition.model_validate(made.model_dump(mode="json")) == made
    assert made.rewards.tiers[2].score_threshold == 2**53


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"rank_from": 1, "rank_to": 2, "top_percent": 5},
        {"top_percent": 5, "score_threshold": 0},
        {"rank_from": 1},
        {"rank_to": 1},
        {"rank_from": 3, "rank_to": 2},
        {"rank_from": 0, "rank_to": 2},
        {"top_percent": 0},
        {"top_percent": 100.5},
        {"top_percent": math.nan},
        {"score_threshold": math.inf},
        {"score_threshold": 2**53 + 1},
        {"score_threshold": 1, "prize": 3},
        {"score_threshold": 1, "payload": [1]},
        {"score_threshold": 1, "payload": {"n": 2**64}},
    ],
)
def test_a_tier_that_says_nothing_or_too_much_is_refused(fields: dict[str, Any]) -> None:
    loc, _ = refused({"tiers": [tier(score_threshold=1), tier("b", **fields)]})
    assert loc[:3] == ["rewards", "tiers", 1]


def test_payloads_have_limits() -> None:
    fits = {"x": "y" * (PAYLOAD_BYTES - len(orjson.dumps({"x": ""})))}
    definition({"tiers": [tier(score_threshold=1, payload=fits)]})
    loc, _ = refused({"tiers": [tier(score_threshold=1, payload={"x": fits["x"] + "z"})]})
    assert loc == ["rewards", "tiers", 0, "payload"]
    loc, words = refused({"tiers": [tier(f"t{i}", score_threshold=i, payload=fits) for i in range(33)]})
    assert loc == ["rewards", "tiers"] and "together" in words


def test_tiers_and_windows_are_named_once() -> None:
    same = [tier(score_threshold=1), tier(score_threshold=2)]
    assert refused({"tiers": same})[0] == ["rewards", "tiers"]
    assert refused({"tiers": same[:1], "windows": ["main", "main"]})[0] == ["rewards", "windows"]
    many = [tier(f"t{i}", rank_from=i + 1, rank_to=i + 1) for i in range(101)]
    assert refused({"tiers": many})[0] == ["rewards", "tiers"]
    assert refused({"tiers": []})[0] == ["rewards", "tiers"]
    definition({"tiers": many[:100]})


def test_rewards_name_windows_of_their_leaderboard() -> None:
    rules = {"tiers": [tier(score_threshold=1)], "windows": ["daily"]}
    loc, words = refused(rules)
    assert loc == ["rewards"] and "'daily'" in words
    definition(rules, windows=["daily"])


# Who wins -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "percent", "most"),
    [
        (3000, 1.1, 33),  # floating point says 34
        (10_000, 0.07, 7),
        (1000, 0.1, 1),
        (3, 50, 2),
        (1, 0.001, 1),
        (100, 7.0, 7),
        (0, 10, 0),
        (10**6, 0.07, 700),
    ],
)
def test_a_percentage_is_taken_as_it_is_written(total: int, percent: float, most: int) -> None:
    assert most_rank(total, percent) == most


def standings(scores: list[float], order: str, style: str) -> list[Standing]:
    """(rank, score) best first."""
    ordered = sorted(scores, reverse=order == "desc")
    distinct = sorted(set(scores), reverse=order == "desc")
    if style == "ordinal":
        return [(n, s) for n, s in enumerate(ordered, start=1)]
    if style == "competition":
        return [(1 + ordered.index(s), s) for s in ordered]
    return [(1 + distinct.index(s), s) for s in ordered]


def walked(awarding: Awarding, rows: list[Standing]) -> tuple[dict[int, list[int]], int]:
    """Winners by position as granting finds them, and how many rows it looked at."""
    won: dict[int, list[int]] = {}
    place: Place | None = None
    looked = 0
    while (page := awarding.next_page(place)) is not None:
        offset, limit = page
        assert limit > 0 and (place is None or offset >= place.offset)
        found = rows[offset : offset + limit]
        assert found, "a page that cannot be empty"
        looked += len(found)
        for position, (rank, score) in enumerate(found, start=offset):
            place = Place(position + 1, rank, score)
            if tiers := awarding.tiers(rank, score):
                won[position] = tiers
    return won, looked


def brute(rules: RewardRules, rows: list[Standing], order: str) -> dict[int, list[int]]:
    won: dict[int, list[int]] = {}
    for position, (rank, score) in enumerate(rows):
        for index, t in enumerate(rules.tiers):
            if t.rank_from is not None and t.rank_to is not None:
                matches = t.rank_from <= rank <= t.rank_to
            elif t.top_percent is not None:
                matches = rank <= math.ceil(Decimal(len(rows)) * Decimal(str(t.top_percent)) / 100)
            elif order == "desc":
                matches = score >= t.score_threshold
            else:
                matches = score <= t.score_threshold
            if matches and (rules.grant == "every" or position not in won):
                won.setdefault(position, []).append(index)
    return won


SCORES = st.integers(-6, 6) | st.sampled_from([-0.5, 0.5, 2.5])
CONDITIONS = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(0, 12)).map(
        lambda r: {"rank_from": r[0], "rank_to": r[0] + r[1]}
    ),
    st.sampled_from([0.1, 1, 2.5, 10, 33.3, 50, 100]).map(lambda p: {"top_percent": p}),
    SCORES.map(lambda s: {"score_threshold": s}),
)


@settings(deadline=None, max_examples=400)
@given(
    st.lists(SCORES, max_size=60),
    st.lists(CONDITIONS, min_size=1, max_size=6),
    st.sampled_from(["desc", "asc"]),
    st.sampled_from(["ordinal", "competition", "dense"]),
    st.sampled_from(["first", "every"]),
    st.integers(1, 9),
)
def test_winners_are_those_of_a_count_by_brute_force(
    scores: list[float],
    conditions: list[dict[str, Any]],
    order: str,
    style: str,
    grant: str,
    page_rows: int,
) -> None:
    tiers = [tier(f"t{i}", **condition) for i, condition in enumerate(conditions)]
    rules = RewardRules.model_validate({"tiers": tiers, "grant": grant})
    rows = standings(scores, order, style)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reward_rules, "PAGE_ROWS", page_rows)
        won, _ = walked(Awarding(rules, len(rows), order), rows)
    assert won == brute(rules, rows, order)


def test_only_rows_that_can_win_are_read() -> None:
    rows = standings([float(i) for i in range(200_000)], "desc", "ordinal")

    def looked(*tiers: dict[str, Any]) -> int:
        named = [{"name": f"t{i}", **t} for i, t in enumerate(tiers)]
        return walked(Awarding(RewardRules.model_validate({"tiers": named}), len(rows), "desc"), rows)[1]

    assert looked({"rank_from": 1, "rank_to": 100}) == 101
    assert looked({"rank_from": 1, "rank_to": 1}, {"rank_from": 100_000, "rank_to": 100_009}) == 13
    assert looked({"top_percent": 1}) == 2001
    assert looked({"score_threshold": 199_000}) == 2000
    assert looked({"rank_from": 300_000, "rank_to": 300_001}) == 0


def test_the_example_of_the_docs_is_right() -> None:
    page = (REPOSITORY / "docs" / "rewards.md").read_text(encoding="utf-8")
    block = page.split("```json\n")[1].split("```")[0]
    rules = Definition.model_validate(orjson.loads(block)).rewards
    assert rules is not None
    scores = [int(line.split()[-1]) for line in page.splitlines() if line.startswith("lbactors submit xp ")]
    awarding = Awarding(rules, len(scores), "desc")
    named = [[rules.tiers[i].name for i in awarding.tiers(n, s)] for n, s in enumerate(scores, start=1)]
    assert named == [["champion"], ["second"], [], []]
    assert "   1  maya    -      5100  champion  no\n   2  noor    -      4800  second    no\n```" in page
