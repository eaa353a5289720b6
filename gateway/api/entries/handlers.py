"""Entries of the current periods are taken out, edited, restored and imported.

Removal is open to game servers, too (and to a key that is bound to the player). All of it goes through the
supervisor, which keeps the audit log.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from gateway.http import codec, documents
from gateway.http.call import Call, inactive, not_writable
from gateway.http.items import AHEAD_MS
from lbactors.core.errors import ApiError, invalid, invalid_from
from lbactors.core.model import Row
from lbactors.documents.audit import Who
from lbactors.documents.entry_edits import EntryBody, ImportBody
from lbactors.service.service import Idempotency
from lbactors.wire.commands import EditEntry, ImportEntries, RemoveEntry, RestoreEntry
from lbactors.wire.requests import ImportedEntry


def _who(call: Call) -> Who:
    return Who(call.caller.key_id, call.caller.key_name, call.request_id)


async def _change(
    call: Call,
    kind: type[RemoveEntry | EditEntry | RestoreEntry],
    value: Any,
    idempotency: Idempotency | None = None,
) -> web.Response:
    """Carry an act out; the entries before it under `before`, those after it under `after`. value: what the
    kind of command has beside player and window.
    """
    board = await call.board()
    player_id = call.path["player_id"]
    command = kind(board.leaderboard_id, player_id, call.query["window"], value)
    changed = await call.service.change_entry(command, board.tenant_id, _who(call), idempotency)
    (name,) = await call.service.names(board.tenant_id, [player_id])
    metadata = documents.metadata_reader(call.packed)

    def shown(window: str, period_key: str, row: Row) -> dict[str, Any]:
        return {"window": window, "period_key": period_key, **documents.entry(row, name, metadata)}

    before = [shown(c.window, c.period_key, c.before) for c in changed if c.before is not None]
    after = [shown(c.window, c.period_key, c.after) for c in changed if c.after is not None]
    if kind is RemoveEntry:
        return call.answer({"removed": before})
    if kind is RestoreEntry:
        return call.answer({"restored": after})
    return call.answer({"before": before, "after": after})


async def remove_entry(call: Call) -> web.Response:
    """`DELETE /v1/leaderboards/{leaderboard_id}/players/{player_id}`."""
    refusal = inactive(await call.board())
    if refusal is not None:
        raise refusal
    return await _change(call, RemoveEntry, call.query["reason"])


async def edit_entry(call: Call) -> web.Response:
    """`PATCH /v1/leaderboards/{leaderboard_id}/players/{player_id}`."""
    edit, _ = await call.document()
    metadata = edit.get("metadata")
    if isinstance(metadata, dict) and len(orjson.dumps(metadata)) > call.settings.metadata_bytes:
        raise invalid(f"must have at most {call.settings.metadata_bytes} bytes of JSON", "body", "metadata")
    return await _change(call, EditEntry, edit)


async def restore_entry(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/players/{player_id}/restore`."""
    restore, idempotency = await call.optional_document()
    return await _change(call, RestoreEntry, restore, idempotency)


# Imports --------------------------------------------------------------------------------------------------

REFUSED = {
    "entry_exists": "player {!r} has another entry",
    "entry_removed": "the entry of player {!r} was removed",
}


async def import_entries(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/entries/import`."""
    board = await call.board()
    document, _ = await call.document()
    refusal = not_writable(board)
    if refusal is not None:
        raise refusal
    try:
        body = ImportBody.model_validate(document)
    except ValidationError as error:
        raise invalid_from(error, "body") from None
    if len(body.entries) > call.settings.batch_items:
        raise invalid(f"must have at most {call.settings.batch_items} items", "body", "entries")
    rows: list[ImportedEntry] = []
    indexes: list[int] = []
    errors: dict[int, ApiError] = {}
    now_ms = call.service.now_ms()
    for index, item in enumerate(body.entries):
        try:
            rows.append(_imported(call, item, now_ms, index))
            indexes.append(index)
        except ApiError as error:
            errors[index] = error
    done: dict[str, Any] = {"period_key": body.period_key, "imported": 0, "unchanged": 0, "dropped": 0}
    if rows:
        command = ImportEntries(
            board.leaderboard_id, call.query["window"], body.period_key, rows, body.replace
        )
        done = (await call.admin(command, board.tenant_id)).body
        for place, code in done.pop("refused"):
            errors[indexes[place]] = ApiError(code, REFUSED[code].format(rows[place].player_id))
    listed = [documents.error_item(index, errors[index]) for index in sorted(errors)]
    return call.answer({**done, "rejected": len(listed), "errors": listed})


def _imported(call: Call, item: Any, now_ms: int, index: int) -> ImportedEntry:
    """The entry in an item of an import. ApiError 422."""
    where = ("body", "entries", index)
    if not isinstance(item, dict):
        raise invalid("must be an object", *where)
    try:
        body = EntryBody.model_validate(item)
    except ValidationError as error:
        raise invalid_from(error, *where) from None
    player_id = call.identifier(body.player_id, *where, "player_id")
    metadata = None if body.metadata is None else codec.encode_object(body.metadata, *where, "metadata")
    if metadata is not None and len(metadata) > call.settings.metadata_bytes:
        raise invalid(f"must have at most {call.settings.metadata_bytes} bytes of JSON", *where, "metadata")
    updated_at_ms = now_ms if body.updated_at is None else body.updated_at
    first_at_ms = updated_at_ms if body.first_at is None else body.first_at
    if max(first_at_ms, updated_at_ms) > now_ms + AHEAD_MS:
        finding = f"lies more than {AHEAD_MS // 1000} s ahead of the server's clock"
        raise invalid(finding, *where, "first_at" if first_at_ms > updated_at_ms else "updated_at")
    return ImportedEntry(
        player_id,
        body.score,
        body.subscore,
        metadata,
        body.submissions,
        min(first_at_ms, updated_at_ms),
        max(first_at_ms, updated_at_ms),
    )
