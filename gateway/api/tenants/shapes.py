"""Shapes of tenants."""

from __future__ import annotations

from gateway.http.settings import GatewaySettings
from gateway.http.shapes import BOOLEAN, INSTANT, STRING, Schema, answer, closed, listing, or_null, said
from lbactors.model import TENANT_ID


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of tenants."""
    name: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
    tenant_id: Schema = {"type": "string", "pattern": TENANT_ID.replace(r"\Z", "$")}
    secret = or_null({"type": "string", "minLength": 1, "maxLength": 256}, "Never shown again.")
    status: Schema = {"type": "string", "enum": ["active", "disabled"]}
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
    }
