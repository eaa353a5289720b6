"""What a receiver of webhooks (`outbox.Receiver`) was told of one board."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from tests.support.crash.writers import Api
from tests.support.supervisor.outbox import Got, Receiver

LOOK_S = 0.1


async def subscribe(receiver: Receiver, api: Api) -> str:
    """Have every event of the tenant sent to a receiver; the id of the webhook."""
    status, answer = await api.call("POST", "/v1/webhooks", {"url": receiver.url})
    assert status == 201, answer
    return str(answer["webhook_id"])


def firsts(receiver: Receiver, board_id: str) -> list[Got]:
    """The first arrival of each event of a board, in order."""
    first: dict[str, Got] = {}
    for got in receiver.got:
        if got.body["leaderboard_id"] == board_id:
            first.setdefault(got.event_id, got)
    return list(first.values())


async def until_confirmed(api: Api, within_s: float) -> None:
    """Wait until the server knows that whatever was sent has arrived: it would send the rest again."""
    async with asyncio.timeout(within_s):
        while (await api.status())["events"]["pending"]:  # noqa: ASYNC110 - HTTP, without an event
            await asyncio.sleep(LOOK_S)


async def until_told(receiver: Receiver, board_id: str, kinds: dict[str, int], within_s: float) -> None:
    """Wait until so many different events of these types came. AssertionError."""
    counts: Counter[str] = Counter()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                counts = Counter(got.body["type"] for got in firsts(receiver, board_id))
                if all(counts[kind] >= number for kind, number in kinds.items()):
                    return
                with contextlib.suppress(TimeoutError):
                    await receiver.until(len(receiver.got) + 1)
    raise AssertionError(f"told within {within_s:.0f} s: {dict(counts)}, not {kinds}")
