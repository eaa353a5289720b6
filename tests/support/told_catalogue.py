"""A gateway's catalogue that knows what a test tells it, as a supervisor would."""

from __future__ import annotations

from typing import Any

import msgpack

from lbactors.core.definition import Definition
from lbactors.core.ids import in_tenant, log_document
from lbactors.core.model import Board
from lbactors.documents.entities import pack_board
from lbactors.service.catalogue import Catalogue

TENANT = "default"


def projection(leaderboard_id: str, *, tenant_id: str = TENANT, uid: str = "u1", **definition: Any) -> Board:
    """scoring: of a metric `coins` if not given."""
    fields = {"scoring": {"source": "metric", "metric": "coins", "aggregation": "sum"}, **definition}
    found = Definition.model_validate({"leaderboard_id": leaderboard_id, **fields})
    return Board(tenant_id, uid, found, 1, 0, 0)


def of_events(*event_types: str) -> dict[str, Any]:
    """A scoring."""
    rules = [{"event_type": event_type, "points_expression": "1"} for event_type in event_types]
    return {"source": "events", "aggregation": "sum", "rules": rules}


class ToldCatalogue(Catalogue):
    """`await put(…)`, `await drop(…)`: one watch each. `await resend()`: everything anew, as from another
    supervisor.
    """

    def __init__(self) -> None:
        supervisor: Any = self
        super().__init__(supervisor, lambda tenant_id, player_id: None)
        self._known: dict[tuple[str, str], bytes] = {}
        self._news: list[tuple[str, str, bytes | None]] = []
        self._told = 0
        self._full = True

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes:
        assert method == "watch"
        self._told += 1
        changes: list[Any] = [[*key, body] for key, body in self._known.items()] if self._full else self._news
        told = msgpack.packb([1, self._told, self._full, changes])
        self._full, self._news = False, []
        return bytes(told)

    async def _tell(self, collection: str, doc_id: str, body: bytes | None) -> None:
        self._known.pop((collection, doc_id), None)
        if body is not None:
            self._known[collection, doc_id] = body
        self._news.append((collection, doc_id, body))
        await self._watch()
        self.check()

    async def put(self, *boards: Board) -> None:
        for board in boards:
            doc_id = in_tenant(board.tenant_id, board.leaderboard_id)
            await self._tell("leaderboards", doc_id, pack_board(board))

    async def drop(self, board: Board) -> None:
        await self._tell("leaderboards", in_tenant(board.tenant_id, board.leaderboard_id), None)

    async def put_log(self, metric: str | None, tenant_id: str = TENANT, uid: str = "") -> Board:
        """A log; its board."""
        kind = "events" if metric is None else "metric"
        definition = Definition(leaderboard_id=metric or kind)
        board = Board(tenant_id, uid or f"{kind}-0a1b", definition, 1, 0, 0)
        await self._tell("logs", log_document(tenant_id, metric), pack_board(board))
        return board

    async def drop_log(self, metric: str | None, tenant_id: str = TENANT) -> None:
        await self._tell("logs", log_document(tenant_id, metric), None)

    async def resend(self) -> None:
        self._full = True
        await self._watch()
        self.check()
