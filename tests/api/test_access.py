"""Section 1, keys, scopes and tenants: who may do what, and that nothing crosses a tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api.boards import Board, MakeBoard, ahead, unique
from tests.support.api.client import Api, eventually

MakeKey = Callable[..., dict[str, Any]]
MakeTenant = Callable[[], str]

SCOPES = [
    "scores:write",
    "rankings:read",
    "leaderboards:read",
    "leaderboards:write",
    "players:write",
    "keys:write",
    "platform",
]

# scope -> the requests it is for; {b} is the path of a leaderboard with the player p1 in it
ROUTES: dict[str, list[tuple[str, str, Any]]] = {
    "scores:write": [
        ("POST", "{b}/scores", {"player_id": "p1", "score": 1}),
        ("POST", "{b}/scores", [{"player_id": "p1", "score": 1}]),
        ("POST", "/v1/scores", []),
        ("POST", "/v1/metrics/coins", []),
        ("POST", "/v1/metrics/coins/transactions/none/complete", {}),
        ("POST", "/v1/metrics/coins/transactions/none/reject", {}),
        ("POST", "/v1/events", {"events": []}),
        ("DELETE", "{b}/players/nobody", None),
    ],
    "rankings:read": [
        ("GET", "{b}/rankings", None),
        ("GET", "{b}/players/p1", None),
        ("GET", "{b}/players/p1/around", None),
        ("POST", "{b}/rankings/lookup", {"player_ids": ["p1"]}),
        ("GET", "{b}/rankings/at/5", None),
        ("GET", "{b}/distribution", None),
        ("GET", "/v1/players/p1/entries", None),
        ("GET", "{b}/periods", None),
        ("GET", "{b}/periods/all_time", None),
        ("GET", "/v1/metrics", None),
        ("GET", "/v1/metrics/none/players/p1", None),
        ("GET", "/v1/metrics/none/transactions", None),
        ("GET", "/v1/metrics/none/transactions/tx-1", None),
    ],
    "leaderboards:read": [
        ("GET", "/v1/leaderboards", None),
        ("GET", "{b}", None),
        ("POST", "{b}/rules/test", {}),
    ],
    "leaderboards:write": [
        ("POST", "/v1/leaderboards", {"leaderboard_id": "-"}),
        ("PATCH", "{b}", {"description": "d"}),
        ("DELETE", "{b}-not-there", None),
        ("POST", "{b}/periods", {"starts_at": "not a time"}),
        ("POST", "{b}-not-there/periods/current/close", {}),
        ("POST", "{b}-not-there/periods/current/rebuild", {}),
    ],
    "players:write": [
        ("GET", "/v1/players", None),
        ("PUT", "/v1/players/scoped", {"display_name": "S"}),
        ("DELETE", "/v1/players/scoped", None),
    ],
    "keys:write": [("GET", "/v1/keys", None), ("POST", "/v1/keys", {}), ("DELETE", "/v1/keys/no-such", None)],
    "platform": [
        ("GET", "/v1/tenants", None),
        ("POST", "/v1/tenants", {}),
        ("PATCH", "/v1/tenants/no-such", {}),
    ],
}
# what a scope may well bring along, or what the description leaves open
ALSO_ALLOWED: dict[str, set[str]] = {
    "leaderboards:write": {"leaderboards:read", "rankings:read"},
    "platform": set(ROUTES),
}


@pytest.fixture(scope="module")
def board(make_board: MakeBoard) -> Board:
    board = make_board()
    board.submit("p1", 10)
    return board


@pytest.fixture(scope="module")
def scoped(api: Api, make_key: MakeKey) -> dict[str, Api]:
    """One client for each scope, which holds that scope alone."""
    return {scope: api.with_key(make_key(scope)["key"]) for scope in SCOPES}


def eventually_named(board: Board, name: str) -> None:
    """Waits until the first entry shows `name`."""
    eventually(lambda: board.page()["entries"][0]["display_name"] == name, f"the profile shows {name!r}")


# Keys


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic dTpw"}, {"Authorization": "Bearer"}, {"X-API-Key": ""}]
)
def test_no_key(api: Api, board: Board, headers: dict[str, str]) -> None:
    for method, path in (("GET", board.rankings), ("POST", board.scores), ("GET", "/v1/tenants")):
        api.fails(
            401,
            "unauthenticated",
            method,
            path,
            *([{}] if method == "POST" else []),
            key=None,
            headers=headers,
        )


def test_unknown_key(api: Api, board: Board) -> None:
    for key in ("lb_" + "0" * 32, "x", "lb_"):
        api.fails(401, "unauthenticated", "GET", board.rankings, key=key)
        api.fails(401, "unauthenticated", "GET", board.rankings, key=None, headers={"X-API-Key": key})


def test_both_headers_carry_a_key(api: Api, board: Board, make_key: MakeKey) -> None:
    key = make_key("rankings:read")["key"]
    assert api.ok("GET", board.rankings, key=key)["total"] == 1
    assert api.ok("GET", board.rankings, key=None, headers={"X-API-Key": key})["total"] == 1
    assert api.ok("GET", board.rankings, key=None, headers={"Authorization": f"bearer {key}"})["total"] == 1


def test_a_deleted_key_is_unknown_and_remembered_as_deleted(
    api: Api, board: Board, make_key: MakeKey
) -> None:
    made = make_key("rankings:read")
    api.ok("GET", board.rankings, key=made["key"])
    assert api.call("DELETE", f"/v1/keys/{made['key_id']}").status in (200, 204)
    eventually(
        lambda: api.call("GET", board.rankings, key=made["key"]).status == 401, "the deleted key is refused"
    )
    api.fails(401, "unauthenticated", "GET", board.rankings, key=made["key"])


def test_a_disabled_key_is_forbidden_until_it_is_active(api: Api, board: Board, make_key: MakeKey) -> None:
    made = make_key("rankings:read")
    path = f"/v1/keys/{made['key_id']}"
    api.ok("GET", board.rankings, key=made["key"])
    assert api.ok("PATCH", path, {"status": "disabled"})["status"] == "disabled"
    eventually(
        lambda: api.call("GET", board.rankings, key=made["key"]).status == 403, "the disabled key is refused"
    )
    api.fails(403, "forbidden", "GET", board.rankings, key=made["key"])
    assert api.ok("PATCH", path, {"status": "active"})["status"] == "active"
    eventually(
        lambda: api.call("GET", board.rankings, key=made["key"]).status == 200, "the key is active again"
    )


def test_a_key_expires(api: Api, board: Board, make_key: MakeKey) -> None:
    key = make_key("rankings:read", expires_at=ahead(5))["key"]
    api.ok("GET", board.rankings, key=key)
    eventually(lambda: api.call("GET", board.rankings, key=key).status == 401, "the key expires")
    lasting = make_key("rankings:read", expires_at=ahead(3600))["key"]
    api.ok("GET", board.rankings, key=lasting)


# Scopes


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_opens_its_routes(scoped: dict[str, Api], board: Board, scope: str) -> None:
    for method, path, body in ROUTES[scope]:
        more = () if body is None else (body,)
        reply = scoped[scope].call(method, path.replace("{b}", board.path), *more)
        assert reply.status not in (401, 403), (method, path, reply.json)


@pytest.mark.parametrize("scope", [scope for scope in SCOPES if scope != "platform"])
def test_a_scope_opens_nothing_else(scoped: dict[str, Api], board: Board, scope: str) -> None:
    for needed, routes in ROUTES.items():
        if needed == scope or needed in ALSO_ALLOWED.get(scope, ()):
            continue
        for method, path, body in routes:
            more = () if body is None else (body,)
            scoped[scope].fails(403, "forbidden", method, path.replace("{b}", board.path), *more)


def test_an_unknown_scope_is_refused(api: Api) -> None:
    for scopes in (["rankings:read", "rankings:fly"], "rankings:read", [5]):
        api.fails(422, "validation_failed", "POST", "/v1/keys", {"name": "k", "scopes": scopes})


def test_keys_write_alone_cannot_mint_a_platform_key(scoped: dict[str, Api]) -> None:
    """Else the scope would open every tenant."""
    scoped["keys:write"].refuses({403, 422}, "POST", "/v1/keys", {"name": "k", "scopes": ["platform"]})


def test_overriding_the_aggregation_needs_leaderboards_write(
    api: Api, make_board: MakeBoard, make_key: MakeKey
) -> None:
    board = make_board()
    board.submit("p1", 10)
    body = {"player_id": "p1", "score": 3, "aggregation": "latest"}
    writer = api.with_key(make_key("scores:write")["key"])
    writer.fails(403, "forbidden", "POST", board.scores, body)
    batch = writer.ok("POST", board.scores, [body, {"player_id": "p2", "score": 4}])
    assert (batch["accepted"], [(e["index"], e["code"]) for e in batch["errors"]]) == (1, [(0, "forbidden")])
    assert board.standings() == [(1, "p1", 10), (2, "p2", 4)]
    both = api.with_key(make_key("scores:write", "leaderboards:write")["key"])
    answer = both.ok("POST", board.scores, body)
    assert (answer["applied"], answer["score"], answer["rank"]) == (True, 3, 2)


def test_a_bound_key_writes_its_player_alone(api: Api, make_board: MakeBoard, make_key: MakeKey) -> None:
    board = make_board()
    board.submit("other", 1)
    bound = api.with_key(make_key("scores:write", "rankings:read", player_id="me")["key"])
    assert bound.ok("POST", board.scores, {"player_id": "me", "score": 5})["rank"] == 1
    bound.fails(403, "forbidden", "POST", board.scores, {"player_id": "other", "score": 5})
    items = [{"player_id": "other", "score": 9}, {"player_id": "me", "score": 6}]
    routed = [item | {"leaderboard_id": board.id} for item in items]
    for path, body in ((board.scores, items), ("/v1/scores", routed)):
        answer = bound.ok("POST", path, body)
        assert (answer["accepted"], [(e["index"], e["code"]) for e in answer["errors"]]) == (
            1,
            [(0, "forbidden")],
        )
    bound.fails(403, "forbidden", "DELETE", board.player("other"))
    assert board.standings() == [(1, "me", 6), (2, "other", 1)]
    assert bound.get(board.rankings)["total"] == 2


# Tenants


def test_the_tenant_comes_from_the_key(api: Api, make_tenant: MakeTenant, make_key: MakeKey) -> None:
    tenant_id = make_tenant()
    key = make_key("leaderboards:write", "leaderboards:read", tenant_id=tenant_id)["key"]
    there = api.with_key(key)
    leaderboard_id = unique("own")
    there.ok("POST", "/v1/leaderboards", {"leaderboard_id": leaderboard_id}, status=201)
    path = f"/v1/leaderboards/{leaderboard_id}"
    assert there.ok("GET", path, headers={"X-Tenant-Id": tenant_id})["leaderboard_id"] == leaderboard_id
    assert api.in_tenant(tenant_id).get(path)["leaderboard_id"] == leaderboard_id
    api.fails(404, "leaderboard_not_found", "GET", path)
    assert api.call("GET", path, headers={"X-Tenant-Id": "default"}).status == 404


def test_another_tenant_in_the_header_is_forbidden(
    api: Api, make_tenant: MakeTenant, make_key: MakeKey
) -> None:
    own, other = make_tenant(), make_tenant()
    there = api.with_key(make_key("leaderboards:read", tenant_id=own)["key"])
    for tenant_id in (other, "default", "no-such-tenant"):
        there.fails(403, "forbidden", "GET", "/v1/leaderboards", headers={"X-Tenant-Id": tenant_id})


def test_a_platform_key_in_an_unknown_tenant(api: Api) -> None:
    there = api.in_tenant("no-such-tenant")
    there.fails(404, "tenant_not_found", "GET", "/v1/leaderboards")
    there.fails(404, "tenant_not_found", "POST", "/v1/leaderboards", {"leaderboard_id": "x"})


def test_nothing_crosses_a_tenant(api: Api, make_tenant: MakeTenant, make_board: MakeBoard) -> None:
    """The same leaderboard, player and submission ids in two tenants."""
    places = [api.in_tenant(make_tenant()) for _ in range(2)]
    boards = [make_board(there, leaderboard_id="xp") for there in places]
    for score, board in enumerate(boards, start=1):
        answer = board.submit("p1", score, submission_id="s1")
        assert answer["applied"] and not answer.get("duplicate")
        board.api.call("PUT", "/v1/players/p1", {"display_name": f"Name {score}"})
    for score, board in enumerate(boards, start=1):
        eventually_named(board, f"Name {score}")
        assert board.standings() == [(1, "p1", score)]
        assert [item["leaderboard_id"] for item in board.api.listing("/v1/leaderboards")] == ["xp"]
    places[0].call("DELETE", "/v1/players/p1")
    assert boards[1].standings() == [(1, "p1", 2)]


def test_a_disabled_tenant(api: Api, make_tenant: MakeTenant, make_key: MakeKey) -> None:
    tenant_id = make_tenant()
    there = api.with_key(make_key("leaderboards:read", tenant_id=tenant_id)["key"])
    there.ok("GET", "/v1/leaderboards")
    path = f"/v1/tenants/{tenant_id}"
    assert api.ok("PATCH", path, {"status": "disabled"})["status"] == "disabled"
    eventually(lambda: there.call("GET", "/v1/leaderboards").status == 403, "the tenant's keys are refused")
    there.fails(403, "forbidden", "GET", "/v1/leaderboards")
    assert api.ok("PATCH", path, {"status": "active"})["status"] == "active"
    eventually(lambda: there.call("GET", "/v1/leaderboards").status == 200, "the tenant's keys work again")


def test_a_key_of_a_deleted_tenant(api: Api, make_tenant: MakeTenant, make_key: MakeKey) -> None:
    tenant_id = make_tenant()
    key = make_key("leaderboards:read", tenant_id=tenant_id)["key"]
    assert api.call("DELETE", f"/v1/tenants/{tenant_id}").status in (200, 204)
    eventually(
        lambda: api.call("GET", "/v1/leaderboards", key=key).status in (401, 403), "its keys are refused"
    )
