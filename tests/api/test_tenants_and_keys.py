"""Section 7, tenants and keys: create, list, read, change, delete; what a key shows and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api.boards import instant, unique
from tests.support.api.client import Api

MakeKey = Callable[..., dict[str, Any]]
MakeTenant = Callable[[], str]


# Tenants


def test_a_tenant_is_created_and_read(api: Api) -> None:
    body = {"tenant_id": unique("studio"), "name": "Studio A"}
    made = api.ok("POST", "/v1/tenants", body, status=201)
    assert made["tenant_id"] == body["tenant_id"]
    for tenant in (made, api.get(f"/v1/tenants/{body['tenant_id']}")):
        assert (tenant["tenant_id"], tenant["name"], tenant["status"]) == (
            body["tenant_id"],
            "Studio A",
            "active",
        )
    assert body["tenant_id"] in [tenant["tenant_id"] for tenant in api.listing("/v1/tenants")]


def test_the_first_start_made_the_tenant_default(api: Api) -> None:
    assert api.get("/v1/tenants/default")["tenant_id"] == "default"
    api.fails(409, "tenant_exists", "POST", "/v1/tenants", {"tenant_id": "default", "name": "x"})


def test_a_tenant_exists_once(api: Api, make_tenant: MakeTenant) -> None:
    api.fails(409, "tenant_exists", "POST", "/v1/tenants", {"tenant_id": make_tenant(), "name": "again"})


def test_a_tenant_is_changed(api: Api, make_tenant: MakeTenant) -> None:
    path = f"/v1/tenants/{make_tenant()}"
    assert api.ok("PATCH", path, {"name": "New"})["name"] == "New"
    assert api.ok("PATCH", path, {"status": "disabled"})["status"] == "disabled"
    assert (api.get(path)["name"], api.get(path)["status"]) == ("New", "disabled")
    assert api.ok("PATCH", path, {"status": "active"})["status"] == "active"


def test_the_secret_of_a_tenant_is_taken_and_taken_away(api: Api, make_tenant: MakeTenant) -> None:
    path = f"/v1/tenants/{make_tenant()}"
    api.ok("PATCH", path, {"hmac_secret": "a-secret-of-some-length-0123456789"})
    api.ok("PATCH", path, {"hmac_secret": None})
    api.fails(422, "validation_failed", "PATCH", path, {"hmac_secret": 5})


@pytest.mark.parametrize(
    "body", [{"status": "archived"}, {"status": 1}, {"name": 5}, {"colour": 1}, {"tenant_id": "other"}]
)
def test_changes_of_a_tenant_that_are_refused(
    api: Api, make_tenant: MakeTenant, body: dict[str, Any]
) -> None:
    api.fails(422, "validation_failed", "PATCH", f"/v1/tenants/{make_tenant()}", body)


def test_a_tenant_is_deleted(api: Api, make_tenant: MakeTenant) -> None:
    tenant_id = make_tenant()
    path = f"/v1/tenants/{tenant_id}"
    assert api.call("DELETE", path).status in (200, 204)
    for method, more in (("GET", ()), ("PATCH", ({"name": "x"},)), ("DELETE", ())):
        api.fails(404, "tenant_not_found", method, path, *more)
    assert tenant_id not in [tenant["tenant_id"] for tenant in api.listing("/v1/tenants")]


def test_an_unknown_tenant(api: Api) -> None:
    api.fails(404, "tenant_not_found", "GET", "/v1/tenants/no-such")
    api.fails(
        404, "tenant_not_found", "POST", "/v1/keys", {"name": "k", "scopes": [], "tenant_id": "no-such"}
    )


def test_tenants_are_listed_by_pages(api: Api, make_tenant: MakeTenant) -> None:
    made = {make_tenant() for _ in range(3)}
    listed = [tenant["tenant_id"] for tenant in api.listing("/v1/tenants", limit=2)]
    assert made <= set(listed)
    assert len(set(listed)) == len(listed)
    assert len(api.get("/v1/tenants", limit=2)["items"]) == 2


# Keys


def test_a_key_is_shown_once(api: Api, make_tenant: MakeTenant) -> None:
    tenant_id = make_tenant()
    body = {
        "tenant_id": tenant_id,
        "name": "game server",
        "scopes": ["scores:write", "rankings:read"],
        "expires_at": "2055-01-01T00:00:00+01:00",
        "player_id": "p1",
    }
    made = api.ok("POST", "/v1/keys", body, status=201)
    assert isinstance(made["key"], str) and len(made["key"]) >= 20
    listed = api.in_tenant(tenant_id).listing("/v1/keys")
    assert [item["key_id"] for item in listed] == [made["key_id"]]
    assert made["key"] not in str(listed)
    for key in (made, listed[0]):
        assert (key["name"], sorted(key["scopes"])) == ("game server", ["rankings:read", "scores:write"])
        assert (key["player_id"], key["expires_at"]) == ("p1", "2054-12-31T23:00:00.000Z")
        instant(key["expires_at"])


def test_keys_differ(make_key: MakeKey) -> None:
    keys = [make_key("rankings:read") for _ in range(4)]
    assert len({key["key"] for key in keys}) == len({key["key_id"] for key in keys}) == 4


def test_keys_are_listed_by_pages_and_by_tenant(api: Api, make_tenant: MakeTenant, make_key: MakeKey) -> None:
    tenant_id, other = make_tenant(), make_tenant()
    made = [make_key("rankings:read", tenant_id=tenant_id)["key_id"] for _ in range(5)]
    make_key("rankings:read", tenant_id=other)
    listed = [key["key_id"] for key in api.in_tenant(tenant_id).listing("/v1/keys", limit=2)]
    assert sorted(listed) == sorted(made)


def test_a_tenants_own_keys(api: Api, make_tenant: MakeTenant, make_key: MakeKey) -> None:
    """A `keys:write` key of a tenant manages that tenant's keys and no other's."""
    tenant_id, other = make_tenant(), make_tenant()
    admin = api.with_key(make_key("keys:write", "rankings:read", tenant_id=tenant_id)["key"])
    foreign = make_key("rankings:read", tenant_id=other)
    made = admin.ok("POST", "/v1/keys", {"name": "k", "scopes": ["rankings:read"]}, status=201)
    assert made["key_id"] in [key["key_id"] for key in admin.listing("/v1/keys")]
    assert foreign["key_id"] not in [key["key_id"] for key in admin.listing("/v1/keys")]
    admin.fails(404, "key_not_found", "DELETE", f"/v1/keys/{foreign['key_id']}")
    admin.fails(404, "key_not_found", "PATCH", f"/v1/keys/{foreign['key_id']}", {"status": "disabled"})
    body = {"name": "k", "scopes": ["rankings:read"], "tenant_id": other}
    admin.fails(403, "forbidden", "POST", "/v1/keys", body)
    assert admin.call("DELETE", f"/v1/keys/{made['key_id']}").status in (200, 204)


def test_a_key_is_changed_and_deleted(api: Api, make_key: MakeKey) -> None:
    path = f"/v1/keys/{make_key('rankings:read')['key_id']}"
    assert api.ok("PATCH", path, {"status": "disabled"})["status"] == "disabled"
    api.fails(422, "validation_failed", "PATCH", path, {"status": "gone"})
    api.fails(422, "validation_failed", "PATCH", path, {"colour": 1})
    assert api.call("DELETE", path).status in (200, 204)
    api.fails(404, "key_not_found", "DELETE", path)
    api.fails(404, "key_not_found", "PATCH", path, {"status": "active"})


def test_an_unknown_key_id(api: Api) -> None:
    api.fails(404, "key_not_found", "DELETE", "/v1/keys/no-such")
    api.fails(404, "key_not_found", "PATCH", "/v1/keys/no-such", {"status": "disabled"})


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ["fly"]},
        {"scopes": None},
        {"expires_at": "soon"},
        {"player_id": ""},
        {"player_id": "p" * 129},
        {"name": 5},
    ],
)
def test_keys_that_are_refused(api: Api, changes: dict[str, Any]) -> None:
    api.fails(
        422, "validation_failed", "POST", "/v1/keys", {"name": "k", "scopes": ["rankings:read"]} | changes
    )
