"""Commands on logs: a gateway that has the first row of a metric asks for one."""

from __future__ import annotations

from lbactors.core.ids import log_document
from lbactors.documents.audit import NOT_AN_ACT
from lbactors.supervisor.command_plan import CommandContext, CommandPlan
from lbactors.supervisor.logs import Logs
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import OpenLog


class LogCommands:
    """Handlers by the command's class; see `CommandRunner`."""

    def __init__(self, state: SupervisorState, logs: Logs) -> None:
        self.state = state
        self.logs = logs

    async def open_log(self, context: CommandContext, command: OpenLog) -> CommandPlan:
        self.state.tenant(context.tenant_id)
        changes, chains = self.logs.ensure(context.tenant_id, command.metric)

        async def act() -> None:
            await self.logs.hosting.host(chains, wait=True)
            for chain in chains:
                self.state.schedule(chain, 0)

        board = self.state.logs[log_document(context.tenant_id, command.metric)]
        return CommandPlan(200, {"board_id": board.board_uid}, changes, act, audited=NOT_AN_ACT)
