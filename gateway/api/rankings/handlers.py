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
from lbactors.core.errors import ApiError, invalid
from lbactors.core.model import Board, Reading
from lbactors.core.rank_keys import Standing

Name = str | None
Bound = int | float | None


# Pages ----------------------------------------------------------------------------------------------------


async def page(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/rankings`."""
    board = await call.board_to_read()
    query = call.query
    if query["cursor"] is not None:
        return await _page_of_cursor(call, board, _cursor(call, board))
    window, period = query["window"] or "main", query["period"] or "current"
    low, high = _score_range(query["score_min"], query["score_max"])
    zone = await call.zone(board)
    reading = await call.service.page(board, window, period, query["offset"], query["limit"], low, high, zone)
    return await _page_answer(call, board, reading, low, high)


async def _page_of_cursor(call: Call, board: Board, cursor: RankingsCursor) -> web.Response:
    """The page where an earlier one said to go on."""
    window, key = cursor.window, cursor.period_key
    low, high = _score_range(cursor.score_min, cursor.score_max)
    reading = await call.service.page_from(
        board, window, key, cursor.standing, cursor.backward, call.query["limit"], low, high
    )
    if reading.period.serial != cursor.serial:
        raise ApiError("period_not_found", f"the cursor's period {key!r} is gone")
    return await _page_answer(call, board, reading, low, high)


def _score_range(low: Bound, high: Bound) -> tuple[Bound, Bound]:
    if low is not None and high is not None and low > high:
        raise invalid("must not exceed score_max", "query", "score_min")
    return low, high


def _cursor(call: Call, board: Board) -> RankingsCursor:
    """The request's cursor, if nothing else in it contradicts that. `current` and `previous` do not."""
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
    call: Call, board: Board, reading: Reading, low: Bound = None, high: Bound = None
) -> web.Response:
    """A page inside the score range that it was asked for."""
    rows = reading.rows
    names = await call.service.names(board.tenant_id, [row.player_id for row in rows]) if rows else []
    memo = call.gateway.pages
    variant = call.packed  # a reading answers one question, so nothing else can differ
    rendered = memo.get(reading, variant, names)
    if rendered is None:
        document = {
            **documents.page_head(board, reading),
            "entries": documents.entries(rows, names, call.packed),
            **_cursors(board, reading, low, high),
        }
        if reading.matched is not None:
            document["matched"] = reading.matched
        rendered = render(document, call.packed)
        if len(rows) <= memo.ROWS:
            memo.put(reading, variant, names, rendered)
    return call.rendered(*rendered)


def _cursors(board: Board, reading: Reading, low: Bound, high: Bound) -> Document:
    """Where the page's neighbours are. From an empty page they lead back from the end, or down from the top;
    from rows that are no part of the order (a player who is not ranked) nowhere.
    """
    extent = reading.total if reading.matched is None else reading.matched
    period = reading.period
    first, last = reading.edges or (None, None)
    placed = bool(reading.edges) or not reading.rows

    def cursor(standing: Standing | None, *, backward: bool) -> str:
        place = (board.uid, period.window, period.key, period.serial)
        return RankingsCursor(*place, standing, backward, low, high).encode()

    follow = placed and reading.offset + len(reading.rows) < extent
    precede = placed and min(reading.offset, extent) > 0
    return {
        "next_cursor": cursor(last, backward=False) if follow else None,
        "prev_cursor": cursor(first, backward=True) if precede else None,
    }


async def around(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/players/{player_id}/around`: a page, so its cursors lead on."""
    board = await call.board_to_read()
    query = call.query
    reading = await call.service.around(
        board,
        query["window"],
        query["period"],
        call.path["player_id"],
        query["limit"],
        query["fill"],
        await call.zone(board),
    )
    return await _page_answer(call, board, reading)


async def lookup(call: Call) -> web.Response:
    """`POST /v1/leaderboards/{leaderboard_id}/rankings/lookup`."""
    board = await call.board_to_read()
    player_ids = _player_ids(call, await call.body())
    query = call.query
    reading = await call.service.lookup(
        board, query["window"], query["period"], player_ids, await call.zone(board)
    )
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
    board = await call.board_to_read()
    query = call.query
    reading = await call.service.entry(
        board, query["window"], query["period"], call.path["player_id"], await call.zone(board)
    )
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
    board = await call.board_to_read()
    query = call.query
    rank, reading = await call.service.rank_at(
        board,
        query["window"],
        query["period"],
        call.path["score"],
        query["subscore"],
        await call.zone(board),
    )
    return call.reading(
        {"rank": rank, "total": reading.total, "period": documents.page_period(reading.period)}
    )


async def distribution(call: Call) -> web.Response:
    """`GET /v1/leaderboards/{leaderboard_id}/distribution`."""
    board = await call.board_to_read()
    query = call.query
    document, reading = await call.service.distribution(
        board, query["window"], query["period"], query["buckets"], await call.zone(board)
    )
    return call.reading({**document, "period": documents.page_period(reading.period)})


async def player_entries(call: Call) -> web.Response:
    """`GET /v1/players/{player_id}/entries`: the player's standings everywhere in the tenant."""
    player_id = call.path["player_id"]
    found = await call.service.player_entries(
        call.boards(), player_id, call.query["window"], call.query["period"], call.viewers()
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
