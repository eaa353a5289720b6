"""Webhooks at the gateway: who may manage them, what is shown, listings of deliveries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway.fake_service import FakeService
from tests.support.gateway.http_client import Http

HOOKS = "/v1/webhooks"
URL = "https://example.com/hook"


async def test_a_webhook_is_created_read_changed_and_deleted(http: Http, service: FakeService) -> None:
    made = await http.post(HOOKS, {"url": URL, "events": ["period.closed"]})
    assert made.status == 201 and made.body["secret"].startswith("whsec_")
    path = f"{HOOKS}/{made.body['webhook_id']}"
    assert made.headers["Location"] == path
    shown = await http.get(path)
    assert shown.body == {name: value for name, value in made.body.items() if name != "secret"}
    assert b"whsec_" not in (await http.get(HOOKS)).raw
    tag = shown.headers["ETag"]
    assert (await http.get(path, {"If-None-Match": tag})).status == 304
    assert (await http.send("PATCH", path, {"status": "disabled"})).body["status"] == "disabled"
    assert (await http.get(path, {"If-None-Match": tag})).status == 200
    assert (await http.post(f"{path}/rotate-secret")).body["secret"] == "whsec_bmV3"
    assert (await http.post(f"{path}/rotate-secret", {"previous_valid_seconds": 0})).status == 200
    assert (await http.post(f"{path}/test")).status == 202
    assert (await http.send("DELETE", path)).body["webhook_id"] == made.body["webhook_id"]
    assert (await http.get(path)).code == "webhook_not_found"


async def test_a_tenants_webhooks_are_its_own(http: Http, service: FakeService) -> None:
    own = service.webhooks.add("studio-a", url=URL)
    service.webhooks.add("default", url=URL)
    service.add_key("a", "leaderboards:write", tenant_id="studio-a")
    studio = http.with_key("a")
    assert [w["webhook_id"] for w in (await studio.get(HOOKS)).body["items"]] == [own.webhook_id]
    path = f"{HOOKS}/{own.webhook_id}"
    assert (await studio.get(path)).status == 200
    for method, target, body in every_route(path):
        if target != HOOKS:
            assert (await http.send(method, target, body)).code == "webhook_not_found", target
    assert (await http.get(path, {"X-Tenant-Id": "studio-a"})).status == 200


def every_route(path: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", HOOKS, None),
        ("POST", HOOKS, {"url": URL}),
        ("GET", path, None),
        ("PATCH", path, {}),
        ("DELETE", path, None),
        ("POST", f"{path}/test", None),
        ("POST", f"{path}/rotate-secret", None),
        ("GET", f"{path}/deliveries", None),
        ("GET", f"{path}/deliveries/dlv_1", None),
        ("POST", f"{path}/deliveries/replay", {"state": "failed"}),
        ("POST", f"{path}/deliveries/dlv_1/replay", None),
    ]


@pytest.mark.parametrize("fields", [{"player_id": "p1"}, {"scopes": frozenset({"leaderboards:read"})}])
async def test_who_may_not(http: Http, service: FakeService, fields: dict[str, Any]) -> None:
    webhook = service.webhooks.add("default", url=URL)
    service.add_key("k", "leaderboards:write", **fields)
    for method, target, body in every_route(f"{HOOKS}/{webhook.webhook_id}"):
        assert (await http.with_key("k").send(method, target, body)).code == "forbidden", target


async def test_deliveries_are_listed_newest_first_by_pages_and_by_state(
    http: Http, service: FakeService
) -> None:
    webhook = service.webhooks.add("default", url=URL)
    other = service.webhooks.add("default", url=URL)
    service.webhooks.deliver(other, 99)
    states = ["d", "f", "p", "d", "p"]
    names = [service.webhooks.deliver(webhook, n, state) for n, state in enumerate(states)]
    path = f"{HOOKS}/{webhook.webhook_id}/deliveries"
    page = (await http.get(path, limit=3)).body
    assert page["total"] == 5
    assert [item["delivery_id"] for item in page["items"]] == names[:1:-1]
    assert [item["state"] for item in page["items"]] == ["pending", "delivered", "pending"]
    rest = (await http.get(path, limit=3, cursor=page["next_cursor"])).body
    assert [item["delivery_id"] for item in rest["items"]] == [names[1], names[0]]
    assert rest["next_cursor"] is None
    for state, letter in (("pending", "p"), ("delivered", "d"), ("failed", "f")):
        body = (await http.get(path, state=state)).body
        assert body["total"] == states.count(letter)
        assert {item["state"] for item in body["items"]} == {state}
    assert (await http.get(path, state="lost")).loc == ["query", "state"]
    assert (await http.get(path, state="failed", cursor=page["next_cursor"])).loc == ["query", "cursor"]


async def test_a_delivery_is_shown_with_its_body_and_last_answer(http: Http, service: FakeService) -> None:
    webhook = service.webhooks.add("default", url=URL)
    last = service.webhooks.answered(503, "HTTP 503")
    name = service.webhooks.deliver(webhook, 7, attempts=2, next_at_ms=service.now_ms() + 5000, last=last)
    path = f"{HOOKS}/{webhook.webhook_id}/deliveries"
    shown = (await http.get(f"{path}/{name}")).body
    assert shown["last_answer"] == {
        "at": "2026-11-18T12:00:00.000Z",
        "status": 503,
        "error": "HTTP 503",
        "duration_ms": 12,
    }
    assert (shown["attempts"], shown["next_attempt_at"]) == (2, "2026-11-18T12:00:05.000Z")
    assert shown["body"]["id"] == shown["event_id"] == "evt_7" and shown["body"]["data"] == {"n": 7}
    assert (await http.get(f"{path}/dlv_none")).code == "delivery_not_found"
    assert (await http.get(f"{path}/{name}%2Fx")).code == "delivery_not_found"
    again = await http.post(f"{path}/{name}/replay")
    assert (again.status, again.body["delivery_id"]) == (202, name)
    assert (await http.post(f"{path}/replay", {"state": "failed"})).body == {"replayed": 3, "remaining": 0}
