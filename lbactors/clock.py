"""The server's clock: one place that reads the time, and that a test can move for all processes at once.

`LBACTORS_CLOCK_FILE` names a file of eight bytes, an offset in ms (signed, little endian), that every process
maps into memory and adds to the system's time. Without the file the offset is 0.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import time
from pathlib import Path

_OFFSET = struct.Struct("<q")


class Clock:
    """`now_ms()`: ms since the epoch, UTC."""

    def __init__(self, path: str | None = None) -> None:
        self._map: mmap.mmap | None = None
        if path:
            file = Path(path)
            if not file.exists() or file.stat().st_size < _OFFSET.size:
                file.touch(mode=0o600)
                file.write_bytes(_OFFSET.pack(0))
            with file.open("r+b") as handle:
                with contextlib.suppress(PermissionError):  # it is another user's
                    os.fchmod(handle.fileno(), 0o600)  # nobody else moves the time
                self._map = mmap.mmap(handle.fileno(), _OFFSET.size)

    def now_ms(self) -> int:
        offset = _OFFSET.unpack_from(self._map)[0] if self._map is not None else 0
        return time.time_ns() // 1_000_000 + int(offset)

    def move(self, by_ms: int) -> None:
        """Move the clock of every process that maps the same file. ValueError without a file."""
        if self._map is None:
            raise ValueError("only a clock with a file can be moved")
        _OFFSET.pack_into(self._map, 0, _OFFSET.unpack_from(self._map)[0] + by_ms)
