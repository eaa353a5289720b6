"""Entries taken out and imported over HTTP."""

from __future__ import annotations

from typing import Any

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


async def test_import_entries(http: Http, board: Board, service: FakeService) -> None:
    good = {
        "player_id": "new",
        "score": 5,
        "metadata": {"a": 1},
        "submissions": 3,
        "first_at": "2026-11-18T11:00:00Z",
        "updated_at": "2026-11-18T10:00:00Z",
    }
    entries: list[Any] = [
        good,
        {"player_id": "p3", "score": 1},
        {"player_id": "p3"},
        {"player_id": "", "score": 1},
        {"player_id": "a", "score": "5"},
        {"player_id": "a", "score": 5, "submissions": 0},
        {"player_id": "a", "score": 5, "updated_at": "2026-11-18T12:02:00Z"},
        {"player_id": "a", "score": 5, "metadata": {"a": "x" * 4096}},
        {"player_id": "a", "score": 5, "rank": 1},
        7,
    ]
    body = (await http.send("POST", f"{BOARD}/entries/import", {"entries": entries})).body
    assert [body[name] for name in ("imported", "unchanged", "dropped", "rejected")] == [1, 0, 0, 9]
    assert [(e["index"], e["code"]) for e in body["errors"]] == [
        (1, "entry_exists"),
        *((index, "validation_failed") for index in range(2, 10)),
    ]
    assert [e["details"][0]["loc"][3:] for e in body["errors"][1:]] == [
        ["score"], ["player_id"], ["score"], ["submissions"], ["updated_at"], ["metadata"], ["rank"], [],
    ]  # fmt: skip
    entry = (await http.get(f"{BOARD}/players/new")).body
    assert (entry["score"], entry["submissions"], entry["metadata"]) == (5, 3, {"a": 1})
    assert entry["first_at"] < entry["updated_at"], "whichever way round they were"


async def test_imports_that_are_refused(http: Http, board: Board, service: FakeService) -> None:
    for bad in ({}, {"entries": {}}, {"entries": [], "more": 1}, {"entries": [{}] * 10_001}):
        assert (await http.send("POST", f"{BOARD}/entries/import", bad)).code == "validation_failed"
    service.add_key("weak", "scores:write", "rankings:read")
    service.add_key("bound", "leaderboards:write", player_id="p1")
    for key in ("weak", "bound"):
        http.key = key
        assert (await http.send("POST", f"{BOARD}/entries/import", {"entries": []})).code == "forbidden"
