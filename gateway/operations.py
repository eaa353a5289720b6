"""Operations (API section 7): liveness, readiness, metrics, the API's own description and its reference page.

They need no key and go on while the server drains; only `/readyz` then turns away the traffic of load
balancers. Its 503 is the usual error envelope, with what is not ready in the details.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.call import Call, render
from gateway.metrics import CONTENT_TYPE
from lbactors.core.errors import ApiError, detail

_STATIC = Path(__file__).parent / "static"


async def healthz(call: Call) -> web.Response:
    """`GET /healthz`: this process answers."""
    return call.answer({"status": "ok"})


async def readyz(call: Call) -> web.Response:
    """`GET /readyz`: actors and storage answer, every period that should be served is."""
    if call.gateway.draining:
        raise ApiError("period_loading", "not ready: the server is shutting down")
    state: dict[str, Any] = await call.service.ready()
    if state.get("ready"):
        return call.answer(state)
    code = "period_loading" if state.get("storage", "ok") == "ok" else "storage_unavailable"
    details = [detail(_words(found), name) for name, found in state.items() if name != "ready"]
    raise ApiError(code, "not ready", details)


def _words(found: Any) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{name} {_words(value)}" for name, value in found.items())
    if isinstance(found, list):
        return f"{len(found)}: " + ", ".join(_words(value) for value in found[:20])
    return str(found)


async def metrics(call: Call) -> web.Response:
    """`GET /metrics`."""
    return web.Response(body=call.gateway.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})


class Reference:
    """`/openapi.json` and `/docs`, rendered once."""

    def __init__(self) -> None:
        self._body, self._etag = b"", ""
        page = (_STATIC / "reference.html").read_text(encoding="utf-8")
        self._page = page.encode()
        sources = " ".join(
            f"{kind}-src {' '.join(_hashes(page, tag))};"
            for kind, tag in (("script", "script"), ("style", "style"))
        )
        self._policy = (
            f"default-src 'none'; {sources} connect-src 'self'; img-src data:; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )

    def describe(self, document: dict[str, Any]) -> None:
        """Sets the OpenAPI document; called once, when all routes are known."""
        self._body, self._etag = render(document, packed=False)

    async def openapi(self, call: Call) -> web.Response:
        """`GET /openapi.json`: JSON whatever `Accept` says."""
        headers = {"ETag": self._etag, "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
        if call.not_modified(self._etag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=self._body, headers={**headers, "Content-Type": "application/json"})

    async def docs(self, call: Call) -> web.Response:
        """`GET /docs`: one page that loads nothing from elsewhere."""
        return web.Response(
            body=self._page,
            headers={
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": self._policy,
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-cache",
            },
        )


def _hashes(page: str, tag: str) -> list[str]:
    """CSP sources that allow exactly the page's inline elements of this kind."""
    contents = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return [f"'sha256-{b64encode(sha256(c.encode()).digest()).decode()}'" for c in contents]
