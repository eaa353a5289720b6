"""A real server with a plugin: submissions refused and held, review to the end, hooks on periods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api.boards import Board, ahead, at_noon, unique
from tests.support.api.client import Api, Transport, eventually
from tests.support.api.server_process import ServerProcess
from tests.support.repository import PLUGINS, python_path


class Judged:
    """A server with the plugin of `tests/support/plugins/judging_plugin.py`, and what its hooks heard."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self.folder = folder

    def board(self, **definition: Any) -> Board:
        definition = at_noon(definition)
        board = Board(self.api, definition.setdefault("leaderboard_id", unique("judged")))
        self.api.ok("POST", "/v1/leaderboards", definition, status=201)
        return board

    def heard(self, board: Board) -> list[tuple[str, ...]]:
        """(type, window, period key, event id) of what the hooks heard of a leaderboard."""
        file = self.folder / "heard"
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [(kind, *rest) for kind, leaderboard_id, *rest in lines if leaderboard_id == board.id]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    folder = tmp_path_factory.mktemp("judged")
    variables = {
        "PYTHONPATH": python_path(PLUGINS),
        "JUDGING_FOLDER": str(folder),
        "LBACTORS_HELD_LIMIT": "5",
    }
    process = ServerProcess(folder, LBACTORS_PLUGINS="judging_plugin", **variables)
    process.start()
    transport = Transport(process.base_url)
    yield Judged(Api(transport, process.key), folder)
    transport.close()
    process.stop()


def item(player_id: str, score: float, judge: str = "", **fields: Any) -> dict[str, Any]:
    metadata = {"judge": judge} if judge else None
    return {"player_id": player_id, "score": score, "metadata": metadata, **fields}


