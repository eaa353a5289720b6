"""Who has which role and tag, and who is a test player: an index over profiles, so that nobody has to read
all of them.

`labels`: `<tenant>/role/<role>/<player>` and `<tenant>/tag/<tag>/<player>`, role and tag percent-encoded.
`test_players`: `<tenant>/<player>`. A profile and its index change in one commit. The document INDEXED says
that the profiles of an older version have been read, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from lbactors.core.audience import labels_of
from lbactors.core.ids import in_tenant, split_tenant
from lbactors.core.packing import pack
from persistence.store import Change, Store, scan_pages

LABELS = "labels"
TEST_PLAYERS = "test_players"
INDEXED = "indexed"
PAGE = 5000  # ids read at a time

_THERE = pack(True)


def profile_labels(stored: Mapping[str, Any] | None) -> frozenset[str]:
    """The labels of a stored profile; none without one."""
    return frozenset() if stored is None else labels_of(stored.get("roles", ()), stored.get("tags", ()))


def is_test(stored: Mapping[str, Any] | None) -> bool:
    return stored is not None and bool(stored.get("test", False))


def label_doc(tenant_id: str, label: str, player_id: str) -> str:
    """The id of the document that says that a player has a label; without a player, what all of them begin
    with.
    """
    return in_tenant(tenant_id, f"{label}/{player_id}")


def index_changes(
    tenant_id: str, player_id: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[Change]:
    """What a changed profile changes in the index. None: there is no profile."""
    old, new = profile_labels(before), profile_labels(after)
    changes = [Change(LABELS, label_doc(tenant_id, label, player_id), None) for label in sorted(old - new)]
    changes += [Change(LABELS, label_doc(tenant_id, label, player_id), _THERE) for label in sorted(new - old)]
    if is_test(before) != is_test(after):
        body = _THERE if is_test(after) else None
        changes.append(Change(TEST_PLAYERS, in_tenant(tenant_id, player_id), body))
    return changes


async def players_with(store: Store, tenant_id: str, label: str) -> AsyncIterator[list[str]]:
    """The players that have a label, by id, some thousands at a time. StoreError."""
    prefix = label_doc(tenant_id, label, "")
    async for rows in scan_pages(store, LABELS, prefix=prefix, page=PAGE):
        yield [doc_id.removeprefix(prefix) for doc_id, _ in rows]


async def all_test_players(store: Store) -> dict[str, set[str]]:
    """The test players of all tenants that have any. StoreError."""
    found: dict[str, set[str]] = {}
    async for rows in scan_pages(store, TEST_PLAYERS, page=PAGE):
        for doc_id, _ in rows:
            tenant_id, player_id = split_tenant(doc_id)
            found.setdefault(tenant_id, set()).add(player_id)
    return found
