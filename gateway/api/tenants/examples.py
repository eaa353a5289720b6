"""Example documents of tenants."""

from __future__ import annotations

TENANT = {"tenant_id": "studio-a", "name": "Studio A"}
TENANT_PATCH = {"status": "disabled"}
