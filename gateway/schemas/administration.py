"""Schemas of players, tenants, keys and operations (API sections 5 and 7)."""

from __future__ import annotations

from gateway.parameters import identifier_schema
from gateway.schemas.words import (
    BOOLEAN,
    COUNT,
    FREE_OBJECT,
    INSTANT,
    LABELS,
    OBJECT,
    STRING,
    Schema,
    answer,
    closed,
    listing,
    or_null,
    said,
)
from gateway.settings import GatewaySettings
from lbactors.core.definition import SCOPES, TENANT_ID


def players() -> dict[str, Schema]:
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


def administration(settings: GatewaySettings) -> dict[str, Schema]:
    """Of tenants, keys and the server."""
    name: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
    tenant_id: Schema = {"type": "string", "pattern": TENANT_ID.replace(r"\Z", "$")}
    secret = or_null({"type": "string", "minLength": 1, "maxLength": 256}, "Never shown again.")
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
        "TenantInput": closed(
            {"tenant_id": tenant_id, "name": said(name, "Default: the id."), "hmac_secret": secret},
            ("tenant_id",),
        ),
        "TenantPatch": closed({"name": name, "status": status, "hmac_secret": secret}),
        "Tenant": answer(
            {
                "tenant_id": STRING,
                "name": STRING,
                "status": status,
                "has_hmac_secret": BOOLEAN,
                "created_at": INSTANT,
            }
        ),
        "TenantListing": listing("Tenant"),
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
        "Empty": closed({}),
        "Health": answer({"status": {"type": "string", "const": "ok"}}),
        "Readiness": answer(
            {"ready": {"type": "boolean", "const": True}}, description="And what was looked at, by name."
        ),
        "Status": said(OBJECT, "Actors, their periods and load; supervisor; store."),
        "OpenApi": said(OBJECT, "An OpenAPI 3.1 document."),
    }
