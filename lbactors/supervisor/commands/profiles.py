"""Writing players' profiles: commands of the supervisor."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import msgpack

from lbactors.core.errors import ApiError
from lbactors.core.ids import in_tenant
from lbactors.core.instants import format_instant
from lbactors.core.packing import pack
from lbactors.documents.audit import Audited
from lbactors.documents.entities import ProfileBody
from lbactors.documents.hidden_players import SHOWN
from lbactors.documents.labels import index_changes
from lbactors.documents.profiles import KEPT_FIELDS, PROFILES, merged_profile, profile_json
from lbactors.supervisor.command_plan import CommandContext, CommandPlan, parse
from lbactors.supervisor.hidden_players import HiddenPlayers
from lbactors.supervisor.hosting import Hosting
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.commands import PatchPlayer, PutPlayer
from persistence.store import Change

# What a player does not decide of himself, beside `hidden_until`: an audience may go by it.
DECIDED = ("roles", "tags", "test", "external_id")


class _Known(NamedTuple):
    """A profile before it is written: as stored ({}: there is none) and as shown."""

    stored: dict[str, Any]
    shown: dict[str, Any] | None


class ProfileCommands:
    """Handlers by the command's class; see `CommandRunner`.

    A profile's `hidden_until` writes the record that hiding a player writes: an instant hides until then,
    null or one that has passed un-hides, and a body without it says nothing of hiding. The index of roles,
    tags and test players (`lbactors.documents.labels`) changes in the same commit.
    """

    def __init__(self, state: SupervisorState, hosting: Hosting, hidden_players: HiddenPlayers) -> None:
        self.state = state
        self.hosting = hosting
        self.hidden_players = hidden_players

    async def put_player(self, context: CommandContext, command: PutPlayer) -> CommandPlan:
        known = await self._known(context, command)
        return self._planned(context, command, known, parse(ProfileBody, command.profile), command.profile)

    async def patch_player(self, context: CommandContext, command: PatchPlayer) -> CommandPlan:
        known = await self._known(context, command)
        body = parse(ProfileBody, merged_profile(known.stored, command.patch))
        return self._planned(context, command, known, body, command.patch)

    async def _known(self, context: CommandContext, command: PutPlayer | PatchPlayer) -> _Known:
        """ApiError version_mismatch if it is not what the command's `if_match` asks for."""
        doc_id = in_tenant(context.tenant_id, command.player_id)
        (body,) = await self.state.store.get(PROFILES, [doc_id])
        stored = {} if body is None else msgpack.unpackb(body)
        known = _Known(stored, self._shown(context, stored) if stored else None)
        wanted = command.if_match
        if wanted is None or (known.shown is not None and {"*", known.shown["version"]} & set(wanted)):
            return known
        version = "there is no profile" if known.shown is None else f"its version is {known.shown['version']}"
        raise ApiError("version_mismatch", f"the profile is not the one that If-Match names: {version}")

    def _shown(self, context: CommandContext, stored: dict[str, Any]) -> dict[str, Any]:
        hidden = self.hidden_players.hidden(context.tenant_id, stored["player_id"])
        return profile_json(stored, hidden, self.state.clock.now_ms())

    @staticmethod
    def _keep_decided(known: _Known, fields: dict[str, Any], named: Collection[str]) -> None:
        """Leave the fields as they are that a player does not decide of himself. ApiError forbidden if the
        client wrote something else.
        """
        shown = known.shown or profile_json({"player_id": "", "updated_at": ""}, SHOWN, 0)
        for name in DECIDED:
            if name in named and fields[name] != shown[name]:
                raise ApiError("forbidden", f"{name}: a key that is bound to a player may not change it")
            fields[name] = shown[name]

    def _planned(
        self,
        context: CommandContext,
        command: PutPlayer | PatchPlayer,
        known: _Known,
        body: ProfileBody,
        named: Collection[str],
    ) -> CommandPlan:
        """named: the fields that the client wrote."""
        tenant_id, player_id = context.tenant_id, command.player_id
        fields = body.model_dump(include=set(KEPT_FIELDS))
        if command.by_player:
            self._keep_decided(known, fields, named)
        now_ms = self.state.clock.now_ms()
        hidden = self.hidden_players.hidden(tenant_id, player_id)
        if "hidden_until" in body.model_fields_set:
            hidden = self.hidden_players.until(tenant_id, player_id, body.hidden_until)
        hiding = self.hidden_players.change(tenant_id, player_id, hidden)
        if hiding and command.by_player:
            raise ApiError("forbidden", "hidden_until: a key that is bound to a player may not change it")
        changed = [name for name in KEPT_FIELDS if known.shown is None or fields[name] != known.shown[name]]
        if not changed and not hiding:
            assert known.shown is not None
            return CommandPlan(200, known.shown, [])
        stored = {"player_id": player_id, **fields, "updated_at": format_instant(now_ms)}
        labels = self.hidden_players.labels
        labels.check_limit(tenant_id, known.stored, stored)
        shown = profile_json(stored, hidden, now_ms)
        details = {"player_id": player_id, "fields": sorted(changed)}
        if hiding:
            before = profile_json(stored, self.hidden_players.hidden(tenant_id, player_id), now_ms)
            details["fields"] = sorted([*changed, "hidden_until"])
            details.update(before=before["hidden_until"], after=shown["hidden_until"])
        indexing = index_changes(tenant_id, player_id, known.stored, stored)
        changes = [Change(PROFILES, in_tenant(tenant_id, player_id), pack(stored)), *indexing, *hiding]

        async def act() -> None:
            self.hidden_players.apply(tenant_id, player_id, hiding)
            labels.apply(tenant_id, player_id, known.stored, stored)
            await self.hosting.tell_all_who_is_hidden()

        audited = Audited("player.update", player_id, details)
        tells = hiding or labels.concern(tenant_id, known.stored, stored)
        return CommandPlan(200, shown, changes, act if tells else None, audited=audited)
