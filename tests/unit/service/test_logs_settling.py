"""Settling a row that waited for longer than rows are kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lbactors.core.errors import ApiError
from lbactors.core.log_model import RowOutcome, Transaction
from lbactors.service.logs import Logs
from lbactors.wire.logs import AppendedWire, LogOp, LogRead

PENDING = Transaction(2, "maya", "award", "pending", 5, 0, "a", b"{}", None, 1000, None)


class FakeRouter:
    """A log whose pending row is found until it is settled; after that `then` is raised."""

    def __init__(self, then: ApiError) -> None:
        self.then = then
        self.is_settled = False

    async def append(self, op: LogOp) -> AppendedWire:
        self.is_settled = True
        return AppendedWire.of(9, [RowOutcome(2, 5, 5, False)])

    async def read_log(self, asked: LogRead) -> Any:
        if self.is_settled:
            raise self.then
        return PENDING


def logs_of(router: FakeRouter) -> Logs:
    board = SimpleNamespace(board_uid="default/coins~metric-1")
    catalogue = SimpleNamespace(log=lambda *_: board, followers=lambda *_: [])

    async def facts(*_: object) -> dict[str, bytes]:
        return {}

    profiles = SimpleNamespace(facts=facts)
    return Logs(
        cast("Any", router), cast("Any", catalogue), cast("Any", None), cast("Any", profiles), lambda: 0
    )


@pytest.mark.parametrize(("complete", "state"), [(True, "completed"), (False, "rejected")])
async def test_a_row_that_is_not_kept_any_more_is_shown_as_it_was(complete: bool, state: Any) -> None:
    logs = logs_of(FakeRouter(ApiError("transaction_not_found", "gone")))
    settled = await logs.settle("default", "coins", 2, complete=complete, player_id=None)
    assert settled.transaction == PENDING._replace(state=state)
    assert settled.outcome == RowOutcome(2, 5, 5, False)


async def test_another_error_is_told() -> None:
    logs = logs_of(FakeRouter(ApiError("period_loading", "wait")))
    with pytest.raises(ApiError, match="wait"):
        await logs.settle("default", "coins", 2, complete=True, player_id=None)
