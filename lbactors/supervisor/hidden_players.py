"""Who is hidden, and until when: the supervisor's part, and the commands that change it.

It owns the collection `hidden`: `<tenant>/<player>` -> MessagePack of `Hidden`. A moderator hides a player by
a command; a profile's `hidden_until` hides, too. The two are kept apart, so that a game server that writes a
profile anew brings nobody back whom a moderator hid. The later end counts.

Period actors are told a tenant's list on every change, and all lists before they have anything to host
(`Hosting`), each list under a version. They let go of whoever's time is over by their own clock; the
documents of those go some time later (`forget_expired`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgpack
import structlog

from lbactors.core.errors import ApiError, invalid
from lbactors.documents.audit import Audited
from lbactors.documents.hidden_players import HIDDEN, SHOWN, Hidden, HideBody, UnhideBody, hidden_json
from lbactors.supervisor.command_plan import CommandPlan, parse
from lbactors.wire.requests import HiddenList, Moderate
from persistence.store import Change

if TYPE_CHECKING:
    from lbactors.supervisor.supervisor import Supervisor

HIDDEN_LIMIT = 10_000  # players of a tenant
FORGET_EVERY_S = 600.0
FORGET_AT_ONCE = 500

log = structlog.get_logger("moderation")


class HiddenPlayers:
    """`version` rises with every change; actors that were told an older one are behind."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.s = supervisor
        self.version = supervisor.epoch << 20
        self._lists: dict[str, dict[str, Hidden]] = {}
        self._versions: dict[str, int] = {}

    async def load(self) -> None:
        """From the store, at the supervisor's start."""
        for doc_id, body in await self.s.store.scan(HIDDEN):
            tenant_id, player_id = doc_id.split("/", 1)
            self._lists.setdefault(tenant_id, {})[player_id] = Hidden(*msgpack.unpackb(body))
        self._versions = dict.fromkeys(self._lists, self.version)

    # Telling actors -------------------------------------------------------------------------------------

    def since(self, known: int) -> Moderate:
        """What an actor is told that knows everything up to a version; one that knows nothing yet may know
        other lists from an earlier supervisor.
        """
        now_ms = self.s.clock.now_ms()
        lists = [
            HiddenList(
                tenant_id,
                version,
                {p: h.ends_ms for p, h in self._lists.get(tenant_id, {}).items() if h.runs(now_ms)},
            )
            for tenant_id, version in self._versions.items()
            if version > known
        ]
        return Moderate(self.version, lists, complete=not known)

    def take(self, tenant_id: str, player_id: str, hidden: Hidden | None) -> None:
        """Note a change that is durable."""
        players = self._lists.setdefault(tenant_id, {})
        if hidden is None:
            players.pop(player_id, None)
        else:
            players[player_id] = hidden
        self.version += 1
        self._versions[tenant_id] = self.version

    async def forget_tenant(self, tenant_id: str) -> None:
        """A tenant is gone with all its players."""
        if self._lists.pop(tenant_id, None):
            self.version += 1
            self._versions[tenant_id] = self.version
            await self.tell()

    async def tell(self) -> None:
        """Have every actor that runs follow; one that is away hears it when it is back."""
        await self.s.hosting.moderate_all()

    # Changes --------------------------------------------------------------------------------------------

    def hidden(self, tenant_id: str, player_id: str) -> Hidden:
        return self._lists.get(tenant_id, {}).get(player_id, SHOWN)

    def change(self, tenant_id: str, player_id: str, new: Hidden) -> list[Change]:
        """The document of a change, [] if it is none. 422 over the limit."""
        now_ms = self.s.clock.now_ms()
        old = self.hidden(tenant_id, player_id)
        if new == old:
            return []
        doc_id = f"{tenant_id}/{player_id}"
        if not new.runs(now_ms):
            return [Change(HIDDEN, doc_id, None)] if old != SHOWN else []
        if not old.runs(now_ms):
            others = self._lists.get(tenant_id, {}).values()
            if sum(h.runs(now_ms) for h in others) >= HIDDEN_LIMIT:
                raise invalid(f"at most {HIDDEN_LIMIT} players may be hidden", "path", "player_id")
        return [Change(HIDDEN, doc_id, bytes(msgpack.packb(list(new))))]

    async def apply(self, tenant_id: str, player_id: str, changes: list[Change]) -> None:
        """Once a change is durable: note it and have the actors follow."""
        for change in changes:
            if change.collection == HIDDEN:
                body = change.body
                self.take(tenant_id, player_id, None if body is None else Hidden(*msgpack.unpackb(body)))
        await self.tell()

    async def hide_player(self, tenant_id: str, _: str | None, player_id: str, hide: Any) -> CommandPlan:
        body = parse(HideBody, hide)
        now_ms = self.s.clock.now_ms()
        if body.until is not None and body.until <= now_ms:
            raise invalid("must lie in the future", "body", "until")
        old = self.hidden(tenant_id, player_id)
        new = old._replace(at_ms=now_ms, until_ms=body.until, reason=body.reason)
        changes = self.change(tenant_id, player_id, new)
        shown = hidden_json(player_id, new)
        before = None if not old.runs(now_ms) else hidden_json(player_id, old)["until"] or "for good"
        details = {
            "player_id": player_id,
            "reason": body.reason,
            "before": before,
            "after": shown["until"] or "for good",
        }

        async def act() -> None:
            await self.apply(tenant_id, player_id, changes)

        return CommandPlan(200, shown, changes, act, audited=Audited("player.hide", player_id, details))

    async def unhide_player(self, tenant_id: str, _: str | None, player_id: str, unhide: Any) -> CommandPlan:
        """Show a player again, whatever hid it: the profile's `hidden_until` goes, too."""
        body = parse(UnhideBody, unhide)
        now_ms = self.s.clock.now_ms()
        old = self.hidden(tenant_id, player_id)
        answer = {**hidden_json(player_id, SHOWN), "hidden": False, "until": None}
        changes = self.change(tenant_id, player_id, SHOWN)
        if not old.runs(now_ms):
            return CommandPlan(200, answer, [])
        doc_id = f"{tenant_id}/{player_id}"
        (profile,) = await self.s.store.get("profiles", [doc_id])
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
            await self.apply(tenant_id, player_id, changes)

        return CommandPlan(200, answer, changes, act, audited=Audited("player.unhide", player_id, details))

    def by_profile(self, tenant_id: str, player_id: str, until_ms: int | None) -> list[Change]:
        """What a profile's `hidden_until` changes."""
        new = self.hidden(tenant_id, player_id)._replace(profile_until_ms=until_ms)
        return self.change(tenant_id, player_id, new)

    # Upkeep ---------------------------------------------------------------------------------------------

    async def forget_expired(self) -> int:
        """Delete a bounded number of documents whose time is over; how many. ApiError."""
        now_ms = self.s.clock.now_ms()
        gone = [
            (tenant_id, player_id)
            for tenant_id, players in self._lists.items()
            for player_id, hidden in players.items()
            if not hidden.runs(now_ms)
        ][:FORGET_AT_ONCE]
        if gone:
            await self.s.commit([Change(HIDDEN, "/".join(pair), None) for pair in gone])
            for tenant_id, player_id in gone:
                self._lists[tenant_id].pop(player_id, None)  # actors know by their clocks
        return len(gone)

    async def keep(self) -> None:
        """Forget now and again, for as long as the supervisor runs."""
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            try:
                while await self.forget_expired():
                    pass
            except ApiError as error:
                log.warning("hidden players could not be forgotten", error=str(error))
