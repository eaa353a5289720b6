"""Shapes of profiles and of erasure."""

from __future__ import annotations

from gateway.http.settings import GatewaySettings
from gateway.http.shapes import (
    COUNT,
    FREE_OBJECT,
    INSTANT,
    LABELS,
    STRING,
    Schema,
    answer,
    closed,
    or_null,
    said,
)


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of profiles."""
    fields: Schema = {
        "display_name": or_null({"type": "string", "minLength": 1, "maxLength": 128}),
        "avatar_url": or_null({"type": "string", "minLength": 1, "maxLength": 2048}),
        "attributes": said(FREE_OBJECT, FREE_OBJECT["description"], default={}),
        "roles": {**LABELS, "default": []},
        "tags": {**LABELS, "default": []},
        "hidden_until": or_null(INSTANT),
    }
    return {
        "Profile": closed(fields, description="Replaces the profile as a whole."),
        "PlayerProfile": answer({"player_id": STRING, **fields, "updated_at": INSTANT}),
        "Erased": answer({"player_id": STRING, "erased_entries": COUNT}),
    }
