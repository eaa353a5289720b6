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


async def test_the_listing_goes_on_from_page_to_page(http: Http) -> None:
    for name in ("ada", "bob", "cyd"):
        assert (await http.send("PUT", f"/v1/players/{name}", {"display_name": name.upper()})).status == 200
    first = await http.get("/v1/players?limit=2")
    assert [item["player_id"] for item in first.body["items"]] == ["ada", "bob"] and first.body["total"] == 3
    second = await http.get(f"/v1/players?limit=2&cursor={first.body['next_cursor']}")
    assert [item["player_id"] for item in second.body["items"]] == ["cyd"]
    assert second.body["next_cursor"] is None
    other = await http.get(f"/v1/players?search=a&cursor={first.body['next_cursor']}")
    assert (other.status, other.loc) == (422, ["query", "cursor"])


async def test_the_new_fields_are_judged(http: Http) -> None:
    for body, loc in (
        ({"timezone": "Europe/Roma"}, ["body", "timezone"]),
        ({"timezone": ""}, ["body", "timezone"]),
        ({"test": "yes"}, ["body", "test"]),
        ({"external_id": ""}, ["body", "external_id"]),
        ({"external_id": "a\nb"}, ["body", "external_id"]),
    ):
        refused = await http.send("PUT", "/v1/players/p", body)
        assert (refused.status, refused.loc) == (422, loc), body
    fields = {"timezone": "Europe/Rome", "test": True, "external_id": "crm-1"}
    written = await http.send("PUT", "/v1/players/p", fields)
    assert {name: written.body[name] for name in fields} == fields
    patched = await http.send("PATCH", "/v1/players/p", {"timezone": None})
    assert (patched.body["timezone"], patched.body["test"]) == (None, True)
