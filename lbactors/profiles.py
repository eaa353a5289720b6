"""A gateway's copy of players' profiles: read from the store when they are first shown, forgotten when the
catalogue says that they changed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgpack

from lbactors.model import ApiError
from persistence.store import Store, StoreError

KEPT = 200_000  # players whose profile, or lack of one, is remembered


class Profiles:
    """See the module's docstring."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[tuple[str, str], dict[str, Any] | None] = OrderedDict()
        self._changes = 0

    def changed(self, tenant_id: str, player_id: str) -> None:
        """Forget one profile, or all of them if the names are empty."""
        self._changes += 1
        if tenant_id:
            self._known.pop((tenant_id, player_id), None)
        else:
            self._known.clear()

    async def get(self, tenant_id: str, player_ids: list[str]) -> dict[str, dict[str, Any]]:
        """Profiles of those players that have one. ApiError storage_unavailable."""
        known = self._known
        missing = [p for p in player_ids if (tenant_id, p) not in known]
        fetched: dict[str, dict[str, Any] | None] = {}
        if missing:
            changes = self._changes
            try:
                bodies = await self._store.get("profiles", [f"{tenant_id}/{p}" for p in missing])
            except StoreError as error:
                raise ApiError("storage_unavailable", str(error)) from error
            for player_id, body in zip(missing, bodies, strict=True):
                fetched[player_id] = None if body is None else msgpack.unpackb(body)
            if changes == self._changes:  # else what was read may be older than a change
                known.update(((tenant_id, p), profile) for p, profile in fetched.items())
                while len(known) > KEPT:
                    known.popitem(last=False)
        found = {}
        for player_id in player_ids:
            profile = fetched[player_id] if player_id in fetched else known.get((tenant_id, player_id))
            if profile is not None:
                found[player_id] = profile
        return found
