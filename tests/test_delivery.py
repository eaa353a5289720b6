"""The deliverer on a real store against a real receiver, with a clock that is moved."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from outbox import TENANT, Got, Outbox, Receiver
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from lbactors import delivery, old_deliveries
from lbactors.document_pages import read_document
from lbactors.events import Event
from lbactors.lanes import DOWN_AFTER, FIRST_PAUSE_MS, LONGEST_PAUSE_MS
from lbactors.model import ApiError
from lbactors.webhook_documents import Delivery, Webhook
from persistence.store import StoreUnavailable

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = await Receiver().start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    outbox = await Outbox(tmp_path / "data").start()
    yield outbox
    await outbox.stop()


@pytest.fixture(params=["sqlite", "redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Settings of an outbox on a store that outlives it."""
    if request.param == "sqlite":
        return {}
    prefix = f"outbox-{secrets.token_hex(4)}"
    return {"store_url": f"{request.getfixturevalue('shared_redis').url}?prefix={prefix}"}


# What is sent ---------------------------------------------------------------------------------------------


async def test_an_event_is_sent_signed_and_confirmed(outbox: Outbox, receiver: Receiver) -> None:
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


async def test_the_signature_by_hand(outbox: Outbox, receiver: Receiver) -> None:
    """With a moved clock, where a library would say that the timestamp is too far away."""
    webhook = await outbox.webhook(receiver.url)
    outbox.move(30 * DAY_MS)
    await outbox.publish("xp")
    (got,) = await receiver.until(1)
    stamp = got.headers["webhook-timestamp"]
    assert abs(int(stamp) * 1000 - outbox.s.clock.now_ms()) < 10_000
    key = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
    assert len(key) == 32
    signed = b".".join([got.event_id.encode(), stamp.encode(), got.raw])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"


async def test_a_rotated_secret_signs_beside_the_one_before(outbox: Outbox, receiver: Receiver) -> None:
    old = await outbox.webhook(receiver.url)
    rotation: dict[str, Any] = {"webhook_id": old["webhook_id"], "rotation": {"previous_valid_seconds": 60}}
    new = await outbox.command("rotate_webhook_secret", **rotation)
    await outbox.publish("xp")
    await receiver.until(1)
    outbox.move(60_000)
    await outbox.publish("xp")
    first, second = await receiver.until(2)
    for webhook in (old, new):
        Verifier(webhook["secret"]).verify(first.raw, first.headers)
    assert len(second.headers["webhook-signature"].split()) == 1


async def test_only_those_who_asked_and_were_there_hear_of_it(outbox: Outbox, receiver: Receiver) -> None:
    assert not outbox.events.wanted(TENANT, "xp", "period.closed", outbox.s.clock.now_ms())
    assert await outbox.publish("xp") and await outbox.heads("p") == []  # nobody listens: nothing is written
    await outbox.webhook(receiver.url, events=["period.opened"])
    await outbox.webhook(receiver.url, leaderboard_ids=["coins"])
    await outbox.webhook(receiver.url, status="disabled")
    now_ms = outbox.s.clock.now_ms()
    assert outbox.events.wanted(TENANT, "xp", "period.opened", now_ms)
    assert outbox.events.wanted(TENANT, "coins", "period.closed", now_ms)
    assert not outbox.events.wanted(TENANT, "xp", "period.closed", now_ms)
    assert not outbox.events.wanted("other", "coins", "period.closed", now_ms)
    assert not outbox.events.wanted(TENANT, "coins", "period.closed", now_ms - 60_000)
    await outbox.publish("xp", "coins")
    await outbox.publish("xp", type="period.opened")
    await outbox.until("d", 2)
    assert sorted(got.body["data"]["n"] for got in receiver.got) == [3, 4]


# Order and concurrency ------------------------------------------------------------------------------------


