"""A gateway that does not know better: it speaks to one process of a period actor, whatever became of that.

`DirectApi` stands in for `writers.Api` under a ledger: the same items, the same answers as the gateway would
give, but over a line that stays with the process it was made for. `standings` is what that process shows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgpack

from lbactors.core.errors import ApiError
from lbactors.core.ids import board_of_chain
from lbactors.core.period import NO_RANK
from lbactors.wire.replies import Reply
from lbactors.wire.rpc import ConnectionLost, RpcClient
from tests.support.crash.readers import Row
from tests.support.crash.writers import REQUEST_TIMEOUT_S, Api, Disconnected

EVERYONE = 100_000


class DirectApi(Api):
    """`endpoint`: what a period actor tells gateways of itself."""

    def __init__(self, endpoint: bytes, chain_id: str) -> None:
        super().__init__("", "")

        async def known() -> bytes:
            return endpoint

        self.chain_id = chain_id
        self._line = RpcClient(known)

    async def exchange(
        self, method: str, path: str, body: Any = None, **query: Any
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Submissions, in the shapes of HTTP. Disconnected."""
        assert (method, path.rpartition("/")[2]) == ("POST", "scores")
        items = body.get("submissions", [body])
        rows = [[i["player_id"], i["score"], 0, None, i["submission_id"], None, None] for i in items]
        now_ms = time.time_ns() // 1_000_000
        try:
            op = [board_of_chain(self.chain_id), now_ms, NO_RANK, rows, ["main"]]
            (reply,) = await self._ask("write", [now_ms, [op]])
            errors = [{"index": index, "code": wire[0]} for index, wire in Reply.from_wire(reply).result()]
        except ApiError as error:
            errors = [{"index": index, "code": error.code} for index in range(len(items))]
        if errors and "submissions" not in body:
            return 503, {"error": errors[0]}, {"Retry-After": "1"}
        return 200, {"accepted": len(items) - len(errors), "errors": errors}, {}

    async def standings(self) -> list[Row]:
        """In rank order. ApiError; Disconnected."""
        args = [0, EVERYONE, None, None]
        (reply,) = await self._ask("read", [[self.chain_id, "current", "page", args]])
        _, total, _, rows, *_ = Reply.from_wire(reply).result()
        assert [row[0] for row in rows] == list(range(1, total + 1)), "ranks are not consecutive"
        return [(row[1], row[2], row[5]) for row in rows]

    async def _ask(self, method: str, ops: list[Any]) -> list[list[Any]]:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                reply = await self._line.call(method, bytes(msgpack.packb(ops)))
            replies: list[list[Any]] = msgpack.unpackb(reply)
        except (ConnectionLost, TimeoutError) as error:
            raise Disconnected(str(error)) from error
        return replies

    def close(self) -> None:
        self._line.close()
