"""A small synchronous HTTP client that judges every answer it receives.

One keep-alive connection, no dependency beyond msgpack. `Api.call` returns `(status, headers, json)` and
asserts what holds for all answers of the API (section 1): `X-Request-Id`, a proper content type, the exact
error envelope, a code that belongs to its status, `Retry-After` on 429 and 503, and never a 500.

Departure from a plain client: 503 `period_loading` is waited out, as every client of the API must do. The
number of such waits is kept in `Transport.loading_waits`, so that a test run can show it.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

import msgpack

JSON = "application/json"
MSGPACK = "application/msgpack"

CODES_BY_STATUS: dict[int, set[str]] = {
    400: {"malformed_body"},
    401: {"unauthenticated"},
    403: {"forbidden"},
    404: {
        "leaderboard_not_found",
        "period_not_found",
        "entry_not_found",
        "player_not_found",
        "tenant_not_found",
        "key_not_found",
        "webhook_not_found",
        "delivery_not_found",
        "reward_not_found",
        "held_submission_not_found",
        "metric_not_found",
        "transaction_not_found",
        "route_not_found",
    },
    405: {"method_not_allowed"},
    409: {
        "leaderboard_exists",
        "tenant_exists",
        "period_exists",
        "entry_exists",
        "entry_removed",
        "period_closed",
        "period_not_open",
        "rewards_pending",
        "rewards_granted",
        "leaderboard_inactive",
        "leaderboard_not_writable",
        "insufficient_balance",
        "transaction_settled",
        "webhook_limit",
        "webhook_disabled",
        "idempotency_conflict",
        "held_submission_decided",
    },
    412: {"version_mismatch"},
    413: {"body_too_large"},
    415: {"unsupported_media_type"},
    422: {"validation_failed", "submission_refused"},
    429: {"rate_limited", "overloaded"},
    503: {"period_loading", "storage_unavailable"},
}

LOADING_DEADLINE_S = 30.0
IDLE_REUSE_S = 5.0


T = TypeVar("T")


class _Absent:
    """Marks 'no body' and 'the client's own key', which differ from None."""


ABSENT = _Absent()


class Reply(NamedTuple):
    """One judged answer. `headers` has lower-case names; `json` is the decoded body, or None, or text."""

    status: int
    headers: dict[str, str]
    json: Any


