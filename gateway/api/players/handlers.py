"""Players of a tenant: their profiles, and their erasure.

`GET /v1/players/{player_id}` is an addition to the API's page, so that what `PUT` wrote can be read.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.http.call import Call
from gateway.http.listings import asked, listing
from lbactors.core.errors import ApiError
from lbactors.documents.profiles import Wanted, without_private
from lbactors.wire.commands import ErasePlayer, PatchPlayer, PutPlayer


async def get(call: Call) -> web.Response:
    """`GET /v1/players/{player_id}`."""
    player_id = call.path["player_id"]
    profile = await call.service.profile(call.tenant_id, player_id)
    if profile is None:
        raise ApiError("player_not_found", f"player {player_id!r} has no profile")
    if call.caller.player_id not in (None, player_id):
        profile = without_private(profile)
    tag = _tag(profile)
    if call.not_modified(tag["ETag"]):
        return web.Response(status=304, headers=tag)
    return call.answer(profile, headers=tag)


async def search(call: Call) -> web.Response:
    """`GET /v1/players`."""
    query = call.query
    wanted = Wanted(query["search"], query["tag"], query["role"])
    after, offset, limit = asked(call, (str,), "players", *wanted)
    found = await call.service.players(
        call.tenant_id, wanted, "" if after is None else str(after[0]), offset, limit
    )
    following = (found.items[-1]["player_id"],) if found.more and found.items else None
    return listing(call, found.items, found.total, following, "players", *wanted)


async def put(call: Call) -> web.Response:
    """`PUT /v1/players/{player_id}`."""
    profile, _ = await call.document()
    return await _write(call, PutPlayer(profile=profile, **_whose(call)))


async def patch(call: Call) -> web.Response:
    """`PATCH /v1/players/{player_id}`."""
    changes, _ = await call.document()
    return await _write(call, PatchPlayer(patch=changes, **_whose(call)))


def _whose(call: Call) -> dict[str, Any]:
    """What both ways of writing have in common."""
    bound = call.caller.player_id is not None
    return {"player_id": call.path["player_id"], "by_player": bound, "if_match": call.if_match()}


async def _write(call: Call, command: PutPlayer | PatchPlayer) -> web.Response:
    answer = await call.admin(command, call.tenant_id)
    return call.admin_answer(answer, _tag(answer.body))


def _tag(profile: dict[str, Any]) -> dict[str, str]:
    return {"ETag": f'"{profile["version"]}"'}


async def erase(call: Call) -> web.Response:
    """`DELETE /v1/players/{player_id}`."""
    player_id = call.path["player_id"]
    return call.admin_answer(await call.admin(ErasePlayer(player_id=player_id), call.tenant_id))
