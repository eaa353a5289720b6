"""Tenants (API section 7): a platform key manages them all."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from gateway.http.call import Call
from gateway.http.listings import listing_of
from lbactors.documents.entities import tenant_json
from lbactors.wire.commands import CreateTenant, DeleteTenant, PatchTenant


async def create_tenant(call: Call) -> web.Response:
    """`POST /v1/tenants`."""
    tenant, idempotency = await call.document()
    answer = await call.admin(CreateTenant(tenant=tenant), call.tenant_id, idempotency)
    location = f"/v1/tenants/{quote(str(answer.body.get('tenant_id', '')), safe='')}"
    return call.admin_answer(answer, {"Location": location})


async def list_tenants(call: Call) -> web.Response:
    """`GET /v1/tenants`."""
    status = call.query["status"]
    tenants = call.service.catalogue.tenants()
    if status is not None:
        tenants = [tenant for tenant in tenants if tenant.status == status]
    return listing_of(call, tenants, tenant_json, lambda tenant: (tenant.tenant_id,), "tenants", status)


async def get_tenant(call: Call) -> web.Response:
    """`GET /v1/tenants/{tenant_id}`."""
    return call.reading(tenant_json(await call.gateway.access.tenant(call.path["tenant_id"])))


async def patch_tenant(call: Call) -> web.Response:
    """`PATCH /v1/tenants/{tenant_id}`."""
    tenant = await call.gateway.access.tenant(call.path["tenant_id"])
    patch, idempotency = await call.document()
    return call.admin_answer(
        await call.admin(PatchTenant(tenant_id=tenant.tenant_id, patch=patch), call.tenant_id, idempotency)
    )


async def delete_tenant(call: Call) -> web.Response:
    """`DELETE /v1/tenants/{tenant_id}`."""
    tenant = await call.gateway.access.tenant(call.path["tenant_id"])
    return call.admin_answer(await call.admin(DeleteTenant(tenant_id=tenant.tenant_id), call.tenant_id))
