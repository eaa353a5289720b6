"""The demo as a whole: it runs its time, and ends at a signal or with its server, without a trace.

Servers are small scripts here that print `ready:`; the demo's game plays against the fake API. Not
verified: the real server, whose own tests do that.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.support.repository import python_path

READY = "print('ready: http://127.0.0.1:1', flush=True);"
SLEEPS = "import time; time.sleep(600)"


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


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
    seconds = float(sys.argv[3]) or None
    code = demo.run_demo(port=0, players=50, rate=200, seconds=seconds, plain=True, program="lbactors")
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
    assert any(" 0 in all," not in line for line in seconds), stdout
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
