"""Logs of a `LocalServer`, asked as gateways ask for them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack

from lbactors.core.errors import ApiError
from lbactors.core.ids import in_chain, log_document
from lbactors.core.log_model import Balance, EventRow, MetricRow, RowOutcome, Transaction
from lbactors.core.model import Board
from lbactors.wire.logs import (
    BALANCE,
    EVENTS,
    ROWS,
    SETTLE,
    TRANSACTION,
    TRANSACTIONS,
    AppendedWire,
    FollowedWire,
    FollowOp,
    LogOp,
    LogRead,
    SettleRow,
    TransactionsAsked,
    TransactionsFound,
    balance_of,
)
from lbactors.wire.replies import ASLEEP, VALUE, Reply
from persistence.store import Part, Record
from tests.support.supervisor.local_supervisor import LocalServer


def row(player_id: str, amount: float = 1, **other: Any) -> MetricRow:
    fields = {"kind": "award", "state": "completed", "subscore": 0, "metadata": None, "submission_id": None}
    return MetricRow(player_id=player_id, amount=amount, **(fields | {"occurred_at_ms": None} | other))


class LocalLogs:
    """Of one tenant. A metric `None` is the log of its events."""

    def __init__(self, server: LocalServer, tenant_id: str = "default") -> None:
        self.server = server
        self.tenant_id = tenant_id

    def board(self, metric: str | None) -> Board:
        return self.server.supervisor.state.logs[log_document(self.tenant_id, metric)]

    def log_id(self, metric: str | None) -> str:
        return in_chain(self.board(metric).chain_id("main"), 1)

    async def open(self, metric: str | None) -> None:
        await self.server.command("open_log", self.tenant_id, metric=metric)

    async def _ask(self, method: str, board: Board, op: Any) -> Any:
        """A value. ApiError."""
        server = self.server
        async with asyncio.timeout(20):
            while True:
                chain = server.supervisor.state.chains[board.chain_id("main")]
                await server.supervisor.hosting.place(chain.home)
                actor = server.actors.by_name[chain.home]
                (wire,) = msgpack.unpackb(await actor.call(method, msgpack.packb([op])))
                server.check()
                reply = Reply.from_wire(wire)
                if reply.status == VALUE:
                    return reply.value
                if reply.error is not None and reply.error.code != "period_loading":
                    raise reply.error
                if reply.status == ASLEEP:
                    await actor.call("wake", msgpack.packb(board.board_uid))
                await server.supervisor.hosting.probe(actor.name)
                await asyncio.sleep(0.005)  # what loads needs the loop

    async def _append(self, metric: str | None, kind: int, rows: list[Any]) -> AppendedWire:
        await self.open(metric)
        board = self.board(metric)
        return AppendedWire(*await self._ask("append", board, LogOp(board.board_uid, kind, rows)))

    async def write(self, metric: str, *rows: MetricRow) -> list[RowOutcome | ApiError]:
        return (await self._append(metric, ROWS, list(rows))).rows()

    async def events(self, *rows: EventRow) -> None:
        await self._append(None, EVENTS, list(rows))

    async def settle(self, metric: str, seq: int, *, complete: bool = True) -> RowOutcome:
        """ApiError."""
        (found,) = (await self._append(metric, SETTLE, [SettleRow(seq, complete, None, None)])).rows()
        if isinstance(found, ApiError):
            raise found
        return found

    async def _read(self, metric: str, kind: int, *args: Any) -> Any:
        board = self.board(metric)
        return await self._ask("read_log", board, LogRead(board.board_uid, kind, args))

    async def balance(self, metric: str, player_id: str) -> Balance:
        return balance_of(await self._read(metric, BALANCE, player_id))

    async def transaction(self, metric: str, seq: int) -> Transaction:
        """ApiError."""
        return Transaction(*await self._read(metric, TRANSACTION, seq))

    async def transactions(self, metric: str, player_id: str | None = None) -> list[Transaction]:
        """All of them, page by page."""
        found: list[Transaction] = []
        before: int | None = None
        while True:
            asked = TransactionsAsked(player_id, before, 3)
            page = TransactionsFound(*await self._read(metric, TRANSACTIONS, *asked))
            found += page.transactions()
            before = page.next_before
            if before is None:
                return found

    async def last_seq(self, metric: str | None) -> int:
        return await self.server.supervisor.state.store.last_seq(self.log_id(metric))

    async def read_by(self, leaderboard_id: str, metric: str | None) -> None:
        """Have a leaderboard read all of a log."""
        board = self.server.supervisor.state.boards[f"{self.tenant_id}/{leaderboard_id}"]
        async with asyncio.timeout(20):
            while True:
                op = FollowOp(board.board_uid, await self.last_seq(metric), 1000)
                if not FollowedWire(*await self._ask("follow", board, op)).is_behind:
                    return

    async def stored_bytes(self) -> dict[str, bytes]:
        """All that the store has of journals and snapshots, by where it is."""
        store = self.server.supervisor.state.store
        found: dict[str, bytes] = {}
        for period_id in await store.list_periods():
            for record in await store.records(period_id, 0, 100_000):
                found[f"{period_id} {record.first_seq}"] = record.body
            async for item in store.recover(period_id):
                if isinstance(item, Part):
                    found[f"{period_id} {item.name}"] = item.body
                elif isinstance(item, Record):
                    found[f"{period_id} {item.first_seq}"] = item.body
        return found


__all__ = ["LocalLogs", "row"]
