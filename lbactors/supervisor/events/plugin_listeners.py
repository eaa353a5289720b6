"""Plugins that hear of periods: `on_period_opened` and `on_period_closed`, called in the supervisor.

A plugin is a listener of the outbox (`lbactors.supervisor.events.outbox`), so its hooks have the outbox's
promises: a call for each event, at least once, those of a leaderboard in order, repeated after an exception,
a death of the process or a restart, until one call returns.

Each plugin has one thread, in which one hook runs at a time; the supervisor's event loop goes on beside it. A
thread cannot be stopped: a call that takes longer than CALL_S counts as failed, so that operators hear of it,
but it runs on, and no other call of the plugin begins before it has ended. If it returns after all, its event
is not repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from lbactors.documents.events import Event
from lbactors.plugins import PERIOD_HOOKS, Hook, Plugins
from lbactors.supervisor.events.outbox import Outbox

LISTENER = "plugin:"  # and the plugin's name: its id as a listener
CALL_S = 30.0
DONE_LATE = 1000  # events remembered whose call returned after its time

log = structlog.get_logger("plugins")


class PluginListeners:
    """One for each supervisor's process; `register` with each `Outbox` that it makes."""

    def __init__(self, plugins: Plugins) -> None:
        hooks: dict[str, dict[str, Hook]] = {}
        for hook, event_type in PERIOD_HOOKS.items():
            for name, function in plugins.hooks(hook):
                hooks.setdefault(name, {})[event_type] = function
        self._callers = {name: _PluginThread(name, functions) for name, functions in hooks.items()}

    def register(self, outbox: Outbox) -> None:
        """Make every plugin that has a hook a listener of its events."""
        for name, caller in self._callers.items():
            outbox.register(f"{LISTENER}{name}", set(caller.hooks), caller.call)


class _PluginThread:
    """The thread of one plugin. hooks: by type of event."""

    def __init__(self, name: str, hooks: Mapping[str, Callable[[Event], object]]) -> None:
        self.name = name
        self.hooks = hooks
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{LISTENER}{name}")
        self._lock = asyncio.Lock()
        self._running: tuple[str, asyncio.Future[object]] | None = None  # event id and call that took long
        self._done_late: dict[str, None] = {}  # event ids, oldest first

    async def call(self, event: Event) -> None:
        """Have the plugin hear of an event. TimeoutError, or what the hook raised."""
        async with self._lock:
            async with asyncio.timeout(CALL_S):
                await self._until_free()
            if event.event_id in self._done_late:
                del self._done_late[event.event_id]
                return
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._thread, self.hooks[event.type], event)
            self._running = event.event_id, future
            try:
                async with asyncio.timeout(CALL_S):
                    await asyncio.shield(future)
            except TimeoutError:
                if not future.done():  # else the hook raised one of its own
                    log.error("a hook takes long", plugin=self.name, event_id=event.event_id, seconds=CALL_S)
                raise
            finally:
                if future.done():
                    self._running = None

    async def _until_free(self) -> None:
        """Wait for a call that took long, and remember its event if it returned."""
        if self._running is None:
            return
        event_id, future = self._running
        await asyncio.wait([future])
        self._running = None
        if future.exception() is None:
            self._done_late[event_id] = None
            while len(self._done_late) > DONE_LATE:
                del self._done_late[next(iter(self._done_late))]
        else:
            log.warning("a hook failed late", plugin=self.name, exc_info=future.exception())
