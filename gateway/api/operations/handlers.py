"""Operations (API section 7): liveness, readiness, metrics, the API's own description and its reference page.

All but `/v1/status` need no key, so what anybody may ask for costs the same however many ask: readiness and
metrics are made once a second, the rest once. They go on while the server drains; only `/readyz` then turns
away the traffic of load balancers. Its 503 is the error envelope, with what is not ready in the details.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.api.operations.reference import REFERENCE
from gateway.http.call import Call
from gateway.http.metrics import CONTENT_TYPE
from lbactors.core.errors import ApiError, detail


async def healthz(call: Call) -> web.Response:
    """`GET /healthz`: this process answers."""
    return call.answer({"status": "ok"})


async def readyz(call: Call) -> web.Response:
    """`GET /readyz`: actors and storage answer, every period that should be served is."""
    if call.gateway.draining:
        raise ApiError("period_loading", "not ready: the server is shutting down")
    state: dict[str, Any] = await call.gateway.readiness.get()
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
    return web.Response(body=await call.gateway.exposition.get(), headers={"Content-Type": CONTENT_TYPE})


async def openapi(call: Call) -> web.Response:
    """`GET /openapi.json`: JSON whatever `Accept` says."""
    return call.request.app[REFERENCE].description(call)


async def home(call: Call) -> web.Response:
    """`GET /`: people who open the server's address in a browser want the page."""
    return web.Response(
        text='<a href="/docs">API reference</a>\n',
        status=302,
        headers={"Location": "/docs", "Cache-Control": "no-cache"},
        content_type="text/html",
    )


async def docs(call: Call) -> web.Response:
    """`GET /docs`: one page that loads nothing from elsewhere."""
    return call.request.app[REFERENCE].page()


async def status(call: Call) -> web.Response:
    """`GET /v1/status`."""
    return call.answer(await call.service.status())
