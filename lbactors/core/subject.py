"""What filters and expressions look at: a row of a log beside its player's profile, and paths into them.

A row is read by every leaderboard that follows the log, and most of them pass it over by one field or none.
So a `Subject` is made once for a row and shared, and each of its parts is decoded when the first of them
looks at it.

A path is a root and, for a root that is an object, the names of fields, with dots between them:
`attrs.weapon.kind`. A name leads into objects alone, so an item of a list has no path, and neither has a
field with a dot in its name. What is not there, and null, reads as None: missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack
import orjson

PATH_CHARACTERS: Final = 128
PATH_SEGMENTS: Final = 8

Reader = Callable[["Subject"], Any]


class Subject:
    """One row. Every part is bytes, or None where the row has none.

    attrs, actor_metadata: of an event, as JSON. metadata: of a metric's row, as JSON. profile: the player's,
    as JSON or MessagePack, an object of which `attributes`, `tags`, `roles` and `timezone` are looked at.

    The attributes below have what was decoded, and to read them never raises: what is no object counts as
    empty, so that no row can stop a leaderboard that reads it.
    """

    # A slot is empty until `__getattr__`, which Python calls for empty ones alone, fills it. Then a look at
    # it costs no call, and rules look at the same part again and again.
    __slots__ = ("_raw", "actor_metadata", "attributes", "attrs", "metadata", "profile", "roles", "tags")

    attrs: dict[str, Any]
    actor_metadata: dict[str, Any]
    metadata: dict[str, Any]
    profile: dict[str, Any]  # empty for a player without one
    attributes: dict[str, Any]  # of the profile
    tags: list[Any] | None  # of the profile; None if it has none
    roles: list[Any] | None

    def __init__(
        self,
        *,
        attrs: bytes | None = None,
        actor_metadata: bytes | None = None,
        metadata: bytes | None = None,
        profile: bytes | None = None,
    ) -> None:
        self._raw = attrs, actor_metadata, metadata, profile

    if not TYPE_CHECKING:  # else any name would pass for an attribute

        def __getattr__(self, name: str) -> Any:
            if name in _PARTS:
                found = _object(self._raw[_PARTS.index(name)])
            elif name == "attributes":
                found = self.profile.get(name)
                if type(found) is not dict:
                    found = {}
            elif name in ("tags", "roles"):
                found = self.profile.get(name)
                if type(found) is not list or not found:
                    found = None
            else:
                raise AttributeError(name, name=name, obj=self)
            setattr(self, name, found)
            return found

    @property
    def timezone(self) -> str | None:
        """IANA name; None: the profile names none."""
        found = self.profile.get("timezone")
        return found if type(found) is str else None


_PARTS: Final = ("attrs", "actor_metadata", "metadata", "profile")


def _object(raw: bytes | None) -> dict[str, Any]:
    if not raw:
        return {}
    try:
        # No object of MessagePack begins with the byte of `{`.
        found = orjson.loads(raw) if raw[:1] == b"{" else msgpack.unpackb(raw)
    except Exception:  # msgpack has many, ValueError among them; all say that these bytes are no object
        return {}
    return found if type(found) is dict else {}


# Paths ----------------------------------------------------------------------------------------------------


class Root(NamedTuple):
    """Where a path begins. `part`: the attribute of `Subject`. `fields`: whether names of fields follow."""

    part: str
    fields: bool = True


_PLAYER: Final = {
    "player.attributes": Root("attributes"),
    "player.tags": Root("tags", fields=False),
    "player.roles": Root("roles", fields=False),
}
EVENT_ROOTS: Final[Mapping[str, Root]] = {
    "attrs": Root("attrs"),
    "actor.metadata": Root("actor_metadata"),
    **_PLAYER,
}
METRIC_ROOTS: Final[Mapping[str, Root]] = {"metadata": Root("metadata"), **_PLAYER}


class Path(NamedTuple):
    """A path, taken apart."""

    text: str
    root: Root
    fields: tuple[str, ...]


def parse_path(text: str, roots: Mapping[str, Root]) -> Path:
    """A path that begins with one of the roots. ValueError in the words of an answer."""
    if len(text) > PATH_CHARACTERS:
        raise ValueError(f"a path must have at most {PATH_CHARACTERS} characters")
    segments = text.split(".")
    if len(segments) > PATH_SEGMENTS:
        raise ValueError(f"a path must have at most {PATH_SEGMENTS} names with dots between them")
    for name, root in roots.items():
        if text != name and not text.startswith(f"{name}."):
            continue
        fields = tuple(segments[name.count(".") + 1 :])
        if root.fields and not fields:
            raise ValueError(f"'{text}' must go on with the name of a field: {name}.…")
        if fields and not root.fields:
            raise ValueError(f"'{name}' is a list: nothing follows it")
        if not all(fields):
            raise ValueError(f"'{text}' must have a name before and after each dot")
        return Path(text, root, fields)
    known = [f"{name}.…" if root.fields else name for name, root in roots.items()]
    raise ValueError(f"unknown path '{text}': must be one of {', '.join(known)}")


def reader(path: Path) -> Reader:
    """A function that gives a path's value in a subject; None if it is missing or null."""
    part: Callable[[Subject], Any] = attrgetter(path.root.part)
    if not path.fields:
        return part
    if len(path.fields) == 1:
        (field,) = path.fields

        def shallow(subject: Subject) -> Any:
            return part(subject).get(field)

        return shallow
    return _deep(part, path.fields)


def _deep(part: Reader, fields: Sequence[str]) -> Reader:
    def deep(subject: Subject) -> Any:
        value = part(subject)
        for field in fields:
            if type(value) is not dict:
                return None
            value = value.get(field)
        return value

    return deep
