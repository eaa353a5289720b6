"""The zones of players, as a gateway knows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from lbactors.core.errors import ApiError
from lbactors.service.profiles import Profiles
from persistence.store import StoreUnavailable


class Stored:
    """Profiles of a store, which may be away; `asked`: the ids of each look."""

    def __init__(self, zones: dict[str, str | None]) -> None:
        self.zones = zones
        self.profiles: dict[str, dict[str, Any]] = {}  # whole ones
        self.after_look: Callable[[], None] | None = None
        self.is_away = False
        self.asked: list[list[str]] = []

    async def get(self, collection: str, ids: list[str]) -> list[bytes | None]:
        if self.is_away:
            raise StoreUnavailable("away")
        self.asked.append([i.removeprefix("t/") for i in ids])
        found = {i: {"timezone": zone} for i, zone in self.zones.items()} | self.profiles
        bodies = [
            msgpack.packb(found[i]) if i in found else None for i in (i.removeprefix("t/") for i in ids)
        ]
        if self.after_look is not None:
            self.after_look()
            self.after_look = None
        return bodies


@pytest.fixture
def stored() -> Stored:
    return Stored({"a": "Asia/Tokyo", "b": None})


@pytest.fixture
def profiles(stored: Stored) -> Profiles:
    store: Any = stored
    return Profiles(store)


async def test_each_in_its_place_and_none_asked_twice(stored: Stored, profiles: Profiles) -> None:
    assert await profiles.zones("t", ["b", "a", "nobody", "a"]) == ["UTC", "Asia/Tokyo", "UTC", "Asia/Tokyo"]
    assert await profiles.zones("t", ["a", "nobody"]) == ["Asia/Tokyo", "UTC"]
    assert stored.asked == [["b", "a", "nobody"]]


async def test_a_changed_zone_holds_at_once(stored: Stored, profiles: Profiles) -> None:
    await profiles.zones("t", ["a"])
    stored.zones["a"] = "Europe/Rome"
    profiles.changed("t", "a")
    assert await profiles.zones("t", ["a"]) == ["Europe/Rome"]


async def test_while_the_store_is_away_what_was_read_is_used(stored: Stored, profiles: Profiles) -> None:
    await profiles.zones("t", ["a"])
    stored.is_away = True
    profiles.changed("", "")  # anything may have changed, as after a supervisor's end
    assert await profiles.zones("t", ["a"]) == ["Asia/Tokyo"]
    with pytest.raises(ApiError) as caught:
        await profiles.zones("t", ["a", "new"])
    assert caught.value.code == "storage_unavailable", "a score may not count on the wrong date"


# What rows of logs say of players -------------------------------------------------------------------------


async def facts(profiles: Profiles, *player_ids: str) -> dict[str, Any]:
    found = await profiles.facts("t", list(player_ids))
    return {player_id: msgpack.unpackb(packed) for player_id, packed in found.items()}


async def test_rows_say_of_players_what_filters_see(profiles: Profiles, stored: Stored) -> None:
    stored.profiles = {
        "all": {
            "display_name": "A",
            "avatar_url": "https://example.org/a.png",
            "metadata": {"x": 1},
            "attributes": {"level": 9},
            "tags": ["eu"],
            "roles": ["vip"],
            "timezone": "Asia/Tokyo",
        },
        "empty": {"display_name": "E", "attributes": {}, "tags": [], "roles": [], "timezone": None},
    }
    assert await facts(profiles, "all", "empty", "nobody") == {
        "all": {"attributes": {"level": 9}, "tags": ["eu"], "roles": ["vip"], "timezone": "Asia/Tokyo"},
        "empty": {},
    }
    assert await facts(profiles) == {}


async def test_facts_are_asked_for_once_and_hold_until_they_change(
    profiles: Profiles, stored: Stored
) -> None:
    for _ in range(2):
        assert await facts(profiles, "a", "b", "nobody") == {"a": {"timezone": "Asia/Tokyo"}, "b": {}}
    assert stored.asked == [["a", "b", "nobody"]]
    stored.zones["a"] = "Europe/Rome"
    profiles.changed("t", "a")
    assert await facts(profiles, "a", "b") == {"a": {"timezone": "Europe/Rome"}, "b": {}}
    assert stored.asked[1:] == [["a"]]


async def test_facts_that_change_while_they_are_read_are_not_kept(profiles: Profiles, stored: Stored) -> None:
    """The row that was about to go has either; the next one has the new ones."""

    def change() -> None:
        stored.zones["a"] = "Europe/Rome"
        profiles.changed("t", "a")

    stored.after_look = change
    assert await facts(profiles, "a") == {"a": {"timezone": "Asia/Tokyo"}}
    assert await facts(profiles, "a") == {"a": {"timezone": "Europe/Rome"}}


async def test_without_the_store_no_row_is_judged_by_a_profile_that_is_not_known(
    profiles: Profiles, stored: Stored
) -> None:
    assert await facts(profiles, "a") == {"a": {"timezone": "Asia/Tokyo"}}
    stored.is_away = True
    assert await facts(profiles, "a") == {"a": {"timezone": "Asia/Tokyo"}}, "it cannot have changed unheard"
    with pytest.raises(ApiError) as caught:
        await facts(profiles, "a", "new")
    assert caught.value.code == "storage_unavailable"
    profiles.changed("", "")
    with pytest.raises(ApiError):
        await facts(profiles, "a")
