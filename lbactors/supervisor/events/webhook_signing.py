"""Pure parts of sending to a webhook: what signs a body, and which addresses are public.

Signed as the Standard Webhooks specification says, for which many languages have a library that verifies:

    webhook-id         the event's id, the same at every attempt
    webhook-timestamp  seconds since the epoch, of this attempt
    webhook-signature  v1,<base64 of HMAC-SHA256(secret, "id.timestamp.body")>, one for each secret in force
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets

from yarl import URL

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def new_secret(random_bytes: bytes | None = None) -> str:
    """A secret to sign with, as receivers' libraries take it."""
    return SECRET_PREFIX + base64.b64encode(random_bytes or secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, event_id: str, timestamp_s: int, body: bytes) -> str:
    """One signature, `v1,…`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{event_id}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(signing: list[str], event_id: str, at_ms: int, body: bytes) -> dict[str, str]:
    """Headers of one attempt. signing: the secrets in force, at least one."""
    timestamp_s = at_ms // 1000
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signature(s, event_id, timestamp_s, body) for s in signing),
    }


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also inside the forms that carry an IPv4 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return found.is_global and not found.is_multicast


def is_private_literal(url: str) -> bool:
    """Whether a URL names, as an address, a target that is not public. Names are looked at when sent to."""
    host = URL(url).host or ""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return not is_public(host)
