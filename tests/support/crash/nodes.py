"""The process of `two_nodes`: a Ray that is there before any server, and after it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

import psutil

from tests.support.repository import REPOSITORY
from tests.support.server_process import environment, session_of

HEARD_WITHIN_S = 60.0


class Nodes:
    """The process of `two_nodes`, and what it started."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lbn-", dir="/tmp"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crash.two_nodes"],
            cwd=REPOSITORY,
            env=environment(TMPDIR=str(self.folder), RAY_TMPDIR=str(self.folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    async def hear(self, word: str) -> str:
        """What follows this word on a line; Ray says things of its own in between."""
        assert self._process.stdout is not None
        async with asyncio.timeout(HEARD_WITHIN_S):
            while line := await asyncio.to_thread(self._process.stdout.readline):
                told, _, what = line.strip().partition(" ")
                if told == word:
                    return what
        raise AssertionError(f"the nodes ended instead of saying {word!r}")

    async def ask(self, order: str, word: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return await self.hear(word)

    async def add(self) -> psutil.Process:
        """The raylet of a further node."""
        return psutil.Process(int(await self.ask("add", "node")))

    def close(self) -> None:
        for process in psutil.process_iter():
            if session_of(process.pid) == self._process.pid:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        with self._process:
            pass
        rmtree(self.folder, ignore_errors=True)
