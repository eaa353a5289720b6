"""A wire between a store and its Redis that breaks where a test says: after so many bytes of either way."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

NEVER = 1 << 62


class Wire:
    """Forwards connections from its own port to another. Every connection that comes after a cut is whole."""

    def __init__(self, target_port: int) -> None:
        self.cuts = 0
        self.carried = {"requests": 0, "replies": 0}  # bytes in all
        self._target_port = target_port
        self._left = {"requests": NEVER, "replies": NEVER}  # bytes until the cut
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut_after(self, *, requests: int = NEVER, replies: int = NEVER) -> None:
        """Cut the connection that first has carried so many bytes from now on, to Redis or from it."""
        self._left = {"requests": requests, "replies": replies}

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        ways = (("requests", reader, redis_writer), ("replies", redis_reader, writer))
        pumps = [asyncio.create_task(self._pump(*way)) for way in ways]
        self._tasks.update(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for end in (writer, redis_writer):
            end.close()  # what was written before is still delivered
        self._tasks.difference_update(pumps)

    async def _pump(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                left = self._left[way]
                writer.write(chunk[:left])
                self.carried[way] += len(chunk[:left])
                await writer.drain()
                if len(chunk) >= left:
                    self.cuts += 1
                    self.cut_after()
                    return
                self._left[way] = left - len(chunk)
