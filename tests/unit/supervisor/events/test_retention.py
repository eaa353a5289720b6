"""Deliveries that are over: sent again, deleted with age, listener or tenant, rid of an erased player."""

from __future__ import annotations

from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from lbactors.core.errors import ApiError
from lbactors.supervisor.events import deliverer, retention
from lbactors.supervisor.events.erasure import erased_bodies
from tests.support.receiver import Receiver
from tests.support.supervisor.outbox import TENANT, OutboxWorld

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def test_a_delivery_is_replayed_under_its_own_id(outbox: OutboxWorld, receiver: Receiver) -> None:
    webhook = await outbox.webhook(receiver.url)
    made = await outbox.publish("xp")
    await outbox.until("d", 1)
    (doc_id,) = [doc_id for doc_id, _ in await outbox.s.state.store.scan("deliveries", prefix="d/")]
    name = doc_id.rpartition("/")[2]
    args = {"webhook_id": webhook["webhook_id"], "delivery_id": name}
    again = await outbox.command("replay_delivery", **args)
    assert (again["state"], again["attempts"], again["event_id"]) == ("pending", 0, made[0])
    await receiver.until(2)
    assert receiver.event_ids == made * 2
    await outbox.until("d", 1)
    with pytest.raises(ApiError, match="no delivery"):
        await outbox.command("replay_delivery", webhook_id=webhook["webhook_id"], delivery_id="dlv_0")


async def test_all_failed_ones_are_replayed_in_order(outbox: OutboxWorld, receiver: Receiver) -> None:
    receiver.answer = 500
    webhook = await outbox.webhook(receiver.url)
    for _ in range(3):
        await outbox.publish("xp", "coins")
    await outbox.attempted(2)
    patch = {"webhook_id": webhook["webhook_id"], "patch": {"status": "disabled"}}
    await outbox.command("patch_webhook", **patch)
    outbox.move(3 * DAY_MS)
    await outbox.until("f", 6)
    receiver.answer, before = 200, len(receiver.got)
    patch["patch"] = {"status": "active"}
    await outbox.command("patch_webhook", **patch)
    await outbox.publish("xp")
    replay = {"webhook_id": webhook["webhook_id"], "replay": {"state": "failed"}}
    assert await outbox.command("replay_deliveries", **replay) == {"replayed": 6, "remaining": 0}
    await outbox.until("d", 7)
    later = receiver.got[before:]
    numbers = [g.body["data"]["n"] for g in later if g.body["leaderboard_id"] == "xp"]
    assert sorted(numbers) == [1, 3, 5, 7] and [n for n in numbers if n != 7] == [1, 3, 5]


async def test_old_ones_are_deleted(
    outbox: OutboxWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEPT", {"d": 5, "f": 5})
    await outbox.webhook(receiver.url)
    await outbox.publish(*(f"board-{n}" for n in range(8)))
    await outbox.until("d", 8)
    outbox.move(HOUR_MS)
    kept = await outbox.until("d", 5)
    assert len(await outbox.s.state.store.scan("deliveries", prefix="b/")) == 5
    outbox.move(6 * DAY_MS)
    await outbox.publish("xp")
    await outbox.settled(lambda: outbox.s.deliverer.delivered == 9)
    outbox.move(DAY_MS)
    (left,) = await outbox.until("d", 1)
    assert left.leaderboard_id == "xp" and left not in kept


async def test_what_belonged_to_a_webhook_goes_with_it(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, where: dict[str, str]
) -> None:
    outbox = await OutboxWorld(tmp_path / "data", **where).start()
    one, two = await outbox.webhook(receiver.url), await outbox.webhook(receiver.url)
    await outbox.publish("xp", "coins")
    await outbox.until("d", 4)
    await outbox.command("delete_webhook", webhook_id=one["webhook_id"])
    await outbox.until("d", 2)
    await outbox.stop()

    async def dies(state: object, listeners: list[str]) -> None:
        assert listeners == [f"{TENANT}/{two['webhook_id']}"]

    outbox = await OutboxWorld(tmp_path / "data", **where).start()
    # The process dies after the webhook's deletion.
    monkeypatch.setattr("lbactors.supervisor.commands.webhooks.purge_deliveries", dies)
    await outbox.command("delete_webhook", webhook_id=two["webhook_id"])
    outbox.move(deliverer.TRIM_MS)
    await outbox.until("d", 0)
    rows = await outbox.s.state.store.scan("deliveries")
    assert [doc_id for doc_id, _ in rows] == ["generation"]
    await outbox.stop()


async def test_what_belonged_to_a_tenant_goes_with_it(outbox: OutboxWorld, receiver: Receiver) -> None:
    await outbox.command("create_tenant", tenant={"tenant_id": "studio-a"})
    await outbox.webhook(receiver.url)
    await outbox.webhook(receiver.url, tenant_id="studio-a")
    await outbox.publish("xp")
    await outbox.publish("xp", tenant_id="studio-a")
    await outbox.until("d", 2)
    await outbox.command("delete_tenant", tenant_id="studio-a")
    await outbox.until("d", 1)
    assert [webhook.tenant_id for webhook in outbox.events.webhooks.values()] == [TENANT]
    assert not outbox.events.wanted("studio-a", "xp", "period.closed", outbox.s.state.clock.now_ms())


async def test_an_erased_player_is_in_no_stored_event(outbox: OutboxWorld, receiver: Receiver) -> None:
    await outbox.webhook(receiver.url)
    entries = [
        {"player_id": "maya", "display_name": "Maya", "score": 5, "metadata": {"team": "red"}},
        {"player_id": "mayan", "display_name": "Other", "score": 4, "metadata": None},
    ]
    await outbox.publish("xp", standings=entries)
    await outbox.publish("xp", total=0)
    (head, _) = await outbox.until("d", 2)
    changes = await erased_bodies(outbox.s.state.store, TENANT, "maya", "erased-1")
    assert len(changes) == 1
    await outbox.s.state.commit(changes)
    assert await erased_bodies(outbox.s.state.store, TENANT, "maya", "erased-2") == []
    assert await erased_bodies(outbox.s.state.store, "other", "mayan", "erased-2") == []
    (webhook,) = outbox.events.webhooks.values()
    rows = await outbox.s.state.store.scan("deliveries", prefix="d/")
    await outbox.command("replay_delivery", webhook_id=webhook.webhook_id, delivery_id=rows[0][0][-18:])
    again = (await receiver.until(3))[-1]
    Verifier(webhook.secret).verify(again.raw, again.headers)
    assert again.event_id == head.event_id
    erased = {"player_id": "erased-1", "display_name": None, "score": 5, "metadata": None}
    assert again.body["data"]["standings"] == [erased, entries[1]]
