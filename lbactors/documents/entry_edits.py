"""What clients write when they edit, restore or import entries."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from lbactors.core.numbers import MAX_EXACT_INTEGER, NumberField
from lbactors.documents.entities import Written, written_instant
from lbactors.documents.hidden_players import Reason


class EditBody(Written):
    score: NumberField
    subscore: NumberField | None = Field(default=None, description="Absent or null: it stays.")
    metadata: dict[str, Any] | None = Field(default=None, description="Absent: it stays; null: none.")
    reason: Reason


class ImportBody(Written):
    entries: list[Any] = Field(description="In the order in which equals are to stand.")
    period_key: str | None = Field(
        default=None, description="The current period must be this one, else 409 `period_closed`."
    )
    replace: bool = Field(
        default=False, description="Also where the player has another entry, or one that was removed."
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
        description="Default: `updated_at`. Not after it.",
        json_schema_extra={"type": ["string", "null"], "format": "date-time"},
    )
    updated_at: Annotated[Any, AfterValidator(written_instant)] = Field(
        default=None,
        description="Default: now. At most 60 s ahead of the server.",
        json_schema_extra={"type": ["string", "null"], "format": "date-time"},
    )


class RestoreBody(Written):
    reason: Reason | None = None
