"""Listings: `{"items": […], "total": n, "next_cursor": …}` by limit with offset or cursor.

A listing has an order, and each item a *sort key* in it that no other item has. A cursor holds the key of the
last item shown, bound to the listing's filters: so a client that goes on from page to page meets every item
that is there all the time once, whatever is added, removed or moved meanwhile. An `offset` shifts with what
lies before it. Rankings have their own cursors, bound to a period (`RankingsCursor`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from aiohttp import web

from gateway.http.call import Call
from gateway.http.cursors import SortKey, listing_cursor, listing_key
from lbactors.core.errors import invalid

T = TypeVar("T")


class Asked(NamedTuple):
    """Which items a request asks for: `limit` after the item with the key `after`; None: from `offset` on."""

    after: SortKey | None
    offset: int
    limit: int


def asked(call: Call, kinds: Sequence[type] | None, *filters: object) -> Asked:
    """What the request asks for; `offset` beside `cursor` is a 422. kinds: the types of a sort key's fields;
    None for a listing without items.
    """
    query = call.query
    cursor = query["cursor"]
    if cursor is None:
        return Asked(None, query["offset"], query["limit"])
    if query["offset"]:
        raise invalid("cannot be combined with cursor", "query", "offset")
    return Asked(listing_key(cursor, filters, kinds), 0, query["limit"])


def part_of(
    found: Sequence[T], key: Callable[[T], SortKey], wanted: Asked, *, falling: bool = False
) -> tuple[Sequence[T], SortKey | None]:
    """The asked items of a sorted listing, and the key to go on after, if more follow.

    Sorted by rising keys; falling: by their first field in falling order, and of equals by rising keys.
    """
    after = wanted.after
    start = wanted.offset
    if after is not None:

        def follows(item: T) -> bool:
            first, *rest = key(item)
            if first == after[0]:
                return tuple(rest) > after[1:]
            return (first < after[0]) == falling  # type: ignore[operator]

        start = next((index for index, item in enumerate(found) if follows(item)), len(found))
    part = found[start : start + wanted.limit]
    return part, key(part[-1]) if part and start + len(part) < len(found) else None


def listing(
    call: Call, items: list[dict[str, Any]], total: int, following: SortKey | None, *filters: object
) -> web.Response:
    """A page of a listing of `total` items; following: the key to go on after, None on the last page."""
    next_cursor = None if following is None else listing_cursor(following, filters)
    return call.reading({"items": items, "total": total, "next_cursor": next_cursor})


def listing_of(
    call: Call,
    found: Sequence[T],
    document: Callable[[T], dict[str, Any]],
    key: Callable[[T], SortKey],
    *filters: object,
    falling: bool = False,
) -> web.Response:
    """The asked page of a listing whose items are all at hand, sorted as for `part_of`."""
    kinds = [type(field) for field in key(found[0])] if found else None
    part, following = part_of(found, key, asked(call, kinds, *filters), falling=falling)
    return listing(call, [document(item) for item in part], len(found), following, *filters)
