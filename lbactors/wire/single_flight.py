"""Work that several callers want at the same time and that one of them has done for all.

The task belongs to nobody: a caller that is cancelled leaves it running for the others, and the next caller
after its end begins a new one. Its result, or its error, goes to everybody who waited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """At most one task for a key at a time."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}

    async def of(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the task that runs under this key, begun now with `work` if there is none."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    def _ended(self, key: str, task: asyncio.Task[T]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # known by those who waited; if none is left, nobody is to be warned
