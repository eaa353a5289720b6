"""Players' profiles: how they are shown, changed and told apart.

The store has what clients wrote (collection `profiles`) without who is hidden: that is one record of its own
(`lbactors.documents.hidden_players`), whichever way it was written, and a profile shows it as `hidden_until`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgpack
import orjson

from lbactors.core.audience import role_label, tag_label
from lbactors.core.ids import in_tenant
from lbactors.core.instants import HORIZON_MS, format_instant
from lbactors.core.zones import UTC
from lbactors.documents.entities import ProfileBody
from lbactors.documents.hidden_players import HIDDEN, SHOWN, Hidden
from lbactors.documents.labels import players_with
from lbactors.documents.storage_errors import storage_errors
from persistence.store import PAGE_DOCUMENTS, Store, scan_pages

PROFILES = "profiles"
FOR_GOOD_MS = HORIZON_MS - 1
"""The last instant that the API takes: `hidden_until` of a player who is hidden for good."""

KEPT_FIELDS = tuple(name for name in ProfileBody.model_fields if name != "hidden_until")
_DEFAULTS = ProfileBody().model_dump()  # for fields that a profile was written without


def profile_json(stored: Mapping[str, Any], hidden: Hidden, now_ms: int) -> dict[str, Any]:
    """A stored profile as the API shows it. Its `version` follows from all the rest."""
    until = None
    if hidden.runs(now_ms):
        until = format_instant(FOR_GOOD_MS if hidden.ends_ms is None else hidden.ends_ms)
    shown = {
        "player_id": stored["player_id"],
        **{name: stored.get(name, _DEFAULTS[name]) for name in KEPT_FIELDS},
        "hidden_until": until,
        "updated_at": stored["updated_at"],
    }
    return _with_version(shown)


def zone_of_profile(stored: Mapping[str, Any] | None) -> str:
    """The IANA name of a player's zone, by the stored profile; UTC without one."""
    return UTC if stored is None else stored.get("timezone") or UTC


def without_private(shown: dict[str, Any]) -> dict[str, Any]:
    """A profile for other players: not whether its player is hidden or a test player, and no id of another
    system; `version` does not tell either.
    """
    private = {"hidden_until": None, "test": False, "external_id": None}
    return _with_version({name: value for name, value in shown.items() if name != "version"} | private)


def _with_version(shown: dict[str, Any]) -> dict[str, Any]:
    text = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    return {**shown, "version": blake2b(text, digest_size=9).hexdigest()}


def merged_profile(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """What a client would have to write to replace a profile by itself with a patch laid over it (RFC 7396):
    null gives a field its default, `attributes` are merged member by member. `hidden_until` is as in the
    patch, null included.
    """
    merged = {name: stored[name] for name in KEPT_FIELDS if name in stored}
    for name, value in patch.items():
        if value is None and name in KEPT_FIELDS:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


class Wanted(NamedTuple):
    """Which profiles a reader asks for; None: any. search: part of the id, the display name or the external
    id, whatever its case. tag, role: one that the profile has.
    """

    search: str | None = None
    tag: str | None = None
    role: str | None = None


class Found(NamedTuple):
    """A page of profiles by player id. `total`: how many match in all. `more`: whether others follow."""

    items: list[dict[str, Any]]
    total: int
    more: bool


async def search_profiles(
    store: Store, tenant_id: str, wanted: Wanted, after: str, offset: int, limit: int, now_ms: int
) -> Found:
    """The `limit` profiles after a player id ("": from the beginning), or from an offset on.

    A tag or a role is found by its index; `search` looks at every profile. ApiError storage_unavailable.
    """
    page: dict[str, dict[str, Any] | None] = {}  # None: not read yet
    total = 0
    more = False
    label = _indexed_by(wanted)
    judged = wanted.search is not None or (wanted.tag is not None and wanted.role is not None)
    with storage_errors():
        async for player_id, body in _candidates(store, tenant_id, label, with_bodies=judged):
            stored = None if body is None else msgpack.unpackb(body)
            if stored is not None and not _matches(stored, wanted):
                continue
            total += 1
            if total <= offset or player_id <= after:
                continue
            if len(page) == limit:
                more = True
                continue
            page[player_id] = stored
        return Found(await _shown(store, tenant_id, page, now_ms), total, more)


async def _shown(
    store: Store, tenant_id: str, page: Mapping[str, dict[str, Any] | None], now_ms: int
) -> list[dict[str, Any]]:
    """Profiles as the API shows them; those erased since are left out. StoreError."""
    ids = [in_tenant(tenant_id, player_id) for player_id in page]
    unread = [i for i, stored in zip(ids, page.values(), strict=True) if stored is None]
    hidden, bodies = await asyncio.gather(store.get(HIDDEN, ids), store.get(PROFILES, unread))
    read = {i: msgpack.unpackb(body) for i, body in zip(unread, bodies, strict=True) if body is not None}
    items = []
    for doc_id, known, hiding in zip(ids, page.values(), hidden, strict=True):
        stored = read.get(doc_id) if known is None else known
        if stored is not None:
            until = SHOWN if hiding is None else Hidden(*msgpack.unpackb(hiding))
            items.append(profile_json(stored, until, now_ms))
    return items


def _indexed_by(wanted: Wanted) -> str | None:
    """The label by whose index the profiles are found; None: all of them are read."""
    if wanted.tag is not None:
        return tag_label(wanted.tag)
    return None if wanted.role is None else role_label(wanted.role)


async def _candidates(
    store: Store, tenant_id: str, label: str | None, *, with_bodies: bool
) -> AsyncIterator[tuple[str, bytes | None]]:
    """Players by id, those with a label or all, with their profiles if these are wanted. StoreError."""
    prefix = in_tenant(tenant_id, "")
    if label is None:
        async for rows in scan_pages(store, PROFILES, prefix=prefix):
            for doc_id, body in rows:
                yield doc_id.removeprefix(prefix), body if with_bodies else None
        return
    async for player_ids in players_with(store, tenant_id, label):
        for start in range(0, len(player_ids), PAGE_DOCUMENTS):
            some = player_ids[start : start + PAGE_DOCUMENTS]
            if not with_bodies:
                for player_id in some:
                    yield player_id, None
                continue
            bodies = await store.get(PROFILES, [prefix + player_id for player_id in some])
            for player_id, found in zip(some, bodies, strict=True):
                if found is not None:  # else it was erased meanwhile
                    yield player_id, found


def _matches(stored: Mapping[str, Any], wanted: Wanted) -> bool:
    if wanted.role is not None and wanted.role not in stored.get("roles", ()):
        return False
    if wanted.tag is not None and wanted.tag not in stored.get("tags", ()):
        return False
    if wanted.search is None:
        return True
    texts = (stored["player_id"], stored.get("display_name"), stored.get("external_id"))
    return any(wanted.search.casefold() in text.casefold() for text in texts if text)


async def profile_of(store: Store, tenant_id: str, player_id: str, now_ms: int) -> dict[str, Any] | None:
    """A player's profile as the store has it now; None without one. ApiError storage_unavailable."""
    doc_id = in_tenant(tenant_id, player_id)
    with storage_errors():
        (stored,), (hidden,) = await asyncio.gather(
            store.get(PROFILES, [doc_id]), store.get(HIDDEN, [doc_id])
        )
    if stored is None:
        return None
    known = SHOWN if hidden is None else Hidden(*msgpack.unpackb(hidden))
    return profile_json(msgpack.unpackb(stored), known, now_ms)
