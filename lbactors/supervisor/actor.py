"""The supervisor's actor: one supervisor after the other, over one store.

A supervisor (`lbactors.supervisor.supervisor`) knows what the documents say, and works under one epoch. When
a commit of it fails, nobody knows what the store holds: that supervisor is over, with all that it was doing.
The next call begins another one, from the documents and under a higher epoch, which fences whatever the one
before may still write. So nothing is ever done on the memory of two of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgpack

from lbactors.actor_settings import ActorSettings
from lbactors.core.errors import ApiError
from lbactors.core.packing import pack
from lbactors.documents.storage_errors import storage_unavailable
from lbactors.logs import configure_logs
from lbactors.plugins import Plugins
from lbactors.supervisor.commands.runner import CommandRunner
from lbactors.supervisor.events.plugin_listeners import PluginListeners
from lbactors.supervisor.state import OWNER
from lbactors.supervisor.supervisor import Supervisor
from lbactors.wire.actors import Actors
from lbactors.wire.catalogue_feed import CatalogueVersion
from lbactors.wire.commands import CommandCall, CommandReply
from persistence import open_store
from persistence.store import WENT_BACK, Store, StoreError, StoreWentBack

CLAIM_S = 15.0


class Working(NamedTuple):
    """A supervisor that has begun, and its commands."""

    supervisor: Supervisor
    commands: CommandRunner


class SupervisorActor:
    """`settings`: `ActorSettings`, as they travel. Calls take and give bytes (msgpack).

    The constructor neither loads nor raises: an actor whose constructor fails is dead for good (law 5).
    """

    def __init__(self, settings: Mapping[str, Any], connect: Callable[[], Actors]) -> None:
        self.settings = ActorSettings.from_wire(settings)
        self.is_stopping = False  # the server ends; it stays so
        self._connect = connect
        self._store: Store | None = None
        self._plugin_listeners: PluginListeners | None = None
        self._beginning: asyncio.Task[Working] | None = None
        self.supervisor: Supervisor | None = None  # the last one that took an epoch

    async def start(self) -> Supervisor:
        """The supervisor that works now, begun if there is none. StoreError, ApiError."""
        return (await self._working()).supervisor

    async def _working(self) -> Working:
        beginning = self._beginning
        if beginning is None or (beginning.done() and not self.is_working):
            beginning = self._beginning = asyncio.create_task(self._begin())
        return await asyncio.shield(beginning)

    @property
    def is_working(self) -> bool:
        """Whether a supervisor has begun and is not over."""
        beginning = self._beginning
        if beginning is None or not beginning.done() or beginning.cancelled():
            return False
        return beginning.exception() is None and not beginning.result().supervisor.state.is_over

    async def _begin(self) -> Working:
        settings = self.settings
        configure_logs(settings.log_level)
        if self._store is None:
            store = open_store(settings.store_url)
            store.expect(settings.store_id)
            await store.open()
            self._store = store
        if self._plugin_listeners is None:
            self._plugin_listeners = PluginListeners(Plugins.load(settings.plugins))
        # The server renews it. A supervisor that outlived its server, on a cluster that goes on, must not
        # fence the supervisor of another one.
        await self._store.claim(settings.server_id, settings.server, CLAIM_S)
        last = self.supervisor
        if last is not None and last.state.went_back:
            highest = await self._store.ownership(OWNER)
            if highest < last.state.epoch:
                raise StoreWentBack(
                    f"{WENT_BACK}: the supervisor's epoch was {last.state.epoch}, the store knows {highest}"
                )
        epoch = await self._store.take_ownership(OWNER)
        self.supervisor = supervisor = Supervisor(
            settings, self._connect(), self._store, self._plugin_listeners, epoch
        )
        supervisor.hosting.is_stopping = self.is_stopping
        commands = CommandRunner(supervisor)
        try:
            await supervisor.load()
            await commands.first_start()
            await supervisor.begin()
        except BaseException:
            supervisor.state.end()
            raise
        return Working(supervisor, commands)

    # Calls of gateways ----------------------------------------------------------------------------------

    async def watch(self, payload: bytes) -> bytes:
        """`CatalogueVersion` -> `News`, see `Feed.watch`."""
        supervisor = await self.start()
        return pack(await supervisor.state.feed.watch(*CatalogueVersion(*msgpack.unpackb(payload))))

    async def current_version(self) -> bytes:
        """`CatalogueVersion`."""
        supervisor = await self.start()
        return pack(CatalogueVersion(supervisor.state.epoch, supervisor.state.feed.version))

    async def command(self, payload: bytes) -> bytes:
        """`CommandCall` -> `CommandReply`, or an error."""
        try:
            call = CommandCall.from_wire(msgpack.unpackb(payload))
            supervisor, commands = await self._working()
            status, body = await commands.run(*call)
        except ApiError as error:
            return pack(CommandReply.error_to_wire(error))
        except StoreError as error:
            return pack(CommandReply.error_to_wire(storage_unavailable(error)))
        shown_by = CatalogueVersion(supervisor.state.epoch, supervisor.state.feed.version)
        return pack(CommandReply(status, body, shown_by).to_wire())

    async def report(self, name: bytes) -> bytes:
        """A gateway found an actor away, or without a chain that it should have."""
        (await self.start()).report(name.decode())
        return b""

    async def rouse(self, name: bytes) -> bytes:
        """A gateway needs chains that are dormant; the `CatalogueVersion` that has their home."""
        supervisor = await self.start()
        await supervisor.place(name.decode())
        return pack(CatalogueVersion(supervisor.state.epoch, supervisor.state.feed.version))

    async def status(self, wanted: bytes = b"") -> bytes:
        """For operators, see `Supervisor.status`; or readiness alone, made once a second (`brief`) or after
        asking every actor (`now`).
        """
        supervisor = await self.start()
        if wanted == b"brief":
            return pack(await supervisor.readiness.get())
        return pack(await (supervisor.readiness_now() if wanted == b"now" else supervisor.status()))

    async def stop(self) -> bytes:
        """The end of the server: every period saved, every actor let go."""
        self.is_stopping = True
        if self.supervisor is not None:  # else nothing ever started
            self.supervisor.hosting.is_stopping = True
            await self.supervisor.stop()
        if self._store is not None:
            await self._store.close()
        return b""
