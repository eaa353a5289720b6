"""What the demo shows."""

from __future__ import annotations

import os
import shlex
from typing import Any

from rich.console import Console

from lbactors.demo.game import ARENA, LAPS, Traffic
from lbactors.demo.view import Picture, introduction, live_view, plain_line
from tests.support.command import understood
from tests.support.fake_api import PERIOD


def page(leaderboard_id: str, period_key: str, *players: str) -> dict[str, Any]:
    entries = [{"rank": i, "player_id": p, "score": 10 - i, "change": "up"} for i, p in enumerate(players, 1)]
    period = {**PERIOD, "period_key": period_key}
    return {"leaderboard_id": leaderboard_id, "period": period, "total": len(players), "entries": entries}


def test_the_views() -> None:
    picture, traffic = Picture(), Traffic()
    assert "next in" not in plain_line(picture, traffic, 0)
    picture.take(page(ARENA, "all_time", "maya", "no\x1bor"))
    for key in ("a", "a", "b", "c"):
        picture.take(page(LAPS, key, "kim"))
    traffic.book(30, 2.5, single=False)
    traffic.book(1, 7.0, single=True)
    line = plain_line(picture, traffic, 12)
    assert line.startswith("12 s: ") and "31 in all," in line and "2 rollovers" in line and "next in " in line
    assert "score 7.0 ms (p99 7.0)" in line and "batch 2.5 ms (p99 2.5)" in line
    assert "arena-best: maya 9" in line and "errors" not in line
    console = Console(width=160, height=40, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(live_view(picture, traffic, 160, 40))
    text = console.export_text()
    assert "maya" in text and "no?or" in text and "Best score" in text and "Lap times" in text and "▲" in text
    small = Console(width=80, height=24, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    small.print(live_view(picture, traffic, 80, 24))
    lines = small.export_text().splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert "Best score" in "".join(lines) and "Ctrl-C" in lines[-1]


def test_the_introduction_can_be_pasted() -> None:
    intro = introduction("http://h:1", "lb_x", "./run")
    assert "http://h:1/docs" in intro and "export LBACTORS_URL=http://h:1 LBACTORS_KEY=lb_x" in intro
    lines = [shlex.split(line)[1:] for line in intro.splitlines() if line.startswith("./run ")]
    assert len(lines) >= 4
    for words in lines:
        with understood(words):
            pass
