"""Entries taken out over HTTP."""

from __future__ import annotations

import pytest

from lbactors.core.model import Board
from tests.support.gateway.fake_service import PERIOD_KEY, FakeService
from tests.support.gateway.http_client import Http

BOARD = "/v1/leaderboards/xp"


@pytest.fixture
def board(service: FakeService) -> Board:
    board = service.add_board("xp", windows=["daily"])
    service.add_scores(board, {f"p{i}": 100 - i for i in range(25)})
    return board


async def test_remove_entry(http: Http, board: Board) -> None:
    body = (await http.send("DELETE", f"{BOARD}/players/p3")).body
    assert [(e["player_id"], e["window"], e["period_key"]) for e in body["removed"]] == [
        ("p3", "main", PERIOD_KEY)
    ]
    assert (await http.send("DELETE", f"{BOARD}/players/p3")).code == "entry_not_found"
