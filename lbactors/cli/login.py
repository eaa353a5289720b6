"""The commands `login`, `logout` and `profiles`: servers and keys saved for later commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from lbactors.cli.connection import (
    PATIENCE_S,
    Failure,
    Refusal,
    examples,
    explained,
    json_text,
)
from lbactors.cli.groups import CommandGroup
from lbactors.cli.profile_file import (
    Profile,
    ProfileError,
    Profiles,
    check_name,
    profile_path,
    read_profiles,
    write_profiles,
)
from lbactors.cli.shared_options import (
    DEFAULT_URL,
    KEY,
    PROFILE,
    TENANT,
    URL,
    connection_options,
    json_option,
    profile_option,
    wants_json,
)
from lbactors.cli.target import Target, chosen
from lbactors.client import ApiError, SyncClient, Unreachable
from lbactors.tables import print_table, text_of

Json = dict[str, Any]

FIRST_NAME = "default"
STDIN = "-"


@click.command(
    epilog=examples(
        "lbactors login",
        "lbactors login --url https://scores.example.com --profile live",
        "lbactors login --key - < key.txt",
    )
)
@connection_options
def login() -> None:
    """Save a server and its API key for later commands.

    Asks for the key, which is not shown while you type; --key - reads it from stdin. The key is checked with
    the server before it is saved, in a file that only you can read.

    The first profile saved becomes the default; `lbactors profiles use` chooses another one.
    """
    ctx = click.get_current_context()
    path = profile_path()
    profiles = _read(path)
    named, _ = chosen(ctx, PROFILE)
    name = named or profiles.default or FIRST_NAME
    _check(name)
    before = profiles.by_name.get(name, Profile(DEFAULT_URL, None, None))
    url, url_from = chosen(ctx, URL)
    tenant_id, _ = chosen(ctx, TENANT)
    if url is None:
        url, url_from = before.url, f"profile {name}"
        tenant_id = tenant_id or before.tenant_id
    key, key_from = chosen(ctx, KEY)
    if key == STDIN:
        key, key_from = sys.stdin.readline().strip() or None, "stdin"
    if key is None:
        key, key_from = _asked_key(url), "the prompt"
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise Refusal(f"the key from {key_from} is not an API key: it has other characters than a key has")
    remark = _check_with_server(Target(url, key, tenant_id, url_from, key_from))
    default = profiles.default or name
    saved = Profile(url, key, tenant_id)
    _write(path, Profiles(default, {**profiles.by_name, name: saved}))
    if wants_json():
        click.echo(json_text({**_shown(name, saved, default), "file": str(path)}))
        return
    click.echo(f"Saved {url} as profile {name} in {path}")
    if remark:
        click.echo(f"The server knows the key, but it may not list leaderboards: {text_of(remark)}", err=True)
    if name != default:
        click.echo(f"Use it with --profile {name}, or make it the default: lbactors profiles use {name}")


def _asked_key(url: str) -> str:
    """The key that a person types. Refusal where nobody can."""
    if not sys.stdin.isatty():
        raise Refusal(
            "no API key was given, and there is no terminal to ask for one: pass --key, or --key - for stdin"
        )
    return str(click.prompt(f"API key for {url}", hide_input=True, err=True)).strip()


def _check_with_server(target: Target) -> str:
    """Failure unless the server knows the key. What it says if the key may not list leaderboards: many keys
    may not, so that is no reason to refuse one.
    """
    try:
        client = SyncClient(
            target.url, target.key, tenant_id=target.tenant_id, patience_s=PATIENCE_S, retry_refused=False
        )
    except ValueError as error:
        raise Refusal(f"{target.url_from}: {error}") from None
    try:
        client.list_leaderboards(limit=1)
    except (ApiError, Unreachable) as error:
        if isinstance(error, ApiError) and error.code == "forbidden":
            return error.message
        raise Failure(f"nothing was saved: {explained(error, target)}") from None
    finally:
        client.close()
    return ""


@click.command(epilog=examples("lbactors logout", "lbactors logout --profile live"))
@profile_option
@json_option
def logout() -> None:
    """Delete a saved profile with its API key.

    The key itself stays valid: `lbactors keys delete` makes the server refuse it.
    """
    path = profile_path()
    profiles = _read(path)
    named, _ = chosen(click.get_current_context(), PROFILE)
    name = named or profiles.default
    if name is None or name not in profiles.by_name:
        raise Refusal(f"no profile {name!r} in {path}" if name else f"no default profile in {path}")
    rest = {other: profile for other, profile in profiles.by_name.items() if other != name}
    default = profiles.default if profiles.default != name else None
    _write(path, Profiles(default, rest))
    if wants_json():
        click.echo(json_text({"deleted": name, "default": default, "file": str(path)}))
        return
    click.echo(f"Deleted profile {name}")
    if rest and default is None:
        click.echo("There is no default profile now; choose one: lbactors profiles use NAME")


@click.group(cls=CommandGroup, epilog=examples("lbactors profiles", "lbactors profiles use live"))
def profiles() -> None:
    """List saved servers, and choose the default."""


@profiles.command("list", epilog=examples("lbactors profiles list", "lbactors profiles list --json"))
@json_option
def list_profiles() -> None:
    """List saved profiles. Of each key, only the end is shown."""
    path = profile_path()
    found = _read(path)
    items = [_shown(name, profile, found.default) for name, profile in sorted(found.by_name.items())]
    if wants_json():
        click.echo(json_text({"items": items, "total": len(items), "file": str(path)}))
        return
    if not items:
        click.echo(f"no profiles in {path}; `lbactors login` saves one", err=True)
        return
    rows = [
        [item["profile"], item["url"], item["tenant"], item["key"], item["default"] or None] for item in items
    ]
    print_table(["profile", "url", "tenant", "key", "default"], rows)


@profiles.command("use", epilog=examples("lbactors profiles use live"))
@click.argument("name", metavar="PROFILE")
@json_option
def use_profile(name: str) -> None:
    """Make PROFILE the default."""
    path = profile_path()
    found = _read(path)
    if name not in found.by_name:
        raise Refusal(f"no profile {name!r} in {path}; `lbactors login --profile NAME` saves one")
    _write(path, found._replace(default=name))
    if wants_json():
        click.echo(json_text(_shown(name, found.by_name[name], name)))
    else:
        click.echo(f"Commands now use profile {name} ({found.by_name[name].url})")


def _shown(name: str, profile: Profile, default: str | None) -> Json:
    return {
        "profile": name,
        "url": profile.url,
        "tenant": profile.tenant_id,
        "key": None if profile.key is None else _masked(profile.key),
        "default": name == default,
    }


def _masked(key: str) -> str:
    """`lb_…9f3c`: enough to tell keys apart. Of a short one nothing."""
    return f"{key[:3]}…{key[-4:]}" if len(key) >= 16 else "…"


def _read(path: Path) -> Profiles:
    try:
        return read_profiles(path)
    except ProfileError as error:
        raise Refusal(str(error)) from None


def _check(name: str) -> None:
    try:
        check_name(name)
    except ProfileError as error:
        raise Refusal(f"--profile: {error}") from None


def _write(path: Path, profiles: Profiles) -> None:
    try:
        write_profiles(path, profiles)
    except ProfileError as error:
        raise Failure(str(error)) from None
