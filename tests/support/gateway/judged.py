"""A gateway with plugins that judge submissions, and what its tests ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import build_app
from gateway.http.settings import GatewaySettings
from lbactors.plugins import VALIDATE, Context, Hold, Plugin, Plugins, Refuse, SubmittedScore
from tests.support.gateway.fake_service import FakeService
from tests.support.gateway.http_client import Answer, Http

SCORES = "/v1/leaderboards/xp/scores"
HELD = "/v1/leaderboards/xp/held"

Judge = Callable[[str, str, SubmittedScore, Context], Any]


def by_score(_tenant: str, _board: str, submission: SubmittedScore, _context: Context) -> Any:
    """Above 1000 refused, above 100 held."""
    score = submission.score or 0
    return Refuse("impossible") if score > 1000 else Hold("suspicious") if score > 100 else None


def plugins_of(*judges: Judge) -> Plugins:
    named = tuple((f"judge{number}", judge) for number, judge in enumerate(judges))
    return Plugins(tuple(Plugin(name, "1", "test", (VALIDATE,)) for name, _ in named), {VALIDATE: named})


@asynccontextmanager
async def served(service: FakeService, *judges: Judge, **settings: Any) -> AsyncIterator[Http]:
    app = build_app(service, GatewaySettings(**settings), plugins_of(*judges))  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:
        yield Http(client)


@pytest.fixture
async def judged_http(service: FakeService) -> AsyncIterator[Http]:
    """With the leaderboard `xp`, judged by `by_score`."""
    service.add_board("xp")
    async with served(service, by_score) as http:
        yield http


async def send(http: Http, score: float, player_id: str = "p1", **fields: Any) -> Answer:
    return await http.post(SCORES, {"player_id": player_id, "score": score, **fields})


async def waiting(http: Http, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await http.get(HELD, **query)).body["items"]
    return items
