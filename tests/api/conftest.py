"""Black-box tests of the native HTTP API: one server for the session, a client with the root key, boards.

They are written from the API description alone and talk to one real server process over HTTP; nothing here
imports the server's code. In `tests.support.api`, `client` judges every answer, `boards` speaks for one
leaderboard, `model` is the naive oracle of rankings. The server is a process of our own, or the one that
LBACTORS_TEST_URL and LBACTORS_TEST_KEY name. Nothing is cleaned up between tests: every test makes boards
(and tenants) with ids of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, at_noon, unique
from tests.support.api.client import Api, Transport
from tests.support.api.server_process import ServerProcess

_transports: list[Transport] = []


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(base URL, root key) of the server under test."""
    url, key = os.environ.get("LBACTORS_TEST_URL"), os.environ.get("LBACTORS_TEST_KEY")
    if url and key:
        yield url, key
        return
    process = ServerProcess(tmp_path_factory.mktemp("server"))
    process.start()
    yield process.base_url, process.key
    process.stop()


@pytest.fixture(scope="session")
def api(server: tuple[str, str]) -> Iterator[Api]:
    """The API as the root key sees it, in tenant `default`."""
    base_url, key = server
    transport = Transport(base_url)
    _transports.append(transport)
    yield Api(transport, key)
    transport.close()


@pytest.fixture(scope="session")
def make_board(api: Api) -> MakeBoard:
    default_api = api

    def make(api: Api | None = None, **definition: Any) -> Board:
        definition = at_noon(definition)
        board = Board(api or default_api, definition.setdefault("leaderboard_id", unique("b")))
        board.api.ok("POST", "/v1/leaderboards", definition, status=201)
        return board

    return make


@pytest.fixture(scope="session")
def make_tenant(api: Api) -> Callable[[], str]:
    def make() -> str:
        tenant_id = unique("t")
        api.ok("POST", "/v1/tenants", {"tenant_id": tenant_id, "name": tenant_id}, status=201)
        return tenant_id

    return make


@pytest.fixture(scope="session")
def make_key(api: Api) -> Callable[..., dict[str, Any]]:
    """Creates a key with these scopes and gives the answer of POST /v1/keys, whose fields `fields` are."""

    def make(*scopes: str, **fields: Any) -> dict[str, Any]:
        body = {"name": unique("k"), "scopes": list(scopes), **fields}
        answer: dict[str, Any] = api.ok("POST", "/v1/keys", body, status=201)
        return answer

    return make


@pytest.fixture(autouse=True)
def _loading_waits(request: pytest.FixtureRequest, note: Callable[[str], None]) -> Iterator[None]:
    """Shows where a server was asked again because it said 503 period_loading."""
    before = sum(transport.loading_waits for transport in _transports)
    yield
    waits = sum(transport.loading_waits for transport in _transports) - before
    if waits:
        note(f"{request.node.name}: {waits} answers 503 period_loading were waited out")
