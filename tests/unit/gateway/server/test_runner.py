"""Malformed HTTP, and what else aiohttp answers by itself."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.app import GATEWAY
from gateway.server.runner import GatewayRunner
from tests.support.gateway.fake_service import ROOT_KEY


@pytest.fixture
async def port(app: web.Application) -> AsyncIterator[int]:
    runner = GatewayRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def exchange(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return int(head[0].split()[1]), headers, body


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nothing tells of a metric
            await asyncio.sleep(0)


def count(app: web.Application, name: str, **labels: str) -> float | None:
    """A metric of the application."""
    return app[GATEWAY].metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/scores HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_malformed_http(port: int, request_bytes: bytes) -> None:
    status, headers, body = await exchange(port, request_bytes)
    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(body)["error"]["code"] == "malformed_body"
    assert headers["x-request-id"]


async def test_bad_chunks(port: int) -> None:
    head = (
        f"POST /v1/scores HTTP/1.1\r\nHost: x\r\nX-API-Key: {ROOT_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    status, _, body = await exchange(port, head.encode() + b"zz\r\n")
    assert (status, json.loads(body)["error"]["code"]) == (400, "malformed_body")


@pytest.mark.parametrize("ending", ["close", "reset", "half-close"])
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\n[",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n",
        b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    ],
)
async def test_a_client_that_goes_away_is_no_crash(
    app: web.Application, port: int, rest: bytes, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    with capture_logs() as logged:
        writer.write(f"POST /v1/scores HTTP/1.1\r\nHost: x\r\nX-API-Key: {ROOT_KEY}\r\n".encode() + rest)
        if b"Expect" not in rest:  # there it is gone before the server can tell it to go on
            await until(lambda: count(app, "lbactors_http_requests_in_flight") == 1)
        if ending == "half-close":
            writer.write_eof()
        elif ending == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        else:
            writer.close()
        labels = {"method": "POST", "route": "/v1/scores"}
        await until(lambda: count(app, "lbactors_http_requests_total", status="499", **labels) == 1)
    assert logged == [] and not caplog.records
    assert count(app, "lbactors_http_requests_total", status="500", **labels) is None
    assert count(app, "lbactors_http_requests_in_flight") == 0
    writer.close()


async def test_expectations(port: int) -> None:
    unknown = b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n"
    assert (await exchange(port, unknown))[0] == 200
    status, _, body = await exchange(port, unknown.replace(b"/healthz", b"/nowhere"))
    assert (status, json.loads(body)["error"]["code"]) == (404, "route_not_found")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/scores HTTP/1.1\r\nHost: x\r\nX-API-Key: lb_root\r\n"
        b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"[]")
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_the_server_header_names_no_versions(port: int) -> None:
    for request in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"NONSENSE\r\n\r\n"):
        assert (await exchange(port, request))[1]["server"] == "lbactors"
