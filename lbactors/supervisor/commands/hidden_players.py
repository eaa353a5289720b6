"""Hiding players from all rankings, and showing them again: commands of the supervisor."""

from __future__ import annotations

from lbactors.core.errors import invalid
from lbactors.documents.audit import Audited
from lbactors.documents.hidden_players import SHOWN, Hidden, HideBody, UnhideBody, hidden_json
from lbactors.supervisor.command_plan import CommandContext, CommandPlan, parse
from lbactors.supervisor.hidden_players import HiddenPlayers
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import HidePlayer, UnhidePlayer


class HiddenPlayerCommands:
    """Handlers by the command's class; see `CommandRunner`."""

    def __init__(self, state: SupervisorState, hosting: Hosting, hidden_players: HiddenPlayers) -> None:
        self.state = state
        self.hosting = hosting
        self.hidden_players = hidden_players

    async def hide_player(self, context: CommandContext, command: HidePlayer) -> CommandPlan:
        body = parse(HideBody, command.hide)
        now_ms = self.state.clock.now_ms()
        if body.until is not None and body.until <= now_ms:
            raise invalid("must lie in the future", "body", "until")
        old = self.hidden_players.hidden(context.tenant_id, command.player_id)
        new = Hidden(now_ms, body.until, body.reason, None)
        changes = self.hidden_players.change(context.tenant_id, command.player_id, new)
        shown = hidden_json(command.player_id, new)
        before = None if not old.runs(now_ms) else hidden_json(command.player_id, old)["until"] or "for good"
        details = {
            "player_id": command.player_id,
            "reason": body.reason,
            "before": before,
            "after": shown["until"] or "for good",
        }

        async def act() -> None:
            self.hidden_players.apply(context.tenant_id, command.player_id, changes)
            await self.hosting.tell_all_who_is_hidden()

        return CommandPlan(
            200, shown, changes, act, audited=Audited("player.hide", command.player_id, details)
        )

    async def unhide_player(self, context: CommandContext, command: UnhidePlayer) -> CommandPlan:
        """Show a player again, whatever hid it."""
        body = parse(UnhideBody, command.unhide)
        now_ms = self.state.clock.now_ms()
        old = self.hidden_players.hidden(context.tenant_id, command.player_id)
        answer = {**hidden_json(command.player_id, SHOWN), "hidden": False, "until": None}
        changes = self.hidden_players.change(context.tenant_id, command.player_id, SHOWN)
        if not old.runs(now_ms):
            return CommandPlan(200, answer, [])
        details = {
            "player_id": command.player_id,
            "reason": body.reason,
            "before": hidden_json(command.player_id, old)["until"] or "for good",
            "after": None,
        }

        async def act() -> None:
            self.hidden_players.apply(context.tenant_id, command.player_id, changes)
            await self.hosting.tell_all_who_is_hidden()

        return CommandPlan(
            200, answer, changes, act, audited=Audited("player.unhide", command.player_id, details)
        )
