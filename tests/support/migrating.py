"""`lbactors migrate` in a process of its own that kills itself: `migrating.py WRITES WHEN FROM TO`.

It sends itself SIGKILL at the write number WRITES to the target, counted from 1: WHEN is `before` or `after`
the write was carried out. With fewer writes to do it ends like the command.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from lbactors.cli import cli
from lbactors.tools import exclusive_store
from persistence import open_store
from persistence.store import Store

WRITES = frozenset(
    (
        "commit",
        "take_ownership",
        "take_epoch",
        "append",
        "put_parts",
        "commit_snapshot",
        "trim",
        "drop_periods",
    )
)


class Deadly:
    """A store that counts the writes, and ends the process at one of them."""

    def __init__(self, store: Store, writes: int, when: str) -> None:
        self._store = store
        self._left = writes
        self._when = when

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._store, name)
        if name not in WRITES:
            return method

        async def call(*args: Any, **named: Any) -> Any:
            self._left -= 1
            last = self._left == 0
            if last and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = await method(*args, **named)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


def main(writes: str, when: str, source: str, target: str) -> None:
    def opens(url: str) -> Any:
        store = open_store(url)
        return Deadly(store, int(writes), when) if url == target else store

    exclusive_store.open_store = opens
    cli(["migrate", "--from", source, "--to", target], prog_name="lbactors")


if __name__ == "__main__":
    main(*sys.argv[1:])
