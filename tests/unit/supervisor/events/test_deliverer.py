"""The deliverer on a real store against a real receiver, with a moved clock: order, failures, deaths."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from lbactors.supervisor.events.delivery_queue import DOWN_AFTER, FIRST_PAUSE_MS, LONGEST_PAUSE_MS
from persistence.store import StoreUnavailable
from tests.support.supervisor.outbox import TENANT, Got, OutboxWorld, Receiver

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def test_an_event_is_sent_signed_and_confirmed(outbox: OutboxWorld, receiver: Receiver) -> None:
    webhook = await outbox.webhook(receiver.url)
    (made,) = await outbox.publish("xp", total=3)
    (got,) = await receiver.until(1)
    assert got.event_id == made == got.body["id"]
    assert got.body["type"] == "period.closed" and got.body["data"] == {"n": 1, "total": 3}
    assert (got.body["tenant_id"], got.body["leaderboard_id"]) == (TENANT, "xp")
    assert got.headers["content-type"] == "application/json"
    assert Verifier(webhook["secret"]).verify(got.raw, got.headers) == got.body
    with pytest.raises(WebhookVerificationError):
        Verifier(webhook["secret"]).verify(got.raw + b" ", got.headers)
    (head,) = await outbox.until("d", 1)
    assert (head.event_id, head.attempts, head.finished_at_ms is None) == (made, 1, False)
    assert head.last is not None and (head.last.status, head.last.error) == (204, None)
    assert await outbox.heads("p") == []


# Order and concurrency ------------------------------------------------------------------------------------


async def test_events_of_a_leaderboard_come_in_order_and_boards_in_parallel(
    outbox: OutboxWorld, receiver: Receiver
) -> None:
    full = asyncio.Event()

    async def answer(got: Got) -> int:
        if receiver.at_once == 8:
            full.set()
        await full.wait()
        return 200

    receiver.answer = answer
    await outbox.webhook(receiver.url)
    boards = [f"board-{n}" for n in range(12)]
    for _ in range(4):
        await outbox.publish(*boards)
    await outbox.until("d", 48)
    assert receiver.most_at_once == 8
    for board in boards:
        numbers = receiver.of(board)
        assert len(numbers) == 4 and numbers == sorted(numbers)


async def test_a_slow_receiver_does_not_hold_up_another(outbox: OutboxWorld, receiver: Receiver) -> None:
    slow, released = await Receiver().start(), asyncio.Event()

    async def wait(got: Got) -> int:
        await released.wait()
        return 200

    slow.answer = wait
    await outbox.webhook(slow.url)
    await outbox.webhook(receiver.url)
    for n in range(20):
        await outbox.publish(f"board-{n}")
    await receiver.until(20)
    await slow.until(8)
    assert slow.at_once == 8
    released.set()
    await outbox.until("d", 40)
    await slow.stop()


async def test_many_results_share_a_commit(
    outbox: OutboxWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = 0
    commit = outbox.s.state.commit

    async def counted(changes: Any) -> None:
        nonlocal commits
        commits += 1
        await commit(changes)

    for _ in range(5):
        await outbox.webhook(receiver.url)
    monkeypatch.setattr(outbox.s.state, "commit", counted)
    await outbox.publish(*(f"board-{n}" for n in range(60)))
    await outbox.until("d", 300)
    assert commits < 200


# Failures -------------------------------------------------------------------------------------------------


async def test_a_receiver_that_is_down_gets_everything_in_order_later(
    outbox: OutboxWorld, receiver: Receiver
) -> None:
    await receiver.stop()
    await outbox.webhook(receiver.url)
    made = [(await outbox.publish("xp", "coins")) for _ in range(3)]
    await outbox.attempted(2)
    for _ in range(5):
        before = outbox.s.deliverer.attempts
        outbox.move(LONGEST_PAUSE_MS * 2)
        await outbox.settled(lambda before=before: outbox.s.deliverer.attempts > before)
    head = max(await outbox.heads("p"), key=lambda head: head.attempts)
    assert head.last is not None and head.last.status is None
    assert "cannot connect" in (head.last.error or "")
    await receiver.start()
    outbox.move(LONGEST_PAUSE_MS * 2)
    await outbox.until("d", 6)
    assert sorted(receiver.event_ids) == sorted(i for ids in made for i in ids)  # each once
    assert receiver.of("xp") == [1, 3, 5] and receiver.of("coins") == [2, 4, 6]


async def test_a_receiver_that_is_away_costs_one_probe_at_a_time(
    outbox: OutboxWorld, receiver: Receiver
) -> None:
    receiver.answer = 503
    await outbox.webhook(receiver.url)
    await outbox.publish(*(f"board-{n}" for n in range(100)))
    lane = next(iter(outbox.events.lanes.values()))
    await outbox.settled(lambda: lane.down)
    first = len(receiver.got)
    assert DOWN_AFTER <= first <= 8 + DOWN_AFTER
    outbox.move(HOUR_MS)
    await outbox.attempted(first + 1)  # an hour later, one
    assert outbox.events.status()["receivers_down"] == 1 and outbox.events.status()["pending"] == 100
    receiver.answer = 200
    outbox.move(2 * HOUR_MS)
    await outbox.until("d", 100)
    assert outbox.events.status()["receivers_down"] == 0


async def test_pauses_grow_and_a_receiver_may_ask_for_more(outbox: OutboxWorld, receiver: Receiver) -> None:
    waits = iter(["0", "0", "120"])

    async def answer(got: Got) -> web.Response:
        return web.Response(status=500, headers={"Retry-After": next(waits, "x")})

    receiver.answer = answer
    await outbox.webhook(receiver.url)
    await outbox.publish("xp")
    pauses = []
    for attempt in range(1, 5):
        await outbox.attempted(attempt)
        (head,) = await outbox.heads("p")
        assert head.last is not None
        pauses.append(head.next_at_ms - head.last.at_ms)
        outbox.move(pauses[-1] + 60_000)
    assert pauses == [FIRST_PAUSE_MS, 2 * FIRST_PAUSE_MS, 120_000, 8 * FIRST_PAUSE_MS]


async def test_410_disables_the_webhook(outbox: OutboxWorld, receiver: Receiver) -> None:
    receiver.answer = 410
    webhook = await outbox.webhook(receiver.url)
    await outbox.publish("xp")
    await outbox.publish("xp")
    await outbox.until_true(lambda: next(iter(outbox.events.webhooks.values())).status != "active")
    (document,) = outbox.events.webhooks.values()
    assert document.disabled_reason == "the receiver answered 410 Gone"
    await outbox.publish("xp")
    assert len(await outbox.heads("p")) == 2  # nothing more is written; what was waits
    outbox.move(HOUR_MS)
    receiver.answer = 200
    patch = {"webhook_id": webhook["webhook_id"], "patch": {"status": "active"}}
    assert (await outbox.command("patch_webhook", **patch))["disabled_reason"] is None
    await outbox.until("d", 2)
    assert receiver.of("xp") == [1, 1, 2]


async def test_a_delivery_is_given_up_after_days_and_the_next_one_follows(
    outbox: OutboxWorld, receiver: Receiver
) -> None:
    async def answer(got: Got) -> int:
        return 500 if got.body["data"]["n"] == 1 else 200

    receiver.answer = answer
    await outbox.webhook(receiver.url)
    await outbox.publish("xp")
    await outbox.publish("xp")
    await outbox.attempted(1)
    outbox.move(3 * DAY_MS)
    (failed,) = await outbox.until("f", 1)
    assert failed.attempts == 2 and failed.last is not None and failed.last.status == 500
    await outbox.until("d", 1)
    assert receiver.of("xp") == [1, 1, 2]
    await outbox.until_true(lambda: outbox.s.deliverer.status()["failed"] == 1)


async def test_what_cannot_be_sent_is_given_up_at_its_age_too(
    outbox: OutboxWorld, receiver: Receiver
) -> None:
    receiver.answer = 500
    await outbox.webhook(receiver.url)
    await outbox.publish(*(f"board-{n}" for n in range(20)))
    lane = next(iter(outbox.events.lanes.values()))
    await outbox.settled(lambda: lane.down)
    outbox.move(3 * DAY_MS)
    failed = await outbox.until("f", 20)
    assert any(head.attempts == 0 for head in failed)
    assert len(receiver.got) < 20
    await outbox.until_true(lambda: outbox.events.status()["pending"] == 0)


async def test_a_test_probes_a_receiver_that_is_down_at_once(outbox: OutboxWorld, receiver: Receiver) -> None:
    receiver.answer = 500
    webhook = await outbox.webhook(receiver.url)
    await outbox.publish("a", "b", "c")
    await outbox.attempted(3)
    receiver.answer = 200
    await outbox.command("test_webhook", webhook_id=webhook["webhook_id"])
    await outbox.until("d", 4)  # and the success lets everything go


# Deaths ---------------------------------------------------------------------------------------------------


async def test_a_death_between_confirmation_and_record_repeats_one_and_keeps_the_order(
    tmp_path: Path, receiver: Receiver, where: dict[str, str]
) -> None:
    first = await OutboxWorld(tmp_path / "data", **where).start()
    await first.webhook(receiver.url)
    commit, confirmed = first.s.state.commit, asyncio.Event()

    async def dying(changes: Any) -> None:
        if any(change.doc_id.startswith("d/") for change in changes):
            confirmed.set()
            await asyncio.Event().wait()  # the process dies here
        await commit(changes)

    first.s.state.commit = dying  # type: ignore[method-assign]
    made = [(await first.publish("xp"))[0] for _ in range(3)]
    await confirmed.wait()
    await first.abandon()
    assert receiver.event_ids == made[:1]
    second = await OutboxWorld(tmp_path / "data", **where).start()
    await second.until("d", 3)
    assert receiver.event_ids == [made[0], *made]
    later = await second.publish("xp")
    await second.until("d", 4)
    assert receiver.event_ids[-1:] == later
    await second.stop()


async def test_a_store_that_was_away_for_a_moment(
    outbox: OutboxWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outbox.webhook(receiver.url)
    commit, failed = outbox.s.state.store.commit, asyncio.Event()

    async def away(changes: Any, **more: Any) -> None:
        if any(change.doc_id.startswith("d/") for change in changes):
            failed.set()
            raise StoreUnavailable("disk full")
        await commit(changes, **more)

    monkeypatch.setattr(outbox.s.state.store, "commit", away)
    made = await outbox.publish("xp")
    made += await outbox.publish("xp")
    await failed.wait()
    monkeypatch.undo()
    await outbox.start()  # as the next call of a gateway does
    await outbox.until("d", 2)
    assert receiver.event_ids == [made[0], *made]


async def test_attempts_and_times_survive_a_restart(
    tmp_path: Path, receiver: Receiver, where: dict[str, str]
) -> None:
    receiver.answer = 500
    first = await OutboxWorld(tmp_path / "data", **where).start()
    await first.webhook(receiver.url)
    await first.publish("xp")
    for attempts in (1, 2):
        await first.attempted(attempts)
        if attempts == 1:
            first.move(FIRST_PAUSE_MS * 2)
    await first.stop()
    second = await OutboxWorld(tmp_path / "data", **where).start()
    (head,) = await second.heads("p")
    assert head.attempts == 2
    assert next(iter(second.events.lanes.values())).next_at_ms() == head.next_at_ms
    receiver.answer = 200
    second.move(head.next_at_ms - second.s.state.clock.now_ms())
    (head,) = await second.until("d", 1)
    assert head.attempts == 3
    await second.stop()
