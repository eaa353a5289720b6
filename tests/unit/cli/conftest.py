"""A fake server that the command line talks to, with a leaderboard, and with scores."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.command import run
from tests.support.fake_api import KEY, FakeApi


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    with FakeApi() as running:
        running.add_board("xp")
        monkeypatch.setenv("LBACTORS_URL", running.url)
        monkeypatch.setenv("LBACTORS_KEY", KEY)
        yield running


@pytest.fixture
def scores(api: FakeApi) -> FakeApi:
    """The board `xp` with p0..p4, scores 0..400."""
    lines = "".join(json.dumps({"player_id": f"p{i}", "score": 100 * i}) + "\n" for i in range(5))
    assert run("submit", "xp", "--file", "-", stdin=lines).exit_code == 0
    api.requests.clear()
    return api
