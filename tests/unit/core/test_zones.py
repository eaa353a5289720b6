"""Zones and their digits: against the standard library, in every zone and around every change since 1970."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core.zones import EARLIEST_MS, LATEST_MS, format_digits, local_ms, valid_timezone, zone_of
from tests.support.rounds import rounds

ZONES = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
AFTER_1972_S = 94_694_400  # in 1972 the last clock that was off by seconds was set


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@given(st.sampled_from(ZONES), st.integers(AFTER_1972_S * 1000, ms("2100-01-01")))
@settings(max_examples=rounds(300, 20_000), deadline=None)
def test_digits_are_what_the_clock_shows(zone: str, at_ms: int) -> None:
    shown = datetime.fromtimestamp(at_ms // 1000, zone_of(zone)).replace(tzinfo=UTC)
    assert local_ms(at_ms, zone) == int(shown.timestamp()) * 1000 + at_ms % 1000


@pytest.mark.parametrize(
    "zone, at, shown",
    [
        ("Europe/Rome", "2026-03-29T00:59:59.999", "2026-03-29T01:59:59.999"),
        ("Europe/Rome", "2026-03-29T01:00", "2026-03-29T03:00"),  # the hour 02 is skipped
        ("Europe/Rome", "2026-10-25T00:30", "2026-10-25T02:30"),
        ("Europe/Rome", "2026-10-25T01:30", "2026-10-25T02:30"),  # and shown twice
        ("Pacific/Kiritimati", "2026-05-23T10:00", "2026-05-24T00:00"),
        ("Etc/GMT+12", "2026-05-25T11:59:59.999", "2026-05-24T23:59:59.999"),
        ("Pacific/Apia", "2011-12-30T09:59:59", "2011-12-29T23:59:59"),
        ("Pacific/Apia", "2011-12-30T10:00", "2011-12-31T00:00"),  # a day is skipped
        ("UTC", "2026-05-24T00:00", "2026-05-24T00:00"),
        ("", "2026-05-24T00:00", "2026-05-24T00:00"),
    ],
)
def test_known_digits(zone: str, at: str, shown: str) -> None:
    assert local_ms(ms(at), zone) == ms(shown)


def test_every_zone_shows_digits_within_26_hours() -> None:
    step_ms = rounds(30, 3) * 86_400_000
    ahead = {
        local_ms(at_ms, zone) - at_ms
        for zone in ZONES
        for at_ms in range(AFTER_1972_S * 1000, ms("2040-01-01"), step_ms)
    }
    assert max(ahead) == EARLIEST_MS and min(ahead) == -LATEST_MS


def test_digits_as_text() -> None:
    assert format_digits(ms("2026-05-24")) == "2026-05-24T00:00:00"
    assert format_digits(ms("2026-05-24T23:59:59.250")) == "2026-05-24T23:59:59.250"
    assert format_digits(ms("1969-12-31T23:59:59")) == "1969-12-31T23:59:59"


def test_names() -> None:
    assert valid_timezone("Europe/Rome") == "Europe/Rome"
    with pytest.raises(ValueError, match="did you mean 'Europe/Rome'"):
        valid_timezone("europe/rome")
    with pytest.raises(ValueError, match="unknown time zone 'player'"):
        valid_timezone("player")
