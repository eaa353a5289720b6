"""How gateways follow the catalogue: a versioned long poll of the supervisor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

INCARNATIONS = "incarnations"  # not a collection of the store: the process that each actor is now


class CatalogueVersion(NamedTuple):
    """A supervisor's epoch, and how many changes it has published."""

    epoch: int
    version: int


class FeedChange(NamedTuple):
    """A document as it is now; None: it is gone."""

    collection: str
    doc_id: str
    body: bytes | None


class News(NamedTuple):
    """What leads to a version. full: the changes are everything, and replace what the gateway knew."""

    epoch: int
    version: int
    full: bool
    changes: Sequence[FeedChange]

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> News:
        epoch, version, full, changes = wire
        return cls(epoch, version, full, [FeedChange(*change) for change in changes])
