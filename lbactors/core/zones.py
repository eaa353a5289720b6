"""Time zones: their names, their rules, and the wall-clock digits that they show.

*Digits* are what a wall clock shows, as ms since 1970-01-01T00:00 of that clock: two zones that show the same
date and time have the same digits, at different instants. Of UTC they are the instant itself. Player-local
periods are bounded by digits: every zone reaches them between EARLIEST_MS before and LATEST_MS after UTC does
(true of every zone since 1970; instants before are never asked for).

Rules come from the tzdata package and not from the machine, so that all nodes of a cluster agree.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from lbactors.core.instants import EPOCH

PLAYER: Final = "player"
"""In place of a zone's name: each player's own."""
UTC: Final = "UTC"
EARLIEST_MS: Final = 14 * 3_600_000  # UTC+14 is the first to show digits
LATEST_MS: Final = 12 * 3_600_000  # UTC-12 is the last


@lru_cache(maxsize=1)
def _zone_names() -> dict[str, str]:
    """IANA names that tzdata carries, by their lower-case form."""
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return {name.lower(): name for name in names}


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The rules of a zone by its IANA name."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def valid_timezone(value: str) -> str:
    """The name of a zone. ValueError for what is none."""
    known = _zone_names().get(value.lower())
    if known == value:
        return value
    hint = f"; did you mean {known!r}?" if known else ""
    raise ValueError(f"unknown time zone {value[:64]!r}: must be an IANA name such as 'Europe/Rome'{hint}")


@lru_cache(maxsize=8192)
def _ahead_ms(minute: int, zone: str) -> int:
    """How far a zone's clock is ahead of UTC in a minute. No zone has changed its clock within one since
    1972 (when Liberia's was 44 minutes and 30 seconds behind).
    """
    ahead = datetime.fromtimestamp(minute * 60, zone_of(zone)).utcoffset()
    assert ahead is not None
    return ahead.days * 86_400_000 + ahead.seconds * 1000


def local_ms(at_ms: int, zone: str) -> int:
    """The digits that a zone's clock shows at an instant. zone: an IANA name; empty stands for UTC."""
    if not zone or zone == UTC:
        return at_ms
    return at_ms + _ahead_ms(at_ms // 60_000, zone)


def format_digits(digits_ms: int) -> str:
    """Digits as text, `2026-05-24T00:00:00`; milliseconds only where there are some."""
    seconds, ms = divmod(digits_ms, 1000)
    text = (EPOCH + timedelta(seconds=seconds)).isoformat()
    return f"{text}.{ms:03d}" if ms else text
