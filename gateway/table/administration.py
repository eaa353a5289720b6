"""Routes of tenants, keys and operations (API section 7)."""

from __future__ import annotations

from gateway import admin, operations
from gateway import examples as example
from gateway.metrics import CONTENT_TYPE
from gateway.openapi import Answer, Body, Route
from gateway.parameters import choice, text
from gateway.settings import GatewaySettings
from gateway.table.shared import Shared
from lbactors.core.definition import TENANT_ID


def administration(s: Shared) -> tuple[Route, ...]:
    """Tenants, keys, status."""
    platform, keys = ("platform",), ("keys:write", "platform")
    pattern = TENANT_ID.replace(r"\Z", "$")
    tenant = text("tenant_id", "Id of a tenant.", "path")
    key = text("key_id", "Id of a key.", "path")
    status = choice("status", "Only with this status.", admin.STATUSES, None)
    paging = (s.limit, s.offset, s.cursor, s.if_none_match)
    return (
        Route(
            "GET",
            "/v1/keys",
            admin.list_keys,
            "Administration",
            "List keys",
            Answer(200, "A page of keys, oldest first, without deleted ones.", "KeyListing"),
            "Of the tenant acted in; for a platform key that names no tenant, of all tenants.",
            scopes=keys,
            parameters=(
                text("tenant_id", "Only of this tenant.", max_length=63, pattern=pattern),
                status,
                *paging,
            ),
            etag=True,
        ),
        Route(
            "POST",
            "/v1/keys",
            admin.create_key,
            "Administration",
            "Create a key",
            Answer(201, "Created. The key itself is shown this once.", "NewKey"),
            "A key without `platform` can grant only scopes that it has, in its own tenant.",
            scopes=keys,
            parameters=(s.idempotency_key,),
            body=Body("KeyInput", example.KEY),
            codes=("idempotency_conflict",),
            logged=True,
        ),
        Route(
            "GET",
            "/v1/keys/{key_id}",
            admin.get_key,
            "Administration",
            "Read a key's description",
            Answer(200, "The key's description.", "Key"),
            scopes=keys,
            parameters=(key, s.if_none_match),
            codes=("key_not_found",),
            etag=True,
        ),
        Route(
            "PATCH",
            "/v1/keys/{key_id}",
            admin.patch_key,
            "Administration",
            "Disable, enable or rename a key",
            Answer(200, "The key's description.", "Key"),
            scopes=keys,
            parameters=(key,),
            body=Body("KeyPatch", example.KEY_PATCH),
            codes=("key_not_found",),
            logged=True,
        ),
        Route(
            "DELETE",
            "/v1/keys/{key_id}",
            admin.delete_key,
            "Administration",
            "Delete a key",
            Answer(200, "The key's description.", "Key"),
            "It is remembered as deleted, and can never be used again.",
            scopes=keys,
            parameters=(key,),
            codes=("key_not_found",),
            logged=True,
        ),
        Route(
            "GET",
            "/v1/tenants",
            admin.list_tenants,
            "Administration",
            "List tenants",
            Answer(200, "A page of tenants.", "TenantListing"),
            scopes=platform,
            parameters=(status, *paging),
            etag=True,
        ),
        Route(
            "POST",
            "/v1/tenants",
            admin.create_tenant,
            "Administration",
            "Create a tenant",
            Answer(201, "Created.", "Tenant", headers=("Location",)),
            scopes=platform,
            parameters=(s.idempotency_key,),
            body=Body("TenantInput", example.TENANT),
            codes=("tenant_exists", "idempotency_conflict"),
            logged=True,
        ),
        Route(
            "GET",
            "/v1/tenants/{tenant_id}",
            admin.get_tenant,
            "Administration",
            "Read a tenant",
            Answer(200, "The tenant.", "Tenant"),
            scopes=platform,
            parameters=(tenant, s.if_none_match),
            etag=True,
        ),
        Route(
            "PATCH",
            "/v1/tenants/{tenant_id}",
            admin.patch_tenant,
            "Administration",
            "Change a tenant",
            Answer(200, "The tenant.", "Tenant"),
            scopes=platform,
            parameters=(tenant,),
            body=Body("TenantPatch", example.TENANT_PATCH),
            logged=True,
        ),
        Route(
            "DELETE",
            "/v1/tenants/{tenant_id}",
            admin.delete_tenant,
            "Administration",
            "Delete a tenant with all that is its own",
            Answer(200, "The tenant as it was.", "Tenant"),
            "Not `default`.",
            scopes=platform,
            parameters=(tenant,),
            logged=True,
        ),
        Route(
            "GET",
            "/v1/status",
            admin.status,
            "Administration",
            "The state of the server",
            Answer(200, "The state.", "Status"),
            scopes=platform,
        ),
    )


def unkeyed(settings: GatewaySettings, reference: operations.Reference) -> tuple[Route, ...]:
    """What needs no key."""
    page = {"type": "string"}
    metrics = Route(
        "GET",
        "/metrics",
        operations.metrics,
        "Operations",
        "Metrics for Prometheus",
        Answer(200, "Metrics.", page, media_type=CONTENT_TYPE.partition(";")[0]),
        always=True,
    )
    return (
        Route(
            "GET",
            "/healthz",
            operations.healthz,
            "Operations",
            "Whether the process answers",
            Answer(200, "It does.", "Health", {"status": "ok"}),
            always=True,
        ),
        Route(
            "GET",
            "/readyz",
            operations.readyz,
            "Operations",
            "Whether actors and storage are ready",
            Answer(200, "They are.", "Readiness"),
            always=True,
        ),
        *((metrics,) if settings.serve_metrics else ()),
        Route(
            "GET",
            "/openapi.json",
            reference.openapi,
            "Operations",
            "This description",
            Answer(200, "An OpenAPI document.", "OpenApi", media_type="application/json"),
            always=True,
            etag=True,
        ),
        Route(
            "GET",
            "/docs",
            reference.docs,
            "Operations",
            "The reference for people",
            Answer(200, "A page.", page, media_type="text/html"),
            always=True,
        ),
    )
