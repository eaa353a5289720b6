"""The checksum of everything that a store keeps (law 5: damage is found)."""

from __future__ import annotations

import zlib


def checksum(body: bytes, *header: str | int) -> int:
    """CRC-32 over header fields and body: a sound body in the wrong place is damage too."""
    return zlib.crc32(body, zlib.crc32("\n".join(map(str, header)).encode()))
