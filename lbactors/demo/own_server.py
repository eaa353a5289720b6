"""A server of one's own for a while: a child process with a temporary data directory.

The demo and the load generator use it. It owns the child, its process group and the directory, and leaves
none of them behind, however the block ends: SIGTERM to the server, which drains; after 25 s SIGKILL to its
whole group. The environment's LBACTORS_ variables are not passed on, so that a developer's settings do not
leak in.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 25.0
LOOK_EVERY_S = 0.05
TAIL_LINES = 15
SERVE = (sys.executable, "-m", "lbactors", "serve")


class ServerFailed(Exception):
    """The server did not start, or ended by itself. The message ends with its last lines on stderr."""


class OwnServer:
    """`async with OwnServer() as server:` serves at `server.url` under `server.key` inside the block.

    command: how to start a server; it must print `ready: URL`. Raises ServerFailed if it ends before it is
    ready or is not ready in time.
    """

    def __init__(self, port: int = 0, command: Sequence[str] = SERVE) -> None:
        self.url = ""
        self.key = "lb_" + secrets.token_urlsafe(24)
        self._command = [*command, "--port", str(port)]
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        try:
            self._start()
            await self._until_ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def check(self) -> None:
        """Raises ServerFailed if the server has ended."""
        assert self._process is not None
        end = _ended(self._process)
        if end is not None:
            how = "ended with exit code" if end.si_code == os.CLD_EXITED else "was ended by signal"
            raise ServerFailed(f"the server {how} {end.si_status}\n{self._tail()}")

    def _start(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="lbactors-", ignore_cleanup_errors=True)
        folder = Path(self._directory.name)
        env = {name: value for name, value in os.environ.items() if not name.startswith("LBACTORS_")}
        source = str(Path(__file__).parent.parent)  # so that it also works where nothing is installed
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [source, env.get("PYTHONPATH")]))
        env["PYTHONUNBUFFERED"] = "1"
        env["LBACTORS_ROOT_KEY"] = self.key
        env["LBACTORS_DATA_DIR"] = str(folder / "data")
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                self._command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    async def _until_ready(self) -> None:
        deadline_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline_s:
            for line in self._lines("stdout"):
                if line.startswith("ready: "):
                    self.url = line.removeprefix("ready: ").strip().rstrip("/")
                    return
            self.check()
            await asyncio.sleep(LOOK_EVERY_S)
        raise ServerFailed(f"the server was not ready within {READY_WITHIN_S:.0f} s\n{self._tail()}")

    async def _stop(self) -> None:
        """SIGTERM, and SIGKILL to the group when the server has ended, time is over or the wait is
        cancelled.
        """
        try:
            if self._process is not None:
                os.kill(self._process.pid, signal.SIGTERM)
                for _ in range(int(STOPPED_WITHIN_S / LOOK_EVERY_S)):
                    if _ended(self._process) is not None:
                        break
                    await asyncio.sleep(LOOK_EVERY_S)
        finally:
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                self._process = None
            if self._directory is not None:
                self._directory.cleanup()
                self._directory = None

    def _lines(self, name: str) -> list[str]:
        assert self._directory is not None
        # Only whole lines: the last piece may still be growing.
        text = (Path(self._directory.name) / name).read_text(errors="replace")
        return text[: text.rfind("\n") + 1].splitlines() if name == "stdout" else text.splitlines()

    def _tail(self) -> str:
        return "\n".join(self._lines("stderr")[-TAIL_LINES:])


def _ended(process: subprocess.Popen[bytes]) -> os.waitid_result | None:
    """How the process ended, if it did. It is not reaped here: until `wait`, its pid, which is also the
    number of its group, cannot be given to others, so signals to it hit nobody else.
    """
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
