"""Shapes of keys."""

from __future__ import annotations

from gateway.http.model_shapes import model_shape
from gateway.http.parameters import identifier_schema
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import INSTANT, STRING, Schema, answer, listing, or_null, said
from lbactors.core.definition import SCOPES
from lbactors.documents.entities import KeyBody, KeyPatch


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of keys."""
    scopes: Schema = {
        "type": "array",
        "items": {"type": "string", "enum": list(SCOPES)},
        "minItems": 1,
        "maxItems": len(SCOPES),
    }
    key: Schema = {
        "key_id": STRING,
        "tenant_id": STRING,
        "name": STRING,
        "scopes": scopes,
        "status": {"type": "string", "enum": ["active", "disabled", "deleted"]},
        "expires_at": or_null(INSTANT),
        "player_id": or_null(
            STRING, "The only player that this key may write for; null for a key that is not bound."
        ),
        "created_at": INSTANT,
    }
    return {
        "KeyInput": model_shape(
            KeyBody,
            replaced={
                "player_id": or_null(
                    identifier_schema(min(settings.id_length, 128)),
                    "Binds the key to this player: it can then write for this player only.",
                )
            },
        ),
        "KeyPatch": model_shape(KeyPatch, not_null=("name", "status")),
        "Key": answer(key),
        "NewKey": answer(
            {
                **key,
                "key": said(STRING, "The key itself. It is shown only here; the server keeps only its hash."),
            }
        ),
        "KeyListing": listing("Key"),
    }
