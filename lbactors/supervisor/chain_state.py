"""What the supervisor knows of each chain."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from zlib import crc32

from lbactors.core import lifecycle, schedule
from lbactors.core.audience import RankAudience
from lbactors.core.definition import Rules
from lbactors.core.model import Board, PeriodRecord
from lbactors.core.past_periods import PastPeriods
from lbactors.wire.chain_spec import ChainSpec


class ChainState:
    """A chain as the supervisor knows it. `past` and `records`: all periods that are kept, by serial; for
    those in `past` nothing is to be done but their deletion. homes: of all leaderboards, by `ids.board_uid`:
    a leaderboard is placed whole.
    """

    def __init__(self, board: Board, window: str, homes: Mapping[str, str]) -> None:
        self.board = board
        self.board_id = board.board_uid
        self.window = window
        self.chain_id = board.chain_id(window)
        self._homes = homes
        self.past = PastPeriods()
        self.records: list[PeriodRecord] = []
        self.next_serial = 1
        self.version = 0
        self.due_ms: int | None = None
        self.lock = asyncio.Lock()
        self.floors: dict[int, int] = {}  # serial -> a seq that the actor said the period had reached
        self.spread = crc32(self.chain_id.encode()) / 2**32  # its place among those that share a boundary
        self.awake = True  # its open periods are to be loaded when it is hosted anew, not on demand
        self.rate_per_s = 0.0  # submissions and reads of late
        self.entries = 0  # of its open periods that are awake
        self.work = 0  # how many the actor counted in all, at the last look

    @property
    def home(self) -> str:
        """Name of the actor that has the leaderboard; empty while it has none."""
        return self._homes.get(self.board_id, "")

    def saw(self, serial: int, seq: int) -> None:
        """The actor told how far a period is."""
        if seq > self.floors.get(serial, 0):
            self.floors[serial] = seq

    def forget_floors(self) -> None:
        """Let go of what was told of periods that are closed by now: their records say how far they are."""
        known = {r.serial for r in self.records if not r.sealed}
        self.floors = {serial: seq for serial, seq in self.floors.items() if serial in known}

    @property
    def wanted(self) -> bool:
        """Whether new periods are wanted."""
        return self.board.definition.status != "archived" and self.window in self.board.windows

    def plan(self, now_ms: int) -> schedule.Plan:
        """What is to be opened, sealed and deleted now."""
        return schedule.plan_chain(
            self.board.definition.timeframe,
            self.window,
            self.records,
            self.next_serial,
            now_ms,
            wanted=self.wanted,
            spread=self.spread,
            past=self.past,
        )

    def let_pass(self) -> None:
        """Know of old closed periods no more than is needed."""
        count = lifecycle.past_of(self.records)
        self.past.add(self.records[:count])
        del self.records[:count]

    def forget(self, serials: Collection[int]) -> None:
        """Periods that were deleted."""
        self.past.remove(serials)
        self.records = [r for r in self.records if r.serial not in serials]

    @property
    def keys(self) -> list[str]:
        """Of all periods that are kept."""
        return [*self.past.keys(), *(r.key for r in self.records)]

    @property
    def names(self) -> list[tuple[int, str]]:
        """Serial and key of all periods that are kept."""
        return [*((p.serial, p.key) for p in self.past), *((r.serial, r.key) for r in self.records)]

    @property
    def grace_ms(self) -> int:
        return self.board.definition.timeframe.late_grace_seconds * 1000

    def next_starts_ms(self, record: PeriodRecord) -> int | None:
        """When the period after a record begins, as far as the schedule knows."""
        later = lifecycle.record_after(self.records, record)
        if later is not None:
            return later.starts_at_ms
        return schedule.next_starts_ms(self.board.definition.timeframe, self.window, record)

    def record(self, serial: int) -> PeriodRecord:
        return next(r for r in self.records if r.serial == serial)

    def check(self) -> None:
        """Assert every invariant; called throughout the tests. It holds whenever another task runs."""
        assert self.chain_id == self.board.chain_id(self.window)
        serials = [serial for serial, _ in self.names]
        assert serials == sorted(set(serials)), f"{self.chain_id}: records out of order: {serials}"
        assert len(set(self.keys)) == len(serials), f"{self.chain_id}: a key stands twice"
        assert self.records or not self.past, f"{self.chain_id}: the last period is not past"
        assert self.next_serial > max(serials, default=0), f"{self.chain_id}: a serial would be used again"
        for record in self.records:
            lifecycle.check_record(record)
        last = lifecycle.last_of(self.records)
        endless = [r.serial for r in self.records if r is not last and r.ends_at_ms is None]
        assert not endless, f"{self.chain_id}: others follow {endless}, which have no end"
        assert all(seq > 0 for seq in self.floors.values()), self.floors
        assert self.home or not self.records, f"{self.chain_id} has periods and no home"

    @property
    def is_dedicated(self) -> bool:
        """Whether the leaderboard is to have an actor of its own."""
        return self.board.definition.placement == "dedicated" and self.wanted

    @property
    def oldest_serial(self) -> int:
        """Of all periods that are kept; 0 for none."""
        serial, _ = next(self.past.ends(), (0, 0))
        return serial or (self.records[0].serial if self.records else 0)

    def spec(self) -> ChainSpec:
        definition = self.board.definition
        sealed = [r for r in self.records if r.sealed]
        more = self.wanted and schedule.has_next_period(definition.timeframe, self.window, self.records)
        return ChainSpec(
            self.chain_id,
            self.window,
            self.version,
            Rules.of(definition),
            self.grace_ms,
            more,
            [r for r in self.records if not r.sealed],
            lifecycle.last_of(sealed),
            self.oldest_serial,
            {
                r.serial: self.floors[r.serial]
                for r in self.records
                if not r.sealed and r.serial in self.floors
            },
            self.awake,
            definition.timeframe.late_submissions == "arrival",
            lifecycle.owing_ids(self.records),
            RankAudience.of(definition.audience),
        )


def chains_of(chains: Mapping[str, ChainState], board_uid: str) -> list[ChainState]:
    """All chains of a leaderboard, those of windows taken away included, in the order in which all who need
    several lock them.
    """
    prefix = f"{board_uid}/"
    return [c for i, c in chains.items() if i.startswith(prefix)]
