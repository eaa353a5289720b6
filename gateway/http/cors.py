"""Requests of browsers across origins (CORS): whose scripts may call the API and read what it answers.

Preflights are answered before the route is looked at, for every path and method: what is wrong with the
request itself, an unknown route say, its own answer then tells in words that a script can read. `granting`
completes every answer that the application sends, whoever made it: errors, streams, 304.

A key is a header that the script sets itself. So browsers' credentials (cookies) are never allowed, and `*`
opens nothing to a page that has no key.

This is no library because aiohttp's own (aiohttp-cors 0.8.1) sets no `Vary`, without which a cache gives one
origin's answer to another, and answers for the routes that were registered with it alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from gateway.http.openapi import Route

ANY = "*"
ALLOWED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ALLOWED_HEADERS = (
    "Authorization",
    "X-API-Key",
    "X-Tenant-Id",
    "X-Request-Id",
    "Accept",
    "Content-Type",
    "Content-Encoding",
)
"""Headers that every route takes; those that a route declares as parameters come to these."""
EXPOSED_HEADERS = (
    "ETag",
    "Location",
    "Allow",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)
PREFLIGHT_S = 7200
"""How long a browser may remember a preflight: the most that Chromium does."""


class Cors:
    """origins: `ServerSettings.cors_origins`, not empty."""

    def __init__(self, origins: str, routes: Iterable[Route]) -> None:
        self._origins = frozenset(origins.split(","))
        self._any = ANY in self._origins
        declared = {p.name for route in routes for p in route.parameters if p.where == "header"}
        self._preflight = {
            "Access-Control-Allow-Methods": ", ".join(ALLOWED_METHODS),
            "Access-Control-Allow-Headers": ", ".join([*ALLOWED_HEADERS, *sorted(declared)]),
            "Access-Control-Max-Age": str(PREFLIGHT_S),
        }
        self._exposed = ", ".join(EXPOSED_HEADERS)

    def is_preflight(self, request: web.Request) -> bool:
        """Whether a browser asks if a script of an allowed origin may send a request."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return False
        return self._allowed(request) is not None

    def preflight(self) -> web.Response:
        """The answer to that, to be completed as every answer is."""
        return web.Response(status=204, headers=self._preflight)

    async def granting(self, request: web.Request, response: web.StreamResponse) -> None:
        """For `Application.on_response_prepare`."""
        headers = response.headers
        if not self._any:  # said to everybody: what a cache keeps for one origin is not for another
            known = headers.get("Vary")
            headers["Vary"] = "Origin" if known is None else f"{known}, Origin"
        allowed = self._allowed(request)
        if allowed is not None:
            headers.setdefault("Access-Control-Allow-Origin", allowed)
            headers["Access-Control-Expose-Headers"] = self._exposed

    def _allowed(self, request: web.Request) -> str | None:
        """What an answer to this request allows: `*`, its origin, or nothing."""
        if self._any:
            return ANY
        origin = request.headers.get("Origin")
        return origin if origin in self._origins else None
