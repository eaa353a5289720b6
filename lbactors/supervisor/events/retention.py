"""Deliveries that are over: given up without being sent, deleted when they are old or their listener is gone.

Looked for once an hour by a pass over all heads, a page at a time. Finished ones are kept for `keep_ms`, and
the latest KEPT of each listener and state. Pending ones of a listener that cannot be sent to (disabled, down,
a plugin that is not installed) are given up at their age here, since no attempt will tell; of one that is
sent to, the attempt does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import structlog

from lbactors.core.errors import ApiError
from lbactors.documents.webhooks import (
    BODY,
    DELIVERED,
    FAILED,
    PENDING,
    PLUGIN,
    Delivery,
    pack_delivery,
    unpack_delivery,
)
from lbactors.supervisor.state import SupervisorState
from persistence.store import Change, Store, StoreError, scan_pages

if TYPE_CHECKING:
    from lbactors.supervisor.events.outbox import Outbox

PAGE_DOCUMENTS = 1000
KEPT = {DELIVERED: 10_000, FAILED: 100_000}  # failed ones as many as may be pending: all can be replayed
CHANGES_AT_ONCE = 500

log = structlog.get_logger("delivery")

Head = tuple[str, str, Delivery]  # listener, delivery id, what it says


async def heads(store: Store, prefix: str) -> AsyncIterator[list[Head]]:
    """Heads of a state (`p/…`, narrowed by more of the id), page by page in order of listener and id."""
    async for rows in scan_pages(store, "deliveries", prefix=prefix, page=PAGE_DOCUMENTS):
        page: list[Head] = []
        for doc_id, body in rows:
            listener, _, name = doc_id[2:].rpartition("/")
            page.append((listener, name, unpack_delivery(body)))
        yield page


async def trim(state: SupervisorState, outbox: Outbox) -> int:
    """One pass; how many were given up. StoreError, ApiError storage_unavailable."""
    for kind in (FAILED, DELIVERED):
        await _delete_old(state, outbox, kind)
    return await _give_up(state, outbox)


async def _delete_old(state: SupervisorState, outbox: Outbox, kind: str) -> None:
    now_ms = state.clock.now_ms()
    kept: dict[str, list[str]] = {}
    async for page in heads(state.store, f"{kind}/"):
        gone: list[tuple[str, str]] = []
        for listener, group in groupby(page, key=lambda head: head[0]):
            names = kept.setdefault(listener, [])
            for _, name, head in group:
                old = now_ms - (head.finished_at_ms or 0) >= outbox.keep_ms
                if old or not _is_known(outbox, listener):
                    gone.append((listener, name))
                else:
                    names.append(name)
        await _delete(state, kind, gone)
    for listener, names in kept.items():
        await _delete(state, kind, [(listener, name) for name in names[: -KEPT[kind]]])


async def _give_up(state: SupervisorState, outbox: Outbox) -> int:
    now_ms, given_up = state.clock.now_ms(), 0
    async for page in heads(state.store, f"{PENDING}/"):
        orphans = [(listener, name) for listener, name, _ in page if not _is_known(outbox, listener)]
        await _delete(state, PENDING, orphans)
        old = [head for head in page if now_ms - head[2].queued_at_ms >= outbox.give_up_ms]
        for start in range(0, len(old), CHANGES_AT_ONCE):
            changes: list[Change] = []
            for listener, name, head in old[start : start + CHANGES_AT_ONCE]:
                lane = outbox.lanes.get(listener)
                if lane is not None:
                    if name not in lane or lane.is_sending(name) or not (lane.paused or lane.down):
                        continue
                    lane.remove(name)  # at once, so that it is not sent while the commit is under way
                failed = pack_delivery(head._replace(finished_at_ms=now_ms))
                changes.append(Change("deliveries", f"{PENDING}/{listener}/{name}", None))
                changes.append(Change("deliveries", f"{FAILED}/{listener}/{name}", failed))
            if changes:
                await state.commit(changes)
            given_up += len(changes) // 2
    if given_up:
        log.warning("deliveries given up: their receivers were away too long", deliveries=given_up)
    return given_up


def _is_known(outbox: Outbox, listener: str) -> bool:
    """Whether a listener exists, or is a plugin, which may be installed again."""
    return listener in outbox.lanes or listener.startswith(PLUGIN)


async def purge_deliveries(state: SupervisorState, listeners: Sequence[str]) -> None:
    """Delete all that was to be, or had been, delivered to listeners that are no more. What a death or an
    outage leaves is found by `trim`.
    """
    try:
        for listener in listeners:
            for kind in (PENDING, FAILED, DELIVERED):
                async for page in heads(state.store, f"{kind}/{listener}/"):
                    await _delete(state, kind, [(listener, name) for _, name, _ in page])
    except (StoreError, ApiError) as error:
        log.warning("deliveries of a deleted webhook are left for later", error=str(error))


async def _delete(state: SupervisorState, kind: str, gone: list[tuple[str, str]]) -> None:
    for start in range(0, len(gone), CHANGES_AT_ONCE):
        chunk = [f"{listener}/{name}" for listener, name in gone[start : start + CHANGES_AT_ONCE]]
        changes = [Change("deliveries", f"{part}/{name}", None) for name in chunk for part in (kind, BODY)]
        await state.commit(changes)
        await asyncio.sleep(0)
