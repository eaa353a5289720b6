"""One request to the server and what may be done about its failure.

`Transport` owns the connection pool, the key and the only retry loop of the client. Its law: a request is
sent again only if a second arrival cannot do harm. Reads, PUT and writes with an id of their own
(`submission_id`, `Idempotency-Key`) may always be repeated; anything else only where nothing was taken:
429, `period_loading`, a refused connection. Retries are bounded by time (`patience_s`), not by number,
because a server that restarts or loads a period needs seconds, however often it is asked meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import random
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import orjson
from yarl import URL

Answer = TypeVar("Answer")

DEFAULT_URL = "http://127.0.0.1:8080"
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0

log = logging.getLogger("lbactors.client")

RETRIED_STATUS = frozenset({429, 502, 503, 504})
# Codes that pass by themselves and say that nothing was taken; also as codes of single items in a batch.
NOT_TAKEN = frozenset({"rate_limited", "overloaded", "period_loading"})


class ApiError(Exception):
    """The server's answer was an error.

    status: HTTP status. code: the API's code, e.g. `leaderboard_not_found`; `http_502` and the like where the
    answer came from something else than the server (a proxy). details: `{"loc": [...], "msg": "..."}` each.
    retry_after_s: seconds to wait, where the server said so.

        try:
            await client.entry("xp", "maya")
        except ApiError as error:
            if error.code != "entry_not_found":
                raise
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: list[dict[str, Any]] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details or []
        self.retry_after_s = retry_after_s


class Unreachable(ConnectionError):
    """No answer: connection refused, broken or silent, for as long as the client was ready to try.

    What became of a write is unknown. Send it again with the same `submission_id`: it is applied if it was
    not, and recognised if it was. is_refused: there was not even a connection, so nothing was sent.
    """

    def __init__(self, message: str, *, is_refused: bool = False) -> None:
        super().__init__(message)
        self.is_refused = is_refused


