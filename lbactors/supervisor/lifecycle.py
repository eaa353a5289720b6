"""The steps of a period's life that time brings: opened, closing, closed, complete, each of them once.

Part of the supervisor. The planner says which steps are due, in the order of time. A step is carried out and
persisted in one commit with what follows from it: the period's new stage, the events for those who listen,
what was promised to winners. So whatever process dies at whatever point, the next one finds the stage that
was reached and goes on there; and a step that was repeated makes the same events under the same ids.

    OPENED    its time has begun                 `period.opened`
    CLOSING   its time is over, the grace runs   `period.closing`
    CLOSED    sealed by its actor: no submission is taken any more, the ids that it knew are its successor's
              (or, if there is none yet, of the next that is made: `hand_on_ids`), the last
              snapshot is written              `period.closed` with the final standings
    COMPLETE  every reward is granted            `reward.granted` (lbactors.supervisor.rewards.granting)

Where nobody listens, opening and closing leave no trace in the store: they would be told to nobody again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgpack
import structlog

from lbactors.core.errors import ApiError
from lbactors.core.model import CLOSED, CLOSING, COMPLETE, OPENED, PeriodRecord, Row
from lbactors.core.schedule import Step, owing
from lbactors.documents.entities import entry_json, period_json, view_of_record
from lbactors.documents.events import Event, event_id
from lbactors.supervisor.chain_state import ChainState
from lbactors.wire.reads import Page
from lbactors.wire.replies import NOT_HERE
from lbactors.wire.requests import HandOn, Seal
from persistence.store import Change

if TYPE_CHECKING:
    from lbactors.supervisor.supervisor import Supervisor

STANDINGS_ROWS = 10  # final standings in an event; all of them are behind its link
EVENT_OF = {OPENED: "period.opened", CLOSING: "period.closing", CLOSED: "period.closed"}

log = structlog.get_logger("supervisor")


class Lifecycle:
    """One for each supervisor; `carry_out` is called under the chain's lock."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.s = supervisor

    async def carry_out(self, chain: ChainState, steps: Sequence[Step]) -> bool:
        """Take periods to the stages that are due, in order; whether that was all. Else, and after ApiError
        and StoreError, the rest is due again, when others have had the chain's lock.
        """
        changes: list[Change] = []
        events: list[Event] = []
        reached: list[PeriodRecord] = []

        def reach(record: PeriodRecord, stage: int) -> Change:
            reached.append(record._replace(stage=stage))
            return self.s.record_change(chain, reached[-1])

        async def persist() -> None:
            """Make it durable, and only then known here: a step that was not persisted is due again."""
            made = [*changes, *self.s.events.changes(events)]
            if made and not self.s.hosting.knows(chain):
                raise ApiError("leaderboard_not_found", "purged while its periods were closed")
            if made:
                await self.s.commit(made)
                self.s.events.committed()
            told = any(r.sealed and not chain.record(r.serial).sealed for r in reached)
            if reached:
                self.s.take_records(chain, reached, told=told)
            for done in (changes, events, reached):
                done.clear()

        for at_ms, stage, serial in steps:
            record = chain.record(serial)
            if stage == COMPLETE:
                await persist()
                if not await self.s.rewards.grant(chain, record):
                    return False
                changes.append(reach(record, COMPLETE))
                continue
            missed = record.sealed  # nobody can have submitted to it: there is nothing to seal
            if stage == CLOSED and not missed:
                await persist()  # what came before in time is told before
                record = await self._sealed(chain, record)
            event = await self._event(chain, record, stage, at_ms)
            if stage == CLOSED:
                promised = self.s.rewards.begin(chain, record) if record.entries else []
                changes += [reach(record, CLOSED if promised else COMPLETE), *promised]
            else:
                change = reach(record, stage)
                if event is not None:
                    changes.append(change)
            if event is not None:
                events.append(event)
            if stage == CLOSED and not missed:
                await persist()
                await self.s.hosting.host([chain], wait=False)
        await persist()
        return True

    async def _sealed(self, chain: ChainState, record: PeriodRecord) -> PeriodRecord:
        """Have a period closed by its actor. Repeating it is harmless."""
        unused = await self._sealed_unused(chain, record)
        if unused is not None:
            return unused
        found = await self._asked(chain, "seal", Seal(chain.chain_id, record.serial, chain.version))
        sealed = PeriodRecord(*found)._replace(key=record.key, stage=record.stage)
        log.info("period closed", chain=chain.chain_id, key=sealed.key, entries=sealed.entries)
        return sealed

    async def _sealed_unused(self, chain: ChainState, record: PeriodRecord) -> PeriodRecord | None:
        """A period of a dormant chain that nobody ever used needs no actor to be closed; None for others."""
        async with self.s.hosting.homing:  # it stays dormant meanwhile
            if chain.home not in self.s.hosting.dormant or record.serial in chain.floors:
                return None
            period_id = f"{chain.chain_id}/{record.serial}"
            # Whatever activation there may have been, in a process that was cut off: it writes no more.
            await self.s.store.take_epoch(period_id)
            if await self.s.store.last_seq(period_id):
                return None
            sealed = record._replace(sealed=True, entries=0, submissions=0, last_seq=0)
            self.s.take_records(chain, [sealed])  # so that nobody can have it hosted as open any more
            return sealed

    async def hand_on_ids(self, chain: ChainState) -> bool:
        """Have the submission ids of a period that was closed without a successor taken over by the one that
        was made since; whether there were any. ApiError, StoreError: it is due again.
        """
        owed = owing(chain.records)
        if owed is None or not owed.owes_ids(self.s.clock.now_ms()):
            return False
        if all(record.sealed or record.serial < owed.serial for record in chain.records):
            return False
        hosting = self.s.hosting
        await self._asked(chain, "hand_on", HandOn(chain.chain_id, chain.version))
        if not hosting.knows(chain):
            raise ApiError("leaderboard_not_found", "purged while submission ids were handed on")
        settled = owed._replace(ids_owed=False)
        await self.s.commit([self.s.record_change(chain, settled)])
        self.s.take_records(chain, [settled])
        await hosting.host([chain], wait=False)
        return True

    async def _asked(self, chain: ChainState, method: str, request: Any) -> Any:
        """What a chain's actor answers; it is told to host the chain first if it does not yet. ApiError."""
        reply = await self.s.hosting.call_home(chain, method, request)
        if reply.status == NOT_HERE:
            await self.s.hosting.host([chain], wait=True)
            reply = await self.s.hosting.call_home(chain, method, request)
        return reply.result()

    # Events ---------------------------------------------------------------------------------------------

    async def _event(self, chain: ChainState, record: PeriodRecord, stage: int, at_ms: int) -> Event | None:
        """What is to be told of a step; None if nobody listens."""
        board, kind = chain.board, EVENT_OF[stage]
        if not self.s.events.wanted(board.tenant_id, board.leaderboard_id, kind, at_ms):
            return None
        grace_ms = 0 if record.forced else chain.grace_ms
        view = view_of_record(record, chain.window, at_ms, grace_ms, chain.next_starts_ms(record))
        shown = {**period_json(view), "state": kind.removeprefix("period.").replace("opened", "active")}
        data: dict[str, Any] = {"period": shown}
        if stage == CLOSED:
            rows = await self._standings(chain, record)
            names = await self._names(board.tenant_id, rows)
            data["total"] = record.entries
            data["standings"] = [entry_json(row, names.get(row.player_id)) for row in rows]
            query = urlencode({"period": record.key, "window": chain.window})
            data["standings_url"] = f"/v1/leaderboards/{quote(board.leaderboard_id)}/rankings?{query}"
        bound_ms = record.starts_at_ms if stage == OPENED else record.ends_at_ms
        made = event_id(chain.chain_id, record.serial, kind, bound_ms)
        return Event(made, kind, at_ms, board.tenant_id, board.leaderboard_id, data)

    async def _standings(self, chain: ChainState, record: PeriodRecord) -> list[Row]:
        if record.entries == 0:
            return []
        return (await self.s.hosting.read(chain, record.key, Page(0, STANDINGS_ROWS))).rows

    async def _names(self, tenant_id: str, rows: Sequence[Row]) -> dict[str, str | None]:
        if not rows:
            return {}
        found = await self.s.store.get("profiles", [f"{tenant_id}/{row.player_id}" for row in rows])
        pairs = zip(rows, found, strict=True)
        return {
            row.player_id: msgpack.unpackb(body)["display_name"] for row, body in pairs if body is not None
        }
