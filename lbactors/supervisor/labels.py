"""Which players have the roles and tags that audiences name, and who is a test player."""

from __future__ import annotations

import msgpack
import structlog

from lbactors.core.ids import split_tenant
from lbactors.core.packing import pack
from lbactors.documents.labels import INDEXED, LABELS, index_changes
from lbactors.documents.profiles import PROFILES
from lbactors.supervisor.state import SupervisorState
from persistence.store import Change, scan_pages

log = structlog.get_logger("supervisor")


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
