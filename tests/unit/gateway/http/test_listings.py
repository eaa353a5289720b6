"""Listings that are paged while items come, go and move: whoever is there all the time is met once."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.http.cursors import listing_cursor
from gateway.http.listings import Asked, listing_of, part_of
from lbactors.core.errors import ApiError
from tests.support.gateway.fake_service import FakeService
from tests.support.gateway.http_client import Http

Item = tuple[int, str]


def key(item: Item) -> Item:
    return item


def ordered(items: set[Item], *, falling: bool) -> list[Item]:
    rising = sorted(items, key=lambda item: item[1])
    return sorted(rising, key=lambda item: item[0], reverse=falling)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 5))
def test_whoever_is_there_all_the_time_is_met_once(seed: int, falling: bool, limit: int) -> None:
    rng = random.Random(seed)
    items = {(rng.randrange(5), f"i{number}") for number in range(20)}
    stayed, met, after = set(items), [], None
    for _ in range(100):
        part, after = part_of(ordered(items, falling=falling), key, Asked(after, 0, limit), falling=falling)
        stayed &= items
        met += part
        if after is None:
            break
        for number in rng.sample(range(30), rng.randrange(4)):
            name = f"i{number}"
            items = {item for item in items if item[1] != name}
            if rng.random() < 0.7:
                items.add((rng.randrange(5), name))
    else:
        pytest.fail("a cursor runs in circles")
    assert [item for item in met if item in stayed] == ordered(stayed, falling=falling)
    assert len(met) == len(set(met))


def call_with(**query: Any) -> Any:
    def reading(document: dict[str, Any]) -> dict[str, Any]:
        return document

    return SimpleNamespace(query={"cursor": None, "offset": 0, "limit": 2, **query}, reading=reading)


def page(items: list[Item], **query: Any) -> Any:
    return listing_of(call_with(**query), items, lambda item: {"id": item[1]}, key, "filter")


def test_a_page_its_total_and_where_it_goes_on() -> None:
    items = [(number, f"i{number}") for number in range(4)]
    first = page(items)
    assert ([item["id"] for item in first["items"]], first["total"]) == (["i0", "i1"], 4)
    last = page(items, cursor=first["next_cursor"])
    assert ([item["id"] for item in last["items"]], last["next_cursor"]) == (["i2", "i3"], None)
    jumped = page(items, offset=3)
    assert ([item["id"] for item in jumped["items"]], jumped["next_cursor"]) == (["i3"], None)
    assert page(items, offset=9) == {"items": [], "total": 4, "next_cursor": None}
    assert page([], cursor=first["next_cursor"]) == {"items": [], "total": 0, "next_cursor": None}


@pytest.mark.parametrize("forged", [("1", "i1"), (1,), (1, "i1", 0), (1, 1), (2**60, "i1"), (True, "i1"), ()])
def test_a_key_of_another_shape_is_refused(forged: Any) -> None:
    with pytest.raises(ApiError) as caught:
        page([(1, "i1")], cursor=listing_cursor(forged, ("filter",)))
    assert caught.value.details[0]["loc"] == ["query", "cursor"]


async def walked(http: Http, path: str, name: str, change: Any = None, **query: Any) -> list[str]:
    """Every item's id, page by page, with a change after the first page."""
    body = (await http.get(path, limit=3, **query)).body
    found = [item[name] for item in body["items"]]
    if change is not None:
        await change()
    while body["next_cursor"] is not None:
        answer = await http.get(path, limit=3, cursor=body["next_cursor"], **query)
        body = answer.body
        assert answer.status == 200, orjson.dumps(body)
        found += [item[name] for item in body["items"]]
    return found


@pytest.mark.parametrize(
    "sort", ["leaderboard_id", "-leaderboard_id", "name", "-name", "created_at", "-updated_at"]
)
async def test_leaderboards_in_every_order(http: Http, service: FakeService, sort: str) -> None:
    for number in range(10):
        service.add_board(f"b{number}", name=f"{'😀' * 100}{'ß' * 90}{number}")

    async def change() -> None:
        del service.catalogue.all_boards["default", "b0"]
        del service.catalogue.all_boards["default", "b9"]
        service.add_board("a")
        service.add_board("z")

    found = await walked(http, "/v1/leaderboards", "leaderboard_id", change, sort=sort)
    stayed = [f"b{number}" for number in range(1, 9)]
    in_order = list(reversed(stayed)) if sort in ("-leaderboard_id", "-name") else stayed
    assert [board_id for board_id in found if board_id in stayed] == in_order
    assert len(found) == len(set(found))


async def test_hidden_players_that_are_shown_again_meanwhile(http: Http) -> None:
    for number in range(9):
        await http.post(f"/v1/players/p{number}/hide", {})

    async def change() -> None:
        await http.post("/v1/players/p0/unhide", {})
        await http.post("/v1/players/p2/unhide", {})

    found = await walked(http, "/v1/hidden-players", "player_id", change)
    assert found == [f"p{number}" for number in range(9)]


async def test_deliveries_that_change_and_go_meanwhile(http: Http, service: FakeService) -> None:
    webhook = service.webhooks.add("default", url="https://game.example/hook")
    names = [service.webhooks.deliver(webhook, number) for number in range(10)]
    path = f"/v1/webhooks/{webhook.webhook_id}/deliveries"
    documents = service.webhooks.documents.of["deliveries"]

    async def change() -> None:
        service.webhooks.deliver(webhook, 10)  # a newer one
        for number in (2, 8):  # one is delivered, in either part
            body = documents.pop(f"p/{webhook.listener}/{names[number]}")
            documents[f"d/{webhook.listener}/{names[number]}"] = body
        del documents[f"p/{webhook.listener}/{names[9]}"]  # and one is forgotten

    found = await walked(http, path, "delivery_id", change)
    assert found == list(reversed(names))
