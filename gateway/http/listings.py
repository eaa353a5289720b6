"""Listings: `{"items": […], "total": n, "next_cursor": …}` by limit with offset or cursor.

A listing's cursor is an offset that is bound to the listing's filters: what lies before it may shift while
a client pages, as with every offset. Rankings have their own cursors, bound to a period
(`RankingsCursor`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from aiohttp import web

from gateway.http.call import Call
from gateway.http.cursors import listing_cursor, listing_offset
from lbactors.core.errors import invalid

T = TypeVar("T")


def place(call: Call, *filters: object) -> tuple[int, int]:
    """(offset, limit) that the request asks for; `offset` beside `cursor` is a 422."""
    query = call.query
    cursor = query["cursor"]
    if cursor is None:
        return query["offset"], query["limit"]
    if query["offset"]:
        raise invalid("cannot be combined with cursor", "query", "offset")
    return listing_offset(cursor, filters), query["limit"]


def listing(
    call: Call, items: list[dict[str, Any]], total: int, offset: int, *filters: object
) -> web.Response:
    """The page at `offset` of a listing of `total` items."""
    end = offset + len(items)
    next_cursor = listing_cursor(end, filters) if items and end < total else None
    return call.reading({"items": items, "total": total, "next_cursor": next_cursor})


def listing_of(
    call: Call, found: Sequence[T], document: Callable[[T], dict[str, Any]], *filters: object
) -> web.Response:
    """The asked page of a listing whose items are all at hand."""
    offset, limit = place(call, *filters)
    items = [document(item) for item in found[offset : offset + limit]]
    return listing(call, items, len(found), offset, *filters)
