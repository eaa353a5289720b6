"""MessagePack, as everything is written that is stored or sent between processes."""

from __future__ import annotations

from typing import Any

import msgpack


def pack(value: Any) -> bytes:
    """The bytes of plain values; named tuples are written as arrays. TypeError for anything else."""
    return bytes(msgpack.packb(value))
