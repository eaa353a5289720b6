"""One real server process for the whole test session.

Owns the process and its process group: it is started in a group of its own, must print `ready: http://…` in
time, must leave with exit code 0 within 30 s of SIGTERM, and whatever is left of its group is killed at the
end.
"""

from __future__ import annotations

import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.free_ports import free_port
from tests.support.repository import REPOSITORY

READY_WITHIN_S = 120
STOPPED_WITHIN_S = 30


class ServerProcess:
    """`start` makes `base_url` and `key` valid; `stop` checks a clean end."""

    def __init__(self, folder: Path, **variables: str) -> None:
        """variables: of its environment, besides the key."""
        self.key = "lb_" + secrets.token_hex(16)
        self.base_url = ""
        self.lines: list[str] = []
        self._folder = folder
        self._variables = variables
        self._stderr = folder / "stderr.log"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        port = free_port()
        env = {name: value for name, value in os.environ.items() if not name.startswith("LBACTORS_")}
        env |= {"LBACTORS_ROOT_KEY": self.key, "PYTHONUNBUFFERED": "1", **self._variables}
        command = [sys.executable, "-m", "lbactors", "serve", "--port", str(port)]
        command += ["--data-dir", str(self._folder / "data")]
        with self._stderr.open("w") as stderr:
            self._process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=env,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        ready: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read_stdout, args=(ready,), daemon=True).start()
        try:
            line = ready.get(timeout=READY_WITHIN_S)
        except queue.Empty:
            line = ""
        expected = f"ready: http://127.0.0.1:{port}"
        if line.rstrip("/") != expected:
            self.kill()
            raise AssertionError(f"no line {expected!r}; {self.tail()}")
        self.base_url = f"http://127.0.0.1:{port}"

    def _read_stdout(self, ready: queue.Queue[str]) -> None:
        """Drains stdout to the end, so that the server never blocks on a full pipe."""
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready: "):
                ready.put(line.strip())
        ready.put("")

    def stop(self) -> None:
        """SIGTERM to the server itself, as an operator's service manager sends it."""
        assert self._process is not None
        assert self._process.poll() is None, f"died early with {self._process.returncode}; {self.tail()}"
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout=STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"alive {STOPPED_WITHIN_S} s after SIGTERM; {self.tail()}") from None
        finally:
            self.kill()
        assert code == 0, f"exit code {code} after SIGTERM; {self.tail()}"

    def kill(self) -> None:
        """Ends what is left of the process group."""
        assert self._process is not None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait(timeout=STOPPED_WITHIN_S)

    def tail(self) -> str:
        stderr = self._stderr.read_text(errors="replace")[-4000:]
        return "stdout: " + "\n".join(self.lines[-20:]) + "\nstderr: " + stderr
