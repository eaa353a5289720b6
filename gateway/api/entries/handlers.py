"""Entries of the current periods are taken out, edited and restored.

Removal is open to game servers, too (and to a key that is bound to the player). All of it goes through the
supervisor, which keeps the audit log.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from gateway.http import documents
from gateway.http.call import Call, inactive
from lbactors.core.errors import invalid
from lbactors.core.model import Row
from lbactors.documents.audit import Who
from lbactors.service.service import Idempotency


def _who(call: Call) -> Who:
    return Who(call.caller.key_id, call.caller.key_name, call.request_id)


async def _change(
    call: Call, command: str, args: dict[str, Any], idempotency: Idempotency | None = None
) -> web.Response:
    """Carry an act out; the entries before it under `before`, those after it under `after`."""
    board = await call.board()
    player_id = call.path["player_id"]
    args = {"player_id": player_id, "window": call.query["window"], **args}
    changed = await call.service.change_entry(command, board, args, _who(call), idempotency)
    (name,) = await call.service.names(board.tenant_id, [player_id])
    metadata = documents.metadata_reader(call.packed)

    def shown(window: str, period_key: str, row: Row) -> dict[str, Any]:
        return {"window": window, "period_key": period_key, **documents.entry(row, name, metadata)}

    before = [shown(c.window, c.period_key, c.before) for c in changed if c.before is not None]
    after = [shown(c.window, c.period_key, c.after) for c in changed if c.after is not None]
    if command == "remove_entry":
        return call.answer({"removed": before})
    if command == "restore_entry":
        return call.answer({"restored": after})
    return call.answer({"before": before, "after": after})


async def remove_entry(call: Call) -> web.Response:
    """`DELETE /v1/leaderboards/{leaderboard_id}/players/{player_id}`."""
    call.caller.check_player(call.path["player_id"])
    refusal = inactive(await call.board())
    if refusal is not None:
        raise refusal
    return await _change(call, "remove_entry", {"reason": call.query["reason"]})


async def edit_entry(call: Call) -> web.Response:
    """`PATCH /v1/leaderboards/{leaderboard_id}/players/{player_id}`."""
    call.caller.check_unbound()
    edit, _ = await call.document()
    metadata = edit.get("metadata")
    if isinstance(metadata, dict) and len(orjson.dumps(metadata)) > call.settings.metadata_bytes:
        raise invalid(f"must have at most {call.settings.metadata_bytes} bytes of JSON", "body", "metadata")
    return await _change(call, "edit_entry", {"edit": edit})


async def restore_entry(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/players/{player_id}/restore`."""
    call.caller.check_unbound()
    restore, idempotency = await call.optional_document()
    return await _change(call, "restore_entry", {"restore": restore}, idempotency)
