"""Which server a command talks to, and with which key.

Each of the two, and the tenant, comes from the first that has it: an option, an environment variable, the
profile, the default. The key and the tenant of a profile are for its own server: they are left out where an
option or a variable names another URL.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import click

from lbactors.cli.profile_file import Profile, ProfileError, profile_path, read_profiles
from lbactors.cli.shared_options import DEFAULT_URL, KEY, PROFILE, TENANT, URL, VARIABLES, given


class Target(NamedTuple):
    """A server and what to show it. `url_from`, `key_from`: the option, variable or profile that named it.

    withheld: the profile whose key was left out because it is for another server.
    """

    url: str
    key: str | None
    tenant_id: str | None
    url_from: str
    key_from: str
    withheld: str | None = None


def target_of(ctx: click.Context) -> Target:
    """What the command line, the environment and the profile say; empty counts as not given. ProfileError."""
    name, profile = _profile(ctx)
    url, url_from = chosen(ctx, URL)
    withheld = None
    if profile is not None and url is not None and url.rstrip("/") != profile.url.rstrip("/"):
        withheld = name if profile.key is not None else None
        profile = None
    saved = profile or Profile(DEFAULT_URL, None, None)
    from_profile = f"profile {name}"
    key, key_from = chosen(ctx, KEY)
    tenant_id, _ = chosen(ctx, TENANT)
    if url is None:
        url, url_from = saved.url, from_profile
    if key is None and given(ctx).get(KEY) is None:
        key, key_from = saved.key, from_profile
    if tenant_id is None and given(ctx).get(TENANT) is None:
        tenant_id = saved.tenant_id
    return Target(url, key, tenant_id, url_from, key_from, withheld)


def chosen(ctx: click.Context, name: str) -> tuple[str | None, str]:
    """What an option or its variable says, and which of them; an empty option overrides the variable."""
    on_command_line: str | None = given(ctx).get(name)
    if on_command_line is not None:
        return on_command_line or None, OPTIONS[name]
    return os.environ.get(VARIABLES[name]) or None, VARIABLES[name]


def _profile(ctx: click.Context) -> tuple[str | None, Profile | None]:
    """The profile to use, and its name. ProfileError if one is named that does not exist."""
    path = profile_path()
    profiles = read_profiles(path)
    named, _ = chosen(ctx, PROFILE)
    name = named or profiles.default
    if name is None:
        return None, None
    if name not in profiles.by_name:
        raise ProfileError(f"no profile {name!r} in {path}; `lbactors login --profile NAME` saves one")
    return name, profiles.by_name[name]


OPTIONS = {URL: "--url", KEY: "--key", TENANT: "--tenant", PROFILE: "--profile"}