def held(board: Board, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = board.api.get(f"{board.path}/held", **params)["items"]
    return items


def decide(board: Board, held_id: str, how: str) -> dict[str, Any]:
    answer: dict[str, Any] = board.api.ok("POST", f"{board.path}/held/{held_id}/{how}", {})
    return answer


def test_refused_held_and_taken(judged: Judged) -> None:
    board = judged.board(windows=["daily"])
    reply = board.api.fails(422, "submission_refused", "POST", board.scores, item("p1", 1, "refuse"))
    assert reply["message"] == f"refused for {board.id}"
    answer = board.batch([item("p1", 1), item("p2", 2, "refuse"), item("p3", 3, "hold"), item("p4", 4)])
    assert (answer["accepted"], answer["rejected"], answer["held"]) == (3, 1, 1)
    assert [player_id for _, player_id, _ in board.standings()] == ["p4", "p1"]
    assert [found["player_id"] for found in held(board)] == ["p3"]
    answer = board.api.ok("POST", "/v1/scores", [{"leaderboard_id": board.id, **item("p5", 5, "hold")}])
    assert answer["held"] == 1 and len(held(board)) == 2


def test_approved_once(judged: Judged) -> None:
    board = judged.board(windows=["daily"], scoring={"aggregation": "sum"})
    body = item("p1", 7, "hold", submission_id="m-1")
    first, again = (board.api.ok("POST", board.scores, body) for _ in range(2))
    assert first == again and first["held"] is True and board.standings() == []
    answer = decide(board, first["held_id"], "approve")
    assert answer["outcome"]["rank"] == 1 and answer["outcome"]["windows"][0]["window"] == "daily"
    assert decide(board, first["held_id"], "approve") == answer
    repeated = board.api.ok("POST", board.scores, body)
    assert repeated["duplicate"] is True and repeated["score"] == 7
    for window in ("main", "daily"):
        assert board.standings(window=window) == [(1, "p1", 7)]
    assert held(board) == []
    without = board.api.ok("POST", board.scores, item("p1", 5, "hold"))
    decide(board, without["held_id"], "approve")
    decide(board, without["held_id"], "approve")
    assert board.standings() == [(1, "p1", 12)]


def test_rejected(judged: Judged) -> None:
    board = judged.board()
    body = item("p1", 7, "hold", submission_id="m-1")
    held_id = board.api.ok("POST", board.scores, body)["held_id"]
    path = f"{board.path}/held/{held_id}"
    answer = board.api.ok("POST", f"{path}/reject", {"reason": "impossible"})
    assert (answer["state"], answer["note"]) == ("rejected", "impossible")
    board.api.fails(409, "held_submission_decided", "POST", f"{path}/approve", {})
    error = board.api.fails(422, "submission_refused", "POST", board.scores, body)
    assert error["message"] == "impossible" and board.standings() == []
    acts = board.api.get("/v1/audit", act="held_submission")["items"]
    assert acts[0]["act"] == "held_submission.reject" and acts[0]["reason"] == "impossible"


def test_it_counts_for_the_time_at_which_it_came(judged: Judged) -> None:
    board = judged.board(timeframe={"type": "daily", "late_grace_seconds": 0})
    waits = board.api.ok("POST", board.scores, item("p1", 7, "hold"))["held_id"]
    late = board.api.ok("POST", board.scores, item("p2", 7, "hold", occurred_at=ahead(0)))["held_id"]
    board.force_close()
    for held_id in (waits, late):
        path = f"{board.path}/held/{held_id}/approve"
        board.api.fails(409, "period_closed", "POST", path, {})
    assert {found["state"] for found in held(board)} == {"held"} and board.standings() == []
    decide(board, waits, "reject")
    assert [found["held_id"] for found in held(board)] == [late]


def test_no_window_takes_what_a_reset_window_refuses(judged: Judged) -> None:
    board = judged.board(windows=["daily"], timeframe={"late_grace_seconds": 86_400})
    board.submit("p1", 1)
    early = ahead(-3600)  # before the leaderboard was made: its first period has no beginning
    first, late = (
        board.api.ok("POST", board.scores, item(f"late{n}", 7, "hold", occurred_at=at))["held_id"]
        for n, at in enumerate((early, None))
    )
    approved = decide(board, first, "approve")["outcome"]["applied"]
    assert approved is True
    board.force_close()  # of the main window alone
    path = f"{board.path}/held/{late}/approve"
    board.api.fails(409, "period_closed", "POST", path, {})
    assert [player_id for _, player_id, _ in board.standings(window="daily")] == ["late0", "p1"]
    assert [(found["held_id"], found["state"]) for found in held(board)] == [(late, "held")]


def test_the_limit_of_a_leaderboard(judged: Judged) -> None:
    board = judged.board()
    answer = board.batch([item(f"p{n}", n, "hold") for n in range(6)])
    assert (answer["held"], answer["errors"][0]["code"]) == (5, "overloaded")
    board.api.fails(429, "overloaded", "POST", board.scores, item("p9", 1, "hold"))
    assert board.submit("p9", 1)["applied"] is True
    decide(board, held(board)[0]["held_id"], "approve")
    assert board.api.ok("POST", board.scores, item("p9", 1, "hold"))["held"] is True
    page = board.api.get(f"{board.path}/held", limit=2)
    assert page["total"] == 5 and page["next_cursor"]


def test_a_purged_leaderboard_takes_what_it_held_along(judged: Judged) -> None:
    board = judged.board()
    held_id = board.api.ok("POST", board.scores, item("p1", 1, "hold", submission_id="m"))["held_id"]
    board.api.ok("DELETE", board.path, params={"purge": True})
    judged.board(leaderboard_id=board.id)
    assert held(board) == []
    path = f"{board.path}/held/{held_id}/approve"
    board.api.fails(404, "held_submission_not_found", "POST", path, {})


def test_an_erased_player_leaves_nothing_held(judged: Judged) -> None:
    board, other = judged.board(), judged.board()
    player_id = unique("erased")
    for each in (board, other):
        each.batch([item(player_id, 1, "hold"), item("p1", 1, "hold"), item(player_id, 2)])
    board.api.ok("DELETE", f"/v1/players/{player_id}")
    for each in (board, other):
        assert [found["player_id"] for found in held(each)] == ["p1"]


def test_a_plugin_that_fails_loses_no_score(judged: Judged) -> None:
    board = judged.board()
    assert board.submit("p1", 7, metadata={"judge": "raise"})["rank"] == 1
    text = judged.api.call("GET", "/metrics", key=None, headers={"Accept": "*/*"}).json
    line = 'lbactors_plugin_calls_total{plugin="judging_plugin",result="failed"}'
    assert any(found.startswith(line) for found in text.splitlines())


def test_hooks_hear_of_periods_in_order(judged: Judged) -> None:
    board = judged.board(windows=["daily"])
    for score in (1, 2, 3):
        board.submit("p1", score)
        board.force_close()
    wanted = 3  # closings; each is told after the opening of its period

    def main_window() -> list[tuple[str, ...]] | None:
        found = [line for line in judged.heard(board) if line[1] == "main"]
        return found if sum(line[0] == "period.closed" for line in found) == wanted else None

    found = eventually(main_window, "three closings heard")
    closed = [line for line in found if line[0] == "period.closed"]
    assert [key for _, _, key, _ in closed] == ["all_time", "all_time-2", "all_time-3"]
    assert len({event_id for *_, event_id in found}) == len(found)
    for _, _, key, _ in closed:
        assert [kind for kind, _, of, _ in found if of == key] == ["period.opened", "period.closed"]


def test_a_hook_that_fails_is_called_again(judged: Judged) -> None:
    board = judged.board()
    eventually(lambda: judged.heard(board) or None, "the opening heard")
    (judged.folder / "fail").write_text(board.id)
    board.submit("p1", 1)
    closed = board.force_close()["closed"]["period_key"]
    eventually((judged.folder / "failed").exists, "the hook tried")
    assert not [line for line in judged.heard(board) if line[0] == "period.closed"]
    (judged.folder / "fail").unlink()
    heard = eventually(
        lambda: [line for line in judged.heard(board) if line[0] == "period.closed"] or None,
        "the closing heard after all",
        within_s=60,
    )
    assert [key for _, _, key, _ in heard] == [closed]
