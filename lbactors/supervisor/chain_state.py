"""What the supervisor knows of each chain."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from zlib import crc32

from lbactors.core import lifecycle, schedule
from lbactors.core.audience import RankAudience
from lbactors.core.definition import Rules
from lbactors.core.ids import in_chain, log_document
from lbactors.core.model import Board, PeriodRecord
from lbactors.core.past_periods import PastPeriods
from lbactors.wire.chain_spec import ChainSpec, Follows
from lbactors.wire.ping import FollowPing


class ChainState:
    """A chain as the supervisor knows it. `past` and `records`: all periods that are kept, by serial; for
    those in `past` nothing is to be done but their deletion. homes: of all leaderboards, by `ids.board_uid`:
    a leaderboard is placed whole. logs: by `ids.log_document`.
    """

    def __init__(
        self, board: Board, window: str, homes: Mapping[str, str], logs: Mapping[str, Board]
    ) -> None:
        self.board = board
        self.board_id = board.board_uid
        self.window = window
        self.chain_id = board.chain_id(window)
        self._homes = homes
        self._logs = logs
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
        self.follow: FollowPing | None = None  # of a projection, at the last look
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
            follows=log_of(self.board) is not None,
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
        """Serial and key of all periods that are kept, in order of serial."""
        found = [*((p.serial, p.key) for p in self.past), *((r.serial, r.key) for r in self.records)]
        return sorted(found)  # an old one may be computed anew

    @property
    def grace_ms(self) -> int:
        return self.board.definition.timeframe.late_grace_seconds * 1000

    def next_starts_ms(self, record: PeriodRecord) -> int | None:
        """When the period after a record begins, as far as the schedule knows."""
        later = lifecycle.record_after(self.records, record)
        past = self.past.after(record)
        if past is not None and (later is None or past.serial < later.serial):
            return past.starts_at_ms
        if later is not None:
            return later.starts_at_ms
        return schedule.next_starts_ms(self.board.definition.timeframe, self.window, record)

    def record(self, serial: int) -> PeriodRecord:
        return next(r for r in self.records if r.serial == serial)

    def check(self) -> None:
        """Assert every invariant; called throughout the tests. It holds whenever another task runs."""
        assert self.chain_id == self.board.chain_id(self.window)
        serials = [serial for serial, _ in self.names]
        assert len(set(serials)) == len(serials), f"{self.chain_id}: a period stands twice: {serials}"
        for some in ([p.serial for p in self.past], [r.serial for r in self.records]):
            assert some == sorted(some), f"{self.chain_id}: records out of order: {some}"
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
        past, _ = next(self.past.ends(), (0, 0))
        serial = self.records[0].serial if self.records else past
        return min(past or serial, serial)  # an old one may be computed anew

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
            self._follows(),
        )

    @property
    def log_chain_id(self) -> str | None:
        """The chain of a projection's log."""
        log_id = log_of(self.board)
        return None if log_id is None else self._logs[log_id].chain_id("main")

    def _follows(self) -> Follows | None:
        """What a projection follows, and from where."""
        chain_id = self.log_chain_id
        if chain_id is None:
            return None
        scoring, fill = self.board.definition.scoring, self.board.fill
        from_ms = 0 if scoring.backfill else self.board.created_at_ms
        return Follows(
            in_chain(chain_id, 1),
            scoring.model_dump(mode="json"),
            from_ms,
            fill.generation,
            fill.pauses,
            self._over() if self.board.definition.timeframe.late_submissions == "arrival" else (),
        )

    def _over(self) -> tuple[tuple[int, int, int], ...]:
        """Start, end, and end of the grace of closed periods whose grace reached into one that is open. Of a
        period in `past` it is taken to be that of the definition.
        """
        begins_ms = min((r.starts_at_ms or 0 for r in self.records if not r.sealed), default=None)
        if begins_ms is None or self.board.definition.timeframe.is_player_local:
            return ()
        past = [(p.starts_at_ms or 0, p.ends_at_ms, p.ends_at_ms + self.grace_ms) for p in self.past]
        whole = [
            (r.starts_at_ms or 0, r.ends_at_ms, r.ends_at_ms + lifecycle.grace_of(r, self.grace_ms))
            for r in self.records
            if r.sealed and r.ends_at_ms is not None
        ]
        return tuple(found for found in [*past, *whole] if found[2] > begins_ms)


def log_of(board: Board) -> str | None:
    """The document of the log that a leaderboard is computed from; None if it is no projection."""
    scoring = board.definition.scoring
    if scoring.source == "scores":
        return None
    return log_document(board.tenant_id, scoring.metric if scoring.source == "metric" else None)


def chains_of(chains: Mapping[str, ChainState], board_uid: str) -> list[ChainState]:
    """All chains of a leaderboard, those of windows taken away included, in the order in which all who need
    several lock them.
    """
    prefix = f"{board_uid}/"
    return [c for i, c in chains.items() if i.startswith(prefix)]
