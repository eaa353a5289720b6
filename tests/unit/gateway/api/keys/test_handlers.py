"""Keys over HTTP: who may do what to whose."""

from __future__ import annotations

import pytest

from tests.support.gateway.fake_service import ROOT_KEY, FakeService
from tests.support.gateway.http_client import Http

KEYS = "/v1/keys"


@pytest.fixture
def manager(http: Http, service: FakeService) -> Http:
    """A key of studio-a that manages keys and writes scores."""
    service.add_key("m", "keys:write", "scores:write", tenant_id="studio-a")
    return http.with_key("m")


async def test_create_key(http: Http, service: FakeService) -> None:
    body = {"name": "server", "scopes": ["rankings:read"], "expires_at": "2027-01-01T00:00:00Z"}
    made = await http.post(KEYS, body)
    assert made.status == 201 and made.body["tenant_id"] == "default"
    assert "key_hash" not in made.body and made.body["expires_at"] == "2027-01-01T00:00:00.000Z"
    assert (await http.with_key(made.body["key"]).get("/v1/players/p/entries")).status == 200
    shown = await http.get(f"{KEYS}/{made.body['key_id']}")
    assert shown.body == {name: value for name, value in made.body.items() if name != "key"}


async def test_platform_keys_choose_the_tenant(http: Http, service: FakeService, manager: Http) -> None:
    body = {"name": "k", "scopes": ["rankings:read"]}
    made = await http.post(KEYS, {**body, "tenant_id": "studio-a"})
    assert made.body["tenant_id"] == "studio-a"
    assert (await http.post(KEYS, body, {"X-Tenant-Id": "studio-a"})).body["tenant_id"] == "studio-a"
    assert (await http.post(KEYS, {**body, "tenant_id": "nowhere"})).code == "tenant_not_found"
    assert (await http.post(KEYS, {**body, "tenant_id": 5})).loc == ["body", "tenant_id"]
    listed = (await http.get(KEYS)).body
    assert listed["total"] == 4
    assert (await http.get(KEYS, tenant_id="studio-a")).body["total"] == 3
    assert (await http.get(KEYS, {"X-Tenant-Id": "studio-a"})).body["total"] == 3
    assert (await http.get(KEYS, tenant_id="nowhere")).code == "tenant_not_found"


async def test_managers_stay_in_their_tenant(http: Http, service: FakeService, manager: Http) -> None:
    service.add_key("other", "rankings:read")
    assert [key["key_id"] for key in (await manager.get(KEYS)).body["items"]] == ["k_m"]
    assert (await manager.get(KEYS, tenant_id="default")).code == "forbidden"
    assert (await manager.get(KEYS, tenant_id="studio-a")).status == 200
    for method in ("GET", "PATCH", "DELETE"):
        body = {"status": "disabled"} if method == "PATCH" else None
        assert (await manager.send(method, f"{KEYS}/k_other", body)).code == "key_not_found"
    body = {"name": "k", "scopes": ["scores:write"], "tenant_id": "default"}
    assert (await manager.post(KEYS, body)).code == "forbidden"
    assert (await manager.post(KEYS, {**body, "tenant_id": "studio-a"})).body["tenant_id"] == "studio-a"


async def test_managers_grant_no_more_than_they_have(http: Http, service: FakeService, manager: Http) -> None:
    for scopes in (["rankings:read"], ["platform"], ["scores:write", "platform"]):
        assert (await manager.post(KEYS, {"name": "k", "scopes": scopes})).code == "forbidden"
    assert (await manager.post(KEYS, {"name": "k", "scopes": "scores:write"})).loc[:2] == ["body", "scopes"]
    service.add_key("reader", "rankings:read", tenant_id="studio-a")
    path = f"{KEYS}/k_reader"
    assert (await manager.send("PATCH", path, {"status": "disabled"})).body["status"] == "disabled"
    assert (await manager.send("PATCH", path, {"status": "active"})).code == "forbidden"
    assert (await http.send("PATCH", path, {"status": "active"})).status == 200
    assert (await manager.send("DELETE", path)).status == 200
    assert (await manager.send("DELETE", path)).code == "key_not_found"


async def test_platform_keys_are_out_of_reach(http: Http, service: FakeService) -> None:
    service.add_key("m", "keys:write")
    manager = http.with_key("m")
    for method, body in (("PATCH", {"status": "disabled"}), ("DELETE", None)):
        assert (await manager.send(method, f"{KEYS}/k_{ROOT_KEY}", body)).code == "forbidden"


async def test_a_deleted_key_is_gone(http: Http, service: FakeService) -> None:
    service.add_key("r", "rankings:read")
    assert (await http.send("DELETE", f"{KEYS}/k_r")).body["status"] == "deleted"
    assert (await http.with_key("r").get("/v1/players/p/entries")).code == "unauthenticated"
    assert (await http.get(f"{KEYS}/k_r")).code == "key_not_found"
    assert all(key["key_id"] != "k_r" for key in (await http.get(KEYS)).body["items"])
