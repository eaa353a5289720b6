"""Which logs there are: one a metric and tenant, one for a tenant's events; made when it is needed first.

A log is hosted as a leaderboard is, placed and moved with the same means, by a board that nobody sees: its
one period has no end. Its document is in the collection `logs` (`ids.log_document`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

import structlog

from lbactors.core.definition import Definition
from lbactors.core.errors import ApiError, invalid
from lbactors.core.ids import log_document
from lbactors.core.model import Board
from lbactors.documents.entities import pack_board
from lbactors.supervisor.chain_state import ChainState, log_of
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.logs import TrimLog
from lbactors.wire.reads import Stats
from persistence.store import Change

METRICS_LIMIT = 1000  # of a tenant
IN_PATH = ("path", "metric")
IN_DEFINITION = ("body", "scoring", "metric")
DAY_MS = 24 * 3600 * 1000
TRIM_EVERY_S = 600.0
MAX_SEQ = 2**62
FIRST_TRIM_S = 30.0  # after the start, when all is hosted

log = structlog.get_logger("supervisor")


class Logs:
    """Part of the supervisor."""

    def __init__(self, state: SupervisorState, hosting: Hosting) -> None:
        self.state = state
        self.hosting = hosting
        self._trimmed_ms: dict[str, int] = {}  # when a log was trimmed last
        self._roused_ms: dict[str, int] = {}  # when its projections were woken for that

    def ensure_of(self, board: Board) -> tuple[list[Change], list[ChainState]]:
        """Have the log of a leaderboard, if it is a projection: `ensure`."""
        if log_of(board) is None:
            return [], []
        return self.ensure(board.tenant_id, board.definition.scoring.metric, IN_DEFINITION)

    def ensure(
        self, tenant_id: str, metric: str | None, named_in: Sequence[str] = IN_PATH
    ) -> tuple[list[Change], list[ChainState]]:
        """Have a log: the documents to make durable, and the chains to host then; none if it is there. 422
        for one metric too many; named_in: where the request has its name.
        """
        name = log_document(tenant_id, metric)
        if name in self.state.logs:
            return [], []
        prefix = log_document(tenant_id, "")
        if metric is not None and sum(i.startswith(prefix) for i in self.state.logs) >= METRICS_LIMIT:
            raise invalid(f"a tenant may have at most {METRICS_LIMIT} metrics", *named_in)
        kind = "events" if metric is None else "metric"
        now_ms = self.state.clock.now_ms()
        definition = Definition(leaderboard_id=kind if metric is None else metric)
        board = Board(tenant_id, f"{kind}-{secrets.token_hex(4)}", definition, 1, now_ms, now_ms)
        chain = self.state.new_chain(board, "main")
        plan = chain.plan(now_ms)
        self.state.take_records(chain, plan.add)
        changes = [Change("logs", name, pack_board(board))]
        changes += [self.state.record_change(chain, record) for record in plan.add]
        changes += self.hosting.settle([chain])
        self.state.logs[name] = board
        return changes, [chain]

    # Age ------------------------------------------------------------------------------------------------

    async def trim(self) -> None:
        """Let go of rows that are old enough, and that every projection has read."""
        settings, now_ms = self.state.settings, self.state.clock.now_ms()
        for name, board in list(self.state.logs.items()):
            is_metric = board.uid.startswith("metric-")
            days = settings.metric_retain_days if is_metric else settings.event_retain_days
            chain = self.state.chains.get(board.chain_id("main"))
            up_to_seq = self._read_by_all(name)
            if chain is None or chain.home in self.hosting.dormant or not up_to_seq:
                continue  # of a log that nobody uses nothing is read, and it is trimmed when it is used again
            if not chain.awake and now_ms - self._trimmed_ms.get(name, 0) < DAY_MS:
                continue  # that would wake it
            if now_ms - self._roused_ms.get(name, 0) >= DAY_MS and not await self._rouse(name, now_ms):
                continue
            request = TrimLog(chain.chain_id, now_ms - days * DAY_MS, up_to_seq)
            try:
                await self.hosting.change(chain, "trim_log", request)
                self._trimmed_ms[name] = now_ms
            except ApiError as error:
                log.warning("log not trimmed", log=name, error=str(error))

    async def _rouse(self, name: str, now_ms: int) -> bool:
        """Have the projections of a log that sleep read it: rows wake them, but not if the gateway died that
        had them. Once a day, so what is a day old, and older rows go, they have read since. False: nothing is
        to be trimmed now, since one was woken and may still read, or could not be.
        """
        asleep = [
            chain
            for chain in self.state.chains.values()
            if log_of(chain.board) == name and chain.home and not chain.awake
        ]
        for chain in asleep:
            try:
                await self.hosting.read(chain, "current", Stats())
            except ApiError as error:
                if error.code not in ("period_loading", "period_not_found"):
                    log.warning("log not trimmed", log=name, error=str(error))
                    return False
        self._roused_ms[name] = now_ms
        return not asleep

    def _read_by_all(self, name: str) -> int:
        """A seq up to which all projections of a log have read it; 0 where one cannot say. One that sleeps
        has read it (`_rouse`).
        """
        lowest = MAX_SEQ
        for chain in self.state.chains.values():
            if log_of(chain.board) != name or not chain.home or chain.home in self.hosting.dormant:
                continue
            actor = self.hosting.actors.get(chain.home)
            if actor is None or actor.last_ping is None:
                return 0
            seen = actor.last_ping.chains.get(chain.chain_id)
            if seen is None or seen.follow is None:
                if chain.awake:  # it is being hosted, and has still to read
                    return 0
            elif any(period.state != "asleep" for period in seen.periods):
                lowest = min(lowest, seen.follow.rows_read)
        return lowest

    async def trim_on(self) -> None:
        """Trim now and again, for as long as the supervisor runs."""
        pause_s = FIRST_TRIM_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = TRIM_EVERY_S
            await self.trim()
