"""Shapes of profiles and of erasure."""

from __future__ import annotations

from gateway.http.model_shapes import model_shape
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    COUNT,
    INSTANT,
    STRING,
    Schema,
    answer,
)
from lbactors.documents.entities import ProfileBody


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of profiles."""
    profile = model_shape(ProfileBody, "Replaces the profile as a whole.")
    return {
        "Profile": profile,
        "PlayerProfile": answer({"player_id": STRING, **profile["properties"], "updated_at": INSTANT}),
        "Erased": answer({"player_id": STRING, "erased_entries": COUNT}),
    }
