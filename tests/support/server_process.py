"""One real server: its process, every process that it started, its restarts.

Owns a folder with a short path (the sockets of the processes below it have long names), the port, which stays
the same over restarts, and all processes of the server's session. Nothing outlives `close`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.support.free_ports import free_port
from tests.support.repository import REPOSITORY

ROOT_KEY = "lb_a-key-for-crash-tests"
NO_SPARE = ("--spare-actors", "0")  # a process less to start where the test does not need it
READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 40.0  # whatever its end is caused by
ENDED_WITHIN_S = 30.0  # after SIGTERM, with nobody at work
LOOK_EVERY_S = 0.05
TAIL_CHARACTERS = 2500
TRACEBACK = '"exception": "Traceback'  # in a line of the log (`lbactors.logs`)


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without a developer's own settings."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LBACTORS_", "RAY_"))}
    return {**plain, "PYTHONUNBUFFERED": "1", **variables}


class Server:
    """`start`, then kill what you like, then `start` again. `key`: None lets the server make its own."""

    def __init__(self, key: str | None, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lbc-", dir="/tmp"))
        self.data_dir = self.folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = key or ""
        self.ready_at_s = 0.0  # on the monotonic clock, when the line was read
        self.lines: list[str] = []  # stdout of the last start
        self.variables: dict[str, str] = {}  # of its environment, besides the key
        self.cwd = REPOSITORY
        self._own_key = key is None
        self._options = options
        self._stderr = self.folder / "stderr.log"
        self._process: subprocess.Popen[str] | None = None
        self._sessions: list[int] = []

    @property
    def command(self) -> list[str]:
        where = ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        return [sys.executable, "-P", "-m", "lbactors", "serve", *where, *self._options]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    # Starting -------------------------------------------------------------------------------------------

    async def start(self) -> float:
        """Start, and wait for the line `ready: URL`; the seconds that it took."""
        return await asyncio.to_thread(self.start_now)

    def start_now(self) -> float:
        """`start` for whoever has no event loop."""
        began_s = time.monotonic()
        self.lines = []
        self._process = self._spawn()
        self._sessions.append(self._process.pid)
        seen = threading.Event()
        reading = threading.Thread(
            target=self._read_stdout, args=(self._process, self.lines, seen), daemon=True
        )
        reading.start()
        seen.wait(READY_WITHIN_S)
        assert f"ready: {self.url}" in self.lines, f"not ready; {self.tail()}"
        if self._own_key and not self.key:
            self.key = self.root_keys()[0]
        return self.ready_at_s - began_s

    def _spawn(self) -> subprocess.Popen[str]:
        variables = {"TMPDIR": str(self.folder), **self.variables}
        if not self._own_key:
            variables["LBACTORS_ROOT_KEY"] = self.key
        with self._stderr.open("a") as stderr:
            return subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )

    def _read_stdout(self, process: subprocess.Popen[str], lines: list[str], seen: threading.Event) -> None:
        """Drains stdout to its end, so that the server never blocks on a full pipe."""
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready: "):
                self.ready_at_s = time.monotonic()
            lines.append(line.strip())
            if line.startswith("ready: "):
                seen.set()
        seen.set()  # it ended: nobody need wait for more

    def root_keys(self) -> list[str]:
        """The keys that the last start printed."""
        prefix = "root key: "
        return [line.removeprefix(prefix) for line in self.lines if line.startswith(prefix)]

    # Processes ------------------------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Every living process of the last start: those of its session and those below it."""
        found = {p for p in psutil.process_iter() if session_of(p.pid) == self.pid}
        with contextlib.suppress(psutil.NoSuchProcess):
            found.update(psutil.Process(self.pid).children(recursive=True))
        return sorted((p for p in found if alive(p)), key=lambda p: p.pid)

    def pids(self, begins: str) -> list[int]:
        """Processes of the last start by how their command line begins: that of an actor is a title."""
        return [
            pid
            for pid in psutil.pids()
            if session_of(pid) == self.pid and " ".join(command_line(pid)).startswith(begins)
        ]

    def actors(self) -> list[int]:
        """Period actors."""
        return self.pids("ray::PeriodActor")

    def supervisors(self) -> list[int]:
        return self.pids("ray::Supervisor")

    def further_gateways(self) -> list[int]:
        """Those that the server started beside itself."""
        command = self.command[:5]
        return [pid for pid in self.pids(" ".join(command)) if command_line(pid) == command]

    # Looking for processes takes a while, in which the load must go on: so in threads.

    async def kill_everything(self) -> list[psutil.Process]:
        """SIGKILL to every process of the server at once; who they were."""
        victims = await asyncio.to_thread(self.processes)
        for process in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        await self.exit_code()
        return victims

    async def kill_main(self) -> list[psutil.Process]:
        """SIGKILL to the server's own process alone; all that were there before."""
        before = await asyncio.to_thread(self.processes)
        os.kill(self.pid, signal.SIGKILL)
        await self.exit_code()
        return before

    def kill_one(self, pid: int) -> None:
        """SIGKILL to one process, which must be the server's."""
        if session_of(pid) != self.pid:
            raise ProcessLookupError(f"{pid} is no process of the server, or not any more")
        os.kill(pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    async def exit_code(self) -> int:
        """Wait for the end of the server's own process."""
        assert self._process is not None
        try:
            return await asyncio.to_thread(self._process.wait, STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"alive {STOPPED_WITHIN_S:.0f} s after the signal; {self.tail()}") from None

    def stop(self) -> None:
        """SIGTERM, as a service manager sends it; AssertionError if it does not end well and in time."""
        assert self._process is not None
        assert self._process.poll() is None, f"died early with {self._process.returncode}; {self.tail()}"
        self.terminate()
        try:
            code = self._process.wait(ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"alive {ENDED_WITHIN_S:.0f} s after SIGTERM; {self.tail()}") from None
        finally:
            told = self.tail()
            self.close()
        assert code == 0, f"exit code {code} after SIGTERM; {told}"

    def close(self) -> None:
        """End everything that is left of all starts, and remove the folder."""
        for process in psutil.process_iter():
            if session_of(process.pid) in self._sessions:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        if self._process is not None:
            self._process.wait(STOPPED_WITHIN_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def tail(self) -> str:
        """The last lines of the server and of its actors in the last start, and every line with a traceback,
        wherever in a log it stands: a crash in a gateway, a call that failed in an actor.
        """
        told = "stdout: " + " | ".join(self.lines[-20:])
        tracebacks: list[str] = []
        logs = [self._stderr, *sorted(self.folder.glob("lbr-*/r/session_latest/logs/worker-*.err"))]
        for log in logs:
            text = log.read_text(errors="replace").strip() if log.exists() else ""
            if text:
                told += f"\n{log.name}: {text[-TAIL_CHARACTERS:]}"
                tracebacks += (f"{log.name}: {line}" for line in text.splitlines() if TRACEBACK in line)
        return "\n".join([told, *tracebacks])


MakeServer = Callable[..., Server]  # the fixture `make_server`: arguments of `Server`


def session_of(pid: int) -> int:
    """Id of a process's session, which is that of the process that began it; -1 if it is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1


def command_line(pid: int) -> list[str]:
    """The words of a process's command line, or its title; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; a dead one that nobody reaped does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def name_of(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[:80].strip()}"
    except psutil.NoSuchProcess:
        return f"{process.pid} (gone)"


async def survivors(processes: list[psutil.Process], until_s: float) -> list[str]:
    """Names of those that still live at an instant of the monotonic clock; returns early if none does."""
    while True:
        left = [name_of(p) for p in processes if alive(p)]
        if not left or time.monotonic() >= until_s:
            return left
        await asyncio.sleep(LOOK_EVERY_S)
