"""Reading rankings (API section 5).

Every read names a window and a period, and is answered from one `Reading`: rows of one period at one seq.
Display names are joined here, for the players shown and no others.

Departure from a page as it is usually rendered: callers who asked for the same page at the same time get
the same `Reading` object from the service, so its rendering is kept for a moment (`PageMemo`) and shared. A
reading is never older than the requests that share it, so every client still reads its own acknowledged
writes.
"""

from __future__ import annotations

from aiohttp import web

from gateway.http import documents
from gateway.http.call import Call, render
from gateway.http.cursors import RankingsCursor, rankings_cursor
from gateway.http.documents import Document
from lbactors.core.errors import invalid
from lbactors.core.model import Board, Reading

Name = str | None


# Pages ----------------------------------------------------------------------------------------------------


async def page(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/rankings`."""
    board = await call.board()
    query = call.query
    if query["cursor"] is None:
        place = RankingsCursor(
            board.uid,
            query["window"] or "main",
            query["period"] or "current",
            query["offset"],
            0,
            query["score_min"],
            query["score_max"],
        )
    else:
        place = _place_of_cursor(call, board)
    low, high = place.score_min, place.score_max
    if low is not None and high is not None and low > high:
        raise invalid("must not exceed score_max", "query", "score_min")
    offset = place.offset
    limit = query["limit"]
    if place.until:
        limit = min(limit, max(place.until - offset, 1))
    reading = await call.service.page(board, place.window, place.period_key, offset, limit, low, high)
    return await _page_answer(call, board, reading, place, query["limit"])


def _place_of_cursor(call: Call, board: Board) -> RankingsCursor:
    """The cursor's place, if nothing else in the request contradicts it. `current` and `previous` do not."""
    query = call.query
    cursor = rankings_cursor(query["cursor"])
    if cursor.uid != board.uid:
        raise invalid("belongs to another leaderboard", "query", "cursor")
    if query["window"] not in (None, cursor.window):
        raise invalid(f"belongs to the window {cursor.window!r}", "query", "cursor")
    if query["period"] not in (None, "current", "previous", cursor.period_key):
        raise invalid(f"belongs to the period {cursor.period_key!r}", "query", "cursor")
    for name, bound in (("score_min", cursor.score_min), ("score_max", cursor.score_max)):
        if query[name] is not None and query[name] != bound:
            raise invalid(f"belongs to a listing with another {name}", "query", "cursor")
    if query["offset"]:
        raise invalid("cannot be combined with cursor", "query", "offset")
    return cursor


async def _page_answer(
    call: Call, board: Board, reading: Reading, place: RankingsCursor, limit: int
) -> web.Response:
    rows = reading.rows
    names = await call.service.names(board.tenant_id, [row.player_id for row in rows]) if rows else []
    memo = call.gateway.pages
    variant = (place.offset, limit, call.packed)
    rendered = memo.get(reading, variant, names)
    if rendered is None:
        document = {
            **documents.page_head(board, reading),
            "entries": documents.entries(rows, names, call.packed),
            **_cursors(board, reading, place, limit),
        }
        if reading.matched is not None:
            document["matched"] = reading.matched
        rendered = render(document, call.packed)
        if len(rows) <= memo.ROWS:
            memo.put(reading, variant, names, rendered)
    return call.rendered(*rendered)


def _cursors(board: Board, reading: Reading, place: RankingsCursor, limit: int) -> Document:
    extent = reading.total if reading.matched is None else reading.matched
    end = place.offset + len(reading.rows)
    before = min(place.offset, extent)

    def cursor(offset: int, until: int) -> str:
        period = reading.period
        return RankingsCursor(
            board.uid, period.window, period.key, offset, until, place.score_min, place.score_max
        ).encode()

    return {
        "next_cursor": cursor(end, 0) if reading.rows and end < extent else None,
        "prev_cursor": cursor(max(before - limit, 0), before) if before > 0 else None,
    }


async def around(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/players/{player_id}/around`: a page, so its cursors lead on."""
    board = await call.board()
    query = call.query
    limit = query["limit"]
    reading = await call.service.around(
        board, query["window"], query["period"], call.path["player_id"], limit, query["fill"]
    )
    place = RankingsCursor(board.uid, query["window"], query["period"], reading.offset, 0, None, None)
    return await _page_answer(call, board, reading, place, limit)


async def lookup(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/rankings/lookup`."""
    board = await call.board()
    player_ids = _player_ids(call, await call.body())
    query = call.query
    reading = await call.service.lookup(board, query["window"], query["period"], player_ids)
    names = await call.service.names(board.tenant_id, [row.player_id for row in reading.rows])
    entries = documents.entries(reading.rows, names, call.packed)
    return call.answer(
        {
            **documents.page_head(board, reading),
            "entries": [{"position": position, **e} for position, e in enumerate(entries, start=1)],
            "not_found": list(reading.missing),
        }
    )


def _player_ids(call: Call, body: object) -> list[str]:
    """The ids of a look-up, each once, in the order given."""
    if type(body) is not dict:
        raise invalid("must be an object", "body")
    unknown = next((name for name in body if name != "player_ids"), None)
    if unknown is not None:
        raise invalid("unknown field", "body", unknown)
    player_ids = body.get("player_ids")
    if type(player_ids) is not list:
        raise invalid("must be a list of player ids", "body", "player_ids")
    if len(player_ids) > call.settings.lookup_players:
        raise invalid(f"must have at most {call.settings.lookup_players} items", "body", "player_ids")
    return list(
        dict.fromkeys(
            call.identifier(value, "body", "player_ids", index) for index, value in enumerate(player_ids)
        )
    )


# Single facts ---------------------------------------------------------------------------------------------


async def entry(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/players/{player_id}`."""
    board = await call.board()
    query = call.query
    reading = await call.service.entry(board, query["window"], query["period"], call.path["player_id"])
    row = reading.rows[0]
    (name,) = await call.service.names(board.tenant_id, [row.player_id])
    return call.reading(
        {
            **documents.page_head(board, reading),
            **documents.entry(row, name, documents.metadata_reader(call.packed)),
            "percentile": documents.percentile(row.rank, reading.total),
        }
    )


async def rank_at(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/rankings/at/{score}`."""
    board = await call.board()
    query = call.query
    rank, reading = await call.service.rank_at(
        board, query["window"], query["period"], call.path["score"], query["subscore"]
    )
    return call.reading(
        {"rank": rank, "total": reading.total, "period": documents.page_period(reading.period)}
    )


async def distribution(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/distribution`."""
    board = await call.board()
    query = call.query
    document, reading = await call.service.distribution(
        board, query["window"], query["period"], query["buckets"]
    )
    return call.reading({**document, "period": documents.page_period(reading.period)})


async def player_entries(call: Call) -> web.Response:
    """`GET /v1/players/{player_id}/entries`: the player's standings everywhere in the tenant."""
    player_id = call.path["player_id"]
    found = await call.service.player_entries(
        call.tenant_id, player_id, call.query["window"], call.query["period"]
    )
    (name,) = await call.service.names(call.tenant_id, [player_id]) if found else (None,)
    metadata = documents.metadata_reader(call.packed)
    items: list[Document] = []
    for board, reading in found:
        row = reading.rows[0]
        items.append(
            {
                "leaderboard_id": board.leaderboard_id,
                "window": reading.period.window,
                "period_key": reading.period.key,
                **documents.entry(row, name, metadata),
                "total": reading.total,
                "percentile": documents.percentile(row.rank, reading.total),
            }
        )
    return call.reading({"player_id": player_id, "items": items})
