"""The demo and the server of its own: the game's numbers, the views, and that no process or file is left
behind.

Servers are small scripts here that print `ready:`; the demo's game plays against the fake API. Not
verified: the real server, whose own tests do that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from lbactors.client import Client
from lbactors.demo import own_server
from lbactors.demo.game import ARENA, BOARDS, LAPS, WEEKLY, Game, Traffic, play
from lbactors.demo.own_server import OwnServer, ServerFailed
from lbactors.demo.view import Picture, introduction, live_view, plain_line
from tests.support.fake_api import KEY, PERIOD, FakeApi
from tests.support.repository import python_path

READY = "print('ready: http://127.0.0.1:1', flush=True);"
SLEEPS = "import time; time.sleep(600)"
# Leaves a grandchild that ignores SIGTERM, as a hung worker would; tells its pid in a file of the data
# directory.
WITH_CHILD = """
import os, signal, subprocess, sys, time
from pathlib import Path
quiet = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True);"
quiet += "time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", quiet], stdout=subprocess.PIPE)
child.stdout.readline()
data = Path(os.environ["LBACTORS_DATA_DIR"])
data.mkdir()
(data / "child").write_text(str(child.pid))
print("ready: http://127.0.0.1:1/", flush=True)
"""


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def directory_of(server: OwnServer) -> Path:
    assert server._directory is not None
    return Path(server._directory.name)


@pytest.mark.parametrize("ending", [SLEEPS, "signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPS])
async def test_nothing_is_left_of_a_server(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr(own_server, "STOPPED_WITHIN_S", 0.5)
    async with OwnServer(command=script(WITH_CHILD + ending)) as server:
        assert server.url == "http://127.0.0.1:1"
        directory = directory_of(server)
        child = int((directory / "data" / "child").read_text())
        assert server._process is not None
        pid = server._process.pid
        server.check()
        assert os.getpgid(child) == pid != os.getpgid(0)
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=5)
    assert gone(pid) and gone(child) and not directory.exists()


async def test_a_server_gets_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBACTORS_STORE", "redis://elsewhere")
    text = (
        "import os, sys; print({n: v for n, v in os.environ.items() if n.startswith('LBACTORS_')}, sys.argv);"
    )
    async with OwnServer(8123, command=script(text + READY + SLEEPS)) as server:
        (line, _) = server._lines("stdout")
        directory = directory_of(server)
    assert line == str({"LBACTORS_ROOT_KEY": server.key, "LBACTORS_DATA_DIR": str(directory / "data")}) + (
        " ['-c', '--port', '8123']"
    )


async def test_a_server_that_does_not_start_says_why() -> None:
    text = "import sys; print('error: port 80 is in use', file=sys.stderr); sys.exit(2)"
    server = OwnServer(command=script(text))
    with pytest.raises(ServerFailed, match=r"exit code 2\nerror: port 80 is in use$"):
        async with server:
            pass
    assert server._process is None and server._directory is None


async def test_a_server_that_ends_early_is_noticed() -> None:
    async with OwnServer(command=script(READY + SLEEPS)) as server:
        assert server._process is not None
        os.kill(server._process.pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitid, os.P_PID, server._process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ServerFailed, match="ended by signal 9"):
            server.check()


def test_the_game_is_plausible() -> None:
    game = Game(2000)
    assert game.submissions(50) == Game(2000).submissions(50)
    assert len(set(game.player_ids)) == 2000
    items = game.submissions(20_000)
    scores: dict[str, list[int]] = {ARENA: [], WEEKLY: [], LAPS: []}
    for item in items:
        scores[item["leaderboard_id"]].append(item["score"])
    assert all(1 <= score <= 51 for score in scores[WEEKLY])
    assert all(61_500 <= score < 200_000 for score in scores[LAPS])
    median = sorted(scores[ARENA])[len(scores[ARENA]) // 2]
    assert 900 < median < 1100 and 3000 < max(scores[ARENA]) < 20_000
    plays = sorted(
        (sum(1 for item in items if item["player_id"] == p) for p in game.player_ids[:300]), reverse=True
    )
    assert plays[0] > 5 * plays[150]  # some play much more than others


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as running:
        for board in BOARDS:
            running.add_board(board["leaderboard_id"], **board)
        yield running


async def test_playing(api: FakeApi) -> None:
    enough = asyncio.Event()

    class Watched(Traffic):
        def book(self, scores: int, latency_ms: float, single: bool) -> None:
            super().book(scores, latency_ms, single)
            if self.scores >= 500 and self.latency_ms(50, single=True) is not None:
                enough.set()

    traffic = Watched()
    async with Client(api.url, KEY) as client:
        task = asyncio.create_task(play(client, Game(100), traffic, rate=1000))
        await asyncio.wait_for(enough.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert traffic.errors == 0 and traffic.last_error == ""
    assert 0 < traffic.latency_ms(50, single=False) <= traffic.latency_ms(99, single=False)  # type: ignore[operator]
    assert all(len(api.standings(board)) > 20 for board in (ARENA, WEEKLY, LAPS))
    received = sum(len(body["submissions"]) if "submissions" in body else 1 for *_, body in api.requests)
    assert received >= traffic.scores


async def test_failures_are_counted_and_do_not_end_the_game(api: FakeApi) -> None:
    traffic = Traffic()
    async with Client(api.url, KEY) as client:
        api.fail(403, "forbidden")
        await traffic.timed(lambda: client.submit(ARENA, "a", 1), 1, single=True)
        bad = [{"player_id": "a", "score": "x"}] * 2
        await traffic.timed(lambda: client.submit_many(ARENA, bad), 2, single=False)
    assert (traffic.scores, traffic.errors) == (0, 3)
    assert traffic.last_error == "rejected: validation_failed: score: must be a number"


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
    assert line.startswith("12 s: ") and "31 scores," in line and "2 rollovers" in line and "next in " in line
    assert "single p50 7.0 p99 7.0 ms" in line and "batch p50 2.5 p99 2.5 ms" in line
    assert "arena-best: maya 9" in line and "errors" not in line
    console = Console(width=160, height=40, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(live_view(picture, traffic))
    text = console.export_text()
    assert "maya" in text and "no?or" in text and "Arena" in text and "Lap times" in text and "▲" in text
    intro = introduction("http://h:1", "lb_x")
    assert intro.count("http://h:1") >= 5 and "lb_x" in intro and "/console" in intro


DRIVER = """
import sys
from lbactors.demo import demo, own_server
from tests.support.fake_api import FakeApi
from tests.support import fake_api

