"""Players of a tenant: their profiles, and their erasure.

`GET /v1/players/{player_id}` is an addition to the API's page, so that what `PUT` wrote can be read.
"""

from __future__ import annotations

from aiohttp import web

from gateway.http.call import Call
from lbactors.core.errors import ApiError


async def get(call: Call) -> web.Response:
    """`GET /v1/players/{player_id}`."""
    player_id = call.path["player_id"]
    profiles = await call.service.profiles(call.tenant_id, [player_id])
    profile = profiles.get(player_id)
    if profile is None:
        raise ApiError("player_not_found", f"player {player_id!r} has no profile")
    return call.reading({"player_id": player_id, **profile})


async def put(call: Call) -> web.Response:
    """`PUT /v1/players/{player_id}`."""
    player_id = call.path["player_id"]
    call.caller.check_player(player_id)
    profile, idempotency = await call.document()
    bound = call.caller.player_id is not None
    if bound and profile.get("hidden_until") is not None:
        raise ApiError("forbidden", "hidden_until: a key that is bound to a player may not set it")
    args = {"player_id": player_id, "profile": profile, "keep_hidden": bound}
    return call.admin_answer(await call.admin("put_player", call.tenant_id, args, idempotency))


async def erase(call: Call) -> web.Response:
    """`DELETE /v1/players/{player_id}`."""
    player_id = call.path["player_id"]
    call.caller.check_player(player_id)
    return call.admin_answer(await call.admin("erase_player", call.tenant_id, {"player_id": player_id}))
