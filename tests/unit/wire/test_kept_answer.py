"""An answer that is made once in a while, whoever asks."""

from __future__ import annotations

import asyncio

import pytest

from lbactors.wire.kept_answer import KEEP_MS, KeptAnswer


class Making:
    """Counts what is made; `at_ms` is its clock."""

    def __init__(self) -> None:
        self.made = 0
        self.at_ms = 0
        self.error: Exception | None = None
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.kept = KeptAnswer(self._make, lambda: self.at_ms)

    async def _make(self) -> int:
        self.made += 1
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return self.made


async def test_it_is_kept_for_a_while() -> None:
    making = Making()
    for at_ms, made in (
        (0, 1),
        (KEEP_MS - 1, 1),
        (KEEP_MS, 2),
        (2 * KEEP_MS - 1, 2),
        (2 * KEEP_MS, 3),
        (5, 4),
    ):
        making.at_ms = at_ms
        assert await making.kept.get() == made


async def test_who_asks_meanwhile_waits_for_the_same() -> None:
    making = Making()
    making.may_end.clear()
    asking = [asyncio.create_task(making.kept.get()) for _ in range(3)]
    await asyncio.sleep(0)
    making.at_ms = 10 * KEEP_MS  # it takes long: still no second one is begun
    asking.append(asyncio.create_task(making.kept.get()))
    await asyncio.sleep(0)
    asking[0].cancel()  # who leaves takes it from nobody
    making.may_end.set()
    assert await asyncio.gather(*asking[1:]) == [1, 1, 1]
    assert await making.kept.get() == 2


async def test_an_error_is_kept_too() -> None:
    making = Making()
    making.error = ValueError("no")
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            await making.kept.get()
    assert making.made == 1
    making.error, making.at_ms = None, KEEP_MS
    assert await making.kept.get() == 2
