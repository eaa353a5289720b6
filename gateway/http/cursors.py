"""Cursors: where a client is in a listing, in a form that it cannot build and need not understand.

A cursor is URL-safe base64 of a MessagePack list whose first item is its kind: `r` for rankings, `l` for
listings. A rankings cursor names leaderboard (by uid), window and period, so that it goes on in its own
period after a rollover; what the request says besides must not contradict it. A listing cursor carries a
digest of the filters.

Nothing here is secret and nothing is signed: a forged cursor reads what its bearer may read anyway.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from lbactors.core.definition import WINDOWS
from lbactors.core.errors import ApiError, invalid
from lbactors.core.numbers import MAX_EXACT_INTEGER, check_number

_LONGEST = 1024


class RankingsCursor(NamedTuple):
    """A place in a period: 0-based `offset` (inside the score range, if there is one).

    `until`: the page ends before this offset (a previous page at the top may be short); 0 for no bound.
    """

    uid: str
    window: str
    period_key: str
    offset: int
    until: int
    score_min: int | float | None
    score_max: int | float | None

    def encode(self) -> str:
        """The text that a client sees."""
        return _encode(["r", *self])


def rankings_cursor(text: str) -> RankingsCursor:
    """Inverts `RankingsCursor.encode`; 422 for anything that it cannot have made."""
    fields = _decode(text, "r", 7)
    cursor = RankingsCursor(*fields)
    texts = (cursor.uid, cursor.window, cursor.period_key)
    if not all(type(field) is str for field in texts) or cursor.window not in WINDOWS:
        raise _bad()
    for offset in (cursor.offset, cursor.until):
        if type(offset) is not int or not 0 <= offset <= MAX_EXACT_INTEGER:
            raise _bad()
    try:
        low, high = (None if bound is None else check_number(bound) for bound in cursor[5:])
    except ValueError:
        raise _bad() from None
    return cursor._replace(score_min=low, score_max=high)


def listing_cursor(offset: int, filters: object) -> str:
    """The cursor of a listing's next page."""
    return _encode(["l", offset, crc32(repr(filters).encode())])


def listing_offset(text: str, filters: object) -> int:
    """Inverts `listing_cursor`; 422 also where the filters differ from those of the first page."""
    offset, digest = _decode(text, "l", 2)
    if type(offset) is not int or not 0 <= offset <= MAX_EXACT_INTEGER:
        raise _bad()
    if digest != crc32(repr(filters).encode()):
        raise invalid("belongs to a listing with other filters", "query", "cursor")
    return offset


def _encode(fields: list[Any]) -> str:
    return urlsafe_b64encode(msgpack.packb(fields)).decode().rstrip("=")


def _decode(text: str, kind: str, count: int) -> list[Any]:
    if not 0 < len(text) <= _LONGEST or not text.isascii():
        raise _bad()
    try:
        fields = msgpack.unpackb(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError, Base64Error, msgpack.UnpackException):
        raise _bad() from None
    if type(fields) is not list or len(fields) != count + 1 or fields[0] != kind:
        raise _bad()
    return fields[1:]


def _bad() -> ApiError:
    return invalid("is not a cursor of this listing", "query", "cursor")
