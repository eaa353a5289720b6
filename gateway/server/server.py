"""The server process: data directory, store, Ray, supervisor, HTTP, and an orderly end.

One process starts everything and serves HTTP itself; with `--gateways n` it starts n - 1 further gateway
processes that accept on the same socket. Whatever keeps the server from starting is one line on stderr and
exit code 2. A server that may not go on (Ray died, another server has the store) ends with exit code 1.

The data directory is locked whatever the store: it holds what the server knows about its store.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import site
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

import lbactors
from gateway.server.further_gateways import further_gateway, is_further, run_further
from gateway.server.known_store import KnownStores
from gateway.server.serving import BACKLOG, StartError, new_loop, one_line, plugins_of, serving, stop_event
from gateway.server.store_claim import StoreClaim, claim_store
from lbactors.actor_settings import ActorSettings
from lbactors.logs import configure_logs
from lbactors.plugins import PluginError
from lbactors.settings import ServerSettings
from lbactors.wire.actors import ActorGone
from persistence.data_dir import lock_data_dir
from persistence.store import Store, StoreError

if TYPE_CHECKING:
    from lbactors.service.service import Service

ADDRESS_LOOK_S = 0.2
ADDRESS_FREE_WITHIN_S = 2.0  # the further gateways of a server that was killed hold its port so long at most
WATCH_S = 0.5  # how often Ray's processes and the claim on the store are looked at
LOADED_WITHIN_S = 10.0  # `ready` is printed then at the latest; a very large server goes on loading
LOADED_POLL_S = 0.1
RAY_ANSWERS_WITHIN_S = 5.0
SHORT_KEY = 16  # characters; a root key with fewer is remarked upon

log = structlog.get_logger("server")


def actor_settings(settings: ServerSettings, root_key_hash: str | None, claim: StoreClaim) -> ActorSettings:
    """What supervisor and period actors need to know, on a store that is claimed."""
    return settings.for_actors(
        store_id=claim.store_id,
        server_id=claim.server_id,
        server=claim.description,
        root_key_hash=root_key_hash,
    )


def run(settings: ServerSettings) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code."""
    configure_logs(settings.log_level)
    _share_source()
    try:
        if is_further():
            return run_further(settings)
        plugins_of(settings.plugins)
        listener = _listen(settings)
        with lock_data_dir(settings.data_dir) as lock:
            if lock.caution:
                print(f"caution: {lock.caution}", file=sys.stderr, flush=True)
            return _serve(settings, listener, KnownStores(settings.data_dir))
    except (StartError, StoreError, PluginError) as error:
        own = getattr(error, "cause", error)  # of what an actor raised, without the story how
        print(f"error: {one_line(own)}", file=sys.stderr, flush=True)
        return 2


