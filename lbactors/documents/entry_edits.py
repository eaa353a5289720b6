"""What moderators write when they edit or restore an entry."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lbactors.core.numbers import NumberField
from lbactors.documents.entities import Written
from lbactors.documents.hidden_players import Reason


class EditBody(Written):
    score: NumberField
    subscore: NumberField | None = Field(default=None, description="Absent or null: it stays.")
    metadata: dict[str, Any] | None = Field(default=None, description="Absent: it stays; null: none.")
    reason: Reason


class RestoreBody(Written):
    reason: Reason | None = None
