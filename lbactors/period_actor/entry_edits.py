"""What is done to single players in the periods of a chain: entries are changed, players are forgotten."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from lbactors.core import inputs
from lbactors.core.errors import ApiError
from lbactors.core.period import FULL, NO_RANK, Applied
from lbactors.period_actor import reads
from lbactors.period_actor.activation import Activation
from lbactors.period_actor.chain import Chain
from lbactors.period_actor.journaling import APPEND_INPUTS
from lbactors.period_actor.period_finder import period_before
from lbactors.wire.requests import EntryChange, EntryImport, Import

EDITS: dict[str, Callable[..., inputs.Input]] = {
    "remove": inputs.remove,
    "edit": inputs.edit,
    "restore": inputs.restore,
}


async def _writable(chain: Chain, zone: str = "", key: str | None = None) -> Activation:
    """The current period, of player-local ones that of a zone, or the one with this key; in memory. ApiError
    period_closed.
    """
    found = chain.current(chain.clock.now_ms(), zone)
    if key is not None:
        named = (a for a in chain.open if a.record.is_local and a.record.key == key)
        found = next(named, found)
    if not isinstance(found, Activation) or found.state == "sealed":
        raise ApiError("period_closed", f"window {chain.spec.window} takes no more changes")
    found = await chain.open.ensure_awake(found.record.serial)
    if chain.is_over(found):
        raise ApiError("period_closed", f"period {found.record.key} is closed")
    found.require_writable()
    if chain.follower is not None:
        await chain.follower.note_place(found)  # what is done has its place among the rows
    return found


async def import_entries(chain: Chain, request: Import) -> EntryImport:
    """Put entries into the current period, in their order. ApiError period_closed; after another one some may
    have been put there, and a repeat completes it.
    """
    found = await _writable(chain, key=request.period_key)
    key = found.record.key
    if request.period_key not in (None, key):
        raise ApiError("period_closed", f"the current period is '{key}', not '{request.period_key}'")
    at_ms = chain.clock.now_ms()
    waiting = []
    for start in range(0, len(request.rows), APPEND_INPUTS):
        rows = request.rows[start : start + APPEND_INPUTS]
        hiding = chain.hidden.ahead_of(found, [row[0] for row in rows])
        imported = chain.hidden.marked(
            chain.spec.audience, [inputs.import_entry(row, request.replace, at_ms) for row in rows]
        )
        waiting.append(_imported(found.enqueue([*hiding, *imported], NO_RANK), len(hiding)))
    results = [result for part in await asyncio.gather(*waiting) for result in part]
    return EntryImport(
        key,
        sum(result.applied for result in results),
        sum(not r.applied and r.error is None and r.entry is not None for r in results),
        sum(not r.applied and r.error is None and r.entry is None for r in results),
        [(index, result.error) for index, result in enumerate(results) if result.error is not None],
    )


async def _imported(done: asyncio.Future[list[Applied]], hiding: int) -> list[Applied]:
    """The results after those of so many inputs that hide."""
    return (await done)[hiding:]


async def change_entry(
    chain: Chain, edit: str, player_id: str, fields: Sequence[Any] = (), zone: str = ""
) -> EntryChange:
    """Remove, edit or restore a player's entry in the current period, see `ChangeEntry`. ApiError
    entry_not_found, entry_exists, period_closed.
    """
    found = await _writable(chain, zone)
    if edit != "restore" and found.period.entry(player_id) is None:
        raise ApiError("entry_not_found", f"no entry of player '{player_id}'")
    hiding = chain.hidden.ahead_of(found, [player_id])  # what is restored may be hidden by now
    edited = EDITS[edit](player_id, *fields, at_ms=chain.clock.now_ms())
    marked = chain.hidden.marked(chain.spec.audience, [edited])
    *_, result = await found.submit([*hiding, *marked], FULL)
    if result.error == "entry_exists":
        raise ApiError("entry_exists", f"player '{player_id}' has an entry")
    if not result.applied:
        raise ApiError("entry_not_found", f"no entry of player '{player_id}' that could be brought back")
    before: reads.Before = reads.UNREAD
    with contextlib.suppress(ApiError):  # it is done: nothing may make it look as if it were not
        before = await period_before(chain, found)
    old, new = result.previous, result.entry
    return EntryChange(
        found.record.key,
        None if old is None else reads.row_of(before, result.previous_rank, player_id, old),
        None if new is None else reads.row_of(before, result.rank, player_id, new),
    )


async def erase(chain: Chain, player_id: str, anonymous_id: str) -> int:
    """Forget a player in every period that is kept, journals included; how many had an entry."""
    count = 0
    for serial in [a.record.serial for a in chain.open]:
        activation = await chain.open.ensure_awake(serial)
        if activation.state != "serving":
            raise ApiError("period_loading", f"period {activation.record.key} is {activation.state}")
        if chain.follower is not None:
            await activation.settle()  # rows of his may be on their way that the log does not have any more
        if activation.period.mentions(player_id):
            count += activation.period.entry(player_id) is not None
            # Where nobody's rank may change any more it stays under another name, unless it had none.
            left_out = activation.period.is_left_out(player_id)
            stays = anonymous_id if chain.is_over(activation) and not left_out else None
            erased = inputs.erase(player_id, stays, chain.clock.now_ms())
            await activation.submit([erased], NO_RANK, final_too=True)
        await activation.snapshot()  # trims the journal, which may still name the player
        if activation.state != "serving":
            raise ApiError("storage_unavailable", "the journal could not be trimmed; ask again")
    return count + await chain.closed.erase(player_id, anonymous_id, chain.clock.now_ms())
