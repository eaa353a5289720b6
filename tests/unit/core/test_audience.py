"""Who belongs to an audience."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lbactors.core.audience import Audience, AudienceList, RankAudience, labels_of
from lbactors.core.definition import Definition


def test_three_empty_lists_mean_everyone() -> None:
    assert AudienceList().has("p1", ()) and AudienceList().is_everyone
    assert RankAudience.of(Audience()).is_everyone


def test_any_of_the_three_lists_will_do() -> None:
    listed = AudienceList(players=["p1"], roles=["vip"], tags=["beta"])
    assert (
        listed.has("p1", ())
        and listed.has("p2", labels_of(["vip"], []))
        and listed.has("p3", labels_of([], ["beta"]))
    )
    assert not listed.has("p2", labels_of(["beta"], ["vip"]))  # a role is no tag


def test_labels_tell_roles_and_tags_apart_whatever_they_contain() -> None:
    names = ["a", "a/b", "a%2Fb", "tag/a", "", "ä"]
    labels = labels_of(names, names)
    assert len(labels) == 2 * len(names) and all(label.count("/") == 1 for label in labels)


@pytest.mark.parametrize(
    ("audience", "loc"),
    [
        ({"rank": {"players": [""]}}, ("audience", "rank", "players", 0)),
        ({"rank": {"roles": ["x" * 65]}}, ("audience", "rank", "roles", 0)),
        ({"view": {"tags": ["t"] * 65}}, ("audience", "view", "tags")),
        ({"view": {"clans": []}}, ("audience", "view", "clans")),
        ({"rank": {"players": ["p"] * 5001}}, ("audience", "rank", "players")),
        ({"include_test_players": "yes"}, ("audience", "include_test_players")),
        ({"rank": None}, ("audience", "rank")),
        ("vip", ("audience",)),
    ],
)
def test_errors_name_the_field(audience: Any, loc: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        Definition.model_validate({"leaderboard_id": "xp", "audience": audience})
    assert [error["loc"] for error in caught.value.errors()] == [loc]


def test_the_rank_audience_travels() -> None:
    audience = Audience(rank=AudienceList(players=["b", "a"], roles=["vip"]), include_test_players=True)
    ranked = RankAudience.of(audience)
    assert RankAudience.from_wire(ranked.to_wire()) == ranked
    assert (ranked.players, ranked.labels, ranked.include_test_players) == ({"a", "b"}, ("role/vip",), True)
