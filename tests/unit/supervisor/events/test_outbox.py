"""The outbox: who hears of what, ids, limits, and plugins as listeners."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbactors.documents.events import Event
from lbactors.documents.webhooks import Delivery, Webhook
from lbactors.supervisor.events.delivery_queue import FIRST_PAUSE_MS
from lbactors.tools.stored_documents import read_document
from tests.support.receiver import Receiver
from tests.support.supervisor.outbox import TENANT, OutboxWorld

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def test_only_those_who_asked_and_were_there_hear_of_it(
    outbox: OutboxWorld, receiver: Receiver
) -> None:
    assert not outbox.events.wanted(TENANT, "xp", "period.closed", outbox.s.state.clock.now_ms())
    assert await outbox.publish("xp") and await outbox.heads("p") == []  # nobody listens: nothing is written
    await outbox.webhook(receiver.url, events=["period.opened"])
    await outbox.webhook(receiver.url, leaderboard_ids=["coins"])
    await outbox.webhook(receiver.url, status="disabled")
    now_ms = outbox.s.state.clock.now_ms()
    assert outbox.events.wanted(TENANT, "xp", "period.opened", now_ms)
    assert outbox.events.wanted(TENANT, "coins", "period.closed", now_ms)
    assert not outbox.events.wanted(TENANT, "xp", "period.closed", now_ms)
    assert not outbox.events.wanted("other", "coins", "period.closed", now_ms)
    assert not outbox.events.wanted(TENANT, "coins", "period.closed", now_ms - 60_000)
    await outbox.publish("xp", "coins")
    await outbox.publish("xp", type="period.opened")
    await outbox.until("d", 2)
    assert sorted(got.body["data"]["n"] for got in receiver.got) == [3, 4]


async def test_too_many_pending_disable_the_webhook(tmp_path: Path, receiver: Receiver) -> None:
    outbox = await OutboxWorld(tmp_path / "data", webhook_pending_limit=10).start()
    receiver.answer = 500
    await outbox.webhook(receiver.url)
    for _ in range(4):
        await outbox.publish("a", "b", "c", "d")
    (webhook,) = outbox.events.webhooks.values()
    assert webhook.status == "disabled" and webhook.disabled_reason == "more than 10 deliveries were pending"
    assert len(await outbox.heads("p")) == 12  # those of the commit that reached the limit are whole
    await outbox.stop()


async def test_events_of_a_commit_that_failed_do_not_exist(outbox: OutboxWorld, receiver: Receiver) -> None:
    await outbox.webhook(receiver.url)
    now_ms = outbox.s.state.clock.now_ms()
    lost = Event("evt_lost", "period.closed", now_ms, TENANT, "xp", {"n": 0})
    assert outbox.events.changes([lost])  # asked for, never committed
    outbox.events.committed()
    await outbox.publish("xp")
    await outbox.until("d", 1)
    assert receiver.of("xp") == [1]


async def test_documents_are_what_the_tools_expect(outbox: OutboxWorld, receiver: Receiver) -> None:
    async def call(event: Event) -> None:
        raise RuntimeError("not yet")

    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.stop()
    outbox = OutboxWorld(outbox.folder)
    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.start()
    receiver.answer = 500
    await outbox.webhook(receiver.url)
    await outbox.publish("xp")
    await outbox.attempted(2)
    kinds = set()
    for collection in ("webhooks", "deliveries"):
        for doc_id, body in await outbox.s.state.store.scan(collection):
            kinds.add(type(read_document(collection, doc_id, body)))
            for damaged_id, damaged in ((doc_id, b"\x93\x01"), (f"x{doc_id}", body), (doc_id, b"\xc0")):
                with pytest.raises(ValueError, match=r"is not what it should be|not its own"):
                    read_document(collection, damaged_id, damaged)
    assert kinds == {Webhook, Delivery, dict, int}
    await outbox.stop()


async def test_ids_rise_over_restarts(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = 500
    ids: list[str] = []
    for _ in range(3):
        outbox = await OutboxWorld(tmp_path / "data").start()
        if not ids:
            await outbox.webhook(receiver.url)
        await outbox.publish("xp")
        await outbox.publish("xp")
        rows = await outbox.s.state.store.scan("deliveries", prefix="p/")
        ids += [doc_id for doc_id, _ in rows if doc_id not in ids]
        await outbox.stop()
    assert len(ids) == 6 and ids == sorted(ids)


# Plugins --------------------------------------------------------------------------------------------------


async def test_a_plugin_hears_of_events_of_all_tenants_at_least_once_in_order(tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []
    failing = True

    async def call(event: Event) -> None:
        heard.append((event.leaderboard_id, event.data["n"]))
        if failing:
            raise RuntimeError("not yet")

    outbox = OutboxWorld(tmp_path / "data")
    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.start()
    assert outbox.events.wanted("any", "xp", "period.closed", outbox.s.state.clock.now_ms())
    assert not outbox.events.wanted("any", "xp", "period.opened", outbox.s.state.clock.now_ms())
    await outbox.publish("xp")
    await outbox.publish("xp")
    await outbox.attempted(1)
    assert heard == [("xp", 1)]
    failing = False
    outbox.move(FIRST_PAUSE_MS * 2)
    await outbox.until("p", 0)
    assert heard == [("xp", 1), ("xp", 1), ("xp", 2)]
    assert [i for i, _ in await outbox.s.state.store.scan("deliveries")] == ["generation"]
    await outbox.stop()


async def test_what_waits_for_a_plugin_that_is_gone_ends_too(tmp_path: Path) -> None:
    async def call(event: Event) -> None:
        raise RuntimeError("never")

    outbox = OutboxWorld(tmp_path / "data")
    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.start()
    await outbox.publish("xp")
    await outbox.attempted(1)
    await outbox.stop()
    again = await OutboxWorld(tmp_path / "data").start()
    assert again.events.status()["pending"] == 0 and len(await again.heads("p")) == 1
    again.move(DAY_MS)
    again.move(2 * DAY_MS)
    await again.until("f", 1)
    again.move(7 * DAY_MS)
    await again.until("f", 0)
    assert [i for i, _ in await again.s.state.store.scan("deliveries")] == ["generation"]
    await again.stop()


async def test_a_plugin_is_known_since_its_first_registration(tmp_path: Path) -> None:
    heard: list[int] = []

    async def call(event: Event) -> None:
        heard.append(event.at_ms)

    outbox = OutboxWorld(tmp_path / "data")
    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.start()
    since_ms = outbox.events.plugins["plugin:test"].created_at_ms
    await outbox.stop()
    again = OutboxWorld(tmp_path / "data")
    again.plugins = outbox.plugins
    await again.start()
    again.move(HOUR_MS)
    assert again.events.plugins["plugin:test"].created_at_ms == since_ms
    assert again.events.wanted(TENANT, "xp", "period.closed", since_ms)
    assert not again.events.wanted(TENANT, "xp", "period.closed", since_ms - 1)
    await again.stop()
