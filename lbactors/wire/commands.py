"""Commands to the supervisor, a class for each, their envelope, and the answer's.

On the wire a command is its name and its fields by name. Bodies that clients wrote (`definition`, `patch`,
`hide` …) travel as they came: the supervisor checks them. A field that is added needs a default for one
version.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from lbactors.core.errors import ApiError
from lbactors.documents.audit import Who
from lbactors.wire.catalogue_feed import CatalogueVersion

_BY_NAME: dict[str, type[Command]] = {}


@dataclasses.dataclass(frozen=True)
class Command:
    """What all have: a name on the wire and in the audit log."""

    name: ClassVar[str] = ""

    def args(self) -> dict[str, Any]:
        """The fields by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @staticmethod
    def of(name: str, args: Mapping[str, Any]) -> Command:
        """The command of this name. Fields that this version does not know are passed over. ApiError for a
        command that it does not know: the gateway is of another version.
        """
        kind = _BY_NAME.get(name)
        if kind is None:
            raise ApiError(
                "storage_unavailable", f"nothing was changed: this supervisor has no command {name!r}"
            )
        known = {field.name for field in dataclasses.fields(kind)}
        return kind(**{field: value for field, value in args.items() if field in known})


# Leaderboards and periods ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class CreateLeaderboard(Command):
    name = "create_leaderboard"
    definition: Any


@dataclasses.dataclass(frozen=True)
class PatchLeaderboard(Command):
    """if_match: the version that the definition must have."""

    name = "patch_leaderboard"
    leaderboard_id: str
    patch: Any
    if_match: int | None


@dataclasses.dataclass(frozen=True)
class ArchiveLeaderboard(Command):
    name = "archive_leaderboard"
    leaderboard_id: str


@dataclasses.dataclass(frozen=True)
class PurgeLeaderboard(Command):
    """It goes with all its scores."""

    name = "purge_leaderboard"
    leaderboard_id: str


@dataclasses.dataclass(frozen=True)
class CreatePeriod(Command):
    """Of a leaderboard whose periods are made by hand."""

    name = "create_period"
    leaderboard_id: str
    period: Any


@dataclasses.dataclass(frozen=True)
class ClosePeriod(Command):
    """A forced reset."""

    name = "close_period"
    leaderboard_id: str
    window: str


@dataclasses.dataclass(frozen=True)
class OpenLog(Command):
    """Of a metric, or of the tenant's events (None); there may be one."""

    name = "open_log"
    metric: str | None


@dataclasses.dataclass(frozen=True)
class RebuildPeriod(Command):
    """Compute a period of a projection anew from its log. keep_rewards: also one whose rewards were granted;
    they stay as they are, whatever the new standings.
    """

    name = "rebuild_period"
    leaderboard_id: str
    window: str
    period_key: str
    keep_rewards: bool


# Tenants, keys, players --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class CreateTenant(Command):
    name = "create_tenant"
    tenant: Any


@dataclasses.dataclass(frozen=True)
class PatchTenant(Command):
    name = "patch_tenant"
    tenant_id: str
    patch: Any


@dataclasses.dataclass(frozen=True)
class DeleteTenant(Command):
    """It goes with all that is its own."""

    name = "delete_tenant"
    tenant_id: str


@dataclasses.dataclass(frozen=True)
class CreateKey(Command):
    name = "create_key"
    key: Any


@dataclasses.dataclass(frozen=True)
class PatchKey(Command):
    name = "patch_key"
    key_id: str
    patch: Any


@dataclasses.dataclass(frozen=True)
class DeleteKey(Command):
    name = "delete_key"
    key_id: str


@dataclasses.dataclass(frozen=True)
class PutPlayer(Command):
    """by_player: the key is bound to the player, and changes nothing that others decide of him. if_match: the
    versions of which the profile must have one (`*`: any); None: whatever it has.
    """

    name = "put_player"
    player_id: str
    profile: Any
    by_player: bool = False
    if_match: Sequence[str] | None = None


@dataclasses.dataclass(frozen=True)
class PatchPlayer(Command):
    """See `PutPlayer`; a profile that is not there is made."""

    name = "patch_player"
    player_id: str
    patch: Any
    by_player: bool = False
    if_match: Sequence[str] | None = None


@dataclasses.dataclass(frozen=True)
class ErasePlayer(Command):
    """Forget a player everywhere."""

    name = "erase_player"
    player_id: str


@dataclasses.dataclass(frozen=True)
class HidePlayer(Command):
    name = "hide_player"
    player_id: str
    hide: Any


@dataclasses.dataclass(frozen=True)
class UnhidePlayer(Command):
    name = "unhide_player"
    player_id: str
    unhide: Any


