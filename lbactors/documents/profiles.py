"""Players' profiles: how they are shown, changed and told apart.

The store has what clients wrote (collection `profiles`) without who is hidden: that is one record of its own
(`lbactors.documents.hidden_players`), whichever way it was written, and a profile shows it as `hidden_until`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgpack
import orjson

from lbactors.core.ids import in_tenant
from lbactors.core.instants import HORIZON_MS, format_instant
from lbactors.documents.entities import ProfileBody
from lbactors.documents.hidden_players import HIDDEN, SHOWN, Hidden
from lbactors.documents.storage_errors import storage_errors
from persistence.store import Store

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


def without_moderation(shown: dict[str, Any]) -> dict[str, Any]:
    """A profile for those whom it does not concern whether its player is hidden; `version` does not tell."""
    return _with_version(
        {name: value for name, value in shown.items() if name != "version"} | {"hidden_until": None}
    )


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
