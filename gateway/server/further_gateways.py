"""Further gateway processes: they accept on the server's socket, and are started again when they end.

The server tells such a process all that it needs by environment variables. It does not outlive its parent: it
has the listening socket, and would keep the port taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator

import structlog

from gateway.server.serving import StartError, new_loop, one_line, serving, stop_event
from lbactors.settings import ServerSettings
from lbactors.wire.actors import ActorGone
from persistence import open_store

CHILD_FD, CHILD_ADDRESS, CHILD_STORE_ID, CHILD_PARENT = (
    f"LBACTORS_CHILD_{what}" for what in ("FD", "ADDRESS", "STORE_ID", "PARENT")
)
RESPAWN_S = 1.0
ORPHANED_LOOK_S = 0.2  # how often a further gateway looks whether its parent lives

log = structlog.get_logger("server")


def is_further() -> bool:
    """Whether this process was started as a further gateway."""
    return CHILD_FD in os.environ


@contextlib.asynccontextmanager
async def further_gateway(
    settings: ServerSettings, address: str, listener: socket.socket, store_id: str
) -> AsyncIterator[None]:
    """Keep one further gateway process alive, for the length of the block."""
    environment = {
        **os.environ,
        CHILD_FD: str(listener.fileno()),
        CHILD_ADDRESS: address,
        CHILD_STORE_ID: store_id,
        CHILD_PARENT: str(os.getpid()),
    }
    for field, value in settings.model_dump(mode="json", exclude={"root_key"}).items():
        if value is not None:
            environment[f"LBACTORS_{field.upper()}"] = str(value)
    process: asyncio.subprocess.Process | None = None

    async def keep() -> None:
        nonlocal process
        while True:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "lbactors", "serve"),
                env=environment,
                pass_fds=[listener.fileno()],
            )
            code = await process.wait()
            log.warning("gateway process ended; starting another", code=code)
            await asyncio.sleep(RESPAWN_S)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()
        if process is not None and process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.drain_seconds + 5):
                    await process.wait()


def _end_with_parent() -> None:
    """A further gateway has the parent's listening socket: alive after it, it would keep the port taken."""
    parent = int(os.environ[CHILD_PARENT])
    while os.getppid() == parent:
        time.sleep(ORPHANED_LOOK_S)
    os._exit(1)


def run_further(settings: ServerSettings) -> int:
    """Serve in a process that was started as a further gateway; its exit code. StartError, StoreError."""
    from lbactors.cluster import SUPERVISOR, Cluster, namespace_of

    listener = socket.socket(fileno=int(os.environ[CHILD_FD]))
    threading.Thread(target=_end_with_parent, daemon=True).start()

    async def main() -> int:
        stopping = stop_event()
        try:
            supervisor = await cluster.find(SUPERVISOR)
        except ActorGone as error:
            raise StartError(f"the supervisor is not found: {one_line(error)}") from error
        if supervisor is None:
            raise StartError("the supervisor is not there")
        store = open_store(settings.store_url)
        store.expect(os.environ[CHILD_STORE_ID])
        try:
            await store.open()
            async with serving(settings, cluster, supervisor, listener, store, stopping):
                await stopping.wait()
        finally:
            await store.close()
        return 0

    with asyncio.Runner(loop_factory=new_loop) as runner:
        cluster = Cluster(namespace_of(os.environ[CHILD_STORE_ID], settings.store_url))
        try:
            cluster.join(os.environ[CHILD_ADDRESS])
        except OSError as error:
            raise StartError(f"Ray cannot be reached: {one_line(error)}") from error
        return runner.run(main())
