"""Periods (API section 3): reads come from the service, writes go to the supervisor as they came."""

from __future__ import annotations

from aiohttp import web
from pydantic import ValidationError

from gateway.http.call import Call
from gateway.http.listings import asked, listing
from lbactors.core.errors import invalid_from
from lbactors.documents.entities import RebuildBody, period_json
from lbactors.wire.commands import ClosePeriod, CreatePeriod, RebuildPeriod

PERIOD_STATES = ("pending", "active", "closing", "closed")


async def list_periods(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/periods`, newest first."""
    board = await call.board()
    window, state = call.query["window"], call.query["state"]
    filters = ("periods", board.uid, window, state)
    after, offset, limit = asked(call, (int,), *filters)
    before = None if after is None else int(after[0])
    # One more than is shown tells whether more follow.
    views, total = await call.service.periods(board, window, state, offset, limit + 1, before)
    shown = views[:limit]
    following = (shown[-1].serial,) if len(views) > limit else None
    return listing(call, [period_json(view) for view in shown], total, following, *filters)


async def get_period(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/periods/{period_key}`."""
    board = await call.board()
    zone = await call.zone(board)
    view = await call.service.period(board, call.query["window"], call.path["period_key"], zone)
    return call.reading(period_json(view))


async def create_period(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/periods`, for the timeframe `manual`."""
    board = await call.board()
    period, idempotency = await call.optional_document()
    return call.admin_answer(
        await call.admin(
            CreatePeriod(leaderboard_id=board.leaderboard_id, period=period), call.tenant_id, idempotency
        )
    )


async def close_period(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/periods/current/close`: a forced reset."""
    board = await call.board()
    idempotency = await call.empty_document()
    return call.admin_answer(
        await call.admin(
            ClosePeriod(leaderboard_id=board.leaderboard_id, window=call.query["window"]),
            call.tenant_id,
            idempotency,
        )
    )


async def rebuild_period(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/periods/{period_key}/rebuild`, of a projection."""
    board = await call.board()
    body, idempotency = await call.optional_document()
    try:
        wanted = RebuildBody.model_validate(body)
    except ValidationError as error:
        raise invalid_from(error, "body", model=RebuildBody) from None
    command = RebuildPeriod(
        leaderboard_id=board.leaderboard_id,
        window=call.query["window"],
        period_key=call.path["period_key"],
        keep_rewards=wanted.keep_rewards,
    )
    return call.admin_answer(await call.admin(command, call.tenant_id, idempotency))
