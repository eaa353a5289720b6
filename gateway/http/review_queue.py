"""The way into review: submissions of this gateway that plugins held, in commands to the supervisor.

Batched by nature (law 8): one command is in flight, and what arrives meanwhile forms the next one. So a
thousand clients whose submissions are held at once cost the supervisor a few commits, not a thousand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from lbactors.core.errors import ApiError
from lbactors.core.model import Board
from lbactors.documents.reviews import Review

if TYPE_CHECKING:
    from lbactors.service.service import Service

AT_ONCE = 1000  # submissions of one command: 5 MB where each has the most metadata
WAITING = 20_000  # beyond: 429


class Queued(NamedTuple):
    """What the supervisor answers for a submission.

    state: that of the held submission, or of the one that has the same id; `full` and `gone` (there is no
    such leaderboard any more) where none was held. note: why a reviewer rejected it.
    """

    state: str
    held_id: str = ""
    note: str | None = None


class _Part(NamedTuple):
    items: list[list[Any]]
    queued: asyncio.Future[list[Queued]]


class ReviewQueue:
    """One for each gateway."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._parts: deque[_Part] = deque()
        self._waiting = 0
        self._sender: asyncio.Task[None] | None = None

    async def hold(self, board: Board, held: list[Review]) -> list[Queued]:
        """Have submissions of a leaderboard held: what became of each, once they are durable. ApiError."""
        if self._waiting + len(held) > WAITING:
            raise ApiError("overloaded", "too many submissions wait to be held; nothing was taken")
        loop = asyncio.get_running_loop()
        names = [board.tenant_id, board.leaderboard_id, board.uid]
        parts = [
            _Part([[*names, list(one)] for one in held[start : start + AT_ONCE]], loop.create_future())
            for start in range(0, len(held), AT_ONCE)
        ]
        self._parts.extend(parts)
        self._waiting += len(held)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        answers = await asyncio.gather(*(part.queued for part in parts))
        return [one for queued in answers for one in queued]

    async def _send(self) -> None:
        while self._parts:
            batch = [self._parts.popleft()]
            count = len(batch[0].items)
            while self._parts and count + len(self._parts[0].items) <= AT_ONCE:
                batch.append(self._parts.popleft())
                count += len(batch[-1].items)
            items = [item for part in batch for item in part.items]
            try:
                answer = await self._service.admin("hold", "", {"items": items})
                verdicts = iter(answer.body["verdicts"])
                for part in batch:
                    found = [Queued(*next(verdicts)) for _ in part.items]
                    if not part.queued.done():
                        part.queued.set_result(found)
            except Exception as error:
                for part in batch:
                    if not part.queued.done():
                        part.queued.set_exception(error)
            finally:
                self._waiting -= count
