"""Players are hidden and shown again, through the supervisor, which keeps the audit log."""

from __future__ import annotations

from aiohttp import web

from gateway.http.call import Call
from gateway.http.listings import listing_of
from lbactors.wire.commands import HidePlayer, UnhidePlayer


async def hide(call: Call) -> web.Response:
    """`POST /v1/players/{player_id}/hide`."""
    body, idempotency = await call.optional_document()
    return call.admin_answer(
        await call.admin(HidePlayer(player_id=call.path["player_id"], hide=body), call.tenant_id, idempotency)
    )


async def unhide(call: Call) -> web.Response:
    """`POST /v1/players/{player_id}/unhide`."""
    body, idempotency = await call.optional_document()
    return call.admin_answer(
        await call.admin(
            UnhidePlayer(player_id=call.path["player_id"], unhide=body), call.tenant_id, idempotency
        )
    )


async def hidden(call: Call) -> web.Response:
    """`GET /v1/hidden-players`."""
    found = await call.service.hidden_players(call.tenant_id)
    return listing_of(call, found, lambda item: item, lambda item: (item["player_id"],), "hidden")
