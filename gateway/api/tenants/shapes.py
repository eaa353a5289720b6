"""Shapes of tenants."""

from __future__ import annotations

from gateway.http.model_shapes import model_shape
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import BOOLEAN, INSTANT, STRING, Schema, answer, listing
from lbactors.documents.entities import TenantBody, TenantPatch


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of tenants."""
    status: Schema = {"type": "string", "enum": ["active", "disabled"]}
    return {
        "TenantInput": model_shape(TenantBody),
        "TenantPatch": model_shape(TenantPatch, not_null=("name", "status")),
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
