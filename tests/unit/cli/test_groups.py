"""A group without a command lists: with the options of the list, and never where a word is a command."""

from __future__ import annotations

import pytest

from tests.support.command import ok, ok_json, refused, run
from tests.support.fake_api import FakeApi


@pytest.mark.parametrize("group", ["leaderboards", "keys", "tenants", "webhooks"])
def test_a_group_alone_lists(api: FakeApi, group: str) -> None:
    assert ok(group) == ok(group, "list")
    assert api.paths()[-1] == f"GET /v1/{group}?limit=100"
    ok(group, "--limit", "5", "--json")
    assert api.paths()[-1] == f"GET /v1/{group}?limit=5"
    assert ok_json(group)["items"] == ok_json(group, "list")["items"]


def test_options_of_the_list_are_taken_without_its_name(api: FakeApi) -> None:
    ok("leaderboards", "--status", "active", "--tenant", "a", "--search=x")
    assert api.paths()[-1] == "GET /v1/leaderboards?status=active&search=x&limit=100"
    assert api.requests[-1][2]["X-Tenant-Id"] == "a"
    assert "No such option '--nonsense'" in refused(2, "leaderboards", "--nonsense")


def test_the_help_is_the_groups(api: FakeApi) -> None:
    assert "Commands:" in ok("leaderboards", "--help")
    assert "No such command 'nonsense'" in refused(2, "leaderboards", "nonsense")
    assert api.requests == []


def test_periods_and_reviews_of_a_leaderboard(api: FakeApi) -> None:
    assert ok("periods", "xp", "--window", "daily") == ok("periods", "list", "xp", "--window", "daily")
    assert api.paths()[-1] == "GET /v1/leaderboards/xp/periods?window=daily&limit=100"
    ok("reviews", "xp")
    assert api.paths()[-1] == "GET /v1/leaderboards/xp/held?limit=100"
    api.requests.clear()
    assert "Commands:" in run("periods").output  # a list of which leaderboard?
    assert "LEADERBOARD" in refused(2, "periods", "close")  # the command, not a leaderboard of that name
    assert "unexpected extra argument" in refused(2, "periods", "clsoe", "xp")
    assert api.requests == []


def test_the_command_that_was_meant() -> None:
    assert "Did you mean 'serve'?" in refused(2, "srve")
    assert "Did you mean 'create'?" in refused(2, "webhooks", "creat", "http://x")
    assert "Did you mean" not in refused(2, "xyzzy")
