"""The client for game servers: one method for each route of the native API.

    async with Client("http://127.0.0.1:8080", key) as client:
        await client.submit("xp", "maya", 5100)
        page = await client.rankings("xp", limit=10)

Answers are the API's JSON as Python dictionaries, nothing renamed. Every write of a score carries a
`submission_id` (made here if the caller gives none), so the client's own retries never count a score
twice; see `client.transport` for what is retried and how long. Errors: `ApiError` (the server said no) and
`Unreachable` (no answer; the outcome of a write is unknown).

`SyncClient` is the same for programs without an event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from lbactors.client.administration import Administration
from lbactors.client.routes import Json
from lbactors.client.scores import Scores
from lbactors.client.transport import DEFAULT_URL, Options, Transport


class Client(Scores, Administration):
    """Async client; safe to share among tasks of one event loop.

    Arguments and errors are those of `Transport`.
    """

    def __init__(self, url: str = DEFAULT_URL, key: str | None = None, **options: Unpack[Options]) -> None:
        super().__init__(Transport(url, key, **options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the client may be used again afterwards and opens new ones."""
        await self.transport.close()

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """A route that has no method here, see `Transport.call`."""
        return await self.transport.call(method, path, **more)

    async def command(self, path: str, body: Any, params: Mapping[str, Any] | None = None) -> Json:
        """A POST that has no method here, see `Transport.command`."""
        return await self.transport.command(path, body, params)


class SyncClient:
    """`Client` without `await`: every method of it, with the same arguments.

        with SyncClient("http://127.0.0.1:8080", key) as client:
            client.submit("xp", "maya", 5100)

    It runs its own event loop inside each call, so it cannot be used where one runs already. Async iterators
    (`all_rankings`) become plain ones.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._client = Client(*args, **options)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **options: Any) -> Any:
            result = method(*args, **options)
            if isinstance(result, AsyncIterator):
                return self._iterate(result)
            return self._runner.run(result)

        return call

    def _iterate(self, items: AsyncIterator[Json]) -> Iterator[Json]:
        async def step() -> Json | None:
            return await anext(items, None)

        while (item := self._runner.run(step())) is not None:
            yield item
