"""The API's description and the page for people, rendered once for each application (`REFERENCE`)."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any

from aiohttp import web

from gateway.http.call import Call, render


class Reference:
    """`/openapi.json` and `/docs`. document: the OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document, self._etag = render(document, packed=False)
        page = (files("gateway") / "static" / "reference.html").read_text(encoding="utf-8")
        self._page = page.encode()
        sources = " ".join(
            f"{kind}-src {' '.join(_hashes(page, tag))};"
            for kind, tag in (("script", "script"), ("style", "style"))
        )
        self._policy = (
            f"default-src 'none'; {sources} connect-src 'self'; img-src data:; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )

    def description(self, call: Call) -> web.Response:
        """The OpenAPI document, or 304."""
        headers = {"ETag": self._etag, "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
        if call.not_modified(self._etag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=self._document, headers={**headers, "Content-Type": "application/json"})

    def page(self) -> web.Response:
        """The page, under a policy that lets it load nothing from elsewhere."""
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


REFERENCE: web.AppKey[Reference] = web.AppKey("reference", Reference)
