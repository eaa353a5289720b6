"""Who has the roles and tags that audiences name, as a period actor is told."""

from __future__ import annotations

import pytest

from lbactors.core.audience import RankAudience
from lbactors.period_actor.members import Members
from lbactors.wire.requests import TEST_LABEL, MemberList

VIPS = RankAudience(frozenset(["friend"]), ("role/vip", "tag/beta"))
EVERYONE = RankAudience()


def complete(version: int, **by_label: list[str]) -> MemberList:
    named = {label.replace("_", "/"): ids for label, ids in by_label.items()}
    return MemberList("t", version, True, named, [])


def changes(version: int, **labels: list[str]) -> MemberList:
    return MemberList("t", version, False, {}, list(labels.items()))


def test_who_is_left_out() -> None:
    members = Members()
    assert not members.may_leave_out(EVERYONE) and members.may_leave_out(VIPS)
    members.take(complete(1, role_vip=["a", "bot"], tag_beta=["b"], role_mod=["c"], test=["bot"]))
    assert [members.leave_out(VIPS, p) for p in ("a", "b", "friend", "c", "bot")] == [False] * 3 + [True] * 2
    assert [members.leave_out(EVERYONE, p) for p in ("a", "z", "bot")] == [False, False, True]
    assert members.may_leave_out(EVERYONE)
    everybody = ["a", "b", "c", "friend", "bot", "z", "a"]
    for audience in (VIPS, EVERYONE, VIPS._replace(include_test_players=True)):
        one_by_one = {p for p in everybody if members.leave_out(audience, p)}
        assert members.left_out(audience, everybody) == one_by_one
    testers = VIPS._replace(include_test_players=True)
    assert not members.leave_out(testers, "bot")
    assert not members.may_leave_out(EVERYONE._replace(include_test_players=True))


def test_changes_follow_on_the_whole() -> None:
    members = Members()
    assert members.take(complete(5, role_vip=["a", "b"], tag_beta=["b"], test=[])) == {"a", "b"}
    assert members.take(changes(6, a=[], c=["role/vip", TEST_LABEL])) == {"a", "c"}
    expected = {"role/vip": {"b", "c"}, "tag/beta": {"b"}, TEST_LABEL: {"c"}}
    assert members.by_label == expected
    for old in (complete(5, role_vip=["z"]), changes(6, z=["role/vip"])):
        assert members.take(old) == set() and members.by_label == expected
    assert members.take(complete(8, role_vip=["b"], tag_beta=["b", "d"])) == {"c", "d"}
    assert members.by_label == {"role/vip": {"b"}, "tag/beta": {"b", "d"}}


@pytest.mark.parametrize("players", [0, 100_000])
def test_the_decision_does_not_depend_on_how_many_there_are(players: int) -> None:
    members = Members()
    members.take(complete(1, role_vip=[f"p{n}" for n in range(players)]))
    assert members.leave_out(VIPS, "p7") == (players == 0)
