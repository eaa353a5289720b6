"""For receivers of webhooks: is this request really from the server?

Requests are signed as the Standard Webhooks specification says: HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

import orjson

SECRET_PREFIX = "whsec_"
TOLERANCE_S = 300.0


class InvalidSignature(Exception):
    """The request is not signed with this secret, or too old; do not act on it."""


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, tolerance_s: float = TOLERANCE_S
) -> dict[str, Any]:
    """Check the signature of a webhook request and return its event.

        event = verify_webhook(secret, request.headers, await request.read())
        if event["type"] == "period.closed": …

    secret: what the server showed when the webhook was created, `whsec_…`. headers: of the request, under
    names in any case. body: its bytes as they came, before any parsing. tolerance_s: how far the request's
    time may be from this machine's clock. InvalidSignature.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, timestamp = found["webhook-id"], found["webhook-timestamp"]
        signatures = found["webhook-signature"].split()
        sent_at_s = int(timestamp)
    except (KeyError, ValueError):
        raise InvalidSignature("the headers of a signed webhook are missing") from None
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("the secret of a webhook begins with whsec_ and goes on in base64") from None
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}".encode()
    if not any(hmac.compare_digest(expected, one.encode()) for one in signatures):
        raise InvalidSignature("the signature does not match")
    if abs(time.time() - sent_at_s) > tolerance_s:
        raise InvalidSignature(f"the request was signed more than {tolerance_s:g} s ago, or ahead of time")
    event: dict[str, Any] = orjson.loads(body)
    return event
