"""Hidden players: how they are stored and shown."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgpack
from pydantic import AfterValidator, Field

from lbactors.core.ids import in_tenant, split_tenant
from lbactors.core.instants import format_instant
from lbactors.documents.entities import Written, written_instant
from lbactors.documents.storage_errors import storage_errors
from persistence.store import Store

HIDDEN = "hidden"


class Hidden(NamedTuple):
    """Since `at_ms`, until `until_ms` (None: for good), for a `reason`.

    Older versions kept apart what a profile said, as `profile_until_ms`, with `at_ms` None if nothing else
    hid the player; the later end counts. It is read, and written no more.
    """

    at_ms: int | None
    until_ms: int | None
    reason: str | None
    profile_until_ms: int | None

    @property
    def ends_ms(self) -> int | None:
        """When the player is shown again; None: never."""
        if self.at_ms is None:
            return self.profile_until_ms or 0
        return None if self.until_ms is None else max(self.until_ms, self.profile_until_ms or 0)

    def runs(self, now_ms: int) -> bool:
        return self.ends_ms is None or self.ends_ms > now_ms


SHOWN = Hidden(None, None, None, None)
Reason = Annotated[str, Field(min_length=1, max_length=500, description="For the audit log.")]


class HideBody(Written):
    until: Annotated[Any, AfterValidator(written_instant)] = Field(
        default=None,
        description="When the player is shown again; null or absent means never.",
        json_schema_extra={"type": ["string", "null"], "format": "date-time"},
    )
    reason: Reason | None = None


class UnhideBody(Written):
    reason: Reason | None = None


def hidden_json(player_id: str, hidden: Hidden) -> dict[str, Any]:
    """A hidden player as the API shows it."""
    ends_ms = hidden.ends_ms
    return {
        "player_id": player_id,
        "hidden": True,
        "until": None if ends_ms is None else format_instant(ends_ms),
        "reason": hidden.reason,
        "since": None if hidden.at_ms is None else format_instant(hidden.at_ms),
    }


async def hidden_of(store: Store, tenant_id: str, now_ms: int) -> list[dict[str, Any]]:
    """The players of a tenant that are hidden now, by id. ApiError storage_unavailable."""
    with storage_errors():
        found = await store.scan(HIDDEN, prefix=in_tenant(tenant_id, ""))
    listed = ((split_tenant(doc_id), Hidden(*msgpack.unpackb(body))) for doc_id, body in found)
    return [hidden_json(player_id, hidden) for (_, player_id), hidden in listed if hidden.runs(now_ms)]
