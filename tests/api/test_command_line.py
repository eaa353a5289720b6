"""What commands that change something leave behind, against a whole server: nothing is lost, nothing counts
twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.api.boards import Board, MakeBoard, ahead, unique
from tests.support.api.client import Api
from tests.support.command import run


def command(api: Api, *arguments: str) -> str:
    """stdout of a command that must succeed."""
    result = run(*arguments, "--url", api.transport.base_url, "--key", str(api.key))
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def shown(board: Board, **params: Any) -> list[dict[str, Any]]:
    return [{**entry, "change": None} for entry in board.page(**params)["entries"]]


def test_an_export_is_imported_once(api: Api, make_board: MakeBoard, tmp_path: Path) -> None:
    rules: dict[str, Any] = {"scoring": {"aggregation": "sum"}, "windows": ["daily"]}
    old, new = make_board(**rules), make_board(**rules)
    old.submit("ada", 5, subscore=2, metadata={"level": 7})
    for player_id, score in (("bob", 7), ("cyd", 7), ("ada", 2)):
        old.submit(player_id, score)
    path = str(tmp_path / "xp.jsonl")
    command(api, "export", old.id, "-o", path)
    for _ in range(2):
        command(api, "import", old.id, path)
        command(api, "import", new.id, path)
        assert shown(new) == shown(old) and [e["score"] for e in shown(old)] == [7, 7, 7]
    assert new.page(window="daily")["entries"] == []
    command(api, "export", old.id, "--window", "daily", "-o", path)
    command(api, "import", new.id, path)
    assert shown(new, window="daily") == shown(old, window="daily")


def test_a_rename_changes_the_name_alone(api: Api) -> None:
    player_id = unique("p")
    profile = {"display_name": "kim", "avatar_url": "https://example.com/k.png", "attributes": {"a": 1}}
    before = api.ok("PUT", f"/v1/players/{player_id}", {**profile, "tags": ["beta"], "roles": ["mod"]})
    command(api, "players", "hide", player_id)
    command(api, "players", "rename", player_id, "Kim K")
    after = api.get(f"/v1/players/{player_id}")
    assert {n for n in before if before[n] != after[n]} <= {
        "display_name", "hidden_until", "updated_at", "version"
    }  # fmt: skip
    assert after["display_name"] == "Kim K" and after["hidden_until"] is not None


def test_a_window_that_is_passed_over_is_told(api: Api, make_board: MakeBoard) -> None:
    board = make_board(windows=["hourly"])
    told = command(api, "submit", board.id, "off", "3", "--occurred-at", ahead(-3 * 3600))
    assert "passed over: period_closed" in told and "applied" in told
