"""One attempt to hand a body to a webhook: an HTTP POST, with the headers of
`lbactors.supervisor.events.webhook_signing`.

Only the status of the answer counts, and 2xx alone confirms. Redirects are not followed: a body is signed for
the one who was registered. What the receiver writes is thrown away, since showing it would let a tenant read
whatever answers POSTs inside the server's network.

If only public targets are allowed, the address that is connected to is checked, not the name: a name may
resolve to another address at every look.
"""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from lbactors.supervisor.events.webhook_signing import is_private_literal, is_public

ATTEMPT_S = 10.0  # longer work belongs after the answer
ANSWER_BYTES = 16 * 1024  # of an answer that is read, so that its connection can be used again
LONGEST_ERROR = 200
LONGEST_WAIT_S = 3600  # that a Retry-After is granted


class Attempt(NamedTuple):
    """`status`: None without an answer. `error`: None if confirmed. `wait_ms`: the receiver asks for that."""

    status: int | None
    error: str | None
    duration_ms: int
    wait_ms: int = 0


class _NotPublic(OSError):
    """The target is private, and private ones are not allowed."""


class _PublicResolver(AbstractResolver):
    """Resolves names, and leaves out addresses that are not public."""

    def __init__(self) -> None:
        self._inner = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise _NotPublic("the name has no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


class Sender:
    """Sends; `close` at the end. Made inside the event loop that uses it."""

    def __init__(self, public_only: bool) -> None:
        self._public_only = public_only
        connector = aiohttp.TCPConnector(limit=0, resolver=_PublicResolver() if public_only else None)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=ATTEMPT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": "lbactors"},
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Attempt:
        """One attempt. Raises nothing but CancelledError."""
        began = time.monotonic()

        def ended(status: int | None, error: str | None, wait_ms: int = 0) -> Attempt:
            return Attempt(status, error, int((time.monotonic() - began) * 1000), wait_ms)

        try:
            if self._public_only and is_private_literal(url):
                raise _NotPublic("the address is not public")
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                status = answer.status
                if not 200 <= status < 300:
                    hint = ": redirects are not followed" if 300 <= status < 400 else ""
                    return ended(status, f"HTTP {status}{hint}", _wait_ms(answer.headers.get("Retry-After")))
                confirmed = ended(status, None)
                await _read_away(answer)
                return confirmed
        except TimeoutError:
            return ended(None, f"no answer within {ATTEMPT_S:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return ended(None, _words(error))


async def _read_away(answer: aiohttp.ClientResponse) -> None:
    """Read a short answer's body; the connection of a long or slow one is closed instead."""
    size = 0
    try:
        async for piece in answer.content.iter_any():
            size += len(piece)
            if size > ANSWER_BYTES:
                break
    except (aiohttp.ClientError, OSError):
        answer.close()  # the status was read: it is confirmed


def _wait_ms(retry_after: str | None) -> int:
    """`Retry-After` in seconds, as ms; a date there is passed over."""
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return 0
    return min(int(retry_after[:9]), LONGEST_WAIT_S) * 1000


def _words(error: Exception) -> str:
    """An error for people, without addresses inside the network."""
    if isinstance(error, _NotPublic):
        return f"not allowed: {error}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        inner = error.os_error
        return f"not allowed: {inner}" if isinstance(inner, _NotPublic) else "the name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError):
        return "the TLS connection or its certificate is not sound"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or type(error.os_error).__name__}"[:LONGEST_ERROR]
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    return f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
