"""The gateway's catalogue under any course of published changes: what it knows twice stays the same."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest

from lbactors.core.definition import Definition
from lbactors.core.model import Board, Key, Tenant
from lbactors.documents.entities import pack_board, pack_key, pack_tenant
from lbactors.service.catalogue import Catalogue
from lbactors.wire.actors import ActorGone
from lbactors.wire.catalogue_feed import INCARNATIONS

TENANTS = ("one", "two")
NAMES = ("a", "b", "c")


class Published:
    """Stands in for a supervisor: each watch answers what was changed since the last, or everything."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.epoch, self.version = 1, 0
        self.known: dict[tuple[str, str], bytes] = {}
        self.news: list[tuple[str, str, bytes | None]] = []

    def change(self) -> None:
        rng, tenant, name = self.rng, self.rng.choice(TENANTS), self.rng.choice(NAMES)
        key = Key(name, tenant, name, frozenset(("read",)), f"hash of {name}", "active", None, None, 0)
        board = Board(tenant, "u1", Definition(leaderboard_id=name), rng.randrange(9), 0, 0)
        collection, doc_id, body = rng.choice(
            [
                ("tenants", tenant, pack_tenant(Tenant(tenant, tenant, "active", None, 0))),
                ("keys", name, pack_key(key._replace(status=rng.choice(["active", "disabled", "deleted"])))),
                ("leaderboards", f"{tenant}/{name}", pack_board(board)),
                ("homes", board.board_uid, rng.choice([b"period-1", b"period-2"])),
                (INCARNATIONS, "period-1", rng.choice([b"", b"x"])),
            ]
        )
        gone = collection in ("tenants", "leaderboards", "homes") and rng.random() < 0.3
        self.version += 1
        self.news.append((collection, doc_id, None if gone else body))
        self.known.pop((collection, doc_id), None)
        if not gone:
            self.known[collection, doc_id] = body

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        assert method == "watch"
        epoch, version = msgpack.unpackb(payload[0])
        full = epoch != self.epoch or not version
        told: list[Any] = [[*key, body] for key, body in self.known.items()] if full else self.news
        self.news = []
        return bytes(msgpack.packb([self.epoch, self.version, full, told]))


@pytest.mark.parametrize("seed", range(20))
async def test_any_course_of_changes(seed: int) -> None:
    published = Published(random.Random(seed))
    catalogue = Catalogue(published, lambda tenant_id, player_id: None)
    for _ in range(60):
        for _ in range(published.rng.randint(0, 4)):
            published.change()
        if published.rng.random() < 0.05:
            published.epoch += 1  # a new supervisor: everything is told again
        await catalogue._watch()
        catalogue.check()
        boards = [b for tenant_id in TENANTS for b in catalogue.boards(tenant_id)]
        stored = {i: b for (collection, i), b in published.known.items() if collection == "leaderboards"}
        assert {f"{b.tenant_id}/{b.leaderboard_id}": pack_board(b) for b in boards} == stored
        homes = {i: b.decode() for (collection, i), b in published.known.items() if collection == "homes"}
        assert {i: catalogue.home(i) for i in homes} == homes


async def test_a_start_waits_for_the_supervisor_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take a while on a busy machine, and its store may be away meanwhile."""
    monkeypatch.setattr("lbactors.service.catalogue.RETRY_S", 0.001)
    monkeypatch.setattr("lbactors.service.catalogue.ANNOUNCED_AFTER_S", 0.0)
    published = Published(random.Random(1))
    published.change()
    failures: list[Exception] = [TimeoutError(), ActorGone("its store is away"), TimeoutError()]
    plain = published.call

    async def call(method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        if failures:
            raise failures.pop(0)
        return await plain(method, *payload, timeout_s=timeout_s)

    monkeypatch.setattr(published, "call", call)
    catalogue = Catalogue(published, lambda tenant_id, player_id: None)
    told: list[str] = []
    await catalogue.start(30, told.append)
    await catalogue.close()
    assert not failures and catalogue.version.epoch == 1
    assert len(told) == 1


async def test_the_wait_of_a_start_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    published = Published(random.Random(1))

    async def call(method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        raise ActorGone("its store is away")

    monkeypatch.setattr(published, "call", call)
    catalogue = Catalogue(published, lambda tenant_id, player_id: None)
    with pytest.raises(ActorGone, match="its store is away"):
        await catalogue.start(0.01)
    await catalogue.close()
