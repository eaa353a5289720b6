"""The options that may stand anywhere on the command line: which server, which key, and JSON.

They are accepted before the command, between a group and its command, and after the command. Each place
records what it was given in the one context that all places share, so the last one wins. Nothing that takes
time to import is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

DEFAULT_URL = "http://127.0.0.1:8080"  # the client's, which is not imported for a help text
URL, KEY, TENANT, PROFILE, JSON = "url", "key", "acting_tenant", "profile", "as_json"
VARIABLES = {
    URL: "LBACTORS_URL", KEY: "LBACTORS_KEY", TENANT: "LBACTORS_TENANT", PROFILE: "LBACTORS_PROFILE"
}  # fmt: skip

_GIVEN = "lbactors.given"


def _record(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep a value of the command line; variables and defaults are read later, once."""
    assert option.name is not None
    if ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
        ctx.meta.setdefault(_GIVEN, {})[option.name] = value


def given(ctx: click.Context) -> dict[str, Any]:
    """What the command line says so far, by the names above."""
    found: dict[str, Any] = ctx.meta.setdefault(_GIVEN, {})
    return found


def wants_json() -> bool:
    """Whether the command that runs was given `--json`, in whichever place."""
    return bool(given(click.get_current_context()).get(JSON))


def _specification(flag: str, name: str, text: str, **more: Any) -> tuple[list[str], dict[str, Any]]:
    variable = VARIABLES.get(name)
    shared = {"expose_value": False, "callback": _record, "help": text}
    return [flag, name], {**shared, "envvar": variable, "show_envvar": variable is not None, **more}


_PROFILE = _specification(
    "--profile",
    PROFILE,
    "Saved server and key (`lbactors login`); options and variables override it.",
    metavar="NAME",
)
_JSON = _specification("--json", JSON, "Print JSON.", is_flag=True)
_ALL = (
    _specification("--url", URL, "Server to talk to.", metavar="URL", default=DEFAULT_URL, show_default=True),
    _specification("--key", KEY, "API key.", metavar="KEY"),
    _specification("--tenant", TENANT, "Tenant to act in; needs a platform key.", metavar="TENANT"),
    _PROFILE,
    _JSON,
)


def shared_options(*, hidden: bool = False) -> list[click.Parameter]:
    """New options, for a group."""
    return [click.Option(names, hidden=hidden, **more) for names, more in _ALL]


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a command that talks to a server."""
    for names, more in reversed(_ALL):
        command = click.option(*names, **more)(command)
    return command


def profile_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a command that works on a profile alone."""
    names, more = _PROFILE
    return click.option(*names, **more)(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a command that talks to no server."""
    names, more = _JSON
    return click.option(*names, **more)(command)
