"""A gateway's copy of players' profiles: read from the store when they are first shown, read again when the
catalogue says that they changed. While the store is away, rankings go on with the names that are known.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack

from lbactors.core.errors import ApiError
from lbactors.core.ids import in_tenant
from lbactors.core.packing import pack
from lbactors.documents.profiles import zone_of_profile
from lbactors.documents.storage_errors import storage_errors
from persistence.store import Store, StoreError

KEPT = 200_000  # players whose profile, or lack of one, is remembered
NAMES_WITHIN_S = 0.5  # a ranking waits no longer for names
AWAY_S = 1.0  # nor does it ask again so soon after the store did not answer

Profile = dict[str, Any]
FACTS = ("attributes", "tags", "roles", "timezone")


def facts_of(profile: Profile) -> Profile:
    """What filters and expressions may look at."""
    return {name: profile[name] for name in FACTS if profile.get(name)}


class _Known(NamedTuple):
    """What was read of a player; `profile` None: he has none."""

    generation: int
    profile: Profile | None


class Profiles:
    """See the module's docstring."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._generation = 0  # what was read under an earlier one may have changed
        self._changes = 0
        self._ask_again_s = 0.0

    def changed(self, tenant_id: str, player_id: str) -> None:
        """One profile changed, or any may have if the names are empty."""
        self._changes += 1
        if tenant_id:
            self._known.pop((tenant_id, player_id), None)
        else:
            self._generation += 1

    async def get(self, tenant_id: str, player_id: str) -> Profile | None:
        """A player's profile, as far as the catalogue says; None: there is none. While the store is away, as
        it was read before. ApiError storage_unavailable if it never was.
        """
        entry = self._known.get((tenant_id, player_id))
        if entry is not None and entry.generation == self._generation:
            return entry.profile
        try:
            with storage_errors():
                return (await self._get(tenant_id, [player_id])).get(player_id)
        except ApiError:
            if entry is None:
                raise
            return entry.profile

    async def zones(self, tenant_id: str, player_ids: Sequence[str]) -> list[str]:
        """Time zones of players, in their order; UTC for those who say none. While the store is away, as they
        were read before. ApiError storage_unavailable if one never was.
        """
        known = self._known
        distinct = list(dict.fromkeys(player_ids))
        try:
            with storage_errors():
                profiles = await self._get(tenant_id, distinct)
        except ApiError:
            entries = {p: known[tenant_id, p].profile for p in distinct if (tenant_id, p) in known}
            if len(entries) < len(distinct):
                raise
            profiles = {p: profile for p, profile in entries.items() if profile is not None}
        return [zone_of_profile(profiles.get(player_id)) for player_id in player_ids]

    async def get_known(self, tenant_id: str, player_ids: list[str]) -> dict[str, Profile]:
        """Profiles of those players that have one; while the store is away, those that were read before,
        whatever became of them since.
        """
        if time.monotonic() >= self._ask_again_s:
            try:
                async with asyncio.timeout(NAMES_WITHIN_S):
                    return await self._get(tenant_id, player_ids)
            except (StoreError, TimeoutError):
                self._ask_again_s = time.monotonic() + AWAY_S
        found = ((p, self._known.get((tenant_id, p))) for p in player_ids)
        return {p: known.profile for p, known in found if known is not None and known.profile is not None}

    async def facts(self, tenant_id: str, player_ids: list[str]) -> dict[str, bytes]:
        """Of those players that have a profile, what rows of logs say of them (`lbactors.core.subject`), as
        MessagePack. ApiError storage_unavailable.
        """
        with storage_errors():
            found = await self._get(tenant_id, player_ids)
        return {player_id: pack(facts_of(profile)) for player_id, profile in found.items()}

    async def _get(self, tenant_id: str, player_ids: list[str]) -> dict[str, Profile]:
        known, generation, changes = self._known, self._generation, self._changes
        found: dict[str, Profile] = {}
        missing = []
        for player_id in player_ids:
            entry = known.get((tenant_id, player_id))
            if entry is None or entry.generation != generation:
                missing.append(player_id)
            elif entry.profile is not None:
                found[player_id] = entry.profile
        if not missing:
            return found
        bodies = await self._store.get("profiles", [in_tenant(tenant_id, p) for p in missing])
        for player_id, body in zip(missing, bodies, strict=True):
            profile = None if body is None else msgpack.unpackb(body)
            if changes == self._changes:  # else what was read may be older than a change
                known[tenant_id, player_id] = _Known(generation, profile)
            if profile is not None:
                found[player_id] = profile
        while len(known) > KEPT:
            known.popitem(last=False)
        return found
