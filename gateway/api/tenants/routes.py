"""Routes of tenants (API section 7)."""

from __future__ import annotations

from gateway.api.tenants import examples as example
from gateway.api.tenants import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import choice, text
from gateway.http.shared_parameters import STATUSES, Shared


def routes(s: Shared) -> tuple[Route, ...]:
    """Tenants."""
    platform = ("platform",)
    tenant = text("tenant_id", "Id of a tenant.", "path", example="studio-a")
    status = choice("status", "Only with this status.", STATUSES, None)
    paging = (s.limit, s.offset, s.cursor, s.if_none_match)
    return (
        Route(
            "GET",
            "/v1/tenants",
            handlers.list_tenants,
            "admin_list_tenants",
            "Administration",
            "List tenants",
            Answer(200, "A page of tenants.", "TenantListing"),
            scopes=platform,
            parameters=(status, *paging),
            etag=True,
            python="list_tenants(limit=)",
            sample_query={"limit": 10},
        ),
        Route(
            "POST",
            "/v1/tenants",
            handlers.create_tenant,
            "admin_create_tenant",
            "Administration",
            "Create a tenant",
            Answer(201, "Created.", "Tenant", headers=("Location",)),
            scopes=platform,
            parameters=(s.idempotency_key,),
            body=Body("TenantInput", example.TENANT),
            codes=("tenant_exists", "idempotency_conflict"),
            logged=True,
            python="create_tenant(body)",
        ),
        Route(
            "GET",
            "/v1/tenants/{tenant_id}",
            handlers.get_tenant,
            "admin_get_tenant",
            "Administration",
            "Read a tenant",
            Answer(200, "The tenant.", "Tenant"),
            scopes=platform,
            parameters=(tenant, s.if_none_match),
            etag=True,
            python="tenant(tenant_id)",
        ),
        Route(
            "PATCH",
            "/v1/tenants/{tenant_id}",
            handlers.patch_tenant,
            "admin_patch_tenant",
            "Administration",
            "Change a tenant",
            Answer(200, "The tenant.", "Tenant"),
            scopes=platform,
            parameters=(tenant,),
            body=Body("TenantPatch", example.TENANT_PATCH),
            logged=True,
            python="update_tenant(tenant_id, body)",
        ),
        Route(
            "DELETE",
            "/v1/tenants/{tenant_id}",
            handlers.delete_tenant,
            "admin_delete_tenant",
            "Administration",
            "Delete a tenant",
            Answer(200, "The deleted tenant.", "Tenant"),
            "Deletes the tenant with its leaderboards, players, keys and webhooks. The tenant `default` "
            "cannot be deleted.",
            scopes=platform,
            parameters=(tenant,),
            logged=True,
            python="delete_tenant(tenant_id)",
        ),
    )
