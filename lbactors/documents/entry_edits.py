"""What clients write when they edit, restore or import entries."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from lbactors.core.numbers import MAX_EXACT_INTEGER, NumberField
from lbactors.documents.entities import Written, written_instant
from lbactors.documents.hidden_players import Reason


class EditBody(Written):
    score: NumberField
    subscore: NumberField | None = Field(default=None, description="Stays as it is if absent or null.")
    metadata: dict[str, Any] | None = Field(
        default=None, description="Stays as it is if absent; null removes it."
    )
    reason: Reason


class ImportBody(Written):
    entries: list[Any] = Field(description="Equal scores rank in the order of this list.")
    period_key: str | None = Field(
        default=None,
        description="If given, the current period must be this one; otherwise 409 `period_closed`.",
    )
    replace: bool = Field(
        default=False,
        description="Write the entry even if the player has a different one, or one that was removed.",
    )


class EntryBody(Written):
    """An entry of an import. The gateway checks the lengths that are settings."""

    player_id: str
    score: NumberField
    subscore: NumberField = 0
    metadata: dict[str, Any] | None = None
    submissions: int = Field(default=1, ge=1, le=MAX_EXACT_INTEGER)
    first_at: Annotated[Any, AfterValidator(written_instant)] = Field(
        default=None,
        description="Defaults to `updated_at`; not after it.",
        json_schema_extra={"type": ["string", "null"], "format": "date-time"},
    )
    updated_at: Annotated[Any, AfterValidator(written_instant)] = Field(
        default=None,
        description="Defaults to now; at most 60 s ahead of the server's clock.",
        json_schema_extra={"type": ["string", "null"], "format": "date-time"},
    )


class RestoreBody(Written):
    reason: Reason | None = None
