"""The options that may stand anywhere: each place is heard, and the last one wins."""

from __future__ import annotations

import json

import pytest

from lbactors.cli.shared_options import DEFAULT_URL
from lbactors.client import DEFAULT_URL as CLIENT_URL
from tests.support.command import ok, run
from tests.support.fake_api import KEY, FakeApi

DEAD = "http://127.0.0.1:1"


@pytest.fixture
def elsewhere(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """Variables that lead to no server, so that what answers was named on the command line."""
    monkeypatch.setenv("LBACTORS_URL", DEAD)
    monkeypatch.setenv("LBACTORS_KEY", "lb_wrong")
    return api


@pytest.mark.parametrize("place", [0, 1, 2])
def test_options_are_taken_before_between_and_after(elsewhere: FakeApi, place: int) -> None:
    words = [["leaderboards"], ["list"], []]
    words.insert(place, ["--url", elsewhere.url, "--key", KEY, "--tenant", "studio-a", "--json"])
    assert json.loads(ok(*(word for part in words for word in part)))["total"] == 1
    assert elsewhere.requests[-1][2]["X-Tenant-Id"] == "studio-a"


def test_the_last_place_wins(elsewhere: FakeApi) -> None:
    url, dead = ("--url", elsewhere.url), ("--url", DEAD)
    ok("--key", "lb_wrong", *dead, "leaderboards", *dead, "list", *url, "--key", KEY)
    ok("--key", KEY, *dead, "leaderboards", *url, "list")
    assert "cannot connect" in run("--key", KEY, *url, "leaderboards", *dead, "list").stderr
    assert "cannot connect" in run(*url, "--key", KEY, "top", "xp", *dead).stderr


def test_an_empty_key_overrides_the_variable(api: FakeApi) -> None:
    run("top", "xp", "--key", "")
    assert "Authorization" not in api.requests[-1][2]


def test_json_of_a_command_without_a_server_is_taken_anywhere() -> None:
    for words in (("--json", "plugins"), ("plugins", "--json")):
        assert set(json.loads(ok(*words))) == {"items", "total"}


def test_the_default_is_the_clients() -> None:
    assert DEFAULT_URL == CLIENT_URL
