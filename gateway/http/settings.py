"""The gateway's own settings: limits of what a request may carry, and how it logs and drains.

They are the fields of `ServerSettings` that the HTTP side needs, under the same names and with the same
defaults, so that a gateway can be built in a test without the rest of the server.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from lbactors.settings import ServerSettings


class GatewaySettings(BaseModel):
    """Immutable. Lengths in characters, sizes in bytes, times in the unit that the name ends with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_limit_bytes: int = 8 * 1024 * 1024
    """Largest request body, before and after it is inflated."""
    json_depth: int = 32
    batch_items: int = 10_000
    id_length: int = 128
    metadata_bytes: int = 4096
    lookup_players: int = 1000
    page_limit: int = 1000
    plugin_failure: Literal["accept", "hold", "refuse"] = "accept"

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    drain_seconds: float = 20
    """Longest wait for open requests when draining."""
    serve_metrics: bool = True
    """Whether `/metrics` is among the routes; false where it has a port of its own (`app.metrics_app`)."""

    @classmethod
    def of(cls, settings: ServerSettings) -> GatewaySettings:
        """The gateway's part of the server's settings."""
        shared = cls.model_fields.keys() & ServerSettings.model_fields.keys()
        values = {name: getattr(settings, name) for name in shared}
        return cls(**values, serve_metrics=settings.metrics_port == 0)
