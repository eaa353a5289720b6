"""The file of profiles: servers with their keys, saved by `lbactors login`.

    default = "local"

    [profiles.local]
    url = "http://127.0.0.1:8080"
    key = "lb_…"
    tenant = "studio-a"

It is readable by its owner alone, and replaced as a whole, so that it is never half written.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

VARIABLE = "LBACTORS_CONFIG"  # names another file

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # bare keys of TOML
_HEADER = "# Servers and API keys of the command `lbactors`, written by `lbactors login`. Keep it private.\n"


class ProfileError(Exception):
    """The file, or a name, is not what it must be; one line that names the file."""


class Profile(NamedTuple):
    """A server, the key to use there, and the tenant to act in. None: not saved."""

    url: str
    key: str | None
    tenant_id: str | None


class Profiles(NamedTuple):
    """The whole file. `default` is the profile in use where none is named; None: none is."""

    default: str | None
    by_name: Mapping[str, Profile]


def profile_path() -> Path:
    """Where the file is: by LBACTORS_CONFIG, else in the user's folder for settings."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(click.get_app_dir("lbactors")) / "profiles.toml"


def check_name(name: str) -> None:
    """ProfileError if a profile cannot have this name."""
    if not _NAME.fullmatch(name):
        raise ProfileError(f"{name!r} is no name of a profile: use up to 64 letters, digits, - and _")


def read_profiles(path: Path) -> Profiles:
    """The profiles; none where there is no file. ProfileError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Profiles(None, {})
    except OSError as error:
        raise ProfileError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise _damaged(path, error) from None
    with contextlib.suppress(OSError):  # it is another user's
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)  # it has keys
    try:
        return _profiles_of(found)
    except ValueError as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: ValueError) -> ProfileError:
    return ProfileError(f"{path} is damaged: {error}; delete it and run `lbactors login`")


def _profiles_of(found: Mapping[str, Any]) -> Profiles:
    """ValueError"""
    _only(found, {"default", "profiles"}, "")
    default, tables = found.get("default"), found.get("profiles", {})
    if not isinstance(default, str | None):
        raise ValueError("default is not a string")
    if not isinstance(tables, dict):
        raise ValueError("profiles is not a table")
    by_name = {}
    for name, table in tables.items():
        place = f"profiles.{name}"
        if not _NAME.fullmatch(name) or not isinstance(table, dict):
            raise ValueError(f"{place!r} is not a profile")
        _only(table, {"url", "key", "tenant"}, f"{place}.")
        for field, value in table.items():
            if not isinstance(value, str) or not value:
                raise ValueError(f"{place}.{field} is not a string with content")
        if "url" not in table:
            raise ValueError(f"{place} has no url")
        by_name[name] = Profile(table["url"], table.get("key"), table.get("tenant"))
    if default is not None and default not in by_name:
        raise ValueError(f"the default {default!r} is not one of its profiles")
    return Profiles(default, by_name)


def _only(table: Mapping[str, Any], known: set[str], place: str) -> None:
    if unknown := sorted(set(table) - known):
        raise ValueError(f"unknown field {place}{unknown[0]}")


def write_profiles(path: Path, profiles: Profiles) -> None:
    """Replace the file, in one step. ProfileError: nothing has changed."""
    if path.exists() and not path.is_file():  # a device, say, which would be gone
        raise ProfileError(f"cannot write {path}: it is not a regular file")
    text = _HEADER if profiles.default is None else f"{_HEADER}default = {_quoted(profiles.default)}\n"
    for name, profile in sorted(profiles.by_name.items()):
        fields = {"url": profile.url, "key": profile.key, "tenant": profile.tenant_id}
        lines = [f"{field} = {_quoted(value)}\n" for field, value in fields.items() if value is not None]
        text += f"\n[profiles.{name}]\n{''.join(lines)}"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ProfileError(f"cannot write {path}: {error.strerror or error}") from None


def _quoted(value: str) -> str:
    """A string of TOML. What JSON escapes in printable text, TOML escapes likewise. ProfileError."""
    if not value.isprintable():
        raise ProfileError(f"{value!r} has characters that cannot be saved")
    return json.dumps(value, ensure_ascii=False)
