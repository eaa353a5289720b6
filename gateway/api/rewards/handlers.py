"""Rewards: who won what when a period closed, and claims.

Lists and single rewards come from the store, by way of the service's `rewards`; a claim goes to the
supervisor. A period that is not closed yet is no error for a listing: it says what can be won.
"""

from __future__ import annotations

from aiohttp import web

from gateway.http.call import Call
from gateway.http.cursors import SortKey, listing_cursor, listing_key
from gateway.http.listings import asked, listing, part_of
from lbactors.service.reward_reader import Found, Won
from lbactors.wire.commands import ClaimReward


async def _found(call: Call) -> Found:
    """The period that path and query name. `current` and `previous` are asked of its actor."""
    board = await call.board()
    window, period_key = call.query["window"], call.path["period_key"]
    if period_key in ("current", "previous"):
        period_key = (await call.service.period(board, window, period_key, await call.zone(board))).key
    return await call.service.rewards.find(board, window, period_key)


async def of_period(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/periods/{period_key}/rewards`: winners in rank order."""
    found = await _found(call)
    query, reader = call.query, call.service.rewards
    player_id, tier, claimed = query["player_id"], query["tier"], query["claimed"]
    summary = await reader.summary(found)
    filters = ("rewards", found.chain_id, found.serial, player_id, tier, claimed)
    # A winner's index stays the same: winners are only ever added at the end.
    start = 0 if query["cursor"] is None else max(int(listing_key(query["cursor"], filters, (int,))[0]), 0)
    if player_id is None:
        items, total, after = await reader.page(found, start, query["limit"], tier, claimed, summary)
    else:
        items = [
            item
            for item in await reader.only(found, player_id)
            if claimed in (None, item["claimed"])
            and (tier is None or any(share["tier"] == tier for share in item["rewards"]))
        ]
        total, after = len(items), None
    names = await call.service.names(call.tenant_id, [item["player_id"] for item in items]) if items else []
    return call.reading(
        {
            **summary,
            "items": [{**item, "display_name": name} for item, name in zip(items, names, strict=True)],
            "total": total,
            "next_cursor": None if after is None else listing_cursor((after,), filters),
        }
    )


async def of_period_and_player(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/periods/{period_key}/rewards/{player_id}`."""
    found = await _found(call)
    return call.reading(await call.service.rewards.one(found, call.path["player_id"]))


async def claim(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/periods/{period_key}/rewards/{player_id}/claim`."""
    player_id = call.path["player_id"]
    body, idempotency = await call.optional_document()
    found = await _found(call)
    await call.service.rewards.claim_of(found, player_id)
    return call.admin_answer(
        await call.admin(
            ClaimReward(
                leaderboard_id=found.board.leaderboard_id,
                window=call.query["window"],
                serial=found.serial,
                player_id=player_id,
                claim=body,
            ),
            call.tenant_id,
            idempotency,
        )
    )


async def of_player(call: Call) -> web.Response:
    """`GET /v1/players/{player_id}/rewards`: everything that a player won in the tenant, newest first."""
    player_id, claimed = call.path["player_id"], call.query["claimed"]
    reader = call.service.rewards
    boards = call.boards()
    filters = ("player-rewards", player_id, claimed)
    wanted = asked(call, (int, str, int), *filters)
    found = await reader.of_player(call.tenant_id, player_id, boards, claimed)
    part, following = part_of(found, _newest_first, wanted, falling=True)
    items = await reader.in_full(player_id, list(part))
    return listing(call, items, len(found), following, *filters)


def _newest_first(won: Won) -> SortKey:
    """The order of `RewardReader.of_player`."""
    return won.claim.granted_at_ms, won.chain_id, -won.serial