class Faked(own_server.OwnServer):
    def __init__(self, port):
        super().__init__(port, command=(sys.executable, "-c", sys.argv[1]))
        self.key = fake_api.KEY

with FakeApi(int(sys.argv[2])):
    demo.OwnServer = Faked
    code = demo.run_demo(port=0, players=50, rate=200, seconds=float(sys.argv[3]) or None, plain=True)
sys.exit(code)
"""


def start_demo(server: str, port: int, seconds: float) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", DRIVER, server, str(port), str(seconds)]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_the_demo_runs_its_time(unused_tcp_port: int) -> None:
    server = f"print('ready: http://127.0.0.1:{unused_tcp_port}', flush=True); {SLEEPS}"
    demo = start_demo(server, unused_tcp_port, 3.5)
    stdout, stderr = demo.communicate(timeout=30)
    assert demo.returncode == 0, stderr
    lines = stdout.splitlines()
    seconds = [line for line in lines if " s: " in line and not line.startswith("0 s: ")]
    assert any(" 0 scores," not in line for line in seconds), stdout
    assert " errors" in lines[-1] and " 0 errors" in lines[-1]
    assert "stopping the server" in stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_demo_without_a_trace(unused_tcp_port: int, number: signal.Signals) -> None:
    server = f"print('ready: http://127.0.0.1:{unused_tcp_port}', flush=True); {SLEEPS}"
    demo = start_demo(server, unused_tcp_port, 0)
    assert demo.stdout is not None
    while not demo.stdout.readline().startswith("0 s: "):
        assert demo.poll() is None
    children = psutil.Process(demo.pid).children(recursive=True)
    assert len(children) == 1
    demo.send_signal(number)
    _, stderr = demo.communicate(timeout=30)
    assert demo.returncode == 0 and "Warning" not in stderr and "Unclosed" not in stderr, stderr
    assert all(gone(child.pid) for child in children)


def test_a_demo_whose_server_cannot_start(unused_tcp_port: int) -> None:
    demo = start_demo("import sys; sys.exit('error: no Ray')", unused_tcp_port, 1)
    stdout, stderr = demo.communicate(timeout=30)
    assert demo.returncode == 2 and "error: no Ray" in stderr and stdout == ""


def test_a_demo_whose_server_dies(unused_tcp_port: int) -> None:
    server = (
        f"print('ready: http://127.0.0.1:{unused_tcp_port}', flush=True); import time; time.sleep(1); 1 / 0"
    )
    demo = start_demo(server, unused_tcp_port, 0)
    _, stderr = demo.communicate(timeout=30)
    assert demo.returncode == 1 and "ZeroDivisionError" in stderr
