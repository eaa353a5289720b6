"""Failures and where the server is: one line and the right exit code, options before the environment."""

from __future__ import annotations

import pytest

from tests.support.command import ok, refused
from tests.support.fake_api import KEY, FakeApi


def test_an_error_of_the_server_is_one_line(api: FakeApi) -> None:
    assert refused(1, "top", "nope") == "error: leaderboard_not_found: no leaderboard 'nope'\n"
    assert refused(1, "top", "nope", "--json") == "error: leaderboard_not_found: no leaderboard 'nope'\n"


def test_a_key_that_is_missing_or_refused_says_where_to_put_one(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = "Pass a key with --key or LBACTORS_KEY, or save one with `lbactors login`.\n"
    said = "error: unauthenticated: the server refused the key from {} (no such key). " + advice
    assert refused(1, "top", "xp", "--key", "lb_wrong") == said.format("--key")
    lines = '{"player_id": "p", "score": 1}\n'
    assert "unauthenticated" in refused(1, "submit", "xp", "--file", "-", "--key", "lb_wrong", stdin=lines)
    monkeypatch.setenv("LBACTORS_KEY", "lb_wrong")
    assert refused(1, "top", "xp") == said.format("LBACTORS_KEY")
    monkeypatch.delenv("LBACTORS_KEY")
    assert refused(1, "top", "xp") == f"error: unauthenticated: no API key was given. {advice}"


def test_a_key_with_a_line_break_is_refused(api: FakeApi) -> None:
    said = "a line break or another control character is in it\n"
    assert refused(2, "top", "xp", "--key", "lb_1\n") == f"error: --key: {said}"
    assert refused(2, "top", "xp", "--tenant", "a\nb") == f"error: --tenant: {said}"
    assert api.requests == []


def test_a_refused_connection_is_one_line(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    for command in (("top", "xp"), ("submit", "xp", "--file", "-"), ("status",), ("export", "xp")):
        assert refused(1, *command, "--url", url, stdin="") == (
            f"error: cannot connect to {url}: connection refused. Start a server with `lbactors serve`, "
            "or name another one with --url or LBACTORS_URL.\n"
        )


def test_options_beat_the_environment(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBACTORS_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LBACTORS_KEY", "lb_wrong")
    ok("top", "xp", "--url", api.url, "--key", KEY, "--tenant", "studio-a")
    assert api.requests[-1][2]["X-Tenant-Id"] == "studio-a"
