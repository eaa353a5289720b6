"""Plugins: code of an operator that runs inside the server, found and checked before anything is served.

Idea: pluggy knows which function is whose hook and whether its signature fits; everything else is done here
on top of it, because a server needs more than pluggy's one call for all plugins: each hook is called by
itself, so that a failure has a name, does not keep the others from being asked, and has a policy.

A plugin is a module, or an object in one (a class is called without arguments), with functions under
`@hookimpl`. It comes from the entry point group `lbactors` of an installed package, or is named by the
setting `plugins`. Hooks are plain functions. `validate_submission` runs on a gateway's event loop and must be
fast (`gateway.http.validation`); `on_period_*` run in the supervisor, in a thread
(`lbactors.supervisor.events.plugin_listeners`).

What plugins are given are copies and tuples: nothing that they change changes the server.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from lbactors.documents.events import Event as Event  # plugins take it from here

if TYPE_CHECKING:
    from lbactors.core.definition import Definition

GROUP = "lbactors"
"""The entry point group, and pluggy's name of the project."""
PERIOD_HOOKS = {
    "on_period_opened": "period.opened",
    "on_period_closed": "period.closed",
    "on_period_reopened": "period.reopened",
}
"""Hooks that are told of an event, and the event's type."""
VALIDATE = "validate_submission"
LONGEST_REASON = 500  # characters

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)
"""Marks a plugin's function as a hook: `from lbactors.plugins import hookimpl`."""


class Refuse(NamedTuple):
    """The submission is not taken: 422 `submission_refused` with the reason, which its sender reads."""

    reason: str


class Hold(NamedTuple):
    """The submission is kept, and nothing of it applied, until somebody approves it. Only reviewers read the
    reason.
    """

    reason: str


class SubmittedScore(NamedTuple):
    """A submission as `validate_submission` sees it: valid by the leaderboard's definition.

    `metadata`: the object that came with it. `submission_id` None: a repeat of it cannot be recognised.
    `occurred_at_ms` None: it counts for its arrival. `aggregation`: instead of the leaderboard's.
    """

    player_id: str
    score: int | float | None
    subscore: int | float
    metadata: dict[str, Any] | None
    submission_id: str | None
    occurred_at_ms: int | None
    aggregation: str | None


class Context(NamedTuple):
    """What else is known: the caller's key, when the request came, the leaderboard's definition (a copy)."""

    key_id: str
    arrived_at_ms: int
    definition: Definition


class HookSpecs:
    """The hooks. A plugin's function may leave out arguments that it does not need."""

    @hookspec
    def on_period_opened(self, event: Event) -> None:
        """A period has begun. Called at least once; an exception means that it is called again later."""

    @hookspec
    def on_period_closed(self, event: Event) -> None:
        """A period has ended, and its standings are final. Called at least once, like the one above."""

    @hookspec
    def on_period_reopened(self, event: Event) -> None:
        """A period that had ended goes on, since its schedule was extended; it will be closed again."""

    @hookspec
    def validate_submission(
        self, tenant_id: str, leaderboard_id: str, submission: SubmittedScore, context: Context
    ) -> Refuse | Hold | None:
        """Judge one submission before it is sent on: None accepts it. Of several verdicts Refuse counts, then
        Hold. Repeats of a submission are judged again.
        """


class PluginError(Exception):
    """A plugin that cannot be used; the message is one line that names it."""


class Plugin(NamedTuple):
    """A plugin as listings show it. `source`: where it was found."""

    name: str
    version: str
    source: str
    hooks: tuple[str, ...]


Hook = Callable[..., Any]


