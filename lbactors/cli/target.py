"""Which server a command talks to, and with which key: option, then environment variable, then default."""

from __future__ import annotations

import os
from typing import NamedTuple

import click

from lbactors.cli.shared_options import DEFAULT_URL, KEY, TENANT, URL, VARIABLES, given


class Target(NamedTuple):
    """A server and what to show it. `url_from`, `key_from`: the option or variable that named it."""

    url: str
    key: str | None
    tenant_id: str | None
    url_from: str
    key_from: str


def target_of(ctx: click.Context) -> Target:
    """What the command line and the environment say; what is empty counts as not given."""
    url, url_from = _chosen(ctx, URL, "--url")
    key, key_from = _chosen(ctx, KEY, "--key")
    tenant_id, _ = _chosen(ctx, TENANT, "--tenant")
    return Target(url or DEFAULT_URL, key, tenant_id, url_from, key_from)


def _chosen(ctx: click.Context, name: str, option: str) -> tuple[str | None, str]:
    """A value and where it came from; an empty option overrides the variable."""
    on_command_line = given(ctx).get(name)
    if on_command_line is not None:
        return on_command_line or None, option
    return os.environ.get(VARIABLES[name]) or None, VARIABLES[name]
