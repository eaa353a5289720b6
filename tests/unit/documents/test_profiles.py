"""Profiles in both stores: how they are listed, and what other players see of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lbactors.core.ids import in_tenant
from lbactors.core.packing import pack
from lbactors.documents.hidden_players import HIDDEN, SHOWN, Hidden
from lbactors.documents.labels import LABELS, TEST_PLAYERS, index_changes
from lbactors.documents.profiles import (
    PROFILES,
    Found,
    Wanted,
    profile_json,
    search_profiles,
    without_private,
)
from persistence import open_store
from persistence.store import Change, Store

NOW_MS = 1_000_000
PLAYERS: dict[str, dict[str, Any]] = {
    "a/1": {"display_name": "Maya", "roles": ["vip"], "tags": ["beta"]},
    "b": {"display_name": "BJÖRN", "roles": ["vip", "a/b"], "test": True},
    "c": {"external_id": "CRM-1042", "tags": ["beta"]},
    "d": {},
}


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = open_store(url)
    await store.open()
    epoch = await store.take_ownership("supervisor")
    changes: list[Change] = []
    for tenant_id in ("t", "t2"):
        for player_id, fields in PLAYERS.items():
            stored = {"player_id": player_id, "updated_at": "", **fields}
            changes.append(Change(PROFILES, in_tenant(tenant_id, player_id), pack(stored)))
            changes += index_changes(tenant_id, player_id, None, stored)
    changes.append(Change(HIDDEN, "t/b", pack(list(Hidden(1, None, None, None)))))
    await store.commit(changes, owner="supervisor", epoch=epoch)
    yield store
    await store.close()


async def search(store: Store, after: str = "", offset: int = 0, limit: int = 10, **wanted: str) -> Found:
    return await search_profiles(store, "t", Wanted(**wanted), after, offset, limit, NOW_MS)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["a/1", "b", "c", "d"]),
        ({"search": "maya"}, ["a/1"]),
        ({"search": "björn"}, ["b"]),
        ({"search": "crm-"}, ["c"]),
        ({"search": "A/"}, ["a/1"]),
        ({"tag": "beta"}, ["a/1", "c"]),
        ({"role": "vip"}, ["a/1", "b"]),
        ({"role": "a/b"}, ["b"]),
        ({"role": "a"}, []),
        ({"role": "vip", "tag": "beta"}, ["a/1"]),
        ({"role": "vip", "search": "b"}, ["b"]),
        ({"tag": "vip"}, []),
    ],
)
async def test_search(store: Store, wanted: dict[str, str], found: list[str]) -> None:
    items, total, more = await search(store, **wanted)
    assert ([item["player_id"] for item in items], total, more) == (found, len(found), False)


async def test_pages(store: Store) -> None:
    first = await search(store, limit=2, role="vip")
    assert ([item["player_id"] for item in first.items], first.total, first.more) == (["a/1", "b"], 2, False)
    seen: list[str] = []
    while True:
        items, total, more = await search(store, after=seen[-1] if seen else "", limit=1)
        assert total == 4
        seen += [item["player_id"] for item in items]
        if not more:
            break
    assert seen == list(PLAYERS)
    assert [item["player_id"] for item in (await search(store, offset=1, limit=2)).items] == ["b", "c"]


async def test_a_listed_profile_says_what_the_single_one_says(store: Store) -> None:
    (item,) = (await search(store, search="björn")).items
    assert item["hidden_until"] == "2999-12-31T23:59:59.999Z"
    assert (item["test"], item["timezone"], item["external_id"]) == (True, None, None)


async def test_the_index_follows_profiles(store: Store) -> None:
    before = {"roles": ["x", "y", "x"], "tags": ["t"], "test": True}
    after = {"roles": ["y", "z"], "tags": ["t"], "test": False}
    made = {(c.collection, c.doc_id, c.body is None) for c in index_changes("t", "p", before, after)}
    assert made == {
        (LABELS, "t/role/x/p", True),
        (LABELS, "t/role/z/p", False),
        (TEST_PLAYERS, "t/p", True),
    }
    assert index_changes("t", "p", after, after) == []
    gone = index_changes("t", "p", after, None)
    assert [c.doc_id for c in gone] == ["t/role/y/p", "t/role/z/p", "t/tag/t/p"]
    assert all(c.body is None for c in gone)


def test_other_players_do_not_see_what_is_private() -> None:
    stored = {"player_id": "p", "updated_at": "", "display_name": "P", "external_id": "crm-1", "test": True}
    shown = without_private(profile_json(stored, Hidden(1, None, None, None), NOW_MS))
    plain = without_private(
        profile_json({"player_id": "p", "updated_at": "", "display_name": "P"}, SHOWN, NOW_MS)
    )
    assert shown == plain and shown["display_name"] == "P"
