"""The envelope of a command to the supervisor, and of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lbactors.core.errors import ApiError
from lbactors.documents.audit import Who
from lbactors.wire.catalogue_feed import CatalogueVersion


class Idempotency(NamedTuple):
    """An `Idempotency-Key` with the digest (hex) of method, path and body that came with it."""

    key: str
    digest: str


class CommandCall(NamedTuple):
    """A command of `lbactors.supervisor.commands.runner`. who: for the audit log."""

    name: str
    tenant_id: str
    args: dict[str, Any]
    idempotency: Idempotency | None
    who: Who | None

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> CommandCall:
        name, tenant_id, args, idempotency, who = wire
        return cls(name, tenant_id, args, idempotency and Idempotency(*idempotency), who and Who(*who))


class CommandReply(NamedTuple):
    """HTTP status and JSON-ready body, and the version of the catalogue that shows the effect."""

    status: int
    body: dict[str, Any]
    shown_by: CatalogueVersion

    def to_wire(self) -> Sequence[Any]:
        return 0, self.status, self.body, *self.shown_by

    @staticmethod
    def error_to_wire(error: ApiError) -> Sequence[Any]:
        return 1, error.to_wire()

    @classmethod
    def from_wire(cls, wire: Sequence[Any]) -> CommandReply:
        """ApiError, if that is what the reply says."""
        failed, *rest = wire
        if failed:
            raise ApiError.from_wire(rest[0])
        status, body, epoch, version = rest
        return cls(status, body, CatalogueVersion(epoch, version))
