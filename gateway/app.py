"""The door: every request comes in here, and every answer, good or bad, goes out here.

One middleware does what all routes need, in this order: request id, preflights of browsers, time limit,
draining, route and method, parameters, key and scopes, the endpoint, errors to the envelope, metrics, log. It
runs on every request, so it does little: about 10 µs.

The time limit is one for all that a request waits for inside the server, whatever its parts allow themselves.
At its end the endpoint is cancelled where it waits; what it asked others to do may be done all the same.

`build_app` makes the application; `server.runner` serves it. `drain` turns new requests away (503,
`Connection: close`) and waits for the open ones; the runner's cleanup then closes the connections.

Where aiohttp would decide, and how it is decided here: bodies are not inflated by aiohttp (see `codec.py`);
a path parameter may hold any character, encoded slashes and braces included; HEAD is GET without the body.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.api import table
from gateway.api.operations.reference import REFERENCE, Reference
from gateway.http import codec, openapi
from gateway.http.call import Call, Gateway
from gateway.http.cors import Cors
from gateway.http.envelope import CLIENT_GONE, ClientGone, api_error, error_response, request_id_of
from gateway.http.metrics import CONTENT_TYPE
from gateway.http.openapi import Route
from gateway.http.parameters import check_target, read_query
from gateway.http.settings import GatewaySettings
from lbactors.core.errors import ApiError, invalid
from lbactors.plugins import Plugins

if TYPE_CHECKING:
    from lbactors.service.service import Service

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
ROUTES: web.AppKey[tuple[Route, ...]] = web.AppKey("routes", tuple)

SLOW_S = 1.0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def build_app(service: Service, settings: GatewaySettings, plugins: Plugins | None = None) -> web.Application:
    """The application that serves the API. Its routes are those of `api.table`, under `ROUTES`."""
    gateway = Gateway(service, settings, plugins)
    routes = table.routes(settings)
    cors = Cors(settings.cors_origins, routes) if settings.cors_origins else None
    app = web.Application(
        middlewares=[_door(gateway, {route.endpoint: route for route in routes}, cors)],
        client_max_size=settings.body_limit_bytes,
        handler_args={"auto_decompress": False},
    )
    app[GATEWAY] = gateway
    app.on_cleanup.append(_close)
    if cors is not None:
        app.on_response_prepare.append(cors.granting)
    app[ROUTES] = routes
    app[REFERENCE] = Reference(openapi.document(routes, table.components(settings), table.INFO, table.TAGS))
    for route in routes:
        # aiohttp's own pattern for a path parameter would exclude braces.
        path = route.path.replace("}", ":[^/]+}")
        endpoint: Any = route.endpoint  # called by the door with a Call, never by aiohttp
        app.router.add_route(route.method, path, endpoint, expect_handler=_expect)
        if route.method == "GET":
            app.router.add_route("HEAD", path, endpoint, expect_handler=_expect)
    return app


async def _close(app: web.Application) -> None:
    validation = app[GATEWAY].validation
    if validation is not None:
        validation.close()


async def _expect(request: web.Request) -> None:
    """Grants `Expect: 100-continue`; passes over expectations that are not known (RFC 9110, 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        with contextlib.suppress(OSError):  # the client has gone, as is found when its body is read
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def _door(gateway: Gateway, by_endpoint: dict[Any, Route], cors: Cors | None) -> Any:
    """The middleware."""
    metrics, log = gateway.metrics, gateway.log
    authenticate = gateway.access.caller
    debug = gateway.settings.log_level == "debug"
    request_s = gateway.settings.request_seconds

    async def timely(
        request: web.Request, handler: Handler, route: Route | None, call_id: str
    ) -> web.StreamResponse:
        limit_s = request_s if route is None or route.within_s is None else route.within_s
        within = asyncio.timeout(limit_s)
        try:
            async with within:
                return await answer(request, handler, route, call_id, within)
        except TimeoutError:
            if not within.expired():
                raise  # nobody's but a bug's
            if request.method in ("GET", "HEAD"):
                raise ApiError("period_loading", f"no answer within {limit_s:g} s") from None
            message = f"no answer within {limit_s:g} s; the outcome is unknown"
            raise ApiError("storage_unavailable", message) from None

    async def answer(
        request: web.Request,
        handler: Handler,
        route: Route | None,
        call_id: str,
        within: asyncio.Timeout,
    ) -> web.StreamResponse:
        if gateway.draining and not (route is not None and route.always):
            raise ApiError("period_loading", "the server is shutting down; nothing was taken")
        raw_target = request.raw_path
        if "%" in raw_target:
            check_target(raw_target)
        if not raw_target.isascii():
            raise ApiError("malformed_body", "the URL must be ASCII; percent-encode everything else")
        if route is None:
            return await handler(request)
        path = request.match_info
        values: Any = path
        if route.path_parameters:
            values = {}
            for parameter in route.path_parameters:
                try:
                    values[parameter.name] = parameter.parse(path[parameter.name])
                except ValueError as error:
                    raise invalid(str(error), "path", parameter.name) from None
        headers = request.headers
        caller = await authenticate(headers, route.scopes) if route.scopes else None
        if caller is not None and caller.player_id is not None:
            caller.check_bound(route.scopes, route.own_player, route.private, values)
        query = read_query(request.rel_url.raw_query_string, route.query, route.defaults)
        packed = codec.wants_msgpack(headers.get("Accept"))
        return await route.endpoint(Call(gateway, request, call_id, packed, values, query, caller, within))

    @web.middleware
    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        route = by_endpoint.get(handler)
        is_preflight = cors is not None and cors.is_preflight(request)
        call_id = request_id_of(request.headers.get("X-Request-Id"))
        gateway.entered()
        error: ApiError | None = None
        response: web.StreamResponse
        try:
            try:
                if cors is not None and is_preflight:
                    response = cors.preflight()
                else:
                    response = await timely(request, handler, route, call_id)
            except ClientGone:
                response = web.Response(status=CLIENT_GONE)
            except Exception as raised:
                error = api_error(raised)
                response = error_response(error, codec.wants_msgpack(request.headers.get("Accept")))
                if isinstance(raised, web.HTTPMethodNotAllowed):
                    response.headers["Allow"] = raised.headers["Allow"]
                if error.code == "internal_error":
                    log.error("crash", request_id=call_id, target=request.raw_path, exc_info=raised)
            response.headers["X-Request-Id"] = call_id
            response.headers["Server"] = "lbactors"
            if gateway.draining:
                response.force_close()
        finally:
            gateway.left()
        seconds = time.perf_counter() - began
        template = route.path if route is not None else "preflight" if is_preflight else "unmatched"
        method = request.method if request.method in _METHODS else "other"
        metrics.request(method, template, response.status, seconds)
        broken = response.status >= 500 and gateway.worth_logging(response.status)
        if broken or seconds > SLOW_S or debug or (route is not None and route.logged):
            _log_request(gateway, request, response, route, call_id, seconds, error)
        return response

    return door


def _log_request(
    gateway: Gateway,
    request: web.Request,
    response: web.StreamResponse,
    route: Route | None,
    call_id: str,
    seconds: float,
    error: ApiError | None,
) -> None:
    fields: dict[str, Any] = {
        "method": request.method,
        "target": request.raw_path,
        "status": response.status,
        "ms": round(seconds * 1000, 1),
        "request_id": call_id,
    }
    if error is not None:
        fields["code"], fields["why"] = error.code, error.message
    if response.status >= 500:
        gateway.log.error("failed", **fields)
    elif seconds > SLOW_S:
        gateway.log.warning("slow", **fields)
    elif route is not None and route.logged:
        gateway.log.info("administration", **fields)
    else:
        gateway.log.debug("request", **fields)


# Serving --------------------------------------------------------------------------------------------------


async def drain(app: web.Application) -> bool:
    """Refuses new requests and waits for the open ones, at most `drain_seconds`. Whether all have ended."""
    gateway = app[GATEWAY]
    try:
        async with asyncio.timeout(gateway.settings.drain_seconds):
            await gateway.drained()
    except TimeoutError:
        return False
    return True


def metrics_app(app: web.Application) -> web.Application:
    """A small application for a port of its own: `/metrics` of the given gateway, and nothing else."""
    gateway = app[GATEWAY]

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=await gateway.exposition.get(), headers={"Content-Type": CONTENT_TYPE})

    small = web.Application()
    small.router.add_get("/metrics", metrics)
    return small
