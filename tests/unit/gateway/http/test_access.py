"""Keys, tenants and scopes."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from gateway.api.table import routes
from gateway.http import access
from gateway.http.access import READ_SCOPES, Access, Caller, key_text
from gateway.http.openapi import Route
from gateway.http.settings import GatewaySettings
from lbactors.core.definition import SCOPES
from lbactors.core.errors import ApiError
from lbactors.core.model import Tenant
from tests.support.gateway.fake_service import NOW_MS, ROOT_KEY, FakeService
from tests.support.gateway.http_client import Answer, Http

READ = ("rankings:read",)


async def caller(service: FakeService, headers: dict[str, str], scopes: tuple[str, ...] = READ) -> Caller:
    return await Access(service).caller(headers, scopes)  # type: ignore[arg-type]


async def refused(service: FakeService, code: str, headers: dict[str, str], *scopes: str) -> None:
    with pytest.raises(ApiError) as caught:
        await caller(service, headers, scopes or READ)
    assert caught.value.code == code


def bearer(text: str, tenant_id: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"} | ({"X-Tenant-Id": tenant_id} if tenant_id is not None else {})


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer lb_1"},
        {"Authorization": "bearer  lb_1 "},
        {"X-API-Key": "lb_1"},
        {"Authorization": "Basic dTpw", "X-API-Key": "lb_1"},
    ],
)
def test_where_a_key_may_be(headers: dict[str, str]) -> None:
    assert key_text(headers) == "lb_1"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic dTpw"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer"},
        {"X-API-Key": ""},
        {"X-API-Key": "kéy"},
        {"X-API-Key": "\udcff"},
        {"X-API-Key": "a" * 600},
    ],
)
def test_no_key(headers: dict[str, str]) -> None:
    with pytest.raises(ApiError) as caught:
        key_text(headers)
    assert caught.value.status == 401


async def test_tenant_comes_from_the_key(service: FakeService) -> None:
    service.add_key("a", *READ, tenant_id="studio-a")
    found = await caller(service, bearer("a"))
    assert (found.tenant_id, found.own_tenant_id, found.named_tenant) == ("studio-a", "studio-a", False)
    assert (await caller(service, bearer("a", "studio-a"))).tenant_id == "studio-a"
    await refused(service, "forbidden", bearer("a", "default"))
    await refused(service, "forbidden", bearer("a", "unknown"))


async def test_platform_keys_act_anywhere(service: FakeService) -> None:
    service.add_key("a", *READ, tenant_id="studio-a")
    service.add_key("p", "platform", *READ, tenant_id="studio-a")
    assert (await caller(service, bearer("p"))).tenant_id == "default"
    assert (await caller(service, bearer(ROOT_KEY, "studio-a"))).tenant_id == "studio-a"
    await refused(service, "tenant_not_found", bearer(ROOT_KEY, "unknown"))
    await refused(service, "tenant_not_found", bearer(ROOT_KEY, ""))


async def test_unknown_key_asks_the_supervisor_once(service: FakeService) -> None:
    await refused(service, "unauthenticated", bearer("new"))
    assert service.catalogue.synced == 1
    key = service.add_key("new", *READ)
    del service.catalogue.all_keys[key.key_id]
    service.catalogue.arriving.append(key)
    assert (await caller(service, bearer("new"))).key_id == key.key_id
    assert service.catalogue.synced == 2


async def test_deleted_disabled_and_expired_keys(service: FakeService) -> None:
    service.add_key("deleted", *READ, status="deleted")
    service.add_key("disabled", *READ, status="disabled")
    service.add_key("expired", *READ, expires_at_ms=NOW_MS)
    service.add_key("valid", *READ, expires_at_ms=NOW_MS + 1)
    await refused(service, "unauthenticated", bearer("deleted"))
    await refused(service, "forbidden", bearer("disabled"))
    await refused(service, "unauthenticated", bearer("expired"))
    assert (await caller(service, bearer("valid"))).key_id == "k_valid"


async def test_a_remembered_key_stops_at_once(service: FakeService) -> None:
    key = service.add_key("a", *READ)
    access = Access(service)  # type: ignore[arg-type]
    first = await access.caller(bearer("a"), READ)
    assert await access.caller(bearer("a"), READ) is first
    for changes, status in (({"status": "disabled"}, 403), ({"status": "deleted"}, 401)):
        service.catalogue.all_keys[key.key_id] = key._replace(**changes)
        with pytest.raises(ApiError) as caught:
            await access.caller(bearer("a"), READ)
        assert caught.value.status == status
    service.catalogue.all_keys[key.key_id] = key
    service.catalogue.all_tenants["default"] = Tenant("default", "default", "disabled", None, NOW_MS)
    with pytest.raises(ApiError) as caught:
        await access.caller(bearer("a"), READ)
    assert caught.value.status == 403


async def test_disabled_and_deleted_tenants(service: FakeService) -> None:
    service.add_key("a", *READ, tenant_id="studio-a")
    service.add_key("k", "keys:write", tenant_id="studio-a")
    tenants = service.catalogue.all_tenants
    tenants["studio-a"] = tenants["studio-a"]._replace(status="disabled")
    await refused(service, "forbidden", bearer("a"))
    await refused(service, "forbidden", bearer("k"), "keys:write", "platform")
    await refused(service, "forbidden", bearer(ROOT_KEY, "studio-a"))
    await caller(service, bearer(ROOT_KEY, "studio-a"), ("platform",))
    del tenants["studio-a"]
    await refused(service, "unauthenticated", bearer("a"))


async def test_the_platform_is_not_locked_out_by_its_own_tenant(service: FakeService) -> None:
    tenants = service.catalogue.all_tenants
    tenants["default"] = tenants["default"]._replace(status="disabled")
    await refused(service, "forbidden", bearer(ROOT_KEY))
    await caller(service, bearer(ROOT_KEY), ("platform",))


async def test_scopes(service: FakeService) -> None:
    service.add_key("p", "platform")
    service.add_key("w", "scores:write")
    await refused(service, "forbidden", bearer("w"))
    await refused(service, "forbidden", bearer("p"))  # platform is a power of its own, not all others
    await caller(service, bearer("p"), ("keys:write", "platform"))


async def test_a_hash_that_differs_is_no_key(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    key = service.add_key("a", *READ)
    monkeypatch.setattr(service.catalogue, "key_by_hash", lambda _: key)
    assert key.key_hash == sha256(b"a").hexdigest()
    await caller(service, bearer("a"))
    await refused(service, "unauthenticated", bearer("b"))


async def test_over_http(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    service.add_key("w", "scores:write")
    answer = await http.with_key(None).get("/v1/leaderboards/xp/rankings")
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    answer = await http.with_key("w").get("/v1/leaderboards/xp/rankings")
    assert (answer.status, answer.code) == (403, "forbidden")
    assert "rankings:read" in answer.body["error"]["message"]
    answer = await http.with_key(None).get("/v1/leaderboards/xp/rankings", {"X-API-Key": ROOT_KEY})
    assert answer.status == 200


async def test_other_tenants_are_invisible(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    service.add_key("a", "rankings:read", "scores:write", "leaderboards:read", tenant_id="studio-a")
    other = http.with_key("a")
    assert (await other.get("/v1/leaderboards/xp/rankings")).code == "leaderboard_not_found"
    assert (await other.get("/v1/leaderboards")).body["total"] == 0
    body: dict[str, Any] = {"player_id": "p1", "score": 1}
    assert (await other.post("/v1/leaderboards/xp/scores", body)).code == "leaderboard_not_found"
    answer = await other.post("/v1/scores", [{"leaderboard_id": "xp", **body}])
    assert answer.body["errors"][0]["code"] == "leaderboard_not_found"
    assert service.submitted == []


# Leaderboards that are not public ---------------------------------------------------------------------------

OPEN_TO_BOUND_KEYS = [
    route
    for route in routes(GatewaySettings())
    if "{leaderboard_id}" in route.path
    and (route.own_player is not None or not READ_SCOPES.isdisjoint(route.scopes))
]


@pytest.mark.parametrize("route", OPEN_TO_BOUND_KEYS, ids=lambda route: route.operation_id)
async def test_what_is_not_public_does_not_exist_for_bound_keys(
    http: Http, service: FakeService, route: Route
) -> None:
    """Whatever the route: what it answers is what it answers for a leaderboard that is not there."""
    service.add_key("bound", *SCOPES, player_id="me")
    names = {"player_id": "me", "period_key": "current", "score": "1"}

    async def asked(leaderboard_id: str) -> Answer:
        path = route.path.format(leaderboard_id=leaderboard_id, **names)
        body = None if route.body is None else route.body.example
        return await http.with_key("bound").send(route.method, path, body)

    absent = await asked("xp")
    service.add_board("xp", public=False)
    private = await asked("xp")
    assert (private.status, private.body) == (404, absent.body)
    assert private.code == "leaderboard_not_found"
    service.add_board("xp")
    assert (await asked("xp")).body != absent.body


async def test_lists_of_bound_keys_leave_out_what_is_not_public(http: Http, service: FakeService) -> None:
    service.add_key("bound", "leaderboards:read", "rankings:read", "scores:write", player_id="me")
    service.add_key("reader", "leaderboards:read", "rankings:read")
    for name, public in (("open", True), ("private", False)):
        service.add_scores(service.add_board(name, public=public), {"me": 1})

    async def seen(key: str) -> list[list[str]]:
        reader = http.with_key(key)
        answers = [await reader.get("/v1/leaderboards"), await reader.get("/v1/players/me/entries")]
        assert answers[0].body["total"] == len(answers[0].body["items"])
        return [[item["leaderboard_id"] for item in answer.body["items"]] for answer in answers]

    assert await seen("bound") == [["open"], ["open"]]
    assert await seen("reader") == [["open", "private"]] * 2
    items = [{"leaderboard_id": name, "player_id": "me", "score": 5} for name in ("open", "private", "none")]
    answer = await http.with_key("bound").post("/v1/scores", items)
    assert [(e["index"], e["code"]) for e in answer.body["errors"]] == [
        (1, "leaderboard_not_found"),
        (2, "leaderboard_not_found"),
    ]
    assert len(service.submitted) == 1


async def test_the_least_used_key_is_forgotten_first(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "REMEMBERED_KEYS", 2)
    for name in ("hot", "one", "two"):
        service.add_key(name, "rankings:read")
    gate = Access(service)  # type: ignore[arg-type]
    looked_up = []
    look_up = gate._look_up

    async def counted(text: str, tenant_id: str | None) -> Any:
        looked_up.append(text)
        return await look_up(text, tenant_id)

    monkeypatch.setattr(gate, "_look_up", counted)
    for name in ("hot", "one", "hot", "two", "hot", "one"):
        await gate.caller(bearer(name), READ)
    assert looked_up == ["hot", "one", "two", "one"]