def check_option(name: str, value: float, fits: bool, bound: str) -> None:
    """ValueError for a number that is out of bounds or not finite."""
    if not (fits and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number, {bound}; it is {value!r}")


def checked(answer: Any) -> Any:
    """Every answer of the API is an object; anything else came from something else."""
    if not isinstance(answer, dict):
        raise ApiError(502, "not_an_answer", "the address answers, but not as an lbactors server does")
    return answer


class Options(TypedDict, total=False):
    """How to send; `Transport` says what each means, and the default."""

    tenant_id: str | None
    timeout_s: float
    patience_s: float
    connections: int
    retry_refused: bool


class Transport:
    """Sends requests to one server under one key. Use it inside one running event loop.

    tenant_id: for a key that is not of one tenant. timeout_s: longest wait for one answer. patience_s: how
    long, from the first try, a request may be tried again; 0 tries once. retry_refused: whether a refused
    connection is tried again too (a game server wants that while the server restarts; a person who mistyped
    a port does not). ValueError for a URL that is not one.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        tenant_id: str | None = None,
        timeout_s: float = 30.0,
        patience_s: float = 30.0,
        connections: int = 64,
        retry_refused: bool = True,
    ) -> None:
        if not isinstance(url, str):
            raise TypeError(f"url must be a string, not {type(url).__name__}")
        check_option("timeout_s", timeout_s, timeout_s > 0, "more than 0")
        check_option("patience_s", patience_s, patience_s >= 0, "at least 0")
        check_option("connections", connections, connections >= 1, "at least 1")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http:// or https:// address: {url!r}")
        self.url = url.rstrip("/")
        self.headers = {"Accept": "application/json"}
        if key:
            self.headers["Authorization"] = f"Bearer {key}"
        if tenant_id is not None:
            self.headers["X-Tenant-Id"] = tenant_id
        self.patience_s = patience_s
        self._timeout_s = timeout_s
        self._connections = connections
        self._retry_refused = retry_refused
        self._session: aiohttp.ClientSession | None = None

    @property
    def is_open(self) -> bool:
        """Whether there may be connections to close."""
        return self._session is not None

    def abandon(self) -> None:
        """Close the connections without waiting for it: what a finalizer can do, which cannot await."""
        session, self._session = self._session, None
        if session is not None:
            closing = session.close()
            with contextlib.suppress(StopIteration, RuntimeError):  # RuntimeError: another thread's loop
                closing.send(None)  # up to where it would wait, which is after all are told to close
            closing.close()
            session.detach()

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pool, made on first use because aiohttp wants a running loop for it."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            )
        return self._session

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
        answers: tuple[int, ...] = (),
    ) -> Any:
        """One request, tried again while that can help; the decoded answer (text where it is not JSON).

        params: None values are left out. body: anything orjson writes, aware datetimes included.
        repeatable: whether a second arrival does no harm. answers: further statuses whose body is an
        answer and not an error.
        Raises ApiError or Unreachable, the last failure.
        """
        url = URL(self.url + path + query(params), encoded=True)
        sent = {**self.headers, **(headers or {})}
        content = None
        if body is not None:
            content = encoded(body)
            sent["Content-Type"] = "application/json"
        pauses = Pauses(self.patience_s)
        is_told = False
        while True:
            failure: ApiError | Unreachable
            try:
                return await self._once(method, url, content, sent, answers)
            except ApiError as error:
                again = error.status in RETRIED_STATUS and (repeatable or error.code in NOT_TAKEN)
                failure = error
            except aiohttp.ClientConnectorError as error:
                again = self._retry_refused
                failure = Unreachable(f"cannot connect to {self.url}: {reason(error)}", is_refused=True)
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                again = repeatable
                failure = Unreachable(f"no answer from {self.url}: {reason(error)}")
            except aiohttp.ClientError as error:
                again = False
                failure = Unreachable(f"{self.url} does not speak HTTP: {reason(error)}")
            if again and not is_told and isinstance(failure, Unreachable) and self.patience_s:
                is_told = True  # else a person who waits for an answer sees nothing at all
                log.warning("%s; trying again for up to %g s", failure, self.patience_s)
            if not again or not await pauses.wait(getattr(failure, "retry_after_s", None)):
                raise failure

    async def json(self, method: str, path: str, **more: Any) -> Answer:
        """`call`, for an answer that is an object, as all of the API's but `/metrics` are.

        Its type is what the caller says that the route answers.
        """
        answer: Answer = checked(await self.call(method, path, **more))
        return answer

    async def command(self, path: str, body: Any, params: Mapping[str, Any] | None = None) -> Answer:
        """A POST that changes something, under an `Idempotency-Key` of its own, so that it may be
        repeated.
        """
        headers = {"Idempotency-Key": new_id()}
        return await self.json("POST", path, params=params, body=body, headers=headers)

    async def _once(
        self, method: str, url: URL, content: bytes | None, headers: dict[str, str], answers: tuple[int, ...]
    ) -> Any:
        async with self.session.request(method, url, data=content, headers=headers) as response:
            received = await response.read()
            if response.status >= 400 and response.status not in answers:
                raise error_from(response.status, response.reason or "", response.headers, received)
            if response.status == 204:
                return {}
            if response.content_type == "application/json":
                return orjson.loads(received)
            return received.decode(errors="replace")


class Pauses:
    """The waits of one operation: exponential with jitter, never longer together than `patience_s`."""

    def __init__(self, patience_s: float) -> None:
        self._ends_at_s = time.monotonic() + patience_s
        self._pause_s = FIRST_PAUSE_S

    async def wait(self, at_least_s: float | None = None) -> bool:
        """Sleep before the next try and say True; False, at once, if patience would end meanwhile.

        Half of each pause is random, so that clients which failed together do not come back together.
        """
        pause_s = self._pause_s * (0.5 + random.random() / 2)
        pause_s = max(pause_s, at_least_s or 0.0)
        if time.monotonic() + pause_s > self._ends_at_s:
            return False
        await asyncio.sleep(pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        return True


def encoded(body: Any) -> bytes:
    """A body as JSON. ValueError for what it cannot hold: NaN, infinities, integers beyond 64 bits."""
    try:
        content = orjson.dumps(body)
    except TypeError as error:
        raise ValueError(f"the body cannot be written as JSON: {error}") from None
    # orjson writes them as null; most bodies have none, so they cost nothing.
    if b"null" in content and (place := not_finite(body)) is not None:
        raise ValueError(f"{place} must be a finite number")
    return content


def not_finite(value: Any, place: str = "body") -> str | None:
    """Where a NaN or an infinity is."""
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return None
    return next((found for key, v in items if (found := not_finite(v, f"{place}.{key}"))), None)


def error_from(status: int, http_reason: str, headers: Mapping[str, str], content: bytes) -> ApiError:
    """The exception for an answer with an error status, also for answers that are not the API's."""
    try:
        retry_after_s: int | None = int(headers.get("Retry-After", ""))
    except ValueError:  # absent, or a date, which only proxies send
        retry_after_s = None
    try:
        error = orjson.loads(content)["error"]
        return ApiError(status, error["code"], error["message"], error.get("details"), retry_after_s)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ApiError(status, f"http_{status}", http_reason or "no reason given", None, retry_after_s)


def reason(error: BaseException) -> str:
    """A transport failure in a few words, without aiohttp's repetition of host and port."""
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "TLS failed; if the server speaks plain HTTP, write http:// instead of https://"
    if isinstance(error, aiohttp.ClientConnectorError):
        return os_reason(error.os_error)
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "connection closed"
    return str(error) or type(error).__name__


def os_reason(error: OSError) -> str:
    """The system's own words for a failed connection, in lower case."""
    code = error.errno
    return os.strerror(code).lower() if code is not None and code > 0 else error.strerror or str(error)


def query(params: Mapping[str, Any] | None) -> str:
    """`?a=1&b=true`; None values are left out."""
    pairs = [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in (params or {}).items()
        if value is not None
    ]
    return "?" + urlencode(pairs, quote_via=quote) if pairs else ""


def new_id() -> str:
    """An id that no one else uses: 24 hexadecimal digits."""
    return secrets.token_hex(12)
