"""`lbactors backup` in a process of its own that ends badly.

backing_up.py kill STEPS ARGUMENT…    sends itself SIGKILL at the copy's step number STEPS, counted from 1; at
                                      step 0 when the copy is checked, before it gets its name
backing_up.py limit BYTES ARGUMENT…   may write no file that is larger
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from lbactors.cli import cli
from lbactors.tools import backup as backup_module
from persistence import back_up
from persistence.sqlite import backup as sqlite_backup


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_at(number: int) -> None:
    sqlite_backup.STEP_PAGES = 1
    left = number

    def deadly(url: str, target: Path, steps: Callable[[int, int], None]) -> None:
        def count(done: int, total: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                _die()
            steps(done, total)

        back_up(url, target, count)

    def unpublished(draft: Path, file: Path, *, force: bool) -> None:
        _die()

    if number:
        backup_module.copy_store = deadly
    else:
        backup_module.publish = unpublished


def main(how: str, number: str, *arguments: str) -> None:
    if how == "kill":
        _kill_at(int(number))
    else:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(number), hard))
    cli(["backup", *arguments], prog_name="lbactors")


if __name__ == "__main__":
    main(*sys.argv[1:])
