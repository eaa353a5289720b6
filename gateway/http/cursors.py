"""Cursors: where a client is in a listing, in a form that it cannot build and need not understand.

A cursor is URL-safe base64 of a MessagePack list whose first item is its kind: `s` for rankings, `l` for
listings. A rankings cursor names leaderboard (by uid), window and period, so that it goes on in its own
period after a rollover; what the request says besides must not contradict it. A listing cursor holds a sort
key (`gateway.http.listings`) and a digest of the filters.

A rankings cursor names a standing and no offset: whoever comes or goes before it shifts nothing, so a client
that goes on from page to page meets everybody who does not move once. (Kind `r`, of releases before, was an
offset; it is refused.)

Nothing here is secret and nothing is signed: a forged cursor reads what its bearer may read anyway.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from lbactors.core.definition import WINDOWS
from lbactors.core.errors import ApiError, invalid
from lbactors.core.numbers import MAX_EXACT_INTEGER, check_number
from lbactors.core.rank_keys import SEQ_MAX, Standing

SortKey = tuple[int | str, ...]

_LONGEST = 4096


class RankingsCursor(NamedTuple):
    """A place in a period: the rows after a standing, or those before it (`backward`). standing None: from
    the top, or from the end. `serial`: of the period, since a key may come to name another one.
    """

    uid: str
    window: str
    period_key: str
    serial: int
    standing: Standing | None
    backward: bool
    score_min: int | float | None
    score_max: int | float | None

    def encode(self) -> str:
        """The text that a client sees."""
        return _encode(["s", *self])


def rankings_cursor(text: str) -> RankingsCursor:
    """Inverts `RankingsCursor.encode`; 422 for anything that it cannot have made."""
    cursor = RankingsCursor(*_decode(text, "s", len(RankingsCursor._fields)))
    texts = (cursor.uid, cursor.window, cursor.period_key)
    if not all(type(field) is str for field in texts) or cursor.window not in WINDOWS:
        raise _bad()
    if type(cursor.serial) is not int or type(cursor.backward) is not bool:
        raise _bad()
    try:
        low, high = (None if bound is None else check_number(bound) for bound in cursor[-2:])
        standing = None if cursor.standing is None else _standing(cursor.standing)
    except ValueError:
        raise _bad() from None
    return cursor._replace(standing=standing, score_min=low, score_max=high)


def _standing(fields: Any) -> Standing:
    """A standing out of a cursor. ValueError."""
    if type(fields) is not list or len(fields) != 3:
        raise ValueError("no standing")
    score, subscore, seq = fields
    if type(seq) is not int or not 0 <= seq <= SEQ_MAX:
        raise ValueError("no seq")
    return check_number(score), check_number(subscore), seq


def listing_cursor(key: SortKey, filters: object) -> str:
    """The cursor of a listing's next page, which goes on after this key."""
    return _encode(["l", key, crc32(repr(filters).encode())])


def listing_key(text: str, filters: object, kinds: Sequence[type] | None) -> SortKey:
    """Inverts `listing_cursor`; 422 also where the filters differ from those of the first page, or the fields
    are not of these types (None: of any).
    """
    key, digest = _decode(text, "l", 2)
    if type(key) is not list or not all(_is_field(field) for field in key) or not key:
        raise _bad()
    if digest != crc32(repr(filters).encode()):
        raise invalid("belongs to a listing with other filters", "query", "cursor")
    if kinds is not None and [type(field) for field in key] != list(kinds):
        raise _bad()
    return tuple(key)


def _is_field(value: Any) -> bool:
    return type(value) is str or (type(value) is int and abs(value) <= MAX_EXACT_INTEGER)


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
    return invalid("is not a cursor of this listing: begin again without one", "query", "cursor")
