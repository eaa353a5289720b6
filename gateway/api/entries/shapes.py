"""Shapes of changed entries."""

from __future__ import annotations

from gateway.http.document_shapes import ENTRY
from gateway.http.parameters import NUMBER_SCHEMA
from gateway.http.settings import GatewaySettings
from gateway.http.shapes import OBJECT, STRING, WINDOW, Schema, answer, closed, or_null, ref, said


def shapes(settings: GatewaySettings) -> dict[str, Schema]:
    """Of edits, and of entries before and after."""
    reason: Schema = {"type": "string", "minLength": 1, "maxLength": 500}
    entry: Schema = {
        "allOf": [answer({"window": WINDOW, "period_key": STRING}), ref("Entry")],
    }
    entries: Schema = {"type": "array", "items": entry}
    return {
        "EntryEdit": closed(
            {
                "score": NUMBER_SCHEMA,
                "subscore": or_null(NUMBER_SCHEMA, "Absent or null: it stays."),
                "metadata": or_null(OBJECT, "Absent: it stays; null: none."),
                "reason": said(reason, "For the audit log."),
            },
            ("score", "reason"),
        ),
        "EditedEntries": answer({"before": entries, "after": entries}),
        "RestoreInput": closed({"reason": or_null(reason, "For the audit log.")}),
        "RestoredEntries": answer({"restored": entries}),
        "RemovedEntries": answer(
            {
                "removed": {
                    "type": "array",
                    "items": answer({"window": WINDOW, "period_key": STRING, **ENTRY}),
                }
            }
        ),
    }
