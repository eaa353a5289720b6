"""A call of an actor and the task that waits for it: which of two ends comes first, and that neither is lost.

In place of Ray's handle stands one whose replies the test gives. Not verified here: Ray's own errors (see
tests/crash).
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import msgpack
import pytest

from lbactors.cluster import ActorRef
from lbactors.routes import Catalogue

WITHIN_S = 10.0
TURNS = 6  # of the event loop, in one of which the waiting task is woken


class Handle:
    """An actor's handle; every call's reply is a future that the test resolves."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[asyncio.Future[bytes]] = asyncio.Queue()
        self.watch = SimpleNamespace(remote=self._remote)

    def _remote(self, *payload: bytes) -> asyncio.Future[bytes]:
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.replies.put_nowait(reply)
        return reply


def news(version: int, *, full: bool = False) -> bytes:
    return bytes(msgpack.packb([1, version, full, []]))


@pytest.mark.parametrize("turns", range(TURNS))
async def test_a_follower_ends_although_news_came_at_that_moment(turns: int) -> None:
    handle = Handle()
    catalogue = Catalogue(ActorRef("supervisor", handle), lambda tenant_id, player_id: None)
    starting = asyncio.create_task(catalogue.start())
    (await handle.replies.get()).set_result(news(0, full=True))
    await starting
    watch = await handle.replies.get()
    watch.set_result(news(1))
    for _ in range(turns):
        await asyncio.sleep(0)
    closed, _ = await asyncio.wait([asyncio.create_task(catalogue.close())], timeout=WITHIN_S)
    assert closed, "the follower goes on"
    while not handle.replies.empty():  # a further watch, if the news was taken before the end
        assert handle.replies.get_nowait().cancelled()


@pytest.mark.parametrize("timeout_s", [None, 10.0])
async def test_a_cancelled_call_is_cancelled_although_its_reply_is_there(timeout_s: float | None) -> None:
    handle = Handle()
    calling = asyncio.create_task(ActorRef("period-1", handle).call("watch", timeout_s=timeout_s))
    reply = await handle.replies.get()
    reply.set_result(b"done")
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_a_reply_that_does_not_come_in_time() -> None:
    handle = Handle()
    with pytest.raises(TimeoutError):
        await ActorRef("period-1", handle).call("watch", timeout_s=0.01)
    assert (await handle.replies.get()).cancelled()
