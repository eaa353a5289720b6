"""The door: request ids, the error envelope for everything, draining, logs."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.app import GATEWAY, build_app, drain, metrics_app
from gateway.http.settings import GatewaySettings
from lbactors.core.errors import ApiError
from tests.support.gateway.fake_service import ROOT_KEY, FakeService
from tests.support.gateway.http_client import MSGPACK, Http

PAGE = "/v1/leaderboards/xp/rankings"
SCORES = "/v1/leaderboards/xp/scores"


async def test_request_id_is_returned_on_success_and_failure(http: Http) -> None:
    for path in ("/healthz", "/nowhere"):
        assert (await http.get(path, {"X-Request-Id": "abc"})).headers["X-Request-Id"] == "abc"


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/v1",
        "/v1/",
        "/v2/leaderboards",
        "/v1/leaderboards/",
        "/v1/metrics/kills/players",
    ],
)
async def test_unknown_routes(http: Http, path: str) -> None:
    answer = await http.with_key(None).get(path)
    assert (answer.status, answer.code) == (404, "route_not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_wrong_methods(http: Http, method: str) -> None:
    answer = await http.send(method, PAGE)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) == {"GET", "HEAD"}


async def test_head_is_get_without_a_body(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    head, page = await http.send("HEAD", PAGE), await http.get(PAGE)
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["Content-Length"] == page.headers["Content-Length"]
    assert (await http.send("HEAD", "/v1/leaderboards/none/rankings")).status == 404


async def test_oversize_bodies(http: Http, service: FakeService, settings: GatewaySettings) -> None:
    service.add_board("xp")
    limit = settings.body_limit_bytes
    assert (await http.post(SCORES, b"[" + b" " * (limit - 2) + b"]")).status == 200
    for body in (b"[" + b" " * (limit - 1) + b"]", gzip.compress(b"[" + b" " * limit + b"]")):
        headers = {"Content-Encoding": "gzip"} if len(body) < 1000 else {}
        answer = await http.post(SCORES, body, headers)
        assert (answer.status, answer.code) == (413, "body_too_large")


async def test_oversize_chunked_body(http: Http, service: FakeService) -> None:
    service.add_board("xp")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b" " * 10_000

    async with http.client.post(
        SCORES, data=chunks(), headers={"X-API-Key": ROOT_KEY, "Content-Type": "application/json"}
    ) as response:
        assert response.status == 413
        assert (await response.json())["error"]["code"] == "body_too_large"


async def test_gzip_bodies(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    body = gzip.compress(json.dumps({"player_id": "p1", "score": 5}).encode())
    assert (await http.post(SCORES, body, {"Content-Encoding": "gzip"})).body["score"] == 5
    assert (await http.post(SCORES, body, {"Content-Encoding": "br"})).code == "unsupported_media_type"


async def test_media_types(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    answer = await http.post(SCORES, b"player_id=p1", {"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


async def test_errors_are_msgpack_where_asked_for(http: Http) -> None:
    for path in ("/nowhere", PAGE):
        answer = await http.get(path, {"Accept": MSGPACK})
        assert (answer.status, answer.media_type) == (404, MSGPACK)


@pytest.mark.parametrize("path", ["/v1/leaderboards/%ff", "/v1/leaderboards/%zz", "/healthz?a=%", "/%C3%28"])
async def test_bad_percent_encoding(http: Http, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status, answer.code) == (400, "malformed_body")


@pytest.mark.parametrize(
    ("encoded", "player_id"),
    [("a%2Fb", "a/b"), ("%25", "%"), ("%252F", "%2F"), ("{x}", "{x}"), ("%7Bx%7D", "{x}"), ("a+b", "a+b"),
     ("%F0%9F%98%80", "😀"), ("a%20b", "a b"), ("a:b@c", "a:b@c"), ("%3F%23", "?#"), ("..%2F..", "../..")],
)  # fmt: skip
async def test_path_parameters_hold_anything(
    http: Http, service: FakeService, encoded: str, player_id: str
) -> None:
    service.add_scores(service.add_board("xp"), {player_id: 1})
    answer = await http.get(f"/v1/leaderboards/xp/players/{encoded}")
    assert (answer.status, answer.body.get("player_id")) == (200, player_id)
    assert (await http.get(f"/v1/leaderboards/xp/players/{encoded}/around")).status == 200


@pytest.mark.parametrize("encoded", ["%00", "%0A", "a" * 129, "%C2%85"])
async def test_bad_player_ids_in_paths(http: Http, encoded: str) -> None:
    answer = await http.get(f"/v1/leaderboards/xp/players/{encoded}")
    assert (answer.status, answer.loc) == (422, ["path", "player_id"])


async def test_crash_is_an_envelope_and_is_logged(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    service.fail = ZeroDivisionError("secret detail")
    with capture_logs() as logged:
        answer = await http.get(PAGE)
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"secret" not in answer.raw
    crash = next(event for event in logged if event["event"] == "crash")
    assert crash["exc_info"] is service.fail and crash["request_id"] == answer.headers["X-Request-Id"]


async def test_what_is_logged(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    with capture_logs() as logged:
        await http.get(PAGE)
        await http.get("/nowhere")
        assert logged == []
        await http.send("DELETE", "/v1/leaderboards/xp")
        service.fail = ApiError("period_loading", "wait")
        await http.get(PAGE)
    assert [(event["event"], event["log_level"]) for event in logged] == [
        ("administration", "info"),
        ("failed", "error"),
    ]


async def test_retry_after(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    for code, status in (("period_loading", 503), ("overloaded", 429)):
        service.fail = ApiError(code, "later", retry_after_s=7)
        answer = await http.get(PAGE)
        assert (answer.status, answer.headers["Retry-After"]) == (status, "7")


async def test_unknown_query_parameters(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    answer = await http.get(PAGE, page=2)
    assert (answer.status, answer.loc) == (422, ["query", "page"])
    assert (await http.get("/healthz", x=1)).loc == ["query", "x"]


async def test_draining(app: web.Application, http: Http, service: FakeService) -> None:
    service.add_board("xp")
    arrived, leave = asyncio.Event(), asyncio.Event()
    page = service.page

    async def slow(*args: Any) -> Any:
        arrived.set()
        await leave.wait()
        return await page(*args)

    service.page = slow  # type: ignore[method-assign]
    open_request = asyncio.create_task(http.get(PAGE))
    await arrived.wait()
    draining = asyncio.create_task(drain(app))
    await asyncio.sleep(0)  # one turn, in which the task begins
    assert app[GATEWAY].draining
    refused = await http.post(SCORES, {"player_id": "p1", "score": 1})
    assert (refused.status, refused.headers["Connection"]) == (503, "close")
    assert refused.headers["Retry-After"]
    assert (await http.get("/healthz")).status == 200
    assert (await http.get("/readyz")).status == 503
    assert not draining.done()
    leave.set()
    answer = await open_request
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert await draining is True
    assert service.submitted == []


async def test_drain_gives_up(service: FakeService) -> None:
    app = build_app(service, GatewaySettings(drain_seconds=0.01))  # type: ignore[arg-type]
    app[GATEWAY].entered()
    assert await drain(app) is False


@pytest.fixture
async def hasty(service: FakeService) -> AsyncIterator[Http]:
    """A gateway that gives its requests no time to wait."""
    from aiohttp.test_utils import TestClient, TestServer

    app = build_app(service, GatewaySettings(request_seconds=0.02))  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:
        yield Http(client)


async def never(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


async def test_no_request_waits_longer_than_it_may(
    hasty: Http, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.add_board("xp")
    for method in ("page", "submit", "admin"):
        monkeypatch.setattr(service, method, never)
    page = await hasty.get(PAGE)
    assert (page.status, page.code) == (503, "period_loading")
    for request in (
        hasty.post(SCORES, {"player_id": "p1", "score": 1}),
        hasty.post(SCORES, {"submissions": [{"player_id": "p1", "score": 1}]}),
        hasty.post("/v1/leaderboards", {"leaderboard_id": "new"}),
    ):
        answer = await request
        assert (answer.status, answer.code) == (503, "storage_unavailable"), "the outcome is unknown"
        assert answer.headers["Retry-After"]
    assert (await hasty.get("/healthz")).status == 200, "and the connection goes on"


async def test_its_time_does_not_go_by_while_the_client_sends(hasty: Http, service: FakeService) -> None:
    service.add_board("xp")
    sent = json.dumps({"player_id": "p1", "score": 1}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for byte in sent:
            yield bytes((byte,))
            await asyncio.sleep(0.002)

    headers = {"X-API-Key": ROOT_KEY, "Content-Type": "application/json"}
    async with hasty.client.post(SCORES, data=chunks(), headers=headers) as response:
        assert response.status == 200


async def test_an_erasure_has_more_time(
    hasty: Http, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = service.admin

    async def slow(*arguments: Any) -> Any:
        await asyncio.sleep(0.05)
        return await plain(*arguments)

    monkeypatch.setattr(service, "admin", slow)
    assert (await hasty.send("DELETE", "/v1/players/p1")).status in (200, 404)


async def test_metrics_on_a_port_of_their_own(service: FakeService) -> None:
    from aiohttp.test_utils import TestClient, TestServer

    app = build_app(service, GatewaySettings(serve_metrics=False))  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as main, TestClient(TestServer(metrics_app(app))) as small:
        assert (await Http(main).get("/metrics")).status == 404
        assert b"lbactors_http_requests_total" in await (await small.get("/metrics")).read()
