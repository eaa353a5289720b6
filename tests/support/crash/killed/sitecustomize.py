"""Kills its own process at a named step: for servers under test, whose every Python process imports this.

Its folder is put on the PYTHONPATH of a server (`kill_orders.Orders`); the server's code knows nothing of it.
When a module of `WATCHED` is imported, its named methods are wrapped. A wrapped call looks for an order, a
JSON file that LBACTORS_KILL_ORDER names:

    {"call": "SupervisorState.commit", "when": "before" | "after", "nth": 1, "about": ["board-7", "stage=3"]}

The nth call of that method in which every text of `about` occurs is the one; the process that meets it takes
the order away, so that it is carried out once, and kills itself with SIGKILL before or after the call.

Also LBACTORS_KILL_SIZES, `module:name=number …`: constants of modules, made small so that a chunk is small.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

ORDER, SIZES = "LBACTORS_KILL_ORDER", "LBACTORS_KILL_SIZES"

WATCHED: dict[str, list[str]] = {
    "lbactors.period_actor.activation": ["Activation.drain", "Activation.inherit_ids", "Activation.seal"],
    "lbactors.period_actor.chain": ["Chain.seal"],
    "lbactors.period_actor.actor": ["PeriodActor.seal", "PeriodActor.tick"],
    "lbactors.period_actor.follower": ["Follower.read_to"],
    "lbactors.supervisor.lifecycle": [
        "Lifecycle.carry_out",
        "Lifecycle._sealed",
        "Lifecycle._event",
        "Lifecycle._log_seq",
    ],
    "lbactors.supervisor.rewards.granting": ["Granting.begin", "Granting.grant"],
    "lbactors.supervisor.hosting": ["Hosting.host"],
    "lbactors.supervisor.state": ["SupervisorState.commit"],
    "lbactors.supervisor.events.webhook_sender": ["Sender.post"],
    "persistence.sqlite.store": [
        "SqliteStore.append",
        "SqliteStore.put_parts",
        "SqliteStore.commit_snapshot",
        "SqliteStore.drop_periods",
    ],
}

_counts: dict[str, int] = {}


def _text(value: Any) -> str:
    """What an argument is about: ids, and of a stored period its stage."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, str | int | dict):
        return str(value)
    if isinstance(value, tuple) and getattr(value, "collection", None) is not None:
        return f"{_of_change(value)}\n"
    if isinstance(value, list | tuple):
        return "".join(map(_text, value))
    for name in ("chain_id", "period_id", "spec", "record"):
        if (found := getattr(value, name, None)) is not None:
            return _text(found)
    return ""


def _of_change(change: Any) -> str:
    text = f"{change.collection}/{change.doc_id}"
    if change.body is None:
        return f"{text} deleted"
    if change.collection != "periods":
        return text
    import msgpack

    from lbactors.core.model import PeriodRecord

    record = PeriodRecord(*msgpack.unpackb(change.body))
    return f"{text} serial={record.serial} stage={record.stage}"


def _order(label: str, arguments: tuple[Any, ...]) -> dict[str, Any] | None:
    """The order that this call is to carry out."""
    path = Path(os.environ[ORDER])
    try:
        text = path.read_text()
        order: dict[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return None
    if order["call"] != label:
        return None
    about = _text(arguments)
    if not all(word in about for word in order["about"]):
        return None
    _counts[text] = _counts.get(text, 0) + 1
    return order if _counts[text] == order["nth"] else None


def _die() -> None:
    path = Path(os.environ[ORDER])
    try:
        path.rename(f"{path}.done")
    except FileNotFoundError:  # another process was first
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _wrapped(inner: Callable[..., Any], label: str) -> Callable[..., Any]:
    if asyncio.iscoroutinefunction(inner):

        @functools.wraps(inner)
        async def call_async(*arguments: Any, **named: Any) -> Any:
            order = _order(label, arguments)
            if order is not None and order["when"] == "before":
                _die()
            result = await inner(*arguments, **named)
            if order is not None:
                _die()
            return result

        return call_async

    @functools.wraps(inner)
    def call(*arguments: Any, **named: Any) -> Any:
        order = _order(label, arguments)
        if order is not None and order["when"] == "before":
            _die()
        result = inner(*arguments, **named)
        if order is not None:
            _die()
        return result

    return call


def _prepare(module: ModuleType) -> None:
    for label in WATCHED.get(module.__name__, []):
        owner_name, name = label.split(".")
        owner = getattr(module, owner_name)
        setattr(owner, name, _wrapped(getattr(owner, name), label))
    for size in os.environ.get(SIZES, "").split():
        where, value = size.split("=")
        module_name, name = where.split(":")
        if module_name == module.__name__:
            getattr(module, name)  # it must exist
            setattr(module, name, int(value))


class _Finder(importlib.abc.MetaPathFinder):
    """Lets others find a module, and prepares it when it has been run."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._names:
            return None
        self._names.discard(name)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        loader = spec.loader
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _prepare(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if ORDER in os.environ:
    sizes = {size.split(":")[0] for size in os.environ.get(SIZES, "").split()}
    sys.meta_path.insert(0, _Finder({*WATCHED, *sizes}))
