"""Requests across origins: off by default, preflights, and what scripts may read of every kind of answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.table import components, routes
from gateway.app import GATEWAY, ROUTES, build_app
from gateway.http import openapi
from gateway.http.cors import EXPOSED_HEADERS
from gateway.http.settings import GatewaySettings
from tests.support.gateway.fake_service import ROOT_KEY, FakeService
from tests.support.gateway.http_client import Answer, Http

GAME, OTHER = "https://game.example", "https://other.example"
LISTED = f"{GAME},http://localhost:8000"
PAGE = "/v1/leaderboards/xp/rankings"
SCORES = "/v1/leaderboards/xp/scores"

Opened = Callable[[str], AbstractAsyncContextManager[Http]]


@pytest.fixture
def opened(service: FakeService) -> Opened:
    @asynccontextmanager
    async def opened(origins: str) -> AsyncIterator[Http]:
        service.add_scores(service.add_board("xp"), {"p1": 1})
        app = build_app(service, GatewaySettings(cors_origins=origins))  # type: ignore[arg-type]

        async def stream(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Request-Id": "s"})
            await answer.prepare(request)
            await answer.write(b"data: 1\n\n")
            return answer

        app.router.add_get("/stream", stream)
        async with TestClient(TestServer(app)) as client:
            yield Http(client)

    return opened


async def preflight(http: Http, origin: str, path: str = SCORES, method: str = "POST") -> Answer:
    asks = {"Origin": origin, "Access-Control-Request-Method": method}
    return await http.with_key(None).send("OPTIONS", path, None, asks)


def names(answer: Answer, header: str) -> list[str]:
    return [name for name in answer.headers.get(header, "").replace(" ", "").split(",") if name]


def grants(answer: Answer) -> str | None:
    """The origin that may read an answer. Cookies are never allowed."""
    assert "Access-Control-Allow-Credentials" not in answer.headers
    allowed = answer.headers.get("Access-Control-Allow-Origin")
    if allowed is not None:
        assert {"ETag", "Retry-After", "X-Request-Id"} <= set(names(answer, "Access-Control-Expose-Headers"))
        assert {f"X-RateLimit-{what}" for what in ("Limit", "Remaining", "Reset")} <= set(
            names(answer, "Access-Control-Expose-Headers")
        )
    return allowed


async def test_it_is_off_by_default(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    page = await http.get(PAGE, {"Origin": GAME})
    assert page.status == 200 and grants(page) is None and names(page, "Vary") == ["Accept"]
    asked = await preflight(http, GAME)
    assert (asked.status, grants(asked), names(asked, "Vary")) == (405, None, [])


@pytest.mark.parametrize(("origins", "allowed"), [(LISTED, GAME), ("*", "*")])
async def test_preflights(opened: Opened, origins: str, allowed: str) -> None:
    async with opened(origins) as http:
        for path, method in ((SCORES, "POST"), ("/v1/players/p1", "PUT"), (PAGE, "GET"), ("/nowhere", "PUT")):
            asked = await preflight(http, GAME, path, method)
            assert (asked.status, asked.raw, grants(asked)) == (204, b"", allowed)
            assert method in names(asked, "Access-Control-Allow-Methods")
            assert int(asked.headers["Access-Control-Max-Age"]) > 0
            assert ("Origin" in names(asked, "Vary")) is (origins != "*")
        wanted = {
            "Authorization",
            "X-API-Key",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "If-None-Match",
        }
        assert wanted <= set(names(asked, "Access-Control-Allow-Headers"))


async def test_every_header_that_a_route_takes_is_allowed(opened: Opened) -> None:
    async with opened(LISTED) as http:
        allowed = names(await preflight(http, GAME), "Access-Control-Allow-Headers")
    taken = {p.name for route in routes(GatewaySettings()) for p in route.parameters if p.where == "header"}
    assert taken <= set(allowed)


def test_every_header_that_is_described_is_exposed(service: FakeService) -> None:
    app = build_app(service, GatewaySettings())  # type: ignore[arg-type]
    document = openapi.document(app[ROUTES], components(GatewaySettings()), {}, {})
    described = document["components"]["headers"]
    assert set(described) <= set(EXPOSED_HEADERS)


async def test_other_origins_get_nothing(opened: Opened) -> None:
    async with opened(LISTED) as http:
        for origin in (
            OTHER,
            "null",
            "https://game.example.evil.example",
            "http://game.example",
            GAME + ":8443",
        ):
            asked = await preflight(http, origin)
            page = await http.get(PAGE, {"Origin": origin})
            assert (asked.status, grants(asked), names(asked, "Vary")) == (405, None, ["Origin"])
            assert (page.status, grants(page), names(page, "Vary")) == (200, None, ["Accept", "Origin"])
        plain = await http.get(PAGE)
        assert grants(plain) is None and "Origin" in names(plain, "Vary"), (
            "a cache must not keep it for a game"
        )
        asked = await http.send("OPTIONS", PAGE, None, {"Origin": GAME})
        assert (asked.status, grants(asked)) == (405, GAME), "no preflight"


@pytest.mark.parametrize(("origins", "allowed"), [(LISTED, GAME), ("*", "*")])
async def test_scripts_read_every_answer(
    opened: Opened, service: FakeService, origins: str, allowed: str
) -> None:
    async with opened(origins) as http:
        from_game = {"Origin": GAME}

        async def check(status: int, method: str, path: str, body: object = None, **headers: str) -> Answer:
            answer = await http.send(method, path, body, {**from_game, **headers})
            assert (answer.status, grants(answer)) == (status, allowed), answer.raw
            assert ("Origin" in names(answer, "Vary")) is (origins != "*")
            return answer

        page = await check(200, "GET", PAGE)
        assert names(page, "Vary")[:1] == ["Accept"]
        await check(304, "GET", PAGE, **{"If-None-Match": page.headers["ETag"]})
        await check(200, "POST", SCORES, {"player_id": "p1", "score": 1})
        await check(200, "HEAD", PAGE)
        await check(200, "GET", "/healthz")
        await check(200, "GET", "/stream")
        await check(400, "POST", SCORES, b"{")
        await check(400, "GET", "/v1/leaderboards/%ff")
        await check(404, "GET", "/nowhere")
        await check(405, "PUT", PAGE, {})
        await check(413, "POST", SCORES, b" " * (8 * 1024 * 1024 + 1))
        await check(415, "POST", SCORES, b"x", **{"Content-Type": "text/plain"})
        await check(422, "POST", SCORES, {"player_id": "p1"})
        await check(401, "GET", PAGE, Authorization="Bearer lb_wrong")
        service.fail = ZeroDivisionError("a bug")
        await check(500, "GET", PAGE)
        app = http.client.app
        assert app is not None
        app[GATEWAY].draining = True
        answer = await check(503, "GET", PAGE)
        assert answer.headers["Retry-After"]
        assert (await preflight(http, GAME)).status == 204, "else the script never sees that 503"


async def test_the_description_is_for_everybody(opened: Opened) -> None:
    async with opened(LISTED) as http:
        answer = await http.get("/openapi.json", {"Origin": OTHER})
        assert answer.headers.getall("Access-Control-Allow-Origin") == ["*"]


async def test_preflights_are_counted_as_such(opened: Opened) -> None:
    async with opened(LISTED) as http:
        await preflight(http, GAME, "/v1/leaderboards/secret-board/scores")
        text = (await http.get("/metrics", {"X-API-Key": ROOT_KEY})).raw.decode()
        assert 'method="OPTIONS",route="preflight",status="204"} 1.0' in text and "secret-board" not in text
