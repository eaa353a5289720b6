"""How tenants, keys, leaderboards and profiles are written: as stored bytes, and as the API's JSON.

Stored documents are MessagePack, so the store needs to know nothing about them. Reading a document validates
nothing: what was written by a server was valid.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import msgpack
import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from lbactors.core.audience import Label
from lbactors.core.definition import LEADERBOARD_ID, SCOPES, TENANT_ID, Definition, Scope, check_identifier
from lbactors.core.ids import NO_CONTROL_CHARACTERS
from lbactors.core.instants import format_instant, parse_instant
from lbactors.core.lifecycle import state_of
from lbactors.core.model import Board, FillTerms, Key, PeriodRecord, PeriodView, Row, Tenant
from lbactors.core.packing import pack
from lbactors.core.zones import format_digits, valid_timezone

METADATA_BYTES = 4096

# Every collection of documents that a server writes; who reads or copies a whole store goes by this list.
COLLECTIONS = (
    "tenants",
    "keys",
    "leaderboards",
    "logs",
    "periods",
    "homes",
    "profiles",
    "idempotency",
    "secrets",
    "webhooks",
    "deliveries",
    "rewards",
    "claims",
    "hidden",
    "labels",
    "test_players",
    "held",
    "audit",
    "warm",
    "purged",
)


def pack_board(board: Board) -> bytes:
    definition = board.definition.model_dump(mode="json")
    row: list[Any] = [board.tenant_id, board.uid, definition, board.version]
    row += [board.created_at_ms, board.updated_at_ms]
    return pack([*row, board.fill] if board.fill != FillTerms() else row)


def unpack_board(body: bytes) -> Board:
    tenant_id, uid, definition, version, created_at_ms, updated_at_ms, *rest = msgpack.unpackb(body)
    fill = FillTerms.from_wire(rest[0]) if rest else FillTerms()
    found = Definition.model_validate(definition)
    return Board(tenant_id, uid, found, version, created_at_ms, updated_at_ms, fill)


def board_json(board: Board) -> dict[str, Any]:
    return {
        **board.definition.model_dump(mode="json"),
        "tenant_id": board.tenant_id,
        "version": board.version,
        "created_at": format_instant(board.created_at_ms),
        "updated_at": format_instant(board.updated_at_ms),
    }


def pack_key(key: Key) -> bytes:
    return pack(key._replace(scopes=sorted(key.scopes)))  # type: ignore[arg-type]


def unpack_key(body: bytes) -> Key:
    key = Key(*msgpack.unpackb(body))
    return key._replace(scopes=frozenset(key.scopes))


def key_json(key: Key) -> dict[str, Any]:
    """Everything about a key but its hash."""
    return {
        "key_id": key.key_id,
        "tenant_id": key.tenant_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "status": key.status,
        "expires_at": None if key.expires_at_ms is None else format_instant(key.expires_at_ms),
        "player_id": key.player_id,
        "created_at": format_instant(key.created_at_ms),
    }


def pack_tenant(tenant: Tenant) -> bytes:
    return pack(tenant)


def unpack_tenant(body: bytes) -> Tenant:
    return Tenant(*msgpack.unpackb(body))


def tenant_json(tenant: Tenant) -> dict[str, Any]:
    """The secret itself is never shown, only whether there is one."""
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "status": tenant.status,
        "has_hmac_secret": tenant.hmac_secret is not None,
        "created_at": format_instant(tenant.created_at_ms),
    }


def view_of_record(
    record: PeriodRecord,
    window: str,
    now_ms: int,
    grace_ms: int,
    next_starts_at_ms: int | None,
    *,
    is_final: bool = False,
) -> PeriodView:
    """A period as its record tells it: complete for sealed ones, without counts for open ones. is_final: see
    `state_of`; only a period's actor knows that of one that is not sealed.
    """
    return PeriodView(
        record.serial,
        record.key,
        window,
        state_of(record, now_ms, grace_ms, is_final=is_final),
        record.starts_at_ms if record.starts_at_ms is not None else record.opened_at_ms,
        record.ends_at_ms,
        next_starts_at_ms,
        record.entries,
        record.submissions,
        record.local_starts_at_ms,
        record.local_ends_at_ms,
    )


class Bounds(Protocol):
    """What has the bounds of a period (`lbactors.core.model.PeriodRecord`)."""

    @property
    def starts_at_ms(self) -> int | None: ...
    @property
    def ends_at_ms(self) -> int | None: ...
    @property
    def local_starts_at_ms(self) -> int | None: ...
    @property
    def local_ends_at_ms(self) -> int | None: ...


def bounds_json(bounds: Bounds) -> dict[str, str | None]:
    """The bounds of a period; of a player-local one also the digits."""
    shown = {
        "starts_at": _instant_or_null(bounds.starts_at_ms),
        "ends_at": _instant_or_null(bounds.ends_at_ms),
    }
    local = bounds.local_starts_at_ms, bounds.local_ends_at_ms
    if local != (None, None):
        names = ("local_starts_at", "local_ends_at")
        shown |= {n: None if ms is None else format_digits(ms) for n, ms in zip(names, local, strict=True)}
    return shown


def _instant_or_null(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_instant(at_ms)


def period_json(view: PeriodView) -> dict[str, Any]:
    return {
        "period_key": view.key,
        "window": view.window,
        "state": view.state,
        **bounds_json(view),
        "next_starts_at": _instant_or_null(view.next_starts_at_ms),
        "entries": view.entries,
        "submissions": view.submissions,
    }


# The times of an entry are shown with every page that it is on.
instant_text = lru_cache(maxsize=16_384)(format_instant)


def entry_json(
    row: Row, display_name: str | None, metadata: Callable[[bytes], Any] = orjson.loads
) -> dict[str, Any]:
    """An entry as a page shows it. metadata: what becomes of its stored metadata (JSON bytes)."""
    rank, player_id, score, subscore, stored, submissions, first_at_ms, updated_at_ms, change = row
    return {
        "rank": rank,
        "player_id": player_id,
        "display_name": display_name,
        "score": score,
        "subscore": subscore,
        "metadata": None if stored is None else metadata(stored),
        "submissions": submissions,
        "first_at": instant_text(first_at_ms),
        "updated_at": instant_text(updated_at_ms),
        "change": change,
    }


# What people write ----------------------------------------------------------------------------------------


def _instant(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not str:
        raise PydanticCustomError("instant", "must be an RFC 3339 instant with an offset")
    try:
        return parse_instant(value)
    except ValueError as error:
        raise PydanticCustomError("instant", "{reason}", {"reason": str(error)}) from error


written_instant = _instant  # for bodies that other modules read


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(value)) > METADATA_BYTES:
        raise PydanticCustomError("too_large", "must not exceed 4096 bytes as JSON")
    return value


def _external_id(value: str) -> str:
    return check_identifier(value, 128)


class Written(BaseModel):
    """A body that a client writes: strict types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


