"""Erasing a player from events: those that wait, and those that are kept after they were sent.

What a receiver has got is beyond reach. Signatures are made when a body is sent, so a changed one is signed
like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import orjson

from lbactors.core.packing import pack
from lbactors.documents.webhooks import BODY, PLUGIN
from persistence.store import Change, scan_pages

if TYPE_CHECKING:
    from persistence.store import Store

ABOUT_A_PLAYER = ("display_name", "metadata")  # fields beside a player's id that tell of the person


async def erased_bodies(store: Store, tenant_id: str, player_id: str, anonymous_id: str) -> list[Change]:
    """Bodies of deliveries with another id in the player's place, for the caller's commit. StoreError."""
    needle = orjson.dumps(player_id)
    changes: list[Change] = []
    for prefix in (f"{BODY}/{tenant_id}/", f"{BODY}/{PLUGIN}"):
        async for rows in scan_pages(store, "deliveries", prefix=prefix):
            for doc_id, packed in rows:
                raw = bytes(msgpack.unpackb(packed))
                if needle not in raw:
                    continue
                body = orjson.loads(raw)
                if body["tenant_id"] == tenant_id:
                    new = orjson.dumps({**body, "data": _without(body["data"], player_id, anonymous_id)})
                    changes.append(Change("deliveries", doc_id, pack(new)))
    return changes


def _without(value: Any, player_id: str, anonymous_id: str) -> Any:
    if isinstance(value, list):
        return [_without(item, player_id, anonymous_id) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: _without(item, player_id, anonymous_id) for name, item in value.items()}
    if value.get("player_id") == player_id:
        found["player_id"] = anonymous_id
        found.update({name: None for name in ABOUT_A_PLAYER if name in value})
    return found
