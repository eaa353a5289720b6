"""The client for game servers and tools: one method for each route of the API.

    async with Client("http://127.0.0.1:8080", key) as client:
        await client.submit("xp", "maya", 5100)
        page = await client.rankings("xp", limit=10)

Answers are the API's JSON as dicts, nothing renamed; `client.types` has their types. Every score carries a
`submission_id` (made here if you give none), so the client's own retries never count a score twice;
`client.transport` says what is retried, and for how long. Errors: `ApiError` (the server refused) and
`Unreachable` (no answer; the outcome of a write is unknown).

`SyncClient` is the same for programs without an event loop.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from lbactors.client.administration import Administration
from lbactors.client.scores import Scores
from lbactors.client.sources import Sources
from lbactors.client.transport import DEFAULT_URL, Options, Transport
from lbactors.client.types import Json
from lbactors.client.unclosed import warn_unclosed


class Client(Scores, Sources, Administration):
    """The client for asyncio. Tasks of one event loop may share it.

    url: address of the server; without one `LBACTORS_URL`, else http://127.0.0.1:8080. key: the API key;
    without one `LBACTORS_KEY`; "" sends none. Options, with their defaults: tenant_id (None), timeout_s (30),
    patience_s (30), connections (64), retry_refused (True); `Transport` describes them. ValueError for an
    invalid address.
    """

    def __init__(self, url: str | None = None, key: str | None = None, **options: Unpack[Options]) -> None:
        chosen_url = os.environ.get("LBACTORS_URL") or DEFAULT_URL if url is None else url
        chosen_key = os.environ.get("LBACTORS_KEY") if key is None else key
        super().__init__(Transport(chosen_url, chosen_key, **options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        transport: Transport | None = getattr(self, "transport", None)  # none if there was a ValueError
        if transport is not None and transport.is_open:
            warn_unclosed(self, "use `async with Client(...)` or `await client.close()`")
            transport.abandon()

    async def close(self) -> None:
        """Close the connections. The client can be used again afterwards and opens new ones."""
        await self.transport.close()

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """A route that has no method here, see `Transport.call`."""
        return await self.transport.call(method, path, **more)

    async def command(self, path: str, body: Any, params: Mapping[str, Any] | None = None) -> Json:
        """A POST that has no method here, see `Transport.command`."""
        return await self.transport.command(path, body, params)
