"""The audit log: every act is recorded once, with who did it; reading, trimming and erasing records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core.errors import ApiError
from lbactors.documents.audit import Audited, Wanted, Who, anonymised, search
from lbactors.supervisor.audit import described
from lbactors.wire.commands import CreatePeriod, CreateWebhook
from persistence.store import Change
from tests.support.supervisor.local_supervisor import WHO, LocalServer

DAY_MS = 86_400_000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    async with LocalServer(tmp_path / "data") as server:
        yield server


async def log_of(server: LocalServer, tenant_id: str = "default", **wanted: Any) -> list[dict[str, Any]]:
    items, total, following = await search(
        server.supervisor.state.store, tenant_id, Wanted(**wanted), 0, 1000
    )
    assert total == len(items) and following is None
    return items


async def test_what_is_recorded_of_a_command(server: LocalServer) -> None:
    await server.command("create_leaderboard", definition={"leaderboard_id": "xp"})
    patch = {"name": "XP", "ranking": {"max_entries": 10}}
    await server.command("patch_leaderboard", leaderboard_id="xp", patch=patch, if_match=None)
    await server.command_as(Who("k_2", "other", "r"), "archive_leaderboard", leaderboard_id="xp")
    archived, patched, created = await log_of(server)
    assert (created["act"], created["target"]) == ("leaderboard.create", "xp")
    assert (patched["act"], patched["details"]) == ("leaderboard.update", {"fields": ["name", "ranking"]})
    assert (archived["act"], archived["key_id"], archived["key_name"]) == (
        "leaderboard.archive",
        "k_2",
        "other",
    )
    assert (created["key_id"], created["request_id"]) == (WHO.key_id, WHO.request_id)
    assert created["audit_id"] < patched["audit_id"] < archived["audit_id"]


async def test_secrets_are_never_in_it(server: LocalServer) -> None:
    await server.command("create_tenant", tenant={"tenant_id": "studio", "hmac_secret": "s3cret"})
    await server.command("patch_tenant", tenant_id="studio", patch={"hmac_secret": "an0ther"})
    made = await server.command("create_key", key={"name": "bot", "scopes": ["rankings:read"]})
    found = await server.supervisor.state.store.scan("audit")
    stored = b"".join(body for _, body in found)
    assert len(found) == 3
    for secret in ("s3cret", "an0ther", made["key"]):
        assert secret.encode() not in stored
    created, _, _ = await log_of(server)
    assert (created["act"], created["target"]) == ("key.create", made["key_id"])


async def test_what_changes_nothing_is_not_recorded(server: LocalServer) -> None:
    await server.command("create_leaderboard", definition={"leaderboard_id": "xp"})
    await server.command("patch_leaderboard", leaderboard_id="xp", patch={"name": "xp"}, if_match=None)
    with pytest.raises(ApiError):
        await server.command("create_leaderboard", definition={"leaderboard_id": "xp"})
    for _ in range(2):
        await server.command("put_player", player_id="p1", profile={"display_name": "Maya"})
    for _ in range(2):
        await server.command_as(
            None, "create_tenant", idempotency=["K", "digest"], tenant={"tenant_id": "studio"}
        )
    tenant, player, _ = await log_of(server)
    assert (tenant["act"], tenant["key_id"]) == ("tenant.create", None)
    assert (player["act"], player["player_id"]) == ("player.update", "p1")


async def test_a_tenant_sees_its_own_records(server: LocalServer) -> None:
    await server.command("create_tenant", tenant={"tenant_id": "studio"})
    await server.command("create_leaderboard", "studio", definition={"leaderboard_id": "xp"})
    assert [r["act"] for r in await log_of(server, "studio")] == ["leaderboard.create"]
    assert [r["act"] for r in await log_of(server)] == ["tenant.create"]
    await server.command("delete_tenant", tenant_id="studio")
    assert await log_of(server, "studio") == []


async def test_filters_and_pages(server: LocalServer) -> None:
    instants = []
    for number in range(5):
        await server.command("create_leaderboard", definition={"leaderboard_id": f"b{number}"})
        await server.command("put_player", player_id=f"p{number}", profile={"display_name": "N"})
        instants.append(server.clock.now_ms())
        server.clock.move(DAY_MS)
    assert len(await log_of(server, act="player")) == len(await log_of(server, act="player.update")) == 5
    assert [r["target"] for r in await log_of(server, target="b3")] == ["b3"]
    assert [r["player_id"] for r in await log_of(server, player_id="p2")] == ["p2"]
    between = await log_of(server, since_ms=instants[1] + 60_000, until_ms=instants[3] - 60_000)
    assert {r["target"] for r in between} == {"b2", "p2"}
    everything = await log_of(server)
    store, place, pages = server.supervisor.state.store, 0, []
    while True:
        items, total, following = await search(store, "default", Wanted(), place, 3)
        assert total == 10
        pages += items
        if following is None:
            break
        place = following
        await server.command("put_player", player_id=f"later{place}", profile={"display_name": "N"})
        await _forget_newest(server)
    assert pages == everything


async def _forget_newest(server: LocalServer) -> None:
    """Take the record away again that was to shift nothing, so that totals stay comparable."""
    ((doc_id, _),) = await server.supervisor.state.store.scan("audit", limit=1)
    await server.supervisor.state.commit([Change("audit", doc_id, None)])


async def test_old_records_go_a_bounded_number_at_a_time(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.supervisor.audit.TRIMMED_AT_ONCE", 2)
    for number in range(3):
        await server.command("create_leaderboard", definition={"leaderboard_id": f"b{number}"})
    server.clock.move(399 * DAY_MS)
    await server.command("archive_leaderboard", leaderboard_id="b0")
    audit = server.supervisor.audit
    assert await audit.trim() == 0
    server.clock.move(2 * DAY_MS)
    assert [await audit.trim() for _ in range(3)] == [2, 1, 0]
    assert [r["act"] for r in await log_of(server)] == ["leaderboard.archive"]


async def test_ids_rise_while_the_clock_stands_or_steps_back(server: LocalServer) -> None:
    audit = server.supervisor.audit
    ids = []
    for step_ms in (0, 0, -500, -500, 0, 3000):
        server.clock.move(step_ms)
        ids.append(audit.record("default", WHO, "a.b", "t", {}).doc_id)
    assert sorted(ids, reverse=True) == ids and len(set(ids)) == len(ids)


async def test_a_players_id_is_taken_out_of_records(server: LocalServer) -> None:
    await server.command("put_player", player_id="maya", profile={"display_name": "M"})
    audit, store = server.supervisor.audit, server.supervisor.state.store
    details = {"player_id": "maya", "reason": "maya's bot", "before": {"friends": ["maya", "mayabel"]}}
    await server.supervisor.state.commit([audit.record("default", WHO, "entry.edit", "xp", details)])
    await server.supervisor.state.commit(await audit.erase("default", "maya", "erased-1"))
    edited, updated = await log_of(server)
    assert (updated["target"], updated["player_id"]) == ("erased-1", "erased-1")
    assert (edited["player_id"], edited["reason"]) == ("erased-1", "erased-1's bot")
    assert edited["details"] == {"before": {"friends": ["erased-1", "mayabel"]}}
    assert await audit.erase("default", "maya", "erased-2") == []
    assert len(await store.scan("audit")) == 2


def test_commands_of_any_name_are_described() -> None:
    command = CreatePeriod("xp", {"starts_at": "…"})
    described_ = described(command, {"period_key": "cup", "window": "main"})
    assert described_ == Audited(
        "period.create", "xp", {"fields": ["starts_at"], "period_key": "cup", "window": "main"}
    )
    made = described(CreateWebhook({"url": "u", "secret": "s"}), {"webhook_id": "w1"})
    assert made == Audited("webhook.create", "w1", {"fields": ["secret", "url"]})


texts = st.text(st.sampled_from("ab-_ .:é1"), max_size=8)


@settings(deadline=None)
@given(value=st.recursive(texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)), name=texts)
def test_no_text_is_the_players_id_afterwards(value: Any, name: str) -> None:
    if not name.strip():
        return

    def check(found: Any) -> None:
        if isinstance(found, str):
            assert found != name
        elif isinstance(found, list):
            for item in found:
                check(item)
        else:
            for key, item in found.items():
                check(key)
                check(item)

    check(anonymised(value, name, "ERASED"))
