"""Who calls: from the request's key to a `Caller` with a tenant and scopes, and what a caller may do.

A key travels in `Authorization: Bearer` or `X-API-Key` and is looked up by its SHA-256, so nothing here
compares or stores key texts against secrets. Order of the refusals: no key or no valid one 401; disabled,
or another tenant named 403; a platform key that names an unknown tenant 404; scopes last.

A miss asks the supervisor once (`catalogue.sync`), because the key may have been made through another
gateway a moment ago. What was found is remembered by the text, and is valid only as long as the catalogue
still holds the very same key and tenant objects: a key that is disabled or deleted stops at once. A hot key
costs about 2 µs.

A key that is bound to a player reads rankings and definitions, as far as its scopes go. Else, and where what
is read is a player's own (`Route.private`), it reaches only the routes that say where they name a player
(`Route.own_player`), and there its own player alone (`check_bound`): whatever scopes it has and whatever
routes are added, it neither administrates nor sees how others are moderated. A leaderboard that is not public
does not exist for it (`sees`).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cachetools import LRUCache

from lbactors.core.errors import ApiError
from lbactors.core.model import Board, Key, Tenant

if TYPE_CHECKING:
    from lbactors.service.service import Service

DEFAULT_TENANT = "default"
PLATFORM = "platform"
READ_SCOPES = frozenset({"rankings:read", "leaderboards:read"})

OwnPlayer = Literal["path", "items"]
"""Where a route names the player that it acts for: in its path, or in what its handler judges: the items of
its body, a parameter, a row that it finds.
"""

REMEMBERED_KEYS = 10_000
_LONGEST_KEY = 512


class Caller(NamedTuple):
    """An authenticated key in action.

    `tenant_id` is the tenant acted in, `own_tenant_id` the key's. `named_tenant` tells whether the request
    named the tenant. `player_id` is set for a key that is bound to a player.
    """

    key_id: str
    tenant_id: str
    own_tenant_id: str
    scopes: frozenset[str]
    player_id: str | None
    tenant_disabled: bool
    named_tenant: bool
    key_name: str = ""

    @property
    def platform(self) -> bool:
        return PLATFORM in self.scopes

    def sees(self, board: Board) -> bool:
        """Whether a leaderboard of the tenant exists for this caller: the one rule, for whoever looks one up
        or lists them (`Call.board_of`, `Call.boards`).
        """
        return self.player_id is None or board.definition.public

    def check_bound(
        self, scopes: tuple[str, ...], own_player: OwnPlayer | None, private: bool, path: Mapping[str, Any]
    ) -> None:
        """403 where a key that is bound to a player may not go: the one rule, for every route. scopes,
        own_player and private: the route's.
        """
        if self.player_id is None:
            return
        if not private and not READ_SCOPES.isdisjoint(self.scopes & frozenset(scopes)):
            return
        if own_player is None:
            raise ApiError("forbidden", f"not with a key that is bound to a player ({self.player_id!r})")
        if own_player == "path" and path["player_id"] != self.player_id:
            raise ApiError("forbidden", f"this key may act for player {self.player_id!r} only")


class _Remembered(NamedTuple):
    key: Key
    tenant: Tenant
    caller: Caller


class Access:
    """Authentication against one service's catalogue."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._remembered = LRUCache[tuple[str, str | None], _Remembered](REMEMBERED_KEYS)

    async def caller(self, headers: Mapping[str, str], scopes: tuple[str, ...]) -> Caller:
        """Who calls a route that needs one of `scopes`. ApiError 401, 403 or 404 `tenant_not_found`."""
        text = key_text(headers)
        named_tenant = headers.get("X-Tenant-Id")
        catalogue = self._service.catalogue
        found = self._remembered.get((text, named_tenant))
        if (
            found is None
            or catalogue.key_by_hash(found.key.key_hash) is not found.key
            or catalogue.tenant(found.caller.tenant_id) is not found.tenant
        ):
            found = await self._look_up(text, named_tenant)
        key, _, caller = found
        if key.expires_at_ms is not None and self._service.now_ms() >= key.expires_at_ms:
            raise unauthenticated("the key has expired")
        if caller.tenant_disabled and not (caller.platform and PLATFORM in scopes):
            raise ApiError("forbidden", f"tenant {caller.tenant_id!r} is disabled")
        if caller.scopes.isdisjoint(scopes):
            raise ApiError("forbidden", f"needs a key with the scope {' or '.join(scopes)}")
        return caller

    async def _look_up(self, text: str, named_tenant: str | None) -> _Remembered:
        catalogue = self._service.catalogue
        key = self._valid_key(text)
        if key is None or catalogue.tenant(key.tenant_id) is None:
            await catalogue.sync()
            key = self._valid_key(text)
        if key is None:
            raise unauthenticated("the key is unknown or deleted")
        own_tenant = catalogue.tenant(key.tenant_id)
        if own_tenant is None:
            raise unauthenticated("the key's tenant was deleted")
        if key.status != "active":
            raise ApiError("forbidden", "the key is disabled")
        tenant_id = key.tenant_id
        if PLATFORM in key.scopes:
            tenant_id = named_tenant if named_tenant is not None else DEFAULT_TENANT
        elif named_tenant not in (None, key.tenant_id):
            raise ApiError("forbidden", "X-Tenant-Id names a tenant that is not the key's")
        tenant = await self.tenant(tenant_id)
        caller = Caller(
            key_id=key.key_id,
            tenant_id=tenant_id,
            own_tenant_id=key.tenant_id,
            scopes=key.scopes,
            player_id=key.player_id,
            tenant_disabled=tenant.status != "active",
            named_tenant=named_tenant is not None,
            key_name=key.name,
        )
        found = _Remembered(key, tenant, caller)
        self._remembered[text, named_tenant] = found
        return found

    def _valid_key(self, text: str) -> Key | None:
        digest = sha256(text.encode()).hexdigest()
        key = self._service.catalogue.key_by_hash(digest)
        if key is None or key.status == "deleted" or not hmac.compare_digest(key.key_hash, digest):
            return None
        return key

    async def tenant(self, tenant_id: str) -> Tenant:
        """A tenant by id; 404 `tenant_not_found` if there is none even after asking the supervisor."""
        catalogue = self._service.catalogue
        tenant = catalogue.tenant(tenant_id)
        if tenant is None:
            await catalogue.sync()
            tenant = catalogue.tenant(tenant_id)
        if tenant is None:
            raise ApiError("tenant_not_found", f"no tenant {tenant_id[:64]!r}")
        return tenant


def key_text(headers: Mapping[str, str]) -> str:
    """The key that a request carries in `Authorization: Bearer` or `X-API-Key`: visible ASCII. Else a 401."""
    authorization = headers.get("Authorization")
    text = None
    if authorization is not None:
        scheme, _, rest = authorization.partition(" ")
        if scheme == "Bearer" or scheme.lower() == "bearer":
            text = rest.strip()
    if text is None:
        text = headers.get("X-API-Key")
    if text is None:
        raise unauthenticated("send a key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'")
    if not text or len(text) > _LONGEST_KEY or not text.isascii() or not text.isprintable():
        raise unauthenticated("the key is unknown or deleted")
    return text


def unauthenticated(message: str) -> ApiError:
    """A 401."""
    return ApiError("unauthenticated", message)
