"""The demo's own server: its environment, its end, and that no process or file is left of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from lbactors.demo import own_server
from lbactors.demo.own_server import OwnServer, ServerFailed

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
