"""What a command's handler decides before anything is durable, and how it reads what clients wrote."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from lbactors.core.errors import invalid, invalid_from
from lbactors.documents.audit import Audited
from persistence.store import Change

M = TypeVar("M", bound=BaseModel)


class CommandContext(NamedTuple):
    """Whose command it is. seed: of a secret that its repeats are to be told again (None: it has no
    Idempotency-Key, and none will come).
    """

    tenant_id: str
    seed: bytes | None


class CommandPlan(NamedTuple):
    """HTTP status, answer, documents to make durable, then what to do (which may give another answer).

    `remember`: what a repeat with the same Idempotency-Key is answered, if not the answer itself.
    `audited`: what the audit log says of it, if not what the command's name and arguments say.
    `outcome`: what `act` adds to that record; if it raises and adds nothing, the record goes.
    """

    status: int
    body: dict[str, Any]
    changes: list[Change]
    act: Callable[[], Awaitable[dict[str, Any] | None]] | None = None
    remember: dict[str, Any] | None = None
    audited: Audited | None = None
    outcome: dict[str, Any] | None = None


def parse(model: type[M], data: Any) -> M:
    """A body as its model; a 422 that names the fields."""
    if not isinstance(data, dict):
        raise invalid("must be an object", "body")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid_from(error, "body", model=model) from None
