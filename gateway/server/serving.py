"""HTTP in this process: the gateway on a listening socket, from its first request to its last.

Used by the server itself and by its further gateway processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.app import build_app, drain, metrics_app
from gateway.http.settings import GatewaySettings
from gateway.server.runner import GatewayRunner
from lbactors.plugins import Plugins
from lbactors.settings import ServerSettings
from lbactors.wire.actors import ActorGone
from persistence.store import Store

if TYPE_CHECKING:
    from lbactors.service.service import Service

BACKLOG = 1024
GC_THRESHOLDS = (20_000, 20, 50)  # batches make thousands of objects that reference counting frees

plugins_of = functools.cache(Plugins.load)
"""The plugins of this process, by the setting; loaded once."""


class StartError(Exception):
    """The server cannot start; the message is one clear line."""


def one_line(error: BaseException) -> str:
    """What an error says, without the story that comes in further lines."""
    return (str(error).strip() or repr(error)).splitlines()[0]


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def stop_event() -> asyncio.Event:
    """Set by SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


@contextlib.asynccontextmanager
async def serving(
    settings: ServerSettings,
    cluster: Any,
    supervisor: Any,
    listener: socket.socket,
    store: Store,
    stopping: asyncio.Event,
    *,
    metrics_port: int = 0,
) -> AsyncIterator[Service]:
    """Serve HTTP on the listener; at the end no new requests, open ones answered. metrics_port: a port for
    `/metrics` alone, which one process only can have; 0 for none. A supervisor that does not answer yet is
    waited for, unless `stopping` is set. StartError.
    """
    from lbactors.service.service import Service

    service = Service(cluster, supervisor, store, settings)

    try:
        await _started(service, settings.start_seconds, stopping)
        app = build_app(service, GatewaySettings.of(settings), plugins_of(settings.plugins))
        runner = GatewayRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        # What was built so far, Ray included, stays: no collection needs to look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await web.SockSite(runner, listener, backlog=BACKLOG).start()
        metrics = await _metrics_site(app, settings.host, metrics_port) if metrics_port else None
        yield service
        await drain(app)
        await runner.cleanup()
        if metrics is not None:
            await metrics.cleanup()
    finally:
        await service.close()


async def _started(service: Service, within_s: float, stopping: asyncio.Event) -> None:
    """Start the service; whoever looks at the server is told if that takes a while. StartError."""

    def waits(why: str) -> None:
        because = f": {why.splitlines()[0]}" if why else ""
        told = f"still starting: waiting for the supervisor, up to {within_s:g} s{because}"
        print(told, file=sys.stderr, flush=True)

    starting = asyncio.create_task(service.start(within_s, waits))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
        raise StartError("stopped while it waited for the supervisor")
    try:
        await starting
    except ActorGone as error:
        raise StartError(f"the supervisor did not answer within {within_s:g} s: {one_line(error)}") from error


async def _metrics_site(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Serve `/metrics` on its own port. StartError."""
    runner = web.AppRunner(metrics_app(app), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise StartError(f"cannot listen on {host}:{port} for metrics: {error.strerror}") from None
    return runner
