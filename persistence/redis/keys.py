"""Names of the Redis backend's keys (the map is in `redis.scripts`), and how values carry their checksum."""

from __future__ import annotations

import struct

from persistence.checksum import checksum
from persistence.store import StoreCorrupt

_CRC = struct.Struct(">I")
CRC_BYTES = _CRC.size
PERIOD_KEYS = ("h", "j", "p", "s", "o")
_ESCAPES = {"%": "%25", "{": "%7B", "}": "%7D"}  # braces would end or begin a hash tag


def sealed(body: bytes, *header: str | int) -> bytes:
    """A body behind its checksum."""
    return _CRC.pack(checksum(body, *header)) + body


def opened(value: bytes, *header: str | int) -> bytes | None:
    """The body of a sealed value; None if the checksum differs."""
    body = value[CRC_BYTES:]
    if len(value) < CRC_BYTES or _CRC.unpack_from(value)[0] != checksum(body, *header):
        return None
    return body


def text(raw: bytes) -> str:
    """A name as it came from Redis. StoreCorrupt if it is no UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise StoreCorrupt(f"name {raw!r} is not UTF-8") from error


class Keys:
    """All keys under one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        tag = f"{{{prefix}}}:"
        self.store = f"{tag}store".encode()
        self.claim = f"{tag}claim".encode()
        self.probe = f"{tag}probe".encode()
        self.owners = f"{tag}owners".encode()
        self.periods = f"{tag}periods".encode()
        self.documents_prefix = f"{tag}d:".encode()
        self.index_prefix = f"{tag}i:".encode()

    def documents(self, collection: str) -> bytes:
        return self.documents_prefix + collection.encode()

    def index(self, collection: str) -> bytes:
        return self.index_prefix + collection.encode()

    def period(self, period_id: str) -> list[bytes]:
        """Head, journal, parts, staged parts and overlay of a period."""
        for plain, escaped in _ESCAPES.items():
            if plain in period_id:
                period_id = period_id.replace(plain, escaped)
        tag = f"{{{self.prefix}:p:{period_id}}}".encode()
        return [tag + kind.encode() for kind in PERIOD_KEYS]

    def patterns(self) -> list[str]:
        """Patterns that every key of the prefix matches; a prefix has no character that is special in one."""
        return [f"{{{self.prefix}}}:*", f"{{{self.prefix}:p:*}}?"]
