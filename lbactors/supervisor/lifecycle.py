"""Carries out the steps of a period's life that time or a forced close brings, each of them once.

Part of the supervisor. Which steps there are, what must be done first and what is in the commit of each is
the table of `lbactors.core.lifecycle`; the schedule says which are due, in the order of time. A step is
persisted in one commit with what follows from it: the period's new stage, the events for those who listen,
what was promised to winners. So whatever process dies at whatever point, the next one finds the stage that
was reached and goes on there; and a step that was repeated makes the same events under the same ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any
from urllib.parse import quote, urlencode

import msgpack
import structlog

from lbactors.core.errors import ApiError
from lbactors.core.ids import in_chain, in_tenant, is_log
from lbactors.core.lifecycle import (
    TRANSITIONS,
    Stage,
    Step,
    Transition,
    Work,
    grace_of,
    owes_ids,
    owing_ids,
    reached,
    work_of,
)
from lbactors.core.model import PeriodRecord, Row
from lbactors.core.shown_ranks import shown_row
from lbactors.documents.entities import entry_json, period_json, view_of_record
from lbactors.documents.events import Event, event_id
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.events.outbox import Outbox
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.rewards.granting import Granting
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.logs import Tick
from lbactors.wire.reads import Page
from lbactors.wire.replies import NOT_HERE
from lbactors.wire.requests import HandOn, Seal
from persistence.store import Change

REOPENED = "period.reopened"
STANDINGS_ROWS = 10  # final standings in an event; all of them are behind its link

log = structlog.get_logger("supervisor")


# The numbers of a period are in its record from its closing on; until then its actor alone knows them.
NOT_COUNTED: dict[str, None] = {"entries": None, "submissions": None}


class Lifecycle:
    """One for each supervisor; `carry_out` is called under the chain's lock."""

    def __init__(self, state: SupervisorState, hosting: Hosting, outbox: Outbox, granting: Granting) -> None:
        self.state = state
        self.hosting = hosting
        self.outbox = outbox
        self.granting = granting

    async def carry_out(self, chain: ChainState, steps: Sequence[Step]) -> bool:
        """Take periods to the stages that are due, in order; whether that was all. Else, and after ApiError
        and StoreError, the rest is due again, when others have had the chain's lock.
        """
        changes: list[Change] = []
        events: list[Event] = []
        taken: list[PeriodRecord] = []

        async def persist() -> None:
            """Make it durable, and only then known here: a step that was not persisted is due again."""
            made = [*changes, *self.outbox.changes(events)]
            if made and not self.state.knows(chain):
                raise ApiError("leaderboard_not_found", "purged while its periods were closed")
            if made:
                await self.state.commit(made)
                self.outbox.committed()
            new_spec = any(r.sealed and not chain.record(r.serial).sealed for r in taken)
            if taken:
                self.state.take_records(chain, taken, new_spec=new_spec)
            for done in (changes, events, taken):
                done.clear()

        for at_ms, stage, serial in steps:
            row, record = TRANSITIONS[stage], chain.record(serial)
            work = work_of(row, record)
            if work is not Work.NONE:
                await persist()  # what came before in time is told before
            if work is Work.SEAL:
                record = await self._sealed(chain, record)
            elif work is Work.GRANT and not await self.granting.grant(chain, record):
                return False
            event = await self._event(chain, record, row, at_ms)
            promised: list[Change] = []
            if row.promises and not record.keeps_rewards and (record.entries or record.reopened):
                promised = await self.granting.begin(chain, record)
            rewarded = record.rewarded or any(change.body is not None for change in promised)
            record = record._replace(stage=reached(row, promised=bool(promised)), rewarded=rewarded)
            taken.append(record)
            if row.is_kept or event is not None:
                changes += [self.state.record_change(chain, record), *promised]
            if event is not None:
                events.append(event)
            if work is Work.SEAL:
                await persist()
                await self.hosting.host([chain], wait=False)
        await persist()
        return True

    async def catch_up(self, chain: ChainState) -> None:
        """Tell what is due, up to what has to be done first: before the end of a period may be taken back, it
        is told that it came. ApiError, StoreError.
        """
        known = {record.serial for record in chain.records}
        due = takewhile(
            lambda step: step.serial in known and TRANSITIONS[step.stage].work is Work.NONE,
            chain.plan(self.state.clock.now_ms()).steps,
        )
        await self.carry_out(chain, list(due))

    async def _sealed(self, chain: ChainState, record: PeriodRecord) -> PeriodRecord:
        """Have a period closed by its actor. Repeating it is harmless."""
        unused = await self._sealed_unused(chain, record)
        if unused is not None:
            return unused
        end = [record.reopened, record.ends_at_ms]
        seal = Seal(chain.chain_id, record.serial, chain.version, end, await self._log_seq(chain, record))
        found = await self._asked(chain, "seal", seal)
        sealed = PeriodRecord(*found)._replace(key=record.key, stage=record.stage)
        log.info("period closed", chain=chain.chain_id, key=sealed.key, entries=sealed.entries)
        return sealed

    async def _log_seq(self, chain: ChainState, record: PeriodRecord) -> int:
        """Of a projection: the seq up to which its log has every row that may count in a period; 0 for other
        leaderboards. ApiError.
        """
        log_chain = self.state.chains.get(chain.log_chain_id or "")
        if log_chain is None or record.ends_at_ms is None:
            return 0
        at_ms = record.ends_at_ms + grace_of(record, chain.grace_ms)
        return int(await self._asked(log_chain, "tick", Tick(log_chain.chain_id, at_ms)))

    async def _sealed_unused(self, chain: ChainState, record: PeriodRecord) -> PeriodRecord | None:
        """A period of a dormant chain that nobody ever used needs no actor to be closed; None for others. A
        projection may have rows to read.
        """
        if chain.log_chain_id is not None:
            return None
        async with self.hosting.homing:  # it stays dormant meanwhile
            if chain.home not in self.hosting.dormant or record.serial in chain.floors:
                return None
            period_id = in_chain(chain.chain_id, record.serial)
            # Whatever activation there may have been, in a process that was cut off: it writes no more.
            await self.state.store.take_epoch(period_id)
            if await self.state.store.last_seq(period_id):
                return None
            sealed = record._replace(sealed=True, entries=0, submissions=0, last_seq=0)
            self.state.take_records(chain, [sealed])  # so that nobody can have it hosted as open any more
            return sealed

    async def hand_on_ids(self, chain: ChainState) -> bool:
        """Have the submission ids of a period that was closed without a successor taken over by the one that
        was made since; whether there were any. ApiError, StoreError: it is due again.
        """
        owed = owing_ids(chain.records)
        if owed is None or not owes_ids(owed, self.state.clock.now_ms()):
            return False
        if all(record.sealed or record.serial < owed.serial for record in chain.records):
            return False
        await self._asked(chain, "hand_on", HandOn(chain.chain_id, chain.version))
        if not self.state.knows(chain):
            raise ApiError("leaderboard_not_found", "purged while submission ids were handed on")
        settled = owed._replace(ids_owed=False)
        await self.state.commit([self.state.record_change(chain, settled)])
        self.state.take_records(chain, [settled])
        await self.hosting.host([chain], wait=False)
        return True

    async def _asked(self, chain: ChainState, method: str, request: Any) -> Any:
        """What a chain's actor answers; it is told to host the chain first if it does not yet. ApiError."""
        reply = await self.hosting.call_home(chain, method, request)
        if reply.status == NOT_HERE:
            await self.hosting.host([chain], wait=True)
            reply = await self.hosting.call_home(chain, method, request)
        return reply.result()

    # Events ---------------------------------------------------------------------------------------------

    async def _event(
        self, chain: ChainState, record: PeriodRecord, row: Transition, at_ms: int
    ) -> Event | None:
        """What is to be told of a step; None if it tells nothing or nobody listens."""
        board, kind = chain.board, row.event
        if is_log(chain.chain_id):
            return None
        if kind is None or not self.outbox.wanted(board.tenant_id, board.leaderboard_id, kind, at_ms):
            return None
        view = view_of_record(record, chain.window, at_ms, chain.grace_ms, chain.next_starts_ms(record))
        data: dict[str, Any] = {"period": {**period_json(view), "state": row.shows, **NOT_COUNTED}}
        if row.to == Stage.CLOSED:
            data["period"] |= {"entries": record.entries, "submissions": record.submissions}
            top_only = board.definition.ranking.top_only
            rows = [shown_row(row, top_only) for row in await self._standings(chain, record)]
            names = await self._names(board.tenant_id, rows)
            data["total"] = record.entries
            data["standings"] = [entry_json(row, names.get(row.player_id)) for row in rows]
            query = urlencode({"period": record.key, "window": chain.window})
            data["standings_url"] = f"/v1/leaderboards/{quote(board.leaderboard_id)}/rankings?{query}"
        bound_ms = record.starts_at_ms if row.to == Stage.OPENED else record.ends_at_ms
        again = [record.reopened] if record.reopened else []
        made = event_id(chain.chain_id, record.serial, kind, bound_ms, *again)
        return Event(made, kind, at_ms, board.tenant_id, board.leaderboard_id, data)

    def reopened(self, chain: ChainState, record: PeriodRecord, now_ms: int) -> list[Change]:
        """What tells of a period that was over and goes on, for the commit of its record."""
        board = chain.board
        view = view_of_record(record, chain.window, now_ms, chain.grace_ms, chain.next_starts_ms(record))
        made = event_id(chain.chain_id, record.serial, REOPENED, record.reopened)
        data = {"period": {**period_json(view), **NOT_COUNTED}}
        return self.outbox.changes(
            [Event(made, REOPENED, now_ms, board.tenant_id, board.leaderboard_id, data)]
        )

    async def _standings(self, chain: ChainState, record: PeriodRecord) -> list[Row]:
        if record.entries == 0:
            return []
        return (await self.hosting.read(chain, record.key, Page(0, STANDINGS_ROWS))).rows

    async def _names(self, tenant_id: str, rows: Sequence[Row]) -> dict[str, str | None]:
        if not rows:
            return {}
        found = await self.state.store.get("profiles", [in_tenant(tenant_id, row.player_id) for row in rows])
        pairs = zip(rows, found, strict=True)
        return {
            row.player_id: msgpack.unpackb(body)["display_name"] for row, body in pairs if body is not None
        }
