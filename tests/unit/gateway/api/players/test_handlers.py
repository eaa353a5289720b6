"""Profiles over HTTP, and erasure."""

from __future__ import annotations

from tests.support.gateway.http_client import Http


async def test_profiles(http: Http) -> None:
    path = "/v1/players/p%2F1"
    assert (await http.get(path)).code == "player_not_found"
    written = await http.send("PUT", path, {"display_name": "Maya", "attributes": {"a": [1, None]}})
    assert (written.status, written.body["player_id"]) == (200, "p/1")
    assert (await http.get(path)).body == written.body
    assert (await http.send("PUT", path, {"nickname": "x"})).loc == ["body", "nickname"]
    assert (await http.send("DELETE", path)).status == 200
    assert (await http.send("DELETE", path)).code == "player_not_found"
