"""The gateway's own settings: limits of what a request may carry, and how it logs and drains.

They are the fields of `ServerSettings` that the HTTP side needs, under the same names and with the same
defaults, so that a gateway can be built in a test without the rest of the server.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from lbactors.settings import ServerSettings, default_of


class GatewaySettings(BaseModel):
    """Immutable. Lengths in characters, sizes in bytes, times in the unit that the name ends with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request_seconds: float = default_of("request_seconds")
    """Longest that a request waits for anything but its client, in sum."""
    body_limit_bytes: int = default_of("body_limit_bytes")
    """Largest request body, before and after it is inflated."""
    json_depth: int = default_of("json_depth")
    batch_items: int = default_of("batch_items")
    id_length: int = default_of("id_length")
    metadata_bytes: int = default_of("metadata_bytes")
    events_per_request: int = default_of("events_per_request")
    event_bytes: int = default_of("event_bytes")
    """Of `attrs` and `actor.metadata` together."""
    lookup_players: int = default_of("lookup_players")
    page_limit: int = default_of("page_limit")
    cors_origins: str = default_of("cors_origins")
    """Origins between commas, or `*`; as `ServerSettings` made them."""
    plugin_failure: Literal["accept", "hold", "refuse"] = default_of("plugin_failure")

    log_level: Literal["debug", "info", "warning", "error"] = default_of("log_level")
    drain_seconds: float = default_of("drain_seconds")
    """Longest wait for open requests when draining."""
    serve_metrics: bool = True
    """Whether `/metrics` is among the routes; false where it has a port of its own (`app.metrics_app`)."""

    @classmethod
    def of(cls, settings: ServerSettings) -> GatewaySettings:
        """The gateway's part of the server's settings."""
        shared = cls.model_fields.keys() & ServerSettings.model_fields.keys()
        values = {name: getattr(settings, name) for name in shared}
        return cls(**values, serve_metrics=settings.metrics_port == 0)
