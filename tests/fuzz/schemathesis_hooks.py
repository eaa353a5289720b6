"""What the fuzzer needs to know beyond the OpenAPI document: MessagePack, and the formats of some strings."""

from __future__ import annotations

from typing import Any

import msgpack
import schemathesis
from hypothesis import strategies as st


@schemathesis.serializer("application/msgpack")
def to_msgpack(_context: Any, value: Any) -> bytes:
    try:
        return bytes(msgpack.packb(value))
    except (OverflowError, TypeError, ValueError):  # an integer beyond 64 bits, say: it has no MessagePack
        return b"\xc1"


@schemathesis.deserializer("application/msgpack")
def from_msgpack(_context: Any, response: Any) -> Any:
    return msgpack.unpackb(response.content)


INSTANTS = ["2026-11-18T12:00:00Z", "2026-11-18T11:00:00.5+01:00", "1970-01-01T00:00:00Z"]
schemathesis.openapi.format("cron", st.sampled_from(["0 0 * * *", "*/5 * * * 1-5"]))
schemathesis.openapi.format("time-zone", st.sampled_from(["UTC", "Europe/Rome", "Asia/Kolkata"]))
schemathesis.openapi.format("date-time", st.sampled_from(INSTANTS))
schemathesis.openapi.format("cursor", st.just("k6Fy"))
schemathesis.openapi.format("webhook-url", st.sampled_from(["http://127.0.0.1:9/hook", "https://[::1]:9/"]))
