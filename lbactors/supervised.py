"""What the supervisor knows of each chain and of each period actor."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from lbactors import planner
from lbactors.chain_spec import ChainSpec
from lbactors.model import Board, PeriodRecord, Rules


class Actor(Protocol):
    """A handle to a period actor (`lbactors.cluster.ActorRef`)."""

    name: str

    async def call(self, method: str, *payload: bytes, timeout_s: float | None = None) -> bytes: ...


class ChainState:
    """A chain as the supervisor knows it. `records`: all that are kept, by serial."""

    def __init__(self, board: Board, window: str) -> None:
        self.board = board
        self.window = window
        self.chain_id = board.chain_id(window)
        self.records: list[PeriodRecord] = []
        self.next_serial = 1
        self.version = 0
        self.home = ""
        self.due_ms: int | None = None
        self.lock = asyncio.Lock()
        self.floors: dict[int, int] = {}  # serial -> a seq that the actor said the period had reached

    def saw(self, serial: int, seq: int) -> None:
        """The actor told how far a period is."""
        if seq > self.floors.get(serial, 0):
            self.floors[serial] = seq

    @property
    def wanted(self) -> bool:
        """Whether new periods are wanted."""
        return self.board.definition.status != "archived" and self.window in self.board.windows

    def plan(self, now_ms: int) -> planner.Plan:
        """What is to be opened, sealed and deleted now."""
        return planner.plan_chain(
            self.board.definition.timeframe,
            self.window,
            self.records,
            self.next_serial,
            now_ms,
            goes_on=self.wanted,
        )

    def spec(self) -> ChainSpec:
        definition = self.board.definition
        sealed = [r for r in self.records if r.sealed]
        more = self.wanted and planner.goes_on_after(definition.timeframe, self.window, self.records)
        return ChainSpec(
            self.chain_id,
            self.window,
            self.version,
            Rules.of(definition),
            definition.timeframe.late_grace_seconds * 1000,
            more,
            [r for r in self.records if not r.sealed],
            sealed[-1] if sealed else None,
            self.records[0].serial if self.records else 0,
            {
                r.serial: self.floors[r.serial]
                for r in self.records
                if not r.sealed and r.serial in self.floors
            },
        )


class ActorState:
    """A period actor as the supervisor knows it."""

    def __init__(self, ref: Actor) -> None:
        self.ref = ref
        self.incarnation = ""
        self.chains: set[str] = set()
        self.last_ping: dict[str, Any] = {}
        self.lock = asyncio.Lock()
        self.hosted: dict[str, int] = {}  # chain -> version of the spec that it took
