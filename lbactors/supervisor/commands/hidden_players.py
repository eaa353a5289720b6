"""Hiding players from all rankings, and showing them again: commands of the supervisor."""

from __future__ import annotations

from typing import Any

import msgpack

from lbactors.core.errors import invalid
from lbactors.documents.audit import Audited
from lbactors.documents.hidden_players import SHOWN, HideBody, UnhideBody, hidden_json
from lbactors.supervisor.command_plan import CommandPlan, parse
from lbactors.supervisor.hidden_players import HiddenPlayers
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.state import SupervisorState
from persistence.store import Change


class HiddenPlayerCommands:
    """Handlers by name; see `CommandRunner`."""

    def __init__(self, state: SupervisorState, hosting: Hosting, hidden_players: HiddenPlayers) -> None:
        self.state = state
        self.hosting = hosting
        self.hidden_players = hidden_players

    async def hide_player(self, tenant_id: str, _: str | None, player_id: str, hide: Any) -> CommandPlan:
        body = parse(HideBody, hide)
        now_ms = self.state.clock.now_ms()
        if body.until is not None and body.until <= now_ms:
            raise invalid("must lie in the future", "body", "until")
        old = self.hidden_players.hidden(tenant_id, player_id)
        new = old._replace(at_ms=now_ms, until_ms=body.until, reason=body.reason)
        changes = self.hidden_players.change(tenant_id, player_id, new)
        shown = hidden_json(player_id, new)
        before = None if not old.runs(now_ms) else hidden_json(player_id, old)["until"] or "for good"
        details = {
            "player_id": player_id,
            "reason": body.reason,
            "before": before,
            "after": shown["until"] or "for good",
        }

        async def act() -> None:
            self.hidden_players.apply(tenant_id, player_id, changes)
            await self.hosting.tell_all_who_is_hidden()

        return CommandPlan(200, shown, changes, act, audited=Audited("player.hide", player_id, details))

    async def unhide_player(self, tenant_id: str, _: str | None, player_id: str, unhide: Any) -> CommandPlan:
        """Show a player again, whatever hid it: the profile's `hidden_until` goes, too."""
        body = parse(UnhideBody, unhide)
        now_ms = self.state.clock.now_ms()
        old = self.hidden_players.hidden(tenant_id, player_id)
        answer = {**hidden_json(player_id, SHOWN), "hidden": False, "until": None}
        changes = self.hidden_players.change(tenant_id, player_id, SHOWN)
        if not old.runs(now_ms):
            return CommandPlan(200, answer, [])
        doc_id = f"{tenant_id}/{player_id}"
        (profile,) = await self.state.store.get("profiles", [doc_id])
        known = None if profile is None else msgpack.unpackb(profile)
        if known is not None and known.get("hidden_until") is not None:
            changes.append(Change("profiles", doc_id, bytes(msgpack.packb({**known, "hidden_until": None}))))
        details = {
            "player_id": player_id,
            "reason": body.reason,
            "before": hidden_json(player_id, old)["until"] or "for good",
            "after": None,
        }

        async def act() -> None:
            self.hidden_players.apply(tenant_id, player_id, changes)
            await self.hosting.tell_all_who_is_hidden()

        return CommandPlan(200, answer, changes, act, audited=Audited("player.unhide", player_id, details))
