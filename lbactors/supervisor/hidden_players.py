"""Who is hidden, and until when: the supervisor's part, and the commands that change it.

It owns the collection `hidden`: `<tenant>/<player>` -> MessagePack of `Hidden`. A moderator hides a player by
a command; a profile's `hidden_until` hides, too. Both write the one record, and the last word counts; a
profile that is written without `hidden_until` says nothing of it.

Period actors are told a tenant's list on every change, and all lists before they have anything to host
(`Hosting`), each list under a version, and with them who has which role and tag (`labels`). They let go of
whoever's time is over by their own clock; the documents of those go some time later (`forget_expired`).
"""

from __future__ import annotations

import asyncio

import msgpack
import structlog

from lbactors.core.errors import ApiError, invalid
from lbactors.core.ids import in_tenant, split_tenant
from lbactors.core.packing import pack
from lbactors.documents.hidden_players import HIDDEN, SHOWN, Hidden
from lbactors.documents.profiles import FOR_GOOD_MS
from lbactors.supervisor.labels import Labels, ListVersion
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.requests import HiddenList, Moderate
from persistence.store import Change

HIDDEN_LIMIT = 10_000  # players of a tenant
FORGET_EVERY_S = 600.0
FORGET_AT_ONCE = 500

log = structlog.get_logger("moderation")


class HiddenPlayers:
    """`version` rises with every change, those of `labels` too; actors that were told an older one are
    behind.
    """

    def __init__(self, state: SupervisorState) -> None:
        self.state = state
        self._version = ListVersion(state.epoch)
        self.labels = Labels(state, self._version)
        self._lists: dict[str, dict[str, Hidden]] = {}
        self._versions: dict[str, int] = {}

    async def load(self) -> None:
        """From the store, at the supervisor's start."""
        for doc_id, body in await self.state.store.scan(HIDDEN):
            tenant_id, player_id = split_tenant(doc_id)
            self._lists.setdefault(tenant_id, {})[player_id] = Hidden(*msgpack.unpackb(body))
        self._versions = dict.fromkeys(self._lists, self.version)
        await self.labels.load()

    @property
    def version(self) -> int:
        return self._version.now

    # Telling actors -------------------------------------------------------------------------------------

    def changes_since(self, since: int) -> Moderate:
        """What an actor is told that knows everything up to a version; one that knows nothing yet may know
        other lists from an earlier supervisor.
        """
        now_ms = self.state.clock.now_ms()
        lists = [
            HiddenList(
                tenant_id,
                version,
                {p: h.ends_ms for p, h in self._lists.get(tenant_id, {}).items() if h.runs(now_ms)},
            )
            for tenant_id, version in self._versions.items()
            if version > since
        ]
        return Moderate(self.version, lists, not since, self.labels.changes_since(since), since)

    def take(self, tenant_id: str, player_id: str, hidden: Hidden | None) -> None:
        """Note a change that is durable."""
        players = self._lists.setdefault(tenant_id, {})
        if hidden is None:
            players.pop(player_id, None)
        else:
            players[player_id] = hidden
        self._versions[tenant_id] = self._version.rise()

    def forget_tenant(self, tenant_id: str) -> bool:
        """A tenant is gone with all its players; whether there were any, so that actors are to be told."""
        labels_too = self.labels.forget_tenant(tenant_id)
        if not self._lists.pop(tenant_id, None):
            return labels_too
        self._versions[tenant_id] = self._version.rise()
        return True

    # Changes --------------------------------------------------------------------------------------------

    def hidden(self, tenant_id: str, player_id: str) -> Hidden:
        return self._lists.get(tenant_id, {}).get(player_id, SHOWN)

    def change(self, tenant_id: str, player_id: str, new: Hidden) -> list[Change]:
        """The document of a change, [] if it is none. 422 over the limit."""
        now_ms = self.state.clock.now_ms()
        old = self.hidden(tenant_id, player_id)
        if new == old:
            return []
        doc_id = in_tenant(tenant_id, player_id)
        if not new.runs(now_ms):
            return [Change(HIDDEN, doc_id, None)] if old.runs(now_ms) else []
        if not old.runs(now_ms):
            others = self._lists.get(tenant_id, {}).values()
            if sum(h.runs(now_ms) for h in others) >= HIDDEN_LIMIT:
                raise invalid(f"at most {HIDDEN_LIMIT} players may be hidden", "path", "player_id")
        return [Change(HIDDEN, doc_id, pack(list(new)))]

    def apply(self, tenant_id: str, player_id: str, changes: list[Change]) -> None:
        """Note changes that are durable; then the actors are to be told."""
        for change in changes:
            if change.collection == HIDDEN:
                body = change.body
                self.take(tenant_id, player_id, None if body is None else Hidden(*msgpack.unpackb(body)))

    def until(self, tenant_id: str, player_id: str, until_ms: int | None) -> Hidden:
        """What a profile's `hidden_until` makes of a player's hiding, whose reason and begin stay. None, or
        an instant that has passed: he is not hidden.
        """
        now_ms = self.state.clock.now_ms()
        if until_ms is None or until_ms <= now_ms:
            return SHOWN
        old = self.hidden(tenant_id, player_id)
        ends_ms = None if until_ms >= FOR_GOOD_MS else until_ms
        if not old.runs(now_ms):
            return Hidden(now_ms, ends_ms, None, None)
        return old if ends_ms == old.ends_ms else Hidden(old.at_ms or now_ms, ends_ms, old.reason, None)

    # Upkeep ---------------------------------------------------------------------------------------------

    async def forget_expired(self) -> int:
        """Delete a bounded number of documents whose time is over; how many. ApiError."""
        now_ms = self.state.clock.now_ms()
        gone = [
            (tenant_id, player_id)
            for tenant_id, players in self._lists.items()
            for player_id, hidden in players.items()
            if not hidden.runs(now_ms)
        ][:FORGET_AT_ONCE]
        if gone:
            await self.state.commit([Change(HIDDEN, "/".join(pair), None) for pair in gone])
            for tenant_id, player_id in gone:
                self._lists[tenant_id].pop(player_id, None)  # actors know by their clocks
        return len(gone)

    async def trim_on(self) -> None:
        """Forget now and again, for as long as the supervisor runs."""
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            try:
                while await self.forget_expired():
                    pass
            except ApiError as error:
                log.warning("hidden players could not be forgotten", error=str(error))
