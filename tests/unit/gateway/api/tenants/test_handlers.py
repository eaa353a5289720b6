"""Tenants over HTTP."""

from __future__ import annotations

from tests.support.gateway.fake_service import FakeService
from tests.support.gateway.http_client import Http

TENANTS = "/v1/tenants"


async def test_tenants(http: Http, service: FakeService) -> None:
    made = await http.post(TENANTS, {"tenant_id": "studio-b", "hmac_secret": "s3cret"})
    assert (made.status, made.headers["Location"]) == (201, "/v1/tenants/studio-b")
    assert made.body["has_hmac_secret"] is True and b"s3cret" not in made.raw
    assert (await http.post(TENANTS, {"tenant_id": "studio-b"})).code == "tenant_exists"
    assert (await http.post(TENANTS, {"tenant_id": "Studio B"})).loc == ["body", "tenant_id"]
    assert (await http.get(f"{TENANTS}/studio-b")).body == made.body
    patched = await http.send("PATCH", f"{TENANTS}/studio-b", {"status": "disabled", "hmac_secret": None})
    assert (patched.body["status"], patched.body["has_hmac_secret"]) == ("disabled", False)
    listed = (await http.get(TENANTS, status="disabled")).body
    assert [tenant["tenant_id"] for tenant in listed["items"]] == ["studio-b"]
    assert (await http.send("DELETE", f"{TENANTS}/studio-b")).status == 200
    for method in ("GET", "PATCH", "DELETE"):
        body = {} if method == "PATCH" else None
        assert (await http.send(method, f"{TENANTS}/studio-b", body)).code == "tenant_not_found"


async def test_tenants_need_the_platform(http: Http, service: FakeService) -> None:
    service.add_key("m", "keys:write", "scores:write", tenant_id="studio-a")
    manager = http.with_key("m")
    for method, path in (
        ("GET", TENANTS),
        ("POST", TENANTS),
        ("GET", f"{TENANTS}/studio-a"),
        ("GET", "/v1/status"),
    ):
        assert (await manager.send(method, path)).code == "forbidden"
