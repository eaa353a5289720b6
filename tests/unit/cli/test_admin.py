"""The commands of players, keys and tenants, against the fake server."""

from __future__ import annotations

from typing import Any

from tests.support.command import ok
from tests.support.fake_api import FakeApi


def test_players_keys_tenants_reach_their_routes(api: FakeApi) -> None:
    calls: dict[tuple[str, ...], tuple[str, Any]] = {
        ("players", "list"): ("GET /v1/players?limit=100", None),
        ("players", "list", "--search", "ma", "--tag", "eu", "--role", "vip"): (
            "GET /v1/players?search=ma&tag=eu&role=vip&limit=100",
            None,
        ),
        ("players", "show", "maya"): ("GET /v1/players/maya/entries", None),
        ("players", "rename", "maya", "M"): ("PATCH /v1/players/maya", {"display_name": "M"}),
        ("players", "erase", "maya", "--yes"): ("DELETE /v1/players/maya", None),
        ("keys", "list"): ("GET /v1/keys?limit=100", None),
        ("keys", "create", "k", "--scope", "scores:write", "--scope", "rankings:read", "--player", "maya"): (
            "POST /v1/keys",
            {"name": "k", "scopes": ["scores:write", "rankings:read"], "player_id": "maya"},
        ),
        ("keys", "disable", "k_1"): ("PATCH /v1/keys/k_1", {"status": "disabled"}),
        ("keys", "enable", "k_1"): ("PATCH /v1/keys/k_1", {"status": "active"}),
        ("keys", "delete", "k_1", "--yes"): ("DELETE /v1/keys/k_1", None),
        ("tenants", "list"): ("GET /v1/tenants?limit=100", None),
        ("tenants", "create", "a"): ("POST /v1/tenants", {"tenant_id": "a", "name": "a"}),
        ("tenants", "disable", "a"): ("PATCH /v1/tenants/a", {"status": "disabled"}),
        ("tenants", "enable", "a"): ("PATCH /v1/tenants/a", {"status": "active"}),
        ("tenants", "delete", "a", "--yes"): ("DELETE /v1/tenants/a", None),
    }
    for arguments, (path, body) in calls.items():
        ok(*arguments)
        assert (api.paths()[-1], api.requests[-1][3]) == (path, body)
    assert "lb_new" in ok("keys", "create", "k", "--scope", "platform")
