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
    closed,
    listing,
    or_null,
    said,
)
from lbactors.documents.entities import ProfileBody


def _nullable(field: Schema) -> Schema:
    """A field of a patch: null is taken, and what is absent has no default."""
    found = {keyword: value for keyword, value in field.items() if keyword != "default"}
    return or_null(found) if isinstance(found.get("type"), str) else found


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of profiles."""
    profile = model_shape(
        ProfileBody, "Replaces the profile; without `hidden_until`, a hidden player stays hidden."
    )
    fields = profile["properties"]
    return {
        "Profile": profile,
        "ProfilePatch": closed(
            {name: _nullable(field) for name, field in fields.items()},
            description="Fields that you leave out keep their values. `attributes` are merged, everything "
            "else is replaced.",
        ),
        "PlayerProfile": answer(
            {
                "player_id": STRING,
                **fields,
                "hidden_until": or_null(
                    INSTANT,
                    "When the player is shown again, however the hiding began; 2999-12-31T23:59:59.999Z "
                    "means never. Null if the player is not hidden.",
                ),
                "updated_at": INSTANT,
                "version": said(STRING, "Changes whenever the profile changes; also the `ETag`."),
            }
        ),
        "PlayerProfileListing": listing("PlayerProfile"),
        "Erased": answer({"player_id": STRING, "erased_entries": COUNT}),
    }
