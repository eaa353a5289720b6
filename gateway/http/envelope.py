"""The envelope around every answer: the request's id, and errors in their one form (API section 1)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import count

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError

from gateway.http import codec
from lbactors.core.errors import ApiError, invalid_from

_LONGEST_REQUEST_ID = 128
CLIENT_GONE = 499
"""Status under which a request is counted whose client went away in its body: nginx's. It is never sent."""


class ClientGone(Exception):
    """The client went away in the middle of its body: nobody is there to be answered, nothing is wrong."""


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


def api_error(raised: Exception) -> ApiError:
    """Any exception as an error of the API."""
    if isinstance(raised, ApiError):
        return raised
    if isinstance(raised, web.HTTPNotFound):
        return ApiError("route_not_found", "there is no such route; see /docs")
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
