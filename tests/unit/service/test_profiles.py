"""The zones of players, as a gateway knows them."""

from __future__ import annotations

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
        self.is_away = False
        self.asked: list[list[str]] = []

    async def get(self, collection: str, ids: list[str]) -> list[bytes | None]:
        if self.is_away:
            raise StoreUnavailable("away")
        self.asked.append([i.removeprefix("t/") for i in ids])
        found = (i.removeprefix("t/") for i in ids)
        return [msgpack.packb({"timezone": self.zones[i]}) if i in self.zones else None for i in found]


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
