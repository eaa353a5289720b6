"""Profiles over HTTP, and erasure."""

from __future__ import annotations

from tests.support.gateway.http_client import Http


async def test_profiles(http: Http) -> None:
    path = "/v1/players/p%2F1"
    assert (await http.get(path)).code == "player_not_found"
    written = await http.send("PUT", path, {"display_name": "Maya", "attributes": {"a": [1, None]}})
    assert (written.status, written.body["player_id"]) == (200, "p/1")
    read = await http.get(path)
    assert read.body == written.body and read.headers["ETag"] == f'"{read.body["version"]}"'
    patched = await http.send(
        "PATCH", path, {"attributes": {"b": 1}}, {"If-Match": f"W/{read.headers['ETag']}"}
    )
    assert (patched.body["display_name"], patched.body["attributes"]) == ("Maya", {"a": [1, None], "b": 1})
    stale = await http.send("PUT", path, {"display_name": "M"}, {"If-Match": read.headers["ETag"]})
    assert (stale.status, stale.code) == (412, "version_mismatch")
    assert (await http.get(path)).body == patched.body
    assert (await http.send("PUT", path, {"nickname": "x"})).loc == ["body", "nickname"]
    assert (await http.send("DELETE", path)).status == 200
    assert (await http.send("DELETE", path)).code == "player_not_found"