Name = Annotated[str, Field(min_length=1, max_length=200)]
Secret = Annotated[str, Field(min_length=1, max_length=256)]
InstantText = Annotated[Any, WithJsonSchema({"type": "string", "format": "date-time"})]
"""What `_instant` judges."""


class TenantBody(Written):
    tenant_id: Annotated[str, Field(pattern=TENANT_ID)]
    name: Name = Field(default="", description="Defaults to the id.")
    hmac_secret: Secret | None = Field(default=None, description="Never shown again.")


class TenantPatch(Written):
    name: Name | None = None
    status: Literal["active", "disabled"] | None = None
    hmac_secret: Secret | None = Field(default=None, description="Never shown again.")


class KeyBody(Written):
    tenant_id: Annotated[str, Field(pattern=TENANT_ID)] | None = Field(
        default=None, description="Defaults to your tenant."
    )
    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    expires_at: InstantText | None = None
    player_id: str | None = Field(default=None, description="Binds the key to this player.")

    @field_validator("expires_at")
    @classmethod
    def _expires_at(cls, value: object) -> int | None:
        return _instant(value)

    @field_validator("player_id")
    @classmethod
    def _player_id(cls, value: str | None) -> str | None:
        return value if value is None else check_identifier(value, 128)


class KeyPatch(Written):
    status: Literal["active", "disabled"] | None = None
    name: Name | None = None


class PeriodBody(Written):
    period_key: Annotated[str, Field(pattern=LEADERBOARD_ID)] | None = Field(
        default=None, description="Defaults to the start time. Not `current` or `previous`."
    )
    starts_at: InstantText = Field(
        default=None, description="Defaults to now. Not before the end of the last period."
    )
    ends_at: InstantText | None = Field(
        default=None, description="After `starts_at`. Null: the period lasts until you close it."
    )

    @field_validator("starts_at", "ends_at")
    @classmethod
    def _times(cls, value: object) -> int | None:
        return _instant(value)

    @field_validator("starts_at")
    @classmethod
    def _begins(cls, value: int | None) -> int:
        if value is None:
            raise PydanticCustomError("instant", "must be an RFC 3339 instant with an offset")
        return value

    @field_validator("period_key")
    @classmethod
    def _key(cls, value: str | None) -> str | None:
        if value in ("current", "previous"):
            raise PydanticCustomError("reserved", "'{name}' is a reserved name", {"name": value})
        return value


class RebuildBody(Written):
    keep_rewards: bool = Field(
        default=False,
        description="Rebuild also a closed period whose rewards were granted. They stay as they are, "
        "whatever the new standings.",
    )


class ProfileBody(Written):
    display_name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    avatar_url: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    attributes: Annotated[dict[str, Any], AfterValidator(_small)] = Field(
        default_factory=dict,
        description="Any JSON object whose integers fit in 64 bits; at most 4096 bytes as compact JSON.",
    )
    roles: Annotated[list[Label], Field(max_length=64)] = Field(
        default_factory=list, description="A leaderboard's `audience` may go by them."
    )
    tags: Annotated[list[Label], Field(max_length=64)] = Field(
        default_factory=list, description="A leaderboard's `audience` may go by them."
    )
    timezone: Annotated[str, AfterValidator(valid_timezone)] | None = Field(
        default=None,
        description="IANA name of the player's time zone, such as `Europe/Rome`.",
        json_schema_extra={"format": "time-zone"},
    )
    test: bool = Field(
        default=False,
        description="A test player: not ranked, except on leaderboards with `audience.include_test_players`.",
    )
    external_id: Annotated[str, AfterValidator(_external_id)] | None = Field(
        default=None,
        description="The player's id in a system of yours; 1 to 128 characters, none of them a control "
        "character. It need not be unique.",
        json_schema_extra={"minLength": 1, "maxLength": 128, "pattern": NO_CONTROL_CHARACTERS},
    )
    hidden_until: InstantText | None = Field(
        default=None, description="Hides the player until this time. Null: not hidden. Absent: no change."
    )

    @field_validator("hidden_until")
    @classmethod
    def _hidden_until(cls, value: object) -> int | None:
        return _instant(value)


class Mark(NamedTuple):
    """Which periods of a purged chain may have data: `first` <= serial < `end`."""

    first: int
    end: int
