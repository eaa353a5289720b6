"""Starting `child.py` from a test, reading its lines, and ending it for certain."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.repository import python_path

CHILD = "tests.support.store.child"


class Child:
    """A child process; a context manager that kills it at the end."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", CHILD, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            close_fds=False,  # what is inherited is then a matter of the descriptors alone
            env={**os.environ, "PYTHONPATH": python_path()},
        )

    def line(self) -> list[str]:
        """The words of the next line; none at the end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def lines(self) -> list[list[str]]:
        """All lines until the end."""
        return list(iter(self.line, []))

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
