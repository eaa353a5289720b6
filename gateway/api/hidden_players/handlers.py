"""Players are hidden and shown again, through the supervisor, which keeps the audit log."""

from __future__ import annotations

from aiohttp import web

from gateway.http.call import Call
from gateway.http.listings import listing_of


async def hide(call: Call) -> web.Response:
    """`POST /v1/players/{player_id}/hide`."""
    call.caller.check_unbound()
    body, idempotency = await call.optional_document()
    args = {"player_id": call.path["player_id"], "hide": body}
    return call.admin_answer(await call.admin("hide_player", call.tenant_id, args, idempotency))


async def unhide(call: Call) -> web.Response:
    """`POST /v1/players/{player_id}/unhide`."""
    call.caller.check_unbound()
    body, idempotency = await call.optional_document()
    args = {"player_id": call.path["player_id"], "unhide": body}
    return call.admin_answer(await call.admin("unhide_player", call.tenant_id, args, idempotency))


async def hidden(call: Call) -> web.Response:
    """`GET /v1/hidden-players`."""
    found = await call.service.hidden_players(call.tenant_id)
    return listing_of(call, found, lambda item: item, "hidden")
