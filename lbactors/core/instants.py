"""Instants: RFC 3339 text to milliseconds since the epoch, and back."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

EPOCH: Final = datetime(1970, 1, 1)
HORIZON_MS: Final = 32_503_680_000_000
"""3000-01-01T00:00:00Z: a period that ends here or later has an unbounded future."""
_RFC3339: Final = re.compile(
    r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))[Tt]"
    r"((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:\.([0-9]+))?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def parse_instant(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 date-time (any offset or Z; finer fractions floor to ms).

    Raises ValueError for all else: no offset, a date alone, a leap second, an instant outside 1970..2999.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("must be an RFC 3339 date-time with an offset or Z, such as 2026-11-18T12:00:00Z")
    day, time, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{'+00:00' if offset in 'Zz' else offset}")
    except ValueError:
        raise ValueError("must be a date that exists in the calendar") from None
    at_ms = int(moment.timestamp()) * 1000 + (int(fraction[:3].ljust(3, "0")) if fraction else 0)
    if not 0 <= at_ms < HORIZON_MS:
        raise ValueError("must lie between 1970-01-01T00:00:00Z and 2999-12-31T23:59:59.999Z")
    return at_ms


@lru_cache(maxsize=8192)
def _minute_text(minute: int) -> str:
    return (EPOCH + timedelta(minutes=minute)).isoformat()[:17]


def format_instant(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, `2026-11-18T12:00:00.000Z`; OverflowError beyond years 1..9999."""
    # Pages carry thousands of instants, most of them close together: the text up to the minute is cached.
    minute, rest = divmod(at_ms, 60_000)
    digits = str(100_000 + rest)
    return f"{_minute_text(minute)}{digits[1:3]}.{digits[3:]}Z"


def _validated_instant(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError("must be a string: an RFC 3339 date and time with an offset or Z")
    return parse_instant(value)


Instant = Annotated[
    int,
    PlainValidator(_validated_instant),
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
