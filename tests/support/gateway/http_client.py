"""A client for the gateway's tests, which holds every answer against API section 1."""

from __future__ import annotations

import json
from typing import Any

import msgpack
from aiohttp.test_utils import TestClient
from yarl import URL

from tests.support.gateway.fake_service import ROOT_KEY

JSON, MSGPACK = "application/json", "application/msgpack"


class Answer:
    """Status, headers and decoded body; every one of them is held against API section 1."""

    def __init__(self, response: Any, body: bytes) -> None:
        self.status: int = response.status
        self.headers = response.headers
        self.raw = body
        media_type = response.headers.get("Content-Type", "").partition(";")[0]
        self.media_type = media_type
        self.body: Any = body
        if media_type == JSON and body:
            self.body = json.loads(body)
        elif media_type == MSGPACK:
            self.body = msgpack.unpackb(body)
        assert self.headers["X-Request-Id"]
        if self.status >= 400 and response.method != "HEAD":
            error = self.body["error"]
            assert set(self.body) == {"error"} and set(error) == {"code", "message", "status", "details"}
            assert error["status"] == self.status and error["message"]
            assert all(set(item) == {"loc", "msg"} for item in error["details"])

    @property
    def code(self) -> str:
        code: str = self.body["error"]["code"]
        return code

    @property
    def loc(self) -> list[Any]:
        """Where the first finding is."""
        loc: list[Any] = self.body["error"]["details"][0]["loc"]
        return loc


class Http:
    """Requests with a key: `await http.get("/v1/…", limit=3)`, `await http.post("/v1/…", body)`."""

    def __init__(self, client: TestClient[Any, Any], key: str | None = ROOT_KEY) -> None:
        self.client = client
        self.key = key

    def with_key(self, key: str | None) -> Http:
        return Http(self.client, key)

    async def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any
    ) -> Answer:
        sent = {"Authorization": f"Bearer {self.key}"} if self.key is not None else {}
        sent |= headers or {}
        params = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in query.items()}
        extra: dict[str, Any] = {}
        if isinstance(body, bytes):
            extra = {"data": body}
            sent.setdefault("Content-Type", JSON)
        elif body is not None:
            extra = {"json": body}
        url = URL(path, encoded=True)
        if params:
            url = url.with_query(params)
        async with self.client.request(method, url, headers=sent, allow_redirects=False, **extra) as response:
            return Answer(response, await response.read())

    async def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> Answer:
        return await self.send("GET", path, None, headers, **query)

    async def post(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any
    ) -> Answer:
        return await self.send("POST", path, body, headers, **query)
