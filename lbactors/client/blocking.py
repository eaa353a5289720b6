"""What `SyncClient` is made of: an event loop of its own, in which it runs the calls of a `Client`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from lbactors.client.client import Client
from lbactors.client.transport import Options
from lbactors.client.unclosed import warn_unclosed

Answer = TypeVar("Answer")

IN_A_LOOP = (
    "SyncClient cannot be used inside a running event loop: "
    "use `async with Client(...) as client` and `await` its methods"
)


class Blocking:
    """Runs the calls of a `Client`, one at a time, and waits for each.

    The loop is made by the first call and ends with `close`.
    """

    def __init__(self, url: str | None = None, key: str | None = None, **options: Unpack[Options]) -> None:
        self._client = Client(url, key, **options)
        self._runner: asyncio.Runner | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        runner: asyncio.Runner | None = getattr(self, "_runner", None)  # none if there was a ValueError
        if runner is None:
            return
        warn_unclosed(self, "use `with SyncClient(...)` or `client.close()`")
        try:
            self.close()
        except RuntimeError:  # inside another loop, or the interpreter is about to end
            runner.get_loop().close()
            self._client.transport.abandon()

    def close(self) -> None:
        """Close the connections. The client can be used again afterwards and opens new ones."""
        if self._runner is not None:
            self._run(self._client.close())
            with self._turn:
                self._runner.close()
                self._runner = None

    def _run(self, call: Coroutine[Any, Any, Answer]) -> Answer:
        """One call, start to end. RuntimeError inside a running event loop."""
        if inside_a_loop():
            call.close()
            raise RuntimeError(IN_A_LOOP)
        with self._turn:
            if self._runner is None:
                self._runner = asyncio.Runner()
            return self._runner.run(call)

    def _iterate(self, items: AsyncIterator[Answer]) -> Iterator[Answer]:
        """The items of an async iterator, each fetched when it is wanted."""

        async def step() -> Answer | None:
            return await anext(items, None)

        while (item := self._run(step())) is not None:
            yield item


def inside_a_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