async def test_events_of_a_leaderboard_come_in_order_and_boards_in_parallel(
    outbox: Outbox, receiver: Receiver
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


async def test_a_slow_receiver_does_not_hold_up_another(outbox: Outbox, receiver: Receiver) -> None:
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
    assert slow.at_once == 8
    released.set()
    await outbox.until("d", 40)
    await slow.stop()


async def test_many_results_share_a_commit(
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = 0
    commit = outbox.s.commit

    async def counted(changes: Any) -> None:
        nonlocal commits
        commits += 1
        await commit(changes)

    for _ in range(5):
        await outbox.webhook(receiver.url)
    monkeypatch.setattr(outbox.s, "commit", counted)
    await outbox.publish(*(f"board-{n}" for n in range(60)))
    await outbox.until("d", 300)
    assert commits < 200


# Failures -------------------------------------------------------------------------------------------------


async def test_a_receiver_that_is_down_gets_everything_in_order_later(
    outbox: Outbox, receiver: Receiver
) -> None:
    await receiver.stop()
    await outbox.webhook(receiver.url)
    made = [(await outbox.publish("xp", "coins")) for _ in range(3)]
    await outbox.attempted(2)
    for _ in range(5):
        before = outbox.events.deliverer.attempts
        outbox.move(LONGEST_PAUSE_MS * 2)
        await outbox.settled(lambda before=before: outbox.events.deliverer.attempts > before)
    head = max(await outbox.heads("p"), key=lambda head: head.attempts)
    assert head.last is not None and head.last.status is None
    assert "cannot connect" in (head.last.error or "")
    await receiver.start()
    outbox.move(LONGEST_PAUSE_MS * 2)
    await outbox.until("d", 6)
    assert sorted(receiver.event_ids) == sorted(i for ids in made for i in ids)  # each once
    assert receiver.of("xp") == [1, 3, 5] and receiver.of("coins") == [2, 4, 6]


async def test_a_receiver_that_is_away_costs_one_probe_at_a_time(outbox: Outbox, receiver: Receiver) -> None:
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


async def test_pauses_grow_and_a_receiver_may_ask_for_more(outbox: Outbox, receiver: Receiver) -> None:
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


@pytest.mark.parametrize(
    ("status", "error"), [(404, "HTTP 404"), (302, "HTTP 302: redirects are not followed")]
)
async def test_whatever_is_not_2xx_is_no_confirmation(
    outbox: Outbox, receiver: Receiver, status: int, error: str
) -> None:
    async def answer(got: Got) -> web.Response:
        return web.Response(status=status, headers={"Location": receiver.url})

    receiver.answer = answer
    await outbox.webhook(receiver.url)
    await outbox.publish("xp")
    await outbox.attempted(1)
    outbox.move(FIRST_PAUSE_MS * 2)
    await outbox.attempted(2)
    (head,) = await outbox.heads("p")
    assert head.last is not None and (head.last.status, head.last.error) == (status, error)


async def test_a_receiver_that_does_not_answer_in_time(
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.webhook_sender.ATTEMPT_S", 0.05)
    released = asyncio.Event()

    async def wait(got: Got) -> int:
        await released.wait()
        return 200

    receiver.answer = wait
    await outbox.webhook(receiver.url)
    await outbox.publish("xp")
    await outbox.attempted(1)
    (head,) = await outbox.heads("p")
    assert head.last is not None and head.last.error == "no answer within 0.05 s"
    assert head.last.duration_ms >= 50
    released.set()


async def test_a_long_answer_is_not_read_to_its_end(outbox: Outbox, receiver: Receiver) -> None:
    async def endless(got: Got) -> web.StreamResponse:
        return web.Response(body=b"x" * 50_000_000)

    receiver.answer = endless
    await outbox.webhook(receiver.url)
    await outbox.publish("xp")
    await outbox.publish("xp")
    await outbox.until("d", 2)


async def test_410_disables_the_webhook(outbox: Outbox, receiver: Receiver) -> None:
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
    outbox: Outbox, receiver: Receiver
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
    await outbox.until_true(lambda: outbox.events.status()["failed"] == 1)


async def test_what_cannot_be_sent_is_given_up_at_its_age_too(outbox: Outbox, receiver: Receiver) -> None:
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


async def test_too_many_pending_disable_the_webhook(tmp_path: Path, receiver: Receiver) -> None:
    outbox = await Outbox(tmp_path / "data", webhook_pending_limit=10).start()
    receiver.answer = 500
    await outbox.webhook(receiver.url)
    for _ in range(4):
        await outbox.publish("a", "b", "c", "d")
    (webhook,) = outbox.events.webhooks.values()
    assert webhook.status == "disabled" and webhook.disabled_reason == "more than 10 deliveries were pending"
    assert len(await outbox.heads("p")) == 12  # those of the commit that reached the limit are whole
    await outbox.stop()


async def test_a_test_probes_a_receiver_that_is_down_at_once(outbox: Outbox, receiver: Receiver) -> None:
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
    first = await Outbox(tmp_path / "data", **where).start()
    await first.webhook(receiver.url)
    commit, confirmed = first.s.commit, asyncio.Event()

    async def dying(changes: Any) -> None:
        if any(change.doc_id.startswith("d/") for change in changes):
            confirmed.set()
            await asyncio.Event().wait()  # the process dies here
        await commit(changes)

    first.s.commit = dying  # type: ignore[method-assign]
    made = [(await first.publish("xp"))[0] for _ in range(3)]
    await confirmed.wait()
    await first.abandon()
    assert receiver.event_ids == made[:1]
    second = await Outbox(tmp_path / "data", **where).start()
    await second.until("d", 3)
    assert receiver.event_ids == [made[0], *made]
    later = await second.publish("xp")
    await second.until("d", 4)
    assert receiver.event_ids[-1:] == later
    await second.stop()


async def test_a_store_that_was_away_for_a_moment(
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outbox.webhook(receiver.url)
    commit, failed = outbox.s.store.commit, asyncio.Event()

    async def away(changes: Any, **more: Any) -> None:
        if any(change.doc_id.startswith("d/") for change in changes):
            failed.set()
            raise StoreUnavailable("disk full")
        await commit(changes, **more)

    monkeypatch.setattr(outbox.s.store, "commit", away)
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
    first = await Outbox(tmp_path / "data", **where).start()
    await first.webhook(receiver.url)
    await first.publish("xp")
    for attempts in (1, 2):
        await first.attempted(attempts)
        if attempts == 1:
            first.move(FIRST_PAUSE_MS * 2)
    await first.stop()
    second = await Outbox(tmp_path / "data", **where).start()
    (head,) = await second.heads("p")
    assert head.attempts == 2
    assert next(iter(second.events.lanes.values())).next_at_ms() == head.next_at_ms
    receiver.answer = 200
    second.move(head.next_at_ms - second.s.clock.now_ms())
    (head,) = await second.until("d", 1)
    assert head.attempts == 3
    await second.stop()


async def test_events_of_a_commit_that_failed_do_not_exist(outbox: Outbox, receiver: Receiver) -> None:
    await outbox.webhook(receiver.url)
    now_ms = outbox.s.clock.now_ms()
    lost = Event("evt_lost", "period.closed", now_ms, TENANT, "xp", {"n": 0})
    assert outbox.events.changes([lost])  # asked for, never committed
    outbox.events.committed()
    await outbox.publish("xp")
    await outbox.until("d", 1)
    assert receiver.of("xp") == [1]


async def test_documents_are_what_the_tools_expect(outbox: Outbox, receiver: Receiver) -> None:
    async def call(event: Event) -> None:
        raise RuntimeError("not yet")

    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.stop()
    outbox = Outbox(outbox.folder)
    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.start()
    receiver.answer = 500
    await outbox.webhook(receiver.url)
    await outbox.publish("xp")
    await outbox.attempted(2)
    kinds = set()
    for collection in ("webhooks", "deliveries"):
        for doc_id, body in await outbox.s.store.scan(collection):
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
        outbox = await Outbox(tmp_path / "data").start()
        if not ids:
            await outbox.webhook(receiver.url)
        await outbox.publish("xp")
        await outbox.publish("xp")
        rows = await outbox.s.store.scan("deliveries", prefix="p/")
        ids += [doc_id for doc_id, _ in rows if doc_id not in ids]
        await outbox.stop()
    assert len(ids) == 6 and ids == sorted(ids)


# Afterwards -----------------------------------------------------------------------------------------------


async def test_a_delivery_is_replayed_under_its_own_id(outbox: Outbox, receiver: Receiver) -> None:
    webhook = await outbox.webhook(receiver.url)
    made = await outbox.publish("xp")
    await outbox.until("d", 1)
    (doc_id,) = [doc_id for doc_id, _ in await outbox.s.store.scan("deliveries", prefix="d/")]
    name = doc_id.rpartition("/")[2]
    args = {"webhook_id": webhook["webhook_id"], "delivery_id": name}
    again = await outbox.command("replay_delivery", **args)
    assert (again["state"], again["attempts"], again["event_id"]) == ("pending", 0, made[0])
    await receiver.until(2)
    assert receiver.event_ids == made * 2
    await outbox.until("d", 1)
    with pytest.raises(ApiError, match="no delivery"):
        await outbox.command("replay_delivery", webhook_id=webhook["webhook_id"], delivery_id="dlv_0")


async def test_all_failed_ones_are_replayed_in_order(outbox: Outbox, receiver: Receiver) -> None:
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
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_deliveries, "KEPT", {"d": 5, "f": 5})
    await outbox.webhook(receiver.url)
    await outbox.publish(*(f"board-{n}" for n in range(8)))
    await outbox.until("d", 8)
    outbox.move(HOUR_MS)
    kept = await outbox.until("d", 5)
    assert len(await outbox.s.store.scan("deliveries", prefix="b/")) == 5
    outbox.move(6 * DAY_MS)
    await outbox.publish("xp")
    await outbox.until("d", 5)
    outbox.move(DAY_MS)
    (left,) = await outbox.until("d", 1)
    assert left.leaderboard_id == "xp" and left not in kept


async def test_what_belonged_to_a_webhook_goes_with_it(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, where: dict[str, str]
) -> None:
    outbox = await Outbox(tmp_path / "data", **where).start()
    one, two = await outbox.webhook(receiver.url), await outbox.webhook(receiver.url)
    await outbox.publish("xp", "coins")
    await outbox.until("d", 4)
    await outbox.command("delete_webhook", webhook_id=one["webhook_id"])
    await outbox.until("d", 2)
    await outbox.stop()

    def dies(listeners: list[str]) -> None:
        assert listeners == [f"{TENANT}/{two['webhook_id']}"]

    outbox = await Outbox(tmp_path / "data", **where).start()
    monkeypatch.setattr(outbox.events, "purge", dies)  # the process dies after the webhook's deletion
    await outbox.command("delete_webhook", webhook_id=two["webhook_id"])
    outbox.move(delivery.TRIM_MS)
    await outbox.until("d", 0)
    rows = await outbox.s.store.scan("deliveries")
    assert [doc_id for doc_id, _ in rows] == ["generation"]
    await outbox.stop()


async def test_what_belonged_to_a_tenant_goes_with_it(outbox: Outbox, receiver: Receiver) -> None:
    await outbox.command("create_tenant", tenant={"tenant_id": "studio-a"})
    await outbox.webhook(receiver.url)
    await outbox.webhook(receiver.url, tenant_id="studio-a")
    await outbox.publish("xp")
    await outbox.publish("xp", tenant_id="studio-a")
    await outbox.until("d", 2)
    await outbox.command("delete_tenant", tenant_id="studio-a")
    await outbox.until("d", 1)
    assert [webhook.tenant_id for webhook in outbox.events.webhooks.values()] == [TENANT]
    assert not outbox.events.wanted("studio-a", "xp", "period.closed", outbox.s.clock.now_ms())


async def test_an_erased_player_is_in_no_stored_event(outbox: Outbox, receiver: Receiver) -> None:
    await outbox.webhook(receiver.url)
    entries = [
        {"player_id": "maya", "display_name": "Maya", "score": 5, "metadata": {"team": "red"}},
        {"player_id": "mayan", "display_name": "Other", "score": 4, "metadata": None},
    ]
    await outbox.publish("xp", standings=entries)
    await outbox.publish("xp", total=0)
    (head, _) = await outbox.until("d", 2)
    changes = await outbox.events.erase(TENANT, "maya", "erased-1")
    assert len(changes) == 1
    await outbox.s.commit(changes)
    assert await outbox.events.erase(TENANT, "maya", "erased-2") == []
    assert await outbox.events.erase("other", "mayan", "erased-2") == []
    (webhook,) = outbox.events.webhooks.values()
    rows = await outbox.s.store.scan("deliveries", prefix="d/")
    await outbox.command("replay_delivery", webhook_id=webhook.webhook_id, delivery_id=rows[0][0][-18:])
    again = (await receiver.until(3))[-1]
    Verifier(webhook.secret).verify(again.raw, again.headers)
    assert again.event_id == head.event_id
    erased = {"player_id": "erased-1", "display_name": None, "score": 5, "metadata": None}
    assert again.body["data"]["standings"] == [erased, entries[1]]


# Where it may lead ----------------------------------------------------------------------------------------


class Inside:
    """A resolver that knows one name, which leads to a private address."""

    async def resolve(self, host: str, port: int, family: Any) -> list[dict[str, Any]]:
        assert host == "inside.example"
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}
        ]

    async def close(self) -> None:
        return None


async def test_public_targets_alone(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.webhook_sender.DefaultResolver", Inside)
    outbox = await Outbox(tmp_path / "data", webhook_public_targets=True).start()
    for url in (receiver.url, f"http://localhost:{receiver.port}/hook", "http://[::ffff:10.0.0.1]/"):
        with pytest.raises(ApiError, match="private address"):
            await outbox.webhook(url)
    await outbox.webhook(f"http://inside.example:{receiver.port}/hook")
    await outbox.publish("xp")
    await outbox.attempted(1)
    (head,) = await outbox.heads("p")
    assert head.last is not None and receiver.got == []
    assert head.last.error == "not allowed: the name has no public address"
    await outbox.stop()


async def test_a_private_address_that_was_allowed_before(tmp_path: Path, receiver: Receiver) -> None:
    before = await Outbox(tmp_path / "data").start()
    await before.webhook(receiver.url)
    await before.stop()
    outbox = await Outbox(tmp_path / "data", webhook_public_targets=True).start()
    await outbox.publish("xp")
    await outbox.attempted(1)
    (head,) = await outbox.heads("p")
    assert head.last is not None and head.last.error == "not allowed: the address is not public"
    assert receiver.got == []
    await outbox.stop()


async def test_a_name_that_cannot_be_resolved(outbox: Outbox) -> None:
    await outbox.webhook("http://nobody.invalid/hook")
    await outbox.publish("xp")
    await outbox.attempted(1)
    (head,) = await outbox.heads("p")
    assert head.last is not None and head.last.error == "the name cannot be resolved"


# Plugins --------------------------------------------------------------------------------------------------


async def test_a_plugin_hears_of_events_of_all_tenants_at_least_once_in_order(tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []
    failing = True

    async def call(event: Event) -> None:
        heard.append((event.leaderboard_id, event.data["n"]))
        if failing:
            raise RuntimeError("not yet")

    outbox = Outbox(tmp_path / "data")
    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.start()
    assert outbox.events.wanted("any", "xp", "period.closed", outbox.s.clock.now_ms())
    assert not outbox.events.wanted("any", "xp", "period.opened", outbox.s.clock.now_ms())
    await outbox.publish("xp")
    await outbox.publish("xp")
    await outbox.attempted(1)
    assert heard == [("xp", 1)]
    failing = False
    outbox.move(FIRST_PAUSE_MS * 2)
    await outbox.until("p", 0)
    assert heard == [("xp", 1), ("xp", 1), ("xp", 2)]
    assert [i for i, _ in await outbox.s.store.scan("deliveries")] == ["generation"]
    await outbox.stop()


async def test_what_waits_for_a_plugin_that_is_gone_ends_too(tmp_path: Path) -> None:
    async def call(event: Event) -> None:
        raise RuntimeError("never")

    outbox = Outbox(tmp_path / "data")
    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.start()
    await outbox.publish("xp")
    await outbox.attempted(1)
    await outbox.stop()
    again = await Outbox(tmp_path / "data").start()
    assert again.events.status()["pending"] == 0 and len(await again.heads("p")) == 1
    again.move(DAY_MS)
    again.move(2 * DAY_MS)
    await again.until("f", 1)
    again.move(7 * DAY_MS)
    await again.until("f", 0)
    assert [i for i, _ in await again.s.store.scan("deliveries")] == ["generation"]
    await again.stop()


async def test_a_plugin_is_known_since_its_first_registration(tmp_path: Path) -> None:
    heard: list[int] = []

    async def call(event: Event) -> None:
        heard.append(event.at_ms)

    outbox = Outbox(tmp_path / "data")
    outbox.plugins["plugin:test"] = ({"period.closed"}, call)
    await outbox.start()
    since_ms = outbox.events.plugins["plugin:test"].created_at_ms
    await outbox.stop()
    again = Outbox(tmp_path / "data")
    again.plugins = outbox.plugins
    await again.start()
    again.move(HOUR_MS)
    assert again.events.plugins["plugin:test"].created_at_ms == since_ms
    assert again.events.wanted(TENANT, "xp", "period.closed", since_ms)
    assert not again.events.wanted(TENANT, "xp", "period.closed", since_ms - 1)
    await again.stop()
