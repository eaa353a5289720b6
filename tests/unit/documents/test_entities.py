"""Stored documents of leaderboards: what older releases wrote is read."""

from __future__ import annotations

from typing import Any

from lbactors.core.definition import Definition
from lbactors.core.model import Board
from lbactors.core.packing import pack
from lbactors.documents.entities import board_json, pack_board, unpack_board

# As version 0.2.0 stores it.
OLD: dict[str, Any] = {
    "leaderboard_id": "xp",
    "name": "Experience",
    "description": "",
    "status": "active",
    "timeframe": {
        "type": "weekly",
        "timezone": "Europe/Rome",
        "reset_time": "00:00",
        "reset_day": "monday",
        "reset_date": 1,
        "cron": None,
        "every_seconds": None,
        "starts_at": None,
        "ends_at": None,
        "late_grace_seconds": 5,
        "retain_periods": 10,
        "retain_days": 400,
        "late_submissions": "refuse",
    },
    "windows": ["daily"],
    "scoring": {"source": "scores", "aggregation": "sum", "score_min": None, "score_max": None},
    "ranking": {
        "order": "desc",
        "subscore_order": "desc",
        "tie_breaking": "first",
        "rank_style": "ordinal",
        "max_entries": 100,
        "min_score": 1,
    },
    "placement": "auto",
    "rewards": None,
    "metadata": {"a": 1},
}
EVERYONE: dict[str, Any] = {"players": [], "roles": [], "tags": []}
ADDED: dict[str, Any] = {
    "audience": {"rank": EVERYONE, "view": EVERYONE, "include_test_players": False},
    "display": {},
    "translations": {},
    "display_order": 0,
    "public": True,
    "preview": False,
    "widget": {},
    "external": {},
}


def test_a_leaderboard_of_an_older_release_gets_the_defaults() -> None:
    board = unpack_board(pack(["default", "0123abcd", OLD, 3, 1000, 2000]))
    ranking = OLD["ranking"] | {"positive_only": False, "top_only": None}
    assert board.definition.model_dump(mode="json") == OLD | ADDED | {"ranking": ranking}
    assert (board.version, board.created_at_ms, board.updated_at_ms) == (3, 1000, 2000)
    assert unpack_board(pack_board(board)) == board


def test_what_was_written_is_what_is_stored_and_shown() -> None:
    fields = {
        "display": {"top_n": 3, "color": None, "columns": [{"column": "rank"}]},
        "translations": {"it": {"name": "Settimana"}},
        "display_order": -1,
        "public": False,
        "preview": True,
        "widget": {"theme": {"a": [None]}},
        "external": {"a": {"b": 1.5}},
    }
    definition = Definition.model_validate({"leaderboard_id": "xp", **fields})
    board = Board("default", "0123abcd", definition, 1, 0, 0)
    again = unpack_board(pack_board(board))
    assert again == board
    shown = board_json(again)
    assert {name: shown[name] for name in fields} == fields
