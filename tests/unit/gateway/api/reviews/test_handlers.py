"""Held submissions over HTTP: listed, approved, rejected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from tests.support.actor_settings import actor_settings
from tests.support.gateway.fake_service import NOW_MS, FakeService
from tests.support.gateway.http_client import Http
from tests.support.gateway.judged import HELD, send, waiting


@pytest.fixture
def http(judged_http: Http) -> Http:
    return judged_http


async def test_listing(http: Http, service: FakeService) -> None:
    service.held_memory.settings = actor_settings(held_limit=100)
    for number in range(5):
        await send(http, 500 + number, f"p{number % 2}")
    page = (await http.get(HELD, limit=2)).body
    assert (page["total"], len(page["items"])) == (5, 2)
    rest = (await http.get(HELD, limit=5, cursor=page["next_cursor"])).body
    assert len({item["held_id"] for item in page["items"] + rest["items"]}) == 5 and not rest["next_cursor"]
    assert {item["player_id"] for item in await waiting(http, player_id="p1")} == {"p1"}
    assert len(await waiting(http, player_id="p1")) == 2
    assert (await http.get("/v1/leaderboards/none/held")).code == "leaderboard_not_found"


async def test_approve(http: Http, service: FakeService) -> None:
    sent = await send(http, 500, submission_id="m-1", metadata={"level": 7})
    path = f"{HELD}/{sent.body['held_id']}/approve"
    answer = await http.post(path)
    assert answer.body["outcome"]["score"] == 500 and answer.body["outcome"]["rank"] == 1
    assert answer.body["held"]["state"] == "approved" and await waiting(http) == []
    (submitted,) = service.submitted[-1]
    assert (submitted.submission_id, submitted.occurred_at_ms) == ("m-1", NOW_MS)
    assert json.loads(submitted.metadata or b"") == {"level": 7}
    count = len(service.submitted)
    assert (await http.post(path, {})).body == answer.body and len(service.submitted) == count
    again = await send(http, 500, submission_id="m-1")
    assert again.body["duplicate"] is True  # the plugin doubts still, the reviewer does not


async def test_approve_what_its_period_does_not_take(http: Http, service: FakeService) -> None:
    sent = await send(http, 500)
    path = f"{HELD}/{sent.body['held_id']}/approve"
    submit = service.submit

    async def closed(*_: Any) -> Any:
        return [ApiError("period_closed", "too late")]

    service.submit = closed  # type: ignore[method-assign]
    assert (await http.post(path)).code == "period_closed"
    assert [item["state"] for item in await waiting(http)] == ["held"]
    service.submit = submit  # type: ignore[method-assign]
    assert (await http.post(path)).body["outcome"]["applied"] is True


async def test_approve_with_an_unknown_outcome(http: Http, service: FakeService) -> None:
    sent = await send(http, 500, submission_id="m-1")
    path = f"{HELD}/{sent.body['held_id']}"
    submit = service.submit

    async def lost(*given: Any) -> Any:
        await submit(*given)
        raise ApiError("storage_unavailable", "lost")

    service.submit = lost  # type: ignore[method-assign]
    assert (await http.post(f"{path}/approve")).status == 503
    assert [item["state"] for item in await waiting(http)] == ["approving"]
    assert (await http.post(f"{path}/reject")).code == "held_submission_decided"
    service.submit = submit  # type: ignore[method-assign]
    answer = await http.post(f"{path}/approve")
    assert answer.body["outcome"]["duplicate"] is True and answer.body["held"]["state"] == "approved"


async def test_reject(http: Http, service: FakeService) -> None:
    sent = await send(http, 500, submission_id="m-1")
    path = f"{HELD}/{sent.body['held_id']}"
    for body in ({"reason": ""}, {"reason": 5}, {"reason": "x" * 501}, {"why": "x"}):
        assert (await http.post(f"{path}/reject", body)).status == 422
    answer = await http.post(f"{path}/reject", {"reason": "no"})
    assert (answer.body["state"], answer.body["note"]) == ("rejected", "no")
    assert (await http.post(f"{path}/reject")).body == answer.body
    assert (await http.post(f"{path}/approve")).code == "held_submission_decided"
    again = await send(http, 500, submission_id="m-1")
    assert (again.code, again.body["error"]["message"]) == ("submission_refused", "no")
    assert service.submitted == [] and await waiting(http) == []


async def test_another_tenant_sees_and_decides_nothing(http: Http, service: FakeService) -> None:
    sent = await send(http, 500)
    service.add_board("xp", tenant_id="studio-z")
    service.add_key("other", "leaderboards:write", tenant_id="studio-z")
    other = http.with_key("other")
    assert await waiting(other) == []
    for act in ("approve", "reject"):
        path = f"{HELD}/{sent.body['held_id']}/{act}"
        assert (await other.post(path)).code == "held_submission_not_found"
    assert len(await waiting(http)) == 1 and service.submitted == []


async def test_who_may_review(http: Http, service: FakeService) -> None:
    sent = await send(http, 500)
    service.add_key("writer", "scores:write", "leaderboards:read")
    service.add_key("bound", "leaderboards:write", player_id="p1")
    path = f"{HELD}/{sent.body['held_id']}"
    assert (await http.with_key("writer").get(HELD)).status == 403
    for act in ("approve", "reject"):
        assert (await http.with_key("writer").post(f"{path}/{act}")).status == 403
        assert (await http.with_key("bound").post(f"{path}/{act}")).status == 403
        assert (await http.post(f"{HELD}/h_none/{act}")).code == "held_submission_not_found"
    service.add_board("quiet", status="inactive")
    assert (await http.post("/v1/leaderboards/quiet/held/h_1/approve")).code == "leaderboard_inactive"
