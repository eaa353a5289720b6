"""Shapes of keys."""

from __future__ import annotations

from gateway.http.parameters import identifier_schema
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import INSTANT, STRING, Schema, answer, closed, listing, or_null, said
from lbactors.model import SCOPES, TENANT_ID


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of keys."""
    name: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
    tenant_id: Schema = {"type": "string", "pattern": TENANT_ID.replace(r"\Z", "$")}
    status: Schema = {"type": "string", "enum": ["active", "disabled"]}
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
        "player_id": or_null(STRING, "The player whose scores this key may write, and no others."),
        "created_at": INSTANT,
    }
    return {
        "KeyInput": closed(
            {
                "tenant_id": or_null(tenant_id, "Default: the tenant acted in."),
                "name": name,
                "scopes": scopes,
                "expires_at": or_null(INSTANT),
                "player_id": or_null(
                    identifier_schema(min(settings.id_length, 128)), "Binds the key to a player."
                ),
            },
            ("name", "scopes"),
        ),
        "KeyPatch": closed({"status": status, "name": name}),
        "Key": answer(key),
        "NewKey": answer(
            {**key, "key": said(STRING, "The key itself; shown this once, only its hash is kept.")}
        ),
        "KeyListing": listing("Key"),
    }
