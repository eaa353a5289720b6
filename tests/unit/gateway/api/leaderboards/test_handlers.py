"""Definitions over HTTP: what goes to the supervisor, listings, versions."""

from __future__ import annotations

from typing import Any

import pytest

from lbactors.service.logs import ProjectionStatus
from tests.support.gateway.fake_service import FakeService
from tests.support.gateway.http_client import MSGPACK, Http

BOARDS = "/v1/leaderboards"


async def test_create_and_get(http: Http) -> None:
    created = await http.post(BOARDS, {"leaderboard_id": "a:b", "windows": ["daily"]})
    assert (created.status, created.headers["Location"]) == (201, "/v1/leaderboards/a%3Ab")
    assert created.headers["ETag"] == '"1"'
    got = await http.get(f"{BOARDS}/a:b")
    assert got.body == created.body
    assert (got.body["name"], got.body["windows"], got.body["version"]) == ("a:b", ["daily"], 1)
    packed = await http.get(f"{BOARDS}/a:b", {"Accept": MSGPACK})
    assert packed.body == got.body
    assert (await http.post(BOARDS, {"leaderboard_id": "a:b"})).code == "leaderboard_exists"


@pytest.mark.parametrize(
    ("body", "status", "loc"),
    [
        (b"[]", 422, ["body"]),
        (b"{}", 422, ["body", "leaderboard_id"]),
        (b'{"leaderboard_id":"x","metadata":{"a":1e400}}', 422, ["body", "metadata", "a"]),
        (b'{"leaderboard_id":"x","metadata":{"a":99999999999999999999}}', 422, ["body", "metadata", "a"]),
        (b'{"leaderboard_id":"x","colour":1}', 422, ["body", "colour"]),
    ],
)
async def test_bad_definitions(http: Http, body: bytes, status: int, loc: list[str]) -> None:
    answer = await http.post(BOARDS, body)
    assert (answer.status, answer.loc) == (status, loc)


async def test_absent_bodies(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    for method, path in (("POST", BOARDS), ("PATCH", f"{BOARDS}/xp"), ("PUT", "/v1/players/p")):
        answer = await http.send(method, path, b"")
        assert (answer.status, answer.code) == (400, "malformed_body"), path


async def test_idempotency_keys(http: Http, service: FakeService) -> None:
    key = {"Idempotency-Key": "once"}
    first = await http.post(BOARDS, {"leaderboard_id": "a"}, key)
    assert (await http.post(BOARDS, {"leaderboard_id": "a"}, key)).body == first.body
    assert (await http.post(BOARDS, {"leaderboard_id": "b"}, key)).code == "idempotency_conflict"
    assert (await http.post(f"{BOARDS}/a/periods/current/close", None, key)).code == "idempotency_conflict"
    bad = await http.post(BOARDS, {"leaderboard_id": "c"}, {"Idempotency-Key": "x" * 121})
    assert bad.loc == ["header", "Idempotency-Key"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('"1"', 200),
        ('W/"1"', 200),
        ("*", 200),
        ('"7", "1"', 200),
        ('"2"', 412),
        ('"7", "8"', 412),
        ("1", 412),
        ('"one"', 412),
        ("", 412),
        ('"1', 412),
        ('"' + "9" * 30 + '"', 412),
    ],
)
async def test_if_match(http: Http, service: FakeService, header: str, status: int) -> None:
    service.add_board("xp")
    answer = await http.send("PATCH", f"{BOARDS}/xp", {"name": "New"}, {"If-Match": header})
    assert answer.status == status
    if status == 412:
        assert answer.code == "version_mismatch"
        assert (await http.get(f"{BOARDS}/xp")).body["version"] == 1
    else:
        assert (answer.headers["ETag"], answer.body["name"]) == ('"2"', "New")


