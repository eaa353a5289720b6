"""The commands `rewards` and `claim`, and the rewards of a definition, against the fake server."""

from __future__ import annotations

import pytest

from lbactors.cli import rewards
from tests.support.command import ok, ok_json, run
from tests.support.fake_api import FakeApi


def test_the_winners_of_a_period(api: FakeApi) -> None:
    result = run("rewards", "xp", "2026-W47", "--tier", "champion", "--unclaimed", "--limit", "5")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["rank", "player", "name", "score", "won", "claimed"]
    assert lines[1].split() == ["1", "maya", "Maya", "5100", "champion,", "all", "2026-11-18", "12:00:00Z"]
    assert result.stderr == "more: --cursor more\n"
    path, _, query = api.paths()[-1].partition("?")
    assert path == "GET /v1/leaderboards/xp/periods/2026-W47/rewards"
    assert set(query.split("&")) == {"tier=champion", "claimed=false", "limit=5"}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("pending", "xp: period 2026-W47 has not closed yet; rewards are granted when it closes.\n"),
        ("granting", "xp: rewards of period 2026-W47 are being granted; "),
        ("none", "xp: there were no rewards when period 2026-W47 closed.\n"),
    ],
)
def test_where_nothing_is_granted_a_line_says_why(api: FakeApi, state: str, said: str) -> None:
    api.rewards_states = [state]
    result = run("rewards", "xp", "current")
    assert (result.exit_code, result.stdout) == (0, "") and result.stderr.startswith(said)
    assert ok_json("rewards", "xp", "current")["state"] == state


def test_wait_until_rewards_are_granted(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "LOOK_S", 0)
    api.rewards_states = ["pending", "granting", "granted"]
    result = run("rewards", "xp", "previous", "--wait", "60")
    assert "maya" in result.stdout and "granted" not in result.stderr
    api.rewards_states = ["granting"]
    result = run("rewards", "xp", "previous", "--wait", "0.05")
    assert result.exit_code == 1 and "are being granted" in result.stderr


def test_what_a_player_won_everywhere(api: FakeApi) -> None:
    lines = ok("rewards", "--player", "maya", "--claimed").splitlines()
    assert lines[0].split() == ["leaderboard", "window", "period", "rank", "won", "claimed", "until"]
    assert lines[1].split()[:4] == ["xp", "main", "2026-W47", "1"]
    path, _, query = api.paths()[-1].partition("?")
    assert path == "GET /v1/players/maya/rewards" and set(query.split("&")) == {"claimed=true", "limit=100"}


@pytest.mark.parametrize(
    "words", [(), ("xp",), ("--player", "maya", "--tier", "top"), ("--player", "maya", "--window", "main")]
)
def test_what_is_missing_or_too_much(api: FakeApi, words: tuple[str, ...]) -> None:
    assert run("rewards", *words).exit_code == 2
    assert not api.requests


def test_claim(api: FakeApi) -> None:
    lines = ok("claim", "xp", "previous", "maya", "--claim-id", "tx-1", "--window", "daily").splitlines()
    assert {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in lines} == {
        "player": "maya",
        "rank": "1",
        "won.champion.gems": "5",
        "won.all": "-",
        "claimed": "2026-11-18 12:00:00Z",
        "claim_id": "tx-9",
    }
    method, path, _, body = api.requests[-1]
    assert f"{method} {path}" == "POST /v1/leaderboards/xp/periods/previous/rewards/maya/claim?window=daily"
    assert body == {"claim_id": "tx-1"}
    ok("claim", "xp", "previous", "maya")
    assert api.requests[-1][3] == {}


def test_rewards_of_a_definition(api: FakeApi) -> None:
    rules = '{"tiers": [{"name": "top", "rank_from": 1, "rank_to": 3}]}'
    ok("leaderboards", "create", "new", "--rewards", rules)
    assert api.requests[-1][3] == {
        "leaderboard_id": "new",
        "rewards": {"tiers": [{"name": "top", "rank_from": 1, "rank_to": 3}]},
    }
    ok("leaderboards", "update", "xp", "--no-rewards")
    assert api.requests[-1][3] == {"rewards": None}
