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
from typing import Any, Final, NamedTuple

import msgpack
import orjson

PATH_CHARACTERS: Final = 128
PATH_SEGMENTS: Final = 8

Reader = Callable[["Subject"], Any]


class Subject:
    """One row. Every part is bytes, or None where the row has none.

    attrs, actor_metadata: of an event, as JSON. metadata: of a metric's row, as JSON. profile: the player's,
    as JSON or MessagePack, an object of which `attributes`, `tags`, `roles` and `timezone` are looked at.

    The properties have what was decoded, and never raise: what is no object counts as empty, so that no row
    can stop a leaderboard that reads it.
    """

    __slots__ = (
        "_actor_metadata",
        "_attrs",
        "_metadata",
        "_profile",
        "_raw_actor_metadata",
        "_raw_attrs",
        "_raw_metadata",
        "_raw_profile",
    )

    def __init__(
        self,
        *,
        attrs: bytes | None = None,
        actor_metadata: bytes | None = None,
        metadata: bytes | None = None,
        profile: bytes | None = None,
    ) -> None:
        self._raw_attrs = attrs
        self._raw_actor_metadata = actor_metadata
        self._raw_metadata = metadata
        self._raw_profile = profile
        self._attrs: dict[str, Any] | None = None  # None: not decoded yet
        self._actor_metadata: dict[str, Any] | None = None
        self._metadata: dict[str, Any] | None = None
        self._profile: dict[str, Any] | None = None

    @property
    def attrs(self) -> dict[str, Any]:
        found = self._attrs
        if found is None:
            found = self._attrs = _object(self._raw_attrs)
        return found

    @property
    def actor_metadata(self) -> dict[str, Any]:
        found = self._actor_metadata
        if found is None:
            found = self._actor_metadata = _object(self._raw_actor_metadata)
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        found = self._metadata
        if found is None:
            found = self._metadata = _object(self._raw_metadata)
        return found

    @property
    def profile(self) -> dict[str, Any]:
        """Empty for a player without one."""
        found = self._profile
        if found is None:
            found = self._profile = _object(self._raw_profile)
        return found

    @property
    def attributes(self) -> dict[str, Any]:
        found = self.profile.get("attributes")
        return found if type(found) is dict else {}

    @property
    def tags(self) -> list[Any] | None:
        """None: no profile, or it names none."""
        found = self.profile.get("tags")
        return found if type(found) is list and found else None

    @property
    def roles(self) -> list[Any] | None:
        """As `tags`."""
        found = self.profile.get("roles")
        return found if type(found) is list and found else None

    @property
    def timezone(self) -> str | None:
        """IANA name; None: the profile names none."""
        found = self.profile.get("timezone")
        return found if type(found) is str else None


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
    """Where a path begins. `part`: the property of `Subject`. `fields`: names of fields follow, else none."""

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
