"""Shapes of hidden players."""

from __future__ import annotations

from gateway.http.settings import GatewaySettings
from gateway.http.shapes import BOOLEAN, INSTANT, STRING, Schema, answer, closed, listing, or_null


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of hidden players."""
    reason: Schema = {"type": "string", "minLength": 1, "maxLength": 500}
    return {
        "HideInput": closed(
            {
                "until": or_null(INSTANT, "When the player is shown again; null or absent: never."),
                "reason": or_null(reason, "For the audit log."),
            }
        ),
        "UnhideInput": closed({"reason": or_null(reason, "For the audit log.")}),
        "HiddenPlayer": answer(
            {
                "player_id": STRING,
                "hidden": BOOLEAN,
                "until": or_null(INSTANT, "null: for good, or not hidden."),
                "reason": or_null(STRING),
                "since": or_null(INSTANT, "null for a player who is hidden by the profile alone."),
            }
        ),
        "HiddenListing": listing("HiddenPlayer"),
    }
