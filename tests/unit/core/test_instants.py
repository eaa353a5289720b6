"""RFC 3339 texts of instants, read and written."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbactors.core.instants import HORIZON_MS, format_instant, parse_instant
from tests.support.rounds import rounds


@given(at_ms=st.integers(0, HORIZON_MS - 1), offset=st.integers(-1439, 1439), finer=st.text("0123456789"))
@settings(max_examples=rounds(60, 600), deadline=None)
def test_instants_survive_text(at_ms: int, offset: int, finer: str) -> None:
    moment = datetime(1970, 1, 1) + timedelta(milliseconds=at_ms)
    assert format_instant(at_ms) == moment.isoformat(timespec="milliseconds") + "Z"
    assert parse_instant(format_instant(at_ms)) == at_ms
    local = (moment + timedelta(minutes=offset)).isoformat(timespec="milliseconds")
    hours, minutes = divmod(abs(offset), 60)
    assert parse_instant(f"{local}{finer}{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}") == at_ms


NO_INSTANTS = """
2026-11-18 | 2026-11-18T12:00:00 | 2026-11-18 12:00:00Z | 2026-11-18T12:00Z | 2026-W47-3T12:00:00Z
2026-11-18T12:00:60Z | 2026-11-18T24:00:00Z | 2026-11-18T12:60:00Z | 2026-11-18T12:00:00.Z
2026-11-18T12:00:00,5Z | 2026-11-18T12:00:00+01 | 2026-11-18T12:00:00+0100 | 2026-11-18T12:00:00+24:00
2026-11-18T12:00:00+01:60 | 2026-02-29T12:00:00Z | 2026-11-31T12:00:00Z | 2026-13-01T12:00:00Z
0000-01-01T00:00:00Z | 0001-01-01T00:00:00+23:59 | 9999-12-31T23:59:59-23:59 | 12026-11-18T12:00:00Z
2026-11-1٨T12:00:00Z | 1970-01-01T00:00:00+00:01 | 2999-12-31T23:59:59-00:01 | now | 1795003200000
"""


@pytest.mark.parametrize(
    "text",
    [*re.split(r" \| |\n", NO_INSTANTS.strip()), "", " 2026-11-18T12:00:00Z", "2026-11-18T12:00:00Z\n"],
)
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_instant(text)
