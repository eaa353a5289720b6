"""Keys: told again to a repeat, and dead for ever once they are deleted."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lbactors.core.model import Key
from lbactors.documents.entities import pack_key, unpack_key
from persistence.store import Change
from tests.support.supervisor.local_supervisor import NOON_MS, WHO, LocalServer

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
KEY = {"name": "game", "scopes": ["scores:write"]}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def create(server: LocalServer, idempotency_key: str = "K", tenant: str = "default") -> dict[str, Any]:
    return await server.command_as(
        WHO, "create_key", tenant, idempotency=[idempotency_key, "digest"], key=KEY
    )


def keys_of(server: LocalServer) -> list[Key]:
    return [unpack_key(body) for body in server.supervisor.state.documents["keys"].values()]


def works(server: LocalServer, text: str) -> bool:
    """Whether this is the text of a key that is active. Of two keys it never is."""
    hashes = [key.key_hash for key in keys_of(server)]
    assert len(set(hashes)) == len(hashes)
    return any(key.key_hash == digest(text) and key.status == "active" for key in keys_of(server))


async def test_a_repeat_is_told_the_same_key_as_long_as_it_is_remembered(tmp_path: Path) -> None:
    async with LocalServer(tmp_path / "data") as server:
        first = await create(server)
        server.clock.move(DAY_MS - HOUR_MS)
        assert await create(server) == first and works(server, first["key"])


@pytest.mark.parametrize("deleted", [True, False])
async def test_the_same_request_after_that_makes_another_key(tmp_path: Path, deleted: bool) -> None:
    async with LocalServer(tmp_path / "data") as server:
        first = await create(server)
        if deleted:
            await server.command("delete_key", key_id=first["key_id"])
        server.clock.move(DAY_MS + 1)
        second = await create(server)
        assert first["key"] != second["key"] and first["key_id"] != second["key_id"]
        assert works(server, second["key"]) and works(server, first["key"]) is not deleted


async def test_the_key_of_a_deleted_tenant_does_not_come_back_with_it(tmp_path: Path) -> None:
    async with LocalServer(tmp_path / "data") as server:
        await server.command("create_tenant", tenant={"tenant_id": "studio"})
        first = await create(server, tenant="studio")
        await server.command("delete_tenant", tenant_id="studio")
        await server.command("create_tenant", tenant={"tenant_id": "studio"})
        second = await create(server, tenant="studio")
        assert works(server, second["key"]) and not works(server, first["key"])


async def test_what_is_stored_for_good_does_not_tell_a_key(tmp_path: Path) -> None:
    """Who reads the store later and guesses the request cannot make the key that it was answered with."""
    async with LocalServer(tmp_path / "data") as server:
        first = await create(server)
        server.clock.move(2 * DAY_MS)
        await create(server, "another")
        store = server.supervisor.state.store
        (pepper,) = await store.get("secrets", ["pepper"])
        remembered = await store.scan("idempotency")
        assert pepper is not None and len(remembered) == 1, "the first answer is forgotten"
        guessed = hmac.new(pepper, b"default/K/digest", hashlib.sha256).hexdigest()[:48]
        assert first["key"] != f"lb_{guessed}"


async def test_an_answer_of_an_earlier_version_is_told_again(tmp_path: Path) -> None:
    async with LocalServer(tmp_path / "data") as server:
        state = server.supervisor.state
        (pepper,) = await state.store.get("secrets", ["pepper"])
        assert pepper is not None
        told = f"lb_{hmac.new(pepper, b'default/K/digest', hashlib.sha256).hexdigest()[:48]}"
        answer = msgpack.packb([NOON_MS, "digest", 201, {"key_id": "k_1"}])
        doc_id = f"default/{hashlib.sha256(b'K').hexdigest()}"
        await state.commit([Change("idempotency", doc_id, bytes(answer))])
        assert await create(server) == {"key_id": "k_1", "key": told}


async def test_keys_of_an_earlier_version_that_share_a_text(tmp_path: Path) -> None:
    """The text of a deleted one is dead; of others one is left."""

    def key(key_id: str, text: str, status: str, at_ms: int) -> Change:
        made = Key(
            key_id, "default", "n", frozenset(["scores:write"]), digest(text), status, None, None, at_ms
        )
        return Change("keys", key_id, pack_key(made))

    async with LocalServer(tmp_path / "data") as server:
        await server.supervisor.state.commit(
            [
                key("k_1", "dead", "deleted", 1),
                key("k_2", "dead", "active", 2),
                key("k_3", "twice", "active", 4),
                key("k_4", "twice", "active", 3),
            ]
        )
    async with LocalServer(tmp_path / "data") as server:
        assert not works(server, "dead") and works(server, "twice")
        assert {key.key_id for key in keys_of(server)} >= {"k_1", "k_4"}
        await server.command("delete_key", key_id="k_4")
        assert not works(server, "twice")