class Plugins:
    """The plugins of one process, made by `load`. Immutable."""

    def __init__(self, found: tuple[Plugin, ...], hooks: dict[str, tuple[tuple[str, Hook], ...]]) -> None:
        self.found = found
        self._hooks = hooks

    def hooks(self, hook: str) -> tuple[tuple[str, Hook], ...]:
        """(plugin's name, function) of those that have a hook, in the order in which they are to be called.

        A function takes all of the hook's arguments by position, whichever of them the plugin's own takes.
        """
        return self._hooks.get(hook, ())

    @classmethod
    def load(cls, names: str = "", group: str = GROUP) -> Plugins:
        """Find, import and check the plugins of the entry point group and those named. PluginError.

        names: `module` or `module:object` each, between commas. One that is found twice is loaded once, under
        the name by which it was found first: an installed plugin keeps that of its entry point.
        """
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(HookSpecs)
        found: list[Plugin] = []
        loaded: list[Any] = []
        for name, version, source, get in (*_installed(group), *_named(names)):
            try:
                plugin = get()
                if any(_same(plugin, known) for known in loaded):
                    continue
                loaded.append(plugin)
                if isinstance(plugin, type):
                    plugin = plugin()
                if "/" in name:
                    raise PluginError("its name must not contain '/'")
                if manager.has_plugin(name):
                    raise PluginError("another plugin has the same name")
                manager.register(plugin, name)
                version = version or str(getattr(plugin, "__version__", ""))
                found.append(Plugin(name, version, source, _checked(manager, plugin)))
            except (Exception, SystemExit) as error:
                raise PluginError(f"plugin {name!r} ({source}): {_why(error)}") from error
        hooks = {}
        for spec in (*PERIOD_HOOKS, VALIDATE):
            caller = getattr(manager.hook, spec)
            # pluggy keeps them in reverse: the first to be called is the last of the list.
            impls = reversed(caller.get_hookimpls())
            names_of = caller.spec.argnames
            hooks[spec] = tuple((i.plugin_name, _positional(i.function, i.argnames, names_of)) for i in impls)
        return cls(tuple(found), hooks)


Source = tuple[str, str, str, Callable[[], Any]]


def _installed(group: str) -> Iterator[Source]:
    """Entry points of installed packages: name, version, where from, how to import."""
    for point in sorted(importlib.metadata.entry_points(group=group), key=lambda p: p.name):
        dist = point.dist
        package = f"{dist.name} {dist.version}" if dist is not None else "an unknown package"
        version = dist.version if dist is not None else ""
        yield point.name, version, f"entry point of {package}", point.load


def _named(names: str) -> Iterator[Source]:
    """Those of the setting."""
    for name in filter(None, (part.strip() for part in names.split(","))):
        module, _, path = name.partition(":")

        def get(module: str = module, path: str = path) -> Any:
            imported = importlib.import_module(module)
            return functools.reduce(getattr, path.split("."), imported) if path else imported

        yield name, "", "setting plugins", get


def _same(plugin: Any, loaded: Any) -> bool:
    """Whether two that were found are one: the same module, class or object; or the one a class or an object
    of the other, which is a module without hooks.
    """
    if plugin is loaded:
        return True
    home = getattr(loaded, "__module__", None)
    return isinstance(plugin, ModuleType) and plugin.__name__ == home and not _has_hooks(plugin)


def _has_hooks(plugin: Any) -> bool:
    return any(hasattr(value, f"{GROUP}_impl") for value in vars(plugin).values())


def _checked(manager: pluggy.PluginManager, plugin: Any) -> tuple[str, ...]:
    """Names of a plugin's hooks. PluginError if it has none, or one that cannot be called as it must be.

    pluggy has refused arguments that a hook does not have; unknown hooks it finds here.
    """
    manager.check_pending()
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        classes = [
            f"{plugin.__name__}:{name}"
            for name, value in (vars(plugin).items() if isinstance(plugin, ModuleType) else ())
            if isinstance(value, type) and value.__module__ == plugin.__name__ and _has_hooks(value)
        ]
        if classes:
            raise PluginError(f"the module has no hook of its own, but a class has: name {classes[0]}")
        raise PluginError("it has no hook; hooks are functions under @lbactors.plugins.hookimpl")
    for caller in callers:
        for impl in caller.get_hookimpls():
            if impl.plugin is not plugin:
                continue
            if impl.hookwrapper or impl.wrapper:
                raise PluginError(f"{caller.name} must not be a wrapper")
            if inspect.iscoroutinefunction(impl.function) or inspect.isgeneratorfunction(impl.function):
                raise PluginError(f"{caller.name} must be a plain function, not a coroutine or a generator")
            for parameter in inspect.signature(impl.function).parameters.values():
                required = parameter.default is parameter.empty
                if parameter.kind is parameter.KEYWORD_ONLY and required:
                    raise PluginError(f"{caller.name} has an argument by keyword alone: {parameter.name}")
    return tuple(sorted(caller.name for caller in callers))


def _positional(function: Hook, takes: tuple[str, ...], given: tuple[str, ...]) -> Hook:
    """A function that takes some arguments, as one that takes all that are given."""
    if takes == given:
        return function
    indexes = [given.index(name) for name in takes]
    return lambda *args: function(*[args[index] for index in indexes])


def _why(error: BaseException) -> str:
    """An exception in one line."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, pluggy.PluginValidationError):
        return " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    words = " ".join(str(error).split())
    return f"cannot be imported: {type(error).__name__}: {words}" if words else f"{type(error).__name__}"
