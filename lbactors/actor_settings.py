"""What the supervisor and the period actors are told of the server's settings.

A module of its own, so that an actor's process needs nothing of what reads and checks settings. The values
come from `lbactors.settings.ServerSettings.for_actors`; defaults stand there alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class ActorSettings:
    """Immutable. The fields that `ServerSettings` has too mean the same; times are in the unit that the name
    ends with.

    A field that is added needs a default here for one version: an actor may begin with the settings that a
    server of the version before has given it.
    """

    store_url: str
    store_id: str
    """The store that they must find under the URL; empty for any."""
    server_id: str
    """Who has claimed the store."""
    server: str
    """The same, for people."""
    root_key_hash: str | None
    """SHA-256 of the root key, in hex; None leaves the one that is stored."""

    lease_seconds: float
    clock_file: str | None
    """Absolute path."""
    actors_per_core: int
    spare_actors: int
    idle_unload_seconds: float
    snapshot_seconds: float
    snapshot_inputs: int
    seen_ids_limit: int
    queue_limit: int
    audit_retain_days: int
    webhook_public_targets: bool
    webhook_give_up_seconds: float
    webhook_keep_seconds: float
    webhook_pending_limit: int
    plugins: str
    held_limit: int
    log_level: str
    metric_retain_days: int = 400
    event_retain_days: int = 30

    def to_wire(self) -> dict[str, Any]:
        """Plain values by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ActorSettings:
        """Names that this version does not know are passed over. TypeError if one is missing."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in wire.items() if name in known})
