"""Computing a period of a projection anew from its log, on demand.

A closed period is reopened with the bounds that it has; its actor sees that and begins it anew, and it is
closed again once it has read its log to the end and the grace. Rewards that were granted stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgpack

from lbactors.core.errors import ApiError, invalid
from lbactors.core.ids import in_chain
from lbactors.core.lifecycle import Stage, last_of, record_before, restored
from lbactors.core.model import PeriodRecord
from lbactors.documents.entities import period_json, view_of_record
from lbactors.supervisor.chain_state import ChainState
from lbactors.supervisor.command_plan import CommandContext, CommandPlan
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.lifecycle import Lifecycle
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import RebuildPeriod


class RebuildCommands:
    """Handlers by the command's class; see `CommandRunner`."""

    def __init__(self, state: SupervisorState, hosting: Hosting, lifecycle: Lifecycle) -> None:
        self.state = state
        self.hosting = hosting
        self.lifecycle = lifecycle

    async def rebuild_period(self, context: CommandContext, command: RebuildPeriod) -> CommandPlan:
        board = self.state.board(context.tenant_id, command.leaderboard_id)
        if not board.definition.scoring.is_projection:
            raise invalid(
                "only a leaderboard that is computed from a log can be rebuilt", "path", "leaderboard_id"
            )
        chain = self.state.chains.get(board.chain_id(command.window))
        if chain is None:
            raise ApiError("period_not_found", f"the leaderboard has no window '{command.window}'")
        async with chain.lock:
            now_ms = self.state.clock.now_ms()
            record = await self._record(chain, command.period_key, now_ms)
            keeps_rewards = record.keeps_rewards
            if record.sealed:
                if record.stage < Stage.COMPLETE:
                    raise ApiError("rewards_pending", f"period '{record.key}' is being rewarded: ask again")
                rewarded = record.rewarded or await self.lifecycle.granting.has_promise(chain, record)
                if rewarded and not command.keep_rewards:
                    why = "send keep_rewards to rebuild it all the same: they stay as they are"
                    raise ApiError("rewards_granted", f"rewards of period '{record.key}' were granted; {why}")
                keeps_rewards = keeps_rewards or rewarded
            renewed = record._replace(
                sealed=False,
                entries=0,
                submissions=0,
                last_seq=0,
                ids_owed=False,
                stage=min(record.stage, Stage.CLOSING),
                reopened=record.reopened + 1,
                keeps_rewards=keeps_rewards,
            )
            chain.past.remove([record.serial])
            if record.last_seq:
                chain.saw(record.serial, record.last_seq)
            self.state.take_records(chain, [renewed])
            changes = [self.state.record_change(chain, renewed)]
            changes += self.lifecycle.reopened(chain, renewed, now_ms)

        async def act() -> None:
            await self.hosting.host([chain], wait=False)
            self.state.schedule(chain, 0)

        next_ms = chain.next_starts_ms(renewed)
        view = view_of_record(renewed, chain.window, now_ms, chain.grace_ms, next_ms, is_final=False)
        return CommandPlan(200, period_json(view), changes, act)

    async def _record(self, chain: ChainState, key: str, now_ms: int) -> PeriodRecord:
        """A period by its key, or `current` or `previous`, as reads mean them. ApiError period_not_found,
        StoreError.
        """
        found = next((record for record in chain.records if record.key == key), None)
        if key in ("current", "previous"):
            found = _current(chain.records, now_ms)
            if found is not None and key == "previous":
                found = record_before(chain.records, found)
        if found is not None and (found.starts_at_ms or 0) <= now_ms:
            return found
        if key in chain.past.keys():  # noqa: SIM118 - it is no dictionary
            (body,) = await self.state.store.get("periods", [in_chain(chain.chain_id, key)])
            if body is not None:
                return restored(msgpack.unpackb(body))
        raise ApiError("period_not_found", f"no period '{key}' in window '{chain.window}'")


def _current(records: Sequence[PeriodRecord], now_ms: int) -> PeriodRecord | None:
    """The period that UTC is in; else one that is ahead; else the last."""
    active = next((record for record in reversed(records) if record.contains(now_ms)), None)
    return active or next((r for r in records if r.is_ahead(now_ms)), None) or last_of(records)
