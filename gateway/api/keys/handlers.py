"""Keys (API section 7).

A platform key manages all keys. A key with `keys:write` manages the keys of its own tenant, within its own
powers: it grants, and wakes up, no key with a scope that it lacks, and it does not touch platform keys. A
player-bound key manages no keys, since it could unbind itself.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.http.access import PLATFORM
from gateway.http.call import Call
from gateway.http.listings import listing_of
from lbactors.core.errors import ApiError, invalid
from lbactors.documents.entities import key_json
from lbactors.wire.commands import CreateKey, DeleteKey, PatchKey


async def create_key(call: Call) -> web.Response:
    """`POST /v1/keys`: in the tenant that the body names, else in the one acted in."""
    caller = call.caller
    key, idempotency = await call.document()
    tenant_id = key.get("tenant_id")
    if tenant_id is None:
        tenant_id = call.tenant_id
    elif type(tenant_id) is not str:
        raise invalid("must be a string", "body", "tenant_id")
    if not caller.platform:
        if tenant_id != call.tenant_id:
            raise ApiError("forbidden", "tenant_id: needs a key with the scope platform")
        _check_grant(call, key.get("scopes"))
    await call.gateway.access.tenant(tenant_id)
    return call.admin_answer(
        await call.admin(CreateKey(key={**key, "tenant_id": tenant_id}), tenant_id, idempotency)
    )


def _check_grant(call: Call, scopes: Any) -> None:
    """403 for scopes that the caller lacks. What is no list of strings is left to the supervisor's 422."""
    if not isinstance(scopes, list | frozenset):
        return
    lacking = sorted(scope for scope in scopes if isinstance(scope, str) and scope not in call.caller.scopes)
    if lacking:
        raise ApiError("forbidden", f"scopes: this key lacks {', '.join(lacking)[:200]} and cannot grant it")


async def list_keys(call: Call) -> web.Response:
    """`GET /v1/keys`: of the tenant acted in; for a platform key that names none, of all tenants."""
    caller, query = call.caller, call.query
    tenant_id = query["tenant_id"]
    if tenant_id is None:
        tenant_id = None if caller.platform and not caller.named_tenant else call.tenant_id
    elif not caller.platform and tenant_id != call.tenant_id:
        raise ApiError("forbidden", "tenant_id: needs a key with the scope platform")
    else:
        await call.gateway.access.tenant(tenant_id)
    keys = call.service.catalogue.keys(tenant_id)
    if query["status"] is not None:
        keys = [key for key in keys if key.status == query["status"]]
    return listing_of(
        call, keys, key_json, lambda key: (key.created_at_ms, key.key_id), "keys", tenant_id, query["status"]
    )


async def get_key(call: Call) -> web.Response:
    """`GET /v1/keys/{key_id}`."""
    return call.reading(key_json(await call.key_of_tenant(call.path["key_id"])))


async def patch_key(call: Call) -> web.Response:
    """`PATCH /v1/keys/{key_id}`."""
    key = await call.key_of_tenant(call.path["key_id"])
    patch, idempotency = await call.document()
    if not call.caller.platform:
        _check_not_platform(key.scopes)
        if patch.get("status") == "active":
            _check_grant(call, key.scopes)
        _check_grant(call, patch.get("scopes"))
    return call.admin_answer(
        await call.admin(PatchKey(key_id=key.key_id, patch=patch), key.tenant_id, idempotency)
    )


async def delete_key(call: Call) -> web.Response:
    """`DELETE /v1/keys/{key_id}`."""
    key = await call.key_of_tenant(call.path["key_id"])
    if not call.caller.platform:
        _check_not_platform(key.scopes)
    return call.admin_answer(await call.admin(DeleteKey(key_id=key.key_id), key.tenant_id))


def _check_not_platform(scopes: frozenset[str]) -> None:
    if PLATFORM in scopes:
        raise ApiError("forbidden", "a platform key can be changed by a platform key only")