async def test_if_none_match(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    for header in ('"1"', 'W/"1"', "*", '"5", "1"'):
        answer = await http.get(f"{BOARDS}/xp", {"If-None-Match": header})
        assert (answer.status, answer.headers["ETag"]) == (304, '"1"')
    assert (await http.get(f"{BOARDS}/xp", {"If-None-Match": '"2"'})).status == 200


async def test_archive_and_purge(http: Http, service: FakeService) -> None:
    service.add_board("xp")
    assert (await http.send("DELETE", f"{BOARDS}/xp")).body["status"] == "archived"
    assert (await http.get(f"{BOARDS}/xp/rankings")).status == 200
    assert (await http.send("DELETE", f"{BOARDS}/xp", purge="yes")).loc == ["query", "purge"]
    assert (await http.send("DELETE", f"{BOARDS}/xp", purge=True)).status == 200
    for method in ("GET", "PATCH", "DELETE"):
        body = {} if method == "PATCH" else None
        assert (await http.send(method, f"{BOARDS}/xp", body)).code == "leaderboard_not_found"


async def test_listing(http: Http, service: FakeService) -> None:
    for name in ("b", "a", "c"):
        service.add_board(
            name, name=f"Board {'cab'['abc'.index(name)]}", status="inactive" if name == "c" else "active"
        )

    async def listed(**query: Any) -> list[str]:
        return [item["leaderboard_id"] for item in (await http.get(BOARDS, **query)).body["items"]]

    assert await listed() == ["a", "b", "c"]
    assert await listed(sort="-leaderboard_id") == ["c", "b", "a"]
    assert await listed(sort="name") == ["b", "c", "a"]
    assert await listed(sort="-name") == ["a", "c", "b"]
    assert await listed(sort="-created_at") == ["a", "b", "c"]
    assert await listed(status="inactive") == ["c"]
    assert await listed(search="BOARD A") == ["b"]
    assert await listed(search="") == ["a", "b", "c"]
    assert await listed(offset=1, limit=1) == ["b"]
    assert (await http.get(BOARDS, status="gone")).loc == ["query", "status"]
    assert (await http.get(BOARDS, sort="size")).loc == ["query", "sort"]


async def test_listings_go_by_display_order_then_age(http: Http, service: FakeService) -> None:
    boards = service.catalogue.all_boards
    for name, order, made_ms in (("a", 2, 0), ("b", 0, 30), ("c", -1, 40), ("d", 0, 20), ("e", 0, 20)):
        board = service.add_board(name, display_order=order)
        boards["default", name] = board._replace(created_at_ms=made_ms)

    async def walked(**query: Any) -> str:
        found, cursor = "", ""
        while cursor is not None:
            body = (await http.get(BOARDS, limit=2, cursor=cursor, **query)).body
            found += "".join(item["leaderboard_id"] for item in body["items"])
            cursor = body["next_cursor"]
        return found

    assert await walked() == await walked(sort="display_order") == "cdeba"
    assert await walked(sort="-display_order") == "adebc"
    assert await walked(sort="leaderboard_id") == "abcde"


TRANSLATED: dict[str, Any] = {
    "name": "Week",
    "description": "Seven days",
    "display": {"score_label": "Points"},
    "translations": {
        "it": {"name": "Settimana", "score_label": "Punti"},
        "it-CH": {"description": "Sette giorni"},
    },
}


async def test_one_in_a_language(http: Http, service: FakeService) -> None:
    service.add_board("xp", **TRANSLATED)

    async def shown(**query: Any) -> tuple[str, str, str, str]:
        answer = await http.get(f"{BOARDS}/xp", **query)
        body = answer.body
        assert body["translations"] == TRANSLATED["translations"]
        return answer.headers["ETag"], body["name"], body["description"], body["display"]["score_label"]

    own = ('"1"', "Week", "Seven days", "Points")
    assert await shown() == await shown(lang="") == await shown(lang="de") == await shown(lang="?") == own
    assert (
        await shown(lang="it-IT") == await shown(lang="IT") == ('"1-it"', "Settimana", "Seven days", "Punti")
    )
    assert await shown(lang="it_CH") == ('"1-it-CH"', "Settimana", "Sette giorni", "Punti")
    assert (await http.get(f"{BOARDS}/xp", lang="x" * 36)).loc == ["query", "lang"]


async def test_the_tag_of_a_language(http: Http, service: FakeService) -> None:
    """It is not that of another language, and a change may be bound to it."""
    service.add_board("xp", **TRANSLATED)
    path, tag = f"{BOARDS}/xp", {"If-None-Match": '"1-it"'}
    assert (await http.get(path, tag, lang="it")).status == 304
    for query in ({}, {"lang": "it-CH"}, {"lang": "de"}):
        assert (await http.get(path, tag, **query)).status == 200, query
    patched = await http.send("PATCH", path, {"name": "New"}, {"If-Match": '"1-it"'})
    assert (patched.status, patched.headers["ETag"], patched.body["name"]) == (200, '"2"', "New")
    assert (await http.get(path, tag, lang="it")).status == 200
    assert (await http.send("PATCH", path, {}, {"If-Match": '"1-it"'})).code == "version_mismatch"


async def test_a_listing_in_a_language(http: Http, service: FakeService) -> None:
    service.add_board("a", **TRANSLATED)
    service.add_board("b", name="Tag", translations={"de": {"name": "Anders"}})

    async def listed(**query: Any) -> list[str]:
        return [item["name"] for item in (await http.get(BOARDS, **query)).body["items"]]

    assert await listed() == await listed(lang="fr") == ["Week", "Tag"]
    assert await listed(lang="it") == ["Settimana", "Tag"]
    assert await listed(lang="it", sort="name") == ["Settimana", "Tag"]
    assert await listed(lang="de", sort="name") == ["Anders", "Week"]
    assert await listed(search="settim") == []
    assert await listed(search="settim", lang="it") == await listed(search="week", lang="it") == ["Settimana"]
    plain, italian = await http.get(BOARDS), await http.get(BOARDS, lang="it")
    assert plain.headers["ETag"] != italian.headers["ETag"]
    cursor = (await http.get(BOARDS, limit=1, lang="it")).body["next_cursor"]
    assert (await http.get(BOARDS, limit=1, lang="de", cursor=cursor)).loc == ["query", "cursor"]
    assert [i["name"] for i in (await http.get(BOARDS, lang="it", cursor=cursor)).body["items"]] == ["Tag"]


async def test_listing_by_cursor(http: Http, service: FakeService) -> None:
    for number in range(7):
        service.add_board(f"b{number}")
    answer = await http.get(BOARDS, limit=3, sort="-name")
    found = list(answer.body["items"])
    while answer.body["next_cursor"]:
        assert answer.body["total"] == 7
        answer = await http.get(BOARDS, limit=3, sort="-name", cursor=answer.body["next_cursor"])
        found += answer.body["items"]
    assert [item["leaderboard_id"] for item in found] == [f"b{n}" for n in range(6, -1, -1)]
    cursor = (await http.get(BOARDS, limit=3)).body["next_cursor"]
    assert (await http.get(BOARDS, cursor=cursor, status="active")).loc == ["query", "cursor"]
    assert (await http.get(BOARDS, cursor=cursor, offset=2)).loc == ["query", "offset"]


async def test_how_far_a_projection_is(http: Http, service: FakeService) -> None:
    service.add_board("coins", scoring={"source": "metric", "metric": "coins"})
    service.logs.projections["coins"] = ProjectionStatus("filling", 10, 50, 2.5)
    told = {"state": "filling", "rows_read": 10, "rows": 50, "behind_seconds": 2.5}
    first = await http.get(f"{BOARDS}/coins")
    assert (first.body["projection"], first.headers["ETag"]) == (told, 'W/"1"')
    service.logs.projections["coins"] = ProjectionStatus("live", 50, 50, 0)
    again = await http.get(f"{BOARDS}/coins", {"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body["projection"]["state"]) == (200, "live")  # no version tells of it
    service.logs.projections.clear()
    assert (await http.get(f"{BOARDS}/coins")).body["projection"] is None
    changed = await http.send("PATCH", f"{BOARDS}/coins", {"name": "C"}, {"If-Match": first.headers["ETag"]})
    assert changed.status == 200
    stale = await http.send("PATCH", f"{BOARDS}/coins", {"name": "D"}, {"If-Match": first.headers["ETag"]})
    assert stale.status == 412


async def test_listings_do_not_ask_how_far(http: Http, service: FakeService) -> None:
    service.add_board("coins", scoring={"source": "metric", "metric": "coins"})
    (shown,) = (await http.get(BOARDS)).body["items"]
    assert "projection" not in shown
