"""The audit log of a tenant: what was done by whom, newest first."""

from __future__ import annotations

from aiohttp import web

from gateway.http.call import Call
from gateway.http.cursors import listing_cursor, listing_key
from lbactors.documents.audit import Wanted


async def search(call: Call) -> web.Response:
    """`GET /v1/audit`. Its cursor is the number of the last record shown: what is written meanwhile shifts
    nothing.
    """
    query = call.query
    wanted = Wanted(query["act"], query["target"], query["player_id"], query["since"], query["until"])
    cursor = query["cursor"]
    filters = ("audit", *wanted)
    place = 0 if cursor is None else int(listing_key(cursor, filters, (int,))[0])
    items, total, following = await call.service.audit_log(call.tenant_id, wanted, place, query["limit"])
    next_cursor = None if following is None else listing_cursor((following,), filters)
    return call.answer({"items": items, "total": total, "next_cursor": next_cursor})
