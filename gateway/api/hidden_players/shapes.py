"""Shapes of hidden players."""

from __future__ import annotations

from gateway.http.model_shapes import model_shape
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import BOOLEAN, INSTANT, STRING, Schema, answer, listing, or_null
from lbactors.documents.hidden_players import HideBody, UnhideBody


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of hidden players."""
    return {
        "HideInput": model_shape(HideBody),
        "UnhideInput": model_shape(UnhideBody),
        "HiddenPlayer": answer(
            {
                "player_id": STRING,
                "hidden": BOOLEAN,
                "until": or_null(INSTANT, "Null if the player is hidden permanently or not at all."),
                "reason": or_null(STRING),
                "since": or_null(INSTANT, "Null if the player is not hidden or the time is unknown."),
            }
        ),
        "HiddenListing": listing("HiddenPlayer"),
    }
