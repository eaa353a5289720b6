"""What the fuzzer needs to know beyond the OpenAPI document: MessagePack, and the formats of some strings."""

from __future__ import annotations

import json
import math
import os
from typing import Any

import msgpack
import schemathesis
from hypothesis import strategies as st


@schemathesis.serializer("application/msgpack")
def to_msgpack(_context: Any, value: Any) -> bytes:
    try:
        return bytes(msgpack.packb(with_a_form(value)))
    except (TypeError, ValueError):
        return b"\xc1"


def with_a_form(value: Any) -> Any:
    """Integers beyond 64 bits, which MessagePack does not have, as the floats that they are closest to."""
    if isinstance(value, dict):
        return {name: with_a_form(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_a_form(each) for each in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 10**300 else math.inf
    return value


@schemathesis.deserializer("application/msgpack")
def from_msgpack(_context: Any, response: Any) -> Any:
    return msgpack.unpackb(response.content)


# What is changed and deleted in place of what all other requests need: "kind/id" -> id.
STAND_INS: dict[str, str] = json.loads(os.environ["FUZZ_STAND_INS"])
SPARED = {
    "/v1/leaderboards/{leaderboard_id}": ("leaderboards", "leaderboard_id"),
    "/v1/keys/{key_id}": ("keys", "key_id"),
    "/v1/tenants/{tenant_id}": ("tenants", "tenant_id"),
}


@schemathesis.hook
def before_call(_context: Any, case: Any, kwargs: Any) -> None:
    """Judge a redirect itself, not the page that it leads to; and spare what other requests need. Else most
    of what is asked is about a leaderboard that is deleted or archived, by a key that is deleted or of a
    tenant that is disabled: answered 401, 403 or 404, and nothing is found.
    """
    kwargs["allow_redirects"] = False
    if case.method in ("DELETE", "PATCH") and case.path in SPARED:
        kind, name = SPARED[case.path]
        wanted = case.path_parameters.get(name)
        case.path_parameters[name] = STAND_INS.get(f"{kind}/{wanted}", wanted)


INSTANTS = ["2026-11-18T12:00:00Z", "2026-11-18T11:00:00.5+01:00", "1970-01-01T00:00:00Z"]
schemathesis.openapi.format("cron", st.sampled_from(["0 0 * * *", "*/5 * * * 1-5"]))
schemathesis.openapi.format("time-zone", st.sampled_from(["UTC", "Europe/Rome", "Asia/Kolkata"]))
schemathesis.openapi.format("date-time", st.sampled_from(INSTANTS))
schemathesis.openapi.format("cursor", st.just("k6Fy"))
schemathesis.openapi.format("webhook-url", st.sampled_from(["http://127.0.0.1:9/hook", "https://[::1]:9/"]))
