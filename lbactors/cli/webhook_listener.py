"""Receives webhooks on this machine and shows each event: what `lbactors webhooks listen` runs.

A small HTTP server in threads. It checks every request's signature, answers 204 if it fits and 401 if not,
and hands the event on; an event that comes again is handed on again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from lbactors.client import InvalidSignature, verify_webhook
from lbactors.tables import instant_text

BODY_LIMIT = 16 * 1024 * 1024  # bytes; the server's largest events stay far below
IDLE_S = 75.0  # a connection that is silent for longer is closed
NAMED = 3  # players named in a line
PATH = "/"

Event = dict[str, Any]


class Listener:
    """`with Listener(host, port, secret, take) as listener:` receives inside the block.

    port: 0 takes a free one. take: called with each event, one at a time. OSError if the port is in use.
    The secret is set when it is known: until then requests wait.
    """

    def __init__(self, host: str, port: int, take: Callable[[Event], None]) -> None:
        self.refused = 0  # requests without a valid signature
        self._secret = ""
        self._take = take
        self._taking = threading.Lock()
        self._server = ThreadingHTTPServer((host, port), self._handler())
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def start(self, secret: str) -> None:
        """Answer requests from now on, signed with this secret."""
        self._secret = secret
        threading.Thread(target=self._server.serve_forever, name="webhooks", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._secret:
            self._server.shutdown()
        self._server.server_close()

    def answer(self, headers: dict[str, str], body: bytes) -> HTTPStatus:
        """What a request gets."""
        try:
            event = verify_webhook(self._secret, headers, body)
        except InvalidSignature:
            self.refused += 1
            return HTTPStatus.UNAUTHORIZED
        with self._taking:
            self._take(event)
        return HTTPStatus.NO_CONTENT

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = IDLE_S

            def do_POST(self) -> None:
                try:
                    length = int(self.headers.get("Content-Length", ""))
                except ValueError:
                    self._end(HTTPStatus.LENGTH_REQUIRED)
                    return
                if not 0 <= length <= BODY_LIMIT:
                    self._end(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                    return
                self._end(listener.answer(dict(self.headers.items()), self.rfile.read(length)))

            def _end(self, status: HTTPStatus) -> None:
                self.send_response(status)
                if status is not HTTPStatus.NO_CONTENT:
                    self.send_header("Content-Length", "0")
                    self.close_connection = True
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing: events are shown by whoever takes them."""

        return Handler


def event_line(event: Event) -> str:
    """An event on one line: `2026-11-22 23:00:05Z  period.closed  xp  2026-W47  2 players: 1 maya 40, …`."""
    data = event["data"]
    period = data.get("period") or {}
    window = "" if period.get("window", "main") == "main" else f" ({period['window']})"
    place = f"{event.get('leaderboard_id') or ''}  {period.get('period_key', '')}{window}".strip()
    parts = [instant_text(event["created_at"]), f"{event['type']:<15}", place, _what(event["type"], data)]
    return "  ".join(part for part in parts if part.strip())


def _what(kind: str, data: Event) -> str:
    if kind == "webhook.test":
        return "it works"
    if kind == "period.closed":
        named = [f"{e['rank']} {_name(e)} {e['score']}" for e in data["standings"][:NAMED]]
        return _counted(data["total"], "player", named)
    if kind == "reward.granted":
        named = [f"{_name(p)} {'+'.join(p['tiers'])}" for p in data["players"][:NAMED]]
        return _counted(len(data["players"]), "winner", named)
    return ""


def _name(player: Event) -> str:
    return str(player.get("display_name") or player["player_id"])


def _counted(count: int, noun: str, named: list[str]) -> str:
    rest = ", …" if count > len(named) else ""
    return f"{count} {noun}{'' if count == 1 else 's'}" + (f": {', '.join(named)}{rest}" if named else "")
