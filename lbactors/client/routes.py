"""What the methods of the client share: the transport that they send by, and the paths of the API."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from lbactors.client.transport import Transport

Instant = str | datetime


class Routes:
    """Methods that each call one route, sent by `transport`."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport


def segment(text: str) -> str:
    """An id as one segment of a path."""
    return quote(text, safe="")


def board_path(leaderboard_id: str) -> str:
    return f"/v1/leaderboards/{segment(leaderboard_id)}"


def player_path(leaderboard_id: str, player_id: str) -> str:
    return f"{board_path(leaderboard_id)}/players/{segment(player_id)}"


def rewards_path(leaderboard_id: str, period_key: str) -> str:
    return f"{board_path(leaderboard_id)}/periods/{segment(period_key)}/rewards"


def webhook_path(webhook_id: str) -> str:
    return f"/v1/webhooks/{segment(webhook_id)}"


def metric_path(metric: str) -> str:
    return f"/v1/metrics/{segment(metric)}"
