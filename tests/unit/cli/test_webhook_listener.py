"""The receiver of `lbactors webhooks listen`: what it takes, what it refuses, and what it prints."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from lbactors.cli.webhook_listener import BODY_LIMIT, Listener, event_line
from lbactors.supervisor.events.webhook_signing import new_secret, signed_headers

SECRET = new_secret()
PERIOD = {"period_key": "2026-W47", "window": "main", "state": "closed"}


def event(kind: str, **data: Any) -> dict[str, Any]:
    board = None if kind == "webhook.test" else "xp"
    common = {"id": "evt_1", "created_at": "2026-11-22T23:00:05.000Z", "leaderboard_id": board}
    return {**common, "type": kind, "data": data}


class Sender:
    def __init__(self, listener: Listener, taken: list[dict[str, Any]]) -> None:
        self.listener = listener
        self.taken = taken

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        connection = HTTPConnection("127.0.0.1", self.listener.port, timeout=30)
        try:
            connection.request("POST", "/", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def send(self, sent: dict[str, Any], secret: str = SECRET) -> int:
        body = json.dumps(sent).encode()
        return self.post(body, signed_headers([secret], sent["id"], int(time.time() * 1000), body))


@pytest.fixture
def sender() -> Iterator[Sender]:
    taken: list[dict[str, Any]] = []
    with Listener("127.0.0.1", 0, taken.append) as listener:
        listener.start(SECRET)
        yield Sender(listener, taken)


def test_signed_events_are_taken(sender: Sender) -> None:
    test = event("webhook.test", webhook_id="wh_1")
    assert [sender.send(test), sender.send(test)] == [204, 204]
    assert sender.taken == [test, test]


def test_others_are_refused(sender: Sender) -> None:
    assert sender.send(event("webhook.test"), new_secret()) == 401
    assert sender.post(b"{}", {}) == 401
    old = b"{}"
    assert sender.post(old, signed_headers([SECRET], "evt_1", int((time.time() - 3600) * 1000), old)) == 401
    assert sender.listener.refused == 3
    assert sender.post(b"", {"Content-Length": str(BODY_LIMIT + 1)}) == 413
    assert sender.post(b"", {"Content-Length": "many"}) == 411
    assert sender.taken == []


def test_a_listener_that_never_started_ends() -> None:
    with Listener("127.0.0.1", 0, print):
        pass


def test_lines() -> None:
    assert event_line(event("webhook.test", webhook_id="wh_1")).endswith("  webhook.test     it works")
    standings = [
        {"rank": 1, "player_id": "maya", "display_name": "Maya", "score": 40},
        {"rank": 2, "player_id": "ben", "display_name": None, "score": 30},
    ]
    closed = event("period.closed", period=PERIOD, total=2, standings=standings)
    said = "xp  2026-W47  2 players: 1 Maya 40, 2 ben 30"
    assert event_line(closed) == f"2026-11-22 23:00:05Z  period.closed    {said}"
    empty = event("period.closed", period={**PERIOD, "window": "daily"}, total=0, standings=[])
    assert event_line(empty).endswith("xp  2026-W47 (daily)  0 players")
    winners = [{"player_id": f"p{n}", "rank": n, "score": 9, "tiers": ["podium", "top"]} for n in range(1, 5)]
    granted = event("reward.granted", period=PERIOD, players=winners, tiers=[])
    assert event_line(granted).endswith("4 winners: p1 podium+top, p2 podium+top, p3 podium+top, …")
    assert event_line(event("period.opened", period=PERIOD)).endswith("period.opened    xp  2026-W47")