@dataclasses.dataclass(frozen=True)
class ClaimReward(Command):
    """Note that a player took what it won in a period."""

    name = "claim_reward"
    leaderboard_id: str
    window: str
    serial: int
    player_id: str
    claim: Any


# Entries -----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class EntryCommand(Command):
    """On a player's entries in the current periods. window: None for all."""

    leaderboard_id: str
    player_id: str
    window: str | None


@dataclasses.dataclass(frozen=True)
class RemoveEntry(EntryCommand):
    name = "remove_entry"
    reason: str | None


@dataclasses.dataclass(frozen=True)
class EditEntry(EntryCommand):
    name = "edit_entry"
    edit: Any


@dataclasses.dataclass(frozen=True)
class RestoreEntry(EntryCommand):
    name = "restore_entry"
    restore: Any


@dataclasses.dataclass(frozen=True)
class ImportEntries(Command):
    """Into the current period of a window. period_key: the key that it must have, if not None. entries: rows
    of `lbactors.wire.requests.ImportedEntry`, checked. replace: also where a player has an entry.
    """

    name = "import_entries"
    leaderboard_id: str
    window: str
    period_key: str | None
    entries: Sequence[Any]
    replace: bool


# Webhooks ----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class CreateWebhook(Command):
    name = "create_webhook"
    webhook: Any


@dataclasses.dataclass(frozen=True)
class PatchWebhook(Command):
    name = "patch_webhook"
    webhook_id: str
    patch: Any


@dataclasses.dataclass(frozen=True)
class DeleteWebhook(Command):
    name = "delete_webhook"
    webhook_id: str


@dataclasses.dataclass(frozen=True)
class RotateWebhookSecret(Command):
    name = "rotate_webhook_secret"
    webhook_id: str
    rotation: Any


@dataclasses.dataclass(frozen=True)
class TestWebhook(Command):
    name = "test_webhook"
    webhook_id: str


@dataclasses.dataclass(frozen=True)
class ReplayDelivery(Command):
    name = "replay_delivery"
    webhook_id: str
    delivery_id: str


@dataclasses.dataclass(frozen=True)
class ReplayDeliveries(Command):
    name = "replay_deliveries"
    webhook_id: str
    replay: Any


# Submissions under review ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class HoldSubmissions(Command):
    """items: [tenant_id, leaderboard_id, uid, fields of `Review`] each, of any leaderboards."""

    name = "hold"
    items: Sequence[Any]


@dataclasses.dataclass(frozen=True)
class BeginApproval(Command):
    name = "begin_approval"
    leaderboard_id: str
    held_id: str


@dataclasses.dataclass(frozen=True)
class FinishApproval(Command):
    """outcome: as the API shows it; None if nothing was applied."""

    name = "finish_approval"
    leaderboard_id: str
    held_id: str
    outcome: dict[str, Any] | None


@dataclasses.dataclass(frozen=True)
class RejectSubmission(Command):
    name = "reject_held"
    leaderboard_id: str
    held_id: str
    note: str | None


_BY_NAME.update(
    {kind.name: kind for kind in (*Command.__subclasses__(), *EntryCommand.__subclasses__()) if kind.name}
)


# The envelope ------------------------------------------------------------------------------------------


class Idempotency(NamedTuple):
    """An `Idempotency-Key` with the digest (hex) of method, path and body that came with it."""

    key: str
    digest: str


class CommandCall(NamedTuple):
    """A command of a tenant. who: for the audit log."""

    command: Command
    tenant_id: str
    idempotency: Idempotency | None
    who: Who | None

    def to_wire(self) -> Sequence[Any]:
        return self.command.name, self.tenant_id, self.command.args(), self.idempotency, self.who

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> CommandCall:
        """ApiError as from `Command.of`."""
        name, tenant_id, args, idempotency, who = wire
        command = Command.of(name, args)
        return cls(command, tenant_id, idempotency and Idempotency(*idempotency), who and Who(*who))


class CommandReply(NamedTuple):
    """HTTP status and JSON-ready body, and the version of the catalogue that shows the effect."""

    status: int
    body: dict[str, Any]
    shown_by: CatalogueVersion

    def to_wire(self) -> Sequence[Any]:
        return 0, self.status, self.body, *self.shown_by

    @staticmethod
    def error_to_wire(error: ApiError) -> Sequence[Any]:
        return 1, error.to_wire()

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> CommandReply:
        """ApiError, if that is what the reply says."""
        failed, *rest = wire
        if failed:
            raise ApiError.from_wire(rest[0])
        status, body, epoch, version = rest
        return cls(status, body, CatalogueVersion(epoch, version))