class Transport:
    """One keep-alive connection to one server."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.hostname is None:
            raise ValueError(f"no host in {base_url!r}")
        self.base_url = base_url.rstrip("/")
        self.loading_waits = 0
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=60)
        self._used_at_s = 0.0

    def exchange(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Sends one request and reads the whole answer; it may come while the body is still being sent."""
        if time.monotonic() - self._used_at_s > IDLE_REUSE_S:
            self._connection.close()
        try:
            self._connection.request(method, target, body=body, headers=dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            if not body:
                raise
        response = self._connection.getresponse()
        payload = response.read()
        answer_headers = {name.lower(): value for name, value in response.getheaders()}
        if body is not None and len(body) > 1_000_000:
            self._connection.close()  # a server may close after a large body that it did not read
        self._used_at_s = time.monotonic()
        return response.status, answer_headers, payload

    def close(self) -> None:
        self._connection.close()


class Api:
    """The API as one key and, where given, one tenant see it. Derived clients share the connection."""

    def __init__(self, transport: Transport, key: str | None, tenant_id: str | None = None) -> None:
        self.transport = transport
        self.key = key
        self.tenant_id = tenant_id

    def with_key(self, key: str | None) -> Api:
        return Api(self.transport, key)

    def in_tenant(self, tenant_id: str) -> Api:
        return Api(self.transport, self.key, tenant_id)

    def call(
        self,
        method: str,
        path: str,
        body: Any = ABSENT,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | _Absent | None = ABSENT,
        raw: bytes | None = None,
    ) -> Reply:
        """One request, judged. `body` is sent as JSON, or MessagePack if a header says so; `raw` as it is."""
        sent = {"Accept": JSON}
        used_key = self.key if isinstance(key, _Absent) else key
        if used_key is not None:
            sent["Authorization"] = f"Bearer {used_key}"
        if self.tenant_id is not None:
            sent["X-Tenant-Id"] = self.tenant_id
        payload = raw
        if raw is not None or not isinstance(body, _Absent):
            sent["Content-Type"] = JSON
        sent.update(headers or {})
        if raw is None and not isinstance(body, _Absent):
            packed = sent["Content-Type"] == MSGPACK
            payload = msgpack.packb(body) if packed else json.dumps(body, ensure_ascii=False).encode()
        target = path + query(params)
        deadline_s = time.monotonic() + LOADING_DEADLINE_S
        while True:
            status, got, content = self.transport.exchange(method, target, payload, sent)
            reply = judged(method, target, sent, status, got, content)
            if (
                status != 503
                or reply.json["error"]["code"] != "period_loading"
                or time.monotonic() > deadline_s
            ):
                return reply
            self.transport.loading_waits += 1
            time.sleep(0.05)

    def ok(self, method: str, path: str, body: Any = ABSENT, *, status: int = 200, **more: Any) -> Any:
        """The decoded body of an answer that must have `status`."""
        reply = self.call(method, path, body, **more)
        assert reply.status == status, f"{method} {path}: {reply.status} instead of {status}: {reply.json}"
        return reply.json

    def get(self, path: str, **params: Any) -> Any:
        return self.ok("GET", path, params=params)

    def fails(
        self, status: int, code: str | None, method: str, path: str, body: Any = ABSENT, **more: Any
    ) -> dict[str, Any]:
        """The `error` object of an answer that must have `status` and, unless None, `code`."""
        reply = self.call(method, path, body, **more)
        assert reply.status == status, f"{method} {path}: {reply.status} instead of {status}: {reply.json}"
        error: dict[str, Any] = reply.json["error"]
        assert code is None or error["code"] == code, f"{method} {path}: {error}"
        return error

    def refuses(
        self, statuses: set[int], method: str, path: str, body: Any = ABSENT, **more: Any
    ) -> dict[str, Any]:
        """The `error` object where the description leaves the choice among `statuses` open."""
        reply = self.call(method, path, body, **more)
        assert reply.status in statuses, f"{method} {path}: {reply.status} not in {statuses}: {reply.json}"
        error: dict[str, Any] = reply.json["error"]
        return error

    def listing(self, path: str, **params: Any) -> list[Any]:
        """All items of a listing, walked by cursor; checks its shape and that `total` counts them."""
        items: list[Any] = []
        cursor = None
        while True:
            page = self.get(path, **params, cursor=cursor)
            assert set(page) == {"items", "total", "next_cursor"}, page
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                assert page["total"] == len(items), (page["total"], len(items))
                return items
            assert isinstance(cursor, str) and page["items"], page
            assert len(items) <= page["total"], f"a cursor runs in circles: {path}"


def query(params: Mapping[str, Any] | None) -> str:
    """`?a=1&b=true`; None values are left out."""
    pairs = [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in (params or {}).items()
        if value is not None
    ]
    return "?" + urlencode(pairs) if pairs else ""


def judged(
    method: str, target: str, sent: Mapping[str, str], status: int, headers: dict[str, str], content: bytes
) -> Reply:
    """Asserts what holds for every answer, and decodes it."""
    where = f"{method} {target} -> {status} {content[:500]!r}"
    assert status != 500, f"a 500 is a bug: {where}"
    assert headers.get("x-request-id"), f"no X-Request-Id: {where}"
    if "X-Request-Id" in sent:
        assert headers["x-request-id"] == sent["X-Request-Id"], where
    if status in (204, 304) or method == "HEAD":
        assert content == b"", where
        return Reply(status, headers, None)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    assert media_type, f"no Content-Type: {where}"
    if status < 400 and not target.startswith("/v1/"):
        return Reply(status, headers, decoded(media_type, content))
    wanted = MSGPACK if sent.get("Accept") == MSGPACK else JSON
    assert media_type == wanted, f"Content-Type {media_type} instead of {wanted}: {where}"
    reply = Reply(status, headers, decoded(media_type, content))
    if status >= 400:
        judge_error(reply, where)
    return reply


def judge_error(reply: Reply, where: str) -> None:
    """The envelope of section 1, exactly."""
    assert isinstance(reply.json, dict) and set(reply.json) == {"error"}, f"not the error envelope: {where}"
    error = reply.json["error"]
    assert set(error) == {"code", "message", "status", "details"}, f"not the error envelope: {where}"
    assert error["status"] == reply.status and type(error["status"]) is int, where
    assert isinstance(error["message"], str) and error["message"], where
    assert error["code"] in CODES_BY_STATUS.get(reply.status, set()), f"code does not fit the status: {where}"
    assert isinstance(error["details"], list), where
    for detail in error["details"]:
        assert set(detail) == {"loc", "msg"}, where
        assert isinstance(detail["loc"], list) and isinstance(detail["msg"], str), where
        assert all(type(step) in (str, int) for step in detail["loc"]), where
    if reply.status in (429, 503):
        assert int(reply.headers["retry-after"]) >= 0, where


def decoded(media_type: str, content: bytes) -> Any:
    if media_type == JSON:
        return json.loads(content, parse_constant=_no_constant)
    if media_type == MSGPACK:
        return msgpack.unpackb(content)
    return content.decode()


def _no_constant(literal: str) -> float:
    raise AssertionError(f"{literal} is not JSON")


def eventually(probe: Callable[[], T | None], what: str, *, within_s: float = 30.0) -> T:
    """The first result of `probe` that is neither None nor False; fails after `within_s` seconds."""
    deadline_s = time.monotonic() + within_s
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
        time.sleep(0.05)
