"""An answer that costs something and that anybody may ask for: made once in a while, whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

KEEP_MS = 1000


class KeptAnswer(Generic[T]):
    """Whoever asks while it is made, or within KEEP_MS after that was begun, gets the same, errors included.
    now_ms: a clock, which may jump.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]], now_ms: Callable[[], int]) -> None:
        self._make = make
        self._now_ms = now_ms
        self._begun_ms = 0
        self._making: asyncio.Task[T] | None = None

    async def get(self) -> T:
        making, age_ms = self._making, self._now_ms() - self._begun_ms
        if making is None or making.cancelled() or (making.done() and not 0 <= age_ms < KEEP_MS):
            self._begun_ms = self._now_ms()
            making = self._making = asyncio.create_task(self._make())
            making.add_done_callback(_looked_at)
        return await asyncio.shield(making)  # it belongs to nobody: a caller that leaves does not end it


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Those who waited have its error; if none is left, nobody is to be warned."""
    if not task.cancelled():
        task.exception()
