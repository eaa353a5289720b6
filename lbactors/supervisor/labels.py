"""Which players have the roles and tags that audiences name, and who is a test player: the supervisor's part.

The store has the index (`lbactors.documents.labels`). In memory are the players of those labels alone that an
`audience.rank` names, and the test players; so a tenant without audiences costs nothing, whatever it writes
into profiles. A label that no audience named before is read when one does (`learn`), by the index.

Period actors are told with the hidden players (`lbactors.supervisor.hidden_players`), under the same version:
the players that changed since what they know; or everything, if that is too long ago.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgpack
import structlog

from lbactors.core.errors import invalid
from lbactors.core.ids import split_tenant
from lbactors.core.packing import pack
from lbactors.documents.labels import (
    INDEXED,
    LABELS,
    all_test_players,
    index_changes,
    is_test,
    players_with,
    profile_labels,
)
from lbactors.documents.profiles import PROFILES
from lbactors.supervisor.state import SupervisorState
from lbactors.wire.requests import TEST_LABEL, MemberList
from persistence.store import Change, scan_pages

TEST_LIMIT = 10_000  # test players of a tenant: every leaderboard looks at them
CHANGES_KEPT = 1000  # of a tenant; an actor that missed more is told everything

log = structlog.get_logger("supervisor")

Profile = Mapping[str, Any] | None


class ListVersion:
    """Of all that period actors are told of players. It rises with every change, and is above whatever an
    earlier supervisor told.
    """

    def __init__(self, epoch: int) -> None:
        self.now = epoch << 32

    def rise(self) -> int:
        self.now += 1
        return self.now


class _Tenant:
    """`by_label`: all players of the labels that are known. `changes`: the last ones, each as (version,
    player, labels that he has since). `complete_from`: an actor that knows less than this version is told
    everything.
    """

    def __init__(self, version: int) -> None:
        self.by_label: dict[str, set[str]] = {TEST_LABEL: set()}
        self.version = self.complete_from = version
        self.changes: deque[tuple[int, str, list[str]]] = deque()

    def changed(self, version: int, player_id: str, labels: Iterable[str]) -> None:
        self.version = version
        self.changes.append((version, player_id, sorted(labels)))
        if len(self.changes) > CHANGES_KEPT:
            self.complete_from = self.changes.popleft()[0]

    def changed_as_a_whole(self, version: int) -> None:
        self.version = self.complete_from = version
        self.changes.clear()


class Labels:
    """See the module's docstring."""

    def __init__(self, state: SupervisorState, version: ListVersion) -> None:
        self._state = state
        self._version = version
        self._tenants: dict[str, _Tenant] = {}

    async def load(self) -> None:
        """From the store, at the supervisor's start. StoreError."""
        for tenant_id, players in (await all_test_players(self._state.store)).items():
            self._tenant(tenant_id).by_label[TEST_LABEL] = players
        for board in self._state.boards.values():
            await self.learn(board.tenant_id, board.definition.audience.rank.labels)

    def _tenant(self, tenant_id: str) -> _Tenant:
        found = self._tenants.get(tenant_id)
        if found is None:
            found = self._tenants[tenant_id] = _Tenant(self._version.now)
        return found

    async def learn(self, tenant_id: str, labels: Iterable[str]) -> None:
        """Know the players of these labels, before a leaderboard goes by them. StoreError: nothing has
        changed.
        """
        tenant = self._tenants.get(tenant_id)
        new = sorted(set(labels) - (tenant.by_label.keys() if tenant is not None else set()))
        found = {}
        for label in new:
            pages = players_with(self._state.store, tenant_id, label)
            found[label] = {player_id async for page in pages for player_id in page}
        if found:
            tenant = self._tenant(tenant_id)
            tenant.by_label |= found
            tenant.changed_as_a_whole(self._version.rise())

    # Changes --------------------------------------------------------------------------------------------

    def check_limit(self, tenant_id: str, before: Profile, after: Profile) -> None:
        """422 if that would be one test player too many."""
        if is_test(after) and not is_test(before):
            tenant = self._tenants.get(tenant_id)
            if tenant is not None and len(tenant.by_label[TEST_LABEL]) >= TEST_LIMIT:
                raise invalid(f"at most {TEST_LIMIT} players may be test players", "body", "test")

    def concern(self, tenant_id: str, before: Profile, after: Profile) -> bool:
        """Whether actors are to be told of a profile's change."""
        return self._known(tenant_id, before) != self._known(tenant_id, after)

    def _known(self, tenant_id: str, profile: Profile) -> frozenset[str]:
        """The labels of a profile that are known."""
        tenant = self._tenants.get(tenant_id)
        named = profile_labels(profile) & tenant.by_label.keys() if tenant is not None else frozenset()
        return frozenset((*named, TEST_LABEL)) if is_test(profile) else frozenset(named)

    def apply(self, tenant_id: str, player_id: str, before: Profile, after: Profile) -> None:
        """Note a change that is durable; then the actors are to be told."""
        if not self.concern(tenant_id, before, after):
            return
        tenant, labels = self._tenant(tenant_id), self._known(tenant_id, after)
        for label, players in tenant.by_label.items():
            if label in labels:
                players.add(player_id)
            else:
                players.discard(player_id)
        tenant.changed(self._version.rise(), player_id, labels)

    def forget_tenant(self, tenant_id: str) -> bool:
        """A tenant is gone with all its players; whether there were any, so that actors are to be told."""
        tenant = self._tenants.get(tenant_id)
        if tenant is None or not any(tenant.by_label.values()):
            return False
        tenant.by_label = {TEST_LABEL: set()}
        tenant.changed_as_a_whole(self._version.rise())
        return True

    # Telling actors -------------------------------------------------------------------------------------

    def changes_since(self, since: int) -> list[MemberList]:
        """What an actor is told that knows everything up to a version."""
        return [
            self._told(tenant_id, tenant, since)
            for tenant_id, tenant in self._tenants.items()
            if tenant.version > since
        ]

    @staticmethod
    def _told(tenant_id: str, tenant: _Tenant, since: int) -> MemberList:
        if since < tenant.complete_from:
            by_label = {label: list(players) for label, players in tenant.by_label.items()}
            return MemberList(tenant_id, tenant.version, True, by_label, [])
        changes = [(player_id, labels) for at, player_id, labels in tenant.changes if at > since]
        return MemberList(tenant_id, tenant.version, False, {}, changes)

    def check(self) -> None:
        """Assert every invariant; called throughout the tests."""
        for tenant in self._tenants.values():
            assert TEST_LABEL in tenant.by_label
            assert tenant.complete_from <= tenant.version <= self._version.now
            versions = [version for version, *_ in tenant.changes]
            assert versions == sorted(set(versions)) and len(versions) <= CHANGES_KEPT
            last = {player_id: labels for _, player_id, labels in tenant.changes}
            for player_id, labels in last.items():
                there = {label for label, players in tenant.by_label.items() if player_id in players}
                assert there == set(labels), f"{player_id} has {there}, and {labels} was told"


async def index_profiles(state: SupervisorState) -> None:
    """Index the profiles that a version without the index wrote, once for each store. StoreError, ApiError:
    the next supervisor does it.
    """
    (done,) = await state.store.get(LABELS, [INDEXED])
    if done is not None:
        return
    count = 0
    async for rows in scan_pages(state.store, PROFILES):
        changes: list[Change] = []
        for doc_id, body in rows:
            tenant_id, player_id = split_tenant(doc_id)
            changes += index_changes(tenant_id, player_id, None, msgpack.unpackb(body))
        count += len(changes)
        if changes:
            await state.commit(changes)
    await state.commit([Change(LABELS, INDEXED, pack(True))])
    if count:
        log.info("roles and tags of profiles are indexed", documents=count)