def _share_source() -> None:
    """Have the processes that this one starts import the same source: they import nothing from the directory
    that they are started in, which is how a source tree that is not installed is found here.
    """
    source = Path(lbactors.__file__).parents[1]
    if str(source) not in [*site.getsitepackages(), site.getusersitepackages()]:
        paths = [str(source), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline_s = time.monotonic() + ADDRESS_FREE_WITHIN_S
    while True:
        try:
            listener.bind((settings.host, settings.port))
            listener.listen(BACKLOG)
            return listener
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline_s:
                where = f"{settings.host}:{settings.port}"
                hint = "; choose another --port" if error.errno == errno.EADDRINUSE else ""
                raise StartError(f"cannot listen on {where}: {error.strerror}{hint}") from None
        time.sleep(ADDRESS_LOOK_S)


async def _first_key(settings: ServerSettings, store: Store) -> str | None:
    """The root key's hash, if there is to be one; an empty store gets a key, printed here. StoreError."""
    if settings.root_key is not None:
        text = settings.root_key.get_secret_value()
        if len(text) < SHORT_KEY:
            short = f"the root key has {len(text)} characters; one of {SHORT_KEY} or more is hard to guess"
            print(f"caution: {short}", file=sys.stderr, flush=True)
        return hashlib.sha256(text.encode()).hexdigest()
    if await store.scan("keys", limit=1):
        return None
    text = f"lb_{secrets.token_hex(24)}"
    print(f"root key: {text}", flush=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _serve(settings: ServerSettings, listener: socket.socket, known: KnownStores) -> int:
    from lbactors.cluster import Cluster, namespace_of

    accept_older = settings.accept_older_store
    with asyncio.Runner(loop_factory=new_loop) as runner:
        claim = runner.run(claim_store(settings.store_url, known, accept_older=accept_older))
        cluster = Cluster(namespace_of(claim.store_id, settings.store_url))
        try:
            key_hash = runner.run(_first_key(settings, claim.store))
            try:
                if settings.ray_address == "local":
                    cluster.start_local()
                else:
                    _wait_for_ray(settings.ray_address, settings.start_seconds)
                    cluster.join(settings.ray_address)
            except OSError as error:  # ConnectionError is one
                where = f"Ray cannot be reached at {settings.ray_address}"
                raise StartError(f"{where}: {one_line(error)}") from error
            return runner.run(_main(settings, cluster, listener, claim, key_hash))
        finally:
            cluster.close()
            runner.run(claim.release())


def _wait_for_ray(address: str, within_s: float) -> None:
    """Wait until somebody listens at HOST:PORT; Ray itself would try for a quarter of an hour, and say
    nothing that helps. Other addresses are Ray's to find. OSError.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return
    deadline_s = time.monotonic() + within_s
    told = False
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=RAY_ANSWERS_WITHIN_S).close()
            return
        except OSError as error:
            if time.monotonic() >= deadline_s:
                raise
            if not told:
                line = f"waiting for Ray at {address}, up to {within_s:g} s: {error.strerror or error}"
                print(line, file=sys.stderr, flush=True)
                told = True
        time.sleep(min(LOADED_POLL_S, max(deadline_s - time.monotonic(), 0)))


async def _main(
    settings: ServerSettings, cluster: Any, listener: socket.socket, claim: StoreClaim, key_hash: str | None
) -> int:
    stopping = stop_event()
    async with claim.renewed():
        await claim.renew()  # nothing was renewed while Ray started
        claim.is_written = True
        try:
            await _replace_supervisor(settings, cluster)
            supervisor = cluster.supervisor(actor_settings(settings, key_hash, claim))
        except ActorGone as error:
            raise StartError(f"no supervisor can be started: {one_line(error)}") from error
        port = listener.getsockname()[1]
        async with contextlib.AsyncExitStack() as running:
            gateway = serving(
                settings,
                cluster,
                supervisor,
                listener,
                claim.store,
                stopping,
                metrics_port=settings.metrics_port,
            )
            service = await running.enter_async_context(gateway)
            claim.supervisor_epoch = lambda: service.catalogue.epoch
            for _ in range(settings.gateways - 1):
                await running.enter_async_context(
                    further_gateway(settings, cluster.address, listener, claim.store_id)
                )
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            await _until_loaded(service, stopping)
            print(f"ready: http://{host}:{port}", flush=True)
            orderly = await _until_stopped(cluster, claim, stopping)
            log.info("draining")
        if not orderly:
            return 1
        try:
            await supervisor.call("stop", timeout_s=settings.drain_seconds)
            cluster.kill(supervisor)
            claim.is_written = False
        except Exception as error:  # what is journaled is safe even if the last snapshots fail
            log.warning("last snapshots failed", error=repr(error))
        return 0


async def _replace_supervisor(settings: ServerSettings, cluster: Any) -> None:
    """On a cluster that was there before: end the supervisor of a server that was killed, on this store. It
    has the settings of that one, and its period actors too. ActorGone, StartError.
    """
    from lbactors.cluster import SUPERVISOR

    old = await cluster.find(SUPERVISOR) if settings.ray_address != "local" else None
    if old is None:
        return
    log.warning("a supervisor of an earlier server is there; it is replaced")
    try:
        await old.call("stop", timeout_s=settings.drain_seconds)
    except Exception as error:  # what is journaled is safe
        log.warning("it did not stop in time", error=repr(error))
    cluster.kill(old)
    try:
        async with asyncio.timeout(settings.start_seconds):
            while await cluster.find(SUPERVISOR) is not None:  # noqa: ASYNC110 - Ray has no event for it
                await asyncio.sleep(LOADED_POLL_S)
    except TimeoutError:
        within = f"within {settings.start_seconds:g} s"
        raise StartError(f"the supervisor of an earlier server did not end {within}") from None


async def _until_loaded(service: Service, stopping: asyncio.Event) -> None:
    """Requests are served already, with 503 for what is loading; wait a while until nothing is."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOADED_WITHIN_S):
            while not stopping.is_set() and not (await service.ready(now=True))["ready"]:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOADED_POLL_S):
                        await stopping.wait()


async def _until_stopped(cluster: Any, claim: StoreClaim, stopping: asyncio.Event) -> bool:
    """Wait for a signal (true), or for something that the server cannot do without to be lost (false)."""
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WATCH_S):
                await stopping.wait()
        if stopping.is_set():
            break
        if dead := cluster.lost_processes():
            log.error("Ray died; the journal has everything, start the server again", processes=dead)
            return False
        if claim.lost:
            log.error("another server has the store; this one ends", reason=claim.lost)
            return False
    return True
