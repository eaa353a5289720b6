"""Serves the door's application with aiohttp.

`GatewayRunner` differs from aiohttp's runner in what never reaches a middleware: malformed HTTP and unknown
`Expect` headers get the error envelope too. It uses private names of aiohttp (`_make_server`, `_kwargs`).
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.http.envelope import api_error, outside_response
from lbactors.core.errors import ApiError


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
                return outside_response(api_error(request.match_info.http_exception or web.HTTPNotFound()))

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
