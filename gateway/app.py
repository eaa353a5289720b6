"""The door: every request comes in here, and every answer, good or bad, goes out here.

One middleware does what all routes need, in this order: request id, draining, route and method, parameters,
key and scopes, the endpoint, errors to the envelope, metrics, log. It runs on every request, so it does
little: about 10 µs.

`build_app` makes the application; `GatewayRunner` serves it, and differs from aiohttp's runner in what
never reaches a middleware: malformed HTTP and unknown `Expect` headers get the error envelope too. `drain`
turns new requests away (503, `Connection: close`) and waits for the open ones; the runner's cleanup then
closes the connections.

Where aiohttp would decide, and how it is decided here: bodies are not inflated by aiohttp (see `codec.py`);
a path parameter may hold any character, encoded slashes and braces included; HEAD is GET without the body.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from pydantic import ValidationError

from gateway import codec, openapi
from gateway.call import Call, Gateway
from gateway.metrics import CONTENT_TYPE
from gateway.openapi import Route
from gateway.operations import Reference
from gateway.parameters import check_target, read_query
from gateway.schemas import components
from gateway.settings import GatewaySettings
from gateway.table import INFO, TAGS, routes
from lbactors.core.errors import ApiError, invalid, invalid_from
from lbactors.plugins import Plugins

if TYPE_CHECKING:
    from lbactors.service.service import Service

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
ROUTES: web.AppKey[tuple[Route, ...]] = web.AppKey("routes", tuple)

SLOW_S = 1.0
_LONGEST_REQUEST_ID = 128
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def build_app(service: Service, settings: GatewaySettings, plugins: Plugins | None = None) -> web.Application:
    """The application that serves the API. Its routes are those of `table.routes`, under `ROUTES`."""
    gateway = Gateway(service, settings, plugins)
    reference = Reference()
    table = routes(settings, reference)
    reference.describe(openapi.document(table, components(settings), INFO, TAGS))
    app = web.Application(
        middlewares=[_door(gateway, {route.endpoint: route for route in table})],
        client_max_size=settings.body_limit_bytes,
        handler_args={"auto_decompress": False},
    )
    app[GATEWAY] = gateway
    app.on_cleanup.append(_close)
    app[ROUTES] = table
    for route in table:
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
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def _request_ids() -> Callable[[], str]:
    """Ids that no two gateway processes share: a random prefix and a counter."""
    prefix, numbers = secrets.token_hex(6), count(1)
    return lambda: f"{prefix}-{next(numbers):x}"


_made_id = _request_ids()


def request_id_of(given: str | None) -> str:
    """The id that a request brings, if it is 1 to 128 visible ASCII characters; else a new one."""
    if (
        given is not None
        and 0 < len(given) <= _LONGEST_REQUEST_ID
        and given.isascii()
        and given.isprintable()
        and " " not in given
    ):
        return given
    return _made_id()


def _door(gateway: Gateway, by_endpoint: dict[Any, Route]) -> Any:
    """The middleware."""
    metrics, log = gateway.metrics, gateway.log
    authenticate = gateway.access.caller
    debug = gateway.settings.log_level == "debug"

    async def answer(
        request: web.Request, handler: Handler, route: Route | None, call_id: str
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
        query = read_query(request.rel_url.raw_query_string, route.query, route.defaults)
        packed = codec.wants_msgpack(headers.get("Accept"))
        return await route.endpoint(Call(gateway, request, call_id, packed, values, query, caller))

    @web.middleware
    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        route = by_endpoint.get(handler)
        call_id = request_id_of(request.headers.get("X-Request-Id"))
        gateway.entered()
        error: ApiError | None = None
        try:
            try:
                response = await answer(request, handler, route, call_id)
            except Exception as raised:
                error = _api_error(raised)
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
        template = route.path if route is not None else "unmatched"
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


# Errors ---------------------------------------------------------------------------------------------------


def _api_error(raised: Exception) -> ApiError:
    """Any exception as an error of the API."""
    if isinstance(raised, ApiError):
        return raised
    if isinstance(raised, web.HTTPNotFound):
        return ApiError("route_not_found", "there is no such route; see /openapi.json")
    if isinstance(raised, web.HTTPMethodNotAllowed):
        return ApiError("method_not_allowed", f"this route does not take {raised.method[:32]!r}")
    if isinstance(raised, web.HTTPRequestEntityTooLarge):
        return ApiError("body_too_large", "the body is too large")
    if isinstance(raised, HttpProcessingError | web.RequestPayloadError | web.HTTPException):
        return ApiError("malformed_body", "the request is not well-formed HTTP")
    if isinstance(raised, ValidationError):
        return invalid_from(raised)
    return ApiError("internal_error", "internal error; the log has it under this request's id")


def error_response(error: ApiError, packed: bool) -> web.Response:
    """The envelope of API section 1, with the headers that belong to the status."""
    document = {
        "error": {
            "code": error.code,
            "message": error.message,
            "status": error.status,
            "details": error.details,
        }
    }
    headers = {"Content-Type": codec.MSGPACK if packed else codec.JSON}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="lbactors"'
    return web.Response(body=codec.encode(document, packed), status=error.status, headers=headers)


def outside_response(error: ApiError) -> web.Response:
    """The answer to what never reached the door; it ends the connection."""
    response = error_response(error, packed=False)
    response.headers["X-Request-Id"] = _made_id()
    response.headers["Server"] = "lbactors"
    response.force_close()
    return response


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
        return web.Response(body=gateway.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    small = web.Application()
    small.router.add_get("/metrics", metrics)
    return small


class GatewayRunner(web.AppRunner):
    """Serves an application of `build_app`, with the envelope also for what aiohttp answers by itself."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        super().__init__(app, access_log=None, **options)

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        handle: Any = plain.request_handler

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                answered: web.StreamResponse = await handle(request)
                return answered
            except web.HTTPExpectationFailed:
                # Only where there is no route: those of the table pass unknown expectations over.
                return outside_response(_api_error(request.match_info.http_exception or web.HTTPNotFound()))

        return _Server(
            cast(Any, guarded),
            request_factory=plain.request_factory,
            handler_cancellation=plain.handler_cancellation,
            loop=asyncio.get_running_loop(),
            **plain._kwargs,
        )


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    """One connection. aiohttp asks `handle_error` for the answer where no handler could give one."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        if status >= 500:
            self.log_exception("Error handling request", exc_info=exc)
            error = ApiError("internal_error", "internal error")
        else:
            error = ApiError("malformed_body", "the request is not well-formed HTTP")
        return outside_response(error)
