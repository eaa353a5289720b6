"""Profiles through the supervisor: who may change what, and the index of roles, tags and test players."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.packing import pack
from lbactors.documents.labels import INDEXED, LABELS, TEST_PLAYERS
from lbactors.documents.profiles import PROFILES
from persistence.store import Change
from tests.support.supervisor.local_supervisor import LocalServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        yield server


async def indexed(server: LocalServer, tenant_id: str = "default") -> set[str]:
    store = server.supervisor.state.store
    labels = await store.scan(LABELS, prefix=f"{tenant_id}/")
    tests = await store.scan(TEST_PLAYERS, prefix=f"{tenant_id}/")
    return {doc_id.partition("/")[2] for doc_id, _ in labels} | {f"test {doc_id}" for doc_id, _ in tests}


async def test_profile_and_index_change_together(server: LocalServer) -> None:
    await server.command(
        "put_player", player_id="p", profile={"roles": ["vip"], "tags": ["a/b"], "test": True}
    )
    assert await indexed(server) == {"role/vip/p", "tag/a%2Fb/p", "test default/p"}
    await server.command("patch_player", player_id="p", patch={"roles": ["mod"], "test": None})
    assert await indexed(server) == {"role/mod/p", "tag/a%2Fb/p"}
    await server.command("put_player", player_id="p", profile={})
    assert await indexed(server) == set()
    await server.command("put_player", player_id="p", profile={"tags": ["t"], "test": True})
    await server.command("erase_player", player_id="p")
    assert await indexed(server) == set()


async def test_a_tenant_goes_with_its_index(server: LocalServer) -> None:
    await server.command("create_tenant", tenant={"tenant_id": "studio"})
    await server.command("put_player", "studio", player_id="p", profile={"roles": ["vip"], "test": True})
    assert await indexed(server, "studio")
    await server.command("delete_tenant", tenant_id="studio")
    assert await indexed(server, "studio") == set()


async def test_profiles_of_an_older_version_are_indexed_once(server: LocalServer) -> None:
    state = server.supervisor.state
    old = {"player_id": "p", "roles": ["vip"], "tags": [], "updated_at": "2026-01-01T00:00:00.000Z"}
    await state.commit([Change(PROFILES, "default/p", pack(old)), Change(LABELS, INDEXED, None)])
    await server.actor.stop()
    async with LocalServer(server.folder) as again:
        assert await indexed(again) == {"role/vip/p"}
        await again.supervisor.state.commit([Change(LABELS, "default/role/vip/p", None)])
        await again.actor.stop()
    async with LocalServer(server.folder) as third:
        assert await indexed(third) == set()


async def test_a_player_decides_nothing_that_audiences_go_by(server: LocalServer) -> None:
    async def refused(name: str, **fields: Any) -> str:
        with pytest.raises(ApiError) as caught:
            await server.command(name, player_id="p", by_player=True, **fields)
        assert caught.value.code == "forbidden"
        return caught.value.message.partition(":")[0]

    decided = {"roles": ["vip"], "tags": ["beta"], "test": True, "external_id": "crm-1"}
    for name, value in decided.items():
        assert await refused("put_player", profile={name: value}) == name
        assert await refused("patch_player", patch={name: value}) == name
    await server.command("put_player", player_id="p", profile=decided)
    own = {"display_name": "P", "timezone": "Asia/Tokyo"}
    shown = await server.command("put_player", player_id="p", by_player=True, profile=own)
    assert {name: shown[name] for name in decided} == decided
    shown = await server.command("patch_player", player_id="p", by_player=True, patch={"roles": ["vip"]})
    assert {name: shown[name] for name in own} == own
    for name in decided:
        assert await refused("patch_player", patch={name: None}) == name
