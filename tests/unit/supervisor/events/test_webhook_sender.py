"""Single attempts: signatures as they arrive, what counts as a confirmation, where they may lead."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.resolver import DefaultResolver
from standardwebhooks import Webhook as Verifier

from lbactors.core.errors import ApiError
from lbactors.supervisor.events.delivery_queue import FIRST_PAUSE_MS
from tests.support.supervisor.outbox import Got, OutboxWorld, Receiver

DAY_MS = 86_400_000


async def test_the_signature_by_hand(outbox: OutboxWorld, receiver: Receiver) -> None:
    """With a moved clock, where a library would say that the timestamp is too far away."""
    webhook = await outbox.webhook(receiver.url)
    outbox.move(30 * DAY_MS)
    await outbox.publish("xp")
    (got,) = await receiver.until(1)
    stamp = got.headers["webhook-timestamp"]
    assert abs(int(stamp) * 1000 - outbox.s.state.clock.now_ms()) < 10_000
    key = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
    assert len(key) == 32
    signed = b".".join([got.event_id.encode(), stamp.encode(), got.raw])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"


async def test_a_rotated_secret_signs_beside_the_one_before(outbox: OutboxWorld, receiver: Receiver) -> None:
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


@pytest.mark.parametrize(
    ("status", "error"), [(404, "HTTP 404"), (302, "HTTP 302: redirects are not followed")]
)
async def test_whatever_is_not_2xx_is_no_confirmation(
    outbox: OutboxWorld, receiver: Receiver, status: int, error: str
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
    outbox: OutboxWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbactors.supervisor.events.webhook_sender.ATTEMPT_S", 0.05)
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


async def test_a_long_answer_is_not_read_to_its_end(outbox: OutboxWorld, receiver: Receiver) -> None:
    async def endless(got: Got) -> web.StreamResponse:
        return web.Response(body=b"x" * 50_000_000)

    receiver.answer = endless
    await outbox.webhook(receiver.url)
    await outbox.publish("xp")
    await outbox.publish("xp")
    await outbox.until("d", 2)


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
    monkeypatch.setattr("lbactors.supervisor.events.webhook_sender.DefaultResolver", Inside)
    outbox = await OutboxWorld(tmp_path / "data", webhook_public_targets=True).start()
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
    before = await OutboxWorld(tmp_path / "data").start()
    await before.webhook(receiver.url)
    await before.stop()
    outbox = await OutboxWorld(tmp_path / "data", webhook_public_targets=True).start()
    await outbox.publish("xp")
    await outbox.attempted(1)
    (head,) = await outbox.heads("p")
    assert head.last is not None and head.last.error == "not allowed: the address is not public"
    assert receiver.got == []
    await outbox.stop()


async def test_a_name_that_cannot_be_resolved(outbox: OutboxWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: Any, **__: Any) -> Any:
        raise OSError("no such name")

    monkeypatch.setattr(DefaultResolver, "resolve", unknown)
    await outbox.webhook("http://nobody.invalid/hook")
    await outbox.publish("xp")
    await outbox.attempted(1)
    (head,) = await outbox.heads("p")
    assert head.last is not None and head.last.error == "the name cannot be resolved"
