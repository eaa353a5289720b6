"""Fixtures: a fake service, the application over it, and a client with the root key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import build_app
from gateway.http.settings import GatewaySettings
from tests.support.gateway.fake_service import FakeService
from tests.support.gateway.http_client import Http


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(body_limit_bytes=100_000, batch_items=50, lookup_players=5, metadata_bytes=64)


@pytest.fixture
def app(service: FakeService, settings: GatewaySettings) -> web.Application:
    return build_app(service, settings)  # type: ignore[arg-type]


@pytest.fixture
async def http(app: web.Application) -> AsyncIterator[Http]:
    async with TestClient(TestServer(app)) as client:
        yield Http(client)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield
