"""Routes of keys (API section 7)."""

from __future__ import annotations

from gateway.api.keys import examples as example
from gateway.api.keys import handlers
from gateway.http.openapi import Answer, Body, Route
from gateway.http.parameters import choice, text
from gateway.http.shared_parameters import STATUSES, Shared
from lbactors.core.definition import TENANT_ID


def routes(s: Shared) -> tuple[Route, ...]:
    """Keys."""
    keys = ("keys:write", "platform")
    key = text("key_id", "Id of a key.", "path", example="k_5f0c2b9a41d7e836")
    status = choice("status", "Only with this status.", STATUSES, None)
    paging = (s.limit, s.offset, s.cursor, s.if_none_match)
    return (
        Route(
            "GET",
            "/v1/keys",
            handlers.list_keys,
            "admin_list_keys",
            "Administration",
            "List keys",
            Answer(200, "A page of keys, oldest first; deleted keys are left out.", "KeyListing"),
            "Lists the keys of your tenant. A platform key that names no tenant sees the keys of all "
            "tenants.",
            scopes=keys,
            parameters=(
                text("tenant_id", "Only keys of this tenant.", max_length=63, pattern=TENANT_ID),
                status,
                *paging,
            ),
            etag=True,
            python="list_keys(status=)",
            sample_query={"status": "active"},
        ),
        Route(
            "POST",
            "/v1/keys",
            handlers.create_key,
            "admin_create_key",
            "Administration",
            "Create a key",
            Answer(201, "Created. The key itself is shown only in this answer.", "NewKey"),
            "A key without `platform` can grant only the scopes that it has itself, in its own tenant.",
            scopes=keys,
            parameters=(s.idempotency_key,),
            body=Body("KeyInput", example.KEY),
            codes=("idempotency_conflict",),
            logged=True,
            python="create_key(body)",
        ),
        Route(
            "GET",
            "/v1/keys/{key_id}",
            handlers.get_key,
            "admin_get_key",
            "Administration",
            "Read a key",
            Answer(200, "The key's details; never the key itself.", "Key"),
            scopes=keys,
            parameters=(key, s.if_none_match),
            codes=("key_not_found",),
            etag=True,
            python="key(key_id)",
        ),
        Route(
            "PATCH",
            "/v1/keys/{key_id}",
            handlers.patch_key,
            "admin_patch_key",
            "Administration",
            "Disable, enable or rename a key",
            Answer(200, "The key's details; never the key itself.", "Key"),
            scopes=keys,
            parameters=(key,),
            body=Body("KeyPatch", example.KEY_PATCH),
            codes=("key_not_found",),
            logged=True,
            python="update_key(key_id, body)",
        ),
        Route(
            "DELETE",
            "/v1/keys/{key_id}",
            handlers.delete_key,
            "admin_delete_key",
            "Administration",
            "Delete a key",
            Answer(200, "The key's details; never the key itself.", "Key"),
            "The key stops working at once, for good.",
            scopes=keys,
            parameters=(key,),
            codes=("key_not_found",),
            logged=True,
            python="delete_key(key_id)",
        ),
    )
