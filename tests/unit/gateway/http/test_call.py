"""What outlives a request: rendered pages. Bodies that may be absent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.http.call import PageMemo
from tests.support.gateway.fake_service import PERIOD_KEY, FakeService
from tests.support.gateway.http_client import Answer, Http


def test_page_memo_is_bounded() -> None:
    memo = PageMemo()
    readings = [[i] for i in range(memo.PAGES + 5)]
    for reading in readings:
        memo.put(reading, 0, [], (b"body", "tag"))
    assert memo.get(readings[0], 0, []) is None
    assert memo.get(readings[-1], 0, []) == (b"body", "tag")
    assert memo.get(readings[-1], 1, []) is None and memo.get(readings[-1], 0, ["Kim"]) is None


MAY_HAVE_A_BODY = (
    "/v1/leaderboards/xp/periods/current/close",
    f"/v1/leaderboards/xp/periods/{PERIOD_KEY}/rewards/p1/claim",
    "/v1/players/p1/hide",
    "/v1/players/p1/unhide",
    "/v1/webhooks/wh_1/rotate-secret",
    "/v1/webhooks/wh_1/test",
)


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}, {"Content-Encoding": "gzip"}])
@pytest.mark.parametrize("path", MAY_HAVE_A_BODY)
async def test_a_chunked_body_without_a_chunk_is_none(
    http: Http, service: FakeService, path: str, headers: dict[str, str]
) -> None:
    board = service.add_board("xp")
    service.rewards.grant(
        board, PERIOD_KEY, {"tiers": [{"name": "top", "rank_from": 1, "rank_to": 1, "payload": {}}]}, ["p1"]
    )
    service.webhooks.add("default", "wh_1", url="https://example.com/hook")

    async def nothing() -> AsyncIterator[bytes]:
        for chunk in ():
            yield chunk

    sent = {"X-API-Key": str(http.key), **headers}
    async with http.client.post(path, data=nothing(), headers=sent) as response:
        answer = Answer(response, await response.read())
    assert answer.status in (200, 202), answer.body
