"""Plugins that hear of periods: threads, times, failures. What the outbox promises is tested with it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from lbactors.documents.events import Event
from lbactors.plugins import Plugins
from lbactors.supervisor.events import plugin_listeners
from lbactors.supervisor.events.plugin_listeners import PluginListeners


def event_of(number: int = 1, type_: str = "period.closed") -> Event:
    return Event(f"evt_{number}", type_, number, "default", "xp", {})


class Registered(dict[str, tuple[set[str], Any]]):
    """What registers, in the place of `Outbox`."""

    def register(self, listener_id: str, types: set[str], call: Any) -> None:
        self[listener_id] = types, call


def registered(**hooks: Any) -> Registered:
    """Hooks of plugins by `<plugin>__<hook>`."""
    named: dict[str, tuple[tuple[str, Any], ...]] = {}
    for name, function in hooks.items():
        plugin, _, hook = name.partition("__")
        named[hook] = (*named.get(hook, ()), (plugin, function))
    found = Registered()
    PluginListeners(Plugins((), named)).register(found)
    return found


def test_a_plugin_is_a_listener_of_what_it_has_hooks_for() -> None:
    found = registered(
        a__on_period_opened=print,
        a__on_period_closed=print,
        b__on_period_closed=print,
        c__validate_submission=print,
    )
    assert {name: types for name, (types, _) in found.items()} == {
        "plugin:a": {"period.opened", "period.closed"},
        "plugin:b": {"period.closed"},
    }


async def test_each_event_reaches_its_hook_in_a_thread() -> None:
    heard: list[tuple[str, str, bool]] = []

    def hook(name: str) -> Any:
        def hear(event: Event) -> None:
            heard.append((name, event.event_id, threading.current_thread() is threading.main_thread()))

        return hear

    _, call = registered(a__on_period_opened=hook("opened"), a__on_period_closed=hook("closed"))["plugin:a"]
    await call(event_of(1, "period.opened"))
    await call(event_of(2, "period.closed"))
    assert heard == [("opened", "evt_1", False), ("closed", "evt_2", False)]


async def test_what_a_hook_raises_is_raised_and_the_next_call_is_made() -> None:
    calls: list[str] = []

    def hook(event: Event) -> None:
        calls.append(event.event_id)
        if len(calls) == 1:
            raise OSError("disk full")

    _, call = registered(a__on_period_closed=hook)["plugin:a"]
    with pytest.raises(OSError, match="disk full"):
        await call(event_of())
    await call(event_of())
    assert calls == ["evt_1", "evt_1"]


async def test_one_call_at_a_time() -> None:
    running, most = [0], [0]
    gate = threading.Event()

    def hook(_: Event) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        assert gate.wait(10)
        running[0] -= 1

    _, call = registered(a__on_period_closed=hook)["plugin:a"]
    calls = [asyncio.create_task(call(event_of(number))) for number in range(5)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*calls)
    assert most == [1]


async def test_a_call_that_takes_long_fails_but_its_event_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plugin_listeners, "CALL_S", 0.05)
    begun, gate, calls = threading.Event(), threading.Event(), []

    def hook(event: Event) -> None:
        calls.append(event.event_id)
        begun.set()
        assert gate.wait(10)

    _, call = registered(a__on_period_closed=hook)["plugin:a"]
    with capture_logs() as logs, pytest.raises(TimeoutError):
        await call(event_of(1))
    assert [line["event"] for line in logs] == ["a hook takes long"]
    assert await asyncio.to_thread(begun.wait, 10)
    with pytest.raises(TimeoutError):
        await call(event_of(2))  # the plugin is still busy
    assert calls == ["evt_1"]
    monkeypatch.setattr(plugin_listeners, "CALL_S", 10.0)
    gate.set()
    await call(event_of(2))
    await call(event_of(1))
    assert calls == ["evt_1", "evt_2"]


async def test_a_call_that_fails_late_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_listeners, "CALL_S", 0.05)
    gate, calls = threading.Event(), []

    def hook(event: Event) -> None:
        calls.append(event.event_id)
        if len(calls) == 1:
            assert gate.wait(10)
            raise OSError("too late")

    _, call = registered(a__on_period_closed=hook)["plugin:a"]
    with pytest.raises(TimeoutError):
        await call(event_of(1))
    monkeypatch.setattr(plugin_listeners, "CALL_S", 10.0)
    gate.set()
    await call(event_of(1))
    assert calls == ["evt_1", "evt_1"]


async def test_a_call_that_was_given_up_from_outside_is_waited_for() -> None:
    gate, calls = threading.Event(), []

    def hook(event: Event) -> None:
        calls.append(event.event_id)
        assert gate.wait(10)

    _, call = registered(a__on_period_closed=hook)["plugin:a"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call(event_of(1)), 0.05)  # as when the supervisor begins anew
    gate.set()
    await call(event_of(1))
    assert calls == ["evt_1"]


async def test_a_timeout_of_the_hooks_own_is_a_failure_like_others() -> None:
    def hook(_: Event) -> None:
        raise TimeoutError("of a socket")

    _, call = registered(a__on_period_closed=hook)["plugin:a"]
    with capture_logs() as logs, pytest.raises(TimeoutError, match="of a socket"):
        await call(event_of())
    assert logs == []
